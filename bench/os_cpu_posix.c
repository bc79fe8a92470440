/* SPDX-License-Identifier: MIT */
/* os_cpu_posix.c: processor time of another process on Linux and the BSDs.
 *
 * The process clock of POSIX counts in nanoseconds and sums the threads that have ended too;
 * /proc/PID/stat counts in ticks of 10 ms and /proc/PID/task/N/schedstat forgets threads that
 * are gone and lags by a tick for those that run. */
#include "os.h"

#include <sys/types.h>
#include <time.h>

int os_process_cpu_ns(int64_t pid, uint64_t *cpu_ns) {
    clockid_t process_clock;
    struct timespec used;

    if (clock_getcpuclockid((pid_t)pid, &process_clock) != 0) {
        return -1;
    }
    if (clock_gettime(process_clock, &used) != 0) {
        return -1;
    }
    *cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    return 0;
}
