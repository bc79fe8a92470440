/* SPDX-License-Identifier: MIT */
/* Waiting on Windows: LockFileEx on an overlapped handle takes the bytes as soon as they are free,
 * in the order of the system's queue, and signals the monitor's one event. That event is shared by
 * all requests, and the start of each resets it, so it is set again after every start and whoever
 * wakes looks at them all; only first waiters have requests, so they are few. A cancelled request
 * may have been granted in the same moment: its end is always awaited, for the system writes into
 * its memory until then. Under Wine requests do not end, so every wait is blind there. */
#include "lock_win.h"

#include "error_internal.h"

#include <evenshim/memory.h>

#include <assert.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

/* WaitForMultipleObjects takes INFINITE as its largest. */
#define MS_MAX 0xfffffffeLL

/* The system answers a cancelled request within microseconds; then a pause spares the processor. */
#define REAP_SPINS 64

struct es_cancel {
    HANDLE event;
};

struct es__prim_monitor {
    HANDLE event;
};

_Static_assert(sizeof(OVERLAPPED) <= sizeof(((es__wait_t *)0)->leaf), "a request fits");

int es_cancel_open(es_cancel_t **out) {
    es_cancel_t *cancel = es_malloc(sizeof(*cancel));

    assert(out != NULL);
    if (cancel == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_OPEN, "es_cancel_open");
    }
    cancel->event = es__sys.CreateEventW(NULL, TRUE, FALSE, NULL);
    if (cancel->event == NULL) {
        es_free(cancel);
        return es__lock_fail(ES_OP_OPEN, "CreateEventW");
    }
    *out = cancel;
    return 0;
}

void es_cancel_set(es_cancel_t *cancel) {
    (void)es__sys.SetEvent(cancel->event);
}

void es_cancel_close(es_cancel_t *cancel) {
    if (cancel != NULL) {
        (void)es__sys.CloseHandle(cancel->event);
        es_free(cancel);
    }
}

int es__prim_monitor_open(es__prim_monitor_t **out) {
    es__prim_monitor_t *monitor = es_malloc(sizeof(*monitor));

    if (monitor == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_OPEN, "es_lock_monitor_open");
    }
    monitor->event = es__sys.CreateEventW(NULL, TRUE, FALSE, NULL);
    if (monitor->event == NULL) {
        es_free(monitor);
        return es__lock_fail(ES_OP_OPEN, "CreateEventW");
    }
    *out = monitor;
    return 0;
}

void es__prim_monitor_close(es__prim_monitor_t *monitor) {
    (void)es__sys.CloseHandle(monitor->event);
    es_free(monitor);
}

es_pollable_t es__prim_monitor_pollable(const es__prim_monitor_t *monitor) {
    return (es_pollable_t)monitor->event;
}

void es__prim_monitor_wake(es__prim_monitor_t *monitor) {
    (void)es__sys.SetEvent(monitor->event);
}

/* Before the requests are looked at: what ends later sets the event again. */
int es__prim_monitor_collect(es__prim_monitor_t *monitor) {
    return es__sys.ResetEvent(monitor->event) ? 0 : es__lock_fail(ES_OP_LOCK, "ResetEvent");
}

void es__prim_monitor_renew(es__prim_monitor_t *monitor) {
    (void)es__prim_monitor_collect(monitor);
}

/* Rounded up: a deadline is never early. */
static DWORD ms_of(int64_t timeout_ns) {
    int64_t ms;

    if (timeout_ns < 0) {
        return INFINITE;
    }
    ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    return (DWORD)(ms < MS_MAX ? ms : MS_MAX);
}

int es__prim_monitor_wait(es__prim_monitor_t *monitor, int64_t timeout_ns, es_cancel_t *cancel) {
    HANDLE handles[2] = {cancel != NULL ? cancel->event : monitor->event, monitor->event};
    DWORD count = cancel != NULL ? 2 : 1;
    DWORD which = es__sys.WaitForMultipleObjects(count, handles, FALSE, ms_of(timeout_ns));

    if (which == WAIT_TIMEOUT) {
        return ES_ETIMEDOUT;
    }
    if (which == WAIT_FAILED) {
        return es__lock_fail(ES_OP_LOCK, "WaitForMultipleObjects");
    }
    return cancel != NULL && which == WAIT_OBJECT_0
               ? es__refuse(ES_ECANCELED, ES_OP_LOCK, "es_cancel_set")
               : 0;
}

static OVERLAPPED *request_of(es__wait_t *wait) {
    return (OVERLAPPED *)(void *)wait->leaf;
}

static HANDLE handle_of(const es__wait_t *wait) {
    return (HANDLE)wait->hold->native;
}

/* The system writes this field last, from another thread. */
static int is_pending(es__wait_t *wait) {
    return *(volatile ULONG_PTR *)&request_of(wait)->Internal == (ULONG_PTR)STATUS_PENDING;
}

int es__prim_wait_begin(es__prim_monitor_t *monitor, es__wait_t *wait, es__hold_t *hold,
                        es__bytes_t bytes, es_lock_kind_t kind, int is_fair) {
    OVERLAPPED *request = request_of(wait);
    DWORD reason;

    (void)is_fair; /* the system's queue is the only one, and it is fair */
    wait->hold = hold;
    wait->bytes = bytes;
    wait->kind = kind;
    wait->is_due = 0;
    wait->manner = ES__WAIT_BLIND;
    if (!es__lock_pends()) {
        return 0;
    }
    memset(request, 0, sizeof(*request));
    request->hEvent = monitor->event;
    if (!es__lock_call(handle_of(wait), bytes,
                       kind == ES_LOCK_EXCLUSIVE ? LOCKFILE_EXCLUSIVE_LOCK : 0u, request)) {
        reason = es__sys.GetLastError();
        if (reason != ERROR_IO_PENDING) {
            (void)es__sys.SetEvent(monitor->event);
            return es__fail(ES_DOMAIN_WIN32, reason, ES_OP_LOCK, "LockFileEx");
        }
    }
    wait->manner = ES__WAIT_GRANTS;
    (void)es__sys.SetEvent(monitor->event);
    return 0;
}

/* The answer of a request that has ended. A thread's exit cancels what it began, so ES_ECANCELED
 * may come unasked; the caller begins again. */
static int answer_of(es__wait_t *wait) {
    DWORD unwanted = 0;

    return es__sys.GetOverlappedResult(handle_of(wait), request_of(wait), &unwanted, FALSE)
               ? 0
               : es__lock_fail(ES_OP_LOCK, "LockFileEx");
}

int es__prim_wait_check(es__prim_monitor_t *monitor, es__wait_t *wait) {
    (void)monitor;
    if (wait->manner != ES__WAIT_GRANTS || is_pending(wait)) {
        return ES_EAGAIN;
    }
    return answer_of(wait);
}

int es__prim_wait_end(es__prim_monitor_t *monitor, es__wait_t *wait) {
    (void)monitor;
    if (wait->manner != ES__WAIT_GRANTS) {
        return ES_ECANCELED;
    }
    (void)es__sys.CancelIoEx(handle_of(wait), request_of(wait)); /* not found: it has ended */
    for (int spins = 0; is_pending(wait); spins++) {
        if (spins < REAP_SPINS) {
            (void)es__sys.SwitchToThread();
        } else {
            es__sys.Sleep(1);
        }
    }
    return answer_of(wait) == 0 ? 0 : ES_ECANCELED;
}
