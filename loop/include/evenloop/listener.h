/* SPDX-License-Identifier: MIT */
/* Listeners: take the waiting connections of a listening socket.
 *
 * Per readiness event up to backlog + 1 connections are taken. A connection that gave up while
 * it waited is skipped. When the process is out of descriptors or memory, `failed` is called,
 * and the listener rests for EL_ACCEPT_PAUSE_NS before it tries again, as asyncio does. The
 * struct is the owner's and must live until el_listener_close.
 */
#ifndef EVENLOOP_LISTENER_H
#define EVENLOOP_LISTENER_H

#include <evenloop/loop.h>
#include <evenloop/poll.h>
#include <evenloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EL_ACCEPT_PAUSE_NS 1000000000ull /* asyncio.constants.ACCEPT_RETRY_DELAY */

typedef struct el_listener el_listener_t;

typedef struct el_listener_ops {
    /* A connection; the descriptor is the owner's. It may close the listener. */
    void (*accepted)(el_listener_t *listener, es_sock_t fd, const es_addr_t *peer);
    /* `pausing`: out of a resource, tries again after the pause; else this one error, and
     * listening goes on. */
    void (*failed)(el_listener_t *listener, el_reason_t reason, bool pausing);
} el_listener_ops_t;

struct el_listener {
    el_loop_t *loop;
    const el_listener_ops_t *ops;
    es_sock_t fd;
    el_poll_t *poll;
    int backlog;
    bool open;
    struct el_pause *pause; /* the pending rest, allocated only while there is one */
    el_attached_t attached;
};

/* Starts to accept from a socket that is bound, listening and non-blocking. The descriptor stays
 * the owner's. */
int el_listener_open(el_listener_t *listener, el_loop_t *loop, es_sock_t fd, int backlog,
                     const el_listener_ops_t *ops);
void el_listener_close(el_listener_t *listener); /* idempotent; no upcall after it */

#ifdef __cplusplus
}
#endif
#endif
