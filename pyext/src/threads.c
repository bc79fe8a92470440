/* SPDX-License-Identifier: MIT */
/* The ownership of a loop on builds without the interpreter's lock: see threads.h.
 *
 * Guarantees that at most one thread is the owner, and that what one owner wrote the next one sees.
 * What would break it: a wait of the owner's that gives the loop up, or an owner that runs a loop
 * without having set `runs`.
 */
#include "threads.h"

#if EV_FREE_THREADED

ev_ownership_t ev_own(ev_loop_t *loop) {
    unsigned long self = PyThread_get_thread_ident();
    if (atomic_load_explicit(&loop->owner, memory_order_relaxed) == self) {
        return EV_OWNED;
    }
    for (;;) {
        unsigned long nobody = 0;
        if (atomic_compare_exchange_strong(&loop->owner, &nobody, self)) {
            return EV_TAKEN;
        }
        if (loop->generation != es_process_generation()) {
            /* Its owner stayed in the parent. */
            atomic_store(&loop->runs, false);
            atomic_store(&loop->owner, self);
            return EV_TAKEN;
        }
        if (atomic_load(&loop->runs)) {
            return EV_REFUSED;
        }
        /* Another thread is inside a method of an idle loop: that is soon over. */
        PyThreadState *saved = PyEval_SaveThread();
        uv_sleep(0);
        PyEval_RestoreThread(saved);
    }
}

void ev_disown(ev_loop_t *loop, ev_ownership_t ownership) {
    if (ownership == EV_TAKEN) {
        atomic_store(&loop->owner, 0);
    }
}

int ev_refuse_thread(void) {
    PyErr_SetString(PyExc_RuntimeError, "Non-thread-safe operation invoked on an event loop other "
                                        "than the current one");
    return -1;
}

static int begin(ev_loop_t *loop, ev_guard_t *guard) {
    guard->loop = loop;
    guard->ownership = ev_own(loop);
    if (guard->ownership != EV_REFUSED) {
        return 0;
    }
    Py_DECREF(loop);
    return ev_refuse_thread();
}

int ev_guard_begin_loop(PyObject *loop, ev_guard_t *guard) {
    return begin((ev_loop_t *)Py_NewRef(loop), guard);
}

int ev_guard_begin_field(PyObject *object, ev_loop_t *const *field, ev_guard_t *guard) {
    ev_loop_t *loop;
    (void)object;
    Py_BEGIN_CRITICAL_SECTION(object);
    loop = *field;
    Py_XINCREF(loop);
    Py_END_CRITICAL_SECTION();
    if (loop != NULL) {
        return begin(loop, guard);
    }
    guard->loop = NULL;
    guard->ownership = EV_OWNED;
    return 0;
}

PyObject *ev_call_elsewhere(PyObject *object, ev_loop_t *const *field, const char *name) {
    PyErr_Clear();
    ev_loop_t *loop;
    Py_BEGIN_CRITICAL_SECTION(object);
    loop = *field;
    Py_XINCREF(loop);
    Py_END_CRITICAL_SECTION();
    if (loop == NULL) {
        Py_RETURN_NONE; /* it has ended meanwhile */
    }
    PyObject *method = PyObject_GetAttrString(object, name);
    PyObject *handle = method == NULL ? NULL : ev_handle_new(loop, method, NULL, 0, NULL);
    int failed = handle == NULL ? -1 : ev_handle_schedule(loop, handle);
    Py_XDECREF(handle);
    Py_XDECREF(method);
    Py_DECREF(loop);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *ev_repr_elsewhere(PyObject *object, int64_t fileno) {
    PyErr_Clear();
    PyObject *name = PyType_GetName(Py_TYPE(object));
    PyObject *text = name == NULL ? NULL
                                  : PyUnicode_FromFormat("<%U fd=%lld>", name, (long long)fileno);
    Py_XDECREF(name);
    return text;
}

void ev_guard_end(ev_guard_t *guard) {
    if (guard->loop != NULL) {
        ev_disown(guard->loop, guard->ownership);
        Py_DECREF(guard->loop);
    }
}

#else
typedef int ev_one_lock_guards_everything;
#endif
