/* SPDX-License-Identifier: MIT */
#include "fact.h"

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <string.h>

typedef LONG WINAPI version_fn(OSVERSIONINFOW *info);
typedef const char *wine_version_fn(void);

static FARPROC find(const char *name) {
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");

    return ntdll != NULL ? GetProcAddress(ntdll, name) : NULL;
}

static const char *machine_name(void) {
    SYSTEM_INFO info;

    GetNativeSystemInfo(&info);
    switch (info.wProcessorArchitecture) {
    case PROCESSOR_ARCHITECTURE_AMD64:
        return "AMD64";
    case 12: /* PROCESSOR_ARCHITECTURE_ARM64 */
        return "ARM64";
    default:
        return "unknown";
    }
}

/* GetVersionExW tells a program without a manifest that it runs on Windows 8; RtlGetVersion does
 * not. */
void describe_system(system_words_t *words) {
    FARPROC found = find("RtlGetVersion");
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof(info)};
    version_fn *get_version;
    wine_version_fn *get_wine;

    (void)snprintf(words->name, sizeof(words->name), "Windows");
    (void)snprintf(words->machine, sizeof(words->machine), "%s", machine_name());
    memcpy(&get_version, &found, sizeof(get_version));
    if (get_version != NULL && get_version(&info) == 0) {
        (void)snprintf(words->release, sizeof(words->release), "%lu.%lu.%lu", info.dwMajorVersion,
                       info.dwMinorVersion, info.dwBuildNumber);
    }
    found = find("wine_get_version");
    memcpy(&get_wine, &found, sizeof(get_wine));
    if (get_wine != NULL) {
        (void)snprintf(words->wine, sizeof(words->wine), "%s", get_wine());
    }
}

double clock_seconds(void) {
    LARGE_INTEGER frequency;
    LARGE_INTEGER now;

    (void)QueryPerformanceFrequency(&frequency);
    (void)QueryPerformanceCounter(&now);
    return (double)now.QuadPart / (double)frequency.QuadPart;
}

FILE *take_standard_output(void) {
    int fd = _dup(1);

    if (fd < 0 || _dup2(2, 1) != 0) {
        return NULL;
    }
    (void)_setmode(fd, _O_BINARY);
    return _fdopen(fd, "wb");
}
