/* SPDX-License-Identifier: MIT */
#include "real.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real_address.inc"

int real_has_ipv6(void) {
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    struct sockaddr_in6 native;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    int works;

    if (fd < 0) {
        return 0;
    }
    memset(&native, 0, sizeof(native));
    native.sin6_family = AF_INET6;
    native.sin6_addr = loopback;
    works = bind(fd, (const struct sockaddr *)&native, sizeof(native)) == 0;
    (void)close(fd);
    return works;
}

int real_wait(es_sock_t sock, int events, int timeout_ms) {
    struct pollfd watched = {.fd = (int)sock, .events = 0};

    watched.events = (short)(((events & REAL_READ) != 0 ? POLLIN : 0) |
                             ((events & REAL_WRITE) != 0 ? POLLOUT : 0));
    return poll(&watched, 1, timeout_ms) == 1;
}

void real_reset_on_close(es_sock_t sock) {
    struct linger reset = {1, 0};

    (void)setsockopt((int)sock, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

es_sock_t real_foreign_datagram(void) {
    return socket(AF_INET, SOCK_DGRAM, 0);
}

int real_is_inheritable(es_sock_t sock) {
    return (fcntl((int)sock, F_GETFD) & FD_CLOEXEC) == 0;
}

static int get_option(es_sock_t sock, int level, int name) {
    int value = -1;
    socklen_t size = sizeof(value);

    (void)getsockopt((int)sock, level, name, &value, &size);
    return value != 0;
}

int real_get_nodelay(es_sock_t sock) {
    return get_option(sock, IPPROTO_TCP, TCP_NODELAY);
}

int real_get_v6only(es_sock_t sock) {
    return get_option(sock, IPPROTO_IPV6, IPV6_V6ONLY);
}

int real_open_count(void) {
    int count = 0;

    for (int fd = 0; fd < 4096; fd++) {
        count += fcntl(fd, F_GETFD) != -1;
    }
    return count;
}
