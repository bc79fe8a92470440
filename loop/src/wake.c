/* SPDX-License-Identifier: MIT */
/* Other threads: handing items over and ending a wait.
 *
 * Owns loop->posted, posters, wake_pending and waiting, the only fields that are touched without
 * the lock. Guarantees that a post is never lost, that it may race with the loop's close, and that
 * one to a loop that is awake costs no system call. Broken by a loop that waits without having looked at `posted` and `wake_pending`
 * after it set `waiting` (loop.c, block).
 */
#include "internal.h"

/* Stands in `posted` once the loop is closed; never read or written. */
static el_ready_t closed_mark;

static int post(el_loop_t *loop, el_ready_t *item) {
    el_ready_t *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        if (head == &closed_mark) {
            return ES_ECANCELED;
        }
        item->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posted, &head, item));
    /* From here on the item may be gone. Who finds others there already knows that they have
     * woken the loop. */
    if (head == NULL && atomic_load(&loop->waiting) != 0) {
        (void)uv_async_send(&loop->wake_async);
    }
    return 0;
}

int el_loop_post(el_loop_t *loop, el_ready_t *item) {
    atomic_fetch_add(&loop->posters, 1);
    int code = post(loop, item);
    atomic_fetch_sub(&loop->posters, 1);
    return code;
}

void el_loop_wake(el_loop_t *loop) {
    atomic_fetch_add(&loop->posters, 1);
    if (atomic_load(&loop->posted) != &closed_mark &&
        atomic_exchange(&loop->wake_pending, 1) == 0 && atomic_load(&loop->waiting) != 0) {
        (void)uv_async_send(&loop->wake_async);
    }
    atomic_fetch_sub(&loop->posters, 1);
}

bool el__refuse_posts(el_loop_t *loop) {
    el_ready_t *none = NULL;
    return atomic_compare_exchange_strong(&loop->posted, &none, &closed_mark);
}

void el__await_posters(el_loop_t *loop) {
    while (atomic_load(&loop->posters) != 0) {
        uv_sleep(0); /* one of them was put to sleep between two instructions */
    }
}

void el_loop_collect(el_loop_t *loop) {
    el_ready_t *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    if (head == NULL || head == &closed_mark) {
        return;
    }
    el_ready_t *newest = atomic_exchange(&loop->posted, NULL);
    el_ready_t *oldest = NULL;
    while (newest != NULL) {
        el_ready_t *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        el_ready_t *next = oldest->next;
        el_ready_queue_push(&loop->ready, oldest);
        oldest = next;
    }
}

const el_ready_t *el_loop_posted(const el_loop_t *loop) {
    const el_ready_t *newest = atomic_load(&loop->posted);
    return newest == &closed_mark ? NULL : newest;
}
