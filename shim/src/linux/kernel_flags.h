/* SPDX-License-Identifier: MIT */
/* Linux takes both wishes per call, and cuts long transfers itself at 0x7ffff000 bytes (send(2)).
 */
#ifndef EVENSHIM_SRC_KERNEL_FLAGS_H
#define EVENSHIM_SRC_KERNEL_FLAGS_H

#include <stdint.h>
#include <sys/socket.h>

#define ES__RECV_FLAGS   MSG_DONTWAIT
#define ES__SEND_FLAGS   (MSG_DONTWAIT | MSG_NOSIGNAL)
#define ES__IO_BYTES_MAX SIZE_MAX

/* POSIX says int, glibc size_t. */
typedef __typeof__(((struct msghdr *)0)->msg_iovlen) es__msg_iovlen_t;

#endif
