/* SPDX-License-Identifier: MIT */
#include "lock_setting.h"

#include "fact.h"

#include <string.h>

es_lockfile_t *open_file(const setting_t *setting, uint32_t flags) {
    es_lockfile_t *file = NULL;

    assert_code(es_lockfile_open(setting->path, flags, 0600, &file), 0);
    return file;
}

setting_t set_up(void) {
    setting_t setting = {.a = NULL};

    real_folder_make();
    real_name(setting.path, "lock");
    setting.a = open_file(&setting, ES_LOCK_CREATE);
    setting.b = open_file(&setting, 0);
    assert_code(es_lock_monitor_open(&setting.monitor), 0);
    return setting;
}

void close_files(setting_t *setting) {
    es_lockfile_close(setting->a);
    es_lockfile_close(setting->b);
    setting->a = NULL;
    setting->b = NULL;
}

void tear_down(setting_t *setting) {
    close_files(setting);
    es_lock_monitor_close(setting->monitor);
    real_folder_remove();
}

es_lock_t *take_range(es_lockfile_t *file, es_lock_kind_t kind, uint64_t offset, uint64_t size) {
    const es_range_t range = {offset, size};
    es_lock_t *lock = NULL;

    assert_code(es_lock_try(file, kind, &range, &lock), 0);
    return lock;
}

es_lock_t *take(es_lockfile_t *file, es_lock_kind_t kind) {
    return take_range(file, kind, 0, 0);
}

void release(es_lock_t *lock) {
    assert_code(es_lock_release(lock), 0);
}

int probe_range(es_lockfile_t *file, es_lock_kind_t kind, uint64_t offset, uint64_t size) {
    const es_range_t range = {offset, size};
    es_lock_t *lock = NULL;
    int code = es_lock_try(file, kind, &range, &lock);

    if (code == 0) {
        release(lock);
    }
    return code;
}

int probe(es_lockfile_t *file, es_lock_kind_t kind) {
    return probe_range(file, kind, 0, 0);
}

int probe_open(const char *path, uint32_t flags) {
    es_lockfile_t *file = NULL;
    int code = es_lockfile_open(path, flags, 0600, &file);

    es_lockfile_close(file);
    return code;
}

int probe_beside(es_lockfile_t *file, es_lockfile_t *other) {
    es_lock_t *lock = take(other, ES_LOCK_EXCLUSIVE);
    int code = probe(file, ES_LOCK_EXCLUSIVE);

    release(lock);
    return code;
}

const char *kind_name(es_lock_kind_t kind) {
    return kind == ES_LOCK_SHARED ? "shared" : "exclusive";
}

/* ---- Requests ---- */

void start(const setting_t *setting, lock_answer_t *answer, es_lockfile_t *file,
           es_lock_kind_t kind, int64_t timeout_ns) {
    memset(answer, 0, sizeof(*answer));
    answer->req.data = answer;
    assert_code(es_lock_start(setting->monitor, &answer->req, file, kind, NULL, timeout_ns,
                              lock_answer_keep),
                0);
}

void start_upgrade(const setting_t *setting, lock_answer_t *answer, es_lock_t *lock) {
    memset(answer, 0, sizeof(*answer));
    answer->req.data = answer;
    assert_code(es_lock_start_convert(setting->monitor, &answer->req, lock, ES_LOCK_EXCLUSIVE,
                                      ES_LOCK_FOREVER, lock_answer_keep),
                0);
}

void drive(const setting_t *setting, const lock_answer_t *answer) {
    lock_answer_await(setting->monitor, answer);
}
