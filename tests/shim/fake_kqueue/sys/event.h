/* SPDX-License-Identifier: MIT */
/* What the lock leaf for macOS and the BSDs needs of kqueue(2), declared for other systems; the
 * numbers are FreeBSD's and macOS's, the functions kqueue_fake.c's. With FAKE_OPENBSD it has no
 * notes about closes, as there. */
#ifndef EVENSHIM_TESTS_FAKE_EVENT_H
#define EVENSHIM_TESTS_FAKE_EVENT_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    intptr_t data;
    void *udata;
};

#define EVFILT_READ  (-1)
#define EVFILT_VNODE (-4)

#define EV_ADD       0x1
#define EV_DELETE    0x2
#define EV_CLEAR     0x20

#define NOTE_DELETE  0x1u
#define NOTE_WRITE   0x2u
#define NOTE_EXTEND  0x4u
#define NOTE_ATTRIB  0x8u
#define NOTE_LINK    0x10u
#define NOTE_RENAME  0x20u
#define NOTE_REVOKE  0x40u
#define NOTE_FUNLOCK 0x80u
#ifndef FAKE_OPENBSD
#define NOTE_CLOSE       0x100u
#define NOTE_CLOSE_WRITE 0x200u
#endif

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int change_count, struct kevent *events,
           int event_count, const struct timespec *timeout);

#endif
