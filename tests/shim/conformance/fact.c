/* SPDX-License-Identifier: MIT */
/* Recording what a fact sees, and writing the report. */
#include "fact.h"

#include <evenshim/evenshim.h>

#include <string.h>
#include <time.h>

void see(fact_t *fact, const char *format, ...) {
    va_list arguments;

    assert_true(fact->line_count < FACT_LINES_MAX);
    va_start(arguments, format);
    (void)vsnprintf(fact->lines[fact->line_count], FACT_LINE_SIZE, format, arguments);
    va_end(arguments);
    fact->line_count++;
}

void see_code(fact_t *fact, const char *what, int code) {
    see(fact, "%s: %s", what, es_error_name(code));
}

void not_here(fact_t *fact, const char *reason) {
    fact->not_here = reason;
}

bool fact_holds(const fact_t *fact) {
    size_t index = 0;

    for (; index < fact->line_count; index++) {
        if (index == FACT_LINES_MAX || fact->expected[index] == NULL ||
            strcmp(fact->expected[index], fact->lines[index]) != 0) {
            return false;
        }
    }
    return fact->looked && (index == FACT_LINES_MAX || fact->expected[index] == NULL);
}

/* JSON text. Our own words are ASCII; what the system calls itself may not be. */
static void write_text(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;

        if (byte == '"' || byte == '\\') {
            (void)fprintf(out, "\\%c", byte);
        } else if (byte < 0x20 || byte > 0x7e) {
            (void)fprintf(out, "\\u%04x", byte);
        } else {
            (void)fputc(byte, out);
        }
    }
    (void)fputc('"', out);
}

static void write_member(FILE *out, const char *key, const char *text) {
    (void)fprintf(out, "\"%s\": ", key);
    write_text(out, text);
}

static void write_lines(FILE *out, const char *key, const fact_t *fact, bool expected) {
    (void)fprintf(out, ", \"%s\": [", key);
    for (size_t index = 0; index < FACT_LINES_MAX; index++) {
        const char *line = expected ? fact->expected[index] : fact->lines[index];

        if (expected ? line == NULL : index == fact->line_count) {
            break;
        }
        (void)fputs(index == 0 ? "" : ", ", out);
        write_text(out, line);
    }
    (void)fputc(']', out);
}

static void write_fact(FILE *out, const fact_t *fact) {
    const char *dot = strchr(fact->name, '.');
    bool holds = fact_holds(fact);
    const char *verdict = fact->not_here != NULL ? "n/a" : holds ? "ok" : "FAIL";

    (void)fputs("  {", out);
    write_member(out, "name", fact->name);
    (void)fprintf(out, ", \"area\": \"%.*s\", ", (int)(dot - fact->name), fact->name);
    write_member(out, "tier", fact->tier);
    (void)fputs(", ", out);
    write_member(out, "verdict", verdict);
    if (fact->not_here != NULL) {
        (void)fputs(", ", out);
        write_member(out, "reason", fact->not_here);
    } else {
        write_lines(out, "observation", fact, false);
        if (!holds) {
            write_lines(out, "expected", fact, true);
            (void)fputs(", ", out);
            write_member(out, "reason",
                         fact->looked ? "observed something else than expected"
                                      : "ended before it had looked at everything");
        }
    }
    (void)fprintf(out, ", \"duration\": %.4f}", fact->seconds);
}

static void write_head(FILE *out, double seconds) {
    system_words_t words;
    time_t now = time(NULL);
    struct tm *utc = gmtime(&now);
    char started[32] = "";

    memset(&words, 0, sizeof(words));
    describe_system(&words);
    if (utc != NULL) {
        (void)strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", utc);
    }
    (void)fputs("{\"schema\": \"evenloop-conformance/1\",\n"
                " \"loop\": {\"name\": \"evenshim\", \"type\": \"C library\", ",
                out);
    write_member(out, "version", es_version_string());
    (void)fputs("},\n \"python\": null,\n \"system\": {", out);
    write_member(out, "name", words.name);
    (void)fputs(", ", out);
    write_member(out, "release", words.release);
    (void)fputs(", ", out);
    write_member(out, "machine", words.machine);
    (void)fputs(", ", out);
    if (words.wine[0] != '\0') {
        write_member(out, "wine", words.wine);
    } else {
        (void)fputs("\"wine\": null", out);
    }
    (void)fputs("},\n ", out);
    write_member(out, "started", started);
    (void)fprintf(out, ", \"duration\": %.3f,\n \"facts\": [\n", seconds);
}

int write_report(FILE *out, fact_t *const *facts, size_t count, double seconds) {
    int failed;

    write_head(out, seconds);
    for (size_t index = 0; index < count; index++) {
        write_fact(out, facts[index]);
        (void)fputs(index + 1 < count ? ",\n" : "\n", out);
    }
    (void)fputs(" ]}\n", out);
    failed = ferror(out);
    return fclose(out) != 0 || failed ? -1 : 0;
}
