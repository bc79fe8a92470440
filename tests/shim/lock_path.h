/* SPDX-License-Identifier: MIT */
/* What the tests of locks have in common: a folder of their own with the path of a lock file in it,
 * and what a request through a monitor answers. */
#ifndef EVENSHIM_TESTS_LOCK_PATH_H
#define EVENSHIM_TESTS_LOCK_PATH_H

#include "real_file.h"

#include <evenshim/lock.h>

/* Not made before a test opens or writes it. */
extern char lock_path[REAL_PATH_BYTES];

/* CMocka's set-up and tear-down: the folder is made, and removed with what is in it. */
int lock_path_set_up(void **state);
int lock_path_tear_down(void **state);

/* Opens the lock file, which must work. */
es_lockfile_t *lock_path_open(uint32_t flags);

/* What a try gets; nothing is held after it. */
int lock_probe(es_lockfile_t *file, es_lock_kind_t kind);

/* A lock that must be free; and its release, which must work. */
es_lock_t *lock_take(es_lockfile_t *file, es_lock_kind_t kind);
void lock_release(es_lock_t *lock);

/* An answer, and the callback that keeps it in the request's `data`. */
typedef struct lock_answer {
    es_lock_req_t req;
    int count;
    int status;
    es_lock_t *lock;
} lock_answer_t;

void lock_answer_keep(es_lock_req_t *req, int status, es_lock_t *lock);

/* Begins to wait for the lock, for ever. */
void lock_answer_begin(es_lock_monitor_t *monitor, lock_answer_t *answer, es_lockfile_t *file,
                       es_lock_kind_t kind);

/* Drives the monitor as a loop does, until the answer is there. */
void lock_answer_await(es_lock_monitor_t *monitor, const lock_answer_t *answer);

/* The same; the answer must be the lock, which is given back. */
void lock_answer_granted(es_lock_monitor_t *monitor, const lock_answer_t *answer);

#endif
