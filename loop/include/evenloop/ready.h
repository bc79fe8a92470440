/* SPDX-License-Identifier: MIT */
/* The ready queue: what runs in the next turn, first in, first out.
 *
 * Items are caller-owned and linked in place: queueing allocates nothing and cannot fail. An
 * item is in at most one queue, once. `run` is called exactly once per push, never from inside
 * the push. When a loop is closed with items still queued, `drop` is called instead, so that the
 * owner can let go of what the item holds. Thread: the loop's lock (see loop.h), except
 * el_loop_post.
 */
#ifndef EVENLOOP_READY_H
#define EVENLOOP_READY_H

#include <stddef.h>
#include <stdint.h>

typedef struct el_loop el_loop_t;
typedef struct el_ready el_ready_t;

typedef struct el_ready_ops {
    void (*run)(el_loop_t *loop, el_ready_t *item);
    void (*drop)(el_loop_t *loop, el_ready_t *item);
} el_ready_ops_t;

struct el_ready {
    el_ready_t *next; /* owned by the queue while queued */
    const el_ready_ops_t *ops;
};

typedef struct el_ready_queue {
    el_ready_t *first;
    el_ready_t *last; /* undefined while first is NULL */
    size_t count;
} el_ready_queue_t;

static inline void el_ready_queue_push(el_ready_queue_t *queue, el_ready_t *item) {
    item->next = NULL;
    if (queue->first == NULL) {
        queue->first = item;
    } else {
        queue->last->next = item;
    }
    queue->last = item;
    queue->count++;
}

static inline el_ready_t *el_ready_queue_pop(el_ready_queue_t *queue) {
    el_ready_t *item = queue->first;
    if (item != NULL) {
        queue->first = item->next;
        queue->count--;
        item->next = NULL;
    }
    return item;
}

/* Puts everything that `other`, which holds something, holds before what `queue` holds, in its
 * order. `other` is to be forgotten then. */
static inline void el_ready_queue_push_all_first(el_ready_queue_t *queue,
                                                 const el_ready_queue_t *other) {
    other->last->next = queue->first;
    if (queue->first == NULL) {
        queue->last = other->last;
    }
    queue->first = other->first;
    queue->count += other->count;
}

/* Makes the item the next to run. */
static inline void el_ready_queue_push_first(el_ready_queue_t *queue, el_ready_t *item) {
    el_ready_queue_t alone = {item, item, 1};
    el_ready_queue_push_all_first(queue, &alone);
}

/* Takes an item out before its time: neither `run` nor `drop` is called for it. Returns its place
 * in the queue, or SIZE_MAX: it was not there. The cost grows with what is queued. */
static inline size_t el_ready_queue_remove(el_ready_queue_t *queue, el_ready_t *item) {
    el_ready_t *previous = NULL;
    size_t place = 0;
    for (el_ready_t *at = queue->first; at != item; at = at->next) {
        if (at == NULL) {
            return SIZE_MAX;
        }
        previous = at;
        place++;
    }
    if (previous == NULL) {
        queue->first = item->next;
    } else {
        previous->next = item->next;
    }
    if (item->next == NULL) {
        queue->last = previous;
    }
    item->next = NULL;
    queue->count--;
    return place;
}

#endif
