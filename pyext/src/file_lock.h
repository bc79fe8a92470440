/* SPDX-License-Identifier: MIT */
/* What the two files about file locks share: a held lock that one user at a time takes out.
 *
 * evenshim wants a lock to be used by one thread at a time, and not at all while it is being
 * converted. So whoever uses one takes it out of its object and puts it back: meanwhile nobody else
 * finds it there and is refused, with and without the interpreter's lock.
 */
#ifndef EV_FILE_LOCK_H
#define EV_FILE_LOCK_H

#include "core.h"

#include <evenshim/lock.h>

typedef struct ev_lock_file {
    PyObject_HEAD
    es_lockfile_t *file; /* never NULL once made; closed with the object */
    PyObject *path;      /* as it was given: for messages */
} ev_lock_file_t;

typedef struct ev_held_lock {
    PyObject_HEAD
    es_lock_t *lock; /* NULL: released, or taken out */
    bool taken_out;
    EV_SHARED(int) kind; /* of what is held; es_lock_kind_t */
    uint32_t generation; /* es_process_generation when it was made */
    PyObject *path;
} ev_held_lock_t;

/* An evenshim code as Python's exception: OSError, or RuntimeError in a forked child. Returns
 * NULL. */
PyObject *ev_lock_error_set(ev_state_t *state, int code);

/* The range of the arguments (offset, size). Whole file: both 0. */
typedef struct ev_lock_wish {
    es_lock_kind_t kind;
    es_range_t range;
} ev_lock_wish_t;
/* "kind, offset, size" as a converter would. 0 or -1. */
int ev_lock_wish_read(int kind, unsigned long long offset, unsigned long long size,
                      ev_lock_wish_t *wish);

/* Takes ownership of `lock`, also on failure: then it is released. */
PyObject *ev_held_lock_new(ev_state_t *state, es_lock_t *lock, PyObject *path);
/* NULL with RuntimeError: it is released, or in use. */
es_lock_t *ev_held_lock_take(ev_held_lock_t *self);
/* Puts it back; NULL: it is gone for good. */
void ev_held_lock_put(ev_held_lock_t *self, es_lock_t *lock);

int ev_lock_monitor_types_init(ev_state_t *state);

#endif
