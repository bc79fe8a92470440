/* SPDX-License-Identifier: MIT */
/* load.h: the load client's parts: load.c reads the command line and prints the result,
 * load_run.c drives the connections, load_udp.c the datagrams.
 *
 * A load run connects, warms up, measures for a time or a count of messages, and disconnects.
 * Every byte that comes back is compared with what was sent at that place of that connection. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "histogram.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct load_options {
    const char *host;
    int port;
    uint32_t connection_count;
    uint32_t size;  /* Bytes in a message. */
    uint32_t depth; /* Messages of a connection that may be under way at once. */
    uint64_t warmup_ms;
    uint64_t measure_ms;    /* Ignored when message_count is set. */
    uint64_t message_count; /* Measured messages after which to stop; 0: stop by time. */
    uint64_t stall_ms;      /* Give up after this long without a finished message. */
    int64_t server_pid;     /* Whose processor time to read; 0: nobody's. */
    bool churn;             /* Each connection carries one message and is replaced. */
    bool udp;               /* Datagrams instead of connections, one under way on each socket. */
    bool reset;             /* Churned connections end by RST, which leaves no TIME_WAIT behind. */
} load_options_t;

typedef struct load_result {
    histogram_t latency_ns; /* From the send of a message to its last byte's return. */
    uint64_t elapsed_ns;
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns;
    bool server_cpu_known;
    bool stalled;
    uint64_t connect_errors;
    uint64_t io_errors;
    uint64_t corruptions;
    char first_error[160]; /* Empty when there was none. */
} load_result_t;

/* The most bytes that one connection may have under way (size times depth). */
#define LOAD_WINDOW_MAX (64u * 1024 * 1024)

/* Runs the whole load on a loop of its own. `result` must be zeroed. Returns 0 when the run
 * ended as planned, whether or not single connections failed (the counters tell); or a negative
 * libuv code when it could not start. Not reentrant. */
int load_run(const load_options_t *options, load_result_t *result);

/* The same over UDP. */
int load_run_udp(const load_options_t *options, load_result_t *result);

/* The longest datagram of UDP over IPv4. */
#define LOAD_DATAGRAM_MAX 65507u

#endif
