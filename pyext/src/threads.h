/* SPDX-License-Identifier: MIT */
/* Who may touch a loop: on builds without the interpreter's lock, the thread that owns it.
 *
 * With the lock, every function of this module runs under it and everything here vanishes. Without
 * it (free-threaded CPython), a loop has an owner: the thread that runs it, from the first turn to
 * the last; or, while it does not run, whatever thread is inside one of its methods. The owner
 * alone touches the engine and what a loop, a transport, a listener holds; it takes no lock for
 * that. What other threads do:
 *   - read flags and the clock (is_running, is_closed, get_debug, time, is_closing, repr): atomics;
 *   - hand over work: call_soon, call_soon_threadsafe, call_later, call_at, stop, a transport's
 *     close() and abort() go through el_loop_post;
 *   - anything else on a running loop is refused with the RuntimeError that asyncio's debug mode
 *     has for it, before anything is touched.
 * What more than one thread may touch (a handle's slots, a transport's extra info, a view's socket)
 * is under the object's critical section.
 *
 * For a new type: name its methods EV_OWNED(function) in its method table, with one EV_GUARD_ line
 * above it for each; let the loop hold the object while the engine may call it (member.c), so that
 * its last reference is never dropped elsewhere; if that can't be, hand its end over in tp_finalize
 * as sock_op.c does. Py_REFCNT(x) == 1 tells nothing here. docs/adr/006-threads.md says why.
 */
#ifndef EV_THREADS_H
#define EV_THREADS_H

#include "core.h"

typedef enum ev_ownership {
    EV_REFUSED = -1, /* the loop is running in another thread */
    EV_OWNED,        /* it was this thread's already */
    EV_TAKEN,        /* give it back with ev_disown */
} ev_ownership_t;

#if EV_FREE_THREADED

static inline bool ev_owns(const ev_loop_t *loop) {
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) == PyThread_get_thread_ident();
}

/* Makes the loop this thread's; waits while another thread is inside a method of a loop that does
 * not run. Sets no exception. */
ev_ownership_t ev_own(ev_loop_t *loop);
void ev_disown(ev_loop_t *loop, ev_ownership_t ownership);
/* asyncio's RuntimeError for a call from the wrong thread. Returns -1. */
int ev_refuse_thread(void);

/* What a guarded method works under. */
typedef struct ev_guard {
    ev_loop_t *loop; /* a strong reference, or NULL */
    ev_ownership_t ownership;
} ev_guard_t;

/* 0, or -1 with an exception. */
int ev_guard_begin_loop(PyObject *loop, ev_guard_t *guard);
/* `field`: where an object keeps its loop (under the object's critical section), which may be NULL:
 * then the object has no more to do with an engine. */
int ev_guard_begin_field(PyObject *object, ev_loop_t *const *field, ev_guard_t *guard);
void ev_guard_end(ev_guard_t *guard);

#define EV_GUARD_WITH(begin, result, name, parameters, arguments, failure)                         \
    static inline result name##_owned parameters {                                                 \
        ev_guard_t guard;                                                                          \
        if (begin(op, &guard) < 0) {                                                               \
            return failure;                                                                        \
        }                                                                                          \
        result returned = name arguments;                                                          \
        ev_guard_end(&guard);                                                                      \
        return returned;                                                                           \
    }
#define EV_OWNED(name) name##_owned

/* The answer to a call from the wrong thread that can wait: the loop, which `field` points to, calls
 * object.method() in its next turn. Takes the current exception. New reference to None, or NULL. */
PyObject *ev_call_elsewhere(PyObject *object, ev_loop_t *const *field, const char *method);

/* The same for repr: what does not change. */
PyObject *ev_repr_elsewhere(PyObject *object, int64_t fileno);

#define EV_GUARD_HANDED_OVER(begin, field, name, method)                                           \
    static inline PyObject *name##_owned(PyObject *op, PyObject *unused) {                         \
        ev_guard_t guard;                                                                          \
        if (begin(op, &guard) < 0) {                                                               \
            return ev_call_elsewhere(op, field(op), method);                                       \
        }                                                                                          \
        PyObject *returned = name(op, unused);                                                     \
        ev_guard_end(&guard);                                                                      \
        return returned;                                                                           \
    }

#else /* one lock guards everything */

static inline bool ev_owns(const ev_loop_t *loop) {
    (void)loop;
    return true;
}

static inline ev_ownership_t ev_own(ev_loop_t *loop) {
    (void)loop;
    return EV_OWNED;
}

static inline void ev_disown(ev_loop_t *loop, ev_ownership_t ownership) {
    (void)loop;
    (void)ownership;
}

#define EV_GUARD_WITH(begin, result, name, parameters, arguments, failure)
#define EV_GUARD_HANDED_OVER(begin, field, name, method)
#define EV_OWNED(name) name

#endif

/* Queues an item for the next turn, from any thread. 0; -1 with 'Event loop is closed', and the item
 * is still the caller's: another thread closed it just now. */
static inline int ev_loop_queue(ev_loop_t *loop, el_ready_t *item) {
#if EV_FREE_THREADED
    if (!ev_owns(loop)) {
        return el_loop_post(&loop->el, item) == 0 ? 0 : ev_loop_refuse(loop);
    }
    el_loop_collect(&loop->el); /* what other threads queued before this comes first */
    el_loop_push(&loop->el, item);
#else
    el_loop_push(&loop->el, item);
    if (loop->el.blocked) {
        el_loop_wake(&loop->el); /* called from another thread */
    }
#endif
    return 0;
}

/* EV_GUARD_HANDED_OVER is for a METH_NOARGS method that other threads may call all the same, because
 * nobody waits for its effect: they have the loop call `method`, its name.
 *
 * The guarded form of a method with two parameters (METH_NOARGS, METH_O, METH_VARARGS), with
 * keywords, and of the two METH_FASTCALL kinds; of a getter and a setter. `begin`: finds the loop of
 * the object `op`, like ev_guard_begin_loop. No semicolon follows. */
#define EV_GUARD_METHOD(begin, name)                                                               \
    EV_GUARD_WITH(begin, PyObject *, name, (PyObject * op, PyObject * arg), (op, arg), NULL)
#define EV_GUARD_KEYWORDS(begin, name)                                                             \
    EV_GUARD_WITH(begin, PyObject *, name, (PyObject * op, PyObject * args, PyObject * kwargs),    \
                  (op, args, kwargs), NULL)
#define EV_GUARD_FAST(begin, name)                                                                 \
    EV_GUARD_WITH(begin, PyObject *, name,                                                         \
                  (PyObject * op, PyObject *const *args, Py_ssize_t nargs), (op, args, nargs),     \
                  NULL)
#define EV_GUARD_FAST_KEYWORDS(begin, name)                                                        \
    EV_GUARD_WITH(begin, PyObject *, name,                                                         \
                  (PyObject * op, PyObject *const *args, Py_ssize_t nargs, PyObject *keywords),    \
                  (op, args, nargs, keywords), NULL)
#define EV_GUARD_GETTER(begin, name)                                                               \
    EV_GUARD_WITH(begin, PyObject *, name, (PyObject * op, void *closure), (op, closure), NULL)
#define EV_GUARD_SETTER(begin, name)                                                               \
    EV_GUARD_WITH(begin, int, name, (PyObject * op, PyObject * value, void *closure),              \
                  (op, value, closure), -1)

#endif
