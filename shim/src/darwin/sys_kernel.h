/* SPDX-License-Identifier: MIT */
/* Rows of the system-call table that Darwin needs for want of accept4 and pipe2. */
#ifndef EVENSHIM_SRC_SYS_KERNEL_H
#define EVENSHIM_SRC_SYS_KERNEL_H

/* clang-format off */
#define ES__SYS_KERNEL(row)                                                                        \
    row(int, accept, (int, struct sockaddr *, socklen_t *))                                        \
    row(int, pipe, (int[2]))
/* clang-format on */

#endif
