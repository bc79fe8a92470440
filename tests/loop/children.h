/* SPDX-License-Identifier: MIT */
/* Child processes that end when they are told to. */
#ifndef EVENLOOP_TESTS_CHILDREN_H
#define EVENLOOP_TESTS_CHILDREN_H

#include <stdint.h>

#define CHILD_STATUS 7

typedef struct child_process {
    intptr_t id;    /* what el_child_start takes */
    intptr_t input; /* the write end of its standard input */
} child_process_t;

/* this program, which plays the child when its argument is "child" */
void child_program(const char *path);
child_process_t child_start(void);
void child_end(child_process_t *process);                      /* asks it to end */
void child_await_without_collecting(child_process_t *process); /* until it has ended */
/* waits, collects, and closes what is held */
int child_status(child_process_t *process);
intptr_t child_nobody(void); /* an id that is nobody's */

#endif
