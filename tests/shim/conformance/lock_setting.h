/* SPDX-License-Identifier: MIT */
/* What facts about locks have in common: two lock files of one path, and a monitor. */
#ifndef EVENSHIM_TESTS_LOCK_SETTING_H
#define EVENSHIM_TESTS_LOCK_SETTING_H

#include "../lock_path.h"

typedef struct setting {
    char path[REAL_PATH_BYTES];
    es_lockfile_t *a;
    es_lockfile_t *b;
    es_lock_monitor_t *monitor;
} setting_t;

es_lockfile_t *open_file(const setting_t *setting, uint32_t flags);
/* A fact's beginning and end. */
setting_t set_up(void);
void close_files(setting_t *setting);
void tear_down(setting_t *setting);
/* A lock that must be free. */
es_lock_t *take_range(es_lockfile_t *file, es_lock_kind_t kind, uint64_t offset, uint64_t size);
es_lock_t *take(es_lockfile_t *file, es_lock_kind_t kind);
void release(es_lock_t *lock);
/* What a try gets; it is released again. */
int probe_range(es_lockfile_t *file, es_lock_kind_t kind, uint64_t offset, uint64_t size);
int probe(es_lockfile_t *file, es_lock_kind_t kind);
int probe_open(const char *path, uint32_t flags);
int probe_beside(es_lockfile_t *file, es_lockfile_t *other);
const char *kind_name(es_lock_kind_t kind);
/* A request whose answer comes into *answer, which stays in place. */
void start(const setting_t *setting, lock_answer_t *answer, es_lockfile_t *file,
           es_lock_kind_t kind, int64_t timeout_ns);
void start_upgrade(const setting_t *setting, lock_answer_t *answer, es_lock_t *lock);
/* Waits for the answer. */
void drive(const setting_t *setting, const lock_answer_t *answer);

#endif
