/* SPDX-License-Identifier: MIT */
/* Waiting by kqueue, as on macOS and the BSDs, on a kqueue of the test's own (kqueue_fake.h); built
 * once for each of them. Verified: a release wakes who waits, by the note that the system posts; a
 * note that means nothing costs one try; a file that goes away, events that cannot be had and
 * watches that are refused lose no wait; who is cancelled, late or served leaves no watch behind.
 * What makes it hard: a queue is not inherited by a forked child, so there its number may be
 * another descriptor's. */
#include "check.h"
#include "lock_path.h"
#include "kqueue_fake.h"
#include "real.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prim/lock.h"

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

enum { FILE_COUNT = 40 };

static int open_count;
static es_lockfile_t *file;
static es_lockfile_t *other;
static es_lock_monitor_t *monitor;

static es_lock_t *hold(es_lockfile_t *of, es_lock_kind_t kind) {
    es_lock_t *lock = NULL;

    assert_code(es_lock_try(of, kind, NULL, &lock), 0);
    return lock;
}

/* A blocking wait leaves its monitor for the next. */
static void wait_once(void) {
    es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
    es_lock_t *none = NULL;

    assert_code(es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, MS, NULL, &none), ES_ETIMEDOUT);
    assert_int_equal(fake_watch_count(), 0);
    assert_code(es_lock_release(lock), 0);
}

static int set_up(void **state) {
    (void)lock_path_set_up(state);
    fake_begin();
    assert_code(es_lockfile_open(lock_path, ES_LOCK_CREATE, 0600, &file), 0);
    assert_code(es_lockfile_open(lock_path, 0, 0, &other), 0);
    wait_once();
    es_lockfile_close(file);
    es_lockfile_close(other);
    open_count = real_open_count();
    assert_code(es_lockfile_open(lock_path, 0, 0, &file), 0);
    assert_code(es_lockfile_open(lock_path, 0, 0, &other), 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
    fake_end();
    assert_int_equal(real_open_count(), open_count);
    return lock_path_tear_down(state);
}

static void begin(lock_answer_t *answer, es_lock_kind_t kind, int64_t timeout_ns) {
    *answer = (lock_answer_t){.count = 0};
    answer->req.data = answer;
    assert_code(
        es_lock_start(monitor, &answer->req, file, kind, NULL, timeout_ns, lock_answer_keep), 0);
    assert_int_equal(es_lock_dispatch(monitor), 0);
}

static void check_granted(lock_answer_t *answer) {
    assert_int_equal(answer->count, 1);
    assert_code(answer->status, 0);
    assert_code(es_lock_release(answer->lock), 0);
    assert_int_equal(fake_watch_count(), 0);
}

/* Until it has been answered, as a loop does it. */
static void drive(lock_answer_t *answer) {
    while (answer->count == 0) {
        (void)es_lock_monitor_wait(monitor, es_lock_monitor_timeout(monitor), NULL);
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
}

/* ---- What is told ---- */

static void a_release_wakes_who_waits(void **state) {
    static const es_lock_kind_t kinds[] = {ES_LOCK_EXCLUSIVE, ES_LOCK_SHARED};

    (void)state;
    for (size_t index = 0; index < COUNT(kinds); index++) {
        es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
        lock_answer_t answer;

        begin(&answer, kinds[index], ES_LOCK_FOREVER);
        if (fake_tells_of_closes()) {
            assert_int_equal(fake_watch_count(), 1);
            assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
            assert_code(es_lock_monitor_wait(monitor, MS, NULL), ES_ETIMEDOUT);
        }
        assert_code(es_lock_release(lock), 0);
        drive(&answer);
        check_granted(&answer);
    }
}

/* Which neither closes nor unlocks anything here: the test posts what the kernel would. */
static void the_release_of_another_process_wakes_who_waits(void **state) {
    lock_answer_t answer;
    int orders[2];
    int answers[2];
    char byte = 0;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    child = fork();
    if (child == 0) {
        es_lockfile_t *own = NULL;
        es_lock_t *lock = NULL;

        _exit(es_lockfile_open(lock_path, 0, 0, &own) != 0 ||
              es_lock_try(own, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0 ||
              write(answers[1], "h", 1) != 1 || read(orders[0], &byte, 1) != 1);
    }
    assert_int_equal(read(answers[0], &byte, 1), 1);
    begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_int_equal(write(orders[1], "g", 1), 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    fake_post(lock_path, fake_release_note());
    drive(&answer);
    check_granted(&answer);
    for (int end = 0; end < 2; end++) {
        (void)close(orders[end]);
        (void)close(answers[end]);
    }
}

static void a_downgrade_lets_readers_in(void **state) {
    es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    (void)state;
    begin(&answer, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    drive(&answer);
    check_granted(&answer);
    assert_code(es_lock_release(lock), 0);
}

static void a_note_that_means_nothing_costs_one_round_of_tries(void **state) {
    es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    (void)state;
    begin(&answer, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    for (int times = 0; times < 20; times++) {
        fake.lock_count = 0;
        fake_post(lock_path, NOTE_ATTRIB);
        assert_int_equal(es_lock_dispatch(monitor), 0);
        assert_true(fake.lock_count <= 1);
        assert_int_equal(es_lock_dispatch(monitor), 0); /* told once */
        assert_true(fake.lock_count <= 1);
    }
    assert_int_equal(answer.count, 0);
    assert_code(es_lock_release(lock), 0);
    drive(&answer);
    check_granted(&answer);
}

static void a_file_that_is_removed_while_one_waits_is_still_waited_for(void **state) {
    es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    (void)state;
    begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_int_equal(es__sys.unlink(lock_path), 0);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_int_equal(answer.count, 0);
    assert_code(es_lock_release(lock), 0);
    drive(&answer);
    assert_code(es_lock_verify(answer.lock), ES_ESTALE);
    check_granted(&answer);
}

static void more_events_than_fit_are_all_taken(void **state) {
    es_lockfile_t *files[FILE_COUNT][2];
    es_lock_t *locks[FILE_COUNT];
    lock_answer_t answers[FILE_COUNT];
    char name[REAL_PATH_BYTES];
    char number[16];
    int count = 0;

    (void)state;
    for (int index = 0; index < FILE_COUNT; index++) {
        (void)snprintf(number, sizeof(number), "lock%d", index);
        real_name(name, number);
        assert_code(es_lockfile_open(name, ES_LOCK_CREATE, 0600, &files[index][0]), 0);
        assert_code(es_lockfile_open(name, 0, 0, &files[index][1]), 0);
        locks[index] = hold(files[index][0], ES_LOCK_EXCLUSIVE);
        answers[index] = (lock_answer_t){.count = 0};
        answers[index].req.data = &answers[index];
        assert_code(es_lock_start(monitor, &answers[index].req, files[index][1], ES_LOCK_EXCLUSIVE,
                                  NULL, ES_LOCK_FOREVER, lock_answer_keep),
                    0);
    }
    for (int index = 0; index < FILE_COUNT; index++) {
        assert_code(es_lock_release(locks[index]), 0);
    }
    if (fake_tells_of_closes()) {
        count = es_lock_dispatch(monitor);
        assert_int_equal(count, FILE_COUNT);
    }
    for (int index = 0; index < FILE_COUNT; index++) {
        drive(&answers[index]);
        assert_code(answers[index].status, 0);
        assert_code(es_lock_release(answers[index].lock), 0);
        es_lockfile_close(files[index][0]);
        es_lockfile_close(files[index][1]);
    }
}

/* ---- What is refused ---- */

static void where_a_watch_is_refused_one_asks(void **state) {
    static const int errors[] = {ENOMEM, EINVAL, EBADF, EPERM, EOPNOTSUPP};

    (void)state;
    for (size_t index = 0; index < COUNT(errors); index++) {
        es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
        lock_answer_t answer;

        fake.add_error = errors[index];
        begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
        assert_int_equal(fake_watch_count(), 0);
        assert_true(es_lock_monitor_timeout(monitor) > 0);
        assert_true(es_lock_monitor_timeout(monitor) <= 50 * MS);
        assert_code(es_lock_release(lock), 0);
        drive(&answer);
        check_granted(&answer);
    }
}

static void events_that_cannot_be_had_are_told_and_lose_no_wait(void **state) {
    static const struct {
        int error;
        int code;
    } cases[] = {{EINTR, 0}, {ENOMEM, ES_ENOMEM}, {EBADF, ES_EBADF}};

    (void)state;
    for (size_t index = 0; index < COUNT(cases); index++) {
        es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
        lock_answer_t answer;

        begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
        fake.collect_error = cases[index].error;
        assert_code(es_lock_dispatch(monitor), cases[index].code);
        assert_code(es_lock_release(lock), 0);
        assert_code(es_lock_dispatch(monitor), cases[index].code);
        fake.collect_error = 0;
        drive(&answer);
        check_granted(&answer);
    }
}

static void no_queue_no_monitor(void **state) {
    static const int errors[] = {EMFILE, ENFILE, ENOMEM};
    es_lock_monitor_t *none = NULL;
    int count = real_open_count();

    (void)state;
    for (size_t index = 0; index < COUNT(errors); index++) {
        fake.queue_error = errors[index];
        assert_true(es_lock_monitor_open(&none) < 0);
        assert_int_equal(es_error_last().native, errors[index]);
    }
    assert_null(none);
    assert_int_equal(real_open_count(), count);
}

static void a_pause_is_never_short_and_ends_as_it_should(void **state) {
    es_cancel_t *cancel = NULL;

    (void)state;
    assert_code(es_lock_monitor_wait(monitor, 0, NULL), ES_ETIMEDOUT);
    assert_int_equal(fake.poll_ms, 0);
    assert_code(es_lock_monitor_wait(monitor, 1, NULL), ES_ETIMEDOUT);
    assert_int_equal(fake.poll_ms, 1);
    assert_code(es_lock_monitor_wait(monitor, 2 * MS + 1, NULL), ES_ETIMEDOUT);
    assert_int_equal(fake.poll_ms, 3);
    fake.poll_error = EINTR;
    assert_code(es_lock_monitor_wait(monitor, INT64_MAX, NULL), ES_ETIMEDOUT);
    assert_int_equal(fake.poll_ms, INT32_MAX);
    assert_code(es_lock_monitor_wait(monitor, ES_LOCK_FOREVER, NULL), ES_ETIMEDOUT);
    assert_int_equal(fake.poll_ms, -1);
    fake.poll_error = ENOMEM;
    assert_code(es_lock_monitor_wait(monitor, MS, NULL), ES_ENOMEM);
    fake.poll_error = 0;
    assert_code(es_cancel_open(&cancel), 0);
    es_cancel_set(cancel);
    assert_code(es_lock_monitor_wait(monitor, 10 * S, cancel), ES_ECANCELED);
    es_cancel_close(cancel);
    es_lock_monitor_wake(monitor);
    assert_code(es_lock_monitor_wait(monitor, 10 * S, NULL), 0);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_code(es_lock_monitor_wait(monitor, 0, NULL), ES_ETIMEDOUT);
}

static void any_number_of_wakes_is_taken(void **state) {
    (void)state;
    for (int times = 0; times < 100000; times++) {
        es_lock_monitor_wake(monitor); /* a full pipe must not block it */
    }
    for (int times = 0; times < 100; times++) {
        assert_int_equal(es_lock_dispatch(monitor), 0);
    }
    assert_code(es_lock_monitor_wait(monitor, 0, NULL), ES_ETIMEDOUT);
}

/* ---- The end of a wait ---- */

static void who_is_cancelled_or_late_leaves_no_watch(void **state) {
    es_lock_t *lock = hold(other, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    (void)state;
    begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_code(es_lock_cancel(&answer.req), 0);
    assert_int_equal(es_lock_dispatch(monitor), 1);
    assert_code(answer.status, ES_ECANCELED);
    assert_int_equal(fake_watch_count(), 0);
    begin(&answer, ES_LOCK_SHARED, MS);
    drive(&answer);
    assert_code(answer.status, ES_ETIMEDOUT);
    assert_int_equal(fake_watch_count(), 0);
    begin(&answer, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    es_lock_monitor_close(monitor); /* drops it */
    assert_int_equal(fake_watch_count(), 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    assert_code(es_lock_release(lock), 0);
    lock = hold(file, ES_LOCK_EXCLUSIVE);
    assert_code(es_lock_release(lock), 0);
}

/* As the kernel does it, the child has no queue, and its number goes to what is opened next. */
static int close_in_child(void) {
    int queue = (int)es_lock_monitor_pollable(monitor);
    int fd;

    (void)close(queue);
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd != queue);
    if (fd != queue || es_lock_dispatch(monitor) != ES_EFORKED) {
        return 1;
    }
    es_lock_monitor_close(monitor);
    return fcntl(fd, F_GETFD) < 0 ? 2 : 0;
}

static void a_forked_child_closes_nothing_that_has_the_queues_number(void **state) {
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        _exit(close_in_child());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- A descriptor of the caller's ---- */

static void flocks_lock_stays_with_a_descriptor_on_every_system(void **state) {
    int fd = open(lock_path, O_RDONLY | O_CLOEXEC);
    es_lockfile_t *adopted = NULL;
    es_lockfile_t *rival = NULL;
    es_lock_t *lock = NULL;
    intptr_t copy = -1;

    (void)state;
    assert_code(es_lockfile_wrap(fd, ES_LOCK_ADOPT | ES_LOCK_READONLY, &adopted),
                ES__LOCK_DETACHES ? 0 : ES_ENOTSUP);
    es_lockfile_close(adopted);
    assert_code(es_lockfile_wrap(fd, ES_LOCK_ADOPT | ES_LOCK_COMPAT_FLOCK, &adopted), 0);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_COMPAT_FLOCK, 0, &rival), 0);
    assert_code(es_lock_try(adopted, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_detach(lock, &copy), 0);
    assert_int_equal(es__sys.close((int)copy), 0);
    assert_code(lock_probe(rival, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(es_lockfile_unlock(adopted), 0);
    assert_code(lock_probe(rival, ES_LOCK_EXCLUSIVE), 0);
    assert_code(es_lock_try(adopted, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_detach(lock, &copy), 0);
    es_lockfile_close(adopted);
    assert_int_equal(es__sys.close(fd), 0);
    assert_code(lock_probe(rival, ES_LOCK_SHARED), ES_EAGAIN); /* the copy has it */
    assert_int_equal(es__sys.close((int)copy), 0);
    assert_code(lock_probe(rival, ES_LOCK_EXCLUSIVE), 0);
    es_lockfile_close(rival);
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FAKE(a_release_wakes_who_waits),
        WITH_FAKE(the_release_of_another_process_wakes_who_waits),
        WITH_FAKE(a_downgrade_lets_readers_in),
        WITH_FAKE(a_note_that_means_nothing_costs_one_round_of_tries),
        WITH_FAKE(a_file_that_is_removed_while_one_waits_is_still_waited_for),
        WITH_FAKE(more_events_than_fit_are_all_taken),
        WITH_FAKE(where_a_watch_is_refused_one_asks),
        WITH_FAKE(events_that_cannot_be_had_are_told_and_lose_no_wait),
        WITH_FAKE(no_queue_no_monitor),
        WITH_FAKE(a_pause_is_never_short_and_ends_as_it_should),
        WITH_FAKE(any_number_of_wakes_is_taken),
        WITH_FAKE(who_is_cancelled_or_late_leaves_no_watch),
        WITH_FAKE(a_forked_child_closes_nothing_that_has_the_queues_number),
        WITH_FAKE(flocks_lock_stays_with_a_descriptor_on_every_system),
    };

    return cmocka_run_group_tests_name("locks by kqueue", tests, NULL, NULL);
}
