/* SPDX-License-Identifier: MIT */
/* _core.ReadPipeTransport and _core.WritePipeTransport: pipes, FIFOs, terminals and other devices
 * over el_stream's pipe backends; _core.DuplexPipeTransport: a named pipe of Windows.
 *
 * The first two behave as asyncio.unix_events' pipe transports on every system: at end of file
 * eof_received and then connection_lost(None) whatever the protocol answers, a protocol whose
 * data_received raises goes on, a write end ends when its reader goes, write_eof closes. The third
 * follows asyncio.proactor_events' _ProactorDuplexPipeTransport. The object passed in is extra info
 * 'pipe' and is closed at the end, once; the engine does not close it.
 */
#include "stream_transport.h"

static PyMethodDef read_methods[] = {
    EV_ENDPOINT_METHODS,
    EV_ENDPOINT_READ_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyMethodDef write_methods[] = {
    EV_ENDPOINT_METHODS,
    EV_WRITE_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyMethodDef duplex_methods[] = {
    EV_ENDPOINT_METHODS,
    EV_ENDPOINT_READ_METHODS,
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

static PyTypeObject *type_of(const ev_state_t *state, unsigned flags, ev_transport_kind_t *kind) {
    switch (flags & (EL_PIPE_READABLE | EL_PIPE_WRITABLE)) {
    case EL_PIPE_READABLE:
        *kind = EV_TRANSPORT_READ_PIPE;
        return state->pipe_transport_type;
    case EL_PIPE_WRITABLE:
        *kind = EV_TRANSPORT_WRITE_PIPE;
        return state->write_pipe_transport_type;
    default:
        *kind = EV_TRANSPORT_DUPLEX_PIPE;
        return state->duplex_pipe_transport_type;
    }
}

static void refuse(ev_state_t *state, int code, ev_transport_kind_t kind) {
    if (code == ES_EPERM) {
        PyErr_SetString(PyExc_ValueError,
                        kind == EV_TRANSPORT_WRITE_PIPE
                            ? "Pipe transport is only for pipes, sockets and character devices"
                            : "Pipe transport is for pipes/sockets only.");
    } else {
        (void)ev_error_set(state, code);
    }
}

static PyObject *new_transport(ev_loop_t *loop, const ev_transport_args_t *how, unsigned flags) {
    ev_transport_kind_t kind;
    PyTypeObject *type = type_of(loop->state, flags, &kind);
    ev_transport_t *self = ev_transport_alloc(loop, type, kind, how);
    if (self == NULL) {
        return NULL;
    }
    int code = el_stream_open_pipe(&self->stream, &loop->el, how->fd, flags, &ev_transport_ops);
    if (code != 0) {
        refuse(loop->state, code, kind);
        Py_DECREF(self);
        return NULL;
    }
    ev_transport_apply_limits(self);
    ev_transport_begin(self, how->waiter);
    return (PyObject *)self;
}

static PyObject *make_pipe_transport(PyObject *op, PyObject *args) {
    ev_loop_t *loop = (ev_loop_t *)op;
    ev_transport_args_t how = {.fd = ES_SOCK_INVALID};
    PyObject *waiter, *extra;
    Py_ssize_t file;
    unsigned flags;
    if (!PyArg_ParseTuple(args, "OnIOOO:_make_pipe_transport", &how.owner, &file, &flags,
                          &how.protocol, &waiter, &extra) ||
        ev_loop_check_closed(loop) < 0) {
        return NULL;
    }
    how.fd = file;
    how.waiter = waiter == Py_None ? NULL : waiter;
    how.extra = new_extra(how.owner, extra);
    if (how.extra == NULL) {
        return NULL;
    }
    PyObject *self = new_transport(loop, &how, flags);
    Py_DECREF(how.extra);
    return self;
}

EV_GUARD_METHOD(ev_guard_begin_loop, make_pipe_transport)

PyMethodDef ev_loop_pipe_transport_methods[] = {
    {"_make_pipe_transport", EV_OWNED(make_pipe_transport), METH_VARARGS,
     PyDoc_STR("_make_pipe_transport($self, pipe, file, flags, protocol, waiter, extra)\n--\n\n"
               "A transport that owns `pipe` and reads or writes through `file`: a descriptor, or "
               "what `flags`, of the module's PIPE_ constants, says. ValueError: neither a pipe, "
               "a socket nor a character device. On Windows the engine takes a copy of a "
               "descriptor or handle; it stays the caller's.")},
    {NULL, NULL, 0, NULL},
};

int ev_pipe_constants_init(PyObject *module) {
    static const struct {
        const char *name;
        unsigned value;
    } rows[] = {{"PIPE_READABLE", EL_PIPE_READABLE},
                {"PIPE_WRITABLE", EL_PIPE_WRITABLE},
                {"PIPE_HANDLE", EL_PIPE_HANDLE},
                {"PIPE_SOCKET", EL_PIPE_SOCKET}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (PyModule_AddIntConstant(module, rows[i].name, (long)rows[i].value) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyTypeObject *new_type(ev_state_t *state, const char *name, PyMethodDef *methods,
                              const char *base_name) {
    PyObject *transports = PyImport_ImportModule("asyncio.transports");
    PyObject *base = transports == NULL ? NULL : PyObject_GetAttrString(transports, base_name);
    PyTypeObject *type = base == NULL ? NULL : ev_transport_type_new(state, name, methods, base);
    Py_XDECREF(base);
    Py_XDECREF(transports);
    return type;
}

int ev_pipe_transport_type_init(ev_state_t *state) {
    state->pipe_transport_type = new_type(state, "evenloop._core.ReadPipeTransport", read_methods,
                                          "ReadTransport");
    if (state->pipe_transport_type == NULL) {
        return -1;
    }
    state->write_pipe_transport_type = new_type(state, "evenloop._core.WritePipeTransport",
                                                write_methods, "_FlowControlMixin");
    if (state->write_pipe_transport_type == NULL) {
        return -1;
    }
    state->duplex_pipe_transport_type = new_type(state, "evenloop._core.DuplexPipeTransport",
                                                 duplex_methods, "_FlowControlMixin");
    return state->duplex_pipe_transport_type == NULL ? -1 : 0;
}
