/* SPDX-License-Identifier: MIT */
/* An echo server on the engine without Python: what the engine costs above plain libuv.
 *
 * Usage: echo_engine [PORT [SECONDS]]. Prints the port it listens on, then serves until it is
 * killed, or for SECONDS. Its processor time per message is compared with that of the yardstick,
 * bench/echo_uv.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <evenloop/listener.h>
#include <evenloop/loop.h>
#include <evenloop/stream.h>

typedef struct connection {
    el_stream_t stream;
    unsigned char *memory; /* for streaming reads */
} connection_t;

static void on_get_buffer(el_stream_t *stream, size_t hint, es_iov_t *out) {
    connection_t *connection = (connection_t *)stream;
    if (connection->memory == NULL) {
        connection->memory = malloc(EL_STREAMING_READ_SIZE);
    }
    out->base = connection->memory;
    out->size = connection->memory == NULL ? 0 : EL_STREAMING_READ_SIZE;
    (void)hint;
}

static void on_data(el_stream_t *stream, const void *base, size_t size) {
    (void)el_stream_write(stream, base, size, NULL, NULL);
}

static void on_filled(el_stream_t *stream, size_t size) {
    if (size > 0) {
        on_data(stream, ((connection_t *)stream)->memory, size);
    }
}

static void on_eof(el_stream_t *stream) {
    el_stream_close(stream);
}

static void on_pause(el_stream_t *stream) {
    el_stream_read_stop(stream);
}

static void on_resume(el_stream_t *stream) {
    el_stream_read_start(stream);
}

static void on_lost(el_stream_t *stream, el_reason_t reason) {
    (void)reason;
    connection_t *connection = (connection_t *)stream;
    (void)es_sock_close(stream->fd);
    free(connection->memory);
    free(connection);
}

static void on_release(el_stream_t *stream, void *owner) {
    (void)stream;
    (void)owner;
}

static const el_stream_ops_t stream_ops = {
    .get_buffer = on_get_buffer,
    .filled = on_filled,
    .data = on_data,
    .eof = on_eof,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
    .lost = on_lost,
    .release = on_release,
};

static void on_accepted(el_listener_t *listener, es_sock_t fd, const es_addr_t *peer) {
    (void)peer;
    connection_t *connection = calloc(1, sizeof *connection);
    if (connection == NULL ||
        el_stream_open(&connection->stream, listener->loop, fd, &stream_ops) != 0) {
        free(connection);
        (void)es_sock_close(fd);
        return;
    }
    (void)es_sock_set_nodelay(fd, 1);
    el_stream_read_start(&connection->stream);
}

static void on_failed(el_listener_t *listener, el_reason_t reason, bool pausing) {
    (void)listener;
    fprintf(stderr, "accept: %s%s\n", es_error_text(reason.code), pausing ? ", pausing" : "");
}

static const el_listener_ops_t listener_ops = {on_accepted, on_failed};

static void on_time_up(el_loop_t *loop, el_ready_t *item) {
    (void)item;
    el_loop_stop(loop);
}

static const el_ready_ops_t time_up_ops = {on_time_up, on_time_up};

/* The address and the port are network order in the system's own sockaddr_in, which evenshim
 * passes on. */
static int listen_on(unsigned port, es_sock_t *out) {
    struct sockaddr_in name;
    es_addr_t addr;
    memset(&addr, 0, sizeof addr);
    if (uv_ip4_addr("127.0.0.1", (int)port, &name) != 0) {
        return ES_EINVAL;
    }
    addr.size = (uint32_t)sizeof name;
    memcpy(addr.storage.bytes, &name, sizeof name);
    int code = es_sock_open(AF_INET, SOCK_STREAM, 0, 0, out);
    if (code == 0 && (code = es_sock_bind(*out, &addr)) == 0) {
        code = es_sock_listen(*out, 1024);
    }
    return code;
}

static unsigned port_of(es_sock_t fd) {
    es_addr_t addr;
    struct sockaddr_in name;
    if (es_sock_name(fd, &addr) != 0) {
        return 0;
    }
    memcpy(&name, addr.storage.bytes, sizeof name);
    return ntohs(name.sin_port);
}

int main(int argc, char **argv) {
    static el_loop_t loop;
    static el_listener_t listener;
    static el_timer_t timer;
    es_sock_t fd = ES_SOCK_INVALID;
    unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    int code = el_loop_init(&loop, NULL, NULL);
    if (code == 0) {
        code = listen_on(port, &fd);
    }
    if (code == 0) {
        code = el_listener_open(&listener, &loop, fd, 1024, &listener_ops);
    }
    if (code == 0 && argc > 2) {
        uint64_t seconds = strtoull(argv[2], NULL, 10);
        code = el_timer_start(&loop, &timer, el_now_ns() + seconds * 1000000000u, &time_up_ops);
    }
    if (code != 0) {
        fprintf(stderr, "echo_engine: %s\n", es_error_text(code));
        return 1;
    }
    printf("%u\n", port_of(fd));
    (void)fflush(stdout);
    code = el_loop_run(&loop);
    el_listener_close(&listener);
    (void)es_sock_close(fd);
    (void)el_loop_close(&loop);
    return code == 0 ? 0 : 1;
}
