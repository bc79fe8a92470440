/* SPDX-License-Identifier: MIT */
/* Facts about evenshim: what one does on this system, in words that two systems are compared by.
 *
 * A fact looks and says what it sees, line by line (see, see_code). The lines are the observation:
 * it is compared with what the fact expects, and it stands in the report whatever came out. What
 * differs from run to run (ports, descriptors) does not belong into a line.
 */
#ifndef EVENSHIM_TESTS_FACT_H
#define EVENSHIM_TESTS_FACT_H

#include "../check.h"

#include <stdbool.h>
#include <stdio.h>

enum { FACT_LINES_MAX = 16, FACT_LINE_SIZE = 160 };

typedef struct fact fact_t;

struct fact {
    const char *name;      /* area.fact */
    const char *tier;      /* as in the kit: spec or portable */
    const char *statement; /* one sentence */
    const char *source;    /* who says so */
    void (*look)(fact_t *fact);
    const char *expected[FACT_LINES_MAX];

    /* What came of it. */
    char lines[FACT_LINES_MAX][FACT_LINE_SIZE];
    size_t line_count;
    const char *not_here; /* why this system has no such thing */
    bool looked;          /* the look came to its end */
    double seconds;
};

/* The areas; each ends with a fact without a name. */
extern fact_t error_facts[];
extern fact_t lock_facts[];
extern fact_t lock_process_facts[];
extern fact_t socket_facts[];

/* Adds a line. A line too many ends the fact as failed. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void see(fact_t *fact, const char *format, ...);

/* Adds "what: NAME OF THE CODE". */
void see_code(fact_t *fact, const char *what, int code);

/* This system has no such thing: the fact is n/a. */
void not_here(fact_t *fact, const char *reason);

/* Whether a fact saw what it expects. */
bool fact_holds(const fact_t *fact);

/* Writes the kit's report (pyext/evenloop/conformance/report.py) about these facts and closes the
 * file. 0, or -1: it could not be written. */
int write_report(FILE *out, fact_t *const *facts, size_t count, double seconds);

/* What each system says its own way: system_posix.c, system_win.c. */
typedef struct system_words {
    char name[320];
    char release[320];
    char machine[320];
    char wine[32]; /* empty: not under Wine */
} system_words_t;

void describe_system(system_words_t *words);
double clock_seconds(void); /* monotonic */

/* Gives standard output away for the report, which must be alone there: CMocka talks on standard
 * error from then on. NULL: it could not be done. */
FILE *take_standard_output(void);

#endif
