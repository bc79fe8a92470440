/* SPDX-License-Identifier: MIT */
/* Facts about file locks: one meaning on every system, on files of a folder of one's own. */
#include "../real.h"
#include "fact.h"
#include "lock_setting.h"

#include <string.h>

#define MS ((int64_t)1000000)

/* ---- Looks ---- */

static void look_at_exclusive_excludes_all(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    see_code(fact, "shared", probe(setting.b, ES_LOCK_SHARED));
    see_code(fact, "exclusive", probe(setting.b, ES_LOCK_EXCLUSIVE));
    release(lock);
    see_code(fact, "after the release", probe(setting.b, ES_LOCK_EXCLUSIVE));
    tear_down(&setting);
}

static void look_at_shared_admits_shared(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);

    see_code(fact, "shared", probe(setting.b, ES_LOCK_SHARED));
    see_code(fact, "exclusive", probe(setting.b, ES_LOCK_EXCLUSIVE));
    release(lock);
    tear_down(&setting);
}

static void look_at_owner_is_the_object(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    see_code(fact, "the same file again", probe(setting.a, ES_LOCK_SHARED));
    release(lock);
    tear_down(&setting);
}

static void look_at_foreign_close_drops_nothing(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    real_read_and_close(setting.path);
    see_code(fact, "after a foreign close", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    tear_down(&setting);
}

static void look_at_outlives_its_file_object(fact_t *fact) {
    setting_t setting = set_up();
    es_lockfile_t *own = open_file(&setting, 0);
    es_lock_t *lock = take(own, ES_LOCK_EXCLUSIVE);

    es_lockfile_close(own);
    see_code(fact, "after the close", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    see_code(fact, "after the release", probe(setting.b, ES_LOCK_SHARED));
    tear_down(&setting);
}

static void look_at_leaves_data_alone(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    char text[16] = "";

    real_write(setting.path, "written");
    real_read(setting.path, text, sizeof(text));
    see(fact, "read: %s", text);
    release(lock);
    tear_down(&setting);
}

static void look_at_file_stays_empty(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    char text[16] = "";

    real_read(setting.path, text, sizeof(text));
    see(fact, "bytes: %u", (unsigned)strlen(text));
    release(lock);
    tear_down(&setting);
}

static void look_at_survives_truncation(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    real_write(setting.path, "longer than before");
    see_code(fact, "grown", probe(setting.b, ES_LOCK_SHARED));
    real_write(setting.path, "");
    see_code(fact, "cut", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    see_code(fact, "released", probe(setting.b, ES_LOCK_SHARED));
    tear_down(&setting);
}

static void look_at_ranges_exclude_where_they_overlap(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take_range(setting.a, ES_LOCK_EXCLUSIVE, 10, 10);

    see_code(fact, "before it", probe_range(setting.b, ES_LOCK_EXCLUSIVE, 0, 10));
    see_code(fact, "its first byte", probe_range(setting.b, ES_LOCK_SHARED, 9, 2));
    see_code(fact, "its last byte", probe_range(setting.b, ES_LOCK_SHARED, 19, 5));
    see_code(fact, "after it", probe_range(setting.b, ES_LOCK_EXCLUSIVE, 20, 0));
    see_code(fact, "to the end", probe_range(setting.b, ES_LOCK_SHARED, 5, 0));
    release(lock);
    tear_down(&setting);
}

static void look_at_ranges_and_whole_file_are_apart(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    see_code(fact, "a range beside the whole", probe_range(setting.b, ES_LOCK_EXCLUSIVE, 1, 1));
    release(lock);
    tear_down(&setting);
}

static void look_at_range_overflow_is_EINVAL(fact_t *fact) {
    setting_t setting = set_up();

    see_code(fact, "the sum", probe_range(setting.a, ES_LOCK_SHARED, 1, ES_LOCK_RANGE_MAX));
    see_code(fact, "an overflow", probe_range(setting.a, ES_LOCK_SHARED, UINT64_MAX, 2));
    see_code(fact, "all of it", probe_range(setting.a, ES_LOCK_EXCLUSIVE, 0, ES_LOCK_RANGE_MAX));
    tear_down(&setting);
}

static void look_at_upgrade_of_a_lone_reader(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);

    see_code(fact, "upgrade", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    see_code(fact, "another reader", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    see_code(fact, "released at once", probe(setting.b, ES_LOCK_EXCLUSIVE));
    tear_down(&setting);
}

static void look_at_refused_upgrade_keeps_the_shared_lock(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);
    es_lock_t *other = take(setting.b, ES_LOCK_SHARED);

    see_code(fact, "upgrade", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    release(other);
    see_code(fact, "a writer", probe(setting.b, ES_LOCK_EXCLUSIVE));
    see_code(fact, "a reader", probe(setting.b, ES_LOCK_SHARED));
    release(lock);
    tear_down(&setting);
}

static void look_at_downgrade_admits_readers(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);

    see_code(fact, "downgrade", es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL));
    see_code(fact, "a reader", probe(setting.b, ES_LOCK_SHARED));
    see_code(fact, "a writer", probe(setting.b, ES_LOCK_EXCLUSIVE));
    release(lock);
    see_code(fact, "released at once", probe(setting.b, ES_LOCK_EXCLUSIVE));
    tear_down(&setting);
}

static void look_at_converting_to_the_same_kind_is_nothing(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);

    see_code(fact, "shared", es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL));
    see_code(fact, "exclusive", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    see_code(fact, "and again", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    release(lock);
    tear_down(&setting);
}

static void look_at_second_upgrade_is_EDEADLK(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);
    es_lock_t *other = take(setting.b, ES_LOCK_SHARED);
    lock_answer_t answer;

    start_upgrade(&setting, &answer, lock);

    see_code(fact, "the second", es_lock_convert(other, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL));
    see(fact, "it still has: %s", kind_name(es_lock_kind(other)));
    release(other);
    drive(&setting, &answer);
    see_code(fact, "the first, when the other has gone", answer.status);
    release(lock);
    tear_down(&setting);
}

static void look_at_upgrade_behind_a_writer_is_EDEADLK(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);
    lock_answer_t answer;

    start(&setting, &answer, setting.b, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);

    see_code(fact, "upgrade", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER, NULL));
    release(lock);
    drive(&setting, &answer);
    see_code(fact, "the writer, when the reader has gone", answer.status);
    release(answer.lock);
    tear_down(&setting);
}

static void look_at_self_deadlock_ends_at_the_deadline(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;

    see_code(fact, "in no time",
             es_lock_acquire(setting.a, ES_LOCK_SHARED, NULL, 0, NULL, &second));
    see_code(fact, "in a while",
             es_lock_acquire(setting.a, ES_LOCK_SHARED, NULL, MS, NULL, &second));
    release(lock);
    tear_down(&setting);
}

static void look_at_set_cancel_ends_a_wait(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    es_lock_t *second = NULL;
    es_cancel_t *cancel = NULL;

    assert_code(es_cancel_open(&cancel), 0);
    es_cancel_set(cancel);
    see_code(fact, "busy",
             es_lock_acquire(setting.b, ES_LOCK_SHARED, NULL, ES_LOCK_FOREVER, cancel, &second));
    release(lock);
    see_code(fact, "free",
             es_lock_acquire(setting.b, ES_LOCK_SHARED, NULL, ES_LOCK_FOREVER, cancel, &second));
    release(second);
    es_cancel_close(cancel);
    tear_down(&setting);
}

static void look_at_request_waits_without_a_thread(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    start(&setting, &answer, setting.b, ES_LOCK_SHARED, ES_LOCK_FOREVER);

    see(fact, "answers before: %d", es_lock_dispatch(setting.monitor) + answer.count);
    release(lock);
    drive(&setting, &answer);
    see_code(fact, "answer", answer.status);
    see(fact, "kind: %s", kind_name(es_lock_kind(answer.lock)));
    release(answer.lock);
    tear_down(&setting);
}

static void look_at_no_callback_from_the_start(fact_t *fact) {
    setting_t setting = set_up();
    lock_answer_t answer;

    start(&setting, &answer, setting.a, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);

    see(fact, "answers of the start: %d", answer.count);
    see(fact, "due at once: %s", es_lock_monitor_timeout(setting.monitor) == 0 ? "yes" : "no");
    see(fact, "answers of the dispatch: %d", es_lock_dispatch(setting.monitor));
    release(answer.lock);
    tear_down(&setting);
}

static void look_at_requests_are_served_in_order(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    lock_answer_t first;
    lock_answer_t second;

    start(&setting, &first, setting.b, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    start(&setting, &second, setting.b, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);

    release(lock);
    drive(&setting, &first);
    see(fact, "the second meanwhile: %d", second.count);
    release(first.lock);
    drive(&setting, &second);
    see_code(fact, "then the second", second.status);
    release(second.lock);
    tear_down(&setting);
}

static void look_at_cancelled_request_answers_once(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    start(&setting, &answer, setting.b, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);

    see_code(fact, "cancel", es_lock_cancel(&answer.req));
    see_code(fact, "and again", es_lock_cancel(&answer.req));
    drive(&setting, &answer);
    see_code(fact, "answer", answer.status);
    see(fact, "answers: %d", answer.count + es_lock_dispatch(setting.monitor));
    release(lock);
    see_code(fact, "the file", probe(setting.a, ES_LOCK_EXCLUSIVE));
    tear_down(&setting);
}

static void look_at_deadline_ends_a_request(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    lock_answer_t none;
    lock_answer_t some;

    start(&setting, &none, setting.b, ES_LOCK_SHARED, 0);
    start(&setting, &some, setting.b, ES_LOCK_SHARED, MS);

    drive(&setting, &none);
    see_code(fact, "no time", none.status);
    drive(&setting, &some);
    see_code(fact, "some", some.status);
    release(lock);
    tear_down(&setting);
}

static void look_at_waiting_writer_stops_new_readers(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);
    lock_answer_t answer;

    start(&setting, &answer, setting.b, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);

    see_code(fact, "a new reader", probe(setting.a, ES_LOCK_SHARED));
    release(lock);
    drive(&setting, &answer);
    see_code(fact, "the writer", answer.status);
    release(answer.lock);
    see_code(fact, "a reader after it", probe(setting.a, ES_LOCK_SHARED));
    tear_down(&setting);
}

static void look_at_downgrade_wakes_waiting_readers(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    lock_answer_t answer;

    start(&setting, &answer, setting.b, ES_LOCK_SHARED, ES_LOCK_FOREVER);

    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    drive(&setting, &answer);
    see_code(fact, "the reader", answer.status);
    release(answer.lock);
    release(lock);
    tear_down(&setting);
}

static void look_at_read_only_file_gives_shared_locks(fact_t *fact) {
    setting_t setting = set_up();
    es_lockfile_t *reader = open_file(&setting, ES_LOCK_READONLY);
    es_lock_t *lock = take(reader, ES_LOCK_SHARED);

    see_code(fact, "exclusive", probe(reader, ES_LOCK_EXCLUSIVE));
    see_code(fact, "upgrade", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    see_code(fact, "a writer beside it", probe(setting.b, ES_LOCK_EXCLUSIVE));
    release(lock);
    es_lockfile_close(reader);
    tear_down(&setting);
}

static void look_at_what_is_no_file_is_refused(fact_t *fact) {
    setting_t setting = set_up();
    char name[REAL_PATH_BYTES];

    real_name(name, "");
    see_code(fact, "a folder", probe_open(name, ES_LOCK_CREATE));
    real_name(name, "missing");
    see_code(fact, "a missing file", probe_open(name, 0));
    real_name(name, "missing/file");
    see_code(fact, "a file in a missing folder", probe_open(name, ES_LOCK_CREATE));
    see_code(fact, "a device", probe_open(real_null_device, 0));
    see_code(fact, "no name", probe_open("", ES_LOCK_CREATE));
    tear_down(&setting);
}

static void look_at_flags_that_fight_are_refused(fact_t *fact) {
    setting_t setting = set_up();

    see_code(fact, "unknown", probe_open(setting.path, 1u << 30));
    see_code(fact, "two modes",
             probe_open(setting.path, ES_LOCK_COMPAT_BYTE0 | ES_LOCK_NATIVE_RANGE));
    see_code(fact, "made for reading", probe_open(setting.path, ES_LOCK_CREATE | ES_LOCK_READONLY));
    tear_down(&setting);
}

static void look_at_compatible_modes_do_not_convert(fact_t *fact) {
    setting_t setting = set_up();
    es_lockfile_t *byte = open_file(&setting, ES_LOCK_COMPAT_BYTE0);
    es_lock_t *lock = take(byte, ES_LOCK_SHARED);

    see_code(fact, "upgrade", es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL));
    see_code(fact, "a range of it", probe_range(byte, ES_LOCK_SHARED, 1, 1));
    release(lock);
    see_code(fact, "beside the usual lock", probe_beside(setting.a, byte));
    es_lockfile_close(byte);
    tear_down(&setting);
}

static void look_at_native_range_meets_byte_0(fact_t *fact) {
    setting_t setting = set_up();
    es_lockfile_t *byte = open_file(&setting, ES_LOCK_COMPAT_BYTE0);
    es_lockfile_t *native = open_file(&setting, ES_LOCK_NATIVE_RANGE);
    es_lock_t *lock = take(byte, ES_LOCK_EXCLUSIVE);

    see_code(fact, "the whole", probe(native, ES_LOCK_SHARED));
    see_code(fact, "bytes after it", probe_range(native, ES_LOCK_EXCLUSIVE, 1, 10));
    release(lock);
    es_lockfile_close(byte);
    es_lockfile_close(native);
    tear_down(&setting);
}

static void look_at_replaced_file_is_ESTALE(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_SHARED);

    see_code(fact, "before", es_lock_verify(lock));
    real_replace(setting.path);
    see_code(fact, "after", es_lock_verify(lock));
    release(lock);
    tear_down(&setting);
}

static void look_at_removed_at_release(fact_t *fact) {
    setting_t setting = set_up();
    es_lockfile_t *one = open_file(&setting, ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE);
    es_lock_t *lock = NULL;

    close_files(&setting);
    lock = take(one, ES_LOCK_EXCLUSIVE);
    see_code(fact, "release", es_lock_release(lock));
    see(fact, "the file is there: %s", real_exists(setting.path) ? "yes" : "no");
    lock = take(one, ES_LOCK_EXCLUSIVE);
    see(fact, "with the next lock: %s", real_exists(setting.path) ? "yes" : "no");
    release(lock);
    es_lockfile_close(one);
    tear_down(&setting);
}

static void look_at_owner_record_is_readable_while_locked(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_t *lock = take(setting.a, ES_LOCK_EXCLUSIVE);
    es_lock_owner_t self;
    es_lock_owner_t read;

    see_code(fact, "before there is one", es_lock_owner_read(setting.path, &read));
    see_code(fact, "write", es_lock_owner_write(lock, NULL));
    see_code(fact, "read", es_lock_owner_read(setting.path, &read));
    assert_code(es_lock_owner_self(&self), 0);
    see(fact, "it is this process: %s", read.pid == self.pid ? "yes" : "no");
    see(fact, "which lives: %d", es_lock_owner_is_alive(&read));
    release(lock);
    tear_down(&setting);
}

static void look_at_pid_lock_tells_its_holder(fact_t *fact) {
    setting_t setting = set_up();
    es_lock_owner_t holder = {.pid = 0};
    es_lock_owner_t self;
    es_lock_t *lock = NULL;
    es_lock_t *second = NULL;

    assert_code(es_lock_owner_self(&self), 0);
    see_code(fact, "first", es_pidlock_acquire(setting.path, 0, NULL, &lock));
    see_code(fact, "second", es_pidlock_acquire(setting.path, 0, &holder, &second));
    see(fact, "it is told: %s", holder.pid == self.pid ? "the holder" : "something else");
    release(lock);
    tear_down(&setting);
}

static void look_at_nothing_is_left_open(fact_t *fact) {
    setting_t setting = set_up();
    int before;
    int left;

    assert_code(probe(setting.b, ES_LOCK_EXCLUSIVE), 0);
    before = real_open_count();
    for (int turn = 0; turn < 50; turn++) {
        release(take(setting.a, turn % 2 == 0 ? ES_LOCK_SHARED : ES_LOCK_EXCLUSIVE));
    }
    left = real_open_count() - before;
    see(fact, "descriptors left of 50 locks: %d", left);
    tear_down(&setting);
}

fact_t lock_facts[] = {
    {.name = "lock.exclusive_excludes_all",
     .tier = "portable",
     .statement = "Beside an exclusive lock there is no other.",
     .source = "fcntl(2), LockFileEx",
     .look = look_at_exclusive_excludes_all,
     .expected = {"shared: EAGAIN", "exclusive: EAGAIN", "after the release: OK"}},
    {.name = "lock.shared_admits_shared",
     .tier = "portable",
     .statement = "Many may share; nobody writes meanwhile.",
     .source = "fcntl(2), LockFileEx",
     .look = look_at_shared_admits_shared,
     .expected = {"shared: OK", "exclusive: EAGAIN"}},
    {.name = "lock.owner_is_the_object",
     .tier = "portable",
     .statement = "Two objects on one opened file exclude each other in one thread.",
     .source = "fcntl(2): OFD locks; a POSIX lock would be shared",
     .look = look_at_owner_is_the_object,
     .expected = {"the same file again: EAGAIN"}},
    {.name = "lock.foreign_close_drops_nothing",
     .tier = "portable",
     .statement = "Opening and closing the file elsewhere leaves the lock.",
     .source = "fcntl(2): POSIX locks are lost then",
     .look = look_at_foreign_close_drops_nothing,
     .expected = {"after a foreign close: EAGAIN"}},
    {.name = "lock.outlives_its_file_object",
     .tier = "portable",
     .statement = "A lock does not need the object it was taken through.",
     .source = "es_lockfile_close",
     .look = look_at_outlives_its_file_object,
     .expected = {"after the close: EAGAIN", "after the release: OK"}},
    {.name = "lock.leaves_data_alone",
     .tier = "portable",
     .statement = "A locked file can be read and written by anybody.",
     .source = "LockFileEx forbids it for the bytes it locks",
     .look = look_at_leaves_data_alone,
     .expected = {"read: written"}},
    {.name = "lock.file_stays_empty",
     .tier = "portable",
     .statement = "Locking writes nothing and makes the file no longer.",
     .source = "es_lockfile_open",
     .look = look_at_file_stays_empty,
     .expected = {"bytes: 0"}},
    {.name = "lock.survives_truncation",
     .tier = "portable",
     .statement = "A file that is cut or grows stays locked.",
     .source = "LockFileEx: beyond the end is allowed",
     .look = look_at_survives_truncation,
     .expected = {"grown: EAGAIN", "cut: EAGAIN", "released: OK"}},
    {.name = "lock.ranges_exclude_where_they_overlap",
     .tier = "portable",
     .statement = "Ranges meet where they share a byte.",
     .source = "fcntl(2), LockFileEx",
     .look = look_at_ranges_exclude_where_they_overlap,
     .expected = {"before it: OK", "its first byte: EAGAIN", "its last byte: EAGAIN",
                  "after it: OK", "to the end: EAGAIN"}},
    {.name = "lock.ranges_and_whole_file_are_apart",
     .tier = "portable",
     .statement = "The whole file's lock and ranges do not see each other.",
     .source = "es_range_t",
     .look = look_at_ranges_and_whole_file_are_apart,
     .expected = {"a range beside the whole: OK"}},
    {.name = "lock.range_overflow_is_EINVAL",
     .tier = "portable",
     .statement = "A range beyond the space is refused.",
     .source = "es_range_t",
     .look = look_at_range_overflow_is_EINVAL,
     .expected = {"the sum: EINVAL", "an overflow: EINVAL", "all of it: OK"}},
    {.name = "lock.upgrade_of_a_lone_reader",
     .tier = "portable",
     .statement = "A lone reader becomes a writer at once.",
     .source = "es_lock_convert",
     .look = look_at_upgrade_of_a_lone_reader,
     .expected = {"upgrade: OK", "another reader: EAGAIN", "released at once: OK"}},
    {.name = "lock.refused_upgrade_keeps_the_shared_lock",
     .tier = "portable",
     .statement = "An upgrade that cannot be leaves what was held.",
     .source = "flock(2) would lose it; LockFileEx has none",
     .look = look_at_refused_upgrade_keeps_the_shared_lock,
     .expected = {"upgrade: EAGAIN", "a writer: EAGAIN", "a reader: OK"}},
    {.name = "lock.downgrade_admits_readers",
     .tier = "portable",
     .statement = "A writer that becomes a reader keeps writers out.",
     .source = "es_lock_convert",
     .look = look_at_downgrade_admits_readers,
     .expected = {"downgrade: OK", "a reader: OK", "a writer: EAGAIN", "released at once: OK"}},
    {.name = "lock.converting_to_the_same_kind_is_nothing",
     .tier = "portable",
     .statement = "The kind that is held may be asked for.",
     .source = "es_lock_convert",
     .look = look_at_converting_to_the_same_kind_is_nothing,
     .expected = {"shared: OK", "exclusive: OK", "and again: OK"}},
    {.name = "lock.second_upgrade_is_EDEADLK",
     .tier = "portable",
     .statement = "Of two upgrades the second would wait for ever, and is told.",
     .source = "es_lock_convert",
     .look = look_at_second_upgrade_is_EDEADLK,
     .expected = {"the second: EDEADLK", "it still has: shared",
                  "the first, when the other has gone: OK"}},
    {.name = "lock.upgrade_behind_a_writer_is_EDEADLK",
     .tier = "portable",
     .statement = "A waiting writer waits for the reader that would upgrade.",
     .source = "es_lock_convert",
     .look = look_at_upgrade_behind_a_writer_is_EDEADLK,
     .expected = {"upgrade: EDEADLK", "the writer, when the reader has gone: OK"}},
    {.name = "lock.self_deadlock_ends_at_the_deadline",
     .tier = "portable",
     .statement = "Who waits for itself is told when its time is over.",
     .source = "es_lock_acquire",
     .look = look_at_self_deadlock_ends_at_the_deadline,
     .expected = {"in no time: EAGAIN", "in a while: ETIMEDOUT"}},
    {.name = "lock.set_cancel_ends_a_wait",
     .tier = "portable",
     .statement = "A wait ends when it is cancelled, a free lock is had all the same.",
     .source = "es_cancel_set",
     .look = look_at_set_cancel_ends_a_wait,
     .expected = {"busy: ECANCELED", "free: OK"}},
    {.name = "lock.request_waits_without_a_thread",
     .tier = "portable",
     .statement = "A request is answered when the holder has gone.",
     .source = "es_lock_start",
     .look = look_at_request_waits_without_a_thread,
     .expected = {"answers before: 0", "answer: OK", "kind: shared"}},
    {.name = "lock.no_callback_from_the_start",
     .tier = "portable",
     .statement = "The answer comes from the dispatch, also of a free lock.",
     .source = "es_lock_start",
     .look = look_at_no_callback_from_the_start,
     .expected = {"answers of the start: 0", "due at once: yes", "answers of the dispatch: 1"}},
    {.name = "lock.requests_are_served_in_order",
     .tier = "portable",
     .statement = "Who asked first gets it first.",
     .source = "es_lock_start",
     .look = look_at_requests_are_served_in_order,
     .expected = {"the second meanwhile: 0", "then the second: OK"}},
    {.name = "lock.cancelled_request_answers_once",
     .tier = "portable",
     .statement = "A cancelled request answers ECANCELED, once, and holds nothing.",
     .source = "es_lock_cancel",
     .look = look_at_cancelled_request_answers_once,
     .expected = {"cancel: OK", "and again: EALREADY", "answer: ECANCELED", "answers: 1",
                  "the file: OK"}},
    {.name = "lock.deadline_ends_a_request",
     .tier = "portable",
     .statement = "A request answers ETIMEDOUT; with no time, EAGAIN.",
     .source = "es_lock_start",
     .look = look_at_deadline_ends_a_request,
     .expected = {"no time: EAGAIN", "some: ETIMEDOUT"}},
    {.name = "lock.waiting_writer_stops_new_readers",
     .tier = "portable",
     .statement = "Readers that come after a writer wait behind it.",
     .source = "es_lock_acquire",
     .look = look_at_waiting_writer_stops_new_readers,
     .expected = {"a new reader: EAGAIN", "the writer: OK", "a reader after it: OK"}},
    {.name = "lock.downgrade_wakes_waiting_readers",
     .tier = "portable",
     .statement = "A reader that waits hears of a downgrade.",
     .source = "es_lock_convert",
     .look = look_at_downgrade_wakes_waiting_readers,
     .expected = {"the reader: OK"}},
    {.name = "lock.read_only_file_gives_shared_locks",
     .tier = "portable",
     .statement = "Without the right to write there is no exclusive lock.",
     .source = "fcntl(2): EBADF; Windows would allow it",
     .look = look_at_read_only_file_gives_shared_locks,
     .expected = {"exclusive: EBADF", "upgrade: EBADF", "a writer beside it: EAGAIN"}},
    {.name = "lock.what_is_no_file_is_refused",
     .tier = "portable",
     .statement = "A folder, a missing folder, a device and no name have their codes.",
     .source = "open(2); Windows says ERROR_ACCESS_DENIED for a folder",
     .look = look_at_what_is_no_file_is_refused,
     .expected = {"a folder: EISDIR", "a missing file: ENOENT",
                  "a file in a missing folder: ENOENT", "a device: ENOTSUP", "no name: EINVAL"}},
    {.name = "lock.flags_that_fight_are_refused",
     .tier = "portable",
     .statement = "Unknown and conflicting flags are EINVAL.",
     .source = "es_lockfile_open",
     .look = look_at_flags_that_fight_are_refused,
     .expected = {"unknown: EINVAL", "two modes: EINVAL", "made for reading: EINVAL"}},
    {.name = "lock.compatible_modes_do_not_convert",
     .tier = "portable",
     .statement = "Byte 0 and native ranges have no upgrade that would be safe.",
     .source = "es_lock_convert",
     .look = look_at_compatible_modes_do_not_convert,
     .expected = {"upgrade: ENOTSUP", "a range of it: ENOTSUP", "beside the usual lock: OK"}},
    {.name = "lock.native_range_meets_byte_0",
     .tier = "portable",
     .statement = "A native range and byte 0 are the file's own bytes.",
     .source = "fcntl(2), LockFileEx",
     .look = look_at_native_range_meets_byte_0,
     .expected = {"the whole: EAGAIN", "bytes after it: OK"}},
    {.name = "lock.replaced_file_is_ESTALE",
     .tier = "portable",
     .statement = "A lock knows when its path names another file.",
     .source = "es_lock_verify",
     .look = look_at_replaced_file_is_ESTALE,
     .expected = {"before: OK", "after: ESTALE"}},
    {.name = "lock.removed_at_release",
     .tier = "portable",
     .statement = "A file that is removed at the release is made anew by the next.",
     .source = "ES_LOCK_UNLINK_ON_RELEASE",
     .look = look_at_removed_at_release,
     .expected = {"release: OK", "the file is there: no", "with the next lock: yes"}},
    {.name = "lock.owner_record_is_readable_while_locked",
     .tier = "portable",
     .statement = "Anybody reads who holds a lock.",
     .source = "es_lock_owner_read",
     .look = look_at_owner_record_is_readable_while_locked,
     .expected = {"before there is one: EPROTO", "write: OK", "read: OK", "it is this process: yes",
                  "which lives: 1"}},
    {.name = "lock.pid_lock_tells_its_holder",
     .tier = "portable",
     .statement = "Who comes second is told who came first.",
     .source = "es_pidlock_acquire",
     .look = look_at_pid_lock_tells_its_holder,
     .expected = {"first: OK", "second: EAGAIN", "it is told: the holder"}},
    {.name = "lock.nothing_is_left_open",
     .tier = "portable",
     .statement = "Locks that were released leave no descriptor.",
     .source = "es_lock_release",
     .look = look_at_nothing_is_left_open,
     .expected = {"descriptors left of 50 locks: 0"}},
    {.name = NULL},
};
