/* SPDX-License-Identifier: MIT */
/* lock_share.h: two processes that hand a lock to and fro, and what they share while they do.
 *
 * The first side holds the lock in the even turns and the second in the odd ones; a turn ends with
 * the hand-off to the other. Both must have mapped the same share. */
#ifndef BENCH_LOCK_SHARE_H
#define BENCH_LOCK_SHARE_H

#include "lock_kinds.h"

#include <real_process.h>

#include <stdatomic.h>

#define SHARE_HAND_OFFS_MAX 10000

typedef struct share {
    unsigned hand_offs;
    unsigned delay_us;
    unsigned limit_s; /* no process lives longer */
    atomic_uint spinning;
    atomic_int is_over;
    atomic_uint asked; /* turns whose end somebody waits for, or did */
    atomic_uint begun; /* turns whose side holds the lock, or did */
    atomic_ullong released_ns;
    uint64_t took_ns[SHARE_HAND_OFFS_MAX];
    unsigned char has_slept[SHARE_HAND_OFFS_MAX];
} share_t;

void share_begin(share_t *share, unsigned hand_offs, unsigned delay_us);

/* Plays a side to the end of all hand-offs. 0, or -1: a call of the kind failed, or the other side
 * does nothing any more. The first side starts the other, once it holds the lock. */
int share_run(share_t *share, const lock_kind_t *kind, const char *path, unsigned side);
int share_run_first(share_t *share, const lock_kind_t *kind, const char *path,
                    real_process_t *other, const char *const *arguments);

#endif
