/* SPDX-License-Identifier: MIT */
/* server.c: the frame of the echo servers in C; see server.h.
 *
 * Everything runs on the thread of main; what would break it is a second loop in the process. */
#include "server.h"
#include "os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stop_on_signal(uv_signal_t *signal, int number) {
    (void)number;
    uv_stop(signal->loop);
}

static void give_input_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    server_t *server = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(server->input_buffer, sizeof server->input_buffer);
}

static void stop_on_input_end(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    (void)buffer;
    if (count < 0) {
        uv_stop(stream->loop);
    }
}

static int parse_port(const char *text, int *port) {
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < 0 || value > 65535) {
        return -1;
    }
    *port = (int)value;
    return 0;
}

static int parse(server_t *server, const char *name, int argc, char **argv) {
    const char *host = "127.0.0.1";
    int port = 0;

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--help") == 0) {
            printf("usage: %s [--host ADDRESS] [--port N] [--version]\n"
                   "Echoes on TCP; prints \"PORT n\"; ends when standard input, if a pipe, closes "
                   "or on SIGTERM.\n",
                   name);
            return 1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("libuv %s\n", uv_version_string());
            return 1;
        }
        if (strcmp(argv[i], "--host") == 0 && value != NULL) {
            host = value;
        } else if (strcmp(argv[i], "--port") != 0 || value == NULL ||
                   parse_port(value, &port) != 0) {
            (void)fprintf(stderr, "%s: wrong argument \"%s\"; see --help\n", name, argv[i]);
            return 2;
        }
    }
    if (uv_ip4_addr(host, port, &server->address) != 0) {
        (void)fprintf(stderr, "%s: \"%s\" is not an IPv4 address\n", name, host);
        return 2;
    }
    return 0;
}

/* A terminal, a file or /dev/null as standard input is no sign of a parent that waits: then
 * only the signals end the server. Nor can a pipe always be watched: Wine hands on a Unix pipe as
 * a Windows pipe that refuses to be switched to non-blocking. */
static int watch_input(server_t *server) {
    if (uv_guess_handle(0) != UV_NAMED_PIPE) {
        return 0;
    }
    int status = uv_pipe_init(&server->loop, &server->input, 0);
    if (status != 0) {
        return status;
    }
    if (uv_pipe_open(&server->input, 0) != 0) {
        uv_close((uv_handle_t *)&server->input, NULL);
        return 0;
    }
    server->input.data = server;
    return uv_read_start((uv_stream_t *)&server->input, give_input_buffer, stop_on_input_end);
}

static int watch_signal(server_t *server, uv_signal_t *watcher, int number) {
    int status = uv_signal_init(&server->loop, watcher);

    return status == 0 ? uv_signal_start(watcher, stop_on_signal, number) : status;
}

int server_start(server_t *server, const char *name, int argc, char **argv) {
    int done = parse(server, name, argc, argv);

    if (done != 0) {
        return done;
    }
    os_ignore_broken_pipe();
    int status = uv_loop_init(&server->loop);
    if (status == 0) {
        status = watch_signal(server, &server->terminate, SIGTERM);
    }
    if (status == 0) {
        status = watch_signal(server, &server->interrupt, SIGINT);
    }
    if (status == 0) {
        status = watch_input(server);
    }
    if (status != 0) {
        (void)server_fail("cannot start the loop", uv_strerror(status));
        exit(1);
    }
    return 0;
}

static void close_one(uv_handle_t *handle, void *argument) {
    void (**on_close)(uv_handle_t *) = argument;

    if (handle->type == UV_SIGNAL || handle->type == UV_NAMED_PIPE) {
        if (!uv_is_closing(handle)) {
            uv_close(handle, NULL);
        }
        return;
    }
    (*on_close)(handle);
}

int server_run(server_t *server, int port, void (*on_close)(uv_handle_t *handle)) {
    uint64_t cpu_ns;

    printf("PORT %d\n", port);
    (void)fflush(stdout);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);

    uv_walk(&server->loop, close_one, &on_close);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&server->loop) != 0) {
        return server_fail("cannot end", "a handle is still open");
    }
    if (os_process_cpu_ns(uv_os_getpid(), &cpu_ns) == 0) {
        printf("CPU %" PRIu64 "\n", cpu_ns);
        (void)fflush(stdout);
    }
    return 0;
}

int server_fail(const char *what, const char *why) {
    (void)fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}
