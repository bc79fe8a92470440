/* SPDX-License-Identifier: MIT */
/* Single locks by OFD commands of fcntl, which Linux and macOS have: they belong to the open file,
 * so no other descriptor's close drops them (a POSIX lock goes with any close of any descriptor of
 * the file in the process: SQLite's os_unix.c has the essay). flock's locks have the same owner;
 * Linux keeps them apart from the others, which is what ES_LOCK_COMPAT_FLOCK is about. */
#include "lock_posix.h"

#include "error_internal.h"
#include "prim/socket.h"

#include <errno.h>
#include <unistd.h>

static int set_flock(int fd, int operation) {
    int result;
    int interruptions = 0;

    do {
        result = es__sys.flock(fd, operation);
    } while (result < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return result;
}

/* EAGAIN is no failure and leaves no trace. A kernel or file system that does not know the command
 * says EINVAL. */
static int judge(int result, const char *call) {
    if (result == 0) {
        return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EACCES) {
        return ES_EAGAIN;
    }
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        (void)es__lock_fail(ES_OP_LOCK, call);
        return es__refuse(ES_ENOTSUP, ES_OP_LOCK, call);
    }
    return es__lock_fail(ES_OP_LOCK, call);
}

static int take(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind, int is_waiting) {
    int fd = (int)hold->native;

    if (hold->is_flock) {
        int operation = kind == ES_LOCK_SHARED ? LOCK_SH : LOCK_EX;

        return judge(set_flock(fd, is_waiting ? operation : operation | LOCK_NB), "flock");
    }
    return judge(es__lock_fcntl(fd, is_waiting ? ES__OFD_SETLKW : ES__OFD_SETLK,
                                kind == ES_LOCK_SHARED ? F_RDLCK : F_WRLCK, bytes),
                 "fcntl");
}

int es__prim_lock_try(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    return take(hold, bytes, kind, 0);
}

/* On a network file system the call would stand and fall with the server's callbacks. */
int es__prim_lock_wait(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    uint32_t caps = 0;

    if (es__prim_lock_caps(hold->native, &caps) != 0 || (caps & ES_LOCK_CAN_NOTIFY) == 0) {
        return ES_ENOTSUP;
    }
    return take(hold, bytes, kind, 1);
}

int es__prim_lock_look(const es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    struct flock region = {0};

    region.l_type = kind == ES_LOCK_SHARED ? F_RDLCK : F_WRLCK;
    region.l_whence = SEEK_SET;
    region.l_start = (off_t)bytes.offset;
    region.l_len = (off_t)bytes.size;
    return es__sys.fcntl((int)hold->native, ES__OFD_GETLK, &region) == 0 && region.l_type != F_UNLCK
               ? ES_EAGAIN
               : 0;
}

/* fcntl replaces the lock that the same owner has on the bytes, or leaves it when it cannot. */
int es__prim_lock_convert(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    return es__prim_lock_try(hold, bytes, kind);
}

void es__lock_close_fd(int fd) {
    (void)es__sys.close(fd);
}

void es__lock_forget(es__hold_t *hold) {
    (void)hold; /* its locks end with its descriptor */
}

void es__lock_forked(void) {
}

int es__prim_lock_free(es__hold_t *hold, es__bytes_t bytes) {
    int fd = (int)hold->native;

    return hold->is_flock ? judge(set_flock(fd, LOCK_UN), "flock")
                          : judge(es__lock_fcntl(fd, ES__OFD_SETLK, F_UNLCK, bytes), "fcntl");
}

int es__prim_lock_caps_at(const char *path, uint32_t *caps) {
    int fd = es__sys.open(path, ES__OPEN_TO_LOOK);
    int code;

    if (fd < 0) {
        return es__lock_fail(ES_OP_OPEN, "open");
    }
    code = es__prim_lock_caps(fd, caps);
    (void)es__sys.close(fd);
    return code;
}
