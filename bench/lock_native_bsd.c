/* SPDX-License-Identifier: MIT */
/* lock_native_bsd.c: what the BSDs have by themselves, which have no OFD locks. */
#include "lock_native_posix.h"

const lock_kind_t *const lock_native_kinds[] = {&lock_native_flock, &lock_native_pipe};
const size_t lock_native_count = sizeof(lock_native_kinds) / sizeof(lock_native_kinds[0]);
