/* SPDX-License-Identifier: MIT */
/* Waits that would never end, in a debug build: they are refused at once, and no others are. Built
 * with lock_graph.c whatever the build is. What makes it hard is that threads close a circle
 * together, and which of them comes last is chance; but exactly one is refused, whichever it is,
 * and once that one lets go all others get what they wait for. A wait that is wrongly let in hangs,
 * so the test's time limit is its last assertion. */
#include "check.h"
#include "lock_path.h"
#include "real_thread.h"

#include <evenshim/evenshim.h>

#include <stdatomic.h>
#include <string.h>

#define MS ((int64_t)1000000)

enum { TURNS = 200, ACTOR_MAX = 8, FILE_COUNT = 3, ORDERED_TURNS = 300 };

static es_lockfile_t *files[FILE_COUNT];

static int make_files(void **state) {
    static const char *const names[FILE_COUNT] = {"a", "b", "c"};
    char path[REAL_PATH_BYTES];

    (void)state;
    real_folder_make();
    for (int index = 0; index < FILE_COUNT; index++) {
        real_name(path, names[index]);
        assert_code(es_lockfile_open(path, ES_LOCK_CREATE, 0600, &files[index]), 0);
    }
    return 0;
}

/* Nothing may be left locked. */
static int remove_files(void **state) {
    (void)state;
    for (int index = 0; index < FILE_COUNT; index++) {
        es_lock_t *lock = NULL;

        assert_code(es_lock_try(files[index], ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
        assert_code(es_lock_release(lock), 0);
        es_lockfile_close(files[index]);
    }
    real_folder_remove();
    return 0;
}

/* Two waits without an end: the one that is said so, and the longest deadline. They go two ways. */
static const int64_t endless[] = {ES_LOCK_FOREVER, INT64_MAX};

/* Takes one lock, waits for all others to have theirs, then waits for another. */
typedef struct actor {
    real_thread_t thread;
    atomic_int *ready;
    int count;
    es_lockfile_t *first;
    es_lock_kind_t first_kind;
    es_range_t first_range;
    es_lockfile_t *second; /* NULL: upgrades the first */
    es_lock_kind_t second_kind;
    es_range_t second_range;
    int64_t timeout_ns;
    int first_code;
    int code;
    es_lock_kind_t kind_after; /* of the first lock */
} actor_t;

static void meet(atomic_int *ready, int count) {
    atomic_fetch_add(ready, 1);
    while (atomic_load(ready) < count) {
        real_thread_yield();
    }
}

static void act(void *argument) {
    actor_t *actor = argument;
    es_lock_t *first = NULL;
    es_lock_t *second = NULL;

    actor->first_code = es_lock_try(actor->first, actor->first_kind, &actor->first_range, &first);
    meet(actor->ready, actor->count);
    if (actor->first_code != 0) {
        return;
    }
    actor->code = actor->second != NULL
                      ? es_lock_acquire(actor->second, actor->second_kind, &actor->second_range,
                                        actor->timeout_ns, NULL, &second)
                      : es_lock_convert(first, ES_LOCK_EXCLUSIVE, actor->timeout_ns, NULL);
    actor->kind_after = es_lock_kind(first);
    if (second != NULL) {
        (void)es_lock_release(second);
    }
    (void)es_lock_release(first);
}

/* Runs them all; how many were refused. */
static int play(actor_t *actors, int count, int64_t timeout_ns) {
    atomic_int ready = 0;
    int refused = 0;

    for (int index = 0; index < count; index++) {
        actors[index].ready = &ready;
        actors[index].count = count;
        actors[index].timeout_ns = timeout_ns;
        real_thread_start(&actors[index].thread, act, &actors[index]);
    }
    for (int index = 0; index < count; index++) {
        real_thread_join(&actors[index].thread);
    }
    for (int index = 0; index < count; index++) {
        assert_code(actors[index].first_code, 0);
        if (actors[index].code != 0) {
            assert_code(actors[index].code, ES_EDEADLK);
            refused++;
        }
    }
    return refused;
}

static actor_t actor_of(int first, es_lock_kind_t first_kind, int second,
                        es_lock_kind_t second_kind) {
    actor_t actor;

    memset(&actor, 0, sizeof(actor));
    actor.first = files[first];
    actor.first_kind = first_kind;
    actor.second = second < 0 ? NULL : files[second];
    actor.second_kind = second_kind;
    return actor;
}

/* ---- Refused ---- */

static void waiting_for_oneself_is_refused_at_once(void **state) {
    (void)state;
    for (size_t way = 0; way < COUNT(endless); way++) {
        es_lock_t *second = NULL;
        es_lock_t *lock = lock_take(files[0], ES_LOCK_EXCLUSIVE);
        for (int kind = ES_LOCK_SHARED; kind <= ES_LOCK_EXCLUSIVE; kind++) {
            assert_code(
                es_lock_acquire(files[0], (es_lock_kind_t)kind, NULL, endless[way], NULL, &second),
                ES_EDEADLK);
            assert_null(second);
        }
        lock_release(lock);
        lock = lock_take(files[0], ES_LOCK_SHARED);
        assert_code(es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, endless[way], NULL, &second),
                    ES_EDEADLK);
        assert_code(es_lock_acquire(files[0], ES_LOCK_SHARED, NULL, endless[way], NULL, &second),
                    0);
        lock_release(second);
        lock_release(lock);
    }
}

static void an_upgrade_that_waits_for_oneself_is_refused_and_keeps_the_lock(void **state) {
    es_lock_t *one = lock_take(files[0], ES_LOCK_SHARED);
    es_lock_t *two = lock_take(files[0], ES_LOCK_SHARED);

    (void)state;
    assert_code(es_lock_convert(one, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL), ES_EDEADLK);
    assert_int_equal(es_lock_kind(one), ES_LOCK_SHARED);
    lock_release(two);
    assert_code(es_lock_convert(one, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL), 0);
    lock_release(one);
}

static void of_two_threads_that_cross_one_is_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        actor_t actors[] = {actor_of(0, ES_LOCK_EXCLUSIVE, 1, ES_LOCK_EXCLUSIVE),
                            actor_of(1, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_SHARED)};

        assert_int_equal(play(actors, 2, endless[turn % 2]), 1);
    }
}

static void of_a_chain_of_three_one_is_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        actor_t actors[] = {actor_of(0, ES_LOCK_EXCLUSIVE, 1, ES_LOCK_EXCLUSIVE),
                            actor_of(1, ES_LOCK_EXCLUSIVE, 2, ES_LOCK_SHARED),
                            actor_of(2, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_EXCLUSIVE)};

        assert_int_equal(play(actors, 3, endless[turn % 2]), 1);
    }
}

/* Two readers of one file; one of them has another file, too, which the other wants. */
static void a_circle_through_one_of_several_readers_is_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        actor_t actors[] = {actor_of(0, ES_LOCK_SHARED, 1, ES_LOCK_EXCLUSIVE),
                            actor_of(1, ES_LOCK_SHARED, 0, ES_LOCK_EXCLUSIVE),
                            actor_of(0, ES_LOCK_SHARED, 2, ES_LOCK_SHARED)};

        assert_int_equal(play(actors, 3, endless[turn % 2]), 1);
    }
}

static void a_circle_through_an_upgrade_is_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        es_lock_t *reader = NULL;
        actor_t actors[] = {actor_of(0, ES_LOCK_SHARED, -1, ES_LOCK_EXCLUSIVE),
                            actor_of(0, ES_LOCK_SHARED, 0, ES_LOCK_SHARED)};
        int refused = play(actors, 2, ES_LOCK_FOREVER);

        /* The second reader may pass before the upgrade shuts the gate; then nobody waits. */
        assert_in_range(refused, 0, 1);
        assert_int_equal(actors[0].kind_after,
                         actors[0].code == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED);
        reader = lock_take(files[0], ES_LOCK_SHARED);
        lock_release(reader);
    }
}

/* A reader that would pass the gate once more, which a writer has shut that waits for it. */
static void a_reader_behind_a_writer_that_waits_for_it_is_refused(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        es_lock_t *lock = lock_take(files[0], ES_LOCK_SHARED);
        es_lock_t *second = NULL;
        atomic_int ready = 0;
        actor_t writer = actor_of(1, ES_LOCK_SHARED, 0, ES_LOCK_EXCLUSIVE);
        int code;

        writer.ready = &ready;
        writer.count = 1;
        writer.timeout_ns = endless[turn % 2];
        real_thread_start(&writer.thread, act, &writer);
        while ((code = es_lock_try(files[0], ES_LOCK_SHARED, NULL, &second)) == 0) {
            lock_release(second);
            real_thread_yield();
        }
        assert_code(code, ES_EAGAIN);
        code = es_lock_acquire(files[0], ES_LOCK_SHARED, NULL, ES_LOCK_FOREVER, NULL, &second);
        if (code == 0) {
            lock_release(second); /* then it was the writer */
        }
        lock_release(lock);
        real_thread_join(&writer.thread);
        assert_true((code == ES_EDEADLK && writer.code == 0) ||
                    (code == 0 && writer.code == ES_EDEADLK));
    }
}

static void ranges_that_cross_are_refused_and_others_not(void **state) {
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        actor_t actors[] = {actor_of(0, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_EXCLUSIVE),
                            actor_of(0, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_EXCLUSIVE)};

        actors[0].first_range = (es_range_t){10, 10};
        actors[1].first_range = (es_range_t){20, 10};
        actors[0].second_range = (es_range_t){29, 1};
        actors[1].second_range = (es_range_t){30, 0};
        assert_int_equal(play(actors, 2, endless[turn % 2]), 0);
        actors[1].second_range = (es_range_t){5, 6};
        assert_int_equal(play(actors, 2, endless[turn % 2]), 1);
    }
}

/* ---- Not refused ---- */

static void a_wait_with_a_deadline_ends_by_it(void **state) {
    actor_t actors[] = {actor_of(0, ES_LOCK_EXCLUSIVE, 1, ES_LOCK_EXCLUSIVE),
                        actor_of(1, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_EXCLUSIVE)};
    es_lock_t *lock = lock_take(files[2], ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;
    atomic_int ready = 0;

    (void)state;
    assert_code(es_lock_acquire(files[2], ES_LOCK_SHARED, NULL, MS, NULL, &second), ES_ETIMEDOUT);
    lock_release(lock);
    for (int index = 0; index < 2; index++) {
        actors[index].ready = &ready;
        actors[index].count = 2;
        actors[index].timeout_ns = index == 0 ? ES_LOCK_FOREVER : 20 * MS;
        real_thread_start(&actors[index].thread, act, &actors[index]);
    }
    for (int index = 0; index < 2; index++) {
        real_thread_join(&actors[index].thread);
    }
    assert_code(actors[0].code, 0);
    assert_code(actors[1].code, ES_ETIMEDOUT);
}

typedef struct helper {
    real_thread_t thread;
    es_lock_t *lock;
    es_cancel_t *cancel;
    int code;
} helper_t;

static void release_for_another(void *argument) {
    helper_t *helper = argument;

    helper->code = es_lock_release(helper->lock);
}

static void cancel_for_another(void *argument) {
    helper_t *helper = argument;

    es_cancel_set(helper->cancel);
}

/* With a cancel, a program says that the lock may come from elsewhere. */
static void a_wait_that_can_be_cancelled_is_let_in(void **state) {
    helper_t helper = {.lock = lock_take(files[0], ES_LOCK_EXCLUSIVE)};
    es_lock_t *lock = NULL;

    (void)state;
    assert_code(es_cancel_open(&helper.cancel), 0);
    real_thread_start(&helper.thread, release_for_another, &helper);
    assert_code(
        es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, helper.cancel, &lock),
        0);
    real_thread_join(&helper.thread);
    assert_code(helper.code, 0);
    real_thread_start(&helper.thread, cancel_for_another, &helper);
    assert_code(es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, helper.cancel,
                                &helper.lock),
                ES_ECANCELED);
    real_thread_join(&helper.thread);
    lock_release(lock);
    es_cancel_close(helper.cancel);
}

static void a_lock_that_another_thread_has_released_is_free(void **state) {
    helper_t helper = {.lock = lock_take(files[0], ES_LOCK_EXCLUSIVE)};
    es_lock_t *lock = NULL;

    (void)state;
    real_thread_start(&helper.thread, release_for_another, &helper);
    real_thread_join(&helper.thread);
    assert_code(helper.code, 0);
    assert_code(es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock),
                0);
    lock_release(lock);
}

static void keep_lock(es_lock_req_t *req, int status, es_lock_t *lock) {
    assert_code(status, 0);
    *(es_lock_t **)req->data = lock;
}

/* Nobody knows which thread a request is for. */
static void a_lock_from_a_request_is_no_threads_own(void **state) {
    es_lock_monitor_t *monitor = NULL;
    helper_t helper = {.lock = NULL};
    es_lock_t *lock = NULL;
    es_lock_req_t req;

    (void)state;
    assert_code(es_lock_monitor_open(&monitor), 0);
    req.data = &helper.lock;
    assert_code(
        es_lock_start(monitor, &req, files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, keep_lock),
        0);
    assert_int_equal(es_lock_dispatch(monitor), 1);
    real_thread_start(&helper.thread, release_for_another, &helper);
    assert_code(es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock),
                0);
    real_thread_join(&helper.thread);
    lock_release(lock);
    es_lock_monitor_close(monitor);
}

static void convert_for_oneself(void *argument) {
    helper_t *helper = argument;

    helper->code = es_lock_convert(helper->lock, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL);
}

static void a_lock_belongs_to_the_thread_that_converted_it(void **state) {
    helper_t helper = {.lock = lock_take(files[0], ES_LOCK_SHARED)};
    es_lock_t *lock = NULL;

    (void)state;
    real_thread_start(&helper.thread, convert_for_oneself, &helper);
    real_thread_join(&helper.thread);
    assert_code(helper.code, 0);
    real_thread_start(&helper.thread, release_for_another, &helper);
    assert_code(es_lock_acquire(files[0], ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock),
                0);
    real_thread_join(&helper.thread);
    lock_release(lock);
}

/* Files in their order, so nobody ever waits in a circle; the kinds and ranges vary. */
static void take_in_order(void *argument) {
    actor_t *actor = argument;

    for (unsigned turn = 0; turn < ORDERED_TURNS && actor->code == 0; turn++) {
        es_lock_t *locks[FILE_COUNT] = {NULL};
        unsigned choice = turn * 7 + (unsigned)actor->count * 13;

        for (unsigned file = 0; file < FILE_COUNT && actor->code == 0; file++) {
            const es_range_t range = {choice % 5 * 10, (choice + file) % 3 * 10};

            actor->code = es_lock_acquire(
                files[file], (choice >> file) % 3 == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED, &range,
                endless[choice % 2], NULL, &locks[file]);
        }
        for (int file = 0; file < FILE_COUNT; file++) {
            if (locks[file] != NULL) {
                (void)es_lock_release(locks[file]);
            }
        }
    }
}

static void threads_that_keep_an_order_are_never_refused(void **state) {
    static actor_t actors[ACTOR_MAX];

    (void)state;
    for (int index = 0; index < ACTOR_MAX; index++) {
        memset(&actors[index], 0, sizeof(actors[index]));
        actors[index].count = index;
        real_thread_start(&actors[index].thread, take_in_order, &actors[index]);
    }
    for (int index = 0; index < ACTOR_MAX; index++) {
        real_thread_join(&actors[index].thread);
        assert_code(actors[index].code, 0);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(waiting_for_oneself_is_refused_at_once),
        IN_FOLDER(an_upgrade_that_waits_for_oneself_is_refused_and_keeps_the_lock),
        IN_FOLDER(of_two_threads_that_cross_one_is_refused),
        IN_FOLDER(of_a_chain_of_three_one_is_refused),
        IN_FOLDER(a_circle_through_one_of_several_readers_is_refused),
        IN_FOLDER(a_circle_through_an_upgrade_is_refused),
        IN_FOLDER(a_reader_behind_a_writer_that_waits_for_it_is_refused),
        IN_FOLDER(ranges_that_cross_are_refused_and_others_not),
        IN_FOLDER(a_wait_with_a_deadline_ends_by_it),
        IN_FOLDER(a_wait_that_can_be_cancelled_is_let_in),
        IN_FOLDER(a_lock_that_another_thread_has_released_is_free),
        IN_FOLDER(a_lock_from_a_request_is_no_threads_own),
        IN_FOLDER(a_lock_belongs_to_the_thread_that_converted_it),
        IN_FOLDER(threads_that_keep_an_order_are_never_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
