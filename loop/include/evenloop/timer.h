/* SPDX-License-Identifier: MIT */
/* Timers: a 4-ary heap of caller-owned items over one uv_timer_t.
 *
 * A timer never fires before its deadline. Equal deadlines fire in the order in which they were
 * set. Cancelling is lazy: the entry stays in the heap, marked, until it surfaces or until more
 * than half of a heap of more than 100 entries is cancelled; then they are swept: in the turn,
 * or by an el_timer_start that would else have to make the heap grow. A cancelled timer's `drop`
 * is called when its entry leaves the heap; the memory must live until then. Thread: the loop's
 * lock.
 */
#ifndef EVENLOOP_TIMER_H
#define EVENLOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <evenloop/ready.h>

/* A deadline that never comes: an infinite delay. */
#define EL_NEVER UINT64_MAX

/* When due, a timer becomes its `ready` item and runs in this turn's timer phase (ops->run),
 * after having left the heap. */
typedef struct el_timer {
    el_ready_t ready;
    uint64_t deadline_ns; /* on the clock of el_now_ns */
    bool scheduled;       /* in the heap */
    bool cancelled;
} el_timer_t;

/* Puts an idle timer into the heap. 0 or ES_ENOMEM (nothing changed). ops may not be NULL;
 * deadline EL_NEVER is legal. May call `drop` of timers cancelled before. */
int el_timer_start(el_loop_t *loop, el_timer_t *timer, uint64_t deadline_ns,
                   const el_ready_ops_t *ops);

/* Cancels; idempotent. If the timer is in the heap, ops->drop is called later, when the entry
 * leaves it, never from inside this call. If it already left the heap to run in this turn,
 * ops->run is still called: the owner checks its own cancelled mark. */
void el_timer_cancel(el_loop_t *loop, el_timer_t *timer);

/* Shows `visit` every timer in the heap, cancelled ones too, in no particular order, until it
 * returns other than 0: that is then the result. It may not start or cancel timers. For owners
 * whose memory is garbage-collected. */
int el_timer_each(const el_loop_t *loop, int (*visit)(el_timer_t *timer, void *ctx), void *ctx);

#endif
