/* SPDX-License-Identifier: MIT */
/* The user's own wakeup descriptor (signal.set_wakeup_fd), while the loop waits. One leaf a
 * system. */
#ifndef EV_WAKEUP_H
#define EV_WAKEUP_H

#include "core.h"

/* Whether the loop's descriptor may stand in for the user's during a wait. Not on Windows: the
 * interpreter remembers whether the user's was a socket and would use send() on ours. */
extern const bool ev_wakeup_may_replace;

/* Passes signals on to the user's descriptor. What it does not take is lost, as when the
 * interpreter itself writes. */
void ev_wakeup_forward(int fd, const unsigned char *signums, size_t count);

/* Where the descriptor can't be replaced: sees to it that no wait is longer than
 * EV_WAKEUP_SLICE_NS, for the signal is noticed only between two waits. Returns whether the coming
 * wait is so bounded already. */
#define EV_WAKEUP_SLICE_NS 100000000u
bool ev_wakeup_bound_wait(ev_loop_t *self);

#endif
