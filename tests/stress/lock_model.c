/* SPDX-License-Identifier: MIT */
/* lock-model: do evenshim's locks keep their word among many processes?
 *
 *     lock-model [--seconds N] [--seed N] [--slow N] [--starved-ms N] [--no-kills]
 *                [--break shared|upgrade|release|deaf] [--expect VIOLATION]
 *
 * Twelve processes do random operations (lock_worker.c) and mark what they hold (lock_record.c).
 * This one kills them at random, clears up and starts them anew, and watches the waiters: nobody
 * waits while nothing is held (a wake-up was lost), nobody waits longer than --starved-ms. At the
 * end everything must be free. --slow N multiplies these limits, for slow machines.
 *
 * Exit code: 0 no violation (with --expect: that very one); 1 a violation, which is printed with
 * the last operations and the seed; 2 wrong usage or a system that cannot run it. */
#include "lock_worker.h"

#include "check.h"
#include "prim/lock.h"
#include "real_file.h"
#include "real_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS ((int64_t)1000000)
#define S  (1000 * MS)

/* How long a space may be quiet while somebody waits in it, and how often it must be seen so. */
#define QUIET_NS           (2 * S)
#define QUIET_LOOKS        40
#define LOOK_US            10000
#define PROGRESS_NS        (5 * S)
#define END_MS             20000
#define KILL_FIRST_MS      20
#define KILL_SPREAD_MS     300
#define STARVED_DEFAULT_MS 30000

static const char *const violation_names[] = {"none",       "exclusion", "lost-wakeup",
                                              "starvation", "answer",    "crash"};
static const char *const fault_names[] = {"none", "shared", "upgrade", "release", "deaf"};

typedef struct options {
    uint64_t seed;
    int64_t seconds;
    int64_t slow;
    int64_t starved_ms;
    int fault;
    int expected; /* a violation_t */
    int has_kills;
} options_t;

typedef struct quiet {
    int64_t since_ns;
    int looks;
    unsigned long long grants;
} quiet_t;

static struct supervisor {
    const char *program;
    options_t options;
    record_t *record;
    char base[REAL_PATH_BYTES];
    char record_path[REAL_PATH_BYTES];
    real_process_t processes[SLOT_COUNT];
    int is_running[SLOT_COUNT];
    unsigned incarnations[SLOT_COUNT];
    random_t random;
    quiet_t quiet[SPACE_COUNT];
    unsigned long long kill_count;
    int64_t started_ns;
} supervisor;

/* ---- Processes ---- */

static void start_worker(int slot) {
    char slot_text[16];
    char incarnation_text[16];
    const char *arguments[] = {
        supervisor.program, "worker", supervisor.record_path, slot_text, incarnation_text,
        supervisor.base,    NULL};

    (void)snprintf(slot_text, sizeof(slot_text), "%d", slot);
    (void)snprintf(incarnation_text, sizeof(incarnation_text), "%u",
                   supervisor.incarnations[slot]++);
    supervisor.processes[slot] = real_spawn(arguments);
    supervisor.is_running[slot] = 1;
}

static void kill_one(int slot) {
    slot_t *own = &supervisor.record->slots[slot];

    atomic_store(&own->is_doomed, 1);
    real_kill(&supervisor.processes[slot]);
    if (real_wait_end(&supervisor.processes[slot], END_MS) == REAL_RUNS) {
        record_violation(supervisor.record, slot, VIOLATION_CRASH, "process %d cannot be killed",
                         slot);
    }
    supervisor.is_running[slot] = 0;
    record_clear(supervisor.record, slot);
    atomic_store(&own->is_doomed, 0);
}

static void end_all(void) {
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        if (supervisor.is_running[slot]) {
            kill_one(slot);
        }
    }
}

static void collect(void) {
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        int code = supervisor.is_running[slot] ? real_wait_end(&supervisor.processes[slot], 0)
                                               : REAL_RUNS;

        if (code != REAL_RUNS) {
            supervisor.is_running[slot] = 0;
            if (code != 0) {
                /* Said in any case: the marks it left may be what others complained of first. */
                (void)printf("lock-model: process %d ended with code %d\n", slot, code);
                record_violation(supervisor.record, slot, VIOLATION_CRASH,
                                 "process %d ended by itself with code %d", slot, code);
            }
        }
    }
}

static int running_count(void) {
    int count = 0;

    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        count += supervisor.is_running[slot];
    }
    return count;
}

/* ---- Waiters ---- */

static int is_marked(int space) {
    int first = space % 2 != 0 ? 1 : 0;
    int last = space % 2 != 0 ? CELL_COUNT : 0;

    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        for (int mark = first; mark <= last; mark++) {
            if (atomic_load(&supervisor.record->slots[slot].marks[space / 2][mark]) != 0) {
                return 1;
            }
        }
    }
    return 0;
}

static void look_at_space(int space, int64_t now_ns) {
    quiet_t *quiet = &supervisor.quiet[space];
    unsigned long long grants = atomic_load(&supervisor.record->grants[space]);

    if (is_marked(space) || grants != quiet->grants) {
        *quiet = (quiet_t){now_ns, 0, grants};
        return;
    }
    quiet->looks++;
}

static void look_at_wait(int slot, const wait_t *wait, int64_t now_ns) {
    const quiet_t *quiet = &supervisor.quiet[atomic_load(&wait->space)];
    int64_t since_ns = atomic_load(&wait->since_ns);
    int64_t quiet_ns;

    if (since_ns == 0) {
        return;
    }
    if (now_ns - since_ns > supervisor.options.starved_ms * MS) {
        record_violation(supervisor.record, slot, VIOLATION_STARVATION,
                         "process %d has waited for %.1f s in file %d", slot,
                         (double)(now_ns - since_ns) / 1e9, atomic_load(&wait->space) / 2);
    }
    quiet_ns = now_ns - (since_ns > quiet->since_ns ? since_ns : quiet->since_ns);
    if (quiet_ns > QUIET_NS * supervisor.options.slow && quiet->looks >= QUIET_LOOKS) {
        record_violation(supervisor.record, slot, VIOLATION_LOST_WAKEUP,
                         "process %d waits in file %d (%s), where nothing is held for %.1f s", slot,
                         atomic_load(&wait->space) / 2,
                         atomic_load(&wait->space) % 2 != 0 ? "ranges" : "whole",
                         (double)quiet_ns / 1e9);
    }
}

static void look_at_waiters(void) {
    int64_t now_ns = es__prim_now_ns();

    for (int space = 0; space < SPACE_COUNT; space++) {
        look_at_space(space, now_ns);
    }
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        for (int which = 0; which < WAIT_COUNT; which++) {
            look_at_wait(slot, &supervisor.record->slots[slot].waits[which], now_ns);
        }
    }
}

/* ---- Words ---- */

static unsigned long long total(int what) {
    unsigned long long sum = 0;

    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        sum += atomic_load(&supervisor.record->slots[slot].counts[what]);
    }
    return sum;
}

static double worst_wait_ms(void) {
    int64_t worst_ns = 0;

    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        int64_t wait_ns = atomic_load(&supervisor.record->slots[slot].worst_wait_ns);

        worst_ns = wait_ns > worst_ns ? wait_ns : worst_ns;
    }
    return (double)worst_ns / 1e6;
}

static void print_progress(int is_last) {
    int is_terminal = real_is_terminal();

    (void)printf("%slock-model: %" PRId64 " s, %llu operations, %llu grants, %llu upgrades, "
                 "%llu refused, %llu kills, worst wait %.0f ms%s",
                 is_terminal ? "\r" : "", (es__prim_now_ns() - supervisor.started_ns) / S,
                 total(COUNT_OPERATIONS), total(COUNT_GRANTS), total(COUNT_UPGRADES),
                 total(COUNT_DEADLOCKS), supervisor.kill_count, worst_wait_ms(),
                 is_terminal && !is_last ? "" : "\n");
    (void)fflush(stdout);
}

static void print_summary(void) {
    print_progress(1);
    (void)printf("operations %llu\ngrants %llu\nupgrades %llu\nupgrades refused (EDEADLK) %llu\n"
                 "downgrades %llu\nbusy (EAGAIN) %llu\ntimed out %llu\ncancelled %llu\nkills %llu\n"
                 "worst wait %.1f ms\nseed %" PRIu64 "\n",
                 total(COUNT_OPERATIONS), total(COUNT_GRANTS), total(COUNT_UPGRADES),
                 total(COUNT_DEADLOCKS), total(COUNT_DOWNGRADES), total(COUNT_BUSY),
                 total(COUNT_TIMEOUTS), total(COUNT_CANCELLED), supervisor.kill_count,
                 worst_wait_ms(), supervisor.options.seed);
}

static int conclude(void) {
    record_t *record = supervisor.record;
    int violation = atomic_load(&record->violation);

    print_summary();
    if (violation == supervisor.options.expected) {
        (void)printf("lock-model: %s\n", violation == 0 ? "no violation" : record->words);
        return 0;
    }
    if (violation == VIOLATION_NONE) {
        (void)printf("lock-model: no violation, but there had to be one: %s\n",
                     violation_names[supervisor.options.expected]);
        return 1;
    }
    record_print_events(record);
    (void)printf("lock-model: VIOLATION (%s): %s\nOnce more: lock-model --seed %" PRIu64 "\n",
                 violation_names[violation], record->words, supervisor.options.seed);
    return 1;
}

/* ---- The run ---- */

static int is_violated(void) {
    int violation = atomic_load(&supervisor.record->violation);

    while (violation < 0) { /* somebody is writing it down */
        real_pause_us(1000);
        violation = atomic_load(&supervisor.record->violation);
    }
    return violation != VIOLATION_NONE;
}

static int64_t next_kill_ns(int64_t now_ns) {
    return now_ns +
           (KILL_FIRST_MS + (int64_t)random_below(&supervisor.random, KILL_SPREAD_MS)) * MS;
}

static void watch(void) {
    int64_t now_ns = es__prim_now_ns();
    int64_t end_ns = now_ns + supervisor.options.seconds * S;
    int64_t kill_ns = next_kill_ns(now_ns);
    int64_t progress_ns = now_ns + PROGRESS_NS;

    while (now_ns < end_ns && !is_violated()) {
        real_pause_us(LOOK_US);
        now_ns = es__prim_now_ns();
        atomic_store(&supervisor.record->heartbeat_ns, now_ns);
        collect();
        look_at_waiters();
        if (supervisor.options.has_kills && now_ns >= kill_ns) {
            int slot = (int)random_below(&supervisor.random, SLOT_COUNT);

            if (supervisor.is_running[slot]) {
                kill_one(slot);
                supervisor.kill_count++;
                start_worker(slot);
            }
            kill_ns = next_kill_ns(now_ns);
        }
        if (now_ns >= progress_ns) {
            print_progress(0);
            progress_ns += PROGRESS_NS;
        }
    }
}

/* All let go and end by themselves. */
static void finish(void) {
    int64_t limit_ns = es__prim_now_ns() + END_MS * MS * supervisor.options.slow;

    atomic_store(&supervisor.record->is_over, 1);
    while (running_count() > 0 && es__prim_now_ns() < limit_ns && !is_violated()) {
        real_pause_us(LOOK_US);
        atomic_store(&supervisor.record->heartbeat_ns, es__prim_now_ns());
        collect();
    }
    if (running_count() > 0 && !is_violated()) {
        record_violation(supervisor.record, 0, VIOLATION_LOST_WAKEUP,
                         "%d processes do not end although all let go", running_count());
    }
}

/* After the end of all: is everything free? */
static void look_for_leftovers(void) {
    for (int file = 0; file < FILE_COUNT && !is_violated(); file++) {
        const target_t cells = {file, 1, CELL_COUNT};
        es_range_t range;
        es_lockfile_t *opened = NULL;
        es_lock_t *locks[2] = {NULL, NULL};
        int code = lock_file_open(supervisor.base, file, &opened);

        if (code == 0) {
            code = es_lock_acquire(opened, ES_LOCK_EXCLUSIVE, NULL, S, NULL, &locks[0]);
        }
        if (code == 0) {
            code = es_lock_acquire(opened, ES_LOCK_EXCLUSIVE, range_of(&cells, 1, &range), S, NULL,
                                   &locks[1]);
        }
        if (code != 0) {
            record_violation(supervisor.record, 0, VIOLATION_EXCLUSION,
                             "file %d is not free when all have ended: %s", file,
                             es_error_name(code));
        }
        for (int index = 0; index < 2; index++) {
            if (locks[index] != NULL) {
                (void)es_lock_release(locks[index]);
            }
        }
        es_lockfile_close(opened);
    }
}

static void prepare(void) {
    real_folder_make();
    real_name(supervisor.base, "model");
    real_name(supervisor.record_path, "model.record");
    supervisor.record = real_map(supervisor.record_path, sizeof(record_t));
    supervisor.started_ns = es__prim_now_ns();
    supervisor.record->seed = supervisor.options.seed;
    supervisor.record->fault = supervisor.options.fault;
    atomic_store(&supervisor.record->heartbeat_ns, supervisor.started_ns);
    random_seed(&supervisor.random, supervisor.options.seed);
}

static int supervise(void) {
    int code;

    prepare();
    (void)printf("lock-model: %d processes for %" PRId64 " s, seed %" PRIu64 "\n", SLOT_COUNT,
                 supervisor.options.seconds, supervisor.options.seed);
    (void)fflush(stdout);
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        start_worker(slot);
    }
    watch();
    finish();
    end_all();
    look_for_leftovers();
    code = conclude();
    real_unmap(supervisor.record, sizeof(record_t));
    real_folder_remove();
    return code;
}

/* ---- The command line ---- */

static int find_name(const char *name, const char *const *names, int count) {
    int index = 0;

    while (index < count && strcmp(name, names[index]) != 0) {
        index++;
    }
    return index < count ? index : -1;
}

static int read_number(const char *text, int64_t *number) {
    char *end = NULL;

    *number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *number > 0 ? 0 : -1;
}

static int read_option(options_t *options, const char *name, const char *value) {
    int64_t seed = 0;
    int code = -1;

    if (strcmp(name, "--seconds") == 0) {
        code = read_number(value, &options->seconds);
    } else if (strcmp(name, "--seed") == 0) {
        code = read_number(value, &seed);
        options->seed = (uint64_t)seed;
    } else if (strcmp(name, "--slow") == 0) {
        code = read_number(value, &options->slow);
    } else if (strcmp(name, "--starved-ms") == 0) {
        code = read_number(value, &options->starved_ms);
    } else if (strcmp(name, "--break") == 0) {
        options->fault = find_name(value, fault_names, FAULT_DEAF + 1);
        options->has_kills = 0; /* a killed process lets go of what the fault keeps */
        code = options->fault > 0 ? 0 : -1;
    } else if (strcmp(name, "--expect") == 0) {
        options->expected = find_name(value, violation_names, VIOLATION_CRASH + 1);
        code = options->expected > 0 ? 0 : -1;
    }
    return code;
}

static int read_options(int argc, char **argv, options_t *options) {
    for (int index = 1; index < argc; index++) {
        if (strcmp(argv[index], "--no-kills") == 0) {
            options->has_kills = 0;
        } else if (index + 1 == argc || read_option(options, argv[index], argv[index + 1]) != 0) {
            (void)fprintf(stderr, "lock-model: wrong argument: %s\n", argv[index]);
            return -1;
        } else {
            index++;
        }
    }
    options->starved_ms *= options->slow;
    return 0;
}

static int run_worker(char **argv) {
    record_t *record = real_map(argv[0], sizeof(record_t));

    return worker_run(record, atoi(argv[1]), (unsigned)atoi(argv[2]), argv[3]);
}

int main(int argc, char **argv) {
    options_t options = {.seed = (uint64_t)es__prim_now_ns() % 1000000000,
                         .seconds = 20,
                         .slow = 1,
                         .starved_ms = STARVED_DEFAULT_MS,
                         .has_kills = 1};

    if (argc == 6 && strcmp(argv[1], "worker") == 0) {
        return run_worker(argv + 2);
    }
    if (read_options(argc, argv, &options) != 0) {
        return 2;
    }
    supervisor.program = argv[0];
    supervisor.options = options;
    return supervise();
}
