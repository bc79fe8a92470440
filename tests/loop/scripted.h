/* SPDX-License-Identifier: MIT */
/* A stream on scripted system calls, and what its tests share. */
#ifndef EVENLOOP_TESTS_SCRIPTED_H
#define EVENLOOP_TESTS_SCRIPTED_H

#include "script.h"
#include "streams.h"

/* The descriptor is a real, idle connection that the loop can watch: it is always writable and
 * never readable. */
extern es_sock_t client, server;
extern owner_t *owner; /* of the client's end */

int scripted_set_up(void **state);
int scripted_tear_down(void **state);

/* Aborts the owner's stream and makes turns until its end was told. */
void lose(el_loop_t *loop);

/* Write bytes that go on counting from what was written before: lent, or copied. */
extern size_t written;
void write_more(size_t size);
void write_copy(size_t size);

/* What was sent, all of it counting up. */
void assert_wire(size_t size);

#endif
