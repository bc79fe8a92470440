/* SPDX-License-Identifier: MIT */
/* Every system call of a life with locks fails, at every index, once and for good, with each of
 * many errors: acquire, wait, upgrade, downgrade, cancel, release, records. Verified each time: it
 * ends; no descriptor is left open; whatever failed, a failed upgrade still holds the shared lock
 * or says that it was lost, and when all is released the file can be locked exclusively, so nothing
 * was forgotten. What makes it hard is that many failures are rightly survived (without inotify one
 * asks, without a thread one is told); then the life must go well. */
#include "check.h"
#include "lock_path.h"
#include "real.h"
#include "script_posix.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <string.h>

#define MS ((int64_t)1000000)

enum { TURNS_MAX = 400 };

static const int errors[] = {EINTR,  EAGAIN, EBADF,  EINVAL, ENOMEM, EMFILE, ENFILE, EPERM,
                             EACCES, ENOLCK, ENOSPC, EIO,    ENOENT, EROFS,  9998};

/* A failing poll must not make a wait endless: turns are counted, with a pause that time ends. */
static void drive(es_lock_monitor_t *monitor, lock_answer_t *answer) {
    for (int turns = 0; answer->count == 0 && turns < TURNS_MAX; turns++) {
        (void)es_lock_monitor_wait(monitor, MS / 4, NULL);
        (void)es_lock_dispatch(monitor);
    }
    if (answer->count == 0) {
        assert_code(es_lock_cancel(&answer->req), 0);
        (void)es_lock_dispatch(monitor);
    }
    assert_int_equal(answer->count, 1);
    assert_true(answer->status == 0 || answer->lock == NULL ||
                es_lock_kind(answer->lock) != ES_LOCK_EXCLUSIVE);
}

static void drop(es_lock_t *lock) {
    if (lock != NULL) {
        (void)es_lock_release(lock);
    }
}

/* A lock for `kind` through the monitor while another lock is in the way until later. */
static void wait_for(es_lock_monitor_t *monitor, es_lockfile_t *file, es_lockfile_t *other,
                     es_lock_kind_t kind, const es_range_t *range) {
    es_lock_t *in_the_way = NULL;
    lock_answer_t answer = {.count = 0};

    answer.req.data = &answer;
    (void)es_lock_try(other, ES_LOCK_EXCLUSIVE, range, &in_the_way);
    if (es_lock_start(monitor, &answer.req, file, kind, range, 10 * MS, lock_answer_keep) != 0) {
        drop(in_the_way);
        return;
    }
    (void)es_lock_dispatch(monitor);
    drop(in_the_way);
    drive(monitor, &answer);
    drop(answer.lock);
}

static void change_kinds(es_lock_monitor_t *monitor, es_lockfile_t *file, es_lockfile_t *other) {
    es_lock_t *lock = NULL;
    es_lock_t *reader = NULL;
    lock_answer_t answer = {.count = 0};

    answer.req.data = &answer;
    if (es_lock_try(file, ES_LOCK_SHARED, NULL, &lock) != 0) {
        return;
    }
    if (es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL) == 0) {
        (void)es_lock_owner_write(lock, NULL);
        (void)es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL);
    }
    (void)es_lock_verify(lock);
    (void)es_lock_try(other, ES_LOCK_SHARED, NULL, &reader);
    if (es_lock_kind(lock) == ES_LOCK_SHARED &&
        es_lock_start_convert(monitor, &answer.req, lock, ES_LOCK_EXCLUSIVE, 10 * MS,
                              lock_answer_keep) == 0) {
        (void)es_lock_dispatch(monitor);
        if (answer.count == 0) {
            (void)es_lock_cancel(&answer.req);
        }
        drive(monitor, &answer);
    }
    (void)es_lock_convert(lock, ES_LOCK_EXCLUSIVE, MS, NULL);
    drop(reader);
    drop(lock);
}

static void live_whole(uint32_t flags) {
    const es_range_t range = {10, 10};
    es_lockfile_t *file = NULL;
    es_lockfile_t *other = NULL;
    es_lock_monitor_t *monitor = NULL;
    es_lock_owner_t owner;
    uint32_t caps = 0;

    if (es_lockfile_open(lock_path, ES_LOCK_CREATE | flags, 0600, &file) == 0 &&
        es_lockfile_open(lock_path, ES_LOCK_CREATE | flags, 0600, &other) == 0 &&
        es_lock_monitor_open(&monitor) == 0) {
        (void)es_lockfile_caps(file, &caps);
        wait_for(monitor, file, other, ES_LOCK_EXCLUSIVE, NULL);
        wait_for(monitor, file, other, ES_LOCK_SHARED, NULL);
        wait_for(monitor, file, other, ES_LOCK_EXCLUSIVE, &range);
        change_kinds(monitor, file, other);
        (void)es_lock_owner_read(lock_path, &owner);
    }
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

/* A descriptor is given a lock, at once and after a wait, and loses it. */
static void live_adopted(uint32_t flags) {
    intptr_t descriptor = real_descriptor_open(lock_path);
    intptr_t copy = -1;
    es_lockfile_t *file = NULL;
    es_lockfile_t *other = NULL;
    es_lock_monitor_t *monitor = NULL;
    es_lock_t *lock = NULL;

    if (es_lockfile_wrap(descriptor, ES_LOCK_ADOPT | flags, &file) == 0 &&
        es_lockfile_open(lock_path, flags, 0, &other) == 0 && es_lock_monitor_open(&monitor) == 0) {
        wait_for(monitor, file, other, ES_LOCK_EXCLUSIVE, NULL);
        wait_for(monitor, file, other, ES_LOCK_SHARED, NULL);
        if (es_lock_try(file, ES_LOCK_SHARED, NULL, &lock) == 0 &&
            es_lock_detach(lock, &copy) == 0) {
            real_descriptor_close(copy);
            if (es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) == 0) {
                drop(lock);
            }
        }
        (void)es_lockfile_unlock(file);
    }
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
    real_descriptor_close(descriptor);
}

/* With nothing failing any more the file is free. */
static void check_after(int open_count) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    script_fail(NULL, -1, 0, 0);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_CREATE, 0600, &file), 0);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    lock_release(lock);
    es_lockfile_close(file);
    assert_int_equal(real_open_count(), open_count);
}

/* Every `stride`th call with every `step`th error: closing inotify takes Linux milliseconds. */
static void fail_everywhere(void (*live)(uint32_t flags), uint32_t flags, int times, size_t step,
                            int stride) {
    int open_count;
    int call_count;

    real_write(lock_path, "");
    script_begin();
    live(flags);
    live(flags); /* the first has left a monitor for blocking calls */
    open_count = real_open_count();
    script_fail(NULL, -1, 0, 0);
    live(flags);
    call_count = script.count;
    assert_true(call_count > 30);
    for (size_t which = 0; which < COUNT(errors); which += step) {
        for (int from = 0; from < call_count; from += stride) {
            script_fail(NULL, from, times, errors[which]);
            live(flags);
            check_after(open_count);
        }
    }
    script_end();
}

static void each_call_may_fail_once(void **state) {
    (void)state;
    fail_everywhere(live_whole, 0, 1, 4, 1);
}

static void each_call_may_fail_for_good(void **state) {
    (void)state;
    fail_everywhere(live_whole, 0, SCRIPT_FOR_GOOD, 8, 3);
}

static void each_call_of_other_modes_may_fail(void **state) {
    (void)state;
    fail_everywhere(live_whole, ES_LOCK_FAIR, 1, 7, 2);
    fail_everywhere(live_whole, ES_LOCK_UNLINK_ON_RELEASE, 1, 7, 2);
    fail_everywhere(live_adopted, 0, 1, 5, 1);
    fail_everywhere(live_adopted, 0, SCRIPT_FOR_GOOD, 8, 2);
    fail_everywhere(live_adopted, ES_LOCK_COMPAT_FLOCK, 1, 7, 2);
}

/* Without inotify, and without its watches, locks are waited for by asking. */
static void waits_go_well_without_inotify(void **state) {
    static const struct {
        const char *call;
        int error;
    } cases[] = {{"inotify_init1", EMFILE}, {"inotify_add_watch", ENOSPC}, {"fstatfs", ENOSYS}};

    (void)state;
    for (size_t index = 0; index < COUNT(cases); index++) {
        es_lockfile_t *file = NULL;
        es_lock_monitor_t *monitor = NULL;
        es_lock_t *lock = NULL;
        lock_answer_t answer = {.count = 0};

        script_begin();
        script_fail(cases[index].call, 0, SCRIPT_FOR_GOOD, cases[index].error);
        assert_code(es_lockfile_open(lock_path, ES_LOCK_CREATE, 0600, &file), 0);
        assert_code(es_lock_monitor_open(&monitor), 0);
        assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
        lock_answer_begin(monitor, &answer, file, ES_LOCK_EXCLUSIVE);
        assert_true(es_lock_monitor_timeout(monitor) > 0);
        assert_true(es_lock_monitor_timeout(monitor) <= 50 * MS);
        lock_release(lock);
        lock_answer_granted(monitor, &answer);
        es_lock_monitor_close(monitor);
        es_lockfile_close(file);
        script_end();
    }
}

/* A wait that nothing else can end, in the system's own queue: each of its calls for locks fails,
 * the one that would block, too. What is in the way belongs to no thread, so that no debug build
 * takes the wait for a deadlock. */
static void a_wait_in_the_systems_queue_that_fails_leaves_nothing(void **state) {
    static const struct {
        int error;
        int code;
    } cases[] = {{ENOLCK, ES_ENOLCK}, {EBADF, ES_EBADF}, {EIO, ES_EIO}};
    enum { CALL_COUNT = 5 }; /* all, RESERVED in the queue, GATE, DATA, DATA in the queue */
    es_lock_monitor_t *monitor = NULL;
    int open_count;

    (void)state;
    assert_code(es_lock_monitor_open(&monitor), 0);
    open_count = real_open_count();
    for (size_t which = 0; which < COUNT(cases); which++) {
        for (int from = 0; from < CALL_COUNT; from++) {
            es_lockfile_t *file = NULL;
            es_lock_t *lock = NULL;
            lock_answer_t answer = {.count = 0};
            int code;

            answer.req.data = &answer;
            assert_code(es_lockfile_open(lock_path, ES_LOCK_CREATE, 0600, &file), 0);
            assert_code(es_lock_start(monitor, &answer.req, file, ES_LOCK_EXCLUSIVE, NULL, 0,
                                      lock_answer_keep),
                        0);
            drive(monitor, &answer);
            assert_code(answer.status, 0);
            script_begin();
            script_fail("fcntl", from, 1, cases[which].error);
            code = es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock);
            assert_code(code, cases[which].code);
            assert_null(lock);
            script_end();
            drop(answer.lock);
            es_lockfile_close(file);
            check_after(open_count);
        }
    }
    es_lock_monitor_close(monitor);
}

static int tear_down(void **state) {
    script_end();
    return lock_path_tear_down(state);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, lock_path_set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(waits_go_well_without_inotify),
        WITH_FOLDER(a_wait_in_the_systems_queue_that_fails_leaves_nothing),
        WITH_FOLDER(each_call_may_fail_once),
        WITH_FOLDER(each_call_may_fail_for_good),
        WITH_FOLDER(each_call_of_other_modes_may_fail),
    };

    return cmocka_run_group_tests_name("every call of a lock fails", tests, NULL, NULL);
}
