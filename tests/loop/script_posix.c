/* SPDX-License-Identifier: MIT */
/* The scripted system calls as Unix spells them. */
#include "script_posix.h"

#include <errno.h>

static ssize_t tell(intptr_t result) {
    if (result >= 0) {
        return (ssize_t)result;
    }
    if (result == ES_EOF) {
        return 0;
    }
    errno = es_error_to_errno((int)result);
    return -1;
}

static ssize_t scripted_recv(int fd, void *base, size_t size, int flags) {
    (void)fd;
    (void)flags;
    return tell(script_do_recv(base, size));
}

static ssize_t scripted_recvfrom(int fd, void *base, size_t size, int flags, struct sockaddr *addr,
                                 socklen_t *addr_size) {
    size_t length = *addr_size;
    (void)fd;
    (void)flags;
    ssize_t got = tell(script_do_recvfrom(base, size, addr, &length));
    *addr_size = (socklen_t)length;
    return got;
}

static ssize_t scripted_send(int fd, const void *base, size_t size, int flags) {
    es_iov_t iov = {(void *)(uintptr_t)base, size};
    (void)fd;
    (void)flags;
    return tell(script_do_send(&iov, 1));
}

static ssize_t scripted_sendto(int fd, const void *base, size_t size, int flags,
                               const struct sockaddr *addr, socklen_t addr_size) {
    (void)fd;
    (void)flags;
    return tell(script_do_sendto(base, size, addr, addr_size));
}

static ssize_t scripted_sendmsg(int fd, const struct msghdr *message, int flags) {
    (void)fd;
    (void)flags;
    return tell(script_do_send((const es_iov_t *)(const void *)message->msg_iov,
                               (size_t)message->msg_iovlen));
}

static int scripted_shutdown(int fd, int how) {
    (void)fd;
    (void)how;
    return (int)tell(script_do_shutdown());
}

int script_tell_accept(void) {
    es_sock_t fd;
    int code = script_do_accept(&fd);
    return code == 0 ? (int)fd : (int)tell(code);
}

void script_install(void) {
    es__sys.recv = scripted_recv;
    es__sys.recvfrom = scripted_recvfrom;
    es__sys.send = scripted_send;
    es__sys.sendto = scripted_sendto;
    es__sys.sendmsg = scripted_sendmsg;
    es__sys.shutdown = scripted_shutdown;
    script_install_accept();
}

void script_uninstall(void) {
    es__sys = es__sys_default;
}
