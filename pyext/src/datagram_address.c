/* SPDX-License-Identifier: MIT */
/* Addresses of datagrams, both ways, without work for a peer that is known already.
 *
 * What ev_address_read reads is a tuple that cannot change, so an object that is met again is known
 * by identity. What it does not read is left to the socket object. */
#include "datagram_transport.h"

#include <string.h>

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((ev_peer_t *)0)->bytes),
               "ev_peer_t holds every internet address");

static bool is_internet(const ev_datagram_t *self) {
    return self->family == AF_INET || self->family == AF_INET6;
}

static void fill_peer(ev_peer_t *peer, PyObject *object, const es_addr_t *addr) {
    PyObject *old = peer->object;
    memcpy(peer->bytes, addr->storage.bytes, addr->size);
    peer->size = addr->size;
    peer->object = Py_NewRef(object);
    Py_XDECREF(old);
}

/* Senders -------------------------------------------------------------------------------------- */

/* The port and the last bytes of the host differ most. */
static ev_peer_t *slot_of(ev_senders_t *senders, const es_addr_t *from) {
    const unsigned char *bytes = from->storage.bytes;
    const unsigned char *host_end = from->size >= sizeof(struct sockaddr_in6) ? bytes + 24
                                                                              : bytes + 8;
    uint32_t hash = (uint32_t)bytes[2] * 31 + bytes[3];
    for (int i = 1; i <= 4; i++) {
        hash = hash * 31 + host_end[-i];
    }
    return &senders->peers[(hash ^ hash >> 6) % EV_SENDERS_MAX];
}

PyObject *ev_datagram_sender(ev_datagram_t *self, const es_addr_t *from) {
    if (from->size == 0) {
        Py_RETURN_NONE; /* a unix socket without a name */
    }
    if (from->size < sizeof(struct sockaddr_in) || from->size > sizeof(self->target.bytes) ||
        !is_internet(self)) {
        return ev_address_new(from);
    }
    if (self->senders == NULL) {
        self->senders = PyMem_Calloc(1, sizeof *self->senders);
        if (self->senders == NULL) {
            return ev_address_new(from);
        }
    }
    ev_peer_t *peer = slot_of(self->senders, from);
    self->senders->latest = peer;
    if (peer->object == NULL || peer->size != from->size ||
        memcmp(peer->bytes, from->storage.bytes, from->size) != 0) {
        PyObject *object = ev_address_new(from);
        if (object == NULL) {
            return NULL;
        }
        fill_peer(peer, object, from);
        return object;
    }
    return Py_NewRef(peer->object);
}

/* Targets -------------------------------------------------------------------------------------- */

static bool take_known(const ev_peer_t *peer, PyObject *address, es_addr_t *to) {
    if (peer == NULL || peer->object != address) {
        return false;
    }
    memcpy(to->storage.bytes, peer->bytes, sizeof peer->bytes);
    to->size = peer->size;
    return true;
}

bool ev_datagram_target(ev_datagram_t *self, PyObject *address, es_addr_t *to) {
    if ((self->senders != NULL && take_known(self->senders->latest, address, to)) ||
        take_known(&self->target, address, to)) {
        return true;
    }
    if (!ev_address_read(self->family, address, to)) {
        return false;
    }
    fill_peer(&self->target, address, to);
    return true;
}

/* The garbage collector ------------------------------------------------------------------------ */

int ev_datagram_traverse_peers(ev_datagram_t *self, visitproc visit, void *arg) {
    Py_VISIT(self->target.object);
    for (size_t i = 0; self->senders != NULL && i < EV_SENDERS_MAX; i++) {
        Py_VISIT(self->senders->peers[i].object);
    }
    return 0;
}

void ev_datagram_clear_peers(ev_datagram_t *self) {
    ev_senders_t *senders = self->senders;
    self->senders = NULL;
    Py_CLEAR(self->target.object);
    for (size_t i = 0; senders != NULL && i < EV_SENDERS_MAX; i++) {
        Py_XDECREF(senders->peers[i].object);
    }
    PyMem_Free(senders);
}
