/* SPDX-License-Identifier: MIT */
/* The scripted accept4(2). */
#include "script_posix.h"

static int scripted_accept(int fd, struct sockaddr *addr, socklen_t *size, int flags) {
    (void)fd;
    (void)addr;
    (void)flags;
    *size = 0;
    return script_tell_accept();
}

void script_install_accept(void) {
    es__sys.accept4 = scripted_accept;
}
