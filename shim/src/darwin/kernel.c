/* SPDX-License-Identifier: MIT */
/* What Darwin does to a new descriptor: three calls after its creation, since it has no flags for
 * socket, accept4 or pipe2. A fork in another thread between them leaks the descriptor into that
 * child, which this file cannot prevent. */
#include "prim/kernel.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>

static int set_flags(int fd) {
    int status = es__sys.fcntl(fd, F_GETFL);

    if (status < 0 || es__sys.fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) {
        return -1;
    }
    return es__sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void close_keeping_errno(int fd) {
    int reason = errno;

    (void)es__sys.close(fd);
    errno = reason;
}

static int set_up_socket(int fd) {
    if (fd < 0) {
        return fd;
    }
    if (set_flags(fd) < 0 || es__kernel_adopt(fd) < 0) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

int es__kernel_socket(int family, int type, int protocol) {
    return set_up_socket(es__sys.socket(family, type, protocol));
}

int es__kernel_accept(int listener, struct sockaddr *addr, socklen_t *size) {
    return set_up_socket(es__sys.accept(listener, addr, size));
}

int es__kernel_pipe(int fds[2]) {
    if (es__sys.pipe(fds) < 0) {
        return -1;
    }
    if (set_flags(fds[0]) < 0 || set_flags(fds[1]) < 0) {
        close_keeping_errno(fds[0]);
        close_keeping_errno(fds[1]);
        return -1;
    }
    return 0;
}

int es__kernel_adopt(int fd) {
    int on = 1;

    if (es__sys.setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) == 0) {
        return 0;
    }
    /* A connection that its peer has reset already refuses every option with EINVAL (the same
     * happens to TCP_NODELAY on macOS); it will not raise SIGPIPE where nothing can be sent. */
    return errno == EINVAL ? 0 : -1;
}
