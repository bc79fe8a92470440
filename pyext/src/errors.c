/* SPDX-License-Identifier: MIT */
/* Errors: evenshim's codes as Python's exceptions.
 *
 * Guarantees the OSError subclass, errno and text that the selector loop on Linux would raise,
 * whatever the system. What the system itself said stays readable where OSError has a place for it:
 * `winerror`, on Windows.
 */
#include "core.h"

PyObject *ev_error_new(ev_state_t *state, int code, uint32_t native) {
    (void)state;
    int number = es_error_to_errno(code);
    PyObject *error = PyObject_CallFunction(
        PyExc_OSError, "is", number != 0 ? number : es_error_to_errno(ES_EIO), es_error_text(code));
    if (error == NULL || native == 0 || !PyObject_HasAttrString(error, "winerror")) {
        return error;
    }
    PyObject *winerror = PyLong_FromUnsignedLong(native);
    if (winerror == NULL || PyObject_SetAttrString(error, "winerror", winerror) < 0) {
        Py_CLEAR(error);
    }
    Py_XDECREF(winerror);
    return error;
}

PyObject *ev_error_set(ev_state_t *state, int code) {
    es_error_native_t last = es_error_last();
    PyObject *error = ev_error_new(state, code, last.code == code ? last.native : 0);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}
