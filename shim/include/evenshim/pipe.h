/* SPDX-License-Identifier: MIT */
/* Pipes, FIFOs, terminals and other descriptors on Unix that read(2) and write(2) serve.
 *
 * An es_pipe_t is the native descriptor. It must be non-blocking (es_pipe_set_nonblocking); errors
 * and results are those of socket.h, and no call raises SIGPIPE. Windows has no readiness for such
 * objects, so there every function gives ES_ENOTSUP; a loop drives them by completion.
 *
 * Thread safety: any thread; two threads may use one descriptor at once in different directions.
 */
#ifndef EVENSHIM_PIPE_H
#define EVENSHIM_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include <evenshim/error.h>
#include <evenshim/export.h>
#include <evenshim/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef intptr_t es_pipe_t;
#define ES_PIPE_INVALID ((es_pipe_t)-1)

/* Makes a pipe, non-blocking at both ends and not inherited by children: bytes written to
 * *write_end come out of *read_end. */
ES_API int es_pipe_open(es_pipe_t *read_end, es_pipe_t *write_end);

/* Closes a descriptor. As with sockets, it is gone whatever the system said. */
ES_API int es_pipe_close(es_pipe_t pipe);

/* Reads 1..size bytes; ES_EAGAIN, or ES_EOF when nobody holds the other end. */
ES_API int es_pipe_read(es_pipe_t pipe, void *base, size_t size, size_t *done);

/* Writes 1..size bytes; ES_EAGAIN, or ES_EPIPE when nobody holds the other end. */
ES_API int es_pipe_write(es_pipe_t pipe, const void *base, size_t size, size_t *done);

/* The same for several pieces in one call; pieces after the first ES_IOV_MAX wait for the next. */
ES_API int es_pipe_writev(es_pipe_t pipe, const es_iov_t *iov, size_t iov_count, size_t *done);

ES_API int es_pipe_set_nonblocking(es_pipe_t pipe, int on);

#ifdef __cplusplus
}
#endif
#endif
