/* SPDX-License-Identifier: MIT */
/* Facts about locks among processes, and about what is locked: names, descriptors, file systems.
 * For other processes this program starts itself (lock_child). */
#include "lock_process_facts.h"

#include "../real_process.h"
#include "fact.h"
#include "lock_setting.h"

#include <evenshim/evenshim.h>

#include <string.h>

#define MS ((int64_t)1000000)

static const char *program;

static const char *yes_or_no(int holds) {
    return holds ? "yes" : "no";
}

/* Processes ------------------------------------------------------------------------------------ */

enum { CHILD_LIFE_US = 60 * 1000 * 1000, CHILD_WAIT_MS = 30000 };

/* A child writes its record when it has what it was started for, then waits for its end. */
int lock_child(int argc, char **argv) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;

    if (argc < 3 || strcmp(argv[1], "lock-child") != 0) {
        program = argv[0];
        return -1;
    }
    if (es_lockfile_open(argv[2], ES_LOCK_CREATE, 0600, &file) != 0 ||
        es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0 ||
        es_lock_owner_write(lock, NULL) != 0) {
        return 3;
    }
    real_pause_us(CHILD_LIFE_US);
    return 0;
}

/* Starts a child that locks `path`, and waits until it has. */
static real_process_t start_child(const char *path) {
    const char *arguments[] = {program, "lock-child", path, NULL};
    real_process_t child = real_spawn(arguments);
    es_lock_owner_t owner;

    for (int turn = 0; turn < CHILD_WAIT_MS; turn++) {
        if (es_lock_owner_read(path, &owner) == 0) {
            assert_true(owner.pid == child.pid);
            return child;
        }
        assert_int_equal(real_wait_end(&child, 0), REAL_RUNS);
        real_pause_us(1000);
    }
    fail_msg("the child took no lock");
    return child;
}

static void end_child(real_process_t *child) {
    real_kill(child);
    assert_int_equal(real_wait_end(child, CHILD_WAIT_MS), REAL_KILLED);
}

static void look_at_killed_holder(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_owner_t owner;
    real_process_t child;
    lock_answer_t answer;

    child = start_child(setting.path);
    see_code(fact, "held by another process", probe(setting.b, ES_LOCK_SHARED));
    start(&setting, &answer, setting.a, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_true(es_lock_dispatch(setting.monitor) == 0);
    end_child(&child);
    drive(&setting, &answer);
    see_code(fact, "a waiter after its death", answer.status);
    assert_code(es_lock_owner_read(setting.path, &owner), 0);
    see(fact, "the owner in the record lives: %d", es_lock_owner_is_alive(&owner));
    release(answer.lock);
    tear_down(&setting);
}

static void look_at_spawned_child(fact_t *fact) {
    char path[REAL_PATH_BYTES];
    setting_t setting = set_up();
    real_process_t child;
    es_lock_t *lock;

    real_name(path, "child");
    lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    child = start_child(path);
    release(lock);
    see_code(fact, "released by the parent", probe(setting.b, ES_LOCK_EXCLUSIVE));
    lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    end_child(&child);
    see_code(fact, "held by the parent when the child has ended", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    tear_down(&setting);
}

/* What is locked ------------------------------------------------------------------------------- */

static void look_at_name(fact_t *fact) {
    char path[REAL_PATH_BYTES];
    setting_t setting = set_up();
    es_lockfile_t *file = NULL;
    es_lock_t *lock;

    real_name(path, "Schlo\xc3\x9f \xe9\x94\x81");
    see_code(fact, "open",
             es_lockfile_open(path, ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE, 0600, &file));
    lock = take(file, ES_LOCK_EXCLUSIVE);
    see_code(fact, "by the same name", probe_open(path, 0));
    release(lock);
    es_lockfile_close(file);
    see_code(fact, "after its removal", probe_open(path, 0));
    tear_down(&setting);
}

static void look_at_caps(fact_t *fact) {
    setting_t setting = set_up();
    uint32_t caps = 0;
    uint32_t probed = 0;

    see_code(fact, "of a file", es_lockfile_caps(setting.a, &caps));
    see_code(fact, "of its path", es_lock_probe_fs(setting.path, &probed));
    see(fact, "the same: %s", yes_or_no(caps == probed));
    see(fact, "locks: %s", yes_or_no((caps & ES_LOCK_CAN_LOCK) != 0));
    see(fact, "on another machine: %s", yes_or_no((caps & ES_LOCK_IS_NETWORK) != 0));
    tear_down(&setting);
}

static void look_at_wrapped_descriptor(fact_t *fact) {
    setting_t setting = set_up();
    intptr_t descriptor = real_descriptor_open(setting.path);
    es_lockfile_t *file = NULL;
    es_lock_t *lock;

    see_code(fact, "wrap", es_lockfile_wrap(descriptor, 0, &file));
    lock = take(file, ES_LOCK_EXCLUSIVE);
    real_descriptor_close(descriptor);
    see_code(fact, "after the caller closed it", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    es_lockfile_close(file);
    see_code(fact, "no descriptor", es_lockfile_wrap(-1, 0, &file));
    tear_down(&setting);
}

static void look_at_open_end(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take_range(setting.a, ES_LOCK_EXCLUSIVE, 100, 0);

    see_code(fact, "before it", probe_range(setting.b, ES_LOCK_SHARED, 0, 100));
    see_code(fact, "far behind", probe_range(setting.b, ES_LOCK_SHARED, 1u << 30, 1));
    see_code(fact, "the last byte",
             probe_range(setting.b, ES_LOCK_SHARED, ES_LOCK_RANGE_MAX - 1, 1));
    release(lock);
    tear_down(&setting);
}

static void look_at_range_upgrade(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take_range(setting.a, ES_LOCK_SHARED, 100, 50);
    es_lock_t *reader = take_range(setting.b, ES_LOCK_SHARED, 120, 1);

    see_code(fact, "beside a reader of a part", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    release(reader);
    see_code(fact, "alone", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    see_code(fact, "the part", probe_range(setting.b, ES_LOCK_SHARED, 120, 1));
    see_code(fact, "downgrade", es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL));
    see_code(fact, "the part again", probe_range(setting.b, ES_LOCK_SHARED, 120, 1));
    release(lock);
    tear_down(&setting);
}

static void look_at_timeout(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;
    double started = clock_seconds();

    see_code(fact, "50 ms",
             es_lock_acquire(setting.b, ES_LOCK_EXCLUSIVE, NULL, 50 * MS, NULL, &second));
    see(fact, "ended early: %s", yes_or_no(clock_seconds() - started < 0.0499));
    release(lock);
    see_code(fact, "the longest time, when it is free",
             es_lock_acquire(setting.b, ES_LOCK_EXCLUSIVE, NULL, INT64_MAX, NULL, &second));
    release(second);
    tear_down(&setting);
}

static void look_at_closed_monitor(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_monitor_t *monitor = setting.monitor;
    es_lock_t *lock = take(setting.b, ES_LOCK_SHARED);
    lock_answer_t answers[2];

    assert_code(es_lock_monitor_open(&setting.monitor), 0);
    start(&setting, &answers[0], setting.a, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    start(&setting, &answers[1], setting.a, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    es_lock_monitor_close(setting.monitor);
    setting.monitor = monitor;
    see(fact, "callbacks: %d", answers[0].count + answers[1].count);
    release(lock);
    see_code(fact, "then a try", probe(setting.b, ES_LOCK_EXCLUSIVE));
    tear_down(&setting);
}

fact_t lock_process_facts[] = {
    {.name = "lock.killed_holder_frees_its_lock",
     .tier = "portable",
     .statement = "The system frees the locks of a process that dies, and waiters hear of it.",
     .source = "SIGKILL, TerminateProcess",
     .look = look_at_killed_holder,
     .expected = {"held by another process: EAGAIN", "a waiter after its death: OK",
                  "the owner in the record lives: 0"}},
    {.name = "lock.child_inherits_no_lock",
     .tier = "portable",
     .statement = "A program started meanwhile neither keeps nor ends its parent's lock.",
     .source = "execve(2): flock(2) would be kept",
     .look = look_at_spawned_child,
     .expected = {"released by the parent: OK",
                  "held by the parent when the child has ended: EAGAIN"}},
    {.name = "lock.paths_are_utf_8",
     .tier = "portable",
     .statement = "A path means the same file on every system.",
     .source = "es_lockfile_open",
     .look = look_at_name,
     .expected = {"open: OK", "by the same name: OK", "after its removal: ENOENT"}},
    {.name = "lock.file_says_what_its_locks_can",
     .tier = "portable",
     .statement = "The capabilities of a local file.",
     .source = "es_lockfile_caps",
     .look = look_at_caps,
     .expected = {"of a file: OK", "of its path: OK", "the same: yes", "locks: yes",
                  "on another machine: no"}},
    {.name = "lock.wrapped_descriptor_stays_the_callers",
     .tier = "portable",
     .statement = "A descriptor may be closed at once when its file was wrapped.",
     .source = "es_lockfile_wrap",
     .look = look_at_wrapped_descriptor,
     .expected = {"wrap: OK", "after the caller closed it: EAGAIN", "no descriptor: EBADF"}},
    {.name = "lock.size_0_reaches_to_the_end",
     .tier = "portable",
     .statement = "A range of size 0 has no end.",
     .source = "fcntl(2)",
     .look = look_at_open_end,
     .expected = {"before it: OK", "far behind: EAGAIN", "the last byte: EAGAIN"}},
    {.name = "lock.ranges_convert_like_files",
     .tier = "portable",
     .statement = "A range is upgraded and downgraded in place.",
     .source = "es_lock_convert",
     .look = look_at_range_upgrade,
     .expected = {"beside a reader of a part: EAGAIN", "alone: OK", "the part: EAGAIN",
                  "downgrade: OK", "the part again: OK"}},
    {.name = "lock.timeout_is_not_early",
     .tier = "portable",
     .statement = "A wait lasts as long as was asked for.",
     .source = "es_lock_acquire",
     .look = look_at_timeout,
     .expected = {"50 ms: ETIMEDOUT", "ended early: no", "the longest time, when it is free: OK"}},
    {.name = "lock.closed_monitor_drops_its_requests",
     .tier = "portable",
     .statement = "No callback, and nothing stays locked.",
     .source = "es_lock_monitor_close",
     .look = look_at_closed_monitor,
     .expected = {"callbacks: 0", "then a try: OK"}},
    {.name = NULL},
};
