/* SPDX-License-Identifier: MIT */
/* What the BSDs do at creation of a descriptor: both flags at once, so no other thread's fork sees
 * it without them (FreeBSD 10, NetBSD 8, OpenBSD 5.7). */
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
