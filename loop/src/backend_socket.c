/* SPDX-License-Identifier: MIT */
/* How bytes move through a socket: readiness from the watcher, evenshim for the rest. The same on
 * every system. */
#include "internal.h"

static int receive(el_stream_t *stream, void *base, size_t size, size_t *done) {
    return es_sock_recv(stream->fd, base, size, done);
}

static int send_one(el_stream_t *stream, const void *base, size_t size, size_t *done) {
    return es_sock_send(stream->fd, base, size, done);
}

static int send_several(el_stream_t *stream, const es_iov_t *iov, size_t count, size_t *done) {
    return es_sock_sendv(stream->fd, iov, count, done);
}

static int end_sending(el_stream_t *stream) {
    return es_sock_shutdown(stream->fd, ES_SHUT_WRITE);
}

const el_backend_t el__backend_socket = {
    .recv = receive,
    .send = send_one,
    .sendv = send_several,
    .shutdown = end_sending,
    .watch = el__stream_watch_poll,
    .end = el__stream_end_poll,
    .release = el__stream_release_poll,
};
