/* SPDX-License-Identifier: MIT */
/* Child processes: the event of their end.
 *
 * _watch_child(process, callback) calls callback() once, in the loop, when the process has ended;
 * the watch that it returns can be closed before. The exit status is the caller's to collect:
 * nothing here reaps.
 */
#include "threads.h"

typedef struct ev_child {
    PyObject_HEAD
    struct ev_child *next;
    struct ev_child **link; /* NULL: not on a loop any more */
    ev_loop_t *loop;        /* strong while on it */
    el_child_t *child;
    PyObject *handle;
} ev_child_t;

/* Idempotent. The loop's reference goes with it. */
static void end_child(ev_child_t *self) {
    if (self->link == NULL) {
        return;
    }
    *self->link = self->next;
    if (self->next != NULL) {
        self->next->link = self->link;
    }
    self->link = NULL;
    el_child_stop(self->child);
    self->child = NULL;
    ev_loop_t *loop = self->loop;
    Py_BEGIN_CRITICAL_SECTION(self);
    self->loop = NULL;
    Py_END_CRITICAL_SECTION();
    Py_CLEAR(self->handle);
    Py_DECREF(self);
    Py_DECREF(loop);
}

static void on_exited(el_child_t *child, void *ctx) {
    (void)child;
    ev_child_t *self = ctx;
    ev_loop_t *loop = self->loop; /* which runs: it is not the last reference */
    PyObject *handle = Py_NewRef(self->handle);
    end_child(self);
    ev_handle_run(loop, handle);
    Py_DECREF(handle);
}

int ev_child_traverse(ev_loop_t *self, visitproc visit, void *arg) {
    for (ev_child_t *child = self->children; child != NULL; child = child->next) {
        Py_VISIT(child);
    }
    return 0;
}

void ev_child_clear(ev_loop_t *self) {
    while (self->children != NULL) {
        end_child(self->children);
    }
}

static int start_child(ev_loop_t *loop, ev_child_t *self, intptr_t process) {
    int code = el_child_start(&loop->el, process, on_exited, self, &self->child);
    if (code == ES_ENOTSUP) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "this system has no event for the end of a process");
        return -1;
    }
    if (code != 0) {
        (void)ev_error_set(loop->state, code);
        return -1;
    }
    self->loop = (ev_loop_t *)Py_NewRef((PyObject *)loop);
    self->next = loop->children;
    if (self->next != NULL) {
        self->next->link = &self->next;
    }
    self->link = &loop->children;
    loop->children = (ev_child_t *)Py_NewRef((PyObject *)self);
    return 0;
}

static PyObject *watch_child(PyObject *op, PyObject *args) {
    ev_loop_t *loop = (ev_loop_t *)op;
    Py_ssize_t process;
    PyObject *callback;
    if (!PyArg_ParseTuple(args, "nO:_watch_child", &process, &callback) ||
        ev_loop_check_closed(loop) < 0) {
        return NULL;
    }
    PyTypeObject *type = loop->state->child_watch_type;
    ev_child_t *self = (ev_child_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->handle = ev_handle_new(loop, callback, NULL, 0, NULL);
    if (self->handle == NULL || start_child(loop, self, (intptr_t)process) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *child_close(PyObject *op, PyObject *unused) {
    (void)unused;
    end_child((ev_child_t *)op);
    Py_RETURN_NONE;
}

static int child_traverse(PyObject *op, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((ev_child_t *)op)->loop);
    Py_VISIT(((ev_child_t *)op)->handle);
    return 0;
}

static int child_clear(PyObject *op) {
    Py_CLEAR(((ev_child_t *)op)->handle);
    return 0;
}

static void child_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)child_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

#if EV_FREE_THREADED
static int child_guard(PyObject *op, ev_guard_t *guard) {
    return ev_guard_begin_field(op, &((ev_child_t *)op)->loop, guard);
}
#endif
EV_GUARD_METHOD(child_guard, child_close)
EV_GUARD_METHOD(ev_guard_begin_loop, watch_child)

static PyMethodDef child_methods[] = {
    {"close", EV_OWNED(child_close), METH_NOARGS,
     PyDoc_STR("End the watch: the callback is not called any more.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot child_slots[] = {
    {Py_tp_doc, PyDoc_STR("A watch for the end of a process.")},
    {Py_tp_methods, child_methods},
    {Py_tp_traverse, child_traverse},
    {Py_tp_clear, child_clear},
    {Py_tp_dealloc, child_dealloc},
    {0, NULL},
};

int ev_child_watch_type_init(ev_state_t *state) {
    PyType_Spec spec = {
        .name = "evenloop._core.ChildWatch",
        .basicsize = (int)sizeof(ev_child_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = child_slots,
    };
    state->child_watch_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, NULL);
    return state->child_watch_type == NULL ? -1 : 0;
}

PyMethodDef ev_loop_child_methods[] = {
    {"_watch_child", EV_OWNED(watch_child), METH_VARARGS,
     PyDoc_STR("Call callback() when the process (a pid; on Windows a handle) has ended.")},
    {NULL, NULL, 0, NULL},
};
