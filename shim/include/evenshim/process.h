/* SPDX-License-Identifier: MIT */
/* The process we run in. */
#ifndef EVENSHIM_PROCESS_H
#define EVENSHIM_PROCESS_H

#include <stdint.h>

#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many forks lie between the process that loaded evenshim and this one: 0 there, 1 in its
 * forked child, 2 in that one's. An object that must not be used across fork keeps the number it
 * was made under and refuses with ES_EFORKED when it has changed. Costs one memory read. Always 0
 * on Windows, which has no fork. Seen: every fork that runs pthread_atfork handlers; not seen:
 * vfork and a raw clone, whose child may only exec anyway. Thread safety: any thread;
 * async-signal-safe. */
ES_API uint32_t es_process_generation(void);

#ifdef __cplusplus
}
#endif
#endif
