/* SPDX-License-Identifier: MIT */
/* What every kind of transport answers: reading, closing, protocol, extra info, the private names
 * that libraries reach for, repr.
 *
 * Extra info of an accepted connection is made when somebody asks: the addresses were taken when
 * it was accepted, so they survive its close. Handing out the socket itself sends what is
 * gathered first: the program may write to it.
 */
#include <errno.h>

#include "stream_transport.h"

/* Reading and closing -------------------------------------------------------------------------- */

int ev_transport_check_open(ev_transport_t *self) {
    if (self->open || self->loop == NULL || !self->loop->closed) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

PyObject *ev_transport_close(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->stream.closing) {
        Py_RETURN_NONE;
    }
    if (ev_transport_check_open(self) < 0) {
        self->stream.closing = true;
        return NULL;
    }
    if (self->open) {
        el_stream_close(&self->stream);
        ev_transport_sync_hold(self);
    }
    Py_RETURN_NONE;
}

static PyObject *force_close(PyObject *op, PyObject *exc) {
    ev_transport_t *self = (ev_transport_t *)op;
    if (ev_transport_check_open(self) < 0) {
        self->stream.closing = true;
        return NULL;
    }
    ev_transport_force_close(self, exc);
    Py_RETURN_NONE;
}

PyObject *ev_transport_py_force_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "_force_close", {"exc"}, 1, 1, false, NULL};
    PyObject *exc = ev_bind_one(&signature, args, nargs, keywords);
    return exc == NULL ? NULL : force_close(op, exc);
}

PyObject *ev_transport_abort(PyObject *op, PyObject *unused) {
    (void)unused;
    return force_close(op, Py_None);
}

PyObject *ev_transport_py_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs) {
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
    ev_transport_fatal_exc((ev_transport_t *)op, exc, message);
    Py_RETURN_NONE;
}

PyObject *ev_transport_py_set_protocol(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "set_protocol", {"protocol"}, 1, 1, false, NULL};
    PyObject *protocol = ev_bind_one(&signature, args, nargs, keywords);
    if (protocol == NULL || ev_transport_set_protocol((ev_transport_t *)op, protocol) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ev_transport_get_protocol(PyObject *op, PyObject *unused) {
    (void)unused;
    PyObject *protocol = ((ev_transport_t *)op)->protocol;
    return Py_NewRef(protocol == NULL ? Py_None : protocol);
}

PyObject *ev_transport_is_closing(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((ev_transport_t *)op)->stream.closing);
}

PyObject *ev_transport_is_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    return PyBool_FromLong(!self->stream.closing && !self->paused);
}

PyObject *ev_transport_pause_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->stream.closing || self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = true;
    if (self->open) {
        el_stream_read_stop(&self->stream);
        ev_transport_sync_hold(self);
    }
    ev_transport_debug(self, "%r pauses reading");
    Py_RETURN_NONE;
}

PyObject *ev_transport_resume_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->stream.closing || !self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = false;
    if (ev_transport_check_open(self) < 0) {
        return NULL;
    }
    if (self->open && self->started) {
        el_stream_read_start(&self->stream);
        ev_transport_sync_hold(self);
    }
    ev_transport_debug(self, "%r resumes reading");
    Py_RETURN_NONE;
}

bool ev_transport_is_eio(PyObject *exc) {
    PyObject *value = PyObject_GetAttrString(exc, "errno");
    bool is_eio = value != NULL && PyLong_Check(value) && PyLong_AsLong(value) == EIO;
    Py_XDECREF(value);
    PyErr_Clear();
    return is_eio;
}

/* Extra info ----------------------------------------------------------------------------------- */

/* extra[key] = value, which it takes; a value of NULL with an OSError set stands for None. */
static int put(PyObject *extra, PyObject *key, PyObject *value) {
    if (value == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        PyErr_Clear();
        value = Py_NewRef(Py_None);
    }
    int code = PyDict_SetItem(extra, key, value);
    Py_DECREF(value);
    return code;
}

PyObject *ev_transport_extra_new(ev_state_t *state, PyObject *sock, PyObject *extra) {
    PyObject *copy = PyDict_New();
    if (copy == NULL) {
        return NULL;
    }
    if (extra != NULL && extra != Py_None && PyDict_Update(copy, extra) < 0) {
        goto failed;
    }
    if (put(copy, state->str_socket, ev_socket_view_new(state, sock)) < 0 ||
        put(copy, state->str_sockname, PyObject_CallMethodNoArgs(sock, state->str_getsockname)) <
            0) {
        goto failed;
    }
    int known = PyDict_Contains(copy, state->str_peername);
    if (known < 0 || (known == 0 && put(copy, state->str_peername,
                                        PyObject_CallMethod(sock, "getpeername", NULL)) < 0)) {
        goto failed;
    }
    return copy;
failed:
    Py_DECREF(copy);
    return NULL;
}

/* A dict of extra info for a transport that has none. NULL with an exception. */
static PyObject *make_extra(ev_transport_t *self) {
    ev_state_t *state = self->state;
    PyObject *extra = PyDict_New();
    if (extra == NULL) {
        return NULL;
    }
    int code = 0;
    if (self->accepted) {
        code = put(extra, state->str_peername, ev_address_new(&self->peer));
        if (code == 0) {
            code = put(extra, state->str_socket, ev_socket_view_new(state, self->owner_view));
        }
        if (code == 0) {
            code = put(extra, state->str_sockname,
                       self->local.size == 0 ? Py_NewRef(Py_None) : ev_address_new(&self->local));
        }
    }
    if (code < 0 || ev_socket_view_bind(state, extra, (PyObject *)self) < 0) {
        Py_DECREF(extra);
        return NULL;
    }
    return extra;
}

/* The dict of extra info, made now if it was not before. New reference; NULL with an exception. */
static PyObject *extra_of(ev_transport_t *self) {
    PyObject *extra;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->extra == NULL) {
        PyObject *made = make_extra(self);
        if (self->extra == NULL) {
            self->extra = made;
        } else {
            Py_XDECREF(made);
        }
    }
    extra = Py_XNewRef(self->extra);
    Py_END_CRITICAL_SECTION();
    return extra;
}

void ev_transport_flush(ev_transport_t *self) {
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_transport_guard((PyObject *)self, &guard) < 0) {
        PyErr_Clear(); /* what the loop's thread is just writing has no order with this thread */
        return;
    }
#endif
    if (self->open) {
        el_stream_flush(&self->stream);
        ev_transport_sync_hold(self);
    }
#if EV_FREE_THREADED
    ev_guard_end(&guard);
#endif
}

PyObject *ev_transport_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "default", NULL};
    ev_transport_t *self = (ev_transport_t *)op;
    PyObject *name, *missing = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names, &name, &missing)) {
        return NULL;
    }
    PyObject *extra = extra_of(self);
    if (extra == NULL) {
        return NULL;
    }
    PyObject *value;
    int found = PyDict_GetItemRef(extra, name, &value);
    Py_DECREF(extra);
    return found != 0 ? value : Py_NewRef(missing);
}

/* Private names -------------------------------------------------------------------------------- */

typedef enum name {
    NAME_LOOP,
    NAME_OWNER,
    NAME_FILENO,
    NAME_PROTOCOL,
    NAME_EXTRA,
    NAME_CLOSING,
    NAME_EOF,
    NAME_CONN_LOST,
    NAME_BYTES,
    NAME_PAUSED,
    NAME_PROTOCOL_PAUSED,
    NAME_SERVER,
    NAME_HIGH_WATER,
    NAME_LOW_WATER,
    NAME_EMPTY_WAITER,
    NAME_READ_READY_CB,
} name_t;

static PyObject *new_or_none(PyObject *value) {
    return Py_NewRef(value == NULL ? Py_None : value);
}

/* What the system has not taken, as a list of bytes. */
static PyObject *buffer_list(ev_transport_t *self) {
    ev_transport_flush(self);
    PyObject *list = PyList_New(0);
    const el_stream_t *stream = &self->stream;
    for (uint32_t i = 0; list != NULL && self->open && i < stream->pieces_count; i++) {
        const el_piece_t *piece =
            &stream->pieces[(stream->pieces_first + i) % stream->pieces_capacity];
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)piece->base,
                                                    (Py_ssize_t)piece->size);
        if (bytes == NULL || PyList_Append(list, bytes) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(bytes);
    }
    return list;
}

/* The same in one piece, as a pipe has it. */
static PyObject *buffer_bytes(ev_transport_t *self) {
    PyObject *list = buffer_list(self);
    PyObject *buffer = PyByteArray_FromStringAndSize(NULL, 0);
    for (Py_ssize_t i = 0; buffer != NULL && list != NULL && i < PyList_GET_SIZE(list); i++) {
        Py_SETREF(buffer, PyByteArray_Concat(buffer, PyList_GET_ITEM(list, i)));
    }
    if (list == NULL) {
        Py_CLEAR(buffer);
    }
    Py_XDECREF(list);
    return buffer;
}

/* What takes the bytes that are read; asyncio forgets its own once the connection is lost
 * (3.14). */
static PyObject *read_ready_callback(ev_transport_t *self) {
    if (self->owner == NULL || self->protocol == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *name = self->buffered ? self->state->str_buffer_updated
                                    : self->state->str_data_received;
    return PyObject_GetAttr(self->protocol, name);
}

static PyObject *get_name(PyObject *op, void *closure) {
    ev_transport_t *self = (ev_transport_t *)op;
    switch ((name_t)(uintptr_t)closure) {
    case NAME_LOOP:
        return new_or_none((PyObject *)self->loop);
    case NAME_OWNER:
        ev_transport_flush(self);
        return new_or_none(self->owner);
    case NAME_FILENO:
        return PyLong_FromLongLong(self->fileno);
    case NAME_PROTOCOL:
        return new_or_none(self->protocol);
    case NAME_EXTRA:
        return extra_of(self);
    case NAME_CLOSING:
        return PyBool_FromLong(self->stream.closing);
    case NAME_EOF:
        return PyBool_FromLong(self->eof_written);
    case NAME_CONN_LOST: {
        bool lost = self->kind == EV_TRANSPORT_WRITE_PIPE
                        ? self->write_failed
                        : self->owner == NULL || self->stream.lost_queued;
        return PyLong_FromUnsignedLong((unsigned long)lost + self->dropped_writes);
    }
    case NAME_BYTES:
        return self->kind == EV_TRANSPORT_WRITE_PIPE ? buffer_bytes(self) : buffer_list(self);
    case NAME_PAUSED:
        return PyBool_FromLong(self->paused);
    case NAME_PROTOCOL_PAUSED:
        return PyBool_FromLong(self->protocol_paused);
    case NAME_SERVER:
        return new_or_none(self->server);
    case NAME_HIGH_WATER:
        return PyLong_FromSize_t(self->high_water);
    case NAME_LOW_WATER:
        return PyLong_FromSize_t(self->low_water);
    case NAME_EMPTY_WAITER:
        return new_or_none(self->empty_waiter);
    case NAME_READ_READY_CB:
        return read_ready_callback(self);
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
    old = ((ev_transport_t *)op)->extra;
    ((ev_transport_t *)op)->extra = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

/* A program that has closed the pipe itself says so to keep the transport's finaliser quiet. */
static int set_pipe(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    ev_transport_t *self = (ev_transport_t *)op;
    Py_XSETREF(self->owner, value == NULL || value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

static int set_protocol(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_protocol can't be deleted");
        return -1;
    }
    return ev_transport_set_protocol((ev_transport_t *)op, value);
}

EV_GUARD_GETTER(ev_transport_guard, get_name)
EV_GUARD_SETTER(ev_transport_guard, set_protocol)
EV_GUARD_SETTER(ev_transport_guard, set_pipe)

PyGetSetDef ev_transport_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_loop", EV_OWNED(get_name), NULL, NULL, (void *)NAME_LOOP},
    {"_sock", EV_OWNED(get_name), NULL, NULL, (void *)NAME_OWNER},
    {"_sock_fd", EV_OWNED(get_name), NULL, NULL, (void *)NAME_FILENO},
    {"_pipe", EV_OWNED(get_name), EV_OWNED(set_pipe), NULL, (void *)NAME_OWNER},
    {"_fileno", EV_OWNED(get_name), NULL, NULL, (void *)NAME_FILENO},
    {"_protocol", EV_OWNED(get_name), EV_OWNED(set_protocol), NULL, (void *)NAME_PROTOCOL},
    {"_extra", EV_OWNED(get_name), set_extra, NULL, (void *)NAME_EXTRA},
    {"_closing", EV_OWNED(get_name), NULL, NULL, (void *)NAME_CLOSING},
    {"_eof", EV_OWNED(get_name), NULL, NULL, (void *)NAME_EOF},
    {"_conn_lost", EV_OWNED(get_name), NULL, NULL, (void *)NAME_CONN_LOST},
    {"_buffer", EV_OWNED(get_name), NULL, NULL, (void *)NAME_BYTES},
    {"_paused", EV_OWNED(get_name), NULL, NULL, (void *)NAME_PAUSED},
    {"_protocol_paused", EV_OWNED(get_name), NULL, NULL, (void *)NAME_PROTOCOL_PAUSED},
    {"_server", EV_OWNED(get_name), NULL, NULL, (void *)NAME_SERVER},
    {"_high_water", EV_OWNED(get_name), NULL, NULL, (void *)NAME_HIGH_WATER},
    {"_low_water", EV_OWNED(get_name), NULL, NULL, (void *)NAME_LOW_WATER},
    {"_empty_waiter", EV_OWNED(get_name), NULL, NULL, (void *)NAME_EMPTY_WAITER},
    {"_read_ready_cb", EV_OWNED(get_name), NULL, NULL, (void *)NAME_READ_READY_CB},
    {NULL, NULL, NULL, NULL, NULL},
};

/* repr and the end of an abandoned transport --------------------------------------------------- */

static PyObject *repr_here(PyObject *op) {
    ev_transport_t *self = (ev_transport_t *)op;
    const el_stream_t *stream = &self->stream;
    PyObject *name = PyType_GetName(Py_TYPE(op));
    if (name == NULL) {
        return NULL;
    }
    const char *state = self->owner == NULL ? " closed" : stream->closing ? " closing" : "";
    const char *reading = stream->reading && !stream->eof_seen && !stream->closing ? "polling"
                                                                                   : "idle";
    const char *writing = stream->queued != 0 ? "polling" : "idle";
    long long fd = self->fileno;
    PyObject *text;
    if (self->owner == NULL || !self->open) {
        const char *format = !ev_transport_is_one_way(self) ? "<%U%s fd=%lld>"
                             : self->owner == NULL          ? "<%U%s fd=%lld closed>"
                                                            : "<%U%s fd=%lld open>";
        text = PyUnicode_FromFormat(format, name, state, fd);
    } else if (!ev_transport_is_one_way(self)) {
        text = PyUnicode_FromFormat("<%U%s fd=%lld read=%s write=<%s, bufsize=%zu>>", name, state,
                                    fd, reading, writing, stream->queued);
    } else if (self->kind == EV_TRANSPORT_READ_PIPE) {
        text = PyUnicode_FromFormat("<%U%s fd=%lld %s>", name, state, fd, reading);
    } else {
        text = PyUnicode_FromFormat("<%U%s fd=%lld %s bufsize=%zu>", name, state, fd, writing,
                                    stream->queued);
    }
    Py_DECREF(name);
    return text;
}

PyObject *ev_transport_repr(PyObject *op) {
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_transport_guard(op, &guard) < 0) {
        return ev_repr_elsewhere(op, ((ev_transport_t *)op)->fileno);
    }
    PyObject *text = repr_here(op);
    ev_guard_end(&guard);
    return text;
#else
    return repr_here(op);
#endif
}

void ev_transport_finalize(PyObject *op) {
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->owner == NULL) {
        return;
    }
    PyObject *current = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op);
    }
    ev_transport_detach(self);
    PyObject *owner = self->owner;
    PyObject *server = self->server;
    self->owner = NULL;
    self->server = NULL;
    PyObject *closed = PyObject_CallMethod(owner, "close",
                                           NULL); /* the module's state may be cleared already */
    if (closed == NULL) {
        PyErr_WriteUnraisable(owner);
    }
    Py_XDECREF(closed);
    Py_DECREF(owner);
    if (server != NULL) {
        /* asyncio tells the server from 3.13 on only; a server that waits for its connections
         * would wait for ever. */
        PyObject *detached = ev_server_detach(server, op);
        if (detached == NULL) {
            PyErr_WriteUnraisable(server);
        }
        Py_XDECREF(detached);
        Py_DECREF(server);
    }
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}
