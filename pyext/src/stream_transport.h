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
 *   transport_extra.c    what can be asked of it: extra info, private names, repr
 *   pipe_transport.c     the pipe types
 */
#ifndef EV_STREAM_TRANSPORT_H
#define EV_STREAM_TRANSPORT_H

#include "endpoint.h"

typedef enum ev_transport_kind {
    EV_TRANSPORT_SOCKET,
    EV_TRANSPORT_READ_PIPE,
    EV_TRANSPORT_WRITE_PIPE,
    EV_TRANSPORT_DUPLEX_PIPE /* a named pipe of Windows: as a socket, but for its half-close */
} ev_transport_kind_t;

typedef struct ev_transport {
    EV_ENDPOINT_HEAD /* for a read pipe `start` later tells of its end */
        el_stream_t stream;
    PyObject *owner_view; /* the owner, kept for extra info that is asked for late */
    PyObject *server;
    PyObject *empty_waiter;

    PyObject *read_bytes; /* a streaming read in flight */
    Py_buffer read_view;  /* a BufferedProtocol's memory in flight */

    es_addr_t peer; /* of an accepted connection: made into Python's form when somebody asks */
    es_addr_t local;
    uint8_t kind;
    bool buffered; /* the protocol is a BufferedProtocol */
    bool eof_written;
    bool protocol_paused; /* pause_writing was called, resume_writing not yet */
    bool write_failed;    /* in debug mode the log says which side failed */
    bool accepted;        /* peer and local are filled */
    bool read_view_held;
    bool keeps_bytes; /* the program kept the last object that a streaming read gave it */
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
/* After el_stream_open: the transport has its owner, joins the loop and starts. */
void ev_transport_begin(ev_transport_t *self, PyObject *waiter);
/* A started plain transport of a connected socket. New reference or NULL. */
PyObject *ev_stream_transport_new(ev_loop_t *loop, const ev_transport_args_t *args);
/* As asyncio's _UnixReadPipeTransport or _UnixWritePipeTransport, not as its socket transport. */
static inline bool ev_transport_is_one_way(const ev_transport_t *self) {
    return self->kind == EV_TRANSPORT_READ_PIPE || self->kind == EV_TRANSPORT_WRITE_PIPE;
}
/* What reading, or writing, says when it fails. */
const char *ev_transport_read_error(const ev_transport_t *self);
const char *ev_transport_write_error(const ev_transport_t *self);
int ev_transport_set_protocol(ev_transport_t *self, PyObject *protocol);
/* asyncio's _fatal_error. Never raises. */
void ev_transport_fatal(ev_transport_t *self, PyObject *exc, const char *message);
/* The current exception, as that of an ordinary callback `protocol.name(arg)`. Takes it. */
void ev_transport_report_callback(ev_transport_t *self, PyObject *name, PyObject *arg);
/* Debug mode: protocol.name(arg) has returned; a warning if it took long. */
void ev_transport_watch_duration(ev_transport_t *self, PyObject *name, PyObject *arg,
                                 uint64_t began_ns);
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
/* The same for a transport that has no dict yet. */
PyObject *ev_transport_late_extra(ev_transport_t *self);
/* Sends what is gathered, before the program looks at or touches the socket. */
void ev_transport_flush(ev_transport_t *self);
PyObject *ev_transport_repr(ev_transport_t *self);
EV_GUARD_FAST_KEYWORDS(ev_endpoint_guard, ev_transport_write)
EV_GUARD_FAST_KEYWORDS(ev_endpoint_guard, ev_transport_writelines)
EV_GUARD_METHOD(ev_endpoint_guard, ev_transport_write_eof)
EV_GUARD_KEYWORDS(ev_endpoint_guard, ev_transport_set_limits)
EV_GUARD_METHOD(ev_endpoint_guard, ev_transport_get_size)

/* The rows of the types that write. */
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
        EV_METHOD_NOARGS("get_write_buffer_size", EV_OWNED(ev_transport_get_size),                 \
                         "The number of bytes that the system has not taken."),                    \
        EV_ENDPOINT_WRITE_METHODS

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

#endif
