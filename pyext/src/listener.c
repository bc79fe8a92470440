/* SPDX-License-Identifier: MIT */
/* _core.Listener: accepted connections, from the engine to a protocol with its transport.
 *
 * It does what asyncio's _accept_connection and _accept_connection2 do, without a task per
 * connection: the protocol factory runs in a copy of the context in which serving began, and
 * that copy becomes the connection's. TLS goes back to Python, to asyncio's own SSLProtocol. A
 * connection that can't be set up is closed alone and, as in asyncio, reported in debug mode;
 * listening goes on.
 */
#include "stream_transport.h"

typedef struct ev_listener {
    PyObject_HEAD
    el_listener_t engine;
    ev_loop_t *loop; /* strong while open */
    ev_member_t member;
    PyObject *factory;
    PyObject *sock;
    PyObject *sslcontext; /* NULL: plain */
    PyObject *server;     /* NULL: none */
    PyObject *handshake_timeout;
    PyObject *shutdown_timeout;
    PyObject *context;
    PyObject *socket_args[3]; /* family, type, proto of an accepted socket's object */
    int family;
    bool nodelay;
} ev_listener_t;

/* One accepted connection ---------------------------------------------------------------------- */

/* The socket object of an accepted descriptor, which it owns from then on. socket.accept() would
 * do the same, with one system call more. */
static PyObject *new_socket(ev_listener_t *self, es_sock_t fd) {
    PyObject *fileno = PyLong_FromLongLong((long long)fd);
    if (fileno == NULL) {
        return NULL;
    }
    PyObject *args[4] = {self->socket_args[0], self->socket_args[1], self->socket_args[2], fileno};
    PyObject *sock = PyObject_Vectorcall(self->loop->state->socket_class, args, 4, NULL);
    Py_DECREF(fileno);
#ifndef SOCK_NONBLOCK
    /* Where the type has no such flag, the object must be told that its descriptor does not
     * block. */
    PyObject *done = sock == NULL ? NULL : ev_call_method(sock, "setblocking", Py_False);
    if (sock != NULL && done == NULL) {
        PyObject *exc = PyErr_GetRaisedException();
        PyObject *detached = PyObject_CallMethod(sock, "detach", NULL);
        Py_XDECREF(detached);
        PyErr_SetRaisedException(exc);
        Py_CLEAR(sock);
    }
    Py_XDECREF(done);
#endif
    return sock;
}

/* What accept said, as extra info: for families that C does not know, and for TLS. */
static PyObject *peer_extra(ev_state_t *state, PyObject *sock, const es_addr_t *peer) {
    PyObject *address = ev_address_new(peer);
    if (address == NULL) {
        PyErr_Clear();
        address = PyObject_CallMethod(sock, "getpeername", NULL);
    }
    if (address == NULL) {
        PyErr_Clear();
        address = Py_NewRef(Py_None);
    }
    PyObject *extra = PyDict_New();
    if (extra != NULL && PyDict_SetItem(extra, state->str_peername, address) < 0) {
        Py_CLEAR(extra);
    }
    Py_DECREF(address);
    return extra;
}

static bool family_is_known(int family) {
#ifdef AF_UNIX
    if (family == AF_UNIX) {
        return true;
    }
#endif
    return family == AF_INET || family == AF_INET6;
}

/* The factory may have closed the listener: its loop is passed. */
static PyObject *serve_plain(ev_listener_t *self, ev_loop_t *loop, PyObject *sock, es_sock_t fd,
                             const es_addr_t *peer, PyObject *protocol, PyObject *context) {
    ev_transport_args_t how = {
        .owner = sock,
        .protocol = protocol,
        .server = self->server,
        .context = context,
        .fd = fd,
        .nodelay = self->nodelay,
    };
    if (family_is_known(self->family)) {
        how.peer = peer;
        return ev_stream_transport_new(loop, &how);
    }
    PyObject *named = peer_extra(loop->state, sock, peer);
    how.extra = named == NULL ? NULL : ev_transport_extra_new(loop->state, sock, named);
    Py_XDECREF(named);
    PyObject *transport = how.extra == NULL ? NULL : ev_stream_transport_new(loop, &how);
    Py_XDECREF(how.extra);
    return transport;
}

/* Hands the socket to evenloop._support.accept_tls, which owns it from then on. */
static void serve_tls(ev_listener_t *self, ev_loop_t *loop, PyObject *sock, const es_addr_t *peer,
                      PyObject *context) {
    PyObject *extra = peer_extra(loop->state, sock, peer);
    PyObject *accept = extra == NULL ? NULL
                                     : PyObject_GetAttrString(loop->state->python, "accept_tls");
    PyObject *result = NULL;
    if (accept != NULL) {
        PyObject *none = Py_None;
        PyObject *args[9] = {
            (PyObject *)loop,
            self->factory,
            sock,
            extra,
            self->sslcontext,
            self->server == NULL ? none : self->server,
            self->handshake_timeout,
            self->shutdown_timeout,
            context,
        };
        result = PyObject_Vectorcall(accept, args, 9, NULL);
    }
    if (result == NULL && !ev_loop_take_exit(loop)) {
        ev_loop_report(loop, "Error on transport creation for incoming connection", NULL);
    }
    Py_XDECREF(result);
    Py_XDECREF(accept);
    Py_XDECREF(extra);
}

/* Takes the current exception: a connection could not be set up. Its socket is closed. */
static void setup_failed(ev_loop_t *loop, PyObject *sock, PyObject *protocol) {
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *closed = PyObject_CallMethodNoArgs(sock, loop->state->str_close);
    if (closed == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(closed);
    PyErr_SetRaisedException(exc);
    if (ev_loop_take_exit(loop)) {
        return;
    }
    if (!loop->debug) {
        PyErr_Clear();
        return;
    }
    PyObject *extra = protocol == NULL ? NULL
                                       : Py_BuildValue("{OO}", loop->state->str_protocol, protocol);
    ev_loop_report(loop, "Error on transport creation for incoming connection", extra);
    Py_XDECREF(extra);
}

/* logger.debug("%r got a new connection from %r: %r", server, address, sock) */
static void log_connection(ev_listener_t *self, PyObject *sock, const es_addr_t *peer) {
    PyObject *address = ev_address_new(peer);
    if (address == NULL) {
        PyErr_Clear();
        address = Py_NewRef(Py_None);
    }
    PyObject *logged = PyObject_CallMethod(
        self->loop->state->asyncio_logger, "debug", "sOOO", "%r got a new connection from %r: %r",
        self->server == NULL ? Py_None : self->server, address, sock);
    if (logged == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(logged);
    Py_DECREF(address);
}

static void serve(ev_listener_t *self, PyObject *sock, es_sock_t fd, const es_addr_t *peer) {
    ev_loop_t *loop = self->loop;
    if (loop->debug) {
        log_connection(self, sock, peer);
    }
    PyObject *context = PyContext_Copy(self->context);
    if (context == NULL) {
        setup_failed(loop, sock, NULL);
        return;
    }
    if (self->sslcontext != NULL) {
        serve_tls(self, loop, sock, peer, context);
        Py_DECREF(context);
        return;
    }
    PyObject *protocol = ev_loop_call(loop, context, self->factory, NULL, 0);
    PyObject *transport = protocol == NULL
                              ? NULL
                              : serve_plain(self, loop, sock, fd, peer, protocol, context);
    if (transport == NULL) {
        setup_failed(loop, sock, protocol);
    }
    Py_XDECREF(transport);
    Py_XDECREF(protocol);
    Py_DECREF(context);
}

static ev_listener_t *listener_of(el_listener_t *engine) {
    return (ev_listener_t *)(void *)((char *)engine - offsetof(ev_listener_t, engine));
}

static void on_accepted(el_listener_t *engine, es_sock_t fd, const es_addr_t *peer) {
    ev_listener_t *self = listener_of(engine);
    Py_INCREF(self);
    ev_loop_t *loop = (ev_loop_t *)Py_NewRef((PyObject *)self->loop);
    PyObject *sock = new_socket(self, fd);
    if (sock == NULL) {
        (void)es_sock_close(fd);
        if (!ev_loop_take_exit(loop)) {
            ev_loop_report(loop, "Error on transport creation for incoming connection", NULL);
        }
    } else {
        serve(self, sock, fd, peer);
        Py_DECREF(sock);
    }
    Py_DECREF(loop);
    Py_DECREF(self);
}

static void on_failed(el_listener_t *engine, el_reason_t reason, bool pausing) {
    ev_listener_t *self = listener_of(engine);
    ev_state_t *state = self->loop->state;
    Py_INCREF(self);
    PyObject *exc = ev_reason_new(state, reason);
    PyObject *view = PyObject_CallOneArg(state->asyncio_trsock, self->sock);
    PyObject *extra = view == NULL ? NULL : Py_BuildValue("{OO}", state->str_socket, view);
    PyErr_Clear();
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
        ev_loop_report(self->loop,
                       pausing ? "socket.accept() out of system resource"
                               : "Exception in socket.accept()",
                       extra);
    }
    Py_XDECREF(extra);
    Py_XDECREF(view);
    Py_DECREF(self);
}

static const el_listener_ops_t listener_ops = {on_accepted, on_failed};

/* Life ----------------------------------------------------------------------------------------- */

static void stop(ev_listener_t *self) {
    if (self->loop == NULL) {
        return;
    }
    el_listener_close(&self->engine);
    ev_loop_t *loop = self->loop;
    self->loop = NULL;
    ev_member_leave(&self->member);
    Py_DECREF(loop);
}

static void on_loop_closing(PyObject *object) {
    stop((ev_listener_t *)object);
}

/* Reads family, type and proto of the listening socket for those that it will accept. 0 or -1. */
static int learn_socket(ev_listener_t *self, ev_state_t *state) {
    PyObject *names[3] = {state->str_family, state->str_type, state->str_proto};
    long values[3];
    for (int i = 0; i < 3; i++) {
        PyObject *value = PyObject_GetAttr(self->sock, names[i]);
        values[i] = value == NULL ? -1 : PyLong_AsLong(value);
        Py_XDECREF(value);
        if (PyErr_Occurred() != NULL) {
            return -1;
        }
    }
    self->family = (int)values[0];
    self->nodelay = (values[0] == AF_INET || values[0] == AF_INET6) && values[1] == SOCK_STREAM;
#ifdef SOCK_NONBLOCK
    values[1] |= SOCK_NONBLOCK;
#endif
    for (int i = 0; i < 3; i++) {
        self->socket_args[i] = PyLong_FromLong(values[i]);
        if (self->socket_args[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static ev_listener_t *find_listener(ev_loop_t *loop, es_sock_t fd) {
    for (ev_member_t *member = loop->members; member != NULL; member = member->next) {
        if (Py_IS_TYPE(member->object, loop->state->listener_type)) {
            ev_listener_t *listener = (ev_listener_t *)member->object;
            if (listener->engine.fd == fd) {
                return listener;
            }
        }
    }
    return NULL;
}

static PyObject *new_ref_or_null(PyObject *value) {
    return value == Py_None ? NULL : Py_NewRef(value);
}

static int start(ev_listener_t *self, ev_loop_t *loop, int backlog) {
    es_sock_t fd;
    if (learn_socket(self, loop->state) < 0 || ev_fileno(loop->state, self->sock, &fd) < 0) {
        return -1;
    }
    ev_listener_t *old = find_listener(loop, fd);
    if (old != NULL) {
        stop(old); /* asyncio replaces the reader */
    }
    int code = el_listener_open(&self->engine, &loop->el, fd, backlog, &listener_ops);
    if (code != 0) {
        ev_error_set(loop->state, code);
        return -1;
    }
    /* A listening socket is nobody's transport: asyncio lets add_reader replace its reader. */
    el_poll_set_owner(self->engine.poll, NULL);
    self->loop = (ev_loop_t *)Py_NewRef((PyObject *)loop);
    ev_member_join(loop, &self->member, (PyObject *)self, on_loop_closing);
    ev_member_hold(&self->member);
    return 0;
}

static PyObject *start_listener(PyObject *op, PyObject *args) {
    ev_loop_t *loop = (ev_loop_t *)op;
    PyObject *factory, *sock, *sslcontext, *server, *handshake_timeout, *shutdown_timeout, *context;
    int backlog;
    if (!PyArg_ParseTuple(args, "OOOOiOOO:_start_listener", &factory, &sock, &sslcontext, &server,
                          &backlog, &handshake_timeout, &shutdown_timeout, &context) ||
        ev_loop_check_closed(loop) < 0) {
        return NULL;
    }
    PyTypeObject *type = loop->state->listener_type;
    ev_listener_t *self = (ev_listener_t *)(void *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->factory = Py_NewRef(factory);
    self->sock = Py_NewRef(sock);
    int secure = sslcontext == Py_None ? 0 : PyObject_IsTrue(sslcontext);
    self->sslcontext = secure > 0 ? Py_NewRef(sslcontext) : NULL;
    self->server = new_ref_or_null(server);
    self->handshake_timeout = Py_NewRef(handshake_timeout);
    self->shutdown_timeout = Py_NewRef(shutdown_timeout);
    self->context = context == Py_None ? PyContext_CopyCurrent() : Py_NewRef(context);
    int code = secure < 0 || self->context == NULL ? -1 : start(self, loop, backlog);
    Py_DECREF(self);
    if (code < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *stop_listener(PyObject *op, PyObject *sock) {
    ev_loop_t *loop = (ev_loop_t *)op;
    es_sock_t fd;
    if (ev_fileno(loop->state, sock, &fd) < 0) {
        /* Closed already, by somebody else: the listener is found by its socket. */
        PyErr_Clear();
        fd = ES_SOCK_INVALID;
    }
    for (ev_member_t *member = loop->members; member != NULL; member = member->next) {
        if (!Py_IS_TYPE(member->object, loop->state->listener_type)) {
            continue;
        }
        ev_listener_t *listener = (ev_listener_t *)member->object;
        if (listener->sock == sock || (fd != ES_SOCK_INVALID && listener->engine.fd == fd)) {
            stop(listener);
            Py_RETURN_TRUE;
        }
    }
    Py_RETURN_FALSE;
}

EV_GUARD_METHOD(ev_guard_begin_loop, start_listener)
EV_GUARD_METHOD(ev_guard_begin_loop, stop_listener)

PyMethodDef ev_loop_listener_methods[] = {
    {"_start_listener", EV_OWNED(start_listener), METH_VARARGS,
     PyDoc_STR("_start_listener($self, protocol_factory, sock, sslcontext, server, backlog, "
               "ssl_handshake_timeout, "
               "ssl_shutdown_timeout, context)\n--\n\nAccepts from a listening socket; context "
               "None: the current one.")},
    {"_stop_listener", EV_OWNED(stop_listener), METH_O,
     PyDoc_STR("_stop_listener($self, sock)\n--\n\nEnds _start_listener. Whether it had begun. The "
               "socket stays open.")},
    {NULL, NULL, 0, NULL},
};

/* The type ------------------------------------------------------------------------------------- */

static int listener_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_listener_t *self = (ev_listener_t *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->factory);
    Py_VISIT(self->sock);
    Py_VISIT(self->sslcontext);
    Py_VISIT(self->server);
    Py_VISIT(self->handshake_timeout);
    Py_VISIT(self->shutdown_timeout);
    Py_VISIT(self->context);
    return 0;
}

static int listener_clear(PyObject *op) {
    ev_listener_t *self = (ev_listener_t *)op;
    stop(self);
    Py_CLEAR(self->factory);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->sslcontext);
    Py_CLEAR(self->server);
    Py_CLEAR(self->handshake_timeout);
    Py_CLEAR(self->shutdown_timeout);
    Py_CLEAR(self->context);
    for (int i = 0; i < 3; i++) {
        Py_CLEAR(self->socket_args[i]);
    }
    return 0;
}

static void listener_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)listener_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

int ev_listener_type_init(ev_state_t *state) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)listener_dealloc},
        {Py_tp_traverse, (void *)listener_traverse},
        {Py_tp_clear, (void *)listener_clear},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "evenloop._core.Listener",
        .basicsize = sizeof(ev_listener_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    state->listener_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, NULL);
    return state->listener_type == NULL ? -1 : 0;
}
