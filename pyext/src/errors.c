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

PyDoc_STRVAR(error_text_doc, "error_text($module, number, /)\n--\n\n"
                             "Linux's words for an errno of this system; None if it has none.");

static PyObject *error_text(PyObject *module, PyObject *argument) {
    (void)module;
    long long number = PyLong_AsLongLong(argument);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    int code = number < 0 || number > INT32_MAX
                   ? ES_EUNKNOWN
                   : es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)number, ES_OP_NONE);
    if (code == ES_OK || code == ES_EUNKNOWN) {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromString(es_error_text(code));
}

static PyMethodDef functions[] = {
    {"error_text", error_text, METH_O, error_text_doc},
    {NULL, NULL, 0, NULL},
};

int ev_error_functions_init(PyObject *module) {
    return PyModule_AddFunctions(module, functions);
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
