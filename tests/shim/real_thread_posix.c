/* SPDX-License-Identifier: MIT */
#include "real_thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(pthread_t) <= sizeof(intptr_t), "a thread's name fits");

static void check(int code, const char *what) {
    if (code != 0) {
        (void)fprintf(stderr, "%s: %d\n", what, code);
        exit(2);
    }
}

static void *run(void *argument) {
    real_thread_t *thread = argument;

    thread->run(thread->argument);
    return NULL;
}

void real_thread_start(real_thread_t *thread, void (*body)(void *argument), void *argument) {
    pthread_t native;

    thread->run = body;
    thread->argument = argument;
    check(pthread_create(&native, NULL, run, thread), "pthread_create");
    thread->native = (intptr_t)native;
}

void real_thread_join(real_thread_t *thread) {
    check(pthread_join((pthread_t)thread->native, NULL), "pthread_join");
}

void real_thread_yield(void) {
    (void)sched_yield();
}
