/* SPDX-License-Identifier: MIT */
/* What a transport tells the program and the log about: callbacks that raise or take long, errors
 * that end a connection.
 *
 * The words are asyncio's. A callback of the protocol that raises is reported as the handle's that
 * asyncio would have run it from; an error of the system is no report but a line of the debug log.
 */
#include <errno.h>

#include "stream_transport.h"

/* A handle that stands for the call protocol.name(arg) in reports and logs. NULL: an exception. */
static PyObject *handle_of_call(ev_transport_t *self, PyObject *name, PyObject *arg) {
    PyObject *callback = PyObject_GetAttr(self->protocol, name);
    if (callback == NULL) {
        return NULL;
    }
    PyObject *handle = ev_handle_new(self->loop, callback, &arg, arg == NULL ? 0 : 1,
                                     self->context);
    Py_DECREF(callback);
    return handle;
}

/* Debug mode: logs a call that kept the loop for long, as asyncio does with the reader's handle. */
void ev_transport_watch_duration(ev_transport_t *self, PyObject *name, PyObject *arg,
                                 uint64_t began_ns) {
    double seconds = (double)(el_now_ns() - began_ns) * 1e-9;
    PyObject *current = PyErr_GetRaisedException();
    PyObject *limit = PyObject_GetAttr((PyObject *)self->loop,
                                       self->state->str_slow_callback_duration);
    double limit_seconds = limit == NULL ? -1.0 : PyFloat_AsDouble(limit);
    Py_XDECREF(limit);
    if (PyErr_Occurred() == NULL && seconds >= limit_seconds && self->protocol != NULL) {
        PyObject *handle = handle_of_call(self, name, arg);
        PyObject *logged = handle == NULL
                               ? NULL
                               : PyObject_CallMethod(self->state->python, "callback_ran", "OOd",
                                                     (PyObject *)self->loop, handle, seconds);
        Py_XDECREF(logged);
        Py_XDECREF(handle);
    }
    if (PyErr_Occurred() != NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    if (current != NULL) {
        PyErr_SetRaisedException(current);
    }
}

/* Reports the current exception as that of an ordinary callback `protocol.name(arg)`: message,
 * exception, handle. */
void ev_transport_report_callback(ev_transport_t *self, PyObject *name, PyObject *arg) {
    ev_loop_t *loop = self->loop;
    if (ev_loop_take_exit(loop)) {
        return;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *handle = handle_of_call(self, name, arg);
    if (handle == NULL) {
        /* Without the method, and so the handle, there is no more to say than that. */
        PyErr_Clear();
        PyErr_SetRaisedException(exc);
        ev_loop_report(loop, "Exception in callback", NULL);
        return;
    }
    PyObject *reported = PyObject_CallMethod(self->state->python, "callback_failed", "OOO",
                                             (PyObject *)loop, handle, exc);
    if (reported == NULL) {
        ev_loop_exit(loop);
    }
    Py_XDECREF(reported);
    Py_DECREF(handle);
    Py_DECREF(exc);
}

const char *ev_transport_read_error(const ev_transport_t *self) {
    return self->kind == EV_TRANSPORT_SOCKET ? "Fatal read error on socket transport"
                                             : "Fatal read error on pipe transport";
}

const char *ev_transport_write_error(const ev_transport_t *self) {
    return self->kind == EV_TRANSPORT_SOCKET ? "Fatal write error on socket transport"
                                             : "Fatal write error on pipe transport";
}

/* logger.debug("%r: %s", self, message, exc_info=exc). Never raises. */
static void log_os_error(ev_transport_t *self, PyObject *exc, const char *message) {
    PyObject *method = PyObject_GetAttrString(self->state->asyncio_logger, "debug");
    PyObject *args = Py_BuildValue("(sOs)", "%r: %s", (PyObject *)self, message);
    PyObject *kwargs = Py_BuildValue("{sO}", "exc_info", exc);
    PyObject *result = NULL;
    if (method != NULL && args != NULL && kwargs != NULL) {
        result = PyObject_Call(method, args, kwargs);
    }
    if (result == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(result);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(method);
}

static bool is_eio(PyObject *exc) {
    PyObject *value = PyObject_GetAttrString(exc, "errno");
    bool eio = value != NULL && PyLong_Check(value) && PyLong_AsLong(value) == EIO;
    Py_XDECREF(value);
    PyErr_Clear();
    return eio;
}

void ev_transport_fatal(ev_transport_t *self, PyObject *exc, const char *message) {
    if (self->loop != NULL) {
        /* A read pipe's errors are reported but for EIO, which is how a pty says that its other
         * side has gone. */
        bool quiet = PyErr_GivenExceptionMatches(exc, PyExc_OSError);
        if (quiet && self->kind == EV_TRANSPORT_READ_PIPE) {
            quiet = is_eio(exc);
        }
        if (!quiet) {
            PyErr_SetRaisedException(Py_NewRef(exc));
            ev_endpoint_report(EV_ENDPOINT(self), message);
        } else if (self->loop->debug) {
            log_os_error(self, exc, message);
        }
    }
    ev_endpoint_force_close(EV_ENDPOINT(self), exc);
}
