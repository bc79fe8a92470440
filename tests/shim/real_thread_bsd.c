/* SPDX-License-Identifier: MIT */
/* Each of the BSDs has a sysctl of its own for this, but ps of all of them lists threads with -H. */
#include "real_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int real_thread_count(void) {
    char command[64];
    char line[256];
    FILE *lines;
    int count = 0;

    (void)snprintf(command, sizeof(command), "ps -H -o pid= -p %ld", (long)getpid());
    lines = popen(command, "r");
    if (lines == NULL) {
        perror("ps");
        exit(2);
    }
    while (fgets(line, sizeof(line), lines) != NULL) {
        count++;
    }
    (void)pclose(lines);
    return count;
}
