/* SPDX-License-Identifier: MIT */
/* Addresses of datagrams, both ways, without work for a peer that is known already.
 *
 * Only what cannot mean anything else is read here: exact tuples of an exact str and exact ints,
 * with a numeric host. They cannot change, so an object that is met again is known by identity.
 * Everything else (host names, unix paths, mistakes) is the socket object's to read, so that its
 * rules and its errors stay the running Python's.
 */
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

/* A number of a tuple, if it is a plain one from 0 to max; -1: it is not. */
static long number_at(PyObject *tuple, Py_ssize_t index, long max) {
    PyObject *number = PyTuple_GET_ITEM(tuple, index);
    int overflow = 0;
    long value = PyLong_CheckExact(number) ? PyLong_AsLongAndOverflow(number, &overflow) : -1;
    return overflow == 0 && value >= 0 && value <= max ? value : -1;
}

/* The host of a tuple, if it is ASCII text without surprises; else NULL. */
static const char *host_of(PyObject *address) {
    PyObject *host = PyTuple_GET_ITEM(address, 0);
    if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host)) {
        return NULL;
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(host, &size);
    if (text == NULL) {
        PyErr_Clear();
        return NULL;
    }
    return strlen(text) == (size_t)size ? text : NULL;
}

static bool read_inet4(PyObject *address, const char *host, es_addr_t *to) {
    struct sockaddr_in in;
    long port = number_at(address, 1, 0xffff);
    if (PyTuple_GET_SIZE(address) != 2 || port < 0 || uv_ip4_addr(host, (int)port, &in) != 0) {
        return false;
    }
    memcpy(to->storage.bytes, &in, sizeof in);
    to->size = sizeof in;
    return true;
}

static bool read_inet6(PyObject *address, const char *host, es_addr_t *to) {
    struct sockaddr_in6 in6;
    Py_ssize_t count = PyTuple_GET_SIZE(address);
    long port = number_at(address, 1, 0xffff);
    long flow = count > 2 ? number_at(address, 2, 0xfffff) : 0;
    long scope = count > 3 ? number_at(address, 3, 0x7fffffff) : 0;
    if (count > 4 || port < 0 || flow < 0 || scope < 0 || strchr(host, '%') != NULL ||
        uv_ip6_addr(host, (int)port, &in6) != 0) {
        return false;
    }
    in6.sin6_flowinfo = htonl((uint32_t)flow);
    in6.sin6_scope_id = (uint32_t)scope;
    memcpy(to->storage.bytes, &in6, sizeof in6);
    to->size = sizeof in6;
    return true;
}

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
    if (!is_internet(self) || !PyTuple_CheckExact(address) || PyTuple_GET_SIZE(address) < 2) {
        return false;
    }
    const char *host = host_of(address);
    if (host == NULL || !(self->family == AF_INET ? read_inet4(address, host, to)
                                                  : read_inet6(address, host, to))) {
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
