/* SPDX-License-Identifier: MIT */
/* A sock_* call as a coroutine object: what its two files share.
 *
 * sock_op.c    the coroutine: send, throw, close, waiting for readiness, the type
 * sock_try.c   the attempts: one function a method, each one system call
 */
#ifndef EV_SOCK_OP_H
#define EV_SOCK_OP_H

#include "threads.h"

#include <evenloop/poll.h>

typedef struct ev_sock_op ev_sock_op_t;

typedef enum ev_attempt { EV_ATTEMPT_DONE, EV_ATTEMPT_AGAIN, EV_ATTEMPT_FAILED } ev_attempt_t;

/* Tries once: DONE with *result, AGAIN (nothing has happened), FAILED with an exception. */
typedef ev_attempt_t (*ev_attempt_fn)(ev_sock_op_t *self, PyObject **result);

typedef struct ev_sock_kind {
    ev_signature_t signature; /* the socket first */
    const char *qualname;
    ev_attempt_fn attempt;
    el_direction_t direction;
} ev_sock_kind_t;

struct ev_sock_op {
    PyObject_HEAD
    const ev_sock_kind_t *kind;
    ev_loop_t *loop; /* strong */
    PyObject *sock;
    PyObject *args[2];
    PyObject *future;  /* while it waits: completed when the descriptor is ready */
    PyObject *awaited; /* the future's iterator */
    el_poll_t *poll;   /* open from the first wait to the end */
    Py_buffer view;    /* sendall's data, from the first attempt to the end */
    Py_ssize_t sent;
    PyObject *weakrefs;
#if EV_FREE_THREADED
    el_ready_t end; /* hands the object over to its loop's thread, which ends it */
#endif
    uint8_t state; /* op_state_t */
    bool running;
    bool view_held;
};

/* The descriptor if the attempt may use it directly: an exact socket.socket, so that a
 * subclass's methods are honoured. false, without an exception: call the object's own methods. */
bool ev_sock_op_direct(ev_sock_op_t *self, es_sock_t *fd);

/* Takes the slot from an operation that waits in it, which then waits until it is cancelled, as
 * asyncio's does without its reader. False if there is none. */
bool ev_sock_op_evict(el_poll_t *poll, el_direction_t direction);

extern const ev_sock_kind_t ev_sock_recv_kind;
extern const ev_sock_kind_t ev_sock_recv_into_kind;
extern const ev_sock_kind_t ev_sock_recvfrom_kind;
extern const ev_sock_kind_t ev_sock_recvfrom_into_kind;
extern const ev_sock_kind_t ev_sock_sendall_kind;
extern const ev_sock_kind_t ev_sock_sendto_kind;
extern const ev_sock_kind_t ev_sock_accept_kind;

#endif
