/* SPDX-License-Identifier: MIT */
/* libuv's uv_poll on epoll, made safe from what a program does to a descriptor meanwhile.
 *
 * libuv hands a descriptor to the kernel in its next poll and aborts the process when that fails:
 * when the descriptor was closed between, here or in another thread. So the kernel is asked here,
 * where the answer can be taken, and libuv is left nothing to ask.
 *
 * epoll knows a descriptor by its number and by the open file. A descriptor that was closed while a
 * duplicate keeps the file open can't be taken out of the set any more (epoll(7), Q6), and wakes
 * every wait for good. The kernel says so when libuv tries to take it out; libuv does not listen,
 * but errno still has it. Broken by a libuv that makes another system call after that one.
 *
 * A handle that has done its work is given another descriptor: all that binds it to one, while it
 * is stopped, is a number.
 */
#include "../internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOWHERE (-1) /* the descriptor of a retired handle */

static int last_error(void) {
    return es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)errno, ES_OP_OPEN);
}

/* Whether libuv has told the kernel, so that a failure to take the descriptor out has a meaning. */
bool el__os_poll_known(const uv_poll_t *handle) {
    return handle->io_watcher.events != 0;
}

/* Adds what libuv would add in its next poll. */
static int add(uv_loop_t *uv, uv__io_t *io) {
    struct epoll_event event = {.events = io->pevents, .data.fd = io->fd};
    if (epoll_ctl(uv_backend_fd(uv), EPOLL_CTL_ADD, io->fd, &event) != 0 && errno != EEXIST) {
        return last_error();
    }
    io->events = io->pevents;
    return 0;
}

/* Takes a watcher off libuv's list of those that the kernel is to be told of. */
static void unqueue(uv__io_t *io) {
    struct uv__queue *node = &io->watcher_queue;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node;
    node->prev = node;
}

int el__os_poll_start(uv_loop_t *uv, uv_poll_t *handle, int events, uv_poll_cb cb, bool *stale) {
    bool known = el__os_poll_known(handle);
    errno = 0;
    int status = uv_poll_start(handle, events, cb);
    *stale = *stale || (known && errno != 0);
    if (status != 0) {
        return el__from_uv(status);
    }
    int code = add(uv, &handle->io_watcher);
    if (code != 0) {
        (void)uv_poll_stop(handle);
        return code;
    }
    unqueue(&handle->io_watcher);
    return 0;
}

void el__os_poll_stop(uv_poll_t *handle, bool *stale) {
    bool known = el__os_poll_known(handle);
    errno = 0;
    (void)uv_poll_stop(handle);
    *stale = *stale || (known && errno != 0);
}

void el__os_poll_close(uv_poll_t *handle, uv_close_cb cb, bool *stale) {
    bool known = el__os_poll_known(handle);
    if (handle->io_watcher.fd == NOWHERE) {
        /* libuv takes out of the set what it closes, and wants a number: the set is not in itself. */
        handle->io_watcher.fd = uv_backend_fd(handle->loop);
    }
    errno = 0;
    uv_close((uv_handle_t *)handle, cb);
    *stale = *stale || (known && errno != 0);
}

bool el__os_poll_retire(uv_poll_t *handle, bool *stale) {
    if (uv_is_active((uv_handle_t *)handle)) {
        el__os_poll_stop(handle, stale);
    }
    handle->io_watcher.fd = NOWHERE;
    return true;
}

int el__os_poll_aim(uv_poll_t *handle, es_sock_t fd, bool known_socket) {
    struct stat status;
    if (!known_socket) {
        if (fd < 0 || fd > INT_MAX) {
            return ES_EBADF;
        }
        if (fstat((int)fd, &status) != 0) {
            return last_error();
        }
        if (!S_ISSOCK(status.st_mode)) {
            return ES_ENOTSUP;
        }
    }
    handle->io_watcher.fd = (int)fd;
    return 0;
}

int el__os_polls_renew(uv_loop_t *uv) {
    int fresh = epoll_create1(EPOLL_CLOEXEC);
    if (fresh < 0) {
        return last_error();
    }
    /* In the place of the old one, whose number libuv knows; that is closed by this. */
    int placed = dup3(fresh, uv_backend_fd(uv), O_CLOEXEC);
    int code = placed < 0 ? last_error() : 0;
    (void)close(fresh);
    for (unsigned i = 0; code == 0 && i < uv->nwatchers; i++) {
        uv__io_t *io = uv->watchers[i];
        if (io != NULL && io->events != 0 && add(uv, io) != 0) {
            io->events = 0;
        }
    }
    return code;
}
