/* SPDX-License-Identifier: MIT */
#include "lock_path.h"

#include "check.h"

char lock_path[REAL_PATH_BYTES];

int lock_path_set_up(void **state) {
    (void)state;
    real_folder_make();
    real_name(lock_path, "lock");
    return 0;
}

int lock_path_tear_down(void **state) {
    (void)state;
    real_folder_remove();
    return 0;
}

es_lockfile_t *lock_path_open(uint32_t flags) {
    es_lockfile_t *file = NULL;

    assert_code(es_lockfile_open(lock_path, flags, 0600, &file), 0);
    return file;
}

es_lock_t *lock_take(es_lockfile_t *file, es_lock_kind_t kind) {
    es_lock_t *lock = NULL;

    assert_code(es_lock_try(file, kind, NULL, &lock), 0);
    assert_int_equal(es_lock_kind(lock), kind);
    return lock;
}

void lock_release(es_lock_t *lock) {
    assert_code(es_lock_release(lock), 0);
}

int lock_probe(es_lockfile_t *file, es_lock_kind_t kind) {
    es_lock_t *lock = NULL;
    int code = es_lock_try(file, kind, NULL, &lock);

    if (code == 0) {
        lock_release(lock);
    }
    return code;
}

void lock_answer_keep(es_lock_req_t *req, int status, es_lock_t *lock) {
    lock_answer_t *answer = req->data;

    answer->count++;
    answer->status = status;
    answer->lock = lock;
}

void lock_answer_begin(es_lock_monitor_t *monitor, lock_answer_t *answer, es_lockfile_t *file,
                       es_lock_kind_t kind) {
    answer->req.data = answer;
    assert_code(
        es_lock_start(monitor, &answer->req, file, kind, NULL, ES_LOCK_FOREVER, lock_answer_keep),
        0);
}

void lock_answer_await(es_lock_monitor_t *monitor, const lock_answer_t *answer) {
    while (answer->count == 0) {
        (void)es_lock_monitor_wait(monitor, es_lock_monitor_timeout(monitor), NULL);
        assert_true(es_lock_dispatch(monitor) >= 0);
    }
}

void lock_answer_granted(es_lock_monitor_t *monitor, const lock_answer_t *answer) {
    lock_answer_await(monitor, answer);
    assert_code(answer->status, 0);
    lock_release(answer->lock);
}
