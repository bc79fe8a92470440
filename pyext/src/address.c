/* SPDX-License-Identifier: MIT */
/* Addresses and descriptors, between the system's form and the socket module's.
 *
 * uv.h brings the system's socket headers. A unix path begins after the two bytes of the family on
 * every system.
 */
#include "core.h"

#include <string.h>

#define UNIX_PATH_OFFSET 2u

static PyObject *inet4(const es_addr_t *addr) {
    struct sockaddr_in in;
    char host[64];
    memcpy(&in, addr->storage.bytes, sizeof in);
    if (uv_ip4_name(&in, host, sizeof host) != 0) {
        return PyErr_Format(PyExc_OSError, "an IPv4 address that cannot be read");
    }
    return Py_BuildValue("si", host, (int)ntohs(in.sin_port));
}

static PyObject *inet6(const es_addr_t *addr) {
    struct sockaddr_in6 in6;
    char host[64];
    memcpy(&in6, addr->storage.bytes, sizeof in6);
    if (uv_ip6_name(&in6, host, sizeof host) != 0) {
        return PyErr_Format(PyExc_OSError, "an IPv6 address that cannot be read");
    }
    return Py_BuildValue("siII", host, (int)ntohs(in6.sin6_port),
                         (unsigned int)ntohl(in6.sin6_flowinfo), (unsigned int)in6.sin6_scope_id);
}

static PyObject *unix_path(const es_addr_t *addr) {
    if (addr->size <= UNIX_PATH_OFFSET) {
        return PyUnicode_FromString("");
    }
    const char *path = (const char *)addr->storage.bytes + UNIX_PATH_OFFSET;
    size_t size = addr->size - UNIX_PATH_OFFSET;
    if (path[0] == '\0') {
        return PyBytes_FromStringAndSize(path, (Py_ssize_t)size); /* Linux's abstract names */
    }
    const char *end = memchr(path, '\0', size);
    return PyUnicode_DecodeFSDefaultAndSize(path, end == NULL ? (Py_ssize_t)size
                                                              : (Py_ssize_t)(end - path));
}

PyObject *ev_address_new(const es_addr_t *addr) {
    struct sockaddr head;
    if (addr->size == 0) {
        return PyUnicode_FromString("");
    }
    memcpy(&head, addr->storage.bytes, sizeof head);
    switch (head.sa_family) {
    case AF_INET:
        return inet4(addr);
    case AF_INET6:
        return inet6(addr);
    case AF_UNIX:
        return unix_path(addr);
    default:
        return Py_BuildValue("iy#", (int)head.sa_family, head.sa_data,
                             (Py_ssize_t)sizeof head.sa_data);
    }
}

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

bool ev_address_read(int family, PyObject *address, es_addr_t *to) {
    if ((family != AF_INET && family != AF_INET6) || !PyTuple_CheckExact(address) ||
        PyTuple_GET_SIZE(address) < 2) {
        return false;
    }
    const char *host = host_of(address);
    if (host == NULL) {
        return false;
    }
    return family == AF_INET ? read_inet4(address, host, to) : read_inet6(address, host, to);
}

/* 1: *out is int(fileobj.fileno()). 0: it has none, in one of the ways that selectors takes for
 * "invalid". -1: an error. */
static int ask_fileno(ev_state_t *state, PyObject *fileobj, PyObject **out) {
    PyObject *number = PyObject_CallMethodNoArgs(fileobj, state->str_fileno);
    if (number != NULL) {
        *out = PyNumber_Long(number);
        Py_DECREF(number);
        if (*out != NULL) {
            return 1;
        }
    }
    if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
        PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyErr_Clear();
        return 0;
    }
    return -1;
}

/* The number of what was given as a descriptor: a new reference, or NULL with ValueError. */
static PyObject *find_number(ev_state_t *state, PyObject *fileobj) {
    PyObject *number = NULL;
    if (PyLong_Check(fileobj)) {
        return Py_NewRef(fileobj);
    }
    if (ask_fileno(state, fileobj, &number) == 0) {
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", fileobj);
    }
    return number;
}

/* Any number is an answer: one that is out of range stands at the end of it. */
static Py_ssize_t number_as_size(PyObject *number) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow != 0 || value > PY_SSIZE_T_MAX || value < PY_SSIZE_T_MIN) {
        return overflow < 0 || (overflow == 0 && value < 0) ? PY_SSIZE_T_MIN : PY_SSIZE_T_MAX;
    }
    return (Py_ssize_t)value;
}

int ev_fileno_signed(ev_state_t *state, PyObject *fileobj, Py_ssize_t *fd) {
    PyObject *number = find_number(state, fileobj);
    if (number == NULL) {
        return -1;
    }
    *fd = number_as_size(number);
    Py_DECREF(number);
    return 0;
}

int ev_fileno(ev_state_t *state, PyObject *fileobj, es_sock_t *fd) {
    PyObject *number = find_number(state, fileobj);
    if (number == NULL) {
        return -1;
    }
    Py_ssize_t value = number_as_size(number);
    if (value < 0) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %R", number);
    } else if (value > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "Python int too large to convert to C int");
    }
    Py_DECREF(number);
    *fd = (es_sock_t)value;
    return PyErr_Occurred() == NULL ? 0 : -1;
}
