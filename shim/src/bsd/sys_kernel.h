/* SPDX-License-Identifier: MIT */
/* Rows of the system-call table that the BSDs have and POSIX 2008 has not. */
#ifndef EVENSHIM_SRC_SYS_KERNEL_H
#define EVENSHIM_SRC_SYS_KERNEL_H

#include <sys/types.h>

#include <sys/event.h>
#include <sys/statvfs.h>

/* NetBSD counts events in size_t, the others in int. */
#if defined(__NetBSD__)
#define ES__KEVENT_COUNT size_t
#else
#define ES__KEVENT_COUNT int
#endif

/* clang-format off */
#define ES__SYS_KERNEL(row)                                                                        \
    row(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                  \
    row(int, pipe2, (int[2], int))                                                                 \
    row(int, kqueue, (void))                                                                       \
    row(int, kevent, (int, const struct kevent *, ES__KEVENT_COUNT, struct kevent *,               \
                      ES__KEVENT_COUNT, const struct timespec *))
/* clang-format on */

#endif
