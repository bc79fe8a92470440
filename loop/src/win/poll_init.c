/* SPDX-License-Identifier: MIT */
/* uv_poll_init on Windows, without its side effect.
 *
 * libuv is built not to touch the mode of a socket (uv_poll_mode.h); the engine's own sockets are
 * made non-blocking here. Only sockets can be polled. Everything else that is open (a pipe, a
 * console, a file; a descriptor of the C library or a handle) is refused as epoll refuses a regular
 * file, and what is not open as a bad descriptor.
 */
#include "../internal.h"

#include <io.h>
#include <windows.h>

const bool el__os_poll_keeps_idle = false;
/* _write can't serve an overlapped pipe. */
const int el__os_signal_pipe_flags = 0;

/* Descriptors are small numbers, so most handles are none. libuv has told the C library to bear
 * with a bad one. */
static bool is_open(es_sock_t number) {
    DWORD flags;
    if (number < 0) {
        return false;
    }
    return (number <= INT_MAX && _get_osfhandle((int)number) != -1) ||
           GetHandleInformation((HANDLE)number, &flags);
}

/* What a request for sockets says of something else depends on what it is. */
static bool is_socket(es_sock_t number) {
    int type;
    int size = sizeof type;
    return getsockopt((SOCKET)number, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0;
}

int el__os_poll_init(uv_loop_t *uv, uv_poll_t *handle, es_sock_t fd, bool known_socket) {
    int code = el__from_uv(uv_poll_init_socket(uv, handle, (uv_os_sock_t)fd));
    if (code == 0 && known_socket) {
        /* Unix says with each call that it may not wait; here the socket has to. */
        code = es_sock_set_nonblocking(fd, 1);
    }
    if (code == 0 || is_socket(fd)) {
        return code;
    }
    return is_open(fd) ? ES_EPERM : ES_EBADF;
}
