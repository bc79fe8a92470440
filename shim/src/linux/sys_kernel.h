/* SPDX-License-Identifier: MIT */
/* Rows of the system-call table that Linux has and POSIX 2008 has not. */
#ifndef EVENSHIM_SRC_SYS_KERNEL_H
#define EVENSHIM_SRC_SYS_KERNEL_H

/* clang-format off */
#define ES__SYS_KERNEL(row)                                                                        \
    row(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                  \
    row(int, pipe2, (int[2], int))
/* clang-format on */

#endif
