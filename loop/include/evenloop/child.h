/* SPDX-License-Identifier: MIT */
/* The end of a child process, as an event: a pidfd on Linux, EVFILT_PROC on macOS and BSD, a
 * wait on the process handle on Windows.
 *
 * The exit status is not collected: the owner does that (waitpid, GetExitCodeProcess) in
 * `exited`.
 */
#ifndef EVENLOOP_CHILD_H
#define EVENLOOP_CHILD_H

#include <evenloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct el_child el_child_t;

/* process: a pid on Unix, a HANDLE with SYNCHRONIZE on Windows (it must stay open until the call
 * or el_child_stop). 0; ES_ENOTSUP: this system has no such event (an old or sandboxed kernel):
 * wait in a thread. ES_ESRCH: no such child. */
int el_child_start(el_loop_t *loop, intptr_t process, void (*exited)(el_child_t *child, void *ctx),
                   void *ctx, el_child_t **out);

/* No call after it returns; frees. Also needed after `exited`. */
void el_child_stop(el_child_t *child);

#ifdef __cplusplus
}
#endif
#endif
