/* SPDX-License-Identifier: MIT */
/* A process of the lock model: random operations on locks, each checked. */
#ifndef EVENSHIM_STRESS_LOCK_WORKER_H
#define EVENSHIM_STRESS_LOCK_WORKER_H

#include "lock_record.h"

/* How the model opens a file (`base` is what all its paths begin with), and the range that a target means; *range is used unless NULL is
 * returned, which is the whole file. */
int lock_file_open(const char *base, int file, es_lockfile_t **out);
const es_range_t *range_of(const target_t *target, int to_the_end, es_range_t *range);

typedef struct random {
    uint64_t state;
} random_t;

void random_seed(random_t *random, uint64_t seed);
unsigned random_below(random_t *random, unsigned bound);

/* Runs until the record says that it is over, or that something is wrong. The exit code. */
int worker_run(record_t *record, int slot, unsigned incarnation, const char *base);

#endif
