/* SPDX-License-Identifier: MIT */
/* lock_idle_posix.c: the last of the priorities that every Unix has. It takes a small share of the
 * processor from others, where Linux has a class that takes none. */
#include "lock_kinds.h"

#include <sys/resource.h>

int lock_native_become_idle(void) {
    return setpriority(PRIO_PROCESS, 0, 20);
}
