/* SPDX-License-Identifier: MIT */
/* Waiting on macOS and the BSDs: one kqueue per monitor watches the files that its requests wait
 * for (EVFILT_VNODE on the waiter's own descriptor; which events tell of a release is the kernel's,
 * ES__LOCK_NOTES), and takes wakes through a pipe. A knote
 * goes with its descriptor. Where a watch is not to be had the wait is blind. Breaks if a hold is
 * closed while its wait counts on the knote. */
#include "lock_posix.h"

#include "error_internal.h"
#include "prim/kernel.h"

#include <evenshim/memory.h>
#include <evenshim/process.h>

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/event.h>

#define EVENTS_MAX 32
#define ROUNDS_MAX 64
#define NS_PER_MS  INT64_C(1000000)

struct es__prim_monitor {
    int queue;
    int wakes[2];        /* a pipe: not every BSD has EVFILT_USER */
    uint32_t generation; /* es_process_generation at the opening */
    es__wait_t *waits;
};

static int change(int queue, uintptr_t ident, short filter, unsigned flags, unsigned notes) {
    struct kevent event;

    memset(&event, 0, sizeof(event));
    event.ident = ident;
    event.filter = (__typeof__(event.filter))filter;
    event.flags = (__typeof__(event.flags))flags;
    event.fflags = (__typeof__(event.fflags))notes;
    return es__sys.kevent(queue, &event, 1, NULL, 0, NULL);
}

int es__prim_monitor_open(es__prim_monitor_t **out) {
    es__prim_monitor_t *monitor = es_calloc(1, sizeof(*monitor));
    int code;

    if (monitor == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_OPEN, "es_lock_monitor_open");
    }
    if (es__kernel_pipe(monitor->wakes) < 0) {
        code = es__lock_fail(ES_OP_OPEN, "pipe");
        es_free(monitor);
        return code;
    }
    monitor->generation = es_process_generation();
    monitor->queue = es__sys.kqueue();
    if (monitor->queue >= 0) {
        (void)es__sys.fcntl(monitor->queue, F_SETFD, FD_CLOEXEC);
    }
    if (monitor->queue < 0 ||
        change(monitor->queue, (uintptr_t)monitor->wakes[0], EVFILT_READ, EV_ADD, 0) < 0) {
        code = es__lock_fail(ES_OP_OPEN, "kqueue");
        es__prim_monitor_close(monitor);
        return code;
    }
    *out = monitor;
    return 0;
}

/* A forked child does not inherit the kqueue: its number may be another's by now. Closing is tried
 * only where it is ours. */
void es__prim_monitor_close(es__prim_monitor_t *monitor) {
    (void)es__sys.close(monitor->wakes[0]);
    (void)es__sys.close(monitor->wakes[1]);
    if (monitor->queue >= 0 && monitor->generation == es_process_generation()) {
        (void)es__sys.close(monitor->queue);
    }
    es_free(monitor);
}

es_pollable_t es__prim_monitor_pollable(const es__prim_monitor_t *monitor) {
    return monitor->queue;
}

void es__prim_monitor_wake(es__prim_monitor_t *monitor) {
    (void)es__sys.write(monitor->wakes[1], "", 1);
}

static void wake_by_helper(void *context) {
    es__prim_monitor_wake(context);
}

static void take_event(es__prim_monitor_t *monitor, const struct kevent *event) {
    for (es__wait_t *wait = monitor->waits; wait != NULL; wait = wait->next) {
        if (event->filter == EVFILT_VNODE && (uintptr_t)wait->watch == (uintptr_t)event->ident) {
            wait->is_due = 1;
        }
    }
}

static void drain_wakes(es__prim_monitor_t *monitor) {
    char bytes[64];

    for (int reads = 0; reads < ROUNDS_MAX; reads++) {
        if (es__sys.read(monitor->wakes[0], bytes, sizeof(bytes)) < (ssize_t)sizeof(bytes)) {
            return;
        }
    }
}

int es__prim_monitor_collect(es__prim_monitor_t *monitor) {
    static const struct timespec at_once = {0, 0};
    struct kevent events[EVENTS_MAX];
    int count = EVENTS_MAX;

    drain_wakes(monitor);
    for (int rounds = 0; rounds < ROUNDS_MAX && count == EVENTS_MAX; rounds++) {
        count = es__sys.kevent(monitor->queue, NULL, 0, events, EVENTS_MAX, &at_once);
        if (count < 0) {
            return errno == EINTR ? 0 : es__lock_fail(ES_OP_LOCK, "kevent");
        }
        for (int index = 0; index < count; index++) {
            take_event(monitor, &events[index]);
        }
    }
    return 0;
}

void es__prim_monitor_renew(es__prim_monitor_t *monitor) {
    assert(monitor->waits == NULL);
    (void)es__prim_monitor_collect(monitor);
}

/* Rounded up: a deadline is never early. poll, since macOS has no ppoll. */
int es__prim_monitor_wait(es__prim_monitor_t *monitor, int64_t timeout_ns, es_cancel_t *cancel) {
    struct pollfd fds[2] = {{.fd = monitor->queue, .events = POLLIN}, {.fd = -1}};
    int64_t ms = timeout_ns < 0 ? -1 : timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    int count;

    if (cancel != NULL) {
        fds[1].fd = es__cancel_fd(cancel);
        fds[1].events = POLLIN;
    }
    count = es__sys.poll(fds, cancel != NULL ? 2 : 1, (int)(ms < INT32_MAX ? ms : INT32_MAX));
    if (count < 0 && errno != EINTR) {
        return es__lock_fail(ES_OP_LOCK, "poll");
    }
    if (count > 0 && fds[1].revents != 0) {
        return es__refuse(ES_ECANCELED, ES_OP_LOCK, "es_cancel_set");
    }
    return count > 0 ? 0 : ES_ETIMEDOUT;
}

int es__prim_wait_begin(es__prim_monitor_t *monitor, es__wait_t *wait, es__hold_t *hold,
                        es__bytes_t bytes, es_lock_kind_t kind, int is_fair) {
    *wait = (es__wait_t){.hold = hold, .bytes = bytes, .kind = kind, .watch = -1};
    es__wait_begin(&monitor->waits, wait, is_fair, wake_by_helper, monitor);
    if (wait->manner == ES__WAIT_BLIND && es__wait_is_told(wait) &&
        change(monitor->queue, (uintptr_t)hold->native, EVFILT_VNODE, EV_ADD | EV_CLEAR,
               ES__LOCK_NOTES) == 0) {
        wait->watch = hold->native;
        wait->manner = ES__WAIT_TELLS;
    }
    return 0;
}

int es__prim_wait_end(es__prim_monitor_t *monitor, es__wait_t *wait) {
    es__wait_delist(wait);
    if (wait->manner == ES__WAIT_TELLS && wait->hold->native == wait->watch) {
        (void)change(monitor->queue, (uintptr_t)wait->watch, EVFILT_VNODE, EV_DELETE, 0);
    }
    return wait->manner == ES__WAIT_GRANTS ? es__helper_end(wait->helper) : ES_ECANCELED;
}
