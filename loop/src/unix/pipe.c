/* SPDX-License-Identifier: MIT */
/* Pipes, FIFOs, terminals, sockets and other character devices as one- or two-way streams on Unix,
 * by readiness; what is always ready, by turns.
 *
 * Guarantees what asyncio's pipe transports do: no half-close, and a write end that notices when
 * the last reader goes. A descriptor is nobody's: who watches it last hears of it, and a stream
 * that writes to one that is watched already does so through a copy. Broken by taking every event
 * on a write end for its reader's end: a FIFO opened for both ways is readable when it holds our own
 * bytes.
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

static void release(el_stream_t *stream) {
    el__stream_release_poll(stream);
    if (stream->owns_fd) {
        stream->owns_fd = false;
        (void)es_pipe_close(stream->fd);
    }
}

static const el_backend_t backend = {
    .recv = receive,
    .send = send_one,
    .sendv = send_several,
    .shutdown = end_sending,
    .watch = el__stream_watch_poll,
    .end = el__stream_end_poll,
    .release = release,
};

static const el_backend_t always_ready = {
    .recv = receive,
    .send = send_one,
    .sendv = send_several,
    .shutdown = end_sending,
    .watch = el__always_watch,
    .end = el__always_end,
    .release = el__always_release,
};

/* A FIFO that is open for both ways has its own bytes to read, which say nothing. */
static void on_two_way_end(el_poll_t *poll, void *ctx) {
    if (el__poll_hung_up(poll)) {
        el__stream_reader_gone((el_stream_t *)ctx);
    } else {
        el__poll_rest(poll, EL_READ);
    }
}

static void watch_reader(el_stream_t *stream, const struct stat *status, int mode) {
    bool is_fifo = S_ISFIFO(status->st_mode);
    if (is_fifo && (mode & O_ACCMODE) != O_WRONLY) {
        el_poll_set(stream->poll, EL_READ, on_two_way_end, stream);
    } else if (S_ISSOCK(status->st_mode) || (is_fifo && el__os_tells_of_readers(status))) {
        el__stream_watch_reader(stream);
    }
}

/* A watcher has one place for writing. A second writer on the same descriptor gets a watcher of its
 * own, by a descriptor of its own: both finish what they have to send. */
static int open_copy(el_stream_t *stream) {
    int copy = fcntl((int)stream->fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
    }
    int code = el_poll_open(stream->loop, copy, &stream->poll);
    if (code != 0) {
        (void)es_pipe_close(copy);
        return code;
    }
    stream->fd = copy;
    stream->owns_fd = true;
    return 0;
}

static int open_watcher(el_stream_t *stream, bool is_device) {
    int code = stream->one_way && el_poll_find(stream->loop, stream->fd) != NULL
                   ? open_copy(stream)
                   : el_poll_open(stream->loop, stream->fd, &stream->poll);
    if (code == ES_EPERM && is_device) {
        stream->backend = &always_ready;
        code = el__always_open(stream);
    }
    return code;
}

int el__os_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, intptr_t file, unsigned flags,
                            const el_stream_ops_t *ops) {
    el__stream_init(stream, loop, file, ops, &backend);
    stream->one_way = (flags & EL_PIPE_READABLE) == 0;
    struct stat status;
    int mode = fcntl((int)file, F_GETFL);
    if (mode < 0 || fstat((int)file, &status) != 0) {
        return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
    }
    bool is_device = S_ISCHR(status.st_mode);
    if (!is_device && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)) {
        return ES_EPERM;
    }
    int code = es_pipe_set_nonblocking(file, 1);
    if (code == 0) {
        code = open_watcher(stream, is_device);
    }
    if (code == 0 && stream->one_way && stream->poll != NULL) {
        watch_reader(stream, &status, mode);
    }
    return code;
}
