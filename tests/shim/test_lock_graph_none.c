/* SPDX-License-Identifier: MIT */
/* The same waits in a release build: none is refused, each lasts until something ends it. Built
 * with lock_graph_none.c whatever the build is. */
#include "check.h"
#include "real_file.h"
#include "real_thread.h"

#include <evenshim/evenshim.h>

#define MS ((int64_t)1000000)

static es_lockfile_t *file;

static int set_up(void **state) {
    char path[REAL_PATH_BYTES];

    (void)state;
    real_folder_make();
    real_name(path, "lock");
    assert_code(es_lockfile_open(path, ES_LOCK_CREATE, 0600, &file), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    es_lockfile_close(file);
    real_folder_remove();
    return 0;
}

static void a_wait_for_oneself_ends_at_its_deadline(void **state) {
    es_lock_t *lock = NULL;
    es_lock_t *second = NULL;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, 2 * MS, NULL, &second), ES_ETIMEDOUT);
    assert_null(second);
    assert_code(es_lock_release(lock), 0);
}

typedef struct waiter {
    es_lock_t *own;
    es_lock_t *got;
    int code;
} waiter_t;

/* Holds one lock and waits for another of the same file, which only another thread can free. */
static void take_and_wait(void *argument) {
    waiter_t *waiter = argument;

    waiter->code = es_lock_try(file, ES_LOCK_SHARED, NULL, &waiter->own);
    if (waiter->code == 0) {
        waiter->code = es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL,
                                       &waiter->got);
    }
}

static void a_wait_for_oneself_goes_on_until_another_thread_releases(void **state) {
    waiter_t waiter = {NULL, NULL, 1};
    real_thread_t thread;
    es_lock_t *lock = NULL;
    int code;

    (void)state;
    real_thread_start(&thread, take_and_wait, &waiter);
    /* Until its wait has shut the gate for readers; before that a reader gets in. */
    while ((code = es_lock_try(file, ES_LOCK_SHARED, NULL, &lock)) == 0) {
        assert_code(es_lock_release(lock), 0);
        real_thread_yield();
    }
    assert_code(code, ES_EAGAIN);
    assert_code(es_lock_release(waiter.own), 0);
    real_thread_join(&thread);
    assert_code(waiter.code, 0);
    assert_code(es_lock_release(waiter.got), 0);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_wait_for_oneself_ends_at_its_deadline),
        WITH_FILE(a_wait_for_oneself_goes_on_until_another_thread_releases),
    };

    return cmocka_run_group_tests_name("waits without a graph", tests, NULL, NULL);
}
