/* SPDX-License-Identifier: MIT */
/* _ThreadSafeHandle: what call_soon_threadsafe returns from 3.14 on (gh-128340).
 *
 * asyncio's class does everything under an RLock: while the callback runs, cancel() and cancelled()
 * of other threads wait for its end, so who has cancelled knows that it does not run any more. Here
 * the lock is two numbers in the handle, and a lock of the system is made only when a thread has to
 * wait. A wait gives the interpreter's lock back, and a signal ends it, as with an RLock. What would
 * break it: a holder that leaves without opening the gate to those who wait.
 */
#include "handle.h"

#if EV_HAS_THREADSAFE_HANDLE

/* Under the handle's critical section: takes the lock, or says where to wait. NULL without having
 * got it: no memory. */
static bool take(ev_safe_tail_t *safe, unsigned long self, PyThread_type_lock *gate) {
    if (safe->holder == 0 || safe->holder == self) {
        safe->holder = self;
        safe->depth++;
        return true;
    }
    if (safe->gate == NULL) {
        safe->gate = PyThread_allocate_lock();
        if (safe->gate != NULL) {
            (void)PyThread_acquire_lock(safe->gate, NOWAIT_LOCK); /* nobody else knows it yet */
        }
    }
    *gate = safe->gate;
    safe->waiter_count += safe->gate != NULL;
    return false;
}

/* 0, or -1 with an exception: a signal handler's, or MemoryError. */
static int enter(PyObject *handle) {
    ev_safe_tail_t *safe = ev_safe_tail(handle);
    unsigned long self = PyThread_get_thread_ident();
    for (;;) {
        bool taken;
        PyThread_type_lock gate = NULL;
        Py_BEGIN_CRITICAL_SECTION(handle);
        taken = take(safe, self, &gate);
        Py_END_CRITICAL_SECTION();
        if (taken) {
            return 0;
        }
        if (gate == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        PyThreadState *saved = PyEval_SaveThread();
        PyLockStatus status = PyThread_acquire_lock_timed(gate, -1, 1);
        PyEval_RestoreThread(saved);
        Py_BEGIN_CRITICAL_SECTION(handle);
        safe->waiter_count--;
        if (status == PY_LOCK_ACQUIRED) {
            safe->gate_open = false;
        }
        Py_END_CRITICAL_SECTION();
        if (status == PY_LOCK_INTR && PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
}

static void leave(PyObject *handle) {
    ev_safe_tail_t *safe = ev_safe_tail(handle);
    PyThread_type_lock gate = NULL;
    Py_BEGIN_CRITICAL_SECTION(handle);
    if (--safe->depth == 0) {
        safe->holder = 0;
        if (safe->waiter_count != 0 && !safe->gate_open) {
            safe->gate_open = true;
            gate = safe->gate;
        }
    }
    Py_END_CRITICAL_SECTION();
    if (gate != NULL) {
        PyThread_release_lock(gate); /* one comes through; when it leaves, the next */
    }
}

/* From the ready queue. */
static void run_item(el_loop_t *el, el_ready_t *item) {
    ev_handle_tail_t *tail = (ev_handle_tail_t *)item;
    PyObject *handle = tail->object;
    ev_loop_t *loop = ev_loop_of(el);
    tail->queued = false;
    if (!ev_handle_is_cancelled(loop, handle)) {
        if (enter(handle) < 0) {
            ev_loop_exit(loop);
        } else {
            ev_handle_run(loop, handle); /* looks again: it may have been cancelled meanwhile */
            leave(handle);
        }
    }
    Py_DECREF(handle);
}

static void drop_item(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ((ev_handle_tail_t *)item)->queued = false;
    Py_DECREF(((ev_handle_tail_t *)item)->object);
}

const el_ready_ops_t ev_safe_ready_ops = {run_item, drop_item};

PyObject *ev_safe_handle_new(ev_loop_t *loop, PyObject *callback, PyObject *const *args,
                             size_t nargs, PyObject *context) {
    PyObject *handle = ev_handle_alloc(loop->state->handle_layout, loop->state->safe_handle_type,
                                       EV_SAFE_HANDLE);
    if (handle == NULL) {
        return NULL;
    }
    return ev_handle_fill(loop, handle, callback, args, nargs, context) < 0 ? NULL : handle;
}

void ev_safe_handle_reset(PyObject *handle) {
    ev_safe_tail_t *safe = ev_safe_tail(handle);
    if (safe->gate != NULL) {
        PyThread_free_lock(safe->gate);
    }
    safe->gate = NULL;
    safe->gate_open = false;
    safe->holder = 0;
    safe->depth = 0;
}

/* -- the Python side --------------------------------------------------------------------------- */

static PyObject *locked(PyObject *self, PyObject *(*method)(PyObject *, PyObject *)) {
    if (enter(self) < 0) {
        return NULL;
    }
    PyObject *result = method(self, NULL);
    leave(self);
    return result;
}

static PyObject *safe_cancel(PyObject *self, PyObject *unused) {
    (void)unused;
    return locked(self, ev_handle_cancel_method);
}

static PyObject *safe_cancelled(PyObject *self, PyObject *unused) {
    (void)unused;
    return locked(self, ev_handle_cancelled_method);
}

static PyObject *run_unless_cancelled(PyObject *self, PyObject *unused) {
    return ev_handle_is_cancelled(NULL, self) ? Py_NewRef(Py_None)
                                              : ev_handle_run_method(self, unused);
}

static PyObject *safe_run(PyObject *self, PyObject *unused) {
    (void)unused;
    return locked(self, run_unless_cancelled);
}

static PyMethodDef safe_methods[] = {
    {"cancel", safe_cancel, METH_NOARGS,
     PyDoc_STR("cancel($self)\n--\n\nDo not call the callback any more; waits for its end if it is "
               "running.")},
    {"cancelled", safe_cancelled, METH_NOARGS,
     PyDoc_STR("cancelled($self)\n--\n\nWhether cancel() was called; waits for a callback that is "
               "running.")},
    {"get_context", ev_handle_get_context_method, METH_NOARGS,
     PyDoc_STR("get_context($self)\n--\n\nThe context that the callback runs in.")},
    {"_run", safe_run, METH_NOARGS, PyDoc_STR("_run($self)\n--\n\nCall the callback now.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef safe_attributes[] = {
    {"_args", ev_handle_get_args, ev_handle_set_args, NULL, NULL},
    {"_loop", ev_handle_get_loop, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot safe_slots[] = {
    {Py_tp_doc, PyDoc_STR("A callback that a loop will call: what call_soon_threadsafe() returns. "
                          "Its methods may be called from any thread.")},
    {Py_tp_methods, safe_methods},
    {Py_tp_getset, safe_attributes},
    {Py_tp_traverse, ev_handle_traverse},
    {Py_tp_clear, ev_handle_clear},
    {Py_tp_dealloc, ev_handle_dealloc},
    {0, NULL},
};

int ev_safe_handle_type_init(ev_state_t *state) {
    PyTypeObject *base = (PyTypeObject *)state->asyncio_threadsafe_handle;
    ev_handle_layout_t *layout = state->handle_layout;
    if (ev_layout_read(layout, EV_SAFE_HANDLE, base) < 0) {
        return -1;
    }
    PyType_Spec spec = {
        .name = "evenloop._core._ThreadSafeHandle", /* repr shows it */
        .basicsize = (int)(base->tp_basicsize + (Py_ssize_t)sizeof(ev_safe_tail_t)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = safe_slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(state->module, &spec, (PyObject *)base);
    state->safe_handle_type = (PyTypeObject *)type;
    if (type == NULL) {
        return -1;
    }
    layout->forms[EV_SAFE_HANDLE].weak_list = state->safe_handle_type->tp_weaklistoffset;
    return 0;
}

#else /* asyncio has no such handle: call_soon_threadsafe returns a plain one */

const el_ready_ops_t ev_safe_ready_ops = {NULL, NULL};

void ev_safe_handle_reset(PyObject *handle) {
    (void)handle;
}

int ev_safe_handle_type_init(ev_state_t *state) {
    (void)state;
    return 0;
}

#endif
