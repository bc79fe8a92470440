/* SPDX-License-Identifier: MIT */
/* _core.StreamTransport as a type, and Loop._make_socket_transport, which makes one for a connected
 * socket object.
 *
 * Accepted connections are made by listener.c through ev_stream_transport_new, which asks the
 * socket object for nothing.
 */
#include "stream_transport.h"

PyObject *ev_server_attach(PyObject *server, PyObject *transport) {
#if EV_SERVER_KNOWS_TRANSPORTS
    return ev_call_method(server, "_attach", transport);
#else
    (void)transport;
    return PyObject_CallMethod(server, "_attach", NULL);
#endif
}

PyObject *ev_server_detach(PyObject *server, PyObject *transport) {
#if EV_SERVER_KNOWS_TRANSPORTS
    return ev_call_method(server, "_detach", transport);
#else
    (void)transport;
    return PyObject_CallMethod(server, "_detach", NULL);
#endif
}

/* Asks a socket object for its family, type and protocol: does TCP_NODELAY apply? -1 with an
 * exception. */
static int wants_nodelay(ev_state_t *state, PyObject *sock) {
    PyObject *names[3] = {state->str_family, state->str_type, state->str_proto};
    long values[3];
    for (int i = 0; i < 3; i++) {
        PyObject *value = PyObject_GetAttr(sock, names[i]);
        values[i] = value == NULL ? -1 : PyLong_AsLong(value);
        Py_XDECREF(value);
        if (PyErr_Occurred() != NULL) {
            return -1;
        }
    }
    /* Protocol 0 is TCP too: macOS says so of accepted sockets, and asyncio misses them there
     * (gh-148783). */
    bool internet = values[0] == AF_INET || values[0] == AF_INET6;
    return internet && values[1] == SOCK_STREAM && (values[2] == IPPROTO_TCP || values[2] == 0);
}

static PyObject *optional(PyObject *value) {
    return value == Py_None ? NULL : value;
}

/* Something that only acts like a socket sends and receives by its own methods; the engine would
 * go past them. Such a one gets asyncio's transport, which calls them. -1 with an exception. */
static int acts_like_socket(ev_state_t *state, PyObject *sock) {
    int real = PyObject_IsInstance(sock, state->socket_class);
    return real != 0 ? (real < 0 ? -1 : 0) : PyObject_HasAttrString(sock, "send");
}

static PyObject *make_socket_transport(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sock", "protocol", "waiter", "extra", "server", "context", NULL};
    ev_loop_t *loop = (ev_loop_t *)op;
    ev_transport_args_t how = {.fd = ES_SOCK_INVALID};
    PyObject *waiter = Py_None, *extra = Py_None, *server = Py_None, *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O$OOO:_make_socket_transport", names,
                                     &how.owner, &how.protocol, &waiter, &extra, &server,
                                     &context)) {
        return NULL;
    }
    PyObject *checked = ev_call_method(op, "_ensure_fd_no_transport", how.owner);
    if (checked == NULL) {
        return NULL;
    }
    Py_DECREF(checked);
    int acting = acts_like_socket(loop->state, how.owner);
    if (acting != 0) {
        return acting < 0 ? NULL
                          : PyObject_CallMethod(loop->state->python, "acting_socket_transport",
                                                "OOOOOOO", op, how.owner, how.protocol, waiter,
                                                extra, server, context);
    }
    if (ev_loop_check_closed(loop) < 0 || ev_fileno(loop->state, how.owner, &how.fd) < 0) {
        return NULL;
    }
    int nodelay = wants_nodelay(loop->state, how.owner);
    if (nodelay < 0) {
        return NULL;
    }
    how.nodelay = nodelay != 0;
    how.waiter = optional(waiter);
    how.server = optional(server);
    how.context = optional(context);
    how.extra = ev_transport_extra_new(loop->state, how.owner, extra);
    if (how.extra == NULL) {
        return NULL;
    }
    PyObject *self = ev_stream_transport_new(loop, &how);
    Py_DECREF(how.extra);
    return self;
}

EV_GUARD_METHOD(ev_endpoint_guard, ev_transport_make_empty_waiter)
EV_GUARD_METHOD(ev_endpoint_guard, ev_transport_reset_empty_waiter)

static PyMethodDef methods[] = {
    EV_ENDPOINT_METHODS,
    EV_ENDPOINT_READ_METHODS,
    EV_WRITE_METHODS,
    EV_METHOD_NOARGS("_make_empty_waiter", EV_OWNED(ev_transport_make_empty_waiter),
                     "A future that is done when nothing is buffered."),
    EV_METHOD_NOARGS("_reset_empty_waiter", EV_OWNED(ev_transport_reset_empty_waiter),
                     "Forget it."),
    {NULL, NULL, 0, NULL},
};

EV_GUARD_KEYWORDS(ev_guard_begin_loop, make_socket_transport)

PyMethodDef ev_loop_socket_transport_methods[] = {
    {"_make_socket_transport", EV_METHOD(EV_OWNED(make_socket_transport)),
     METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("_make_socket_transport($self, sock, protocol, waiter=None, *, extra=None, "
               "server=None, context=None)\n--\n\n"
               "The transport of a connected socket; connection_made follows in the next turn.")},
    {NULL, NULL, 0, NULL},
};

static int set_attribute(PyTypeObject *type, const char *name, PyObject *value) {
    int code = value == NULL ? -1 : PyObject_SetAttrString((PyObject *)type, name, value);
    Py_XDECREF(value);
    return code;
}

/* asyncio.constants._SendfileMode.TRY_NATIVE */
static PyObject *sendfile_mode(void) {
    PyObject *constants = PyImport_ImportModule("asyncio.constants");
    PyObject *modes = constants == NULL ? NULL : PyObject_GetAttrString(constants, "_SendfileMode");
    PyObject *mode = modes == NULL ? NULL : PyObject_GetAttrString(modes, "TRY_NATIVE");
    Py_XDECREF(modes);
    Py_XDECREF(constants);
    return mode;
}

int ev_stream_transport_type_init(ev_state_t *state) {
    /* The base of asyncio's own transports; loop.sendfile's fallback asks for it by isinstance.
     * It is an asyncio.Transport. */
    PyObject *transports = PyImport_ImportModule("asyncio.transports");
    PyObject *base = transports == NULL ? NULL
                                        : PyObject_GetAttrString(transports, "_FlowControlMixin");
    Py_XDECREF(transports);
    if (base == NULL) {
        return -1;
    }
    state->stream_transport_type = ev_transport_type_new(state, "evenloop._core.StreamTransport",
                                                         methods, base);
    Py_DECREF(base);
    if (state->stream_transport_type == NULL) {
        return -1;
    }
    if (set_attribute(state->stream_transport_type, "_start_tls_compatible", Py_NewRef(Py_True)) <
            0 ||
        set_attribute(state->stream_transport_type, "_sendfile_compatible", sendfile_mode()) < 0 ||
        set_attribute(state->stream_transport_type, "max_size",
                      PyLong_FromLong((long)EL_STREAMING_READ_SIZE)) < 0) {
        return -1;
    }
    return 0;
}
