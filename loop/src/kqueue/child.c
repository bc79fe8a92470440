/* SPDX-License-Identifier: MIT */
/* The end of a child on macOS and BSD: EVFILT_PROC in a kqueue of its own, which the loop
 * watches.
 *
 * A kqueue a child keeps libuv's own kqueue out of our hands. Guarantees that `exited` comes
 * once, also for a child that is a zombie already: macOS refuses to watch one (ESRCH) where BSD
 * reports it at once.
 */
#include "../internal.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

struct el_child {
    el_attached_t attached;
    int fd; /* the kqueue; -1: the child was found dead */
    el_poll_t *poll;
    el_ready_t item; /* tells of a child found dead */
    el_loop_t *loop; /* NULL once it is closed */
    void (*exited)(el_child_t *child, void *ctx);
    void *ctx;
};

static void on_exited(el_poll_t *poll, void *ctx) {
    el_child_t *child = ctx;
    el_poll_clear(poll, EL_READ);
    child->exited(child, child->ctx);
}

static void run_found_dead(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    el_child_t *child = el__container(item, el_child_t, item);
    child->exited(child, child->ctx);
}

/* The loop closes; the owner still stops the child. */
static void drop_found_dead(el_loop_t *loop, el_ready_t *item) {
    (void)loop;
    (void)item;
}

static const el_ready_ops_t found_dead_ops = {run_found_dead, drop_found_dead};

static bool is_zombie(pid_t pid) {
    siginfo_t info;
    info.si_pid = 0;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static int watch_exit(el_loop_t *loop, el_child_t *child, pid_t pid) {
    struct kevent event;
    child->fd = kqueue();
    if (child->fd < 0) {
        return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
    }
    EV_SET(&event, (uintptr_t)pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
    if (kevent(child->fd, &event, 1, NULL, 0, NULL) != 0) {
        return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
    }
    int code = el_poll_open(loop, child->fd, &child->poll);
    if (code == 0) {
        el_poll_set(child->poll, EL_READ, on_exited, child);
    }
    return code;
}

static void let_go(el_child_t *child) {
    if (child->poll != NULL) {
        el_poll_clear(child->poll, EL_READ);
        el_poll_close(child->poll);
        child->poll = NULL;
    }
    if (child->fd >= 0) {
        (void)close(child->fd);
        child->fd = -1;
    }
}

static void detach_child(el_attached_t *attached) {
    el_child_t *child = el__container(attached, el_child_t, attached);
    child->loop = NULL;
    let_go(child);
}

int el_child_start(el_loop_t *loop, intptr_t process, void (*exited)(el_child_t *, void *),
                   void *ctx, el_child_t **out) {
    el_child_t *child = es_calloc(1, sizeof *child);
    if (child == NULL) {
        return ES_ENOMEM;
    }
    child->loop = loop;
    child->exited = exited;
    child->ctx = ctx;
    int code = watch_exit(loop, child, (pid_t)process);
    if (code != 0) {
        let_go(child);
    }
    if (code == ES_ESRCH && is_zombie((pid_t)process)) {
        child->item.ops = &found_dead_ops;
        el_loop_push(loop, &child->item);
        code = 0;
    }
    if (code != 0) {
        es_free(child);
        return code;
    }
    el__attach(loop, &child->attached, detach_child);
    *out = child;
    return 0;
}

void el_child_stop(el_child_t *child) {
    if (child->loop != NULL) {
        el_loop_unpush(child->loop, &child->item);
    }
    el__detach(&child->attached);
    let_go(child);
    es_free(child);
}
