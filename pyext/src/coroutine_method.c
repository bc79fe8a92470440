/* SPDX-License-Identifier: MIT */
/* _core.CoroutineMethod: a method in C that asyncio declares with `async def`.
 *
 * What loop.sock_recv(...) returns is a coroutine (sock_op.c), yet inspect.iscoroutinefunction asks
 * the function, and finds the answer in the code object of a Python function. So in the type's
 * dictionary stands this pair: calls go to the method in C, and what is asked of a Python function
 * (__code__, __defaults__, __annotations__, ...) is answered by asyncio's own. The running Python's
 * selector loop is asked, so that signatures and annotations are of its version, too.
 *
 * A call costs one more jump: the type is a method descriptor, so no bound method is made for it.
 */
#include "core.h"

typedef struct ev_coroutine_method {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *method;   /* in C: the method descriptor */
    PyObject *declared; /* asyncio's function */
} ev_coroutine_method_t;

static PyObject *call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *keywords) {
    return PyObject_Vectorcall(((ev_coroutine_method_t *)op)->method, args, nargsf, keywords);
}

static PyObject *bind_to(PyObject *op, PyObject *instance, PyObject *owner) {
    (void)owner;
    return instance == NULL || instance == Py_None ? Py_NewRef(op) : PyMethod_New(op, instance);
}

static PyObject *get_attribute(PyObject *op, PyObject *name) {
    PyObject *value = PyObject_GenericGetAttr(op, name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        value = PyObject_GetAttr(((ev_coroutine_method_t *)op)->declared, name);
    }
    return value;
}

/* What every object has by its type is asked of the function, too. (So the type has no Py_tp_doc,
 * which would take the place of the first.) */
static PyObject *get_declared(PyObject *op, void *name) {
    return PyObject_GetAttrString(((ev_coroutine_method_t *)op)->declared, name);
}

static PyGetSetDef getset[] = {
    {"__doc__", get_declared, NULL, NULL, "__doc__"},
    {"__module__", get_declared, NULL, NULL, "__module__"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(ev_coroutine_method_t, vectorcall),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *represent(PyObject *op) {
    return PyUnicode_FromFormat("<coroutine method of %R>", ((ev_coroutine_method_t *)op)->method);
}

/* No tp_clear, as with CPython's method descriptors: who still has one may call it. Its cycle leads
 * through the loop type, whose dictionary is cleared. */
static int traverse(PyObject *op, visitproc visit, void *arg) {
    ev_coroutine_method_t *self = (ev_coroutine_method_t *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->method);
    Py_VISIT(self->declared);
    return 0;
}

static void dealloc(PyObject *op) {
    ev_coroutine_method_t *self = (ev_coroutine_method_t *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->method);
    Py_XDECREF(self->declared);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyTypeObject *make_type(ev_state_t *state) {
    PyType_Slot slots[] = {
        {Py_tp_call, (void *)PyVectorcall_Call},
        {Py_tp_descr_get, (void *)bind_to},
        {Py_tp_getattro, (void *)get_attribute},
        {Py_tp_repr, (void *)represent},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {Py_tp_traverse, (void *)traverse},
        {Py_tp_dealloc, (void *)dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "evenloop._core.CoroutineMethod",
        .basicsize = sizeof(ev_coroutine_method_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                 Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                 Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };
    return (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, NULL);
}

/* Puts the pair into the loop type, in the place of the method in C. */
static int declare(ev_state_t *state, PyTypeObject *type, const char *name) {
    PyObject *loop_type = (PyObject *)state->loop_type;
    ev_coroutine_method_t *self = (ev_coroutine_method_t *)(void *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return -1;
    }
    self->vectorcall = call;
    self->method = PyObject_GetAttrString(loop_type, name);
    self->declared = PyObject_GetAttrString(state->asyncio_selector_loop, name);
    int failed = self->method == NULL || self->declared == NULL
                     ? -1
                     : PyObject_SetAttrString(loop_type, name, (PyObject *)self);
    Py_DECREF(self);
    return failed;
}

int ev_coroutine_methods_init(ev_state_t *state) {
    PyTypeObject *type = make_type(state);
    if (type == NULL) {
        return -1;
    }
    int failed = 0;
    for (PyMethodDef *row = ev_loop_sock_methods; failed == 0 && row->ml_name != NULL; row++) {
        failed = declare(state, type, row->ml_name);
    }
    Py_DECREF(type);
    return failed;
}
