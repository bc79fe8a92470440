/* SPDX-License-Identifier: MIT */
/* The inside of a handle, for handle.c, timer_handle.c, safe_handle.c and schedule.c alone.
 *
 * A handle is an asyncio.Handle (or TimerHandle) whose slots are filled from C, with a tail of ours
 * at its end. Where the slots are is asked once, of the running Python: the layout. A handle may
 * outlive the module's state, when the garbage collector takes the interpreter apart, so it finds
 * its layout by itself, and the layout lives until the last handle has gone.
 */
#ifndef EV_HANDLE_H
#define EV_HANDLE_H

#include "threads.h"

#define EV_INLINE_ARGS 3
#define EV_SLOTS_MAX   16

typedef struct ev_handle_layout ev_handle_layout_t;

typedef enum ev_handle_kind {
    EV_HANDLE,
    EV_TIMER_HANDLE,
    EV_SAFE_HANDLE, /* 3.14+ */
    EV_HANDLE_KINDS
} ev_handle_kind_t;

/* Slots and arguments are guarded by the handle's critical section (threads.h); the rest is the
 * loop's owner's. */
typedef struct ev_handle_tail {
    el_ready_t ready; /* in the ready queue while `queued` */
    PyObject *object; /* the handle that this is the tail of */
    ev_handle_layout_t *layout;
    PyObject *args[EV_INLINE_ARGS];
    uint8_t arg_count; /* of `args`; when there are more, all are in the slot _args, as a tuple */
    uint8_t kind;      /* ev_handle_kind_t */
    EV_SHARED(bool) queued;
} ev_handle_tail_t;

typedef struct ev_timer_tail {
    el_timer_t timer;
    ev_handle_tail_t common;
} ev_timer_tail_t;

/* Who is inside a thread-safe handle, as an RLock keeps it; guarded by the critical section. */
typedef struct ev_safe_tail {
    unsigned long holder; /* a thread; 0: nobody */
    unsigned depth;
    unsigned waiter_count;
    bool gate_open;          /* released, and nobody has come through yet */
    PyThread_type_lock gate; /* what others wait at; made by the first who has to */
    ev_handle_tail_t common;
} ev_safe_tail_t;

/* A dead handle that waits to be one again: tracked by nobody, holding nothing. */
typedef struct ev_free_list {
    PyObject *first; /* linked through the slot _callback */
    uint32_t count;
    uint32_t count_max;
} ev_free_list_t;

/* What differs between the kinds. */
typedef struct ev_handle_form {
    Py_ssize_t slots[EV_SLOTS_MAX]; /* all, the base's first */
    size_t slot_count;
    Py_ssize_t weak_list; /* where the weak references hang; 0: none */
    ev_free_list_t free;
} ev_handle_form_t;

struct ev_handle_layout {
    /* Offsets of asyncio.Handle's slots, and of TimerHandle's. */
    Py_ssize_t callback, args, cancelled, loop, source_traceback, repr, context;
    Py_ssize_t scheduled, when;
    ev_handle_form_t forms[EV_HANDLE_KINDS];
    EV_SHARED(size_t) use_count; /* the module and each handle; the last one frees this */
};

/* Begins the form of a kind, derived from asyncio.Handle's if that has been read, with the slots that
 * `type` adds. 0 or -1. */
int ev_layout_read(ev_handle_layout_t *layout, ev_handle_kind_t kind, PyTypeObject *type);
Py_ssize_t ev_layout_find(PyTypeObject *type, const char *name);

static inline PyObject **ev_slot(PyObject *handle, Py_ssize_t offset) {
    return (PyObject **)((char *)handle + offset);
}

/* One of our own handles, of any kind. */
static inline bool ev_is_handle(const ev_state_t *state, PyObject *handle) {
    return Py_IS_TYPE(handle, state->handle_type) || Py_IS_TYPE(handle, state->timer_handle_type) ||
           (EV_HAS_THREADSAFE_HANDLE && Py_IS_TYPE(handle, state->safe_handle_type));
}

static inline ev_handle_tail_t *ev_handle_tail(PyObject *handle) {
    return (ev_handle_tail_t *)((char *)handle + Py_TYPE(handle)->tp_basicsize -
                                sizeof(ev_handle_tail_t));
}

static inline ev_timer_tail_t *ev_timer_tail(PyObject *handle) {
    return (ev_timer_tail_t *)((char *)handle + Py_TYPE(handle)->tp_basicsize -
                               sizeof(ev_timer_tail_t));
}

static inline ev_safe_tail_t *ev_safe_tail(PyObject *handle) {
    return (ev_safe_tail_t *)((char *)handle + Py_TYPE(handle)->tp_basicsize -
                              sizeof(ev_safe_tail_t));
}

/* A blank handle of a kind, from its free list if that has one: slots and tail hold nothing, not
 * tracked. */
PyObject *ev_handle_alloc(ev_handle_layout_t *layout, PyTypeObject *type, ev_handle_kind_t kind);

/* Fills what all kinds have, and lets the garbage collector see it. On failure the handle is let
 * go of, and -1. */
int ev_handle_fill(ev_loop_t *loop, PyObject *handle, PyObject *callback, PyObject *const *args,
                   size_t nargs, PyObject *context);

/* Runs callback(*args) in the handle's context: the result, or NULL with its exception. */
PyObject *ev_handle_call(ev_loop_t *loop, PyObject *handle);

/* Methods and attributes that the types have. */
PyObject *ev_handle_cancel_method(PyObject *self, PyObject *unused);
PyObject *ev_handle_cancelled_method(PyObject *self, PyObject *unused);
PyObject *ev_handle_run_method(PyObject *self, PyObject *unused);
PyObject *ev_handle_get_context_method(PyObject *self, PyObject *unused);
PyObject *ev_handle_get_args(PyObject *self, void *closure);
int ev_handle_set_args(PyObject *self, PyObject *value, void *closure);
PyObject *ev_handle_get_loop(PyObject *self, void *closure);
/* A new reference to what is in a slot, NULL when it is empty. Sets no exception. */
PyObject *ev_handle_read(PyObject *self, Py_ssize_t offset);
int ev_handle_traverse(PyObject *self, visitproc visit, void *arg);
int ev_handle_clear(PyObject *self);
void ev_handle_dealloc(PyObject *self);

/* timer_handle.c */
int ev_timer_handle_type_init(ev_state_t *state);
/* handle.c: empties the free lists and keeps them empty, before the types go. */
void ev_handle_types_clear(ev_state_t *state);
/* Gives up the layout, once the module goes. */
void ev_handle_layout_release(ev_state_t *state);
/* A timer handle that is not started. `when`: a float, kept as it is. */
PyObject *ev_timer_handle_new(ev_loop_t *loop, PyObject *when, PyObject *callback,
                              PyObject *const *args, size_t nargs, PyObject *context);
/* Starts it: the heap takes a reference. From another thread the loop does that in its next turn.
 * 0 or -1. */
int ev_timer_handle_start(ev_loop_t *loop, PyObject *handle, uint64_t deadline_ns);

/* safe_handle.c */
int ev_safe_handle_type_init(ev_state_t *state);
PyObject *ev_safe_handle_new(ev_loop_t *loop, PyObject *callback, PyObject *const *args,
                             size_t nargs, PyObject *context);
void ev_safe_handle_reset(PyObject *handle); /* for its dealloc */

extern const el_ready_ops_t ev_handle_ready_ops;
extern const el_ready_ops_t ev_timer_ready_ops;
extern const el_ready_ops_t ev_safe_ready_ops;

#endif
