/* SPDX-License-Identifier: MIT */
/* histogram.h: latencies counted in buckets of constant relative width.
 *
 * Owns the counters. Values below 256 are exact; above, a bucket spans less than 0.8 % of its
 * value, so a percentile read back is at most that much too high. Recording never allocates. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_HALF    128
#define HISTOGRAM_BUCKETS ((64 - 7 + 1) * HISTOGRAM_HALF)

typedef struct histogram {
    uint64_t count;
    uint64_t max;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram_t;

/* A histogram of zeros is empty and ready. */
void histogram_add(histogram_t *histogram, uint64_t value);

/* The smallest recorded value, rounded up to its bucket's end, that `fraction` (0 to 1) of all
 * values do not exceed. 0 when nothing was recorded. */
uint64_t histogram_percentile(const histogram_t *histogram, double fraction);

#endif
