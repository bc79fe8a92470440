/* SPDX-License-Identifier: MIT */
/* Waiting: requests, the monitor that serves them, and blocking calls that can end without the
 * lock, which are a request and a monitor of their own. It guarantees one callback per request and
 * service in order of arrival: of those who wait for one file only the first tries, so a release
 * costs a process one attempt, however many wait. A conversion is tried before them all, since
 * they wait for its holder. A request lives in exactly one list: its queue's or the finished ones.
 * What breaks it: a release that enables a waiter without es__prim_lock_announce or a close. */
#include "lock_internal.h"

#include "error_internal.h"

#include <evenshim/memory.h>
#include <evenshim/process.h>

#include <assert.h>
#include <string.h>

#define MS ((int64_t)1000000)

/* Waiting for readers that pass a gate, or where nobody tells: from 1 ms, growing, with jitter so
 * that many waiters do not ask in step. */
#define ASK_FIRST_NS MS
#define ASK_MOST_NS  (50 * MS)
#define ASK_CAP_NS   (250 * MS)

/* A holder's death tells its waiters a moment before the lock is gone (Linux: __fput calls
 * fsnotify_close, then locks_remove_file), so a round that found it taken is repeated: soon, and
 * for the case that the dying process has to wait for a processor in between, after seconds. */
#define ECHO_COUNT    5
#define ECHO_FIRST_NS MS
#define ECHO_FACTOR   8

#define IDLE_COUNT    4

typedef struct req req_t;
typedef struct queue queue_t;

enum { WAITING, FINISHED };

/* A request's own part, in the caller's storage. */
struct req {
    req_t *next;
    req_t *before;
    queue_t *queue;
    es_lock_monitor_t *monitor;
    es_lock_t *lock;
    es_lock_cb cb;
    int64_t deadline_ns; /* INT64_MAX: none */
    int status;
    int state;
    int is_convert;
    int has_wait;
    uint32_t wait_serial; /* which opening of the lock's hold the wait is for */
    es__wait_t wait;
};
_Static_assert(sizeof(req_t) <= sizeof(((es_lock_req_t *)0)->opaque), "a request fits");

/* Those who wait for one file, first come first. Ranges of one file have a queue of their own. */
struct queue {
    queue_t *next;
    es__identity_t identity;
    int is_ranges;
    int is_due;
    req_t *first;
    req_t *last;
    int64_t retry_at_ns; /* INT64_MAX: not by time */
    int64_t pause_ns;    /* the last one, for the growth of the next */
    int echo_count;      /* how many repetitions of the last round are to come */
};

struct es_lock_monitor {
    es__prim_monitor_t *prim;
    queue_t *queues;
    req_t *finished;
    req_t *finished_last;
    int64_t deadline_next_ns; /* no deadline lies before this */
    uint64_t random;
    uint32_t generation;
    int is_dispatching;
};

static req_t *own_part(es_lock_req_t *req) {
    return (req_t *)(void *)req->opaque.words;
}

static es_lock_req_t *public_part(req_t *req) {
    return (es_lock_req_t *)(void *)((char *)req - offsetof(es_lock_req_t, opaque));
}

static int64_t add_time(int64_t now_ns, int64_t timeout_ns) {
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

/* ---- Lists ---- */

static void append(queue_t *queue, req_t *req) {
    req->queue = queue;
    req->next = NULL;
    req->before = queue->last;
    *(queue->last != NULL ? &queue->last->next : &queue->first) = req;
    queue->last = req;
}

static void prepend(queue_t *queue, req_t *req) {
    req->queue = queue;
    req->before = NULL;
    req->next = queue->first;
    *(queue->first != NULL ? &queue->first->before : &queue->last) = req;
    queue->first = req;
}

static void take_out(req_t *req) {
    queue_t *queue = req->queue;

    *(req->before != NULL ? &req->before->next : &queue->first) = req->next;
    *(req->next != NULL ? &req->next->before : &queue->last) = req->before;
    req->queue = NULL;
}

static void append_finished(es_lock_monitor_t *monitor, req_t *req, int status) {
    req->state = FINISHED;
    req->status = status;
    req->next = NULL;
    *(monitor->finished != NULL ? &monitor->finished_last->next : &monitor->finished) = req;
    monitor->finished_last = req;
}

static int is_queue_of(const queue_t *queue, const es_lockfile_t *file, int is_ranges) {
    return queue->is_ranges == is_ranges && queue->identity.volume == file->identity.volume &&
           queue->identity.file[0] == file->identity.file[0] &&
           queue->identity.file[1] == file->identity.file[1];
}

static int is_range(const es_lock_t *lock) {
    return lock->range.offset != 0 || lock->range.size != 0 ||
           (lock->file->flags & ES__LOCK_COMPAT) != 0;
}

static queue_t *find_queue(es_lock_monitor_t *monitor, const es_lock_t *lock) {
    int wants_ranges = is_range(lock);
    queue_t *queue = monitor->queues;

    while (queue != NULL && !is_queue_of(queue, lock->file, wants_ranges)) {
        queue = queue->next;
    }
    if (queue == NULL) {
        queue = es_calloc(1, sizeof(*queue));
        if (queue != NULL) {
            queue->identity = lock->file->identity;
            queue->is_ranges = wants_ranges;
            queue->retry_at_ns = INT64_MAX;
            queue->next = monitor->queues;
            monitor->queues = queue;
        }
    }
    return queue;
}

static void free_empty_queues(es_lock_monitor_t *monitor) {
    queue_t **link = &monitor->queues;

    while (*link != NULL) {
        queue_t *queue = *link;

        if (queue->first == NULL) {
            *link = queue->next;
            es_free(queue);
        } else {
            link = &queue->next;
        }
    }
}

/* ---- Service ---- */

static uint64_t next_random(es_lock_monitor_t *monitor) {
    monitor->random = monitor->random * 6364136223846793005u + 1442695040888963407u;
    return monitor->random >> 33;
}

/* Decorrelated jitter: anything from the first pause to three times the last one. */
static int64_t next_pause(es_lock_monitor_t *monitor, int64_t last_ns, int64_t most_ns) {
    int64_t top = 3 * (last_ns > ASK_FIRST_NS ? last_ns : ASK_FIRST_NS);
    int64_t pause = ASK_FIRST_NS + (int64_t)(next_random(monitor) % (uint64_t)top);

    return pause < most_ns ? pause : most_ns;
}

static void ask_again(es_lock_monitor_t *monitor, queue_t *queue, int64_t now_ns, int is_blind) {
    int64_t most = is_blind && queue->pause_ns >= ASK_MOST_NS ? ASK_CAP_NS : ASK_MOST_NS;
    int64_t at;

    queue->pause_ns = next_pause(monitor, queue->pause_ns, most);
    at = add_time(now_ns, queue->pause_ns);
    if (at < queue->retry_at_ns) {
        queue->retry_at_ns = at;
    }
}

static int do_overlap(const es_lock_t *one, const es_lock_t *other) {
    uint64_t one_end = one->range.size != 0 ? one->range.offset + one->range.size : UINT64_MAX;
    uint64_t other_end = other->range.size != 0 ? other->range.offset + other->range.size
                                                : UINT64_MAX;

    return one->range.offset < other_end && other->range.offset < one_end;
}

/* Must this request let an earlier one go first? */
static int is_behind(const queue_t *queue, const req_t *req) {
    for (const req_t *other = queue->first; other != req; other = other->next) {
        if (!other->is_convert && do_overlap(other->lock, req->lock) &&
            (other->lock->wanted == ES_LOCK_EXCLUSIVE || req->lock->wanted == ES_LOCK_EXCLUSIVE)) {
            return 1;
        }
    }
    return 0;
}

static int attempt(req_t *req) {
    return req->is_convert ? es__lock_advance(req->lock) : es__lock_attempt(req->lock);
}

/* After a failed attempt the wait must be for what blocks now. */
static int is_wait_right(const req_t *req) {
    es__bytes_t bytes = es__lock_blocked_bytes(req->lock);

    if (!req->has_wait) {
        return 0;
    }
    if (req->wait.manner != ES__WAIT_GRANTS) {
        return req->wait_serial == req->lock->hold_serial;
    }
    return req->wait.bytes.offset == bytes.offset && req->wait.kind == req->lock->blocked_kind;
}

/* Ends the wait; 0 when the system had granted the bytes, which are then the lock's. */
static int end_wait(req_t *req) {
    int code;

    if (!req->has_wait) {
        return ES_ECANCELED;
    }
    req->has_wait = 0;
    code = es__prim_wait_end(req->monitor->prim, &req->wait);
    if (code == 0) {
        es__lock_granted(req->lock);
    }
    return code;
}

static int begin_wait(req_t *req) {
    es_lock_t *lock = req->lock;
    int is_fair = (lock->file->flags & ES_LOCK_FAIR) != 0 && !req->is_convert;
    int code = es__prim_wait_begin(req->monitor->prim, &req->wait, &lock->hold,
                                   es__lock_blocked_bytes(lock), lock->blocked_kind, is_fair);

    req->has_wait = code == 0;
    req->wait_serial = lock->hold_serial;
    lock->was_held |= code == 0 && req->wait.manner == ES__WAIT_GRANTS;
    return code;
}

/* Before an attempt: ES_EAGAIN when the system still waits for us. */
static int check_wait(req_t *req) {
    int code;

    if (!req->has_wait) {
        return 0;
    }
    if (req->wait.manner != ES__WAIT_GRANTS) {
        req->wait.is_due = 0;
        return 0;
    }
    code = es__prim_wait_check(req->monitor->prim, &req->wait);
    if (code == ES_EAGAIN) {
        return code;
    }
    req->has_wait = 0;
    if (code == 0) {
        es__lock_granted(req->lock);
    }
    return code == ES_ECANCELED ? 0 : code; /* the system gave up: begin again */
}

/* Tries until the lock is had, fails, or is waited for rightly. A wait that tells is begun before
 * the last attempt, so that nothing is missed between them. */
static int serve(req_t *req) {
    int code = check_wait(req);

    while (code == 0) {
        code = attempt(req);
        if (code != ES_EAGAIN || is_wait_right(req)) {
            break;
        }
        if (end_wait(req) == 0) {
            code = 0;
            continue;
        }
        code = begin_wait(req);
        if (code == 0 && req->wait.manner != ES__WAIT_TELLS) {
            code = ES_EAGAIN;
        }
    }
    if (code != ES_EAGAIN) {
        (void)end_wait(req);
    }
    return code;
}

/* What a failed request has leaves it: an acquisition is undone, a conversion taken back. */
static int undo(req_t *req, int status) {
    int undone = 0;

    if (req->is_convert) {
        undone = es__lock_retreat(req->lock);
    } else {
        es__lock_discard(req->lock);
        req->lock = NULL;
    }
    return undone != 0 ? undone : status;
}

static void finish(es_lock_monitor_t *monitor, req_t *req, int status) {
    take_out(req);
    append_finished(monitor, req, status != 0 ? undo(req, status) : 0);
}

/* Takes a request out of its wait without the lock, or with it if the system was faster. */
static void stop(es_lock_monitor_t *monitor, req_t *req, int reason) {
    if (end_wait(req) == 0 && attempt(req) == 0) {
        reason = 0;
    }
    req->queue->is_due = 1; /* who comes next may try now */
    finish(monitor, req, reason);
}

static void plan_retry(es_lock_monitor_t *monitor, queue_t *queue, const req_t *req,
                       int64_t now_ns) {
    if (!req->has_wait || req->wait.manner == ES__WAIT_BLIND) {
        ask_again(monitor, queue, now_ns, 1);
    } else if (req->wait.manner == ES__WAIT_TELLS && req->lock->is_passing) {
        ask_again(monitor, queue, now_ns, 0);
    } else if (req->wait.manner == ES__WAIT_TELLS && queue->echo_count > 0) {
        int64_t pause = ECHO_FIRST_NS;

        for (int times = queue->echo_count; times < ECHO_COUNT; times++) {
            pause *= ECHO_FACTOR;
        }
        if (add_time(now_ns, pause) < queue->retry_at_ns) {
            queue->retry_at_ns = add_time(now_ns, pause);
        }
    }
}

/* Whether those who may try now have been told to, or the system may have granted something. */
static int is_told(const queue_t *queue) {
    for (const req_t *req = queue->first; req != NULL; req = req->next) {
        if (req->has_wait && (req->wait.is_due || req->wait.manner == ES__WAIT_GRANTS)) {
            return 1;
        }
        if (!queue->is_ranges && !req->is_convert) {
            break;
        }
    }
    return 0;
}

/* Whether a round is to be made, and what it means for the next. */
static int begin_round(queue_t *queue, int64_t now_ns) {
    if (is_told(queue)) {
        queue->echo_count = ECHO_COUNT;
        queue->pause_ns = 0;
    } else if (now_ns >= queue->retry_at_ns) {
        queue->echo_count -= queue->echo_count > 0;
    } else if (!queue->is_due) {
        return 0;
    }
    queue->is_due = 0;
    queue->retry_at_ns = INT64_MAX;
    return 1;
}

static void serve_queue(es_lock_monitor_t *monitor, queue_t *queue, int64_t now_ns) {
    req_t *req = queue->first;

    if (!begin_round(queue, now_ns)) {
        return;
    }
    while (req != NULL) {
        req_t *next = req->next;
        int code = !req->is_convert && is_behind(queue, req) ? ES_EAGAIN : serve(req);

        if (code != ES_EAGAIN) {
            queue->pause_ns = 0; /* what has just been had may soon be let go of */
            finish(monitor, req, code);
        } else {
            if (req->has_wait) {
                plan_retry(monitor, queue, req, now_ns);
            }
            if (!queue->is_ranges && !req->is_convert) {
                break; /* all others of a whole file come after this one */
            }
        }
        req = next;
    }
}

static void expire(es_lock_monitor_t *monitor, int64_t now_ns) {
    if (now_ns < monitor->deadline_next_ns) {
        return;
    }
    monitor->deadline_next_ns = INT64_MAX;
    for (queue_t *queue = monitor->queues; queue != NULL; queue = queue->next) {
        for (req_t *req = queue->first, *next; req != NULL; req = next) {
            next = req->next;
            if (now_ns >= req->deadline_ns) {
                stop(monitor, req, ES_ETIMEDOUT);
            } else if (req->deadline_ns < monitor->deadline_next_ns) {
                monitor->deadline_next_ns = req->deadline_ns;
            }
        }
    }
}

/* ---- The interface ---- */

int es_lock_monitor_open(es_lock_monitor_t **out) {
    es_lock_monitor_t *monitor = es_calloc(1, sizeof(*monitor));
    int code;

    assert(out != NULL);
    if (monitor == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_LOCK, "es_lock_monitor_open");
    }
    code = es__prim_monitor_open(&monitor->prim);
    if (code != 0) {
        es_free(monitor);
        return code;
    }
    monitor->deadline_next_ns = INT64_MAX;
    monitor->random = (uint64_t)es__prim_now_ns() ^ (uint64_t)(uintptr_t)monitor;
    monitor->generation = es_process_generation();
    *out = monitor;
    return 0;
}

static void drop_requests(es_lock_monitor_t *monitor) {
    for (queue_t *queue = monitor->queues; queue != NULL; queue = queue->next) {
        while (queue->first != NULL) {
            stop(monitor, queue->first, ES_ECANCELED);
        }
    }
    while (monitor->finished != NULL) {
        req_t *req = monitor->finished;

        monitor->finished = req->next;
        if (req->status == 0 && !req->is_convert) {
            (void)es_lock_release(req->lock);
        }
    }
}

void es_lock_monitor_close(es_lock_monitor_t *monitor) {
    if (monitor == NULL) {
        return;
    }
    if (monitor->generation == es_process_generation()) {
        drop_requests(monitor);
    }
    while (monitor->queues != NULL) {
        queue_t *queue = monitor->queues;

        monitor->queues = queue->next;
        es_free(queue);
    }
    es__prim_monitor_close(monitor->prim);
    es_free(monitor);
}

es_pollable_t es_lock_monitor_pollable(const es_lock_monitor_t *monitor) {
    return es__prim_monitor_pollable(monitor->prim);
}

int64_t es_lock_monitor_timeout(const es_lock_monitor_t *monitor) {
    int64_t at = monitor->deadline_next_ns;
    int64_t now_ns;

    if (monitor->finished != NULL) {
        return 0;
    }
    for (const queue_t *queue = monitor->queues; queue != NULL; queue = queue->next) {
        if (queue->is_due) {
            return 0;
        }
        at = queue->retry_at_ns < at ? queue->retry_at_ns : at;
    }
    if (at == INT64_MAX) {
        return ES_LOCK_FOREVER;
    }
    now_ns = es__prim_now_ns();
    return at > now_ns ? at - now_ns : 0;
}

/* 0, or ES_EFORKED: in a forked child its descriptors are the parent's. */
static int check_owner(const es_lock_monitor_t *monitor, const char *call) {
    return monitor->generation == es_process_generation()
               ? 0
               : es__refuse(ES_EFORKED, ES_OP_LOCK, call);
}

int es_lock_monitor_wait(es_lock_monitor_t *monitor, int64_t timeout_ns, es_cancel_t *cancel) {
    int code = check_owner(monitor, "es_lock_monitor_wait");

    return code != 0 ? code : es__prim_monitor_wait(monitor->prim, timeout_ns, cancel);
}

void es_lock_monitor_wake(es_lock_monitor_t *monitor) {
    es__prim_monitor_wake(monitor->prim);
}

/* Puts a request into its queue, or among the finished ones when it need not wait. A failure here
 * has undone it. */
static int submit(es_lock_monitor_t *monitor, req_t *req, int64_t timeout_ns) {
    queue_t *queue = find_queue(monitor, req->lock);
    int code;

    if (queue == NULL) {
        return undo(req, es__refuse(ES_ENOMEM, ES_OP_LOCK, "es_lock_start"));
    }
    req->monitor = monitor;
    req->state = WAITING;
    req->has_wait = 0;
    req->deadline_ns = add_time(es__prim_now_ns(), timeout_ns);
    (req->is_convert ? prepend : append)(queue, req);
    code = !req->is_convert && is_behind(queue, req) ? ES_EAGAIN : 0;
    if (code == 0) {
        req->lock->is_queued = timeout_ns != 0 || req->is_convert;
        code = timeout_ns != 0 ? serve(req) : attempt(req);
    }
    if (code == ES_EAGAIN && timeout_ns != 0) {
        req->lock->is_queued = 1;
        monitor->deadline_next_ns = req->deadline_ns < monitor->deadline_next_ns
                                        ? req->deadline_ns
                                        : monitor->deadline_next_ns;
        if (req->has_wait) {
            plan_retry(monitor, queue, req, es__prim_now_ns());
        }
        return 0;
    }
    finish(monitor, req, code);
    es__prim_monitor_wake(monitor->prim);
    return 0;
}

int es_lock_start(es_lock_monitor_t *monitor, es_lock_req_t *req, es_lockfile_t *file,
                  es_lock_kind_t kind, const es_range_t *range, int64_t timeout_ns, es_lock_cb cb) {
    req_t *own = own_part(req);
    int code;

    assert(monitor != NULL && file != NULL && cb != NULL);
    memset(own, 0, sizeof(*own));
    own->cb = cb;
    code = check_owner(monitor, "es_lock_start");
    if (code == 0) {
        code = es__lock_new(file, kind, range, &own->lock);
    }
    if (code != 0) {
        return code;
    }
    return submit(monitor, own, timeout_ns);
}

static int convert_now(es_lock_monitor_t *monitor, req_t *own, es_lock_kind_t kind) {
    int code = kind == own->lock->kind ? 0 : es__lock_downgrade(own->lock);

    if (code != 0) {
        return code;
    }
    own->monitor = monitor;
    append_finished(monitor, own, 0);
    es__prim_monitor_wake(monitor->prim);
    return 0;
}

int es_lock_start_convert(es_lock_monitor_t *monitor, es_lock_req_t *req, es_lock_t *lock,
                          es_lock_kind_t kind, int64_t timeout_ns, es_lock_cb cb) {
    req_t *own = own_part(req);
    int code = es__lock_check_convert(lock, kind);

    assert(monitor != NULL && cb != NULL);
    if (code == 0) {
        code = check_owner(monitor, "es_lock_start_convert");
    }
    if (code != 0) {
        return code;
    }
    memset(own, 0, sizeof(*own));
    own->cb = cb;
    own->lock = lock;
    own->is_convert = 1;
    if (kind == ES_LOCK_SHARED || kind == lock->kind) {
        return convert_now(monitor, own, kind);
    }
    es__graph_drop(lock); /* who waits in a request is not known, nor who releases what it gets */
    es__lock_begin_upgrade(lock);
    return submit(monitor, own, timeout_ns);
}

int es_lock_cancel(es_lock_req_t *req) {
    req_t *own = own_part(req);
    int code;

    if (own->state != WAITING || own->queue == NULL) {
        return ES_EALREADY;
    }
    code = check_owner(own->monitor, "es_lock_cancel");
    if (code != 0) {
        return code;
    }
    stop(own->monitor, own, ES_ECANCELED);
    es__prim_monitor_wake(own->monitor->prim);
    return 0;
}

/* A callback is the last to see its request. What callbacks finish is for the next dispatch. */
static int tell_finished(es_lock_monitor_t *monitor) {
    const req_t *last = monitor->finished_last;
    int count = 0;
    int is_last = 0;

    while (monitor->finished != NULL && !is_last) {
        req_t *req = monitor->finished;

        is_last = req == last;
        monitor->finished = req->next;
        req->cb(public_part(req), req->status, req->lock);
        count++;
    }
    return count;
}

int es_lock_dispatch(es_lock_monitor_t *monitor) {
    int64_t now_ns;
    int code;
    int count;

    assert(monitor != NULL && !monitor->is_dispatching);
    code = check_owner(monitor, "es_lock_dispatch");
    if (code != 0) {
        return code;
    }
    monitor->is_dispatching = 1;
    code = es__prim_monitor_collect(monitor->prim);
    now_ns = es__prim_now_ns();
    for (queue_t *queue = monitor->queues; queue != NULL; queue = queue->next) {
        serve_queue(monitor, queue, now_ns);
    }
    expire(monitor, now_ns);
    for (queue_t *queue = monitor->queues; queue != NULL; queue = queue->next) {
        if (queue->is_due) {
            serve_queue(monitor, queue, now_ns);
        }
    }
    count = tell_finished(monitor);
    free_empty_queues(monitor);
    if (monitor->finished != NULL) {
        es__prim_monitor_wake(monitor->prim);
    }
    monitor->is_dispatching = 0;
    return code != 0 ? code : count;
}

/* ---- Blocking ---- */

/* Monitors of threads that have waited, for the next: making one costs more than most waits. */
static atomic_uintptr_t idle[IDLE_COUNT];

static int borrow(es_lock_monitor_t **out) {
    for (int index = 0; index < IDLE_COUNT; index++) {
        es_lock_monitor_t *monitor = (es_lock_monitor_t *)atomic_exchange(&idle[index], 0);

        if (monitor != NULL && monitor->generation == es_process_generation()) {
            es__prim_monitor_renew(monitor->prim);
            *out = monitor;
            return 0;
        }
        es_lock_monitor_close(monitor);
    }
    return es_lock_monitor_open(out);
}

static void give_back(es_lock_monitor_t *monitor) {
    free_empty_queues(monitor);
    for (int index = 0; index < IDLE_COUNT; index++) {
        uintptr_t empty = 0;

        if (atomic_compare_exchange_strong(&idle[index], &empty, (uintptr_t)monitor)) {
            return;
        }
    }
    es_lock_monitor_close(monitor);
}

/* Takes the finished request, which is the only one, without its callback. */
static int take_answer(es_lock_monitor_t *monitor, req_t *req) {
    assert(monitor->finished == req && req->next == NULL);
    monitor->finished = NULL;
    return req->status;
}

/* A round for a monitor with one request: like es_lock_dispatch, without callbacks. */
static void serve_alone(es_lock_monitor_t *monitor) {
    int64_t now_ns;

    (void)es__prim_monitor_collect(monitor->prim);
    now_ns = es__prim_now_ns();
    serve_queue(monitor, monitor->queues, now_ns);
    expire(monitor, now_ns);
}

static int is_endless(const req_t *req, const es_cancel_t *cancel) {
    return req->deadline_ns == INT64_MAX && cancel == NULL;
}

int es__lock_wait_by_monitor(es_lock_t *lock, int64_t timeout_ns, es_cancel_t *cancel) {
    es_lock_monitor_t *monitor = NULL;
    req_t req;
    int code = borrow(&monitor);

    memset(&req, 0, sizeof(req));
    req.lock = lock;
    req.is_convert = lock->kind != 0;
    if (code != 0) {
        return undo(&req, code);
    }
    code = submit(monitor, &req, timeout_ns);
    while (code == 0 && req.state == WAITING) {
        int waited = is_endless(&req, cancel) ? es__graph_wait(lock) : 0;

        if (waited == 0) {
            int64_t pause_ns = es_lock_monitor_timeout(monitor);

            waited = pause_ns == 0 ? 0 : es__prim_monitor_wait(monitor->prim, pause_ns, cancel);
        }
        if (waited != 0 && waited != ES_ETIMEDOUT) {
            stop(monitor, &req, waited);
        } else {
            serve_alone(monitor);
        }
    }
    if (code == 0) {
        code = take_answer(monitor, &req);
    }
    give_back(monitor);
    return code;
}
