/* SPDX-License-Identifier: MIT */
/* What only Linux does with locked files: reopening through /proc/self/fd, which gives the very
 * same file an open description of its own even when its path has been renamed or removed; telling
 * waiters; and naming its file systems. Without /proc the path serves, if it still leads there. */
#include "lock_posix.h"

#include "error_internal.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>

/* Magic numbers that linux/magic.h does not have in every version (statfs(2)). */
#define CIFS_MAGIC 0xff534d42u
#define SMB2_MAGIC 0xfe534d42u
#define SMB_MAGIC  0x517bu
#define FUSE_MAGIC 0x65735546u
#define CEPH_MAGIC 0x00c36400u
#define P9_MAGIC   0x01021997u
#define AFS_MAGIC  0x5346414fu

/* "/proc/self/fd/" and a descriptor. */
static void name_fd(char name[32], int fd) {
    (void)snprintf(name, 32, "/proc/self/fd/%d", fd);
}

int es__lock_reopen(int base, const char *path, uint32_t flags) {
    char name[32];
    int fd;

    name_fd(name, base);
    flags &= (uint32_t)ES_LOCK_READONLY;
    fd = es__lock_open_known(name, flags, 0);
    if (fd >= 0 || path == NULL || errno != ENOENT) {
        return fd;
    }
    fd = es__lock_open_fd(path, flags, 0);
    if (fd >= 0 && es__lock_same_file(base, fd) < 0) {
        int reason = errno;

        (void)es__sys.close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Closing any descriptor of the file is what wakes the waiters of lock_wait.c, and it leaves the
 * file's times alone. Where there is no descriptor to be had, or no right to read, a touch of those
 * times does it (IN_ATTRIB). */
void es__prim_lock_announce(es__hold_t *hold) {
    int fd = es__lock_reopen((int)hold->native, NULL, ES_LOCK_READONLY);

    if (fd >= 0) {
        (void)es__sys.close(fd);
    } else {
        (void)es__sys.futimens((int)hold->native, NULL);
    }
}

/* inotify sees what this machine does, so it misses the releases of others on network file systems
 * and of FUSE's own other clients. */
static uint32_t caps_of(uint32_t magic) {
    uint32_t local = ES_LOCK_CAN_LOCK | ES_LOCK_CAN_FLOCK;

    switch (magic) {
    case NFS_SUPER_MAGIC:
    case CEPH_MAGIC:
    case AFS_MAGIC:
    case P9_MAGIC:
    case FUSE_MAGIC:
        return local | ES_LOCK_IS_NETWORK;
    case CIFS_MAGIC:
    case SMB2_MAGIC:
    case SMB_MAGIC:
        return local | ES_LOCK_IS_NETWORK | ES_LOCK_IS_MANDATORY;
    default:
        return local | ES_LOCK_CAN_NOTIFY;
    }
}

int es__prim_lock_caps(intptr_t native, uint32_t *caps) {
    struct statfs status;

    if (es__sys.fstatfs((int)native, &status) < 0) {
        return es__lock_fail(ES_OP_LOCK, "fstatfs");
    }
    *caps = caps_of((uint32_t)status.f_type);
    return 0;
}
