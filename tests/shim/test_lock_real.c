/* SPDX-License-Identifier: MIT */
/* Locks on real files of this system. Verified: what excludes what, upgrades and downgrades with
 * their refusals, requests through a monitor, deadlines, cancellation and bad input.
 * What makes it hard is that most of it is about what must not happen; so each absence is shown by
 * a try from a second lock file, which the protocol must answer at once. */
#include "check.h"
#include "lock_path.h"
#include "real.h"

#include <evenshim/evenshim.h>

#include <string.h>

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

enum { WAITER_COUNT = 200, CANCEL_TURNS = 20000, RANGE_COUNT = 300 };

/* What a try gets; nothing is held after it. */
static int probe(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range) {
    es_lock_t *lock = NULL;
    int code = es_lock_try(file, kind, range, &lock);

    if (code == 0) {
        assert_code(es_lock_release(lock), 0);
    } else {
        assert_null(lock);
    }
    return code;
}

/* ---- Exclusion ---- */

static void exclusive_excludes_all_and_shared_excludes_exclusive(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_t *second;

    (void)state;
    assert_code(probe(other, ES_LOCK_SHARED, NULL), ES_EAGAIN);
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    assert_code(probe(file, ES_LOCK_SHARED, NULL), ES_EAGAIN); /* the same file, another object */
    lock_release(lock);
    lock = lock_take(file, ES_LOCK_SHARED);
    second = lock_take(other, ES_LOCK_SHARED);
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    lock_release(lock);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    lock_release(second);
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void ranges_exclude_where_they_overlap(void **state) {
    static const struct {
        es_range_t range;
        int code;
    } cases[] = {
        {{0, 10}, 0},          {{9, 2}, ES_EAGAIN},  {{10, 10}, ES_EAGAIN}, {{19, 1}, ES_EAGAIN},
        {{20, 5}, 0},          {{0, 0}, 0},          {{5, 0}, ES_EAGAIN},   {{20, 0}, 0},
        {{0, 100}, ES_EAGAIN}, {{15, 1}, ES_EAGAIN},
    };
    const es_range_t held = {10, 10};
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, &held, &lock), 0);
    for (size_t index = 0; index < COUNT(cases); index++) {
        assert_code(probe(other, ES_LOCK_EXCLUSIVE, &cases[index].range), cases[index].code);
        assert_code(probe(other, ES_LOCK_SHARED, &cases[index].range), cases[index].code);
    }
    lock_release(lock);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void many_ranges_are_held_at_once(void **state) {
    static es_lock_t *locks[RANGE_COUNT];
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);

    (void)state;
    for (uint64_t index = 0; index < RANGE_COUNT; index++) {
        const es_range_t range = {index * 3, 2};

        assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, &range, &locks[index]), 0);
    }
    for (uint64_t index = 0; index < RANGE_COUNT; index++) {
        const es_range_t held = {index * 3 + 1, 1};
        const es_range_t free = {index * 3 + 2, 1};

        assert_code(probe(file, ES_LOCK_SHARED, &held), ES_EAGAIN);
        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &free), 0);
    }
    for (size_t index = 0; index < RANGE_COUNT; index++) {
        lock_release(locks[index]);
    }
    es_lockfile_close(file);
}

static void a_range_of_no_sense_is_refused(void **state) {
    static const es_range_t bad[] = {{ES_LOCK_RANGE_MAX, 0}, {ES_LOCK_RANGE_MAX, 1},
                                     {1, ES_LOCK_RANGE_MAX}, {UINT64_MAX, 2},
                                     {2, UINT64_MAX},        {0, UINT64_MAX}};
    static const es_range_t good[] = {{0, ES_LOCK_RANGE_MAX}, {ES_LOCK_RANGE_MAX - 1, 1}};
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);

    (void)state;
    for (size_t index = 0; index < COUNT(bad); index++) {
        assert_code(probe(file, ES_LOCK_SHARED, &bad[index]), ES_EINVAL);
    }
    for (size_t index = 0; index < COUNT(good); index++) {
        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &good[index]), 0);
    }
    es_lockfile_close(file);
}

/* ---- Conversion ---- */

static void a_lone_reader_upgrades_and_downgrades(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
        assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
        assert_int_equal(es_lock_kind(lock), ES_LOCK_EXCLUSIVE);
        assert_code(probe(other, ES_LOCK_SHARED, NULL), ES_EAGAIN);
        assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
        assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
        assert_code(probe(other, ES_LOCK_SHARED, NULL), 0);
        assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    }
    lock_release(lock);
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void a_refused_upgrade_keeps_the_shared_lock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *reader = lock_take(other, ES_LOCK_SHARED);

    (void)state;
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), ES_EAGAIN);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 5 * MS, NULL), ES_ETIMEDOUT);
    assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
    assert_code(probe(other, ES_LOCK_SHARED, NULL), 0); /* the gate is open again */
    lock_release(reader);
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
    lock_release(lock);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void ranges_upgrade_too(void **state) {
    const es_range_t range = {100, 50};
    const es_range_t part = {120, 1};
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;
    es_lock_t *reader = NULL;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_SHARED, &range, &lock), 0);
    assert_code(es_lock_try(file, ES_LOCK_SHARED, &part, &reader), 0);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), ES_EAGAIN);
    lock_release(reader);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
    assert_code(probe(file, ES_LOCK_SHARED, &part), ES_EAGAIN);
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    assert_code(probe(file, ES_LOCK_SHARED, &part), 0);
    lock_release(lock);
    es_lockfile_close(file);
}

/* ---- Requests ---- */

typedef struct answer {
    es_lock_req_t req;
    int count;
    int status;
    int order;
    es_lock_t *lock;
} answer_t;

static int answer_order;

static void keep_answer(es_lock_req_t *req, int status, es_lock_t *lock) {
    answer_t *answer = req->data;

    answer->count++;
    answer->status = status;
    answer->lock = lock;
    answer->order = answer_order++;
}

static es_lock_monitor_t *open_monitor(void) {
    es_lock_monitor_t *monitor = NULL;

    assert_code(es_lock_monitor_open(&monitor), 0);
    return monitor;
}

static void start(es_lock_monitor_t *monitor, answer_t *answer, es_lockfile_t *file,
                  es_lock_kind_t kind, int64_t timeout_ns) {
    memset(answer, 0, sizeof(*answer));
    answer->req.data = answer;
    assert_code(es_lock_start(monitor, &answer->req, file, kind, NULL, timeout_ns, keep_answer), 0);
    assert_int_equal(answer->count, 0);
}

static void start_convert(es_lock_monitor_t *monitor, answer_t *answer, es_lock_t *lock,
                          es_lock_kind_t kind, int64_t timeout_ns) {
    memset(answer, 0, sizeof(*answer));
    answer->req.data = answer;
    assert_code(es_lock_start_convert(monitor, &answer->req, lock, kind, timeout_ns, keep_answer),
                0);
    assert_int_equal(answer->count, 0);
}

/* Drives the monitor as a loop does, until the answer is there or there is no sense in waiting. */
static void drive(es_lock_monitor_t *monitor, const answer_t *answer) {
    while (answer->count == 0) {
        int64_t pause = es_lock_monitor_timeout(monitor);
        int64_t most = pause < 0 || pause > 10 * S ? 10 * S : pause;
        int code = es_lock_monitor_wait(monitor, most, NULL);

        assert_true(code == 0 || (code == ES_ETIMEDOUT && most < 10 * S));
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
    assert_int_equal(answer->count, 1);
}

static void a_request_that_need_not_wait_answers_in_the_next_dispatch(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    answer_t answer;

    (void)state;
    start(monitor, &answer, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_true(es_lock_monitor_timeout(monitor) == 0);
    assert_code(es_lock_monitor_wait(monitor, 10 * S, NULL), 0);
    assert_int_equal(es_lock_dispatch(monitor), 1);
    assert_code(answer.status, 0);
    assert_code(es_lock_cancel(&answer.req), ES_EALREADY);
    lock_release(answer.lock);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void a_waiting_request_gets_the_lock_when_it_is_released(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(other, ES_LOCK_EXCLUSIVE);
    answer_t answer;

    (void)state;
    start(monitor, &answer, file, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_int_equal(answer.count, 0);
    lock_release(lock);
    drive(monitor, &answer);
    assert_code(answer.status, 0);
    assert_int_equal(es_lock_kind(answer.lock), ES_LOCK_SHARED);
    lock_release(answer.lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void requests_on_one_file_are_served_in_order(void **state) {
    static answer_t answers[WAITER_COUNT];
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);

    (void)state;
    answer_order = 0;
    for (int index = 0; index < WAITER_COUNT; index++) {
        start(monitor, &answers[index], file, index % 3 == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED,
              ES_LOCK_FOREVER);
    }
    lock_release(lock);
    for (int index = 0; index < WAITER_COUNT; index++) {
        drive(monitor, &answers[index]);
        assert_code(answers[index].status, 0);
        assert_int_equal(answers[index].order, index);
        lock_release(answers[index].lock);
    }
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void a_writer_that_waits_stops_new_readers(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *reader = lock_take(other, ES_LOCK_SHARED);
    answer_t answer;

    (void)state;
    start(monitor, &answer, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_code(probe(other, ES_LOCK_SHARED, NULL), ES_EAGAIN);
    lock_release(reader);
    drive(monitor, &answer);
    assert_code(answer.status, 0);
    lock_release(answer.lock);
    assert_code(probe(other, ES_LOCK_SHARED, NULL), 0);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void of_two_upgrades_the_second_is_a_deadlock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *one = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *two = lock_take(file, ES_LOCK_SHARED);
    answer_t first;
    answer_t second;

    (void)state;
    start_convert(monitor, &first, one, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    start_convert(monitor, &second, two, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    drive(monitor, &second);
    assert_code(second.status, ES_EDEADLK);
    assert_ptr_equal(second.lock, two);
    assert_int_equal(es_lock_kind(two), ES_LOCK_SHARED);
    assert_int_equal(first.count, 0);
    assert_code(es_lock_convert(two, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL), ES_EDEADLK);
    lock_release(two);
    drive(monitor, &first);
    assert_code(first.status, 0);
    assert_int_equal(es_lock_kind(one), ES_LOCK_EXCLUSIVE);
    lock_release(one);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void an_upgrade_behind_a_waiting_writer_is_a_deadlock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *reader = lock_take(file, ES_LOCK_SHARED);
    answer_t writer;

    (void)state;
    start(monitor, &writer, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_code(es_lock_convert(reader, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL), ES_EDEADLK);
    lock_release(reader);
    drive(monitor, &writer);
    assert_code(writer.status, 0);
    lock_release(writer.lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void a_downgrade_lets_waiting_readers_in(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    answer_t reader;
    answer_t down;

    (void)state;
    start(monitor, &reader, file, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    start_convert(monitor, &down, lock, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    drive(monitor, &down);
    assert_code(down.status, 0);
    drive(monitor, &reader);
    assert_code(reader.status, 0);
    lock_release(reader.lock);
    lock_release(lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void a_cancelled_upgrade_lets_waiting_readers_in(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_monitor_t *elsewhere = open_monitor();
    es_lock_t *one = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *two = lock_take(file, ES_LOCK_SHARED);
    answer_t upgrade;
    answer_t reader;

    (void)state;
    start_convert(monitor, &upgrade, one, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    start(elsewhere, &reader, other, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_dispatch(elsewhere), 0);
    assert_code(es_lock_cancel(&upgrade.req), 0);
    assert_code(es_lock_cancel(&upgrade.req), ES_EALREADY);
    drive(monitor, &upgrade);
    assert_code(upgrade.status, ES_ECANCELED);
    assert_int_equal(es_lock_kind(one), ES_LOCK_SHARED);
    drive(elsewhere, &reader);
    assert_code(reader.status, 0);
    lock_release(reader.lock);
    lock_release(one);
    lock_release(two);
    es_lock_monitor_close(monitor);
    es_lock_monitor_close(elsewhere);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void deadlines_end_requests(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    answer_t at_once;
    answer_t soon;
    answer_t behind;

    (void)state;
    start(monitor, &soon, file, ES_LOCK_EXCLUSIVE, 10 * MS);
    start(monitor, &behind, file, ES_LOCK_SHARED, 1 * MS);
    start(monitor, &at_once, file, ES_LOCK_SHARED, 0);
    drive(monitor, &at_once);
    assert_code(at_once.status, ES_EAGAIN);
    drive(monitor, &behind);
    assert_code(behind.status, ES_ETIMEDOUT);
    drive(monitor, &soon);
    assert_code(soon.status, ES_ETIMEDOUT);
    assert_null(soon.lock);
    assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
    lock_release(lock);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

/* One monitor holds and one waits; the wait is cancelled before, in, or after the release. */
static void a_cancel_that_races_a_grant_loses_nothing(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    int granted_count = 0;
    uint32_t caps = 0;

    (void)state;
    for (int turn = 0; turn < CANCEL_TURNS; turn++) {
        es_lock_t *lock = lock_take(other, ES_LOCK_EXCLUSIVE);
        answer_t answer;
        int cancelled;

        start(monitor, &answer, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
        if (turn % 4 != 0) {
            lock_release(lock);
        }
        if (turn % 4 == 2) {
            (void)es_lock_dispatch(monitor);
        }
        cancelled = answer.count == 0 ? es_lock_cancel(&answer.req) : ES_EALREADY;
        if (turn % 4 == 0) {
            lock_release(lock);
        }
        drive(monitor, &answer);
        assert_true(answer.status == 0 || (cancelled == 0 && answer.status == ES_ECANCELED));
        if (answer.status == 0) {
            granted_count++;
            assert_code(probe(other, ES_LOCK_SHARED, NULL), ES_EAGAIN);
            lock_release(answer.lock);
        }
        assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), 0);
    }
    /* Where nobody tells of a release, every cancel may come before the lock is asked for again. */
    assert_code(es_lockfile_caps(file, &caps), 0);
    assert_true(granted_count > 0 || (caps & ES_LOCK_CAN_NOTIFY) == 0);
    assert_true(granted_count < CANCEL_TURNS);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void closing_a_monitor_drops_its_requests(void **state) {
    static answer_t answers[3];
    int open_count = real_open_count();
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);

    (void)state;
    start(monitor, &answers[0], file, ES_LOCK_SHARED, ES_LOCK_FOREVER); /* had, not told */
    start(monitor, &answers[1], file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    start(monitor, &answers[2], file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    es_lock_monitor_close(monitor);
    for (size_t index = 0; index < COUNT(answers); index++) {
        assert_int_equal(answers[index].count, 0);
    }
    lock_release(lock);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lockfile_close(file);
    assert_int_equal(real_open_count(), open_count);
}

/* ---- Blocking ---- */

static void waiting_for_oneself_ends_at_the_deadline(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;

    (void)state;
    assert_code(es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, 0, NULL, &second), ES_EAGAIN);
    assert_code(es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, MS, NULL, &second), ES_ETIMEDOUT);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, 5 * MS, NULL, &second), ES_ETIMEDOUT);
    assert_null(second);
    lock_release(lock);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, INT64_MAX, NULL, &second), 0);
    lock_release(second);
    es_lockfile_close(file);
}

static void a_set_cancel_ends_every_wait(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *other = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *second = NULL;
    es_cancel_t *cancel = NULL;

    (void)state;
    assert_code(es_cancel_open(&cancel), 0);
    es_cancel_set(cancel);
    assert_code(es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, cancel, &second),
                ES_ECANCELED);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, cancel), ES_ECANCELED);
    assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
    assert_code(probe(file, ES_LOCK_SHARED, NULL), 0);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, ES_LOCK_FOREVER, cancel, &second), 0);
    lock_release(second);
    lock_release(other);
    lock_release(lock);
    es_cancel_close(cancel);
    es_cancel_close(NULL);
    es_lockfile_close(file);
}

static void fair_locks_obey_the_same_rules(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | ES_LOCK_FAIR);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;
    answer_t first;
    answer_t late;

    (void)state;
    start(monitor, &first, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    start(monitor, &late, file, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, 2 * MS, NULL, &second), ES_ETIMEDOUT);
    lock_release(lock);
    drive(monitor, &first);
    assert_code(first.status, 0);
    assert_code(es_lock_cancel(&late.req), 0);
    drive(monitor, &late);
    assert_code(late.status, ES_ECANCELED);
    lock_release(first.lock);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

/* ---- Files ---- */

static void what_cannot_be_locked_is_refused(void **state) {
    char name[REAL_PATH_BYTES];
    es_lockfile_t *file = NULL;
    uint32_t caps = 0;

    (void)state;
    assert_code(es_lockfile_open(NULL, 0, 0, &file), ES_EINVAL);
    assert_code(es_lockfile_open("", ES_LOCK_CREATE, 0600, &file), ES_EINVAL);
    assert_code(es_lockfile_open(lock_path, 1u << 20, 0600, &file), ES_EINVAL);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_COMPAT_BYTE0 | ES_LOCK_NATIVE_RANGE, 0, &file),
                ES_EINVAL);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_READONLY | ES_LOCK_CREATE, 0, &file),
                ES_EINVAL);
    real_name(name, "missing");
    assert_code(es_lockfile_open(name, 0, 0, &file), ES_ENOENT);
    assert_code(es_lock_probe_fs(name, &caps), ES_ENOENT);
    real_name(name, "missing/lock");
    assert_code(es_lockfile_open(name, ES_LOCK_CREATE, 0600, &file), ES_ENOENT);
    real_name(name, "");
    assert_code(es_lockfile_open(name, ES_LOCK_CREATE, 0600, &file), ES_EISDIR);
    assert_code(es_lockfile_open(name, ES_LOCK_READONLY, 0, &file), ES_EISDIR);
    assert_code(es_lockfile_open(real_null_device, 0, 0, &file), ES_ENOTSUP);
    assert_code(es_lockfile_wrap(-1, 0, &file), ES_EBADF);
    assert_null(file);
}

static void a_file_for_reading_gives_shared_locks_alone(void **state) {
    es_lockfile_t *writer = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *file = lock_path_open(ES_LOCK_READONLY);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);
    es_lock_owner_t owner;

    (void)state;
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), ES_EBADF);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), ES_EBADF);
    assert_code(es_lock_owner_write(lock, NULL), ES_EBADF);
    assert_code(es_lock_owner_self(&owner), 0);
    assert_code(probe(writer, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    lock_release(lock);
    es_lockfile_close(file);
    es_lockfile_close(writer);
}

static void bad_requests_are_refused(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = open_monitor();
    const es_range_t bad = {1, UINT64_MAX};
    es_lock_req_t req;
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);

    (void)state;
    assert_code(es_lock_start(monitor, &req, file, (es_lock_kind_t)3, NULL, 0, keep_answer),
                ES_EINVAL);
    assert_code(es_lock_start(monitor, &req, file, ES_LOCK_SHARED, &bad, 0, keep_answer),
                ES_EINVAL);
    assert_code(es_lock_convert(lock, (es_lock_kind_t)0, 0, NULL), ES_EINVAL);
    assert_code(es_lock_start_convert(monitor, &req, lock, (es_lock_kind_t)7, 0, keep_answer),
                ES_EINVAL);
    assert_code(es_lock_release(NULL), ES_EINVAL);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    lock_release(lock);
    es_lock_monitor_close(monitor);
    es_lock_monitor_close(NULL);
    es_lockfile_close(file);
    es_lockfile_close(NULL);
}

static void a_wrapped_descriptor_excludes_like_any_other(void **state) {
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);
    intptr_t descriptor = real_descriptor_open(lock_path);
    es_lockfile_t *file = NULL;
    es_lock_t *lock;
    uint32_t caps = 0;

    (void)state;
    assert_code(es_lockfile_wrap(descriptor, ES_LOCK_UNLINK_ON_RELEASE, &file), ES_EINVAL);
    assert_code(es_lockfile_wrap(descriptor, 0, &file), 0);
    real_descriptor_close(descriptor);
    assert_code(es_lockfile_caps(file, &caps), 0);
    assert_true((caps & ES_LOCK_CAN_LOCK) != 0);
    lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    assert_code(es_lock_verify(lock), 0);
    assert_code(probe(other, ES_LOCK_SHARED, NULL), ES_EAGAIN);
    lock_release(lock);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void a_replaced_file_is_noticed(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_t *reader;

    (void)state;
    assert_code(es_lock_verify(lock), 0);
    lock_release(lock);
    reader = lock_take(file, ES_LOCK_SHARED);
    assert_code(es_lock_verify(reader), 0);
    real_replace(lock_path);
    assert_code(es_lock_verify(reader), ES_ESTALE);
    lock_release(reader);
    es_lockfile_close(file);
}

static void a_file_removed_at_release_is_made_anew(void **state) {
    const uint32_t flags = ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE;
    es_lockfile_t *file = lock_path_open(flags);
    es_lockfile_t *other = lock_path_open(flags);
    es_lock_monitor_t *monitor = open_monitor();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    answer_t answer;

    (void)state;
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    start(monitor, &answer, other, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    lock_release(lock);
    drive(monitor, &answer);
    assert_code(answer.status, 0);
    assert_true(real_exists(lock_path));
    assert_code(es_lock_verify(answer.lock), 0);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    lock_release(answer.lock);
    assert_false(real_exists(lock_path));
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

/* Its holder has a part of the file alone, and would take the file from the holders of others. */
static void a_range_does_not_remove_the_file(void **state) {
    static const uint32_t modes[] = {0, ES_LOCK_NATIVE_RANGE};
    const es_range_t range = {0, 10};
    const es_range_t all = {0, ES_LOCK_RANGE_MAX};

    (void)state;
    for (size_t index = 0; index < COUNT(modes); index++) {
        es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE |
                                             modes[index]);

        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &range), ES_ENOTSUP);
        assert_code(probe(file, ES_LOCK_SHARED, &all), ES_ENOTSUP);
        assert_true(real_exists(lock_path));
        assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), 0);
        assert_false(real_exists(lock_path));
        es_lockfile_close(file);
    }
}

/* Where a close drops the locks of others (the BSDs), descriptors are kept and used again. */
static void locks_that_go_beside_one_that_stays_leave_nothing_open(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);
    int before;

    (void)state;
    lock_release(lock_take(file, ES_LOCK_SHARED));
    before = real_open_count();
    for (int turn = 0; turn < 100; turn++) {
        lock_release(lock_take(file, ES_LOCK_SHARED));
    }
    assert_int_equal(real_open_count(), before);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), ES_EAGAIN);
    lock_release(lock);
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lockfile_close(file);
}

static void nothing_is_left_open(void **state) {
    int before;

    (void)state;
    a_waiting_request_gets_the_lock_when_it_is_released(state);
    before = real_open_count();
    exclusive_excludes_all_and_shared_excludes_exclusive(state);
    a_refused_upgrade_keeps_the_shared_lock(state);
    a_waiting_request_gets_the_lock_when_it_is_released(state);
    what_cannot_be_locked_is_refused(state);
    a_file_removed_at_release_is_made_anew(state);
    fair_locks_obey_the_same_rules(state);
    assert_int_equal(real_open_count(), before);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, lock_path_set_up, lock_path_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(exclusive_excludes_all_and_shared_excludes_exclusive),
        IN_FOLDER(ranges_exclude_where_they_overlap),
        IN_FOLDER(many_ranges_are_held_at_once),
        IN_FOLDER(a_range_of_no_sense_is_refused),
        IN_FOLDER(a_lone_reader_upgrades_and_downgrades),
        IN_FOLDER(a_refused_upgrade_keeps_the_shared_lock),
        IN_FOLDER(ranges_upgrade_too),
        IN_FOLDER(a_request_that_need_not_wait_answers_in_the_next_dispatch),
        IN_FOLDER(a_waiting_request_gets_the_lock_when_it_is_released),
        IN_FOLDER(requests_on_one_file_are_served_in_order),
        IN_FOLDER(a_writer_that_waits_stops_new_readers),
        IN_FOLDER(of_two_upgrades_the_second_is_a_deadlock),
        IN_FOLDER(an_upgrade_behind_a_waiting_writer_is_a_deadlock),
        IN_FOLDER(a_downgrade_lets_waiting_readers_in),
        IN_FOLDER(a_cancelled_upgrade_lets_waiting_readers_in),
        IN_FOLDER(deadlines_end_requests),
        IN_FOLDER(a_cancel_that_races_a_grant_loses_nothing),
        IN_FOLDER(closing_a_monitor_drops_its_requests),
        IN_FOLDER(waiting_for_oneself_ends_at_the_deadline),
        IN_FOLDER(a_set_cancel_ends_every_wait),
        IN_FOLDER(fair_locks_obey_the_same_rules),
        IN_FOLDER(what_cannot_be_locked_is_refused),
        IN_FOLDER(a_file_for_reading_gives_shared_locks_alone),
        IN_FOLDER(bad_requests_are_refused),
        IN_FOLDER(a_wrapped_descriptor_excludes_like_any_other),
        IN_FOLDER(a_replaced_file_is_noticed),
        IN_FOLDER(a_file_removed_at_release_is_made_anew),
        IN_FOLDER(a_range_does_not_remove_the_file),
        IN_FOLDER(locks_that_go_beside_one_that_stays_leave_nothing_open),
        IN_FOLDER(nothing_is_left_open),
    };

    return cmocka_run_group_tests_name("locks on real files", tests, NULL, NULL);
}
