/* SPDX-License-Identifier: MIT */
/* The registry: which watcher belongs to a descriptor.
 *
 * Owns loop->polls, a hash table with open addressing that is at most half full. Guarantees at
 * most one watcher a descriptor and O(1) on average, whatever numbers the system gives out
 * (Windows counts in fours). Broken by leaving a gap in a run of entries: removal closes it by
 * moving later ones back.
 */
#include "internal.h"

#include <string.h>

#define CAPACITY_FIRST 16u

static uint32_t home_of(const el_loop_t *loop, es_sock_t fd) {
    uint64_t hash = (uint64_t)fd * 0x9e3779b97f4a7c15u; /* Fibonacci hashing: 2^64 / golden ratio */
    return (uint32_t)(hash >> 32) & (loop->polls_capacity - 1);
}

el_poll_t *el__registry_find(const el_loop_t *loop, es_sock_t fd) {
    if (loop->polls_count == 0) {
        return NULL;
    }
    uint32_t mask = loop->polls_capacity - 1;
    for (uint32_t i = home_of(loop, fd); loop->polls[i] != NULL; i = (i + 1) & mask) {
        if (loop->polls[i]->fd == fd) {
            return loop->polls[i];
        }
    }
    return NULL;
}

static void place(el_loop_t *loop, el_poll_t *poll) {
    uint32_t mask = loop->polls_capacity - 1;
    uint32_t i = home_of(loop, poll->fd);
    while (loop->polls[i] != NULL) {
        i = (i + 1) & mask;
    }
    loop->polls[i] = poll;
}

static int grow(el_loop_t *loop) {
    uint32_t old_capacity = loop->polls_capacity;
    uint32_t capacity = old_capacity == 0 ? CAPACITY_FIRST : old_capacity * 2;
    el_poll_t **polls = es_calloc(capacity, sizeof(el_poll_t *));
    if (polls == NULL) {
        return ES_ENOMEM;
    }
    el_poll_t **old = loop->polls;
    loop->polls = polls;
    loop->polls_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i] != NULL) {
            place(loop, old[i]);
        }
    }
    es_free(old);
    return 0;
}

int el__registry_add(el_loop_t *loop, el_poll_t *poll) {
    if ((loop->polls_count + 1) * 2 > loop->polls_capacity) {
        int code = grow(loop);
        if (code != 0) {
            return code;
        }
    }
    place(loop, poll);
    loop->polls_count++;
    return 0;
}

void el__registry_remove(el_loop_t *loop, el_poll_t *poll) {
    uint32_t mask = loop->polls_capacity - 1;
    uint32_t gap = home_of(loop, poll->fd);
    while (loop->polls[gap] != poll) {
        assert(loop->polls[gap] != NULL);
        gap = (gap + 1) & mask;
    }
    /* An entry may move back into the gap unless its home lies between the gap and itself. */
    for (uint32_t i = (gap + 1) & mask; loop->polls[i] != NULL; i = (i + 1) & mask) {
        uint32_t home = home_of(loop, loop->polls[i]->fd);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            loop->polls[gap] = loop->polls[i];
            gap = i;
        }
    }
    loop->polls[gap] = NULL;
    loop->polls_count--;
}
