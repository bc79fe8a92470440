/* SPDX-License-Identifier: MIT */
/* A small kqueue on Linux, for the lock leaf that is built on one: files and locks are real, and
 * knotes live here. What the process itself does through the table of system calls posts the notes
 * that macOS (NOTE_FUNLOCK: an unlock) and the BSDs (NOTE_CLOSE, _CLOSE_WRITE) would post; what
 * others do is posted by the test. The queue's descriptor can be polled. */
#ifndef EVENSHIM_TESTS_KQUEUE_FAKE_H
#define EVENSHIM_TESTS_KQUEUE_FAKE_H

#include "sys.h"

typedef struct kqueue_fake {
    int add_error;     /* adding a watch fails so */
    int collect_error; /* asking for events fails so */
    int queue_error;   /* making a queue fails so */
    int poll_error;
    int lock_error;    /* locking fails so */
    int is_remote;     /* the files lie on another machine (fstatfs) */
    int poll_ms;       /* the last poll's timeout */
    int lock_count;    /* how many locks were tried */
    int collect_count; /* how often events were asked for */
} kqueue_fake_t;

extern kqueue_fake_t fake;

void fake_begin(void); /* puts the table in */
void fake_end(void);   /* puts the system's back; nothing may be left */

/* As the kernel: whoever watches the file of this path for one of the notes hears of it. */
void fake_post(const char *path, unsigned notes);

/* Whether this system tells of another's release at all, and by which note. */
int fake_tells_of_closes(void);
unsigned fake_release_note(void);

/* How many watches there are on files. */
int fake_watch_count(void);

#endif
