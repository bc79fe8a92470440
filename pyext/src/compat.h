/* SPDX-License-Identifier: MIT */
/* CPython's versions: every gate of the extension module is here, with the change that it follows.
 *
 * The rest of pyext/src is written against the newest spelling; this header supplies it on the
 * older ones (3.11 on).
 */
#ifndef EV_COMPAT_H
#define EV_COMPAT_H

#include <Python.h>

/* 3.12 made member definitions part of Python.h and named their types Py_T_ (gh-93274); before,
 * structmember.h has them. */
#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_PYSSIZET  T_PYSSIZET
#define Py_READONLY    READONLY
#endif

/* 3.12 keeps the current exception as one object (gh-101578); before, it is a triple that may not
 * be normalised. */
#if PY_VERSION_HEX < 0x030C0000
static inline PyObject *PyErr_GetRaisedException(void) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
}

static inline void PyErr_SetRaisedException(PyObject *exception) {
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(exception));
    PyErr_Restore(type, exception, PyException_GetTraceback(exception));
}
#endif

/* 3.13 exports PySignal_SetWakeupFd (PyAPI_FUNC in pyerrors.h); before, only the Python function
 * leads there, `function`: it looks at the descriptor first, which costs two system calls. -1 also
 * when it refuses one that has been closed. */
#if PY_VERSION_HEX >= 0x030D0000
static inline int ev_compat_set_wakeup_fd(PyObject *function, int fd) {
    (void)function;
    return PySignal_SetWakeupFd(fd);
}
#else
static inline int ev_compat_set_wakeup_fd(PyObject *function, int fd) {
    PyObject *number = PyLong_FromLong(fd);
    PyObject *previous = number == NULL ? NULL : PyObject_CallOneArg(function, number);
    Py_XDECREF(number);
    long previous_fd = previous == NULL ? -1 : PyLong_AsLong(previous);
    Py_XDECREF(previous);
    PyErr_Clear();
    return (int)previous_fd;
}
#endif

/* 3.12 has interpreters with a GIL of their own (PEP 684) and asks a module whether it bears
 * that. */
#if PY_VERSION_HEX >= 0x030C0000
#define EV_SLOT_INTERPRETERS {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#else
#define EV_SLOT_INTERPRETERS
#endif

/* 3.13 has builds without a GIL (PEP 703) and asks a module whether it can do without. This one can
 * (threads.h). */
#if PY_VERSION_HEX >= 0x030D0000
#define EV_SLOT_GIL {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define EV_SLOT_GIL
#endif

/* Whether this is such a build: there, what threads share is atomic, under a critical section (3.13,
 * gh-119344; before there were no such builds), or its owner's alone. With the GIL all of that is
 * plain C. */
#ifdef Py_GIL_DISABLED
#define EV_FREE_THREADED 1
#define EV_SHARED(type)  _Atomic(type)
#else
#define EV_FREE_THREADED 0
#define EV_SHARED(type)  type
#endif
#if PY_VERSION_HEX < 0x030D0000
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION()         }
#endif

/* A slot that Python code may read in another thread by a member descriptor, without a lock. Its
 * old value is given up after the new one is in place. Call it in the object's critical section. */
static inline PyObject *ev_slot_swap(PyObject **slot, PyObject *value) {
    PyObject *old = *slot;
#if EV_FREE_THREADED
    _Py_atomic_store_ptr_release(slot, value);
#else
    *slot = value;
#endif
    return old;
}

static inline PyObject *ev_slot_peek(PyObject **slot) {
#if EV_FREE_THREADED
    return _Py_atomic_load_ptr_acquire(slot);
#else
    return *slot;
#endif
}

/* 3.14's call_soon_threadsafe returns a handle whose cancel() may come from any thread
 * (gh-128340). */
#define EV_HAS_THREADSAFE_HANDLE (PY_VERSION_HEX >= 0x030E0000)

/* A build without a GIL counts references in two places: that nobody else refers to an object can't
 * be read off its count. */
#define EV_REUSES_BYTES (!EV_FREE_THREADED)

/* A bytes object that nobody else refers to becomes one of `size` bytes, which must fit; its
 * contents follow. Its cached hash goes: the field is marked as deprecated since 3.11 (gh-91020),
 * with nothing in its place. */
#if defined(__GNUC__)
#define EV_DEPRECATED_BEGIN                                                                        \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"")
#define EV_DEPRECATED_END _Pragma("GCC diagnostic pop")
#else
#define EV_DEPRECATED_BEGIN
#define EV_DEPRECATED_END
#endif
static inline void ev_bytes_reset(PyObject *bytes, size_t size) {
    PyBytesObject *object = (PyBytesObject *)bytes;
    Py_SET_SIZE((PyVarObject *)bytes, (Py_ssize_t)size);
    object->ob_sval[size] = '\0';
    EV_DEPRECATED_BEGIN
    object->ob_shash = -1;
    EV_DEPRECATED_END
}

/* A build without a GIL frees objects on any thread: the free lists of handles would need a lock,
 * and stay empty there. */
#define EV_FREE_LIST_MAX (EV_FREE_THREADED ? 0 : 1024)

/* 3.12's selector transports take writelines as vectored pieces of their own (gh-91166); before,
 * writelines joins and calls write(). */
#define EV_HAS_VECTORED_WRITELINES (PY_VERSION_HEX >= 0x030C0000)

/* 3.13 gives a strong reference to what a weak one means (gh-105927). */
#if PY_VERSION_HEX < 0x030D0000
static inline int PyWeakref_GetRef(PyObject *reference, PyObject **object) {
    PyObject *borrowed = PyWeakref_GetObject(reference);
    *object = borrowed == NULL || borrowed == Py_None ? NULL : Py_NewRef(borrowed);
    return borrowed == NULL ? -1 : *object != NULL;
}
#endif

/* 3.13's datagram transports send empty datagrams and count eight bytes for each one that waits
 * (gh-113812, gh-115199); before, sendto(b'') does nothing. */
#define EV_SENDS_EMPTY_DATAGRAMS (PY_VERSION_HEX >= 0x030D0000)
#define EV_DATAGRAM_OVERHEAD     (EV_SENDS_EMPTY_DATAGRAMS ? 8 : 0)

/* 3.13 gives a strong reference to what a dictionary holds (gh-106004). */
#if PY_VERSION_HEX < 0x030D0000
static inline int PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **value) {
    PyObject *borrowed = PyDict_GetItemWithError(dict, key);
    *value = Py_XNewRef(borrowed);
    return borrowed != NULL ? 1 : PyErr_Occurred() != NULL ? -1 : 0;
}
#endif

/* 3.13 made PyLong_AsInt public (gh-108444). */
#if PY_VERSION_HEX < 0x030D0000
#define PyLong_AsInt _PyLong_AsInt
#endif

/* 3.13's servers know their transports (gh-113538): Server._attach and _detach take one. */
#define EV_SERVER_KNOWS_TRANSPORTS (PY_VERSION_HEX >= 0x030D0000)

#endif
