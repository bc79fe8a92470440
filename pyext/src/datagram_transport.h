/* SPDX-License-Identifier: MIT */
/* The datagram transport object, and the few functions that cross its files.
 *
 *   datagram_transport.c  life: construction, the start, what the engine calls, the end
 *   datagram_send.c       sendto, flow control
 *   datagram_address.c    addresses, between the system's form and the socket module's
 *   datagram_extra.c      what else can be asked of one and done to it, the type's tables
 */
#ifndef EV_DATAGRAM_TRANSPORT_H
#define EV_DATAGRAM_TRANSPORT_H

#include "threads.h"

#include <evenloop/datagram.h>

/* Room for the slots of asyncio's transport classes, which our getters shadow. */
#define EV_DATAGRAM_BASE_SLOTS_MAX 8

/* An internet address that was seen, with its Python form. */
typedef struct ev_peer {
    PyObject *object; /* NULL: empty */
    uint32_t size;
    unsigned char bytes[28]; /* sizeof(struct sockaddr_in6) */
} ev_peer_t;

/* Whom datagrams came from lately: a peer that sends again costs no new object, and an answer to
 * the object that datagram_received got costs no parsing. */
#define EV_SENDERS_MAX 64u
typedef struct ev_senders {
    ev_peer_t peers[EV_SENDERS_MAX]; /* by a hash of the address */
    ev_peer_t *latest;
} ev_senders_t;

typedef struct ev_datagram {
    PyObject_HEAD
    PyObject *base_slots[EV_DATAGRAM_BASE_SLOTS_MAX];
    el_datagram_t datagram;
    ev_state_t *state;
    ev_loop_t *loop; /* strong; NULL after connection_lost */
    ev_member_t member;
    el_ready_t start;  /* connection_made, reading, the waiter: steps of one item */
    el_ready_t settle; /* gives up a reference when no frame of the engine uses the endpoint */

    PyObject *protocol;
    PyObject *context;
    PyObject *sock;    /* NULL once closed */
    PyObject *address; /* _address: where everything goes; NULL: wherever sendto says */
    PyObject *waiter;
    PyObject *extra;
    PyObject *lost_exc; /* the exception for connection_lost that Python code gave */
    PyObject *dict;
    PyObject *weakrefs;

    ev_senders_t *senders; /* NULL until something came in, or without memory for it */
    ev_peer_t target;      /* what sendto was given last */
    int64_t fileno;
    int family;
    uint32_t dropped_sends; /* the part of _conn_lost that counts them */
    uint8_t start_step;
    bool open; /* el_datagram_open succeeded and the engine may still call */
    bool start_queued;
    EV_SHARED(bool) paused; /* pause_reading was called */
    bool started;           /* the start has begun to read */
    bool connected;
    bool in_call;  /* inside the program's call: a SystemExit of an upcall is the caller's */
    bool escaped;  /* such an exception is set */
    bool settling; /* `settle` is queued */
    size_t high_water;
    size_t low_water;
} ev_datagram_t;

static inline ev_datagram_t *ev_datagram_of(el_datagram_t *datagram) {
    return (ev_datagram_t *)(void *)((char *)datagram - offsetof(ev_datagram_t, datagram));
}

/* datagram_transport.c */
/* Calls protocol.name(first, second) in the endpoint's context, or as it is when a context of ours
 * is entered already; arguments may be NULL from the end. */
PyObject *ev_datagram_call(ev_datagram_t *self, PyObject *name, PyObject *first, PyObject *second);
/* The current exception, as that of an ordinary callback. Takes it. */
void ev_datagram_report_callback(ev_datagram_t *self, PyObject *name, PyObject *first,
                                 PyObject *second);
/* asyncio's _fatal_error for an exception object, and for the current one, which it takes:
 * SystemExit and KeyboardInterrupt end the run, or stay set inside a call of the program's. */
void ev_datagram_fatal_exc(ev_datagram_t *self, PyObject *exc, const char *message);
void ev_datagram_fatal(ev_datagram_t *self, const char *message);
void ev_datagram_force_close(ev_datagram_t *self, PyObject *exc);
void ev_datagram_detach(ev_datagram_t *self);
/* Makes the loop's reference fit what the engine may still do. */
void ev_datagram_sync_hold(ev_datagram_t *self);
void ev_datagram_settle(ev_datagram_t *self);

/* Around everything that the engine calls: see ev_transport_enter. */
static inline void ev_datagram_enter(ev_datagram_t *self) {
    Py_INCREF(self);
}
static inline void ev_datagram_leave(ev_datagram_t *self) {
    if (EV_FREE_THREADED ? self->member.held : Py_REFCNT(self) > 1) {
        Py_DECREF(self);
    } else {
        ev_datagram_settle(self);
    }
}

#if EV_FREE_THREADED
/* For EV_GUARD_...: the loop of an endpoint. */
static inline ev_loop_t *const *ev_datagram_field(PyObject *op) {
    return &((ev_datagram_t *)op)->loop;
}
static inline int ev_datagram_guard(PyObject *op, ev_guard_t *guard) {
    return ev_guard_begin_field(op, ev_datagram_field(op), guard);
}
#endif

/* datagram_send.c */
PyObject *ev_datagram_sendto(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *keywords);
PyObject *ev_datagram_set_limits(PyObject *op, PyObject *args, PyObject *kwargs);
int ev_datagram_on_send(el_datagram_t *datagram, const void *base, size_t size, void *route);
void ev_datagram_on_release(el_datagram_t *datagram, void *route);
void ev_datagram_on_error(el_datagram_t *datagram, el_direction_t direction, el_reason_t reason);
void ev_datagram_on_pause(el_datagram_t *datagram);
void ev_datagram_on_resume(el_datagram_t *datagram);

/* datagram_address.c */
/* The Python form of a sender. New reference or NULL. */
PyObject *ev_datagram_sender(ev_datagram_t *self, const es_addr_t *from);
/* The system's form of what sendto was given. false, without an exception: only the socket object
 * itself can read it (a host name, a path, what is no address at all). */
bool ev_datagram_target(ev_datagram_t *self, PyObject *address, es_addr_t *to);
int ev_datagram_traverse_peers(ev_datagram_t *self, visitproc visit, void *arg);
void ev_datagram_clear_peers(ev_datagram_t *self);

/* datagram_extra.c */
extern PyMethodDef ev_datagram_methods[];
extern PyGetSetDef ev_datagram_getset[];
PyObject *ev_datagram_repr(PyObject *op);
void ev_datagram_finalize(PyObject *op);

#endif
