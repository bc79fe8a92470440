/* SPDX-License-Identifier: MIT */
/* Named pipes, anonymous pipes and consoles on Windows as streams, by libuv's completion; NUL by
 * turns, and sockets in a pipe's place by readiness.
 *
 * Owns a duplicate of the caller's handle, since libuv closes what it is given. Bytes in
 * flight are a copy, so pieces can be released and streams destroyed at any time. Guarantees
 * that libuv is asked for nothing from a foreign thread while the loop waits, and that `lost`
 * comes after libuv has let go. Broken by freeing pipe_t while its sync item is queued or libuv
 * holds its handle.
 */
#include "../internal.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <string.h>
#include <windows.h>
#include <winternl.h>

#define FLIGHT_SIZE       (64u * 1024u)
#define CONSOLE_READ_SIZE (8u * 1024u)
#define CANCEL_AGAIN_MS   1u

typedef struct pipe {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } uv;
    el_loop_t *loop;
    el_stream_t *stream; /* NULL: the owner has forgotten us */
    bool is_console;
    bool wants_reading;
    bool reading;
    bool has_read; /* libuv may keep a read that waits, also after it was told to stop */
    bool wants_sending;
    bool wants_end;
    bool synchronous; /* the system does one thing at a time, and libuv has a thread do it */
    bool closing;     /* libuv was told to close, or will be when the write in flight has ended */
    bool closed;      /* and has */
    bool lent;        /* the memory of the current read is the owner's */
    bool in_flight;
    bool sent_held; /* a finished write is kept back after an interrupt */
    size_t flight_size;
    uv_write_t request;
    uv_timer_t cancel_timer;
    el_ready_t sync_item;
    bool sync_queued;
    es_iov_t memory;
    unsigned char *console_memory;
    unsigned char flight[FLIGHT_SIZE];
} pipe_t;

static void on_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *memory);
static void queue_sync(pipe_t *pipe);

static void free_if_done(pipe_t *pipe) {
    if (pipe->closed && pipe->stream == NULL && !pipe->sync_queued) {
        es_free(pipe->console_memory);
        es_free(pipe);
    }
}

/* The reader has gone: the system says ERROR_BROKEN_PIPE or ERROR_NO_DATA, which libuv translates as if
 * they came from a read: end of file, nothing there yet. */
static el_reason_t write_reason_of(int status) {
    el_reason_t reason = {el__from_uv(status), 0};
    if (status == UV_EOF || status == UV_EPIPE || status == UV_EAGAIN) {
        reason.code = ES_EPIPE;
        reason.native = ERROR_BROKEN_PIPE;
    }
    return reason;
}

static el_reason_t reason_of(int status) {
    el_reason_t reason = {el__from_uv(status), 0};
    return reason;
}

/* Bringing libuv to what is wanted, on the loop's thread. */

static void on_closed(uv_handle_t *handle) {
    pipe_t *pipe = el__container(handle, pipe_t, uv.handle);
    el__enter(pipe->loop);
    pipe->loop->closing_count--;
    pipe->closed = true;
    if (pipe->stream != NULL) {
        el__stream_ended(pipe->stream);
    }
    free_if_done(pipe);
}

static void sync_reading(pipe_t *pipe) {
    if (pipe->wants_reading == pipe->reading) {
        return;
    }
    pipe->reading = pipe->wants_reading;
    if (!pipe->reading) {
        (void)uv_read_stop(&pipe->uv.stream);
        return;
    }
    pipe->has_read = true;
    int status = uv_read_start(&pipe->uv.stream, on_memory, on_read);
    if (status != 0) {
        pipe->reading = false;
        if (pipe->stream != NULL && !pipe->stream->one_way) {
            el__stream_fail(pipe->stream, reason_of(status));
        }
    }
}

/* What a read of the write end has found: that of a two-way pipe, as a child's stdin is, notices so
 * that its reader has gone. Bytes for somebody else stay in the pipe, and end the watch. */
static void on_write_end(pipe_t *pipe, ssize_t count) {
    if (pipe->loop->interrupted) {
        pipe->reading = false;
        (void)uv_read_stop(&pipe->uv.stream);
        queue_sync(pipe);
    } else if (count == 0 || count == UV_ENOBUFS) {
        pipe->wants_reading = false;
        sync_reading(pipe);
    } else {
        pipe->reading = false; /* libuv has stopped, or is about to close */
        pipe->wants_reading = false;
        el__stream_reader_gone(pipe->stream);
    }
}

/* Closing a handle cancels what is pending on it only when it is the last one, and the owner
 * still holds his. This cancels what is pending through the owner's other handles, too, so it is
 * left alone where nothing of ours is. */
static void cancel_pending(pipe_t *pipe) {
    uv_os_fd_t handle;
    bool pending = pipe->has_read || (pipe->in_flight && !pipe->sent_held);
    if (pending && !pipe->is_console && uv_fileno(&pipe->uv.handle, &handle) == 0) {
        (void)CancelIoEx(handle, NULL);
    }
}

static void on_cancel_again(uv_timer_t *timer) {
    cancel_pending(el__container(timer, pipe_t, cancel_timer));
}

static void on_cancelled(uv_handle_t *timer) {
    pipe_t *pipe = el__container(timer, pipe_t, cancel_timer);
    uv_close(&pipe->uv.handle, on_closed);
}

/* A synchronous write is done by a thread of libuv's, which may have yet to begin it: then there
 * is nothing to cancel, and what it begins later nobody would end before the pipe is read. So it
 * is cancelled again until it has ended, and libuv keeps its handle so long: the thread may
 * have read its number already. */
static void begin_close(pipe_t *pipe) {
    pipe->closing = true;
    pipe->loop->io_count--;
    pipe->loop->closing_count++;
    cancel_pending(pipe);
    if (pipe->synchronous && pipe->in_flight && !pipe->sent_held) {
        pipe->wants_reading = false;
        sync_reading(pipe);
        (void)uv_timer_init(&pipe->loop->uv, &pipe->cancel_timer);
        (void)uv_timer_start(&pipe->cancel_timer, on_cancel_again, CANCEL_AGAIN_MS,
                             CANCEL_AGAIN_MS);
    } else {
        uv_close(&pipe->uv.handle, on_closed);
    }
}

static void sync(pipe_t *pipe) {
    if (pipe->closing) {
        return;
    }
    if (pipe->wants_end) {
        begin_close(pipe);
        return;
    }
    sync_reading(pipe);
    if (pipe->sent_held) {
        pipe->sent_held = false;
        pipe->in_flight = false;
        el__stream_sent(pipe->stream, pipe->flight_size);
    } else if (pipe->wants_sending && pipe->stream != NULL) {
        pipe->wants_sending = false;
        el__stream_sent(pipe->stream, 0);
    }
}

static void run_sync(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    pipe_t *pipe = el__container(item, pipe_t, sync_item);
    pipe->sync_queued = false;
    sync(pipe);
    free_if_done(pipe);
}

static void drop_sync(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    pipe_t *pipe = el__container(item, pipe_t, sync_item);
    pipe->sync_queued = false;
    free_if_done(pipe);
}

static const el_ready_ops_t sync_ops = {run_sync, drop_sync};

static void queue_sync(pipe_t *pipe) {
    if (!pipe->sync_queued) {
        pipe->sync_queued = true;
        el_loop_push(pipe->loop, &pipe->sync_item);
    }
}

static void sync_soon(pipe_t *pipe) {
    if (pipe->loop->blocked) {
        queue_sync(pipe);
        el_loop_wake(pipe->loop);
    } else {
        sync(pipe);
    }
}

/* Reading. */

static void on_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    pipe_t *pipe = el__container(handle, pipe_t, uv.handle);
    el_loop_t *loop = pipe->loop;
    (void)suggested;
    el__enter(loop);
    el_stream_t *stream = pipe->stream;
    *out = uv_buf_init(NULL, 0);
    pipe->lent = false;
    if (stream == NULL || !stream->reading || loop->interrupted) {
        return; /* libuv reports ENOBUFS and the bytes stay in the pipe */
    }
    if (pipe->is_console) {
        /* A console's memory is kept over turns, so it can't be shared. */
        *out = uv_buf_init((char *)pipe->console_memory, CONSOLE_READ_SIZE);
    } else if (stream->direct || stream->streaming) {
        pipe->memory = (es_iov_t){NULL, 0};
        stream->upcalls++;
        stream->ops->get_buffer(stream, stream->direct ? 0 : EL_STREAMING_READ_SIZE, &pipe->memory);
        stream->upcalls--;
        if (pipe->memory.size > 0) {
            pipe->lent = true;
            size_t size = pipe->memory.size < INT32_MAX ? pipe->memory.size : INT32_MAX;
            *out = uv_buf_init(pipe->memory.base, (unsigned)size);
        }
    } else {
        *out = uv_buf_init((char *)loop->read_buffer, EL_READ_BUFFER_SIZE);
    }
}

static void give_back(pipe_t *pipe, size_t size) {
    el_stream_t *stream = pipe->stream;
    pipe->lent = false;
    if (!stream->direct) {
        el__stream_streamed(stream, size, pipe->memory.size);
    }
    stream->upcalls++;
    stream->ops->filled(stream, size);
    stream->upcalls--;
}

/* A console's line for an owner who wants it in memory of his own. */
static void copy_to_owner(el_stream_t *stream, const unsigned char *base, size_t size) {
    while (size > 0 && stream->reading) {
        es_iov_t memory = {NULL, 0};
        stream->upcalls++;
        stream->ops->get_buffer(stream, 0, &memory);
        if (memory.size > 0) {
            size_t part = size < memory.size ? size : memory.size;
            memcpy(memory.base, base, part);
            base += part;
            size -= part;
            stream->ops->filled(stream, part);
        }
        stream->upcalls--;
        if (memory.size == 0) {
            return;
        }
    }
}

static void deliver(pipe_t *pipe, size_t size) {
    el_stream_t *stream = pipe->stream;
    if (pipe->lent) {
        give_back(pipe, size);
        return;
    }
    const unsigned char *base = pipe->is_console ? pipe->console_memory : pipe->loop->read_buffer;
    if (stream->direct) {
        copy_to_owner(stream, base, size);
        return;
    }
    if (size == EL_READ_BUFFER_SIZE) {
        stream->streaming = true;
    }
    stream->upcalls++;
    stream->ops->data(stream, base, size);
    stream->upcalls--;
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *memory) {
    pipe_t *pipe = el__container(handle, pipe_t, uv.stream);
    (void)memory;
    el__enter(pipe->loop);
    el_stream_t *stream = pipe->stream;
    if (stream == NULL) {
        return;
    }
    if (stream->one_way) {
        on_write_end(pipe, count);
        return;
    }
    if (count > 0) {
        deliver(pipe, (size_t)count);
        return;
    }
    if (pipe->lent) {
        give_back(pipe, 0);
    }
    if (count == 0 || count == UV_ENOBUFS) {
        return;
    }
    pipe->reading = false; /* libuv has stopped */
    if (pipe->loop->interrupted) {
        queue_sync(pipe); /* the next read finds the same end */
    } else if (count == UV_EOF) {
        el__stream_read_result(stream, ES_EOF);
    } else {
        (void)uv_read_stop(handle);
        el__stream_fail(stream, reason_of((int)count));
    }
}

/* Writing. */

static void on_written(uv_write_t *request, int status) {
    pipe_t *pipe = el__container(request, pipe_t, request);
    el__enter(pipe->loop);
    if (pipe->closing) {
        pipe->in_flight = false;
        if (pipe->synchronous) {
            uv_close((uv_handle_t *)&pipe->cancel_timer, on_cancelled);
        }
    } else if (pipe->stream == NULL) {
        pipe->in_flight = false;
    } else if (status != 0) {
        pipe->in_flight = false;
        el__stream_fail(pipe->stream, write_reason_of(status));
    } else if (pipe->loop->interrupted) {
        pipe->sent_held = true;
        queue_sync(pipe);
    } else {
        pipe->in_flight = false;
        el__stream_sent(pipe->stream, pipe->flight_size);
    }
}

/* Nothing is ever taken at once: what is in flight stays queued until the system is done with it.
 */
static int send_several(el_stream_t *stream, const es_iov_t *iov, size_t count, size_t *done) {
    pipe_t *pipe = stream->pipe;
    (void)done;
    if (pipe->in_flight) {
        return ES_EAGAIN;
    }
    if (pipe->loop->blocked) {
        pipe->wants_sending = true;
        sync_soon(pipe);
        return ES_EAGAIN;
    }
    pipe->flight_size = 0;
    for (size_t i = 0; i < count && pipe->flight_size < FLIGHT_SIZE; i++) {
        size_t room = FLIGHT_SIZE - pipe->flight_size;
        size_t part = iov[i].size < room ? iov[i].size : room;
        memcpy(pipe->flight + pipe->flight_size, iov[i].base, part);
        pipe->flight_size += part;
    }
    uv_buf_t buffer = uv_buf_init((char *)pipe->flight, (unsigned)pipe->flight_size);
    int status = uv_write(&pipe->request, &pipe->uv.stream, &buffer, 1, on_written);
    if (status != 0) {
        el__stream_fail(stream, write_reason_of(status));
        return ES_ECANCELED;
    }
    pipe->in_flight = true;
    return ES_EAGAIN;
}

static int send_one(el_stream_t *stream, const void *base, size_t size, size_t *done) {
    es_iov_t iov = {(void *)(uintptr_t)base, size};
    return send_several(stream, &iov, 1, done);
}

static int receive(el_stream_t *stream, void *base, size_t size, size_t *done) {
    (void)stream;
    (void)base;
    (void)size;
    (void)done;
    return ES_EAGAIN; /* bytes come by on_read alone */
}

static int end_sending(el_stream_t *stream) {
    (void)stream;
    return ES_ENOTSUP;
}

static void watch(el_stream_t *stream, el_direction_t direction, bool on) {
    pipe_t *pipe = stream->pipe;
    if (direction == EL_READ && pipe != NULL) {
        pipe->wants_reading = on;
        sync_soon(pipe);
    }
}

static void end(el_stream_t *stream) {
    pipe_t *pipe = stream->pipe;
    pipe->wants_end = true;
    sync_soon(pipe);
}

static void release(el_stream_t *stream) {
    pipe_t *pipe = stream->pipe;
    if (pipe == NULL) {
        return;
    }
    stream->pipe = NULL;
    pipe->stream = NULL;
    if (!pipe->closed) {
        pipe->wants_end = true;
        sync_soon(pipe);
    } else {
        free_if_done(pipe);
    }
}

static const el_backend_t backend = {
    .recv = receive,
    .send = send_one,
    .sendv = send_several,
    .shutdown = end_sending,
    .watch = watch,
    .end = end,
    .release = release,
};

/* Opening. */

/* NtQueryInformationFile, NtQueryVolumeInformationFile: they differ in the last argument alone. */
typedef LONG(NTAPI *query_t)(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, int);

static bool query(const char *function, HANDLE handle, void *answer, size_t size, int what) {
    IO_STATUS_BLOCK status;
    query_t call = (query_t)(void (*)(void))GetProcAddress(GetModuleHandleA("ntdll.dll"), function);
    return call != NULL && call(handle, &status, answer, (ULONG)size, what) >= 0;
}

typedef enum object {
    OBJECT_PIPE,
    OBJECT_CONSOLE,
    OBJECT_NULL,
    OBJECT_OTHER,
    OBJECT_NONE
} object_t;

static object_t device_of(HANDLE handle) {
    struct {
        ULONG type;
        ULONG characteristics;
    } device = {0, 0};
    DWORD mode;
    if (GetConsoleMode(handle, &mode)) {
        return OBJECT_CONSOLE;
    }
    /* 4 is FileFsDeviceInformation, 0x15 FILE_DEVICE_NULL (ntifs.h). */
    return query("NtQueryVolumeInformationFile", handle, &device, sizeof device, 4) &&
                   device.type == 0x15
               ? OBJECT_NULL
               : OBJECT_OTHER;
}

static object_t object_of(HANDLE handle) {
    SetLastError(NO_ERROR);
    switch (GetFileType(handle)) {
    case FILE_TYPE_PIPE:
        return OBJECT_PIPE;
    case FILE_TYPE_CHAR:
        return device_of(handle);
    case FILE_TYPE_UNKNOWN:
        return GetLastError() == NO_ERROR ? OBJECT_OTHER : OBJECT_NONE;
    default:
        return OBJECT_OTHER;
    }
}

/* A descriptor for libuv to own. Not inherited by children, as _dup's would be. */
static int duplicate(HANDLE handle, int *out) {
    HANDLE self = GetCurrentProcess();
    HANDLE copy;
    if (!DuplicateHandle(self, handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
        return es_error_from_native(ES_DOMAIN_WIN32, (uint32_t)GetLastError(), ES_OP_OPEN);
    }
    *out = _open_osfhandle((intptr_t)copy, _O_NOINHERIT);
    if (*out == -1) {
        (void)CloseHandle(copy);
        return ES_EMFILE;
    }
    return 0;
}

static int open_handle(pipe_t *pipe, int file, object_t kind) {
    uv_loop_t *uv = &pipe->loop->uv;
    if (kind == OBJECT_CONSOLE) {
        pipe->is_console = true;
        pipe->console_memory = es_malloc(CONSOLE_READ_SIZE);
        return pipe->console_memory == NULL ? ES_ENOMEM
                                            : el__from_uv(uv_tty_init(uv, &pipe->uv.tty, file, 0));
    }
    (void)uv_pipe_init(uv, &pipe->uv.pipe, 0);
    int code = el__from_uv(uv_pipe_open(&pipe->uv.pipe, file));
    if (code != 0) {
        /* The handle is linked to its loop: it frees itself when libuv has let go. */
        pipe->closing = true;
        pipe->loop->closing_count++;
        uv_close(&pipe->uv.handle, on_closed);
    }
    return code;
}

/* Whether the handle was opened for synchronous use: then a read that waits makes a write wait, and
 * libuv has a thread do each. */
static bool is_synchronous(pipe_t *pipe) {
    const ULONG synchronous = 0x10 | 0x20; /* FILE_SYNCHRONOUS_IO_ALERT and _NONALERT */
    uv_os_fd_t handle;
    ULONG mode = synchronous;
    if (pipe->is_console || uv_fileno(&pipe->uv.handle, &handle) != 0) {
        return false;
    }
    /* 16 is FileModeInformation (ntifs.h). */
    return !query("NtQueryInformationFile", handle, &mode, sizeof mode, 16) ||
           (mode & synchronous) != 0;
}

static int open_by_completion(el_stream_t *stream, HANDLE handle, object_t kind) {
    el_loop_t *loop = stream->loop;
    int copy;
    int code = duplicate(handle, &copy);
    if (code != 0) {
        return code;
    }
    pipe_t *pipe = es_calloc(1, sizeof *pipe);
    if (pipe == NULL) {
        (void)_close(copy);
        return ES_ENOMEM;
    }
    pipe->loop = loop;
    pipe->sync_item.ops = &sync_ops;
    code = open_handle(pipe, copy, kind);
    if (code != 0 || copy <= 2) {
        (void)_close(copy); /* of the first three libuv makes a copy of its own */
    }
    if (code != 0) {
        if (!pipe->closing) {
            es_free(pipe->console_memory);
            es_free(pipe);
        }
        return code;
    }
    loop->io_count++;
    pipe->stream = stream;
    stream->pipe = pipe;
    pipe->synchronous = is_synchronous(pipe);
    if (stream->one_way && !pipe->is_console && !pipe->synchronous &&
        uv_is_readable(&pipe->uv.stream)) {
        pipe->wants_reading = true;
        sync_reading(pipe);
    }
    return 0;
}

/* NUL: nothing to read, room for everything. */

static int receive_nothing(el_stream_t *stream, void *base, size_t size, size_t *done) {
    (void)stream;
    (void)base;
    (void)size;
    (void)done;
    return ES_EOF;
}

static int swallow_several(el_stream_t *stream, const es_iov_t *iov, size_t count, size_t *done) {
    (void)stream;
    *done = 0;
    for (size_t i = 0; i < count; i++) {
        *done += iov[i].size;
    }
    return 0;
}

static int swallow(el_stream_t *stream, const void *base, size_t size, size_t *done) {
    (void)stream;
    (void)base;
    *done = size;
    return 0;
}

static const el_backend_t null_device = {
    .recv = receive_nothing,
    .send = swallow,
    .sendv = swallow_several,
    .shutdown = end_sending,
    .watch = el__always_watch,
    .end = el__always_end,
    .release = el__always_release,
};

/* A socket in a pipe's place. */
static int open_socket(el_stream_t *stream) {
    stream->backend = &el__backend_socket;
    int code = es_sock_set_nonblocking(stream->fd, 1);
    if (code == 0) {
        code = el_poll_open(stream->loop, stream->fd, &stream->poll);
    }
    if (code == 0 && stream->one_way) {
        el__stream_watch_reader(stream);
    }
    return code;
}

int el__os_stream_open_pipe(el_stream_t *stream, el_loop_t *loop, intptr_t file, unsigned flags,
                            const el_stream_ops_t *ops) {
    el__stream_init(stream, loop, (es_sock_t)file, ops, &backend);
    stream->one_way = (flags & EL_PIPE_READABLE) == 0;
    if (loop->closed) {
        return ES_EINVAL;
    }
    if (loop->blocked) {
        return ES_EBUSY; /* a foreign thread, while libuv waits */
    }
    if ((flags & EL_PIPE_SOCKET) != 0) {
        return open_socket(stream);
    }
    HANDLE handle = (HANDLE)((flags & EL_PIPE_HANDLE) != 0 ? file : _get_osfhandle((int)file));
    object_t kind = object_of(handle);
    switch (kind) {
    case OBJECT_PIPE:
    case OBJECT_CONSOLE:
        return open_by_completion(stream, handle, kind);
    case OBJECT_NULL:
        stream->backend = &null_device;
        return el__always_open(stream);
    case OBJECT_NONE:
        return ES_EBADF;
    default:
        return ES_EPERM;
    }
}
