/* SPDX-License-Identifier: MIT */
/* What the files src/lock*.c share: the objects and the protocol's steps. Not installed. */
#ifndef EVENSHIM_SRC_LOCK_INTERNAL_H
#define EVENSHIM_SRC_LOCK_INTERNAL_H

#include "prim/lock.h"

#include <stdatomic.h>

#define ES__LOCK_COMPAT (ES_LOCK_COMPAT_FLOCK | ES_LOCK_COMPAT_BYTE0 | ES_LOCK_NATIVE_RANGE)

/* Where the locks lie. Nothing keeps data there: 2^62 bytes are four exabytes. A whole-file lock
 * has three bytes; a range has its own bytes twice, as DATA and as GATE (see lock_protocol.c). */
#define ES__LOCK_BASE  ((uint64_t)1 << 62)
#define ES__RANGE_DATA (ES__LOCK_BASE + ((uint64_t)1 << 20))
#define ES__RANGE_GATE ((uint64_t)1 << 61)

/* Steps of the protocol, and what of it is held. */
#define ES__STEP_RESERVED 1u
#define ES__STEP_GATE     2u
#define ES__STEP_DATA     4u
#define ES__STEP_COUNT    3

/* DATA during an upgrade that cannot be made in one step: shared; given up; exclusive. */
enum { ES__NOT_PARTED, ES__PARTED, ES__REGAINED };

struct es_lockfile {
    atomic_uint references; /* the caller's one and one per lock */
    uint32_t flags;
    uint32_t generation; /* es_process_generation at the opening */
    int mode;
    intptr_t base;          /* never holds a lock; ES_LOCK_UNLINK_ON_RELEASE: NONE */
    atomic_uintptr_t spare; /* a lock object with an unused hold, for the next one */
    es__identity_t identity;
    char *path; /* NULL: wrapped */
};

/* Which bytes serve which step; size 0 in `steps_used` means the step is left out. */
typedef struct es__layout {
    unsigned steps_used;
    es__bytes_t bytes[ES__STEP_COUNT];
} es__layout_t;

/* A lock in lock_graph.c: what it has, whose it is, and what it waits for. Only that file's. */
typedef struct es__graph_node {
    struct es__graph_node *next;
    struct es__graph_node **link;
    int is_listed;                /* for the lock's own thread; the rest under the graph's lock */
    struct es__graph_node *below; /* of a search */
    unsigned epoch;
    unsigned long long thread;
    es__identity_t file;
    int is_flock;
    unsigned held;
    es_lock_kind_t kind; /* of DATA */
    es__bytes_t bytes[ES__STEP_COUNT];
    int is_waiting;
    es__bytes_t blocked;
    es_lock_kind_t blocked_kind;
} es__graph_node_t;

struct es_lock {
    es_lockfile_t *file;
    es__hold_t hold; /* native is ES__NATIVE_NONE until the first try */
    es__hold_t heir; /* who is given DATA in the end (ES_LOCK_ADOPT), or native NONE */
    int has_yielded; /* what the heir had of old has been freed */
    es__layout_t layout;
    es_range_t range;
    es_lock_kind_t kind;         /* what is held; 0: nothing yet */
    es_lock_kind_t wanted;       /* what is being taken */
    unsigned held;               /* steps whose bytes we have */
    unsigned blocked_on;         /* after ES_EAGAIN: the step, */
    es_lock_kind_t blocked_kind; /* the kind wanted there, */
    int is_passing;              /* and whether its holder has it for an instant only */
    int parting;                 /* of an upgrade without ES__LOCK_UPGRADES */
    int was_held;                /* the hold has had a lock: others may wait for its close */
    int is_queued;               /* waits: may keep bytes between tries */
    uint32_t hold_serial;        /* grows whenever the hold is opened */
    int owns_file;               /* es_pidlock_acquire: the file goes with the lock */
    uint32_t generation;
    es__graph_node_t node;
};

/* lock_protocol.c */

/* 0 or ES_EINVAL: fills the lock's layout. */
int es__lock_lay_out(es_lock_t *lock, const es_range_t *range);

/* Takes what can be taken without waiting: 0 the lock is held as wanted; ES_EAGAIN and blocked_on;
 * or a failure. Bytes taken on the way are kept if is_queued; es__lock_retreat gives them back. */
int es__lock_advance(es_lock_t *lock);

/* The bytes that ES_EAGAIN was about. */
es__bytes_t es__lock_blocked_bytes(const es_lock_t *lock);

/* The system has taken the bytes of blocked_on for us. */
void es__lock_granted(es_lock_t *lock);

/* With an heir, after ES_EAGAIN: whether what the heir may have of old can become what is wanted at
 * once: 0 and the lock is held, or ES_EAGAIN. */
int es__lock_inherit(es_lock_t *lock);

/* Gives up: back to what was held before (`kind`). 0, or ES_ESTALE if that was lost. */
int es__lock_retreat(es_lock_t *lock);

/* Exclusive to shared, without waiting. */
int es__lock_downgrade(es_lock_t *lock);

/* lock.c */
int es__lock_new(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                 es_lock_t **out);
int es__lock_check_convert(const es_lock_t *lock, es_lock_kind_t kind);
void es__lock_begin_upgrade(es_lock_t *lock);

/* One round of trying: opens the hold if need be, advances, and with ES_LOCK_UNLINK_ON_RELEASE
 * starts over when the file was removed meanwhile. */
int es__lock_attempt(es_lock_t *lock);

/* Ends an acquisition that failed: everything goes back, and the object. */
void es__lock_discard(es_lock_t *lock);

/* lock_block.c: waits for a lock whose attempt said ES_EAGAIN. After a failure it has been
 * discarded, or, for an upgrade, has retreated.
 * lock_monitor.c: the same by a request of its own. */
int es__lock_wait(es_lock_t *lock, int64_t timeout_ns, es_cancel_t *cancel);
int es__lock_wait_by_monitor(es_lock_t *lock, int64_t timeout_ns, es_cancel_t *cancel);

/* lock_graph.c in debug builds, lock_graph_none.c in others.
 * es__graph_hold: the calling thread has this lock and will release it.
 * es__graph_drop: before a release; or nobody is known to release it.
 * es__graph_wait: before waiting for blocked_bytes without an end. 0: the wait is noted until one
 *           of the two above; ES_EDEADLK: it would never end, since those who have the bytes wait,
 *           in the end, for what the calling thread has.                                        */
void es__graph_hold(es_lock_t *lock);
void es__graph_drop(es_lock_t *lock);
int es__graph_wait(es_lock_t *lock);

#endif
