/* SPDX-License-Identifier: MIT */
/* server.h: what the two echo servers in C have in common around their loop.
 *
 * Owns the command line, the line that tells the port, and the ways to end: standard input
 * closing, SIGTERM and SIGINT. An ending server prints its processor time and exits with 0. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdint.h>
#include <uv.h>

/* Large enough that one read takes whatever a default socket buffer usually holds. */
#define SERVER_READ_SIZE (64 * 1024)
#define SERVER_BACKLOG   1024

typedef struct server server_t;

struct server {
    uv_loop_t loop;
    struct sockaddr_in address;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_pipe_t input;
    char input_buffer[64];
    char read_buffer[SERVER_READ_SIZE];
};

/* Parses `--host A --port N`, `--help` and `--version` and starts the loop and the ways to end.
 * Returns 0; or 1 when the program is done (help was asked for); or 2 for a wrong command line.
 * Both leave nothing to clean up. `name` appears in the messages. */
int server_start(server_t *server, const char *name, int argc, char **argv);

/* Prints "PORT n" and runs until one of the ways to end is taken and every handle is closed.
 * Every handle that is then open is closed with `on_close(handle)`, which has to call uv_close
 * unless the handle is closing already. Returns the exit code of the program. */
int server_run(server_t *server, int port, void (*on_close)(uv_handle_t *handle));

/* Prints what went wrong to standard error and returns 1, the exit code. */
int server_fail(const char *what, const char *why);

#endif
