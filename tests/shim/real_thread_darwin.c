/* SPDX-License-Identifier: MIT */
#include "real_thread.h"

#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>

int real_thread_count(void) {
    thread_act_array_t threads;
    mach_msg_type_number_t count = 0;

    if (task_threads(mach_task_self(), &threads, &count) != KERN_SUCCESS) {
        (void)fprintf(stderr, "task_threads failed\n");
        exit(2);
    }
    for (mach_msg_type_number_t index = 0; index < count; index++) {
        (void)mach_port_deallocate(mach_task_self(), threads[index]);
    }
    (void)vm_deallocate(mach_task_self(), (vm_address_t)threads, count * sizeof(*threads));
    return (int)count;
}
