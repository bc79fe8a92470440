/* SPDX-License-Identifier: MIT */
/* A stream's life: open, close, abort, lost.
 *
 * Owns the flags that say how far a stream has come and the order of its end: closing, then
 * (everything sent, failed or aborted) the end is settled, then `lost` as a ready item, once.
 * Guarantees that nothing is delivered or sent after the end is settled. Broken by any path that
 * reports a loss without el__stream_fail.
 */
#include "internal.h"

#include <string.h>

static void detach_stream(el_attached_t *attached);
static void run_lost(el_loop_t *loop, el_ready_t *item);
static void drop_lost(el_loop_t *loop, el_ready_t *item);

static const el_ready_ops_t lost_ops = {run_lost, drop_lost};

void el__stream_init(el_stream_t *stream, el_loop_t *loop, es_sock_t fd, const el_stream_ops_t *ops,
                     const el_backend_t *backend) {
    memset(stream, 0, sizeof *stream);
    stream->loop = loop;
    stream->ops = ops;
    stream->backend = backend;
    stream->fd = fd;
    stream->high_water = EL_HIGH_WATER_DEFAULT;
    stream->low_water = EL_HIGH_WATER_DEFAULT / 4;
    stream->lost_item.ops = &lost_ops;
}

int el_stream_open(el_stream_t *stream, el_loop_t *loop, es_sock_t fd, const el_stream_ops_t *ops) {
    el__stream_init(stream, loop, fd, ops, &el__backend_socket);
    int code = el__stream_open_poll(stream, true);
    if (code == 0) {
        el__attach(loop, &stream->attached, detach_stream);
    }
    return code;
}

int el_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, intptr_t file, unsigned flags,
                        const el_stream_ops_t *ops) {
    if ((flags & (EL_PIPE_READABLE | EL_PIPE_WRITABLE)) == 0) {
        return ES_EINVAL;
    }
    int code = el__os_stream_open_pipe(stream, loop, file, flags, ops);
    if (code == 0) {
        el__attach(loop, &stream->attached, detach_stream);
    }
    return code;
}

/* The end. */

void el__stream_fail(el_stream_t *stream, el_reason_t reason) {
    if (stream->lost_queued) {
        return;
    }
    stream->closing = true;
    stream->lost_queued = true;
    stream->reading = false;
    stream->reason = reason;
    stream->backend->end(stream);
    el__stream_unlink_gathering(stream);
    el__stream_drop_pieces(stream);
}

void el__stream_ended(el_stream_t *stream) {
    el_loop_push(stream->loop, &stream->lost_item);
}

static void run_lost(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_stream_t *stream = el__container(item, el_stream_t, lost_item);
    stream->lost_done = true;
    el__detach(&stream->attached);
    stream->backend->release(stream);
    /* The owner may free the stream in this call. */
    stream->ops->lost(stream, stream->reason);
}

static void drop_lost(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_stream_t *stream = el__container(item, el_stream_t, lost_item);
    stream->lost_done = true;
}

void el_stream_close(el_stream_t *stream) {
    if (stream->closing) {
        return;
    }
    stream->closing = true;
    el_stream_read_stop(stream);
    el_stream_flush(stream);
    if (stream->queued == 0) {
        el_reason_t none = {0, 0};
        el__stream_fail(stream, none);
    }
}

void el_stream_abort(el_stream_t *stream, el_reason_t reason) {
    el__stream_fail(stream, reason);
}

/* Cuts the stream off from its loop without a word to the owner. */
static void forget(el_stream_t *stream) {
    stream->closing = true;
    stream->lost_queued = true;
    stream->reading = false;
    el__detach(&stream->attached);
    el__stream_unlink_gathering(stream);
    stream->backend->release(stream);
    el__stream_drop_pieces(stream);
}

static void detach_stream(el_attached_t *attached) {
    el_stream_t *stream = el__container(attached, el_stream_t, attached);
    forget(stream);
    stream->loop = NULL;
}

void el_stream_destroy(el_stream_t *stream) {
    if (stream->lost_done || stream->loop == NULL) {
        return;
    }
    assert(stream->upcalls == 0);
    if (stream->lost_queued) {
        el_loop_unpush(stream->loop, &stream->lost_item);
    }
    forget(stream);
    stream->lost_done = true;
    stream->loop = NULL;
}

/* Readiness, shared by sockets and Unix pipes. */

/* Somebody closed the descriptor, and its number is another's by now. */
static void on_orphaned(el_poll_t *poll, void *ctx) {
    (void)poll;
    el_stream_t *stream = ctx;
    stream->fd = ES_SOCK_INVALID;
    el_reason_t reason = {ES_EBADF, 0};
    el__stream_fail(stream, reason);
}

static void on_readable(el_poll_t *poll, void *ctx) {
    (void)poll;
    el__stream_readable((el_stream_t *)ctx);
}

static void on_writable(el_poll_t *poll, void *ctx) {
    (void)poll;
    el__stream_writable((el_stream_t *)ctx);
}

int el__stream_open_poll(el_stream_t *stream, bool known_socket) {
    el_poll_t *poll;
    int code = known_socket ? el__poll_open_socket(stream->loop, stream->fd, &poll)
                            : el_poll_open(stream->loop, stream->fd, &poll);
    if (code != 0) {
        return code;
    }
    if (el_poll_owner(poll) != NULL) {
        el_poll_close(poll);
        return ES_EBUSY;
    }
    stream->poll = poll;
    poll->orphaned = on_orphaned;
    poll->orphaned_ctx = stream;
    el_stream_set_owner(stream, stream);
    return 0;
}

void el__stream_reader_gone(el_stream_t *stream) {
    el_stream_flush(stream);
    el_reason_t reason = {stream->queued > 0 ? ES_EPIPE : 0, 0};
    el__stream_fail(stream, reason);
}

static void on_write_end(el_poll_t *poll, void *ctx) {
    (void)poll;
    el__stream_reader_gone((el_stream_t *)ctx);
}

void el__stream_watch_reader(el_stream_t *stream) {
    el_poll_set(stream->poll, EL_READ, on_write_end, stream);
}

void el_stream_set_owner(el_stream_t *stream, void *owner) {
    if (stream->poll == NULL) {
        return;
    }
    void *current = el_poll_owner(stream->poll);
    if (current == NULL || current == stream->poll_owner) {
        el_poll_set_owner(stream->poll, owner);
    }
    stream->poll_owner = owner;
}

void el__stream_watch_poll(el_stream_t *stream, el_direction_t direction, bool on) {
    if (stream->poll == NULL) {
        return;
    }
    if (on) {
        el_poll_set(stream->poll, direction, direction == EL_READ ? on_readable : on_writable,
                    stream);
    } else if (el__poll_serves(stream->poll, direction, stream)) {
        el__poll_rest(stream->poll, direction);
    }
}

void el__stream_end_poll(el_stream_t *stream) {
    el__stream_watch_poll(stream, EL_READ, false);
    el__stream_watch_poll(stream, EL_WRITE, false);
    el__stream_ended(stream);
}

void el__stream_release_poll(el_stream_t *stream) {
    el_poll_t *poll = stream->poll;
    if (poll == NULL) {
        return;
    }
    for (el_direction_t direction = EL_READ; direction <= EL_WRITE; direction++) {
        if (el__poll_serves(stream->poll, direction, stream)) {
            el_poll_clear(poll, direction);
        }
    }
    el_stream_set_owner(stream, NULL);
    el__poll_unbind(poll, stream);
    stream->poll = NULL;
    el_poll_close(poll);
}
