/* SPDX-License-Identifier: MIT */
/* One attempt of each sock_* method.
 *
 * For a plain socket.socket and a sensible size it is evenshim's call on the descriptor; for
 * everything else, subclasses, other objects, odd sizes and families, the object's own method,
 * whose results and errors the direct way equals.
 */
#include "sock_op.h"

/* What an evenshim code means for an attempt. */
static ev_attempt_t outcome(ev_sock_op_t *self, int code) {
    if (code == ES_EAGAIN || code == ES_EINTR) {
        return EV_ATTEMPT_AGAIN;
    }
    (void)ev_error_set(self->loop->state, code);
    return EV_ATTEMPT_FAILED;
}

/* What the result of a Python socket's method means. */
static ev_attempt_t outcome_of_call(PyObject *value, PyObject **result) {
    if (value != NULL) {
        *result = value;
        return EV_ATTEMPT_DONE;
    }
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError) ||
        PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        return EV_ATTEMPT_AGAIN;
    }
    return EV_ATTEMPT_FAILED;
}

static long family_of(ev_sock_op_t *self) {
    PyObject *descriptor = self->loop->state->socket_family;
    PyObject *value =
        Py_TYPE(descriptor)->tp_descr_get(descriptor, self->sock, (PyObject *)Py_TYPE(self->sock));
    long family = value == NULL ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    PyErr_Clear();
    return family;
}

/* Whether ev_address_new and evenshim know this socket's addresses. */
static bool internet_family(ev_sock_op_t *self) {
    long family = family_of(self);
    return family == AF_INET || family == AF_INET6;
}

/* (first, address); takes first. A connected stream socket gives no address: None. */
static ev_attempt_t pair_with_address(PyObject *first, const es_addr_t *from, PyObject **result) {
    PyObject *address = from->size == 0 ? Py_NewRef(Py_None) : ev_address_new(from);
    *result = first == NULL || address == NULL ? NULL : PyTuple_Pack(2, first, address);
    Py_XDECREF(first);
    Py_XDECREF(address);
    return *result == NULL ? EV_ATTEMPT_FAILED : EV_ATTEMPT_DONE;
}

/* A wish for so many bytes; negative: let the object's method judge it. */
static Py_ssize_t wanted_size(PyObject *arg) {
    Py_ssize_t size = PyLong_Check(arg) ? PyLong_AsSsize_t(arg) : -1;
    if (size == -1 && PyErr_Occurred() != NULL) {
        PyErr_Clear();
    }
    return size;
}

/* Receives into a new bytes object; small sizes through the loop's buffer, so that an attempt in
 * vain costs no memory. */
static int receive_bytes(ev_sock_op_t *self, es_sock_t fd, size_t size, es_addr_t *from,
                         PyObject **bytes) {
    size_t done = 0;
    unsigned char *base = self->loop->el.read_buffer;
    PyObject *own = NULL;
    *bytes = NULL;
    if (size > EL_READ_BUFFER_SIZE || base == NULL) {
        own = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (own == NULL) {
            return 0;
        }
        base = (unsigned char *)PyBytes_AS_STRING(own);
    }
    int code = from == NULL ? es_sock_recv(fd, base, size, &done)
                            : es_sock_recvfrom(fd, base, size, &done, from);
    if (code == ES_EOF) {
        done = 0;
        code = 0;
    }
    if (code != 0) {
        Py_XDECREF(own);
        return code;
    }
    if (own == NULL) {
        *bytes = PyBytes_FromStringAndSize((const char *)base, (Py_ssize_t)done);
        return 0;
    }
    if (_PyBytes_Resize(&own, (Py_ssize_t)done) == 0) {
        *bytes = own;
    }
    return 0;
}

static ev_attempt_t try_recv(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    Py_ssize_t size = wanted_size(self->args[0]);
    if (size <= 0 || !ev_sock_op_direct(self, &fd)) { /* of 0 bytes Python asks nobody */
        return outcome_of_call(ev_call_method(self->sock, "recv", self->args[0]), result);
    }
    int code = receive_bytes(self, fd, (size_t)size, NULL, result);
    if (code != 0) {
        return outcome(self, code);
    }
    return *result == NULL ? EV_ATTEMPT_FAILED : EV_ATTEMPT_DONE;
}

static ev_attempt_t try_recv_into(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    Py_buffer view;
    if (!ev_sock_op_direct(self, &fd) ||
        PyObject_GetBuffer(self->args[0], &view, PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        return outcome_of_call(ev_call_method(self->sock, "recv_into", self->args[0]), result);
    }
    if (view.len == 0) {
        PyBuffer_Release(&view);
        return outcome_of_call(ev_call_method(self->sock, "recv_into", self->args[0]), result);
    }
    size_t done = 0;
    int code = es_sock_recv(fd, view.buf, (size_t)view.len, &done);
    PyBuffer_Release(&view);
    if (code != 0 && code != ES_EOF) {
        return outcome(self, code);
    }
    *result = PyLong_FromSize_t(code == ES_EOF ? 0 : done);
    return *result == NULL ? EV_ATTEMPT_FAILED : EV_ATTEMPT_DONE;
}

static ev_attempt_t try_recvfrom(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    Py_ssize_t size = wanted_size(self->args[0]);
    if (size < 0 || !ev_sock_op_direct(self, &fd) || !internet_family(self)) {
        return outcome_of_call(ev_call_method(self->sock, "recvfrom", self->args[0]), result);
    }
    es_addr_t from = {.size = 0};
    PyObject *bytes;
    int code = receive_bytes(self, fd, (size_t)size, &from, &bytes);
    if (code != 0) {
        return outcome(self, code);
    }
    return bytes == NULL ? EV_ATTEMPT_FAILED : pair_with_address(bytes, &from, result);
}

/* nbytes 0 or absent means len(buf), which asyncio finds out first. */
static PyObject *recvfrom_into_size(ev_sock_op_t *self) {
    int given = self->args[1] == NULL ? 0 : PyObject_IsTrue(self->args[1]);
    if (given < 0) {
        return NULL;
    }
    if (given == 0) {
        Py_ssize_t length = PyObject_Size(self->args[0]);
        if (length < 0) {
            return NULL;
        }
        Py_XSETREF(self->args[1], PyLong_FromSsize_t(length));
    }
    return self->args[1];
}

static ev_attempt_t try_recvfrom_into(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    Py_buffer view;
    PyObject *size_arg = recvfrom_into_size(self);
    if (size_arg == NULL) {
        return EV_ATTEMPT_FAILED;
    }
    Py_ssize_t size = wanted_size(size_arg);
    bool direct = size >= 0 && ev_sock_op_direct(self, &fd) && internet_family(self);
    if (direct && PyObject_GetBuffer(self->args[0], &view, PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        direct = false;
    } else if (direct && size > view.len) {
        PyBuffer_Release(&view);
        direct = false;
    }
    if (!direct) {
        return outcome_of_call(
            PyObject_CallMethod(self->sock, "recvfrom_into", "OO", self->args[0], size_arg),
            result);
    }
    es_addr_t from = {.size = 0};
    size_t done = 0;
    int code = es_sock_recvfrom(fd, view.buf, (size_t)size, &done, &from);
    PyBuffer_Release(&view);
    if (code != 0 && code != ES_EOF) {
        return outcome(self, code);
    }
    return pair_with_address(PyLong_FromSize_t(code == ES_EOF ? 0 : done), &from, result);
}

/* Sends from `sent` on until the system refuses or everything has gone. */
static ev_attempt_t send_rest(ev_sock_op_t *self, es_sock_t fd, PyObject **result) {
    while (self->sent < self->view.len) {
        size_t done = 0;
        int code = es_sock_send(fd, (const char *)self->view.buf + self->sent,
                                (size_t)(self->view.len - self->sent), &done);
        if (code != 0) {
            return outcome(self, code);
        }
        self->sent += (Py_ssize_t)done;
    }
    *result = Py_NewRef(Py_None);
    return EV_ATTEMPT_DONE;
}

/* One send() of the object's own. */
static ev_attempt_t send_by_method(ev_sock_op_t *self, PyObject **result) {
    PyObject *rest = NULL;
    if (self->sent == 0) {
        rest = Py_NewRef(self->args[0]);
    } else {
        PyObject *memory = PyMemoryView_FromObject(self->args[0]);
        rest = memory == NULL ? NULL : PySequence_GetSlice(memory, self->sent, PY_SSIZE_T_MAX);
        Py_XDECREF(memory);
    }
    PyObject *count = NULL;
    ev_attempt_t attempt = EV_ATTEMPT_FAILED;
    Py_ssize_t length = rest == NULL ? -1 : PyObject_Size(self->args[0]);
    if (length >= 0 || PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* what has no length is refused by send(), with its own text */
        attempt = rest == NULL ? EV_ATTEMPT_FAILED
                               : outcome_of_call(ev_call_method(self->sock, "send", rest), &count);
    }
    Py_XDECREF(rest);
    if (attempt != EV_ATTEMPT_DONE) {
        return attempt;
    }
    Py_ssize_t sent = PyLong_AsSsize_t(count);
    Py_DECREF(count);
    if (sent == -1 && PyErr_Occurred() != NULL) {
        return EV_ATTEMPT_FAILED;
    }
    self->sent += sent;
    if (self->sent < length) {
        return EV_ATTEMPT_AGAIN;
    }
    *result = Py_NewRef(Py_None);
    return EV_ATTEMPT_DONE;
}

static ev_attempt_t try_sendall(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    if (!ev_sock_op_direct(self, &fd)) {
        return send_by_method(self, result);
    }
    if (!self->view_held) {
        if (PyObject_GetBuffer(self->args[0], &self->view, PyBUF_SIMPLE) < 0) {
            PyErr_Clear();
            return send_by_method(self, result);
        }
        self->view_held = true;
    }
    /* An empty send tells of a broken connection too. */
    return self->view.len == 0 ? send_by_method(self, result) : send_rest(self, fd, result);
}

static ev_attempt_t sendto_by_method(ev_sock_op_t *self, PyObject **result) {
    return outcome_of_call(
        PyObject_CallMethod(self->sock, "sendto", "OO", self->args[0], self->args[1]), result);
}

static ev_attempt_t try_sendto(ev_sock_op_t *self, PyObject **result) {
    es_sock_t fd;
    es_addr_t to;
    Py_buffer view;
    if (!ev_sock_op_direct(self, &fd) ||
        !ev_address_read((int)family_of(self), self->args[1], &to)) {
        return sendto_by_method(self, result);
    }
    if (PyObject_GetBuffer(self->args[0], &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return sendto_by_method(self, result);
    }
    size_t done = 0;
    int code = 0;
    bool allowed = PySys_Audit("socket.sendto", "OO", self->sock, self->args[1]) == 0;
    if (allowed) {
        code = es_sock_sendto(fd, view.buf, (size_t)view.len, &to, &done);
    }
    PyBuffer_Release(&view);
    if (!allowed || code != 0) {
        return allowed ? outcome(self, code) : EV_ATTEMPT_FAILED;
    }
    *result = PyLong_FromSize_t(done);
    return *result == NULL ? EV_ATTEMPT_FAILED : EV_ATTEMPT_DONE;
}

/* (connection, address) by the object's own accept(); the connection is made non-blocking. */
static ev_attempt_t try_accept(ev_sock_op_t *self, PyObject **result) {
    PyObject *pair = NULL;
    /* asyncio asks for the number first: what is no socket at all is told by that. */
    PyObject *number = PyObject_CallMethodNoArgs(self->sock, self->loop->state->str_fileno);
    if (number == NULL) {
        return EV_ATTEMPT_FAILED;
    }
    Py_DECREF(number);
    ev_attempt_t attempt = outcome_of_call(PyObject_CallMethod(self->sock, "accept", NULL), &pair);
    if (attempt != EV_ATTEMPT_DONE) {
        return attempt;
    }
    PyObject *connection = PySequence_GetItem(pair, 0);
    PyObject *done = connection == NULL ? NULL
                                        : ev_call_method(connection, "setblocking", Py_False);
    Py_XDECREF(connection);
    if (done == NULL) {
        Py_DECREF(pair);
        return EV_ATTEMPT_FAILED;
    }
    Py_DECREF(done);
    *result = pair;
    return EV_ATTEMPT_DONE;
}

#define KIND(name, attempt, direction, required, count, ...)                                       \
    const ev_sock_kind_t ev_##name##_kind = {                                                      \
        {"BaseSelectorEventLoop", #name, {__VA_ARGS__}, required, count, false, NULL},             \
        "Loop." #name,                                                                             \
        attempt,                                                                                   \
        direction,                                                                                 \
    }

KIND(sock_recv, try_recv, EL_READ, 2, 2, "sock", "n");
KIND(sock_recv_into, try_recv_into, EL_READ, 2, 2, "sock", "buf");
KIND(sock_recvfrom, try_recvfrom, EL_READ, 2, 2, "sock", "bufsize");
KIND(sock_recvfrom_into, try_recvfrom_into, EL_READ, 2, 3, "sock", "buf", "nbytes");
KIND(sock_sendall, try_sendall, EL_WRITE, 2, 2, "sock", "data");
KIND(sock_sendto, try_sendto, EL_WRITE, 3, 3, "sock", "data", "address");
KIND(sock_accept, try_accept, EL_READ, 1, 1, "sock");
