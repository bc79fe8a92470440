/* SPDX-License-Identifier: MIT */
/* See scripted.h. */
#include "scripted.h"

es_sock_t client, server;
owner_t *owner;
size_t written;

int scripted_set_up(void **state) {
    written = 0;
    script_off(); /* a test that failed may have left it on */
    if (loop_set_up(state) != 0) {
        return -1;
    }
    connected_pair(*state, &client, &server);
    owner = owner_new(*state, client);
    script_on();
    return 0;
}

void lose(el_loop_t *loop) {
    el_stream_abort(&owner->stream, (el_reason_t){0, 0});
    while (!owner->lost) {
        turns(loop, 1);
    }
}

int scripted_tear_down(void **state) {
    owner->quiet = true;
    if (!owner->lost) {
        lose(*state);
    }
    owner_free(owner);
    script_off();
    (void)es_sock_close(client);
    (void)es_sock_close(server);
    return loop_tear_down(state);
}

void write_more(size_t size) {
    unsigned char *bytes = counting_bytes(written, size);
    assert_int_equal(owner_write_lent(owner, bytes, size), 0);
    free(bytes);
    written += size;
}

void write_copy(size_t size) {
    unsigned char *bytes = counting_bytes(written, size);
    assert_int_equal(owner_write_copied(owner, bytes, size), 0);
    free(bytes);
    written += size;
}

void assert_wire(size_t size) {
    assert_int_equal(script.wire_size, size);
    assert_counts_up(script.wire, script.wire_size);
}
