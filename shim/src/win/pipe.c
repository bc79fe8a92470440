/* SPDX-License-Identifier: MIT */
/* Pipes on Windows have no readiness: they are driven by overlapped requests, which need a loop's
 * completion port. These functions exist so that a program links everywhere and is told so. */
#include <evenshim/pipe.h>

#include "error_internal.h"

int es_pipe_open(es_pipe_t *read_end, es_pipe_t *write_end) {
    (void)read_end;
    (void)write_end;
    return es__refuse(ES_ENOTSUP, ES_OP_OPEN, "es_pipe_open");
}

int es_pipe_close(es_pipe_t pipe) {
    (void)pipe;
    return es__refuse(ES_ENOTSUP, ES_OP_CLOSE, "es_pipe_close");
}

int es_pipe_read(es_pipe_t pipe, void *base, size_t size, size_t *done) {
    (void)pipe;
    (void)base;
    (void)size;
    (void)done;
    return es__refuse(ES_ENOTSUP, ES_OP_READ, "es_pipe_read");
}

int es_pipe_write(es_pipe_t pipe, const void *base, size_t size, size_t *done) {
    (void)pipe;
    (void)base;
    (void)size;
    (void)done;
    return es__refuse(ES_ENOTSUP, ES_OP_WRITE, "es_pipe_write");
}

int es_pipe_writev(es_pipe_t pipe, const es_iov_t *iov, size_t iov_count, size_t *done) {
    (void)pipe;
    (void)iov;
    (void)iov_count;
    (void)done;
    return es__refuse(ES_ENOTSUP, ES_OP_WRITE, "es_pipe_writev");
}

int es_pipe_set_nonblocking(es_pipe_t pipe, int on) {
    (void)pipe;
    (void)on;
    return es__refuse(ES_ENOTSUP, ES_OP_OPTION, "es_pipe_set_nonblocking");
}
