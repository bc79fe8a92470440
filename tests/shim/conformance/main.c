/* SPDX-License-Identifier: MIT */
/* evenshim-conformance: what evenshim does on this system, fact by fact, as a report in the form of
 * the conformance kit, whose `diff` and `matrix` read it.
 *
 *     evenshim-conformance                     the report on standard output
 *     evenshim-conformance --output FILE       ... in a file
 *     evenshim-conformance --list              the facts and what they state
 *     evenshim-conformance --check PATTERN     only these facts; * and ? stand for others
 *
 * Exit code: 0 all is well, 1 something is not, 2 wrong usage or a file that cannot be written.
 */
#include "fact.h"
#include "lock_process_facts.h"

#include <string.h>

enum { FACTS_MAX = 128 };

static fact_t *const areas[] = {error_facts, lock_facts, lock_process_facts, socket_facts};

typedef struct options {
    const char *output;
    const char *pattern;
    bool list;
} options_t;

static void run_fact(void **state) {
    fact_t *fact = *state;
    double started = clock_seconds();

    fact->look(fact);
    fact->looked = true;
    fact->seconds = clock_seconds() - started;
    if (fact->not_here != NULL) {
        print_message("n/a: %s\n", fact->not_here);
        return;
    }
    if (!fact_holds(fact)) {
        for (size_t index = 0; index < fact->line_count; index++) {
            print_error("observed: %s\n", fact->lines[index]);
        }
        for (size_t index = 0; index < FACT_LINES_MAX && fact->expected[index] != NULL; index++) {
            print_error("expected: %s\n", fact->expected[index]);
        }
        fail();
    }
}

static bool matches(const char *pattern, const char *name) {
    for (; *pattern != '\0'; pattern++, name++) {
        if (*pattern == '*') {
            while (*name != '\0' && !matches(pattern + 1, name)) {
                name++;
            }
            return *name != '\0' || matches(pattern + 1, name);
        }
        if (*name == '\0' || (*pattern != '?' && *pattern != *name)) {
            return false;
        }
    }
    return *name == '\0';
}

static size_t choose(const char *pattern, fact_t **chosen) {
    size_t count = 0;

    for (size_t area = 0; area < COUNT(areas); area++) {
        for (fact_t *fact = areas[area]; fact->name != NULL; fact++) {
            if (pattern == NULL || matches(pattern, fact->name)) {
                assert_true(count < FACTS_MAX);
                chosen[count++] = fact;
            }
        }
    }
    return count;
}

static int complain(const char *what, const char *about) {
    (void)fprintf(stderr, "evenshim-conformance: %s %s\n", what, about);
    return 2;
}

static int read_options(int argc, char **argv, options_t *options) {
    for (int index = 1; index < argc; index++) {
        bool more = index + 1 < argc;

        if (strcmp(argv[index], "--list") == 0) {
            options->list = true;
        } else if (strcmp(argv[index], "--output") == 0 && more) {
            options->output = argv[++index];
        } else if (strcmp(argv[index], "--check") == 0 && more) {
            options->pattern = argv[++index];
        } else {
            return complain("wrong argument, or one that lacks its value:", argv[index]);
        }
    }
    return 0;
}

static int run_and_report(fact_t **chosen, size_t count, const char *path) {
    static struct CMUnitTest tests[FACTS_MAX];
    FILE *out = path != NULL ? fopen(path, "wb") : take_standard_output();
    double started = clock_seconds();
    int failed;

    if (out == NULL) {
        return complain("cannot write", path != NULL ? path : "to standard output");
    }
    for (size_t index = 0; index < count; index++) {
        tests[index].name = chosen[index]->name;
        tests[index].test_func = run_fact;
        tests[index].initial_state = chosen[index];
    }
    failed = _cmocka_run_group_tests("evenshim", tests, count, NULL, NULL);
    if (write_report(out, chosen, count, clock_seconds() - started) != 0) {
        return complain("cannot write", path != NULL ? path : "to standard output");
    }
    return failed != 0;
}

int main(int argc, char **argv) {
    options_t options = {NULL, NULL, false};
    fact_t *chosen[FACTS_MAX];
    size_t count;
    int code = lock_child(argc, argv);

    if (code >= 0) {
        return code;
    }
    if (read_options(argc, argv, &options) != 0) {
        return 2;
    }
    count = choose(options.pattern, chosen);
    if (count == 0) {
        return complain("there is no fact", options.pattern);
    }
    if (options.list) {
        for (size_t index = 0; index < count; index++) {
            (void)printf("%s\n    %s\n    %s: %s\n", chosen[index]->name, chosen[index]->statement,
                         chosen[index]->tier, chosen[index]->source);
        }
        return 0;
    }
    return run_and_report(chosen, count, options.output);
}
