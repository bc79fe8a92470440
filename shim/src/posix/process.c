/* SPDX-License-Identifier: MIT */
/* Owns the fork generation. The handler is installed before main (or when the shared library is
 * loaded), so that no fork is missed; it only adds to an atomic, which is allowed in the child of a
 * program with threads. Nothing else may write the counter. */
#include <evenshim/process.h>

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint generation;

static void count_fork(void) {
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

/* Runs with the other constructors of the program. pthread_atfork fails only for want of memory;
 * then forks go unseen, which is what a program without this file would have. */
__attribute__((constructor)) static void install(void) {
    (void)pthread_atfork(NULL, NULL, count_fork);
}

uint32_t es_process_generation(void) {
    return (uint32_t)atomic_load_explicit(&generation, memory_order_relaxed);
}
