/* SPDX-License-Identifier: MIT */
/* The end of a child on Linux: a pidfd (Linux 5.3) becomes readable.
 *
 * Guarantees that `exited` comes once and that the status is left for the owner to collect. The
 * system call is made by number: glibc before 2.36 has no function for it.
 */
#include "../internal.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct el_child {
    el_attached_t attached;
    int fd;
    el_poll_t *poll;
    void (*exited)(el_child_t *child, void *ctx);
    void *ctx;
};

static void on_exited(el_poll_t *poll, void *ctx) {
    el_child_t *child = ctx;
    el_poll_clear(poll, EL_READ);
    child->exited(child, child->ctx);
}

static int open_pidfd(intptr_t process, int *fd) {
#if defined(SYS_pidfd_open)
    long result = syscall(SYS_pidfd_open, (pid_t)process, 0u);
    if (result >= 0) {
        *fd = (int)result;
        return 0;
    }
    int error = errno;
    /* Old kernels lack the call, sandboxes forbid it. */
    if (error == ENOSYS || error == EPERM || error == EACCES) {
        return ES_ENOTSUP;
    }
    return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)error, ES_OP_OPEN);
#else
    (void)process;
    (void)fd;
    return ES_ENOTSUP;
#endif
}

static void let_go(el_child_t *child) {
    el_poll_clear(child->poll, EL_READ);
    el_poll_close(child->poll);
    (void)close(child->fd);
    child->poll = NULL;
}

/* The loop is closed: the owner still calls el_child_stop. */
static void detach_child(el_attached_t *attached) {
    let_go(el__container(attached, el_child_t, attached));
}

int el_child_start(el_loop_t *loop, intptr_t process, void (*exited)(el_child_t *, void *),
                   void *ctx, el_child_t **out) {
    el_child_t *child = es_calloc(1, sizeof *child);
    if (child == NULL) {
        return ES_ENOMEM;
    }
    int code = open_pidfd(process, &child->fd);
    if (code != 0) {
        es_free(child);
        return code;
    }
    code = el_poll_open(loop, child->fd, &child->poll);
    if (code != 0) {
        (void)close(child->fd);
        es_free(child);
        return code;
    }
    child->exited = exited;
    child->ctx = ctx;
    el_poll_set(child->poll, EL_READ, on_exited, child);
    el__attach(loop, &child->attached, detach_child);
    *out = child;
    return 0;
}

void el_child_stop(el_child_t *child) {
    if (child->poll != NULL) {
        el__detach(&child->attached);
        let_go(child);
    }
    es_free(child);
}
