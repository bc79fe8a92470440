/* SPDX-License-Identifier: MIT */
/* What this leaf needs to know about an address before connecting or sending to it. Pure functions.
 */
#ifndef EVENSHIM_SRC_WIN_SOCKET_ADDRESS_H
#define EVENSHIM_SRC_WIN_SOCKET_ADDRESS_H

#include <evenshim/socket.h>

/* 1 when the address is of this machine's loopback: 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104. An
 * address that is cut short is none. */
int es__addr_is_loopback(const es_addr_t *addr);

/* 0.0.0.0 and :: (and ::ffff:0.0.0.0) become the loopback address of their family, since that is
 * where Unix sends what is meant for them; Windows says WSAEADDRNOTAVAIL. The port stays. */
void es__addr_route_unspecified(es_addr_t *addr);

#endif
