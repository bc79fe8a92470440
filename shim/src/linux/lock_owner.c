/* SPDX-License-Identifier: MIT */
/* Who a process is on Linux: proc(5) has all of it. A birth is the 22nd field of /proc/PID/stat,
 * clock ticks since the machine started; with the boot id it tells a process from a later one that
 * got its number. */
#include "lock_posix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIRTH_FIELD 22

/* Reads the beginning of a file of /proc as text. Its length, or -1 and errno. */
static ssize_t read_text(const char *path, char *text, size_t size) {
    int fd = es__sys.open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    text[0] = '\0';
    if (fd < 0) {
        return -1;
    }
    got = es__sys.read(fd, text, size - 1);
    (void)es__sys.close(fd);
    if (got >= 0) {
        text[got] = '\0';
    }
    return got;
}

/* The name in the second field may hold spaces and parentheses: count from its end. */
static uint64_t parse_birth(const char *stat) {
    const char *at = strrchr(stat, ')');

    for (int field = 2; at != NULL && field < BIRTH_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

int es__prim_process_birth(int64_t pid, uint64_t *birth) {
    char path[64];
    char stat[1024];

    if (pid <= 0 || pid > INT32_MAX || (es__sys.kill((pid_t)pid, 0) < 0 && errno == ESRCH)) {
        return ES_ESRCH;
    }
    (void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    *birth = read_text(path, stat, sizeof(stat)) > 0 ? parse_birth(stat) : 0;
    return 0;
}

static void read_boot(char *boot, size_t size) {
    if (read_text("/proc/sys/kernel/random/boot_id", boot, size) < 0) {
        boot[0] = '\0';
    }
    boot[strcspn(boot, "\n")] = '\0';
}

/* Arguments lie there one after the other, each with its zero. */
static void read_command(char *command, size_t size) {
    ssize_t got = read_text("/proc/self/cmdline", command, size);

    for (ssize_t at = 0; at + 1 < got; at++) {
        if (command[at] == '\0') {
            command[at] = ' ';
        }
    }
}

int es__prim_owner_self(es_lock_owner_t *owner) {
    int code = es__owner_begin(owner);

    if (code != 0) {
        return code;
    }
    read_boot(owner->boot, sizeof(owner->boot));
    read_command(owner->command, sizeof(owner->command));
    return 0;
}
