/* SPDX-License-Identifier: MIT */
/* Who a process is on macOS: libproc tells when it started and what it runs, sysctl the id of the
 * machine's boot. A birth is microseconds since 1970. */
#include "lock_posix.h"

#include "error_internal.h"

#include <errno.h>
#include <libproc.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

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
    struct timespec now = {0, 0};
    char path[PROC_PIDPATHINFO_MAXSIZE] = "";
    size_t size = sizeof(owner->boot) - 1;

    memset(owner, 0, sizeof(*owner));
    owner->pid = getpid();
    (void)es__prim_process_birth(owner->pid, &owner->birth);
    (void)es__sys.clock_gettime(CLOCK_REALTIME, &now);
    owner->since_s = (int64_t)now.tv_sec;
    if (es__sys.gethostname(owner->host, sizeof(owner->host) - 1) < 0) {
        return es__lock_fail(ES_OP_NAME, "gethostname");
    }
    if (sysctlbyname("kern.bootsessionuuid", owner->boot, &size, NULL, 0) < 0) {
        owner->boot[0] = '\0';
    }
    if (proc_pidpath((int)owner->pid, path, sizeof(path)) > 0) {
        (void)strncpy(owner->command, path, sizeof(owner->command) - 1);
    }
    return 0;
}
