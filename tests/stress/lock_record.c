/* SPDX-License-Identifier: MIT */
/* See lock_record.h. */
#include "lock_record.h"

#include "prim/lock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PRINTED_COUNT = 120 };

int space_of(const target_t *target) {
    return 2 * target->file + (target->first != 0);
}

void record_violation(record_t *record, int slot, violation_t violation, const char *format, ...) {
    int none = VIOLATION_NONE;
    va_list arguments;

    if (!atomic_compare_exchange_strong(&record->violation, &none, -1)) {
        return;
    }
    record->violation_slot = slot;
    va_start(arguments, format);
    (void)vsnprintf(record->words, sizeof(record->words), format, arguments);
    va_end(arguments);
    atomic_store(&record->violation, violation);
}

static unsigned mark_of(es_lock_kind_t kind) {
    return kind == ES_LOCK_EXCLUSIVE ? MARK_EXCLUSIVE : 1;
}

static int does_exclude(unsigned seen, es_lock_kind_t kind) {
    return kind == ES_LOCK_EXCLUSIVE ? seen != 0 : seen >= MARK_EXCLUSIVE;
}

/* A mark seen twice around a look at is_doomed was that of a living process at the first look. */
static int is_broken(slot_t *slot, const target_t *target, int mark, unsigned own,
                     es_lock_kind_t kind) {
    atomic_uint *at = &slot->marks[target->file][mark];

    return does_exclude(atomic_load(at) - own, kind) && !atomic_load(&slot->is_doomed) &&
           does_exclude(atomic_load(at) - own, kind);
}

static void check(record_t *record, int slot, const target_t *target, es_lock_kind_t kind) {
    for (int index = 0; index < SLOT_COUNT; index++) {
        for (int mark = target->first; mark < target->first + target->count; mark++) {
            unsigned own = index == slot ? mark_of(kind) : 0;

            if (is_broken(&record->slots[index], target, mark, own, kind)) {
                record_violation(record, slot, VIOLATION_EXCLUSION,
                                 "process %d has file %d, mark %d, %s, and process %d has it, too",
                                 slot, target->file, mark,
                                 kind == ES_LOCK_EXCLUSIVE ? "exclusive" : "shared", index);
                return;
            }
        }
    }
}

static void add(record_t *record, int slot, const target_t *target, unsigned amount) {
    for (int mark = target->first; mark < target->first + target->count; mark++) {
        (void)atomic_fetch_add(&record->slots[slot].marks[target->file][mark], amount);
    }
}

void record_grant(record_t *record, int slot, const target_t *target, es_lock_kind_t kind) {
    add(record, slot, target, mark_of(kind));
    (void)atomic_fetch_add(&record->grants[space_of(target)], 1);
    record_count(record, slot, COUNT_GRANTS);
    check(record, slot, target, kind);
}

void record_release(record_t *record, int slot, const target_t *target, es_lock_kind_t kind) {
    check(record, slot, target, kind);
    add(record, slot, target, 0u - mark_of(kind));
}

void record_upgraded(record_t *record, int slot, const target_t *target) {
    add(record, slot, target, MARK_EXCLUSIVE - 1);
    (void)atomic_fetch_add(&record->grants[space_of(target)], 1);
    record_count(record, slot, COUNT_UPGRADES);
    check(record, slot, target, ES_LOCK_EXCLUSIVE);
}

void record_downgrading(record_t *record, int slot, const target_t *target) {
    check(record, slot, target, ES_LOCK_EXCLUSIVE);
    add(record, slot, target, 1 - MARK_EXCLUSIVE);
    record_count(record, slot, COUNT_DOWNGRADES);
}

void record_clear(record_t *record, int slot) {
    for (int file = 0; file < FILE_COUNT; file++) {
        for (int mark = 0; mark < MARK_COUNT; mark++) {
            atomic_store(&record->slots[slot].marks[file][mark], 0);
        }
    }
    for (int which = 0; which < WAIT_COUNT; which++) {
        atomic_store(&record->slots[slot].waits[which].since_ns, 0);
    }
}

void record_count(record_t *record, int slot, int what) {
    (void)atomic_fetch_add_explicit(&record->slots[slot].counts[what], 1, memory_order_relaxed);
}

void record_event(record_t *record, int slot, const char *op, const target_t *target, int kind,
                  int code) {
    slot_t *own = &record->slots[slot];
    event_t *event = &own->events[atomic_load(&own->event_count) % RING_COUNT];

    event->at_ns = es__prim_now_ns();
    (void)snprintf(event->op, sizeof(event->op), "%s", op);
    event->target = *target;
    event->kind = kind;
    event->code = code;
    (void)atomic_fetch_add(&own->event_count, 1);
}

void record_wait_begins(record_t *record, int slot, int which, const target_t *target) {
    wait_t *wait = &record->slots[slot].waits[which];

    atomic_store(&wait->space, space_of(target));
    atomic_store(&wait->since_ns, es__prim_now_ns());
}

void record_wait_ends(record_t *record, int slot, int which) {
    slot_t *own = &record->slots[slot];
    int64_t waited = es__prim_now_ns() - atomic_exchange(&own->waits[which].since_ns, 0);

    if (waited > atomic_load(&own->worst_wait_ns)) {
        atomic_store(&own->worst_wait_ns, waited);
    }
}

/* The latest event before `before_ns` of all slots. */
static event_t *find_latest(record_t *record, int64_t before_ns, int *slot) {
    event_t *latest = NULL;

    for (int index = 0; index < SLOT_COUNT; index++) {
        for (int at = 0; at < RING_COUNT; at++) {
            event_t *event = &record->slots[index].events[at];

            if (event->at_ns != 0 && event->at_ns < before_ns &&
                (latest == NULL || event->at_ns > latest->at_ns)) {
                latest = event;
                *slot = index;
            }
        }
    }
    return latest;
}

void record_print_events(record_t *record) {
    event_t *found[PRINTED_COUNT];
    int slots[PRINTED_COUNT];
    int64_t before_ns = INT64_MAX;
    int count = 0;

    for (; count < PRINTED_COUNT; count++) {
        found[count] = find_latest(record, before_ns, &slots[count]);
        if (found[count] == NULL) {
            break;
        }
        before_ns = found[count]->at_ns;
    }
    for (int index = count - 1; index >= 0; index--) {
        const event_t *event = found[index];

        (void)printf("%+12.1f us  process %2d  %-16s file %d  %s %d+%d  %s  %s\n",
                     (double)(event->at_ns - found[0]->at_ns) / 1e3, slots[index], event->op,
                     event->target.file, event->target.first == 0 ? "whole" : "cells",
                     event->target.first, event->target.count,
                     event->kind == ES_LOCK_EXCLUSIVE ? "exclusive" : "shared   ",
                     event->code == 0 ? "ok" : es_error_name(event->code));
    }
}
