/* SPDX-License-Identifier: MIT */
/* LockFileEx: a range is freed as it was taken, and exclusive over one's own shared lock fails;
 * shared over one's own exclusive lock stacks, and the first unlock ends the exclusive one. */
#ifndef EVENSHIM_SRC_LOCK_FLAGS_H
#define EVENSHIM_SRC_LOCK_FLAGS_H

#define ES__LOCK_UNLOCK_IS_TOLD 0
#define ES__LOCK_SPLITS         0
#define ES__LOCK_UPGRADES       0

#endif
