/* SPDX-License-Identifier: MIT */
/* POSIX locks with a table that gives them back their owners (lock.c). NOTE_ATTRIB: a release that
 * cannot close its descriptor touches the file instead. */
#ifndef EVENSHIM_SRC_LOCK_FLAGS_H
#define EVENSHIM_SRC_LOCK_FLAGS_H

#include <fcntl.h>

#define ES__LOCK_SPLITS   1
#define ES__LOCK_UPGRADES 1
#define ES__LOCK_DETACHES 0
#define ES__LOCK_QUEUES   0 /* a blocking fcntl would wait for the process, not for the owner */

/* Of ES__LOCK_QUEUES only. */
#define ES__OFD_SETLKW F_SETLKW

#if defined(NOTE_CLOSE) && defined(NOTE_CLOSE_WRITE)
#define ES__LOCK_NOTES (NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_ATTRIB | NOTE_DELETE)
#else
#define ES__LOCK_NOTES (NOTE_ATTRIB | NOTE_DELETE) /* OpenBSD */
#endif

#endif
