/* SPDX-License-Identifier: MIT */
/* The system calls of the Unix leaves, in a table: row(result, name, parameters).
 *
 * Leaves call es__sys.recv(...), never recv(...). A test replaces single fields (es__sys.recv =
 * recv_failing), runs, and puts es__sys_default's back. Fields may be replaced only while no other
 * thread is inside evenshim. A replacement sets errno as the call would. */
#ifndef EVENSHIM_SRC_POSIX_SYS_H
#define EVENSHIM_SRC_POSIX_SYS_H

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "sys_kernel.h"

/* clang-format off */

#define ES__SYS_POSIX(row)                                                                         \
    row(int, socket, (int, int, int))                                                              \
    row(int, bind, (int, const struct sockaddr *, socklen_t))                                      \
    row(int, listen, (int, int))                                                                   \
    row(int, connect, (int, const struct sockaddr *, socklen_t))                                   \
    row(ssize_t, recv, (int, void *, size_t, int))                                                 \
    row(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))             \
    row(ssize_t, send, (int, const void *, size_t, int))                                           \
    row(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))     \
    row(ssize_t, sendmsg, (int, const struct msghdr *, int))                                       \
    row(int, shutdown, (int, int))                                                                 \
    row(int, close, (int))                                                                         \
    row(int, getsockopt, (int, int, int, void *, socklen_t *))                                     \
    row(int, setsockopt, (int, int, int, const void *, socklen_t))                                 \
    row(int, getsockname, (int, struct sockaddr *, socklen_t *))                                   \
    row(int, getpeername, (int, struct sockaddr *, socklen_t *))                                   \
    row(int, fcntl, (int, int, ...))                                                               \
    row(int, poll, (struct pollfd *, nfds_t, int))                                                 \
    row(ssize_t, read, (int, void *, size_t))                                                      \
    row(ssize_t, write, (int, const void *, size_t))                                               \
    row(ssize_t, writev, (int, const struct iovec *, int))                                         \
    row(int, sigaction, (int, const struct sigaction *, struct sigaction *))                       \
    row(int, pthread_sigmask, (int, const sigset_t *, sigset_t *))                                 \
    row(int, sigpending, (sigset_t *))                                                             \
    row(int, sigwait, (const sigset_t *, int *))                                                   \
    row(int, open, (const char *, int, ...))                                                       \
    row(int, fstat, (int, struct stat *))                                                          \
    row(int, stat, (const char *, struct stat *))                                                  \
    row(int, unlink, (const char *))                                                               \
    row(ssize_t, pread, (int, void *, size_t, off_t))                                              \
    row(ssize_t, pwrite, (int, const void *, size_t, off_t))                                       \
    row(int, ftruncate, (int, off_t))                                                              \
    row(int, futimens, (int, const struct timespec[2]))                                            \
    row(int, flock, (int, int))                                                                    \
    row(int, kill, (pid_t, int))                                                                   \
    row(int, gethostname, (char *, size_t))                                                        \
    row(int, clock_gettime, (clockid_t, struct timespec *))                                        \
    row(int, sched_yield, (void))                                                                  \
    row(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))     \
    row(int, pthread_cancel, (pthread_t))                                                          \
    row(int, pthread_join, (pthread_t, void **))

/* clang-format on */

#define ES__SYS_CALLS(row)                      ES__SYS_POSIX(row) ES__SYS_KERNEL(row)

#define ES__SYS_FIELD(result, name, parameters) result(*name) parameters;
typedef struct es__sys {
    ES__SYS_CALLS(ES__SYS_FIELD)
} es__sys_t;
#undef ES__SYS_FIELD

extern es__sys_t es__sys;
extern const es__sys_t es__sys_default;

#endif
