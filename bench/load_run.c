/* SPDX-License-Identifier: MIT */
/* load_run.c: the load client's connections and its phases.
 *
 * Owns the connections and one pattern of random bytes. Byte i of connection c's stream is
 * pattern[(c * PHASE_STEP + i) % PATTERN_PERIOD], so what is sent and what is expected are both
 * plain slices of the pattern: no message is built or copied, and a lost, doubled, reordered or
 * foreign byte is seen at once. A connection that returned a wrong byte is closed: nothing it
 * could return afterwards means anything. The slices stay valid only because the pattern is longer
 * than its period by the largest window or read. */
#include "load.h"
#include "os.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE      (256 * 1024)
#define CONNECTING_MAX 64
#define PATTERN_PERIOD 65521 /* Prime: no message size divides it. */
#define PHASE_STEP     7919

typedef enum phase { CONNECTING, WARMING_UP, MEASURING, ENDING } phase_t;

typedef struct connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uint32_t number;
    uint64_t sent; /* Bytes of the stream given to the kernel or to libuv. */
    uint64_t received;
    uint32_t unsent; /* Messages that may be sent once the tail under way is written. */
    bool writing;
    bool dropped;      /* Failed: takes no further part. */
    uint64_t *sent_at; /* For each message under way, when it was sent, by number modulo depth. */
} connection_t;

typedef struct load {
    const load_options_t *options;
    load_result_t *result;
    uv_loop_t loop;
    uv_timer_t phase_timer;
    uv_timer_t stall_timer;
    struct sockaddr_in address;
    phase_t phase;
    connection_t *connections;
    uint32_t started;     /* Connections whose first connect has begun. */
    uint32_t established; /* First connects that have succeeded. */
    uint32_t alive;       /* Connections that have not failed. */
    uint64_t finished;    /* Messages of all phases. */
    uint64_t progress_at_tick;
    uint64_t begun_ns;
    uint64_t client_cpu_begun_ns;
    uint64_t server_cpu_begun_ns;
    char *pattern;
    char *read_buffer;
} load_t;

static void start_connection(load_t *load, connection_t *connection);
static void send_messages(load_t *load, connection_t *connection, uint32_t count);

static void note_error(load_t *load, const char *format, ...) {
    if (load->result->first_error[0] != '\0') {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(load->result->first_error, sizeof load->result->first_error, format, arguments);
    va_end(arguments);
}

/* A generator of its own keeps the pattern the same on every system and in every run. */
static void fill_pattern(char *pattern, size_t size) {
    uint64_t state = 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < PATTERN_PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[i] = (char)(unsigned char)(state >> 56);
    }
    for (size_t i = PATTERN_PERIOD; i < size; i++) {
        pattern[i] = pattern[i - PATTERN_PERIOD];
    }
}

static char *pattern_at(load_t *load, const connection_t *connection, uint64_t offset) {
    uint64_t phase = (uint64_t)connection->number * PHASE_STEP;

    return load->pattern + (phase + offset) % PATTERN_PERIOD;
}

static void read_cpu_clocks(load_t *load, uint64_t *client_ns, uint64_t *server_ns) {
    if (os_process_cpu_ns(uv_os_getpid(), client_ns) != 0) {
        *client_ns = 0;
    }
    if (load->options->server_pid != 0 &&
        os_process_cpu_ns(load->options->server_pid, server_ns) != 0) {
        load->result->server_cpu_known = false;
    }
}

static void close_once(uv_handle_t *handle, void *argument) {
    (void)argument;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void end_run(load_t *load) {
    if (load->phase == ENDING) {
        return;
    }
    if (load->phase == MEASURING) {
        load_result_t *result = load->result;
        uint64_t client_ns = 0;
        uint64_t server_ns = 0;

        result->elapsed_ns = uv_hrtime() - load->begun_ns;
        read_cpu_clocks(load, &client_ns, &server_ns);
        result->client_cpu_ns = client_ns - load->client_cpu_begun_ns;
        result->server_cpu_ns = server_ns - load->server_cpu_begun_ns;
    }
    load->phase = ENDING;
    uv_walk(&load->loop, close_once, NULL);
}

static void on_measured(uv_timer_t *timer) {
    end_run(timer->data);
}

static void begin_measuring(load_t *load) {
    load->phase = MEASURING;
    load->result->server_cpu_known = load->options->server_pid != 0;
    read_cpu_clocks(load, &load->client_cpu_begun_ns, &load->server_cpu_begun_ns);
    load->begun_ns = uv_hrtime();
    if (load->options->message_count == 0) {
        uv_update_time(&load->loop);
        (void)uv_timer_start(&load->phase_timer, on_measured, load->options->measure_ms, 0);
    }
}

static void on_warm(uv_timer_t *timer) {
    begin_measuring(timer->data);
}

static void begin_warmup(load_t *load) {
    load->phase = WARMING_UP;
    if (load->options->warmup_ms == 0) {
        begin_measuring(load);
    } else {
        uv_update_time(&load->loop);
        (void)uv_timer_start(&load->phase_timer, on_warm, load->options->warmup_ms, 0);
    }
    if (load->options->churn) {
        return; /* Each connection sends its message as soon as it is there. */
    }
    for (uint32_t i = 0; i < load->options->connection_count && load->phase != ENDING; i++) {
        if (!load->connections[i].dropped) {
            send_messages(load, &load->connections[i], load->options->depth);
        }
    }
}

/* Takes a connection out of the run for good. The run itself ends with its last connection. */
static void drop(load_t *load, connection_t *connection) {
    connection->dropped = true;
    close_once((uv_handle_t *)&connection->tcp, NULL);
    load->alive--;
    if (load->alive == 0) {
        end_run(load);
    }
}

static void fail_io(load_t *load, connection_t *connection, const char *what, int status) {
    if (load->phase == ENDING || connection->dropped) {
        return;
    }
    load->result->io_errors++;
    note_error(load, "%s on connection %u: %s", what, (unsigned int)connection->number,
               uv_strerror(status));
    drop(load, connection);
}

static void on_tail_written(uv_write_t *write, int status) {
    connection_t *connection = write->data;
    load_t *load = connection->tcp.data;
    uint32_t waiting = connection->unsent;

    connection->writing = false;
    connection->unsent = 0;
    if (status < 0) {
        fail_io(load, connection, "write", status);
    } else if (waiting != 0) {
        send_messages(load, connection, waiting);
    }
}

/* Sends the next `count` messages with one write: straight to the kernel first, and what it does
 * not take through libuv's queue. While that is under way more messages only wait. */
static void send_messages(load_t *load, connection_t *connection, uint32_t count) {
    uint32_t size = load->options->size;

    if (connection->writing) {
        connection->unsent += count;
        return;
    }
    uint64_t first = connection->sent / size;
    uint64_t now = uv_hrtime();
    for (uint32_t i = 0; i < count; i++) {
        connection->sent_at[(first + i) % load->options->depth] = now;
    }
    uv_buf_t bytes = uv_buf_init(pattern_at(load, connection, connection->sent), count * size);
    connection->sent += bytes.len;

    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    int written = uv_try_write(stream, &bytes, 1);
    if (written == UV_EAGAIN) {
        written = 0;
    }
    if (written < 0) {
        fail_io(load, connection, "write", written);
        return;
    }
    if ((size_t)written == bytes.len) {
        return;
    }
    bytes.base += written;
    bytes.len -= (unsigned int)written;
    connection->write.data = connection;
    connection->writing = true;
    int status = uv_write(&connection->write, stream, &bytes, 1, on_tail_written);
    if (status != 0) {
        fail_io(load, connection, "write", status);
    }
}

static void record(load_t *load, uint64_t sent_ns, uint64_t now_ns) {
    load->finished++;
    if (load->phase != MEASURING) {
        return;
    }
    histogram_add(&load->result->latency_ns, now_ns - sent_ns);
    if (load->result->latency_ns.count == load->options->message_count) {
        end_run(load);
    }
}

static void restart(uv_handle_t *handle) {
    load_t *load = handle->data;

    if (load->phase != ENDING) {
        start_connection(load, (connection_t *)handle);
    }
}

static void replace(load_t *load, connection_t *connection) {
    if (load->phase == ENDING) {
        return;
    }
    if (load->options->reset && uv_tcp_close_reset(&connection->tcp, restart) == 0) {
        return;
    }
    uv_close((uv_handle_t *)&connection->tcp, restart);
}

static void finish_messages(load_t *load, connection_t *connection, uint64_t first, uint64_t end) {
    uint64_t now = uv_hrtime();

    for (uint64_t message = first; message < end; message++) {
        record(load, connection->sent_at[message % load->options->depth], now);
        if (load->phase == ENDING) {
            return;
        }
    }
    if (load->options->churn) {
        replace(load, connection);
    } else {
        send_messages(load, connection, (uint32_t)(end - first));
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    load_t *load = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(load->read_buffer, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    connection_t *connection = (connection_t *)stream;
    load_t *load = stream->data;

    if (count == 0 || uv_is_closing((uv_handle_t *)stream)) {
        return;
    }
    if (count < 0) {
        fail_io(load, connection, "read", (int)count);
        return;
    }
    uint64_t before = connection->received;
    connection->received += (uint64_t)count;
    if (connection->received > connection->sent ||
        memcmp(buffer->base, pattern_at(load, connection, before), (size_t)count) != 0) {
        load->result->corruptions++;
        note_error(load, "wrong bytes on connection %u after %llu good ones",
                   (unsigned int)connection->number, (unsigned long long)before);
        drop(load, connection);
        return;
    }
    uint64_t first = before / load->options->size;
    uint64_t end = connection->received / load->options->size;
    if (end != first) {
        finish_messages(load, connection, first, end);
    }
}

/* Begins connects until enough are under way: more at once could overflow the listener's queue,
 * and a connect that was dropped there is tried again only after a second. */
static void start_waiting(load_t *load) {
    uint32_t count = load->options->connection_count;

    while (load->started < count && load->phase != ENDING) {
        uint32_t settled = load->established + (count - load->alive);
        if (!load->options->churn && load->started - settled >= CONNECTING_MAX) {
            return;
        }
        start_connection(load, &load->connections[load->started++]);
    }
}

static void fail_connect(load_t *load, connection_t *connection, int status) {
    if (load->phase == ENDING) {
        return;
    }
    load->result->connect_errors++;
    note_error(load, "connect: %s", uv_strerror(status));
    drop(load, connection);
}

static void on_connected(uv_connect_t *connect, int status) {
    connection_t *connection = connect->data;
    load_t *load = connection->tcp.data;

    if (status == 0) {
        (void)uv_tcp_nodelay(&connection->tcp, 1);
        status = uv_read_start((uv_stream_t *)&connection->tcp, give_buffer, on_read);
    }
    if (status != 0) {
        fail_connect(load, connection, status);
    }
    if (load->phase == CONNECTING) {
        load->established += status == 0 ? 1 : 0;
        start_waiting(load);
        if (load->established == load->alive && load->phase == CONNECTING) {
            begin_warmup(load);
        }
    } else if (load->options->churn && status == 0) {
        uint64_t began = connection->sent_at[0];
        send_messages(load, connection, 1);
        connection->sent_at[0] = began;
    }
}

static void start_connection(load_t *load, connection_t *connection) {
    /* Without a family to make a socket for this cannot fail; the connect makes the socket. */
    (void)uv_tcp_init(&load->loop, &connection->tcp);
    connection->tcp.data = load;
    connection->connect.data = connection;
    connection->sent = 0;
    connection->received = 0;
    connection->unsent = 0;
    connection->writing = false;
    connection->sent_at[0] = uv_hrtime();
    int status = uv_tcp_connect(&connection->connect, &connection->tcp,
                                (const struct sockaddr *)&load->address, on_connected);
    if (status != 0) {
        fail_connect(load, connection, status);
    }
}

static void on_stall_tick(uv_timer_t *timer) {
    load_t *load = timer->data;

    uint64_t progress = load->finished + load->established;

    if (progress == load->progress_at_tick) {
        load->result->stalled = true;
        note_error(load, "no answer for %llu ms", (unsigned long long)load->options->stall_ms);
        end_run(load);
    }
    load->progress_at_tick = progress;
}

static int allocate(load_t *load) {
    const load_options_t *options = load->options;
    size_t window = (size_t)options->size * options->depth;
    size_t pattern_size = PATTERN_PERIOD + (window > READ_SIZE ? window : READ_SIZE);

    load->pattern = malloc(pattern_size);
    load->read_buffer = malloc(READ_SIZE);
    load->connections = calloc(options->connection_count, sizeof *load->connections);
    if (load->pattern == NULL || load->read_buffer == NULL || load->connections == NULL) {
        return UV_ENOMEM;
    }
    fill_pattern(load->pattern, pattern_size);
    for (uint32_t i = 0; i < options->connection_count; i++) {
        load->connections[i].number = i;
        load->connections[i].sent_at = calloc(options->depth, sizeof(uint64_t));
        if (load->connections[i].sent_at == NULL) {
            return UV_ENOMEM;
        }
    }
    return 0;
}

static void release(load_t *load) {
    for (uint32_t i = 0; load->connections != NULL && i < load->options->connection_count; i++) {
        free(load->connections[i].sent_at);
    }
    free(load->connections);
    free(load->read_buffer);
    free(load->pattern);
}

static int run_loop(load_t *load) {
    int status = uv_loop_init(&load->loop);

    if (status != 0) {
        return status;
    }
    (void)uv_timer_init(&load->loop, &load->phase_timer);
    (void)uv_timer_init(&load->loop, &load->stall_timer);
    load->phase_timer.data = load;
    load->stall_timer.data = load;
    (void)uv_timer_start(&load->stall_timer, on_stall_tick, load->options->stall_ms,
                         load->options->stall_ms);
    load->alive = load->options->connection_count;
    if (load->options->churn) {
        begin_warmup(load);
    }
    start_waiting(load);
    (void)uv_run(&load->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&load->loop);
}

int load_run(const load_options_t *options, load_result_t *result) {
    load_t load = {.options = options, .result = result};
    int status = uv_ip4_addr(options->host, options->port, &load.address);

    if (status == 0) {
        status = allocate(&load);
    }
    if (status == 0) {
        status = run_loop(&load);
    }
    release(&load);
    return status;
}
