/* SPDX-License-Identifier: MIT */
/* Datagram endpoints: the state machine of one socket that sends and receives whole messages, with
 * asyncio's flow control, errors and close.
 *
 * The struct is the owner's memory (a Python transport embeds it) and must live until `lost` has
 * returned.
 *
 * Reading. Starts with el_datagram_read_start. Each datagram is one `received`, an empty one too;
 * at most EL_READ_ROUNDS_MAX of them a turn keep others served. Nothing is delivered after
 * el_datagram_read_stop, el_datagram_close or el_datagram_abort returns. A datagram longer than
 * EL_DATAGRAM_SIZE_MAX is cut to it, as on every system.
 *
 * Sending. A datagram goes to the system before el_datagram_send returns, unless others wait
 * already: then, and when the system has no room, a copy is queued. Each goes whole, in order, or
 * not at all.
 *
 * Errors. A failed send is that call's result; the failure of a receive, or of a datagram that had
 * been queued, is one `error`. Both leave the endpoint open: a datagram socket outlives what
 * happens to a single message. Only a descriptor that is gone (ES_EBADF, ES_ENOTSOCK) also ends
 * reading, since asking it again would never end.
 *
 * Closing. el_datagram_close ends reading, sends what is queued, then reports `lost` with no
 * reason; el_datagram_abort drops what is queued. The first reason counts. `lost` comes exactly
 * once, as a ready item, never from inside a call of the owner's; it is the last upcall. The owner
 * closes the descriptor in it.
 */
#ifndef EVENLOOP_DATAGRAM_H
#define EVENLOOP_DATAGRAM_H

#include <evenloop/loop.h>
#include <evenloop/poll.h>
#include <evenloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What asyncio's selector transports ask recvfrom for: more than any UDP datagram, and as much as
 * a unix datagram of Linux's default limits may have. */
#define EL_DATAGRAM_SIZE_MAX (256u * 1024u)

typedef struct el_datagram el_datagram_t;

typedef struct el_datagram_ops {
    /* One datagram, `size` >= 0 bytes, valid during the call, as is `from` (size 0: the sender has
     * no name). */
    void (*received)(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *from);
    /* A receive (EL_READ), or the sending of a queued datagram (EL_WRITE), failed. Never from inside
     * el_datagram_send. */
    void (*error)(el_datagram_t *datagram, el_direction_t direction, el_reason_t reason);
    /* Sends a queued datagram whose destination only the owner can read (el_datagram_send_by). 0:
     * sent, or dropped and the owner has told why; ES_EAGAIN: not now. NULL: never used. */
    int (*send)(el_datagram_t *datagram, const void *base, size_t size, void *route);
    /* A route that was queued is no longer needed. May come from inside any call. */
    void (*release)(el_datagram_t *datagram, void *route);
    /* queued > high water; may come from inside el_datagram_send* and el_datagram_set_water */
    void (*pause_writing)(el_datagram_t *datagram);
    void (*resume_writing)(el_datagram_t *datagram); /* queued <= low water again */
    /* What had been queued is gone; after resume_writing. NULL: not wanted. */
    void (*drained)(el_datagram_t *datagram);
    void (*lost)(el_datagram_t *datagram, el_reason_t reason);
} el_datagram_ops_t;

/* One queued datagram, oldest first. The owner may read the list. */
typedef struct el_message el_message_t;
struct el_message {
    el_message_t *next;
    size_t size;
    void *route;  /* not NULL: ops->send sends it */
    es_addr_t to; /* size 0: the socket's peer */
    unsigned char bytes[];
};

/* The owner may read `loop`, `fd`, `closing`, `reading`, `lost_queued`, `paused_writing`, `queued`,
 * `high_water`, `low_water` and the list; the rest is the engine's. */
struct el_datagram {
    el_loop_t *loop; /* NULL after the loop was closed */
    const el_datagram_ops_t *ops;
    es_sock_t fd;
    el_poll_t *poll;
    void *poll_owner;

    bool reading;        /* the owner wants datagrams */
    atomic_bool closing; /* close or abort was called */
    bool lost_queued;    /* the end is settled: nothing is read, sent or queued any more */
    bool lost_done;
    bool paused_writing; /* between pause_writing and resume_writing */
    uint8_t upcalls;     /* how many are running: destroying in one is a mistake */

    size_t queued; /* bytes, with `overhead` for each datagram */
    size_t
        overhead; /* what a queued datagram counts for beside its bytes; asyncio: 8 from 3.13 on */
    size_t high_water;
    size_t low_water;
    el_message_t *first;
    el_message_t *last; /* undefined while first is NULL */

    el_attached_t attached;
    el_ready_t lost_item;
    el_reason_t reason;
};

/* Takes a non-blocking datagram socket, bound or connected or neither. Applies
 * es_sock_adopt_datagram and es_sock_enable_recv. Not reading yet. 0; el_poll_open's errors, ES_ENOMEM, ES_EBUSY:
 * another owner has this descriptor. The descriptor stays the owner's. */
int el_datagram_open(el_datagram_t *datagram, el_loop_t *loop, es_sock_t fd,
                     const el_datagram_ops_t *ops);

/* As el_stream_set_owner. */
void el_datagram_set_owner(el_datagram_t *datagram, void *owner);

/* idempotent; no effect when closing */
void el_datagram_read_start(el_datagram_t *datagram);
void el_datagram_read_stop(el_datagram_t *datagram);

/* Sends one datagram, `size` >= 0 bytes, to `to`, or with NULL to the peer of a connected socket.
 * 0: sent or queued. Anything else is why it was not, and nothing else has changed: a code of
 * es_sock_sendto, ES_ENOMEM, or ES_ECANCELED: the end is settled. An endpoint that is closing but
 * still has datagrams to send takes more, as asyncio's does. */
int el_datagram_send(el_datagram_t *datagram, const void *base, size_t size, const es_addr_t *to);

/* The same where only the owner can read the destination: ops->send is called with `route`, now or
 * later. *taken: the engine keeps `route` until ops->release. What ops->send returns beside 0 and
 * ES_EAGAIN is returned. */
int el_datagram_send_by(el_datagram_t *datagram, const void *base, size_t size, void *route,
                        bool *taken);

/* low <= high; may call pause_writing at once, as asyncio does. */
void el_datagram_set_water(el_datagram_t *datagram, size_t high, size_t low);

void el_datagram_close(el_datagram_t *datagram);
void el_datagram_abort(el_datagram_t *datagram, el_reason_t reason);

/* For an owner that goes away without `lost`: as el_stream_destroy. */
void el_datagram_destroy(el_datagram_t *datagram);

#ifdef __cplusplus
}
#endif
#endif
