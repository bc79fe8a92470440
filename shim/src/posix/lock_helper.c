/* SPDX-License-Identifier: MIT */
/* A thread that waits for one lock in the kernel's queue, which alone is fair across processes. One
 * lives for each file that a monitor waits for with ES_LOCK_FAIR, only while it waits. It ends by
 * itself when it has the lock, or by pthread_cancel: the lock call is no cancellation point in
 * every C library (musl cancels F_SETLKW alone), so cancellation is asynchronous around it and off
 * everywhere else. The thread touches its own struct and the descriptor, nothing more. Breaks if
 * anything but the system call comes between the two switches. What is here of es__wait_t is common
 * to inotify and kqueue. */
#include "lock_posix.h"

#include "error_internal.h"
#include "prim/socket.h"

#include <evenshim/memory.h>

#include <errno.h>

enum { RUNNING, DONE };

struct es__helper {
    pthread_t thread;
    es__hold_t *hold;
    es__bytes_t bytes;
    short type;
    int is_flock;
    struct flock region; /* not on the stack, which the address sanitizer would leave marked */
    int unwanted;
    int reason; /* errno of the lock call, or 0 */
    atomic_int state;
    void (*wake)(void *context);
    void *context;
};

static int wait_for_lock(es__helper_t *helper) {
    int fd = (int)helper->hold->native;

    if (helper->is_flock) {
        return es__sys.flock(fd, helper->type == F_RDLCK ? LOCK_SH : LOCK_EX);
    }
    helper->region.l_type = helper->type;
    helper->region.l_whence = SEEK_SET;
    helper->region.l_start = (off_t)helper->bytes.offset;
    helper->region.l_len = (off_t)helper->bytes.size;
    return es__sys.fcntl(fd, ES__OFD_SETLKW, &helper->region);
}

static void *run(void *argument) {
    es__helper_t *helper = argument;
    int interruptions = 0;
    int result;

    do {
        (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &helper->unwanted);
        (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &helper->unwanted);
        result = wait_for_lock(helper);
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &helper->unwanted);
    } while (result < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    helper->reason = result == 0 ? 0 : errno == EINTR ? ECANCELED : errno; /* that: begin again */
    atomic_store_explicit(&helper->state, DONE, memory_order_release);
    helper->wake(helper->context);
    return NULL;
}

/* The thread must take no signal of the program's, and starts deaf to cancellation only after its
 * first switch: until then there is nothing to lose. */
static int start(es__helper_t *helper) {
    sigset_t all;
    sigset_t before;
    int reason;

    (void)sigfillset(&all);
    (void)es__sys.pthread_sigmask(SIG_SETMASK, &all, &before);
    reason = es__sys.pthread_create(&helper->thread, NULL, run, helper);
    (void)es__sys.pthread_sigmask(SIG_SETMASK, &before, NULL);
    return reason;
}

int es__helper_begin(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind,
                     void (*wake)(void *context), void *context, es__helper_t **out) {
    es__helper_t *helper = es_calloc(1, sizeof(*helper));

    if (helper == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_LOCK, "es__helper_begin");
    }
    helper->hold = hold;
    helper->bytes = bytes;
    helper->type = kind == ES_LOCK_SHARED ? F_RDLCK : F_WRLCK;
    helper->is_flock = hold->is_flock;
    helper->wake = wake;
    helper->context = context;
    atomic_init(&helper->state, RUNNING);
    if (start(helper) != 0) {
        es_free(helper);
        return ES_EAGAIN; /* no thread to be had: others ways of waiting remain */
    }
    *out = helper;
    return 0;
}

/* After the thread has ended. */
static int finish(es__helper_t *helper, int is_done) {
    int reason = is_done ? helper->reason : ECANCELED;

    es_free(helper);
    errno = reason;
    return reason == 0 ? 0 : es__lock_fail(ES_OP_LOCK, "fcntl");
}

int es__helper_check(es__helper_t *helper) {
    if (atomic_load_explicit(&helper->state, memory_order_acquire) != DONE) {
        return ES_EAGAIN;
    }
    (void)es__sys.pthread_join(helper->thread, NULL);
    return finish(helper, 1);
}

/* The lock may have been granted in the moment of the cancellation: then nobody knows of it, so the
 * bytes are freed in any case. */
int es__helper_end(es__helper_t *helper) {
    int is_done;

    (void)es__sys.pthread_cancel(helper->thread);
    (void)es__sys.pthread_join(helper->thread, NULL);
    is_done = atomic_load_explicit(&helper->state, memory_order_acquire) == DONE;
    if (!is_done) {
        (void)es__prim_lock_free(helper->hold, helper->bytes);
    }
    return finish(helper, is_done);
}

void es__wait_begin(es__wait_t **waits, es__wait_t *wait, int is_fair, void (*wake)(void *context),
                    void *context) {
    es__helper_t *helper = NULL;

    wait->manner = ES__WAIT_BLIND;
    if (is_fair && ES__LOCK_QUEUES &&
        es__helper_begin(wait->hold, wait->bytes, wait->kind, wake, context, &helper) == 0) {
        wait->manner = ES__WAIT_GRANTS;
        wait->helper = helper;
    }
    es__wait_enlist(waits, wait);
}

int es__wait_is_told(const es__wait_t *wait) {
    uint32_t caps = 0;

    return es__prim_lock_caps(wait->hold->native, &caps) == 0 && (caps & ES_LOCK_CAN_NOTIFY) != 0;
}

int es__prim_wait_check(es__prim_monitor_t *monitor, es__wait_t *wait) {
    int code;

    (void)monitor;
    if (wait->manner != ES__WAIT_GRANTS) {
        return wait->is_due ? 0 : ES_EAGAIN;
    }
    code = es__helper_check(wait->helper);
    if (code != ES_EAGAIN) {
        es__wait_delist(wait);
    }
    return code;
}
