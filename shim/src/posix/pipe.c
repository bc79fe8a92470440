/* SPDX-License-Identifier: MIT */
/* Pipes, FIFOs and terminals on Unix. Keeps the rules of prim/socket.h for errors, signals and
 * lengths. SIGPIPE: write(2) has no MSG_NOSIGNAL, so where the process does not ignore the signal
 * it is held back for the duration of the call and taken away again. Blocking it in another place
 * and forgetting to put the mask back would break the program around us. */
#include <evenshim/pipe.h>

#include "error_internal.h"
#include "io.h"
#include "prim/kernel.h"
#include "sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

static int fail(es_op_t op, const char *call) {
    return es__fail(ES_DOMAIN_ERRNO, (uint32_t)errno, op, call);
}

static ssize_t read_some(int fd, void *base, size_t size) {
    ssize_t got;
    int interruptions = 0;

    do {
        got = es__sys.read(fd, base, size);
    } while (got < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return got;
}

static ssize_t write_some(int fd, const void *base, size_t size) {
    ssize_t sent;
    int interruptions = 0;

    do {
        sent = es__sys.write(fd, base, size);
    } while (sent < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return sent;
}

static ssize_t write_pieces(int fd, const struct iovec *iov, int iov_count) {
    ssize_t sent;
    int interruptions = 0;

    do {
        sent = es__sys.writev(fd, iov, iov_count);
    } while (sent < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return sent;
}

/* The signal's state before a write. */
typedef struct guard {
    sigset_t mask;   /* the thread's own mask */
    int is_held;     /* we changed the mask */
    int was_pending; /* a SIGPIPE of someone else waited already: it is not ours to take */
} guard_t;

static void only_sigpipe(sigset_t *set) {
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGPIPE);
}

static int is_pending(void) {
    sigset_t pending;

    (void)sigemptyset(&pending);
    return es__sys.sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* Programs that talk to pipes mostly ignore SIGPIPE, as Python does: one cheap call then. */
static void hold_sigpipe(guard_t *guard) {
    struct sigaction action = {0};
    sigset_t sigpipe;

    guard->is_held = 0;
    guard->was_pending = 0;
    if (es__sys.sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
        return;
    }
    only_sigpipe(&sigpipe);
    if (es__sys.pthread_sigmask(SIG_BLOCK, &sigpipe, &guard->mask) == 0) {
        guard->is_held = 1;
        guard->was_pending = is_pending();
    }
}

/* A SIGPIPE of write(2) is aimed at the thread that wrote, so it is there when EPIPE is, and no
 * other thread can take it: sigwait does not wait. Keeps errno. */
static void release_sigpipe(const guard_t *guard, int is_broken) {
    int reason = errno;
    sigset_t sigpipe;
    int taken;

    if (!guard->is_held) {
        return;
    }
    if (is_broken && !guard->was_pending && is_pending()) {
        only_sigpipe(&sigpipe);
        (void)es__sys.sigwait(&sigpipe, &taken);
    }
    (void)es__sys.pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
    errno = reason;
}

static int finish_write(ssize_t sent, const char *call, size_t *done) {
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_WRITE, call);
}

int es_pipe_open(es_pipe_t *read_end, es_pipe_t *write_end) {
    int fds[2];

    assert(read_end != NULL && write_end != NULL);
    if (es__kernel_pipe(fds) < 0) {
        return fail(ES_OP_OPEN, "pipe");
    }
    *read_end = fds[0];
    *write_end = fds[1];
    return 0;
}

int es_pipe_close(es_pipe_t pipe) {
    if (es__sys.close((int)pipe) < 0 && errno != EINTR && errno != EINPROGRESS) {
        return fail(ES_OP_CLOSE, "close");
    }
    return 0;
}

int es_pipe_read(es_pipe_t pipe, void *base, size_t size, size_t *done) {
    ssize_t got = read_some((int)pipe, base, es__io_size(size));

    assert(done != NULL);
    if (got > 0 || (got == 0 && size == 0)) {
        *done = (size_t)got;
        return 0;
    }
    if (got == 0) {
        return ES_EOF;
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_READ, "read");
}

int es_pipe_write(es_pipe_t pipe, const void *base, size_t size, size_t *done) {
    guard_t guard;
    ssize_t sent;

    assert(done != NULL);
    hold_sigpipe(&guard);
    sent = write_some((int)pipe, base, es__io_size(size));
    release_sigpipe(&guard, sent < 0 && errno == EPIPE);
    return finish_write(sent, "write", done);
}

int es_pipe_writev(es_pipe_t pipe, const es_iov_t *iov, size_t iov_count, size_t *done) {
    size_t pieces = es__io_pieces(iov, iov_count);
    guard_t guard;
    ssize_t sent;

    assert(done != NULL);
    if (pieces == 0) {
        return es_pipe_write(pipe, iov_count != 0 ? iov[0].base : "",
                             iov_count != 0 ? iov[0].size : 0, done);
    }
    hold_sigpipe(&guard);
    sent = write_pieces((int)pipe, (const struct iovec *)(const void *)iov, (int)pieces);
    release_sigpipe(&guard, sent < 0 && errno == EPIPE);
    return finish_write(sent, "writev", done);
}

int es_pipe_set_nonblocking(es_pipe_t pipe, int on) {
    return es_sock_set_nonblocking(pipe, on);
}
