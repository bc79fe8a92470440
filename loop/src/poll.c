/* SPDX-License-Identifier: MIT */
/* Watchers: what the engine's users want to know of a descriptor, told to libuv.
 *
 * Owns el_poll_t and its libuv handle. Guarantees that libuv is told of growing interest once
 * before each poll, of ended interest at once, and of nothing from a foreign thread while the
 * loop waits. Broken by letting a slot's callback see a watcher that the callback before it has
 * closed: on_event looks again. What a program does to a descriptor behind our back is survived:
 * see el_poll_renew, el__poll_orphan, lose.
 */
#include "internal.h"

#define WATCHES_FREE_MAX 256u
#define WATCHES_IDLE_MAX 256u

/* Making the poll set anew costs about a quarter of a microsecond a watcher: at most one part in a
 * hundred of the time goes into it. */
#define RENEW_GAP_NS          1000000u
#define RENEW_GAP_PER_POLL_NS 25000u

static int wanted_by(const el_poll_t *poll) {
    return (poll->slots[EL_READ].cb != NULL ? UV_READABLE : 0) |
           (poll->slots[EL_WRITE].cb != NULL ? UV_WRITABLE : 0);
}

static void link_to(el_poll_t *poll, el_poll_t **list) {
    poll->next = *list;
    poll->link = list;
    if (poll->next != NULL) {
        poll->next->link = &poll->next;
    }
    *list = poll;
}

static void unlink_from_list(el_poll_t *poll) {
    if (poll->link == NULL) {
        return;
    }
    *poll->link = poll->next;
    if (poll->next != NULL) {
        poll->next->link = poll->link;
    }
    poll->link = NULL;
}

static void mark_dirty(el_poll_t *poll) {
    if (poll->link == NULL) {
        link_to(poll, &poll->loop->polls_dirty);
    }
    if (poll->loop->blocked) {
        el_loop_wake(poll->loop);
    }
}

/* Handles. */

static void on_watch_closed(uv_handle_t *handle) {
    el_loop_t *loop = el__loop_of(handle->loop);
    el__enter(loop);
    el__watch_t *watch = (el__watch_t *)handle;
    loop->closing_count--;
    if (loop->closed || loop->watches_free_count >= WATCHES_FREE_MAX) {
        es_free(watch);
        return;
    }
    watch->next = loop->watches_free;
    loop->watches_free = watch;
    loop->watches_free_count++;
}

static el__watch_t *take_watch(el_loop_t *loop) {
    el__watch_t *watch = loop->watches_free;
    if (watch != NULL) {
        loop->watches_free = watch->next;
        loop->watches_free_count--;
        return watch;
    }
    return es_malloc(sizeof *watch);
}

static void give_back_watch(el_loop_t *loop, el__watch_t *watch) {
    watch->next = loop->watches_free;
    loop->watches_free = watch;
    loop->watches_free_count++;
}

/* A descriptor was closed while it was watched. */
static void plan_renewal(el_loop_t *loop, bool stale) {
    if (stale && loop->polls_renew_ns == EL_NEVER) {
        loop->polls_renew_ns = loop->polls_renewed_ns + RENEW_GAP_NS +
                               (uint64_t)loop->polls_count * RENEW_GAP_PER_POLL_NS;
    }
}

static void close_watch(el_loop_t *loop, el__watch_t *watch) {
    if (el__forked(loop)) {
        /* Stopping would take the descriptor out of the poll set that the parent still uses. The
         * handle stays until the loop is closed, which gives it a set of its own. */
        watch->next = loop->watches_ending;
        loop->watches_ending = watch;
        return;
    }
    bool stale = false;
    if (!loop->closed && loop->watches_idle_count < WATCHES_IDLE_MAX &&
        el__os_poll_retire(&watch->uv, &stale)) {
        watch->next = loop->watches_idle;
        loop->watches_idle = watch;
        loop->watches_idle_count++;
    } else {
        loop->closing_count++;
        el__os_poll_close(&watch->uv, on_watch_closed, &stale);
    }
    plan_renewal(loop, stale);
}

static void disarm(el_poll_t *poll) {
    if (poll->armed != 0) {
        poll->armed = 0;
        poll->loop->io_count--;
    }
}

/* Lets go of the handle; with a foreign thread calling, the loop's thread will. */
static void drop_watch(el_poll_t *poll) {
    el_loop_t *loop = poll->loop;
    el__watch_t *watch = poll->watch;
    if (watch == NULL) {
        return;
    }
    poll->watch = NULL;
    watch->poll = NULL;
    disarm(poll);
    if (loop->blocked) {
        watch->next = loop->watches_ending;
        loop->watches_ending = watch;
        el_loop_wake(loop);
        return;
    }
    close_watch(loop, watch);
}

static void give_watch(el_poll_t *poll, el__watch_t *watch) {
    watch->poll = poll;
    watch->uses++;
    poll->watch = watch;
}

/* Has a handle serve that is done with another descriptor. ES_ENOTSUP: none can. */
static int reuse_watch(el_poll_t *poll) {
    el_loop_t *loop = poll->loop;
    el__watch_t *watch = loop->watches_idle;
    int code = watch == NULL ? ES_ENOTSUP
                             : el__os_poll_aim(&watch->uv, poll->fd, poll->known_socket);
    if (code == 0) {
        loop->watches_idle = watch->next;
        loop->watches_idle_count--;
        give_watch(poll, watch);
    }
    return code;
}

static int make_watch(el_poll_t *poll) {
    el_loop_t *loop = poll->loop;
    int reused = reuse_watch(poll);
    if (reused != ES_ENOTSUP) {
        return reused;
    }
    el__watch_t *watch = take_watch(loop);
    if (watch == NULL) {
        return ES_ENOMEM;
    }
    watch->uv.type = UV_UNKNOWN_HANDLE;
    watch->poll = NULL;
    watch->uses = 0;
    int code = el__os_poll_init(&loop->uv, &watch->uv, poll->fd, poll->known_socket);
    if (code != 0) {
        if (watch->uv.type == UV_UNKNOWN_HANDLE) {
            give_back_watch(loop, watch);
        } else {
            /* On Windows libuv may fail after it has linked the handle to its loop. */
            close_watch(loop, watch);
        }
        return code;
    }
    give_watch(poll, watch);
    return 0;
}

/* Events. */

static void call_slots(el_poll_t *poll, el__watch_t *watch, int events) {
    el_loop_t *loop = poll->loop;
    uint32_t use = watch->uses;
    if ((events & UV_READABLE) != 0 && poll->slots[EL_READ].cb != NULL) {
        poll->slots[EL_READ].cb(poll, poll->slots[EL_READ].ctx);
        if (watch->poll != poll || watch->uses != use || loop->interrupted) {
            return;
        }
    }
    if ((events & UV_WRITABLE) != 0 && poll->slots[EL_WRITE].cb != NULL) {
        poll->slots[EL_WRITE].cb(poll, poll->slots[EL_WRITE].ctx);
    }
}

static void on_event(uv_poll_t *handle, int status, int events) {
    el_loop_t *loop = el__loop_of(handle->loop);
    el__enter(loop);
    el__watch_t *watch = (el__watch_t *)handle;
    el_poll_t *poll = watch->poll;
    if (poll == NULL) {
        return;
    }
    poll->hung_up = status < 0;
    if (status < 0) {
        /* An error or a hang-up, and libuv has stopped the handle. Both sides are told and ask
         * their system calls; who still wants to know afterwards is watched again. */
        events = UV_READABLE | UV_WRITABLE;
        disarm(poll);
        el__os_poll_stop(handle, &(bool){false});
        if (status == UV_ENOTSOCK) {
            poll->lost = true; /* Windows: closed; telling the system again would end here again */
        } else {
            mark_dirty(poll);
        }
    }
    /* The system will say it again when the loop goes on. */
    if (!loop->interrupted) {
        call_slots(poll, watch, events);
    }
}

void el__polls_call_broken(el_loop_t *loop) {
    el_poll_t *broken = loop->polls_broken;
    loop->polls_broken = NULL;
    broken->link = &broken;
    while (broken != NULL) {
        el_poll_t *poll = broken;
        unlink_from_list(poll);
        if (!poll->lost || loop->interrupted) {
            mark_dirty(poll);
        }
        if (loop->interrupted) {
            continue;
        }
        /* These have no handle to outlive them, so the second slot is found through the registry.
         */
        es_sock_t fd = poll->fd;
        poll->hung_up = true;
        if (poll->slots[EL_READ].cb != NULL) {
            poll->slots[EL_READ].cb(poll, poll->slots[EL_READ].ctx);
        }
        if (!loop->interrupted && el__registry_find(loop, fd) == poll &&
            poll->slots[EL_WRITE].cb != NULL) {
            poll->slots[EL_WRITE].cb(poll, poll->slots[EL_WRITE].ctx);
        }
    }
}

/* Interest. */

static void stop_watching(el_poll_t *poll) {
    if (!el__os_poll_keeps_idle) {
        drop_watch(poll);
        return;
    }
    if (poll->armed == 0) {
        return;
    }
    disarm(poll);
    if (!el__forked(poll->loop)) {
        bool stale = false;
        el__os_poll_stop(&poll->watch->uv, &stale);
        plan_renewal(poll->loop, stale);
    }
}

/* Without libuv's help the slots are called every turn, and their system calls tell: for a
 * descriptor that is good this is slow but right. One that can't be polled at all was closed, and
 * perhaps opened as something else: it is called once and then no more, as nothing else ever
 * happens to it. */
static void lose(el_poll_t *poll, int code) {
    disarm(poll);
    poll->lost = code == ES_EBADF || code == ES_EPERM || code == ES_ENOTSOCK;
    link_to(poll, &poll->loop->polls_broken);
}

static void sync_one(el_poll_t *poll) {
    int wanted = wanted_by(poll);
    if (wanted == 0) {
        if (poll->watch != NULL) {
            stop_watching(poll);
        }
        return;
    }
    if (wanted == poll->armed && !poll->renewed) {
        return;
    }
    if (poll->renewed && !el__os_poll_keeps_idle) {
        drop_watch(poll);
    }
    poll->renewed = false;
    poll->lost = false;
    int code = poll->watch != NULL ? 0 : make_watch(poll);
    if (code == 0) {
        bool stale = false;
        code = el__os_poll_start(&poll->loop->uv, &poll->watch->uv, wanted, on_event, &stale);
        plan_renewal(poll->loop, stale);
    }
    if (code != 0) {
        lose(poll, code);
        return;
    }
    if (poll->armed == 0) {
        poll->loop->io_count++;
    }
    poll->armed = wanted;
}

void el__polls_sync(el_loop_t *loop) {
    while (loop->watches_ending != NULL) {
        el__watch_t *watch = loop->watches_ending;
        loop->watches_ending = watch->next;
        close_watch(loop, watch);
    }
    while (loop->polls_dirty != NULL) {
        el_poll_t *poll = loop->polls_dirty;
        unlink_from_list(poll);
        sync_one(poll);
    }
}

void el_poll_set(el_poll_t *poll, el_direction_t direction, el_poll_cb cb, void *ctx) {
    assert(cb != NULL);
    bool was_empty = poll->slots[direction].cb == NULL;
    poll->slots[direction].cb = cb;
    poll->slots[direction].ctx = ctx;
    if (was_empty && poll->loop != NULL && wanted_by(poll) != poll->armed) {
        mark_dirty(poll);
    }
}

void el_poll_renew(el_poll_t *poll) {
    if (poll->loop != NULL && wanted_by(poll) != 0) {
        poll->renewed = true;
        mark_dirty(poll);
    }
}

void el__poll_rest(el_poll_t *poll, el_direction_t direction) {
    if (poll->slots[direction].cb == NULL) {
        return;
    }
    poll->slots[direction].cb = NULL;
    poll->slots[direction].ctx = NULL;
    if (poll->loop != NULL && wanted_by(poll) != poll->armed) {
        mark_dirty(poll);
    }
}

void el_poll_clear(el_poll_t *poll, el_direction_t direction) {
    el__poll_rest(poll, direction);
    if (poll->loop != NULL && !poll->loop->blocked && poll->watch != NULL && wanted_by(poll) == 0) {
        stop_watching(poll);
    }
}

el_poll_cb el_poll_get(const el_poll_t *poll, el_direction_t direction, void **ctx) {
    if (ctx != NULL) {
        *ctx = poll->slots[direction].ctx;
    }
    return poll->slots[direction].cb;
}

/* Life. */

static int open_new(el_loop_t *loop, es_sock_t fd, bool known_socket, el_poll_t **out) {
    el_poll_t *poll = es_calloc(1, sizeof *poll);
    if (poll == NULL) {
        return ES_ENOMEM;
    }
    poll->loop = loop;
    poll->fd = fd;
    poll->opens = 1;
    poll->known_socket = known_socket;
    /* From a foreign thread libuv can't be asked now: then the first sync finds out what the
     * descriptor is. */
    int code = loop->blocked ? 0 : make_watch(poll);
    if (code == 0) {
        code = el__registry_add(loop, poll);
        if (code != 0) {
            drop_watch(poll);
        }
    }
    if (code != 0) {
        es_free(poll);
        return code;
    }
    *out = poll;
    return 0;
}

static int open_poll(el_loop_t *loop, es_sock_t fd, bool known_socket, el_poll_t **out) {
    if (loop->closed) {
        return ES_EINVAL;
    }
    el_poll_t *poll = el__registry_find(loop, fd);
    if (poll == NULL) {
        return open_new(loop, fd, known_socket, out);
    }
    poll->opens++;
    el_poll_renew(poll);
    *out = poll;
    return 0;
}

int el_poll_open(el_loop_t *loop, es_sock_t fd, el_poll_t **out) {
    return open_poll(loop, fd, false, out);
}

int el__poll_open_socket(el_loop_t *loop, es_sock_t fd, el_poll_t **out) {
    return open_poll(loop, fd, true, out);
}

static void leave_loop(el_poll_t *poll) {
    unlink_from_list(poll);
    el__registry_remove(poll->loop, poll);
    drop_watch(poll);
}

void el_poll_close(el_poll_t *poll) {
    assert(poll->opens > 0);
    if (--poll->opens > 0) {
        return;
    }
    if (poll->loop != NULL) {
        leave_loop(poll);
    }
    es_free(poll);
}

void el__poll_orphan(el_loop_t *loop, es_sock_t fd) {
    el_poll_t *poll = el__registry_find(loop, fd);
    if (poll == NULL) {
        return;
    }
    leave_loop(poll);
    poll->fd = ES_SOCK_INVALID;
    poll->loop = NULL;
    poll->opens++; /* ours, while they let go of theirs */
    if (poll->orphaned != NULL) {
        poll->orphaned(poll, poll->orphaned_ctx);
    }
    for (el_direction_t direction = EL_READ; direction <= EL_WRITE; direction++) {
        if (poll->slots[direction].cb != NULL) {
            poll->slots[direction].cb(poll, poll->slots[direction].ctx);
        }
    }
    el_poll_close(poll);
}

void el__polls_renew(el_loop_t *loop) {
    uint64_t now = el_now_ns();
    if (now < loop->polls_renew_ns) {
        return;
    }
    loop->polls_renewed_ns = now;
    loop->polls_renew_ns = EL_NEVER;
    if (el__os_polls_renew(&loop->uv) != 0) {
        plan_renewal(loop, true); /* no descriptor to spare now */
        return;
    }
    for (uint32_t i = 0; i < loop->polls_capacity; i++) {
        el_poll_t *poll = loop->polls[i];
        if (poll != NULL && poll->armed != 0 && !el__os_poll_known(&poll->watch->uv)) {
            disarm(poll);
            mark_dirty(poll);
        }
    }
}

void el__polls_close(el_loop_t *loop) {
    for (uint32_t i = 0; i < loop->polls_capacity; i++) {
        el_poll_t *poll = loop->polls[i];
        if (poll != NULL) {
            unlink_from_list(poll);
            drop_watch(poll);
            poll->loop = NULL;
        }
    }
    el__polls_sync(loop);
    while (loop->watches_idle != NULL) {
        el__watch_t *watch = loop->watches_idle;
        loop->watches_idle = watch->next;
        close_watch(loop, watch);
    }
    loop->watches_idle_count = 0;
    es_free(loop->polls);
    loop->polls = NULL;
    loop->polls_count = 0;
    loop->polls_capacity = 0;
    while (loop->watches_free != NULL) {
        el__watch_t *watch = loop->watches_free;
        loop->watches_free = watch->next;
        es_free(watch);
    }
    loop->watches_free_count = 0;
}

el_poll_t *el_poll_find(el_loop_t *loop, es_sock_t fd) {
    return el__registry_find(loop, fd);
}

void el_poll_set_owner(el_poll_t *poll, void *owner) {
    poll->owner = owner;
}

void *el_poll_owner(const el_poll_t *poll) {
    return poll->owner;
}

es_sock_t el_poll_fd(const el_poll_t *poll) {
    return poll->fd;
}

el_loop_t *el_poll_loop(const el_poll_t *poll) {
    return poll->loop;
}

bool el__poll_hung_up(const el_poll_t *poll) {
    return poll->hung_up;
}
