/* SPDX-License-Identifier: MIT */
/* load_udp.c: the load client over UDP: connected sockets, each with one datagram under way.
 *
 * One datagram at a time keeps every socket buffer from overflowing, so that on loopback none is
 * lost; if one is all the same, nothing finishes on that socket any more and the run is reported as
 * stalled. Every datagram carries its number, and all of it is compared when it comes back. */
#include "load.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct load load_t;

typedef struct peer {
    uv_udp_t udp;
    load_t *load;
    uint64_t number;
    uint64_t sent_at;
    char *message; /* what is under way */
    bool dropped;
} peer_t;

struct load {
    const load_options_t *options;
    load_result_t *result;
    uv_loop_t loop;
    uv_timer_t phase_timer;
    uv_timer_t stall_timer;
    struct sockaddr_in address;
    peer_t *peers;
    char *buffer;
    uint32_t alive; /* sockets that have not failed */
    bool measuring;
    bool ending;
    uint64_t finished;
    uint64_t progress_at_tick;
    uint64_t begun_ns;
    uint64_t client_cpu_begun_ns;
    uint64_t server_cpu_begun_ns;
};

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
    if (load->ending) {
        return;
    }
    load->ending = true;
    if (load->measuring) {
        uint64_t client_ns = 0;
        uint64_t server_ns = 0;

        load->result->elapsed_ns = uv_hrtime() - load->begun_ns;
        read_cpu_clocks(load, &client_ns, &server_ns);
        load->result->client_cpu_ns = client_ns - load->client_cpu_begun_ns;
        load->result->server_cpu_ns = server_ns - load->server_cpu_begun_ns;
    }
    uv_walk(&load->loop, close_once, NULL);
}

static void on_measured(uv_timer_t *timer) {
    end_run(timer->data);
}

static void on_warm(uv_timer_t *timer) {
    load_t *load = timer->data;

    load->measuring = true;
    load->result->server_cpu_known = load->options->server_pid != 0;
    read_cpu_clocks(load, &load->client_cpu_begun_ns, &load->server_cpu_begun_ns);
    load->begun_ns = uv_hrtime();
    if (load->options->message_count == 0) {
        uv_update_time(&load->loop);
        (void)uv_timer_start(&load->phase_timer, on_measured, load->options->measure_ms, 0);
    }
}

static void note_error(load_t *load, const char *what) {
    load_result_t *result = load->result;

    if (result->first_error[0] == '\0') {
        (void)snprintf(result->first_error, sizeof result->first_error, "%s", what);
    }
}

static void on_stall_tick(uv_timer_t *timer) {
    load_t *load = timer->data;

    if (load->finished == load->progress_at_tick) {
        load->result->stalled = true;
        note_error(load, "no datagram came back");
        end_run(load);
    }
    load->progress_at_tick = load->finished;
}

static void note_failure(peer_t *peer, uint64_t *counter, const char *what) {
    (*counter)++;
    peer->dropped = true;
    note_error(peer->load, what);
    if (--peer->load->alive == 0) {
        end_run(peer->load);
    }
}

/* The number, and behind it bytes that depend on it: an old or foreign datagram is noticed. */
static void send_next(peer_t *peer) {
    size_t size = peer->load->options->size;

    peer->number++;
    memset(peer->message, (int)(peer->number & 0xff), size);
    memcpy(peer->message, &peer->number, size < sizeof peer->number ? size : sizeof peer->number);
    uv_buf_t piece = uv_buf_init(peer->message, (unsigned)size);
    peer->sent_at = uv_hrtime();
    int sent = uv_udp_try_send(&peer->udp, &piece, 1, NULL);
    if (sent < 0 && !peer->dropped) {
        note_failure(peer, &peer->load->result->io_errors, uv_strerror(sent));
    }
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)size;
    peer_t *peer = handle->data;

    *buffer = uv_buf_init(peer->load->buffer, LOAD_DATAGRAM_MAX);
}

static void on_datagram(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer,
                        const struct sockaddr *sender, unsigned flags) {
    peer_t *peer = udp->data;
    load_t *load = peer->load;

    (void)flags;
    if (peer->dropped || load->ending || (count == 0 && sender == NULL)) {
        return;
    }
    if (count < 0) {
        note_failure(peer, &load->result->io_errors, uv_strerror((int)count));
        return;
    }
    if ((size_t)count != load->options->size ||
        memcmp(buffer->base, peer->message, (size_t)count) != 0) {
        note_failure(peer, &load->result->corruptions, "a datagram came back changed");
        return;
    }
    load->finished++;
    if (load->measuring) {
        histogram_add(&load->result->latency_ns, uv_hrtime() - peer->sent_at);
        if (load->result->latency_ns.count == load->options->message_count) {
            end_run(load);
            return;
        }
    }
    send_next(peer);
}

static int start_peer(load_t *load, peer_t *peer) {
    peer->load = load;
    peer->message = malloc(load->options->size);
    if (peer->message == NULL) {
        return UV_ENOMEM;
    }
    int status = uv_udp_init(&load->loop, &peer->udp);
    if (status != 0) {
        return status;
    }
    peer->udp.data = peer;
    status = uv_udp_connect(&peer->udp, (const struct sockaddr *)&load->address);
    if (status == 0) {
        status = uv_udp_recv_start(&peer->udp, give_buffer, on_datagram);
    }
    if (status == 0) {
        send_next(peer);
    }
    return status;
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
    load->alive = load->options->connection_count;
    for (uint32_t i = 0; status == 0 && i < load->options->connection_count; i++) {
        status = start_peer(load, &load->peers[i]);
    }
    if (status == 0) {
        (void)uv_timer_start(&load->stall_timer, on_stall_tick, load->options->stall_ms,
                             load->options->stall_ms);
        (void)uv_timer_start(&load->phase_timer, on_warm, load->options->warmup_ms, 0);
    } else {
        end_run(load);
    }
    (void)uv_run(&load->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&load->loop);
    return status;
}

int load_run_udp(const load_options_t *options, load_result_t *result) {
    load_t load = {.options = options, .result = result};
    int status = uv_ip4_addr(options->host, options->port, &load.address);

    load.buffer = malloc(LOAD_DATAGRAM_MAX);
    load.peers = calloc(options->connection_count, sizeof *load.peers);
    if (status == 0) {
        status = load.buffer == NULL || load.peers == NULL ? UV_ENOMEM : run_loop(&load);
    }
    for (uint32_t i = 0; load.peers != NULL && i < options->connection_count; i++) {
        free(load.peers[i].message);
    }
    free(load.peers);
    free(load.buffer);
    return status;
}
