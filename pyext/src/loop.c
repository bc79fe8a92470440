/* SPDX-License-Identifier: MIT */
/* The Loop type: what there is once a loop, and what every type of the module asks of its loop.
 *
 * Owns the engine's loop from __new__ until _close_engine() or the end of the object. The
 * attributes that asyncio.BaseEventLoop keeps in its dictionary and that C must know (_debug,
 * _closed, _thread_id, _stopping, _ready, _scheduled) are descriptors here, so that code inherited
 * from it reads and writes the one truth.
 */
#include "threads.h"

#include <string.h>

/* -- what is wrong with this loop -------------------------------------------------------------- */

int ev_loop_refuse(ev_loop_t *self) {
    if (self->closed) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    } else {
        PyErr_SetString(PyExc_RuntimeError,
                        "This event loop belongs to the parent process: it cannot be used "
                        "after os.fork(); create a new one in the child");
    }
    return -1;
}

/* -- upcalls ----------------------------------------------------------------------------------- */

PyObject *ev_loop_call(ev_loop_t *self, PyObject *context, PyObject *callable,
                       PyObject *const *args, size_t nargs) {
    if (context == NULL || self->depth > 0) {
        return PyObject_Vectorcall(callable, args, nargs, NULL);
    }
    if (PyContext_Enter(context) < 0) {
        return NULL;
    }
    self->depth++;
    PyObject *result = PyObject_Vectorcall(callable, args, nargs, NULL);
    self->depth--;
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

void ev_loop_exit(ev_loop_t *self) {
    if (self->exit != NULL || !self->el.running) {
        PyErr_WriteUnraisable((PyObject *)self);
        return;
    }
    self->exit = PyErr_GetRaisedException();
    el_loop_interrupt(&self->el);
}

bool ev_loop_take_exit(ev_loop_t *self) {
    if (!PyErr_ExceptionMatches(PyExc_SystemExit) &&
        !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        return false;
    }
    ev_loop_exit(self);
    return true;
}

static int fill_report(ev_loop_t *self, PyObject *context, const char *message, PyObject *exception,
                       PyObject *extra) {
    PyObject *text = PyUnicode_FromString(message);
    if (text == NULL) {
        return -1;
    }
    int failed = PyDict_SetItem(context, self->state->str_message, text);
    Py_DECREF(text);
    if (failed < 0 ||
        (exception != NULL && PyDict_SetItem(context, self->state->str_exception, exception) < 0) ||
        (extra != NULL && PyDict_Update(context, extra) < 0)) {
        return -1;
    }
    return 0;
}

void ev_loop_report(ev_loop_t *self, const char *message, PyObject *extra) {
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *handled = PyErr_GetHandledException();
    PyErr_SetHandledException(
        exception); /* the handler may look at sys.exc_info(), as in an except block */
    PyObject *context = PyDict_New();
    PyObject *result = NULL;
    if (context != NULL && fill_report(self, context, message, exception, extra) == 0) {
        result = PyObject_CallMethodOneArg((PyObject *)self,
                                           self->state->str_call_exception_handler, context);
    }
    PyErr_SetHandledException(handled);
    Py_XDECREF(handled);
    Py_XDECREF(context);
    Py_XDECREF(exception);
    if (result == NULL) {
        ev_loop_exit(self);
    }
    Py_XDECREF(result);
}

/* -- life -------------------------------------------------------------------------------------- */

static PyObject *loop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args;
    (void)kwargs; /* what a subclass's __init__ takes is its own business */
    ev_state_t *state = ev_state_of_type(type);
    if (state == NULL) {
        return NULL;
    }
    ev_loop_t *self = (ev_loop_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->module = Py_NewRef(state->module);
    self->signal_fd = -1;
    self->user_wakeup_fd = -1;
    self->generation = es_process_generation();
    int code = el_loop_init(&self->el, &ev_loop_hooks, self);
    if (code != 0) {
        Py_DECREF(self);
        return ev_error_set(state, code);
    }
    self->initialised = true;
    return (PyObject *)self;
}

/* Ends everything that the engine has of ours. Callbacks that are dropped may run finalizers, which
 * find a closed loop. */
static int close_engine(ev_loop_t *self) {
    if (!self->initialised) {
        return 0;
    }
    if (self->el.running) {
        /* Also in a child that was forked by a callback: the turn is still on its stack. */
        return ES_EBUSY;
    }
    self->closed = true;
    ev_members_close(self);
    ev_watch_clear(self);
    ev_child_clear(self);
    int code = el_loop_close(&self->el);
    if (code == 0) {
        self->initialised = false;
    }
    return code;
}

static int loop_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_loop_t *self = (ev_loop_t *)op;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    Py_VISIT(self->exit);
    Py_VISIT(self->transports);
    if (!self->initialised) {
        return 0;
    }
    int result = ev_schedule_traverse(self, visit, arg);
    if (result == 0) {
        result = ev_watch_traverse(self, visit, arg);
    }
    if (result == 0) {
        result = ev_child_traverse(self, visit, arg);
    }
    return result != 0 ? result : ev_members_traverse(self, visit, arg);
}

static int loop_clear(PyObject *op) {
    ev_loop_t *self = (ev_loop_t *)op;
    (void)close_engine(self);
    Py_CLEAR(self->exit);
    Py_CLEAR(self->transports);
    Py_CLEAR(self->spare_bytes);
    Py_CLEAR(self->streaming_bytes);
    return 0;
}

static void loop_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    PyObject *exception = PyErr_GetRaisedException();
    (void)loop_clear(op);
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
    }
    PyObject *module =
        ((ev_loop_t *)op)->module; /* the state's memory, which the lines above needed */
    type->tp_free(op);
    Py_DECREF(type);
    Py_XDECREF(module);
}

static PyObject *loop_close_engine(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_loop_t *self = (ev_loop_t *)op;
    int code = close_engine(self);
    if (code == ES_EBUSY && self->generation == es_process_generation()) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- state ------------------------------------------------------------------------------------- */

/* A forked child runs none of its parent's loops, whatever the parent was doing. */
static bool is_running(ev_loop_t *self) {
    return self->thread_id != 0 && self->generation == es_process_generation();
}

static PyObject *loop_is_running(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(is_running((ev_loop_t *)op));
}

static PyObject *loop_is_closed(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((ev_loop_t *)op)->closed);
}

static PyObject *loop_get_debug(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((ev_loop_t *)op)->debug);
}

static PyObject *loop_check_closed(PyObject *op, PyObject *unused) {
    (void)unused;
    if (ev_loop_check_closed((ev_loop_t *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int as_bool(PyObject *value, EV_SHARED(bool) * out) {
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    *out = truth != 0;
    return 0;
}

static PyObject *get_debug(PyObject *op, void *closure) {
    (void)closure;
    return PyBool_FromLong(((ev_loop_t *)op)->debug);
}

static int set_debug(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    return as_bool(value, &((ev_loop_t *)op)->debug);
}

static PyObject *get_closed(PyObject *op, void *closure) {
    (void)closure;
    return PyBool_FromLong(((ev_loop_t *)op)->closed);
}

static int set_closed(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    return as_bool(value, &((ev_loop_t *)op)->closed);
}

static PyObject *get_stopping(PyObject *op, void *closure) {
    (void)closure;
    return PyBool_FromLong(((ev_loop_t *)op)->stop_asked);
}

static int set_stopping(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    ev_loop_t *self = (ev_loop_t *)op;
    if (as_bool(value, &self->stop_asked) < 0) {
        return -1;
    }
    if (self->initialised) {
        self->el.stopping = self->stop_asked;
    }
    return 0; /* from another thread it is seen when the loop next wakes, as in asyncio */
}

static PyObject *get_thread_id(PyObject *op, void *closure) {
    (void)closure;
    ev_loop_t *self = (ev_loop_t *)op;
    unsigned long thread_id = self->thread_id;
    if (thread_id == 0 || !is_running(self)) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(thread_id);
}

static int set_thread_id(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    ev_loop_t *self = (ev_loop_t *)op;
    if (value == NULL || value == Py_None) {
        self->thread_id = 0;
        return 0;
    }
    unsigned long thread_id = PyLong_AsUnsignedLong(value);
    if (thread_id == (unsigned long)-1 && PyErr_Occurred()) {
        return -1;
    }
    self->thread_id = thread_id;
    return 0;
}

static PyObject *get_ready(PyObject *op, void *closure) {
    (void)closure;
    return ev_schedule_ready((ev_loop_t *)op);
}

static PyObject *get_scheduled(PyObject *op, void *closure) {
    (void)closure;
    return ev_schedule_timers((ev_loop_t *)op);
}

/* BaseEventLoop.__init__ puts its own empty containers there; the engine has them already. */
static int set_queue(PyObject *op, PyObject *value, void *closure) {
    (void)op;
    (void)closure;
    Py_ssize_t size = value == NULL ? -1 : PyObject_Size(value);
    if (size == 0) {
        return 0;
    }
    if (size > 0) {
        PyErr_SetString(PyExc_AttributeError, "the queues of an evenloop.Loop cannot be replaced");
    } else if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the queues of an evenloop.Loop cannot be deleted");
    }
    return -1;
}

static PyObject *get_transports(PyObject *op, void *closure) {
    (void)closure;
    ev_loop_t *self = (ev_loop_t *)op;
    PyObject *transports;
    Py_BEGIN_CRITICAL_SECTION(op);
    transports = Py_XNewRef(self->transports);
    Py_END_CRITICAL_SECTION();
    if (transports == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_transports");
    }
    return transports;
}

static int set_transports(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    ev_loop_t *self = (ev_loop_t *)op;
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = self->transports;
    self->transports = Py_XNewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

/* -- the type ---------------------------------------------------------------------------------- */

EV_GUARD_METHOD(ev_guard_begin_loop, loop_close_engine)
EV_GUARD_GETTER(ev_guard_begin_loop, get_ready)
EV_GUARD_GETTER(ev_guard_begin_loop, get_scheduled)

static PyMethodDef loop_methods[] = {
    {"is_running", loop_is_running, METH_NOARGS,
     PyDoc_STR("is_running($self)\n--\n\nWhether the loop is running.")},
    {"is_closed", loop_is_closed, METH_NOARGS,
     PyDoc_STR("is_closed($self)\n--\n\nWhether the loop was closed.")},
    {"get_debug", loop_get_debug, METH_NOARGS,
     PyDoc_STR("get_debug($self)\n--\n\nWhether debug mode is on.")},
    {"_check_closed", loop_check_closed, METH_NOARGS, NULL},
    {"_close_engine", EV_OWNED(loop_close_engine), METH_NOARGS,
     PyDoc_STR("Drop all callbacks and watchers and give the system's resources back.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef loop_attributes[] = {
    {"_debug", get_debug, set_debug, NULL, NULL},
    {"_closed", get_closed, set_closed, NULL, NULL},
    {"_stopping", get_stopping, set_stopping, NULL, NULL},
    {"_thread_id", get_thread_id, set_thread_id, NULL, NULL},
    {"_ready", EV_OWNED(get_ready), set_queue,
     PyDoc_STR("The handles that run in the next turn: a copy."), NULL},
    {"_scheduled", EV_OWNED(get_scheduled), set_queue,
     PyDoc_STR("The timers that are set, in no order: a copy."), NULL},
    {"_transports", get_transports, set_transports, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* The methods that the other files give. Each table is static: a method may outlive the module's
 * state. */
static int add_methods(PyTypeObject *type, PyMethodDef *table) {
    for (PyMethodDef *method = table; method->ml_name != NULL; method++) {
        PyObject *descriptor = PyDescr_NewMethod(type, method);
        int failed = descriptor == NULL
                         ? -1
                         : PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor);
        Py_XDECREF(descriptor);
        if (failed < 0) {
            return -1;
        }
    }
    return 0;
}

int ev_loop_type_init(ev_state_t *state) {
    PyMethodDef *const tables[] = {
        ev_loop_schedule_methods,
        ev_loop_run_methods,
        ev_loop_watch_methods,
        ev_loop_child_methods,
        ev_loop_sock_methods,
        ev_loop_listener_methods,
        ev_loop_socket_transport_methods,
        ev_loop_pipe_transport_methods,
        ev_loop_datagram_methods,
    };
    PyType_Slot slots[] = {
        {Py_tp_doc,
         PyDoc_STR("The C half of evenloop.Loop: scheduling, running, watching, transports.")},
        {Py_tp_new, loop_new},
        {Py_tp_methods, loop_methods},
        {Py_tp_getset, loop_attributes},
        {Py_tp_traverse, loop_traverse},
        {Py_tp_clear, loop_clear},
        {Py_tp_dealloc, loop_dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "evenloop._core.Loop",
        .basicsize = (int)sizeof(ev_loop_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    state->loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, NULL);
    if (state->loop_type == NULL) {
        return -1;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (add_methods(state->loop_type, tables[i]) < 0) {
            return -1;
        }
    }
    return 0;
}
