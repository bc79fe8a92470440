/* SPDX-License-Identifier: MIT */
/* The end of a child on Windows: the system's wait threads watch the process handle and post to
 * the loop.
 *
 * Guarantees that `exited` comes once, on the loop's thread. Broken by freeing a child whose
 * item is in a queue: stopping one leaves that to the item.
 */
#include "../internal.h"

#include <windows.h>

struct el_child {
    el_attached_t attached;
    el_ready_t item;
    el_loop_t *loop;
    HANDLE wait;
    atomic_int posted; /* the item is, or was, on its way */
    bool delivered;
    bool stopped;
    void (*exited)(el_child_t *child, void *ctx);
    void *ctx;
};

static void run_exited(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_child_t *child = el__container(item, el_child_t, item);
    child->delivered = true;
    if (child->stopped) {
        es_free(child);
    } else {
        child->exited(child, child->ctx);
    }
}

static void drop_exited(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_child_t *child = el__container(item, el_child_t, item);
    child->delivered = true;
    if (child->stopped) {
        es_free(child);
    }
}

static const el_ready_ops_t exited_ops = {run_exited, drop_exited};

static VOID CALLBACK on_signaled(PVOID context, BOOLEAN timed_out) {
    (void)timed_out;
    el_child_t *child = context;
    atomic_store(&child->posted, 1);
    (void)el_loop_post(child->loop, &child->item); /* the loop waits for us before it closes */
}

/* Waits for a callback that is running; it only posts. */
static void end_wait(el_child_t *child) {
    if (child->wait != NULL) {
        (void)UnregisterWaitEx(child->wait, INVALID_HANDLE_VALUE);
        child->wait = NULL;
    }
}

static void detach_child(el_attached_t *attached) {
    end_wait(el__container(attached, el_child_t, attached));
}

int el_child_start(el_loop_t *loop, intptr_t process, void (*exited)(el_child_t *, void *),
                   void *ctx, el_child_t **out) {
    /* A wait on what is no process, or without the right to wait, would be taken on and never
     * end. */
    if (WaitForSingleObject((HANDLE)process, 0) == WAIT_FAILED) {
        return es_error_from_native(ES_DOMAIN_WIN32, (uint32_t)GetLastError(), ES_OP_OPEN);
    }
    el_child_t *child = es_calloc(1, sizeof *child);
    if (child == NULL) {
        return ES_ENOMEM;
    }
    child->loop = loop;
    child->item.ops = &exited_ops;
    child->exited = exited;
    child->ctx = ctx;
    atomic_init(&child->posted, 0);
    if (!RegisterWaitForSingleObject(&child->wait, (HANDLE)process, on_signaled, child, INFINITE,
                                     WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
        int code = es_error_from_native(ES_DOMAIN_WIN32, (uint32_t)GetLastError(), ES_OP_OPEN);
        es_free(child);
        return code;
    }
    el__attach(loop, &child->attached, detach_child);
    *out = child;
    return 0;
}

void el_child_stop(el_child_t *child) {
    el__detach(&child->attached);
    end_wait(child);
    if (atomic_load(&child->posted) != 0 && !child->delivered) {
        child->stopped = true;
    } else {
        es_free(child);
    }
}
