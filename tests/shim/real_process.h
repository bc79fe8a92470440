/* SPDX-License-Identifier: MIT */
/* What tests with several processes need of the system beside evenshim: one file a system. A
 * failure here ends the program with a message. */
#ifndef EVENSHIM_TESTS_REAL_PROCESS_H
#define EVENSHIM_TESTS_REAL_PROCESS_H

#include <stddef.h>
#include <stdint.h>

typedef struct real_process {
    intptr_t native;
    int64_t pid;
} real_process_t;

enum { REAL_KILLED = -1, REAL_RUNS = -2 };

/* Starts this program once more; arguments end with NULL and hold no quotes. The first is the
 * program. */
real_process_t real_spawn(const char *const *arguments);

/* Ends a process without asking it: SIGKILL, TerminateProcess. */
void real_kill(const real_process_t *process);

/* Waits for the end, at most so long, and gives the exit code, REAL_KILLED or REAL_RUNS. After
 * another answer than the last the process is forgotten. */
int real_wait_end(real_process_t *process, int timeout_ms);

/* Memory that all processes share who name the same file; zero at first. */
void *real_map(const char *path, size_t size);
void real_unmap(void *memory, size_t size);

void real_pause_us(unsigned us);
int real_is_terminal(void); /* standard output */

#endif
