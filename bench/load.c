/* SPDX-License-Identifier: MIT */
/* load.c: the load client's command line and its report, one JSON object on standard output.
 *
 * Exit code: 0 all went well; 1 something failed while running, the report says what; 2 the
 * command line is wrong. */
#include "load.h"
#include "os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: load --port N [options]\n"
    "  --host ADDRESS     IPv4 address of the echo server (127.0.0.1)\n"
    "  --connections N    connections at once (10)\n"
    "  --size BYTES       bytes in a message (1024)\n"
    "  --depth N          messages under way on each connection, pipelined (1)\n"
    "  --seconds S        how long to measure (3)\n"
    "  --messages N       measure this many messages instead of a time\n"
    "  --warmup S         run this long before measuring (0.5)\n"
    "  --churn            each connection carries one message, then a new one is made\n"
    "  --reset            churned connections end by RST and leave no TIME_WAIT\n"
    "  --udp              datagrams, one under way on each of the --connections sockets\n"
    "  --server-pid N     report the processor time of this process, too\n"
    "  --stall S          give up after this long without any answer (10)\n";

static bool parse_number(const char *text, double min, double max, double *number) {
    char *end;

    *number = strtod(text, &end);
    return end != text && *end == '\0' && *number >= min && *number <= max;
}

/* Sets the option `name` from `text`. Returns false when there is no such option or its value is
 * out of bounds. */
static bool set_option(load_options_t *options, const char *name, const char *text) {
    double number;

    if (strcmp(name, "--host") == 0) {
        options->host = text;
    } else if (strcmp(name, "--port") == 0 && parse_number(text, 1, 65535, &number)) {
        options->port = (int)number;
    } else if (strcmp(name, "--connections") == 0 && parse_number(text, 1, 1e6, &number)) {
        options->connection_count = (uint32_t)number;
    } else if (strcmp(name, "--size") == 0 && parse_number(text, 1, LOAD_WINDOW_MAX, &number)) {
        options->size = (uint32_t)number;
    } else if (strcmp(name, "--depth") == 0 && parse_number(text, 1, 65536, &number)) {
        options->depth = (uint32_t)number;
    } else if (strcmp(name, "--seconds") == 0 && parse_number(text, 0.001, 1e6, &number)) {
        options->measure_ms = (uint64_t)(number * 1e3);
    } else if (strcmp(name, "--messages") == 0 && parse_number(text, 1, 1e15, &number)) {
        options->message_count = (uint64_t)number;
    } else if (strcmp(name, "--warmup") == 0 && parse_number(text, 0, 1e6, &number)) {
        options->warmup_ms = (uint64_t)(number * 1e3);
    } else if (strcmp(name, "--server-pid") == 0 && parse_number(text, 1, 4294967295.0, &number)) {
        options->server_pid = (int64_t)number;
    } else if (strcmp(name, "--stall") == 0 && parse_number(text, 0.1, 1e6, &number)) {
        options->stall_ms = (uint64_t)(number * 1e3);
    } else {
        return false;
    }
    return true;
}

static int parse(load_options_t *options, int argc, char **argv) {
    for (int i = 1, taken = 1; i < argc; i += taken, taken = 1) {
        if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(usage, stdout);
            return 1;
        }
        if (strcmp(argv[i], "--churn") == 0) {
            options->churn = true;
        } else if (strcmp(argv[i], "--reset") == 0) {
            options->reset = true;
        } else if (strcmp(argv[i], "--udp") == 0) {
            options->udp = true;
        } else if (i + 1 < argc && set_option(options, argv[i], argv[i + 1])) {
            taken = 2;
        } else {
            (void)fprintf(stderr, "load: wrong argument \"%s\"; see --help\n", argv[i]);
            return 2;
        }
    }
    if (options->port == 0) {
        (void)fputs("load: --port is missing; see --help\n", stderr);
        return 2;
    }
    if (options->churn && options->depth != 1) {
        (void)fputs("load: --churn sends one message a connection: --depth has to be 1\n", stderr);
        return 2;
    }
    if (options->udp &&
        (options->churn || options->depth != 1 || options->size > LOAD_DATAGRAM_MAX)) {
        (void)fputs("load: --udp goes with neither --churn nor --depth, and with at most 65507 "
                    "bytes\n",
                    stderr);
        return 2;
    }
    if ((uint64_t)options->size * options->depth > LOAD_WINDOW_MAX) {
        (void)fputs("load: --size times --depth exceeds 64 MiB\n", stderr);
        return 2;
    }
    return 0;
}

static void print_latency(const histogram_t *latency_ns) {
    static const struct {
        const char *name;
        double fraction;
    } percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
    double mean = latency_ns->count == 0 ? 0 : latency_ns->sum / (double)latency_ns->count;

    printf("\"latency_us\": {\"mean\": %.3f, ", mean / 1e3);
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        uint64_t value = histogram_percentile(latency_ns, percentiles[i].fraction);
        printf("\"%s\": %.3f, ", percentiles[i].name, (double)value / 1e3);
    }
    printf("\"max\": %.3f}", (double)latency_ns->max / 1e3);
}

/* The texts of first_error are libuv's and ours: no character in them needs escaping. */
static void print_report(const load_options_t *options, const load_result_t *result) {
    uint64_t messages = result->latency_ns.count;
    double seconds = (double)result->elapsed_ns / 1e9;

    printf("{\"connections\": %" PRIu32 ", \"size\": %" PRIu32 ", \"depth\": %" PRIu32
           ", \"churn\": %s, ",
           options->connection_count, options->size, options->depth,
           options->churn ? "true" : "false");
    printf("\"seconds\": %.6f, \"messages\": %" PRIu64 ", \"per_second\": %.1f, ", seconds,
           messages, seconds > 0 ? (double)messages / seconds : 0.0);
    print_latency(&result->latency_ns);
    if (result->server_cpu_known) {
        printf(", \"server_cpu_ns\": %" PRIu64, result->server_cpu_ns);
    } else {
        printf(", \"server_cpu_ns\": null");
    }
    printf(", \"client_cpu_ns\": %" PRIu64, result->client_cpu_ns);
    printf(", \"errors\": {\"connect\": %" PRIu64 ", \"io\": %" PRIu64 ", \"corrupt\": %" PRIu64
           ", \"stalled\": %s, \"first\": \"%s\"}}\n",
           result->connect_errors, result->io_errors, result->corruptions,
           result->stalled ? "true" : "false", result->first_error);
}

int main(int argc, char **argv) {
    static load_result_t result;
    load_options_t options = {
        .host = "127.0.0.1",
        .connection_count = 10,
        .size = 1024,
        .depth = 1,
        .warmup_ms = 500,
        .measure_ms = 3000,
        .stall_ms = 10000,
    };
    int done = parse(&options, argc, argv);

    if (done != 0) {
        return done == 1 ? 0 : done;
    }
    os_ignore_broken_pipe();
    int status = options.udp ? load_run_udp(&options, &result) : load_run(&options, &result);
    if (status != 0) {
        (void)fprintf(stderr, "load: cannot start: %s\n", uv_strerror(status));
        return 1;
    }
    print_report(&options, &result);
    bool failed = result.connect_errors != 0 || result.io_errors != 0 || result.corruptions != 0 ||
                  result.stalled;
    return failed ? 1 : 0;
}
