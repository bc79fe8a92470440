/* SPDX-License-Identifier: MIT */
/* lock_kinds.h: the kinds of lock that lock_handoff.c compares, each behind the same four calls.
 *
 * lock_kinds.c has evenshim's; what the system has by itself is in one table a system:
 * lock_native_ofd.c (Linux, macOS), lock_native_bsd.c or lock_native_win.c; the build picks the
 * file. A bare wake-up, the floor under every hand-off, is one of those kinds: a pipe that holds
 * one byte, which whoever reads it has. So it is measured by the very same code. */
#ifndef BENCH_LOCK_KINDS_H
#define BENCH_LOCK_KINDS_H

#include <stddef.h>
#include <stdint.h>

#include <evenshim/lock.h>

/* One side's lock of any kind; which members are used is the kind's affair. */
typedef struct side_lock {
    es_lockfile_t *file;
    es_lock_t *held;
    intptr_t native;
} side_lock_t;

/* Each call returns 0, or -1. `path` is the kind's own in this run. `is_first`: nobody has opened it
 * before. `acquire` blocks; `release` is called by who has it. */
typedef struct lock_kind {
    const char *name;
    const char *label;
    int (*open)(side_lock_t *lock, const char *path, int is_first);
    int (*acquire)(side_lock_t *lock);
    int (*release)(side_lock_t *lock);
    void (*close)(side_lock_t *lock);
} lock_kind_t;

/* All kinds of this system; NULL after the last. */
const lock_kind_t *lock_kind_at(size_t index);
const lock_kind_t *lock_kind_named(const char *name);

/* The system's own table. */
extern const lock_kind_t *const lock_native_kinds[];
extern const size_t lock_native_count;

/* How often this process has gone to sleep so far; -1: the system does not say. */
int64_t lock_native_sleeps(void);

/* This process is ended by force after so many seconds, whatever it waits for then. */
void lock_native_limit(unsigned seconds);

/* From now on this process runs only on cores that have nothing else to do. 0, or -1. */
int lock_native_become_idle(void);

#endif
