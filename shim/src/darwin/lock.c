/* SPDX-License-Identifier: MIT */
/* What only macOS does with locked files. /dev/fd gives a duplicate there, not an open description
 * of its own, so a file is reopened by the path that F_GETPATH tells, which follows renames, if the
 * same file is still there. File systems of other machines refuse OFD locks (ENOTSUP). */
#include "lock_posix.h"

#include "error_internal.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/param.h>

/* Beside the bytes of the protocol: locked by nobody. */
static const es__bytes_t unused = {((uint64_t)1 << 62) + 3, 1};

int es__lock_reopen(int base, const char *path, uint32_t flags) {
    char now[MAXPATHLEN];
    int fd;
    int reason;

    if (es__sys.fcntl(base, F_GETPATH, now) == 0) {
        path = now;
    }
    if (path == NULL) {
        errno = ENOENT;
        return -1;
    }
    fd = es__lock_open_fd(path, flags & (uint32_t)ES_LOCK_READONLY, 0);
    if (fd >= 0 && es__lock_same_file(base, fd) < 0) {
        reason = errno;
        (void)es__sys.close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* The kernel posts NOTE_FUNLOCK for every unlock that succeeds, also of what was not locked. */
void es__prim_lock_announce(es__hold_t *hold) {
    (void)es__lock_fcntl((int)hold->native, ES__OFD_SETLK, F_UNLCK, unused);
}

int es__prim_lock_caps(intptr_t native, uint32_t *caps) {
    struct statfs status;

    if (es__sys.fstatfs((int)native, &status) < 0) {
        return es__lock_fail(ES_OP_LOCK, "fstatfs");
    }
    *caps = (status.f_flags & MNT_LOCAL) != 0
                ? ES_LOCK_CAN_LOCK | ES_LOCK_CAN_FLOCK | ES_LOCK_CAN_NOTIFY
                : ES_LOCK_CAN_FLOCK | ES_LOCK_IS_NETWORK;
    return 0;
}
