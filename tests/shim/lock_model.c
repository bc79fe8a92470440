/* SPDX-License-Identifier: MIT */
/* lock-model: many processes use three files' locks at random and are killed at random, and what
 * they see is compared with what a lock means.
 *
 *     lock-model SECONDS [SEED [PROCESSES]]
 *
 * Verified: never is an exclusive lock held beside another lock (each holder shows what it holds in
 * shared memory, and whoever gets a lock looks at all others); no waiter is forgotten or starved
 * (nobody waits longer than WAIT_MS_MAX, although every holder lets go within a few milliseconds);
 * every answer is one that the contract allows. What makes it hard is that a killed process still
 * shows what it held: so the killer marks it first, and the marked prove nothing. One file is
 * locked whole, one whole and fairly, one by ranges. Exit code: 0; 1 a violation; 2 no test. */
#include "real_file.h"
#include "real_process.h"

#include "check.h"
#include "prim/lock.h"

#include <evenshim/evenshim.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS ((int64_t)1000000)

enum {
    PROCESSES_MAX = 64,
    PROCESSES_USUAL = 12,
    FILES = 3,
    CELLS = 8, /* of the file with ranges; the others have one */
    WAIT_MS_MAX = 20000,
    HOLD_TURNS_MAX = 4000,
    KILL_PAUSE_MS = 20,
    END_MS = 60000,
};

static const uint32_t file_flags[FILES] = {0, ES_LOCK_FAIR, 0};

/* What one process shows. Only it writes, but for is_dying, which its killer does. */
typedef struct slot {
    atomic_int shown[FILES][CELLS]; /* the kind that is held, or 0 */
    atomic_int is_dying;
    atomic_int has_started;
    atomic_llong waiting_since_ns; /* 0: not waiting */
    atomic_llong worst_wait_ns;
    atomic_ullong rounds;
    atomic_ullong acquired;
    atomic_ullong upgraded;
    atomic_ullong refused; /* EDEADLK */
    atomic_ullong cancelled;
} slot_t;

typedef struct shared {
    atomic_int stops;
    atomic_int violations;
    char what[256]; /* the first violation */
    slot_t slots[PROCESSES_MAX];
} shared_t;

static shared_t *shared;

/* ---- A process ---- */

static slot_t *mine;
static int my_number;
static uint64_t random_state;
static es_lockfile_t *files[FILES];
static es_lock_monitor_t *monitor;

static uint32_t draw(uint32_t below) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

static void violate(const char *what, int detail, int other) {
    if (atomic_fetch_add(&shared->violations, 1) == 0) {
        (void)snprintf(shared->what, sizeof(shared->what), "process %d: %s (%d, %s) of process %d",
                       my_number, what, detail, es_error_name(detail), other);
    }
}

/* One lock, or what became of it. */
typedef struct turn {
    int file;
    unsigned first; /* cells [first, end) */
    unsigned end;
    es_range_t range;
    es_lock_t *lock;
    int status;
    int is_over;
} turn_t;

static void show(const turn_t *turn, int kind) {
    for (unsigned cell = turn->first; cell < turn->end; cell++) {
        atomic_store(&mine->shown[turn->file][cell], kind);
    }
}

/* Having shown what we hold: nobody else may show what excludes it, unless it is being killed. Who
 * is marked after we looked at its cells had the lock while alive. */
static void look_around(const turn_t *turn, int kind) {
    for (int number = 0; number < PROCESSES_MAX; number++) {
        slot_t *other = &shared->slots[number];

        for (unsigned cell = turn->first; cell < turn->end && number != my_number; cell++) {
            int seen = atomic_load(&other->shown[turn->file][cell]);

            if (seen != 0 && (seen == ES_LOCK_EXCLUSIVE || kind == ES_LOCK_EXCLUSIVE) &&
                !atomic_load(&other->is_dying) &&
                atomic_load(&other->shown[turn->file][cell]) == seen) {
                violate("holds a lock beside the lock", seen, number);
            }
        }
    }
}

static void begin_wait(void) {
    atomic_store(&mine->waiting_since_ns, es__prim_now_ns());
}

static void end_wait(void) {
    int64_t waited = es__prim_now_ns() - atomic_load(&mine->waiting_since_ns);

    atomic_store(&mine->waiting_since_ns, 0);
    if (waited > atomic_load(&mine->worst_wait_ns)) {
        atomic_store(&mine->worst_wait_ns, waited);
    }
}

static int64_t draw_timeout(void) {
    switch (draw(4)) {
    case 0:
        return (int64_t)draw(3000) * 1000;
    case 1:
        return MS * (int64_t)draw(20);
    default:
        return ES_LOCK_FOREVER;
    }
}

static void be_told(es_lock_req_t *req, int status, es_lock_t *lock) {
    turn_t *turn = req->data;

    turn->is_over++;
    turn->status = status;
    if (lock != NULL) {
        turn->lock = lock;
    }
}

/* Drives the monitor until the request is over; cancels it on the way if `patience_turns` says. */
static int drive(turn_t *turn, es_lock_req_t *req, int patience_turns) {
    while (turn->is_over == 0) {
        int64_t pause = es_lock_monitor_timeout(monitor);

        if (patience_turns-- == 0) {
            int code = es_lock_cancel(req);

            if (code != 0 && code != ES_EALREADY) {
                violate("cancel", code, my_number);
            }
        }
        (void)es_lock_monitor_wait(monitor, patience_turns > 0 ? draw(500000) : pause, NULL);
        (void)es_lock_dispatch(monitor);
    }
    if (turn->is_over != 1) {
        violate("two callbacks", turn->is_over, my_number);
    }
    return turn->status;
}

static int request(turn_t *turn, es_lock_kind_t kind, int64_t timeout_ns) {
    es_lock_req_t req = {.data = turn};
    int patience = draw(3) == 0 ? (int)draw(4) : -1;
    int code;

    turn->is_over = 0;
    code = turn->lock == NULL
               ? es_lock_start(monitor, &req, files[turn->file], kind, &turn->range, timeout_ns,
                               be_told)
               : es_lock_start_convert(monitor, &req, turn->lock, kind, timeout_ns, be_told);
    return code != 0 ? code : drive(turn, &req, patience);
}

static int acquire(turn_t *turn, es_lock_kind_t kind) {
    int64_t timeout_ns = draw_timeout();
    int code;

    begin_wait();
    if (draw(2) == 0) {
        code = request(turn, kind, timeout_ns);
    } else {
        code = es_lock_acquire(files[turn->file], kind, &turn->range, timeout_ns, NULL,
                               &turn->lock);
    }
    end_wait();
    atomic_fetch_add(&mine->cancelled, code == ES_ECANCELED);
    if (code != 0 && code != ES_ETIMEDOUT && code != ES_ECANCELED && code != ES_EAGAIN) {
        violate("acquire", code, my_number);
    }
    return code;
}

/* Mostly a moment, sometimes so long that others run. */
static void hold(void) {
    for (uint32_t turns = draw(HOLD_TURNS_MAX); turns > 0; turns--) {
        (void)atomic_load(&shared->stops);
    }
    if (draw(50) == 0) {
        es__prim_yield();
    }
}

static void upgrade(turn_t *turn) {
    int64_t timeout_ns = draw_timeout();
    int code;

    begin_wait();
    code = draw(2) == 0 ? request(turn, ES_LOCK_EXCLUSIVE, timeout_ns)
                        : es_lock_convert(turn->lock, ES_LOCK_EXCLUSIVE, timeout_ns, NULL);
    end_wait();
    if (code == 0) {
        atomic_fetch_add(&mine->upgraded, 1);
        show(turn, ES_LOCK_EXCLUSIVE);
        look_around(turn, ES_LOCK_EXCLUSIVE);
    } else if (code == ES_EDEADLK) {
        atomic_fetch_add(&mine->refused, 1);
    } else if (code != ES_ETIMEDOUT && code != ES_ECANCELED && code != ES_EAGAIN) {
        violate("upgrade", code, my_number);
    }
    if (es_lock_kind(turn->lock) != (code == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED)) {
        violate("the kind after an upgrade", code, my_number);
    }
}

/* What is shown is never more than what is held. */
static void downgrade(turn_t *turn) {
    int code;

    show(turn, ES_LOCK_SHARED);
    code = es_lock_convert(turn->lock, ES_LOCK_SHARED, 0, NULL);
    if (code != 0) {
        violate("downgrade", code, my_number);
    }
    look_around(turn, ES_LOCK_SHARED);
}

static void choose(turn_t *turn) {
    memset(turn, 0, sizeof(*turn));
    turn->file = (int)draw(FILES);
    turn->end = 1;
    if (turn->file == 2) {
        turn->first = draw(CELLS);
        turn->end = turn->first + 1 + draw(CELLS - turn->first);
        turn->range = (es_range_t){turn->first * 10, (turn->end - turn->first) * 10};
    }
}

static void one_round(void) {
    es_lock_kind_t kind = draw(3) == 0 ? ES_LOCK_EXCLUSIVE : ES_LOCK_SHARED;
    turn_t turn;
    int code;

    choose(&turn);
    atomic_fetch_add(&mine->rounds, 1);
    if (acquire(&turn, kind) != 0) {
        return;
    }
    atomic_fetch_add(&mine->acquired, 1);
    show(&turn, (int)kind);
    look_around(&turn, (int)kind);
    hold();
    for (uint32_t steps = draw(3); steps > 0; steps--) {
        if (es_lock_kind(turn.lock) == ES_LOCK_SHARED) {
            upgrade(&turn);
        } else {
            downgrade(&turn);
        }
        hold();
    }
    look_around(&turn, (int)es_lock_kind(turn.lock));
    show(&turn, 0);
    code = es_lock_release(turn.lock);
    if (code != 0) {
        violate("release", code, my_number);
    }
}

static int be_process(const char *number, const char *seed, const char *base) {
    char path[REAL_PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s.shared", base);
    shared = real_map(path, sizeof(*shared));
    my_number = atoi(number);
    mine = &shared->slots[my_number];
    random_state = strtoull(seed, NULL, 10);
    for (int file = 0; file < FILES; file++) {
        (void)snprintf(path, sizeof(path), "%s.%d", base, file);
        if (es_lockfile_open(path, ES_LOCK_CREATE | file_flags[file], 0600, &files[file]) != 0) {
            return 2;
        }
    }
    if (es_lock_monitor_open(&monitor) != 0) {
        return 2;
    }
    atomic_store(&mine->has_started, 1);
    while (!atomic_load(&shared->stops)) {
        one_round();
    }
    es_lock_monitor_close(monitor);
    for (int file = 0; file < FILES; file++) {
        es_lockfile_close(files[file]);
    }
    return 0;
}

/* ---- The one that starts and kills them ---- */

static const char *program;
static const char *base_path;
static real_process_t processes[PROCESSES_MAX];
static int process_count = PROCESSES_USUAL;
static uint64_t seed_next;

/* The dead one's slot starts anew; its counts go on. */
static void spawn(int number) {
    char number_text[16];
    char seed_text[32];
    const char *arguments[] = {program, "--process", number_text, seed_text, base_path, NULL};
    slot_t *slot = &shared->slots[number];

    (void)snprintf(number_text, sizeof(number_text), "%d", number);
    (void)snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed_next++);
    for (int file = 0; file < FILES; file++) {
        for (int cell = 0; cell < CELLS; cell++) {
            atomic_store(&slot->shown[file][cell], 0);
        }
    }
    atomic_store(&slot->waiting_since_ns, 0);
    atomic_store(&slot->has_started, 0);
    atomic_store(&slot->is_dying, 0);
    processes[number] = real_spawn(arguments);
}

static void kill_and_spawn(int number) {
    slot_t *slot = &shared->slots[number];

    if (!atomic_load(&slot->has_started)) {
        return; /* starting a process costs most where killing one costs least */
    }
    atomic_store(&slot->is_dying, 1);
    real_kill(&processes[number]);
    if (real_wait_end(&processes[number], END_MS) == REAL_RUNS) {
        violate("does not die", 0, number);
        return;
    }
    spawn(number);
}

static void watch_waiters(void) {
    int64_t now_ns = es__prim_now_ns();

    for (int number = 0; number < process_count; number++) {
        int64_t since = atomic_load(&shared->slots[number].waiting_since_ns);

        if (since != 0 && now_ns - since > WAIT_MS_MAX * MS) {
            my_number = number;
            violate("forgotten or starved", 0, number);
        }
    }
}

static int run(int64_t seconds) {
    int64_t end_ns = es__prim_now_ns() + seconds * 1000 * MS;
    int kills = 0;

    for (int number = 0; number < process_count; number++) {
        spawn(number);
    }
    while (es__prim_now_ns() < end_ns && atomic_load(&shared->violations) == 0) {
        int victim = (int)draw((uint32_t)process_count);
        int code = real_wait_end(&processes[victim], KILL_PAUSE_MS);

        if (code != REAL_RUNS) {
            violate("ended by itself", code, victim);
            spawn(victim);
        }
        kill_and_spawn(victim);
        kills++;
        watch_waiters();
    }
    return kills;
}

static void stop_all(void) {
    atomic_store(&shared->stops, 1);
    for (int number = 0; number < process_count; number++) {
        int code = real_wait_end(&processes[number], END_MS);

        if (code != 0) {
            violate(code == REAL_RUNS ? "does not end" : "ended badly", code, number);
        }
        if (code == REAL_RUNS) {
            real_kill(&processes[number]);
        }
    }
}

static void report(int kills) {
    uint64_t sums[5] = {0};
    int64_t worst_ns = 0;

    for (int number = 0; number < process_count; number++) {
        slot_t *slot = &shared->slots[number];

        sums[0] += atomic_load(&slot->rounds);
        sums[1] += atomic_load(&slot->acquired);
        sums[2] += atomic_load(&slot->upgraded);
        sums[3] += atomic_load(&slot->refused);
        sums[4] += atomic_load(&slot->cancelled);
        worst_ns = atomic_load(&slot->worst_wait_ns) > worst_ns ? atomic_load(&slot->worst_wait_ns)
                                                                : worst_ns;
    }
    (void)printf("lock-model: %llu rounds, %llu acquired, %llu upgraded, %llu upgrades refused, "
                 "%llu cancelled, %d kills, longest wait %lld ms, %d violations\n",
                 (unsigned long long)sums[0], (unsigned long long)sums[1],
                 (unsigned long long)sums[2], (unsigned long long)sums[3],
                 (unsigned long long)sums[4], kills, (long long)(worst_ns / MS),
                 atomic_load(&shared->violations));
    if (atomic_load(&shared->violations) != 0) {
        (void)printf("lock-model: %s\n", shared->what);
    }
}

int main(int argc, char **argv) {
    char base[REAL_PATH_BYTES];
    char path[REAL_PATH_BYTES + 16];
    int kills;

    if (argc == 5 && strcmp(argv[1], "--process") == 0) {
        return be_process(argv[2], argv[3], argv[4]);
    }
    if (argc < 2 || atoi(argv[1]) <= 0) {
        (void)fprintf(stderr, "usage: lock-model SECONDS [SEED [PROCESSES]]\n");
        return 2;
    }
    real_folder_make();
    real_name(base, "model");
    (void)snprintf(path, sizeof(path), "%s.shared", base);
    shared = real_map(path, sizeof(*shared));
    program = argv[0];
    base_path = base;
    seed_next = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)es__prim_now_ns();
    random_state = seed_next;
    process_count = argc > 3 && atoi(argv[3]) > 1 ? atoi(argv[3]) : PROCESSES_USUAL;
    process_count = process_count < PROCESSES_MAX ? process_count : PROCESSES_MAX;
    (void)printf("lock-model: seed %llu, %d processes\n", (unsigned long long)seed_next,
                 process_count);
    (void)fflush(stdout);
    kills = run(atoi(argv[1]));
    stop_all();
    report(kills);
    return atomic_load(&shared->violations) == 0 ? 0 : 1;
}
