/* SPDX-License-Identifier: MIT */
/* os_cpu_win.c: processor time of another process on Windows, in its units of 100 ns. */
#include "os.h"

#include <windows.h>

static uint64_t nanoseconds(FILETIME time) {
    return ((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) * 100u;
}

int os_process_cpu_ns(int64_t pid, uint64_t *cpu_ns) {
    FILETIME created;
    FILETIME ended;
    FILETIME kernel;
    FILETIME user;
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);

    if (process == NULL) {
        return -1;
    }
    BOOL known = GetProcessTimes(process, &created, &ended, &kernel, &user);
    CloseHandle(process);
    if (!known) {
        return -1;
    }
    *cpu_ns = nanoseconds(kernel) + nanoseconds(user);
    return 0;
}
