/* SPDX-License-Identifier: MIT */
/* The transport object that StreamTransport and the pipe transports share, and the few functions
 * that cross their files.
 *
 * One struct serves all of them: what differs is the Python base class, the owner of the descriptor
 * (a socket or a pipe object) and a handful of rules of asyncio's pipe transports, marked by
 * `kind`.
 *   stream_transport.c   life: construction, the start, what the engine calls, the end
 *   transport_socket.c   the socket transport's methods and the Loop method that makes one
 *   transport_report.c   what is said about failures
 *   transport_write.c    the writing half of the Python interface
 *   socket_view.c        get_extra_info('socket')
 *   transport_extra.c    the reading half, and what can be asked: extra info, private names, repr
 *   pipe_transport.c     the pipe types
 */
#ifndef EV_STREAM_TRANSPORT_H
#define EV_STREAM_TRANSPORT_H

#include "threads.h"

/* Room for the slots of asyncio's transport classes (_extra, _loop, _protocol_paused,
 * _high_water, _low_water), with some to spare. Our own getters shadow them; the memory stays
 * empty. ev_transport_type_new checks that they fit. */
#define EV_BASE_SLOTS_MAX 8

typedef enum ev_transport_kind {
    EV_TRANSPORT_SOCKET,
    EV_TRANSPORT_READ_PIPE,
    EV_TRANSPORT_WRITE_PIPE,
    EV_TRANSPORT_DUPLEX_PIPE /* a named pipe of Windows: as a socket, but for its half-close */
} ev_transport_kind_t;

typedef struct ev_transport {
    PyObject_HEAD
    PyObject *base_slots[EV_BASE_SLOTS_MAX];
    el_stream_t stream;
    ev_state_t *state;
    ev_loop_t *loop; /* strong; NULL after connection_lost */
    ev_member_t member;
    el_ready_t start;  /* connection_made, reading, the waiter: steps of one item; later, for a read
                        * pipe, eof_received */
    el_ready_t settle; /* gives up a reference when no frame of the engine uses the stream */

    PyObject *protocol;
    PyObject *context;
    PyObject *owner;      /* the socket or pipe object; NULL once closed: _sock, _pipe */
    PyObject *owner_view; /* the same object, kept for extra info that is asked for late */
    PyObject *server;
    PyObject *waiter;
    PyObject *extra;    /* dict, made when somebody asks */
    PyObject *lost_exc; /* the exception for connection_lost that Python code gave */
    PyObject *empty_waiter;
    PyObject *dict;
    PyObject *weakrefs;

    PyObject *read_bytes; /* a streaming read in flight */
    Py_buffer read_view;  /* a BufferedProtocol's memory in flight */

    es_addr_t peer; /* of an accepted connection: made into Python's form when somebody asks */
    es_addr_t local;
    int64_t fileno;
    uint32_t dropped_writes; /* the part of _conn_lost that counts writes */
    uint8_t kind;
    uint8_t start_step;
    bool open; /* el_stream_open succeeded and the engine may still call */
    bool start_queued;
    bool buffered;          /* the protocol is a BufferedProtocol */
    EV_SHARED(bool) paused; /* pause_reading was called */
    bool started;           /* the start has begun to read */
    bool eof_written;
    bool protocol_paused; /* pause_writing was called, resume_writing not yet */
    bool in_call;         /* inside the program's call: a SystemExit of an upcall is the caller's */
    bool escaped;         /* such an exception is set */
    bool write_failed;    /* in debug mode the log says which side failed */
    bool accepted;        /* peer and local are filled */
    bool read_view_held;
    bool settling;     /* `settle` is queued */
    bool keeps_bytes;  /* the program kept the last object that a streaming read gave it */
    size_t high_water; /* as asked for; the engine has others while an empty waiter waits */
    size_t low_water;
} ev_transport_t;

/* What a new transport is made of. References are borrowed. */
typedef struct ev_transport_args {
    PyObject *owner; /* the socket or pipe object */
    PyObject *protocol;
    PyObject *waiter;  /* or NULL */
    PyObject *extra;   /* dict or NULL */
    PyObject *server;  /* or NULL */
    PyObject *context; /* or NULL: a copy of the current one */
    es_sock_t fd;
    const es_addr_t *peer; /* of an accepted connection of a known family; NULL: see extra */
    bool nodelay;
} ev_transport_args_t;

/* stream_transport.c */
extern const el_stream_ops_t ev_transport_ops;
/* A heap type over ev_transport_t deriving from one of asyncio's transport classes; name with
 * its module. */
PyTypeObject *ev_transport_type_new(ev_state_t *state, const char *name, PyMethodDef *methods,
                                    PyObject *base);
ev_transport_t *ev_transport_alloc(ev_loop_t *loop, PyTypeObject *type, ev_transport_kind_t kind,
                                   const ev_transport_args_t *args);
/* Joins the loop and queues the start. After el_stream_open. */
void ev_transport_begin(ev_transport_t *self, PyObject *waiter);
/* A started plain transport of a connected socket. New reference or NULL. */
PyObject *ev_stream_transport_new(ev_loop_t *loop, const ev_transport_args_t *args);
/* Completes a future that create_connection and its like await, unless it is cancelled; takes it. */
void ev_waiter_wake(ev_loop_t *loop, PyObject *waiter);
/* As asyncio's _UnixReadPipeTransport or _UnixWritePipeTransport, not as its socket transport. */
static inline bool ev_transport_is_one_way(const ev_transport_t *self) {
    return self->kind == EV_TRANSPORT_READ_PIPE || self->kind == EV_TRANSPORT_WRITE_PIPE;
}
/* What reading, or writing, says when it fails. */
const char *ev_transport_read_error(const ev_transport_t *self);
const char *ev_transport_write_error(const ev_transport_t *self);
/* Calls protocol.name(arg), arg may be NULL, in the connection's context, or as it is when a
 * program's call is on the stack. */
PyObject *ev_transport_call(ev_transport_t *self, PyObject *name, PyObject *arg);
int ev_transport_set_protocol(ev_transport_t *self, PyObject *protocol);
/* Makes the loop's reference fit what the engine may still do. May free self if the caller owns
 * no reference. */
void ev_transport_sync_hold(ev_transport_t *self);
/* asyncio's _force_close: exc may be NULL or None. */
void ev_transport_force_close(ev_transport_t *self, PyObject *exc);
/* asyncio's _fatal_error for the current exception, which it takes. SystemExit and
 * KeyboardInterrupt end the run, or, inside a call of the program's, stay set for the caller. */
void ev_transport_fatal(ev_transport_t *self, const char *message);
/* The same for an exception object. Never raises. */
void ev_transport_fatal_exc(ev_transport_t *self, PyObject *exc, const char *message);
/* logger.debug(format, self), or info, in debug mode. Never raises. */
void ev_transport_debug(ev_transport_t *self, const char *format);
void ev_transport_info(ev_transport_t *self, const char *format);
/* The current exception, as that of an ordinary callback `protocol.name(arg)`. Takes it. */
/* asyncio's words for an exception that leaves the last callback of a transport. */
const char *ev_transport_end_failed(const ev_transport_t *self);
void ev_transport_report_callback(ev_transport_t *self, PyObject *name, PyObject *arg);
/* Debug mode: protocol.name(arg) has returned; a warning if it took long. */
void ev_transport_watch_duration(ev_transport_t *self, PyObject *name, PyObject *arg,
                                 uint64_t began_ns);
/* logger.debug("%r: %s", self, message, exc_info=exc). Never raises. */
void ev_transport_log_os_error(ev_transport_t *self, PyObject *exc, const char *message);
/* Hands an exception to the loop's handler with transport and protocol. Never raises. */
void ev_transport_report(ev_transport_t *self, PyObject *exc, const char *message);
/* Forgets the engine: nothing is called after it. Idempotent. */
void ev_transport_detach(ev_transport_t *self);

/* transport_socket.c: the methods of StreamTransport, Loop._make_socket_transport */
extern PyMethodDef ev_loop_socket_transport_methods[];
/* Server._attach and _detach, which took no argument before 3.13. */
PyObject *ev_server_attach(PyObject *server, PyObject *transport);
PyObject *ev_server_detach(PyObject *server, PyObject *transport);

/* transport_write.c */
PyObject *ev_transport_write(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *keywords);
PyObject *ev_transport_writelines(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                  PyObject *keywords);
PyObject *ev_transport_write_eof(PyObject *op, PyObject *unused);
PyObject *ev_transport_can_write_eof(PyObject *op, PyObject *unused);
/* Tells the engine of the limits. asyncio's write pipe is resumed when its buffer is empty, whatever
 * its low mark is. May call pause_writing. */
void ev_transport_apply_limits(ev_transport_t *self);
PyObject *ev_transport_set_limits(PyObject *op, PyObject *args, PyObject *kwargs);
/* The arguments of set_write_buffer_limits, in bytes. 0, or -1 with asyncio's exception. */
int ev_read_water_marks(PyObject *args, PyObject *kwargs, size_t *high_size, size_t *low_size);
PyObject *ev_transport_get_limits(PyObject *op, PyObject *unused);
PyObject *ev_transport_get_size(PyObject *op, PyObject *unused);
PyObject *ev_transport_make_empty_waiter(PyObject *op, PyObject *unused);
PyObject *ev_transport_reset_empty_waiter(PyObject *op, PyObject *unused);
void ev_transport_on_pause_writing(el_stream_t *stream);
void ev_transport_on_resume_writing(el_stream_t *stream);
void ev_transport_empty_waiter_lost(ev_transport_t *self);

/* transport_extra.c */
extern PyGetSetDef ev_transport_getset[];
/* A new dict: what `extra` (a mapping or None) has, then socket, sockname, peername asked of a
 * socket object. */
PyObject *ev_transport_extra_new(ev_state_t *state, PyObject *sock, PyObject *extra);
bool ev_transport_is_eio(PyObject *exc);
/* Sends what is gathered, before the program looks at or touches the socket. */
void ev_transport_flush(ev_transport_t *self);
/* RuntimeError('Event loop is closed') when the engine is gone although the transport is open. 0
 * or -1. */
int ev_transport_check_open(ev_transport_t *self);
/* Methods that every kind has. */
PyObject *ev_transport_close(PyObject *op, PyObject *unused);
PyObject *ev_transport_abort(PyObject *op, PyObject *unused);
PyObject *ev_transport_py_set_protocol(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *keywords);
PyObject *ev_transport_get_protocol(PyObject *op, PyObject *unused);
PyObject *ev_transport_is_closing(PyObject *op, PyObject *unused);
PyObject *ev_transport_is_reading(PyObject *op, PyObject *unused);
PyObject *ev_transport_pause_reading(PyObject *op, PyObject *unused);
PyObject *ev_transport_resume_reading(PyObject *op, PyObject *unused);
PyObject *ev_transport_py_force_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords);
PyObject *ev_transport_py_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *ev_transport_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *ev_transport_repr(PyObject *op);
void ev_transport_finalize(PyObject *op);

#if EV_FREE_THREADED
/* For EV_GUARD_...: the loop of a transport. */
static inline ev_loop_t *const *ev_transport_field(PyObject *op) {
    return &((ev_transport_t *)op)->loop;
}
static inline int ev_transport_guard(PyObject *op, ev_guard_t *guard) {
    return ev_guard_begin_field(op, ev_transport_field(op), guard);
}
#endif

/* What other threads may not do to the transport of a running loop, and what is done for them. */
EV_GUARD_HANDED_OVER(ev_transport_guard, ev_transport_field, ev_transport_close, "close")
EV_GUARD_FAST_KEYWORDS(ev_transport_guard, ev_transport_py_set_protocol)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_get_protocol)
EV_GUARD_FAST_KEYWORDS(ev_transport_guard, ev_transport_py_force_close)
EV_GUARD_KEYWORDS(ev_transport_guard, ev_transport_py_fatal_error)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_pause_reading)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_resume_reading)
EV_GUARD_FAST_KEYWORDS(ev_transport_guard, ev_transport_write)
EV_GUARD_FAST_KEYWORDS(ev_transport_guard, ev_transport_writelines)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_write_eof)
EV_GUARD_KEYWORDS(ev_transport_guard, ev_transport_set_limits)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_get_limits)
EV_GUARD_METHOD(ev_transport_guard, ev_transport_get_size)
EV_GUARD_HANDED_OVER(ev_transport_guard, ev_transport_field, ev_transport_abort, "abort")

/* The rows that the types share. */
#define EV_COMMON_METHODS                                                                          \
    EV_METHOD_KEYWORDS("get_extra_info", ev_transport_get_extra_info, "name, default=None",        \
                       "A fact about the connection, such as 'socket' or 'peername'."),            \
        EV_METHOD_NOARGS("is_closing", ev_transport_is_closing,                                    \
                         "Whether it closes or is closed."),                                       \
        EV_METHOD_NOARGS("close", EV_OWNED(ev_transport_close),                                    \
                         "Send what is buffered, then close."),                                    \
        EV_METHOD_FAST("set_protocol", EV_OWNED(ev_transport_py_set_protocol), "protocol",         \
                       "Let another protocol take what comes."),                                   \
        EV_METHOD_NOARGS("get_protocol", EV_OWNED(ev_transport_get_protocol), "The protocol."),    \
        EV_METHOD_FAST("_force_close", EV_OWNED(ev_transport_py_force_close), "exc",               \
                       "Drop what is buffered and lose the connection for this reason."),          \
        EV_METHOD_KEYWORDS("_fatal_error", EV_OWNED(ev_transport_py_fatal_error),                  \
                           "exc, message='Fatal error on transport'",                              \
                           "Report an exception and lose the connection for it.")

#define EV_READ_METHODS                                                                            \
    EV_METHOD_NOARGS("is_reading", ev_transport_is_reading, "Whether data is delivered."),         \
        EV_METHOD_NOARGS("pause_reading", EV_OWNED(ev_transport_pause_reading),                    \
                         "Deliver nothing for now."),                                              \
        EV_METHOD_NOARGS("resume_reading", EV_OWNED(ev_transport_resume_reading),                  \
                         "Deliver data again.")

#define EV_WRITE_METHODS                                                                           \
    EV_METHOD_FAST("write", EV_OWNED(ev_transport_write), "data",                                  \
                   "Send bytes; what the system does not take yet is buffered."),                  \
        EV_METHOD_FAST("writelines", EV_OWNED(ev_transport_writelines), "list_of_data",            \
                       "Send several pieces, in their order."),                                    \
        EV_METHOD_NOARGS("write_eof", EV_OWNED(ev_transport_write_eof),                            \
                         "End the writing half, after what is buffered."),                         \
        EV_METHOD_NOARGS("can_write_eof", ev_transport_can_write_eof,                              \
                         "Whether write_eof() is there."),                                         \
        EV_METHOD_KEYWORDS("set_write_buffer_limits", EV_OWNED(ev_transport_set_limits),           \
                           "high=None, low=None", "When to pause and to resume the protocol."),    \
        EV_METHOD_NOARGS("get_write_buffer_limits", EV_OWNED(ev_transport_get_limits),             \
                         "(low, high)"),                                                           \
        EV_METHOD_NOARGS("get_write_buffer_size", EV_OWNED(ev_transport_get_size),                 \
                         "The number of bytes that the system has not taken."),                    \
        EV_METHOD_NOARGS("abort", EV_OWNED(ev_transport_abort),                                    \
                         "Drop what is buffered and close.")

static inline ev_transport_t *ev_transport_of(el_stream_t *stream) {
    return (ev_transport_t *)(void *)((char *)stream - offsetof(ev_transport_t, stream));
}

/* socket_view.c: the TransportSocket of a socket object; bind: the one in this dict of extra
 * info belongs to this transport. */
PyObject *ev_socket_view_new(ev_state_t *state, PyObject *sock);
int ev_socket_view_bind(ev_state_t *state, PyObject *extra, PyObject *transport);

/* read_bytes.c: the bytes object of a small read, and what to do with it after data_received (it
 * takes the reference). */
PyObject *ev_bytes_small(ev_loop_t *loop, const void *base, size_t size);
void ev_bytes_small_done(ev_loop_t *loop, PyObject *bytes, size_t size);
/* The same for a streaming read: memory of `size` bytes to read into; `capacity` is that size
 * again. */
PyObject *ev_bytes_streaming(ev_loop_t *loop, size_t size);
void ev_bytes_streaming_done(ev_loop_t *loop, PyObject *bytes, size_t capacity);

/* Around everything that the engine calls: nothing that the program does in between frees the
 * stream under the engine's feet. If ours has become the last reference, it is given up later,
 * by a ready item. */
static inline void ev_transport_enter(ev_transport_t *self) {
    Py_INCREF(self);
}
void ev_transport_settle(ev_transport_t *self);
static inline void ev_transport_leave(ev_transport_t *self) {
    if (EV_FREE_THREADED ? self->member.held : Py_REFCNT(self) > 1) {
        Py_DECREF(self);
    } else {
        ev_transport_settle(self);
    }
}

#endif
