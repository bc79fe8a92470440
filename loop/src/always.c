/* SPDX-License-Identifier: MIT */
/* Descriptors that no watcher serves because they are always ready: /dev/null, /dev/zero, NUL.
 *
 * Owns an item that stands in the ready queue while a direction is wanted, and so calls the stream
 * once a turn: others are served in between, and what is at its end ends at once. Broken by freeing
 * it while its item is queued.
 */
#include "internal.h"

typedef struct always {
    el_ready_t item;
    el_loop_t *loop;
    el_stream_t *stream; /* NULL: the owner has forgotten us */
    bool queued;
    bool wanted[2];
} always_t;

static void queue_if_wanted(always_t *always) {
    if (always->queued || !(always->wanted[EL_READ] || always->wanted[EL_WRITE])) {
        return;
    }
    always->queued = true;
    el_loop_push(always->loop, &always->item);
    if (always->loop->blocked) {
        el_loop_wake(always->loop);
    }
}

static void run_item(el_loop_t *loop, el_ready_t *item) {
    always_t *always = el__container(item, always_t, item);
    /* Counts as queued until the end, so that nothing below frees or queues it. */
    if (always->stream != NULL && always->wanted[EL_READ]) {
        el__stream_readable(always->stream);
    }
    if (always->stream != NULL && always->wanted[EL_WRITE] && !loop->interrupted) {
        el__stream_writable(always->stream);
    }
    always->queued = false;
    if (always->stream == NULL) {
        es_free(always);
    } else {
        queue_if_wanted(always);
    }
}

static void drop_item(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    always_t *always = el__container(item, always_t, item);
    always->queued = false;
    if (always->stream == NULL) {
        es_free(always);
    }
}

static const el_ready_ops_t item_ops = {run_item, drop_item};

int el__always_open(el_stream_t *stream) {
    always_t *always = es_calloc(1, sizeof *always);
    if (always == NULL) {
        return ES_ENOMEM;
    }
    always->item.ops = &item_ops;
    always->loop = stream->loop;
    always->stream = stream;
    stream->pipe = always;
    return 0;
}

void el__always_watch(el_stream_t *stream, el_direction_t direction, bool on) {
    always_t *always = stream->pipe;
    if (always != NULL) {
        always->wanted[direction] = on;
        queue_if_wanted(always);
    }
}

void el__always_end(el_stream_t *stream) {
    el__always_watch(stream, EL_READ, false);
    el__always_watch(stream, EL_WRITE, false);
    el__stream_ended(stream);
}

void el__always_release(el_stream_t *stream) {
    always_t *always = stream->pipe;
    if (always == NULL) {
        return;
    }
    stream->pipe = NULL;
    always->stream = NULL;
    if (!always->queued) {
        es_free(always);
    }
}
