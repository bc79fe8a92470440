/* SPDX-License-Identifier: MIT */
/* See children.h. */
#include "children.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const char *program;

void child_program(const char *path) {
    program = path;
}

child_process_t child_start(void) {
    char line[2048];
    HANDLE ends[2];
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    STARTUPINFOA start;
    PROCESS_INFORMATION made;
    if (!CreatePipe(&ends[0], &ends[1], &inherited, 0)) {
        abort();
    }
    (void)SetHandleInformation(ends[1], HANDLE_FLAG_INHERIT, 0);
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdInput = ends[0];
    start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    (void)snprintf(line, sizeof line, "\"%s\" child", program);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &made)) {
        abort();
    }
    (void)CloseHandle(made.hThread);
    (void)CloseHandle(ends[0]);
    child_process_t process = {(intptr_t)made.hProcess, (intptr_t)ends[1]};
    return process;
}

void child_end(child_process_t *process) {
    (void)CloseHandle((HANDLE)process->input);
}

void child_await_without_collecting(child_process_t *process) {
    (void)WaitForSingleObject((HANDLE)process->id, INFINITE);
}

int child_status(child_process_t *process) {
    DWORD status = 0;
    (void)WaitForSingleObject((HANDLE)process->id, INFINITE);
    BOOL told = GetExitCodeProcess((HANDLE)process->id, &status);
    (void)CloseHandle((HANDLE)process->id);
    return told ? (int)status : -1;
}

intptr_t child_nobody(void) {
    return (intptr_t)NULL;
}
