/* SPDX-License-Identifier: MIT */
/* The record of the lock model: who holds what, in memory that all processes share.
 *
 * Each process has a slot, and a mark in it for each thing that can be locked. It marks what it was
 * granted and then looks at the marks of all others; it clears its mark and then releases. Of two
 * holders that exclude each other one must so see the other. Nobody writes into another's slot, so
 * a process may be killed anywhere: the supervisor says first that the slot is doomed (whose marks
 * prove nothing from then on), kills, waits, and clears it. What breaks it: a mark that outlives
 * its lock. */
#ifndef EVENSHIM_STRESS_LOCK_RECORD_H
#define EVENSHIM_STRESS_LOCK_RECORD_H

#include <evenshim/evenshim.h>

#include <stdatomic.h>
#include <stdint.h>

enum {
    SLOT_COUNT = 12,
    FILE_COUNT = 3, /* the last one is opened ES_LOCK_FAIR */
    CELL_COUNT = 8, /* ranges are made of cells of CELL_BYTES */
    CELL_BYTES = 100,
    MARK_COUNT = 1 + CELL_COUNT,  /* the whole file, then the cells */
    SPACE_COUNT = 2 * FILE_COUNT, /* whole files and ranges do not see each other */
    WAIT_COUNT = 4,
    RING_COUNT = 128
};

/* A mark: how many shared locks, and from this bit on how many exclusive ones. */
#define MARK_EXCLUSIVE 0x10000u

/* What is counted, by all incarnations of a slot together. */
enum {
    COUNT_OPERATIONS,
    COUNT_GRANTS,
    COUNT_UPGRADES,
    COUNT_DEADLOCKS,
    COUNT_DOWNGRADES,
    COUNT_CANCELLED,
    COUNT_TIMEOUTS,
    COUNT_BUSY,
    COUNT_KINDS
};

/* What the test can be made to do wrong, to see that it is found out. */
typedef enum fault {
    FAULT_NONE,
    FAULT_SHARED,  /* at times an exclusive lock is taken as a shared one */
    FAULT_UPGRADE, /* at times an upgrade is not made but said to be */
    FAULT_RELEASE, /* at times an exclusive lock is not released */
    FAULT_DEAF     /* requests are not dispatched any more */
} fault_t;

typedef enum violation {
    VIOLATION_NONE,
    VIOLATION_EXCLUSION,
    VIOLATION_LOST_WAKEUP,
    VIOLATION_STARVATION,
    VIOLATION_ANSWER, /* a code, a time or a callback that may not be */
    VIOLATION_CRASH
} violation_t;

/* A thing to lock: a file, or cells of it. */
typedef struct target {
    int file;
    int first; /* the first mark, and */
    int count; /* how many; first 0: the whole file */
} target_t;

typedef struct event {
    int64_t at_ns;
    char op[24];
    target_t target;
    int kind;
    int code;
} event_t;

typedef struct wait {
    atomic_llong since_ns; /* 0: none */
    atomic_int space;
} wait_t;

typedef struct slot {
    atomic_int is_doomed;
    atomic_uint marks[FILE_COUNT][MARK_COUNT];
    wait_t waits[WAIT_COUNT];
    atomic_ullong counts[COUNT_KINDS];
    atomic_llong worst_wait_ns;
    atomic_uint event_count;
    event_t events[RING_COUNT];
} slot_t;

typedef struct record {
    uint64_t seed;
    int fault;
    atomic_int is_over;
    atomic_llong heartbeat_ns; /* of the supervisor: without it all go */
    atomic_int violation;
    int violation_slot;
    char words[256];
    atomic_ullong grants[SPACE_COUNT];
    slot_t slots[SLOT_COUNT];
} record_t;

int space_of(const target_t *target);

/* Says that something is wrong; the first to say so is heard. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
void record_violation(record_t *record, int slot, violation_t violation, const char *format, ...);

/* A lock was granted: marks it, looks at all others. */
void record_grant(record_t *record, int slot, const target_t *target, es_lock_kind_t kind);

/* A lock is about to be released: looks once more, clears the mark. */
void record_release(record_t *record, int slot, const target_t *target, es_lock_kind_t kind);

void record_upgraded(record_t *record, int slot, const target_t *target);
void record_downgrading(record_t *record, int slot, const target_t *target);

/* Of a process that is gone. */
void record_clear(record_t *record, int slot);

void record_count(record_t *record, int slot, int what);
void record_event(record_t *record, int slot, const char *op, const target_t *target, int kind,
                  int code);
void record_wait_begins(record_t *record, int slot, int which, const target_t *target);
void record_wait_ends(record_t *record, int slot, int which);

/* Prints the last events of all slots, in the order of time. */
void record_print_events(record_t *record);

#endif
