/* SPDX-License-Identifier: MIT */
/* _core.TransportSocket: what get_extra_info('socket') gives, an asyncio TransportSocket that keeps
 * the order of bytes.
 *
 * A transport may hold back small writes until the end of the turn. Whoever reaches the socket
 * through this object, now or much later, reaches it behind them: each use of the inner socket
 * sends them first. The transport is referred to weakly, as asyncio's object does not refer to
 * it at all.
 */
#include "stream_transport.h"

typedef struct ev_socket_view {
    PyObject_HEAD
    PyObject *base_slots[2]; /* asyncio's _sock lives here; ours shadows it */
    PyObject *sock;
    PyObject *transport; /* a weak reference, or NULL */
} ev_socket_view_t;

PyObject *ev_socket_view_new(ev_state_t *state, PyObject *sock) {
    PyTypeObject *type = state->socket_view_type;
    ev_socket_view_t *self = (ev_socket_view_t *)(void *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->sock = Py_NewRef(sock);
    }
    return (PyObject *)self;
}

int ev_socket_view_bind(ev_state_t *state, PyObject *extra, PyObject *transport) {
    PyObject *view = PyDict_GetItemWithError(extra, state->str_socket);
    if (view == NULL || !Py_IS_TYPE(view, state->socket_view_type)) {
        return view == NULL && PyErr_Occurred() != NULL ? -1 : 0;
    }
    PyObject *reference = PyWeakref_NewRef(transport, NULL);
    if (reference == NULL) {
        return -1;
    }
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(view);
    old = ((ev_socket_view_t *)view)->transport;
    ((ev_socket_view_t *)view)->transport = reference;
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

static PyObject *view_get_sock(PyObject *op, void *closure) {
    (void)closure;
    ev_socket_view_t *self = (ev_socket_view_t *)op;
    PyObject *transport = NULL, *sock;
    int found = 0;
    Py_BEGIN_CRITICAL_SECTION(op);
    sock = Py_NewRef(self->sock == NULL ? Py_None : self->sock);
    if (self->transport != NULL) {
        found = PyWeakref_GetRef(self->transport, &transport);
    }
    Py_END_CRITICAL_SECTION();
    if (found < 0) {
        Py_DECREF(sock);
        return NULL;
    }
    if (transport != NULL) {
        ev_transport_flush((ev_transport_t *)transport);
        Py_DECREF(transport);
    }
    return sock;
}

static int view_set_sock(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = ((ev_socket_view_t *)op)->sock;
    ((ev_socket_view_t *)op)->sock = Py_XNewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef view_getset[] = {
    {"_sock", view_get_sock, view_set_sock, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static int view_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_socket_view_t *self = (ev_socket_view_t *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->base_slots[0]);
    Py_VISIT(self->base_slots[1]);
    Py_VISIT(self->sock);
    Py_VISIT(self->transport);
    return 0;
}

static int view_clear(PyObject *op) {
    ev_socket_view_t *self = (ev_socket_view_t *)op;
    Py_CLEAR(self->base_slots[0]);
    Py_CLEAR(self->base_slots[1]);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->transport);
    return 0;
}

static void view_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)view_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

int ev_socket_view_type_init(ev_state_t *state) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)view_dealloc},
        {Py_tp_traverse, (void *)view_traverse},
        {Py_tp_clear, (void *)view_clear},
        {Py_tp_getset, view_getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "evenloop._core.TransportSocket",
        .basicsize = sizeof(ev_socket_view_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    PyTypeObject *base = (PyTypeObject *)state->asyncio_trsock;
    if (!PyType_Check(state->asyncio_trsock) ||
        base->tp_basicsize > (Py_ssize_t)offsetof(ev_socket_view_t, sock)) {
        PyErr_SetString(PyExc_ImportError, "this Python's asyncio TransportSocket is laid out in a "
                                           "way that evenloop does not know");
        return -1;
    }
    PyObject *bases = PyTuple_Pack(1, state->asyncio_trsock);
    if (bases == NULL) {
        return -1;
    }
    state->socket_view_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, bases);
    Py_DECREF(bases);
    return state->socket_view_type == NULL ? -1 : 0;
}
