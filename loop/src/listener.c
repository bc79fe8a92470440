/* SPDX-License-Identifier: MIT */
/* Listeners: taking the waiting connections.
 *
 * Owns the rest after running out of a resource. Guarantees that one bad connection never stops
 * the others and that nothing is called after el_listener_close. Broken by touching the listener
 * after an upcall that may have closed and freed it: loop->accepting tells.
 */
#include "internal.h"

#include <string.h>

uint64_t el__accept_pause_ns = EL_ACCEPT_PAUSE_NS;

/* Outlives its listener when that is closed meanwhile: a cancelled timer stays in the heap for a
 * while. */
struct el_pause {
    el_timer_t timer;
    el_listener_t *listener; /* NULL: the listener is closed */
};

static void on_waiting(el_poll_t *poll, void *ctx);

static void run_pause(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    struct el_pause *pause = el__container(item, struct el_pause, timer.ready);
    el_listener_t *listener = pause->listener;
    es_free(pause);
    if (listener != NULL) {
        listener->pause = NULL;
        el_poll_set(listener->poll, EL_READ, on_waiting, listener);
    }
}

static void drop_pause(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    struct el_pause *pause = el__container(item, struct el_pause, timer.ready);
    if (pause->listener != NULL) {
        pause->listener->pause = NULL;
    }
    es_free(pause);
}

static const el_ready_ops_t pause_ops = {run_pause, drop_pause};

/* Without the memory for the timer the listener tries again in the next turn, which is right but
 * busy. */
static void rest(el_listener_t *listener) {
    struct el_pause *pause = es_calloc(1, sizeof *pause);
    if (pause == NULL) {
        return;
    }
    pause->listener = listener;
    uint64_t deadline = el_now_ns() + el__accept_pause_ns;
    if (el_timer_start(listener->loop, &pause->timer, deadline, &pause_ops) != 0) {
        es_free(pause);
        return;
    }
    listener->pause = pause;
    el_poll_clear(listener->poll, EL_READ);
}

static bool out_of_resource(int code) {
    return code == ES_EMFILE || code == ES_ENFILE || code == ES_ENOBUFS || code == ES_ENOMEM;
}

static void on_waiting(el_poll_t *poll, void *ctx) {
    el_listener_t *listener = ctx;
    if (el_poll_fd(poll) == ES_SOCK_INVALID) {
        el_poll_clear(poll, EL_READ); /* its descriptor is another's: nothing comes any more */
        return;
    }
    el_loop_t *loop = listener->loop;
    int backlog = listener->backlog;
    loop->accepting = listener;
    for (int left = backlog; left >= 0; left--) {
        if (loop->accepting != listener || loop->interrupted) {
            break;
        }
        es_sock_t fd;
        es_addr_t peer;
        int code = es_sock_accept(listener->fd, &fd, &peer);
        if (code == 0) {
            el__poll_orphan(loop, fd);
            if (loop->accepting != listener) {
                (void)es_sock_close(fd);
                break;
            }
            listener->ops->accepted(listener, fd, &peer);
            continue;
        }
        if (code == ES_EAGAIN) {
            break;
        }
        if (code == ES_ECONNABORTED) {
            continue;
        }
        el_reason_t reason = el__reason(code);
        bool pausing = out_of_resource(code);
        if (pausing) {
            rest(listener);
        }
        listener->ops->failed(listener, reason, pausing);
        break;
    }
    loop->accepting = NULL;
}

static void close_listener(el_listener_t *listener) {
    listener->open = false;
    if (listener->loop->accepting == listener) {
        listener->loop->accepting = NULL;
    }
    if (listener->pause != NULL) {
        listener->pause->listener = NULL;
        el_timer_cancel(listener->loop, &listener->pause->timer);
        listener->pause = NULL;
    }
    el_poll_clear(listener->poll, EL_READ);
    el_poll_set_owner(listener->poll, NULL);
    el_poll_close(listener->poll);
    listener->poll = NULL;
}

static void detach_listener(el_attached_t *attached) {
    el_listener_t *listener = el__container(attached, el_listener_t, attached);
    close_listener(listener);
    listener->loop = NULL;
}

int el_listener_open(el_listener_t *listener, el_loop_t *loop, es_sock_t fd, int backlog,
                     const el_listener_ops_t *ops) {
    memset(listener, 0, sizeof *listener);
    listener->loop = loop;
    listener->ops = ops;
    listener->fd = fd;
    listener->backlog = backlog > 0 ? backlog : 0;
    int code = es_sock_set_nonblocking(fd, 1); /* who takes a connection that has gone would wait */
    if (code == 0) {
        code = el__poll_open_socket(loop, fd, &listener->poll);
    }
    if (code != 0) {
        return code;
    }
    if (el_poll_owner(listener->poll) != NULL) {
        el_poll_close(listener->poll);
        listener->poll = NULL;
        return ES_EBUSY;
    }
    el_poll_set_owner(listener->poll, listener);
    el_poll_set(listener->poll, EL_READ, on_waiting, listener);
    el__attach(loop, &listener->attached, detach_listener);
    listener->open = true;
    return 0;
}

void el_listener_close(el_listener_t *listener) {
    if (!listener->open) {
        return;
    }
    el__detach(&listener->attached);
    close_listener(listener);
}
