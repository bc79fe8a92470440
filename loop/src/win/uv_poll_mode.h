/* SPDX-License-Identifier: MIT */
/* Read before libuv's src/win/poll.c (cmake/libuv.cmake), so that to watch a socket does not change it.
 *
 * uv_poll_init_socket makes its socket non-blocking, which its polling has no need of, and Windows
 * can't be asked what the mode was before. Here that one call asks whether the number is a
 * socket at all, with the same error if it is not, and sets nothing: poll_init.c sets what is the
 * engine's own. Broken by a libuv that tells the caller's socket something else in that file than
 * FIONBIO: such a call goes to the system.
 */
#ifndef EVENLOOP_UV_POLL_MODE_H
#define EVENLOOP_UV_POLL_MODE_H

#include <winsock2.h>

static int el__keep_mode(SOCKET sock, long command, u_long *argument) {
    int type;
    int size = sizeof type;
    if (command != FIONBIO) {
        return ioctlsocket(sock, command, argument);
    }
    return getsockopt(sock, SOL_SOCKET, SO_TYPE, (char *)&type, &size);
}

#define ioctlsocket(sock, command, argument) el__keep_mode(sock, command, argument)

#endif
