/* SPDX-License-Identifier: MIT */
/* lock_share.c: see lock_share.h. A side looks at what the other has written between sleeps, for a
 * side that spins would keep a core awake; so all that a hand-off finds running is the releaser. */
#include "lock_share.h"

#include <uv.h>

#define LOOK_US    1000
#define LOOKS_MAX  20000
#define BLOCKED_US 2000 /* by then who asked is blocked, and its core asleep */
#define NS_PER_US  1000u

void share_begin(share_t *share, unsigned hand_offs, unsigned delay_us) {
    share->hand_offs = hand_offs;
    share->delay_us = delay_us;
    atomic_store(&share->asked, 0);
    atomic_store(&share->begun, 0);
    atomic_store(&share->released_ns, 0);
}

static int wait_for(atomic_uint *counter, unsigned value) {
    for (int looks = 0; looks < LOOKS_MAX; looks++) {
        if (atomic_load(counter) >= value) {
            return 0;
        }
        real_pause_us(LOOK_US);
    }
    return -1;
}

static void spend(unsigned delay_us) {
    uint64_t end_ns = uv_hrtime() + (uint64_t)delay_us * NS_PER_US;

    while (delay_us != 0 && uv_hrtime() < end_ns) {
    }
}

static int give(share_t *share, const lock_kind_t *kind, side_lock_t *lock, unsigned turn) {
    if (wait_for(&share->asked, turn + 1) != 0) {
        return -1;
    }
    real_pause_us(BLOCKED_US);
    atomic_store(&share->released_ns, uv_hrtime());
    spend(share->delay_us);
    return kind->release(lock) == 0 ? wait_for(&share->begun, turn + 2) : -1;
}

static int receive(share_t *share, const lock_kind_t *kind, side_lock_t *lock, unsigned turn) {
    int64_t sleeps = lock_native_sleeps();
    uint64_t now_ns;

    atomic_store(&share->asked, turn + 1);
    if (kind->acquire(lock) != 0) {
        return -1;
    }
    now_ns = uv_hrtime();
    share->took_ns[turn] = now_ns - atomic_load(&share->released_ns);
    share->has_slept[turn] = lock_native_sleeps() > sleeps;
    atomic_store(&share->begun, turn + 2);
    return 0;
}

static int play(share_t *share, const lock_kind_t *kind, side_lock_t *lock, unsigned side) {
    int code = 0;

    for (unsigned turn = 0; turn < share->hand_offs && code == 0; turn++) {
        code = turn % 2 == side ? give(share, kind, lock, turn) : receive(share, kind, lock, turn);
    }
    if (code == 0 && share->hand_offs % 2 == side) {
        code = kind->release(lock);
    }
    return code;
}

int share_run(share_t *share, const lock_kind_t *kind, const char *path, unsigned side) {
    side_lock_t lock = {0};
    int code = kind->open(&lock, path, 0);

    if (code == 0) {
        code = play(share, kind, &lock, side);
        kind->close(&lock);
    }
    return code;
}

int share_run_first(share_t *share, const lock_kind_t *kind, const char *path,
                    real_process_t *other, const char *const *arguments) {
    side_lock_t lock = {0};
    int code = kind->open(&lock, path, 1);

    if (code == 0) {
        code = kind->acquire(&lock);
    }
    if (code == 0) {
        atomic_store(&share->begun, 1);
        *other = real_spawn(arguments);
        code = play(share, kind, &lock, 0);
        kind->close(&lock);
    }
    return code;
}
