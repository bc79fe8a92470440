/* SPDX-License-Identifier: MIT */
/* _core.LockMonitor and _core.LockRequest: waiting for file locks without a thread.
 *
 * A monitor is the waiting room of one loop, or of one blocking call; evenloop/_filelock.py says
 * when to dispatch it. A request's callback(error, lock) runs once, in dispatch(): error is None
 * and lock a HeldLock; or an OSError, and lock is None, or for an upgrade the lock as it was. The
 * monitor keeps its requests alive until then. Threads: a monitor and its requests are used by one
 * thread at a time, which `user` checks; wait() and stop_waiting() are for any thread. What would
 * break it: a callback that closes the monitor or dispatches it again; both are refused.
 */
#include "file_lock.h"

typedef struct ev_lock_request ev_lock_request_t;

typedef struct ev_lock_monitor {
    PyObject_HEAD
    ev_state_t *state;
    es_lock_monitor_t *monitor; /* NULL: closed */
    es_cancel_t *cancel;        /* ends wait() for good */
    ev_lock_request_t *requests;
    EV_SHARED(unsigned long) user;    /* the thread inside a method, 0: none */
    EV_SHARED(unsigned) waiter_count; /* threads inside wait() */
    bool dispatching;
} ev_lock_monitor_t;

struct ev_lock_request {
    PyObject_HEAD
    es_lock_req_t req;
    ev_lock_monitor_t *monitor; /* strong until it is over */
    ev_lock_request_t *next;
    ev_lock_request_t **link; /* NULL: over, or not begun */
    PyObject *callback;
    ev_lock_file_t *file; /* what is waited for: a file's lock, */
    ev_held_lock_t *held; /* or an upgrade of this one, */
    es_lock_t *upgraded;  /* which was taken out of it */
    PyObject *path;
};

/* -- one thread at a time ---------------------------------------------------------------------- */

typedef enum entry { REFUSED = -1, OUTER, INNER } entry_t;

static entry_t enter(ev_lock_monitor_t *self) {
    unsigned long thread = PyThread_get_thread_ident();
    if (self->user == thread) {
        return INNER;
    }
#if EV_FREE_THREADED
    unsigned long nobody = 0;
    bool taken = atomic_compare_exchange_strong(&self->user, &nobody, thread);
#else
    bool taken = self->user == 0;
    if (taken) {
        self->user = thread;
    }
#endif
    if (!taken) {
        PyErr_SetString(PyExc_RuntimeError, "LockMonitor is being used by another thread");
        return REFUSED;
    }
    return OUTER;
}

static void leave(ev_lock_monitor_t *self, entry_t entry) {
    if (entry == OUTER) {
        self->user = 0;
    }
}

/* REFUSED with an exception, also when the monitor is closed. */
static entry_t enter_open(ev_lock_monitor_t *self) {
    entry_t entry = enter(self);
    if (entry != REFUSED && self->monitor == NULL) {
        leave(self, entry);
        PyErr_SetString(PyExc_RuntimeError, "LockMonitor is closed");
        return REFUSED;
    }
    return entry;
}

/* -- requests ---------------------------------------------------------------------------------- */

/* The request is over: what it kept alive goes. */
static void end_request(ev_lock_request_t *self) {
    if (self->link == NULL) {
        return;
    }
    *self->link = self->next;
    if (self->next != NULL) {
        self->next->link = self->link;
    }
    self->link = NULL;
    Py_CLEAR(self->callback);
    Py_CLEAR(self->file);
    Py_CLEAR(self->held);
    Py_CLEAR(self->monitor);
    Py_DECREF(self); /* the monitor's */
}

/* The lock that the callback is given: a new hold, or the converted one put back. */
static PyObject *granted(ev_lock_request_t *self, es_lock_t *lock) {
    if (self->held != NULL) {
        ev_held_lock_put(self->held, lock);
        return Py_NewRef((PyObject *)self->held);
    }
    if (lock == NULL) {
        return Py_NewRef(Py_None);
    }
    return ev_held_lock_new(self->monitor->state, lock, self->path);
}

static PyObject *error_of(ev_lock_monitor_t *monitor, int status) {
    if (status == 0) {
        return Py_NewRef(Py_None);
    }
    (void)ev_lock_error_set(monitor->state, status);
    return PyErr_GetRaisedException();
}

static void on_over(es_lock_req_t *req, int status, es_lock_t *lock) {
    ev_lock_request_t *self = req->data;
    Py_INCREF(self);
    PyObject *given = granted(self, lock);
    PyObject *error = given == NULL ? PyErr_GetRaisedException() : error_of(self->monitor, status);
    PyObject *callback = Py_NewRef(self->callback);
    end_request(self);
    PyObject *args[] = {error, given == NULL ? Py_None : given};
    PyObject *result = PyObject_Vectorcall(callback, args, 2, NULL);
    if (result == NULL) {
        PyErr_WriteUnraisable(callback);
    }
    Py_XDECREF(result);
    Py_DECREF(callback);
    Py_XDECREF(error);
    Py_XDECREF(given);
    Py_DECREF(self);
}

static ev_lock_request_t *request_new(ev_lock_monitor_t *monitor, PyObject *callback,
                                      PyObject *path) {
    PyTypeObject *type = monitor->state->lock_request_type;
    ev_lock_request_t *self = (ev_lock_request_t *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->req.data = self;
        self->callback = Py_NewRef(callback);
        self->path = Py_NewRef(path);
    }
    return self;
}

/* It has begun: from now on the monitor keeps it. */
static void keep_request(ev_lock_request_t *self, ev_lock_monitor_t *monitor) {
    self->monitor = (ev_lock_monitor_t *)Py_NewRef((PyObject *)monitor);
    self->next = monitor->requests;
    if (self->next != NULL) {
        self->next->link = &self->next;
    }
    self->link = &monitor->requests;
    monitor->requests = (ev_lock_request_t *)Py_NewRef((PyObject *)self);
}

/* In a forked child a coroutine that waited in the parent ends, but not the parent's request. */
static PyObject *request_cancel(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_lock_request_t *self = (ev_lock_request_t *)op;
    ev_lock_monitor_t *monitor = self->monitor;
    if (self->link == NULL) {
        Py_RETURN_FALSE;
    }
    entry_t entry = enter_open(monitor);
    if (entry == REFUSED) {
        return NULL;
    }
    int code = es_lock_cancel(&self->req);
    leave(monitor, entry);
    if (code != 0 && code != ES_EALREADY && code != ES_EFORKED) {
        return ev_lock_error_set(monitor->state, code);
    }
    return PyBool_FromLong(code == 0);
}

static int request_traverse(PyObject *op, visitproc visit, void *arg) {
    ev_lock_request_t *self = (ev_lock_request_t *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->monitor);
    Py_VISIT(self->callback);
    Py_VISIT(self->file);
    Py_VISIT(self->held);
    return 0;
}

/* A request that is not over is its monitor's to end. */
static int request_clear(PyObject *op) {
    ev_lock_request_t *self = (ev_lock_request_t *)op;
    if (self->link == NULL) {
        Py_CLEAR(self->callback);
        Py_CLEAR(self->file);
        Py_CLEAR(self->held);
    }
    return 0;
}

static void request_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)request_clear(op);
    Py_CLEAR(((ev_lock_request_t *)op)->path);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef request_methods[] = {
    EV_METHOD_NOARGS("cancel", request_cancel,
                     "End the request in the next dispatch; False if it was over before."),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot request_slots[] = {
    {Py_tp_doc, PyDoc_STR("A file lock that is waited for.")},
    {Py_tp_methods, request_methods},
    {Py_tp_traverse, (void *)request_traverse},
    {Py_tp_clear, (void *)request_clear},
    {Py_tp_dealloc, (void *)request_dealloc},
    {0, NULL},
};

/* -- monitors ---------------------------------------------------------------------------------- */

static PyObject *monitor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":LockMonitor", names)) {
        return NULL;
    }
    ev_state_t *state = ev_state_of_type(type);
    ev_lock_monitor_t *self = state == NULL ? NULL : (ev_lock_monitor_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    int code = es_cancel_open(&self->cancel);
    if (code == 0) {
        code = es_lock_monitor_open(&self->monitor);
    }
    if (code != 0) {
        Py_DECREF(self);
        return ev_lock_error_set(state, code);
    }
    return (PyObject *)self;
}

static PyObject *monitor_fileno(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    entry_t entry = enter_open(self);
    if (entry == REFUSED) {
        return NULL;
    }
    es_pollable_t pollable = es_lock_monitor_pollable(self->monitor);
    leave(self, entry);
    return PyLong_FromSsize_t((Py_ssize_t)pollable);
}

/* In seconds, None: never. */
static PyObject *monitor_timeout(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    entry_t entry = enter_open(self);
    if (entry == REFUSED) {
        return NULL;
    }
    int64_t timeout_ns = es_lock_monitor_timeout(self->monitor);
    leave(self, entry);
    return timeout_ns < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble((double)timeout_ns / 1e9);
}

static PyObject *monitor_start(PyObject *op, PyObject *args) {
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    PyObject *file, *callback;
    int kind;
    unsigned long long offset, size;
    long long timeout_ns;
    ev_lock_wish_t wish;
    if (!PyArg_ParseTuple(args, "O!iKKLO:start", self->state->lock_file_type, &file, &kind, &offset,
                          &size, &timeout_ns, &callback) ||
        ev_lock_wish_read(kind, offset, size, &wish) < 0) {
        return NULL;
    }
    entry_t entry = enter_open(self);
    if (entry == REFUSED) {
        return NULL;
    }
    ev_lock_request_t *request = request_new(self, callback, ((ev_lock_file_t *)file)->path);
    int code = 0;
    if (request != NULL) {
        request->file = (ev_lock_file_t *)Py_NewRef(file);
        code = es_lock_start(self->monitor, &request->req, request->file->file, wish.kind,
                             &wish.range, timeout_ns, on_over);
    }
    if (request != NULL && code == 0) {
        keep_request(request, self);
    }
    leave(self, entry);
    if (code != 0) {
        Py_DECREF(request);
        return ev_lock_error_set(self->state, code);
    }
    return (PyObject *)request;
}

static PyObject *monitor_start_upgrade(PyObject *op, PyObject *args) {
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    PyObject *held, *callback;
    long long timeout_ns;
    if (!PyArg_ParseTuple(args, "O!LO:start_upgrade", self->state->held_lock_type, &held,
                          &timeout_ns, &callback)) {
        return NULL;
    }
    es_lock_t *lock = ev_held_lock_take((ev_held_lock_t *)held);
    if (lock == NULL) {
        return NULL;
    }
    entry_t entry = enter_open(self);
    ev_lock_request_t *request = entry == REFUSED
                                     ? NULL
                                     : request_new(self, callback, ((ev_held_lock_t *)held)->path);
    int code = 0;
    if (request != NULL) {
        request->held = (ev_held_lock_t *)Py_NewRef(held);
        request->upgraded = lock;
        code = es_lock_start_convert(self->monitor, &request->req, lock, ES_LOCK_EXCLUSIVE,
                                     timeout_ns, on_over);
    }
    if (request != NULL && code == 0) {
        keep_request(request, self);
    } else {
        ev_held_lock_put((ev_held_lock_t *)held, lock);
    }
    if (entry != REFUSED) {
        leave(self, entry);
    }
    if (code != 0) {
        Py_DECREF(request);
        return ev_lock_error_set(self->state, code);
    }
    return (PyObject *)request;
}

static PyObject *monitor_dispatch(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    entry_t entry = enter_open(self);
    if (entry == REFUSED) {
        return NULL;
    }
    if (self->dispatching) {
        PyErr_SetString(PyExc_RuntimeError, "LockMonitor is dispatching already");
        leave(self, entry);
        return NULL;
    }
    self->dispatching = true;
    int code = es_lock_dispatch(self->monitor);
    self->dispatching = false;
    leave(self, entry);
    return code < 0 ? ev_lock_error_set(self->state, code) : PyLong_FromLong(code);
}

static int64_t ns_of(double seconds) {
    return seconds < 0 || seconds > 9e9 ? ES_LOCK_FOREVER : (int64_t)(seconds * 1e9);
}

/* True: dispatch() has something to do; False: time is up; None: stop_waiting() was called. */
static PyObject *monitor_wait(PyObject *op, PyObject *seconds) {
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    double timeout = PyFloat_AsDouble(seconds);
    if (timeout == -1.0 && PyErr_Occurred() != NULL) {
        return NULL;
    }
    es_lock_monitor_t *monitor;
    Py_BEGIN_CRITICAL_SECTION(self);
    monitor = self->monitor;
    self->waiter_count += monitor != NULL;
    Py_END_CRITICAL_SECTION();
    if (monitor == NULL) {
        Py_RETURN_NONE;
    }
    int code;
    PyThreadState *saved = PyEval_SaveThread();
    code = es_lock_monitor_wait(monitor, ns_of(timeout), self->cancel);
    PyEval_RestoreThread(saved);
    self->waiter_count--;
    if (code == ES_ECANCELED) {
        Py_RETURN_NONE;
    }
    if (code != 0 && code != ES_ETIMEDOUT) {
        return ev_lock_error_set(self->state, code);
    }
    return PyBool_FromLong(code == 0);
}

static PyObject *monitor_stop_waiting(PyObject *op, PyObject *unused) {
    (void)unused;
    es_cancel_set(((ev_lock_monitor_t *)op)->cancel);
    Py_RETURN_NONE;
}

static int monitor_traverse(PyObject *op, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(op));
    for (ev_lock_request_t *each = ((ev_lock_monitor_t *)op)->requests; each != NULL;
         each = each->next) {
        Py_VISIT(each);
    }
    return 0;
}

/* Drops what is waited for. An upgrade's lock comes back as it is, for its owner to release. */
static void close_monitor(ev_lock_monitor_t *self) {
    es_lock_monitor_t *monitor = self->monitor;
    self->monitor = NULL;
    es_lock_monitor_close(monitor);
    while (self->requests != NULL) {
        ev_lock_request_t *request = self->requests;
        if (request->held != NULL) {
            ev_held_lock_put(request->held, request->upgraded);
        }
        end_request(request);
    }
}

/* False: it cannot be closed, because a thread waits there. */
static PyObject *monitor_close(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    entry_t entry = enter(self);
    if (entry == REFUSED) {
        return NULL;
    }
    bool busy;
    Py_BEGIN_CRITICAL_SECTION(self);
    busy = self->dispatching || self->waiter_count != 0;
    Py_END_CRITICAL_SECTION();
    if (busy) {
        PyErr_SetString(PyExc_RuntimeError, "LockMonitor is in use");
    } else {
        Py_INCREF(self);
        close_monitor(self);
    }
    leave(self, entry);
    if (busy) {
        return NULL;
    }
    Py_DECREF(self);
    Py_RETURN_NONE;
}

static int monitor_clear(PyObject *op) {
    Py_INCREF(op);
    close_monitor((ev_lock_monitor_t *)op);
    Py_DECREF(op);
    return 0;
}

static void monitor_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    ev_lock_monitor_t *self = (ev_lock_monitor_t *)op;
    PyObject_GC_UnTrack(op);
    es_lock_monitor_close(self->monitor); /* a request would have kept it */
    es_cancel_close(self->cancel);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef monitor_methods[] = {
    EV_METHOD_NOARGS("fileno", monitor_fileno, "What to poll for reading; on Windows a handle."),
    EV_METHOD_NOARGS("timeout", monitor_timeout,
                     "In how many seconds to dispatch at the latest, or None."),
    {"start", monitor_start, METH_VARARGS,
     PyDoc_STR("start($self, file, kind, offset, size, timeout_ns, callback, /)\n--\n\nBegin to "
               "take a lock. Returns the LockRequest.")},
    {"start_upgrade", monitor_start_upgrade, METH_VARARGS,
     PyDoc_STR("start_upgrade($self, held, timeout_ns, callback, /)\n--\n\nBegin to make a shared "
               "lock exclusive. Returns the LockRequest.")},
    EV_METHOD_NOARGS("dispatch", monitor_dispatch, "Do what is due; the count of callbacks."),
    {"wait", monitor_wait, METH_O,
     PyDoc_STR("wait($self, seconds, /)\n--\n\nBlock: True when there is something to dispatch, "
               "False when time is up, None after stop_waiting(). Any thread.")},
    EV_METHOD_NOARGS("stop_waiting", monitor_stop_waiting, "End wait() for good. Any thread."),
    EV_METHOD_NOARGS("close", monitor_close, "Drop all requests, without their callbacks."),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot monitor_slots[] = {
    {Py_tp_doc, PyDoc_STR("The waiting room for the file locks of one loop.")},
    {Py_tp_methods, monitor_methods},
    {Py_tp_new, (void *)monitor_new},
    {Py_tp_traverse, (void *)monitor_traverse},
    {Py_tp_clear, (void *)monitor_clear},
    {Py_tp_dealloc, (void *)monitor_dealloc},
    {0, NULL},
};

int ev_lock_monitor_types_init(ev_state_t *state) {
    PyType_Spec request = {
        .name = "evenloop._core.LockRequest",
        .basicsize = (int)sizeof(ev_lock_request_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = request_slots,
    };
    PyType_Spec monitor = {
        .name = "evenloop._core.LockMonitor",
        .basicsize = (int)sizeof(ev_lock_monitor_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .slots = monitor_slots,
    };
    state->lock_request_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &request,
                                                                        NULL);
    if (state->lock_request_type == NULL ||
        PyModule_AddType(state->module, state->lock_request_type) < 0) {
        return -1;
    }
    state->lock_monitor_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &monitor,
                                                                        NULL);
    return state->lock_monitor_type == NULL
               ? -1
               : PyModule_AddType(state->module, state->lock_monitor_type);
}
