/* SPDX-License-Identifier: MIT */
/* Signals from a handler into the loop, one byte each, through a pipe that libuv reads.
 *
 * Owns both ends. A pipe on every system: Windows signal handlers of the C runtime, too, can do
 * no more than write to a descriptor of that runtime. Guarantees that bytes arrive in order,
 * even after an interrupt: they only make the owner note something, so they are never held back.
 */
#include "internal.h"

static void on_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    (void)suggested;
    el_loop_t *loop = el__loop_of(handle->loop);
    el__enter(loop);
    *out = uv_buf_init((char *)loop->signal_buffer, (unsigned)sizeof loop->signal_buffer);
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *memory) {
    (void)memory;
    el_loop_t *loop = el__loop_of(stream->loop);
    el__enter(loop);
    if (count > 0 && loop->hooks.signals != NULL) {
        loop->hooks.signals(loop->ctx, loop->signal_buffer, (size_t)count);
    } else if (count < 0) {
        /* The owner of the write end closed it under us: nothing more can come. */
        (void)uv_read_stop(stream);
    }
}

static void close_file(int file) {
    uv_fs_t request;
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
}

int el_loop_signal_fd(el_loop_t *loop, int *fd) {
    if (loop->closed) {
        return ES_EINVAL;
    }
    if (loop->signal_fd != -1) {
        *fd = loop->signal_fd;
        return 0;
    }
    if (loop->blocked) {
        return ES_EBUSY; /* a foreign thread, while libuv waits */
    }
    uv_file files[2];
    int held[EL__STDIO_COUNT];
    int held_count = el__os_hold_stdio(held);
    int status = uv_pipe(files, UV_NONBLOCK_PIPE, el__os_signal_pipe_flags);
    if (status == 0) {
        (void)uv_pipe_init(&loop->uv, &loop->signal_pipe, 0); /* opens a descriptor in reserve */
    }
    el__os_release_stdio(held, held_count);
    if (status != 0) {
        return el__from_uv(status);
    }
    status = uv_pipe_open(&loop->signal_pipe, files[0]);
    if (status == 0) {
        status = uv_read_start((uv_stream_t *)&loop->signal_pipe, on_memory, on_bytes);
    } else {
        close_file(files[0]);
    }
    if (status != 0) {
        uv_close((uv_handle_t *)&loop->signal_pipe, NULL);
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        close_file(files[1]);
        return el__from_uv(status);
    }
    loop->signal_fd = files[1];
    *fd = files[1];
    return 0;
}

void el__signal_pipe_close(el_loop_t *loop) {
    if (loop->signal_fd == -1) {
        return;
    }
    uv_close((uv_handle_t *)&loop->signal_pipe, NULL);
    close_file(loop->signal_fd);
    loop->signal_fd = -1;
}
