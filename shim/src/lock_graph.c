/* SPDX-License-Identifier: MIT */
/* Who waits for whom in this process: the locks that threads have taken, and the waits that nothing
 * but a lock can end. A wait that would close a circle is refused at once. For debug builds, whose
 * es_lock_acquire costs a little more for it; others are built with lock_graph_none.c.
 *
 * No false alarm: a lock is in the list only while it is held (it leaves before its release), so if
 * a wait noted here is over already, what it was for has left the list, and the search ends there.
 * What breaks it: a lock that another thread releases than the one that took it. Its wait must be
 * able to end in another way, or it is refused although that thread would have come (lock.h). */
#include "lock_internal.h"

#include "error_internal.h"

#include <evenshim/process.h>

#include <string.h>

/* The list, and whose turn it is: 0 or the fork generation of the owner plus one. A forked child
 * finds the list of its parent, whose locks are not its own, and begins anew. */
static struct graph {
    atomic_uint owner;
    uint32_t generation;
    unsigned epoch;
    es__graph_node_t *first;
} graph;

static atomic_ullong threads;
static _Thread_local unsigned long long own_number;

/* Numbers are not used again, unlike the system's, so a thread is never taken for a dead one. */
static unsigned long long this_thread(void) {
    if (own_number == 0) {
        own_number = atomic_fetch_add(&threads, 1) + 1;
    }
    return own_number;
}

static void enter(uint32_t generation) {
    unsigned expected = 0;

    while (!atomic_compare_exchange_weak(&graph.owner, &expected, generation + 1)) {
        if (expected == 0 || expected == generation + 1) {
            es__prim_yield();
            expected = 0;
        } /* else a thread of the parent had it, which is not here */
    }
    if (graph.generation != generation) {
        graph.generation = generation;
        graph.first = NULL;
    }
}

static void leave(void) {
    atomic_store(&graph.owner, 0);
}

static void enlist(es__graph_node_t *node) {
    if (node->is_listed) {
        return;
    }
    node->is_listed = 1;
    node->next = graph.first;
    node->link = &graph.first;
    if (node->next != NULL) {
        node->next->link = &node->next;
    }
    graph.first = node;
}

static void delist(es__graph_node_t *node) {
    *node->link = node->next;
    if (node->next != NULL) {
        node->next->link = node->link;
    }
    node->is_listed = 0;
}

/* A file that is removed with a release may be replaced meanwhile, and then the wait for it ends.
 * Locks of an adopted descriptor do not exclude each other, and stay with it. */
static int is_watched(const es_lock_t *lock) {
    return lock->generation == es_process_generation() &&
           (lock->file->flags & (ES_LOCK_UNLINK_ON_RELEASE | ES_LOCK_ADOPT)) == 0;
}

static void describe(es_lock_t *lock, es__graph_node_t *node) {
    node->thread = this_thread();
    node->file = lock->file->identity;
    node->is_flock = (lock->file->flags & ES_LOCK_COMPAT_FLOCK) != 0;
    node->held = lock->held;
    node->kind = lock->kind != 0 ? lock->kind : lock->wanted;
    memcpy(node->bytes, lock->layout.bytes, sizeof(node->bytes));
}

static int do_overlap(es__bytes_t one, es__bytes_t other) {
    uint64_t one_end = one.size != 0 ? one.offset + one.size : UINT64_MAX;
    uint64_t other_end = other.size != 0 ? other.offset + other.size : UINT64_MAX;

    return one.offset < other_end && other.offset < one_end;
}

/* Does the waiting one wait for bytes that the other has? GATE and RESERVED are kept by writers
 * only. */
static int is_waiting_for(const es__graph_node_t *waiting, const es__graph_node_t *other) {
    static const unsigned steps[ES__STEP_COUNT] = {ES__STEP_RESERVED, ES__STEP_GATE, ES__STEP_DATA};

    if (waiting == other || waiting->is_flock != other->is_flock ||
        waiting->file.volume != other->file.volume ||
        waiting->file.file[0] != other->file.file[0] ||
        waiting->file.file[1] != other->file.file[1]) {
        return 0;
    }
    for (int index = 0; index < ES__STEP_COUNT; index++) {
        int is_shared = steps[index] == ES__STEP_DATA && other->kind == ES_LOCK_SHARED &&
                        waiting->blocked_kind == ES_LOCK_SHARED;

        if ((other->held & steps[index]) != 0 && !is_shared &&
            do_overlap(waiting->blocked, other->bytes[index])) {
            return 1;
        }
    }
    return 0;
}

static void push_waits_of(unsigned long long thread, es__graph_node_t **stack) {
    for (es__graph_node_t *node = graph.first; node != NULL; node = node->next) {
        if (node->is_waiting && node->thread == thread && node->epoch != graph.epoch) {
            node->epoch = graph.epoch;
            node->below = *stack;
            *stack = node;
        }
    }
}

/* Follows the waits from this one: do they come to something that its own thread has? */
static int closes_circle(es__graph_node_t *begin) {
    es__graph_node_t *stack = begin;

    begin->epoch = ++graph.epoch;
    begin->below = NULL;
    while (stack != NULL) {
        es__graph_node_t *waiting = stack;

        stack = waiting->below;
        for (es__graph_node_t *other = graph.first; other != NULL; other = other->next) {
            if (is_waiting_for(waiting, other)) {
                if (other->thread == begin->thread) {
                    return 1;
                }
                push_waits_of(other->thread, &stack);
            }
        }
    }
    return 0;
}

void es__graph_hold(es_lock_t *lock) {
    es__graph_node_t *node = &lock->node;

    if (!is_watched(lock)) {
        return;
    }
    enter(lock->generation);
    describe(lock, node);
    node->is_waiting = 0;
    enlist(node);
    leave();
}

void es__graph_drop(es_lock_t *lock) {
    if (!lock->node.is_listed || !is_watched(lock)) {
        return;
    }
    enter(lock->generation);
    delist(&lock->node);
    lock->node.is_waiting = 0;
    leave();
}

int es__graph_wait(es_lock_t *lock) {
    es__graph_node_t *node = &lock->node;
    int is_circle;

    if (!is_watched(lock)) {
        return 0;
    }
    enter(lock->generation);
    describe(lock, node);
    node->blocked = es__lock_blocked_bytes(lock);
    node->blocked_kind = lock->blocked_kind;
    node->is_waiting = 1;
    enlist(node);
    is_circle = closes_circle(node);
    if (is_circle) {
        node->is_waiting = 0;
    }
    leave();
    return is_circle ? es__refuse(ES_EDEADLK, ES_OP_LOCK, "es_lock_acquire") : 0;
}
