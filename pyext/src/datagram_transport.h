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

#include "endpoint.h"

#include <evenloop/datagram.h>

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
    EV_ENDPOINT_HEAD
    el_datagram_t datagram;
    PyObject *address;     /* _address: where everything goes; NULL: wherever sendto says */
    ev_senders_t *senders; /* NULL until something came in, or without memory for it */
    ev_peer_t target;      /* what sendto was given last */
    int family;
    bool connected;
} ev_datagram_t;

static inline ev_datagram_t *ev_datagram_of(el_datagram_t *datagram) {
    return (ev_datagram_t *)(void *)((char *)datagram - offsetof(ev_datagram_t, datagram));
}

/* datagram_transport.c */
/* Calls protocol.name(first, second) in the endpoint's context, or as it is when a context of ours
 * is entered already; arguments may be NULL from the end. */
PyObject *ev_datagram_call(ev_datagram_t *self, PyObject *name, PyObject *first, PyObject *second);
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
PyObject *ev_datagram_repr(ev_datagram_t *self);

#endif
