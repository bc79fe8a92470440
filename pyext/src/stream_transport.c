/* SPDX-License-Identifier: MIT */
/* _core.StreamTransport: an asyncio.Transport over el_stream, from construction to connection_lost,
 * and all that the engine calls.
 *
 * It behaves as asyncio.selector_events._SelectorSocketTransport of the running Python; the
 * state machine (order, flow control, first reason wins) is the engine's. Protocol methods are
 * looked up at each call, as asyncio does, so patched ones are called; the look-up makes no
 * bound method. What would break it: touching `stream` after `open` became false, or an upcall
 * without ev_transport_enter and _leave around it.
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

PyObject *ev_transport_call(ev_transport_t *self, PyObject *name, PyObject *arg) {
    return call_protocol(self, name, arg);
}

/* Living as long as the loop needs it ---------------------------------------------------------- */

void ev_transport_force_close(ev_transport_t *self, PyObject *exc) {
    if (!self->open || self->stream.lost_queued) {
        return;
    }
    if (exc != NULL && exc != Py_None && self->lost_exc == NULL) {
        self->lost_exc = Py_NewRef(exc);
    }
    el_stream_abort(&self->stream, (el_reason_t){0, 0});
    ev_transport_sync_hold(self);
}

void ev_transport_sync_hold(ev_transport_t *self) {
    const el_stream_t *stream = &self->stream;
    /* An idle write pipe waits, too: for the end of its reader. */
    bool reading = (stream->reading || self->kind == EV_TRANSPORT_WRITE_PIPE) && !stream->closing &&
                   !stream->eof_seen;
    if (stream->closing) {
        /* Whoever takes the descriptor now is not refused. */
        el_stream_set_owner(&self->stream, NULL);
    }
    /* Without the interpreter's lock the last reference may be dropped in any thread: never that of a
     * transport which the engine knows. */
    if (self->open && (EV_FREE_THREADED || self->start_queued || stream->lost_queued || reading ||
                       stream->queued != 0)) {
        ev_member_hold(&self->member);
    } else {
        ev_member_release(&self->member);
    }
}

static void settle_run(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    ev_transport_t *self = (ev_transport_t *)(void *)((char *)item -
                                                      offsetof(ev_transport_t, settle));
    self->settling = false;
    Py_DECREF(self);
}

static const el_ready_ops_t settle_ops = {settle_run, settle_run};

void ev_transport_settle(ev_transport_t *self) {
    if (self->loop == NULL || self->loop->closed || self->settling) {
        Py_DECREF(self);
        return;
    }
    self->settling = true;
    self->settle.ops = &settle_ops;
    el_loop_push(&self->loop->el, &self->settle);
}

/* Forgets the engine. Nothing is called after it. May drop the last reference but the caller's. */
void ev_transport_detach(ev_transport_t *self) {
    if (!self->open) {
        return;
    }
    self->open = false;
    if (self->start_queued) {
        el_loop_unpush(&self->loop->el, &self->start);
        self->start_queued = false;
    }
    bool closing = self->stream.closing;
    el_stream_destroy(&self->stream);
    self->stream.closing = closing;
    ev_member_leave(&self->member);
}

static void on_loop_closing(PyObject *object) {
    ev_transport_detach((ev_transport_t *)object);
}

/* The start ------------------------------------------------------------------------------------ */

void ev_waiter_wake(ev_loop_t *loop, PyObject *waiter) {
    PyObject *cancelled = PyObject_CallMethodNoArgs(waiter, loop->state->str_cancelled);
    int is_cancelled = cancelled == NULL ? -1 : PyObject_IsTrue(cancelled);
    Py_XDECREF(cancelled);
    if (is_cancelled == 0) {
        PyObject *result = PyObject_CallMethodOneArg(waiter, loop->state->str_set_result, Py_None);
        is_cancelled = result == NULL ? -1 : 0;
        Py_XDECREF(result);
    }
    if (is_cancelled < 0 && !ev_loop_take_exit(loop)) {
        ev_loop_report(loop, "Exception in callback _set_result_unless_cancelled()", NULL);
    }
    Py_DECREF(waiter);
}

/* The write end of a pipe may have noticed before its start that its reader has gone: whoever waits
 * for the transport sees it open, as with asyncio, and then its end. */
static void lose_later(ev_transport_t *self) {
    el_ready_queue_t *queue = &self->loop->el.ready;
    el_ready_t *lost = &self->stream.lost_item;
    if (self->open && self->stream.lost_queued && el_ready_queue_remove(queue, lost) != SIZE_MAX) {
        el_ready_queue_push(queue, lost);
    }
}

/* connection_made, then reading, then the waiter, as asyncio's three consecutive callbacks. A
 * SystemExit in the first leaves the run; the rest then comes with the next one. */
static void start_run(el_loop_t *el, el_ready_t *item) {
    ev_transport_t *self = (ev_transport_t *)(void *)((char *)item -
                                                      offsetof(ev_transport_t, start));
    ev_transport_enter(self);
    self->start_queued = false;
    if (self->start_step == 0) {
        self->start_step = 1;
        PyObject *result = call_protocol(self, self->state->str_connection_made, (PyObject *)self);
        if (result == NULL) {
            ev_transport_report_callback(self, self->state->str_connection_made, (PyObject *)self);
        }
        Py_XDECREF(result);
        if (el->interrupted) {
            self->start_queued = true;
            el_ready_queue_push_first(&el->ready, item);
            ev_transport_leave(self);
            return;
        }
    }
    self->started = true;
    if (self->open && !self->paused && self->kind != EV_TRANSPORT_WRITE_PIPE) {
        el_stream_read_start(&self->stream);
    }
    if (self->waiter != NULL) {
        PyObject *waiter = self->waiter;
        self->waiter = NULL;
        ev_waiter_wake(self->loop, waiter);
        lose_later(self);
    }
    ev_transport_sync_hold(self);
    ev_transport_leave(self);
}

static void start_drop(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ((ev_transport_t *)(void *)((char *)item - offsetof(ev_transport_t, start)))->start_queued =
        false;
}

static const el_ready_ops_t start_ops = {start_run, start_drop};

/* What the engine calls ------------------------------------------------------------------------ */

/* A pipe goes on after a protocol that raises: asyncio reports that as any callback's. */
static void deliver(ev_transport_t *self, PyObject *bytes) {
    PyObject *result = call_protocol(self, self->state->str_data_received, bytes);
    if (result != NULL) {
        Py_DECREF(result);
    } else if (self->kind == EV_TRANSPORT_READ_PIPE) {
        ev_transport_report_callback(self, self->state->str_data_received, bytes);
    } else {
        ev_transport_fatal(self, "Fatal error: protocol.data_received() call failed.");
    }
}

static void on_data(el_stream_t *stream, const void *base, size_t size) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_transport_enter(self);
    ev_loop_t *loop = self->loop;
    PyObject *bytes = ev_bytes_small(loop, base, size);
    if (bytes != NULL) {
        deliver(self, bytes);
        ev_bytes_small_done(loop, bytes, size);
    } else {
        ev_transport_fatal(self, ev_transport_read_error(self));
    }
    ev_transport_leave(self);
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
        ev_transport_fatal(self, ev_transport_read_error(self));
        return;
    }
    if (length == 0) {
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    }
    ev_transport_fatal(self, "Fatal error: protocol.get_buffer() call failed.");
}

/* A BufferedProtocol's own memory. Holds the view until `filled`. */
static void buffer_of_protocol(ev_transport_t *self, es_iov_t *out) {
    PyObject *hint = PyLong_FromLong(-1);
    PyObject *buffer = hint == NULL ? NULL : call_protocol(self, self->state->str_get_buffer, hint);
    Py_XDECREF(hint);
    if (buffer == NULL) {
        ev_transport_fatal(self, "Fatal error: protocol.get_buffer() call failed.");
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
        ev_transport_enter(self);
        ev_transport_fatal(self, ev_transport_read_error(self));
        ev_transport_leave(self);
        return;
    }
    ev_transport_enter(self);
    buffer_of_protocol(self, out);
    ev_transport_leave(self);
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
            ev_transport_fatal(self, ev_transport_read_error(self));
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
    ev_transport_enter(self);
    if (!self->read_view_held) {
        filled_bytes(self, size);
        ev_transport_leave(self);
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
            ev_transport_fatal(self, "Fatal error: protocol.buffer_updated() call failed.");
        }
        Py_XDECREF(result);
    }
    ev_transport_leave(self);
}

/* A pipe at its end is closed whatever the protocol says: eof_received and connection_lost are two
 * callbacks, one after the other. */
static void pipe_eof_run(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ev_transport_t *self = (ev_transport_t *)(void *)((char *)item -
                                                      offsetof(ev_transport_t, start));
    ev_transport_enter(self);
    self->start_queued = false;
    PyObject *result = call_protocol(self, self->state->str_eof_received, NULL);
    if (result == NULL) {
        ev_transport_report_callback(self, self->state->str_eof_received, NULL);
    }
    Py_XDECREF(result);
    ev_transport_sync_hold(self);
    ev_transport_leave(self);
}

static const el_ready_ops_t pipe_eof_ops = {pipe_eof_run, start_drop};

static void end_of_pipe(ev_transport_t *self) {
    ev_transport_info(self, "%r was closed by peer");
    self->start.ops = &pipe_eof_ops;
    self->start_queued = true;
    el_loop_push(&self->loop->el, &self->start);
    el_stream_close(&self->stream);
    ev_transport_sync_hold(self);
}

static void on_eof(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_transport_enter(self);
    if (self->kind == EV_TRANSPORT_READ_PIPE) {
        end_of_pipe(self);
        ev_transport_leave(self);
        return;
    }
    ev_transport_debug(self, "%r received EOF");
    PyObject *result = call_protocol(self, self->state->str_eof_received, NULL);
    int keep_open = result == NULL ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    if (keep_open < 0) {
        ev_transport_fatal(self, "Fatal error: protocol.eof_received() call failed.");
    } else if (self->open && keep_open == 0) {
        el_stream_close(stream);
    }
    ev_transport_sync_hold(self);
    ev_transport_leave(self);
}

static void on_drained(el_stream_t *stream) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_transport_enter(self);
    ev_transport_sync_hold(self);
    ev_transport_leave(self);
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
    ev_transport_fatal_exc(self, exc,
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

const char *ev_transport_end_failed(const ev_transport_t *self) {
    switch ((ev_transport_kind_t)self->kind) {
    case EV_TRANSPORT_READ_PIPE:
        return "Exception in callback _UnixReadPipeTransport._call_connection_lost()";
    case EV_TRANSPORT_WRITE_PIPE:
        return "Exception in callback _UnixWritePipeTransport._call_connection_lost()";
    case EV_TRANSPORT_DUPLEX_PIPE:
        return "Exception in callback _ProactorBasePipeTransport._call_connection_lost()";
    case EV_TRANSPORT_SOCKET:
    default:
        return "Exception in callback _SelectorTransport._call_connection_lost()";
    }
}

/* Closes the descriptor and lets go of everybody, in asyncio's order. */
static void finish(ev_transport_t *self) {
    PyObject *owner = self->owner;
    PyObject *server = self->server;
    ev_loop_t *loop = self->loop;
    self->owner = NULL;
    self->server = NULL;
    PyObject *closed = let_go(self, owner);
    if (closed == NULL && !ev_loop_take_exit(loop)) {
        ev_loop_report(loop, ev_transport_end_failed(self), NULL);
    }
    Py_XDECREF(closed);
    Py_XDECREF(owner);
    Py_CLEAR(self->protocol);
    Py_BEGIN_CRITICAL_SECTION(self); /* other threads look for the loop: threads.h */
    self->loop = NULL;
    Py_END_CRITICAL_SECTION();
    if (server != NULL) {
        PyObject *detached = ev_server_detach(server, (PyObject *)self);
        if (detached == NULL && !ev_loop_take_exit(loop)) {
            ev_loop_report(loop, ev_transport_end_failed(self), NULL);
        }
        Py_XDECREF(detached);
        Py_DECREF(server);
    }
    Py_DECREF(loop);
}

static void on_lost(el_stream_t *stream, el_reason_t reason) {
    ev_transport_t *self = ev_transport_of(stream);
    ev_transport_enter(self);
    self->open = false;
    PyObject *exc = lost_exception(self, reason);
    PyObject *result = call_protocol(self, self->state->str_connection_lost, exc);
    if (result == NULL) {
        ev_transport_report_callback(self, self->state->str_connection_lost, exc);
    }
    Py_XDECREF(result);
    Py_DECREF(exc);
    Py_CLEAR(self->lost_exc);
    ev_loop_t *loop = (ev_loop_t *)Py_NewRef((PyObject *)self->loop);
    finish(self);
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
    ev_transport_t *self = (ev_transport_t *)(void *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = loop->state;
    self->kind = (uint8_t)kind;
    self->fileno = args->fd;
    self->high_water = EL_HIGH_WATER_DEFAULT;
    self->low_water = EL_HIGH_WATER_DEFAULT / 4;
    self->context = args->context != NULL ? Py_NewRef(args->context) : PyContext_CopyCurrent();
    if (self->context == NULL || ev_transport_set_protocol(self, args->protocol) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->loop = (ev_loop_t *)Py_NewRef((PyObject *)loop);
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
    self->open = true;
    self->owner = Py_NewRef(self->owner_view);
    self->waiter = Py_XNewRef(waiter);
    el_stream_set_direct(&self->stream, self->buffered);
    ev_member_join(self->loop, &self->member, (PyObject *)self, on_loop_closing);
    self->start.ops = &start_ops;
    self->start_queued = true;
    el_loop_push(&self->loop->el, &self->start);
    ev_member_hold(&self->member);
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
    Py_VISIT(Py_TYPE(op));
    for (int i = 0; i < EV_BASE_SLOTS_MAX; i++) {
        Py_VISIT(self->base_slots[i]);
    }
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->context);
    Py_VISIT(self->owner);
    Py_VISIT(self->owner_view);
    Py_VISIT(self->server);
    Py_VISIT(self->waiter);
    Py_VISIT(self->extra);
    Py_VISIT(self->lost_exc);
    Py_VISIT(self->empty_waiter);
    Py_VISIT(self->dict);
    return 0;
}

static int transport_clear(PyObject *op) {
    ev_transport_t *self = (ev_transport_t *)op;
    ev_transport_detach(self);
    for (int i = 0; i < EV_BASE_SLOTS_MAX; i++) {
        Py_CLEAR(self->base_slots[i]);
    }
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->context);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->owner_view);
    Py_CLEAR(self->server);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->lost_exc);
    Py_CLEAR(self->empty_waiter);
    Py_CLEAR(self->dict);
    PyObject *loop = (PyObject *)self->loop;
    self->loop = NULL;
    Py_XDECREF(loop);
    return 0;
}

static void transport_dealloc(PyObject *op) {
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    ev_transport_t *self = (ev_transport_t *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->read_view_held) {
        PyBuffer_Release(&self->read_view);
    }
    Py_CLEAR(self->read_bytes);
    (void)transport_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef transport_members[] = {
    {"__dictoffset__", Py_T_PYSSIZET, offsetof(ev_transport_t, dict), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(ev_transport_t, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject *ev_transport_type_new(ev_state_t *state, const char *name, PyMethodDef *methods,
                                    PyObject *base) {
    PyTypeObject *base_type = (PyTypeObject *)base;
    if (!PyType_Check(base) ||
        base_type->tp_basicsize > (Py_ssize_t)offsetof(ev_transport_t, stream) ||
        base_type->tp_itemsize != 0) {
        PyErr_SetString(
            PyExc_ImportError,
            "this Python's asyncio transports are laid out in a way that evenloop does not know");
        return NULL;
    }
    PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)transport_dealloc},
        {Py_tp_finalize, (void *)ev_transport_finalize},
        {Py_tp_traverse, (void *)transport_traverse},
        {Py_tp_clear, (void *)transport_clear},
        {Py_tp_repr, (void *)ev_transport_repr},
        {Py_tp_methods, methods},
        {Py_tp_getset, ev_transport_getset},
        {Py_tp_members, transport_members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = name,
        .basicsize = sizeof(ev_transport_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    PyObject *bases = PyTuple_Pack(1, base);
    PyObject *type = bases == NULL ? NULL : PyType_FromModuleAndSpec(state->module, &spec, bases);
    Py_XDECREF(bases);
    return (PyTypeObject *)type;
}
