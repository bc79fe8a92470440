/* SPDX-License-Identifier: MIT */
/* See children.h. */
#include "children.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

void child_program(const char *path) {
    program = path;
}

child_process_t child_start(void) {
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();
    if (pid < 0) {
        abort();
    }
    if (pid == 0) {
        (void)dup2(ends[0], 0);
        (void)close(ends[0]);
        (void)execl(program, program, "child", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[0]);
    child_process_t process = {pid, ends[1]};
    return process;
}

void child_end(child_process_t *process) {
    (void)close((int)process->input);
}

void child_await_without_collecting(child_process_t *process) {
    siginfo_t info;
    (void)waitid(P_PID, (id_t)process->id, &info, WEXITED | WNOWAIT);
}

int child_status(child_process_t *process) {
    int status = 0;
    pid_t pid = waitpid((pid_t)process->id, &status, 0);
    return pid == process->id && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

intptr_t child_nobody(void) {
    /* A child that was collected. */
    child_process_t process = child_start();
    child_end(&process);
    (void)child_status(&process);
    return process.id;
}
