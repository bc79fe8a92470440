/* SPDX-License-Identifier: MIT */
/* lock_idle_linux.c: SCHED_IDLE, which yields at once to anything else that can run (sched(7)). */
#include "lock_kinds.h"

#include <sched.h>

int lock_native_become_idle(void) {
    static const struct sched_param none = {0};

    return sched_setscheduler(0, SCHED_IDLE, &none);
}
