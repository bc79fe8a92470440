/* SPDX-License-Identifier: MIT */
/* ES_LOCK_ADOPT: locks that stay with a descriptor of the caller's, as a shell's `flock 9` has them.
 * Verified: the lock outlives its object and ends with the descriptor's last copy, or by
 * es_lockfile_unlock, and waiters hear of either; one lock replaces another without a gap if nobody
 * is in the way; two that want to become writers do not wait for each other; a waiter that is
 * killed leaves nothing with a descriptor that lives on. What makes it hard: an exclusive lock
 * cannot be moved between descriptors in one step, so another must not get between. */
#include "check.h"
#include "lock_path.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

enum { PROCESS_COUNT = 4, ROUND_COUNT = 1500 };

static int set_up(void **state) {
    (void)lock_path_set_up(state);
    real_write(lock_path, "");
    return 0;
}

/* A descriptor, as a shell opens it, and the file that adopts it. */
typedef struct adopted {
    int fd;
    es_lockfile_t *file;
} adopted_t;

static adopted_t adopt(const char *name, int how, uint32_t flags) {
    adopted_t made = {open(name, how | O_CLOEXEC), NULL};

    assert_true(made.fd >= 0);
    assert_code(es_lockfile_wrap(made.fd, ES_LOCK_ADOPT | flags, &made.file), 0);
    return made;
}

static void end(adopted_t *adopted) {
    es_lockfile_close(adopted->file);
    assert_int_equal(close(adopted->fd), 0);
}

/* Leaves the lock with the descriptor. */
static int lock_for(es_lockfile_t *file, es_lock_kind_t kind, int64_t timeout_ns) {
    es_lock_t *lock = NULL;
    intptr_t copy = -1;
    int code = es_lock_acquire(file, kind, NULL, timeout_ns, NULL, &lock);

    if (code == 0) {
        assert_int_equal(es_lock_kind(lock), kind);
        assert_code(es_lock_verify(lock), 0);
        assert_code(es_lock_detach(lock, &copy), 0);
        assert_int_equal(close((int)copy), 0);
    }
    return code;
}

/* What somebody else could have now. */
static int probe(es_lock_kind_t kind, uint32_t flags) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    int code;

    assert_code(es_lockfile_open(lock_path, flags, 0, &file), 0);
    code = es_lock_try(file, kind, NULL, &lock);
    if (code == 0) {
        assert_code(es_lock_release(lock), 0);
    }
    es_lockfile_close(file);
    return code;
}

static void check_held(es_lock_kind_t kind) {
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), ES_EAGAIN);
    assert_code(probe(ES_LOCK_SHARED, 0), kind == ES_LOCK_SHARED ? 0 : ES_EAGAIN);
}

static void the_lock_ends_with_the_last_copy_of_the_descriptor(void **state) {
    adopted_t shell = adopt(lock_path, O_RDWR, 0);
    int copy = dup(shell.fd);

    (void)state;
    assert_code(lock_for(shell.file, ES_LOCK_EXCLUSIVE, 0), 0);
    check_held(ES_LOCK_EXCLUSIVE);
    end(&shell);
    check_held(ES_LOCK_EXCLUSIVE);
    assert_int_equal(close(copy), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), 0);
}

static void a_release_frees_it_although_the_descriptor_stays_open(void **state) {
    adopted_t shell = adopt(lock_path, O_RDWR, 0);
    es_lock_t *lock = NULL;

    (void)state;
    assert_code(es_lock_try(shell.file, ES_LOCK_SHARED, NULL, &lock), 0);
    check_held(ES_LOCK_SHARED);
    assert_code(es_lock_release(lock), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), 0);
    assert_int_not_equal(fcntl(shell.fd, F_GETFD), -1);
    end(&shell);
}

static void one_lock_takes_the_place_of_another_if_nobody_is_in_the_way(void **state) {
    static const es_lock_kind_t kinds[] = {ES_LOCK_SHARED, ES_LOCK_EXCLUSIVE, ES_LOCK_EXCLUSIVE,
                                           ES_LOCK_SHARED, ES_LOCK_SHARED,    ES_LOCK_EXCLUSIVE};
    adopted_t shell = adopt(lock_path, O_RDWR, 0);

    (void)state;
    for (size_t index = 0; index < sizeof(kinds) / sizeof(*kinds); index++) {
        assert_code(lock_for(shell.file, kinds[index], 0), 0);
        check_held(kinds[index]);
    }
    assert_code(es_lockfile_unlock(shell.file), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), 0);
    assert_code(es_lockfile_unlock(shell.file), 0);
    end(&shell);
}

static void a_try_that_fails_keeps_the_old_lock(void **state) {
    adopted_t one = adopt(lock_path, O_RDWR, 0);
    adopted_t other = adopt(lock_path, O_RDWR, 0);

    (void)state;
    assert_code(lock_for(one.file, ES_LOCK_SHARED, 0), 0);
    assert_code(lock_for(other.file, ES_LOCK_SHARED, 0), 0);
    assert_code(lock_for(one.file, ES_LOCK_EXCLUSIVE, 0), ES_EAGAIN);
    assert_code(es_lockfile_unlock(other.file), 0);
    check_held(ES_LOCK_SHARED);
    end(&one);
    end(&other);
}

/* ---- Waiting ---- */

static void begin(es_lock_monitor_t *monitor, lock_answer_t *answer, es_lockfile_t *file) {
    answer->req.data = answer;
    assert_code(es_lock_start(monitor, &answer->req, file, ES_LOCK_EXCLUSIVE, NULL, 30 * S,
                              lock_answer_keep),
                0);
    assert_true(es_lock_dispatch(monitor) >= 0);
}

static void drive(es_lock_monitor_t *monitor, lock_answer_t *answer) {
    while (answer->count == 0) {
        int64_t pause = es_lock_monitor_timeout(monitor);

        (void)es_lock_monitor_wait(monitor, pause, NULL);
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
    assert_code(answer->status, 0);
}

static void who_waits_hears_of_an_unlock_and_of_the_last_close(void **state) {
    adopted_t shell = adopt(lock_path, O_RDWR, 0);
    es_lockfile_t *file = NULL;
    es_lock_monitor_t *monitor = NULL;
    int copy = dup(shell.fd);

    (void)state;
    assert_code(es_lockfile_open(lock_path, 0, 0, &file), 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    for (int times = 0; times < 2; times++) {
        lock_answer_t answer = {.count = 0};

        assert_code(lock_for(shell.file, ES_LOCK_EXCLUSIVE, 0), 0);
        begin(monitor, &answer, file);
        assert_int_equal(answer.count, 0);
        if (times == 0) {
            assert_code(es_lockfile_unlock(shell.file), 0);
        } else {
            end(&shell);
            assert_int_equal(close(copy), 0);
        }
        drive(monitor, &answer);
        assert_code(es_lock_release(answer.lock), 0);
    }
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static void
an_adopted_descriptor_can_wait_and_two_readers_do_not_wait_for_each_other(void **state) {
    adopted_t one = adopt(lock_path, O_RDWR, 0);
    adopted_t other = adopt(lock_path, O_RDWR, 0);
    es_lock_monitor_t *monitors[2] = {NULL, NULL};
    lock_answer_t answers[2] = {{.count = 0}, {.count = 0}};

    (void)state;
    assert_code(lock_for(one.file, ES_LOCK_SHARED, 0), 0);
    assert_code(lock_for(other.file, ES_LOCK_SHARED, 0), 0);
    assert_code(es_lock_monitor_open(&monitors[0]), 0);
    assert_code(es_lock_monitor_open(&monitors[1]), 0);
    begin(monitors[0], &answers[0], one.file); /* gives up its shared lock */
    assert_int_equal(answers[0].count, 0);
    begin(monitors[1], &answers[1], other.file); /* the only reader that is left */
    drive(monitors[1], &answers[1]);
    check_held(ES_LOCK_EXCLUSIVE);
    assert_int_equal(answers[0].count, 0);
    assert_code(es_lock_release(answers[1].lock), 0);
    drive(monitors[0], &answers[0]);
    check_held(ES_LOCK_EXCLUSIVE);
    assert_code(es_lock_release(answers[0].lock), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), 0);
    es_lock_monitor_close(monitors[0]);
    es_lock_monitor_close(monitors[1]);
    end(&one);
    end(&other);
}

static void a_killed_waiter_leaves_nothing_with_the_descriptor(void **state) {
    adopted_t shell = adopt(lock_path, O_RDWR, 0);
    es_lockfile_t *file = NULL;
    es_lock_t *reader = NULL;
    pid_t child;

    (void)state;
    assert_code(es_lockfile_open(lock_path, 0, 0, &file), 0);
    assert_code(es_lock_try(file, ES_LOCK_SHARED, NULL, &reader), 0);
    child = fork();
    if (child == 0) {
        es_lockfile_t *own = NULL;

        _exit(es_lockfile_wrap(shell.fd, ES_LOCK_ADOPT, &own) != 0 ||
              lock_for(own, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER) != 0);
    }
    while (probe(ES_LOCK_SHARED, 0) == 0) { /* until the gate is shut */
        (void)sched_yield();
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_code(probe(ES_LOCK_SHARED, 0), 0);
    assert_code(es_lock_release(reader), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE, 0), 0);
    es_lockfile_close(file);
    end(&shell);
}

/* Ones and others: adopted descriptors, and objects. `count` is raised without care. */
static int contend(int is_adopting, uint32_t flags, volatile int *count) {
    es_lockfile_t *file = NULL;
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || (is_adopting ? es_lockfile_wrap(fd, ES_LOCK_ADOPT | flags, &file)
                               : es_lockfile_open(lock_path, flags, 0, &file)) != 0) {
        return 1;
    }
    for (int round = 0; round < ROUND_COUNT; round++) {
        es_lock_t *lock = NULL;
        intptr_t copy = -1;

        if (es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, 50 * S, NULL, &lock) != 0) {
            return 2;
        }
        *count = *count + 1;
        if (!is_adopting || round % 2 == 0) {
            if (es_lock_release(lock) != 0) {
                return 3;
            }
        } else if (es_lock_detach(lock, &copy) != 0 || close((int)copy) != 0 ||
                   es_lockfile_unlock(file) != 0) {
            return 4;
        }
    }
    es_lockfile_close(file);
    return close(fd);
}

static void contend_all(uint32_t flags) {
    volatile int *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[PROCESS_COUNT];

    assert_true((void *)count != MAP_FAILED);
    for (int index = 0; index < PROCESS_COUNT; index++) {
        children[index] = fork();
        if (children[index] == 0) {
            _exit(contend(index % 2, flags, count));
        }
    }
    for (int index = 0; index < PROCESS_COUNT; index++) {
        int status = -1;

        assert_int_equal(waitpid(children[index], &status, 0), children[index]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(*count, PROCESS_COUNT * ROUND_COUNT);
    (void)munmap((void *)count, sizeof(*count));
}

static void nobody_gets_between_while_the_lock_changes_hands(void **state) {
    (void)state;
    contend_all(0);
    contend_all(ES_LOCK_FAIR);
    contend_all(ES_LOCK_COMPAT_FLOCK);
}

/* ---- flock's, and what is refused ---- */

static void with_flock_any_file_and_folder_will_do(void **state) {
    static const es_lock_kind_t kinds[] = {ES_LOCK_EXCLUSIVE, ES_LOCK_SHARED, ES_LOCK_EXCLUSIVE};
    char folder[REAL_PATH_BYTES];
    const char *names[] = {folder, lock_path, real_null_device};

    (void)state;
    real_name(folder, "");
    for (size_t at = 0; at < sizeof(names) / sizeof(*names); at++) {
        adopted_t one = adopt(names[at], O_RDONLY, ES_LOCK_COMPAT_FLOCK);
        adopted_t other = adopt(names[at], O_RDONLY, ES_LOCK_COMPAT_FLOCK);

        for (size_t index = 0; index < sizeof(kinds) / sizeof(*kinds); index++) {
            assert_code(lock_for(one.file, kinds[index], 0), 0);
            assert_code(lock_for(other.file, ES_LOCK_EXCLUSIVE, 20 * MS), ES_ETIMEDOUT);
        }
        assert_code(es_lockfile_unlock(one.file), 0);
        assert_code(lock_for(other.file, ES_LOCK_EXCLUSIVE, 0), 0);
        end(&one);
        end(&other);
    }
}

static void what_cannot_be_is_refused(void **state) {
    const es_range_t range = {0, 10};
    adopted_t shell = adopt(lock_path, O_RDWR, 0);
    adopted_t reading = adopt(lock_path, O_RDONLY, ES_LOCK_READONLY);
    adopted_t writing = adopt(lock_path, O_WRONLY, 0);
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    char folder[REAL_PATH_BYTES];
    int fd;

    (void)state;
    assert_code(es_lock_try(shell.file, ES_LOCK_SHARED, &range, &lock), ES_ENOTSUP);
    assert_code(es_lock_try(reading.file, ES_LOCK_EXCLUSIVE, NULL, &lock), ES_EBADF);
    assert_code(lock_for(reading.file, ES_LOCK_SHARED, 0), 0);
    assert_code(es_lock_try(writing.file, ES_LOCK_SHARED, NULL, &lock), ES_EBADF);
    assert_code(es_lockfile_unlock(reading.file), 0);
    assert_code(lock_for(writing.file, ES_LOCK_EXCLUSIVE, 0), 0);
    assert_code(es_lockfile_unlock(writing.file), 0);
    assert_code(es_lock_try(shell.file, ES_LOCK_SHARED, NULL, &lock), 0);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), ES_ENOTSUP);
    assert_code(es_lock_release(lock), 0);
    end(&shell);
    end(&reading);
    end(&writing);
    assert_code(es_lockfile_wrap(shell.fd, ES_LOCK_ADOPT, &file), ES_EBADF);
    assert_code(es_lockfile_open(lock_path, ES_LOCK_ADOPT, 0, &file), ES_EINVAL);
    assert_code(es_lockfile_open(lock_path, 0, 0, &file), 0);
    assert_code(es_lockfile_unlock(file), ES_EINVAL);
    es_lockfile_close(file);
    real_name(folder, "");
    fd = open(folder, O_RDONLY | O_CLOEXEC);
    assert_code(es_lockfile_wrap(fd, ES_LOCK_ADOPT | ES_LOCK_READONLY, &file), ES_EISDIR);
    assert_int_equal(close(fd), 0);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, lock_path_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(the_lock_ends_with_the_last_copy_of_the_descriptor),
        WITH_FOLDER(a_release_frees_it_although_the_descriptor_stays_open),
        WITH_FOLDER(one_lock_takes_the_place_of_another_if_nobody_is_in_the_way),
        WITH_FOLDER(a_try_that_fails_keeps_the_old_lock),
        WITH_FOLDER(who_waits_hears_of_an_unlock_and_of_the_last_close),
        WITH_FOLDER(an_adopted_descriptor_can_wait_and_two_readers_do_not_wait_for_each_other),
        WITH_FOLDER(a_killed_waiter_leaves_nothing_with_the_descriptor),
        WITH_FOLDER(nobody_gets_between_while_the_lock_changes_hands),
        WITH_FOLDER(with_flock_any_file_and_folder_will_do),
        WITH_FOLDER(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests_name("adopted locks", tests, NULL, NULL);
}
