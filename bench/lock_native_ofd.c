/* SPDX-License-Identifier: MIT */
/* lock_native_ofd.c: what Linux and macOS have by themselves: OFD locks (whose commands evenshim's
 * leaf names, also where the system's headers do not), and what every Unix has. */
#include "lock_native_posix.h"

#include <fcntl.h>

#include <lock_flags.h>

static int set_lock(const side_lock_t *lock, int command, short type) {
    struct flock region = {0};

    region.l_type = type;
    region.l_whence = SEEK_SET;
    return fcntl((int)lock->native, command, &region);
}

static int acquire(side_lock_t *lock) {
    return set_lock(lock, ES__OFD_SETLKW, F_WRLCK);
}

static int release(side_lock_t *lock) {
    return set_lock(lock, ES__OFD_SETLK, F_UNLCK);
}

static const lock_kind_t ofd = {
    "ofd", "F_OFD_SETLKW, blocked", lock_native_open, acquire, release, lock_native_close,
};

const lock_kind_t *const lock_native_kinds[] = {&lock_native_flock, &ofd, &lock_native_pipe};
const size_t lock_native_count = sizeof(lock_native_kinds) / sizeof(lock_native_kinds[0]);
