/* SPDX-License-Identifier: MIT */
/* Watchers: one per descriptor and loop, shared by readers and writers of every kind.
 *
 * A watcher has two slots, reading and writing. A callback means only "ask the descriptor now":
 * it may be spurious, and errors and hang-ups fill both slots, so the system call tells.
 * Watching is level-triggered: a slot that stays set is called again. The caller's O_NONBLOCK
 * flag is as it was when el_poll_open returns. Nothing here closes the descriptor.
 *
 * Who closes a descriptor before el_poll_clear or el_poll_close makes a mistake that is survived.
 * The watcher falls silent; when the system refuses the descriptor, the callbacks are called once,
 * so that their system calls tell. A watcher whose number the system has given to a new connection
 * is orphaned: el_poll_fd then says ES_SOCK_INVALID, and a last call of the callbacks lets their
 * owners let go of it.
 *
 * Interest that grows takes effect before the next poll; interest that ends, at once, so the
 * owner may close the descriptor right after el_poll_clear or el_poll_close.
 */
#ifndef EVENLOOP_POLL_H
#define EVENLOOP_POLL_H

#include <evenloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct el_poll el_poll_t;

typedef enum el_direction { EL_READ = 0, EL_WRITE = 1 } el_direction_t;

typedef void (*el_poll_cb)(el_poll_t *poll, void *ctx);

/* Finds this descriptor's watcher, or NULL. */
el_poll_t *el_poll_find(el_loop_t *loop, es_sock_t fd);

/* Finds or makes the watcher of a descriptor. 0; ES_EPERM: the system can't poll it (a regular
 * file; on Windows all but sockets); ES_EBADF; ES_ENOMEM. Every successful open is paired with one
 * el_poll_close. */
int el_poll_open(el_loop_t *loop, es_sock_t fd, el_poll_t **out);

/* Gives up one el_poll_open; the last one ends all interest and forgets the watcher. */
void el_poll_close(el_poll_t *poll);

/* Fills a slot, replacing what was there. */
void el_poll_set(el_poll_t *poll, el_direction_t direction, el_poll_cb cb, void *ctx);

/* Says that the caller begins anew with this descriptor: the system is told again what is wanted,
 * because the number may stand for another file than when the watcher was made. */
void el_poll_renew(el_poll_t *poll);

/* Empties a slot. After it returns the callback is not called any more. */
void el_poll_clear(el_poll_t *poll, el_direction_t direction);

/* What a slot holds; NULL when it is empty. */
el_poll_cb el_poll_get(const el_poll_t *poll, el_direction_t direction, void **ctx);

/* A stream, listener or other exclusive owner marks the watcher as its own, so that others can be
 * refused. NULL: nobody. */
void el_poll_set_owner(el_poll_t *poll, void *owner);
void *el_poll_owner(const el_poll_t *poll);

es_sock_t el_poll_fd(const el_poll_t *poll);
el_loop_t *el_poll_loop(const el_poll_t *poll);

#ifdef __cplusplus
}
#endif
#endif
