/* SPDX-License-Identifier: MIT */
/* What differs between the kernels that src/posix serves. src/linux, src/bsd and src/darwin each
 * have a kernel.c with these functions, a kernel_flags.h with the constants below and a
 * sys_kernel.h with the rows of the system-call table that only they use; the build takes one of
 * the folders.
 *
 *   ES__RECV_FLAGS, ES__SEND_FLAGS: flags of every recv and send: not to wait and not to raise
 *     SIGPIPE, as far as the kernel takes them per call.
 *   ES__IO_BYTES_MAX: more bytes than this are an error of one call, not a short one.
 *
 * All return as the system calls they stand for: -1 and errno, or the result. No call is repeated.
 *
 * es__kernel_socket, es__kernel_accept, es__kernel_pipe
 *   post:   the descriptors are non-blocking, not inherited by exec and never raise SIGPIPE when
 *           sockets; or none is left open and errno is the reason.
 *   errors: those of socket(2), accept(2), pipe(2) and fcntl(2).
 *   thread: any. Where the kernel cannot set a flag at creation, a fork in another thread between
 *           the two calls can leak the descriptor into that child: Darwin alone.
 *
 * es__kernel_adopt
 *   post:   writing to the socket never raises SIGPIPE where ES__SEND_FLAGS cannot say so.   */
#ifndef EVENSHIM_SRC_PRIM_KERNEL_H
#define EVENSHIM_SRC_PRIM_KERNEL_H

#include <sys/socket.h>

#include "kernel_flags.h"

int es__kernel_socket(int family, int type, int protocol);
int es__kernel_accept(int listener, struct sockaddr *addr, socklen_t *size);
int es__kernel_pipe(int fds[2]);
int es__kernel_adopt(int fd);

#endif
