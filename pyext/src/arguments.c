/* SPDX-License-Identifier: MIT */
/* Arguments by position or by name, with the errors of the Python function that a method in C stands
 * for.
 *
 * asyncio's methods are written in Python, so a program may name any argument:
 * loop.call_later(delay=1, callback=f), transport.write(data=b"x"). This is the slow half: callers take the
 * common case, all by position, themselves.
 */
#include "core.h"

static int refuse_unknown(const ev_signature_t *signature, PyObject *name) {
    PyErr_Format(PyExc_TypeError, "%s.%s() got an unexpected keyword argument '%U'",
                 signature->owner, signature->method, name);
    return -1;
}

static int place(const ev_signature_t *signature, PyObject *name, PyObject *value,
                 PyObject **values) {
    for (int i = 0; i < signature->count; i++) {
        if (PyUnicode_CompareWithASCIIString(name, signature->names[i]) != 0) {
            continue;
        }
        if (values[i] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s.%s() got multiple values for argument '%U'",
                         signature->owner, signature->method, name);
            return -1;
        }
        values[i] = value;
        return 0;
    }
    if (signature->keyword == NULL ||
        PyUnicode_CompareWithASCIIString(name, signature->keyword) != 0) {
        return refuse_unknown(signature, name);
    }
    values[signature->count] = value;
    return 0;
}

static int refuse_surplus(const ev_signature_t *signature, Py_ssize_t nargs) {
    /* Python counts self. */
    if (signature->required == signature->count) {
        PyErr_Format(PyExc_TypeError, "%s.%s() takes %d positional argument%s but %zd were given",
                     signature->owner, signature->method, signature->count + 1,
                     signature->count == 0 ? "" : "s", nargs + 1);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "%s.%s() takes from %d to %d positional arguments but %zd were given",
                     signature->owner, signature->method, signature->required + 1,
                     signature->count + 1, nargs + 1);
    }
    return -1;
}

static int refuse_missing(const ev_signature_t *signature, PyObject **values) {
    const char *missing[EV_NAMES_MAX] = {NULL};
    int count = 0;
    for (int i = 0; i < signature->required; i++) {
        if (values[i] == NULL) {
            missing[count++] = signature->names[i];
        }
    }
    if (count == 1) {
        PyErr_Format(PyExc_TypeError, "%s.%s() missing 1 required positional argument: '%s'",
                     signature->owner, signature->method, missing[0]);
    } else if (count == 2) {
        PyErr_Format(PyExc_TypeError,
                     "%s.%s() missing 2 required positional arguments: '%s' and '%s'",
                     signature->owner, signature->method, missing[0], missing[1]);
    } else {
        PyErr_Format(PyExc_TypeError,
                     "%s.%s() missing 3 required positional arguments: '%s', '%s', and '%s'",
                     signature->owner, signature->method, missing[0], missing[1], missing[2]);
    }
    return -1;
}

int ev_bind(const ev_signature_t *signature, PyObject *const *args, Py_ssize_t nargs,
            PyObject *keywords, PyObject **values) {
    Py_ssize_t count = signature->count;
    for (Py_ssize_t i = 0; i < count; i++) {
        values[i] = i < nargs ? args[i] : NULL;
    }
    if (signature->keyword != NULL) {
        values[count] = NULL;
    }
    Py_ssize_t keyword_count = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < keyword_count; i++) {
        if (place(signature, PyTuple_GET_ITEM(keywords, i), args[nargs + i], values) < 0) {
            return -1;
        }
    }
    if (nargs > count && !signature->rest) {
        return refuse_surplus(signature, nargs);
    }
    for (int i = 0; i < signature->required; i++) {
        if (values[i] == NULL) {
            return refuse_missing(signature, values);
        }
    }
    return 0;
}
