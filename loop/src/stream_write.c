/* SPDX-License-Identifier: MIT */
/* Writing: at once if possible, gathered where nobody can tell, queued where the system refuses.
 *
 * Owns the ring of pieces and the water marks. Guarantees order, that `release` comes exactly
 * once for each piece taken, and that pause_writing is called only for what the system has
 * refused. Broken by calling `release` while the ring is being changed: an owner may write again
 * from inside it.
 */
#include "internal.h"

#include <string.h>

#define RING_CAPACITY_FIRST 8u
#define RING_CAPACITY_KEPT  64u
/* Copies up to this size join the block of the copy before them. */
#define JOINED_SIZE_MAX   1024u
#define JOINED_BLOCK_SIZE 4096u

static inline el_piece_t *piece_at(el_stream_t *stream, uint32_t index) {
    return &stream->pieces[(stream->pieces_first + index) & (stream->pieces_capacity - 1)];
}

static int grow_ring(el_stream_t *stream) {
    uint32_t old = stream->pieces_capacity;
    uint32_t capacity = old == 0 ? RING_CAPACITY_FIRST : old * 2;
    el_piece_t *pieces = capacity > old ? es_malloc(capacity * sizeof *pieces) : NULL;
    if (pieces == NULL) {
        return ES_ENOMEM;
    }
    for (uint32_t i = 0; i < stream->pieces_count; i++) {
        pieces[i] = *piece_at(stream, i);
    }
    es_free(stream->pieces);
    stream->pieces = pieces;
    stream->pieces_first = 0;
    stream->pieces_capacity = capacity;
    return 0;
}

/* Whether a copy could be joined to the last piece's block. */
static bool join(el_stream_t *stream, const void *base, size_t size) {
    if (stream->pieces_count == 0 || size > JOINED_SIZE_MAX) {
        return false;
    }
    el_piece_t *last = piece_at(stream, stream->pieces_count - 1);
    if (last->block == NULL || last->room < size) {
        return false;
    }
    memcpy(last->block + (last->base - last->block) + last->size, base, size);
    last->size += size;
    last->room -= size;
    return true;
}

/* Queues bytes behind what is there. */
static int push(el_stream_t *stream, const void *base, size_t size, void *owner, bool *taken) {
    if (owner == NULL && join(stream, base, size)) {
        stream->queued += size;
        return 0;
    }
    if (stream->pieces_count == stream->pieces_capacity && grow_ring(stream) != 0) {
        return ES_ENOMEM;
    }
    el_piece_t piece = {base, size, owner, NULL, 0};
    if (owner == NULL) {
        size_t block_size = size <= JOINED_SIZE_MAX ? JOINED_BLOCK_SIZE : size;
        piece.block = es_malloc(block_size);
        if (piece.block == NULL) {
            return ES_ENOMEM;
        }
        memcpy(piece.block, base, size);
        piece.base = piece.block;
        piece.room = block_size - size;
    } else {
        *taken = true;
    }
    *piece_at(stream, stream->pieces_count) = piece;
    stream->pieces_count++;
    stream->queued += size;
    return 0;
}

static void release_piece(el_stream_t *stream, const el_piece_t *piece) {
    if (piece->owner != NULL) {
        stream->ops->release(stream, piece->owner);
    } else {
        es_free(piece->block);
    }
}

/* Takes the first `size` bytes off the ring, at most ES_IOV_MAX pieces: first all of the ring's
 * state, then the releases. */
static void consume(el_stream_t *stream, size_t size) {
    assert(size <= stream->queued);
    el_piece_t gone[ES_IOV_MAX];
    size_t gone_count = 0;
    stream->queued -= size;
    while (size > 0) {
        el_piece_t *piece = piece_at(stream, 0);
        if (size < piece->size) {
            piece->base += size;
            piece->size -= size;
            break;
        }
        size -= piece->size;
        assert(gone_count < ES_IOV_MAX);
        gone[gone_count++] = *piece;
        stream->pieces_first = (stream->pieces_first + 1) & (stream->pieces_capacity - 1);
        stream->pieces_count--;
    }
    for (size_t i = 0; i < gone_count; i++) {
        release_piece(stream, &gone[i]);
    }
    if (stream->pieces_count == 0 && stream->pieces_capacity > RING_CAPACITY_KEPT) {
        es_free(stream->pieces);
        stream->pieces = NULL;
        stream->pieces_capacity = 0;
        stream->pieces_first = 0;
    }
}

void el__stream_drop_pieces(el_stream_t *stream) {
    el_piece_t *pieces = stream->pieces;
    uint32_t first = stream->pieces_first;
    uint32_t count = stream->pieces_count;
    uint32_t capacity = stream->pieces_capacity;
    stream->pieces = NULL;
    stream->pieces_first = 0;
    stream->pieces_count = 0;
    stream->pieces_capacity = 0;
    stream->queued = 0;
    stream->gathered = 0;
    for (uint32_t i = 0; i < count; i++) {
        release_piece(stream, &pieces[(first + i) & (capacity - 1)]);
    }
    es_free(pieces);
}

/* Flow control. */

static void pause_if_high(el_stream_t *stream) {
    if (!stream->paused_writing && stream->queued > stream->high_water && !stream->lost_queued) {
        stream->paused_writing = true;
        stream->upcalls++;
        stream->ops->pause_writing(stream);
        stream->upcalls--;
    }
}

static void resume_if_low(el_stream_t *stream) {
    if (stream->paused_writing && stream->queued <= stream->low_water && !stream->lost_queued) {
        stream->paused_writing = false;
        stream->upcalls++;
        stream->ops->resume_writing(stream);
        stream->upcalls--;
    }
}

/* Sending. */

static void end_sending(el_stream_t *stream) {
    stream->write_eof_done = true;
    /* A peer that is gone already makes shutdown fail; reading or the next write tells of it
     * better. */
    if (stream->backend->shutdown(stream) == ES_ENOTSUP) {
        el_stream_close(stream);
    }
}

/* What follows when everything has been sent. */
static void drained(el_stream_t *stream) {
    if (stream->lost_queued || stream->queued != 0) {
        return;
    }
    if (stream->closing) {
        el_reason_t none = {0, 0};
        el__stream_fail(stream, none);
    } else if (stream->write_eof_asked && !stream->write_eof_done) {
        end_sending(stream);
    }
}

/* Tells the owner that nothing is queued any more. */
static void tell_drained(el_stream_t *stream) {
    if (stream->queued == 0 && !stream->lost_queued && stream->ops->drained != NULL) {
        stream->upcalls++;
        stream->ops->drained(stream);
        stream->upcalls--;
    }
}

/* Offers the ring to the system until it refuses. 0; ES_EAGAIN: some is left; ES_ECANCELED: the
 * stream has ended. */
static int offer(el_stream_t *stream) {
    while (stream->queued > 0) {
        es_iov_t iov[ES_IOV_MAX];
        size_t count = 0;
        size_t offered = 0;
        while (count < ES_IOV_MAX && count < stream->pieces_count) {
            const el_piece_t *piece = piece_at(stream, (uint32_t)count);
            iov[count].base = (void *)(uintptr_t)piece->base;
            iov[count++].size = piece->size;
            offered += piece->size;
        }
        size_t done = 0;
        int rc = count == 1 ? stream->backend->send(stream, iov[0].base, iov[0].size, &done)
                            : stream->backend->sendv(stream, iov, count, &done);
        if (rc == ES_EAGAIN) {
            return rc;
        }
        if (rc != 0) {
            el__stream_fail(stream, el__reason(rc));
            return ES_ECANCELED;
        }
        consume(stream, done);
        if (done < offered) {
            /* A short write: the system has no room for more now. */
            return stream->lost_queued ? ES_ECANCELED : ES_EAGAIN;
        }
    }
    return stream->lost_queued ? ES_ECANCELED : 0;
}

/* After an offer: what is left waits for the system. */
static void await_room(el_stream_t *stream) {
    if (stream->queued > 0 && !stream->lost_queued) {
        stream->backend->watch(stream, EL_WRITE, true);
        pause_if_high(stream);
    }
}

void el__stream_writable(el_stream_t *stream) {
    if (stream->gathered > 0) {
        el_stream_flush(stream);
        return;
    }
    if (offer(stream) == ES_ECANCELED) {
        return;
    }
    if (stream->queued == 0) {
        stream->backend->watch(stream, EL_WRITE, false);
    }
    resume_if_low(stream);
    drained(stream);
    tell_drained(stream);
}

void el__stream_sent(el_stream_t *stream, size_t size) {
    if (stream->lost_queued) {
        return;
    }
    consume(stream, size);
    if (offer(stream) == ES_ECANCELED) {
        return;
    }
    resume_if_low(stream);
    drained(stream);
    tell_drained(stream);
}

/* Gathering. */

static void link_gathering(el_stream_t *stream) {
    el_loop_t *loop = stream->loop;
    stream->gathering_next = loop->gathering;
    stream->gathering_link = &loop->gathering;
    if (stream->gathering_next != NULL) {
        stream->gathering_next->gathering_link = &stream->gathering_next;
    }
    loop->gathering = stream;
}

void el__stream_unlink_gathering(el_stream_t *stream) {
    if (stream->gathering_link == NULL) {
        return;
    }
    *stream->gathering_link = stream->gathering_next;
    if (stream->gathering_next != NULL) {
        stream->gathering_next->gathering_link = stream->gathering_link;
    }
    stream->gathering_link = NULL;
}

void el__flush_gathered(el_loop_t *loop) {
    while (loop->gathering != NULL) {
        el_stream_flush(loop->gathering);
    }
}

void el_stream_flush(el_stream_t *stream) {
    el__stream_unlink_gathering(stream);
    if (stream->gathered == 0) {
        return;
    }
    stream->gathered = 0;
    if (offer(stream) != ES_ECANCELED) {
        await_room(stream);
        /* a stream that is being closed may have been written to from resume_writing */
        drained(stream);
        tell_drained(stream);
    }
}

/* Entry points. */

static int out_of_memory(el_stream_t *stream) {
    el_reason_t reason = {ES_ENOMEM, 0};
    el__stream_fail(stream, reason);
    return ES_ENOMEM;
}

static int write_first(el_stream_t *stream, const void *base, size_t size, void *owner,
                       bool *taken) {
    size_t done = 0;
    stream->write_phase = stream->loop->phase;
    int rc = stream->backend->send(stream, base, size, &done);
    if (rc == 0 && done == size) {
        return 0;
    }
    if (rc != 0 && rc != ES_EAGAIN) {
        el__stream_fail(stream, el__reason(rc));
        return 0;
    }
    if (push(stream, (const unsigned char *)base + done, size - done, owner, taken) != 0) {
        return out_of_memory(stream);
    }
    await_room(stream);
    return 0;
}

/* The piece that was lent for an offer and has not gone entirely is kept, or copied, now. */
static int keep_lent(el_stream_t *stream, void *owner, bool *taken) {
    for (uint32_t i = stream->pieces_count; i-- > 0;) {
        el_piece_t *piece = piece_at(stream, i);
        if (piece->owner != NULL || piece->block != NULL) {
            continue;
        }
        if (owner != NULL) {
            piece->owner = owner;
            *taken = true;
            return 0;
        }
        piece->block = es_malloc(piece->size);
        if (piece->block == NULL) {
            return out_of_memory(stream);
        }
        memcpy(piece->block, piece->base, piece->size);
        piece->base = piece->block;
        return 0;
    }
    return 0;
}

/* Sends what is gathered and this piece together, without a copy of what the system takes: the
 * caller's memory lies in the ring while it is offered. */
static int write_joined(el_stream_t *stream, const void *base, size_t size, void *owner,
                        bool *taken) {
    el__stream_unlink_gathering(stream);
    stream->gathered = 0;
    if (stream->pieces_count == stream->pieces_capacity && grow_ring(stream) != 0) {
        return out_of_memory(stream);
    }
    el_piece_t lent = {base, size, NULL, NULL, 0};
    *piece_at(stream, stream->pieces_count) = lent;
    stream->pieces_count++;
    stream->queued += size;
    if (offer(stream) == ES_ECANCELED) {
        return 0;
    }
    int code = keep_lent(stream, owner, taken);
    if (code == 0) {
        await_room(stream);
    }
    return code;
}

static int write_gathered(el_stream_t *stream, const void *base, size_t size, void *owner,
                          bool *taken) {
    if (stream->gathered + size >= stream->low_water) {
        return write_joined(stream, base, size, owner, taken);
    }
    if (push(stream, base, size, owner, taken) != 0) {
        return out_of_memory(stream);
    }
    stream->gathered += size;
    if (stream->gathering_link == NULL) {
        link_gathering(stream);
    }
    return 0;
}

int el_stream_write(el_stream_t *stream, const void *base, size_t size, void *owner, bool *taken) {
    bool ignored;
    if (taken == NULL) {
        taken = &ignored;
    }
    *taken = false;
    if (stream->lost_queued) {
        stream->dropped_writes++;
        return 0;
    }
    if (stream->write_eof_asked) {
        return ES_EPIPE;
    }
    if (size == 0) {
        return 0;
    }
    if (stream->queued == stream->gathered) {
        uint64_t phase = stream->loop->phase;
        if (stream->queued == 0 && (phase == 0 || stream->write_phase != phase)) {
            return write_first(stream, base, size, owner, taken);
        }
        if (phase != 0) {
            return write_gathered(stream, base, size, owner, taken);
        }
        return write_joined(stream, base, size, owner, taken);
    }
    if (push(stream, base, size, owner, taken) != 0) {
        return out_of_memory(stream);
    }
    pause_if_high(stream);
    return 0;
}

size_t el_stream_write_size(el_stream_t *stream) {
    el_stream_flush(stream);
    return stream->queued;
}

void el_stream_set_water(el_stream_t *stream, size_t high, size_t low) {
    assert(low <= high);
    el_stream_flush(stream);
    stream->high_water = high;
    stream->low_water = low;
    pause_if_high(stream);
}

void el_stream_write_eof(el_stream_t *stream) {
    if (stream->write_eof_asked || stream->closing) {
        return;
    }
    stream->write_eof_asked = true;
    el_stream_flush(stream);
    drained(stream);
}
