/* SPDX-License-Identifier: MIT */
/* histogram.c: see histogram.h. The upper eight bits of a value choose its bucket: a value of
 * `bits` significant bits, more than eight, is shifted right by bits - 8, which leaves 128 to 255,
 * and each shift has its own 128 buckets. */
#include "histogram.h"

static unsigned int shift_of(uint64_t value) {
    unsigned int shift = 0;

    while (value >> shift >= 2 * HISTOGRAM_HALF) {
        shift++;
    }
    return shift;
}

void histogram_add(histogram_t *histogram, uint64_t value) {
    unsigned int shift = shift_of(value);

    histogram->buckets[shift * HISTOGRAM_HALF + (unsigned int)(value >> shift)]++;
    histogram->count++;
    histogram->sum += (double)value;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

static uint64_t end_of_bucket(unsigned int index) {
    if (index < 2 * HISTOGRAM_HALF) {
        return index;
    }
    unsigned int shift = index / HISTOGRAM_HALF - 1;
    uint64_t top = index - shift * HISTOGRAM_HALF;

    return ((top + 1) << shift) - 1;
}

uint64_t histogram_percentile(const histogram_t *histogram, double fraction) {
    double wanted = fraction * (double)histogram->count;
    uint64_t seen = 0;

    for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen != 0 && (double)seen >= wanted) {
            uint64_t end = end_of_bucket(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
