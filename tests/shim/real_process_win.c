/* SPDX-License-Identifier: MIT */
#include "real_process.h"

#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

/* What TerminateProcess leaves as the exit code; no test ends with it by itself. */
#define KILLED_CODE 0xdead

static void check(int holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s: error %lu\n", what, GetLastError());
        exit(2);
    }
}

real_process_t real_spawn(const char *const *arguments) {
    real_process_t process = {0, 0};
    STARTUPINFOA start;
    PROCESS_INFORMATION made;
    char line[4096] = "";
    size_t size = 0;

    for (int index = 0; arguments[index] != NULL; index++) {
        size += (size_t)snprintf(line + size, sizeof(line) - size,
                                 index == 0 ? "\"%s\"" : " \"%s\"", arguments[index]);
        check(size < sizeof(line), "the command line is too long");
    }
    memset(&start, 0, sizeof(start));
    start.cb = sizeof(start);
    check(CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &made),
          "CreateProcess");
    (void)CloseHandle(made.hThread);
    process.native = (intptr_t)made.hProcess;
    process.pid = made.dwProcessId;
    return process;
}

void real_kill(const real_process_t *process) {
    (void)TerminateProcess((HANDLE)process->native, KILLED_CODE);
}

int real_wait_end(real_process_t *process, int timeout_ms) {
    DWORD code = 0;

    if (WaitForSingleObject((HANDLE)process->native,
                            timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms) == WAIT_TIMEOUT) {
        return REAL_RUNS;
    }
    check(GetExitCodeProcess((HANDLE)process->native, &code), "GetExitCodeProcess");
    (void)CloseHandle((HANDLE)process->native);
    return code == KILLED_CODE ? REAL_KILLED : (int)code;
}

void *real_map(const char *path, size_t size) {
    HANDLE file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_ALWAYS, 0, NULL);
    HANDLE mapping;
    void *memory;

    check(file != INVALID_HANDLE_VALUE, path);
    mapping = CreateFileMappingA(file, NULL, PAGE_READWRITE, 0, (DWORD)size, NULL);
    check(mapping != NULL, "CreateFileMapping");
    memory = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size);
    check(memory != NULL, "MapViewOfFile");
    (void)CloseHandle(mapping);
    (void)CloseHandle(file);
    return memory;
}

void real_unmap(void *memory, size_t size) {
    (void)size;
    (void)UnmapViewOfFile(memory);
}

void real_pause_us(unsigned us) {
    if (us < 1000) {
        (void)SwitchToThread();
    } else {
        Sleep(us / 1000);
    }
}

int real_is_terminal(void) {
    return _isatty(1);
}
