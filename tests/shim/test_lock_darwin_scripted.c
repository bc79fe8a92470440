/* SPDX-License-Identifier: MIT */
/* What macOS alone does with locked files, on Linux (kqueue_fake.h): a file is opened once more by
 * the path that F_GETPATH tells, and file systems of other machines have no OFD locks. Verified: a
 * renamed file stays the same file, a removed one is an error and no other file gets locked; a
 * refusal is never a lock that locks nothing. */
#include "check.h"
#include "lock_path.h"
#include "kqueue_fake.h"
#include "real.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define MS ((int64_t)1000000)

static char moved[REAL_PATH_BYTES];
static int open_count;

static int set_up(void **state) {
    (void)lock_path_set_up(state);
    real_name(moved, "moved");
    real_write(lock_path, "");
    open_count = real_open_count();
    fake_begin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fake_end();
    assert_int_equal(real_open_count(), open_count);
    return lock_path_tear_down(state);
}

static int try_by_path(const char *name, uint32_t flags) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    int code = es_lockfile_open(name, flags, 0, &file);

    if (code == 0) {
        code = es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock);
        es_lockfile_close(file);
    }
    if (code == 0) {
        assert_code(es_lock_release(lock), 0);
    }
    return code;
}

static void a_renamed_file_is_found_where_it_is_now(void **state) {
    intptr_t descriptor = real_descriptor_open(lock_path);
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    (void)state;
    assert_code(es_lockfile_wrap(descriptor, 0, &file), 0);
    assert_int_equal(rename(lock_path, moved), 0);
    real_write(lock_path, "");
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(try_by_path(moved, 0), ES_EAGAIN);
    assert_code(try_by_path(lock_path, 0), 0);
    assert_code(es_lock_release(lock), 0);
    es_lockfile_close(file);
    real_descriptor_close(descriptor);
}

static void a_removed_file_is_an_error_and_no_other_is_locked(void **state) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    (void)state;
    assert_code(es_lockfile_open(lock_path, 0, 0, &file), 0);
    assert_int_equal(unlink(lock_path), 0);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), ES_ENOENT);
    assert_null(lock);
    es_lockfile_close(file);
}

static void files_of_other_machines_have_flocks_locks_alone(void **state) {
    es_lockfile_t *file = NULL;
    es_lockfile_t *other = NULL;
    es_lock_t *lock = NULL;
    es_lock_t *none = NULL;
    uint32_t caps = 0;

    (void)state;
    fake.is_remote = 1;
    fake.lock_error = ENOTSUP;
    assert_code(es_lock_probe_fs(lock_path, &caps), 0);
    assert_int_equal(caps, ES_LOCK_CAN_FLOCK | ES_LOCK_IS_NETWORK);
    assert_code(try_by_path(lock_path, 0), ES_ENOTSUP);
    assert_code(try_by_path(lock_path, ES_LOCK_NATIVE_RANGE), ES_ENOTSUP);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_COMPAT_FLOCK, 0, &file), 0);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_COMPAT_FLOCK, 0, &other), 0);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_acquire(other, ES_LOCK_EXCLUSIVE, NULL, 5 * MS, NULL, &none), ES_ETIMEDOUT);
    assert_code(es_lock_release(lock), 0);
    es_lockfile_close(file);
    es_lockfile_close(other);
    open_count = real_open_count(); /* a blocking wait leaves its monitor for the next */
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FAKE(a_renamed_file_is_found_where_it_is_now),
        WITH_FAKE(a_removed_file_is_an_error_and_no_other_is_locked),
        WITH_FAKE(files_of_other_machines_have_flocks_locks_alone),
    };

    return cmocka_run_group_tests_name("locks on macOS", tests, NULL, NULL);
}
