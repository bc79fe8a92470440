/* SPDX-License-Identifier: MIT */
/* Timers: a 4-ary heap ordered by deadline, then by the order in which they were set.
 *
 * Owns loop->heap. Guarantees that no timer runs before its deadline or in the turn in which it was
 * set, and that `run` and `drop` are called only while the heap is whole, since both may come back
 * with el_timer_start. Broken by calling out between a removal and the sift that follows it.
 */
#include "internal.h"

#define SWEEP_COUNT_MIN     100u
#define HEAP_CAPACITY_FIRST 64u

/* The keys lie in the heap itself, so sifting does not touch the timers. */
typedef struct el_timer_entry {
    uint64_t deadline_ns;
    uint64_t sequence;
    el_timer_t *timer;
} entry_t;

static inline bool before(const entry_t *a, const entry_t *b) {
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns
                                            : a->sequence < b->sequence;
}

static void sift_up(entry_t *heap, uint32_t index) {
    entry_t entry = heap[index];
    while (index > 0) {
        uint32_t parent = (index - 1) / 4;
        if (!before(&entry, &heap[parent])) {
            break;
        }
        heap[index] = heap[parent];
        index = parent;
    }
    heap[index] = entry;
}

static void sift_down(entry_t *heap, uint32_t count, uint32_t index) {
    entry_t entry = heap[index];
    for (;;) {
        uint32_t child = index * 4 + 1;
        if (child >= count) {
            break;
        }
        uint32_t last = child + 3 < count ? child + 3 : count - 1;
        uint32_t least = child;
        while (++child <= last) {
            if (before(&heap[child], &heap[least])) {
                least = child;
            }
        }
        if (!before(&heap[least], &entry)) {
            break;
        }
        heap[index] = heap[least];
        index = least;
    }
    heap[index] = entry;
}

static entry_t pop(el_loop_t *loop) {
    entry_t top = loop->heap[0];
    loop->heap_count--;
    if (loop->heap_count > 0) {
        loop->heap[0] = loop->heap[loop->heap_count];
        sift_down(loop->heap, loop->heap_count, 0);
    }
    return top;
}

static void leave(el_loop_t *loop, el_timer_t *timer, el_ready_queue_t *where) {
    timer->scheduled = false;
    if (timer->cancelled) {
        loop->heap_cancelled--;
    }
    el_ready_queue_push(where, &timer->ready);
}

static void drop_all(el_loop_t *loop, el_ready_queue_t *dropped) {
    el_ready_t *item;
    while ((item = el_ready_queue_pop(dropped)) != NULL) {
        item->ops->drop(loop, item);
    }
}

/* Takes every cancelled entry out and orders the rest anew, in O(n). */
static void sweep(el_loop_t *loop, el_ready_queue_t *dropped) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < loop->heap_count; i++) {
        if (loop->heap[i].timer->cancelled) {
            leave(loop, loop->heap[i].timer, dropped);
        } else {
            loop->heap[kept++] = loop->heap[i];
        }
    }
    loop->heap_count = kept;
    for (uint32_t i = kept / 4 + 1; i-- > 0;) {
        if (i < kept) {
            sift_down(loop->heap, kept, i);
        }
    }
}

static bool worth_a_sweep(const el_loop_t *loop) {
    return loop->heap_count > SWEEP_COUNT_MIN && loop->heap_cancelled > loop->heap_count / 2;
}

/* Makes room for one more entry: by a sweep if it gives back half of the heap, else by growing. */
static int make_room(el_loop_t *loop) {
    if (worth_a_sweep(loop)) {
        el_ready_queue_t dropped = {NULL, NULL, 0};
        sweep(loop, &dropped);
        drop_all(loop, &dropped);
        if (loop->heap_count < loop->heap_capacity) {
            return 0;
        }
        /* The drops set timers of their own. */
    }
    uint32_t capacity = loop->heap_capacity == 0 ? HEAP_CAPACITY_FIRST : loop->heap_capacity * 2;
    if (capacity < loop->heap_capacity) {
        return ES_ENOMEM;
    }
    entry_t *heap = es_realloc(loop->heap, capacity * sizeof *heap);
    if (heap == NULL) {
        return ES_ENOMEM;
    }
    loop->heap = heap;
    loop->heap_capacity = capacity;
    return 0;
}

int el_timer_start(el_loop_t *loop, el_timer_t *timer, uint64_t deadline_ns,
                   const el_ready_ops_t *ops) {
    assert(ops != NULL);
    if (loop->heap_count == loop->heap_capacity) {
        int code = make_room(loop);
        if (code != 0) {
            return code;
        }
    }
    timer->ready.next = NULL;
    timer->ready.ops = ops;
    timer->deadline_ns = deadline_ns;
    timer->scheduled = true;
    timer->cancelled = false;
    entry_t *entry = &loop->heap[loop->heap_count];
    entry->deadline_ns = deadline_ns;
    entry->sequence = loop->timer_sequence++;
    entry->timer = timer;
    sift_up(loop->heap, loop->heap_count++);
    if (loop->blocked && loop->heap[0].timer == timer) {
        el_loop_wake(loop);
    }
    return 0;
}

void el_timer_cancel(el_loop_t *loop, el_timer_t *timer) {
    if (timer->cancelled) {
        return;
    }
    timer->cancelled = true;
    if (timer->scheduled) {
        loop->heap_cancelled++;
    }
}

int el_timer_each(const el_loop_t *loop, int (*visit)(el_timer_t *timer, void *ctx), void *ctx) {
    for (uint32_t i = 0; i < loop->heap_count; i++) {
        int result = visit(loop->heap[i].timer, ctx);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

uint64_t el__timers_first(const el_loop_t *loop) {
    return loop->heap_count == 0 ? EL_NEVER : loop->heap[0].deadline_ns;
}

void el__timers_tidy(el_loop_t *loop) {
    if (loop->heap_cancelled == 0) {
        return;
    }
    el_ready_queue_t dropped = {NULL, NULL, 0};
    if (worth_a_sweep(loop)) {
        sweep(loop, &dropped);
    }
    while (loop->heap_count > 0 && loop->heap[0].timer->cancelled) {
        leave(loop, pop(loop).timer, &dropped);
    }
    drop_all(loop, &dropped);
}

/* Moves what is due to `due`, in order, and what was cancelled to `dropped`. A timer that is due
 * but was set in this turn has to wait for the next; it is set aside in the part of the array
 * that the pops have freed. */
static void collect_due(el_loop_t *loop, el_ready_queue_t *due, el_ready_queue_t *dropped) {
    uint64_t now = el_now_ns();
    uint32_t end = loop->heap_count;
    uint32_t aside = end;
    while (loop->heap_count > 0 && loop->heap[0].deadline_ns <= now) {
        entry_t entry = pop(loop);
        if (entry.timer->cancelled) {
            leave(loop, entry.timer, dropped);
        } else if (entry.sequence >= loop->turn_sequence) {
            loop->heap[--aside] = entry;
        } else {
            leave(loop, entry.timer, due);
        }
    }
    for (; aside < end; aside++) {
        loop->heap[loop->heap_count] = loop->heap[aside];
        sift_up(loop->heap, loop->heap_count++);
    }
}

void el__timers_run(el_loop_t *loop) {
    el_ready_queue_t due = {NULL, NULL, 0};
    el_ready_queue_t dropped = {NULL, NULL, 0};
    collect_due(loop, &due, &dropped);
    drop_all(loop, &dropped);
    el_ready_t *item;
    while (!loop->interrupted && (item = el_ready_queue_pop(&due)) != NULL) {
        item->ops->run(loop, item);
    }
    if (due.first != NULL) {
        el_ready_queue_push_all_first(&loop->ready, &due);
    }
}

void el__timers_close(el_loop_t *loop) {
    el_ready_queue_t dropped = {NULL, NULL, 0};
    /* Drops may set timers again. */
    while (loop->heap_count > 0) {
        while (loop->heap_count > 0) {
            loop->heap_count--;
            leave(loop, loop->heap[loop->heap_count].timer, &dropped);
        }
        drop_all(loop, &dropped);
    }
    es_free(loop->heap);
    loop->heap = NULL;
    loop->heap_capacity = 0;
}
