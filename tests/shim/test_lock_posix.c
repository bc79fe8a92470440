/* SPDX-License-Identifier: MIT */
/* What only Unix has around locks: fork, signals, other kinds of locks on the same file, and
 * limits. Verified with real processes: a lock is the parent's, a child can neither use nor release
 * it, and a parent that is killed leaves none behind although its children live; of a hundred
 * waiters exactly one gets what a killed holder had. What makes it hard: an inherited descriptor
 * keeps a lock alive without anybody owning it. */
#include "check.h"
#include "lock_path.h"
#include "real.h"
#include "sys.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

enum { WAITER_COUNT = 100, FORK_COUNT = 200 };

/* Shared with children. */
typedef struct board {
    atomic_int ready;
    atomic_int holders;
    atomic_llong got_ns;
} board_t;

static board_t *board;

static int64_t now_ns(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * S + now.tv_nsec;
}

static int set_up(void **state) {
    (void)lock_path_set_up(state);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(board != MAP_FAILED);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)munmap(board, sizeof(*board));
    return lock_path_tear_down(state);
}

static void wait_until(atomic_int *value, int wanted) {
    const struct timespec pause = {0, 1000000};

    while (atomic_load(value) < wanted) {
        (void)nanosleep(&pause, NULL);
    }
}

static int exit_code(pid_t child) {
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void finish_off(pid_t child) {
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

/* ---- fork ---- */

static int check_in_child(es_lockfile_t *file, es_lock_t *lock, es_lock_monitor_t *monitor) {
    es_lock_t *other = NULL;
    es_lockfile_t *own = NULL;

    if (es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL) != ES_EFORKED ||
        es_lock_verify(lock) != ES_EFORKED || es_lock_owner_write(lock, NULL) != ES_EFORKED ||
        es_lock_try(file, ES_LOCK_SHARED, NULL, &other) != ES_EFORKED ||
        es_lock_dispatch(monitor) != ES_EFORKED || es_lock_release(lock) != ES_EFORKED) {
        return 1;
    }
    es_lockfile_close(file);
    es_lock_monitor_close(monitor);
    if (es_lockfile_open(lock_path, 0, 0, &own) != 0 ||
        es_lock_acquire(own, ES_LOCK_SHARED, NULL, MS, NULL, &other) != ES_ETIMEDOUT) {
        return 2; /* the parent still has it */
    }
    es_lockfile_close(own);
    return 0;
}

/* Its watches are in the parent's inotify, and its requests the parent's. */
static int wait_in_child(es_lock_monitor_t *monitor, es_lock_req_t *waiting) {
    const es_range_t range = {5, 5};
    es_lockfile_t *own = NULL;
    es_lock_t *reader = NULL;
    es_lock_req_t req = {.data = NULL};

    return es_lockfile_open(lock_path, 0, 0, &own) != 0 ||
           es_lock_try(own, ES_LOCK_SHARED, &range, &reader) != 0 ||
           es_lock_start(monitor, &req, own, ES_LOCK_EXCLUSIVE, NULL, S, lock_answer_keep) !=
               ES_EFORKED ||
           es_lock_start_convert(monitor, &req, reader, ES_LOCK_EXCLUSIVE, S, lock_answer_keep) !=
               ES_EFORKED ||
           es_lock_cancel(waiting) != ES_EFORKED ||
           es_lock_monitor_wait(monitor, S, NULL) != ES_EFORKED ||
           es_lock_dispatch(monitor) != ES_EFORKED || es_lock_kind(reader) != ES_LOCK_SHARED ||
           es_lock_release(reader) != 0;
}

static void a_forked_child_cannot_wait_by_its_parents_monitor(void **state) {
    static const uint32_t modes[] = {0, ES_LOCK_FAIR};

    (void)state;
    for (size_t index = 0; index < COUNT(modes); index++) {
        es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | modes[index]);
        es_lock_monitor_t *monitor = NULL;
        es_lock_t *lock = NULL;
        lock_answer_t answer = {.count = 0};
        pid_t child;

        assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
        assert_code(es_lock_monitor_open(&monitor), 0);
        lock_answer_begin(monitor, &answer, file, ES_LOCK_EXCLUSIVE);
        child = fork();
        if (child == 0) {
            _exit(wait_in_child(monitor, &answer.req));
        }
        assert_int_equal(exit_code(child), 0);
        lock_release(lock);
        lock_answer_granted(monitor, &answer);
        es_lock_monitor_close(monitor);
        es_lockfile_close(file);
    }
}

static void a_forked_child_can_neither_use_nor_release_a_lock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(0);
    es_lock_monitor_t *monitor = NULL;
    es_lock_t *lock = NULL;
    pid_t child;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, MS, NULL, &lock), ES_ETIMEDOUT);
    assert_code(es_lock_monitor_open(&monitor), 0);
    child = fork();
    if (child == 0) {
        _exit(check_in_child(file, lock, monitor));
    }
    assert_int_equal(exit_code(child), 0);
    assert_code(lock_probe(other, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(es_lock_release(lock), 0);
    assert_code(lock_probe(other, ES_LOCK_EXCLUSIVE), 0);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    es_lockfile_close(other);
}

/* A child that lives on has a copy of every descriptor; it is closed there at once, so the release
 * is complete and waiters hear of it. */
static void a_release_is_complete_although_a_forked_child_lives(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *other = lock_path_open(0);
    es_lock_t *lock = NULL;

    (void)state;
    for (int turn = 0; turn < FORK_COUNT / 20; turn++) {
        pid_t child;

        assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
        child = fork();
        if (child == 0) {
            (void)pause();
            _exit(0);
        }
        assert_code(es_lock_release(lock), 0);
        assert_code(lock_probe(other, ES_LOCK_EXCLUSIVE), 0);
        finish_off(child);
    }
    es_lockfile_close(file);
    es_lockfile_close(other);
}

static void a_killed_parent_leaves_no_lock_with_its_child(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;
    pid_t grandchild;
    int ends[2];
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        es_lockfile_t *own = lock_path_open(0);

        assert_code(es_lock_try(own, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
        grandchild = fork();
        if (grandchild != 0) {
            (void)!write(ends[1], &grandchild, sizeof(grandchild));
        }
        (void)pause();
        _exit(0);
    }
    assert_int_equal(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    finish_off(child);
    assert_code(es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, 10 * S, NULL, &lock), 0);
    assert_code(es_lock_release(lock), 0);
    (void)kill(grandchild, SIGKILL);
    (void)close(ends[0]);
    (void)close(ends[1]);
    es_lockfile_close(file);
}

/* ---- Death of a holder ---- */

static void wait_as_child(void) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    if (es_lockfile_open(lock_path, 0, 0, &file) != 0 ||
        es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, MS, NULL, &lock) != ES_ETIMEDOUT) {
        _exit(1);
    }
    atomic_fetch_add(&board->ready, 1);
    if (es_lock_acquire(file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, NULL, &lock) != 0) {
        _exit(1);
    }
    atomic_store(&board->got_ns, now_ns());
    atomic_fetch_add(&board->holders, 1);
    (void)pause();
    _exit(0);
}

static pid_t hold_in_child(void) {
    pid_t child = fork();

    if (child == 0) {
        es_lockfile_t *file = NULL;
        es_lock_t *lock = NULL;

        if (es_lockfile_open(lock_path, ES_LOCK_CREATE, 0600, &file) != 0 ||
            es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0) {
            _exit(1);
        }
        atomic_fetch_add(&board->ready, 1);
        (void)pause();
        _exit(0);
    }
    wait_until(&board->ready, 1);
    return child;
}

static void of_a_hundred_waiters_one_gets_what_a_killed_holder_had(void **state) {
    static pid_t waiters[WAITER_COUNT];
    const struct timespec pause = {0, 100000000};
    pid_t holder = hold_in_child();
    int64_t killed_ns;

    (void)state;
    for (int index = 0; index < WAITER_COUNT; index++) {
        waiters[index] = fork();
        if (waiters[index] == 0) {
            wait_as_child();
        }
    }
    wait_until(&board->ready, 1 + WAITER_COUNT);
    (void)nanosleep(&pause, NULL); /* so that most are asleep; whoever is not is served as well */
    killed_ns = now_ns();
    finish_off(holder);
    wait_until(&board->holders, 1);
    print_message("after %.2f ms\n",
                  (double)(atomic_load(&board->got_ns) - killed_ns) / (double)MS);
    (void)nanosleep(&pause, NULL);
    assert_int_equal(atomic_load(&board->holders), 1);
    for (int index = 0; index < WAITER_COUNT; index++) {
        finish_off(waiters[index]);
    }
}

/* ---- Other locks on the file ---- */

static void locks_of_ones_own_leave_foreign_ones_alone(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
    es_lock_t *lock = NULL;

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(fcntl(fd, F_SETLK, &all), 0);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_release(lock), 0);
    (void)close(fd);
    es_lockfile_close(file);
}

static void compatible_modes_meet_the_locks_they_are_named_after(void **state) {
    es_lockfile_t *plain = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_t *as_flock = lock_path_open(ES_LOCK_COMPAT_FLOCK);
    es_lockfile_t *as_byte = lock_path_open(ES_LOCK_COMPAT_BYTE0);
    es_lockfile_t *as_range = lock_path_open(ES_LOCK_NATIVE_RANGE);
    const es_range_t far = {50, 10};
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    es_lock_t *lock = NULL;

    (void)state;
    assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
    assert_code(lock_probe(as_flock, ES_LOCK_SHARED), 0);
    assert_code(lock_probe(as_flock, ES_LOCK_EXCLUSIVE), ES_EAGAIN);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_code(es_lock_try(as_flock, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), ES_ENOTSUP);
    assert_code(es_lock_release(lock), 0);
    assert_code(es_lock_try(as_flock, ES_LOCK_SHARED, &far, &lock), ES_ENOTSUP);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &first), 0);
    assert_code(lock_probe(as_byte, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(lock_probe(as_range, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(es_lock_try(as_range, ES_LOCK_EXCLUSIVE, &far, &lock), 0);
    assert_code(es_lock_release(lock), 0);
    assert_code(lock_probe(plain, ES_LOCK_EXCLUSIVE), 0);
    (void)close(fd);
    es_lockfile_close(plain);
    es_lockfile_close(as_flock);
    es_lockfile_close(as_byte);
    es_lockfile_close(as_range);
}

static void a_foreign_release_is_noticed(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | ES_LOCK_COMPAT_FLOCK);
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    es_lock_t *lock = NULL;
    pid_t child;

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    child = fork();
    if (child == 0) {
        es_lockfile_t *own = NULL;

        (void)close(fd); /* flock's lock is shared with us */
        _exit(es_lockfile_open(lock_path, ES_LOCK_COMPAT_FLOCK, 0, &own) != 0 ||
              es_lock_acquire(own, ES_LOCK_EXCLUSIVE, NULL, 20 * S, NULL, &lock) != 0);
    }
    (void)close(fd);
    assert_int_equal(exit_code(child), 0);
    es_lockfile_close(file);
}

/* ---- Limits and odd files ---- */

static void odd_files_are_refused(void **state) {
    char name[REAL_PATH_BYTES];
    es_lockfile_t *file = NULL;
    int fd;

    (void)state;
    real_name(name, "fifo");
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_code(es_lockfile_open(name, 0, 0, &file), ES_ENOTSUP);
    assert_code(es_lockfile_open(name, ES_LOCK_READONLY, 0, &file), ES_ENOTSUP);
    (void)unlink(name);
    assert_int_equal(symlink("lock", name), 0);
    file = lock_path_open(ES_LOCK_CREATE);
    es_lockfile_close(file);
    assert_code(es_lockfile_open(name, ES_LOCK_NOFOLLOW, 0, &file), ES_ELOOP);
    assert_code(es_lockfile_open(name, 0, 0, &file), 0);
    es_lockfile_close(file);
    fd = open(lock_path, O_RDONLY | O_CLOEXEC);
    assert_code(es_lockfile_wrap(fd, 0, &file), ES_EBADF);
    assert_code(es_lockfile_wrap(fd, ES_LOCK_READONLY, &file), 0);
    es_lockfile_close(file);
    (void)close(fd);
}

static void no_lock_takes_a_standard_stream(void **state) {
    int saved = dup(0);
    es_lockfile_t *file;
    es_lock_t *lock = NULL;

    (void)state;
    (void)close(0);
    file = lock_path_open(ES_LOCK_CREATE);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_code(es_lock_release(lock), 0);
    es_lockfile_close(file);
    assert_int_equal(dup2(saved, 0), 0);
    (void)close(saved);
}

static void a_lack_of_descriptors_is_told_and_loses_nothing(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    struct rlimit before;
    struct rlimit none;
    es_lock_t *lock = NULL;
    es_lock_t *second = NULL;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_SHARED, NULL, &lock), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_code(es_lock_try(file, ES_LOCK_SHARED, NULL, &second), ES_EMFILE);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_code(es_lock_release(lock), 0);
    es_lockfile_close(file);
}

static void a_detached_lock_lives_as_long_as_its_descriptor(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;
    intptr_t descriptor = -1;
    int copy;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_detach(lock, &descriptor), 0);
    assert_int_not_equal(fcntl((int)descriptor, F_GETFD) & FD_CLOEXEC, 0);
    copy = dup((int)descriptor);
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    assert_int_equal(close((int)descriptor), 0);
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    assert_int_equal(close(copy), 0);
    assert_code(lock_probe(file, ES_LOCK_EXCLUSIVE), 0);
    es_lockfile_close(file);
}

static void a_detached_lock_stays_with_a_forked_child(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;
    intptr_t descriptor = -1;
    pid_t child;

    (void)state;
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_detach(lock, &descriptor), 0);
    child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    assert_int_equal(close((int)descriptor), 0);
    assert_code(lock_probe(file, ES_LOCK_EXCLUSIVE), ES_EAGAIN);
    finish_off(child);
    assert_code(lock_probe(file, ES_LOCK_EXCLUSIVE), 0);
    es_lockfile_close(file);
}

static void what_cannot_be_detached_stays_as_it_was(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE);
    es_lock_t *lock = NULL;
    intptr_t descriptor = -1;

    (void)state;
    assert_code(es_lock_detach(NULL, &descriptor), ES_EINVAL);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(es_lock_detach(lock, &descriptor), ES_ENOTSUP);
    assert_int_equal(descriptor, -1);
    assert_code(es_lock_verify(lock), 0);
    assert_code(es_lock_release(lock), 0);
    assert_int_equal(access(lock_path, F_OK), -1);
    es_lockfile_close(file);
}

static void an_unlinked_file_stays_locked(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = NULL;

    (void)state;
    assert_int_equal(unlink(lock_path), 0);
    assert_code(es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock), 0);
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(es_lock_verify(lock), ES_ESTALE);
    assert_code(es_lock_release(lock), 0);
    es_lockfile_close(file);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(a_forked_child_can_neither_use_nor_release_a_lock),
        WITH_FOLDER(a_forked_child_cannot_wait_by_its_parents_monitor),
        WITH_FOLDER(a_release_is_complete_although_a_forked_child_lives),
        WITH_FOLDER(a_killed_parent_leaves_no_lock_with_its_child),
        WITH_FOLDER(of_a_hundred_waiters_one_gets_what_a_killed_holder_had),
        WITH_FOLDER(locks_of_ones_own_leave_foreign_ones_alone),
        WITH_FOLDER(compatible_modes_meet_the_locks_they_are_named_after),
        WITH_FOLDER(a_foreign_release_is_noticed),
        WITH_FOLDER(odd_files_are_refused),
        WITH_FOLDER(no_lock_takes_a_standard_stream),
        WITH_FOLDER(a_lack_of_descriptors_is_told_and_loses_nothing),
        WITH_FOLDER(a_detached_lock_lives_as_long_as_its_descriptor),
        WITH_FOLDER(a_detached_lock_stays_with_a_forked_child),
        WITH_FOLDER(what_cannot_be_detached_stays_as_it_was),
        WITH_FOLDER(an_unlinked_file_stays_locked),
    };

    return cmocka_run_group_tests_name("locks on Unix", tests, NULL, NULL);
}
