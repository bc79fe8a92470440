/* SPDX-License-Identifier: MIT */
/* Reading: from readiness to the owner's upcalls.
 *
 * Owns the choice of the buffer and the length of a round. Guarantees that nothing is delivered
 * to an owner who has stopped reading, and end of file once. Broken by touching a stream after
 * an upcall without looking at `reading`.
 */
#include "internal.h"

/* Brings the bytes of one read to the owner. Returns whether the buffer was full, so that more
 * may be waiting. */
static bool read_shared(el_stream_t *stream) {
    unsigned char *buffer = stream->loop->read_buffer;
    size_t size = 0;
    int rc = stream->backend->recv(stream, buffer, EL_READ_BUFFER_SIZE, &size);
    if (rc != 0) {
        el__stream_read_result(stream, rc);
        return false;
    }
    bool full = size == EL_READ_BUFFER_SIZE;
    if (full) {
        stream->streaming = true;
    }
    stream->upcalls++;
    stream->ops->data(stream, buffer, size);
    stream->upcalls--;
    return full;
}

/* One little read is the end of a message whose beginning filled the buffer, or its first piece:
 * to leave for it would read every message of 100 KiB in two pieces. Two in a row are a change. */
void el__stream_streamed(el_stream_t *stream, size_t size, size_t capacity) {
    bool little = size < capacity / 4;
    if (little && stream->streamed_little) {
        stream->streaming = false;
        little = false;
    }
    stream->streamed_little = little;
}

static bool read_direct(el_stream_t *stream) {
    es_iov_t memory = {NULL, 0};
    stream->upcalls++;
    stream->ops->get_buffer(stream, stream->direct ? 0 : EL_STREAMING_READ_SIZE, &memory);
    stream->upcalls--;
    if (memory.size == 0) {
        return false;
    }
    size_t size = 0;
    int rc = stream->reading ? stream->backend->recv(stream, memory.base, memory.size, &size)
                             : ES_EAGAIN;
    if (rc == 0 && !stream->direct) {
        el__stream_streamed(stream, size, memory.size);
    }
    /* The failure's native code must not be lost to what the owner does in the upcall. */
    el_reason_t reason = rc == 0 ? (el_reason_t){0, 0} : el__reason(rc);
    stream->upcalls++;
    stream->ops->filled(stream, rc == 0 ? size : 0);
    stream->upcalls--;
    if (rc == ES_EOF) {
        el__stream_read_result(stream, rc);
    } else if (rc != 0 && rc != ES_EAGAIN) {
        el__stream_fail(stream, reason);
    }
    return rc == 0 && size == memory.size;
}

void el__stream_read_result(el_stream_t *stream, int rc) {
    if (rc == ES_EAGAIN) {
        return;
    }
    if (rc != ES_EOF) {
        el__stream_fail(stream, el__reason(rc));
        return;
    }
    if (!stream->reading) {
        return; /* the system will say it again after el_stream_read_start */
    }
    stream->eof_seen = true;
    el_stream_read_stop(stream);
    stream->upcalls++;
    stream->ops->eof(stream);
    stream->upcalls--;
}

void el__stream_readable(el_stream_t *stream) {
    el_loop_t *loop = stream->loop;
    for (int round = 0; round < EL_READ_ROUNDS_MAX; round++) {
        bool more = stream->direct || stream->streaming ? read_direct(stream) : read_shared(stream);
        if (!more || !stream->reading || loop->interrupted) {
            return;
        }
    }
}

void el_stream_set_direct(el_stream_t *stream, bool direct) {
    stream->direct = direct;
}

void el_stream_read_start(el_stream_t *stream) {
    if (stream->reading || stream->closing || stream->eof_seen || stream->one_way) {
        return;
    }
    stream->reading = true;
    stream->backend->watch(stream, EL_READ, true);
}

void el_stream_read_stop(el_stream_t *stream) {
    if (!stream->reading) {
        return;
    }
    stream->reading = false;
    stream->backend->watch(stream, EL_READ, false);
}
