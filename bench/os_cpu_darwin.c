/* SPDX-License-Identifier: MIT */
/* os_cpu_darwin.c: processor time of another process on macOS.
 *
 * proc_pid_rusage counts in Mach time units, which are nanoseconds on Intel only. */
#include "os.h"

#include <libproc.h>
#include <mach/mach_time.h>
#include <sys/resource.h>

int os_process_cpu_ns(int64_t pid, uint64_t *cpu_ns) {
    struct rusage_info_v2 usage;
    mach_timebase_info_data_t unit;

    if (proc_pid_rusage((int)pid, RUSAGE_INFO_V2, (rusage_info_t *)&usage) != 0) {
        return -1;
    }
    if (mach_timebase_info(&unit) != 0) {
        return -1;
    }
    *cpu_ns = (usage.ri_user_time + usage.ri_system_time) * unit.numer / unit.denom;
    return 0;
}
