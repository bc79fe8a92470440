/* SPDX-License-Identifier: MIT */
/* lock_handoff.c: what a lock costs alone, and how long it takes from one process to another.
 *
 * Alone: one acquire and release that nobody contends, each timed by itself. Hand-off: from just
 * before the release in one process to the return of the acquire in another, which has been
 * blocked for milliseconds; the two take turns. Each kind of lock has its turn in each round, under
 * two conditions: the cores are idle, so that a sleeping one must be woken first, or awake, kept so
 * by a process a core that yields to anything else. Prints one JSON object; shows progress on
 * standard error. What would break it: a clock that differs between processes. */
#include "histogram.h"
#include "lock_kinds.h"
#include "lock_share.h"
#include "os.h"

#include <real_process.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: lock_handoff [options]\n"
    "  --rounds N      rounds, in each of which every kind of lock has its turn (5)\n"
    "  --hand-offs N   hand-offs in a turn, for each condition (100)\n"
    "  --count N       uncontended acquisitions in a turn (2000)\n"
    "  --only KIND     measure this kind alone\n"
    "  --delay-us N    spend this long in every hand-off, to see that it is noticed (0)\n"
    "  --folder PATH   where to make the files (the system's folder for such)\n";

enum { IDLE, AWAKE, CONDITION_COUNT, KIND_MAX = 12, CORE_MAX = 256, PATH_BYTES = 1024 };

static const char *const condition_names[CONDITION_COUNT] = {"idle", "awake"};

/* How long a turn may take: a hand-off is given a tenth of a second, which is ten times too much,
 * and Linux may take seconds to end a process that has used inotify while all cores are busy. */
#define TURN_LIMIT_S(hand_offs) (30u + (hand_offs) / 10u)
#define END_MS                  60000

typedef struct options {
    unsigned rounds;
    unsigned hand_offs;
    unsigned count;
    unsigned delay_us;
    const char *only;
    const char *folder;
} options_t;

/* Nanoseconds. */
typedef struct figures {
    histogram_t alone;
    histogram_t hand_off[CONDITION_COUNT];
    uint64_t shortest[CONDITION_COUNT];
    uint64_t slept[CONDITION_COUNT]; /* hand-offs in which the waiter really slept */
} figures_t;

static struct bench {
    const char *program;
    options_t options;
    share_t *share;
    char share_path[PATH_BYTES];
    char lock_path[PATH_BYTES];
    figures_t figures[KIND_MAX];
    real_process_t spinners[CORE_MAX];
    unsigned core_count;
    uint64_t awake_ns;   /* how long the spinners ran, */
    uint64_t spinner_ns; /* and the processor time they had of it */
} bench;

/* Who keeps a core awake ends with this. */
static void give_up(const char *what, const char *kind) {
    (void)fprintf(stderr, "lock_handoff: %s: %s\n", kind, what);
    if (bench.share != NULL) {
        atomic_store(&bench.share->is_over, 1);
    }
    exit(1);
}

static void remove_file(const char *path) {
    uv_fs_t request;

    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

/* ---- Cores that stay awake ---- */

static int spin(const char *share_path, unsigned core) {
    share_t *share = real_map(share_path, sizeof(share_t));
    char mask[4096] = {0};

    lock_native_limit(share->limit_s);
    if (lock_native_become_idle() == 0) {
        uv_thread_t self = uv_thread_self();

        /* Where a thread cannot be bound to a core the system spreads them. */
        if (core < sizeof mask && uv_cpumask_size() > 0) {
            mask[core] = 1;
            (void)uv_thread_setaffinity(&self, mask, NULL, (size_t)uv_cpumask_size());
        }
        atomic_fetch_add(&share->spinning, 1);
        while (!atomic_load_explicit(&share->is_over, memory_order_relaxed)) {
        }
    }
    return 0;
}

static void wake_cores(void) {
    char core_text[16];
    const char *arguments[] = {bench.program, "spin", bench.share_path, core_text, NULL};

    atomic_store(&bench.share->is_over, 0);
    atomic_store(&bench.share->spinning, 0);
    for (unsigned core = 0; core < bench.core_count; core++) {
        (void)snprintf(core_text, sizeof core_text, "%u", core);
        bench.spinners[core] = real_spawn(arguments);
    }
    while (atomic_load(&bench.share->spinning) < bench.core_count) {
        real_pause_us(1000);
        if (real_wait_end(&bench.spinners[0], 0) != REAL_RUNS) {
            give_up("a process that keeps a core awake has ended", "the cores");
        }
    }
}

static uint64_t spinner_time(void) {
    uint64_t sum = 0;
    uint64_t one;

    for (unsigned core = 0; core < bench.core_count; core++) {
        if (os_process_cpu_ns(bench.spinners[core].pid, &one) == 0) {
            sum += one;
        }
    }
    return sum;
}

static void let_cores_sleep(void) {
    bench.spinner_ns += spinner_time();
    atomic_store(&bench.share->is_over, 1);
    for (unsigned core = 0; core < bench.core_count; core++) {
        (void)real_wait_end(&bench.spinners[core], -1);
    }
}

/* ---- The two sides ---- */

static int take_part(const char *share_path, const char *kind_name, const char *lock_path) {
    const lock_kind_t *kind = lock_kind_named(kind_name);
    share_t *share = real_map(share_path, sizeof(share_t));

    lock_native_limit(share->limit_s);
    return kind != NULL && share_run(share, kind, lock_path, 1) == 0 ? 0 : 1;
}

static void hand_over(const lock_kind_t *kind, figures_t *figures, int condition) {
    const char *arguments[] = {bench.program, "side",          bench.share_path,
                               kind->name,    bench.lock_path, NULL};
    share_t *share = bench.share;
    real_process_t other;

    share_begin(share, bench.options.hand_offs, bench.options.delay_us);
    if (share_run_first(share, kind, bench.lock_path, &other, arguments) != 0 ||
        real_wait_end(&other, END_MS) != 0) {
        give_up("the hand-off failed", kind->name);
    }
    for (unsigned turn = 0; turn < bench.options.hand_offs; turn++) {
        uint64_t took_ns = share->took_ns[turn];

        histogram_add(&figures->hand_off[condition], took_ns);
        figures->slept[condition] += share->has_slept[turn];
        if (figures->shortest[condition] == 0 || took_ns < figures->shortest[condition]) {
            figures->shortest[condition] = took_ns;
        }
    }
    remove_file(bench.lock_path);
}

static void measure_alone(const lock_kind_t *kind, figures_t *figures) {
    side_lock_t lock = {0};
    int code = kind->open(&lock, bench.lock_path, 1);

    for (unsigned turn = 0; turn < bench.options.count && code == 0; turn++) {
        uint64_t began = uv_hrtime();

        code = kind->acquire(&lock) | kind->release(&lock);
        histogram_add(&figures->alone, uv_hrtime() - began);
    }
    if (code != 0) {
        give_up("acquiring and releasing failed", kind->name);
    }
    kind->close(&lock);
    remove_file(bench.lock_path);
}

static int is_wanted(const lock_kind_t *kind) {
    return bench.options.only == NULL || strcmp(bench.options.only, kind->name) == 0;
}

static void hand_over_awake(const lock_kind_t *kind, figures_t *figures) {
    uint64_t began;

    wake_cores();
    began = uv_hrtime();
    hand_over(kind, figures, AWAKE);
    bench.awake_ns += uv_hrtime() - began;
    let_cores_sleep();
}

static void run_round(unsigned number) {
    const lock_kind_t *kind;

    (void)fprintf(stderr, "lock_handoff: round %u of %u\n", number + 1, bench.options.rounds);
    for (int condition = IDLE; condition < CONDITION_COUNT; condition++) {
        for (size_t index = 0; (kind = lock_kind_at(index)) != NULL; index++) {
            figures_t *figures = &bench.figures[index];

            if (!is_wanted(kind)) {
                continue;
            }
            if (condition == IDLE) {
                measure_alone(kind, figures);
                hand_over(kind, figures, IDLE);
            } else {
                hand_over_awake(kind, figures);
            }
        }
    }
}

/* ---- The report ---- */

static void print_times(const char *name, const histogram_t *times) {
    (void)printf("\"%s\": {\"count\": %" PRIu64 ", \"median_us\": %.3f, \"p99_us\": %.3f", name,
                 times->count, (double)histogram_percentile(times, 0.5) / 1e3,
                 (double)histogram_percentile(times, 0.99) / 1e3);
}

static void print_kind(const lock_kind_t *kind, const figures_t *figures, int is_first) {
    (void)printf("%s\n  {\"name\": \"%s\", \"label\": \"%s\",\n   ", is_first ? "" : ",",
                 kind->name, kind->label);
    print_times("alone", &figures->alone);
    for (int condition = IDLE; condition < CONDITION_COUNT; condition++) {
        (void)printf("},\n   ");
        print_times(condition_names[condition], &figures->hand_off[condition]);
        (void)printf(", \"shortest_us\": %.3f, \"slept\": ",
                     (double)figures->shortest[condition] / 1e3);
        if (lock_native_sleeps() < 0) {
            (void)printf("null");
        } else {
            (void)printf("%" PRIu64, figures->slept[condition]);
        }
    }
    (void)printf("}}");
}

static void print_report(void) {
    const lock_kind_t *kind;
    int is_first = 1;

    (void)printf("{\"cores\": %u, \"rounds\": %u, \"hand_offs\": %u, \"count\": %u, "
                 "\"awake_share\": %.3f,\n \"kinds\": [",
                 bench.core_count, bench.options.rounds, bench.options.hand_offs,
                 bench.options.count,
                 (double)bench.spinner_ns / ((double)bench.awake_ns * bench.core_count));
    for (size_t index = 0; (kind = lock_kind_at(index)) != NULL; index++) {
        if (is_wanted(kind)) {
            print_kind(kind, &bench.figures[index], is_first);
            is_first = 0;
        }
    }
    (void)printf("\n]}\n");
}

/* ---- The command line ---- */

static int read_number(const char *text, unsigned long most, unsigned *number) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || text[0] == '-' || value > most) {
        return -1;
    }
    *number = (unsigned)value;
    return 0;
}

static int read_option(options_t *options, const char *name, const char *text) {
    if (strcmp(name, "--rounds") == 0) {
        return read_number(text, 1000, &options->rounds) == 0 && options->rounds > 0 ? 0 : -1;
    }
    if (strcmp(name, "--hand-offs") == 0) {
        return read_number(text, SHARE_HAND_OFFS_MAX, &options->hand_offs) == 0 &&
                       options->hand_offs > 0
                   ? 0
                   : -1;
    }
    if (strcmp(name, "--count") == 0) {
        return read_number(text, 100000000, &options->count) == 0 && options->count > 0 ? 0 : -1;
    }
    if (strcmp(name, "--delay-us") == 0) {
        return read_number(text, 100000, &options->delay_us);
    }
    if (strcmp(name, "--folder") == 0) {
        options->folder = text;
        return 0;
    }
    options->only = text;
    return strcmp(name, "--only") == 0 && lock_kind_named(text) != NULL ? 0 : -1;
}

static void prepare(const char *program) {
    char folder[PATH_BYTES / 2];
    size_t size = sizeof folder;

    if (bench.options.folder != NULL) {
        (void)snprintf(folder, sizeof folder, "%s", bench.options.folder);
    } else if (uv_os_tmpdir(folder, &size) != 0) {
        give_up("the system has no folder for temporary files", "the files");
    }
    bench.program = program;
    bench.core_count = uv_available_parallelism();
    bench.core_count = bench.core_count < CORE_MAX ? bench.core_count : CORE_MAX;
    (void)snprintf(bench.share_path, sizeof bench.share_path, "%s/lock-handoff-%d.share", folder,
                   (int)uv_os_getpid());
    (void)snprintf(bench.lock_path, sizeof bench.lock_path, "%s/lock-handoff-%d.lock", folder,
                   (int)uv_os_getpid());
    bench.share = real_map(bench.share_path, sizeof(share_t));
    bench.share->limit_s = TURN_LIMIT_S(bench.options.hand_offs);
}

int main(int argc, char **argv) {
    options_t options = {.rounds = 5, .hand_offs = 100, .count = 2000};

    if (argc == 5 && strcmp(argv[1], "side") == 0) {
        return take_part(argv[2], argv[3], argv[4]);
    }
    if (argc == 4 && strcmp(argv[1], "spin") == 0) {
        return spin(argv[2], (unsigned)atoi(argv[3]));
    }
    for (int index = 1; index < argc; index += 2) {
        if (index + 1 == argc || read_option(&options, argv[index], argv[index + 1]) != 0) {
            (void)fprintf(stderr, "lock_handoff: wrong argument: %s\n%s", argv[index], usage);
            return 2;
        }
    }
    bench.options = options;
    prepare(argv[0]);
    for (unsigned round = 0; round < options.rounds; round++) {
        run_round(round);
    }
    print_report();
    real_unmap(bench.share, sizeof(share_t));
    remove_file(bench.share_path);
    return 0;
}
