/* SPDX-License-Identifier: MIT */
/* Running: the turns of the engine, the interpreter's lock around a wait, and signals.
 *
 * Signals. The interpreter notes a signal in its C handler and runs the Python handler between two
 * instructions of the main thread. A loop that waits executes none, so while it waits, and only
 * then, the wakeup descriptor (signal.set_wakeup_fd) is the loop's own: no Python code ever sees it
 * there. What arrived is passed on to the user's descriptor. add_signal_handler installs the same
 * descriptor for good, as asyncio does with its self-pipe. What would break it: a wait outside
 * before_block and after_block.
 */
#include "threads.h"
#include "wakeup.h"

#include <string.h>

/* -- around a wait ----------------------------------------------------------------------------- */

/* Handlers may have been noted since the last instruction. -1: one raised; the run ends with
 * that. */
static int run_signal_handlers(ev_loop_t *self) {
    if (PyErr_CheckSignals() == 0) {
        return 0;
    }
    ev_loop_exit(self);
    return -1;
}

static int swap_wakeup_fd(ev_loop_t *self, int fd) {
    return ev_compat_set_wakeup_fd(self->state->set_wakeup_fd, fd);
}

/* Handlers run before the descriptor is the loop's, so that they find the user's. A signal that
 * came in between is seen by the second look, one that comes later wakes the poll. */
static bool watch_signals(ev_loop_t *self) {
    if (run_signal_handlers(self) < 0) {
        return false;
    }
    int user = swap_wakeup_fd(self, self->signal_fd);
    self->user_wakeup_fd = user;
    if (user != -1 && user != self->signal_fd && !ev_wakeup_may_replace) {
        (void)swap_wakeup_fd(self, user);
        return ev_wakeup_bound_wait(self);
    }
    if (run_signal_handlers(self) < 0) {
        (void)swap_wakeup_fd(self, user);
        return false;
    }
    return true;
}

static bool before_block(void *ctx) {
    ev_loop_t *self = ctx;
    if (self->signals_main && !watch_signals(self)) {
        return false;
    }
    self->blocked_thread_state = PyEval_SaveThread();
    return true;
}

static void after_block(void *ctx) {
    ev_loop_t *self = ctx;
    PyEval_RestoreThread(self->blocked_thread_state);
    if (self->signals_main) {
        (void)swap_wakeup_fd(self, self->user_wakeup_fd);
    }
}

/* -- signals ----------------------------------------------------------------------------------- */

static int call_signal_handlers(ev_loop_t *self, const unsigned char *signums, size_t count) {
    PyObject *data = PyBytes_FromStringAndSize((const char *)signums, (Py_ssize_t)count);
    if (data == NULL) {
        return -1;
    }
    PyObject *result = PyObject_CallMethodOneArg((PyObject *)self,
                                                 self->state->str__process_self_data, data);
    Py_DECREF(data);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static void on_signals(void *ctx, const unsigned char *signums, size_t count) {
    ev_loop_t *self = ctx;
    if (self->user_wakeup_fd != -1 && self->user_wakeup_fd != self->signal_fd) {
        ev_wakeup_forward(self->user_wakeup_fd, signums, count);
    }
    if (call_signal_handlers(self, signums, count) < 0) {
        ev_loop_exit(self);
    }
    if (self->signals_main) {
        (void)run_signal_handlers(self);
    }
}

const el_hooks_t ev_loop_hooks = {before_block, after_block, on_signals};

static int open_signal_fd(ev_loop_t *self) {
    if (self->signal_fd != -1) {
        return 0;
    }
    int code = el_loop_signal_fd(&self->el, &self->signal_fd);
    if (code != 0) {
        self->signal_fd = -1;
        (void)ev_error_set(self->state, code);
        return -1;
    }
    return 0;
}

/* Only the main thread of the main interpreter runs signal handlers. */
static int prepare_signals(ev_loop_t *self) {
    self->signals_main = false;
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        return 0;
    }
    PyObject *result = PyObject_CallMethod(self->state->python, "in_main_thread", NULL);
    if (result == NULL) {
        return -1;
    }
    bool main_thread = result == Py_True;
    Py_DECREF(result);
    if (main_thread && open_signal_fd(self) < 0) {
        return -1;
    }
    self->signals_main = main_thread;
    return 0;
}

/* -- turns ------------------------------------------------------------------------------------- */

static PyObject *finish(ev_loop_t *self, int code) {
    PyObject *exception = self->exit;
    self->exit = NULL;
    self->signals_main = false;
    if (exception != NULL) {
        PyErr_SetRaisedException(exception);
        return NULL;
    }
    if (code == ES_EBUSY) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return NULL;
    }
    if (code == ES_EFORKED) {
        (void)ev_loop_refuse(self);
        return NULL;
    }
    if (code != 0) {
        return ev_error_set(self->state, code);
    }
    Py_RETURN_NONE;
}

/* The engine's part of a run, which this thread owns. */
static PyObject *run_owned(ev_loop_t *self, bool once) {
    if (prepare_signals(self) < 0) {
        return NULL;
    }
    self->el.stopping = self->stop_asked;
    unsigned depth = self->depth;
    self->depth = 0; /* another loop's callback may have begun this run */
    el_loop_collect(&self->el);
    /* asyncio's _run_once waits before it runs what is ready: whoever calls it does not wait when
     * something was. */
    uint64_t timeout_ns = self->el.ready.count != 0 ? 0 : EL_NEVER;
    int code = once ? el_loop_turn(&self->el, timeout_ns) : el_loop_run(&self->el);
    self->depth = depth;
    return finish(self, code);
}

/* Makes the loop this thread's for as long as it runs. false: another thread runs it. */
static bool begin_run(ev_loop_t *self, ev_ownership_t *ownership) {
    *ownership = ev_own(self);
    if (*ownership == EV_REFUSED) {
        return false;
    }
    if (self->el.running) {
        ev_disown(self, *ownership);
        return false;
    }
#if EV_FREE_THREADED
    self->runs = true;
#endif
    return true;
}

static void end_run(ev_loop_t *self, ev_ownership_t ownership) {
#if EV_FREE_THREADED
    self->runs = false;
#endif
    ev_disown(self, ownership);
}

static PyObject *run(ev_loop_t *self, bool once) {
    if (ev_loop_check_closed(self) < 0) {
        return NULL;
    }
    ev_ownership_t ownership;
    if (!begin_run(self, &ownership)) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return NULL;
    }
    Py_INCREF(self);
    PyObject *result = run_owned(self, once);
    end_run(self, ownership);
    Py_DECREF(self);
    return result;
}

static PyObject *loop_run_turns(PyObject *op, PyObject *unused) {
    (void)unused;
    return run((ev_loop_t *)op, false);
}

static PyObject *loop_run_once(PyObject *op, PyObject *unused) {
    (void)unused;
    return run((ev_loop_t *)op, true);
}

static PyObject *loop_stop(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_loop_t *self = (ev_loop_t *)op;
    self->stop_asked = true;
    if (!self->initialised) {
        Py_RETURN_NONE;
    }
    if (ev_owns(self)) {
        el_loop_stop(&self->el);
    } else {
        self->el.stopping = true;
        el_loop_wake(&self->el);
    }
    Py_RETURN_NONE;
}

static PyObject *loop_signal_fd(PyObject *op, PyObject *unused) {
    (void)unused;
    ev_loop_t *self = (ev_loop_t *)op;
    if (ev_loop_check_closed(self) < 0 || open_signal_fd(self) < 0) {
        return NULL;
    }
    return PyLong_FromLong(self->signal_fd);
}

EV_GUARD_METHOD(ev_guard_begin_loop, loop_signal_fd)

PyMethodDef ev_loop_run_methods[] = {
    {"_run_turns", loop_run_turns, METH_NOARGS,
     PyDoc_STR("Turn until stop() is called or an exception leaves.")},
    {"_run_once", loop_run_once, METH_NOARGS, PyDoc_STR("_run_once($self)\n--\n\nMake one turn.")},
    {"_signal_fd", EV_OWNED(loop_signal_fd), METH_NOARGS,
     PyDoc_STR("The descriptor to which the interpreter writes the numbers of signals.")},
    {"stop", loop_stop, METH_NOARGS,
     PyDoc_STR("stop($self)\n--\n\nEnd the run after the current turn.")},
    {NULL, NULL, 0, NULL},
};
