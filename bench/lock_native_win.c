/* SPDX-License-Identifier: MIT */
/* lock_native_win.c: LockFileEx as most programs use it, and a semaphore as a bare wake-up. */
#include "lock_kinds.h"

#include <string.h>
#include <windows.h>

/* Exit code of a process that lock_native_limit has ended. */
#define LIMIT_CODE 3

static int open_file(side_lock_t *lock, const char *path, int is_first) {
    (void)is_first;
    lock->native = (intptr_t)CreateFileA(path, GENERIC_READ | GENERIC_WRITE,
                                         FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                         NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    return (HANDLE)lock->native == INVALID_HANDLE_VALUE ? -1 : 0;
}

static void close_handle(side_lock_t *lock) {
    (void)CloseHandle((HANDLE)lock->native);
}

static int acquire_file(side_lock_t *lock) {
    OVERLAPPED start;

    memset(&start, 0, sizeof start);
    return LockFileEx((HANDLE)lock->native, LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &start) ? 0 : -1;
}

static int release_file(side_lock_t *lock) {
    return UnlockFile((HANDLE)lock->native, 0, 0, 1, 0) ? 0 : -1;
}

static const lock_kind_t lock_file_ex = {
    "lockfileex", "LockFileEx, blocked", open_file, acquire_file, release_file, close_handle,
};

/* Its name is the end of the path, which no other run has: a name holds no backslash. */
static int open_semaphore(side_lock_t *lock, const char *path, int is_first) {
    const char *name = strrchr(path, '/');

    (void)is_first;
    name = name != NULL ? name + 1 : path;
    lock->native = (intptr_t)CreateSemaphoreA(NULL, 1, 1, name);
    return lock->native == 0 ? -1 : 0;
}

static int acquire_semaphore(side_lock_t *lock) {
    return WaitForSingleObject((HANDLE)lock->native, INFINITE) == WAIT_OBJECT_0 ? 0 : -1;
}

static int release_semaphore(side_lock_t *lock) {
    return ReleaseSemaphore((HANDLE)lock->native, 1, NULL) ? 0 : -1;
}

static const lock_kind_t semaphore = {
    "wake-up",         "a bare wake-up (a semaphore)",
    open_semaphore,    acquire_semaphore,
    release_semaphore, close_handle,
};

const lock_kind_t *const lock_native_kinds[] = {&lock_file_ex, &semaphore};
const size_t lock_native_count = sizeof(lock_native_kinds) / sizeof(lock_native_kinds[0]);

int64_t lock_native_sleeps(void) {
    return -1;
}

static void CALLBACK end_process(void *unused, BOOLEAN fired) {
    (void)unused;
    (void)fired;
    ExitProcess(LIMIT_CODE);
}

void lock_native_limit(unsigned seconds) {
    HANDLE timer;

    (void)CreateTimerQueueTimer(&timer, NULL, end_process, NULL, seconds * 1000u, 0,
                                WT_EXECUTEONLYONCE);
}

int lock_native_become_idle(void) {
    return SetPriorityClass(GetCurrentProcess(), IDLE_PRIORITY_CLASS) ? 0 : -1;
}
