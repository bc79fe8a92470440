/* SPDX-License-Identifier: MIT */
/* Who a process is on Windows, and what time it is. A birth is the creation time of the process, in
 * units of 100 ns since 1601: it alone tells processes apart, also over a restart of the machine,
 * so there is no boot id. */
#include "lock_win.h"

#include "error_internal.h"

#include <string.h>

#define FILETIME_PER_S INT64_C(10000000)
#define UNIX_EPOCH_S   INT64_C(11644473600) /* 1970 counted from 1601 */
#define HOST_CHARS_MAX 256
#define NS_PER_S       INT64_C(1000000000)

static uint64_t number_of(FILETIME time) {
    return ((uint64_t)time.dwHighDateTime << 32) | time.dwLowDateTime;
}

int64_t es__prim_now_ns(void) {
    LARGE_INTEGER now = {.QuadPart = 0};
    LARGE_INTEGER rate = {.QuadPart = 1};

    (void)es__sys.QueryPerformanceCounter(&now);
    (void)es__sys.QueryPerformanceFrequency(&rate);
    return now.QuadPart / rate.QuadPart * NS_PER_S +
           now.QuadPart % rate.QuadPart * NS_PER_S / rate.QuadPart;
}

void es__prim_yield(void) {
    (void)es__sys.SwitchToThread();
}

/* A process that has ended keeps its number while somebody has a handle of it: its exit time says
 * so. */
int es__prim_process_birth(int64_t pid, uint64_t *birth) {
    FILETIME created = {0, 0};
    FILETIME exited = {0, 0};
    FILETIME unwanted[2];
    HANDLE process;
    BOOL is_known;

    if (pid <= 0 || pid > UINT32_MAX) {
        return ES_ESRCH;
    }
    process = es__sys.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);
    if (process == NULL) {
        if (es__sys.GetLastError() != ERROR_ACCESS_DENIED) {
            return ES_ESRCH;
        }
        *birth = 0; /* it is there, and another user's */
        return 0;
    }
    is_known = es__sys.GetProcessTimes(process, &created, &exited, &unwanted[0], &unwanted[1]);
    (void)es__sys.CloseHandle(process);
    if (is_known && number_of(exited) != 0) {
        return ES_ESRCH;
    }
    *birth = is_known ? number_of(created) : 0;
    return 0;
}

/* As much of a text as fits, cut between characters. */
static void narrow(char *to, size_t room, const WCHAR *text) {
    int length = 0;

    while (text[length] != 0) {
        length++;
    }
    for (; length > 0; length--) {
        int size = es__sys.WideCharToMultiByte(CP_UTF8, 0, text, length, NULL, 0, NULL, NULL);

        if (size > 0 && (size_t)size < room) {
            (void)es__sys.WideCharToMultiByte(CP_UTF8, 0, text, length, to, size, NULL, NULL);
            to[size] = '\0';
            return;
        }
    }
    to[0] = '\0';
}

int es__prim_owner_self(es_lock_owner_t *owner) {
    WCHAR host[HOST_CHARS_MAX];
    DWORD host_size = HOST_CHARS_MAX;
    FILETIME now;

    memset(owner, 0, sizeof(*owner));
    owner->pid = es__sys.GetCurrentProcessId();
    (void)es__prim_process_birth(owner->pid, &owner->birth);
    es__sys.GetSystemTimeAsFileTime(&now);
    owner->since_s = (int64_t)number_of(now) / FILETIME_PER_S - UNIX_EPOCH_S;
    if (!es__sys.GetComputerNameExW(ComputerNameDnsHostname, host, &host_size)) {
        return es__lock_fail(ES_OP_NAME, "GetComputerNameExW");
    }
    narrow(owner->host, sizeof(owner->host), host);
    narrow(owner->command, sizeof(owner->command), es__sys.GetCommandLineW());
    return 0;
}
