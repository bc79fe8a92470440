/* SPDX-License-Identifier: MIT */
#include "fact.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void describe_system(system_words_t *words) {
    struct utsname names;

    if (uname(&names) != 0) {
        return;
    }
    (void)snprintf(words->name, sizeof(words->name), "%s",
                   strcmp(names.sysname, "Darwin") == 0 ? "macOS" : names.sysname);
    (void)snprintf(words->release, sizeof(words->release), "%s", names.release);
    (void)snprintf(words->machine, sizeof(words->machine), "%s", names.machine);
}

double clock_seconds(void) {
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

FILE *take_standard_output(void) {
    int fd = dup(STDOUT_FILENO);

    if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        return NULL;
    }
    return fdopen(fd, "wb");
}
