/* SPDX-License-Identifier: MIT */
/* echo_uv.c: the yardstick, an echo server on libuv's own TCP handles.
 *
 * Owns its connections. A message costs one read and one write: the bytes are read into the
 * server's one buffer and written back before the callback returns. Only when the kernel does
 * not take them all is the rest copied; until it is sent the connection is not read, so a peer
 * that does not read costs one buffer at most. */
#include "server.h"

#include <stdlib.h>
#include <string.h>

typedef struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char *tail; /* What the kernel did not take, owned; NULL when all is sent. */
    server_t *server;
} connection_t;

static void start_reading(connection_t *connection);

static void free_connection(uv_handle_t *handle) {
    connection_t *connection = handle->data;

    free(connection->tail);
    free(connection);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle->data == NULL ? NULL : free_connection);
    }
}

static void finish_tail(uv_write_t *write, int status) {
    connection_t *connection = write->data;

    free(connection->tail);
    connection->tail = NULL;
    if (status < 0) {
        close_handle((uv_handle_t *)&connection->tcp);
    } else {
        start_reading(connection);
    }
}

static int queue_tail(connection_t *connection, const char *bytes, size_t size) {
    connection->tail = malloc(size);
    if (connection->tail == NULL) {
        return UV_ENOMEM;
    }
    memcpy(connection->tail, bytes, size);
    uv_buf_t rest = uv_buf_init(connection->tail, (unsigned int)size);
    connection->write.data = connection;
    (void)uv_read_stop((uv_stream_t *)&connection->tcp);
    return uv_write(&connection->write, (uv_stream_t *)&connection->tcp, &rest, 1, finish_tail);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    connection_t *connection = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(connection->server->read_buffer, SERVER_READ_SIZE);
}

static void echo(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    connection_t *connection = stream->data;

    if (count == 0) {
        return;
    }
    if (count < 0) {
        close_handle((uv_handle_t *)stream);
        return;
    }
    uv_buf_t whole = uv_buf_init(buffer->base, (unsigned int)count);
    int sent = uv_try_write(stream, &whole, 1);
    if (sent == UV_EAGAIN) {
        sent = 0;
    }
    if (sent < 0) {
        close_handle((uv_handle_t *)stream);
    } else if (sent < count &&
               queue_tail(connection, buffer->base + sent, (size_t)count - (size_t)sent) != 0) {
        close_handle((uv_handle_t *)stream);
    }
}

static void start_reading(connection_t *connection) {
    if (uv_read_start((uv_stream_t *)&connection->tcp, give_buffer, echo) != 0) {
        close_handle((uv_handle_t *)&connection->tcp);
    }
}

static void accept_connection(uv_stream_t *listener, int status) {
    server_t *server = listener->loop->data;

    if (status < 0) {
        return;
    }
    connection_t *connection = calloc(1, sizeof *connection);
    if (connection == NULL || uv_tcp_init(listener->loop, &connection->tcp) != 0) {
        /* The waiting connection stays queued in the listener; libuv offers no way to drop it. */
        free(connection);
        return;
    }
    connection->tcp.data = connection;
    connection->server = server;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
        close_handle((uv_handle_t *)&connection->tcp);
        return;
    }
    (void)uv_tcp_nodelay(&connection->tcp, 1);
    start_reading(connection);
}

static int listen_on(server_t *server, uv_tcp_t *listener, int *port) {
    struct sockaddr_in bound;
    int size = (int)sizeof bound;
    int status = uv_tcp_init(&server->loop, listener);

    listener->data = NULL;
    if (status == 0) {
        status = uv_tcp_bind(listener, (const struct sockaddr *)&server->address, 0);
    }
    if (status == 0) {
        status = uv_listen((uv_stream_t *)listener, SERVER_BACKLOG, accept_connection);
    }
    if (status == 0) {
        status = uv_tcp_getsockname(listener, (struct sockaddr *)&bound, &size);
    }
    *port = status == 0 ? ntohs(bound.sin_port) : 0;
    return status;
}

int main(int argc, char **argv) {
    static server_t server;
    static uv_tcp_t listener;
    int port;
    int done = server_start(&server, "echo_uv", argc, argv);

    if (done != 0) {
        return done == 1 ? 0 : done;
    }
    server.loop.data = &server;
    int status = listen_on(&server, &listener, &port);
    if (status != 0) {
        return server_fail("cannot listen", uv_strerror(status));
    }
    return server_run(&server, port, close_handle);
}
