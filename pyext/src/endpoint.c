/* SPDX-License-Identifier: MIT */
/* The life of a transport object, from its start to its last reference: see endpoint.h.
 *
 * The words and the order are asyncio's (selector_events._SelectorTransport of the running Python).
 * The loop holds a reference as long as the engine may still call; a transport that neither the
 * program nor the loop holds is closed with a ResourceWarning.
 */
#include "endpoint.h"

/* Living as long as the loop needs it ---------------------------------------------------------- */

void ev_endpoint_sync_hold(ev_endpoint_t *self) {
    if (self->open && *self->closing) {
        self->ops->disown(self);
    }
    /* Without the interpreter's lock the last reference may be dropped in any thread: never that of
     * a transport which the engine knows. */
    if (self->open && (EV_FREE_THREADED || self->start_queued || self->ops->waits(self))) {
        ev_member_hold(&self->member);
    } else {
        ev_member_release(&self->member);
    }
}

static void settle_run(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    ev_endpoint_t *self = (ev_endpoint_t *)(void *)((char *)item - offsetof(ev_endpoint_t, settle));
    self->settling = false;
    Py_DECREF(self);
}

static const el_ready_ops_t settle_ops = {settle_run, settle_run};

void ev_endpoint_settle(ev_endpoint_t *self) {
    if (self->loop == NULL || self->loop->closed || self->settling) {
        Py_DECREF(self);
        return;
    }
    self->settling = true;
    self->settle.ops = &settle_ops;
    el_loop_push(&self->loop->el, &self->settle);
}

/* May drop the last reference but the caller's. */
void ev_endpoint_detach(ev_endpoint_t *self) {
    if (!self->open) {
        return;
    }
    self->open = false;
    if (self->start_queued) {
        el_loop_unpush(&self->loop->el, &self->start);
        self->start_queued = false;
    }
    bool closing = *self->closing;
    self->ops->engine_destroy(self);
    *self->closing = closing;
    ev_member_leave(&self->member);
}

static void on_loop_closing(PyObject *object) {
    ev_endpoint_detach(EV_ENDPOINT(object));
}

void ev_endpoint_forget(ev_endpoint_t *self) {
    ev_loop_t *loop = self->loop;
    Py_CLEAR(self->protocol);
    Py_BEGIN_CRITICAL_SECTION(self); /* other threads look for the loop: threads.h */
    self->loop = NULL;
    Py_END_CRITICAL_SECTION();
    Py_DECREF(loop);
}

/* The start ------------------------------------------------------------------------------------ */

void ev_waiter_wake(ev_loop_t *loop, PyObject *waiter) {
    PyObject *cancelled = PyObject_CallMethodNoArgs(waiter, loop->state->str_cancelled);
    int is_cancelled = cancelled == NULL ? -1 : PyObject_IsTrue(cancelled);
    Py_XDECREF(cancelled);
    if (is_cancelled == 0) {
        PyObject *result = PyObject_CallMethodOneArg(waiter, loop->state->str_set_result, Py_None);
        is_cancelled = result == NULL ? -1 : 0;
        Py_XDECREF(result);
    }
    if (is_cancelled < 0 && !ev_loop_take_exit(loop)) {
        ev_loop_report(loop, "Exception in callback _set_result_unless_cancelled()", NULL);
    }
    Py_DECREF(waiter);
}

static ev_endpoint_t *of_start(el_ready_t *item) {
    return (ev_endpoint_t *)(void *)((char *)item - offsetof(ev_endpoint_t, start));
}

/* connection_made, then reading, then the waiter, as asyncio's three consecutive callbacks. A
 * SystemExit in the first leaves the run; the rest then comes with the next one. */
static void start_run(el_loop_t *el, el_ready_t *item) {
    ev_endpoint_t *self = of_start(item);
    ev_endpoint_enter(self);
    self->start_queued = false;
    if (self->start_step == 0) {
        self->start_step = 1;
        PyObject *name = self->state->str_connection_made;
        PyObject *result = self->ops->call(self, name, (PyObject *)self);
        if (result == NULL) {
            self->ops->report_callback(self, name, (PyObject *)self);
        }
        Py_XDECREF(result);
        if (el->interrupted) {
            self->start_queued = true;
            el_ready_queue_push_first(&el->ready, item);
            ev_endpoint_leave(self);
            return;
        }
    }
    self->started = true;
    if (self->open && !self->paused) {
        self->ops->read_start(self);
    }
    if (self->waiter != NULL) {
        PyObject *waiter = self->waiter;
        self->waiter = NULL;
        ev_waiter_wake(self->loop, waiter);
        if (self->ops->woken != NULL) {
            self->ops->woken(self);
        }
    }
    ev_endpoint_sync_hold(self);
    ev_endpoint_leave(self);
}

void ev_endpoint_start_drop(el_loop_t *el, el_ready_t *item) {
    (void)el;
    of_start(item)->start_queued = false;
}

static const el_ready_ops_t start_ops = {start_run, ev_endpoint_start_drop};

void ev_endpoint_begin(ev_endpoint_t *self, PyObject *waiter) {
    self->open = true;
    self->waiter = Py_XNewRef(waiter);
    ev_member_join(self->loop, &self->member, (PyObject *)self, on_loop_closing);
    self->start.ops = &start_ops;
    self->start_queued = true;
    el_loop_push(&self->loop->el, &self->start);
    ev_member_hold(&self->member);
}

/* Failures ------------------------------------------------------------------------------------- */

int ev_endpoint_check_open(ev_endpoint_t *self) {
    if (self->open || self->loop == NULL || !self->loop->closed) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

void ev_endpoint_force_close(ev_endpoint_t *self, PyObject *exc) {
    if (!self->open || self->ops->is_ending(self)) {
        return;
    }
    if (exc != NULL && exc != Py_None && self->lost_exc == NULL) {
        self->lost_exc = Py_NewRef(exc);
    }
    self->ops->engine_abort(self);
    ev_endpoint_sync_hold(self);
}

/* SystemExit and KeyboardInterrupt leave the loop; asyncio reports everything else. */
static bool leaves_the_loop(void) {
    return PyErr_ExceptionMatches(PyExc_SystemExit) ||
           PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

void ev_endpoint_fatal(ev_endpoint_t *self, const char *message) {
    if (self->in_call ? leaves_the_loop() : ev_loop_take_exit(self->loop)) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    self->ops->fatal(self, exc, message);
    Py_DECREF(exc);
}

void ev_endpoint_report(ev_endpoint_t *self, const char *message) {
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *extra = Py_BuildValue("{OOOO}", self->state->str_transport, (PyObject *)self,
                                    self->state->str_protocol,
                                    self->protocol == NULL ? Py_None : self->protocol);
    if (extra == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_SetRaisedException(exc);
    ev_loop_report(self->loop, message, extra);
    Py_XDECREF(extra);
}

void ev_endpoint_method_failed(ev_endpoint_t *self, ev_loop_t *loop, const char *qualname,
                               PyObject *arg) {
    if (ev_loop_take_exit(loop)) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *handled = PyErr_GetHandledException();
    PyErr_SetHandledException(exc); /* the handler may look at sys.exc_info() */
    PyObject *args = arg == NULL ? PyTuple_New(0) : PyTuple_Pack(1, arg);
    PyObject *told = args == NULL ? NULL
                                  : PyObject_CallMethod(self->state->python, "method_failed",
                                                        "OOsOO", (PyObject *)loop, (PyObject *)self,
                                                        qualname, args, exc);
    PyErr_SetHandledException(handled);
    Py_XDECREF(handled);
    if (told == NULL) {
        ev_loop_exit(loop);
    }
    Py_XDECREF(told);
    Py_XDECREF(args);
    Py_DECREF(exc);
}

void ev_endpoint_notify(ev_endpoint_t *self, PyObject *name, const char *message) {
    bool in_call = self->in_call; /* the protocol may write in turn */
    ev_endpoint_enter(self);
    PyObject *result = self->ops->call(self, name, NULL);
    if (result == NULL) {
        if (in_call && leaves_the_loop()) {
            self->escaped = true;
        } else if (!ev_loop_take_exit(self->loop)) {
            ev_endpoint_report(self, message);
        }
    }
    Py_XDECREF(result);
    ev_endpoint_leave(self);
}

void ev_endpoint_log(ev_endpoint_t *self, const char *level, const char *format) {
    if (self->loop == NULL || !self->loop->debug) {
        return;
    }
    PyObject *result = PyObject_CallMethod(self->state->asyncio_logger, level, "sO", format,
                                           (PyObject *)self);
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(result);
}

/* Construction and the type -------------------------------------------------------------------- */

ev_endpoint_t *ev_endpoint_alloc(ev_loop_t *loop, PyTypeObject *type, const ev_endpoint_ops_t *ops,
                                 PyObject *context) {
    ev_endpoint_t *self = (ev_endpoint_t *)(void *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->ops = ops;
    self->state = loop->state;
    self->high_water = EL_HIGH_WATER_DEFAULT;
    self->low_water = EL_HIGH_WATER_DEFAULT / 4;
    self->context = context != NULL ? Py_NewRef(context) : PyContext_CopyCurrent();
    if (self->context == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    self->loop = (ev_loop_t *)Py_NewRef((PyObject *)loop);
    return self;
}

int ev_endpoint_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_endpoint_t *self = EV_ENDPOINT(op);
    Py_VISIT(Py_TYPE(op));
    for (int i = 0; i < EV_BASE_SLOTS_MAX; i++) {
        Py_VISIT(self->base_slots[i]);
    }
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->context);
    Py_VISIT(self->owner);
    Py_VISIT(self->waiter);
    Py_VISIT(self->extra);
    Py_VISIT(self->lost_exc);
    Py_VISIT(self->dict);
    return 0;
}

void ev_endpoint_clear(PyObject *op) {
    ev_endpoint_t *self = EV_ENDPOINT(op);
    ev_endpoint_detach(self);
    for (int i = 0; i < EV_BASE_SLOTS_MAX; i++) {
        Py_CLEAR(self->base_slots[i]);
    }
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->context);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->lost_exc);
    Py_CLEAR(self->dict);
    PyObject *loop = (PyObject *)self->loop;
    self->loop = NULL;
    Py_XDECREF(loop);
}

static void endpoint_finalize(PyObject *op) {
    ev_endpoint_t *self = EV_ENDPOINT(op);
    if (self->owner == NULL) {
        return;
    }
    PyObject *current = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op);
    }
    ev_endpoint_detach(self);
    PyObject *owner = self->owner;
    self->owner = NULL;
    /* By name: the module's state may be cleared already. */
    PyObject *closed = PyObject_CallMethod(owner, "close", NULL);
    if (closed == NULL) {
        PyErr_WriteUnraisable(owner);
    }
    Py_XDECREF(closed);
    Py_DECREF(owner);
    if (self->ops->abandoned != NULL) {
        self->ops->abandoned(self);
    }
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}

static void endpoint_dealloc(PyObject *op) {
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (EV_ENDPOINT(op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)type->tp_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *endpoint_repr(PyObject *op) {
    ev_endpoint_t *self = EV_ENDPOINT(op);
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_endpoint_guard(op, &guard) < 0) {
        return ev_repr_elsewhere(op, self->fileno);
    }
    PyObject *text = self->ops->repr(self);
    ev_guard_end(&guard);
    return text;
#else
    return self->ops->repr(self);
#endif
}

static PyMemberDef endpoint_members[] = {
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(ev_endpoint_t, dict), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(ev_endpoint_t, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* The slots of asyncio's classes must end where our own fields begin. */
static int check_bases(PyObject *bases) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        PyTypeObject *type = (PyTypeObject *)base;
        if (!PyType_Check(base) || type->tp_basicsize > (Py_ssize_t)offsetof(ev_endpoint_t, ops) ||
            type->tp_itemsize != 0) {
            PyErr_SetString(PyExc_ImportError, "this Python's asyncio transports are laid out in a "
                                               "way that evenloop does not know");
            return -1;
        }
    }
    return 0;
}

PyTypeObject *ev_endpoint_type_new(ev_state_t *state, const char *name, size_t size,
                                   const PyType_Slot *own, PyObject *bases) {
    if (check_bases(bases) < 0) {
        return NULL;
    }
    PyType_Slot slots[EV_ENDPOINT_SLOTS_MAX + 5] = {
        {Py_tp_dealloc, (void *)endpoint_dealloc},
        {Py_tp_finalize, (void *)endpoint_finalize},
        {Py_tp_repr, (void *)endpoint_repr},
        {Py_tp_members, endpoint_members},
    };
    for (size_t i = 0; own[i].slot != 0; i++) {
        assert(i < EV_ENDPOINT_SLOTS_MAX);
        slots[4 + i] = own[i];
    }
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int)size,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    return (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, bases);
}
