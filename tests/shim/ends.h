/* SPDX-License-Identifier: MIT */
/* Sockets of the real system, ready for a test: listening, connected, bound. All of it is evenshim's
 * doing and asserts with CMocka; waiting is for an event, with a limit that only a broken system
 * reaches. */
#ifndef EVENSHIM_TESTS_ENDS_H
#define EVENSHIM_TESTS_ENDS_H

#include "check.h"
#include "real.h"

#include <evenshim/evenshim.h>

enum { LIMIT_MS = 10000 };

extern const uint32_t loopback;           /* 127.0.0.1 */
extern const unsigned char loopback6[16]; /* ::1 */

/* A listener on a port of the system's choice; *addr is where. */
es_sock_t listen_on(es_addr_t *addr);

/* Connects, waiting as long as it takes. */
void connect_to(es_sock_t sock, const es_addr_t *addr);
es_sock_t accept_from(es_sock_t listener, es_addr_t *peer);

/* The two ends of a connection. */
typedef struct ends {
    es_sock_t client;
    es_sock_t server;
} ends_t;

ends_t make_ends(void);
void close_ends(const ends_t *ends);

/* A bound datagram socket; *addr is where. */
es_sock_t datagram_on(es_addr_t *addr);

/* Receives once, after waiting. */
int hear(es_sock_t sock, void *base, size_t size, size_t *done);
int hear_from(es_sock_t sock, void *base, size_t size, size_t *done, es_addr_t *from);

#endif
