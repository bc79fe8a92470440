/* SPDX-License-Identifier: MIT */
/* Pipes, FIFOs, terminals and sockets as one- or two-way streams on Unix, by readiness.
 *
 * Guarantees what asyncio's pipe transports do: no half-close, and a write end that notices when
 * the last reader goes. Broken by taking every event on a write end for that: a FIFO opened for
 * both ways is readable when it holds our own bytes.
 */
#include "../internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <evenshim/pipe.h>

static int receive(el_stream_t *stream, void *base, size_t size, size_t *done) {
    return es_pipe_read(stream->fd, base, size, done);
}

static int send_one(el_stream_t *stream, const void *base, size_t size, size_t *done) {
    return es_pipe_write(stream->fd, base, size, done);
}

static int send_several(el_stream_t *stream, const es_iov_t *iov, size_t count, size_t *done) {
    return es_pipe_writev(stream->fd, iov, count, done);
}

static int end_sending(el_stream_t *stream) {
    (void)stream;
    return ES_ENOTSUP;
}

static const el_backend_t backend = {
    .recv = receive,
    .send = send_one,
    .sendv = send_several,
    .shutdown = end_sending,
    .watch = el__stream_watch_poll,
    .end = el__stream_end_poll,
    .release = el__stream_release_poll,
};

static void reader_gone(el_stream_t *stream) {
    el_stream_flush(stream);
    el_reason_t reason = {0, 0};
    if (stream->queued > 0) {
        reason.code = ES_EPIPE;
        reason.native = EPIPE;
    }
    el__stream_fail(stream, reason);
}

/* Any event on a descriptor that is open for writing alone. */
static void on_write_end(el_poll_t *poll, void *ctx) {
    (void)poll;
    reader_gone((el_stream_t *)ctx);
}

static void on_two_way_end(el_poll_t *poll, void *ctx) {
    if (el__poll_hung_up(poll)) {
        reader_gone((el_stream_t *)ctx);
    } else {
        el__poll_rest(poll, EL_READ);
    }
}

int el__os_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, int file, unsigned flags,
                            const el_stream_ops_t *ops) {
    el__stream_init(stream, loop, file, ops, &backend);
    int code = es_pipe_set_nonblocking(file, 1);
    if (code == 0) {
        code = el__stream_open_poll(stream, false);
    }
    if (code != 0 || (flags & EL_PIPE_READABLE) != 0) {
        return code;
    }
    stream->one_way = true;
    struct stat status;
    int mode = fcntl(file, F_GETFL);
    if (mode >= 0 && fstat(file, &status) == 0) {
        bool is_socket = S_ISSOCK(status.st_mode);
        if (is_socket || (S_ISFIFO(status.st_mode) && (mode & O_ACCMODE) == O_WRONLY)) {
            el_poll_set(stream->poll, EL_READ, on_write_end, stream);
        } else if (S_ISFIFO(status.st_mode)) {
            el_poll_set(stream->poll, EL_READ, on_two_way_end, stream);
        }
    }
    return 0;
}
