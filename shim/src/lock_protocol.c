/* SPDX-License-Identifier: MIT */
/* The protocol: which bytes a lock takes, in which order. It guarantees exclusion, an upgrade that
 * is atomic or refused, and that a waiting writer stops new readers; all of it from single locks on
 * bytes, which every system has and frees by itself when a process dies.
 *
 * Whole file: RESERVED → GATE → DATA, never in another order (the idea is SQLite's, os.h there).
 * A reader passes GATE (shared, for an instant) and keeps DATA shared. A writer queues for
 * RESERVED, shuts GATE, waits for the readers in DATA, then opens both. An upgrader takes RESERVED
 * or is refused, since whoever has it waits for our DATA. A writer without RESERVED would deadlock
 * with an upgrader: one has GATE and waits for DATA, the other has DATA and waits for GATE.
 * Ranges: GATE serves as RESERVED too. What breaks it: any lock on these bytes in another order. */
#include "lock_internal.h"

#include "error_internal.h"

#include <assert.h>

/* A reader has GATE for two system calls: asking this often outlasts it, or nearly. */
#define PASSING_TRIES_MAX 16
/* So often is an upgrade tried before it is refused: a mere try has RESERVED for an instant too. */
#define RESERVED_TRIES_MAX 3

/* Who holds a range is not alone, and would remove the file under the holders of others. */
#define WHOLE_ONLY                                                                                 \
    (ES_LOCK_COMPAT_FLOCK | ES_LOCK_COMPAT_BYTE0 | ES_LOCK_ADOPT | ES_LOCK_UNLINK_ON_RELEASE)

enum { RESERVED_AT = 0, GATE_AT = 1, DATA_AT = 2 };

/* GATE and RESERVED are neighbours, so that one call frees both, and one takes all three. */
static const es__bytes_t whole[ES__STEP_COUNT] = {
    [RESERVED_AT] = {ES__LOCK_BASE + 1, 1},
    [GATE_AT] = {ES__LOCK_BASE, 1},
    [DATA_AT] = {ES__LOCK_BASE + 2, 1},
};
static const es__bytes_t all_steps = {ES__LOCK_BASE, 3};
static const es__bytes_t both_doors = {ES__LOCK_BASE, 2};

static int index_of(unsigned step) {
    return step == ES__STEP_RESERVED ? RESERVED_AT : step == ES__STEP_GATE ? GATE_AT : DATA_AT;
}

static int is_whole(const es_lock_t *lock) {
    return (lock->layout.steps_used & ES__STEP_RESERVED) != 0;
}

static void lay_out_whole(es__layout_t *layout) {
    layout->steps_used = ES__STEP_RESERVED | ES__STEP_GATE | ES__STEP_DATA;
    for (int index = 0; index < ES__STEP_COUNT; index++) {
        layout->bytes[index] = whole[index];
    }
}

static void lay_out_range(es__layout_t *layout, es__bytes_t bytes) {
    uint64_t size = bytes.size != 0 ? bytes.size : ES_LOCK_RANGE_MAX - bytes.offset;

    layout->steps_used = ES__STEP_GATE | ES__STEP_DATA;
    layout->bytes[GATE_AT] = (es__bytes_t){ES__RANGE_GATE + bytes.offset, size};
    layout->bytes[DATA_AT] = (es__bytes_t){ES__RANGE_DATA + bytes.offset, size};
}

static void lay_out_native(es__layout_t *layout, uint32_t flags, es__bytes_t bytes) {
    layout->steps_used = ES__STEP_DATA;
    layout->bytes[DATA_AT] = (flags & ES_LOCK_NATIVE_RANGE) != 0 ? bytes : (es__bytes_t){0, 1};
}

int es__lock_lay_out(es_lock_t *lock, const es_range_t *range) {
    es__bytes_t bytes = {range != NULL ? range->offset : 0, range != NULL ? range->size : 0};
    int is_range = bytes.offset != 0 || bytes.size != 0;
    uint32_t flags = lock->file->flags;

    if (bytes.offset >= ES_LOCK_RANGE_MAX || bytes.size > ES_LOCK_RANGE_MAX - bytes.offset) {
        return ES_EINVAL;
    }
    if (is_range && (flags & WHOLE_ONLY) != 0) {
        return ES_ENOTSUP;
    }
    lock->range = (es_range_t){bytes.offset, bytes.size};
    if ((flags & ES__LOCK_COMPAT) != 0) {
        lay_out_native(&lock->layout, flags, bytes);
    } else if (is_range) {
        lay_out_range(&lock->layout, bytes);
    } else {
        lay_out_whole(&lock->layout);
    }
    return 0;
}

es__bytes_t es__lock_blocked_bytes(const es_lock_t *lock) {
    return lock->layout.bytes[index_of(lock->blocked_on)];
}

/* Takes one step's bytes, if the layout has it and we have not got it. */
static int take(es_lock_t *lock, unsigned step, es_lock_kind_t kind) {
    int code;

    if ((lock->held & step) != 0 || (lock->layout.steps_used & step) == 0) {
        return 0;
    }
    code = es__prim_lock_try(&lock->hold, lock->layout.bytes[index_of(step)], kind);
    if (code == 0) {
        lock->held |= step;
        lock->was_held |= kind == ES_LOCK_EXCLUSIVE || step == ES__STEP_DATA;
    } else if (code == ES_EAGAIN) {
        lock->blocked_on = step;
        lock->blocked_kind = kind;
        lock->is_passing = 0;
    }
    return code;
}

/* A free that fails leaves the bytes to the close of the hold, which must not be kept then. */
static void free_bytes(es_lock_t *lock, es__bytes_t bytes) {
    lock->was_held |= es__prim_lock_free(&lock->hold, bytes) != 0;
}

static void drop(es_lock_t *lock, unsigned steps) {
    static const unsigned order[] = {ES__STEP_DATA, ES__STEP_GATE, ES__STEP_RESERVED};

    steps &= lock->held;
    if (ES__LOCK_SPLITS && is_whole(lock) && steps == (ES__STEP_RESERVED | ES__STEP_GATE)) {
        free_bytes(lock, both_doors);
    } else {
        for (int index = 0; index < ES__STEP_COUNT; index++) {
            if ((steps & order[index]) != 0) {
                free_bytes(lock, lock->layout.bytes[index_of(order[index])]);
            }
        }
    }
    lock->held &= ~steps;
}

/* Gives DATA to the heir. Shared locks stand side by side for a moment. An exclusive one has to go
 * first, and nobody gets between, for GATE and RESERVED are ours; but for a fair waiter that the
 * system has in its queue already: then the wait goes on. */
static int bequeath(es_lock_t *lock) {
    es__bytes_t data = lock->layout.bytes[DATA_AT];
    int code;

    if (lock->wanted == ES_LOCK_EXCLUSIVE) {
        drop(lock, ES__STEP_DATA);
    }
    code = es__prim_lock_try(&lock->heir, data, lock->wanted);
    if (code == ES_EAGAIN) {
        lock->blocked_on = ES__STEP_DATA;
        lock->blocked_kind = lock->wanted;
        lock->is_passing = 0;
    }
    return code;
}

/* From here on the heir's descriptor is the lock's hold. */
static void settle_estate(es_lock_t *lock) {
    drop(lock, ES__STEP_DATA | ES__STEP_GATE | ES__STEP_RESERVED);
    es__prim_hold_close(&lock->hold);
    lock->hold = lock->heir;
    lock->heir.native = ES__NATIVE_NONE;
    lock->held = ES__STEP_DATA;
}

static int finish(es_lock_t *lock) {
    if (lock->heir.native != ES__NATIVE_NONE) {
        int code = bequeath(lock);

        if (code != 0) {
            return code;
        }
        settle_estate(lock);
    }
    drop(lock, ES__STEP_GATE | ES__STEP_RESERVED);
    lock->kind = lock->wanted;
    lock->is_queued = 0;
    lock->parting = ES__NOT_PARTED;
    assert((lock->held & ES__STEP_DATA) != 0);
    return 0;
}

/* Where every unlock is told to all who wait, a reader that leaves GATE without DATA would wake
 * itself, and try again for ever: it looks before it goes in. */
static int is_data_busy(es_lock_t *lock) {
    if (es__prim_lock_look(&lock->hold, lock->layout.bytes[DATA_AT], ES_LOCK_SHARED) == 0) {
        return 0;
    }
    lock->blocked_on = ES__STEP_DATA;
    lock->blocked_kind = ES_LOCK_SHARED;
    lock->is_passing = 0;
    return 1;
}

/* GATE shared is not kept while DATA is busy: others are to pass meanwhile. Once the system has
 * granted DATA, GATE is no longer asked for: a writer that shut it may be waiting for us. */
static int advance_shared(es_lock_t *lock) {
    int code;

    if ((lock->held & ES__STEP_DATA) != 0) {
        return finish(lock);
    }
    if (ES__LOCK_UNLOCK_IS_TOLD && lock->is_queued && is_data_busy(lock)) {
        return ES_EAGAIN;
    }
    code = take(lock, ES__STEP_GATE, ES_LOCK_SHARED);
    if (code != 0) {
        return code;
    }
    code = take(lock, ES__STEP_DATA, ES_LOCK_SHARED);
    if (code != 0) {
        drop(lock, ES__STEP_GATE);
        return code;
    }
    return finish(lock);
}

/* Is GATE busy only with readers on their way? With RESERVED ours it can be nothing else; where
 * GATE is RESERVED too, a reader's lock lets ours join it and a writer's does not. */
static int is_gate_passing(es_lock_t *lock) {
    es__bytes_t gate = lock->layout.bytes[GATE_AT];

    if (is_whole(lock)) {
        return 1;
    }
    if (es__prim_lock_try(&lock->hold, gate, ES_LOCK_SHARED) != 0) {
        return 0;
    }
    free_bytes(lock, gate);
    return 1;
}

/* Readers tell nobody when they leave GATE, since they do it all the time. */
static int shut_gate(es_lock_t *lock) {
    int code = take(lock, ES__STEP_GATE, ES_LOCK_EXCLUSIVE);

    for (int tries = 0; code == ES_EAGAIN && lock->is_queued && tries < PASSING_TRIES_MAX;
         tries++) {
        if (!is_gate_passing(lock)) {
            return code;
        }
        es__prim_yield();
        code = take(lock, ES__STEP_GATE, ES_LOCK_EXCLUSIVE);
    }
    lock->is_passing = code == ES_EAGAIN && lock->is_queued;
    return code;
}

/* All three at once, where freeing a part is possible: what an uncontended lock costs. */
static int take_all(es_lock_t *lock) {
    int code = es__prim_lock_try(&lock->hold, all_steps, ES_LOCK_EXCLUSIVE);

    if (code == 0) {
        lock->held = ES__STEP_RESERVED | ES__STEP_GATE | ES__STEP_DATA;
        lock->was_held = 1;
    }
    return code;
}

static int advance_exclusive(es_lock_t *lock) {
    int code;

    if (ES__LOCK_SPLITS && is_whole(lock) && lock->held == 0) {
        code = take_all(lock);
        if (code == 0) {
            return finish(lock);
        }
        if (code != ES_EAGAIN || !lock->is_queued) {
            lock->blocked_on = ES__STEP_RESERVED;
            lock->blocked_kind = ES_LOCK_EXCLUSIVE;
            return code;
        }
    }
    code = take(lock, ES__STEP_RESERVED, ES_LOCK_EXCLUSIVE);
    if (code == 0) {
        code = shut_gate(lock);
    }
    if (code == 0) {
        code = take(lock, ES__STEP_DATA, ES_LOCK_EXCLUSIVE);
    }
    return code == 0 ? finish(lock) : code;
}

/* The step that only one waiting writer can have. */
static int take_reservation(es_lock_t *lock) {
    unsigned step = is_whole(lock) ? ES__STEP_RESERVED : ES__STEP_GATE;
    int code = take(lock, step, ES_LOCK_EXCLUSIVE);
    int tries = 0;
    int tries_max = RESERVED_TRIES_MAX;

    while (code == ES_EAGAIN && ++tries < tries_max) {
        if (step == ES__STEP_GATE && is_gate_passing(lock)) {
            tries_max = PASSING_TRIES_MAX;
        }
        es__prim_yield();
        code = take(lock, step, ES_LOCK_EXCLUSIVE);
    }
    return code == ES_EAGAIN ? es__refuse(ES_EDEADLK, ES_OP_LOCK, "es_lock_convert") : code;
}

/* Without an upgrade in one step the shared lock is given up and the exclusive one taken: nobody
 * can come between, for RESERVED and GATE are ours. */
static int upgrade_data(es_lock_t *lock) {
    es__bytes_t data = lock->layout.bytes[DATA_AT];
    int code;

    lock->blocked_on = ES__STEP_DATA;
    lock->blocked_kind = ES_LOCK_EXCLUSIVE;
    lock->is_passing = 0;
    if (ES__LOCK_UPGRADES) {
        return es__prim_lock_convert(&lock->hold, data, ES_LOCK_EXCLUSIVE);
    }
    if (lock->parting == ES__REGAINED) {
        return 0;
    }
    if (lock->parting == ES__NOT_PARTED) {
        code = es__prim_lock_free(&lock->hold, data);
        if (code != 0) {
            return code;
        }
        lock->parting = ES__PARTED;
        lock->held &= ~ES__STEP_DATA;
    }
    return take(lock, ES__STEP_DATA, ES_LOCK_EXCLUSIVE);
}

static int advance_upgrade(es_lock_t *lock) {
    unsigned reservation = is_whole(lock) ? ES__STEP_RESERVED : ES__STEP_GATE;
    int code = (lock->held & reservation) != 0 ? 0 : take_reservation(lock);

    if (code == 0) {
        code = shut_gate(lock);
    }
    if (code == 0) {
        code = upgrade_data(lock);
    }
    return code == 0 ? finish(lock) : code;
}

/* Never past a gate that a waiting writer has shut. */
int es__lock_inherit(es_lock_t *lock) {
    if (lock->blocked_on == ES__STEP_GATE && lock->wanted == ES_LOCK_SHARED) {
        return ES_EAGAIN;
    }
    drop(lock, ES__STEP_DATA | ES__STEP_GATE | ES__STEP_RESERVED);
    return finish(lock);
}

int es__lock_advance(es_lock_t *lock) {
    assert(lock->wanted == ES_LOCK_SHARED || lock->wanted == ES_LOCK_EXCLUSIVE);
    if (lock->kind != 0) {
        return advance_upgrade(lock);
    }
    return lock->wanted == ES_LOCK_SHARED ? advance_shared(lock) : advance_exclusive(lock);
}

void es__lock_granted(es_lock_t *lock) {
    assert((lock->held & lock->blocked_on) == 0);
    lock->held |= lock->blocked_on;
    lock->was_held = 1;
    if (lock->blocked_on == ES__STEP_DATA && lock->parting == ES__PARTED) {
        lock->parting = ES__REGAINED;
    }
}

/* Makes DATA shared again after an upgrade that had to give it up. */
static int rejoin(es_lock_t *lock) {
    es__bytes_t data = lock->layout.bytes[DATA_AT];
    int code = lock->parting == ES__REGAINED
                   ? es__prim_lock_convert(&lock->hold, data, ES_LOCK_SHARED)
                   : es__prim_lock_try(&lock->hold, data, ES_LOCK_SHARED);

    lock->parting = ES__NOT_PARTED;
    if (code != 0) {
        return es__refuse(ES_ESTALE, ES_OP_LOCK, "es_lock_convert");
    }
    lock->held |= ES__STEP_DATA;
    return 0;
}

/* An upgrade that fails has shut the gate for others, and opening it is no close: say so. */
int es__lock_retreat(es_lock_t *lock) {
    int code = 0;

    if (lock->kind == 0) {
        drop(lock, ES__STEP_DATA | ES__STEP_GATE | ES__STEP_RESERVED);
        return 0;
    }
    if (lock->parting != ES__NOT_PARTED) {
        code = rejoin(lock);
    }
    if ((lock->held & (ES__STEP_GATE | ES__STEP_RESERVED)) != 0) {
        drop(lock, ES__STEP_GATE | ES__STEP_RESERVED);
        es__prim_lock_announce(&lock->hold);
    }
    lock->wanted = lock->kind;
    lock->is_queued = 0;
    return code;
}

int es__lock_downgrade(es_lock_t *lock) {
    int code = es__prim_lock_convert(&lock->hold, lock->layout.bytes[DATA_AT], ES_LOCK_SHARED);

    if (code == 0) {
        lock->kind = ES_LOCK_SHARED;
        lock->wanted = ES_LOCK_SHARED;
        es__prim_lock_announce(&lock->hold);
    }
    return code;
}
