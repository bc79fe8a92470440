/* SPDX-License-Identifier: MIT */
#include "real_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>
#include <tlhelp32.h>

static void check(int holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s: error %lu\n", what, GetLastError());
        exit(2);
    }
}

static DWORD WINAPI run(void *argument) {
    real_thread_t *thread = argument;

    thread->run(thread->argument);
    return 0;
}

void real_thread_start(real_thread_t *thread, void (*body)(void *argument), void *argument) {
    HANDLE native;

    thread->run = body;
    thread->argument = argument;
    native = CreateThread(NULL, 0, run, thread, 0, NULL);
    check(native != NULL, "CreateThread");
    thread->native = (intptr_t)native;
}

void real_thread_join(real_thread_t *thread) {
    check(WaitForSingleObject((HANDLE)thread->native, INFINITE) == WAIT_OBJECT_0, "a join");
    (void)CloseHandle((HANDLE)thread->native);
}

void real_thread_yield(void) {
    (void)SwitchToThread();
}

int real_thread_count(void) {
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry;
    int count = 0;
    BOOL has_one;

    check(all != INVALID_HANDLE_VALUE, "CreateToolhelp32Snapshot");
    entry.dwSize = sizeof(entry);
    for (has_one = Thread32First(all, &entry); has_one; has_one = Thread32Next(all, &entry)) {
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    }
    (void)CloseHandle(all);
    return count;
}
