/* SPDX-License-Identifier: MIT */
/* TimerHandle: what call_later and call_at return. An asyncio.TimerHandle with an engine timer in
 * it.
 *
 * Guarantees: when() is the very object that was given or computed; order, equality and hash are
 * asyncio's own. The engine's heap owns a reference while the timer is in it, cancelled or not
 * (timer.h: a cancelled entry leaves lazily).
 */
#include "handle.h"

static PyObject *handle_of_timer(el_ready_t *item) {
    ev_timer_tail_t *tail = (ev_timer_tail_t *)((char *)item -
                                                offsetof(ev_timer_tail_t, timer.ready));
    return tail->common.object;
}

static void run_item(el_loop_t *el, el_ready_t *item) {
    PyObject *handle = handle_of_timer(item);
    ev_handle_run(ev_loop_of(el), handle);
    Py_DECREF(handle);
}

static void drop_item(el_loop_t *el, el_ready_t *item) {
    (void)el;
    Py_DECREF(handle_of_timer(item));
}

const el_ready_ops_t ev_timer_ready_ops = {run_item, drop_item};

PyObject *ev_timer_handle_new(ev_loop_t *loop, PyObject *when, PyObject *callback,
                              PyObject *const *args, size_t nargs, PyObject *context) {
    ev_handle_layout_t *layout = loop->state->handle_layout;
    PyObject *handle = ev_handle_alloc(layout, loop->state->timer_handle_type, EV_TIMER_HANDLE);
    if (handle == NULL) {
        return NULL;
    }
    ev_timer_tail_t *tail = ev_timer_tail(handle);
    tail->timer.scheduled = false;
    tail->timer.cancelled = false;
    *ev_slot(handle, layout->when) = Py_NewRef(when);
    return ev_handle_fill(loop, handle, callback, args, nargs, context) < 0 ? NULL : handle;
}

/* What another thread has set: the loop starts it in its next turn, unless it was cancelled. */
static void start_posted(el_loop_t *el, el_ready_t *item) {
    ev_handle_tail_t *tail = (ev_handle_tail_t *)item;
    PyObject *handle = tail->object;
    ev_loop_t *loop = ev_loop_of(el);
    tail->queued = false;
    el_timer_t *timer = &ev_timer_tail(handle)->timer;
    if (ev_handle_is_cancelled(loop, handle)) {
        Py_DECREF(handle);
    } else if (el_timer_start(el, timer, timer->deadline_ns, &ev_timer_ready_ops) != 0) {
        PyErr_NoMemory();
        ev_loop_report(loop, "Exception in call_at()", NULL);
        Py_DECREF(handle);
    }
}

static void drop_posted(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ((ev_handle_tail_t *)item)->queued = false;
    Py_DECREF(((ev_handle_tail_t *)item)->object);
}

static const el_ready_ops_t posted_ops = {start_posted, drop_posted};

int ev_timer_handle_start(ev_loop_t *loop, PyObject *handle, uint64_t deadline_ns) {
    ev_timer_tail_t *tail = ev_timer_tail(handle);
    int code;
    Py_INCREF(handle);
    ev_ownership_t ownership = ev_own(loop);
    if (ownership == EV_REFUSED) {
        tail->timer.deadline_ns = deadline_ns;
        tail->common.queued = true;
        tail->common.ready.ops = &posted_ops;
        code = ev_loop_queue(loop, &tail->common.ready);
    } else {
        code = el_timer_start(&loop->el, &tail->timer, deadline_ns, &ev_timer_ready_ops);
        if (code != 0) {
            PyErr_NoMemory();
        }
        ev_disown(loop, ownership);
    }
    if (code != 0) {
        tail->common.queued = false;
        Py_DECREF(handle);
        return -1;
    }
    return 0;
}

static PyObject *timer_when(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *when = ev_handle_read(self, ev_handle_tail(self)->layout->when);
    return when != NULL ? when : Py_NewRef(Py_None);
}

static PyObject *get_scheduled(PyObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(ev_timer_tail(self)->timer.scheduled);
}

#if EV_FREE_THREADED
static int timer_guard(PyObject *op, ev_guard_t *guard) {
    PyObject **slot = ev_slot(op, ev_handle_tail(op)->layout->loop);
    return ev_guard_begin_field(op, (ev_loop_t *const *)(void *)slot, guard);
}
#endif
EV_GUARD_GETTER(timer_guard, get_scheduled)

static PyMethodDef timer_methods[] = {
    {"cancel", ev_handle_cancel_method, METH_NOARGS,
     PyDoc_STR("cancel($self)\n--\n\nDo not call the callback any more.")},
    {"cancelled", ev_handle_cancelled_method, METH_NOARGS,
     PyDoc_STR("cancelled($self)\n--\n\nWhether cancel() was called.")},
    {"get_context", ev_handle_get_context_method, METH_NOARGS,
     PyDoc_STR("get_context($self)\n--\n\nThe context that the callback runs in.")},
    {"when", timer_when, METH_NOARGS,
     PyDoc_STR("when($self)\n--\n\nWhen the callback is due, on the clock of loop.time().")},
    {"_run", ev_handle_run_method, METH_NOARGS,
     PyDoc_STR("_run($self)\n--\n\nCall the callback now.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timer_attributes[] = {
    {"_args", ev_handle_get_args, ev_handle_set_args, NULL, NULL},
    {"_loop", ev_handle_get_loop, NULL, NULL, NULL},
    {"_scheduled", EV_OWNED(get_scheduled), NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc,
     PyDoc_STR("A callback that a loop will call at a time: what call_later() returns.")},
    {Py_tp_methods, timer_methods},
    {Py_tp_getset, timer_attributes},
    {Py_tp_traverse, ev_handle_traverse},
    {Py_tp_clear, ev_handle_clear},
    {Py_tp_dealloc, ev_handle_dealloc},
    {0, NULL},
};

int ev_timer_handle_type_init(ev_state_t *state) {
    PyTypeObject *base = (PyTypeObject *)state->asyncio_timer_handle;
    ev_handle_layout_t *layout = state->handle_layout;
    layout->scheduled = ev_layout_find(base, "_scheduled");
    layout->when = ev_layout_find(base, "_when");
    if (layout->scheduled < 0 || layout->when < 0 ||
        ev_layout_read(layout, EV_TIMER_HANDLE, base) < 0) {
        return -1;
    }
    PyType_Spec spec = {
        .name = "evenloop._core.TimerHandle",
        .basicsize = (int)(base->tp_basicsize + (Py_ssize_t)sizeof(ev_timer_tail_t)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = timer_slots,
    };
    PyObject *type = PyType_FromModuleAndSpec(state->module, &spec, state->asyncio_timer_handle);
    state->timer_handle_type = (PyTypeObject *)type;
    if (type == NULL) {
        return -1;
    }
    layout->forms[EV_TIMER_HANDLE].weak_list = state->timer_handle_type->tp_weaklistoffset;
    return 0;
}
