/* SPDX-License-Identifier: MIT */
/* _core.LockFile and _core.HeldLock: evenshim's file locks, one object of C each.
 *
 * Thin: what a wait is to a program stands in evenloop/_filelock.py. A LockFile is an open file, a
 * HeldLock one hold; a hold outlives its file. Both belong to no loop and may be used from any
 * thread, in which they give the interpreter's lock back around whatever may have to ask a file
 * server. A hold that is dropped is released, with a ResourceWarning. What would break it: using
 * the pointer of a hold without having taken it out (file_lock.h).
 */
#include "file_lock.h"

#include <string.h>

PyObject *ev_lock_error_set(ev_state_t *state, int code) {
    if (code == ES_EFORKED) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a file lock of the parent cannot be used in a forked process");
        return NULL;
    }
    return ev_error_set(state, code);
}

int ev_lock_wish_read(int kind, unsigned long long offset, unsigned long long size,
                      ev_lock_wish_t *wish) {
    if (kind != ES_LOCK_SHARED && kind != ES_LOCK_EXCLUSIVE) {
        PyErr_SetString(PyExc_ValueError, "kind must be LOCK_SHARED or LOCK_EXCLUSIVE");
        return -1;
    }
    wish->kind = (es_lock_kind_t)kind;
    wish->range = (es_range_t){.offset = offset, .size = size};
    return 0;
}

/* The path that evenshim wants: bytes without a NUL. NULL with an exception. */
static const char *path_text(PyObject *path) {
    char *text;
    /* Without a length this refuses a NUL inside: ValueError, as open() does. */
    return PyBytes_AsStringAndSize(path, &text, NULL) < 0 ? NULL : text;
}

/* -- holds ------------------------------------------------------------------------------------- */

PyObject *ev_held_lock_new(ev_state_t *state, es_lock_t *lock, PyObject *path) {
    PyTypeObject *type = state->held_lock_type;
    ev_held_lock_t *self = (ev_held_lock_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        (void)es_lock_release(lock);
        return NULL;
    }
    self->lock = lock;
    self->kind = (int)es_lock_kind(lock);
    self->generation = es_process_generation();
    self->path = Py_NewRef(path);
    return (PyObject *)self;
}

es_lock_t *ev_held_lock_take(ev_held_lock_t *self) {
    es_lock_t *lock;
    bool busy;
    Py_BEGIN_CRITICAL_SECTION(self);
    lock = self->lock;
    busy = self->taken_out;
    self->lock = NULL;
    self->taken_out = busy || lock != NULL;
    Py_END_CRITICAL_SECTION();
    if (lock == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        busy ? "Lock is being used elsewhere." : "Lock is not acquired.");
    }
    return lock;
}

void ev_held_lock_put(ev_held_lock_t *self, es_lock_t *lock) {
    Py_BEGIN_CRITICAL_SECTION(self);
    self->lock = lock;
    self->taken_out = false;
    if (lock != NULL) {
        self->kind = (int)es_lock_kind(lock);
    }
    Py_END_CRITICAL_SECTION();
}

static ev_state_t *held_state(PyObject *op) {
    return ev_state_of_type(Py_TYPE(op));
}

/* In a forked child the hold is gone as well, but not the lock. */
static PyObject *held_release(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_held_lock_t *self = (ev_held_lock_t *)op;
    es_lock_t *lock = ev_held_lock_take(self);
    if (lock == NULL) {
        return NULL;
    }
    PyThreadState *saved = PyEval_SaveThread();
    int code = es_lock_release(lock);
    PyEval_RestoreThread(saved);
    ev_held_lock_put(self, NULL);
    if (code != 0 && code != ES_EFORKED) {
        return ev_lock_error_set(held_state(op), code);
    }
    return PyBool_FromLong(code == 0);
}

static PyObject *held_detach(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_held_lock_t *self = (ev_held_lock_t *)op;
    es_lock_t *lock = ev_held_lock_take(self);
    if (lock == NULL) {
        return NULL;
    }
    intptr_t descriptor = -1;
    int code = es_lock_detach(lock, &descriptor);
    ev_held_lock_put(self, code == 0 ? NULL : lock);
    return code == 0 ? PyLong_FromSsize_t(descriptor) : ev_lock_error_set(held_state(op), code);
}

/* Does something with a lock that stays held. */
static PyObject *use_held(PyObject *op, int (*use)(es_lock_t *lock)) {
    ev_held_lock_t *self = (ev_held_lock_t *)op;
    es_lock_t *lock = ev_held_lock_take(self);
    if (lock == NULL) {
        return NULL;
    }
    PyThreadState *saved = PyEval_SaveThread();
    int code = use(lock);
    PyEval_RestoreThread(saved);
    ev_held_lock_put(self, lock);
    return code == 0 ? Py_NewRef(Py_None) : ev_lock_error_set(held_state(op), code);
}

static int make_shared(es_lock_t *lock) {
    return es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL);
}

static int make_exclusive(es_lock_t *lock) {
    return es_lock_convert(lock, ES_LOCK_EXCLUSIVE, 0, NULL);
}

static int write_own_record(es_lock_t *lock) {
    return es_lock_owner_write(lock, NULL);
}

/* Where that needs no waiting: always, for a downgrade; else an upgrade's place is a request
 * (lock_monitor.c). */
static PyObject *held_convert(PyObject *op, PyObject *arg) {
    ev_lock_wish_t wish;
    int kind = PyLong_AsInt(arg);
    if ((kind == -1 && PyErr_Occurred() != NULL) || ev_lock_wish_read(kind, 0, 0, &wish) < 0) {
        return NULL;
    }
    return use_held(op, wish.kind == ES_LOCK_SHARED ? make_shared : make_exclusive);
}

static PyObject *held_verify(PyObject *op, PyObject *unused) {
    (void)unused;
    return use_held(op, es_lock_verify);
}

static PyObject *held_write_owner(PyObject *op, PyObject *unused) {
    (void)unused;
    return use_held(op, write_own_record);
}

static PyObject *held_kind(PyObject *op, void *closure) {
    (void)closure;
    return PyLong_FromLong(((ev_held_lock_t *)op)->kind);
}

static void warn_unreleased(ev_held_lock_t *self) {
    PyObject *error = PyErr_GetRaisedException();
    PyObject *path = PyUnicode_DecodeFSDefault(PyBytes_AS_STRING(self->path));
    if (path == NULL ||
        PyErr_WarnFormat(PyExc_ResourceWarning, 1, "unreleased file lock %R", path) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
    Py_XDECREF(path);
    if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
}

static void held_finalize(PyObject *op) {
    ev_held_lock_t *self = (ev_held_lock_t *)op;
    es_lock_t *lock = self->lock;
    if (lock == NULL) {
        return;
    }
    if (self->generation == es_process_generation()) {
        warn_unreleased(self);
    }
    self->lock = NULL;
    (void)es_lock_release(lock);
}

static void held_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* a warning's hook keeps it */
    }
    Py_CLEAR(((ev_held_lock_t *)op)->path);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef held_methods[] = {
    EV_METHOD_NOARGS(
        "release", held_release,
        "Release the lock; the object is of no more use. False: it stays the parent's."),
    EV_METHOD_NOARGS("detach", held_detach,
                     "Give the lock to its descriptor, which becomes the caller's to close."),
    {"convert", held_convert, METH_O,
     PyDoc_STR("convert($self, kind, /)\n--\n\nMake it shared or exclusive without waiting.")},
    EV_METHOD_NOARGS("verify", held_verify, "OSError with ESTALE if the lock or its path is lost."),
    EV_METHOD_NOARGS("write_owner", held_write_owner, "Write this process's record to the file."),
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef held_attributes[] = {
    {"kind", held_kind, NULL, PyDoc_STR("LOCK_SHARED or LOCK_EXCLUSIVE."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot held_slots[] = {
    {Py_tp_doc, PyDoc_STR("A file lock that is held.")},
    {Py_tp_methods, held_methods},
    {Py_tp_getset, held_attributes},
    {Py_tp_finalize, (void *)held_finalize},
    {Py_tp_dealloc, (void *)held_dealloc},
    {0, NULL},
};

/* -- files ------------------------------------------------------------------------------------- */

static PyObject *file_new(ev_state_t *state, es_lockfile_t *file, PyObject *path) {
    PyTypeObject *type = state->lock_file_type;
    ev_lock_file_t *self = (ev_lock_file_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        es_lockfile_close(file);
        return NULL;
    }
    self->file = file;
    self->path = Py_NewRef(path);
    return (PyObject *)self;
}

static PyObject *file_capabilities(PyObject *op, void *closure) {
    (void)closure;
    uint32_t caps = 0;
    int code = es_lockfile_caps(((ev_lock_file_t *)op)->file, &caps);
    return code == 0 ? PyLong_FromUnsignedLong(caps) : ev_lock_error_set(held_state(op), code);
}

static void file_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    es_lockfile_close(((ev_lock_file_t *)op)->file);
    Py_CLEAR(((ev_lock_file_t *)op)->path);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyGetSetDef file_attributes[] = {
    {"capabilities", file_capabilities, NULL, PyDoc_STR("A set of ES_LOCK_CAN_ and _IS_ bits."),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot file_slots[] = {
    {Py_tp_doc, PyDoc_STR("A file that is open for locking.")},
    {Py_tp_getset, file_attributes},
    {Py_tp_dealloc, (void *)file_dealloc},
    {0, NULL},
};

/* -- functions --------------------------------------------------------------------------------- */

/* Opens, and tries the lock unless the caller is to wait in line. *lock is NULL where it would have
 * to wait, and where the path has become another file's meanwhile. Gives the interpreter's lock back
 * first: all of this may go over a network. */
static int open_and_try(const char *path, uint32_t flags, int mode, const ev_lock_wish_t *wish,
                        bool wait_in_line, es_lockfile_t **file, es_lock_t **lock) {
    int code = es_lockfile_open(path, flags, mode, file);
    *lock = NULL;
    if (code != 0 || wait_in_line) {
        return code;
    }
    code = es_lock_try(*file, wish->kind, &wish->range, lock);
    if (code == 0 && es_lock_verify(*lock) == ES_ESTALE) {
        /* Replaced between the opening and the locking. */
        (void)es_lock_release(*lock);
        *lock = NULL;
        es_lockfile_close(*file);
        return ES_ESTALE;
    }
    if (code != 0 && code != ES_EAGAIN) {
        es_lockfile_close(*file);
        return code;
    }
    return 0;
}

static PyObject *held_or_file(ev_state_t *state, int code, es_lock_t *lock, es_lockfile_t *file,
                              PyObject *path) {
    if (code != 0) {
        return ev_lock_error_set(state, code);
    }
    return lock != NULL ? ev_held_lock_new(state, lock, path) : file_new(state, file, path);
}

/* A file that is replaced again and again while it is being opened is nobody's lock file. */
#define OPEN_RETRY_COUNT_MAX 100

static PyObject *open_lock(PyObject *module, PyObject *args) {
    PyObject *path;
    unsigned int flags;
    int mode, kind, wait_in_line;
    unsigned long long offset, size;
    ev_lock_wish_t wish;
    if (!PyArg_ParseTuple(args, "SIiiKKp:open_lock", &path, &flags, &mode, &kind, &offset, &size,
                          &wait_in_line) ||
        ev_lock_wish_read(kind, offset, size, &wish) < 0) {
        return NULL;
    }
    const char *text = path_text(path);
    if (text == NULL) {
        return NULL;
    }
    ev_state_t *state = ev_state_of(module);
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    int code, tries = 0;
    PyThreadState *saved = PyEval_SaveThread();
    do {
        code = open_and_try(text, flags, mode, &wish, wait_in_line != 0, &file, &lock);
    } while (code == ES_ESTALE && ++tries < OPEN_RETRY_COUNT_MAX);
    if (code == 0 && lock != NULL) {
        es_lockfile_close(file);
    }
    PyEval_RestoreThread(saved);
    return held_or_file(state, code, lock, file, path);
}

static int adopt_and_try(int descriptor, uint32_t flags, es_lock_kind_t kind, es_lockfile_t **file,
                         es_lock_t **lock) {
    int code = es_lockfile_wrap(descriptor, flags | ES_LOCK_ADOPT, file);
    *lock = NULL;
    if (code != 0) {
        return code;
    }
    code = es_lock_try(*file, kind, NULL, lock);
    if (code != 0 && code != ES_EAGAIN) {
        es_lockfile_close(*file);
        return code;
    }
    return 0;
}

static PyObject *adopt_lock(PyObject *module, PyObject *args) {
    PyObject *path;
    unsigned int flags;
    int descriptor, kind;
    ev_lock_wish_t wish;
    if (!PyArg_ParseTuple(args, "iIiS:adopt_lock", &descriptor, &flags, &kind, &path) ||
        ev_lock_wish_read(kind, 0, 0, &wish) < 0) {
        return NULL;
    }
    ev_state_t *state = ev_state_of(module);
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    int code;
    PyThreadState *saved = PyEval_SaveThread();
    code = adopt_and_try(descriptor, flags, wish.kind, &file, &lock);
    if (code == 0 && lock != NULL) {
        es_lockfile_close(file);
    }
    PyEval_RestoreThread(saved);
    return held_or_file(state, code, lock, file, path);
}

static PyObject *unlock_descriptor(PyObject *module, PyObject *args) {
    unsigned int flags;
    int descriptor;
    if (!PyArg_ParseTuple(args, "iI:unlock_descriptor", &descriptor, &flags)) {
        return NULL;
    }
    es_lockfile_t *file = NULL;
    int code;
    PyThreadState *saved = PyEval_SaveThread();
    code = es_lockfile_wrap(descriptor, flags | ES_LOCK_ADOPT, &file);
    if (code == 0) {
        code = es_lockfile_unlock(file);
        es_lockfile_close(file);
    }
    PyEval_RestoreThread(saved);
    return code == 0 ? Py_NewRef(Py_None) : ev_lock_error_set(ev_state_of(module), code);
}

static PyObject *owner_tuple(const es_lock_owner_t *owner) {
    PyObject *command = PyUnicode_DecodeUTF8(owner->command, (Py_ssize_t)strlen(owner->command),
                                             "replace");
    PyObject *host = PyUnicode_DecodeUTF8(owner->host, (Py_ssize_t)strlen(owner->host), "replace");
    PyObject *boot = PyUnicode_DecodeUTF8(owner->boot, (Py_ssize_t)strlen(owner->boot), "replace");
    if (command == NULL || host == NULL || boot == NULL) {
        Py_XDECREF(command);
        Py_XDECREF(host);
        Py_XDECREF(boot);
        return NULL;
    }
    return Py_BuildValue("(LKLNNN)", (long long)owner->pid, (unsigned long long)owner->birth,
                         (long long)owner->since_s, host, boot, command);
}

/* None: there is no record. */
static PyObject *read_lock_owner(PyObject *module, PyObject *path) {
    const char *text = path_text(path);
    if (text == NULL) {
        return NULL;
    }
    es_lock_owner_t owner;
    int code;
    PyThreadState *saved = PyEval_SaveThread();
    code = es_lock_owner_read(text, &owner);
    PyEval_RestoreThread(saved);
    if (code == ES_ENOENT || code == ES_EPROTO) {
        Py_RETURN_NONE;
    }
    return code == 0 ? owner_tuple(&owner) : ev_lock_error_set(ev_state_of(module), code);
}

/* Copies text into a field of a record, which is long enough for what read_lock_owner gave. */
static int fill_text(char *field, size_t capacity, const char *text) {
    size_t length = strlen(text);
    if (length >= capacity) {
        PyErr_SetString(PyExc_ValueError, "that is not the text of a lock's record");
        return -1;
    }
    memcpy(field, text, length + 1);
    return 0;
}

/* None: it ran on another machine. */
static PyObject *is_lock_owner_alive(PyObject *module, PyObject *args) {
    es_lock_owner_t owner = {0};
    long long pid, since;
    unsigned long long birth;
    const char *host, *boot, *command;
    if (!PyArg_ParseTuple(args, "LKLsss:is_lock_owner_alive", &pid, &birth, &since, &host, &boot,
                          &command) ||
        fill_text(owner.host, sizeof owner.host, host) < 0 ||
        fill_text(owner.boot, sizeof owner.boot, boot) < 0) {
        return NULL;
    }
    owner.pid = pid;
    owner.birth = birth;
    owner.since_s = since;
    int answer = es_lock_owner_is_alive(&owner);
    if (answer == ES_ENOTSUP) {
        Py_RETURN_NONE;
    }
    return answer < 0 ? ev_lock_error_set(ev_state_of(module), answer) : PyBool_FromLong(answer);
}

static PyObject *lock_capabilities(PyObject *module, PyObject *path) {
    const char *text = path_text(path);
    if (text == NULL) {
        return NULL;
    }
    uint32_t caps = 0;
    int code;
    PyThreadState *saved = PyEval_SaveThread();
    code = es_lock_probe_fs(text, &caps);
    PyEval_RestoreThread(saved);
    return code == 0 ? PyLong_FromUnsignedLong(caps) : ev_lock_error_set(ev_state_of(module), code);
}

static PyMethodDef functions[] = {
    {"open_lock", open_lock, METH_VARARGS,
     PyDoc_STR("open_lock(path, flags, mode, kind, offset, size, wait_in_line, /)\n--\n\nA "
               "HeldLock; or a LockFile to wait for, where somebody else holds it.")},
    {"adopt_lock", adopt_lock, METH_VARARGS,
     PyDoc_STR("adopt_lock(descriptor, flags, kind, path, /)\n--\n\nThe same for a descriptor, "
               "with which a detached lock stays; `path` is for messages.")},
    {"unlock_descriptor", unlock_descriptor, METH_VARARGS,
     PyDoc_STR("unlock_descriptor(descriptor, flags, /)\n--\n\nFree what it was given so.")},
    {"read_lock_owner", read_lock_owner, METH_O,
     PyDoc_STR("read_lock_owner(path, /)\n--\n\nThe record in a lock file, or None.")},
    {"is_lock_owner_alive", is_lock_owner_alive, METH_VARARGS,
     PyDoc_STR("is_lock_owner_alive(pid, birth, since, host, boot, command, /)\n--\n\nWhether "
               "that process lives; None if it was on another machine.")},
    {"lock_capabilities", lock_capabilities, METH_O,
     PyDoc_STR("lock_capabilities(path, /)\n--\n\nWhat locks can do there.")},
    {NULL, NULL, 0, NULL},
};

static int add_constants(PyObject *module) {
    static const struct {
        const char *name;
        unsigned value;
    } rows[] = {
        {"LOCK_SHARED", ES_LOCK_SHARED},
        {"LOCK_EXCLUSIVE", ES_LOCK_EXCLUSIVE},
        {"LOCK_CREATE", ES_LOCK_CREATE},
        {"LOCK_READONLY", ES_LOCK_READONLY},
        {"LOCK_NOFOLLOW", ES_LOCK_NOFOLLOW},
        {"LOCK_FAIR", ES_LOCK_FAIR},
        {"LOCK_COMPAT_FLOCK", ES_LOCK_COMPAT_FLOCK},
        {"LOCK_COMPAT_BYTE0", ES_LOCK_COMPAT_BYTE0},
        {"LOCK_NATIVE_RANGE", ES_LOCK_NATIVE_RANGE},
        {"LOCK_UNLINK_ON_RELEASE", ES_LOCK_UNLINK_ON_RELEASE},
        {"LOCK_CAN_LOCK", ES_LOCK_CAN_LOCK},
        {"LOCK_CAN_FLOCK", ES_LOCK_CAN_FLOCK},
        {"LOCK_CAN_NOTIFY", ES_LOCK_CAN_NOTIFY},
        {"LOCK_IS_NETWORK", ES_LOCK_IS_NETWORK},
        {"LOCK_IS_MANDATORY", ES_LOCK_IS_MANDATORY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (PyModule_AddIntConstant(module, rows[i].name, (long)rows[i].value) < 0) {
            return -1;
        }
    }
    return 0;
}

int ev_file_lock_types_init(ev_state_t *state) {
    PyType_Spec held = {
        .name = "evenloop._core.HeldLock",
        .basicsize = (int)sizeof(ev_held_lock_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = held_slots,
    };
    PyType_Spec file = {
        .name = "evenloop._core.LockFile",
        .basicsize = (int)sizeof(ev_lock_file_t),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = file_slots,
    };
    state->held_lock_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &held, NULL);
    if (state->held_lock_type == NULL) {
        return -1;
    }
    state->lock_file_type = (PyTypeObject *)PyType_FromModuleAndSpec(state->module, &file, NULL);
    if (state->lock_file_type == NULL || add_constants(state->module) < 0 ||
        PyModule_AddType(state->module, state->held_lock_type) < 0 ||
        PyModule_AddType(state->module, state->lock_file_type) < 0 ||
        PyModule_AddFunctions(state->module, functions) < 0) {
        return -1;
    }
    return ev_lock_monitor_types_init(state);
}
