/* SPDX-License-Identifier: MIT */
/* Darwin takes neither wish per call: sockets carry O_NONBLOCK and SO_NOSIGPIPE themselves. A
 * transfer of more than INT_MAX bytes is EINVAL (read(2) of macOS). */
#ifndef EVENSHIM_SRC_KERNEL_FLAGS_H
#define EVENSHIM_SRC_KERNEL_FLAGS_H

#include <limits.h>
#include <sys/socket.h>

#define ES__RECV_FLAGS   0
#define ES__SEND_FLAGS   0
#define ES__IO_BYTES_MAX ((size_t)INT_MAX)

typedef int es__msg_iovlen_t;

#endif
