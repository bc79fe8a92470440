/* SPDX-License-Identifier: MIT */
/* Threads for tests, and how many this process has: one file a system, the count one a kernel. A
 * failure here ends the program with a message. */
#ifndef EVENSHIM_TESTS_REAL_THREAD_H
#define EVENSHIM_TESTS_REAL_THREAD_H

#include <stdint.h>

/* Must stay in place until it has been joined. */
typedef struct real_thread {
    intptr_t native;
    void (*run)(void *argument);
    void *argument;
} real_thread_t;

void real_thread_start(real_thread_t *thread, void (*run)(void *argument), void *argument);
void real_thread_join(real_thread_t *thread);
void real_thread_yield(void);

/* Of this process, the calling one included. */
int real_thread_count(void);

#endif
