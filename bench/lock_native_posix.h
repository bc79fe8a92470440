/* SPDX-License-Identifier: MIT */
/* lock_native_posix.h: the kinds of lock that every Unix has, for its table of kinds. */
#ifndef BENCH_LOCK_NATIVE_POSIX_H
#define BENCH_LOCK_NATIVE_POSIX_H

#include "lock_kinds.h"

extern const lock_kind_t lock_native_flock;
extern const lock_kind_t lock_native_pipe;

int lock_native_open(side_lock_t *lock, const char *path, int is_first);
void lock_native_close(side_lock_t *lock);

#endif
