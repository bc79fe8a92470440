/* SPDX-License-Identifier: MIT */
/* POSIX locks with a table that gives them back their owners (lock.c). NOTE_ATTRIB: a release that
 * cannot close its descriptor touches the file instead. OpenBSD has no notes about closes, so that
 * nobody would hear of a release in another process, or of its end: there waiters ask. */
#ifndef EVENSHIM_SRC_LOCK_FLAGS_H
#define EVENSHIM_SRC_LOCK_FLAGS_H

#include <fcntl.h>
#include <sys/types.h>

#include <sys/event.h>

#define ES__LOCK_SPLITS   1
#define ES__LOCK_UPGRADES 1
#define ES__LOCK_DETACHES 0
#define ES__LOCK_QUEUES   0 /* a blocking fcntl would wait for the process, not for the owner */

/* Of ES__LOCK_QUEUES only. */
#define ES__OFD_SETLKW          F_SETLKW

#define ES__LOCK_UNLOCK_IS_TOLD 0

#if defined(NOTE_CLOSE) && defined(NOTE_CLOSE_WRITE)
#define ES__LOCK_NOTES (NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_ATTRIB | NOTE_DELETE)
#define ES__LOCK_CAPS  (ES_LOCK_CAN_LOCK | ES_LOCK_CAN_FLOCK | ES_LOCK_CAN_NOTIFY)
#else
#define ES__LOCK_NOTES (NOTE_ATTRIB | NOTE_DELETE)
#define ES__LOCK_CAPS  (ES_LOCK_CAN_LOCK | ES_LOCK_CAN_FLOCK)
#endif

#endif
