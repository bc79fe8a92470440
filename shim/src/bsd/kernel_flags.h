/* SPDX-License-Identifier: MIT */
/* The BSDs take the wish for no SIGPIPE per call. A send with MSG_DONTWAIT may be all or nothing
 * there, so waiting is left to the socket's own flag, which es_sock_open and es_sock_accept set. A
 * transfer of more than INT_MAX bytes is EINVAL (FreeBSD read(2)). */
#ifndef EVENSHIM_SRC_KERNEL_FLAGS_H
#define EVENSHIM_SRC_KERNEL_FLAGS_H

#include <limits.h>
#include <sys/socket.h>

#define ES__RECV_FLAGS   0
#define ES__SEND_FLAGS   MSG_NOSIGNAL
#define ES__IO_BYTES_MAX ((size_t)INT_MAX)

typedef int es__msg_iovlen_t;

#endif
