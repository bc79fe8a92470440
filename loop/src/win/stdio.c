/* SPDX-License-Identifier: MIT */
/* On Windows a loop owns handles, which have no numbers in common with the standard streams. */
#include "../internal.h"

int el__os_hold_stdio(int held[EL__STDIO_COUNT]) {
    (void)held;
    return 0;
}

void el__os_release_stdio(const int held[EL__STDIO_COUNT], int count) {
    (void)held;
    (void)count;
}
