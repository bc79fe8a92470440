/* SPDX-License-Identifier: MIT */
/* libuv's uv_poll where the system forgets a descriptor with its close: everywhere but on epoll.
 *
 * kqueue knows a descriptor by its number alone and drops it when that is closed, whatever
 * duplicates there are; a request to AFD belongs to the socket and ends with it. What the system
 * says of a descriptor that is gone, libuv reports as an error of the watcher.
 */
#include "internal.h"

bool el__os_poll_known(const uv_poll_t *handle) {
    (void)handle;
    return true;
}

int el__os_poll_start(uv_loop_t *uv, uv_poll_t *handle, int events, uv_poll_cb cb, bool *stale) {
    (void)uv;
    (void)stale;
    return el__from_uv(uv_poll_start(handle, events, cb));
}

void el__os_poll_stop(uv_poll_t *handle, bool *stale) {
    (void)stale;
    (void)uv_poll_stop(handle);
}

void el__os_poll_close(uv_poll_t *handle, uv_close_cb cb, bool *stale) {
    (void)stale;
    uv_close((uv_handle_t *)handle, cb);
}

bool el__os_poll_retire(uv_poll_t *handle, bool *stale) {
    (void)handle;
    (void)stale;
    return false;
}

int el__os_poll_aim(uv_poll_t *handle, es_sock_t fd, bool known_socket) {
    (void)handle;
    (void)fd;
    (void)known_socket;
    return ES_ENOTSUP;
}

int el__os_polls_renew(uv_loop_t *uv) {
    (void)uv;
    return 0;
}
