/* SPDX-License-Identifier: MIT */
/* What Linux does at creation of a descriptor: both flags at once, so no other thread's fork can
 * see it without them (socket(2) and accept4(2) since 2.6.28, pipe2(2) since 2.6.27). */
#include "prim/kernel.h"
#include "sys.h"

#include <fcntl.h>

int es__kernel_socket(int family, int type, int protocol) {
    return es__sys.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

int es__kernel_accept(int listener, struct sockaddr *addr, socklen_t *size) {
    return es__sys.accept4(listener, addr, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int es__kernel_pipe(int fds[2]) {
    return es__sys.pipe2(fds, O_NONBLOCK | O_CLOEXEC);
}

int es__kernel_adopt(int fd) {
    (void)fd;
    return 0;
}
