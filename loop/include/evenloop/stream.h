/* SPDX-License-Identifier: MIT */
/* Streams: the state machine of one connected byte stream, with asyncio's flow control, order
 * and close.
 *
 * The struct is the owner's memory (a Python transport embeds it) and must live until `lost` has
 * returned.
 *
 * Reading. Starts with el_stream_read_start. Small reads go through the loop's buffer and arrive
 * by `data`; once a connection streams (a read filled the whole buffer), or always if `direct`
 * is set, memory comes from `get_buffer` and arrives by `filled`. A read that fills less than
 * its buffer ends the round; at most EL_READ_ROUNDS_MAX rounds a turn keep others served.
 * Nothing is delivered after el_stream_read_stop, el_stream_close or el_stream_abort returns. At
 * end of file: `eof`, once, and no more reading.
 */

/* Writing. The first write of a phase (loop.h) goes to the system before el_stream_write
 * returns; further ones of the same phase are gathered and sent together at its end, or sooner:
 * when together they reach the low-water mark, and by el_stream_flush, which everything that
 * could see the difference calls first (size, write_eof, close, abort, handing out the socket,
 * stopping). What the system does not take is queued. Gathered bytes never count toward the
 * high-water mark: `pause_writing` is called only from a queue that the system has refused.
 *
 * Closing. el_stream_close ends reading, flushes, then reports `lost` with no reason;
 * el_stream_abort drops what is queued. A failed read or write aborts with the first reason
 * seen. `lost` comes exactly once, as a ready item, never from inside a call of the owner's; it
 * is the last upcall. The owner closes the descriptor in it.
 */
#ifndef EVENLOOP_STREAM_H
#define EVENLOOP_STREAM_H

#include <evenloop/loop.h>
#include <evenloop/poll.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EL_READ_ROUNDS_MAX     16
#define EL_HIGH_WATER_DEFAULT  (64u * 1024u)
#define EL_STREAMING_READ_SIZE (256u * 1024u)

typedef struct el_stream el_stream_t;

/* Why a stream ended; code 0: no reason (closed, aborted by the owner, or end of file). */
typedef struct el_reason {
    int code;        /* of evenshim/error.h */
    uint32_t native; /* errno, or a Windows error */
} el_reason_t;

typedef struct el_stream_ops {
    /* Memory for the next read; size 0 refuses (the owner has closed or aborted the stream, or
     * paused it). hint: what the engine would like, 0 when `direct` is set: the owner knows
     * better. */
    void (*get_buffer)(el_stream_t *stream, size_t size_hint, es_iov_t *out);
    /* `size` bytes are in the memory of the last get_buffer; 0: the read gave nothing, take it
     * back. */
    void (*filled)(el_stream_t *stream, size_t size);
    /* `size` >= 1 bytes in the loop's buffer, valid during the call. */
    void (*data)(el_stream_t *stream, const void *base, size_t size);
    void (*eof)(el_stream_t *stream);
    /* queued > high water; may come from inside el_stream_write* */
    void (*pause_writing)(el_stream_t *stream);
    void (*resume_writing)(el_stream_t *stream); /* queued <= low water again */
    /* What had been queued or gathered has all been taken by the system; comes after
     * resume_writing. Never from inside el_stream_write. NULL: not wanted. */
    void (*drained)(el_stream_t *stream);
    void (*lost)(el_stream_t *stream, el_reason_t reason);
    /* A piece given with an owner to el_stream_write is no longer needed. May come from inside
     * any call. */
    void (*release)(el_stream_t *stream, void *piece_owner);
} el_stream_ops_t;

/* One queued piece of output. */
typedef struct el_piece {
    const unsigned char *base;
    size_t size;
    void *owner;          /* released when sent or dropped; NULL: `base` lies in `block` */
    unsigned char *block; /* the engine's copy */
    /* bytes free behind the copy: small copies that follow are joined to it */
    size_t room;
} el_piece_t;

/* how bytes move: readiness (all systems) or completion (Windows pipes) */
typedef struct el_backend el_backend_t;

/* The owner may read `loop`, `fd`, `high_water`, `low_water`, `closing`, `reading`, `eof_seen`,
 * `paused_writing`, `write_eof_asked` and `dropped_writes`; the rest is the engine's. */
struct el_stream {
    el_loop_t *loop; /* NULL after the loop was closed */
    const el_stream_ops_t *ops;
    const el_backend_t *backend;
    es_sock_t fd;
    el_poll_t *poll;  /* readiness */
    void *poll_owner; /* what this stream marked the watcher with; see el_stream_set_owner */
    void *pipe;       /* completion: the backend's own */

    bool direct;
    bool streaming;
    bool streamed_little; /* the last streaming read would not have needed to be one */
    bool reading;         /* the owner wants data */
    bool eof_seen;
    atomic_bool closing; /* close or abort was called, or it failed; any thread may look */
    bool lost_queued;    /* the end is settled: nothing is read, sent or queued any more */
    bool lost_done;
    bool write_eof_asked;
    bool write_eof_done;
    bool paused_writing; /* between pause_writing and resume_writing */
    bool one_way;        /* a pipe's write end: reading only tells that the other end has gone */
    bool owns_fd;        /* `fd` is a copy that the backend made */
    /* how many upcalls are running: destroying the stream in one is a mistake */
    uint8_t upcalls;
    uint32_t dropped_writes; /* since the end was settled: asyncio warns from the fifth */

    size_t queued;   /* bytes refused by the system or not offered yet */
    size_t gathered; /* 0, or all of `queued`: none of it offered yet */
    size_t high_water;
    size_t low_water;
    uint64_t write_phase; /* the phase of the last direct write */

    el_piece_t *pieces; /* a ring; its capacity is 0 or a power of two */
    uint32_t pieces_first;
    uint32_t pieces_count;
    uint32_t pieces_capacity;

    el_stream_t *gathering_next;  /* on loop->gathering */
    el_stream_t **gathering_link; /* what points to this one; NULL: not on the list */

    el_attached_t attached;
    el_ready_t lost_item;
    el_reason_t reason;
};

/* Takes a connected, non-blocking stream socket. Not reading yet. 0, el_poll_open's errors, or
 * ES_EBUSY: another stream or listener has this descriptor. The descriptor stays the owner's. */
int el_stream_open(el_stream_t *stream, el_loop_t *loop, es_sock_t fd, const el_stream_ops_t *ops);

/* The other backends: pipes, FIFOs, terminals and other character devices, and sockets in a pipe's
 * place. `file` is a descriptor of the C library and the owner's; a stream may be for one direction
 * only. Without EL_PIPE_READABLE the stream ends when the last reader goes: without a reason when
 * all was sent, else with ES_EPIPE.
 *
 * On Unix bytes move by readiness; a device that can't be watched, as /dev/null, counts as always
 * ready. The descriptor is made non-blocking and marked as nobody's: a second stream, or an
 * el_poll_set, that reads it takes its events over, as asyncio's loop has it; a second stream that
 * writes to it has a copy of it. On Windows consoles, overlapped pipes and, by a thread of libuv's,
 * other pipes are driven by completion, through a copy of the handle; a socket by readiness.
 *
 * 0; ES_EPERM: it is none of these but a regular file, a directory, a block device or, on Windows, a
 * device that would keep the loop waiting (a serial port); ES_EBADF; ES_EINVAL: no direction, or the
 * loop is closed; ES_EBUSY (Windows): called from a foreign thread while the loop waits; ES_ENOMEM;
 * what the system says. */
#define EL_PIPE_READABLE 1u
#define EL_PIPE_WRITABLE 2u
/* What `file` is on Windows if no descriptor of the C library; no difference on Unix. */
#define EL_PIPE_HANDLE 4u
#define EL_PIPE_SOCKET 8u
int el_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, intptr_t file, unsigned flags,
                        const el_stream_ops_t *ops);

/* Marks the watcher (poll.h) as `owner`'s instead of the stream's; NULL: another stream may take the
 * descriptor, as asyncio allows once a transport is closing. No effect on a watcher that another has
 * marked since, and on a backend without one. */
void el_stream_set_owner(el_stream_t *stream, void *owner);

/* true: memory always comes from the owner (asyncio's BufferedProtocol). May change at any time. */
void el_stream_set_direct(el_stream_t *stream, bool direct);

/* idempotent; no effect when closing or after end of file */
void el_stream_read_start(el_stream_t *stream);
void el_stream_read_stop(el_stream_t *stream);

/* Writes one piece. If `piece_owner` is not NULL, bytes that can't be sent at once stay in the
 * caller's memory until release(piece_owner); the engine has then taken the reference (*taken is
 * true). If NULL, they are copied. 0; ES_ENOMEM: nothing was queued, and the stream is aborted
 * with it; ES_EPIPE: after el_stream_write_eof, nothing happened. Once the end is settled
 * (aborted, failed, or closed with nothing left to send) writes are dropped and counted in
 * dropped_writes; a stream that is closing but still has bytes to send takes more, as asyncio's
 * does. */
int el_stream_write(el_stream_t *stream, const void *base, size_t size, void *piece_owner,
                    bool *taken);

/* Sends what is gathered. */
void el_stream_flush(el_stream_t *stream);

/* Bytes that the system has not taken, after a flush. */
size_t el_stream_write_size(el_stream_t *stream);

/* low <= high; may call pause_writing or resume_writing at once, as asyncio does (pause only). */
void el_stream_set_water(el_stream_t *stream, size_t high, size_t low);

/* Half-close after what is queued has been sent. Idempotent. */
void el_stream_write_eof(el_stream_t *stream);

void el_stream_close(el_stream_t *stream);
void el_stream_abort(el_stream_t *stream, el_reason_t reason);

/* For an owner that is being destroyed without `lost` (a garbage-collected transport, a closed
 * loop): forgets everything now, releases pieces, calls nothing else. Not from inside an upcall
 * of this stream other than `lost` (asserted), where it is allowed and does nothing. Idempotent;
 * the loop may be closed already. */
void el_stream_destroy(el_stream_t *stream);

#ifdef __cplusplus
}
#endif
#endif
