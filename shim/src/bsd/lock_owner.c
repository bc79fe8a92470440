/* SPDX-License-Identifier: MIT */
/* Who a process is on the BSDs: POSIX tells its number and the machine's name. When a process
 * started each of them tells in a way of its own, so a birth is 0, which means unknown. */
#include "lock_posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int es__prim_process_birth(int64_t pid, uint64_t *birth) {
    if (pid <= 0 || pid > INT32_MAX || (es__sys.kill((pid_t)pid, 0) < 0 && errno == ESRCH)) {
        return ES_ESRCH;
    }
    *birth = 0;
    return 0;
}

int es__prim_owner_self(es_lock_owner_t *owner) {
    int code = es__owner_begin(owner);

    (void)strncpy(owner->command, getprogname(), sizeof(owner->command) - 1);
    return code;
}
