/* SPDX-License-Identifier: MIT */
/* What can be asked of a datagram transport alone: its queue, the private names of its kind, repr; and
 * the type's tables.
 */
#include "datagram_transport.h"

/* Methods -------------------------------------------------------------------------------------- */

static size_t queued(const ev_datagram_t *self) {
    return self->open ? self->datagram.queued : 0;
}

static PyObject *datagram_get_size(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyLong_FromSize_t(queued((ev_datagram_t *)op));
}

EV_GUARD_FAST_KEYWORDS(ev_endpoint_guard, ev_datagram_sendto)
EV_GUARD_KEYWORDS(ev_endpoint_guard, ev_datagram_set_limits)
EV_GUARD_METHOD(ev_endpoint_guard, datagram_get_size)

PyMethodDef ev_datagram_methods[] = {
    EV_ENDPOINT_METHODS,
    EV_ENDPOINT_READ_METHODS,
    EV_ENDPOINT_WRITE_METHODS,
    EV_METHOD_FAST("sendto", EV_OWNED(ev_datagram_sendto), "data, addr=None", "Send one datagram."),
    EV_METHOD_KEYWORDS("set_write_buffer_limits", EV_OWNED(ev_datagram_set_limits),
                       "high=None, low=None", "When to pause and to resume the protocol."),
    EV_METHOD_NOARGS("get_write_buffer_size", EV_OWNED(datagram_get_size),
                     "The number of bytes that the system has not taken."),
    {NULL, NULL, 0, NULL},
};

/* Private names -------------------------------------------------------------------------------- */

typedef enum name {
    NAME_ADDRESS = EV_NAME_OF_KIND,
    NAME_CONN_LOST,
    NAME_QUEUE, /* not NAME_BUFFER: a type of Windows' nb30.h */
    NAME_BUFFER_SIZE,
    NAME_PROTOCOL_PAUSED,
    NAME_SERVER,
} name_t;

static PyObject *address_of(const ev_datagram_t *self, const el_message_t *message) {
    if (message->route != NULL) {
        return Py_NewRef((PyObject *)message->route);
    }
    return message->to.size == 0 ? ev_new_or_none(self->address) : ev_address_new(&message->to);
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
    case NAME_ADDRESS:
        return ev_new_or_none(self->address);
    case NAME_CONN_LOST: {
        bool lost = self->owner == NULL || self->datagram.lost_queued;
        return PyLong_FromUnsignedLong((unsigned long)lost + self->dropped);
    }
    case NAME_QUEUE:
        return queue_as_list(self);
    case NAME_BUFFER_SIZE:
        return PyLong_FromSize_t(queued(self));
    case NAME_PROTOCOL_PAUSED:
        return PyBool_FromLong(self->datagram.paused_writing);
    case NAME_SERVER:
        Py_RETURN_NONE;
    default:
        Py_UNREACHABLE();
    }
}

EV_GUARD_GETTER(ev_endpoint_guard, get_name)

#define GETTER(name, which)                                                                        \
    { name, EV_OWNED(get_name), NULL, NULL, (void *)(which) }

PyGetSetDef ev_datagram_getset[] = {
    EV_ENDPOINT_GETSET,
    EV_ENDPOINT_GETTER("_sock", EV_NAME_OWNER),
    GETTER("_address", NAME_ADDRESS),
    GETTER("_conn_lost", NAME_CONN_LOST),
    GETTER("_buffer", NAME_QUEUE),
    GETTER("_buffer_size", NAME_BUFFER_SIZE),
    GETTER("_protocol_paused", NAME_PROTOCOL_PAUSED),
    GETTER("_server", NAME_SERVER),
    {NULL, NULL, NULL, NULL, NULL},
};

/* repr ----------------------------------------------------------------------------------------- */

PyObject *ev_datagram_repr(ev_datagram_t *self) {
    const el_datagram_t *datagram = &self->datagram;
    PyObject *name = PyType_GetName(Py_TYPE(self));
    if (name == NULL) {
        return NULL;
    }
    const char *state = self->owner == NULL ? " closed" : datagram->closing ? " closing" : "";
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
