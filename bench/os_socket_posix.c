/* SPDX-License-Identifier: MIT */
/* os_socket_posix.c: plain non-blocking TCP sockets on Unix, for echo_poll.c. */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

void os_ignore_broken_pipe(void) {
    (void)signal(SIGPIPE, SIG_IGN);
}

static int make_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);

    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
        return -1;
    }
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ? -1 : 0;
}

int os_socket_listen(const struct sockaddr_in *address, int backlog, uv_os_sock_t *listener) {
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd == -1) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) == -1 ||
        listen(fd, backlog) == -1 || make_nonblocking(fd) == -1) {
        (void)close(fd);
        return -1;
    }
    *listener = fd;
    return 0;
}

int os_socket_port(uv_os_sock_t listener, int *port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (getsockname(listener, (struct sockaddr *)&address, &size) == -1) {
        return -1;
    }
    *port = ntohs(address.sin_port);
    return 0;
}

int os_socket_accept(uv_os_sock_t listener, uv_os_sock_t *connection) {
    int on = 1;
    int fd;

    do {
        fd = accept(listener, NULL, NULL);
    } while (fd == -1 && (errno == EINTR || errno == ECONNABORTED));
    if (fd == -1) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? OS_WOULD_BLOCK : OS_FAILED;
    }
    if (make_nonblocking(fd) == -1) {
        (void)close(fd);
        return OS_FAILED;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *connection = fd;
    return 0;
}

ptrdiff_t os_socket_recv(uv_os_sock_t connection, char *buffer, size_t size) {
    ssize_t count;

    do {
        count = recv(connection, buffer, size, 0);
    } while (count == -1 && errno == EINTR);
    if (count == -1) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? OS_WOULD_BLOCK : OS_FAILED;
    }
    return count;
}

ptrdiff_t os_socket_send(uv_os_sock_t connection, const char *buffer, size_t size) {
    ssize_t count;

    do {
        count = send(connection, buffer, size, 0);
    } while (count == -1 && errno == EINTR);
    if (count == -1) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? OS_WOULD_BLOCK : OS_FAILED;
    }
    return count;
}

void os_socket_close(uv_os_sock_t socket) {
    (void)close(socket);
}
