/* SPDX-License-Identifier: MIT */
/* OFD locks (fcntl(2), Linux 3.15): ranges split and convert as POSIX says. */
#ifndef EVENSHIM_SRC_LOCK_FLAGS_H
#define EVENSHIM_SRC_LOCK_FLAGS_H

#include <fcntl.h>

#define ES__LOCK_SPLITS         1
#define ES__LOCK_UPGRADES       1
#define ES__LOCK_DETACHES       1
#define ES__LOCK_QUEUES         1

#define ES__LOCK_UNLOCK_IS_TOLD 0

#define ES__OPEN_TO_LOOK        (O_PATH | O_CLOEXEC) /* needs no right to the file */

#define ES__OFD_GETLK           F_OFD_GETLK
#define ES__OFD_SETLK           F_OFD_SETLK
#define ES__OFD_SETLKW          F_OFD_SETLKW

#endif
