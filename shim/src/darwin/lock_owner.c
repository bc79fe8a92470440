/* SPDX-License-Identifier: MIT */
/* Who a process is on macOS: libproc tells when it started and what it runs, sysctl the id of the
 * machine's boot. A birth is microseconds since 1970. */
#include "lock_posix.h"

#include <errno.h>
#include <libproc.h>
#include <string.h>
#include <sys/sysctl.h>

int es__prim_process_birth(int64_t pid, uint64_t *birth) {
    struct proc_bsdinfo info;

    if (pid <= 0 || pid > INT32_MAX || (es__sys.kill((pid_t)pid, 0) < 0 && errno == ESRCH)) {
        return ES_ESRCH;
    }
    *birth = 0;
    if (proc_pidinfo((int)pid, PROC_PIDTBSDINFO, 0, &info, sizeof(info)) == (int)sizeof(info)) {
        *birth = info.pbi_start_tvsec * 1000000 + info.pbi_start_tvusec;
    }
    return 0;
}

int es__prim_owner_self(es_lock_owner_t *owner) {
    char path[PROC_PIDPATHINFO_MAXSIZE] = "";
    size_t size = sizeof(owner->boot) - 1;
    int code = es__owner_begin(owner);

    if (code != 0) {
        return code;
    }
    if (sysctlbyname("kern.bootsessionuuid", owner->boot, &size, NULL, 0) < 0) {
        owner->boot[0] = '\0';
    }
    if (proc_pidpath((int)owner->pid, path, sizeof(path)) > 0) {
        (void)strncpy(owner->command, path, sizeof(owner->command) - 1);
    }
    return 0;
}
