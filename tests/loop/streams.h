/* SPDX-License-Identifier: MIT */
/* An owner of a stream that notes everything, and does what a test tells it at any upcall. */
#ifndef EVENLOOP_TESTS_STREAMS_H
#define EVENLOOP_TESTS_STREAMS_H

#include "support.h"

typedef struct owner owner_t;

typedef enum upcall {
    UP_GET_BUFFER,
    UP_FILLED,
    UP_DATA,
    UP_EOF,
    UP_PAUSE,
    UP_RESUME,
    UP_LOST,
    UP_RELEASE,
    UP_COUNT
} upcall_t;

struct owner {
    el_stream_t stream;
    bool quiet; /* not in the trace */
    bool lost;
    bool at_eof;
    int counts[UP_COUNT];
    void (*act[UP_COUNT])(owner_t *owner); /* called in the upcall */
    unsigned char *memory;                 /* what get_buffer hands out; made when NULL */
    size_t memory_size;
    bool refuses; /* hands out nothing */
    unsigned char *received;
    size_t received_size;
    size_t received_capacity;
    size_t largest_read;
    size_t taken;    /* pieces that the engine took */
    size_t released; /* and gave back */
    el_reason_t reason;
    void *ctx;
};

extern const el_stream_ops_t owner_ops;

/* An owner on the heap with its stream open and reading. */
owner_t *owner_new(el_loop_t *loop, es_sock_t fd);

/* Frees; the stream's end must have been reported, or destroyed. Checks that every piece came
 * back. */
void owner_free(owner_t *owner);

/* Writes with the bytes lent (an owner of the piece) or copied. */
int owner_write_lent(owner_t *owner, const void *base, size_t size);
int owner_write_copied(owner_t *owner, const void *base, size_t size);

/* Whether what was received is byte n == n & 0xff. */
void assert_counts_up(const unsigned char *bytes, size_t size);

/* `size` bytes that count up from `first`. */
unsigned char *counting_bytes(size_t first, size_t size);

#endif
