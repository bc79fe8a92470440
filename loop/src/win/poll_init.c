/* SPDX-License-Identifier: MIT */
/* uv_poll_init on Windows.
 *
 * Windows can't be asked whether a socket is non-blocking, so libuv's making it so can't be
 * undone here: an owner who knows better sets it back (es_sock_set_nonblocking).
 */
#include "../internal.h"

const bool el__os_poll_keeps_idle = false;
/* _write can't serve an overlapped pipe. */
const int el__os_signal_pipe_flags = 0;

int el__os_poll_init(uv_loop_t *uv, uv_poll_t *handle, es_sock_t fd, bool known_socket) {
    (void)known_socket;
    return el__from_uv(uv_poll_init_socket(uv, handle, (uv_os_sock_t)fd));
}
