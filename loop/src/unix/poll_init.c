/* SPDX-License-Identifier: MIT */
/* uv_poll_init on Unix, without its side effect.
 *
 * libuv makes every descriptor that it polls non-blocking. A program that watches a blocking one
 * (a terminal it shares with its shell, a socket it reads elsewhere) would notice, so the flag
 * is put back as it was. kqueue says of a regular file that it can be polled; epoll does not,
 * and is the reference.
 */
#include "../internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

const bool el__os_poll_keeps_idle = true;
const int el__os_signal_pipe_flags = UV_NONBLOCK_PIPE;

int el__os_poll_init(uv_loop_t *uv, uv_poll_t *handle, es_sock_t fd, bool known_socket) {
    if (known_socket) {
        return el__from_uv(uv_poll_init(uv, handle, (int)fd));
    }
    if (fd < 0 || fd > INT_MAX) {
        return ES_EBADF;
    }
    struct stat status;
    int flags = fcntl((int)fd, F_GETFL);
    if (flags < 0 || fstat((int)fd, &status) != 0) {
        return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        return ES_EPERM;
    }
    int code = el__from_uv(uv_poll_init(uv, handle, (int)fd));
    if ((flags & O_NONBLOCK) == 0) {
        (void)fcntl((int)fd, F_SETFL, flags);
    }
    return code;
}
