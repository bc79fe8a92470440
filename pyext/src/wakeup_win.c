/* SPDX-License-Identifier: MIT */
/* Windows: a user's wakeup descriptor stays in place, and a timer ends the waits that a signal
 * can't end. */
#include "wakeup.h"

const bool ev_wakeup_may_replace = false;

void ev_wakeup_forward(int fd, const unsigned char *signums, size_t count) {
    (void)fd;
    (void)signums;
    (void)count; /* the interpreter wrote to it */
}

static void wait_over(el_loop_t *el, el_ready_t *item) {
    (void)el;
    (void)item;
}

static const el_ready_ops_t slice_ops = {wait_over, wait_over};

bool ev_wakeup_bound_wait(ev_loop_t *self) {
    if (self->slice.scheduled) {
        return true;
    }
    /* The timer counts from the next turn on: this one does not wait. */
    (void)el_timer_start(&self->el, &self->slice, el_now_ns() + EV_WAKEUP_SLICE_NS, &slice_ops);
    return false;
}
