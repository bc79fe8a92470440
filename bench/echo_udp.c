/* SPDX-License-Identifier: MIT */
/* echo_udp.c: the yardstick for datagrams, a plain echo server on uv_udp.
 *
 * Each datagram goes back to its sender at once; one that the system does not take then is lost, as
 * UDP may lose any. */
#include "server.h"

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    server_t *server = handle->data;

    (void)size;
    *buffer = uv_buf_init(server->read_buffer, SERVER_READ_SIZE);
}

static void echo(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer,
                 const struct sockaddr *sender, unsigned flags) {
    (void)flags;
    if (count < 0 || sender == NULL) {
        return;
    }
    uv_buf_t piece = uv_buf_init(buffer->base, (unsigned)count);
    (void)uv_udp_try_send(udp, &piece, 1, sender);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

int main(int argc, char **argv) {
    static server_t server;
    static uv_udp_t udp;
    struct sockaddr_in own;
    int size = sizeof own;
    int done = server_start(&server, "echo_udp", argc, argv);

    if (done != 0) {
        return done == 1 ? 0 : done;
    }
    udp.data = &server;
    int status = uv_udp_init(&server.loop, &udp);
    if (status == 0) {
        status = uv_udp_bind(&udp, (const struct sockaddr *)&server.address, 0);
    }
    if (status == 0) {
        status = uv_udp_getsockname(&udp, (struct sockaddr *)&own, &size);
    }
    if (status == 0) {
        status = uv_udp_recv_start(&udp, give_buffer, echo);
    }
    if (status != 0) {
        return server_fail("cannot serve", uv_strerror(status));
    }
    return server_run(&server, ntohs(own.sin_port), close_handle);
}
