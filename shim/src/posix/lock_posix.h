/* SPDX-License-Identifier: MIT */
/* What the Unix lock leaves share. */
#ifndef EVENSHIM_SRC_LOCK_POSIX_H
#define EVENSHIM_SRC_LOCK_POSIX_H

#include "prim/lock.h"
#include "sys.h"

#include <stdatomic.h>

/* lock_file.c: es__fail with errno for ES_OP_LOCK or another operation. */
int es__lock_fail(es_op_t op, const char *call);

/* lock_file.c: open(2) as locks want it, never one of the standard streams, and only of a regular
 * file; _known does not look, for a path that can lead to no other. The descriptor, or -1 and
 * errno. */
int es__lock_open_fd(const char *path, uint32_t flags, int mode);
int es__lock_open_known(const char *path, uint32_t flags, int mode);

/* lock_file.c: whether both are one file: 0, or -1 and errno (ESTALE: they are not). */
int es__lock_same_file(int fd, int other);

/* lock.c of the kernel: opens the file of `base` once more. path: where it was, or NULL. The
 * descriptor, or -1 and errno. */
int es__lock_reopen(int base, const char *path, uint32_t flags);

/* lock_ofd.c, or lock.c of a kernel whose locks are not their descriptor's: closes a descriptor of
 * a file that may be locked; frees what a hold has; and starts anew in a forked child. */
void es__lock_close_fd(int fd);
void es__lock_forget(es__hold_t *hold);
void es__lock_forked(void);

/* lock_file.c: one fcntl of a lock; -1 and errno. */
int es__lock_fcntl(int fd, int command, short type, es__bytes_t bytes);

/* lock_helper.c: a thread that waits in the system's own queue for one lock; `wake` and its context
 * tell that it is done. Gives up at es__helper_end. */
typedef struct es__helper es__helper_t;
int es__helper_begin(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind,
                     void (*wake)(void *context), void *context, es__helper_t **out);
int es__helper_check(es__helper_t *helper); /* as es__prim_wait_check */
int es__helper_end(es__helper_t *helper);   /* as es__prim_wait_end */

/* lock_helper.c: fills in a new wait and puts it on the list. Fair, where the system has a queue: a
 * helper waits in it, and the manner is GRANTS; else BLIND, until the leaf finds a way to be told.
 */
void es__wait_begin(es__wait_t **waits, es__wait_t *wait, int is_fair, void (*wake)(void *context),
                    void *context);
/* Whether the system would tell of what is freed. */
int es__wait_is_told(const es__wait_t *wait);

/* lock_file.c: what es__prim_owner_self says on every Unix: all but boot and command. */
int es__owner_begin(es_lock_owner_t *owner);

/* A monitor's waits, newest first. */
static inline void es__wait_enlist(es__wait_t **waits, es__wait_t *wait) {
    wait->next = *waits;
    wait->link = waits;
    if (wait->next != NULL) {
        wait->next->link = &wait->next;
    }
    *waits = wait;
}

static inline void es__wait_delist(es__wait_t *wait) {
    *wait->link = wait->next;
    if (wait->next != NULL) {
        wait->next->link = wait->link;
    }
}

/* lock_cancel.c: readable once it is set. */
int es__cancel_fd(const es_cancel_t *cancel);

#endif
