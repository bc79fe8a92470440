/* SPDX-License-Identifier: MIT */
/* Rows of the system-call table that Darwin needs for want of accept4 and pipe2. */
#ifndef EVENSHIM_SRC_SYS_KERNEL_H
#define EVENSHIM_SRC_SYS_KERNEL_H

#include <sys/event.h>
#include <sys/mount.h>
#include <sys/param.h>

/* clang-format off */
#define ES__SYS_KERNEL(row)                                                                        \
    row(int, accept, (int, struct sockaddr *, socklen_t *))                                        \
    row(int, pipe, (int[2]))                                                                       \
    row(int, kqueue, (void))                                                                       \
    row(int, kevent, (int, const struct kevent *, int, struct kevent *, int,                       \
                      const struct timespec *))                                                    \
    row(int, fstatfs, (int, struct statfs *))
/* clang-format on */

#endif
