/* SPDX-License-Identifier: MIT */
/* What the engine's tests share: a loop, a trace of what happened, items, and connected sockets.
 *
 * Nothing here waits for the clock: turns are made until something has happened, and a test that
 * hangs is ended by CTest's limit.
 */
#ifndef EVENLOOP_TESTS_SUPPORT_H
#define EVENLOOP_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../loop/src/internal.h"

/* The trace: a line of letters and numbers that a test compares. */
void trace_clear(void);
void trace(const char *format, ...);
extern char trace_text[1 << 16];
#define assert_trace(expected) assert_string_equal(trace_text, expected)

/* An item that calls a function, or notes its name. It may live on the stack of the test. */
typedef struct item {
    el_ready_t ready;
    const char *name;
    void (*act)(struct item *item);
    el_loop_t *loop;
    void *ctx;
    int runs;
    int drops;
} item_t;

extern const el_ready_ops_t item_ops;
void item_push(el_loop_t *loop, item_t *item, const char *name, void (*act)(item_t *item));

/* The same for timers. */
typedef struct clock_item {
    el_timer_t timer;
    const char *name;
    void (*act)(struct clock_item *item);
    el_loop_t *loop;
    void *ctx;
    int runs;
    int drops;
} clock_item_t;

extern const el_ready_ops_t clock_item_ops;
void clock_item_start(el_loop_t *loop, clock_item_t *item, const char *name, uint64_t deadline_ns);

/* CMocka set-up and tear-down with a fresh loop in *state; the tear-down closes it. */
int loop_set_up(void **state);
int loop_tear_down(void **state);

/* Turns without waiting. */
void turns(el_loop_t *loop, int count);

/* One turn that waits for input and output, but not after running an item: it may be what was
 * awaited. */
void turn_waiting(el_loop_t *loop);

/* Turns, waiting, until *flag is true. */
void turn_until(el_loop_t *loop, const bool *flag);

/* A listening socket of 127.0.0.1, and a client and a server end of a connection to it, all
 * non-blocking. */
es_sock_t listening(int backlog);
es_sock_t connecting_to(es_sock_t listener);
void connected_pair(el_loop_t *loop, es_sock_t *client, es_sock_t *server);

/* A socket that never has anything to read and always room to send: for scripted system calls. */
es_sock_t idle_socket(void);

/* Sends all of it, turning the loop while the system is full. */
void send_all(el_loop_t *loop, es_sock_t fd, const void *base, size_t size);

/* A generator of its own, so that a seed means the same everywhere. */
uint32_t random_next(uint32_t *seed);

#endif
