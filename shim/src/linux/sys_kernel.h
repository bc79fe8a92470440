/* SPDX-License-Identifier: MIT */
/* Rows of the system-call table that Linux has and POSIX 2008 has not. */
#ifndef EVENSHIM_SRC_SYS_KERNEL_H
#define EVENSHIM_SRC_SYS_KERNEL_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

/* clang-format off */
#define ES__SYS_KERNEL(row)                                                                        \
    row(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                  \
    row(int, pipe2, (int[2], int))                                                                 \
    row(int, inotify_init1, (int))                                                                 \
    row(int, inotify_add_watch, (int, const char *, uint32_t))                                     \
    row(int, inotify_rm_watch, (int, int))                                                         \
    row(int, epoll_create1, (int))                                                                 \
    row(int, epoll_ctl, (int, int, int, struct epoll_event *))                                     \
    row(int, eventfd, (unsigned, int))                                                             \
    row(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))          \
    row(int, fstatfs, (int, struct statfs *))
/* clang-format on */

#endif
