/* SPDX-License-Identifier: MIT */
/* Owner records and pid files on real files. Verified: what a holder writes is what others read,
 * whatever the text; nothing else passes for a record; a process is told from a later one with its
 * number. What makes it hard is that a record is only a comment: a broken one must not be believed
 * and not be an obstacle. */
#include "check.h"
#include "lock_path.h"

#include <evenshim/evenshim.h>

#include <stdio.h>
#include <string.h>

static es_lockfile_t *open_file(void) {
    return lock_path_open(ES_LOCK_CREATE);
}

static void an_owner_record_says_who_holds(void **state) {
    es_lockfile_t *file = open_file();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_owner_t self;
    es_lock_owner_t read;

    (void)state;
    assert_code(es_lock_owner_read(lock_path, &read), ES_EPROTO);
    assert_code(es_lock_owner_write(lock, NULL), 0);
    assert_code(es_lock_owner_self(&self), 0);
    assert_code(es_lock_owner_read(lock_path, &read), 0); /* although it is locked */
    assert_true(read.pid == self.pid && read.birth == self.birth && read.since_s > 1600000000);
    assert_string_equal(read.host, self.host);
    assert_string_equal(read.boot, self.boot);
    assert_string_equal(read.command, self.command);
    assert_true(strlen(read.command) > 0);
    assert_int_equal(es_lock_owner_is_alive(&read), 1);
    lock_release(lock);
    assert_code(es_lock_owner_read(lock_path, &read), 0); /* a comment, which stays */
    es_lockfile_close(file);
}

static void a_record_survives_any_text(void **state) {
    es_lockfile_t *file = open_file();
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_owner_t owner = {.pid = 77, .birth = UINT64_MAX, .since_s = -5};
    es_lock_owner_t read;

    (void)state;
    memset(owner.host, '%', sizeof(owner.host) - 1);
    memset(owner.command, '\n', sizeof(owner.command) - 1);
    (void)snprintf(owner.boot, sizeof(owner.boot), "end\nend \xc3\xa9%%zz ");
    assert_code(es_lock_owner_write(lock, &owner), 0);
    assert_code(es_lock_owner_read(lock_path, &read), 0);
    assert_memory_equal(&read, &owner, sizeof(owner));
    assert_code(es_lock_owner_is_alive(&read), ES_ENOTSUP);
    lock_release(lock);
    es_lockfile_close(file);
}

static void a_broken_record_is_no_record(void **state) {
    static const char *const broken[] = {"",
                                         "evenshim-lock 1\n",
                                         "evenshim-lock 1\npid 5\n",
                                         "evenshim-lock 1\nend\n",
                                         "evenshim-lock 1\npid \nend\n",
                                         "evenshim-lock 1\npid -4\nend\n",
                                         "evenshim-lock 2\npid 5\nend\n",
                                         "1234\n"};
    es_lock_owner_t read = {.pid = 3};

    (void)state;
    for (size_t index = 0; index < COUNT(broken); index++) {
        real_write(lock_path, broken[index]);
        assert_code(es_lock_owner_read(lock_path, &read), ES_EPROTO);
    }
    assert_true(read.pid == 3);
    real_write(lock_path, "evenshim-lock 1\npid 5\nfuture thing\nend\nold tail\n");
    assert_code(es_lock_owner_read(lock_path, &read), 0);
    assert_true(read.pid == 5);
}

static void a_process_that_is_gone_is_not_alive(void **state) {
    es_lock_owner_t owner;

    (void)state;
    assert_code(es_lock_owner_self(&owner), 0);
    owner.birth++;
    assert_int_equal(es_lock_owner_is_alive(&owner), 0); /* a later process with the same number */
    owner.birth = 0;
    assert_int_equal(es_lock_owner_is_alive(&owner), 1);
    owner.pid = INT64_MAX;
    assert_int_equal(es_lock_owner_is_alive(&owner), 0);
}

static void a_pid_lock_tells_who_has_it(void **state) {
    es_lock_owner_t holder = {.pid = -1};
    es_lock_owner_t self;
    es_lock_t *lock = NULL;
    es_lock_t *second = NULL;

    (void)state;
    assert_code(es_lock_owner_self(&self), 0);
    assert_code(es_pidlock_acquire(lock_path, ES_LOCK_READONLY, &holder, &lock), ES_EINVAL);
    assert_code(es_pidlock_acquire(lock_path, ES_LOCK_UNLINK_ON_RELEASE, &holder, &lock), 0);
    assert_code(es_pidlock_acquire(lock_path, 0, &holder, &second), ES_EAGAIN);
    assert_true(holder.pid == self.pid);
    assert_code(es_pidlock_acquire(lock_path, 0, NULL, &second), ES_EAGAIN);
    assert_null(second);
    lock_release(lock);
    assert_false(real_exists(lock_path));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, lock_path_set_up, lock_path_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(an_owner_record_says_who_holds), IN_FOLDER(a_record_survives_any_text),
        IN_FOLDER(a_broken_record_is_no_record),   IN_FOLDER(a_process_that_is_gone_is_not_alive),
        IN_FOLDER(a_pid_lock_tells_who_has_it),
    };

    return cmocka_run_group_tests_name("owner records", tests, NULL, NULL);
}
