/* SPDX-License-Identifier: MIT */
/* Files under locks on Unix: opening, knowing one from another, their contents, and the clock. It
 * guarantees that only regular files come out, that opening a FIFO does not hang, and that no
 * descriptor is 0, 1 or 2, where a stray print would write into it. */
#include "lock_posix.h"

#include "error_internal.h"
#include "prim/socket.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STREAMS_END 3

int es__lock_fail(es_op_t op, const char *call) {
    return es__fail(ES_DOMAIN_ERRNO, (uint32_t)errno, op, call);
}

/* Keeps errno. */
static void close_fd(int fd) {
    int reason = errno;

    es__lock_close_fd(fd);
    errno = reason;
}

/* EISDIR, ENOTSUP, or 0. */
static int refusal_of(int fd) {
    struct stat status;

    if (es__sys.fstat(fd, &status) < 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    return S_ISREG(status.st_mode) ? 0 : ENOTSUP;
}

static int leave_streams(int fd) {
    int other;

    if (fd >= STREAMS_END) {
        return fd;
    }
    other = es__sys.fcntl(fd, F_DUPFD_CLOEXEC, STREAMS_END);
    close_fd(fd);
    return other;
}

int es__lock_open_known(const char *path, uint32_t flags, int mode) {
    int how = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd;
    int interruptions = 0;

    how |= (flags & ES_LOCK_READONLY) != 0 ? O_RDONLY : O_RDWR;
    how |= (flags & ES_LOCK_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & ES_LOCK_NOFOLLOW) != 0 ? O_NOFOLLOW : 0;
    do {
        fd = es__sys.open(path, how, mode);
    } while (fd < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return fd < 0 ? fd : leave_streams(fd);
}

int es__lock_open_fd(const char *path, uint32_t flags, int mode) {
    int fd = es__lock_open_known(path, flags, mode);
    int refusal;

    if (fd < 0) {
        return fd;
    }
    refusal = refusal_of(fd);
    if (refusal != 0) {
        close_fd(fd);
        errno = refusal;
        return -1;
    }
    return fd;
}

_Static_assert(sizeof(off_t) == 8, "lock bytes lie beyond 2^61");

int es__lock_fcntl(int fd, int command, short type, es__bytes_t bytes) {
    struct flock region = {0};
    int result;
    int interruptions = 0;

    region.l_type = type;
    region.l_whence = SEEK_SET;
    region.l_start = (off_t)bytes.offset;
    region.l_len = (off_t)bytes.size;
    do {
        result = es__sys.fcntl(fd, command, &region);
    } while (result < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return result;
}

int es__lock_same_file(int fd, int other) {
    struct stat one;
    struct stat two;

    if (es__sys.fstat(fd, &one) < 0 || es__sys.fstat(other, &two) < 0) {
        return -1;
    }
    errno = ESTALE;
    return one.st_dev == two.st_dev && one.st_ino == two.st_ino ? 0 : -1;
}

static int finish_open(int fd, const char *call, intptr_t *out) {
    if (fd < 0) {
        /* A device that cannot be opened (ENXIO) and one that can are refused alike. */
        return errno == ENOTSUP || errno == ENXIO || errno == ENODEV
                   ? es__refuse(ES_ENOTSUP, ES_OP_OPEN, call)
                   : es__lock_fail(ES_OP_OPEN, call);
    }
    *out = fd;
    return 0;
}

int es__prim_lock_open(const char *path, uint32_t flags, int mode, intptr_t *out) {
    return finish_open(es__lock_open_fd(path, flags, mode), "open", out);
}

/* 0, or what makes a descriptor unfit for locks. */
static int check_wrap(int fd, uint32_t flags) {
    int access = es__sys.fcntl(fd, F_GETFL, 0);
    int refusal;

    if (access < 0) {
        return es__lock_fail(ES_OP_OPEN, "fcntl");
    }
    if ((flags & ES_LOCK_ADOPT) != 0 && (flags & ES_LOCK_COMPAT_FLOCK) != 0) {
        return 0;
    }
    if ((access & O_ACCMODE) == O_RDONLY && (flags & ES_LOCK_READONLY) == 0) {
        return es__refuse(ES_EBADF, ES_OP_OPEN, "es_lockfile_wrap");
    }
    refusal = refusal_of(fd);
    if (refusal != 0) {
        errno = refusal;
        return finish_open(-1, "fstat", NULL);
    }
    return 0;
}

int es__prim_lock_wrap(intptr_t descriptor, uint32_t flags, intptr_t *out) {
    int fd = (int)descriptor;
    int code;

    if ((flags & ES_LOCK_ADOPT) != 0 && !ES__LOCK_DETACHES && (flags & ES_LOCK_COMPAT_FLOCK) == 0) {
        return es__refuse(ES_ENOTSUP, ES_OP_OPEN, "es_lockfile_wrap");
    }
    code = check_wrap(fd, flags);
    if (code != 0) {
        return code;
    }
    return finish_open((flags & ES_LOCK_ADOPT) != 0
                           ? es__sys.fcntl(fd, F_DUPFD_CLOEXEC, STREAMS_END)
                           : es__lock_reopen(fd, NULL, flags),
                       "open", out);
}

void es__prim_lock_close(intptr_t native) {
    es__lock_close_fd((int)native);
}

static void set_identity(const struct stat *status, es__identity_t *identity) {
    identity->volume = (uint64_t)status->st_dev;
    identity->file[0] = (uint64_t)status->st_ino;
    identity->file[1] = 0;
    identity->link_count = (uint32_t)status->st_nlink;
}

int es__prim_lock_identity(intptr_t native, es__identity_t *identity) {
    struct stat status;

    if (es__sys.fstat((int)native, &status) < 0) {
        return es__lock_fail(ES_OP_LOCK, "fstat");
    }
    set_identity(&status, identity);
    return 0;
}

int es__prim_lock_identity_at(const char *path, es__identity_t *identity) {
    struct stat status;

    if (es__sys.stat(path, &status) < 0) {
        return es__lock_fail(ES_OP_LOCK, "stat");
    }
    set_identity(&status, identity);
    return 0;
}

int es__prim_lock_unlink(const char *path) {
    return es__sys.unlink(path) < 0 ? es__lock_fail(ES_OP_LOCK, "unlink") : 0;
}

int es__prim_lock_read(const char *path, char *text, size_t size, size_t *done) {
    int fd = es__lock_open_fd(path, ES_LOCK_READONLY, 0);
    ssize_t got;
    int interruptions = 0;

    if (fd < 0) {
        return es__lock_fail(ES_OP_OPEN, "open");
    }
    do {
        got = es__sys.pread(fd, text, size, 0);
    } while (got < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    close_fd(fd);
    if (got < 0) {
        return es__lock_fail(ES_OP_READ, "pread");
    }
    *done = (size_t)got;
    return 0;
}

/* Written first and cut afterwards: a reader finds the old record, the new one, or the new one with
 * a tail that its end mark cuts off. */
int es__prim_lock_write(es__hold_t *hold, const char *text, size_t size) {
    size_t at = 0;
    int interruptions = 0;

    while (at < size) {
        ssize_t put = es__sys.pwrite((int)hold->native, text + at, size - at, (off_t)at);

        if (put > 0) {
            at += (size_t)put;
        } else if (put == 0 || errno != EINTR || ++interruptions >= ES__INTERRUPTIONS_MAX) {
            errno = put == 0 ? ENOSPC : errno;
            return es__lock_fail(ES_OP_WRITE, "pwrite");
        }
    }
    return es__sys.ftruncate((int)hold->native, (off_t)size) < 0
               ? es__lock_fail(ES_OP_WRITE, "ftruncate")
               : 0;
}

int64_t es__prim_now_ns(void) {
    struct timespec now = {0, 0};

    (void)es__sys.clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void es__prim_yield(void) {
    (void)es__sys.sched_yield();
}

int es__owner_begin(es_lock_owner_t *owner) {
    struct timespec now = {0, 0};

    memset(owner, 0, sizeof(*owner));
    owner->pid = getpid();
    (void)es__prim_process_birth(owner->pid, &owner->birth);
    (void)es__sys.clock_gettime(CLOCK_REALTIME, &now);
    owner->since_s = (int64_t)now.tv_sec;
    return es__sys.gethostname(owner->host, sizeof(owner->host) - 1) < 0
               ? es__lock_fail(ES_OP_NAME, "gethostname")
               : 0;
}
