/* SPDX-License-Identifier: MIT */
/* What the engine's files share with one another and with nobody else.
 *
 * Owns no state. The rules that every file keeps: a callback from libuv first calls el__enter,
 * before it looks at anything of the loop's; nothing is asked of libuv while loop->blocked is
 * true and the caller may be another thread; after every upcall the state is looked at again.
 */
#ifndef EVENLOOP_INTERNAL_H
#define EVENLOOP_INTERNAL_H

#include <assert.h>
#include <stddef.h>

#include <uv.h>

#include <evenloop/child.h>
#include <evenloop/datagram.h>
#include <evenloop/listener.h>
#include <evenloop/loop.h>
#include <evenloop/poll.h>
#include <evenloop/stream.h>
#include <evenshim/memory.h>
#include <evenshim/process.h>

#define el__container(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline el_loop_t *el__loop_of(const uv_loop_t *uv) {
    return (el_loop_t *)uv->data;
}

/* loop.c */

/* Takes the lock back, at the first sign of life after a wait. */
void el__unblock(el_loop_t *loop);

static inline void el__enter(el_loop_t *loop) {
    if (loop->blocked) {
        el__unblock(loop);
    }
}

static inline bool el__forked(const el_loop_t *loop) {
    return loop->process_generation != es_process_generation();
}

/* The code for what libuv said; 0 for 0. */
int el__from_uv(int status);

/* The reason for a failure of an evenshim call just now on this thread. */
el_reason_t el__reason(int code);

void el__attach(el_loop_t *loop, el_attached_t *attached, void (*detach)(el_attached_t *attached));
void el__detach(el_attached_t *attached); /* idempotent */

/* Whether a deadline is certainly not due, going by libuv's cached time, which must be fresh: it
 * spares reading the clock again for timers that are far off. The margin covers the coarse clock
 * that libuv may read on Linux, which lags by up to a tick. */
static inline bool el__surely_later(const el_loop_t *loop, uint64_t deadline_ns) {
    return deadline_ns / 1000000u > uv_now(&loop->uv) + 5;
}

/* wake.c */

/* From now on posts are refused. False: something was posted meanwhile. */
bool el__refuse_posts(el_loop_t *loop);

/* Waits until no other thread is inside el_loop_post or el_loop_wake any more. */
void el__await_posters(el_loop_t *loop);

/* timer.c */

/* Drops cancelled timers from the top, or all when they are too many. Calls `drop`. */
void el__timers_tidy(el_loop_t *loop);

/* Runs what is due and was set before this turn. */
void el__timers_run(el_loop_t *loop);

/* The first deadline, EL_NEVER when there is none. A cancelled timer counts until tidied away. */
uint64_t el__timers_first(const el_loop_t *loop);

/* Drops all and frees the heap. */
void el__timers_close(el_loop_t *loop);

/* poll.c */

/* el_poll_open for a descriptor known to be a non-blocking socket: saves looking at it. */
int el__poll_open_socket(el_loop_t *loop, es_sock_t fd, el_poll_t **out);

/* Empties a slot like el_poll_clear, but tells the system only before the next poll: for owners who
 * keep the descriptor open and may soon want it again. */
void el__poll_rest(el_poll_t *poll, el_direction_t direction);

/* Whether a slot is filled for this owner: once a stream or datagram endpoint is closing, its owner
 * may let another take over the descriptor, and with it the watcher. */
static inline bool el__poll_serves(const el_poll_t *poll, el_direction_t direction,
                                   const void *owner) {
    void *ctx;
    return el_poll_get(poll, direction, &ctx) != NULL && ctx == owner;
}

/* The system has just given out this number, so whoever watches it holds a descriptor that was
 * closed: takes it away from them. */
void el__poll_orphan(el_loop_t *loop, es_sock_t fd);

/* Makes the poll set anew if that is due. */
void el__polls_renew(el_loop_t *loop);

/* Whether the event being delivered was an error or a hang-up, not plain readiness. */
bool el__poll_hung_up(const el_poll_t *poll);

/* Tells libuv what changed since the last poll. */
void el__polls_sync(el_loop_t *loop);

/* Calls the slots of watchers that libuv refused. */
void el__polls_call_broken(el_loop_t *loop);

void el__polls_close(el_loop_t *loop);

/* A watcher's handle, apart from it because libuv lets go of a handle only in a later turn. */
typedef struct el__watch {
    uv_poll_t uv;
    struct el_poll *poll; /* NULL: given up */
    struct el__watch *next;
    uint32_t uses; /* how many watchers it has served: the next may have the address of the last */
} el__watch_t;

struct el_poll {
    el_loop_t *loop; /* NULL after the loop was closed */
    es_sock_t fd;
    struct {
        el_poll_cb cb;
        void *ctx;
    } slots[2];
    el__watch_t *watch; /* NULL: libuv knows nothing of it */
    void *owner;
    uint32_t opens;
    int armed; /* what libuv was told: UV_READABLE | UV_WRITABLE */
    bool known_socket;
    bool hung_up;
    bool renewed; /* the system is to be told again */
    bool lost;    /* the system refuses the descriptor: called once, then silent */
    /* What an exclusive owner wants to be called when el__poll_orphan comes, or NULL. */
    void (*orphaned)(struct el_poll *poll, void *ctx);
    void *orphaned_ctx;
    el_poll_t *next;  /* on loop->polls_dirty or polls_broken */
    el_poll_t **link; /* what points to this one; NULL: on neither */
};

static inline void el__poll_unbind(el_poll_t *poll, const void *ctx) {
    if (poll->orphaned_ctx == ctx) {
        poll->orphaned = NULL;
        poll->orphaned_ctx = NULL;
    }
}

/* poll_registry.c */
el_poll_t *el__registry_find(const el_loop_t *loop, es_sock_t fd);
int el__registry_add(el_loop_t *loop, el_poll_t *poll); /* 0 or ES_ENOMEM */
void el__registry_remove(el_loop_t *loop, el_poll_t *poll);

/* unix/ or win/poll_init.c */

/* uv_poll_init without its side effects on the descriptor. 0 or a code of evenshim. */
int el__os_poll_init(uv_loop_t *uv, uv_poll_t *handle, es_sock_t fd, bool known_socket);

/* linux/poll.c or poll_plain.c */

/* uv_poll_start, uv_poll_stop and uv_close, whatever has become of the descriptor. `stale` is set to
 * true, else left alone, when the poll set no longer knew the descriptor by its number: what it
 * stood for may still be in the set (it was duplicated) and report for ever. */
int el__os_poll_start(uv_loop_t *uv, uv_poll_t *handle, int events, uv_poll_cb cb, bool *stale);
void el__os_poll_stop(uv_poll_t *handle, bool *stale);
void el__os_poll_close(uv_poll_t *handle, uv_close_cb cb, bool *stale);

/* Stops a handle and keeps it for the next descriptor instead of closing it, which saves seven
 * system calls a connection and a turn's wait for libuv's close callback. False: it can't be kept. */
bool el__os_poll_retire(uv_poll_t *handle, bool *stale);

/* Has a retired handle serve this descriptor. 0, a code, or ES_ENOTSUP: only el__os_poll_init can
 * tell whether it can be polled. */
int el__os_poll_aim(uv_poll_t *handle, es_sock_t fd, bool known_socket);

/* Makes the poll set anew. 0 or a code: nothing has changed. */
int el__os_polls_renew(uv_loop_t *uv);

/* Whether the poll set has the descriptor, after that. */
bool el__os_poll_known(const uv_poll_t *handle);

/* unix/ or win/stdio.c: fills the numbers of standard streams that are closed, and frees them
 * again. The count of those filled. */
#define EL__STDIO_COUNT 3
int el__os_hold_stdio(int held[EL__STDIO_COUNT]);
void el__os_release_stdio(const int held[EL__STDIO_COUNT], int count);

/* Whether a handle without interest may be kept for its descriptor. Not on Windows: a closed
 * socket's number is soon given out again, and the handle knows the provider and the pending
 * requests of the old one. */
extern const bool el__os_poll_keeps_idle;

/* UV_NONBLOCK_PIPE where a signal handler can write to such a pipe. */
extern const int el__os_signal_pipe_flags;

/* stream*.c */
struct el_backend {
    int (*recv)(el_stream_t *stream, void *base, size_t size, size_t *done);
    int (*send)(el_stream_t *stream, const void *base, size_t size, size_t *done);
    int (*sendv)(el_stream_t *stream, const es_iov_t *iov, size_t count, size_t *done);
    /* Ends sending. ES_ENOTSUP: there is no half-close here, so the stream is closed instead. */
    int (*shutdown)(el_stream_t *stream);
    /* Whether this direction is wanted. */
    void (*watch)(el_stream_t *stream, el_direction_t direction, bool on);
    /* The end is settled: stops all traffic, then has el__stream_ended called, at once or later. */
    void (*end)(el_stream_t *stream);
    /* Lets go of everything; calls nothing. */
    void (*release)(el_stream_t *stream);
};

extern const el_backend_t el__backend_socket;

/* Sets the fields up; the backend's are the caller's to set before. */
void el__stream_init(el_stream_t *stream, el_loop_t *loop, es_sock_t fd, const el_stream_ops_t *ops,
                     const el_backend_t *backend);

/* unix/ or win/pipe.c: el_stream_open_pipe but for the attaching. */
int el__os_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, intptr_t file, unsigned flags,
                            const el_stream_ops_t *ops);

/* unix/ or kqueue/pipe_reader.c: whether an event on the write end of this FIFO, open for writing
 * alone, means that its last reader has gone. */
struct stat;
bool el__os_tells_of_readers(const struct stat *status);

/* always.c: watch, end and release of a backend whose descriptor is always ready. */
int el__always_open(el_stream_t *stream); /* 0 or ES_ENOMEM */
void el__always_watch(el_stream_t *stream, el_direction_t direction, bool on);
void el__always_end(el_stream_t *stream);
void el__always_release(el_stream_t *stream);

/* Readiness: opens the watcher, refuses one that has an owner. */
int el__stream_open_poll(el_stream_t *stream, bool known_socket);
void el__stream_watch_poll(el_stream_t *stream, el_direction_t direction, bool on);
void el__stream_end_poll(el_stream_t *stream);
void el__stream_release_poll(el_stream_t *stream);

/* For the write end of a pipe or a socket in a pipe's place: any event on its reading side, or on
 * Windows a read that ends, means that nobody reads any more. */
void el__stream_watch_reader(el_stream_t *stream);

/* Nobody reads any more: the end, without a reason if everything was sent, else ES_EPIPE, without a
 * native code since no system call has failed. */
void el__stream_reader_gone(el_stream_t *stream);

/* Ends the stream with a reason; only the first counts. */
void el__stream_fail(el_stream_t *stream, el_reason_t reason);

/* The backend has stopped: queues `lost`. */
void el__stream_ended(el_stream_t *stream);

void el__stream_readable(el_stream_t *stream);            /* readiness: read now */
void el__stream_writable(el_stream_t *stream);            /* readiness: send now */
void el__stream_read_result(el_stream_t *stream, int rc); /* ES_EOF or a failure */
/* A streaming read of `size` bytes into memory of `capacity` bytes: is streaming still right? */
void el__stream_streamed(el_stream_t *stream, size_t size, size_t capacity);
/* completion: the first `size` queued bytes went */
void el__stream_sent(el_stream_t *stream, size_t size);
void el__stream_drop_pieces(el_stream_t *stream);
void el__stream_unlink_gathering(el_stream_t *stream);

/* Sends everything that is gathered. Called between phases. */
void el__flush_gathered(el_loop_t *loop);

/* signal_pipe.c */
void el__signal_pipe_close(el_loop_t *loop);

/* listener.c: EL_ACCEPT_PAUSE_NS, in a variable so that tests need not wait for it. */
extern uint64_t el__accept_pause_ns;

#endif
