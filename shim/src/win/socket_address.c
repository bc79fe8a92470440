/* SPDX-License-Identifier: MIT */
/* Reads addresses by their bytes, which are in network order in the same places for every sender;
 * the assertions below hold the places. */
#include "socket_address.h"
#include <platform.h> /* by the include path: tests have one of their own */

#include <stddef.h>
#include <string.h>

enum {
    IPV4_AT = 4,
    IPV4_BYTES = 4,
    IPV6_AT = 8,
    IPV6_BYTES = 16,
    MAPPED_BYTES = 12 /* of an IPv6 address that stands for an IPv4 one */
};

_Static_assert(offsetof(struct sockaddr_in, sin_addr) == IPV4_AT, "layout of sockaddr_in");
_Static_assert(offsetof(struct sockaddr_in6, sin6_addr) == IPV6_AT, "layout of sockaddr_in6");

static const unsigned char zeros[IPV6_BYTES];
static const unsigned char mapped[MAPPED_BYTES] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned char loopback4[IPV4_BYTES] = {127, 0, 0, 1};
static const unsigned char loopback6[IPV6_BYTES] = {[IPV6_BYTES - 1] = 1};

static unsigned family_of(const es_addr_t *addr) {
    struct sockaddr head;

    if (addr->size < sizeof(head.sa_family)) {
        return AF_UNSPEC;
    }
    memcpy(&head, addr->storage.bytes, sizeof(head));
    return head.sa_family;
}

static int is_ipv4(const es_addr_t *addr) {
    return family_of(addr) == AF_INET && addr->size >= IPV4_AT + IPV4_BYTES;
}

static int is_ipv6(const es_addr_t *addr) {
    return family_of(addr) == AF_INET6 && addr->size >= IPV6_AT + IPV6_BYTES;
}

static int is_mapped(const unsigned char *ipv6) {
    return memcmp(ipv6, mapped, sizeof(mapped)) == 0;
}

int es__addr_is_loopback(const es_addr_t *addr) {
    const unsigned char *ipv6 = addr->storage.bytes + IPV6_AT;

    if (is_ipv4(addr)) {
        return addr->storage.bytes[IPV4_AT] == loopback4[0];
    }
    if (!is_ipv6(addr)) {
        return 0;
    }
    if (is_mapped(ipv6)) {
        return ipv6[MAPPED_BYTES] == loopback4[0];
    }
    return memcmp(ipv6, loopback6, sizeof(loopback6)) == 0;
}

void es__addr_route_unspecified(es_addr_t *addr) {
    unsigned char *ipv4 = addr->storage.bytes + IPV4_AT;
    unsigned char *ipv6 = addr->storage.bytes + IPV6_AT;

    if (is_ipv4(addr)) {
        if (memcmp(ipv4, zeros, IPV4_BYTES) == 0) {
            memcpy(ipv4, loopback4, sizeof(loopback4));
        }
        return;
    }
    if (!is_ipv6(addr)) {
        return;
    }
    if (memcmp(ipv6, zeros, IPV6_BYTES) == 0) {
        memcpy(ipv6, loopback6, sizeof(loopback6));
    } else if (is_mapped(ipv6) && memcmp(ipv6 + MAPPED_BYTES, zeros, IPV4_BYTES) == 0) {
        memcpy(ipv6 + MAPPED_BYTES, loopback4, sizeof(loopback4));
    }
}
