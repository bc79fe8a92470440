/* SPDX-License-Identifier: MIT */
/* Handle: what call_soon returns. An asyncio.Handle in every respect, made and run without a line
 * of Python.
 *
 * Guarantees: isinstance(handle, asyncio.Handle); the slots of the base hold what asyncio's own
 * code puts there, but for up to three arguments, which stay in the tail until somebody reads
 * `_args`. A handle runs at most once per queueing. What would break it: an asyncio.Handle without
 * slots. The layout is read from the class, and its absence is an ImportError.
 */
#include "handle.h"

#include <string.h>

/* -- the layout -------------------------------------------------------------------------------- */

Py_ssize_t ev_layout_find(PyTypeObject *type, const char *name) {
    for (PyMemberDef *member = type->tp_members; member != NULL && member->name != NULL; member++) {
        if (strcmp(member->name, name) == 0 && member->type == Py_T_OBJECT_EX) {
            return member->offset;
        }
    }
    PyErr_Format(PyExc_ImportError,
                 "this Python's %s has no slot %s: evenloop does not know this version of asyncio",
                 type->tp_name, name);
    return -1;
}

int ev_layout_read(ev_handle_layout_t *layout, ev_handle_kind_t kind, PyTypeObject *type) {
    ev_handle_form_t *form = &layout->forms[kind];
    *form = layout->forms[EV_HANDLE];
    for (PyMemberDef *member = type->tp_members; member != NULL && member->name != NULL; member++) {
        if (form->slot_count == EV_SLOTS_MAX) {
            PyErr_Format(PyExc_ImportError, "this Python's %s has too many slots", type->tp_name);
            return -1;
        }
        form->slots[form->slot_count++] = member->offset;
    }
    form->free.count_max = EV_FREE_LIST_MAX;
    return 0;
}

static int read_handle_layout(ev_handle_layout_t *layout, PyTypeObject *base) {
    struct {
        const char *name;
        Py_ssize_t *offset;
    } wanted[] = {
        {"_callback", &layout->callback},
        {"_args", &layout->args},
        {"_cancelled", &layout->cancelled},
        {"_loop", &layout->loop},
        {"_source_traceback", &layout->source_traceback},
        {"_repr", &layout->repr},
        {"_context", &layout->context},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        *wanted[i].offset = ev_layout_find(base, wanted[i].name);
        if (*wanted[i].offset < 0) {
            return -1;
        }
    }
    return ev_layout_read(layout, EV_HANDLE, base);
}

/* -- life -------------------------------------------------------------------------------------- */

PyObject *ev_handle_alloc(ev_handle_layout_t *layout, PyTypeObject *type, ev_handle_kind_t kind) {
    ev_free_list_t *list = &layout->forms[kind].free;
    PyObject *handle = list->first;
    if (handle == NULL) {
        handle = type->tp_alloc(type, 0);
        if (handle == NULL) {
            return NULL;
        }
        PyObject_GC_UnTrack(handle);
        ev_handle_tail_t *tail = ev_handle_tail(handle);
        tail->object = handle;
        tail->layout = layout;
        tail->kind = (uint8_t)kind;
    } else {
        list->first = *ev_slot(handle, layout->callback);
        list->count--;
        *ev_slot(handle, layout->callback) = NULL;
        (void)PyObject_Init(handle, type);
    }
    layout->use_count++;
    return handle;
}

static int trace_source(ev_loop_t *loop, PyObject *handle) {
    PyObject *traceback = PyObject_CallMethod(loop->state->asyncio_helpers, "extract_stack", NULL);
    if (traceback == NULL) {
        return -1;
    }
    Py_XSETREF(*ev_slot(handle, loop->state->handle_layout->source_traceback), traceback);
    return 0;
}

static int fill_args(ev_handle_layout_t *layout, PyObject *handle, ev_handle_tail_t *tail,
                     PyObject *const *args, size_t nargs) {
    tail->arg_count = 0;
    if (nargs <= EV_INLINE_ARGS) {
        for (size_t i = 0; i < nargs; i++) {
            tail->args[i] = Py_NewRef(args[i]);
        }
        tail->arg_count = (uint8_t)nargs;
        return 0;
    }
    PyObject *tuple = PyTuple_New((Py_ssize_t)nargs);
    if (tuple == NULL) {
        return -1;
    }
    for (size_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, Py_NewRef(args[i]));
    }
    *ev_slot(handle, layout->args) = tuple;
    return 0;
}

int ev_handle_fill(ev_loop_t *loop, PyObject *handle, PyObject *callback, PyObject *const *args,
                   size_t nargs, PyObject *context) {
    ev_handle_layout_t *layout = loop->state->handle_layout;
    ev_handle_tail_t *tail = ev_handle_tail(handle);
    tail->queued = false;
    *ev_slot(handle, layout->loop) = Py_NewRef((PyObject *)loop);
    *ev_slot(handle, layout->callback) = Py_NewRef(callback);
    *ev_slot(handle, layout->cancelled) = Py_NewRef(Py_False);
    *ev_slot(handle, layout->repr) = Py_NewRef(Py_None);
    *ev_slot(handle, layout->source_traceback) = Py_NewRef(Py_None);
    context = context != NULL ? Py_NewRef(context) : PyContext_CopyCurrent();
    *ev_slot(handle, layout->context) = context;
    int failed = fill_args(layout, handle, tail, args, nargs);
    PyObject_GC_Track(handle);
    if (failed < 0 || context == NULL || (loop->debug && trace_source(loop, handle) < 0)) {
        Py_DECREF(handle);
        return -1;
    }
    return 0;
}

PyObject *ev_handle_new(ev_loop_t *loop, PyObject *callback, PyObject *const *args, size_t nargs,
                        PyObject *context) {
    ev_handle_layout_t *layout = loop->state->handle_layout;
    PyObject *handle = ev_handle_alloc(layout, loop->state->handle_type, EV_HANDLE);
    if (handle == NULL) {
        return NULL;
    }
    return ev_handle_fill(loop, handle, callback, args, nargs, context) < 0 ? NULL : handle;
}

int ev_handle_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    ev_handle_tail_t *tail = ev_handle_tail(self);
    const ev_handle_form_t *form = &tail->layout->forms[tail->kind];
    for (size_t i = 0; i < form->slot_count; i++) {
        Py_VISIT(*ev_slot(self, form->slots[i]));
    }
    for (size_t i = 0; i < tail->arg_count; i++) {
        Py_VISIT(tail->args[i]);
    }
    return 0;
}

static void clear_args(ev_handle_tail_t *tail) {
    size_t count = tail->arg_count;
    tail->arg_count = 0;
    for (size_t i = 0; i < count; i++) {
        Py_CLEAR(tail->args[i]);
    }
}

static void release_layout(ev_handle_layout_t *layout) {
    if (--layout->use_count == 0) {
        PyMem_Free(layout);
    }
}

int ev_handle_clear(PyObject *self) {
    ev_handle_tail_t *tail = ev_handle_tail(self);
    const ev_handle_form_t *form = &tail->layout->forms[tail->kind];
    for (size_t i = 0; i < form->slot_count; i++) {
        Py_CLEAR(*ev_slot(self, form->slots[i]));
    }
    clear_args(tail);
    return 0;
}

void ev_handle_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ev_handle_tail_t *tail = ev_handle_tail(self);
    ev_handle_layout_t *layout = tail->layout;
    ev_handle_form_t *form = &layout->forms[tail->kind];
    PyObject_GC_UnTrack(self);
    if (form->weak_list != 0 && *ev_slot(self, form->weak_list) != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    ev_handle_clear(self);
    if (EV_HAS_THREADSAFE_HANDLE && tail->kind == EV_SAFE_HANDLE) {
        ev_safe_handle_reset(self);
    }
    ev_free_list_t *list = &form->free;
    if (list->count < list->count_max) {
        *ev_slot(self, layout->callback) = list->first;
        list->first = self;
        list->count++;
    } else {
        PyObject_GC_Del(self);
    }
    Py_DECREF(type);
    release_layout(layout);
}

static void drain(ev_free_list_t *list, Py_ssize_t callback_slot) {
    list->count_max = 0;
    list->count = 0;
    while (list->first != NULL) {
        PyObject *handle = list->first;
        list->first = *ev_slot(handle, callback_slot);
        PyObject_GC_Del(handle);
    }
}

void ev_handle_types_clear(ev_state_t *state) {
    ev_handle_layout_t *layout = state->handle_layout;
    for (int kind = 0; layout != NULL && kind < EV_HANDLE_KINDS; kind++) {
        drain(&layout->forms[kind].free, layout->callback);
    }
}

void ev_handle_layout_release(ev_state_t *state) {
    ev_handle_layout_t *layout = state->handle_layout;
    state->handle_layout = NULL;
    if (layout != NULL) {
        release_layout(layout);
    }
}

/* -- running ----------------------------------------------------------------------------------- */

/* What a run of a handle needs. The callback may cancel its own handle, which lets go of callback
 * and arguments, and another thread may at any time: the call holds them. */
typedef struct call {
    PyObject *context; /* held by the interpreter while it is entered */
    PyObject *callback;
    PyObject *many; /* the arguments as a tuple; NULL: they are on the stack */
    size_t count;
    PyObject *stack[1 + EV_INLINE_ARGS]; /* the first is the vectorcall's to use */
} call_t;

static void take_call(ev_handle_layout_t *layout, PyObject *handle, call_t *call) {
    ev_handle_tail_t *tail = ev_handle_tail(handle);
    call->context = *ev_slot(handle, layout->context);
#if EV_FREE_THREADED
    Py_XINCREF(call->context);
#endif
    call->callback = Py_XNewRef(*ev_slot(handle, layout->callback));
    PyObject *stored = *ev_slot(handle, layout->args);
    call->many = stored != NULL && PyTuple_Check(stored) ? Py_NewRef(stored) : NULL;
    call->count = call->many == NULL ? tail->arg_count : 0;
    for (size_t i = 0; i < call->count; i++) {
        call->stack[1 + i] = Py_NewRef(tail->args[i]);
    }
}

static void release_call(call_t *call) {
    for (size_t i = 0; i < call->count; i++) {
        Py_DECREF(call->stack[1 + i]);
    }
    Py_XDECREF(call->many);
    Py_XDECREF(call->callback);
#if EV_FREE_THREADED
    Py_XDECREF(call->context);
#endif
}

static PyObject *run_call(ev_loop_t *loop, call_t *call) {
    if (call->callback == NULL || call->context == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the handle's callback or context was deleted");
        return NULL;
    }
    if (PyContext_Enter(call->context) < 0) {
        return NULL;
    }
    bool owns = ev_owns(loop); /* else a _run() by hand in a foreign thread */
    loop->depth += owns;
    PyObject *result = call->many != NULL
                           ? PyObject_Call(call->callback, call->many, NULL)
                           : PyObject_Vectorcall(call->callback, call->stack + 1,
                                                 call->count | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                                 NULL);
    loop->depth -= owns;
    if (PyContext_Exit(call->context) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

PyObject *ev_handle_call(ev_loop_t *loop, PyObject *handle) {
    call_t call;
    Py_BEGIN_CRITICAL_SECTION(handle);
    take_call(loop->state->handle_layout, handle, &call);
    Py_END_CRITICAL_SECTION();
    PyObject *result = run_call(loop, &call);
    release_call(&call);
    return result;
}

/* After ev_loop_take_exit: tells the exception handler what asyncio's Handle._run would. -1: the
 * handler raised. */
static int report_callback(ev_loop_t *loop, PyObject *handle) {
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *handled = PyErr_GetHandledException();
    PyErr_SetHandledException(
        exception); /* the handler may look at sys.exc_info(), as in an except block */
    PyObject *result = PyObject_CallMethod(loop->state->python, "callback_failed", "OOO",
                                           (PyObject *)loop, handle, exception);
    PyErr_SetHandledException(handled);
    Py_XDECREF(handled);
    Py_DECREF(exception);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static void run_plain(ev_loop_t *loop, PyObject *handle) {
    PyObject *result = ev_handle_call(loop, handle);
    if (result != NULL) {
        Py_DECREF(result);
        return;
    }
    if (!ev_loop_take_exit(loop) && report_callback(loop, handle) < 0) {
        ev_loop_exit(loop);
    }
}

/* Debug mode: default_exception_handler looks at _current_handle, and a slow callback is logged. */
static void run_watched(ev_loop_t *loop, PyObject *handle) {
    ev_state_t *state = loop->state;
    if (PyObject_SetAttr((PyObject *)loop, state->str__current_handle, handle) < 0) {
        ev_loop_exit(loop);
        return;
    }
    uint64_t began = el_now_ns();
    run_plain(loop, handle);
    double seconds = (double)(el_now_ns() - began) / 1e9;
    PyObject *exception = PyErr_GetRaisedException();
    PyObject *result = PyObject_CallMethod(state->python, "callback_ran", "OOd", (PyObject *)loop,
                                           handle, seconds);
    if (result == NULL) {
        ev_loop_exit(loop);
    }
    Py_XDECREF(result);
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
    }
    if (PyObject_SetAttr((PyObject *)loop, state->str__current_handle, Py_None) < 0) {
        ev_loop_exit(loop);
    }
}

bool ev_handle_is_cancelled(ev_loop_t *loop, PyObject *handle) {
    (void)loop;
    PyObject *cancelled = ev_slot_peek(ev_slot(handle, ev_handle_tail(handle)->layout->cancelled));
    return cancelled != Py_False && cancelled != NULL;
}

void ev_handle_run(ev_loop_t *loop, PyObject *handle) {
    if (ev_handle_is_cancelled(loop, handle)) {
        return;
    }
    if (loop->debug) {
        run_watched(loop, handle);
    } else {
        run_plain(loop, handle);
    }
}

static void run_item(el_loop_t *el, el_ready_t *item) {
    ev_handle_tail_t *tail = (ev_handle_tail_t *)item;
    PyObject *handle = tail->object;
    tail->queued = false;
    ev_handle_run(ev_loop_of(el), handle);
    Py_DECREF(handle);
}

static void drop_item(el_loop_t *el, el_ready_t *item) {
    (void)el;
    ev_handle_tail_t *tail = (ev_handle_tail_t *)item;
    tail->queued = false;
    Py_DECREF(tail->object);
}

const el_ready_ops_t ev_handle_ready_ops = {run_item, drop_item};

int ev_handle_schedule(ev_loop_t *loop, PyObject *handle) {
    ev_handle_tail_t *tail = ev_handle_tail(handle);
    tail->queued = true;
    tail->ready.ops = EV_HAS_THREADSAFE_HANDLE && tail->kind == EV_SAFE_HANDLE
                          ? &ev_safe_ready_ops
                          : &ev_handle_ready_ops;
    Py_INCREF(handle);
    if (ev_loop_queue(loop, &tail->ready) < 0) {
        tail->queued = false;
        Py_DECREF(handle);
        return -1;
    }
    return 0;
}

/* -- the Python side --------------------------------------------------------------------------- */

PyObject *ev_handle_read(PyObject *self, Py_ssize_t offset) {
    PyObject *value;
    (void)self;
    Py_BEGIN_CRITICAL_SECTION(self);
    value = Py_XNewRef(*ev_slot(self, offset));
    Py_END_CRITICAL_SECTION();
    return value;
}

/* Empties callback and arguments, and keeps what "Executing <Handle ...> took" will show: `text`, or
 * NULL. The handle keeps no reference of it. */
static void forget_call(PyObject *handle, PyObject *text) {
    ev_handle_tail_t *tail = ev_handle_tail(handle);
    ev_handle_layout_t *layout = tail->layout;
    PyObject *old[3 + EV_INLINE_ARGS] = {NULL};
    Py_BEGIN_CRITICAL_SECTION(handle);
    if (text != NULL) {
        old[0] = ev_slot_swap(ev_slot(handle, layout->repr), text);
    }
    old[1] = ev_slot_swap(ev_slot(handle, layout->callback), Py_NewRef(Py_None));
    old[2] = ev_slot_swap(ev_slot(handle, layout->args), Py_NewRef(Py_None));
    for (size_t i = 0; i < tail->arg_count; i++) {
        old[3 + i] = tail->args[i];
        tail->args[i] = NULL;
    }
    tail->arg_count = 0;
    Py_END_CRITICAL_SECTION();
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        Py_XDECREF(old[i]);
    }
}

int ev_handle_cancel(ev_loop_t *loop, PyObject *handle) {
    ev_handle_tail_t *tail = ev_handle_tail(handle);
    if (ev_handle_is_cancelled(loop, handle)) {
        return 0;
    }
    if (tail->kind == EV_TIMER_HANDLE && loop->initialised) {
        /* Cancelled from another thread, it stays in the heap until it is due. */
        ev_ownership_t ownership = ev_own(loop);
        if (ownership != EV_REFUSED) {
            el_timer_cancel(&loop->el, &ev_timer_tail(handle)->timer);
            ev_disown(loop, ownership);
        }
    }
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(handle);
    old = ev_slot_swap(ev_slot(handle, tail->layout->cancelled), Py_NewRef(Py_True));
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    PyObject *text = NULL;
    if (loop->debug) {
        text = PyObject_Repr(handle);
        if (text == NULL) {
            return -1;
        }
    }
    forget_call(handle, text);
    return 0;
}

/* New reference. */
static ev_loop_t *loop_of_handle(PyObject *self) {
    PyObject *loop = ev_handle_read(self, ev_handle_tail(self)->layout->loop);
    if (loop == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_loop");
    }
    return (ev_loop_t *)loop;
}

PyObject *ev_handle_cancel_method(PyObject *self, PyObject *unused) {
    (void)unused;
    ev_loop_t *loop = loop_of_handle(self);
    int failed = loop == NULL ? -1 : ev_handle_cancel(loop, self);
    Py_XDECREF(loop);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *ev_handle_cancelled_method(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *cancelled = ev_handle_read(self, ev_handle_tail(self)->layout->cancelled);
    return cancelled != NULL ? cancelled : Py_NewRef(Py_False);
}

PyObject *ev_handle_run_method(PyObject *self, PyObject *unused) {
    (void)unused;
    ev_loop_t *loop = loop_of_handle(self);
    if (loop == NULL) {
        return NULL;
    }
    PyObject *result = ev_handle_call(loop, self);
    bool failed = result == NULL && (PyErr_ExceptionMatches(PyExc_SystemExit) ||
                                     PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ||
                                     report_callback(loop, self) < 0);
    Py_XDECREF(result);
    Py_DECREF(loop);
    return failed ? NULL : Py_NewRef(Py_None);
}

PyObject *ev_handle_get_context_method(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *context = ev_handle_read(self, ev_handle_tail(self)->layout->context);
    return context != NULL ? context : Py_NewRef(Py_None);
}

static PyObject *args_of(PyObject *self) {
    ev_handle_tail_t *tail = ev_handle_tail(self);
    PyObject *stored = *ev_slot(self, tail->layout->args);
    if (stored != NULL) {
        return Py_NewRef(stored);
    }
    PyObject *tuple = PyTuple_New(tail->arg_count);
    for (Py_ssize_t i = 0; tuple != NULL && i < tail->arg_count; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(tail->args[i]));
    }
    return tuple;
}

PyObject *ev_handle_get_args(PyObject *self, void *closure) {
    PyObject *args;
    (void)closure;
    Py_BEGIN_CRITICAL_SECTION(self);
    args = args_of(self);
    Py_END_CRITICAL_SECTION();
    return args;
}

int ev_handle_set_args(PyObject *self, PyObject *value, void *closure) {
    (void)closure;
    if (value == NULL || (value != Py_None && !PyTuple_Check(value))) {
        PyErr_SetString(PyExc_TypeError, "_args must be a tuple or None");
        return -1;
    }
    ev_handle_tail_t *tail = ev_handle_tail(self);
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = ev_slot_swap(ev_slot(self, tail->layout->args), Py_NewRef(value));
    clear_args(tail);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    return 0;
}

PyObject *ev_handle_get_loop(PyObject *self, void *closure) {
    (void)closure;
    return (PyObject *)loop_of_handle(self);
}

static PyMethodDef handle_methods[] = {
    {"cancel", ev_handle_cancel_method, METH_NOARGS,
     PyDoc_STR("cancel($self)\n--\n\nDo not call the callback any more.")},
    {"cancelled", ev_handle_cancelled_method, METH_NOARGS,
     PyDoc_STR("cancelled($self)\n--\n\nWhether cancel() was called.")},
    {"get_context", ev_handle_get_context_method, METH_NOARGS,
     PyDoc_STR("get_context($self)\n--\n\nThe context that the callback runs in.")},
    {"_run", ev_handle_run_method, METH_NOARGS,
     PyDoc_STR("_run($self)\n--\n\nCall the callback now.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef handle_attributes[] = {
    {"_args", ev_handle_get_args, ev_handle_set_args, NULL, NULL},
    {"_loop", ev_handle_get_loop, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, PyDoc_STR("A callback that a loop will call: what call_soon() returns.")},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_attributes},
    {Py_tp_traverse, ev_handle_traverse},
    {Py_tp_clear, ev_handle_clear},
    {Py_tp_dealloc, ev_handle_dealloc},
    {0, NULL},
};

int ev_handle_types_init(ev_state_t *state) {
    PyTypeObject *base = (PyTypeObject *)state->asyncio_handle;
    ev_handle_layout_t *layout = PyMem_Calloc(1, sizeof *layout);
    if (layout == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    state->handle_layout = layout;
    layout->use_count = 1;
    if (read_handle_layout(layout, base) < 0) {
        return -1;
    }
    PyType_Spec spec = {
        .name = "evenloop._core.Handle",
        .basicsize = (int)(base->tp_basicsize + (Py_ssize_t)sizeof(ev_handle_tail_t)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = handle_slots,
    };
    state->handle_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &spec,
                                                                  state->asyncio_handle);
    if (state->handle_type == NULL) {
        return -1;
    }
    layout->forms[EV_HANDLE].weak_list = state->handle_type->tp_weaklistoffset;
    return ev_timer_handle_type_init(state) < 0 ? -1 : ev_safe_handle_type_init(state);
}
