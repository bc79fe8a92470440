/* SPDX-License-Identifier: MIT */
/* The sending half of a datagram transport: sendto, its errors, flow control.
 *
 * A failed send is asyncio's error_received, called before sendto returns, whose exceptions are the
 * caller's. A destination that only the socket object can read travels through the engine as a
 * route: the object itself, kept until the datagram has gone.
 */
#include "datagram_transport.h"
#include "stream_transport.h"

/* asyncio.constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES */
#define DROPPED_SENDS_QUIET 5

/* Tells the program about the current exception, which a send raised. New reference to None, or
 * NULL: an exception that is the caller's. */
static PyObject *send_failed(ev_datagram_t *self) {
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        self->in_call = true;
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal write error on datagram transport");
        self->in_call = false;
        return PyErr_Occurred() != NULL ? NULL : Py_NewRef(Py_None);
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *result = PyObject_CallMethodOneArg(self->protocol, self->state->str_error_received,
                                                 exc);
    Py_DECREF(exc);
    if (result == NULL) {
        return NULL;
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

static PyObject *drop(ev_datagram_t *self) {
    if (self->dropped + 1 >= DROPPED_SENDS_QUIET) {
        PyObject *logged = PyObject_CallMethod(self->state->asyncio_logger, "warning", "s",
                                               "socket.send() raised exception.");
        if (logged == NULL) {
            return NULL;
        }
        Py_DECREF(logged);
    }
    self->dropped++;
    Py_RETURN_NONE;
}

/* sock.send(data) or sock.sendto(data, address). false: not now; *result NULL: it raised. */
static bool send_by_method(ev_datagram_t *self, PyObject *data, PyObject *address,
                           PyObject **result) {
    *result = self->connected ? PyObject_CallMethod(self->owner, "send", "O", data)
                              : PyObject_CallMethod(self->owner, "sendto", "OO", data, address);
    if (*result == NULL && (PyErr_ExceptionMatches(PyExc_BlockingIOError) ||
                            PyErr_ExceptionMatches(PyExc_InterruptedError))) {
        PyErr_Clear();
        return false;
    }
    return true;
}

/* The end is settled, but the socket is open for another turn: asyncio still sends what is not
 * bound to a peer. */
static PyObject *send_late(ev_datagram_t *self, PyObject *data, PyObject *address) {
    if (self->owner == NULL) {
        return drop(self);
    }
    PyObject *result;
    if (!send_by_method(self, data, address, &result)) {
        return ev_loop_check_closed(self->loop) < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (result == NULL) {
        return send_failed(self);
    }
    Py_DECREF(result);
    Py_RETURN_NONE;
}

/* The engine's call for a route, from inside sendto or, for a queued datagram, from the loop. */
int ev_datagram_on_send(el_datagram_t *datagram, const void *base, size_t size, void *route) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    bool in_call = self->in_call;
    ev_endpoint_enter(EV_ENDPOINT(self));
    PyObject *address = Py_NewRef((PyObject *)route);
    PyObject *data = PyBytes_FromStringAndSize(base, (Py_ssize_t)size);
    PyObject *result = NULL;
    bool answered = data == NULL || send_by_method(self, data, address, &result);
    int code = answered ? 0 : ES_EAGAIN;
    Py_XDECREF(data);
    Py_DECREF(address);
    if (answered && result == NULL) {
        if (in_call) {
            code = ES_EIO; /* sendto finds the exception */
        } else if (PyErr_ExceptionMatches(PyExc_OSError)) {
            PyObject *exc = PyErr_GetRaisedException();
            PyObject *name = self->state->str_error_received;
            PyObject *told = ev_datagram_call(self, name, exc, NULL);
            if (told == NULL) {
                ev_endpoint_method_failed(EV_ENDPOINT(self), self->loop,
                                          "_SelectorDatagramTransport._sendto_ready", NULL);
            }
            Py_XDECREF(told);
            Py_DECREF(exc);
        } else {
            ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal write error on datagram transport");
        }
    }
    Py_XDECREF(result);
    ev_endpoint_leave(EV_ENDPOINT(self));
    return code;
}

void ev_datagram_on_release(el_datagram_t *datagram, void *route) {
    (void)datagram;
    Py_DECREF((PyObject *)route);
}

void ev_datagram_on_error(el_datagram_t *datagram, el_direction_t direction, el_reason_t reason) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_enter(EV_ENDPOINT(self));
    PyObject *name = self->state->str_error_received;
    PyObject *exc = ev_reason_new(self->state, reason);
    PyObject *result = exc == NULL ? NULL : ev_datagram_call(self, name, exc, NULL);
    if (exc == NULL) {
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal error on datagram transport");
    } else if (result == NULL) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), self->loop,
                                  direction == EL_READ ? "_SelectorDatagramTransport._read_ready"
                                                       : "_SelectorDatagramTransport._sendto_ready",
                                  NULL);
    }
    Py_XDECREF(result);
    Py_XDECREF(exc);
    ev_endpoint_leave(EV_ENDPOINT(self));
}

/* sendto --------------------------------------------------------------------------------------- */

/* Offers a datagram to the engine. */
static PyObject *send_now(ev_datagram_t *self, PyObject *data, PyObject *address) {
    Py_buffer view;
    es_addr_t to;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return send_failed(self);
    }
    int code = 0;
    self->in_call = true;
    if (self->connected) {
        code = el_datagram_send(&self->datagram, view.buf, (size_t)view.len, NULL);
    } else if (ev_datagram_target(self, address, &to)) {
        code = PySys_Audit("socket.sendto", "OO", self->owner, address) < 0
                   ? ES_EIO
                   : el_datagram_send(&self->datagram, view.buf, (size_t)view.len, &to);
    } else {
        bool taken = false;
        Py_INCREF(address); /* before the call: a queued route can be dropped inside it */
        code = el_datagram_send_by(&self->datagram, view.buf, (size_t)view.len, address, &taken);
        if (!taken) {
            Py_DECREF(address);
        }
    }
    self->in_call = false;
    PyBuffer_Release(&view);
    if (self->datagram.first != NULL) {
        ev_member_hold(&self->member);
    }
    if (self->escaped) {
        self->escaped = false;
        return NULL;
    }
    if (code == 0 || code == ES_ECANCELED) {
        return PyErr_Occurred() != NULL ? NULL : Py_NewRef(Py_None);
    }
    if (PyErr_Occurred() == NULL) {
        ev_error_set(self->state, code);
    }
    return send_failed(self);
}

/* Whether a datagram may go to this address, where all go to one. 0, or -1 with an exception. */
static int check_address(const ev_datagram_t *self, PyObject *address) {
    if (address == Py_None || address == self->address) {
        return 0;
    }
    PyObject *allowed = PyTuple_Pack(2, Py_None, self->address);
    int known = allowed == NULL ? -1 : PySequence_Contains(allowed, address);
    Py_XDECREF(allowed);
    if (known == 0) {
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", self->address);
    }
    return known > 0 ? 0 : -1;
}

static int refuse_data(PyObject *data) {
    PyObject *name = PyType_GetName(Py_TYPE(data));
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not %R", name);
        Py_DECREF(name);
    }
    return -1;
}

static const ev_signature_t sendto_signature = {
    "_SelectorDatagramTransport", "sendto", {"data", "addr"}, 1, 2, false, NULL};

PyObject *ev_datagram_sendto(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *keywords) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    PyObject *values[EV_NAMES_MAX];
    if (ev_bind(&sendto_signature, args, nargs, keywords, values) < 0) {
        return NULL;
    }
    PyObject *data = values[0];
    PyObject *address = values[1] == NULL ? Py_None : values[1];
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        (void)refuse_data(data);
        return NULL;
    }
    if (!EV_SENDS_EMPTY_DATAGRAMS) {
        int some = PyObject_IsTrue(data);
        if (some <= 0) {
            return some < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    bool lost = !self->open || self->datagram.lost_queued;
    if (self->address != NULL) {
        if (check_address(self, address) < 0) {
            return NULL;
        }
        address = self->address;
        if (lost) {
            return drop(self);
        }
    }
    return lost ? send_late(self, data, address) : send_now(self, data, address);
}

/* Flow control --------------------------------------------------------------------------------- */

void ev_datagram_on_pause(el_datagram_t *datagram) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_notify(EV_ENDPOINT(self), self->state->str_pause_writing,
                       "protocol.pause_writing() failed");
}

void ev_datagram_on_resume(el_datagram_t *datagram) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_notify(EV_ENDPOINT(self), self->state->str_resume_writing,
                       "protocol.resume_writing() failed");
}

PyObject *ev_datagram_set_limits(PyObject *op, PyObject *args, PyObject *kwargs) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    size_t high, low;
    if (ev_read_water_marks(args, kwargs, &high, &low) < 0) {
        return NULL;
    }
    self->high_water = high;
    self->low_water = low;
    if (self->open) {
        self->in_call = true;
        el_datagram_set_water(&self->datagram, high, low);
        self->in_call = false;
        if (self->escaped) {
            self->escaped = false;
            return NULL;
        }
    }
    Py_RETURN_NONE;
}
