/* SPDX-License-Identifier: MIT */
#include "real_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void check(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(2);
    }
}

real_process_t real_spawn(const char *const *arguments) {
    real_process_t process = {0, 0};
    pid_t pid = 0;

    check(posix_spawn(&pid, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                      environ) == 0,
          "posix_spawn");
    process.native = pid;
    process.pid = pid;
    return process;
}

void real_kill(const real_process_t *process) {
    (void)kill((pid_t)process->native, SIGKILL);
}

int real_wait_end(real_process_t *process, int timeout_ms) {
    const struct timespec pause = {0, 1000000};
    int status = 0;

    for (int turns = 0; turns <= timeout_ms; turns++) {
        pid_t ended = waitpid((pid_t)process->native, &status, timeout_ms < 0 ? 0 : WNOHANG);

        check(ended >= 0 || errno == EINTR, "waitpid");
        if (ended > 0) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : REAL_KILLED;
        }
        if (turns < timeout_ms) {
            (void)nanosleep(&pause, NULL);
        }
    }
    return REAL_RUNS;
}

void *real_map(const char *path, size_t size) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory;

    check(fd >= 0 && ftruncate(fd, (off_t)size) == 0, path);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(memory != MAP_FAILED, "mmap");
    (void)close(fd);
    return memory;
}

void real_unmap(void *memory, size_t size) {
    (void)munmap(memory, size);
}

void real_pause_us(unsigned us) {
    const struct timespec pause = {us / 1000000, (long)(us % 1000000) * 1000};

    (void)nanosleep(&pause, NULL);
}

int real_is_terminal(void) {
    return isatty(STDOUT_FILENO);
}
