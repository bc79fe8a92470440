/* SPDX-License-Identifier: MIT */
/* lock_kinds.c: evenshim's locks for the comparison, and the list of all kinds. */
#include "lock_kinds.h"

#include <stdio.h>
#include <string.h>

#define HOUR_NS INT64_C(3600000000000)

static int judge(int code) {
    if (code != 0) {
        (void)fprintf(stderr, "lock_handoff: evenshim says %s\n", es_error_name(code));
    }
    return code == 0 ? 0 : -1;
}

static int open_file(side_lock_t *lock, const char *path, uint32_t flags) {
    return judge(es_lockfile_open(path, ES_LOCK_CREATE | flags, 0600, &lock->file));
}

static int open_default(side_lock_t *lock, const char *path, int is_first) {
    (void)is_first;
    return open_file(lock, path, 0);
}

static int open_fair(side_lock_t *lock, const char *path, int is_first) {
    (void)is_first;
    return open_file(lock, path, ES_LOCK_FAIR);
}

static int acquire(side_lock_t *lock) {
    return judge(
        es_lock_acquire(lock->file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock->held));
}

/* A deadline that never comes: such a wait can end without the lock, so it takes another way. */
static int acquire_in_time(side_lock_t *lock) {
    return judge(es_lock_acquire(lock->file, ES_LOCK_EXCLUSIVE, NULL, HOUR_NS, NULL, &lock->held));
}

static int release(side_lock_t *lock) {
    return judge(es_lock_release(lock->held));
}

static void close_file(side_lock_t *lock) {
    es_lockfile_close(lock->file);
}

static const lock_kind_t own_kinds[] = {
    {"evenshim", "evenshim", open_default, acquire, release, close_file},
    {"evenshim-timed", "evenshim, with a deadline", open_default, acquire_in_time, release,
     close_file},
    {"evenshim-fair", "evenshim, fair", open_fair, acquire, release, close_file},
    {"evenshim-fair-timed", "evenshim, fair, with a deadline", open_fair, acquire_in_time, release,
     close_file},
};

#define OWN_COUNT (sizeof(own_kinds) / sizeof(own_kinds[0]))

const lock_kind_t *lock_kind_at(size_t index) {
    if (index < OWN_COUNT) {
        return &own_kinds[index];
    }
    return index - OWN_COUNT < lock_native_count ? lock_native_kinds[index - OWN_COUNT] : NULL;
}

const lock_kind_t *lock_kind_named(const char *name) {
    const lock_kind_t *kind;

    for (size_t index = 0; (kind = lock_kind_at(index)) != NULL; index++) {
        if (strcmp(kind->name, name) == 0) {
            return kind;
        }
    }
    return NULL;
}
