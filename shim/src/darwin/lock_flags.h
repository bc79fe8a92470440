/* SPDX-License-Identifier: MIT */
/* OFD locks are in XNU since 10.15 under private names (sys/fcntl.h, bsd/kern/kern_descrip.c
 * there); their numbers have not changed. NOTE_FUNLOCK tells of any unlock of the file. */
#ifndef EVENSHIM_SRC_LOCK_FLAGS_H
#define EVENSHIM_SRC_LOCK_FLAGS_H

#include <fcntl.h>

#define ES__LOCK_SPLITS         1
#define ES__LOCK_UPGRADES       1
#define ES__LOCK_DETACHES       1
#define ES__LOCK_QUEUES         1

#define ES__LOCK_UNLOCK_IS_TOLD 1

#define ES__OPEN_TO_LOOK        (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

#define ES__OFD_GETLK           92
#define ES__OFD_SETLK           90
#define ES__OFD_SETLKW          91

#define ES__LOCK_NOTES          (NOTE_FUNLOCK | NOTE_DELETE | NOTE_ATTRIB)

#endif
