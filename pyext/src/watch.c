/* SPDX-License-Identifier: MIT */
/* Readers and writers: add_reader() and its kin, on the engine's watchers.
 *
 * A watch is one slot, reading or writing, of one descriptor, and the handle that runs when it is
 * ready. The loop owns its watches, so the garbage collector finds the handles through it. Each
 * watch holds one el_poll_open. A descriptor that belongs to a transport is refused, as asyncio
 * does, so that nobody reads another's bytes.
 */
#include "sock_op.h"

typedef struct ev_watch {
    struct ev_watch *next;
    struct ev_watch **link;
    ev_loop_t *loop;
    el_poll_t *poll;
    el_direction_t direction;
    PyObject *handle;
    PyObject *fileobj; /* what was given, if it was no int: a closed socket is still known by it */
} ev_watch_t;

static void on_ready(el_poll_t *poll, void *ctx);

static ev_watch_t *watch_of(el_poll_t *poll, el_direction_t direction) {
    void *ctx = NULL;
    return poll != NULL && el_poll_get(poll, direction, &ctx) == on_ready ? ctx : NULL;
}

/* Ends a watch and lets go of it. The handle is the caller's: a new reference. */
static PyObject *end_watch(ev_watch_t *watch) {
    *watch->link = watch->next;
    if (watch->next != NULL) {
        watch->next->link = watch->link;
    }
    el_poll_clear(watch->poll, watch->direction);
    el_poll_close(watch->poll);
    PyObject *handle = watch->handle;
    PyObject *fileobj = watch->fileobj;
    PyMem_Free(watch);
    Py_XDECREF(fileobj);
    return handle;
}

/* The descriptor was closed, and its number is another's by now. */
static void end_orphan(ev_watch_t *watch) {
    ev_loop_t *self = watch->loop;
    PyObject *handle = end_watch(watch);
    if (ev_handle_cancel(self, handle) < 0) {
        PyErr_WriteUnraisable(handle);
    }
    Py_DECREF(handle);
}

static void on_ready(el_poll_t *poll, void *ctx) {
    ev_watch_t *watch = ctx;
    if (el_poll_fd(poll) == ES_SOCK_INVALID) {
        end_orphan(watch);
        return;
    }
    ev_loop_t *self = watch->loop;
    PyObject *handle = Py_NewRef(watch->handle);
    if (ev_handle_is_cancelled(self, handle)) {
        Py_DECREF(
            end_watch(watch)); /* its owner called handle.cancel() in place of remove_reader() */
    } else {
        ev_handle_run(self, handle);
    }
    Py_DECREF(handle);
}

int ev_watch_traverse(ev_loop_t *self, visitproc visit, void *arg) {
    for (ev_watch_t *watch = self->watches; watch != NULL; watch = watch->next) {
        Py_VISIT(watch->handle);
        Py_VISIT(watch->fileobj);
    }
    return 0;
}

void ev_watch_clear(ev_loop_t *self) {
    while (self->watches != NULL) {
        Py_DECREF(end_watch(self->watches));
    }
}

/* -- add --------------------------------------------------------------------------------------- */

static int open_watch(ev_loop_t *self, es_sock_t fd, PyObject *fileobj, el_direction_t direction,
                      PyObject *handle) {
    ev_watch_t *watch = PyMem_Calloc(1, sizeof *watch);
    if (watch == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int code = el_poll_open(&self->el, fd, &watch->poll);
    if (code != 0) {
        PyMem_Free(watch);
        (void)ev_error_set(self->state, code);
        return -1;
    }
    watch->loop = self;
    watch->direction = direction;
    watch->handle = Py_NewRef(handle);
    watch->fileobj = PyLong_CheckExact(fileobj) ? NULL : Py_NewRef(fileobj);
    watch->next = self->watches;
    if (watch->next != NULL) {
        watch->next->link = &watch->next;
    }
    watch->link = &self->watches;
    self->watches = watch;
    el_poll_set(watch->poll, direction, on_ready, watch);
    return 0;
}

/* One of the four methods that add, with the arguments that a call gave it. */
typedef struct addition {
    PyObject *values[EV_NAMES_MAX]; /* the descriptor, the callback, the context or NULL */
    PyObject *const *rest;
    size_t rest_count;
} addition_t;

/* A new reference to the handle of callback(*args), in the given context or a copy of the caller's. */
static PyObject *add(ev_loop_t *self, el_direction_t direction, const addition_t *addition) {
    PyObject *fileobj = addition->values[0], *context = addition->values[2];
    es_sock_t fd;
    if (ev_loop_check_closed(self) < 0) {
        return NULL;
    }
    PyObject *handle = ev_handle_new(self, addition->values[1], addition->rest,
                                     addition->rest_count, context == Py_None ? NULL : context);
    if (handle == NULL || ev_fileno(self->state, fileobj, &fd) < 0) {
        Py_XDECREF(handle);
        return NULL;
    }
    ev_watch_t *watch = watch_of(el_poll_find(&self->el, fd), direction);
    if (watch == NULL) {
        if (open_watch(self, fd, fileobj, direction, handle) < 0) {
            Py_CLEAR(handle);
        }
        return handle;
    }
    el_poll_renew(watch->poll);
    PyObject *replaced = watch->handle;
    watch->handle = Py_NewRef(handle);
    Py_XSETREF(watch->fileobj, PyLong_CheckExact(fileobj) ? NULL : Py_NewRef(fileobj));
    if (ev_handle_cancel(self, replaced) < 0) {
        Py_CLEAR(handle);
    }
    Py_DECREF(replaced);
    return handle;
}

/* -- whose descriptor it is -------------------------------------------------------------------- */

static int refuse_transport(PyObject *fileobj, PyObject *transport) {
    PyErr_Format(PyExc_RuntimeError, "File descriptor %R is used by transport %R", fileobj,
                 transport);
    return -1;
}

/* A transport in Python (datagrams, pipes) that registered itself in loop._transports. */
static int check_python_transport(ev_loop_t *self, PyObject *fileobj, es_sock_t fd) {
    PyObject *number = PyLong_FromSsize_t((Py_ssize_t)fd);
    if (number == NULL) {
        return -1;
    }
    PyObject *transport = PyObject_CallMethodOneArg(self->transports, self->state->str_get, number);
    Py_DECREF(number);
    if (transport == NULL || transport == Py_None) {
        Py_XDECREF(transport);
        return transport == NULL ? -1 : 0;
    }
    PyObject *closing = PyObject_CallMethodNoArgs(transport, self->state->str_is_closing);
    int used = closing == NULL ? -1 : !PyObject_IsTrue(closing);
    Py_XDECREF(closing);
    if (used > 0) {
        used = refuse_transport(fileobj, transport);
    }
    Py_DECREF(transport);
    return used;
}

static int ensure_no_transport(ev_loop_t *self, PyObject *fileobj) {
    Py_ssize_t number;
    if (ev_fileno_signed(self->state, fileobj, &number) < 0) {
        return -1;
    }
    if (number < 0) {
        return 0; /* a closed socket: nobody's */
    }
    es_sock_t fd = (es_sock_t)number;
    el_poll_t *poll = self->initialised ? el_poll_find(&self->el, fd) : NULL;
    void *owner = poll == NULL ? NULL : el_poll_owner(poll);
    if (owner != NULL) {
        return refuse_transport(fileobj, owner);
    }
    return self->transports == NULL ? 0 : check_python_transport(self, fileobj, fd);
}

/* -- remove ------------------------------------------------------------------------------------ */

/* As selectors does: an object whose fileno() no longer tells is looked for by identity. */
static ev_watch_t *find_by_object(ev_loop_t *self, PyObject *fileobj, el_direction_t direction) {
    for (ev_watch_t *watch = self->watches; watch != NULL; watch = watch->next) {
        if (watch->fileobj == fileobj && watch->direction == direction) {
            return watch;
        }
    }
    return NULL;
}

static PyObject *remove_watch(ev_loop_t *self, el_direction_t direction, PyObject *fileobj) {
    es_sock_t fd;
    if (self->closed || !self->initialised) {
        Py_RETURN_FALSE;
    }
    ev_watch_t *watch;
    if (ev_fileno(self->state, fileobj, &fd) < 0) {
        watch = find_by_object(self, fileobj, direction);
        /* A number that no descriptor can have is not watched; anything else is a mistake. */
        if (watch == NULL && !PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return NULL;
        }
        PyErr_Clear();
    } else {
        el_poll_t *poll = el_poll_find(&self->el, fd);
        watch = watch_of(poll, direction);
        if (watch == NULL && poll != NULL && ev_sock_op_evict(poll, direction)) {
            Py_RETURN_TRUE; /* in asyncio a sock_ operation waits through a reader like any other */
        }
    }
    if (watch == NULL) {
        Py_RETURN_FALSE;
    }
    PyObject *handle = end_watch(watch);
    int failed = ev_handle_cancel(self, handle);
    Py_DECREF(handle);
    if (failed < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

/* -- methods ----------------------------------------------------------------------------------- */

#define ADD_SIGNATURE(method, keyword)                                                             \
    { "BaseSelectorEventLoop", method, {"fd", "callback"}, 2, 2, true, keyword }
#define FD_SIGNATURE(method)                                                                       \
    { "BaseSelectorEventLoop", method, {"fd"}, 1, 1, false, NULL }

static int parse_addition(const ev_signature_t *signature, PyObject *const *args, Py_ssize_t nargs,
                          PyObject *keywords, addition_t *out) {
    out->values[2] = NULL;
    out->rest = nargs > 2 ? args + 2 : NULL;
    out->rest_count = nargs > 2 ? (size_t)(nargs - 2) : 0;
    return ev_bind(signature, args, nargs, keywords, out->values);
}

static PyObject *public_add(PyObject *op, const ev_signature_t *signature, el_direction_t direction,
                            PyObject *const *args, Py_ssize_t nargs, PyObject *keywords) {
    ev_loop_t *self = (ev_loop_t *)op;
    addition_t addition;
    if (parse_addition(signature, args, nargs, keywords, &addition) < 0 ||
        ensure_no_transport(self, addition.values[0]) < 0) {
        return NULL;
    }
    PyObject *handle = add(self, direction, &addition);
    if (handle == NULL) {
        return NULL;
    }
    Py_DECREF(handle); /* the public methods return None */
    Py_RETURN_NONE;
}

/* What transports call; from 3.15 on they bring the context of their connection (gh-140947). */
static PyObject *private_add(PyObject *op, const ev_signature_t *signature,
                             el_direction_t direction, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *keywords) {
    addition_t addition;
    if (parse_addition(signature, args, nargs, keywords, &addition) < 0) {
        return NULL;
    }
    return add((ev_loop_t *)op, direction, &addition);
}

static PyObject *remove_fd(PyObject *op, const ev_signature_t *signature, el_direction_t direction,
                           PyObject *const *args, Py_ssize_t nargs, PyObject *keywords,
                           bool checked) {
    PyObject *fileobj = ev_bind_one(signature, args, nargs, keywords);
    if (fileobj == NULL || (checked && ensure_no_transport((ev_loop_t *)op, fileobj) < 0)) {
        return NULL;
    }
    return remove_watch((ev_loop_t *)op, direction, fileobj);
}

#define ADD_METHOD(name, how, text, keyword, direction)                                            \
    static PyObject *name(PyObject *op, PyObject *const *args, Py_ssize_t nargs,                   \
                          PyObject *keywords) {                                                    \
        static const ev_signature_t signature = ADD_SIGNATURE(text, keyword);                      \
        return how(op, &signature, direction, args, nargs, keywords);                              \
    }
#define REMOVE_METHOD(name, text, checked, direction)                                              \
    static PyObject *name(PyObject *op, PyObject *const *args, Py_ssize_t nargs,                   \
                          PyObject *keywords) {                                                    \
        static const ev_signature_t signature = FD_SIGNATURE(text);                                \
        return remove_fd(op, &signature, direction, args, nargs, keywords, checked);               \
    }

ADD_METHOD(add_reader, public_add, "add_reader", NULL, EL_READ)
ADD_METHOD(add_writer, public_add, "add_writer", NULL, EL_WRITE)
ADD_METHOD(add_reader_private, private_add, "_add_reader", "context", EL_READ)
ADD_METHOD(add_writer_private, private_add, "_add_writer", "context", EL_WRITE)
REMOVE_METHOD(remove_reader, "remove_reader", true, EL_READ)
REMOVE_METHOD(remove_writer, "remove_writer", true, EL_WRITE)
REMOVE_METHOD(remove_reader_private, "_remove_reader", false, EL_READ)
REMOVE_METHOD(remove_writer_private, "_remove_writer", false, EL_WRITE)

static PyObject *ensure_fd_no_transport(PyObject *op, PyObject *fileobj) {
    if (ensure_no_transport((ev_loop_t *)op, fileobj) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What a selector's key would say: the handles of a descriptor, (reader or None, writer or
 * None). */
static PyObject *watched(PyObject *op, PyObject *fileobj) {
    ev_loop_t *self = (ev_loop_t *)op;
    es_sock_t fd;
    if (ev_fileno(self->state, fileobj, &fd) < 0) {
        return NULL;
    }
    el_poll_t *poll = self->initialised ? el_poll_find(&self->el, fd) : NULL;
    ev_watch_t *reader = watch_of(poll, EL_READ);
    ev_watch_t *writer = watch_of(poll, EL_WRITE);
    return PyTuple_Pack(2, reader == NULL ? Py_None : reader->handle,
                        writer == NULL ? Py_None : writer->handle);
}

static PyObject *watched_list(PyObject *op, PyObject *unused) {
    (void)unused;
    PyObject *list = PyList_New(0);
    for (ev_watch_t *watch = ((ev_loop_t *)op)->watches; list != NULL && watch != NULL;
         watch = watch->next) {
        PyObject *fd = PyLong_FromSsize_t((Py_ssize_t)el_poll_fd(watch->poll));
        if (fd == NULL || PyList_Append(list, fd) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(fd);
    }
    return list;
}

/* For loop.sendfile: takes a transport's mark off its descriptor, or puts it back. */
static PyObject *set_fd_owner(PyObject *op, PyObject *args) {
    ev_loop_t *self = (ev_loop_t *)op;
    Py_ssize_t fd;
    PyObject *owner;
    if (!PyArg_ParseTuple(args, "nO:_set_fd_owner", &fd, &owner) ||
        ev_loop_check_closed(self) < 0) {
        return NULL;
    }
    el_poll_t *poll = el_poll_find(&self->el, (es_sock_t)fd);
    if (poll != NULL) {
        el_poll_set_owner(poll, owner == Py_None ? NULL : owner);
    }
    Py_RETURN_NONE;
}

#define FAST(function) ((PyCFunction)(void (*)(void))EV_OWNED(function))

EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, add_reader)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, add_writer)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, remove_reader)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, remove_writer)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, add_reader_private)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, add_writer_private)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, remove_reader_private)
EV_GUARD_FAST_KEYWORDS(ev_guard_begin_loop, remove_writer_private)
EV_GUARD_METHOD(ev_guard_begin_loop, ensure_fd_no_transport)
EV_GUARD_METHOD(ev_guard_begin_loop, watched)
EV_GUARD_METHOD(ev_guard_begin_loop, watched_list)
EV_GUARD_METHOD(ev_guard_begin_loop, set_fd_owner)

PyMethodDef ev_loop_watch_methods[] = {
    {"add_reader", FAST(add_reader), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("add_reader($self, fd, callback, *args)\n--\n\n"
               "Call callback(*args) whenever `fd` can be read; replaces an earlier reader.")},
    {"add_writer", FAST(add_writer), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("add_writer($self, fd, callback, *args)\n--\n\n"
               "Call callback(*args) whenever `fd` can be written; replaces an earlier writer.")},
    {"remove_reader", FAST(remove_reader), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("remove_reader($self, fd)\n--\n\n"
               "Remove the reader of `fd`; whether there was one.")},
    {"remove_writer", FAST(remove_writer), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("remove_writer($self, fd)\n--\n\n"
               "Remove the writer of `fd`; whether there was one.")},
    {"_add_reader", FAST(add_reader_private), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("_add_reader($self, fd, callback, *args, context=None)\n--\n\n"
               "What transports call: returns the handle, checks no owner.")},
    {"_add_writer", FAST(add_writer_private), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("_add_writer($self, fd, callback, *args, context=None)\n--\n\n"
               "What transports call: returns the handle, checks no owner.")},
    {"_remove_reader", FAST(remove_reader_private), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("_remove_reader($self, fd)\n--\n\nWhat transports call: checks no owner.")},
    {"_remove_writer", FAST(remove_writer_private), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("_remove_writer($self, fd)\n--\n\nWhat transports call: checks no owner.")},
    {"_ensure_fd_no_transport", EV_OWNED(ensure_fd_no_transport), METH_O, NULL},
    {"_watched", EV_OWNED(watched), METH_O,
     PyDoc_STR("The handles of the reader and of the writer of `fd`, or None.")},
    {"_watched_fds", EV_OWNED(watched_list), METH_NOARGS,
     PyDoc_STR("The descriptors with a reader or a writer.")},
    {"_set_fd_owner", EV_OWNED(set_fd_owner), METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
