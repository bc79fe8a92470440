/* SPDX-License-Identifier: MIT */
/* Who a process is on the BSDs: POSIX tells its number and the machine's name. When a process
 * started each of them tells in a way of its own, so a birth is 0, which means unknown. */
#include "lock_posix.h"

#include "error_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int es__prim_process_birth(int64_t pid, uint64_t *birth) {
    if (pid <= 0 || pid > INT32_MAX || (es__sys.kill((pid_t)pid, 0) < 0 && errno == ESRCH)) {
        return ES_ESRCH;
    }
    *birth = 0;
    return 0;
}

int es__prim_owner_self(es_lock_owner_t *owner) {
    struct timespec now = {0, 0};

    memset(owner, 0, sizeof(*owner));
    owner->pid = getpid();
    (void)es__sys.clock_gettime(CLOCK_REALTIME, &now);
    owner->since_s = (int64_t)now.tv_sec;
    (void)strncpy(owner->command, getprogname(), sizeof(owner->command) - 1);
    return es__sys.gethostname(owner->host, sizeof(owner->host) - 1) < 0
               ? es__lock_fail(ES_OP_NAME, "gethostname")
               : 0;
}
