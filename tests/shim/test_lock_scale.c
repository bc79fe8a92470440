/* SPDX-License-Identifier: MIT */
/* Locks in great numbers. Verified: a thousand requests of one process cost no thread, no
 * descriptor each, and are granted once each, in order; ten thousand ranges are held at once and
 * each excludes on its own bytes alone, to the last of them; ten thousand random ranges agree with a
 * table of bytes; a cancel that races the release of another thread loses nothing and keeps
 * nothing. What makes it hard is that a fault in one of many shows only if every single one is
 * looked at, so each is counted, and what must be free is taken afterwards. */
#include "check.h"
#include "lock_path.h"
#include "real.h"
#include "real_scale.h"
#include "real_thread.h"

#include <evenshim/evenshim.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define S ((int64_t)1000000000)

enum { WAITER_COUNT = 1000, RANGE_COUNT = 10000, MODEL_TURNS = 10000, LOOKS_MAX = 1000 };
enum { CELL_COUNT = 64, CELL_BYTES = 8, HELD_MAX = 40 };

/* Turns of the race, if the environment's EVENSHIM_RACE_TURNS does not say another number. */
#define RACE_TURNS 20000

static int probe(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range) {
    es_lock_t *lock = NULL;
    int code = es_lock_try(file, kind, range, &lock);

    if (code == 0) {
        assert_code(es_lock_release(lock), 0);
    }
    return code;
}

/* ---- Waiters ---- */

typedef struct waiter {
    es_lock_req_t req;
    int grants;
    int number;
} waiter_t;

static int grant_count;

/* Whoever gets it lets go at once; then the next one can. */
static void count_grant(es_lock_req_t *req, int status, es_lock_t *lock) {
    waiter_t *waiter = req->data;

    assert_code(status, 0);
    assert_int_equal(waiter->number, grant_count);
    waiter->grants++;
    grant_count++;
    assert_code(es_lock_release(lock), 0);
}

static void turn(es_lock_monitor_t *monitor) {
    int64_t pause = es_lock_monitor_timeout(monitor);
    int64_t most = pause < 0 || pause > 20 * S ? 20 * S : pause;
    int code = es_lock_monitor_wait(monitor, most, NULL);

    assert_true(code == 0 || (code == ES_ETIMEDOUT && most < 20 * S));
    assert_true(es_lock_dispatch(monitor) >= 0);
}

static void do_nothing(void *unused) {
    (void)unused;
}

/* A sanitizer starts a thread of its own with the first of a program. */
static int count_threads(void) {
    real_thread_t first;

    real_thread_start(&first, do_nothing, NULL);
    real_thread_join(&first);
    return real_thread_count();
}

/* A thread that has been joined may be listed for another moment. */
static void check_threads(int most) {
    for (int looks = 0; real_thread_count() > most && looks < LOOKS_MAX; looks++) {
        real_thread_yield();
    }
    assert_true(real_thread_count() <= most);
}

static void wait_in_thousands(uint32_t flags, int threads_more) {
    static waiter_t waiters[WAITER_COUNT];
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | flags);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE | flags);
    es_lock_monitor_t *monitor = NULL;
    es_lock_t *lock = NULL;
    int threads;
    int descriptors;

    memset(waiters, 0, sizeof(waiters));
    grant_count = 0;
    assert_code(es_lock_monitor_open(&monitor), 0);
    assert_code(es_lock_try(other, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    threads = count_threads();
    descriptors = real_open_count();
    for (int number = 0; number < WAITER_COUNT; number++) {
        waiters[number].number = number;
        waiters[number].req.data = &waiters[number];
        assert_code(es_lock_start(monitor, &waiters[number].req, file, ES_LOCK_EXCLUSIVE, NULL,
                                  ES_LOCK_FOREVER, count_grant),
                    0);
    }
    assert_int_equal(es_lock_dispatch(monitor), 0);
    check_threads(threads + threads_more);
    assert_in_range(real_open_count(), descriptors, descriptors + 2);
    assert_code(es_lock_release(lock), 0);
    while (grant_count < WAITER_COUNT) {
        turn(monitor);
        if (grant_count % 100 == 1) {
            check_threads(threads + threads_more);
        }
    }
    assert_int_equal(es_lock_dispatch(monitor), 0);
    for (int number = 0; number < WAITER_COUNT; number++) {
        assert_int_equal(waiters[number].grants, 1);
    }
    assert_code(probe(other, ES_LOCK_EXCLUSIVE, NULL), 0);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void a_thousand_waiters_cost_no_thread_and_are_granted_once_each(void **state) {
    (void)state;
    wait_in_thousands(0, 0);
}

static void a_thousand_fair_waiters_cost_one_thread_at_most(void **state) {
    (void)state;
    wait_in_thousands(ES_LOCK_FAIR, 1);
}

/* ---- Ranges ---- */

static void ten_thousand_ranges_are_held_at_once(void **state) {
    static es_lock_t *locks[RANGE_COUNT];
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(ES_LOCK_CREATE);

    (void)state;
    real_allow_files(RANGE_COUNT + 100);
    for (int index = 0; index < RANGE_COUNT; index++) {
        /* Adjacent ones of four bytes, every seventh shared. */
        const es_range_t range = {1 + (uint64_t)index * 4, 4};

        assert_code(es_lock_try(index % 2 == 0 ? file : other,
                                index % 7 == 0 ? ES_LOCK_SHARED : ES_LOCK_EXCLUSIVE, &range,
                                &locks[index]),
                    0);
    }
    for (int index = 0; index < RANGE_COUNT; index += 50) {
        const es_range_t last_byte = {1 + (uint64_t)index * 4 + 3, 1};
        const es_range_t over_the_edge = {1 + (uint64_t)index * 4 + 3, 2};

        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &last_byte), ES_EAGAIN);
        assert_code(probe(file, ES_LOCK_SHARED, &last_byte), index % 7 == 0 ? 0 : ES_EAGAIN);
        assert_code(probe(other, ES_LOCK_EXCLUSIVE, &over_the_edge), ES_EAGAIN);
    }
    /* One of two neighbours goes, and frees its own bytes alone. */
    for (int index = 0; index < RANGE_COUNT; index += 2) {
        assert_code(es_lock_release(locks[index]), 0);
    }
    for (int index = 0; index + 1 < RANGE_COUNT; index += 50) {
        const es_range_t freed = {1 + (uint64_t)index * 4, 4};
        const es_range_t kept = {freed.offset + 4, 1};
        const es_range_t to_the_end = {freed.offset, 0};

        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &freed), 0);
        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &kept), ES_EAGAIN);
        assert_code(probe(file, ES_LOCK_EXCLUSIVE, &to_the_end), ES_EAGAIN);
    }
    for (int index = 1; index < RANGE_COUNT; index += 2) {
        assert_code(es_lock_release(locks[index]), 0);
    }
    assert_code(probe(file, ES_LOCK_EXCLUSIVE, &(es_range_t){1, 0}), 0);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

typedef struct held {
    es_lock_t *lock;
    int first;
    int end; /* CELL_COUNT + 1: to the end of all bytes */
    es_lock_kind_t kind;
} held_t;

static unsigned long long random_state;

static int below(int bound) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (unsigned)bound);
}

static int is_in_the_way(const held_t *held, int count, const held_t *wanted) {
    for (int index = 0; index < count; index++) {
        if (held[index].first < wanted->end && wanted->first < held[index].end &&
            (held[index].kind == ES_LOCK_EXCLUSIVE || wanted->kind == ES_LOCK_EXCLUSIVE)) {
            return 1;
        }
    }
    return 0;
}

/* A range inside a cell or over some, or to the end of all, or one that cannot be. */
static held_t choose(es_range_t *range) {
    held_t wanted = {NULL, below(CELL_COUNT), 0, below(2) ? ES_LOCK_SHARED : ES_LOCK_EXCLUSIVE};

    wanted.end = wanted.first + 1 + below(CELL_COUNT - wanted.first);
    range->offset = 1 + (uint64_t)wanted.first * CELL_BYTES;
    range->size = (uint64_t)(wanted.end - wanted.first) * CELL_BYTES;
    if (below(8) == 0) {
        range->size = 0;
        wanted.end = CELL_COUNT + 1;
    } else if (below(3) != 0) {
        wanted.end = wanted.first + 1;
        range->size = CELL_BYTES;
    }
    return wanted;
}

static void random_ranges_agree_with_a_table(void **state) {
    held_t held[HELD_MAX];
    es_lockfile_t *files[2] = {lock_path_open(ES_LOCK_CREATE), lock_path_open(ES_LOCK_CREATE)};
    int count = 0;
    int refused_count = 0;

    (void)state;
    random_state = 20261122;
    for (int round = 0; round < MODEL_TURNS; round++) {
        es_range_t range;
        held_t wanted = choose(&range);
        const es_range_t too_long = {range.offset, ES_LOCK_RANGE_MAX - range.offset + 1};
        int expected = is_in_the_way(held, count, &wanted) ? ES_EAGAIN : 0;

        assert_code(es_lock_try(files[round % 2], wanted.kind, &range, &wanted.lock), expected);
        assert_code(probe(files[0], wanted.kind, &too_long), ES_EINVAL);
        refused_count += expected != 0;
        if (expected == 0) {
            held[count++] = wanted;
        }
        if (count == HELD_MAX || (count > 0 && below(3) == 0)) {
            int leaving = below(count);

            assert_code(es_lock_release(held[leaving].lock), 0);
            held[leaving] = held[--count];
        }
    }
    assert_in_range(refused_count, MODEL_TURNS / 10, MODEL_TURNS * 9 / 10);
    while (count > 0) {
        assert_code(es_lock_release(held[--count].lock), 0);
    }
    assert_code(probe(files[0], ES_LOCK_EXCLUSIVE, &(es_range_t){1, 0}), 0);
    es_lockfile_close(files[0]);
    es_lockfile_close(files[1]);
}

/* ---- Races ---- */

static int race_turns(void) {
    const char *text = getenv("EVENSHIM_RACE_TURNS");

    return text != NULL ? atoi(text) : RACE_TURNS;
}

/* Another thread holds the lock, and releases it when it is told to. */
typedef struct holder {
    real_thread_t thread;
    es_lockfile_t *file;
    atomic_int wanted;   /* turns for which it is to have the lock, */
    atomic_int held;     /* has had it, */
    atomic_int released; /* has been told to let go of it, */
    atomic_int free;     /* and has done so */
    int turns;
    int code;
} holder_t;

static void reach(atomic_int *counter, int value) {
    while (atomic_load(counter) < value) {
        real_thread_yield();
    }
}

static void hold_and_release(void *argument) {
    holder_t *holder = argument;

    for (int number = 1; number <= holder->turns; number++) {
        es_lock_t *lock = NULL;
        int code;

        reach(&holder->wanted, number);
        code = es_lock_try(holder->file, ES_LOCK_EXCLUSIVE, NULL, &lock);
        atomic_store(&holder->held, number);
        reach(&holder->released, number);
        if (code == 0) {
            code = es_lock_release(lock);
        }
        holder->code = holder->code != 0 ? holder->code : code;
        atomic_store(&holder->free, number);
    }
}

/* The cancel comes at another moment of the release each time. 1: the lock was granted. */
static int race_once(es_lock_monitor_t *monitor, es_lockfile_t *file, holder_t *holder,
                     int number) {
    lock_answer_t answer = {.count = 0};
    int cancelled;

    answer.req.data = &answer;
    atomic_store(&holder->wanted, number);
    reach(&holder->held, number);
    assert_code(es_lock_start(monitor, &answer.req, file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER,
                              lock_answer_keep),
                0);
    atomic_store(&holder->released, number);
    for (int yields = number % 7; yields > 0; yields--) {
        real_thread_yield();
    }
    if (number % 16 == 0) {
        reach(&holder->free, number);
    }
    if (number % 2 == 0) {
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
    cancelled = answer.count == 0 ? es_lock_cancel(&answer.req) : ES_EALREADY;
    while (answer.count == 0) {
        turn(monitor);
    }
    assert_int_equal(answer.count, 1);
    assert_true(answer.status == 0 || (cancelled == 0 && answer.status == ES_ECANCELED));
    reach(&holder->free, number);
    assert_code(probe(holder->file, ES_LOCK_SHARED, NULL), answer.status == 0 ? ES_EAGAIN : 0);
    if (answer.status == 0) {
        assert_code(es_lock_release(answer.lock), 0);
    }
    return answer.status == 0;
}

static void a_cancel_that_races_a_release_loses_nothing(void **state) {
    holder_t holder = {.turns = race_turns()};
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_monitor_t *monitor = NULL;
    int granted_count = 0;
    uint32_t caps = 0;

    (void)state;
    assert_true(holder.turns > 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    holder.file = lock_path_open(ES_LOCK_CREATE);
    real_thread_start(&holder.thread, hold_and_release, &holder);
    for (int number = 1; number <= holder.turns; number++) {
        granted_count += race_once(monitor, file, &holder, number);
    }
    real_thread_join(&holder.thread);
    assert_code(holder.code, 0);
    /* Where nobody tells of a release, every cancel may come before the lock is asked for again. */
    assert_code(es_lockfile_caps(file, &caps), 0);
    assert_true(granted_count > 0 || (caps & ES_LOCK_CAN_NOTIFY) == 0);
    print_message("%d of %d cancels came too late\n", granted_count, holder.turns);
    es_lock_monitor_close(monitor);
    es_lockfile_close(holder.file);
    es_lockfile_close(file);
}

#define WITH_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, lock_path_set_up, lock_path_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_thousand_waiters_cost_no_thread_and_are_granted_once_each),
        WITH_FOLDER(a_thousand_fair_waiters_cost_one_thread_at_most),
        WITH_FOLDER(ten_thousand_ranges_are_held_at_once),
        WITH_FOLDER(random_ranges_agree_with_a_table),
        WITH_FOLDER(a_cancel_that_races_a_release_loses_nothing),
    };

    return cmocka_run_group_tests_name("locks in great numbers", tests, NULL, NULL);
}
