/* SPDX-License-Identifier: MIT */
#include "real.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#include <string.h>

#include "real_address.inc"

int real_has_ipv6(void) {
    static const unsigned char loopback[16] = {[15] = 1};
    es_addr_t addr;
    SOCKET sock = socket(AF_INET6, SOCK_STREAM, 0);
    int works;

    if (sock == INVALID_SOCKET) {
        return 0;
    }
    real_ipv6(&addr, loopback, 0);
    works = bind(sock, (const struct sockaddr *)addr.storage.bytes, (int)addr.size) == 0;
    (void)closesocket(sock);
    return works;
}

int real_wait(es_sock_t sock, int events, int timeout_ms) {
    fd_set readable = {.fd_count = 0};
    fd_set writable = {.fd_count = 0};
    fd_set failed = {.fd_count = 1, .fd_array = {(SOCKET)sock}};
    struct timeval timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};

    if ((events & REAL_READ) != 0) {
        readable.fd_count = 1;
        readable.fd_array[0] = (SOCKET)sock;
    }
    if ((events & REAL_WRITE) != 0) {
        writable.fd_count = 1;
        writable.fd_array[0] = (SOCKET)sock;
    }
    return select(0, &readable, &writable, &failed, &timeout) > 0;
}

void real_reset_on_close(es_sock_t sock) {
    struct linger reset = {1, 0};

    (void)setsockopt((SOCKET)sock, SOL_SOCKET, SO_LINGER, (const char *)&reset, sizeof(reset));
}

es_sock_t real_foreign_datagram(void) {
    return (es_sock_t)socket(AF_INET, SOCK_DGRAM, 0);
}

int real_is_inheritable(es_sock_t sock) {
    DWORD flags = 0;

    return GetHandleInformation((HANDLE)sock, &flags) && (flags & HANDLE_FLAG_INHERIT) != 0;
}

/* Windows may write one byte only. */
static int get_option(es_sock_t sock, int level, int name) {
    int value = 0;
    int size = (int)sizeof(value);

    (void)getsockopt((SOCKET)sock, level, name, (char *)&value, &size);
    return value != 0;
}

int real_get_nodelay(es_sock_t sock) {
    return get_option(sock, IPPROTO_TCP, TCP_NODELAY);
}

int real_get_v6only(es_sock_t sock) {
    return get_option(sock, IPPROTO_IPV6, IPV6_V6ONLY);
}

int real_open_count(void) {
    DWORD count = 0;

    (void)GetProcessHandleCount(GetCurrentProcess(), &count);
    return (int)count;
}
