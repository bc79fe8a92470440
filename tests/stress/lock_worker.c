/* SPDX-License-Identifier: MIT */
/* See lock_worker.h. A process holds a few locks and has a few requests at once. It waits for ever
 * only where that cannot be a deadlock of the test's own making: a blocking call with nothing held,
 * a request or an upgrade because everything else held is let go of in time. */
#include "lock_worker.h"

#include "prim/lock.h"
#include "real_file.h"
#include "real_process.h"

#include <stdio.h>
#include <string.h>

#define US ((int64_t)1000)
#define MS (1000 * US)
#define S  (1000 * MS)

/* A blocking wait ends at last, so that a process whose supervisor is gone does. */
#define LONGEST_NS      (60 * S)
#define SUPERVISOR_GONE (20 * S)

enum { HOLD_MAX = 3, REQUEST_MAX = WAIT_COUNT - 1, OPENED_TWICE = 2, BLOCKING_WAIT = 0 };

static const char *const lock_file_names[FILE_COUNT] = {"one", "two", "fair"};

typedef struct hold {
    es_lock_t *lock;
    target_t target;
    es_lock_kind_t kind; /* as asked for; 0: this place is free */
} hold_t;

typedef struct request {
    es_lock_req_t req;
    hold_t hold;
    int is_used;
    int is_convert;
    int is_cancelled; /* es_lock_cancel said 0 */
    int64_t timeout_ns;
    int64_t started_ns;
} request_t;

static struct worker {
    record_t *record;
    int slot;
    const char *base;
    random_t random;
    es_lock_monitor_t *monitor;
    es_lockfile_t *files[FILE_COUNT][OPENED_TWICE];
    hold_t holds[HOLD_MAX];
    int hold_count;
    request_t requests[REQUEST_MAX];
    int request_count;
} worker;

void random_seed(random_t *random, uint64_t seed) {
    random->state = seed * 0x9e3779b97f4a7c15u + 0x1234567u;
    for (int turn = 0; turn < 8; turn++) {
        (void)random_below(random, 2);
    }
}

unsigned random_below(random_t *random, unsigned bound) {
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random->state >> 33) % bound);
}

int lock_file_open(const char *base, int file, es_lockfile_t **out) {
    char path[REAL_PATH_BYTES];
    uint32_t flags = ES_LOCK_CREATE | (file == FILE_COUNT - 1 ? ES_LOCK_FAIR : 0);

    (void)snprintf(path, sizeof(path), "%.400s.%s", base, lock_file_names[file]);
    return es_lockfile_open(path, flags, 0600, out);
}

const es_range_t *range_of(const target_t *target, int to_the_end, es_range_t *range) {
    if (target->first == 0) {
        return NULL;
    }
    /* Moved by one, since a range from 0 to the end is the whole file. */
    range->offset = 1 + (uint64_t)(target->first - 1) * CELL_BYTES;
    range->size = to_the_end ? 0 : (uint64_t)target->count * CELL_BYTES;
    return range;
}

static unsigned below(unsigned bound) {
    return random_below(&worker.random, bound);
}

static int has_fault(fault_t fault, unsigned one_in) {
    return worker.record->fault == (int)fault && below(one_in) == 0;
}

static void note(const char *op, const hold_t *hold, es_lock_kind_t kind, int code) {
    record_event(worker.record, worker.slot, op, &hold->target, (int)kind, code);
    record_count(worker.record, worker.slot, COUNT_OPERATIONS);
    if (code == ES_EAGAIN) {
        record_count(worker.record, worker.slot, COUNT_BUSY);
    } else if (code == ES_ETIMEDOUT) {
        record_count(worker.record, worker.slot, COUNT_TIMEOUTS);
    } else if (code == ES_EDEADLK) {
        record_count(worker.record, worker.slot, COUNT_DEADLOCKS);
    } else if (code == ES_ECANCELED) {
        record_count(worker.record, worker.slot, COUNT_CANCELLED);
    }
}

static void wrong(const char *what, int code) {
    record_violation(worker.record, worker.slot, VIOLATION_ANSWER, "process %d: %s: %s",
                     worker.slot, what, code == 0 ? "ok" : es_error_name(code));
}

/* Is this what may come of an attempt with this timeout, after this time? */
static void judge(const char *op, int code, int64_t timeout_ns, int64_t waited_ns, int may_refuse) {
    if (code == 0 || (code == ES_EDEADLK && may_refuse)) {
        return;
    }
    if (timeout_ns == 0 ? code != ES_EAGAIN : code != ES_ETIMEDOUT || timeout_ns < 0) {
        wrong(op, code);
    } else if (code == ES_ETIMEDOUT && waited_ns + 100 * US < timeout_ns) {
        wrong("a wait that ended early", code);
    }
}

static target_t choose_target(void) {
    target_t target = {(int)below(FILE_COUNT), 0, 1};

    if (below(2) == 0) {
        target.first = 1 + (int)below(CELL_COUNT);
        target.count = 1 + (int)below((unsigned)(CELL_COUNT + 1 - target.first));
    }
    return target;
}

static hold_t choose_hold(void) {
    hold_t hold = {NULL, choose_target(), below(5) < 2 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED};

    return hold;
}

static const es_range_t *choose_range(const target_t *target, es_range_t *range) {
    int reaches_end = target->first + target->count == MARK_COUNT;

    return range_of(target, reaches_end && below(2) == 0, range);
}

static es_lockfile_t *file_of(const hold_t *hold) {
    return worker.files[hold->target.file][below(OPENED_TWICE)];
}

static es_lock_kind_t asked_kind(const hold_t *hold) {
    return has_fault(FAULT_SHARED, 20) ? ES_LOCK_SHARED : hold->kind;
}

static void keep(const hold_t *hold) {
    record_grant(worker.record, worker.slot, &hold->target, hold->kind);
    worker.holds[worker.hold_count++] = *hold;
}

static void drop_place(int index) {
    worker.holds[index] = worker.holds[--worker.hold_count];
}

static void release(int index) {
    hold_t hold = worker.holds[index];
    int code = 0;

    record_release(worker.record, worker.slot, &hold.target, hold.kind);
    drop_place(index);
    if (hold.kind != ES_LOCK_EXCLUSIVE || !has_fault(FAULT_RELEASE, 50)) {
        code = es_lock_release(hold.lock);
    }
    note("release", &hold, hold.kind, code);
    if (code != 0) {
        wrong("es_lock_release", code);
    }
}

static void make_room(void) {
    if (worker.hold_count + worker.request_count >= HOLD_MAX) {
        if (worker.hold_count > 0) {
            release((int)below((unsigned)worker.hold_count));
        }
    }
}

static int has_room(void) {
    make_room();
    return worker.hold_count + worker.request_count < HOLD_MAX;
}

static void try_one(void) {
    hold_t hold = choose_hold();
    es_range_t range;
    int code;

    if (!has_room()) {
        return;
    }
    code = es_lock_try(file_of(&hold), asked_kind(&hold), choose_range(&hold.target, &range),
                       &hold.lock);
    note("try", &hold, hold.kind, code);
    judge("es_lock_try", code, 0, 0, 0);
    if (code == 0) {
        keep(&hold);
    }
}

/* With an end and without one go two ways. Without: whoever has it ends at last, and so does this.
 * But not if a fault keeps locks: a debug build would see the process wait for itself. */
static int64_t choose_timeout(int may_be_long) {
    if (may_be_long && below(3) != 0) {
        return worker.record->fault == FAULT_NONE && below(2) != 0 ? ES_LOCK_FOREVER : LONGEST_NS;
    }
    return below(8) != 0 ? 1 + (int64_t)below(400) * US : (int64_t)below(20) * MS;
}

static void acquire(void) {
    hold_t hold = choose_hold();
    int64_t timeout_ns;
    int64_t started_ns;
    es_range_t range;
    int code;

    if (!has_room()) {
        return;
    }
    timeout_ns = choose_timeout(worker.hold_count == 0 && worker.request_count == 0);
    record_wait_begins(worker.record, worker.slot, BLOCKING_WAIT, &hold.target);
    started_ns = es__prim_now_ns();
    code = es_lock_acquire(file_of(&hold), asked_kind(&hold), choose_range(&hold.target, &range),
                           timeout_ns, NULL, &hold.lock);
    record_wait_ends(worker.record, worker.slot, BLOCKING_WAIT);
    note("acquire", &hold, hold.kind, code);
    judge("es_lock_acquire", code, timeout_ns, es__prim_now_ns() - started_ns, 0);
    if (code == 0) {
        keep(&hold);
    }
}

static int convert_blocking(hold_t *hold) {
    int64_t timeout_ns = choose_timeout(worker.hold_count == 1 && worker.request_count == 0);
    int64_t started_ns = es__prim_now_ns();
    int code;

    if (has_fault(FAULT_UPGRADE, 5)) {
        return 0;
    }
    record_wait_begins(worker.record, worker.slot, BLOCKING_WAIT, &hold->target);
    code = es_lock_convert(hold->lock, ES_LOCK_EXCLUSIVE, timeout_ns, NULL);
    record_wait_ends(worker.record, worker.slot, BLOCKING_WAIT);
    judge("es_lock_convert", code, timeout_ns, es__prim_now_ns() - started_ns, 1);
    if (es_lock_kind(hold->lock) != (code == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED)) {
        wrong("the kind after an upgrade", code);
    }
    return code;
}

/* ---- Requests ---- */

static void finish_convert(request_t *request, int status) {
    hold_t *hold = &request->hold;

    worker.holds[worker.hold_count++] = *hold;
    if (status == 0) {
        hold->kind = ES_LOCK_EXCLUSIVE;
        worker.holds[worker.hold_count - 1].kind = ES_LOCK_EXCLUSIVE;
        record_upgraded(worker.record, worker.slot, &hold->target);
    } else {
        record_event(worker.record, worker.slot, "still shared", &hold->target, ES_LOCK_SHARED, 0);
    }
}

static void answer(es_lock_req_t *req, int status, es_lock_t *lock) {
    request_t *request = req->data;
    int64_t waited_ns = es__prim_now_ns() - request->started_ns;
    int which = 1 + (int)(request - worker.requests);

    if (!request->is_used) {
        wrong("a second callback", status);
        return;
    }
    request->is_used = 0;
    worker.request_count--;
    record_wait_ends(worker.record, worker.slot, which);
    note(request->is_convert ? "upgraded" : "answer", &request->hold,
         request->is_convert ? ES_LOCK_EXCLUSIVE : request->hold.kind, status);
    if (status != ES_ECANCELED || !request->is_cancelled) {
        judge("a callback", status, request->timeout_ns, waited_ns, request->is_convert);
    }
    if (request->is_convert) {
        if (lock != request->hold.lock) {
            wrong("the callback of an upgrade without its lock", status);
        }
        finish_convert(request, status);
    } else if (status == 0) {
        request->hold.lock = lock;
        keep(&request->hold);
    } else if (lock != NULL) {
        wrong("a failed callback with a lock", status);
    }
}

static request_t *new_request(const hold_t *hold, int is_convert) {
    request_t *request = worker.requests;

    while (request < worker.requests + REQUEST_MAX && request->is_used) {
        request++;
    }
    if (request == worker.requests + REQUEST_MAX) {
        return NULL;
    }
    memset(request, 0, sizeof(*request));
    request->req.data = request;
    request->hold = *hold;
    request->is_used = 1;
    request->is_convert = is_convert;
    request->timeout_ns = below(2) == 0 ? ES_LOCK_FOREVER : choose_timeout(0);
    request->started_ns = es__prim_now_ns();
    worker.request_count++;
    record_wait_begins(worker.record, worker.slot, 1 + (int)(request - worker.requests),
                       &hold->target);
    return request;
}

static void start(void) {
    hold_t hold = choose_hold();
    request_t *request = has_room() ? new_request(&hold, 0) : NULL;
    es_range_t range;
    int code;

    if (request == NULL) {
        return;
    }
    code = es_lock_start(worker.monitor, &request->req, file_of(&hold), asked_kind(&hold),
                         choose_range(&hold.target, &range), request->timeout_ns, answer);
    note("start", &hold, hold.kind, code);
    if (code != 0) {
        wrong("es_lock_start", code);
    }
}

static void start_convert(int index) {
    hold_t hold = worker.holds[index];
    request_t *request = new_request(&hold, 1);
    int code;

    if (request == NULL) {
        return;
    }
    drop_place(index);
    code = es_lock_start_convert(worker.monitor, &request->req, hold.lock, ES_LOCK_EXCLUSIVE,
                                 request->timeout_ns, answer);
    note("start upgrade", &hold, ES_LOCK_EXCLUSIVE, code);
    if (code != 0) {
        wrong("es_lock_start_convert", code);
    }
}

static void cancel_one(void) {
    request_t *request = &worker.requests[below(REQUEST_MAX)];
    int code;

    if (!request->is_used || request->is_cancelled) {
        return;
    }
    code = es_lock_cancel(&request->req);
    note("cancel", &request->hold, request->hold.kind, code);
    if (code == 0) {
        request->is_cancelled = 1;
    } else if (code != ES_EALREADY) {
        wrong("es_lock_cancel", code);
    }
}

static void pump(unsigned wait_us) {
    int code = 0;

    if (worker.record->fault == FAULT_DEAF) {
        real_pause_us(wait_us);
        return;
    }
    if (wait_us > 0) {
        code = es_lock_monitor_wait(worker.monitor, (int64_t)wait_us * US, NULL);
    }
    if (code != 0 && code != ES_ETIMEDOUT) {
        wrong("es_lock_monitor_wait", code);
    }
    code = es_lock_dispatch(worker.monitor);
    if (code < 0) {
        wrong("es_lock_dispatch", code);
    }
}

/* ---- Holds ---- */

/* A hold of this kind, or -1. */
static int find_hold(es_lock_kind_t kind) {
    for (int index = 0; index < worker.hold_count; index++) {
        if (worker.holds[index].kind == kind) {
            return index;
        }
    }
    return -1;
}

static void upgrade(void) {
    int index = find_hold(ES_LOCK_SHARED);
    hold_t *hold;
    int code;

    if (index < 0) {
        try_one();
        return;
    }
    if (below(3) == 0) {
        start_convert(index);
        return;
    }
    hold = &worker.holds[index];
    code = convert_blocking(hold);
    note("upgrade", hold, ES_LOCK_EXCLUSIVE, code);
    if (code == 0) {
        hold->kind = ES_LOCK_EXCLUSIVE;
        record_upgraded(worker.record, worker.slot, &hold->target);
    }
}

static void downgrade(void) {
    int index = find_hold(ES_LOCK_EXCLUSIVE);
    hold_t *hold;
    int code;

    if (index < 0) {
        return;
    }
    hold = &worker.holds[index];
    record_downgrading(worker.record, worker.slot, &hold->target);
    hold->kind = ES_LOCK_SHARED;
    code = es_lock_convert(hold->lock, ES_LOCK_SHARED, 0, NULL);
    note("downgrade", hold, ES_LOCK_SHARED, code);
    if (code != 0 || es_lock_kind(hold->lock) != ES_LOCK_SHARED) {
        wrong("a downgrade", code);
    }
}

static void reopen(void) {
    int file = (int)below(FILE_COUNT);
    es_lockfile_t **place = &worker.files[file][below(OPENED_TWICE)];
    int code;

    if (worker.request_count > 0) {
        return; /* the requests of a file must be over when it is closed */
    }
    es_lockfile_close(*place);
    code = lock_file_open(worker.base, file, place);
    if (code != 0) {
        wrong("es_lockfile_open", code);
    }
}

static void verify(void) {
    int code;

    if (worker.hold_count == 0) {
        return;
    }
    code = es_lock_verify(worker.holds[0].lock);
    if (code != 0) {
        wrong("es_lock_verify", code);
    }
}

static void step(void) {
    unsigned pick = below(1000);

    if (pick < 340) {
        if (worker.hold_count > 0) {
            release((int)below((unsigned)worker.hold_count));
        } else {
            try_one();
        }
    } else if (pick < 550) {
        try_one();
    } else if (pick < 660) {
        acquire();
    } else if (pick < 740) {
        start();
    } else if (pick < 780) {
        cancel_one();
    } else if (pick < 890) {
        upgrade();
    } else if (pick < 960) {
        downgrade();
    } else if (pick < 990) {
        verify();
    } else if (pick < 997) {
        real_pause_us(below(2000));
    } else {
        reopen();
    }
    if (worker.request_count > 0) {
        pump(below(8) == 0 ? below(1000) : 0);
    }
}

static int is_over(void) {
    record_t *record = worker.record;
    int64_t silent_ns = es__prim_now_ns() - atomic_load(&record->heartbeat_ns);

    return atomic_load(&record->is_over) || atomic_load(&record->violation) != VIOLATION_NONE ||
           silent_ns > SUPERVISOR_GONE;
}

/* Lets go of everything, in the ways there are: cancelled requests may still bring a lock. */
static void let_go(void) {
    while (worker.hold_count > 0) {
        release(0);
    }
    for (int index = 0; index < REQUEST_MAX; index++) {
        if (worker.requests[index].is_used) {
            worker.requests[index].is_cancelled = es_lock_cancel(&worker.requests[index].req) == 0;
        }
    }
    pump(0);
    if (worker.request_count > 0 && worker.record->fault != FAULT_DEAF) {
        wrong("a request without an answer after its cancellation", ES_ECANCELED);
    }
    while (worker.hold_count > 0) {
        release(0);
    }
    es_lock_monitor_close(worker.monitor);
    for (int file = 0; file < FILE_COUNT; file++) {
        for (int which = 0; which < OPENED_TWICE; which++) {
            es_lockfile_close(worker.files[file][which]);
        }
    }
}

int worker_run(record_t *record, int slot, unsigned incarnation, const char *base) {
    int code = es_lock_monitor_open(&worker.monitor);

    worker.record = record;
    worker.slot = slot;
    worker.base = base;
    random_seed(&worker.random, record->seed + (uint64_t)slot * 1000003 + incarnation * 7919u);
    for (int file = 0; file < FILE_COUNT && code == 0; file++) {
        for (int which = 0; which < OPENED_TWICE && code == 0; which++) {
            code = lock_file_open(base, file, &worker.files[file][which]);
        }
    }
    if (code != 0) {
        wrong("the start", code);
        return 1;
    }
    while (!is_over()) {
        step();
    }
    let_go();
    return 0;
}
