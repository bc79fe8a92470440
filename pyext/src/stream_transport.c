/* SPDX-License-Identifier: MIT */
/* _core.StreamTransport: an asyncio.Transport over el_stream, from construction to connection_lost,
 * and all that the engine calls.
 *
 * It behaves as asyncio.selector_events._SelectorSocketTransport of the running Python; the
 * state machine (order, flow control, first reason wins) is the engine's. Protocol methods are
 * looked up at each call, as asyncio does, so patched ones are called; the look-up makes no
 * bound method. What would break it: touching `stream` after `open` became false, or an upcall
 * without ev_endpoint_enter and _leave around it.
 */
#include "stream_transport.h"

/* Calling the protocol ------------------------------------------------------------------------- */

/* From the engine: in the connection's context. */
static PyObject *call_in_context(ev_transport_t *self, PyObject *name, PyObject *const *stack,
                                 size_t nargs, PyObject *arg) {
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
        ev_transport_watch_duration(self, name, arg, began_ns);
    }
    return result;
}

static inline PyObject *call_protocol(ev_transport_t *self, PyObject *name, PyObject *arg) {
    /* The caller keeps the transport, and with it context and loop, but set_protocol may come
     * from inside. */
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *stack[3] = {NULL, protocol, arg};
    size_t nargs = (arg == NULL ? 1 : 2) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject *result = self->loop->depth != 0
                           ? PyObject_VectorcallMethod(name, stack + 1, nargs, NULL)
                           : call_in_context(self, name, stack + 1, nargs, arg);
    Py_DECREF(protocol);
    return result;
}

/* What a stream does as an endpoint ------------------------------------------------------------ */

static ev_transport_t *of(ev_endpoint_t *endpoint) {
    return (ev_transport_t *)(void *)endpoint;
}

static void engine_close(ev_endpoint_t *self) {
    el_stream_close(&of(self)->stream);
}

static void engine_abort(ev_endpoint_t *self) {
    el_stream_abort(&of(self)->stream, (el_reason_t){0, 0});
}

static void engine_destroy(ev_endpoint_t *self) {
    el_stream_destroy(&of(self)->stream);
}

static void read_start(ev_endpoint_t *self) {
    if (of(self)->kind != EV_TRANSPORT_WRITE_PIPE) {
        el_stream_read_start(&of(self)->stream);
    }
}

static void read_stop(ev_endpoint_t *self) {
    el_stream_read_stop(&of(self)->stream);
}

static void disown(ev_endpoint_t *self) {
    el_stream_set_owner(&of(self)->stream, NULL);
}

static bool waits(const ev_endpoint_t *endpoint) {
    const ev_transport_t *self = (const ev_transport_t *)(const void *)endpoint;
    const el_stream_t *stream = &self->stream;
    /* An idle write pipe waits, too: for the end of its reader. */
    bool reading = (stream->reading || self->kind == EV_TRANSPORT_WRITE_PIPE) && !stream->closing &&
                   !stream->eof_seen;
    return stream->lost_queued || reading || stream->queued != 0;
}

static bool is_ending(const ev_endpoint_t *endpoint) {
    return ((const ev_transport_t *)(const void *)endpoint)->stream.lost_queued;
}

static PyObject *call(ev_endpoint_t *self, PyObject *name, PyObject *arg) {
    return call_protocol(of(self), name, arg);
}

static void report_callback(ev_endpoint_t *self, PyObject *name, PyObject *arg) {
    ev_transport_report_callback(of(self), name, arg);
}

static void fatal(ev_endpoint_t *self, PyObject *exc, const char *message) {
    ev_transport_fatal(of(self), exc, message);
}

static int set_protocol(ev_endpoint_t *self, PyObject *protocol) {
    return ev_transport_set_protocol(of(self), protocol);
}

static PyObject *new_extra(ev_endpoint_t *self) {
    return ev_transport_late_extra(of(self));
}

static PyObject *repr(ev_endpoint_t *self) {
    return ev_transport_repr(of(self));
}

/* The write end of a pipe may have noticed before its start that its reader has gone: whoever waits
 * for the transport sees it open, as with asyncio, and then its end. */
static void lose_later(ev_endpoint_t *self) {
    el_ready_queue_t *queue = &self->loop->el.ready;
    el_ready_t *lost = &of(self)->stream.lost_item;
    if (self->open && is_ending(self) && el_ready_queue_remove(queue, lost) != SIZE_MAX) {
        el_ready_queue_push(queue, lost);
    }
}

/* asyncio tells the server from 3.13 on only; a server that waits for its connections would wait for
 * ever. */
static void leave_server(ev_endpoint_t *endpoint) {
    PyObject *server = of(endpoint)->server;
    if (server == NULL) {
        return;
    }
    of(endpoint)->server = NULL;
    PyObject *detached = ev_server_detach(server, (PyObject *)endpoint);
    if (detached == NULL) {
        PyErr_WriteUnraisable(server);
    }
    Py_XDECREF(detached);
    Py_DECREF(server);
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
    .woken = lose_later,
    .abandoned = leave_server,
};

/* What the engine calls ------------------------------------------------------------------------ */

/* A pipe goes on after a protocol that raises: asyncio reports that as any callback's. */
static void deliver(ev_transport_t *self, PyObject *bytes) {
    PyObject *result = call_protocol(self, self->state->str_data_received, bytes);
    if (result != NULL) {
        Py_DECREF(result);
    } else if (self->kind == EV_TRANSPORT_READ_PIPE) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), self->loop,
                                  "_UnixReadPipeTransport._read_ready", NULL);
    } else {
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal error: protocol.data_received() call failed.");
    }
}

static void on_data(el_stream_t *stream, const void *base, size_t size) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    ev_loop_t *loop = self->loop;
    PyObject *bytes = ev_bytes_small(loop, base, size);
    if (bytes != NULL) {
        deliver(self, bytes);
        ev_bytes_small_done(loop, bytes, size);
    } else {
        ev_endpoint_fatal(EV_ENDPOINT(self), ev_transport_read_error(self));
    }
    ev_endpoint_leave(EV_ENDPOINT(self));
}

/* A BufferedProtocol gave no memory to write to. asyncio asks for the length first, and what is
 * read-only fails in the read. */
static void refuse_buffer(ev_transport_t *self, PyObject *buffer) {
    PyErr_Clear();
    Py_ssize_t length = PyObject_Size(buffer);
    if (length > 0) {
        PyErr_Format(PyExc_TypeError,
                     "recv_into() argument 1 must be read-write bytes-like object, not %.200s",
                     Py_TYPE(buffer)->tp_name);
        ev_endpoint_fatal(EV_ENDPOINT(self), ev_transport_read_error(self));
        return;
    }
    if (length == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    }
    ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal error: protocol.get_buffer() call failed.");
}

/* A BufferedProtocol's own memory. Holds the view until `filled`. */
static void buffer_of_protocol(ev_transport_t *self, es_iov_t *out) {
    PyObject *hint = PyLong_FromLong(-1);
    PyObject *buffer = hint == NULL ? NULL : call_protocol(self, self->state->str_get_buffer, hint);
    Py_XDECREF(hint);
    if (buffer == NULL) {
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal error: protocol.get_buffer() call failed.");
        return;
    }
    if (PyObject_GetBuffer(buffer, &self->read_view, PyBUF_WRITABLE) < 0) {
        refuse_buffer(self, buffer);
    } else if (self->read_view.len == 0) {
        PyBuffer_Release(&self->read_view);
        refuse_buffer(self, buffer);
    } else if (!self->open || self->stream.closing || !self->stream.reading) {
        PyBuffer_Release(&self->read_view);
    } else {
        self->read_view_held = true;
        out->base = self->read_view.buf;
        out->size = (size_t)self->read_view.len;
    }
    Py_DECREF(buffer);
}

static void on_get_buffer(el_stream_t *stream, size_t size_hint, es_iov_t *out) {
    ev_transport_t *self = ev_transport_of(stream);
    out->base = NULL;
    out->size = 0;
    if (!self->buffered) {
        size_t size = size_hint == 0 ? EL_STREAMING_READ_SIZE : size_hint;
        self->read_bytes = ev_bytes_streaming(self->loop, size);
        if (self->read_bytes != NULL) {
            out->base = PyBytes_AS_STRING(self->read_bytes);
            out->size = size;
            return;
        }
        ev_endpoint_enter(EV_ENDPOINT(self));
        ev_endpoint_fatal(EV_ENDPOINT(self), ev_transport_read_error(self));
        ev_endpoint_leave(EV_ENDPOINT(self));
        return;
    }
    ev_endpoint_enter(EV_ENDPOINT(self));
    buffer_of_protocol(self, out);
    ev_endpoint_leave(EV_ENDPOINT(self));
}

/* An object of its own size for a program that keeps what it gets: large reads shrink theirs,
 * smaller ones are copied. */
static PyObject *exact_bytes(ev_transport_t *self, PyObject *bytes, size_t size) {
    size_t capacity = (size_t)PyBytes_GET_SIZE(bytes);
    if (size > capacity / 2) {
        if (size != capacity) {
            (void)_PyBytes_Resize(&bytes, (Py_ssize_t)size);
        }
        return bytes;
    }
    PyObject *copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(bytes), (Py_ssize_t)size);
    ev_bytes_streaming_done(self->loop, bytes, capacity);
    return copy;
}

/* Mostly a program has done with the bytes when data_received returns. Then one large object,
 * cut to the size of each read, serves all streaming reads without a copy, an allocation or a
 * page fault. A program that kept its object gets fitting ones from then on. */
static void filled_bytes(ev_transport_t *self, size_t size) {
    ev_loop_t *loop = self->loop;
    PyObject *bytes = self->read_bytes;
    size_t capacity = (size_t)PyBytes_GET_SIZE(bytes);
    self->read_bytes = NULL;
    if (size == 0) {
        ev_bytes_streaming_done(loop, bytes, capacity);
        return;
    }
    if (!EV_REUSES_BYTES || self->keeps_bytes) {
        bytes = exact_bytes(self, bytes, size);
        if (bytes == NULL) {
            ev_endpoint_fatal(EV_ENDPOINT(self), ev_transport_read_error(self));
            return;
        }
        deliver(self, bytes);
        self->keeps_bytes = Py_REFCNT(bytes) > 1;
        Py_DECREF(bytes);
        return;
    }
    ev_bytes_reset(bytes, size);
    deliver(self, bytes);
    self->keeps_bytes = Py_REFCNT(bytes) > 1;
    ev_bytes_streaming_done(loop, bytes, capacity);
}

static void on_filled(el_stream_t *stream, size_t size) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    if (!self->read_view_held) {
        filled_bytes(self, size);
        ev_endpoint_leave(EV_ENDPOINT(self));
        return;
    }
    self->read_view_held = false;
    PyBuffer_Release(&self->read_view);
    if (size != 0) {
        PyObject *count = PyLong_FromSize_t(size);
        PyObject *result = count == NULL
                               ? NULL
                               : call_protocol(self, self->state->str_buffer_updated, count);
        Py_XDECREF(count);
        if (result == NULL) {
            ev_endpoint_fatal(EV_ENDPOINT(self),
                              "Fatal error: protocol.buffer_updated() call failed.");
        }
        Py_XDECREF(result);
    }
    ev_endpoint_leave(EV_ENDPOINT(self));
}

static ev_transport_t *of_start(el_ready_t *item) {
    return (ev_transport_t *)(void *)((char *)item - offsetof(ev_transport_t, start));
}

/* A pipe at its end is closed whatever the protocol says: eof_received and connection_lost are two
 * callbacks, one after the other. */
static void pipe_eof_run(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ev_transport_t *self = of_start(item);
    ev_endpoint_enter(EV_ENDPOINT(self));
    self->start_queued = false;
    PyObject *result = call_protocol(self, self->state->str_eof_received, NULL);
    if (result == NULL) {
        ev_transport_report_callback(self, self->state->str_eof_received, NULL);
    }
    Py_XDECREF(result);
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
    ev_endpoint_leave(EV_ENDPOINT(self));
}

static const el_ready_ops_t pipe_eof_ops = {pipe_eof_run, ev_endpoint_start_drop};

static void end_of_pipe(ev_transport_t *self) {
    ev_endpoint_log(EV_ENDPOINT(self), "info", "%r was closed by peer");
    self->start.ops = &pipe_eof_ops;
    self->start_queued = true;
    el_loop_push(&self->loop->el, &self->start);
    el_stream_close(&self->stream);
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
}

static void on_eof(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    if (self->kind == EV_TRANSPORT_READ_PIPE) {
        end_of_pipe(self);
        ev_endpoint_leave(EV_ENDPOINT(self));
        return;
    }
    ev_endpoint_log(EV_ENDPOINT(self), "debug", "%r received EOF");
    PyObject *result = call_protocol(self, self->state->str_eof_received, NULL);
    int keep_open = result == NULL ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    if (keep_open < 0) {
        ev_endpoint_fatal(EV_ENDPOINT(self), "Fatal error: protocol.eof_received() call failed.");
    } else if (self->open && keep_open == 0) {
        el_stream_close(stream);
    }
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
    ev_endpoint_leave(EV_ENDPOINT(self));
}

static void on_drained(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    ev_endpoint_sync_hold(EV_ENDPOINT(self));
    ev_endpoint_leave(EV_ENDPOINT(self));
}

static void on_release(el_stream_t *stream, void *piece_owner) {
    (void)stream;
    Py_DECREF((PyObject *)piece_owner);
}

static PyObject *new_or_raised(PyObject *exc) {
    return exc != NULL ? exc : PyErr_GetRaisedException();
}

/* The exception for connection_lost: Python's own, or the engine's reason, or None. */
static PyObject *lost_exception(ev_transport_t *self, el_reason_t reason) {
    if (self->lost_exc != NULL) {
        return Py_NewRef(self->lost_exc);
    }
    if (reason.code == 0) {
        return Py_NewRef(Py_None);
    }
    if (self->kind == EV_TRANSPORT_WRITE_PIPE && reason.code == ES_EPIPE && reason.native == 0) {
        /* The reader has gone before it read everything; no write has failed yet. */
        return new_or_raised(PyObject_CallNoArgs(PyExc_BrokenPipeError));
    }
    PyObject *exc = new_or_raised(ev_reason_new(self->state, reason));
    self->write_failed |= self->kind == EV_TRANSPORT_WRITE_PIPE;
    ev_transport_fatal(self, exc,
                       self->write_failed ? ev_transport_write_error(self)
                                          : ev_transport_read_error(self));
    return exc;
}

/* Closes the socket or pipe object. */
static PyObject *let_go(ev_transport_t *self, PyObject *owner) {
    if (owner == NULL) {
        Py_RETURN_NONE; /* a program has taken the pipe out of its transport */
    }
    if (self->kind == EV_TRANSPORT_SOCKET && self->stream.fd == ES_SOCK_INVALID) {
        return PyObject_CallMethod(owner, "detach", NULL); /* the number is another's by now */
    }
    return PyObject_CallMethodNoArgs(owner, self->state->str_close);
}

/* asyncio's name for the last callback of such a transport. */
static const char *end_method(const ev_transport_t *self) {
    switch ((ev_transport_kind_t)self->kind) {
    case EV_TRANSPORT_READ_PIPE:
        return "_UnixReadPipeTransport._call_connection_lost";
    case EV_TRANSPORT_WRITE_PIPE:
        return "_UnixWritePipeTransport._call_connection_lost";
    case EV_TRANSPORT_DUPLEX_PIPE:
        return "_ProactorBasePipeTransport._call_connection_lost";
    case EV_TRANSPORT_SOCKET:
    default:
        return "_SelectorSocketTransport._call_connection_lost";
    }
}

/* Closes the descriptor and lets go of everybody, in asyncio's order. The caller keeps the loop. */
static void finish(ev_transport_t *self, ev_loop_t *loop, PyObject *exc) {
    PyObject *owner = self->owner;
    PyObject *server = self->server;
    self->owner = NULL;
    self->server = NULL;
    PyObject *closed = let_go(self, owner);
    if (closed == NULL) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), loop, end_method(self), exc);
    }
    Py_XDECREF(closed);
    Py_XDECREF(owner);
    ev_endpoint_forget(EV_ENDPOINT(self));
    if (server != NULL) {
        PyObject *detached = ev_server_detach(server, (PyObject *)self);
        if (detached == NULL) {
            ev_endpoint_method_failed(EV_ENDPOINT(self), loop, end_method(self), exc);
        }
        Py_XDECREF(detached);
        Py_DECREF(server);
    }
}

static void on_lost(el_stream_t *stream, el_reason_t reason) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_endpoint_enter(EV_ENDPOINT(self));
    self->open = false;
    PyObject *exc = lost_exception(self, reason);
    PyObject *result = call_protocol(self, self->state->str_connection_lost, exc);
    ev_loop_t *loop = (ev_loop_t *)Py_NewRef((PyObject *)self->loop);
    if (result == NULL) {
        ev_endpoint_method_failed(EV_ENDPOINT(self), loop, end_method(self), exc);
    }
    Py_XDECREF(result);
    Py_CLEAR(self->lost_exc);
    finish(self, loop, exc);
    Py_DECREF(exc);
    ev_transport_empty_waiter_lost(self);
    ev_member_leave(&self->member);
    /* lost is the last upcall: the engine does not touch the stream again. */
    Py_DECREF(self);
    Py_DECREF(loop);
}

const el_stream_ops_t ev_transport_ops = {
    .get_buffer = on_get_buffer,
    .filled = on_filled,
    .data = on_data,
    .eof = on_eof,
    .pause_writing = ev_transport_on_pause_writing,
    .resume_writing = ev_transport_on_resume_writing,
    .drained = on_drained,
    .lost = on_lost,
    .release = on_release,
};

/* Construction --------------------------------------------------------------------------------- */

int ev_transport_set_protocol(ev_transport_t *self, PyObject *protocol) {
    int buffered = PyObject_IsInstance(protocol, self->state->asyncio_buffered_protocol);
    if (buffered < 0) {
        return -1;
    }
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    self->buffered = buffered != 0 && !ev_transport_is_one_way(self);
    if (self->open) {
        el_stream_set_direct(&self->stream, self->buffered);
    }
    return 0;
}

ev_transport_t *ev_transport_alloc(ev_loop_t *loop, PyTypeObject *type, ev_transport_kind_t kind,
                                   const ev_transport_args_t *args) {
    /* asyncio looks it up now, to call it soon: what is no protocol is refused here. */
    if (ev_require(args->protocol, loop->state->str_connection_made) < 0) {
        return NULL;
    }
    ev_endpoint_t *endpoint = ev_endpoint_alloc(loop, type, &endpoint_ops, args->context);
    if (endpoint == NULL) {
        return NULL;
    }
    ev_transport_t *self = of(endpoint);
    self->closing = &self->stream.closing;
    self->kind = (uint8_t)kind;
    self->fileno = args->fd;
    if (ev_transport_set_protocol(self, args->protocol) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->owner_view = Py_NewRef(args->owner);
    self->extra = Py_XNewRef(args->extra);
    if (self->extra != NULL &&
        ev_socket_view_bind(self->state, self->extra, (PyObject *)self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (args->peer != NULL) {
        self->peer = *args->peer;
        self->accepted = true;
        if (es_sock_name(args->fd, &self->local) != 0) {
            self->local.size = 0;
        }
    }
    return self;
}

void ev_transport_begin(ev_transport_t *self, PyObject *waiter) {
    self->owner = Py_NewRef(self->owner_view);
    el_stream_set_direct(&self->stream, self->buffered);
    ev_endpoint_begin(EV_ENDPOINT(self), waiter);
}

PyObject *ev_stream_transport_new(ev_loop_t *loop, const ev_transport_args_t *args) {
    ev_transport_t *self = ev_transport_alloc(loop, loop->state->stream_transport_type,
                                              EV_TRANSPORT_SOCKET, args);
    if (self == NULL) {
        return NULL;
    }
    int code = el_stream_open(&self->stream, &loop->el, args->fd, &ev_transport_ops);
    if (code != 0) {
        ev_error_set(loop->state, code);
        Py_DECREF(self);
        return NULL;
    }
    if (args->server != NULL) {
        PyObject *attached = ev_server_attach(args->server, (PyObject *)self);
        if (attached == NULL) {
            el_stream_destroy(&self->stream);
            Py_DECREF(self);
            return NULL;
        }
        Py_DECREF(attached);
        self->server = Py_NewRef(args->server);
    }
    if (args->nodelay) {
        /* A socket whose peer is already gone refuses on some systems: the first read will tell. */
        (void)es_sock_set_nodelay(args->fd, 1);
    }
    el_stream_set_owner(&self->stream, self);
    ev_transport_begin(self, args->waiter);
    return (PyObject *)self;
}

/* The type ------------------------------------------------------------------------------------- */

static int transport_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_transport_t *self = (ev_transport_t *)op;
    Py_VISIT(self->owner_view);
    Py_VISIT(self->server);
    Py_VISIT(self->empty_waiter);
    return ev_endpoint_traverse(op, visit, arg);
}

static int transport_clear(PyObject *op) {
    ev_transport_t *self = (ev_transport_t *)op;
    ev_endpoint_clear(op);
    Py_CLEAR(self->owner_view);
    Py_CLEAR(self->server);
    Py_CLEAR(self->empty_waiter);
    /* Nothing reads any more: what a read was to fill is free. */
    if (self->read_view_held) {
        self->read_view_held = false;
        PyBuffer_Release(&self->read_view);
    }
    Py_CLEAR(self->read_bytes);
    return 0;
}

PyTypeObject *ev_transport_type_new(ev_state_t *state, const char *name, PyMethodDef *methods,
                                    PyObject *base) {
    const PyType_Slot slots[] = {
        {Py_tp_traverse, (void *)transport_traverse},
        {Py_tp_clear, (void *)transport_clear},
        {Py_tp_methods, methods},
        {Py_tp_getset, ev_transport_getset},
        {0, NULL},
    };
    PyObject *bases = PyTuple_Pack(1, base);
    if (bases == NULL) {
        return NULL;
    }
    PyTypeObject *type = ev_endpoint_type_new(state, name, sizeof(ev_transport_t), slots, bases);
    Py_DECREF(bases);
    return type;
}
