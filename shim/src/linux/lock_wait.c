/* SPDX-License-Identifier: MIT */
/* Waiting on Linux: one inotify descriptor per monitor watches the files that its requests wait
 * for, since every release closes a descriptor of its own (IN_CLOSE). fanotify and leases would
 * need rights, F_OFD_SETLKW a thread each; polling is four hundred times slower to notice. An
 * eventfd carries wakes, and an epoll descriptor joins the two into one pollable. Where inotify is
 * not to be had (limits, network file systems) a wait is blind and the caller asks from time to
 * time. A watch outlives its last wait, so that a queue's next waiter finds it in place and whoever
 * has just got a lock does not spend time on it; its next event or es__prim_monitor_renew ends it.
 * Breaks if a watch is removed while a wait counts on it. */
#include "lock_posix.h"

#include "error_internal.h"
#include "prim/socket.h"

#include <evenshim/memory.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* IN_ATTRIB: the count of links changed (somebody removed the file), or another system touched it.
 */
#define EVENTS (IN_CLOSE | IN_ATTRIB | IN_DELETE_SELF | IN_UNMOUNT)

/* Room for events without names; more are read in the next turn, at most so many times. */
#define READ_BYTES   4096
#define READS_MAX    64
#define NO_WATCH     (-1)

#define NS_PER_S     INT64_C(1000000000)
#define WAIT_LONGEST (INT64_C(1000000) * NS_PER_S)

struct es__prim_monitor {
    int epoll;
    int event;
    int inotify; /* -1: none to be had */
    int last_watch;
    es__wait_t *waits;
};

static int join_epoll(const es__prim_monitor_t *monitor, int fd) {
    struct epoll_event interest = {.events = EPOLLIN};

    return es__sys.epoll_ctl(monitor->epoll, EPOLL_CTL_ADD, fd, &interest);
}

static void close_if_open(int fd) {
    if (fd >= 0) {
        (void)es__sys.close(fd);
    }
}

int es__prim_monitor_open(es__prim_monitor_t **out) {
    es__prim_monitor_t *monitor = es_calloc(1, sizeof(*monitor));
    int code;

    if (monitor == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_OPEN, "es_lock_monitor_open");
    }
    monitor->last_watch = NO_WATCH;
    monitor->inotify = -1;
    monitor->event = es__sys.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    monitor->epoll = monitor->event < 0 ? -1 : es__sys.epoll_create1(EPOLL_CLOEXEC);
    if (monitor->epoll < 0 || join_epoll(monitor, monitor->event) < 0) {
        code = es__lock_fail(ES_OP_OPEN, monitor->event < 0 ? "eventfd" : "epoll_create1");
        es__prim_monitor_close(monitor);
        return code;
    }
    monitor->inotify = es__sys.inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (monitor->inotify >= 0 && join_epoll(monitor, monitor->inotify) < 0) {
        close_if_open(monitor->inotify);
        monitor->inotify = -1;
    }
    *out = monitor;
    return 0;
}

void es__prim_monitor_close(es__prim_monitor_t *monitor) {
    close_if_open(monitor->inotify);
    close_if_open(monitor->epoll);
    close_if_open(monitor->event);
    es_free(monitor);
}

es_pollable_t es__prim_monitor_pollable(const es__prim_monitor_t *monitor) {
    return monitor->epoll;
}

/* A counter at its limit is readable as well. */
void es__prim_monitor_wake(es__prim_monitor_t *monitor) {
    static const uint64_t one = 1;

    (void)es__sys.write(monitor->event, &one, sizeof(one));
}

static void wake_by_helper(void *context) {
    es__prim_monitor_wake(context);
}

static int is_watched(const es__prim_monitor_t *monitor, int watch) {
    for (const es__wait_t *wait = monitor->waits; wait != NULL; wait = wait->next) {
        if (wait->manner == ES__WAIT_TELLS && wait->watch == watch) {
            return 1;
        }
    }
    return 0;
}

static void forget_watch(es__prim_monitor_t *monitor, int watch) {
    if (monitor->last_watch == watch) {
        monitor->last_watch = NO_WATCH;
    }
    (void)es__sys.inotify_rm_watch(monitor->inotify, watch);
}

/* IN_IGNORED: the watch has gone, with its file or at our own wish; its waits must ask, and ask for
 * a new one. An overflow has lost events of any watch. */
static void take_event(es__prim_monitor_t *monitor, const struct inotify_event *event) {
    int is_for_all = (event->mask & IN_Q_OVERFLOW) != 0;
    int is_wanted = is_for_all;

    for (es__wait_t *wait = monitor->waits; wait != NULL; wait = wait->next) {
        if (wait->manner == ES__WAIT_TELLS && (is_for_all || wait->watch == event->wd)) {
            wait->is_due = 1;
            is_wanted = 1;
            if ((event->mask & IN_IGNORED) != 0) {
                wait->manner = ES__WAIT_BLIND;
            }
        }
    }
    if (!is_wanted && (event->mask & IN_IGNORED) == 0) {
        forget_watch(monitor, event->wd);
    }
}

static void take_events(es__prim_monitor_t *monitor, const char *events, size_t size) {
    struct inotify_event event;

    for (size_t at = 0; at + sizeof(event) <= size; at += sizeof(event) + event.len) {
        memcpy(&event, events + at, sizeof(event));
        take_event(monitor, &event);
    }
}

static int drain_inotify(es__prim_monitor_t *monitor) {
    char events[READ_BYTES];

    for (int reads = 0; reads < READS_MAX; reads++) {
        ssize_t got = es__sys.read(monitor->inotify, events, sizeof(events));

        if (got > 0) {
            take_events(monitor, events, (size_t)got);
        }
        if (got < 0 && errno != EINTR) {
            return errno == EAGAIN ? 0 : es__lock_fail(ES_OP_LOCK, "read");
        }
        if (got >= 0 && got < READ_BYTES / 2) {
            return 0; /* there was no more */
        }
    }
    return 0;
}

int es__prim_monitor_collect(es__prim_monitor_t *monitor) {
    uint64_t wakes;
    ssize_t got;
    int interruptions = 0;

    do {
        got = es__sys.read(monitor->event, &wakes, sizeof(wakes));
    } while (got < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return monitor->inotify >= 0 ? drain_inotify(monitor) : 0;
}

void es__prim_monitor_renew(es__prim_monitor_t *monitor) {
    assert(monitor->waits == NULL);
    if (monitor->last_watch != NO_WATCH) {
        forget_watch(monitor, monitor->last_watch);
    }
    (void)es__prim_monitor_collect(monitor);
}

static int poll_both(struct pollfd *fds, nfds_t count, int64_t timeout_ns) {
    struct timespec pause;

    if (timeout_ns < 0) {
        return es__sys.ppoll(fds, count, NULL, NULL);
    }
    timeout_ns = timeout_ns < WAIT_LONGEST ? timeout_ns : WAIT_LONGEST;
    pause.tv_sec = (time_t)(timeout_ns / NS_PER_S);
    pause.tv_nsec = (long)(timeout_ns % NS_PER_S);
    return es__sys.ppoll(fds, count, &pause, NULL);
}

/* An interruption counts as the end of the pause: whoever waits looks at the clock again. */
int es__prim_monitor_wait(es__prim_monitor_t *monitor, int64_t timeout_ns, es_cancel_t *cancel) {
    struct pollfd fds[2] = {{.fd = monitor->epoll, .events = POLLIN}, {.fd = -1}};
    int count;

    if (cancel != NULL) {
        fds[1].fd = es__cancel_fd(cancel);
        fds[1].events = POLLIN;
    }
    count = poll_both(fds, 2, timeout_ns);
    if (count < 0 && errno != EINTR) {
        return es__lock_fail(ES_OP_LOCK, "ppoll");
    }
    if (count > 0 && fds[1].revents != 0) {
        return es__refuse(ES_ECANCELED, ES_OP_LOCK, "es_cancel_set");
    }
    return count > 0 ? 0 : ES_ETIMEDOUT;
}

/* The watch of the hold's file, the old one if it has one; NO_WATCH: none to be had. */
static int add_watch(es__prim_monitor_t *monitor, const es__hold_t *hold) {
    char name[32];
    int watch;

    if (monitor->inotify < 0) {
        return NO_WATCH;
    }
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", (int)hold->native);
    watch = es__sys.inotify_add_watch(monitor->inotify, name, EVENTS);
    if (watch < 0) {
        return NO_WATCH;
    }
    if (monitor->last_watch != NO_WATCH && monitor->last_watch != watch &&
        !is_watched(monitor, monitor->last_watch)) {
        forget_watch(monitor, monitor->last_watch);
    }
    monitor->last_watch = watch;
    return watch;
}

int es__prim_wait_begin(es__prim_monitor_t *monitor, es__wait_t *wait, es__hold_t *hold,
                        es__bytes_t bytes, es_lock_kind_t kind, int is_fair) {
    *wait = (es__wait_t){.hold = hold, .bytes = bytes, .kind = kind, .watch = NO_WATCH};
    es__wait_begin(&monitor->waits, wait, is_fair, wake_by_helper, monitor);
    if (wait->manner == ES__WAIT_BLIND && es__wait_is_told(wait)) {
        wait->watch = add_watch(monitor, hold);
        wait->manner = wait->watch == NO_WATCH ? ES__WAIT_BLIND : ES__WAIT_TELLS;
    }
    return 0;
}

int es__prim_wait_end(es__prim_monitor_t *monitor, es__wait_t *wait) {
    (void)monitor;
    es__wait_delist(wait);
    return wait->manner == ES__WAIT_GRANTS ? es__helper_end(wait->helper) : ES_ECANCELED;
}
