/* SPDX-License-Identifier: MIT */
/* Other threads: handing items over and ending a wait.
 *
 * Owns loop->posted, wake_pending and waiting, the only fields that are touched without the
 * lock. Guarantees that a post is never lost and that one to a loop that is awake costs no
 * system call. Broken by a loop that waits without having looked at `posted` and `wake_pending`
 * after it set `waiting` (loop.c, block).
 */
#include "internal.h"

void el_loop_post(el_loop_t *loop, el_ready_t *item) {
    el_ready_t *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        item->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posted, &head, item));
    /* From here on the item may be gone. Who finds others there already knows that they have
     * woken the loop. */
    if (head == NULL && atomic_load(&loop->waiting) != 0) {
        (void)uv_async_send(&loop->wake_async);
    }
}

void el_loop_wake(el_loop_t *loop) {
    if (atomic_exchange(&loop->wake_pending, 1) == 0 && atomic_load(&loop->waiting) != 0) {
        (void)uv_async_send(&loop->wake_async);
    }
}

void el__take_posted(el_loop_t *loop) {
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL) {
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
