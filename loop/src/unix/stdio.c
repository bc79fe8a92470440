/* SPDX-License-Identifier: MIT */
/* Keeps the loop's own descriptors off the numbers of the standard streams.
 *
 * A program without standard streams (a daemon) may open files in their place at any time, by dup2
 * over the numbers 0 to 2. A loop made in between would lose its epoll descriptor to that.
 */
#include "../internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int el__os_hold_stdio(int held[EL__STDIO_COUNT]) {
    int count = 0;
    for (int file = 0; file < EL__STDIO_COUNT; file++) {
        if (fcntl(file, F_GETFD) >= 0 || errno != EBADF) {
            continue;
        }
        /* The lowest free number: this one, unless another thread was faster. */
        int taken = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (taken >= 0) {
            held[count++] = taken;
        }
    }
    return count;
}

void el__os_release_stdio(const int held[EL__STDIO_COUNT], int count) {
    while (count > 0) {
        (void)close(held[--count]);
    }
}
