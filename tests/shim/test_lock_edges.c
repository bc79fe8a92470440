/* SPDX-License-Identifier: MIT */
/* The corners of locks on Linux. Verified: what a full event queue, a full disk, an odd deadline
 * and a cancel in any moment of an upgrade do to a lock (nothing worse than they say); no lock
 * outlives its release although other threads fork all the time; a mapping writes and a reader
 * reads what is locked; tmpfs, overlayfs and a read-only file system lock as any other. What makes
 * it hard: each of these leaves a lock that looks right, and is held by nobody or by two. */
#include "check.h"
#include "lock_path.h"
#include "real.h"
#include "sys.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

enum { THREAD_COUNT = 8, ROUND_COUNT = 2000, CALLS_MAX = 60, UNTRIED = 77 };

static int tear_down(void **state) {
    es__sys = es__sys_default;
    return lock_path_tear_down(state);
}

/* ---- The system's odd answers ---- */

/* The kernel drops events when its queue is full, and says so; the release is among the lost. */
static ssize_t read_overflow(int fd, void *base, size_t size) {
    struct inotify_event *event = base;
    ssize_t got = es__sys_default.read(fd, base, size);

    if (got >= (ssize_t)sizeof(*event) && event->wd > 0) {
        *event = (struct inotify_event){.wd = -1, .mask = IN_Q_OVERFLOW};
        return sizeof(*event);
    }
    return got;
}

static void lost_events_lose_no_wake_up(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_monitor_t *monitor = NULL;
    lock_answer_t answer = {.count = 0};

    (void)state;
    assert_code(es_lock_monitor_open(&monitor), 0);
    lock_answer_begin(monitor, &answer, file, ES_LOCK_EXCLUSIVE);
    assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
    es__sys.read = read_overflow;
    lock_release(lock);
    lock_answer_granted(monitor, &answer);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static ssize_t pwrite_full(int fd, const void *base, size_t size, off_t at) {
    if (at == 0) { /* some of it fits */
        return es__sys_default.pwrite(fd, base, size < 10 ? size : 10, at);
    }
    errno = ENOSPC;
    return -1;
}

static ssize_t pwrite_nothing(int fd, const void *base, size_t size, off_t at) {
    (void)fd;
    (void)base;
    (void)size;
    (void)at;
    return 0;
}

static void a_full_disk_costs_the_record_and_not_the_lock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_owner_t owner;

    (void)state;
    es__sys.pwrite = pwrite_full;
    assert_code(es_lock_owner_write(lock, NULL), ES_ENOSPC);
    assert_code(es_lock_owner_read(lock_path, &owner), ES_EPROTO); /* half a record is none */
    es__sys.pwrite = pwrite_nothing;
    assert_code(es_lock_owner_write(lock, NULL), ES_ENOSPC);
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    assert_code(es_lock_verify(lock), 0);
    es__sys.pwrite = es__sys_default.pwrite;
    assert_code(es_lock_owner_write(lock, NULL), 0);
    assert_code(es_lock_owner_read(lock_path, &owner), 0);
    lock_release(lock);
    es__sys.pwrite = pwrite_full;
    lock = NULL;
    assert_code(es_pidlock_acquire(lock_path, 0, NULL, &lock), ES_ENOSPC);
    assert_null(lock);
    assert_code(lock_probe(file, ES_LOCK_EXCLUSIVE), 0);
    es_lockfile_close(file);
}

/* What frees bytes without a close opens and closes a descriptor to say so. */
static int open_none(const char *path, int flags, ...) {
    (void)path;
    (void)flags;
    errno = EMFILE;
    return -1;
}

static void without_descriptors_a_downgrade_is_told_all_the_same(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_monitor_t *monitor = NULL;
    lock_answer_t answer = {.count = 0};

    (void)state;
    assert_code(es_lock_monitor_open(&monitor), 0);
    lock_answer_begin(monitor, &answer, file, ES_LOCK_SHARED);
    assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
    es__sys.open = open_none;
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    es__sys.open = es__sys_default.open;
    assert_code(es_lock_monitor_wait(monitor, 10 * S, NULL), 0);
    lock_answer_granted(monitor, &answer);
    lock_release(lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

/* ---- A request's storage ---- */

enum { REUSE_COUNT = 5 };

typedef struct reused {
    es_lock_req_t req;
    es_lock_monitor_t *monitor;
    es_lockfile_t *file;
    int count;
} reused_t;

/* In its callback the storage is the caller's again: it is spoilt, and used for the next request. */
static void start_again(es_lock_req_t *req, int status, es_lock_t *lock) {
    reused_t *reused = req->data;

    assert_code(status, 0);
    lock_release(lock);
    memset(req, 0xa5, sizeof(*req));
    if (++reused->count < REUSE_COUNT) {
        req->data = reused;
        assert_code(es_lock_start(reused->monitor, req, reused->file, ES_LOCK_EXCLUSIVE, NULL,
                                  ES_LOCK_FOREVER, start_again),
                    0);
    }
}

static void a_requests_storage_is_free_in_its_callback(void **state) {
    es_lock_t *lock;
    reused_t reused = {.count = 0};

    (void)state;
    reused.file = lock_path_open(ES_LOCK_CREATE);
    assert_code(es_lock_monitor_open(&reused.monitor), 0);
    lock = lock_take(reused.file, ES_LOCK_EXCLUSIVE);
    reused.req.data = &reused;
    assert_code(es_lock_start(reused.monitor, &reused.req, reused.file, ES_LOCK_EXCLUSIVE, NULL,
                              ES_LOCK_FOREVER, start_again),
                0);
    lock_release(lock);
    while (reused.count < REUSE_COUNT) {
        (void)es_lock_monitor_wait(reused.monitor, es_lock_monitor_timeout(reused.monitor), NULL);
        assert_true(es_lock_dispatch(reused.monitor) >= 0);
    }
    es_lock_monitor_close(reused.monitor);
    es_lockfile_close(reused.file);
}

/* ---- Time ---- */

static int clock_monotonic_alone(clockid_t clock, struct timespec *now) {
    assert_int_equal(clock, CLOCK_MONOTONIC);
    return es__sys_default.clock_gettime(clock, now);
}

static void deadlines_of_any_size_do_what_they_say(void **state) {
    static const int64_t shorts[] = {1, 1000, MS};
    static const int64_t longs[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, ES_LOCK_FOREVER,
                                    INT64_MIN};
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    es_lock_monitor_t *monitor = NULL;
    es_lock_t *none = NULL;

    (void)state;
    es__sys.clock_gettime = clock_monotonic_alone; /* a clock that is set moves no deadline */
    assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, 0, NULL, &none), ES_EAGAIN);
    for (size_t index = 0; index < COUNT(shorts); index++) {
        assert_code(es_lock_acquire(file, ES_LOCK_SHARED, NULL, shorts[index], NULL, &none),
                    ES_ETIMEDOUT);
    }
    assert_code(es_lock_monitor_open(&monitor), 0);
    for (size_t index = 0; index < COUNT(longs); index++) {
        lock_answer_t answer = {.count = 0};

        answer.req.data = &answer;
        assert_code(es_lock_start(monitor, &answer.req, file, ES_LOCK_SHARED, NULL, longs[index],
                                  lock_answer_keep),
                    0);
        assert_int_equal(es_lock_dispatch(monitor), 0);
        assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER ||
                    es_lock_monitor_timeout(monitor) > 3600 * S);
        assert_code(es_lock_cancel(&answer.req), 0);
        assert_int_equal(es_lock_dispatch(monitor), 1);
        assert_code(answer.status, ES_ECANCELED);
    }
    lock_release(lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
}

static int64_t clock_ns;

static int clock_by_hand(clockid_t clock, struct timespec *now) {
    (void)clock;
    *now = (struct timespec){.tv_sec = (time_t)(clock_ns / S), .tv_nsec = (long)(clock_ns % S)};
    return 0;
}

/* Turns of a loop, each when the monitor wants it, until it wants none; how long they took. With a
 * descriptor, flock's lock of that goes in silence after four seconds. */
static int64_t let_time_pass(es_lock_monitor_t *monitor, int fd) {
    int64_t begun_ns = clock_ns;
    int64_t pause_ns;

    assert_code(es_lock_monitor_wait(monitor, 10 * S, NULL), 0);
    assert_int_equal(es_lock_dispatch(monitor), 0);
    while ((pause_ns = es_lock_monitor_timeout(monitor)) > 0) {
        clock_ns += pause_ns;
        if (fd >= 0 && clock_ns - begun_ns > 4 * S) {
            assert_int_equal(flock(fd, LOCK_UN), 0);
        }
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
    return clock_ns - begun_ns;
}

/* A killed holder's descriptor is closed before its lock goes, and a busy machine may let another
 * thread run for seconds between the two. */
static void a_death_that_is_told_before_the_lock_is_gone_loses_no_wake_up(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE | ES_LOCK_COMPAT_FLOCK);
    int fd = open(lock_path, O_RDWR | O_CLOEXEC);
    es_lock_monitor_t *monitor = NULL;
    lock_answer_t answer = {.count = 0};

    (void)state;
    clock_ns = S;
    es__sys.clock_gettime = clock_by_hand;
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    lock_answer_begin(monitor, &answer, file, ES_LOCK_EXCLUSIVE);
    assert_int_equal(close(open(lock_path, O_RDONLY | O_CLOEXEC)), 0);
    assert_true(let_time_pass(monitor, -1) < 10 * S); /* it does not ask for ever */
    assert_int_equal(answer.count, 0);
    assert_int_equal(close(open(lock_path, O_RDONLY | O_CLOEXEC)), 0);
    (void)let_time_pass(monitor, fd);
    assert_int_equal(answer.count, 1);
    assert_code(answer.status, 0);
    lock_release(answer.lock);
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    assert_int_equal(close(fd), 0);
}

/* ---- A cancel in any moment of an upgrade ---- */

static es_cancel_t *cancel;
static int calls_left;

static int fcntl_and_cancel(int fd, int command, ...) {
    va_list list;
    void *argument;

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    if (calls_left-- == 0) {
        es_cancel_set(cancel);
    }
    return es__sys_default.fcntl(fd, command, argument);
}

static void a_cancel_in_any_moment_of_an_upgrade_keeps_the_shared_lock(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *reader = lock_take(file, ES_LOCK_SHARED);
    es_lock_t *lock = lock_take(file, ES_LOCK_SHARED);
    int has_run_out = 0;
    int cancelled_count = 0; /* but for those of the retreat after the deadline */

    (void)state;
    for (int at = 0; !has_run_out && at < CALLS_MAX; at++) {
        int code;

        calls_left = at;
        assert_code(es_cancel_open(&cancel), 0);
        es__sys.fcntl = fcntl_and_cancel;
        /* The reader never goes: without the cancel the deadline ends it. */
        code = es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 20 * MS, cancel);
        assert_true(code == ES_ETIMEDOUT || (code == ES_ECANCELED && calls_left < 0));
        cancelled_count += code == ES_ECANCELED;
        has_run_out = calls_left >= 0;
        es__sys.fcntl = es__sys_default.fcntl;
        es_cancel_close(cancel);
        assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
        assert_code(lock_probe(file, ES_LOCK_SHARED), 0); /* the gate is open again */
        assert_code(lock_probe(file, ES_LOCK_EXCLUSIVE), ES_EAGAIN);
    }
    assert_true(has_run_out);
    assert_true(cancelled_count >= 3); /* RESERVED, GATE, DATA */
    lock_release(reader);
    assert_code(es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL), 0);
    lock_release(lock);
    es_lockfile_close(file);
}

/* ---- Threads that fork ---- */

static atomic_int failure_count;
static atomic_int working_count;

/* Each has a file of its own, so that a try after the release can only fail for a forked copy. */
static void *take_and_release(void *argument) {
    const char *name = argument;
    es_lockfile_t *file = NULL;
    es_lockfile_t *other = NULL;
    es_lock_t *lock = NULL;

    if (es_lockfile_open(name, ES_LOCK_CREATE, 0600, &file) != 0 ||
        es_lockfile_open(name, 0, 0, &other) != 0) {
        atomic_fetch_add(&failure_count, 1);
        return NULL;
    }
    for (int round = 0; round < ROUND_COUNT; round++) {
        if (es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0 || es_lock_release(lock) != 0 ||
            es_lock_try(other, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0 || es_lock_release(lock) != 0) {
            atomic_fetch_add(&failure_count, 1);
            break;
        }
    }
    es_lockfile_close(file);
    es_lockfile_close(other);
    atomic_fetch_sub(&working_count, 1);
    return NULL;
}

static void no_lock_outlives_its_release_in_a_forked_child(void **state) {
    static char names[THREAD_COUNT][REAL_PATH_BYTES];
    pthread_t threads[THREAD_COUNT];
    pid_t children[THREAD_COUNT] = {0};
    int forks = 0;

    (void)state;
    atomic_store(&working_count, THREAD_COUNT);
    for (int index = 0; index < THREAD_COUNT; index++) {
        char number[16];

        (void)snprintf(number, sizeof(number), "lock%d", index);
        real_name(names[index], number);
        assert_int_equal(pthread_create(&threads[index], NULL, take_and_release, names[index]), 0);
    }
    /* Some of the children live on for a while, with whatever they have inherited. */
    while (atomic_load(&working_count) > 0 && atomic_load(&failure_count) == 0) {
        pid_t *child = &children[forks++ % THREAD_COUNT];

        if (*child != 0) {
            assert_int_equal(kill(*child, SIGKILL), 0);
            assert_int_equal(waitpid(*child, NULL, 0), *child);
        }
        *child = fork();
        if (*child == 0) {
            (void)pause();
            _exit(0);
        }
        assert_true(*child > 0);
    }
    for (int index = 0; index < THREAD_COUNT; index++) {
        assert_int_equal(pthread_join(threads[index], NULL), 0);
        if (children[index] != 0) {
            (void)kill(children[index], SIGKILL);
            (void)waitpid(children[index], NULL, 0);
        }
    }
    assert_int_equal(atomic_load(&failure_count), 0);
    assert_true(forks > THREAD_COUNT);
}

/* ---- Data ---- */

static void what_is_locked_can_be_read_written_and_mapped(void **state) {
    es_lockfile_t *file = lock_path_open(ES_LOCK_CREATE);
    es_lock_t *lock = lock_take(file, ES_LOCK_EXCLUSIVE);
    char text[16];
    char *mapped;
    int fd;

    (void)state;
    real_write(lock_path, "written");
    fd = open(lock_path, O_RDWR | O_CLOEXEC);
    mapped = mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(mapped != MAP_FAILED);
    memcpy(mapped, "mapped!", 7);
    assert_int_equal(munmap(mapped, 7), 0);
    assert_int_equal(close(fd), 0);
    real_read(lock_path, text, sizeof(text));
    assert_string_equal(text, "mapped!");
    assert_code(es_lock_verify(lock), 0);
    assert_code(lock_probe(file, ES_LOCK_SHARED), ES_EAGAIN);
    lock_release(lock);
    es_lockfile_close(file);
}

/* ---- File systems ---- */

/* One waits, one releases: told, without asking from time to time. In a child, for `check`. */
static int hand_over(const char *name) {
    es_lockfile_t *file = NULL;
    es_lockfile_t *other = NULL;
    es_lock_monitor_t *monitor = NULL;
    es_lock_t *lock = NULL;
    lock_answer_t answer = {.count = 0};
    uint32_t caps = 0;

    answer.req.data = &answer;
    if (es_lockfile_open(name, ES_LOCK_CREATE, 0600, &file) != 0 ||
        es_lockfile_open(name, 0, 0, &other) != 0 || es_lockfile_caps(file, &caps) != 0 ||
        caps != (ES_LOCK_CAN_LOCK | ES_LOCK_CAN_FLOCK | ES_LOCK_CAN_NOTIFY) ||
        es_lock_monitor_open(&monitor) != 0 ||
        es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0 ||
        es_lock_start(monitor, &answer.req, other, ES_LOCK_EXCLUSIVE, NULL, 10 * S,
                      lock_answer_keep) != 0 ||
        es_lock_release(lock) != 0 || es_lock_monitor_wait(monitor, 10 * S, NULL) != 0 ||
        es_lock_dispatch(monitor) != 1 || answer.status != 0) {
        return 1;
    }
    if (es_lock_release(answer.lock) != 0) {
        return 1;
    }
    es_lock_monitor_close(monitor);
    es_lockfile_close(other);
    es_lockfile_close(file);
    return 0;
}

static int lock_on_tmpfs(const char *folder) {
    char name[2 * REAL_PATH_BYTES];

    if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0) {
        return UNTRIED;
    }
    (void)snprintf(name, sizeof(name), "%s/lock", folder);
    return hand_over(name);
}

/* A reader that opened the file before a writer has had it copied up excludes that writer. */
static int lock_across_a_copy_up(const char *name) {
    es_lockfile_t *early = NULL;
    es_lockfile_t *late = NULL;
    es_lock_t *lock = NULL;
    es_lock_t *other = NULL;

    if (es_lockfile_open(name, ES_LOCK_READONLY, 0, &early) != 0 ||
        es_lock_try(early, ES_LOCK_SHARED, NULL, &lock) != 0 ||
        es_lockfile_open(name, 0, 0, &late) != 0) {
        return 2;
    }
    if (es_lock_try(late, ES_LOCK_EXCLUSIVE, NULL, &other) != ES_EAGAIN ||
        es_lock_release(lock) != 0 || es_lock_try(late, ES_LOCK_EXCLUSIVE, NULL, &other) != 0 ||
        es_lock_try(early, ES_LOCK_SHARED, NULL, &lock) != ES_EAGAIN ||
        es_lock_release(other) != 0) {
        return 3;
    }
    es_lockfile_close(early);
    es_lockfile_close(late);
    return 0;
}

static int lock_on_overlayfs(const char *folder) {
    char name[2 * REAL_PATH_BYTES];
    char options[8 * REAL_PATH_BYTES];
    static const char *const parts[] = {"lower", "upper", "work", "merged"};

    if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0) {
        return UNTRIED;
    }
    for (size_t index = 0; index < COUNT(parts); index++) {
        (void)snprintf(name, sizeof(name), "%s/%s", folder, parts[index]);
        if (mkdir(name, 0700) < 0) {
            return 1;
        }
    }
    (void)snprintf(name, sizeof(name), "%s/lower/lock", folder);
    (void)close(open(name, O_CREAT | O_RDWR, 0600));
    (void)snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
                   folder, folder, folder);
    (void)snprintf(name, sizeof(name), "%s/merged", folder);
    if (mount("overlay", name, "overlay", 0, options) < 0) {
        return UNTRIED;
    }
    (void)snprintf(name, sizeof(name), "%s/merged/lock", folder);
    return lock_across_a_copy_up(name) != 0 ? 2 : hand_over(name);
}

static int lock_on_a_read_only_system(const char *folder) {
    char name[2 * REAL_PATH_BYTES];
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0) {
        return UNTRIED;
    }
    (void)snprintf(name, sizeof(name), "%s/lock", folder);
    (void)close(open(name, O_CREAT | O_RDWR, 0600));
    if (mount("tmpfs", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k") < 0 ||
        es_lockfile_open(name, 0, 0, &file) != ES_EROFS ||
        es_lockfile_open(name, ES_LOCK_CREATE, 0600, &file) != ES_EROFS ||
        es_lockfile_open(name, ES_LOCK_READONLY, 0, &file) != 0 ||
        es_lock_try(file, ES_LOCK_SHARED, NULL, &lock) != 0 || es_lock_release(lock) != 0 ||
        es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != ES_EBADF) {
        return 1;
    }
    es_lockfile_close(file);
    return 0;
}

static int fill_the_disk(const char *folder) {
    char name[2 * REAL_PATH_BYTES];
    char filler[2 * REAL_PATH_BYTES];
    static const char bytes[4096];
    es_lock_t *lock = NULL;
    int fd;

    if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0) {
        return UNTRIED;
    }
    (void)snprintf(name, sizeof(name), "%s/lock", folder);
    (void)snprintf(filler, sizeof(filler), "%s/filler", folder);
    fd = open(filler, O_CREAT | O_WRONLY, 0600);
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
    (void)close(fd);
    return es_pidlock_acquire(name, 0, NULL, &lock) == ES_ENOSPC && unlink(filler) == 0 &&
                   es_pidlock_acquire(name, 0, NULL, &lock) == 0 && es_lock_release(lock) == 0
               ? 0
               : 1;
}

/* With mounts that nobody else sees. A machine that forbids mounts is left at that. */
static void check_mounted(int (*check)(const char *folder)) {
    char folder[REAL_PATH_BYTES];
    int status = -1;
    pid_t child;

    real_name(folder, "");
    child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
            _exit(UNTRIED);
        }
        _exit(check(folder));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == UNTRIED) {
        print_message("no mounts here: see `shim-no-mounts` in tests/platforms.md\n");
    } else {
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void other_file_systems_lock_alike(void **state) {
    (void)state;
    check_mounted(lock_on_tmpfs);
    check_mounted(lock_on_overlayfs);
    check_mounted(lock_on_a_read_only_system);
    check_mounted(fill_the_disk);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, lock_path_set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(lost_events_lose_no_wake_up),
        WITH_FOLDER(without_descriptors_a_downgrade_is_told_all_the_same),
        WITH_FOLDER(a_full_disk_costs_the_record_and_not_the_lock),
        WITH_FOLDER(a_requests_storage_is_free_in_its_callback),
        WITH_FOLDER(a_death_that_is_told_before_the_lock_is_gone_loses_no_wake_up),
        WITH_FOLDER(deadlines_of_any_size_do_what_they_say),
        WITH_FOLDER(a_cancel_in_any_moment_of_an_upgrade_keeps_the_shared_lock),
        WITH_FOLDER(no_lock_outlives_its_release_in_a_forked_child),
        WITH_FOLDER(what_is_locked_can_be_read_written_and_mapped),
        WITH_FOLDER(other_file_systems_lock_alike),
    };

    return cmocka_run_group_tests_name("corners of locks", tests, NULL, NULL);
}
