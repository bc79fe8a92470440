/* SPDX-License-Identifier: MIT */
/* What every transport answers: reading, closing, protocol, extra info, the private names of
 * asyncio's own that libraries reach for.
 */
#include "endpoint.h"

/* Reading and closing -------------------------------------------------------------------------- */

PyObject *ev_endpoint_close(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_endpoint_t *self = EV_ENDPOINT(op);
    if (*self->closing) {
        Py_RETURN_NONE;
    }
    if (ev_endpoint_check_open(self) < 0) {
        *self->closing = true;
        return NULL;
    }
    if (self->open) {
        self->ops->engine_close(self);
        ev_endpoint_sync_hold(self);
    }
    Py_RETURN_NONE;
}

static PyObject *force_close(ev_endpoint_t *self, PyObject *exc) {
    if (ev_endpoint_check_open(self) < 0) {
        *self->closing = true;
        return NULL;
    }
    ev_endpoint_force_close(self, exc);
    Py_RETURN_NONE;
}

PyObject *ev_endpoint_py_force_close(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                     PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "_force_close", {"exc"}, 1, 1, false, NULL};
    PyObject *exc = ev_bind_one(&signature, args, nargs, keywords);
    return exc == NULL ? NULL : force_close(EV_ENDPOINT(op), exc);
}

PyObject *ev_endpoint_abort(PyObject *op, PyObject *unused) {
    (void)unused;
    return force_close(EV_ENDPOINT(op), Py_None);
}

PyObject *ev_endpoint_py_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"exc", "message", NULL};
    PyObject *exc;
    const char *message = "Fatal error on transport";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|s:_fatal_error", names, &exc, &message)) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(exc)) {
        PyErr_SetString(PyExc_TypeError, "an exception instance was expected");
        return NULL;
    }
    EV_ENDPOINT(op)->ops->fatal(EV_ENDPOINT(op), exc, message);
    Py_RETURN_NONE;
}

PyObject *ev_endpoint_py_set_protocol(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords) {
    static const ev_signature_t signature = {
        "_SelectorTransport", "set_protocol", {"protocol"}, 1, 1, false, NULL};
    ev_endpoint_t *self = EV_ENDPOINT(op);
    PyObject *protocol = ev_bind_one(&signature, args, nargs, keywords);
    if (protocol == NULL || self->ops->set_protocol(self, protocol) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ev_endpoint_get_protocol(PyObject *op, PyObject *unused) {
    (void)unused;
    return ev_new_or_none(EV_ENDPOINT(op)->protocol);
}

PyObject *ev_endpoint_is_closing(PyObject *op, PyObject *unused) {
    (void)unused;
    return PyBool_FromLong(*EV_ENDPOINT(op)->closing);
}

PyObject *ev_endpoint_is_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_endpoint_t *self = EV_ENDPOINT(op);
    return PyBool_FromLong(!*self->closing && !self->paused);
}

PyObject *ev_endpoint_pause_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_endpoint_t *self = EV_ENDPOINT(op);
    if (*self->closing || self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = true;
    if (self->open) {
        self->ops->read_stop(self);
        ev_endpoint_sync_hold(self);
    }
    ev_endpoint_log(self, "debug", "%r pauses reading");
    Py_RETURN_NONE;
}

PyObject *ev_endpoint_resume_reading(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_endpoint_t *self = EV_ENDPOINT(op);
    if (*self->closing || !self->paused) {
        Py_RETURN_NONE;
    }
    self->paused = false;
    if (ev_endpoint_check_open(self) < 0) {
        return NULL;
    }
    if (self->open && self->started) {
        self->ops->read_start(self);
        ev_endpoint_sync_hold(self);
    }
    ev_endpoint_log(self, "debug", "%r resumes reading");
    Py_RETURN_NONE;
}

PyObject *ev_endpoint_get_limits(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_endpoint_t *self = EV_ENDPOINT(op);
    return Py_BuildValue("(NN)", PyLong_FromSize_t(self->low_water),
                         PyLong_FromSize_t(self->high_water));
}

/* Extra info ----------------------------------------------------------------------------------- */

PyObject *ev_endpoint_extra(ev_endpoint_t *self) {
    PyObject *extra;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->extra == NULL) {
        PyObject *made = self->ops->new_extra(self);
        if (self->extra == NULL) {
            self->extra = made;
        } else {
            Py_XDECREF(made);
        }
    }
    extra = Py_XNewRef(self->extra);
    Py_END_CRITICAL_SECTION();
    return extra;
}

PyObject *ev_endpoint_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names, &name, &missing)) {
        return NULL;
    }
    PyObject *extra = ev_endpoint_extra(EV_ENDPOINT(op));
    if (extra == NULL) {
        return NULL;
    }
    PyObject *value;
    int found = PyDict_GetItemRef(extra, name, &value);
    Py_DECREF(extra);
    return found != 0 ? value : Py_NewRef(missing);
}

/* Private names -------------------------------------------------------------------------------- */

PyObject *ev_endpoint_get(PyObject *op, void *closure) {
    ev_endpoint_t *self = EV_ENDPOINT(op);
    switch ((ev_endpoint_name_t)(uintptr_t)closure) {
    case EV_NAME_LOOP:
        return ev_new_or_none((PyObject *)self->loop);
    case EV_NAME_OWNER:
        return ev_new_or_none(self->owner);
    case EV_NAME_FILENO:
        return PyLong_FromLongLong(self->fileno);
    case EV_NAME_PROTOCOL:
        return ev_new_or_none(self->protocol);
    case EV_NAME_EXTRA:
        return ev_endpoint_extra(self);
    case EV_NAME_CLOSING:
        return PyBool_FromLong(*self->closing);
    case EV_NAME_PAUSED:
        return PyBool_FromLong(self->paused);
    case EV_NAME_HIGH_WATER:
        return PyLong_FromSize_t(self->high_water);
    case EV_NAME_LOW_WATER:
        return PyLong_FromSize_t(self->low_water);
    case EV_NAME_OF_KIND:
    default:
        Py_UNREACHABLE();
    }
}

int ev_endpoint_set_extra(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_extra must be a dict");
        return -1;
    }
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = EV_ENDPOINT(op)->extra;
    EV_ENDPOINT(op)->extra = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

int ev_endpoint_set_protocol(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_protocol can't be deleted");
        return -1;
    }
    return EV_ENDPOINT(op)->ops->set_protocol(EV_ENDPOINT(op), value);
}
