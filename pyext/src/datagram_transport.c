/* SPDX-License-Identifier: MIT */
/* _core.DatagramTransport: an asyncio.DatagramTransport over el_datagram, from construction to
 * connection_lost, and what the engine calls.
 *
 * It behaves as asyncio.selector_events._SelectorDatagramTransport of the running Python: errors of
 * single datagrams go to error_received and the transport stays open; an exception of the program's
 * in datagram_received is that of an ordinary callback. What would break it: touching `datagram`
 * after `open` became false, or an upcall without ev_datagram_enter and _leave around it.
 */
#include "datagram_transport.h"
#include "stream_transport.h"

/* Calling the protocol ------------------------------------------------------------------------- */

/* Calls evenloop._support.name(loop, protocol.callback, args, last), and gives up on failure: the
 * report of an exception must not be one itself. `last` is stolen. */
static void tell_python(ev_datagram_t *self, const char *name, PyObject *callback, PyObject *first,
                        PyObject *second, PyObject *last) {
    PyObject *args = first == NULL    ? PyTuple_New(0)
                     : second == NULL ? PyTuple_Pack(1, first)
                                      : PyTuple_Pack(2, first, second);
    PyObject *result = NULL;
    if (args != NULL && last != NULL) {
        result = PyObject_CallMethod(self->state->python, name, "OOOOO", (PyObject *)self->loop,
                                     self->protocol, callback, args, last);
    }
    if (result == NULL) {
        ev_loop_exit(self->loop);
    }
    Py_XDECREF(result);
    Py_XDECREF(args);
    Py_XDECREF(last);
}

/* Debug mode: the call has returned; a warning if it kept the loop for long. */
static void watch_duration(ev_datagram_t *self, PyObject *name, PyObject *first, PyObject *second,
                           uint64_t began_ns) {
    PyObject *current = PyErr_GetRaisedException();
    double seconds = (double)(el_now_ns() - began_ns) * 1e-9;
    if (self->protocol != NULL) {
        tell_python(self, "protocol_callback_ran", name, first, second,
                    PyFloat_FromDouble(seconds));
    }
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}

static PyObject *call_in_context(ev_datagram_t *self, PyObject *name, PyObject *const *stack,
                                 size_t nargs) {
    ev_loop_t *loop = self->loop;
    uint64_t began_ns = loop->debug ? el_now_ns() : 0;
    if (PyContext_Enter(self->context) < 0) {
        return NULL;
    }
    loop->depth++;
    PyObject *result = PyObject_VectorcallMethod(name, stack, nargs, NULL);
    loop->depth--;
    if (PyContext_Exit(self->context) < 0) {
        Py_CLEAR(result);
    }
    if (began_ns != 0) {
        watch_duration(self, name, stack[1], stack[2], began_ns);
    }
    return result;
}

PyObject *ev_datagram_call(ev_datagram_t *self, PyObject *name, PyObject *first, PyObject *second) {
    /* The caller keeps the transport, and with it context and loop, but set_protocol may come from
     * inside. */
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *stack[4] = {NULL, protocol, first, second};
    size_t nargs = 1 + (size_t)(first != NULL) + (size_t)(second != NULL);
    nargs |= PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject *result = self->loop->depth != 0
                           ? PyObject_VectorcallMethod(name, stack + 1, nargs, NULL)
                           : call_in_context(self, name, stack + 1, nargs);
    Py_DECREF(protocol);
    return result;
}

/* What it does as an endpoint ------------------------------------------------------------------ */

static ev_datagram_t *of(ev_endpoint_t *endpoint) {
    return (ev_datagram_t *)(void *)endpoint;
}

static void engine_close(ev_endpoint_t *self) {
    el_datagram_close(&of(self)->datagram);
}

static void engine_abort(ev_endpoint_t *self) {
    el_datagram_abort(&of(self)->datagram, (el_reason_t){0, 0});
}

static void engine_destroy(ev_endpoint_t *self) {
    el_datagram_destroy(&of(self)->datagram);
}

static void read_start(ev_endpoint_t *self) {
    el_datagram_read_start(&of(self)->datagram);
}

static void read_stop(ev_endpoint_t *self) {
    el_datagram_read_stop(&of(self)->datagram);
}

static void disown(ev_endpoint_t *self) {
    el_datagram_set_owner(&of(self)->datagram, NULL);
}

static bool is_ending(const ev_endpoint_t *endpoint) {
    return ((const ev_datagram_t *)(const void *)endpoint)->datagram.lost_queued;
}

static bool waits(const ev_endpoint_t *endpoint) {
    const el_datagram_t *datagram = &((const ev_datagram_t *)(const void *)endpoint)->datagram;
    return datagram->lost_queued || datagram->reading || datagram->first != NULL;
}

static PyObject *call(ev_endpoint_t *self, PyObject *name, PyObject *arg) {
    return ev_datagram_call(of(self), name, arg, NULL);
}

static void report_callback(ev_endpoint_t *self, PyObject *name, PyObject *arg) {
    if (!ev_loop_take_exit(self->loop)) {
        tell_python(of(self), "protocol_callback_failed", name, arg, NULL,
                    PyErr_GetRaisedException());
    }
}

static void fatal(ev_endpoint_t *self, PyObject *exc, const char *message) {
    if (self->loop != NULL) {
        PyObject *result = PyObject_CallMethod(
            self->state->python, "transport_failed", "OOOOs", (PyObject *)self->loop,
            (PyObject *)self, self->protocol == NULL ? Py_None : self->protocol, exc, message);
        if (result == NULL) {
            ev_loop_exit(self->loop);
        }
        Py_XDECREF(result);
    }
    ev_endpoint_force_close(self, exc);
}

static int set_protocol(ev_endpoint_t *self, PyObject *protocol) {
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    return 0;
}

static PyObject *new_extra(ev_endpoint_t *self) {
    (void)self;
    return PyDict_New(); /* it got its own when it was made; the collector has taken that */
}

static PyObject *repr(ev_endpoint_t *self) {
    return ev_datagram_repr(of(self));
}

static const ev_endpoint_ops_t endpoint_ops = {
    .engine_close = engine_close,
    .engine_abort = engine_abort,
    .engine_destroy = engine_destroy,
    .read_start = read_start,
    .read_stop = read_stop,
    .disown = disown,
    .waits = waits,
    .is_ending = is_ending,
    .call = call,
    .report_callback = report_callback,
    .fatal = fatal,
    .set_protocol = set_protocol,
    .new_extra = new_extra,
    .repr = repr,
};

/* What the engine calls ------------------------------------------------------------------------ */

static void on_received(el_datagram_t *datagram, const void *base, size_t size,
                        const es_addr_t *from) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_enter(EV_ENDPOINT(self));
    ev_loop_t *loop = self->loop;
    PyObject *name = self->state->str_datagram_received;
    PyObject *address = ev_datagram_sender(self, from);
    PyObject *bytes = address == NULL ? NULL : ev_bytes_small(loop, base, size);
    if (bytes == NULL) {
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal read error on datagram transport");
    } else {
        PyObject *result = ev_datagram_call(self, name, bytes, address);
        if (result == NULL) {
            ev_endpoint_method_failed(EV_ENDPOINT(self), loop,
                                      "_SelectorDatagramTransport._read_ready", NULL);
        }
        Py_XDECREF(result);
        ev_bytes_small_done(loop, bytes, size);
    }
    Py_XDECREF(address);
    ev_endpoint_leave(EV_ENDPOINT(self));
}

static void on_drained(el_datagram_t *datagram) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_enter(EV_ENDPOINT(self));
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
    ev_endpoint_leave(EV_ENDPOINT(self));
}

/* asyncio's name for the last callback of an endpoint. */
#define END_METHOD "_SelectorTransport._call_connection_lost"

/* Closes the socket and lets go of everybody, in asyncio's order. The caller keeps the loop. */
static void finish(ev_datagram_t *self, ev_loop_t *loop, PyObject *exc) {
    PyObject *sock = self->owner;
    self->owner = NULL;
    /* A number that is another's by now is not this object's to close. */
    PyObject *closed = self->datagram.fd == ES_SOCK_INVALID
                           ? PyObject_CallMethod(sock, "detach", NULL)
                           : PyObject_CallMethodNoArgs(sock, self->state->str_close);
    if (closed == NULL) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), loop, END_METHOD, exc);
    }
    Py_XDECREF(closed);
    Py_DECREF(sock);
    ev_endpoint_forget(EV_ENDPOINT(self));
}

static void on_lost(el_datagram_t *datagram, el_reason_t reason) {
    ev_datagram_t *self = ev_datagram_of(datagram);
    ev_endpoint_enter(EV_ENDPOINT(self));
    (void)reason; /* only Python code aborts an endpoint, and gives an exception of its own */
    self->open = false;
    PyObject *name = self->state->str_connection_lost;
    PyObject *exc = Py_NewRef(self->lost_exc == NULL ? Py_None : self->lost_exc);
    PyObject *result = ev_datagram_call(self, name, exc, NULL);
    ev_loop_t *loop = (ev_loop_t *)Py_NewRef((PyObject *)self->loop);
    if (result == NULL) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), loop, END_METHOD, exc);
    }
    Py_XDECREF(result);
    Py_CLEAR(self->lost_exc);
    finish(self, loop, exc);
    Py_DECREF(exc);
    ev_member_leave(&self->member);
    /* lost is the last upcall: the engine does not touch the endpoint again. */
    Py_DECREF(self);
    Py_DECREF(loop);
}

static const el_datagram_ops_t ops = {
    .received = on_received,
    .error = ev_datagram_on_error,
    .send = ev_datagram_on_send,
    .release = ev_datagram_on_release,
    .pause_writing = ev_datagram_on_pause,
    .resume_writing = ev_datagram_on_resume,
    .drained = on_drained,
    .lost = on_lost,
};

/* Construction --------------------------------------------------------------------------------- */

typedef struct ev_datagram_args {
    PyObject *sock;
    PyObject *protocol;
    PyObject *address;
    PyObject *waiter;
    PyObject *extra;
} ev_datagram_args_t;

/* Windows does not tell the address of a socket that has none yet; Unix says that it is the
 * wildcard. */
static int complete_sockname(ev_datagram_t *self) {
    PyObject *known = PyDict_GetItemWithError(self->extra, self->state->str_sockname);
    if (known != Py_None) {
        return known == NULL ? -1 : 0;
    }
    if (self->family == AF_UNIX) {
        return 0;
    }
    PyObject *name = self->family == AF_INET ? Py_BuildValue("(si)", "0.0.0.0", 0)
                                             : Py_BuildValue("(siii)", "::", 0, 0, 0);
    int code = name == NULL ? -1 : PyDict_SetItem(self->extra, self->state->str_sockname, name);
    Py_XDECREF(name);
    return code;
}

static int fill_extra(ev_datagram_t *self, PyObject *extra) {
    self->extra = ev_transport_extra_new(self->state, self->owner, extra);
    if (self->extra == NULL || complete_sockname(self) < 0) {
        return -1;
    }
    PyObject *peer = PyDict_GetItemWithError(self->extra, self->state->str_peername);
    int connected = peer == NULL ? -1 : PyObject_IsTrue(peer);
    self->connected = connected > 0;
    return connected < 0 ? -1 : 0;
}

/* A transport with everything but the engine's part. */
static ev_datagram_t *alloc(ev_loop_t *loop, const ev_datagram_args_t *how, int family,
                            es_sock_t fd) {
    PyTypeObject *type = loop->state->datagram_transport_type;
    ev_endpoint_t *endpoint = ev_endpoint_alloc(loop, type, &endpoint_ops, NULL);
    if (endpoint == NULL) {
        return NULL;
    }
    ev_datagram_t *self = of(endpoint);
    self->closing = &self->datagram.closing;
    self->family = family;
    self->fileno = fd;
    self->protocol = Py_NewRef(how->protocol);
    self->owner = Py_NewRef(how->sock); /* until the engine has it, not ours to close: see below */
    int has_address = PyObject_IsTrue(how->address);
    if (has_address > 0) {
        self->address = Py_NewRef(how->address);
    }
    if (has_address < 0 || fill_extra(self, how->extra) < 0) {
        Py_CLEAR(self->owner);
        Py_DECREF(self);
        return NULL;
    }
    return self;
}

static PyObject *new_transport(ev_loop_t *loop, const ev_datagram_args_t *how, int family) {
    es_sock_t fd;
    if (ev_loop_check_closed(loop) < 0 || ev_fileno(loop->state, how->sock, &fd) < 0 ||
        ev_require(how->protocol, loop->state->str_connection_made) < 0) {
        return NULL;
    }
    ev_datagram_t *self = alloc(loop, how, family, fd);
    if (self == NULL) {
        return NULL;
    }
    int code = el_datagram_open(&self->datagram, &loop->el, fd, &ops);
    if (code != 0) {
        ev_error_set(loop->state, code);
        Py_CLEAR(self->owner);
        Py_DECREF(self);
        return NULL;
    }
    self->datagram.overhead = EV_DATAGRAM_OVERHEAD;
    el_datagram_set_owner(&self->datagram, self);
    ev_endpoint_begin(EV_ENDPOINT(self), how->waiter == Py_None ? NULL : how->waiter);
    return (PyObject *)self;
}

/* The family, if this is a socket that the engine can serve: a plain socket.socket, whose methods
 * are the system's, of a family whose addresses are read here. -1: asyncio's own transport, over
 * our readers and writers, is for everything else. -2: an exception. */
static int family_of(ev_state_t *state, PyObject *sock) {
    if ((PyObject *)Py_TYPE(sock) != state->socket_class) {
        return -1;
    }
    PyObject *value = PyObject_GetAttr(sock, state->str_family);
    long family = value == NULL ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    if (PyErr_Occurred() != NULL) {
        return -2;
    }
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX ? (int)family : -1;
}

static PyObject *make_datagram_transport(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sock", "protocol", "address", "waiter", "extra", NULL};
    ev_loop_t *loop = (ev_loop_t *)op;
    ev_datagram_args_t how = {NULL, NULL, Py_None, Py_None, Py_None};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOO:_make_datagram_transport", names,
                                     &how.sock, &how.protocol, &how.address, &how.waiter,
                                     &how.extra)) {
        return NULL;
    }
    PyObject *checked = ev_call_method(op, "_ensure_fd_no_transport", how.sock);
    if (checked == NULL) {
        return NULL;
    }
    Py_DECREF(checked);
    int family = family_of(loop->state, how.sock);
    if (family == -2) {
        return NULL;
    }
    if (family == -1) {
        return PyObject_CallMethod(loop->state->python, "acting_datagram_transport", "OOOOOO", op,
                                   how.sock, how.protocol, how.address, how.waiter, how.extra);
    }
    return new_transport(loop, &how, family);
}

EV_GUARD_KEYWORDS(ev_guard_begin_loop, make_datagram_transport)

PyMethodDef ev_loop_datagram_methods[] = {
    {"_make_datagram_transport", (PyCFunction)(void (*)(void))EV_OWNED(make_datagram_transport),
     METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("_make_datagram_transport($self, sock, protocol, address=None, waiter=None, "
               "extra=None)\n--\n\n"
               "The transport of a datagram socket; connection_made follows in the next turn.")},
    {NULL, NULL, 0, NULL},
};

/* The type ------------------------------------------------------------------------------------- */

static int datagram_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    for (const el_message_t *message = self->datagram.first; message != NULL;
         message = message->next) {
        Py_VISIT((PyObject *)message->route);
    }
    Py_VISIT(self->address);
    int code = ev_datagram_traverse_peers(self, visit, arg);
    return code != 0 ? code : ev_endpoint_traverse(op, visit, arg);
}

static int datagram_clear(PyObject *op) {
    ev_datagram_t *self = (ev_datagram_t *)op;
    ev_endpoint_clear(op);
    Py_CLEAR(self->address);
    ev_datagram_clear_peers(self);
    return 0;
}

/* (transports._FlowControlMixin, transports.DatagramTransport): asyncio's own bases, so that both
 * isinstance checks hold. */
static PyObject *import_bases(void) {
    PyObject *transports = PyImport_ImportModule("asyncio.transports");
    if (transports == NULL) {
        return NULL;
    }
    PyObject *mixin = PyObject_GetAttrString(transports, "_FlowControlMixin");
    PyObject *base = PyObject_GetAttrString(transports, "DatagramTransport");
    Py_DECREF(transports);
    PyObject *bases = mixin == NULL || base == NULL ? NULL : PyTuple_Pack(2, mixin, base);
    Py_XDECREF(mixin);
    Py_XDECREF(base);
    return bases;
}

int ev_datagram_transport_type_init(ev_state_t *state) {
    const PyType_Slot slots[] = {
        {Py_tp_traverse, (void *)datagram_traverse},
        {Py_tp_clear, (void *)datagram_clear},
        {Py_tp_methods, ev_datagram_methods},
        {Py_tp_getset, ev_datagram_getset},
        {0, NULL},
    };
    PyObject *bases = import_bases();
    PyTypeObject *type = bases == NULL
                             ? NULL
                             : ev_endpoint_type_new(state, "evenloop._core.DatagramTransport",
                                                    sizeof(ev_datagram_t), slots, bases);
    Py_XDECREF(bases);
    state->datagram_transport_type = type;
    if (type == NULL) {
        return -1;
    }
    PyObject *size = PyLong_FromLong((long)EL_DATAGRAM_SIZE_MAX);
    PyObject *overhead = PyLong_FromLong(EV_DATAGRAM_OVERHEAD);
    int code = size == NULL || overhead == NULL
                   ? -1
                   : PyObject_SetAttrString((PyObject *)type, "max_size", size);
    if (code == 0) {
        code = PyObject_SetAttrString((PyObject *)type, "_header_size", overhead);
    }
    Py_XDECREF(size);
    Py_XDECREF(overhead);
    return code;
}
