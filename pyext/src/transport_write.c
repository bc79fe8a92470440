/* SPDX-License-Identifier: MIT */
/* The writing half of a transport: write, writelines, write_eof, the buffer limits, and the empty
 * waiter of sendfile.
 *
 * bytes objects are kept by reference when the system does not take them at once; anything else
 * may be changed by the program after the call, so the engine copies what is left of it. asyncio
 * aliases such memory from 3.12 on, and sends what it has become.
 */
#include "stream_transport.h"

/* asyncio.constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES */
#define DROPPED_WRITES_QUIET 5

static int warn(ev_transport_t *self, const char *text) {
    PyObject *result = PyObject_CallMethod(self->state->asyncio_logger, "warning", "s", text);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* A write on a connection that is lost, or about to be: dropped, counted, and from the fifth on
 * complained about. */
static PyObject *drop_write(ev_transport_t *self) {
    bool is_pipe = self->kind == EV_TRANSPORT_WRITE_PIPE;
    /* A pipe that is being closed counts, too, but not its loss: only a write that failed. */
    bool lost = is_pipe || !self->open || self->stream.lost_queued;
    uint32_t counted = self->dropped + (!is_pipe || self->write_failed ? 1 : 0);
    if (lost && counted >= DROPPED_WRITES_QUIET) {
        const char *text = is_pipe ? "pipe closed by peer or os.write(pipe, data) raised exception."
                                   : "socket.send() raised exception.";
        if (warn(self, text) < 0) {
            return NULL;
        }
    }
    if (lost) {
        self->dropped++;
    }
    Py_RETURN_NONE;
}

/* false with RuntimeError: this transport writes no more, or not now. */
static bool may_write(ev_transport_t *self) {
    const char *text = NULL;
    if (self->eof_written) {
        text = "Cannot call write() after write_eof()";
    } else if (self->empty_waiter != NULL) {
        text = "unable to write; sendfile is in progress";
    }
    if (text != NULL) {
        PyErr_SetString(PyExc_RuntimeError, text);
    }
    return text == NULL;
}

/* A socket that is being closed still takes what is written until its queue has run dry:
 * SSLProtocol says its goodbye from resume_writing, after close(). A pipe takes nothing more. */
static inline bool takes_no_more(const ev_transport_t *self) {
    return self->kind == EV_TRANSPORT_WRITE_PIPE ? self->stream.closing : self->stream.lost_queued;
}

static inline bool plainly_writable(const ev_transport_t *self) {
    return self->open && !self->eof_written && !takes_no_more(self) && self->empty_waiter == NULL;
}

/* After the engine has been called from inside a call of the program's. -1: an exception that
 * belongs to the caller. */
static inline int after_engine(ev_transport_t *self) {
    const el_stream_t *stream = &self->stream;
    self->in_call = false;
    if (stream->queued != 0 || stream->lost_queued) {
        ev_member_hold(&self->member);
        self->write_failed |= stream->lost_queued;
    }
    if (self->escaped) {
        self->escaped = false;
        return -1;
    }
    return 0;
}

/* `owner`: the bytes object that base belongs to, or NULL to have it copied. */
static inline int send_piece(ev_transport_t *self, const void *base, size_t size, PyObject *owner) {
    bool taken = false;
    Py_XINCREF(owner); /* before the call: a piece can be taken and dropped inside it */
    self->in_call = true;
    /* ES_ENOMEM has aborted the stream; connection_lost tells. */
    (void)el_stream_write(&self->stream, base, size, owner, &taken);
    if (!taken) {
        Py_XDECREF(owner);
    }
    return after_engine(self);
}

/* Whether the end has come before what is written: that is dropped, whatever it is (up to 3.13.0 the
 * stock loop's writelines still looked at it). */
static bool comes_too_late(ev_transport_t *self) {
    return !self->open || takes_no_more(self);
}

static PyObject *drop_late(ev_transport_t *self) {
    return self->stream.closing || ev_endpoint_check_open(EV_ENDPOINT(self)) == 0 ? drop_write(self)
                                                                                  : NULL;
}

static PyObject *write_other(ev_transport_t *self, PyObject *data) {
    bool is_bytes = PyBytes_Check(data);
    if (!is_bytes && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        if (self->kind == EV_TRANSPORT_WRITE_PIPE) {
            return PyErr_Format(PyExc_AssertionError, "%R", data);
        }
        return ev_call_method(self->state->python, "refuse_to_write",
                              data); /* its text differs between patch releases */
    }
    if (!may_write(self)) {
        return NULL;
    }
    Py_ssize_t length = PyObject_Size(data);
    if (length <= 0) {
        return length < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (comes_too_late(self)) {
        return drop_late(self);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        self->in_call = true;
        ev_endpoint_fatal(EV_ENDPOINT(self), ev_transport_write_error(self));
        self->in_call = false;
        return PyErr_Occurred() != NULL ? NULL : Py_NewRef(Py_None);
    }
    int code = send_piece(self, view.buf, (size_t)view.len, is_bytes ? data : NULL);
    PyBuffer_Release(&view);
    return code < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *ev_transport_write(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorSocketTransport", "write", {"data"}, 1, 1, false, NULL};
    ev_transport_t *self = (ev_transport_t *)op;
    PyObject *data = ev_bind_one(&signature, args, nargs, keywords);
    if (data == NULL) {
        return NULL;
    }
    if (!PyBytes_CheckExact(data) || !plainly_writable(self)) {
        return write_other(self, data);
    }
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    if (size != 0 && send_piece(self, PyBytes_AS_STRING(data), size, data) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* writelines ---------------------------------------------------------------------------------- */

/* The total size of a list of bytes objects; 0: something else is in it; -1: something that is
 * no buffer, with TypeError. */
static Py_ssize_t size_of_bytes(PyObject *pieces) {
    Py_ssize_t total = 0;
    bool all_bytes = true;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces); i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        if (PyBytes_Check(piece)) {
            total += PyBytes_GET_SIZE(piece);
        } else if (PyObject_CheckBuffer(piece)) {
            all_bytes = false;
        } else {
            PyErr_Format(PyExc_TypeError,
                         "memoryview: a bytes-like object is required, not '%.200s'",
                         Py_TYPE(piece)->tp_name);
            return -1;
        }
    }
    return all_bytes ? total : 0;
}

static PyObject *join(PyObject *pieces) {
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = empty == NULL ? NULL : ev_call_method(empty, "join", pieces);
    Py_XDECREF(empty);
    return joined;
}

/* Small pieces are joined: one system call and one copy cost less than a vector. Large ones go
 * by reference. */
static PyObject *write_pieces(ev_transport_t *self, PyObject *pieces) {
    Py_ssize_t total = size_of_bytes(pieces);
    if (total < 0) {
        return NULL;
    }
    if (comes_too_late(self)) { /* the list's own code may have ended the connection */
        return drop_late(self);
    }
    if (total <= EL_HIGH_WATER_DEFAULT || PyList_GET_SIZE(pieces) == 1) {
        PyObject *joined = join(pieces);
        if (joined == NULL) {
            return NULL;
        }
        size_t size = (size_t)PyBytes_GET_SIZE(joined);
        int code = size == 0 ? 0 : send_piece(self, PyBytes_AS_STRING(joined), size, joined);
        Py_DECREF(joined);
        return code < 0 ? NULL : Py_NewRef(Py_None);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pieces) && self->open && !takes_no_more(self); i++) {
        PyObject *piece = Py_NewRef(PyList_GET_ITEM(pieces, i));
        size_t size = (size_t)PyBytes_GET_SIZE(piece);
        int code = size == 0 ? 0 : send_piece(self, PyBytes_AS_STRING(piece), size, piece);
        Py_DECREF(piece);
        if (code < 0) {
            return NULL;
        }
    }
    if (self->open) {
        self->in_call = true;
        el_stream_flush(&self->stream);
        if (after_engine(self) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* asyncio.transports.WriteTransport.writelines: what pipes have, and sockets had before 3.12. */
static PyObject *join_and_write(PyObject *op, PyObject *list) {
    PyObject *joined = join(list);
    if (joined == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethodOneArg(op, ((ev_transport_t *)op)->state->str_write,
                                                 joined);
    Py_DECREF(joined);
    return result;
}

static PyObject *writelines(PyObject *op, PyObject *list) {
    ev_transport_t *self = (ev_transport_t *)op;
    if (!EV_HAS_VECTORED_WRITELINES || self->kind == EV_TRANSPORT_WRITE_PIPE) {
        return join_and_write(op, list);
    }
    if (self->eof_written) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot call writelines() after write_eof()");
        return NULL;
    }
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "unable to writelines; sendfile is in progress");
        return NULL;
    }
    int some = PyObject_IsTrue(list);
    if (some <= 0) {
        return some < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (comes_too_late(self)) {
        return drop_late(self);
    }
    PyObject *pieces = PySequence_List(list);
    if (pieces == NULL) {
        return NULL;
    }
    PyObject *result = write_pieces(self, pieces);
    Py_DECREF(pieces);
    return result;
}

PyObject *ev_transport_writelines(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorSocketTransport", "writelines", {"list_of_data"}, 1, 1, false, NULL};
    PyObject *list = ev_bind_one(&signature, args, nargs, keywords);
    return list == NULL ? NULL : writelines(op, list);
}

PyObject *ev_transport_write_eof(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->kind == EV_TRANSPORT_WRITE_PIPE) {
        return ev_endpoint_close(op, NULL); /* a pipe has no half: its end is written by closing */
    }
    if (self->kind == EV_TRANSPORT_DUPLEX_PIPE) {
        PyErr_SetNone(PyExc_NotImplementedError); /* as asyncio's; closing would end reading, too */
        return NULL;
    }
    if (self->stream.closing || self->eof_written) {
        Py_RETURN_NONE;
    }
    if (ev_endpoint_check_open(EV_ENDPOINT(self)) < 0) {
        return NULL;
    }
    self->in_call = true;
    self->eof_written = true;
    el_stream_write_eof(&self->stream);
    if (after_engine(self) < 0) {
        return NULL;
    }
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
    Py_RETURN_NONE;
}

PyObject *ev_transport_can_write_eof(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(((ev_transport_t *)op)->kind != EV_TRANSPORT_DUPLEX_PIPE);
}

/* Flow control --------------------------------------------------------------------------------- */

void ev_transport_apply_limits(ev_transport_t *self) {
    size_t low = self->kind == EV_TRANSPORT_WRITE_PIPE ? 0 : self->low_water;
    el_stream_set_water(&self->stream, self->high_water, low);
}

void ev_transport_on_pause_writing(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    if (self->empty_waiter != NULL || self->protocol_paused) {
        return;
    }
    self->protocol_paused = true;
    ev_endpoint_notify(EV_ENDPOINT(self), self->state->str_pause_writing,
                       "protocol.pause_writing() failed");
}

/* Completes the empty waiter; `exc` NULL: with None. */
static void finish_empty_waiter(ev_transport_t *self, PyObject *exc) {
    PyObject *waiter = Py_NewRef(self->empty_waiter);
    PyObject *done = PyObject_CallMethodNoArgs(waiter, self->state->str_done);
    int is_done = done == NULL ? -1 : PyObject_IsTrue(done);
    Py_XDECREF(done);
    if (is_done == 0) {
        PyObject *name = exc == NULL ? self->state->str_set_result : self->state->str_set_exception;
        PyObject *result = PyObject_CallMethodOneArg(waiter, name, exc == NULL ? Py_None : exc);
        is_done = result == NULL ? -1 : 0;
        Py_XDECREF(result);
    }
    if (is_done < 0) {
        PyErr_WriteUnraisable(waiter);
    }
    Py_DECREF(waiter);
}

void ev_transport_on_resume_writing(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    if (self->empty_waiter != NULL) {
        finish_empty_waiter(self, NULL);
        ev_transport_apply_limits(self);
    }
    if (self->protocol_paused) {
        self->protocol_paused = false;
        ev_endpoint_notify(EV_ENDPOINT(self), self->state->str_resume_writing,
                           "protocol.resume_writing() failed");
    }
    ev_endpoint_leave(EV_ENDPOINT(self));
}

void ev_transport_empty_waiter_lost(ev_transport_t *self) {
    if (self->empty_waiter == NULL) {
        return;
    }
    PyObject *exc = PyObject_CallFunction(PyExc_ConnectionError, "s",
                                          "Connection is closed by peer");
    if (exc == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
        return;
    }
    finish_empty_waiter(self, exc);
    Py_DECREF(exc);
}

/* A mark as a size: any number, huge and infinite ones included. -1 with an exception. */
static int mark_size(PyObject *mark, size_t *size) {
    PyObject *number = PyFloat_Check(mark) ? NULL : PyNumber_Index(mark);
    if (PyFloat_Check(mark)) {
        double value = PyFloat_AS_DOUBLE(mark);
        *size = value < 9e15 ? (size_t)value : SIZE_MAX;
        return 0;
    }
    if (number == NULL) {
        return -1;
    }
    size_t value = PyLong_AsSize_t(number);
    Py_DECREF(number);
    if (PyErr_Occurred() != NULL) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        value = SIZE_MAX;
    }
    *size = value;
    return 0;
}

/* asyncio's defaults: high 64 KiB, or four times low; low a quarter of high. New references; -1
 * with an exception. */
static int complete_marks(PyObject **high, PyObject **low) {
    PyObject *four = PyLong_FromLong(4);
    if (four == NULL) {
        return -1;
    }
    if (*high != Py_None) {
        Py_INCREF(*high);
    } else {
        *high = *low == Py_None ? PyLong_FromLong(EL_HIGH_WATER_DEFAULT)
                                : PyNumber_Multiply(four, *low);
    }
    if (*low != Py_None) {
        Py_INCREF(*low);
    } else {
        *low = *high == NULL ? NULL : PyNumber_FloorDivide(*high, four);
    }
    Py_DECREF(four);
    if (*high != NULL && *low != NULL) {
        return 0;
    }
    Py_XDECREF(*high);
    Py_XDECREF(*low);
    return -1;
}

/* high >= low >= 0, else asyncio's ValueError. */
static int check_marks(PyObject *high, PyObject *low) {
    int ordered = PyObject_RichCompareBool(high, low, Py_GE);
    if (ordered > 0) {
        PyObject *zero = PyLong_FromLong(0);
        ordered = zero == NULL ? -1 : PyObject_RichCompareBool(low, zero, Py_GE);
        Py_XDECREF(zero);
    }
    if (ordered == 0) {
        PyErr_Format(PyExc_ValueError, "high (%R) must be >= low (%R) must be >= 0", high, low);
    }
    return ordered > 0 ? 0 : -1;
}

int ev_read_water_marks(PyObject *args, PyObject *kwargs, size_t *high_size, size_t *low_size) {
    static char *names[] = {"high", "low", NULL};
    PyObject *high = Py_None, *low = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:set_write_buffer_limits", names, &high,
                                     &low) ||
        complete_marks(&high, &low) < 0) {
        return -1;
    }
    int code = check_marks(high, low);
    if (code == 0) {
        code = mark_size(high, high_size) < 0 || mark_size(low, low_size) < 0 ? -1 : 0;
    }
    Py_DECREF(high);
    Py_DECREF(low);
    return code;
}

PyObject *ev_transport_set_limits(PyObject *op, PyObject *args, PyObject *kwargs) {
    ev_transport_t *self = (ev_transport_t *)op;
    size_t high_size, low_size;
    if (ev_read_water_marks(args, kwargs, &high_size, &low_size) < 0) {
        return NULL;
    }
    self->high_water = high_size;
    self->low_water = low_size;
    if (self->open && self->empty_waiter == NULL) {
        self->in_call = true;
        ev_transport_apply_limits(self);
        if (after_engine(self) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

PyObject *ev_transport_get_size(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (!self->open) {
        return PyLong_FromLong(0);
    }
    self->in_call = true;
    size_t size = el_stream_write_size(&self->stream);
    if (after_engine(self) < 0) {
        return NULL;
    }
    return PyLong_FromSize_t(size);
}

/* sendfile waits until the queue is empty and writes to the descriptor itself. While it does,
 * the watcher is nobody's, and the marks are zero, so the engine's resume_writing says that the
 * queue has run dry. */
PyObject *ev_transport_make_empty_waiter(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    if (self->loop == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Transport is closing");
        return NULL;
    }
    PyObject *waiter = PyObject_CallMethod((PyObject *)self->loop, "create_future", NULL);
    if (waiter == NULL) {
        return NULL;
    }
    self->empty_waiter = Py_NewRef(waiter);
    if (self->open) {
        self->in_call = true;
        if (el_stream_write_size(&self->stream) == 0) {
            finish_empty_waiter(self, NULL);
        } else {
            el_stream_set_water(&self->stream, 0, 0);
        }
        if (self->open) {
            el_stream_set_owner(&self->stream, NULL);
        }
        if (after_engine(self) < 0) {
            Py_DECREF(waiter);
            return NULL;
        }
    }
    return waiter;
}

PyObject *ev_transport_reset_empty_waiter(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_transport_t *self = (ev_transport_t *)op;
    Py_CLEAR(self->empty_waiter);
    if (self->open) {
        ev_transport_apply_limits(self);
        el_stream_set_owner(&self->stream, self);
    }
    Py_RETURN_NONE;
}
