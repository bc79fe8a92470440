/* SPDX-License-Identifier: MIT */
/* Blocking calls. One that only the lock can end, with neither a deadline nor a cancel, waits in
 * the system's own queue: the release wakes its thread directly, and the order is the system's. Any
 * other, and any on a system or file system without such a queue, waits by a monitor. Breaks if a
 * wait in the queue could also have to end for another reason: nothing would end it. */
#include "lock_internal.h"

/* A removed file may stay locked by others for ever: then the path's new file is to be had. What an
 * adopted descriptor has of old is given up while waiting. An upgrade is taken back when it cannot
 * be had. The queue knows nothing of all that. */
static int may_queue(const es_lock_t *lock, int64_t timeout_ns, const es_cancel_t *cancel) {
    return timeout_ns < 0 && cancel == NULL && lock->kind == 0 &&
           (lock->file->flags & (ES_LOCK_UNLINK_ON_RELEASE | ES_LOCK_ADOPT)) == 0;
}

/* Bytes are waited for one step after another, as they turn out to be busy; those that we have keep
 * others out meanwhile. */
static int wait_in_queue(es_lock_t *lock) {
    int code;

    lock->is_queued = 1;
    do {
        code = es__graph_wait(lock);
        if (code != 0) {
            break;
        }
        code = es__prim_lock_wait(&lock->hold, es__lock_blocked_bytes(lock), lock->blocked_kind);
        if (code == 0) {
            es__lock_granted(lock);
        }
        if (code == 0 || code == ES_EINTR) {
            code = es__lock_advance(lock);
        } else if (code == ES_EAGAIN) {
            code = ES_ENOTSUP; /* a queue that does not wait is none */
        }
    } while (code == ES_EAGAIN);
    return code;
}

int es__lock_wait(es_lock_t *lock, int64_t timeout_ns, es_cancel_t *cancel) {
    int code = may_queue(lock, timeout_ns, cancel) ? wait_in_queue(lock) : ES_ENOTSUP;

    if (code == ES_ENOTSUP) {
        return es__lock_wait_by_monitor(lock, timeout_ns, cancel);
    }
    if (code != 0) {
        es__lock_discard(lock);
    }
    return code;
}
