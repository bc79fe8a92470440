/* SPDX-License-Identifier: MIT */
/* Datagram endpoints: receiving, sending, and the order of their end.
 *
 * Owns the queue of datagrams that the system had no room for. Guarantees order, that a queued
 * route is released once, that an error leaves the endpoint open and that nothing is delivered or
 * sent after the end is settled. Broken by touching an endpoint after an upcall without looking at
 * `reading` or `lost_queued`, and by any way to the end but `settle`.
 */
#include "internal.h"

#include <string.h>

static const el_reason_t no_reason = {0, 0};

static void run_lost(el_loop_t *loop, el_ready_t *item);
static void drop_lost(el_loop_t *loop, el_ready_t *item);

static const el_ready_ops_t lost_ops = {run_lost, drop_lost};

/* Watching. Another owner may have taken over the watcher's slots once this one is closing. */

static void on_readable(el_poll_t *poll, void *ctx);
static void on_writable(el_poll_t *poll, void *ctx);

static void watch(el_datagram_t *datagram, el_direction_t direction, bool on) {
    if (datagram->poll == NULL) {
        return;
    }
    if (on) {
        el_poll_set(datagram->poll, direction, direction == EL_READ ? on_readable : on_writable,
                    datagram);
    } else if (el__poll_serves(datagram->poll, direction, datagram)) {
        el__poll_rest(datagram->poll, direction);
    }
}

void el_datagram_set_owner(el_datagram_t *datagram, void *owner) {
    if (datagram->poll == NULL) {
        return;
    }
    void *current = el_poll_owner(datagram->poll);
    if (current == NULL || current == datagram->poll_owner) {
        el_poll_set_owner(datagram->poll, owner);
    }
    datagram->poll_owner = owner;
}

static void release_poll(el_datagram_t *datagram) {
    el_poll_t *poll = datagram->poll;
    if (poll == NULL) {
        return;
    }
    for (el_direction_t direction = EL_READ; direction <= EL_WRITE; direction++) {
        if (el__poll_serves(poll, direction, datagram)) {
            el_poll_clear(poll, direction);
        }
    }
    el_datagram_set_owner(datagram, NULL);
    el__poll_unbind(poll, datagram);
    datagram->poll = NULL;
    el_poll_close(poll);
}

/* Flow control and errors. */

static void tell_error(el_datagram_t *datagram, el_direction_t direction, el_reason_t reason) {
    datagram->upcalls++;
    datagram->ops->error(datagram, direction, reason);
    datagram->upcalls--;
}

static void pause_if_high(el_datagram_t *datagram) {
    if (!datagram->paused_writing && datagram->queued > datagram->high_water &&
        !datagram->lost_queued) {
        datagram->paused_writing = true;
        datagram->upcalls++;
        datagram->ops->pause_writing(datagram);
        datagram->upcalls--;
    }
}

static void resume_if_low(el_datagram_t *datagram) {
    if (datagram->paused_writing && datagram->queued <= datagram->low_water &&
        !datagram->lost_queued) {
        datagram->paused_writing = false;
        datagram->upcalls++;
        datagram->ops->resume_writing(datagram);
        datagram->upcalls--;
    }
}

/* The queue. */

static int push(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *to,
                void *route) {
    el_message_t *message = size <= SIZE_MAX - sizeof *message ? es_malloc(sizeof *message + size)
                                                               : NULL;
    if (message == NULL) {
        return ES_ENOMEM;
    }
    message->next = NULL;
    message->size = size;
    message->route = route;
    message->to.size = 0;
    if (to != NULL) {
        message->to = *to;
    }
    if (size != 0) {
        memcpy(message->bytes, base, size);
    }
    if (datagram->first == NULL) {
        datagram->first = message;
    } else {
        datagram->last->next = message;
    }
    datagram->last = message;
    datagram->queued += size + datagram->overhead;
    watch(datagram, EL_WRITE, true);
    return 0;
}

static void free_message(el_datagram_t *datagram, el_message_t *message) {
    if (message->route != NULL) {
        datagram->ops->release(datagram, message->route);
    }
    es_free(message);
}

static void drop_queue(el_datagram_t *datagram) {
    el_message_t *message = datagram->first;
    datagram->first = NULL;
    datagram->queued = 0;
    while (message != NULL) {
        el_message_t *next = message->next;
        free_message(datagram, message);
        message = next;
    }
}

/* The end. */

static void settle(el_datagram_t *datagram, el_reason_t reason) {
    if (datagram->lost_queued) {
        return;
    }
    datagram->closing = true;
    datagram->lost_queued = true;
    datagram->reading = false;
    datagram->reason = reason;
    watch(datagram, EL_READ, false);
    watch(datagram, EL_WRITE, false);
    el_loop_push(datagram->loop, &datagram->lost_item);
    drop_queue(datagram);
}

static void run_lost(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_datagram_t *datagram = el__container(item, el_datagram_t, lost_item);
    datagram->lost_done = true;
    el__detach(&datagram->attached);
    release_poll(datagram);
    /* The owner may free the endpoint in this call. */
    datagram->ops->lost(datagram, datagram->reason);
}

static void drop_lost(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el__container(item, el_datagram_t, lost_item)->lost_done = true;
}

void el_datagram_close(el_datagram_t *datagram) {
    if (datagram->closing) {
        return;
    }
    datagram->closing = true;
    el_datagram_read_stop(datagram);
    if (datagram->first == NULL) {
        settle(datagram, no_reason);
    }
}

void el_datagram_abort(el_datagram_t *datagram, el_reason_t reason) {
    settle(datagram, reason);
}

/* Cuts the endpoint off from its loop without a word to the owner. */
static void forget(el_datagram_t *datagram) {
    datagram->closing = true;
    datagram->lost_queued = true;
    datagram->reading = false;
    el__detach(&datagram->attached);
    release_poll(datagram);
    drop_queue(datagram);
}

static void detach_datagram(el_attached_t *attached) {
    el_datagram_t *datagram = el__container(attached, el_datagram_t, attached);
    forget(datagram);
    datagram->loop = NULL;
}

void el_datagram_destroy(el_datagram_t *datagram) {
    if (datagram->lost_done || datagram->loop == NULL) {
        return;
    }
    assert(datagram->upcalls == 0);
    if (datagram->lost_queued) {
        el_loop_unpush(datagram->loop, &datagram->lost_item);
    }
    forget(datagram);
    datagram->lost_done = true;
    datagram->loop = NULL;
}

/* Receiving. */

static void tell_receive_error(el_datagram_t *datagram, int code) {
    el_reason_t reason = el__reason(code);
    if (code == ES_EBADF || code == ES_ENOTSOCK) {
        el_datagram_read_stop(datagram);
    }
    tell_error(datagram, EL_READ, reason);
}

/* One datagram. Returns whether another may be waiting. */
static bool receive_one(el_datagram_t *datagram) {
    unsigned char *buffer = datagram->loop->datagram_buffer;
    es_addr_t from = {.size = 0};
    size_t size = 0;
    int code = es_sock_recvfrom(datagram->fd, buffer, EL_DATAGRAM_SIZE_MAX, &size, &from);
    if (code == ES_EAGAIN) {
        return false;
    }
    if (code == ES_EOF) {
        size = 0; /* a sequenced-packet socket's peer has gone: asyncio shows an empty datagram */
    } else if (code != 0) {
        tell_receive_error(datagram, code);
        return false;
    }
    datagram->upcalls++;
    datagram->ops->received(datagram, buffer, size, &from);
    datagram->upcalls--;
    return code == 0;
}

static void on_readable(el_poll_t *poll, void *ctx) {
    (void)poll;
    el_datagram_t *datagram = ctx;
    const el_loop_t *loop = datagram->loop;
    for (int round = 0; round < EL_READ_ROUNDS_MAX; round++) {
        if (!receive_one(datagram) || !datagram->reading || loop->interrupted) {
            return;
        }
    }
}

void el_datagram_read_start(el_datagram_t *datagram) {
    if (datagram->reading || datagram->closing) {
        return;
    }
    datagram->reading = true;
    watch(datagram, EL_READ, true);
}

void el_datagram_read_stop(el_datagram_t *datagram) {
    if (!datagram->reading) {
        return;
    }
    datagram->reading = false;
    watch(datagram, EL_READ, false);
}

/* Sending. */

static int transmit(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *to,
                    void *route) {
    size_t unused;
    if (route != NULL) {
        return datagram->ops->send(datagram, base, size, route);
    }
    return to == NULL || to->size == 0 ? es_sock_send(datagram->fd, base, size, &unused)
                                       : es_sock_sendto(datagram->fd, base, size, to, &unused);
}

static void take_first(el_datagram_t *datagram) {
    el_message_t *message = datagram->first;
    datagram->first = message->next;
    datagram->queued -= message->size + datagram->overhead;
    free_message(datagram, message);
}

/* Offers the queue to the system. false: stop here for this turn. */
static bool send_queue(el_datagram_t *datagram) {
    const el_loop_t *loop = datagram->loop;
    while (datagram->first != NULL) {
        const el_message_t *message = datagram->first;
        datagram->upcalls++;
        int code = transmit(datagram, message->bytes, message->size, &message->to, message->route);
        datagram->upcalls--;
        if (datagram->lost_queued) {
            return false; /* the owner's `send` ended it; the queue is gone */
        }
        if (code == ES_EAGAIN) {
            return true;
        }
        el_reason_t reason = code == 0 ? no_reason : el__reason(code);
        take_first(datagram);
        if (code != 0) {
            /* One failure a turn, as asyncio tells them; the rest goes on in the next. */
            tell_error(datagram, EL_WRITE, reason);
            return false;
        }
        if (loop->interrupted) {
            return false;
        }
    }
    return true;
}

static void on_writable(el_poll_t *poll, void *ctx) {
    (void)poll;
    el_datagram_t *datagram = ctx;
    if (!send_queue(datagram)) {
        return;
    }
    resume_if_low(datagram);
    if (datagram->first != NULL || datagram->lost_queued) {
        return;
    }
    watch(datagram, EL_WRITE, false);
    if (datagram->closing) {
        settle(datagram, no_reason);
    } else if (datagram->ops->drained != NULL) {
        datagram->upcalls++;
        datagram->ops->drained(datagram);
        datagram->upcalls--;
    }
}

static int send_or_push(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *to,
                        void *route, bool *taken) {
    *taken = false;
    if (datagram->lost_queued) {
        return ES_ECANCELED;
    }
    int code = datagram->first != NULL ? ES_EAGAIN : transmit(datagram, base, size, to, route);
    if (code != ES_EAGAIN) {
        return code;
    }
    if (datagram->lost_queued) {
        return ES_ECANCELED; /* ended by the owner's `send` */
    }
    code = push(datagram, base, size, to, route);
    if (code == 0) {
        *taken = route != NULL;
        pause_if_high(datagram);
    }
    return code;
}

int el_datagram_send(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *to) {
    bool taken;
    return send_or_push(datagram, base, size, to, NULL, &taken);
}

int el_datagram_send_by(el_datagram_t *datagram, const void *base, size_t size, void *route,
                        bool *taken) {
    assert(route != NULL && datagram->ops->send != NULL);
    return send_or_push(datagram, base, size, NULL, route, taken);
}

void el_datagram_set_water(el_datagram_t *datagram, size_t high, size_t low) {
    assert(low <= high);
    datagram->high_water = high;
    datagram->low_water = low;
    pause_if_high(datagram);
}

/* Life. */

/* Somebody closed the descriptor, and its number is another's by now. */
static void on_orphaned(el_poll_t *poll, void *ctx) {
    (void)poll;
    el_datagram_t *datagram = ctx;
    datagram->fd = ES_SOCK_INVALID;
    el_reason_t reason = {ES_EBADF, 0};
    el_datagram_abort(datagram, reason);
}

static int ensure_buffer(el_loop_t *loop) {
    if (loop->datagram_buffer == NULL) {
        loop->datagram_buffer = es_malloc(EL_DATAGRAM_SIZE_MAX);
    }
    return loop->datagram_buffer == NULL ? ES_ENOMEM : 0;
}

int el_datagram_open(el_datagram_t *datagram, el_loop_t *loop, es_sock_t fd,
                     const el_datagram_ops_t *ops) {
    memset(datagram, 0, sizeof *datagram);
    datagram->loop = loop;
    datagram->ops = ops;
    datagram->fd = fd;
    datagram->high_water = EL_HIGH_WATER_DEFAULT;
    datagram->low_water = EL_HIGH_WATER_DEFAULT / 4;
    datagram->lost_item.ops = &lost_ops;
    int code = ensure_buffer(loop);
    if (code == 0) {
        code = es_sock_adopt_datagram(fd);
    }
    if (code == 0) {
        code = es_sock_enable_recv(fd);
    }
    el_poll_t *poll = NULL;
    if (code == 0) {
        code = el__poll_open_socket(loop, fd, &poll);
    }
    if (code != 0) {
        return code;
    }
    if (el_poll_owner(poll) != NULL) {
        el_poll_close(poll);
        return ES_EBUSY;
    }
    datagram->poll = poll;
    poll->orphaned = on_orphaned;
    poll->orphaned_ctx = datagram;
    el_datagram_set_owner(datagram, datagram);
    el__attach(loop, &datagram->attached, detach_datagram);
    return 0;
}
