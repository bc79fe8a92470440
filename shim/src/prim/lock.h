/* SPDX-License-Identifier: MIT */
/* What file locks need of a system: the contract that each lock leaf keeps.
 *
 * src/lock*.c own the protocol (which bytes, in which order); a leaf knows single locks on bytes of
 * one open file, how to wait for one, and nothing of their meaning. Every call of the system goes
 * through es__sys; a failure goes through es__fail once; "somebody holds it" is ES_EAGAIN.
 * lock_flags.h of the leaf has constants:
 *   ES__LOCK_SPLITS    part of a locked range may be freed (Unix); else only exactly what was taken
 *   ES__LOCK_UPGRADES  a shared lock can become exclusive in one step
 *   ES__LOCK_UNLOCK_IS_TOLD  every unlock wakes all who wait for the file, who unlocks among them
 *   ES__LOCK_DETACHES  (Unix) a lock belongs to its descriptor and the duplicates of that, as
 *                      flock's does everywhere
 *   ES__LOCK_QUEUES    (Unix) the system's blocking call waits for locks as this leaf means them
 *
 * thread (all): any; two calls on different holds at once. A monitor and its waits belong to one
 * thread at a time, but for es__prim_monitor_wait and es__prim_monitor_wake.                     */
#ifndef EVENSHIM_SRC_PRIM_LOCK_H
#define EVENSHIM_SRC_PRIM_LOCK_H

#include <stdint.h>

#include <evenshim/lock.h>

#include "lock_flags.h"

#define ES__NATIVE_NONE ((intptr_t)-1)

/* Bytes [offset, offset + size) of the lock space; size 0: to its end. */
typedef struct es__bytes {
    uint64_t offset;
    uint64_t size;
} es__bytes_t;

/* An open file of its own that holds locks: they end when it is closed, and with the process.
 * native is first, the rest is the leaf's. */
typedef struct es__hold {
    intptr_t native;
    int is_flock;   /* ES_LOCK_COMPAT_FLOCK: bytes are ignored */
    int is_adopted; /* a copy of a descriptor of the caller's: closing it frees and tells nothing */
    struct es__hold *next;
    struct es__hold **link;
    void *inode;
} es__hold_t;

/* Which file this is, as long as it is open. */
typedef struct es__identity {
    uint64_t volume;
    uint64_t file[2];
    uint32_t link_count;
} es__identity_t;

/* es__prim_lock_open: opens `path` as es_lockfile_open describes it. Only regular files come out.
 * es__prim_lock_wrap: the same for a descriptor of the caller's, as es_lockfile_wrap describes it.
 *   post:   *out is not inherited by children and is closed with es__prim_lock_close; with
 *           ES_LOCK_ADOPT it is a copy of the descriptor, for es__prim_hold_adopt.             */
int es__prim_lock_open(const char *path, uint32_t flags, int mode, intptr_t *out);
int es__prim_lock_wrap(intptr_t descriptor, uint32_t flags, intptr_t *out);
void es__prim_lock_close(intptr_t native);

/* es__prim_hold_open: opens the file once more, as an owner of locks of its own.
 *   pre:    `base` comes from one of the two above, and path is what was opened, or NULL; or `base`
 *           is ES__NATIVE_NONE: whatever the path names now is opened.
 *   post:   the hold is known to the leaf until it is closed; it must stay in place.
 * es__prim_hold_adopt: makes a hold of a copy of `base`, whose owner of locks it shares. The leaf
 *           does not know it: it may be moved by copying it.
 * es__prim_hold_detach: the descriptor of the hold leaves it, with its locks; the hold is closed.
 *   errors: ES_ENOTSUP locks belong to the process; the hold is as before.
 * es__prim_hold_close: frees every lock of the hold; on Unix a forked child closes its copy by
 *           itself, so that a parent's crash frees its locks although children live on.
 *   post:   waiters elsewhere have been told.                                                   */
int es__prim_hold_open(intptr_t base, const char *path, uint32_t flags, int mode, es__hold_t *hold);
int es__prim_hold_adopt(intptr_t base, es__hold_t *hold);
int es__prim_hold_detach(es__hold_t *hold, intptr_t *native);
void es__prim_hold_close(es__hold_t *hold);

/* es__prim_lock_identity, _at: which file is open there; which one the path names now.
 *   errors: ES_ENOENT there is none; ES_ESTALE of a network file system counts as that.         */
int es__prim_lock_identity(intptr_t native, es__identity_t *identity);
int es__prim_lock_identity_at(const char *path, es__identity_t *identity);

/* es__prim_lock_try: takes the bytes without waiting.
 *   pre:    the hold has no lock on any of them.
 *   post:   0 and held, or a negative code and nothing has changed.
 *   errors: ES_EAGAIN somebody else has a lock in the way; ES_EBADF opened without the right;
 *           ES_ENOTSUP the file system has no locks.
 * es__prim_lock_look: ES_EAGAIN if a try would not get the bytes now. It takes and frees nothing. 0
 *           if it would; a leaf without ES__LOCK_UNLOCK_IS_TOLD need not know, and says 0.
 * es__prim_lock_convert: gives held bytes the other kind, in one step and without waiting; to
 *           exclusive only where ES__LOCK_UPGRADES.
 *   post:   as above; the old lock stays after a failure.
 * es__prim_lock_free: frees exactly bytes that are held (a part of them where ES__LOCK_SPLITS). */
int es__prim_lock_try(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind);
int es__prim_lock_look(const es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind);
int es__prim_lock_convert(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind);
int es__prim_lock_free(es__hold_t *hold, es__bytes_t bytes);

/* es__prim_lock_wait: takes the bytes, blocking the thread in the system's queue for as long as it
 *           takes; whoever frees them wakes it, without a detour.
 *   pre:    as of a try.
 *   post:   0 and held, or a negative code and nothing has changed.
 *   errors: ES_EINTR by signals, over and over; ES_ENOTSUP this system, or this file system, has
 *           no queue to rely on, and the caller has to wait in another way.                      */
int es__prim_lock_wait(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind);

/* es__prim_lock_announce: tells waiters that something was freed without a close. Best effort. */
void es__prim_lock_announce(es__hold_t *hold);

/* es__prim_lock_unlink: removes the path while the hold has its lock. */
int es__prim_lock_unlink(const char *path);

/* es__prim_lock_caps, _at: bits of es_lockfile_caps. */
int es__prim_lock_caps(intptr_t native, uint32_t *caps);
int es__prim_lock_caps_at(const char *path, uint32_t *caps);

/* es__prim_lock_read, _write: the first bytes of the file; a write truncates it to them. Reading
 * opens the path itself. `size` and *done are bytes.                                            */
int es__prim_lock_read(const char *path, char *text, size_t size, size_t *done);
int es__prim_lock_write(es__hold_t *hold, const char *text, size_t size);

/* Nanoseconds of a clock that only goes forward; give up the processor for a moment. */
int64_t es__prim_now_ns(void);
void es__prim_yield(void);

/* es__prim_owner_self: everything of es_lock_owner_t about this process and this moment; what the
 *           system does not tell is 0 or "".
 * es__prim_process_birth: when a process started, in the system's unit; 0: the system does not say.
 *   errors: ES_ESRCH there is none of this number.                                              */
int es__prim_owner_self(es_lock_owner_t *owner);
int es__prim_process_birth(int64_t pid, uint64_t *birth);

/* ---- Waiting ---- */

typedef struct es__prim_monitor es__prim_monitor_t;

/* What beginning a wait comes to. */
typedef enum es__wait_manner {
    ES__WAIT_BLIND,  /* nobody will tell: try again from time to time */
    ES__WAIT_TELLS,  /* es__prim_wait_check says when trying again may help */
    ES__WAIT_GRANTS, /* the system is taking the bytes for us */
} es__wait_manner_t;

/* One wait, in the caller's storage; must stay in place until it has ended. */
typedef struct es__wait {
    struct es__wait *next;
    struct es__wait **link;
    es__hold_t *hold;
    es__bytes_t bytes;
    es_lock_kind_t kind;
    es__wait_manner_t manner;
    int is_due;
    intptr_t watch;
    void *helper;
    uint64_t leaf[8];
} es__wait_t;

/* es__prim_monitor_open, _close: a monitor has no waits when it is closed, and may be closed by a
 *           forked child, which touches only its own copies.
 * es__prim_monitor_pollable: ready after a wake, and when a wait should be checked.
 * es__prim_monitor_collect: takes what came, without waiting; the pollable is silent after it.
 * es__prim_monitor_renew: forgets what came while nobody used the monitor, which has no waits.
 * es__prim_monitor_wait: blocks until the pollable is ready: 0; ES_ETIMEDOUT; ES_ECANCELED.     */
int es__prim_monitor_open(es__prim_monitor_t **out);
void es__prim_monitor_close(es__prim_monitor_t *monitor);
es_pollable_t es__prim_monitor_pollable(const es__prim_monitor_t *monitor);
int es__prim_monitor_collect(es__prim_monitor_t *monitor);
void es__prim_monitor_renew(es__prim_monitor_t *monitor);
int es__prim_monitor_wait(es__prim_monitor_t *monitor, int64_t timeout_ns, es_cancel_t *cancel);
void es__prim_monitor_wake(es__prim_monitor_t *monitor);

/* es__prim_wait_begin: begins to wait for bytes that a try did not get. is_fair: in the system's
 *           queue, if it has one.
 *   post:   0 and wait->manner. TELLS: what is freed after this call will be told, so the caller
 *           tries once more now.
 * es__prim_wait_check: ES_EAGAIN: nothing new. 0: TELLS: try again; GRANTS: held, and the wait has
 *           ended. Another code: GRANTS failed, and the wait has ended.
 * es__prim_wait_end: ends it, waiting for the system's last word. GRANTS: 0 when the bytes are
 *           held; ES_ECANCELED otherwise.                                                       */
int es__prim_wait_begin(es__prim_monitor_t *monitor, es__wait_t *wait, es__hold_t *hold,
                        es__bytes_t bytes, es_lock_kind_t kind, int is_fair);
int es__prim_wait_check(es__prim_monitor_t *monitor, es__wait_t *wait);
int es__prim_wait_end(es__prim_monitor_t *monitor, es__wait_t *wait);

#endif
