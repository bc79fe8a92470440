/* SPDX-License-Identifier: MIT */
/* See streams.h. */
#include "streams.h"

static void upcall(owner_t *owner, upcall_t which, const char *name) {
    owner->counts[which]++;
    if (!owner->quiet) {
        trace("%s", name);
    }
    assert_false(owner->lost && which != UP_RELEASE);
    if (owner->act[which] != NULL) {
        owner->act[which](owner);
    }
}

static void keep(owner_t *owner, const void *base, size_t size) {
    if (size == 0) {
        return;
    }
    if (owner->received_size + size > owner->received_capacity) {
        owner->received_capacity = (owner->received_size + size) * 2;
        owner->received = realloc(owner->received, owner->received_capacity);
        assert_non_null(owner->received);
    }
    memcpy(owner->received + owner->received_size, base, size);
    owner->received_size += size;
    if (size > owner->largest_read) {
        owner->largest_read = size;
    }
}

static void on_get_buffer(el_stream_t *stream, size_t hint, es_iov_t *out) {
    owner_t *owner = (owner_t *)stream;
    assert_true(stream->direct ? hint == 0 : hint > 0);
    if (owner->memory == NULL) {
        owner->memory_size = EL_STREAMING_READ_SIZE;
        owner->memory = malloc(owner->memory_size);
    }
    out->base = owner->memory;
    out->size = owner->refuses ? 0 : owner->memory_size;
    upcall(owner, UP_GET_BUFFER, "g");
}

static void on_filled(el_stream_t *stream, size_t size) {
    owner_t *owner = (owner_t *)stream;
    keep(owner, owner->memory, size);
    upcall(owner, UP_FILLED, size == 0 ? "0" : "f");
}

static void on_data(el_stream_t *stream, const void *base, size_t size) {
    owner_t *owner = (owner_t *)stream;
    assert_true(size >= 1 && size <= EL_READ_BUFFER_SIZE);
    keep(owner, base, size);
    upcall(owner, UP_DATA, "d");
}

static void on_eof(el_stream_t *stream) {
    owner_t *owner = (owner_t *)stream;
    owner->at_eof = true;
    assert_int_equal(owner->counts[UP_EOF], 0);
    upcall(owner, UP_EOF, "e");
}

static void on_pause(el_stream_t *stream) {
    assert_true(stream->queued > stream->high_water);
    upcall((owner_t *)stream, UP_PAUSE, "P");
}

static void on_resume(el_stream_t *stream) {
    assert_true(stream->queued <= stream->low_water);
    upcall((owner_t *)stream, UP_RESUME, "R");
}

static void on_lost(el_stream_t *stream, el_reason_t reason) {
    owner_t *owner = (owner_t *)stream;
    owner->reason = reason;
    upcall(owner, UP_LOST, "L");
    owner->lost = true;
}

static void on_release(el_stream_t *stream, void *piece_owner) {
    owner_t *owner = (owner_t *)stream;
    free(piece_owner);
    owner->released++;
    upcall(owner, UP_RELEASE, "");
}

const el_stream_ops_t owner_ops = {
    .get_buffer = on_get_buffer,
    .filled = on_filled,
    .data = on_data,
    .eof = on_eof,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
    .lost = on_lost,
    .release = on_release,
};

owner_t *owner_new(el_loop_t *loop, es_sock_t fd) {
    owner_t *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    assert_int_equal(el_stream_open(&owner->stream, loop, fd, &owner_ops), 0);
    el_stream_read_start(&owner->stream);
    return owner;
}

void owner_free(owner_t *owner) {
    assert_int_equal(owner->taken, owner->released);
    assert_int_equal(owner->counts[UP_LOST], owner->lost ? 1 : 0);
    free(owner->memory);
    free(owner->received);
    free(owner);
}

/* The piece's memory is its owner: freed on release, so that a use after it shows. */
int owner_write_lent(owner_t *owner, const void *base, size_t size) {
    void *piece = malloc(size > 0 ? size : 1);
    bool taken = true;
    assert_non_null(piece);
    memcpy(piece, base, size);
    int code = el_stream_write(&owner->stream, piece, size, piece, &taken);
    if (taken) {
        owner->taken++;
    } else {
        free(piece);
    }
    return code;
}

int owner_write_copied(owner_t *owner, const void *base, size_t size) {
    void *piece = malloc(size > 0 ? size : 1);
    bool taken = true;
    assert_non_null(piece);
    memcpy(piece, base, size);
    int code = el_stream_write(&owner->stream, piece, size, NULL, &taken);
    assert_false(taken);
    memset(piece, 0xee, size); /* the caller may change it at once */
    free(piece);
    return code;
}

void assert_counts_up(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)i) {
            assert_int_equal(i, size); /* says where */
        }
    }
}

unsigned char *counting_bytes(size_t first, size_t size) {
    unsigned char *bytes = malloc(size > 0 ? size : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(first + i);
    }
    return bytes;
}
