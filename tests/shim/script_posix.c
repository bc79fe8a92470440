/* SPDX-License-Identifier: MIT */
#include "script_posix.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

script_t script;

static int fails(const char *call) {
    int index;

    if (script.call != NULL && strcmp(script.call, call) != 0) {
        return 0;
    }
    index = script.count++;
    if (script.from < 0 || index < script.from || index - script.from >= script.times) {
        return 0;
    }
    script.fired++;
    script.fired_call = call;
    return 1;
}

/* A call that fails with -1 and errno. */
#define CALL(result, name, parameters, arguments)                                                  \
    static result call_##name parameters {                                                         \
        if (fails(#name)) {                                                                        \
            errno = script.error;                                                                  \
            return -1;                                                                             \
        }                                                                                          \
        return es__sys_default.name arguments;                                                     \
    }

CALL(int, socket, (int family, int type, int protocol), (family, type, protocol))
CALL(int, bind, (int fd, const struct sockaddr *addr, socklen_t size), (fd, addr, size))
CALL(int, listen, (int fd, int backlog), (fd, backlog))
CALL(ssize_t, recv, (int fd, void *base, size_t size, int flags), (fd, base, size, flags))
CALL(ssize_t, recvfrom,
     (int fd, void *base, size_t size, int flags, struct sockaddr *addr, socklen_t *addr_size),
     (fd, base, size, flags, addr, addr_size))
CALL(ssize_t, send, (int fd, const void *base, size_t size, int flags), (fd, base, size, flags))
CALL(ssize_t, sendto,
     (int fd, const void *base, size_t size, int flags, const struct sockaddr *addr,
      socklen_t addr_size),
     (fd, base, size, flags, addr, addr_size))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
CALL(int, shutdown, (int fd, int how), (fd, how))
CALL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
     (fd, level, name, value, size))
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size))
CALL(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *size), (fd, addr, size))
CALL(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *size), (fd, addr, size))
CALL(int, poll, (struct pollfd * fds, nfds_t count, int timeout_ms), (fds, count, timeout_ms))
CALL(ssize_t, read, (int fd, void *base, size_t size), (fd, base, size))
CALL(ssize_t, write, (int fd, const void *base, size_t size), (fd, base, size))
CALL(ssize_t, writev, (int fd, const struct iovec *iov, int count), (fd, iov, count))
CALL(int, sigaction, (int signo, const struct sigaction *action, struct sigaction *before),
     (signo, action, before))
CALL(int, sigpending, (sigset_t * set), (set))
CALL(int, fstat, (int fd, struct stat *status), (fd, status))
CALL(int, stat, (const char *path, struct stat *status), (path, status))
CALL(int, unlink, (const char *path), (path))
CALL(ssize_t, pread, (int fd, void *base, size_t size, off_t at), (fd, base, size, at))
CALL(ssize_t, pwrite, (int fd, const void *base, size_t size, off_t at), (fd, base, size, at))
CALL(int, ftruncate, (int fd, off_t size), (fd, size))
CALL(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
CALL(int, flock, (int fd, int operation), (fd, operation))
CALL(int, kill, (pid_t pid, int signo), (pid, signo))
CALL(int, gethostname, (char *name, size_t size), (name, size))
CALL(int, sched_yield, (void), ())
#if defined(__linux__)
CALL(int, inotify_init1, (int flags), (flags))
CALL(int, inotify_add_watch, (int fd, const char *path, uint32_t events), (fd, path, events))
CALL(int, inotify_rm_watch, (int fd, int watch), (fd, watch))
CALL(int, epoll_create1, (int flags), (flags))
CALL(int, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event),
     (epoll, what, fd, event))
CALL(int, eventfd, (unsigned value, int flags), (value, flags))
CALL(int, ppoll,
     (struct pollfd * fds, nfds_t count, const struct timespec *pause, const sigset_t *mask),
     (fds, count, pause, mask))
CALL(int, fstatfs, (int fd, struct statfs *status), (fd, status))
#define LINUX_FIELDS                                                                               \
    .inotify_init1 = call_inotify_init1, .inotify_add_watch = call_inotify_add_watch,              \
    .inotify_rm_watch = call_inotify_rm_watch, .epoll_create1 = call_epoll_create1,                \
    .epoll_ctl = call_epoll_ctl, .eventfd = call_eventfd, .ppoll = call_ppoll,                     \
    .fstatfs = call_fstatfs,
#else
#define LINUX_FIELDS
#endif
#if !defined(__APPLE__)
CALL(int, accept4, (int fd, struct sockaddr *addr, socklen_t *size, int flags),
     (fd, addr, size, flags))
CALL(int, pipe2, (int fds[2], int flags), (fds, flags))
#define KERNEL_FIELDS .accept4 = call_accept4, .pipe2 = call_pipe2
#else
CALL(int, accept, (int fd, struct sockaddr *addr, socklen_t *size), (fd, addr, size))
CALL(int, pipe, (int fds[2]), (fds))
#define KERNEL_FIELDS .accept = call_accept, .pipe = call_pipe
#endif

/* An interrupted connect goes on in the system, as does one in progress. */
static int call_connect(int fd, const struct sockaddr *addr, socklen_t size) {
    if (fails("connect")) {
        if (script.error == EINTR || script.error == EINPROGRESS) {
            (void)es__sys_default.connect(fd, addr, size);
        }
        errno = script.error;
        return -1;
    }
    return es__sys_default.connect(fd, addr, size);
}

/* A descriptor is gone even when close complains. */
static int call_close(int fd) {
    int result = es__sys_default.close(fd);

    if (fails("close")) {
        errno = script.error;
        return -1;
    }
    return result;
}

static int takes_number(int command) {
    return command == F_GETFL || command == F_SETFL || command == F_GETFD || command == F_SETFD ||
           command == F_DUPFD_CLOEXEC;
}

static int call_fcntl(int fd, int command, ...) {
    va_list arguments;
    int number = 0;
    void *pointer = NULL;

    va_start(arguments, command);
    if (takes_number(command)) {
        number = va_arg(arguments, int);
    } else {
        pointer = va_arg(arguments, void *);
    }
    va_end(arguments);
    if (fails("fcntl")) {
        errno = script.error;
        return -1;
    }
    return pointer == NULL ? es__sys_default.fcntl(fd, command, number)
                           : es__sys_default.fcntl(fd, command, pointer);
}

static int call_open(const char *path, int how, ...) {
    va_list arguments;
    int mode = 0;

    if ((how & O_CREAT) != 0) {
        va_start(arguments, how);
        mode = va_arg(arguments, int);
        va_end(arguments);
    }
    if (fails("open")) {
        errno = script.error;
        return -1;
    }
    return es__sys_default.open(path, how, mode);
}

/* A clock that fails stands still in the leaf, which would wait for ever: it never does in life. */
static int call_clock_gettime(clockid_t clock, struct timespec *now) {
    return es__sys_default.clock_gettime(clock, now);
}

static int call_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                               void *(*run)(void *), void *argument) {
    return fails("pthread_create")
               ? script.error
               : es__sys_default.pthread_create(thread, attributes, run, argument);
}

/* A thread that was made can be cancelled and joined. */
static int call_pthread_cancel(pthread_t thread) {
    return es__sys_default.pthread_cancel(thread);
}

static int call_pthread_join(pthread_t thread, void **result) {
    return es__sys_default.pthread_join(thread, result);
}

/* These two give their error as the result. */
static int call_pthread_sigmask(int how, const sigset_t *set, sigset_t *before) {
    return fails("pthread_sigmask") ? script.error
                                    : es__sys_default.pthread_sigmask(how, set, before);
}

static int call_sigwait(const sigset_t *set, int *signo) {
    return fails("sigwait") ? script.error : es__sys_default.sigwait(set, signo);
}

static const es__sys_t scripted = {
    .socket = call_socket,
    .bind = call_bind,
    .listen = call_listen,
    .connect = call_connect,
    .recv = call_recv,
    .recvfrom = call_recvfrom,
    .send = call_send,
    .sendto = call_sendto,
    .sendmsg = call_sendmsg,
    .shutdown = call_shutdown,
    .close = call_close,
    .getsockopt = call_getsockopt,
    .setsockopt = call_setsockopt,
    .getsockname = call_getsockname,
    .getpeername = call_getpeername,
    .fcntl = call_fcntl,
    .poll = call_poll,
    .read = call_read,
    .write = call_write,
    .writev = call_writev,
    .sigaction = call_sigaction,
    .pthread_sigmask = call_pthread_sigmask,
    .sigpending = call_sigpending,
    .sigwait = call_sigwait,
    .open = call_open,
    .fstat = call_fstat,
    .stat = call_stat,
    .unlink = call_unlink,
    .pread = call_pread,
    .pwrite = call_pwrite,
    .ftruncate = call_ftruncate,
    .futimens = call_futimens,
    .flock = call_flock,
    .kill = call_kill,
    .gethostname = call_gethostname,
    .clock_gettime = call_clock_gettime,
    .sched_yield = call_sched_yield,
    .pthread_create = call_pthread_create,
    .pthread_cancel = call_pthread_cancel,
    .pthread_join = call_pthread_join,
    LINUX_FIELDS KERNEL_FIELDS,
};

void script_begin(void) {
    script_fail(NULL, -1, 0, 0);
    es__sys = scripted;
}

void script_fail(const char *call, int from, int times, int error) {
    memset(&script, 0, sizeof(script));
    script.call = call;
    script.from = from;
    script.times = times;
    script.error = error;
    script.fired_call = "";
}

void script_end(void) {
    es__sys = es__sys_default;
}
