/* SPDX-License-Identifier: MIT */
/* _core.SockOp: what loop.sock_recv(...) and its kin return, a coroutine written in C.
 *
 * The first step makes the system call and, when it succeeds, ends without a future. Otherwise
 * it awaits a future of the loop that completes when the descriptor is ready, and makes the call
 * again in its own next step: an operation that is cancelled in between has taken no byte and no
 * connection. The watcher's slot is emptied only by the operation that still fills it, so a new
 * one may start before a cancelled one has noticed. No asyncio loop but the operation's own may
 * run it.
 */
#include "sock_op.h"

typedef enum op_state { OP_NEW, OP_STARTED, OP_DONE } op_state_t;

bool ev_sock_op_direct(ev_sock_op_t *self, es_sock_t *fd) {
    ev_state_t *state = self->loop->state;
    if ((PyObject *)Py_TYPE(self->sock) != state->socket_class) {
        return false;
    }
    PyObject *number = PyObject_CallMethodNoArgs(self->sock, state->str_fileno);
    long long value = number == NULL ? -1 : PyLong_AsLongLong(number);
    Py_XDECREF(number);
    if (value < 0) {
        PyErr_Clear();
        return false; /* closed: its own method says how */
    }
    *fd = (es_sock_t)value;
    return true;
}

/* Waiting -------------------------------------------------------------------------------------- */

static void empty_slot(ev_sock_op_t *self);

/* Asks a future a yes-no question. -1 with an exception. */
static int ask(PyObject *future, PyObject *name) {
    PyObject *answer = PyObject_CallMethodNoArgs(future, name);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return truth;
}

/* The socket was closed, and its number is another's by now: the operation fails where it waits. */
static PyObject *fail_orphan(ev_sock_op_t *self) {
    ev_state_t *state = self->loop->state;
    PyObject *exc = ev_error_new(state, ES_EBADF, 0);
    PyObject *result = exc == NULL
                           ? NULL
                           : PyObject_CallMethodOneArg(self->future, state->str_set_exception, exc);
    Py_XDECREF(exc);
    return result;
}

static void on_ready(el_poll_t *poll, void *ctx) {
    ev_sock_op_t *self = ctx;
    ev_loop_t *loop = self->loop;
    int done = self->future == NULL ? 1 : ask(self->future, loop->state->str_done);
    bool orphaned = el_poll_fd(poll) == ES_SOCK_INVALID;
    if (done > 0) {
        /* Cancelled, or completed and not yet resumed: the slot is filled again when the
         * operation waits again. */
        el_poll_clear(poll, self->kind->direction);
        return;
    }
    PyObject *result = NULL;
    if (done == 0) {
        result = orphaned ? fail_orphan(self)
                          : PyObject_CallMethodOneArg(self->future, loop->state->str_set_result,
                                                      Py_None);
    }
    if (result == NULL && !ev_loop_take_exit(loop)) {
        ev_loop_report(loop, "Exception in a sock_ operation's future", NULL);
    }
    Py_XDECREF(result);
}

/* Empties the slot if it is still ours. */
static void empty_slot(ev_sock_op_t *self) {
    void *ctx = NULL;
    el_poll_cb cb = el_poll_get(self->poll, self->kind->direction, &ctx);
    if (cb == on_ready && ctx == self) {
        el_poll_clear(self->poll, self->kind->direction);
    }
}

bool ev_sock_op_evict(el_poll_t *poll, el_direction_t direction) {
    if (el_poll_get(poll, direction, NULL) != on_ready) {
        return false;
    }
    el_poll_clear(poll, direction);
    return true;
}

/* What has the slot now goes: asyncio lets the later one replace the earlier. */
static int evict(ev_sock_op_t *self, PyObject *fileno) {
    el_poll_cb cb = el_poll_get(self->poll, self->kind->direction, NULL);
    if (cb == NULL || cb == on_ready) {
        return 0;
    }
    const char *name = self->kind->direction == EL_READ ? "_remove_reader" : "_remove_writer";
    PyObject *removed = ev_call_method((PyObject *)self->loop, name, fileno);
    Py_XDECREF(removed);
    return removed == NULL ? -1 : 0;
}

/* Opens the watcher at the first wait: asyncio's checks, in its order. */
static int open_watcher(ev_sock_op_t *self) {
    ev_loop_t *loop = self->loop;
    PyObject *fileno = PyObject_CallMethodNoArgs(self->sock, loop->state->str_fileno);
    PyObject *checked = fileno == NULL
                            ? NULL
                            : ev_call_method((PyObject *)loop, "_ensure_fd_no_transport", fileno);
    int failed = checked == NULL ? -1 : ev_loop_check_closed(loop);
    es_sock_t fd = ES_SOCK_INVALID;
    if (failed == 0) {
        failed = ev_fileno(loop->state, fileno, &fd);
    }
    if (failed == 0) {
        int code = el_poll_open(&loop->el, fd, &self->poll);
        if (code != 0) {
            (void)ev_error_set(loop->state, code);
            failed = -1;
        } else {
            failed = evict(self, fileno);
        }
    }
    Py_XDECREF(checked);
    Py_XDECREF(fileno);
    return failed;
}

/* The iterator that `await future` uses. */
static PyObject *await_future(PyObject *future) {
    PyAsyncMethods *async = Py_TYPE(future)->tp_as_async;
    if (async != NULL && async->am_await != NULL) {
        return async->am_await(future);
    }
    return PyObject_CallMethod(future, "__await__", NULL);
}

/* Fills the slot and makes the future. */
static int begin_wait(ev_sock_op_t *self) {
    ev_loop_t *loop = self->loop;
    PyObject *future = PyObject_CallMethod((PyObject *)loop, "create_future", NULL);
    if (future == NULL) {
        return -1;
    }
    Py_XSETREF(self->future, future);
    if (self->poll == NULL && open_watcher(self) < 0) {
        return -1;
    }
    if (ev_loop_check_closed(loop) < 0) {
        return -1;
    }
    Py_XSETREF(self->awaited, await_future(future));
    if (self->awaited == NULL) {
        return -1;
    }
    el_poll_set(self->poll, self->kind->direction, on_ready, self);
    return 0;
}

/* Steps ---------------------------------------------------------------------------------------- */

/* Ends the operation: nothing of it is left anywhere. */
static void finish(ev_sock_op_t *self) {
    self->state = OP_DONE;
    if (self->poll != NULL) {
        empty_slot(self);
        el_poll_close(self->poll);
        self->poll = NULL;
    }
    if (self->view_held) {
        self->view_held = false;
        PyBuffer_Release(&self->view);
    }
    Py_CLEAR(self->awaited);
    Py_CLEAR(self->future);
    Py_CLEAR(self->args[0]);
    Py_CLEAR(self->args[1]);
    Py_CLEAR(self->sock);
}

/* asyncio's checks of the socket, before anything is tried. */
static int check_socket(ev_sock_op_t *self) {
    ev_loop_t *loop = self->loop;
    if ((PyObject *)Py_TYPE(self->sock) != loop->state->socket_class) {
        PyObject *base_events = PyImport_ImportModule("asyncio.base_events");
        PyObject *checked = base_events == NULL
                                ? NULL
                                : ev_call_method(base_events, "_check_ssl_socket", self->sock);
        Py_XDECREF(base_events);
        if (checked == NULL) {
            return -1;
        }
        Py_DECREF(checked);
    }
    if (!loop->debug) {
        return 0;
    }
    PyObject *timeout = PyObject_CallMethodNoArgs(self->sock, loop->state->str_gettimeout);
    PyObject *zero = timeout == NULL ? NULL : PyLong_FromLong(0);
    int blocking = zero == NULL ? -1 : PyObject_RichCompareBool(timeout, zero, Py_NE);
    Py_XDECREF(zero);
    Py_XDECREF(timeout);
    if (blocking > 0) {
        PyErr_SetString(PyExc_ValueError, "the socket must be non-blocking");
    }
    return blocking == 0 ? 0 : -1;
}

/* Tries until done, or waits. PYGEN_NEXT with what the task must wait for. */
static PySendResult try_or_wait(ev_sock_op_t *self, PyObject **result) {
    switch (self->kind->attempt(self, result)) {
    case EV_ATTEMPT_DONE:
        return PYGEN_RETURN;
    case EV_ATTEMPT_FAILED:
        return PYGEN_ERROR;
    case EV_ATTEMPT_AGAIN:
    default:
        break;
    }
    if (begin_wait(self) < 0) {
        return PYGEN_ERROR;
    }
    return PyIter_Send(self->awaited, Py_None, result);
}

static PySendResult resume(ev_sock_op_t *self, PyObject *value, PyObject **result) {
    if (self->state == OP_NEW) {
        if (value != Py_None) {
            PyErr_SetString(PyExc_TypeError,
                            "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        self->state = OP_STARTED;
        return check_socket(self) < 0 ? PYGEN_ERROR : try_or_wait(self, result);
    }
    PySendResult sent = PyIter_Send(self->awaited, value, result);
    if (sent != PYGEN_RETURN) {
        return sent;
    }
    Py_CLEAR(*result);
    Py_CLEAR(self->awaited);
    Py_CLEAR(self->future);
    return try_or_wait(self, result);
}

static PySendResult send_here(ev_sock_op_t *self, PyObject *value, PyObject **result) {
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return PYGEN_ERROR;
    }
    if (self->state == OP_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    bool was_new = self->state == OP_NEW;
    self->running = true;
    PySendResult sent = resume(self, value, result);
    self->running = false;
    if (sent == PYGEN_NEXT || (was_new && self->state == OP_NEW)) {
        return sent;
    }
    PyObject *exc = sent == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    finish(self);
    if (exc != NULL) {
        PyErr_SetRaisedException(exc);
    }
    return sent;
}

static PySendResult op_send(PyObject *op, PyObject *value, PyObject **result) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    *result = NULL;
#if EV_FREE_THREADED
    ev_guard_t guard;
    if (ev_guard_begin_field(op, &self->loop, &guard) < 0) {
        return PYGEN_ERROR;
    }
    PySendResult sent = send_here(self, value, result);
    ev_guard_end(&guard);
    return sent;
#else
    return send_here(self, value, result);
#endif
}

/* StopIteration(value): by hand, since a tuple or an exception as value would be taken apart. */
static void stop_with(PyObject *value) {
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    Py_DECREF(value);
}

static PyObject *op_iternext(PyObject *op) {
    PyObject *result;
    PySendResult sent = op_send(op, Py_None, &result);
    if (sent != PYGEN_RETURN) {
        return result;
    }
    if (result == Py_None) {
        Py_DECREF(result);
    } else {
        stop_with(result);
    }
    return NULL;
}

static PyObject *op_py_send(PyObject *op, PyObject *value) {
    PyObject *result;
    PySendResult sent = op_send(op, value, &result);
    if (sent != PYGEN_RETURN) {
        return result;
    }
    stop_with(result);
    return NULL;
}

/* Sets the exception that throw() was given, in either of its forms. */
static void set_thrown(PyObject *type, PyObject *value, PyObject *traceback) {
    PyObject *exc = NULL;
    if (PyExceptionInstance_Check(type)) {
        exc = Py_NewRef(type);
    } else if (!PyExceptionClass_Check(type)) {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from BaseException, not %s",
                     Py_TYPE(type)->tp_name);
    } else if (value != NULL && PyObject_TypeCheck(value, (PyTypeObject *)type)) {
        exc = Py_NewRef(value);
    } else if (value == NULL || value == Py_None) {
        exc = PyObject_CallNoArgs(type);
    } else {
        exc = PyTuple_Check(value) ? PyObject_Call(type, value, NULL)
                                   : PyObject_CallOneArg(type, value);
    }
    if (exc == NULL) {
        return;
    }
    if (traceback != NULL && traceback != Py_None && PyException_SetTraceback(exc, traceback) < 0) {
        Py_DECREF(exc);
        return;
    }
    PyErr_SetRaisedException(exc);
}

static PyObject *op_throw(PyObject *op, PyObject *args) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback)) {
        return NULL;
    }
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return NULL;
    }
    if (self->state == OP_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    finish(self);
    set_thrown(type, value, traceback);
    return NULL;
}

static PyObject *op_close(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    if (self->running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return NULL;
    }
    finish(self);
    Py_RETURN_NONE;
}

static PyObject *op_await(PyObject *op) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    if (self->state == OP_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    return Py_NewRef(op);
}

static PyObject *op_repr(PyObject *op) {
    return PyUnicode_FromFormat("<coroutine object %s at %p>", ((ev_sock_op_t *)op)->kind->qualname,
                                op);
}

/* The attributes that a debugger, asyncio's repr of a task and inspect look at. */
typedef enum attribute {
    CR_NAME,
    CR_QUALNAME,
    CR_RUNNING,
    CR_SUSPENDED,
    CR_AWAIT,
    CR_NOTHING
} attribute_t;

static PyObject *get_attribute(PyObject *op, void *closure) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    switch ((attribute_t)(uintptr_t)closure) {
    case CR_NAME:
        return PyUnicode_FromString(self->kind->signature.method);
    case CR_QUALNAME:
        return PyUnicode_FromString(self->kind->qualname);
    case CR_RUNNING:
        return PyBool_FromLong(self->running);
    case CR_SUSPENDED:
        return PyBool_FromLong(self->state == OP_STARTED && !self->running);
    case CR_AWAIT:
        return Py_NewRef(self->awaited == NULL ? Py_None : self->awaited);
    case CR_NOTHING:
    default:
        Py_RETURN_NONE;
    }
}

static PyGetSetDef op_getset[] = {
    {"__name__", get_attribute, NULL, NULL, (void *)CR_NAME},
    {"__qualname__", get_attribute, NULL, NULL, (void *)CR_QUALNAME},
    {"cr_running", get_attribute, NULL, NULL, (void *)CR_RUNNING},
    {"cr_suspended", get_attribute, NULL, NULL, (void *)CR_SUSPENDED},
    {"cr_await", get_attribute, NULL, NULL, (void *)CR_AWAIT},
    {"cr_frame", get_attribute, NULL, NULL, (void *)CR_NOTHING},
    {"cr_code", get_attribute, NULL, NULL, (void *)CR_NOTHING},
    {"cr_origin", get_attribute, NULL, NULL, (void *)CR_NOTHING},
    {NULL, NULL, NULL, NULL, NULL},
};

#if EV_FREE_THREADED
static int op_guard(PyObject *op, ev_guard_t *guard) {
    return ev_guard_begin_field(op, &((ev_sock_op_t *)op)->loop, guard);
}
#endif
EV_GUARD_METHOD(op_guard, op_throw)
EV_GUARD_METHOD(op_guard, op_close)

static PyMethodDef op_methods[] = {
    {"send", op_py_send, METH_O, PyDoc_STR("send($self, value, /)\n--\n\nRun the next step.")},
    {"throw", EV_OWNED(op_throw), METH_VARARGS,
     PyDoc_STR("Raise an exception in the operation, which ends it.")},
    {"close", EV_OWNED(op_close), METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nEnd the operation.")},
    {NULL, NULL, 0, NULL},
};

/* Life ----------------------------------------------------------------------------------------- */

static int op_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->args[0]);
    Py_VISIT(self->args[1]);
    Py_VISIT(self->future);
    Py_VISIT(self->awaited);
    if (self->view_held) {
        Py_VISIT(self->view.obj);
    }
    return 0;
}

static int op_clear(PyObject *op) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    finish(self);
    Py_CLEAR(self->loop);
    return 0;
}

#if EV_FREE_THREADED
static void end_item(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ev_sock_op_t *self = (ev_sock_op_t *)(void *)((char *)item - offsetof(ev_sock_op_t, end));
    finish(self);
    Py_DECREF(self);
}

static const el_ready_ops_t end_ops = {end_item, end_item};

/* An operation that is dropped while it waits is still in the hands of its loop. If another thread
 * drops it, it lives on until the loop has let go of it in its next turn. */
static void end_waiting(ev_sock_op_t *self) {
    for (;;) {
        ev_ownership_t ownership = ev_own(self->loop);
        if (ownership != EV_REFUSED) {
            finish(self);
            ev_disown(self->loop, ownership);
            return;
        }
        self->end.ops = &end_ops;
        Py_INCREF(self);
        if (el_loop_post(&self->loop->el, &self->end) == 0) {
            return;
        }
        Py_DECREF(self); /* closed just now: it can be owned as soon as that is done */
    }
}
#endif

static void op_finalize(PyObject *op) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
#if EV_FREE_THREADED
    if (self->poll != NULL) {
        end_waiting(self);
        return;
    }
#endif
    if (self->state != OP_NEW) {
        return;
    }
    self->state = OP_DONE;
    PyObject *current = PyErr_GetRaisedException();
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited",
                         self->kind->qualname) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}

static void op_dealloc(PyObject *op) {
    ev_sock_op_t *self = (ev_sock_op_t *)op;
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)op_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef op_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(ev_sock_op_t, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* _socket.socket.family: a plain int, where socket.socket.family makes an enum of it. */
static PyObject *family_descriptor(void) {
    PyObject *module = PyImport_ImportModule("_socket");
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "socket");
    PyObject *descriptor = type == NULL ? NULL : PyObject_GetAttrString(type, "family");
    Py_XDECREF(type);
    Py_XDECREF(module);
    if (descriptor != NULL && Py_TYPE(descriptor)->tp_descr_get == NULL) {
        PyErr_SetString(PyExc_ImportError, "_socket.socket.family is no descriptor");
        Py_CLEAR(descriptor);
    }
    return descriptor;
}

int ev_sock_op_type_init(ev_state_t *state) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)op_dealloc},
        {Py_tp_finalize, (void *)op_finalize},
        {Py_tp_traverse, (void *)op_traverse},
        {Py_tp_clear, (void *)op_clear},
        {Py_tp_repr, (void *)op_repr},
        {Py_tp_iter, (void *)PyObject_SelfIter},
        {Py_tp_iternext, (void *)op_iternext},
        {Py_am_await, (void *)op_await},
        {Py_am_send, (void *)op_send},
        {Py_tp_methods, op_methods},
        {Py_tp_getset, op_getset},
        {Py_tp_members, op_members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "evenloop._core.SockOp",
        .basicsize = sizeof(ev_sock_op_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    state->socket_family = family_descriptor();
    if (state->socket_family == NULL) {
        return -1;
    }
    state->sock_op_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec, NULL);
    return state->sock_op_type == NULL ? -1 : 0;
}

/* The loop's methods --------------------------------------------------------------------------- */

static PyObject *new_op(PyObject *op, const ev_sock_kind_t *kind, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *keywords) {
    ev_loop_t *loop = (ev_loop_t *)op;
    PyObject *places[EV_NAMES_MAX] = {NULL};
    if (ev_bind(&kind->signature, args, nargs, keywords, places) < 0) {
        return NULL;
    }
    PyTypeObject *type = loop->state->sock_op_type;
    ev_sock_op_t *self = (ev_sock_op_t *)(void *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->kind = kind;
    self->loop = (ev_loop_t *)Py_NewRef(op);
    self->sock = Py_NewRef(places[0]);
    self->args[0] = Py_XNewRef(places[1]);
    self->args[1] = Py_XNewRef(places[2]);
    return (PyObject *)self;
}

#define METHOD(name)                                                                               \
    static PyObject *name(PyObject *op, PyObject *const *args, Py_ssize_t nargs,                   \
                          PyObject *keywords) {                                                    \
        return new_op(op, &ev_##name##_kind, args, nargs, keywords);                               \
    }
METHOD(sock_recv)
METHOD(sock_recv_into)
METHOD(sock_recvfrom)
METHOD(sock_recvfrom_into)
METHOD(sock_sendall)
METHOD(sock_sendto)
METHOD(sock_accept)
#undef METHOD

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

PyMethodDef ev_loop_sock_methods[] = {
    {"sock_recv", FAST(sock_recv),
     PyDoc_STR("sock_recv($self, sock, n)\n--\n\nReceive up to n bytes.")},
    {"sock_recv_into", FAST(sock_recv_into),
     PyDoc_STR("sock_recv_into($self, sock, buf)\n--\n\nReceive into a writable buffer; the number "
               "of bytes.")},
    {"sock_recvfrom", FAST(sock_recvfrom),
     PyDoc_STR("sock_recvfrom($self, sock, bufsize)\n--\n\nReceive a datagram: (bytes, address).")},
    {"sock_recvfrom_into", FAST(sock_recvfrom_into),
     PyDoc_STR("sock_recvfrom_into($self, sock, buf, nbytes=0)\n--\n\nReceive a datagram into a "
               "buffer: (size, address).")},
    {"sock_sendall", FAST(sock_sendall),
     PyDoc_STR("sock_sendall($self, sock, data)\n--\n\nSend all of a buffer.")},
    {"sock_sendto", FAST(sock_sendto),
     PyDoc_STR(
         "sock_sendto($self, sock, data, address)\n--\n\nSend a datagram; the number of bytes.")},
    {"sock_accept", FAST(sock_accept),
     PyDoc_STR(
         "sock_accept($self, sock)\n--\n\nAccept a connection: (non-blocking socket, address).")},
    {NULL, NULL, 0, NULL},
};
