/* SPDX-License-Identifier: MIT */
/* echo_poll.c: the yardstick's twin, an echo server on readiness: uv_poll says when, recv and
 * send do the work. It shows what the engine's way of doing I/O costs before any of the engine.
 *
 * Owns its connections. One recv and one send a message from the server's one buffer; the rest
 * of a short send is copied and the connection watched for writing instead of reading. */
#include "os.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>

typedef struct connection {
    uv_poll_t poll;
    uv_os_sock_t socket;
    char *tail; /* What the kernel did not take, owned; NULL when all is sent. */
    size_t tail_size;
    size_t tail_sent;
    server_t *server;
} connection_t;

static uv_os_sock_t listening_socket;

static void on_ready(uv_poll_t *poll, int status, int events);

static void free_connection(uv_handle_t *handle) {
    connection_t *connection = handle->data;

    os_socket_close(connection->socket);
    free(connection->tail);
    free(connection);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, handle->data == NULL ? NULL : free_connection);
    }
}

static void watch(connection_t *connection, int events) {
    if (uv_poll_start(&connection->poll, events, on_ready) != 0) {
        close_handle((uv_handle_t *)&connection->poll);
    }
}

static void send_tail(connection_t *connection) {
    ptrdiff_t sent = os_socket_send(connection->socket, connection->tail + connection->tail_sent,
                                    connection->tail_size - connection->tail_sent);

    if (sent == OS_WOULD_BLOCK) {
        return;
    }
    if (sent < 0) {
        close_handle((uv_handle_t *)&connection->poll);
        return;
    }
    connection->tail_sent += (size_t)sent;
    if (connection->tail_sent == connection->tail_size) {
        free(connection->tail);
        connection->tail = NULL;
        watch(connection, UV_READABLE);
    }
}

static void queue_tail(connection_t *connection, const char *bytes, size_t size) {
    connection->tail = malloc(size);
    if (connection->tail == NULL) {
        close_handle((uv_handle_t *)&connection->poll);
        return;
    }
    memcpy(connection->tail, bytes, size);
    connection->tail_size = size;
    connection->tail_sent = 0;
    watch(connection, UV_WRITABLE);
}

static void echo(connection_t *connection) {
    char *buffer = connection->server->read_buffer;
    ptrdiff_t count = os_socket_recv(connection->socket, buffer, SERVER_READ_SIZE);

    if (count == OS_WOULD_BLOCK) {
        return;
    }
    if (count <= 0) {
        close_handle((uv_handle_t *)&connection->poll);
        return;
    }
    ptrdiff_t sent = os_socket_send(connection->socket, buffer, (size_t)count);
    if (sent == OS_WOULD_BLOCK) {
        sent = 0;
    }
    if (sent < 0) {
        close_handle((uv_handle_t *)&connection->poll);
    } else if (sent < count) {
        queue_tail(connection, buffer + sent, (size_t)(count - sent));
    }
}

/* An error status, too, means no more than "ask the socket now": recv or send tells the rest. */
static void on_ready(uv_poll_t *poll, int status, int events) {
    connection_t *connection = poll->data;

    (void)status;
    (void)events;
    if (connection->tail != NULL) {
        send_tail(connection);
    } else {
        echo(connection);
    }
}

static void accept_connections(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    for (int taken = 0; taken < SERVER_BACKLOG; taken++) {
        uv_os_sock_t socket;
        if (os_socket_accept(listening_socket, &socket) != 0) {
            return;
        }
        connection_t *connection = calloc(1, sizeof *connection);
        if (connection == NULL || uv_poll_init_socket(poll->loop, &connection->poll, socket) != 0) {
            os_socket_close(socket);
            free(connection);
            return;
        }
        connection->poll.data = connection;
        connection->socket = socket;
        connection->server = poll->loop->data;
        watch(connection, UV_READABLE);
    }
}

int main(int argc, char **argv) {
    static server_t server;
    static uv_poll_t listener;
    int port;
    int done = server_start(&server, "echo_poll", argc, argv);

    if (done != 0) {
        return done == 1 ? 0 : done;
    }
    server.loop.data = &server;
    if (os_socket_listen(&server.address, SERVER_BACKLOG, &listening_socket) != 0 ||
        os_socket_port(listening_socket, &port) != 0) {
        return server_fail("cannot listen", "the address is in use or not of this machine");
    }
    listener.data = NULL;
    int status = uv_poll_init_socket(&server.loop, &listener, listening_socket);
    if (status == 0) {
        status = uv_poll_start(&listener, UV_READABLE, accept_connections);
    }
    if (status != 0) {
        return server_fail("cannot watch the listener", uv_strerror(status));
    }
    int code = server_run(&server, port, close_handle);
    os_socket_close(listening_socket);
    return code;
}
