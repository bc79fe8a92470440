/* SPDX-License-Identifier: MIT */
/* A table of system calls that does as told: it counts the calls and lets chosen ones fail; the
 * others reach the real system. */
#ifndef EVENSHIM_TESTS_SCRIPT_POSIX_H
#define EVENSHIM_TESTS_SCRIPT_POSIX_H

#include <stdatomic.h>

typedef struct script {
    const char *call; /* which calls are counted; NULL: all */
    int from;         /* the first counted call that fails; -1: none */
    int times;        /* so many fail in a row, then the real ones go on */
    int error;
    /* Threads of the leaf call, too. */
    atomic_int count;                 /* how many calls were counted */
    atomic_int fired;                 /* how many of them failed */
    _Atomic(const char *) fired_call; /* the name of the last that failed */
} script_t;

extern script_t script;

enum { SCRIPT_FOR_GOOD = 1 << 30 };

/* Puts the scripted table in, with nothing failing. */
void script_begin(void);

/* The counted calls `from` to `from + times` of `call` (NULL: of all) fail with `error`. */
void script_fail(const char *call, int from, int times, int error);

/* Puts the system's table back. */
void script_end(void);

#endif
