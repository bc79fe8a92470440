/* SPDX-License-Identifier: MIT */
/* What all transport objects are, whatever engine object they drive: the head of their structs, and
 * what is done to it.
 *
 * A transport is Python's half of a stream or a datagram endpoint of the engine. This half lives as
 * the program and the loop need it, starts by calling connection_made, closes, and answers asyncio's
 * public and private names. What would break it: a struct that does not begin with EV_ENDPOINT_HEAD,
 * touching the engine's half after `open` became false, or an upcall of the engine without
 * ev_endpoint_enter and _leave around it.
 */
#ifndef EV_ENDPOINT_H
#define EV_ENDPOINT_H

#include "threads.h"

/* Room for the slots of asyncio's transport classes (_extra, _loop, _protocol_paused,
 * _high_water, _low_water), with some to spare. Our own getters shadow them; the memory stays
 * empty. ev_endpoint_type_new checks that they fit. */
#define EV_BASE_SLOTS_MAX 8

typedef struct ev_endpoint ev_endpoint_t;

/* What the kinds do differently. The functions of the engine are called while `open` only. */
typedef struct ev_endpoint_ops {
    void (*engine_close)(ev_endpoint_t *self);
    void (*engine_abort)(ev_endpoint_t *self);
    void (*engine_destroy)(ev_endpoint_t *self);
    void (*read_start)(ev_endpoint_t *self);
    void (*read_stop)(ev_endpoint_t *self);
    /* Whoever takes the descriptor from now on is not refused. */
    void (*disown)(ev_endpoint_t *self);
    /* Whether the system has yet to do something, so that the engine will call. */
    bool (*waits)(const ev_endpoint_t *self);
    /* Whether the engine is about to call for the last time. */
    bool (*is_ending)(const ev_endpoint_t *self);
    /* protocol.name(arg) in the endpoint's context, or as it is when a program's call is on the
     * stack; arg may be NULL. */
    PyObject *(*call)(ev_endpoint_t *self, PyObject *name, PyObject *arg);
    /* The current exception, as that of an ordinary callback `protocol.name(arg)`. Takes it. */
    void (*report_callback)(ev_endpoint_t *self, PyObject *name, PyObject *arg);
    /* asyncio's _fatal_error. Never raises. */
    void (*fatal)(ev_endpoint_t *self, PyObject *exc, const char *message);
    int (*set_protocol)(ev_endpoint_t *self, PyObject *protocol);
    /* A new dict of extra info, for an endpoint that has none. */
    PyObject *(*new_extra)(ev_endpoint_t *self);
    PyObject *(*repr)(ev_endpoint_t *self);
    /* NULL, or: whoever waits for the start has just been woken. */
    void (*woken)(ev_endpoint_t *self);
    /* NULL, or: the program has lost it unclosed, and its socket was closed just now. */
    void (*abandoned)(ev_endpoint_t *self);
} ev_endpoint_ops_t;

#define EV_ENDPOINT_HEAD                                                                           \
    PyObject_HEAD                                                                                  \
    PyObject *base_slots[EV_BASE_SLOTS_MAX];                                                       \
    const ev_endpoint_ops_t *ops;                                                                  \
    ev_state_t *state;                                                                             \
    ev_loop_t *loop; /* strong; NULL after connection_lost */                                      \
    ev_member_t member;                                                                            \
    el_ready_t start;  /* connection_made, reading, the waiter: steps of one item */               \
    el_ready_t settle; /* gives up a reference when no frame of the engine uses the endpoint */    \
    PyObject *protocol;                                                                            \
    PyObject *context;                                                                             \
    PyObject *owner; /* the socket or pipe object; NULL once closed: _sock, _pipe */               \
    PyObject *waiter;                                                                              \
    PyObject *extra;    /* dict, or NULL until somebody asks */                                    \
    PyObject *lost_exc; /* the exception for connection_lost that Python code gave */              \
    PyObject *dict;                                                                                \
    PyObject *weakrefs;                                                                            \
    int64_t fileno;                                                                                \
    size_t high_water; /* as asked for */                                                          \
    size_t low_water;                                                                              \
    atomic_bool *closing;   /* the engine's; true also when the loop was closed under it */        \
    uint32_t dropped;       /* the part of _conn_lost that counts what was sent too late */        \
    uint8_t start_step;     /* how much of the start has been done */                              \
    EV_SHARED(bool) paused; /* pause_reading was called */                                         \
    bool open;              /* the engine has its half and may still call */                       \
    bool start_queued;                                                                             \
    bool started;  /* the start has begun to read */                                               \
    bool in_call;  /* inside the program's call: a SystemExit of an upcall is the caller's */      \
    bool escaped;  /* such an exception is set */                                                  \
    bool settling; /* `settle` is queued */

struct ev_endpoint {
    EV_ENDPOINT_HEAD
};

#define EV_ENDPOINT(transport) ((ev_endpoint_t *)(transport))

/* Life ----------------------------------------------------------------------------------------- */

/* The head of a new object of `type`, without owner and extra info. NULL with an exception. The
 * struct's own part is zero. */
ev_endpoint_t *ev_endpoint_alloc(ev_loop_t *loop, PyTypeObject *type, const ev_endpoint_ops_t *ops,
                                 PyObject *context);
/* The engine has its half: joins the loop and queues the start. waiter may be NULL. */
void ev_endpoint_begin(ev_endpoint_t *self, PyObject *waiter);
/* What a dropped `start` comes to, whatever its item was to do. */
void ev_endpoint_start_drop(el_loop_t *el, el_ready_t *item);
/* Makes the loop's reference fit what the engine may still do. May free self if the caller owns
 * no reference. */
void ev_endpoint_sync_hold(ev_endpoint_t *self);
/* Forgets the engine: nothing is called after it. Idempotent. */
void ev_endpoint_detach(ev_endpoint_t *self);
/* Lets go of protocol and loop, after connection_lost. */
void ev_endpoint_forget(ev_endpoint_t *self);
/* asyncio's _force_close: exc may be NULL or None. */
void ev_endpoint_force_close(ev_endpoint_t *self, PyObject *exc);
/* asyncio's _fatal_error for the current exception, which it takes. SystemExit and
 * KeyboardInterrupt end the run, or, inside a call of the program's, stay set for the caller. */
void ev_endpoint_fatal(ev_endpoint_t *self, const char *message);
/* Calls protocol.pause_writing or resume_writing; `message`: what is reported when it fails. */
void ev_endpoint_notify(ev_endpoint_t *self, PyObject *name, const char *message);
/* Hands the current exception to the loop's handler with transport and protocol. Takes it. */
void ev_endpoint_report(ev_endpoint_t *self, const char *message);
/* The current exception, as that of a callback of the loop which in asyncio is this method of the
 * transport's class, called with `arg` or, if that is NULL, with nothing. Takes it. */
void ev_endpoint_method_failed(ev_endpoint_t *self, ev_loop_t *loop, const char *qualname,
                               PyObject *arg);
/* RuntimeError('Event loop is closed') when the engine is gone although the transport is open. 0
 * or -1. */
int ev_endpoint_check_open(ev_endpoint_t *self);
/* logger.debug(format, self), or info, in debug mode. Never raises. */
void ev_endpoint_log(ev_endpoint_t *self, const char *level, const char *format);
/* The dict of extra info, made now if it was not before. New reference; NULL with an exception. */
PyObject *ev_endpoint_extra(ev_endpoint_t *self);
/* Completes a future that create_connection and its like await, unless it is cancelled; takes it. */
void ev_waiter_wake(ev_loop_t *loop, PyObject *waiter);

/* Around everything that the engine calls: nothing that the program does in between frees the
 * engine's half under its feet. If ours has become the last reference, it is given up later, by a
 * ready item. */
void ev_endpoint_settle(ev_endpoint_t *self);
static inline void ev_endpoint_enter(ev_endpoint_t *self) {
    Py_INCREF(self);
}
static inline void ev_endpoint_leave(ev_endpoint_t *self) {
    if (EV_FREE_THREADED ? self->member.held : Py_REFCNT(self) > 1) {
        Py_DECREF(self);
    } else {
        ev_endpoint_settle(self);
    }
}

/* The type ------------------------------------------------------------------------------------- */

int ev_endpoint_traverse(PyObject *op, visitproc visit, void *arg);
void ev_endpoint_clear(PyObject *op); /* detaches first */
/* A heap type that derives from `bases`, a tuple of asyncio's transport classes; name with its
 * module. `own`: slots beside those that all endpoints share (tp_clear and tp_traverse among
 * them). */
#define EV_ENDPOINT_SLOTS_MAX 8
PyTypeObject *ev_endpoint_type_new(ev_state_t *state, const char *name, size_t size,
                                   const PyType_Slot *own, PyObject *bases);

/* Methods of all kinds ------------------------------------------------------------------------- */

PyObject *ev_endpoint_close(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_abort(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_py_force_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *keywords);
PyObject *ev_endpoint_py_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs);
PyObject *ev_endpoint_py_set_protocol(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords);
PyObject *ev_endpoint_get_protocol(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_is_closing(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_is_reading(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_pause_reading(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_resume_reading(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_get_limits(PyObject *op, PyObject *unused);
PyObject *ev_endpoint_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs);

/* Private names of all kinds: what `closure` of ev_endpoint_get says. */
typedef enum ev_endpoint_name {
    EV_NAME_LOOP,
    EV_NAME_OWNER,
    EV_NAME_FILENO,
    EV_NAME_PROTOCOL,
    EV_NAME_EXTRA,
    EV_NAME_CLOSING,
    EV_NAME_PAUSED,
    EV_NAME_HIGH_WATER,
    EV_NAME_LOW_WATER,
    EV_NAME_OF_KIND /* the first of a kind's own */
} ev_endpoint_name_t;

PyObject *ev_endpoint_get(PyObject *op, void *closure);
int ev_endpoint_set_extra(PyObject *op, PyObject *value, void *closure);
int ev_endpoint_set_protocol(PyObject *op, PyObject *value, void *closure);
static inline PyObject *ev_new_or_none(PyObject *value) {
    return Py_NewRef(value == NULL ? Py_None : value);
}

#if EV_FREE_THREADED
/* For EV_GUARD_...: the loop of an endpoint. */
static inline ev_loop_t *const *ev_endpoint_field(PyObject *op) {
    return &((ev_endpoint_t *)op)->loop;
}
static inline int ev_endpoint_guard(PyObject *op, ev_guard_t *guard) {
    return ev_guard_begin_field(op, ev_endpoint_field(op), guard);
}
#endif

/* What other threads may not do to the transport of a running loop, and what is done for them. */
EV_GUARD_HANDED_OVER(ev_endpoint_guard, ev_endpoint_field, ev_endpoint_close, "close")
EV_GUARD_HANDED_OVER(ev_endpoint_guard, ev_endpoint_field, ev_endpoint_abort, "abort")
EV_GUARD_FAST_KEYWORDS(ev_endpoint_guard, ev_endpoint_py_set_protocol)
EV_GUARD_METHOD(ev_endpoint_guard, ev_endpoint_get_protocol)
EV_GUARD_FAST_KEYWORDS(ev_endpoint_guard, ev_endpoint_py_force_close)
EV_GUARD_KEYWORDS(ev_endpoint_guard, ev_endpoint_py_fatal_error)
EV_GUARD_METHOD(ev_endpoint_guard, ev_endpoint_pause_reading)
EV_GUARD_METHOD(ev_endpoint_guard, ev_endpoint_resume_reading)
EV_GUARD_METHOD(ev_endpoint_guard, ev_endpoint_get_limits)
EV_GUARD_GETTER(ev_endpoint_guard, ev_endpoint_get)
EV_GUARD_SETTER(ev_endpoint_guard, ev_endpoint_set_protocol)

/* The rows that the types share. */
#define EV_ENDPOINT_METHODS                                                                        \
    EV_METHOD_KEYWORDS("get_extra_info", ev_endpoint_get_extra_info, "name, default=None",         \
                       "A fact about the connection, such as 'socket' or 'peername'."),            \
        EV_METHOD_NOARGS("is_closing", ev_endpoint_is_closing, "Whether it closes or is closed."), \
        EV_METHOD_NOARGS("close", EV_OWNED(ev_endpoint_close),                                     \
                         "Send what is buffered, then close."),                                    \
        EV_METHOD_FAST("set_protocol", EV_OWNED(ev_endpoint_py_set_protocol), "protocol",          \
                       "Let another protocol take what comes."),                                   \
        EV_METHOD_NOARGS("get_protocol", EV_OWNED(ev_endpoint_get_protocol), "The protocol."),     \
        EV_METHOD_FAST("_force_close", EV_OWNED(ev_endpoint_py_force_close), "exc",                \
                       "Drop what is buffered and lose the connection for this reason."),          \
        EV_METHOD_KEYWORDS("_fatal_error", EV_OWNED(ev_endpoint_py_fatal_error),                   \
                           "exc, message='Fatal error on transport'",                              \
                           "Report an exception and lose the connection for it.")

#define EV_ENDPOINT_READ_METHODS                                                                   \
    EV_METHOD_NOARGS("is_reading", ev_endpoint_is_reading, "Whether data is delivered."),          \
        EV_METHOD_NOARGS("pause_reading", EV_OWNED(ev_endpoint_pause_reading),                     \
                         "Deliver nothing for now."),                                              \
        EV_METHOD_NOARGS("resume_reading", EV_OWNED(ev_endpoint_resume_reading),                   \
                         "Deliver data again.")

#define EV_ENDPOINT_WRITE_METHODS                                                                  \
    EV_METHOD_NOARGS("get_write_buffer_limits", EV_OWNED(ev_endpoint_get_limits), "(low, high)"),  \
        EV_METHOD_NOARGS("abort", EV_OWNED(ev_endpoint_abort), "Drop what is buffered and close.")

#define EV_ENDPOINT_GETTER(name, which)                                                            \
    { name, EV_OWNED(ev_endpoint_get), NULL, NULL, (void *)(which) }

#define EV_ENDPOINT_GETSET                                                                         \
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},                    \
        EV_ENDPOINT_GETTER("_loop", EV_NAME_LOOP), EV_ENDPOINT_GETTER("_sock_fd", EV_NAME_FILENO), \
        {"_protocol", EV_OWNED(ev_endpoint_get), EV_OWNED(ev_endpoint_set_protocol), NULL,         \
         (void *)EV_NAME_PROTOCOL},                                                                \
        {"_extra", EV_OWNED(ev_endpoint_get), ev_endpoint_set_extra, NULL, (void *)EV_NAME_EXTRA}, \
        EV_ENDPOINT_GETTER("_closing", EV_NAME_CLOSING),                                           \
        EV_ENDPOINT_GETTER("_paused", EV_NAME_PAUSED),                                             \
        EV_ENDPOINT_GETTER("_high_water", EV_NAME_HIGH_WATER),                                     \
        EV_ENDPOINT_GETTER("_low_water", EV_NAME_LOW_WATER)

#endif
