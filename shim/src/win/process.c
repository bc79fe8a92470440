/* SPDX-License-Identifier: MIT */
/* Windows has no fork, so no process is ever a copy of another. */
#include <evenshim/process.h>

uint32_t es_process_generation(void) {
    return 0;
}
