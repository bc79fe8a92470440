/* SPDX-License-Identifier: MIT */
/* The loop: asyncio's turn on libuv.
 *
 * One turn:
 *   1. take what other threads posted; run the ready items that were queued when the turn began;
 *   2. poll (without waiting if anything is ready or a stop was asked for) and deliver
 *      input and output;
 *   3. run the timers that are due and were set before this turn began;
 * and at the end of each of the three, send what streams have gathered (stream.h).
 * docs/adr/001-the-turn.md says why.
 */

/* The lock. All of the engine's state is guarded by one lock of the owner's, in Python the
 * interpreter's: every el_ function but el_loop_post, el_loop_wake and el_now_ns is called with
 * it held. The engine gives it back only around a poll that will wait: hooks.before_block, then
 * hooks.after_block before the first upcall or state change. So a function called by mistake
 * from a foreign thread while the loop waits finds consistent state; what it asks of libuv is
 * put off and the loop is woken.
 *
 * Upcalls (ready items, timers, poll, stream and listener callbacks) may call any function of
 * the engine but el_loop_turn/run/close. An upcall that wants the run to end at once
 * (SystemExit) calls el_loop_interrupt: nothing further is delivered, what was queued stays
 * queued in order, and the next run goes on with it.
 *
 * Errors are evenshim codes. After a fork, in the child, run and turn return ES_EFORKED and only
 * el_loop_close may be called.
 */
#ifndef EVENLOOP_LOOP_H
#define EVENLOOP_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <evenloop/ready.h>
#include <evenloop/timer.h>
#include <evenshim/error.h>
#include <evenshim/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct el_hooks {
    /* Gives the lock back; the loop is about to wait. Returns false to refuse (nothing was given
     * back): the turn then polls without waiting. NULL: there is no lock. */
    bool (*before_block)(void *ctx);
    /* Takes the lock again. Called exactly once for each before_block that returned true. */
    void (*after_block)(void *ctx);
    /* Bytes that arrived at el_loop_signal_fd, one a signal, in order. Called with the lock held.
     */
    void (*signals)(void *ctx, const unsigned char *signums, size_t count);
} el_hooks_t;

/* Nanoseconds on the monotonic clock, CLOCK_MONOTONIC or QueryPerformanceCounter; any thread. */
static inline uint64_t el_now_ns(void) {
    return uv_hrtime();
}

/* Largest single read of a stream that is not streaming, and size of the loop-owned buffer. */
#define EL_READ_BUFFER_SIZE (64u * 1024u)

struct el_poll;
struct el_stream;
struct el_timer_entry;
struct el__watch;

/* What is open on a loop (streams, listeners, child watches) is linked here, so that closing the
 * loop can cut it off before the loop's memory goes. */
typedef struct el_attached el_attached_t;
struct el_attached {
    el_attached_t *next;
    el_attached_t **link; /* what points to this one; NULL: not attached */
    void (*detach)(el_attached_t *attached);
};

/* The owner reads `ctx`, `running`, `closed`, `stopping` and `ready.count`; the rest is the
 * engine's. */
struct el_loop {
    el_ready_queue_t ready;
    size_t turn_left;     /* how many of the first in `ready` still run in this turn */
    bool blocked;         /* the lock is given back right now */
    bool interrupted;     /* el_loop_interrupt was called; cleared by the next run */
    atomic_bool stopping; /* may be set without the lock, with el_loop_wake after it */
    bool running;
    bool closed;

    uint64_t phase;                 /* number of the phase that is running, 0 between phases */
    uint64_t phase_last;            /* the number given last */
    struct el_stream *gathering;    /* streams with gathered writes */
    unsigned char *read_buffer;     /* EL_READ_BUFFER_SIZE bytes */
    unsigned char *datagram_buffer; /* NULL until the first datagram endpoint */

    struct el_timer_entry *heap;
    uint32_t heap_count;
    uint32_t heap_capacity;
    uint32_t heap_cancelled;
    uint64_t timer_sequence;   /* of the next timer to be set */
    uint64_t turn_sequence;    /* timer_sequence when the turn began */
    uint64_t wait_deadline_ms; /* what wait_timer is armed for, on libuv's clock; 0: not armed */

    struct el_poll **polls; /* the registry: open addressing by descriptor */
    uint32_t polls_count;
    uint32_t polls_capacity;
    struct el_poll *polls_dirty;      /* whose interest changed since the last poll */
    struct el_poll *polls_broken;     /* which libuv would not watch: called every turn */
    struct el__watch *watches_free;   /* memory of closed handles, for the next watcher */
    struct el__watch *watches_idle;   /* retired handles, for the next watcher of a socket */
    struct el__watch *watches_ending; /* to be closed by the loop's thread */
    uint32_t watches_free_count;
    uint32_t watches_idle_count;
    /* The system's poll set may hold descriptors that nobody can take out any more: it is made anew
     * at this time. EL_NEVER: it is as it should be. */
    uint64_t polls_renew_ns;
    uint64_t polls_renewed_ns; /* when that was last done */
    uint32_t io_count;         /* what libuv watches for us now, but the wake and the signal pipe */
    uint32_t closing_count;    /* libuv handles on their way out */
    uint32_t polls_skipped;    /* turns since libuv was last asked, while io_count is 0 */

    el_attached_t *attached;
    /* the listener whose connections are being taken, while it is open */
    struct el_listener *accepting;

    _Atomic(el_ready_t *) posted; /* a stack, reversed when taken; a mark once closed */
    atomic_int posters;           /* how many calls of el_loop_post and el_loop_wake are running */
    atomic_int wake_pending;      /* the next poll must not wait */
    atomic_int waiting;           /* the poll waits or is about to: a poster must wake it */

    uv_loop_t uv;
    uv_async_t wake_async;
    uv_timer_t wait_timer; /* bounds the poll; rearmed only when the next deadline moved */

    uv_pipe_t signal_pipe;
    int signal_fd; /* write end, -1 until asked for */
    unsigned char signal_buffer[64];

    uint32_t process_generation;
    el_hooks_t hooks;
    void *ctx;
};

/* Prepares a loop in caller-owned memory. 0 or an error: nothing to clean up. hooks may be NULL;
 * it is copied. */
int el_loop_init(el_loop_t *loop, const el_hooks_t *hooks, void *ctx);

/* Closes everything that is still open on the loop: drops ready items and timers (ops->drop),
 * closes watchers (their descriptors stay open: they are the owner's). Idempotent. Not from
 * inside a turn: ES_EBUSY. */
int el_loop_close(el_loop_t *loop);

/* Turns until el_loop_stop or el_loop_interrupt. A stop asked for before the run makes exactly
 * one turn that does not wait. 0, or ES_EFORKED, or ES_EBUSY when already running. */
int el_loop_run(el_loop_t *loop);

/* One turn, waiting for at most timeout_ns when nothing is ready (EL_NEVER: as long as it takes).
 */
int el_loop_turn(el_loop_t *loop, uint64_t timeout_ns);

void el_loop_stop(el_loop_t *loop);
void el_loop_interrupt(el_loop_t *loop);

/* Queues an item for the next turn. */
static inline void el_loop_push(el_loop_t *loop, el_ready_t *item) {
    el_ready_queue_push(&loop->ready, item);
}

/* Takes a queued item back: neither its `run` nor its `drop` is called. An item that is not
 * queued is left alone. The cost grows with what is queued: for owners that go away early. */
void el_loop_unpush(el_loop_t *loop, el_ready_t *item);

/* Queues an item from any thread, without the lock, and wakes the loop. Order is kept per thread.
 * 0; ES_ECANCELED: the loop is closed, and the item is still the caller's. It may race with
 * el_loop_close, as long as the memory of the loop lives: either the item is dropped, or refused. */
int el_loop_post(el_loop_t *loop, el_ready_t *item);

/* Moves what was posted to the end of the ready queue now, so that what is pushed next comes behind
 * it. The loop does so itself when a turn begins. */
void el_loop_collect(el_loop_t *loop);

/* What was posted and not collected yet, newest first, linked by `next`; NULL: nothing. Only while
 * no other thread posts. */
const el_ready_t *el_loop_posted(const el_loop_t *loop);

/* Ends the wait of a loop that is polling, or makes its next poll not wait. Any thread; safe in a
 * signal handler. May race with el_loop_close, like el_loop_post. */
void el_loop_wake(el_loop_t *loop);

/* A descriptor of the C library (on Windows too) to which a signal handler may write one byte a
 * signal; the loop wakes and calls hooks.signals. Made on first use. 0 or an error. The write end
 * does not block on Unix. */
int el_loop_signal_fd(el_loop_t *loop, int *fd);

#ifdef __cplusplus
}
#endif
#endif
