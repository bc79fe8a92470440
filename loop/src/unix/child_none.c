/* SPDX-License-Identifier: MIT */
/* The end of a child on systems where we know no event for it: the owner waits in a thread. */
#include "../internal.h"

int el_child_start(el_loop_t *loop, intptr_t process, void (*exited)(el_child_t *, void *),
                   void *ctx, el_child_t **out) {
    (void)loop;
    (void)process;
    (void)exited;
    (void)ctx;
    (void)out;
    return ES_ENOTSUP;
}

void el_child_stop(el_child_t *child) {
    (void)child;
}
