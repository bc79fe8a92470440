/* SPDX-License-Identifier: MIT */
/* The scripted accept(2). */
#include "script_posix.h"

static int scripted_accept(int fd, struct sockaddr *addr, socklen_t *size) {
    (void)fd;
    (void)addr;
    *size = 0;
    return script_tell_accept();
}

void script_install_accept(void) {
    es__sys.accept = scripted_accept;
}
