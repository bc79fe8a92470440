/* SPDX-License-Identifier: MIT */
/* Where the bytes objects of reads come from.
 *
 * Most programs have done with an object when data_received returns. If nobody else refers to it
 * then, nobody can tell that the next read uses it again. The loop keeps one for small reads and
 * one for streaming reads; each is in the hands of at most one read at a time. What would break
 * it: an object whose reference count does not tell who holds it (EV_REUSES_BYTES).
 */
#include "stream_transport.h"

/* The objects of the bytes between pymalloc's limit and the size of the loop's buffer come from
 * malloc, at a sixth of what an echoed message costs in user space. If the program has not kept
 * the object, the loop does, for the next read of about that size: no more than an eighth (and
 * 256 bytes) of an object that is kept then lies idle. */
#define SPARE_SIZE_MIN 480u

PyObject *ev_bytes_small(ev_loop_t *loop, const void *base, size_t size) {
    if (!EV_REUSES_BYTES || size < SPARE_SIZE_MIN) {
        return PyBytes_FromStringAndSize(base, (Py_ssize_t)size);
    }
    PyObject *bytes = loop->spare_bytes;
    size_t capacity = size + size / 8;
    if (bytes != NULL && loop->spare_capacity >= size && loop->spare_capacity <= capacity + 256) {
        loop->spare_bytes = NULL;
    } else {
        bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)capacity);
        if (bytes == NULL) {
            return NULL;
        }
        Py_CLEAR(loop->spare_bytes);
        loop->spare_capacity = capacity;
    }
    ev_bytes_reset(bytes, size);
    memcpy(PyBytes_AS_STRING(bytes), base, size);
    return bytes;
}

void ev_bytes_small_done(ev_loop_t *loop, PyObject *bytes, size_t size) {
    if (EV_REUSES_BYTES && size >= SPARE_SIZE_MIN && Py_REFCNT(bytes) == 1 &&
        loop->spare_bytes == NULL) {
        loop->spare_bytes = bytes;
    } else {
        Py_DECREF(bytes);
    }
}

/* Memory for a streaming read: the loop's object, or a new one. */
PyObject *ev_bytes_streaming(ev_loop_t *loop, size_t size) {
    PyObject *bytes = loop->streaming_bytes;
    if (bytes == NULL || size != EL_STREAMING_READ_SIZE) {
        return PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    }
    loop->streaming_bytes = NULL;
    return bytes;
}

void ev_bytes_streaming_done(ev_loop_t *loop, PyObject *bytes, size_t capacity) {
    if (EV_REUSES_BYTES && capacity == EL_STREAMING_READ_SIZE && loop->streaming_bytes == NULL &&
        Py_REFCNT(bytes) == 1) {
        ev_bytes_reset(bytes, capacity);
        loop->streaming_bytes = bytes;
    } else {
        Py_DECREF(bytes);
    }
}
