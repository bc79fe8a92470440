/* SPDX-License-Identifier: MIT */
/* os_socket_win.c: plain non-blocking TCP sockets on Windows, for echo_poll.c.
 *
 * Winsock has been started by libuv before any of these is called: a loop exists by then. */
#include "os.h"

#include <limits.h>

void os_ignore_broken_pipe(void) {
}

static int make_nonblocking(SOCKET socket) {
    u_long on = 1;

    return ioctlsocket(socket, (long)FIONBIO, &on) == 0 ? 0 : -1;
}

static int failure(void) {
    return WSAGetLastError() == WSAEWOULDBLOCK ? OS_WOULD_BLOCK : OS_FAILED;
}

static int length(size_t size) {
    return size > INT_MAX ? INT_MAX : (int)size;
}

int os_socket_listen(const struct sockaddr_in *address, int backlog, uv_os_sock_t *listener) {
    SOCKET handle = socket(AF_INET, SOCK_STREAM, 0);

    if (handle == INVALID_SOCKET) {
        return -1;
    }
    if (bind(handle, (const struct sockaddr *)address, (int)sizeof *address) != 0 ||
        listen(handle, backlog) != 0 || make_nonblocking(handle) != 0) {
        (void)closesocket(handle);
        return -1;
    }
    *listener = handle;
    return 0;
}

int os_socket_port(uv_os_sock_t listener, int *port) {
    struct sockaddr_in address;
    int size = (int)sizeof address;

    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    *port = ntohs(address.sin_port);
    return 0;
}

int os_socket_accept(uv_os_sock_t listener, uv_os_sock_t *connection) {
    BOOL on = TRUE;
    SOCKET handle = accept(listener, NULL, NULL);

    if (handle == INVALID_SOCKET) {
        return failure();
    }
    if (make_nonblocking(handle) != 0) {
        (void)closesocket(handle);
        return OS_FAILED;
    }
    (void)setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, (int)sizeof on);
    *connection = handle;
    return 0;
}

ptrdiff_t os_socket_recv(uv_os_sock_t connection, char *buffer, size_t size) {
    int count = recv(connection, buffer, length(size), 0);

    return count == SOCKET_ERROR ? failure() : count;
}

ptrdiff_t os_socket_send(uv_os_sock_t connection, const char *buffer, size_t size) {
    int count = send(connection, buffer, length(size), 0);

    return count == SOCKET_ERROR ? failure() : count;
}

void os_socket_close(uv_os_sock_t socket) {
    (void)closesocket(socket);
}
