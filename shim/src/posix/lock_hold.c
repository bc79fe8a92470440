/* SPDX-License-Identifier: MIT */
/* Holds on Unix, and what fork does to them. A forked child has copies of every descriptor, and an
 * OFD lock lives until the last copy is closed: a parent that crashed would leave its locks with a
 * child that knows nothing of them, and waiters would hear of a release only when the child ends.
 * So all holds stand in one list, and the child closes its copies before anything else runs there.
 * It frees no lock: that would free the parent's. close(2) is allowed in the child of a program
 * with threads. Breaks if a hold moves or is freed while it is in the list. */
#include "lock_posix.h"

#include "error_internal.h"

#include <assert.h>
#include <errno.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static es__hold_t *holds;

static void before_fork(void) {
    (void)pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void) {
    (void)pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void) {
    for (es__hold_t *hold = holds; hold != NULL; hold = hold->next) {
        (void)es__sys.close((int)hold->native);
        hold->native = ES__NATIVE_NONE;
    }
    holds = NULL;
    es__lock_forked();
    (void)pthread_mutex_unlock(&mutex);
}

__attribute__((constructor)) static void install(void) {
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* A fork of another thread between the opening and this leaves the child a copy that it does not
 * close before its exec; the release is explicit, so only a crash in that moment could tell. */
static void enlist(es__hold_t *hold) {
    (void)pthread_mutex_lock(&mutex);
    hold->next = holds;
    hold->link = &holds;
    if (holds != NULL) {
        holds->link = &hold->next;
    }
    holds = hold;
    (void)pthread_mutex_unlock(&mutex);
}

static void delist(es__hold_t *hold) {
    (void)pthread_mutex_lock(&mutex);
    *hold->link = hold->next;
    if (hold->next != NULL) {
        hold->next->link = hold->link;
    }
    (void)pthread_mutex_unlock(&mutex);
}

int es__prim_hold_open(intptr_t base, const char *path, uint32_t flags, int mode,
                       es__hold_t *hold) {
    int fd = base == ES__NATIVE_NONE ? es__lock_open_fd(path, flags, mode)
                                     : es__lock_reopen((int)base, path, flags);

    if (fd < 0) {
        return es__lock_fail(ES_OP_OPEN, "open");
    }
    hold->native = fd;
    enlist(hold);
    return 0;
}

/* Not in the list: the forked child has the caller's own descriptor as well. */
int es__prim_hold_adopt(intptr_t base, es__hold_t *hold) {
    int fd = es__sys.fcntl((int)base, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        return es__lock_fail(ES_OP_OPEN, "fcntl");
    }
    hold->native = fd;
    hold->is_adopted = 1;
    return 0;
}

int es__prim_hold_detach(es__hold_t *hold, intptr_t *native) {
    assert(hold->native != ES__NATIVE_NONE);
    if (!ES__LOCK_DETACHES && !hold->is_flock) {
        return es__refuse(ES_ENOTSUP, ES_OP_LOCK, "es_lock_detach");
    }
    if (!hold->is_adopted) {
        delist(hold);
    }
    es__lock_forget(hold);
    *native = hold->native;
    hold->native = ES__NATIVE_NONE;
    return 0;
}

void es__prim_hold_close(es__hold_t *hold) {
    assert(hold->native != ES__NATIVE_NONE);
    if (!hold->is_adopted) {
        delist(hold);
    }
    es__lock_forget(hold);
    es__lock_close_fd((int)hold->native);
    hold->native = ES__NATIVE_NONE;
}
