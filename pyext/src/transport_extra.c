/* SPDX-License-Identifier: MIT */
/* What can be asked of a stream transport alone: its extra info, the private names of its kind, repr.
 *
 * Extra info of an accepted connection is made when somebody asks: the addresses were taken when
 * it was accepted, so they survive its close. Handing out the socket itself sends what is
 * gathered first: the program may write to it.
 */
#include "stream_transport.h"

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

PyObject *ev_transport_late_extra(ev_transport_t *self) {
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

void ev_transport_flush(ev_transport_t *self) {
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_endpoint_guard((PyObject *)self, &guard) < 0) {
        PyErr_Clear(); /* what the loop's thread is just writing has no order with this thread */
        return;
    }
#endif
    if (self->open) {
        el_stream_flush(&self->stream);
        ev_endpoint_sync_hold(EV_ENDPOINT(self));
    }
#if EV_FREE_THREADED
    ev_guard_end(&guard);
#endif
}

/* Private names -------------------------------------------------------------------------------- */

typedef enum name {
    NAME_OWNER = EV_NAME_OF_KIND, /* sends what is gathered first */
    NAME_EOF,
    NAME_CONN_LOST,
    NAME_BYTES,
    NAME_PROTOCOL_PAUSED,
    NAME_SERVER,
    NAME_EMPTY_WAITER,
    NAME_READ_READY_CB,
} name_t;

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
    case NAME_OWNER:
        ev_transport_flush(self);
        return ev_new_or_none(self->owner);
    case NAME_EOF:
        return PyBool_FromLong(self->eof_written);
    case NAME_CONN_LOST: {
        bool lost = self->kind == EV_TRANSPORT_WRITE_PIPE
                        ? self->write_failed
                        : self->owner == NULL || self->stream.lost_queued;
        return PyLong_FromUnsignedLong((unsigned long)lost + self->dropped);
    }
    case NAME_BYTES:
        return self->kind == EV_TRANSPORT_WRITE_PIPE ? buffer_bytes(self) : buffer_list(self);
    case NAME_PROTOCOL_PAUSED:
        return PyBool_FromLong(self->protocol_paused);
    case NAME_SERVER:
        return ev_new_or_none(self->server);
    case NAME_EMPTY_WAITER:
        return ev_new_or_none(self->empty_waiter);
    case NAME_READ_READY_CB:
        return read_ready_callback(self);
    default:
        Py_UNREACHABLE();
    }
}

/* A program that has closed the pipe itself says so to keep the transport's finaliser quiet. */
static int set_pipe(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    ev_transport_t *self = (ev_transport_t *)op;
    Py_XSETREF(self->owner, value == NULL || value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

EV_GUARD_GETTER(ev_endpoint_guard, get_name)
EV_GUARD_SETTER(ev_endpoint_guard, set_pipe)

#define GETTER(name, which)                                                                        \
    { name, EV_OWNED(get_name), NULL, NULL, (void *)(which) }

PyGetSetDef ev_transport_getset[] = {
    EV_ENDPOINT_GETSET,
    GETTER("_sock", NAME_OWNER),
    {"_pipe", EV_OWNED(get_name), EV_OWNED(set_pipe), NULL, (void *)NAME_OWNER},
    EV_ENDPOINT_GETTER("_fileno", EV_NAME_FILENO),
    GETTER("_eof", NAME_EOF),
    GETTER("_conn_lost", NAME_CONN_LOST),
    GETTER("_buffer", NAME_BYTES),
    GETTER("_protocol_paused", NAME_PROTOCOL_PAUSED),
    GETTER("_server", NAME_SERVER),
    GETTER("_empty_waiter", NAME_EMPTY_WAITER),
    GETTER("_read_ready_cb", NAME_READ_READY_CB),
    {NULL, NULL, NULL, NULL, NULL},
};

/* repr ----------------------------------------------------------------------------------------- */

PyObject *ev_transport_repr(ev_transport_t *self) {
    const el_stream_t *stream = &self->stream;
    PyObject *name = PyType_GetName(Py_TYPE(self));
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
