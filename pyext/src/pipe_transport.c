/* SPDX-License-Identifier: MIT */
/* _core.ReadPipeTransport and _core.WritePipeTransport: pipes, FIFOs and terminals over el_stream's
 * pipe backend.
 *
 * They behave as asyncio.unix_events' pipe transports on every system: at end of file
 * eof_received and then connection_lost(None) whatever the protocol answers, a write end that
 * ends when its reader goes, write_eof that closes. The object passed in is extra info 'pipe'
 * and is closed at the end; the engine moves bytes through a descriptor of the C library for it.
 */
#include "stream_transport.h"

static PyMethodDef read_methods[] = {
    EV_COMMON_METHODS,
    EV_READ_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyMethodDef write_methods[] = {
    EV_COMMON_METHODS,
    EV_WRITE_METHODS,
    {NULL, NULL, 0, NULL},
};

/* What `extra` has, and the pipe object itself. */
static PyObject *new_extra(PyObject *pipe, PyObject *extra) {
    PyObject *copy = PyDict_New();
    if (copy == NULL) {
        return NULL;
    }
    if ((extra != Py_None && PyDict_Update(copy, extra) < 0) ||
        PyDict_SetItemString(copy, "pipe", pipe) < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

static PyObject *new_transport(ev_loop_t *loop, const ev_transport_args_t *how, bool writable) {
    PyTypeObject *type = writable ? loop->state->write_pipe_transport_type
                                  : loop->state->pipe_transport_type;
    ev_transport_kind_t kind = writable ? EV_TRANSPORT_WRITE_PIPE : EV_TRANSPORT_READ_PIPE;
    ev_transport_t *self = ev_transport_alloc(loop, type, kind, how);
    if (self == NULL) {
        return NULL;
    }
    int code = el_stream_open_pipe(&self->stream, &loop->el, (int)how->fd,
                                   writable ? EL_PIPE_WRITABLE : EL_PIPE_READABLE,
                                   &ev_transport_ops);
    if (code != 0) {
        ev_error_set(loop->state, code);
        Py_DECREF(self);
        return NULL;
    }
    el_stream_set_owner(&self->stream, self);
    ev_transport_begin(self, how->waiter);
    return (PyObject *)self;
}

static PyObject *make_pipe_transport(PyObject *op, PyObject *args) {
    ev_loop_t *loop = (ev_loop_t *)op;
    ev_transport_args_t how = {.fd = ES_SOCK_INVALID};
    PyObject *waiter, *extra;
    int file, writable;
    if (!PyArg_ParseTuple(args, "OiOOOp:_make_pipe_transport", &how.owner, &file, &how.protocol,
                          &waiter, &extra, &writable) ||
        ev_loop_check_closed(loop) < 0) {
        return NULL;
    }
    how.fd = file;
    how.waiter = waiter == Py_None ? NULL : waiter;
    how.extra = new_extra(how.owner, extra);
    if (how.extra == NULL) {
        return NULL;
    }
    PyObject *self = new_transport(loop, &how, writable != 0);
    Py_DECREF(how.extra);
    return self;
}

PyMethodDef ev_loop_pipe_transport_methods[] = {
    {"_make_pipe_transport", make_pipe_transport, METH_VARARGS,
     PyDoc_STR("_make_pipe_transport($self, pipe, file, protocol, waiter, extra, writable)\n--\n\n"
               "A transport that owns `pipe` and reads or writes through `file`, a descriptor of "
               "the C library for it. On Windows "
               "the engine takes a copy of `file`, which stays the caller's.")},
    {NULL, NULL, 0, NULL},
};

int ev_pipe_transport_type_init(ev_state_t *state) {
    PyObject *transports = PyImport_ImportModule("asyncio.transports");
    PyObject *reader = transports == NULL ? NULL
                                          : PyObject_GetAttrString(transports, "ReadTransport");
    PyObject *writer = reader == NULL ? NULL
                                      : PyObject_GetAttrString(transports, "_FlowControlMixin");
    if (writer != NULL) {
        state->pipe_transport_type = ev_transport_type_new(
            state, "evenloop._core.ReadPipeTransport", read_methods, reader);
        state->write_pipe_transport_type = ev_transport_type_new(
            state, "evenloop._core.WritePipeTransport", write_methods, writer);
    }
    Py_XDECREF(writer);
    Py_XDECREF(reader);
    Py_XDECREF(transports);
    return state->pipe_transport_type == NULL || state->write_pipe_transport_type == NULL ? -1 : 0;
}
