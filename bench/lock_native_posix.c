/* SPDX-License-Identifier: MIT */
/* lock_native_posix.c: flock(2) on a file that stays open, and a named pipe as a bare wake-up. */
#include "lock_native_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int lock_native_open(side_lock_t *lock, const char *path, int is_first) {
    (void)is_first;
    lock->native = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return lock->native < 0 ? -1 : 0;
}

void lock_native_close(side_lock_t *lock) {
    (void)close((int)lock->native);
}

static int acquire_flock(side_lock_t *lock) {
    return flock((int)lock->native, LOCK_EX);
}

static int release_flock(side_lock_t *lock) {
    return flock((int)lock->native, LOCK_UN);
}

const lock_kind_t lock_native_flock = {
    "flock", "flock(2), blocked", lock_native_open, acquire_flock, release_flock, lock_native_close,
};

static int release_pipe(side_lock_t *lock) {
    return write((int)lock->native, "", 1) == 1 ? 0 : -1;
}

static int acquire_pipe(side_lock_t *lock) {
    char byte;

    return read((int)lock->native, &byte, 1) == 1 ? 0 : -1;
}

/* Open at both ends, so that it never ends; the side that comes first puts the byte in. */
static int open_pipe(side_lock_t *lock, const char *path, int is_first) {
    if (is_first && mkfifo(path, 0600) < 0) {
        return -1;
    }
    lock->native = open(path, O_RDWR | O_CLOEXEC);
    if (lock->native < 0) {
        return -1;
    }
    return is_first ? release_pipe(lock) : 0;
}

const lock_kind_t lock_native_pipe = {
    "wake-up",         "a bare wake-up (a byte in a pipe)", open_pipe, acquire_pipe, release_pipe,
    lock_native_close,
};

int64_t lock_native_sleeps(void) {
    struct rusage used;

    return getrusage(RUSAGE_SELF, &used) == 0 ? used.ru_nvcsw : -1;
}

void lock_native_limit(unsigned seconds) {
    (void)alarm(seconds);
}
