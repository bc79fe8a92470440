/* SPDX-License-Identifier: MIT */
/* What can be asked of a datagram transport and done to it beside sending: reading, closing, extra
 * info, the private names of asyncio's own, repr, the end of an abandoned one.
 */
#include "datagram_transport.h"

/* Reading and closing -------------------------------------------------------------------------- */

/* RuntimeError('Event loop is closed') when the engine is gone although the transport is open. 0 or
 * -1. */
static int check_open(ev_datagram_t *self) {
    if (self->open || self->loop == NULL || !self->loop->closed) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

static PyObject *datagram_close(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_datagram_t *self = (ev_datagram_t *)op;
    if (self->datagram.closing) {
        Py_RETURN_NONE;
    }
    if (check_open(self) < 0) {
        self->datagram.closing = true;
        return NULL;
    }
    if (self->open) {
        el_datagram_close(&self->datagram);
        ev_datagram_sync_hold(self);
    }
    Py_RETURN_NONE;
}

static PyObject *force_close(ev_datagram_t *self, PyObject *exc) {
    if (check_open(self) < 0) {
        self->datagram.closing = true;
        return NULL;
    }
    ev_datagram_force_close(self, exc);
    Py_RETURN_NONE;
}

static PyObject *datagram_force_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "_force_close", {"exc"}, 1, 1, false, NULL};
    PyObject *exc = ev_bind_one(&signature, args, nargs, keywords);
    return exc == NULL ? NULL : force_close((ev_datagram_t *)op, exc);
}

static PyObject *datagram_abort(PyObject *op, PyObject *unused) {
    (void)unused;
    return force_close((ev_datagram_t *)op, Py_None);
}

static PyObject *datagram_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"exc", "message", NULL};
    PyObject *exc;
    const char *message = "Fatal error on transport";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|s:_fatal_error", names, &exc, &message)) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_TypeError, "an exception instance was expected");
        return NULL;
    }
    ev_datagram_fatal_exc((ev_datagram_t *)op, exc, message);
    Py_RETURN_NONE;
}

static PyObject *datagram_set_protocol(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "set_protocol", {"protocol"}, 1, 1, false, NULL};
    PyObject *protocol = ev_bind_one(&signature, args, nargs, keywords);
    if (protocol == NULL) {
        return NULL;
    }
    Py_XSETREF(((ev_datagram_t *)op)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *datagram_get_protocol(PyObject *op, PyObject *unused) {
    (void)unused;
    PyObject *protocol = ((ev_datagram_t *)op)->protocol;
    return Py_NewRef(protocol == NULL ? Py_None : protocol);
}

static PyObject *datagram_is_closing(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((ev_datagram_t *)op)->datagram.closing);
}

static PyObject *datagram_is_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_datagram_t *self = (ev_datagram_t *)op;
    return PyBool_FromLong(!self->datagram.closing && !self->paused);
}

/* Debug mode: a line of the log. */
static int log_debug(ev_datagram_t *self, const char *format) {
    if (self->loop == NULL || !self->loop->debug) {
        return 0;
    }
    PyObject *result = PyObject_CallMethod(self->state->asyncio_logger, "debug", "sO", format,
                                           (PyObject *)self);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static PyObject *datagram_pause_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_datagram_t *self = (ev_datagram_t *)op;
    if (self->datagram.closing || self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = true;
    if (self->open) {
        el_datagram_read_stop(&self->datagram);
        ev_datagram_sync_hold(self);
    }
    return log_debug(self, "%r pauses reading") < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *datagram_resume_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_datagram_t *self = (ev_datagram_t *)op;
    if (self->datagram.closing || !self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = false;
    if (check_open(self) < 0) {
        return NULL;
    }
    if (self->open && self->started) {
        el_datagram_read_start(&self->datagram);
        ev_datagram_sync_hold(self);
    }
    return log_debug(self, "%r resumes reading") < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *datagram_get_limits(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_datagram_t *self = (ev_datagram_t *)op;
    return Py_BuildValue("(NN)", PyLong_FromSize_t(self->low_water),
                         PyLong_FromSize_t(self->high_water));
}

static size_t queued(const ev_datagram_t *self) {
    return self->open ? self->datagram.queued : 0;
}

static PyObject *datagram_get_size(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyLong_FromSize_t(queued((ev_datagram_t *)op));
}

static PyObject *datagram_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names, &name, &missing)) {
        return NULL;
    }
    PyObject *extra, *value = NULL;
    Py_BEGIN_CRITICAL_SECTION(op);
    extra = Py_XNewRef(((ev_datagram_t *)op)->extra);
    Py_END_CRITICAL_SECTION();
    int found = extra == NULL ? 0 : PyDict_GetItemRef(extra, name, &value);
    Py_XDECREF(extra);
    return found != 0 ? value : Py_NewRef(missing);
}

EV_GUARD_FAST_KEYWORDS(ev_datagram_guard, ev_datagram_sendto)
EV_GUARD_HANDED_OVER(ev_datagram_guard, ev_datagram_field, datagram_close, "close")
EV_GUARD_HANDED_OVER(ev_datagram_guard, ev_datagram_field, datagram_abort, "abort")
EV_GUARD_FAST_KEYWORDS(ev_datagram_guard, datagram_set_protocol)
EV_GUARD_METHOD(ev_datagram_guard, datagram_get_protocol)
EV_GUARD_METHOD(ev_datagram_guard, datagram_pause_reading)
EV_GUARD_METHOD(ev_datagram_guard, datagram_resume_reading)
EV_GUARD_KEYWORDS(ev_datagram_guard, ev_datagram_set_limits)
EV_GUARD_METHOD(ev_datagram_guard, datagram_get_limits)
EV_GUARD_METHOD(ev_datagram_guard, datagram_get_size)
EV_GUARD_FAST_KEYWORDS(ev_datagram_guard, datagram_force_close)
EV_GUARD_KEYWORDS(ev_datagram_guard, datagram_fatal_error)

PyMethodDef ev_datagram_methods[] = {
    EV_METHOD_FAST("sendto", EV_OWNED(ev_datagram_sendto), "data, addr=None", "Send one datagram."),
    EV_METHOD_KEYWORDS("get_extra_info", datagram_get_extra_info, "name, default=None",
                       "A fact about the endpoint, such as 'socket' or 'sockname'."),
    EV_METHOD_NOARGS("is_closing", datagram_is_closing, "Whether it closes or is closed."),
    EV_METHOD_NOARGS("close", EV_OWNED(datagram_close), "Send what is queued, then close."),
    EV_METHOD_NOARGS("abort", EV_OWNED(datagram_abort), "Drop what is queued and close."),
    EV_METHOD_FAST("set_protocol", EV_OWNED(datagram_set_protocol), "protocol",
                   "Let another protocol take what comes."),
    EV_METHOD_NOARGS("get_protocol", EV_OWNED(datagram_get_protocol), "The protocol."),
    EV_METHOD_NOARGS("is_reading", datagram_is_reading, "Whether datagrams are delivered."),
    EV_METHOD_NOARGS("pause_reading", EV_OWNED(datagram_pause_reading), "Deliver nothing for now."),
    EV_METHOD_NOARGS("resume_reading", EV_OWNED(datagram_resume_reading),
                     "Deliver datagrams again."),
    EV_METHOD_KEYWORDS("set_write_buffer_limits", EV_OWNED(ev_datagram_set_limits),
                       "high=None, low=None", "When to pause and to resume the protocol."),
    EV_METHOD_NOARGS("get_write_buffer_limits", EV_OWNED(datagram_get_limits), "(low, high)"),
    EV_METHOD_NOARGS("get_write_buffer_size", EV_OWNED(datagram_get_size),
                     "The number of bytes that the system has not taken."),
    EV_METHOD_FAST("_force_close", EV_OWNED(datagram_force_close), "exc",
                   "Drop what is queued and close for this reason."),
    EV_METHOD_KEYWORDS("_fatal_error", EV_OWNED(datagram_fatal_error),
                       "exc, message='Fatal error on transport'",
                       "Report an exception and close for it."),
    {NULL, NULL, 0, NULL},
};

/* Private names -------------------------------------------------------------------------------- */

typedef enum name {
    NAME_LOOP,
    NAME_SOCK,
    NAME_SOCK_FD,
    NAME_PROTOCOL,
    NAME_ADDRESS,
    NAME_EXTRA,
    NAME_CLOSING,
    NAME_CONN_LOST,
    NAME_QUEUE, /* not NAME_BUFFER: a type of Windows' nb30.h */
    NAME_BUFFER_SIZE,
    NAME_PAUSED,
    NAME_PROTOCOL_PAUSED,
    NAME_SERVER,
    NAME_HIGH_WATER,
    NAME_LOW_WATER,
} name_t;

static PyObject *new_or_none(PyObject *value) {
    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyObject *address_of(const ev_datagram_t *self, const el_message_t *message) {
    if (message->route != NULL) {
        return Py_NewRef((PyObject *)message->route);
    }
    return message->to.size == 0 ? new_or_none(self->address) : ev_address_new(&message->to);
}

/* What waits, as asyncio's list of (data, address). */
static PyObject *queue_as_list(ev_datagram_t *self) {
    PyObject *list = PyList_New(0);
    const el_message_t *message = self->open ? self->datagram.first : NULL;
    for (; list != NULL && message != NULL; message = message->next) {
        PyObject *address = address_of(self, message);
        PyObject *pair = address == NULL ? NULL
                                         : Py_BuildValue("(y#N)", (const char *)message->bytes,
                                                         (Py_ssize_t)message->size, address);
        if (pair == NULL || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *get_name(PyObject *op, void *closure) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    switch ((name_t)(uintptr_t)closure) {
    case NAME_LOOP:
        return new_or_none((PyObject *)self->loop);
    case NAME_SOCK:
        return new_or_none(self->sock);
    case NAME_SOCK_FD:
        return PyLong_FromLongLong(self->fileno);
    case NAME_PROTOCOL:
        return new_or_none(self->protocol);
    case NAME_ADDRESS:
        return new_or_none(self->address);
    case NAME_EXTRA:
        return new_or_none(self->extra);
    case NAME_CLOSING:
        return PyBool_FromLong(self->datagram.closing);
    case NAME_CONN_LOST: {
        bool lost = self->sock == NULL || self->datagram.lost_queued;
        return PyLong_FromUnsignedLong((unsigned long)lost + self->dropped_sends);
    }
    case NAME_QUEUE:
        return queue_as_list(self);
    case NAME_BUFFER_SIZE:
        return PyLong_FromSize_t(queued(self));
    case NAME_PAUSED:
        return PyBool_FromLong(self->paused);
    case NAME_PROTOCOL_PAUSED:
        return PyBool_FromLong(self->datagram.paused_writing);
    case NAME_SERVER:
        Py_RETURN_NONE;
    case NAME_HIGH_WATER:
        return PyLong_FromSize_t(self->high_water);
    case NAME_LOW_WATER:
        return PyLong_FromSize_t(self->low_water);
    default:
        Py_UNREACHABLE();
    }
}

static int set_extra(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_extra must be a dict");
        return -1;
    }
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = ((ev_datagram_t *)op)->extra;
    ((ev_datagram_t *)op)->extra = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

static int set_protocol(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_protocol can't be deleted");
        return -1;
    }
    Py_XSETREF(((ev_datagram_t *)op)->protocol, Py_NewRef(value));
    return 0;
}

EV_GUARD_GETTER(ev_datagram_guard, get_name)
EV_GUARD_SETTER(ev_datagram_guard, set_protocol)

PyGetSetDef ev_datagram_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_loop", EV_OWNED(get_name), NULL, NULL, (void *)NAME_LOOP},
    {"_sock", EV_OWNED(get_name), NULL, NULL, (void *)NAME_SOCK},
    {"_sock_fd", EV_OWNED(get_name), NULL, NULL, (void *)NAME_SOCK_FD},
    {"_protocol", EV_OWNED(get_name), EV_OWNED(set_protocol), NULL, (void *)NAME_PROTOCOL},
    {"_address", EV_OWNED(get_name), NULL, NULL, (void *)NAME_ADDRESS},
    {"_extra", EV_OWNED(get_name), set_extra, NULL, (void *)NAME_EXTRA},
    {"_closing", EV_OWNED(get_name), NULL, NULL, (void *)NAME_CLOSING},
    {"_conn_lost", EV_OWNED(get_name), NULL, NULL, (void *)NAME_CONN_LOST},
    {"_buffer", EV_OWNED(get_name), NULL, NULL, (void *)NAME_QUEUE},
    {"_buffer_size", EV_OWNED(get_name), NULL, NULL, (void *)NAME_BUFFER_SIZE},
    {"_paused", EV_OWNED(get_name), NULL, NULL, (void *)NAME_PAUSED},
    {"_protocol_paused", EV_OWNED(get_name), NULL, NULL, (void *)NAME_PROTOCOL_PAUSED},
    {"_server", EV_OWNED(get_name), NULL, NULL, (void *)NAME_SERVER},
    {"_high_water", EV_OWNED(get_name), NULL, NULL, (void *)NAME_HIGH_WATER},
    {"_low_water", EV_OWNED(get_name), NULL, NULL, (void *)NAME_LOW_WATER},
    {NULL, NULL, NULL, NULL, NULL},
};

/* repr and the end of an abandoned transport --------------------------------------------------- */

static PyObject *repr_here(PyObject *op) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    const el_datagram_t *datagram = &self->datagram;
    PyObject *name = PyType_GetName(Py_TYPE(op));
    if (name == NULL) {
        return NULL;
    }
    const char *state = self->sock == NULL ? " closed" : datagram->closing ? " closing" : "";
    long long fd = self->fileno;
    PyObject *text = !self->open
                         ? PyUnicode_FromFormat("<%U%s fd=%lld>", name, state, fd)
                         : PyUnicode_FromFormat(
                               "<%U%s fd=%lld read=%s write=<%s, bufsize=%zu>>", name, state, fd,
                               datagram->reading ? "polling" : "idle",
                               datagram->first != NULL ? "polling" : "idle", datagram->queued);
    Py_DECREF(name);
    return text;
}

PyObject *ev_datagram_repr(PyObject *op) {
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_datagram_guard(op, &guard) < 0) {
        return ev_repr_elsewhere(op, ((ev_datagram_t *)op)->fileno);
    }
    PyObject *text = repr_here(op);
    ev_guard_end(&guard);
    return text;
#else
    return repr_here(op);
#endif
}

void ev_datagram_finalize(PyObject *op) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    if (self->sock == NULL) {
        return;
    }
    PyObject *current = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op);
    }
    ev_datagram_detach(self);
    PyObject *sock = self->sock;
    self->sock = NULL;
    PyObject *closed = PyObject_CallMethod(sock, "close",
                                           NULL); /* the module's state may be cleared already */
    if (closed == NULL) {
        PyErr_WriteUnraisable(sock);
    }
    Py_XDECREF(closed);
    Py_DECREF(sock);
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}
