/* SPDX-License-Identifier: MIT */
/* What tests on real sockets need of the system beside evenshim: one file a system. None of it goes
 * through the table of system calls. */
#ifndef EVENSHIM_TESTS_REAL_H
#define EVENSHIM_TESTS_REAL_H

#include <evenshim/socket.h>

extern const int real_inet;
extern const int real_inet6;
extern const int real_stream;
extern const int real_dgram;

void real_ipv4(es_addr_t *addr, uint32_t host, unsigned port); /* host as 0x7f000001 */
void real_ipv6(es_addr_t *addr, const unsigned char host[16], unsigned port);
unsigned real_port(const es_addr_t *addr);
uint32_t real_host4(const es_addr_t *addr);
int real_has_ipv6(void);

/* Waits until the socket is readable or writable, or has failed: 1; or 0 after the time. */
enum { REAL_READ = 1, REAL_WRITE = 2 };
int real_wait(es_sock_t sock, int events, int timeout_ms);

/* Closing this socket resets its connection (SO_LINGER 0). */
void real_reset_on_close(es_sock_t sock);

/* A datagram socket as other code makes it: blocking, with the system's own defaults. */
es_sock_t real_foreign_datagram(void);

int real_is_inheritable(es_sock_t sock);
int real_get_nodelay(es_sock_t sock);
int real_get_v6only(es_sock_t sock);

/* How many descriptors this process has open: leaks show. */
int real_open_count(void);

#endif
