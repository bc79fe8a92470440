/* SPDX-License-Identifier: MIT */
/* What the files of the extension module share: the module state, the loop object, and the few
 * helpers that every type needs.
 *
 * One module state per interpreter, heap types only, no static Python objects and no other static
 * data that changes: sub-interpreters, with a GIL of their own too, share nothing. A hot path
 * reaches the state through the loop object that it holds anyway. Which thread may touch what is in
 * threads.h: read it before you add a type or a method.
 */
#ifndef EV_CORE_H
#define EV_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <evenloop/child.h>
#include <evenloop/listener.h>
#include <evenloop/loop.h>
#include <evenloop/stream.h>
#include <evenshim/error.h>
#include <evenshim/process.h>
#include <evenshim/socket.h>

#include "compat.h"

typedef struct ev_state ev_state_t;
typedef struct ev_loop ev_loop_t;

/* Interned attribute names and keywords: one row makes the field `str_NAME` and its string. */
/* clang-format off */
#define EV_STRINGS(row)                                                                           \
    row(_callback) row(_args) row(_cancelled) row(_loop) row(_source_traceback) row(_repr)        \
    row(_context) row(_when) row(_scheduled) row(call_exception_handler) row(connection_made)     \
    row(connection_lost) row(data_received) row(eof_received) row(get_buffer)                     \
    row(buffer_updated) row(pause_writing) row(resume_writing) row(message) row(exception)        \
    row(handle) row(transport) row(protocol) row(context) row(socket) row(sockname)               \
    row(peername) row(fileno) row(close) row(family) row(type) row(proto) row(getsockname)        \
    row(gettimeout) row(_attach) row(_detach) row(source_traceback) row(_timer_handle_cancelled)  \
    row(set_result) row(set_exception) row(done) row(cancelled) row(_asyncio_future_blocking)     \
    row(write) row(run) row(feed_data) row(_force_close) row(_current_handle) row(_run)           \
    row(slow_callback_duration) row(_transports) row(_signal_handlers) row(is_closing)            \
    row(_process_self_data) row(get) row(datagram_received) row(error_received)
/* clang-format on */

struct ev_state {
    PyObject *module;
    /* our types (strong) */
    PyTypeObject *loop_type;
    PyTypeObject *handle_type;
    PyTypeObject *timer_handle_type;
    PyTypeObject *safe_handle_type; /* 3.14+; else NULL */
    PyTypeObject *child_watch_type;
    PyTypeObject *stream_transport_type;
    PyTypeObject *pipe_transport_type;
    PyTypeObject *write_pipe_transport_type;
    PyTypeObject *datagram_transport_type;
    PyTypeObject *duplex_pipe_transport_type;
    PyTypeObject *socket_view_type;
    PyTypeObject *listener_type;
    PyTypeObject *sock_op_type;
    PyTypeObject *lock_file_type;
    PyTypeObject *held_lock_type;
    PyTypeObject *lock_monitor_type;
    PyTypeObject *lock_request_type;
    /* asyncio's (strong) */
    PyObject *asyncio_handle;
    PyObject *asyncio_timer_handle;
    PyObject *asyncio_threadsafe_handle; /* 3.14+; else NULL */
    PyObject *asyncio_transport;
    PyObject *asyncio_buffered_protocol;
    PyObject *asyncio_trsock;        /* asyncio.trsock.TransportSocket */
    PyObject *asyncio_selector_loop; /* asyncio.selector_events.BaseSelectorEventLoop */
    PyObject *asyncio_logger;
    PyObject *asyncio_helpers; /* asyncio.format_helpers */
    PyObject *cancelled_error;
    PyObject *socket_class; /* socket.socket */
    /* sock_op.c: the descriptor of _socket.socket.family, a plain int */
    PyObject *socket_family;
    /* evenloop._support: what C calls of ours in Python (texts, debug, rare paths) */
    PyObject *python;
    PyObject *empty_tuple;
    PyObject *set_wakeup_fd; /* signal.set_wakeup_fd, the function in C */
#define EV_FIELD(name) PyObject *str_##name;
    EV_STRINGS(EV_FIELD)
#undef EV_FIELD
    /* handle.c: where asyncio.Handle keeps its slots, and the free list */
    struct ev_handle_layout *handle_layout;
};

ev_state_t *ev_state_of(PyObject *module);
/* The state of the module that made this type, or one of its bases; NULL with an exception. Not for
 * hot paths. */
ev_state_t *ev_state_of_type(PyTypeObject *type);

/* member.c: an object that the engine may call: a transport, a listener. While `held` the loop owns
 * a reference to it (it reads, or has something to deliver), and the garbage collector sees that
 * reference through the loop. */
typedef struct ev_member {
    struct ev_member *next;
    struct ev_member **link; /* what points at this one; NULL: not on a loop */
    PyObject *object;        /* borrowed; an own reference while `held` */
    bool held;
    /* forget the engine, it is about to close; the member has left the list already */
    void (*loop_closing)(PyObject *object);
} ev_member_t;

struct ev_loop {
    PyObject_HEAD
    el_loop_t el;
    ev_state_t *state;
    PyObject *module;                    /* whose state it is: given up last */
    PyThreadState *blocked_thread_state; /* saved while the lock is given back */
    /* of the running thread (PyThread_get_thread_ident), 0 when not running; any thread reads it */
    EV_SHARED(unsigned long) thread_id;
#if EV_FREE_THREADED
    _Atomic(unsigned long) owner; /* threads.h: the thread that may touch the rest; 0: nobody's */
    atomic_bool runs;             /* the owner runs the loop */
#endif
    /* Python frames of ours on the stack: >0 means a context is entered already */
    unsigned depth;
    EV_SHARED(bool) debug;
    EV_SHARED(bool) initialised; /* el is open */
    /* loop._stopping: stays until the run's end has been tidied up */
    EV_SHARED(bool) stop_asked;
    /* close() was called; the engine may still be open for a moment */
    EV_SHARED(bool) closed;
    /* runs in the main thread of the main interpreter: signals are watched while waiting */
    bool signals_main;
    int signal_fd; /* el_loop_signal_fd, -1 until needed */
    /* signal.set_wakeup_fd's, put back after each wait; -1: none */
    int user_wakeup_fd;
    uint32_t generation; /* es_process_generation when the loop was made */
    /* wakeup.h: bounds the waits while a user's wakeup descriptor can't be replaced */
    el_timer_t slice;
    /* an exception that leaves the run: SystemExit, KeyboardInterrupt, a signal handler's */
    PyObject *exit;
    /* loop._transports: Python transports by descriptor (a WeakValueDictionary), or NULL */
    PyObject *transports;
    /* read_bytes.c: a bytes object that nobody else refers to, or NULL */
    PyObject *spare_bytes;
    size_t spare_capacity; /* bytes that fit into it */
    /* the same for streaming reads, EL_STREAMING_READ_SIZE long */
    PyObject *streaming_bytes;
    ev_member_t *members;      /* see member.c */
    struct ev_watch *watches;  /* watch.c: all readers and writers */
    struct ev_child *children; /* watch_child.c: all that are not closed */
};

/* The loop that an engine loop is embedded in. */
static inline ev_loop_t *ev_loop_of(el_loop_t *el) {
    return (ev_loop_t *)((char *)el - offsetof(ev_loop_t, el));
}

/* -- loop.c ------------------------------------------------------------------------------------ */

/* Raises what ev_loop_check_closed found. Returns -1. */
int ev_loop_refuse(ev_loop_t *self);

/* 0, or -1 with RuntimeError('Event loop is closed'), or with RuntimeError in a forked child. */
static inline int ev_loop_check_closed(ev_loop_t *self) {
    if (self->closed || self->generation != es_process_generation()) {
        return ev_loop_refuse(self);
    }
    return 0;
}

/* An upcall from the engine into Python: enters `context` (NULL, or when a context of ours is
 * entered already: calls as it is), calls, leaves. New reference or NULL with an exception. */
PyObject *ev_loop_call(ev_loop_t *self, PyObject *context, PyObject *callable,
                       PyObject *const *args, size_t nargs);

/* Ends the run with the current exception, whatever it is; the first one wins. Without a run it is
 * reported as unraisable. */
void ev_loop_exit(ev_loop_t *self);

/* Takes the current exception. SystemExit and KeyboardInterrupt end the run with it, and true is
 * returned; anything else stays set and false is returned: the caller reports it in asyncio's
 * way. */
bool ev_loop_take_exit(ev_loop_t *self);

/* Calls loop.call_exception_handler({'message': ..., 'exception': current exception, extra...}) by
 * attribute look-up, after ev_loop_take_exit. Clears the exception. `extra`: dict or NULL. */
void ev_loop_report(ev_loop_t *self, const char *message, PyObject *extra);

/* -- member.c ---------------------------------------------------------------------------------- */

void ev_member_join(ev_loop_t *loop, ev_member_t *member, PyObject *object,
                    void (*loop_closing)(PyObject *object));
void ev_member_leave(ev_member_t *member); /* idempotent; gives up the hold */
void ev_member_hold(ev_member_t *member);
void ev_member_release(ev_member_t *member); /* may free the object */
/* For the loop: its tp_traverse; and, before el_loop_close, from close() and from dealloc. */
int ev_members_traverse(ev_loop_t *loop, visitproc visit, void *arg);
void ev_members_close(ev_loop_t *loop);

/* object.name(arg), where PyObject_CallMethod(..., "O", arg) would take a tuple apart. */
static inline PyObject *ev_call_method(PyObject *object, const char *name, PyObject *arg) {
    PyObject *method = PyObject_GetAttrString(object, name);
    PyObject *result = method == NULL ? NULL : PyObject_CallOneArg(method, arg);
    Py_XDECREF(method);
    return result;
}

/* Whether there is such an attribute: 0, or -1 with its AttributeError. */
static inline int ev_require(PyObject *object, PyObject *name) {
    PyObject *value = PyObject_GetAttr(object, name);
    Py_XDECREF(value);
    return value == NULL ? -1 : 0;
}

/* -- errors.c ---------------------------------------------------------------------------------- */

/* The OSError of the right subclass for an evenshim code: errno and asyncio's (English) text,
 * .winerror on Windows. New reference. */
PyObject *ev_error_new(ev_state_t *state, int code, uint32_t native);
/* Sets it; returns NULL. */
PyObject *ev_error_set(ev_state_t *state, int code);
/* Adds the module's functions that are about errors. 0 or -1. */
int ev_error_functions_init(PyObject *module);
static inline PyObject *ev_reason_new(ev_state_t *state, el_reason_t reason) {
    return ev_error_new(state, reason.code, reason.native);
}

/* -- address.c --------------------------------------------------------------------------------- */

/* The Python form of an address as the socket module gives it: ('127.0.0.1', 80), ('::1', 80, 0,
 * 0), 'path' or b'\0abstract'; '' for a unix socket without a name. */
PyObject *ev_address_new(const es_addr_t *addr);
/* The system's form of an internet address as the socket module takes it. Only what cannot mean
 * anything else: an exact tuple of an exact str, a numeric host, and exact ints. false, without an
 * exception: everything else (host names, paths, mistakes), which is left to the socket object, so
 * that its rules and its errors stay the running Python's. */
bool ev_address_read(int family, PyObject *address, es_addr_t *to);
/* The descriptor of an int or an object with fileno(); ValueError texts as in selectors ('Invalid
 * file object: ...', 'Invalid file descriptor: ...'). 0 or -1. */
int ev_fileno(ev_state_t *state, PyObject *fileobj, es_sock_t *fd);
/* The same, where a negative number is an answer: that of a closed socket. */
int ev_fileno_signed(ev_state_t *state, PyObject *fileobj, Py_ssize_t *fd);

/* -- arguments.c ------------------------------------------------------------------------------- */

#define EV_NAMES_MAX 3

/* What a method in C takes after self, as the Python function that it stands for says it. */
typedef struct ev_signature {
    const char *owner; /* asyncio's class, as its errors name it */
    const char *method;
    const char *names[EV_NAMES_MAX];
    uint8_t required; /* of the names; the others may be missing */
    uint8_t count;
    bool rest;           /* *args may follow */
    const char *keyword; /* one argument by name only, or NULL */
} ev_signature_t;

/* Sorts the arguments of a vectorcall: values[i] is that of names[i], values[count] that of
 * `keyword`, borrowed, NULL where none was given. 0 or -1 with Python's TypeError. */
int ev_bind(const ev_signature_t *signature, PyObject *const *args, Py_ssize_t nargs,
            PyObject *keywords, PyObject **values);

/* The argument of a method that takes one; NULL with TypeError. */
static inline PyObject *ev_bind_one(const ev_signature_t *signature, PyObject *const *args,
                                    Py_ssize_t nargs, PyObject *keywords) {
    PyObject *value;
    if (nargs == 1 && keywords == NULL) {
        return args[0];
    }
    return ev_bind(signature, args, nargs, keywords, &value) < 0 ? NULL : value;
}

/* Rows of method tables whose parameters inspect.signature() shows. */
#define EV_METHOD(function) (PyCFunction)(void (*)(void))(function)
#define EV_METHOD_NOARGS(name, function, doc)                                                      \
    { name, function, METH_NOARGS, PyDoc_STR(name "($self)\n--\n\n" doc) }
#define EV_METHOD_FAST(name, function, parameters, doc)                                            \
    {                                                                                              \
        name, EV_METHOD(function), METH_FASTCALL | METH_KEYWORDS,                                  \
            PyDoc_STR(name "($self, " parameters ")\n--\n\n" doc)                                  \
    }
#define EV_METHOD_KEYWORDS(name, function, parameters, doc)                                        \
    {                                                                                              \
        name, EV_METHOD(function), METH_VARARGS | METH_KEYWORDS,                                   \
            PyDoc_STR(name "($self, " parameters ")\n--\n\n" doc)                                  \
    }

/* types: each makes its heap type and stores it in the state; 0 or -1 */
int ev_loop_type_init(ev_state_t *state);
int ev_handle_types_init(ev_state_t *state);
int ev_stream_transport_type_init(ev_state_t *state);
int ev_pipe_transport_type_init(ev_state_t *state);
int ev_datagram_transport_type_init(ev_state_t *state);
int ev_pipe_constants_init(PyObject *module); /* the PIPE_ constants of _make_pipe_transport */
int ev_listener_type_init(ev_state_t *state);
int ev_socket_view_type_init(ev_state_t *state);
int ev_sock_op_type_init(ev_state_t *state);
/* coroutine_method.c: makes the loop type's sock_* say that they are coroutine functions */
int ev_coroutine_methods_init(ev_state_t *state);
int ev_child_watch_type_init(ev_state_t *state);
int ev_file_lock_types_init(ev_state_t *state); /* and the functions of file_lock.c */

/* Methods that other files add to the Loop type (NULL-terminated): readers and writers, sock_*,
 * transports. */
/* loop_run.c: _run_turns _run_once stop _process_signals ... */
extern PyMethodDef ev_loop_run_methods[];
/* schedule.c: call_soon call_later call_at call_soon_threadsafe _add_callback ... */
extern PyMethodDef ev_loop_schedule_methods[];
/* watch.c: add_reader remove_reader add_writer remove_writer _add_reader _remove_reader _add_writer
 * _remove_writer _ensure_fd_no_transport */
extern PyMethodDef ev_loop_watch_methods[];
extern PyMethodDef ev_loop_child_methods[]; /* watch_child.c: _watch_child */
/* sock_op.c: sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto
 * sock_accept */
extern PyMethodDef ev_loop_sock_methods[];
/* transport_socket.c: _make_socket_transport */
extern PyMethodDef ev_loop_socket_transport_methods[];
extern PyMethodDef ev_loop_datagram_methods[]; /* datagram_transport.c: _make_datagram_transport */
extern PyMethodDef ev_loop_listener_methods[]; /* listener.c: _start_listener _stop_listener */
extern PyMethodDef ev_loop_pipe_transport_methods[]; /* pipe_transport.c: _make_pipe_transport */

/* -- watch.c ----------------------------------------------------------------------------------- */

/* The handles that readers and writers hold, for the garbage collector. */
int ev_watch_traverse(ev_loop_t *self, visitproc visit, void *arg);
/* Lets go of all readers and writers, before the engine is closed. */
void ev_watch_clear(ev_loop_t *self);

/* -- watch_child.c ----------------------------------------------------------------------------- */

int ev_child_traverse(ev_loop_t *self, visitproc visit, void *arg);
void ev_child_clear(ev_loop_t *self);

/* -- loop_run.c -------------------------------------------------------------------------------- */

extern const el_hooks_t ev_loop_hooks;

/* -- schedule.c -------------------------------------------------------------------------------- */

/* Snapshots of the ready queue and of the timers, as lists of handles. */
PyObject *ev_schedule_ready(ev_loop_t *self);
PyObject *ev_schedule_timers(ev_loop_t *self);
int ev_schedule_traverse(ev_loop_t *self, visitproc visit, void *arg);

/* -- handle.c ---------------------------------------------------------------------------------- */

/* A handle for callback(*args) in `context` (NULL: a copy of the current one), not scheduled. New
 * reference. */
PyObject *ev_handle_new(ev_loop_t *loop, PyObject *callback, PyObject *const *args, size_t nargs,
                        PyObject *context);
/* Queues it for the next turn (the queue takes its own reference), from any thread. 0; -1 when the
 * loop was closed meanwhile by another thread, which takes a build without a GIL. */
int ev_handle_schedule(ev_loop_t *loop, PyObject *handle);
/* Runs a handle now (its callback in its context; errors in asyncio's way; slow-callback warning in
 * debug mode). Cancelled: no effect. */
void ev_handle_run(ev_loop_t *loop, PyObject *handle);
bool ev_handle_is_cancelled(ev_loop_t *loop, PyObject *handle);
/* Handle.cancel(), from any thread. */
int ev_handle_cancel(ev_loop_t *loop, PyObject *handle);

#endif
