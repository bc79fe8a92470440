/* SPDX-License-Identifier: MIT */
/* Scheduling: the methods of a loop that make handles and queue them.
 *
 * Guarantees asyncio's argument errors, in asyncio's words and order. A `when` that is not a number
 * is refused here: the selector loop takes it and fails later, in the middle of its heap. NaN
 * compares with nothing, so it is refused too.
 */
#include "handle.h"

#include <math.h>

/* -- arguments --------------------------------------------------------------------------------- */

/* What all four share: one or two named arguments, *args, and the keyword `context`. */
typedef struct call_args {
    PyObject *named[2];
    PyObject *const *rest;
    size_t rest_count;
    PyObject *context; /* NULL: None or not given */
} call_args_t;

#define CALL_SOON(method)                                                                          \
    { "BaseEventLoop", method, {"callback"}, 1, 1, true, "context" }
#define CALL_TIMER(method, time)                                                                   \
    { "BaseEventLoop", method, {time, "callback"}, 2, 2, true, "context" }

static int parse_slowly(const ev_signature_t *signature, PyObject *const *args, Py_ssize_t nargs,
                        PyObject *keywords, call_args_t *out) {
    PyObject *values[EV_NAMES_MAX] = {NULL};
    if (ev_bind(signature, args, nargs, keywords, values) < 0) {
        return -1;
    }
    for (int i = 0; i < signature->count; i++) {
        out->named[i] = values[i];
    }
    PyObject *context = values[signature->count];
    out->context = context == Py_None ? NULL : context;
    return 0;
}

static inline int parse(ev_loop_t *self, const ev_signature_t *signature, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *keywords, call_args_t *out) {
    Py_ssize_t count = signature->count;
    out->context = NULL;
    out->rest = nargs > count ? args + count : NULL;
    out->rest_count = nargs > count ? (size_t)(nargs - count) : 0;
    if (nargs < count) {
        return parse_slowly(signature, args, nargs, keywords, out);
    }
    if (keywords != NULL) {
        /* What a done future calls: call_soon(callback, future, context=context). */
        if (PyTuple_GET_SIZE(keywords) != 1 ||
            PyTuple_GET_ITEM(keywords, 0) != self->state->str_context) {
            return parse_slowly(signature, args, nargs, keywords, out);
        }
        out->context = args[nargs] == Py_None ? NULL : args[nargs];
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        out->named[i] = args[i];
    }
    return 0;
}

/* -- checks ------------------------------------------------------------------------------------ */

static int check_debug(ev_loop_t *self, PyObject *callback, const char *method, bool check_thread) {
    if (check_thread) {
        PyObject *result = PyObject_CallMethod((PyObject *)self, "_check_thread", NULL);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    PyObject *result = PyObject_CallMethod((PyObject *)self, "_check_callback", "Os", callback,
                                           method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* -- at once ----------------------------------------------------------------------------------- */

/* Queues a new handle, which may be NULL, and passes it on. */
static inline PyObject *schedule(ev_loop_t *self, PyObject *handle) {
    if (handle != NULL && ev_handle_schedule(self, handle) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

static PyObject *call_soon(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *keywords) {
    ev_loop_t *self = (ev_loop_t *)op;
    static const ev_signature_t signature = CALL_SOON("call_soon");
    call_args_t call;
    if (parse(self, &signature, args, nargs, keywords, &call) < 0 ||
        ev_loop_check_closed(self) < 0 ||
        (self->debug && check_debug(self, call.named[0], "call_soon", true) < 0)) {
        return NULL;
    }
    PyObject *handle = ev_handle_new(self, call.named[0], call.rest, call.rest_count, call.context);
    return schedule(self, handle);
}

/* The private form, callback and a tuple of arguments, that asyncio's subclasses use. */
static PyObject *call_soon_private(PyObject *op, PyObject *args) {
    ev_loop_t *self = (ev_loop_t *)op;
    PyObject *callback, *tuple, *context;
    if (!PyArg_ParseTuple(args, "OO!O:_call_soon", &callback, &PyTuple_Type, &tuple, &context) ||
        ev_loop_check_closed(self) < 0) {
        return NULL;
    }
    PyObject *handle = ev_handle_new(self, callback, &PyTuple_GET_ITEM(tuple, 0),
                                     (size_t)PyTuple_GET_SIZE(tuple),
                                     context == Py_None ? NULL : context);
    return schedule(self, handle);
}

/* A handle that is not one of ours, or is queued twice: asyncio's own class, from code that is
 * borrowed from it. */
typedef struct foreign {
    el_ready_t ready;
    PyObject *handle;
} foreign_t;

static int run_foreign_handle(ev_loop_t *self, PyObject *handle) {
    PyObject *cancelled = PyObject_GetAttr(handle, self->state->str__cancelled);
    if (cancelled == NULL) {
        return -1;
    }
    int skip = PyObject_IsTrue(cancelled);
    Py_DECREF(cancelled);
    if (skip != 0) {
        return skip < 0 ? -1 : 0;
    }
    PyObject *result = self->debug ? PyObject_CallMethod(self->state->python, "run_handle", "OO",
                                                         (PyObject *)self, handle)
                                   : PyObject_CallMethodNoArgs(handle, self->state->str__run);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static void run_foreign(el_loop_t *el, el_ready_t *item) {
    foreign_t *foreign = (foreign_t *)item;
    PyObject *handle = foreign->handle;
    PyMem_Free(foreign);
    ev_loop_t *self = ev_loop_of(el);
    if (run_foreign_handle(self, handle) < 0) {
        ev_loop_exit(self);
    }
    Py_DECREF(handle);
}

static void drop_foreign(el_loop_t *el, el_ready_t *item) {
    (void)el;
    foreign_t *foreign = (foreign_t *)item;
    PyObject *handle = foreign->handle;
    PyMem_Free(foreign);
    Py_DECREF(handle);
}

static const el_ready_ops_t foreign_ops = {run_foreign, drop_foreign};

static int schedule_foreign(ev_loop_t *self, PyObject *handle) {
    foreign_t *foreign = PyMem_Malloc(sizeof *foreign);
    if (foreign == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    foreign->ready.ops = &foreign_ops;
    foreign->handle = Py_NewRef(handle);
    if (ev_loop_queue(self, &foreign->ready) < 0) {
        PyMem_Free(foreign);
        Py_DECREF(handle);
        return -1;
    }
    return 0;
}

/* From 3.14 on cancel() of what this returns waits for a callback that is running. */
static PyObject *call_soon_threadsafe(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *keywords) {
    ev_loop_t *self = (ev_loop_t *)op;
    static const ev_signature_t signature = CALL_SOON("call_soon_threadsafe");
    call_args_t call;
    if (parse(self, &signature, args, nargs, keywords, &call) < 0 ||
        ev_loop_check_closed(self) < 0 ||
        (self->debug && check_debug(self, call.named[0], "call_soon_threadsafe", false) < 0)) {
        return NULL;
    }
#if EV_HAS_THREADSAFE_HANDLE
    PyObject *handle = ev_safe_handle_new(self, call.named[0], call.rest, call.rest_count,
                                          call.context);
#else
    PyObject *handle = ev_handle_new(self, call.named[0], call.rest, call.rest_count, call.context);
#endif
    return schedule(self, handle);
}

/* -- later ------------------------------------------------------------------------------------- */

/* In nanoseconds, never earlier than `when` reads on loop.time(). */
static uint64_t deadline_of(double when) {
    if (when <= 0.0) {
        return 0;
    }
    if (when >= 1.8e10) { /* seconds: 570 years, almost the range of the clock */
        return EL_NEVER;
    }
    uint64_t deadline = (uint64_t)ceil(when * 1e9);
    while ((double)deadline / 1e9 < when) {
        deadline++;
    }
    return deadline;
}

static PyObject *start_timer(ev_loop_t *self, PyObject *when, const call_args_t *call,
                             PyObject *callback) {
    double seconds = PyFloat_AsDouble(when);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError, "a callback cannot be scheduled at time NaN");
        return NULL;
    }
    if (ev_loop_check_closed(self) < 0 ||
        (self->debug && check_debug(self, callback, "call_at", true) < 0)) {
        return NULL;
    }
    PyObject *handle = ev_timer_handle_new(self, when, callback, call->rest, call->rest_count,
                                           call->context);
    if (handle != NULL && ev_timer_handle_start(self, handle, deadline_of(seconds)) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

static PyObject *call_at(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *keywords) {
    ev_loop_t *self = (ev_loop_t *)op;
    static const ev_signature_t signature = CALL_TIMER("call_at", "when");
    call_args_t call;
    if (parse(self, &signature, args, nargs, keywords, &call) < 0) {
        return NULL;
    }
    if (call.named[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    return start_timer(self, call.named[0], &call, call.named[1]);
}

static PyObject *add_delay(PyObject *delay) {
    double now = (double)el_now_ns() / 1e9;
    if (PyFloat_CheckExact(delay)) {
        return PyFloat_FromDouble(now + PyFloat_AS_DOUBLE(delay));
    }
    PyObject *start = PyFloat_FromDouble(now);
    if (start == NULL) {
        return NULL;
    }
    PyObject *when = PyNumber_Add(start, delay);
    Py_DECREF(start);
    return when;
}

static PyObject *call_later(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                            PyObject *keywords) {
    ev_loop_t *self = (ev_loop_t *)op;
    static const ev_signature_t signature = CALL_TIMER("call_later", "delay");
    call_args_t call;
    if (parse(self, &signature, args, nargs, keywords, &call) < 0) {
        return NULL;
    }
    if (call.named[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    PyObject *when = add_delay(call.named[0]);
    if (when == NULL) {
        return NULL;
    }
    PyObject *handle = start_timer(self, when, &call, call.named[1]);
    Py_DECREF(when);
    return handle;
}

static PyObject *loop_time(PyObject *op, PyObject *unused) {
    (void)op;
    (void)unused;
    return PyFloat_FromDouble((double)el_now_ns() / 1e9);
}

/* -- for code that is borrowed from asyncio ---------------------------------------------------- */

static PyObject *add_callback(PyObject *op, PyObject *handle) {
    ev_loop_t *self = (ev_loop_t *)op;
    if (ev_loop_check_closed(self) < 0) {
        return NULL;
    }
    if (ev_is_handle(self->state, handle) && !ev_handle_tail(handle)->queued) {
        if (!ev_handle_is_cancelled(self, handle) && ev_handle_schedule(self, handle) < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    PyObject *cancelled = PyObject_GetAttr(handle, self->state->str__cancelled);
    if (cancelled == NULL) {
        return NULL;
    }
    int skip = PyObject_IsTrue(cancelled);
    Py_DECREF(cancelled);
    if (skip < 0 || (skip == 0 && schedule_foreign(self, handle) < 0)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *write_to_self(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_loop_t *self = (ev_loop_t *)op;
    if (self->initialised && self->generation == es_process_generation()) {
        el_loop_wake(&self->el);
    }
    Py_RETURN_NONE;
}

static PyObject *add_callback_signalsafe(PyObject *op, PyObject *handle) {
    PyObject *result = add_callback(op, handle);
    if (result != NULL) {
        Py_SETREF(result, write_to_self(op, NULL));
    }
    return result;
}

/* asyncio.TimerHandle.cancel() tells its loop; ours has told the engine already, a foreign one is
 * not in our heap. */
static PyObject *timer_handle_cancelled(PyObject *op, PyObject *handle) {
    (void)op;
    (void)handle;
    Py_RETURN_NONE;
}

/* -- what is queued ---------------------------------------------------------------------------- */

static PyObject *handle_of(const el_ready_t *item) {
    if (item->ops == &ev_handle_ready_ops || item->ops == &ev_safe_ready_ops) {
        return ((const ev_handle_tail_t *)item)->object;
    }
    if (item->ops == &ev_timer_ready_ops) {
        return ((const ev_timer_tail_t *)((const char *)item -
                                          offsetof(ev_timer_tail_t, timer.ready)))
            ->common.object;
    }
    if (item->ops == &foreign_ops) {
        return ((const foreign_t *)item)->handle;
    }
    return NULL; /* a transport's end, or the engine's own */
}

PyObject *ev_schedule_ready(ev_loop_t *self) {
    PyObject *list = PyList_New(0);
    el_loop_collect(&self->el);
    for (el_ready_t *item = self->el.ready.first; list != NULL && item != NULL; item = item->next) {
        PyObject *handle = handle_of(item);
        if (handle != NULL && PyList_Append(list, handle) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static int append_timer(el_timer_t *timer, void *list) {
    PyObject *handle = handle_of(&timer->ready);
    return handle == NULL ? 0 : PyList_Append(list, handle);
}

PyObject *ev_schedule_timers(ev_loop_t *self) {
    PyObject *list = PyList_New(0);
    if (list != NULL && el_timer_each(&self->el, append_timer, list) != 0) {
        Py_CLEAR(list);
    }
    return list;
}

typedef struct visit_args {
    visitproc visit;
    void *arg;
} visit_args_t;

static int visit_timer(el_timer_t *timer, void *ctx) {
    visit_args_t *args = ctx;
    PyObject *handle = handle_of(&timer->ready);
    return handle == NULL ? 0 : args->visit(handle, args->arg);
}

int ev_schedule_traverse(ev_loop_t *self, visitproc visit, void *arg) {
    for (el_ready_t *item = self->el.ready.first; item != NULL; item = item->next) {
        Py_VISIT(handle_of(item));
    }
    for (const el_ready_t *item = el_loop_posted(&self->el); item != NULL; item = item->next) {
        Py_VISIT(handle_of(item));
    }
    visit_args_t args = {visit, arg};
    return el_timer_each(&self->el, visit_timer, &args);
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

PyMethodDef ev_loop_schedule_methods[] = {
    {"call_soon", FAST(call_soon), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_soon($self, callback, *args, context=None)\n--\n\n"
               "Call callback(*args) in the next turn of the loop; returns a Handle.")},
    {"call_soon_threadsafe", FAST(call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
               "Like call_soon(), from any thread; a waiting loop wakes up.")},
    {"call_later", FAST(call_later), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_later($self, delay, callback, *args, context=None)\n--\n\n"
               "Call callback(*args) after `delay` seconds, never sooner; returns a TimerHandle.")},
    {"call_at", FAST(call_at), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("call_at($self, when, callback, *args, context=None)\n--\n\n"
               "Call callback(*args) at `when` on the clock of time(), never sooner; returns a "
               "TimerHandle.")},
    {"time", loop_time, METH_NOARGS,
     PyDoc_STR("time($self)\n--\n\nThe loop's clock: seconds, monotonic, to the nanosecond.")},
    {"_call_soon", call_soon_private, METH_VARARGS, NULL},
    {"_add_callback", add_callback, METH_O, NULL},
    {"_add_callback_signalsafe", add_callback_signalsafe, METH_O, NULL},
    {"_write_to_self", write_to_self, METH_NOARGS, NULL},
    {"_timer_handle_cancelled", timer_handle_cancelled, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
