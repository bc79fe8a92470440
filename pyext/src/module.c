/* SPDX-License-Identifier: MIT */
/* The module evenloop._core: its state, and what it needs of asyncio.
 *
 * Multi-phase initialisation, one state an interpreter, no static objects: every interpreter of a
 * process has a module of its own. evenloop._support is imported with it: the lines of Python that
 * C calls on rare paths.
 */
#include "core.h"
#include "handle.h"

#include <evenshim/version.h>

#include <string.h>

static int module_exec(PyObject *module);
static int module_traverse(PyObject *module, visitproc visit, void *arg);
static int module_clear(PyObject *module);
static void module_free(void *module);

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
    EV_SLOT_INTERPRETERS EV_SLOT_GIL{0, NULL},
};

static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "evenloop._core",
    .m_doc = PyDoc_STR("The C half of evenloop."),
    .m_size = (Py_ssize_t)sizeof(ev_state_t),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

ev_state_t *ev_state_of(PyObject *module) {
    return PyModule_GetState(module);
}

ev_state_t *ev_state_of_type(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &module_def);
    return module == NULL ? NULL : PyModule_GetState(module);
}

/* -- what we need of others -------------------------------------------------------------------- */

static int import_names(ev_state_t *state) {
    struct {
        const char *module;
        const char *name; /* NULL: the module itself */
        PyObject **target;
    } const rows[] = {
        {"asyncio.events", "Handle", &state->asyncio_handle},
        {"asyncio.events", "TimerHandle", &state->asyncio_timer_handle},
        {"asyncio.transports", "Transport", &state->asyncio_transport},
        {"asyncio.protocols", "BufferedProtocol", &state->asyncio_buffered_protocol},
        {"asyncio.trsock", "TransportSocket", &state->asyncio_trsock},
        {"asyncio.selector_events", "BaseSelectorEventLoop", &state->asyncio_selector_loop},
        {"asyncio.log", "logger", &state->asyncio_logger},
        {"asyncio.format_helpers", NULL, &state->asyncio_helpers},
        {"asyncio.exceptions", "CancelledError", &state->cancelled_error},
        {"socket", "socket", &state->socket_class},
        {"_signal", "set_wakeup_fd", &state->set_wakeup_fd},
        {"evenloop._support", NULL, &state->python},
#if EV_HAS_THREADSAFE_HANDLE
        {"asyncio.events", "_ThreadSafeHandle", &state->asyncio_threadsafe_handle},
#endif
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        PyObject *module = PyImport_ImportModule(rows[i].module);
        if (module == NULL) {
            return -1;
        }
        if (rows[i].name != NULL) {
            Py_SETREF(module, PyObject_GetAttrString(module, rows[i].name));
        }
        *rows[i].target = module;
        if (module == NULL) {
            return -1;
        }
    }
    return 0;
}

static int intern_names(ev_state_t *state) {
#define EV_INTERN(name)                                                                            \
    state->str_##name = PyUnicode_InternFromString(#name);                                         \
    if (state->str_##name == NULL) {                                                               \
        return -1;                                                                                 \
    }
    EV_STRINGS(EV_INTERN)
#undef EV_INTERN
    state->empty_tuple = PyTuple_New(0);
    return state->empty_tuple == NULL ? -1 : 0;
}

static int init_types(ev_state_t *state) {
    int (*const inits[])(ev_state_t *) = {
        ev_handle_types_init,          ev_loop_type_init,           ev_child_watch_type_init,
        ev_stream_transport_type_init, ev_pipe_transport_type_init, ev_listener_type_init,
        ev_sock_op_type_init,          ev_socket_view_type_init,    ev_datagram_transport_type_init,
        ev_file_lock_types_init,       ev_coroutine_methods_init,
    };
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
        if (inits[i](state) < 0) {
            return -1;
        }
    }
    return 0;
}

static int module_exec(PyObject *module) {
    ev_state_t *state = ev_state_of(module);
    state->module = module; /* borrowed: the state is the module's */
    if (intern_names(state) < 0 || import_names(state) < 0 || init_types(state) < 0 ||
        PyModule_AddType(module, state->loop_type) < 0 ||
        PyModule_AddType(module, state->handle_type) < 0 ||
        PyModule_AddType(module, state->timer_handle_type) < 0 ||
        PyModule_AddType(module, state->child_watch_type) < 0 ||
        ev_pipe_constants_init(module) < 0 || ev_error_functions_init(module) < 0 ||
        PyModule_AddStringConstant(module, "__version__", es_version_string()) < 0 ||
        PyModule_AddStringConstant(module, "libuv_version", uv_version_string()) < 0) {
        return -1;
    }
    return 0;
}

/* -- the state --------------------------------------------------------------------------------- */

#define EV_STATE_OBJECTS(row)                                                                      \
    row(asyncio_handle) row(asyncio_timer_handle) row(asyncio_threadsafe_handle)                   \
        row(asyncio_transport) row(asyncio_buffered_protocol) row(asyncio_trsock)                  \
            row(asyncio_selector_loop) row(asyncio_logger) row(asyncio_helpers)                    \
                row(cancelled_error) row(socket_class) row(socket_family) row(python)              \
                    row(empty_tuple) row(set_wakeup_fd)

#define EV_STATE_TYPES(row)                                                                        \
    row(loop_type) row(handle_type) row(timer_handle_type) row(safe_handle_type)                   \
        row(child_watch_type) row(stream_transport_type) row(pipe_transport_type)                  \
            row(write_pipe_transport_type) row(datagram_transport_type)                            \
                row(duplex_pipe_transport_type) row(socket_view_type) row(listener_type)           \
                    row(sock_op_type) row(lock_file_type) row(held_lock_type)                      \
                        row(lock_monitor_type) row(lock_request_type)

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    ev_state_t *state = ev_state_of(module);
#define EV_VISIT(name) Py_VISIT(state->name);
    EV_STATE_OBJECTS(EV_VISIT)
    EV_STATE_TYPES(EV_VISIT)
#undef EV_VISIT
    return 0;
}

static int module_clear(PyObject *module) {
    ev_state_t *state = ev_state_of(module);
    ev_handle_types_clear(state);
#define EV_CLEAR(name) Py_CLEAR(state->name);
    EV_STATE_OBJECTS(EV_CLEAR)
    EV_STATE_TYPES(EV_CLEAR)
#undef EV_CLEAR
#define EV_CLEAR_NAME(name) Py_CLEAR(state->str_##name);
    EV_STRINGS(EV_CLEAR_NAME)
#undef EV_CLEAR_NAME
    return 0;
}

static void module_free(void *module) {
    (void)module_clear(module);
    ev_state_t *state = ev_state_of(module);
    ev_handle_layout_release(state);
}

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&module_def);
}
