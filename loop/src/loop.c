/* SPDX-License-Identifier: MIT */
/* The turn: what runs when, and when the loop waits.
 *
 * Owns el_loop_t from init to close and everything that guards the lock around a wait.
 * Guarantees the order that loop.h promises and that after_block is called exactly once for each
 * before_block that returned true. Broken by a callback of libuv that does not begin with
 * el__enter, and by running the ready queue to its end instead of to its length at the turn's
 * start.
 */
#include "internal.h"

#include <string.h>

/* While libuv watches nothing that could have news, it is asked only every so many turns: what is
 * left, bytes in the signal pipe, may wait that long, and a chain of ready items costs no poll. */
#define POLL_SKIP_MAX 32u

static void on_wake(uv_async_t *handle) {
    el__enter(el__loop_of(handle->loop));
}

static void on_wait_over(uv_timer_t *handle) {
    el_loop_t *loop = el__loop_of(handle->loop);
    el__enter(loop);
    loop->wait_deadline_ms = 0;
}

int el__from_uv(int status) {
    if (status >= 0) {
        return 0;
    }
    int code = es_error_from_name(uv_err_name(status));
    return code != 0 ? code : ES_EUNKNOWN;
}

el_reason_t el__reason(int code) {
    es_error_native_t last = es_error_last();
    el_reason_t reason = {code, last.code == code ? last.native : 0};
    return reason;
}

void el__attach(el_loop_t *loop, el_attached_t *attached, void (*detach)(el_attached_t *)) {
    attached->detach = detach;
    attached->next = loop->attached;
    attached->link = &loop->attached;
    if (attached->next != NULL) {
        attached->next->link = &attached->next;
    }
    loop->attached = attached;
}

void el__detach(el_attached_t *attached) {
    if (attached->link == NULL) {
        return;
    }
    *attached->link = attached->next;
    if (attached->next != NULL) {
        attached->next->link = attached->link;
    }
    attached->link = NULL;
}

static int init_uv(el_loop_t *loop) {
    int held[EL__STDIO_COUNT];
    int held_count = el__os_hold_stdio(held);
    int status = uv_loop_init(&loop->uv);
    el__os_release_stdio(held, held_count);
    if (status != 0) {
        return status;
    }
    loop->uv.data = loop;
    status = uv_async_init(&loop->uv, &loop->wake_async, on_wake);
    if (status != 0) {
        (void)uv_loop_close(&loop->uv);
        return status;
    }
    (void)uv_timer_init(&loop->uv, &loop->wait_timer);
    return 0;
}

int el_loop_init(el_loop_t *loop, const el_hooks_t *hooks, void *ctx) {
    memset(loop, 0, sizeof *loop);
    atomic_init(&loop->posted, NULL);
    atomic_init(&loop->posters, 0);
    atomic_init(&loop->wake_pending, 0);
    atomic_init(&loop->waiting, 0);
    loop->signal_fd = -1;
    loop->polls_renew_ns = EL_NEVER;
    loop->ctx = ctx;
    if (hooks != NULL) {
        loop->hooks = *hooks;
    }
    loop->process_generation = es_process_generation();
    loop->read_buffer = es_malloc(EL_READ_BUFFER_SIZE);
    if (loop->read_buffer == NULL) {
        return ES_ENOMEM;
    }
    int code = el__from_uv(init_uv(loop));
    if (code != 0) {
        es_free(loop->read_buffer);
        loop->read_buffer = NULL;
        loop->closed = true;
    }
    return code;
}

/* Waiting. */

void el__unblock(el_loop_t *loop) {
    /* Posters that come now need not wake a loop that is awake, even before the lock is back. */
    atomic_store(&loop->waiting, 0);
    if (loop->hooks.after_block != NULL) {
        loop->hooks.after_block(loop->ctx);
    }
    loop->blocked = false;
    loop->phase = ++loop->phase_last;
}

/* Marks the loop as waiting and gives the lock back. False: it must not wait after all. The order
 * matters: a poster first queues and then looks at `waiting`, so one of the two sees the other. */
static bool block(el_loop_t *loop) {
    atomic_store(&loop->waiting, 1);
    if (atomic_exchange(&loop->wake_pending, 0) != 0 || atomic_load(&loop->posted) != NULL) {
        atomic_store(&loop->waiting, 0);
        return false;
    }
    loop->blocked = true;
    if (loop->hooks.before_block != NULL && !loop->hooks.before_block(loop->ctx)) {
        loop->blocked = false;
        atomic_store(&loop->waiting, 0);
        return false;
    }
    return true;
}

/* Arms the one libuv timer for a deadline, rounded up to libuv's milliseconds so that it is never
 * early: floor(now) >= ceil(deadline) implies now >= deadline. */
static void arm_wait_timer(el_loop_t *loop, uint64_t deadline_ns) {
    if (deadline_ns == EL_NEVER) {
        if (loop->wait_deadline_ms != 0) {
            loop->wait_deadline_ms = 0;
            (void)uv_timer_stop(&loop->wait_timer);
        }
        return;
    }
    uint64_t deadline_ms = deadline_ns / 1000000u + (deadline_ns % 1000000u != 0 ? 1 : 0);
    if (deadline_ms != loop->wait_deadline_ms) {
        uint64_t now_ms = uv_now(&loop->uv);
        loop->wait_deadline_ms = deadline_ms;
        (void)uv_timer_start(&loop->wait_timer, on_wait_over,
                             deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
    }
}

/* When the wait must end at the latest; 0: at once. */
static uint64_t wait_deadline(el_loop_t *loop, uint64_t timeout_ns) {
    /* Before a poll that does not wait too: a busy loop would keep what was cancelled. */
    el__timers_tidy(loop);
    if (timeout_ns == 0 || loop->stopping) {
        return 0;
    }
    if (loop->ready.first != NULL || loop->polls_broken != NULL || loop->stopping) {
        return 0;
    }
    uint64_t deadline = el__timers_first(loop);
    if (loop->polls_renew_ns < deadline) {
        deadline = loop->polls_renew_ns;
    }
    if (deadline == EL_NEVER && timeout_ns == EL_NEVER) {
        return EL_NEVER;
    }
    /* libuv counts the wait from its cached time, which the callbacks since the last poll made
     * old. */
    uv_update_time(&loop->uv);
    if (timeout_ns == EL_NEVER && el__surely_later(loop, deadline)) {
        return deadline;
    }
    uint64_t now = el_now_ns();
    if (deadline <= now) {
        return 0;
    }
    if (timeout_ns < deadline - now) {
        deadline = now + timeout_ns;
    }
    return deadline;
}

/* Phase 2. */
static int poll_phase(el_loop_t *loop, uint64_t timeout_ns) {
    uint64_t deadline = wait_deadline(loop, timeout_ns);
    if (el__forked(loop)) {
        return ES_EFORKED;
    }
    if (loop->polls_renew_ns != EL_NEVER) {
        el__polls_renew(loop);
    }
    if (loop->polls_dirty != NULL || loop->watches_ending != NULL) {
        el__polls_sync(loop);
    }
    bool wait = deadline != 0 && loop->polls_broken == NULL;
    if (wait) {
        arm_wait_timer(loop, deadline);
        wait = block(loop);
    } else if (atomic_load_explicit(&loop->wake_pending, memory_order_relaxed) != 0) {
        atomic_store(&loop->wake_pending, 0);
    }
    if (wait) {
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
        el__enter(loop);
    } else {
        loop->phase = ++loop->phase_last;
        if (loop->io_count != 0 || loop->closing_count != 0 ||
            ++loop->polls_skipped >= POLL_SKIP_MAX) {
            loop->polls_skipped = 0;
            (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        } else if (loop->heap_count != 0) {
            uv_update_time(&loop->uv);
        }
    }
    if (loop->polls_broken != NULL) {
        el__polls_call_broken(loop);
    }
    return 0;
}

static inline void begin_phase(el_loop_t *loop) {
    loop->phase = ++loop->phase_last;
}

static inline void end_phase(el_loop_t *loop) {
    loop->phase = 0;
    if (loop->gathering != NULL) {
        el__flush_gathered(loop);
    }
}

/* Phase 1. What is pushed meanwhile stays for the next turn, and so does the rest after an
 * interrupt. */
static void run_ready(el_loop_t *loop) {
    loop->turn_left = loop->ready.count;
    while (loop->turn_left > 0 && !loop->interrupted) {
        loop->turn_left--;
        el_ready_t *item = el_ready_queue_pop(&loop->ready);
        item->ops->run(loop, item);
    }
    loop->turn_left = 0;
}

void el_loop_unpush(el_loop_t *loop, el_ready_t *item) {
    size_t place = el_ready_queue_remove(&loop->ready, item);
    if (place < loop->turn_left) {
        loop->turn_left--;
    }
}

static int turn(el_loop_t *loop, uint64_t timeout_ns) {
    if (el__forked(loop)) {
        return ES_EFORKED;
    }
    loop->turn_sequence = loop->timer_sequence;
    el_loop_collect(loop);
    if (loop->ready.first != NULL) {
        begin_phase(loop);
        run_ready(loop);
        end_phase(loop);
    }
    if (loop->interrupted) {
        return 0;
    }
    int code = poll_phase(loop, timeout_ns);
    end_phase(loop);
    if (code != 0 || loop->interrupted) {
        return code;
    }
    if (loop->heap_count != 0 && !el__surely_later(loop, el__timers_first(loop))) {
        begin_phase(loop);
        el__timers_run(loop);
        end_phase(loop);
    }
    return 0;
}

static int begin_run(el_loop_t *loop) {
    if (loop->closed) {
        return ES_EINVAL;
    }
    if (el__forked(loop)) {
        /* A fork inside a callback left `running` set in the child, and the run itself behind. */
        return ES_EFORKED;
    }
    if (loop->running) {
        return ES_EBUSY;
    }
    loop->running = true;
    loop->interrupted = false;
    return 0;
}

static void end_run(el_loop_t *loop) {
    loop->running = false;
    loop->stopping = false;
}

int el_loop_run(el_loop_t *loop) {
    int code = begin_run(loop);
    if (code != 0) {
        return code;
    }
    do {
        code = turn(loop, EL_NEVER);
    } while (code == 0 && !loop->stopping && !loop->interrupted);
    end_run(loop);
    return code;
}

int el_loop_turn(el_loop_t *loop, uint64_t timeout_ns) {
    int code = begin_run(loop);
    if (code != 0) {
        return code;
    }
    code = turn(loop, timeout_ns);
    end_run(loop);
    return code;
}

void el_loop_stop(el_loop_t *loop) {
    loop->stopping = true;
    if (loop->blocked) {
        el_loop_wake(loop);
    }
}

void el_loop_interrupt(el_loop_t *loop) {
    loop->interrupted = true;
    if (loop->blocked) {
        el_loop_wake(loop);
    }
}

/* Closing. */

/* Dropping may queue again, and others may post, so until nothing is left and posts are refused. */
static void drop_ready(el_loop_t *loop) {
    do {
        el_loop_collect(loop);
        el_ready_t *item;
        while ((item = el_ready_queue_pop(&loop->ready)) != NULL) {
            item->ops->drop(loop, item);
        }
    } while (!el__refuse_posts(loop));
    el__await_posters(loop);
}

static void close_handles(el_loop_t *loop) {
    el__signal_pipe_close(loop);
    el__polls_close(loop);
    uv_close((uv_handle_t *)&loop->wake_async, NULL);
    uv_close((uv_handle_t *)&loop->wait_timer, NULL);
    /* Waits for what the system still has in its hands: on Windows, cancelled requests. */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int status = uv_loop_close(&loop->uv);
    assert(status == 0);
    (void)status;
}

int el_loop_close(el_loop_t *loop) {
    if (loop->closed) {
        return 0;
    }
    bool forked = el__forked(loop);
    if (loop->running && !forked) {
        return ES_EBUSY;
    }
    if (forked) {
        /* The poll set is still the parent's: get one of our own, else closing would empty his. */
        (void)uv_loop_fork(&loop->uv);
        loop->process_generation = es_process_generation();
        loop->running = false;
        atomic_store(&loop->posters, 0); /* their threads stayed in the parent */
    }
    loop->closed = true;
    loop->phase = 0;
    el__flush_gathered(loop);
    while (loop->attached != NULL) {
        el_attached_t *attached = loop->attached;
        el__detach(attached);
        attached->detach(attached);
    }
    el__timers_close(loop);
    drop_ready(loop);
    close_handles(loop);
    es_free(loop->read_buffer);
    loop->read_buffer = NULL;
    es_free(loop->datagram_buffer);
    loop->datagram_buffer = NULL;
    return 0;
}
