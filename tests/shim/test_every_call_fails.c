/* SPDX-License-Identifier: MIT */
/* Every system call of an exchange fails, at every index, once and for good, with each of many
 * errors. Verified each time: the exchange ends (no endless loop), no descriptor is left open,
 * nothing is written to results of a failed call, and the code that comes out is the one the table
 * gives for the error and the operation, with the native error kept. What makes it hard is that
 * many failures are rightly survived (an interruption, an unreadable SO_TYPE); then the exchange
 * must succeed. */
#include "check.h"
#include "real.h"
#include "script_posix.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { UNTOUCHED = 7777, TRIES_MAX = 20, WAIT_MS = 500 };

static const int errors[] = {EINTR,    EAGAIN,    EBADF,       EINVAL, ENOMEM,     ENOBUFS,
                             EMFILE,   ENFILE,    EPERM,       EACCES, ECONNRESET, EPIPE,
                             ENOTCONN, ETIMEDOUT, EINPROGRESS, EIO,    9998};

/* The first thing that went wrong in an exchange, and what was said about it then. */
static int failed_code;
static es_error_native_t failed_last;
static const char *failed_call;

static int failed(int code) {
    if (code != 0 && failed_code == 0) {
        failed_code = code;
        failed_last = es_error_last();
        failed_call = script.fired_call;
    }
    return code != 0;
}

typedef int attempt_t(es_sock_t sock, size_t *done);

/* Tries, waits, tries again; an answer that says "not now" for ever counts as a failure. */
static int persist(attempt_t *attempt, es_sock_t sock, int events) {
    int code = 0;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        size_t done = UNTOUCHED;

        code = attempt(sock, &done);
        if (code != 0) {
            assert_int_equal(done, UNTOUCHED);
        }
        if (code != ES_EAGAIN) {
            break;
        }
        (void)real_wait(sock, events, WAIT_MS);
    }
    return failed(code);
}

static es_sock_t accepted;
static es_addr_t destination;

static int take(es_sock_t sock, size_t *done) {
    es_addr_t peer;
    es_sock_t made = UNTOUCHED;
    int code = es_sock_accept(sock, &made, &peer);

    (void)done;
    if (code == 0) {
        accepted = made;
    } else {
        assert_true(made == UNTOUCHED);
    }
    return code == ES_ECONNABORTED ? ES_EAGAIN : code;
}

static int say(es_sock_t sock, size_t *done) {
    return es_sock_send(sock, "hello", 5, done);
}

static int say_pieces(es_sock_t sock, size_t *done) {
    const es_iov_t pieces[] = {{(void *)(uintptr_t) "good", 4}, {(void *)(uintptr_t) "bye", 3}};

    return es_sock_sendv(sock, pieces, 2, done);
}

static int hear(es_sock_t sock, size_t *done) {
    char heard[64];

    return es_sock_recv(sock, heard, sizeof(heard), done);
}

static int hear_end(es_sock_t sock, size_t *done) {
    int code = hear(sock, done);

    if (code == 0) {
        *done = UNTOUCHED; /* the rest of what was said */
        return ES_EAGAIN;
    }
    return code == ES_EOF ? 0 : code;
}

static int send_datagram(es_sock_t sock, size_t *done) {
    return es_sock_sendto(sock, "dgram", 5, &destination, done);
}

static int send_empty(es_sock_t sock, size_t *done) {
    return es_sock_sendto(sock, "", 0, &destination, done);
}

static int hear_datagram(es_sock_t sock, size_t *done) {
    es_addr_t from = {.size = UNTOUCHED};
    char heard[64];
    int code = es_sock_recvfrom(sock, heard, sizeof(heard), done, &from);

    assert_true(code == 0 || from.size == UNTOUCHED);
    return code;
}

static int finish(es_sock_t sock, size_t *done) {
    int code = es_sock_connect_finish(sock);

    (void)done;
    return code == ES_EINPROGRESS ? ES_EAGAIN : code;
}

static void shut(es_sock_t sock) {
    if (sock != ES_SOCK_INVALID) {
        (void)failed(es_sock_close(sock));
    }
}

static int connect_to(es_sock_t client, const es_addr_t *addr) {
    int code = es_sock_connect(client, addr);

    return code == ES_EINPROGRESS ? 0 : code;
}

static int use_options(es_sock_t sock) {
    int code = UNTOUCHED;
    es_addr_t addr;

    return failed(es_sock_adopt(sock)) || failed(es_sock_set_nodelay(sock, 0)) ||
           failed(es_sock_set_nonblocking(sock, 0)) || failed(es_sock_set_nonblocking(sock, 1)) ||
           failed(es_sock_take_error(sock, &code)) || failed(es_sock_peer(sock, &addr));
}

static void talk(es_sock_t client, es_sock_t server) {
    (void)(use_options(client) || persist(say, client, REAL_WRITE) ||
           persist(hear, server, REAL_READ) || persist(say_pieces, server, REAL_WRITE) ||
           failed(es_sock_shutdown(server, ES_SHUT_WRITE)) || persist(hear_end, client, REAL_READ));
}

static void exchange_stream(void) {
    es_sock_t listener = ES_SOCK_INVALID;
    es_sock_t client = ES_SOCK_INVALID;
    es_addr_t addr;

    accepted = ES_SOCK_INVALID;
    real_ipv4(&addr, 0x7f000001, 0);
    if (failed(es_sock_open(real_inet, real_stream, 0, 0, &listener)) ||
        failed(es_sock_bind(listener, &addr)) || failed(es_sock_listen(listener, 5)) ||
        failed(es_sock_name(listener, &addr)) ||
        failed(es_sock_open(real_inet, real_stream, 0, ES_SOCK_NODELAY, &client)) ||
        failed(connect_to(client, &addr)) || persist(take, listener, REAL_READ) ||
        persist(finish, client, REAL_WRITE)) {
        goto out;
    }
    talk(client, accepted);
out:
    shut(client);
    shut(accepted);
    shut(listener);
}

static void exchange_datagrams(void) {
    es_sock_t here = ES_SOCK_INVALID;
    es_sock_t there = ES_SOCK_INVALID;

    real_ipv4(&destination, 0x7f000001, 0);
    if (!failed(es_sock_open(real_inet, real_dgram, 0, 0, &here)) &&
        !failed(es_sock_open(real_inet, real_dgram, 0, 0, &there)) &&
        !failed(es_sock_adopt_datagram(there)) && !failed(es_sock_bind(there, &destination)) &&
        !failed(es_sock_name(there, &destination)) && !failed(es_sock_enable_recv(there))) {
        (void)(persist(send_datagram, here, REAL_WRITE) ||
               persist(hear_datagram, there, REAL_READ) || persist(send_empty, here, REAL_WRITE) ||
               persist(hear_datagram, there, REAL_READ));
    }
    shut(here);
    shut(there);
}

static void exchange_ipv6(void) {
    es_sock_t sock = ES_SOCK_INVALID;

    if (!real_has_ipv6()) {
        return;
    }
    (void)failed(es_sock_open(real_inet6, real_stream, 0, ES_SOCK_NODELAY, &sock));
    shut(sock);
}

static int write_pipe(es_sock_t pipe, size_t *done) {
    return es_pipe_write(pipe, "through", 7, done);
}

static int writev_pipe(es_sock_t pipe, size_t *done) {
    const es_iov_t piece = {(void *)(uintptr_t) "pieces", 6};

    return es_pipe_writev(pipe, &piece, 1, done);
}

static int read_pipe(es_sock_t pipe, size_t *done) {
    char heard[64];

    return es_pipe_read(pipe, heard, sizeof(heard), done);
}

/* Nobody reads any more: EPIPE is what should happen. */
static int write_broken(es_sock_t pipe, size_t *done) {
    int code = es_pipe_write(pipe, "lost", 4, done);

    return code == ES_EPIPE ? 0 : code;
}

static void exchange_pipe(void) {
    es_pipe_t ends[2] = {ES_PIPE_INVALID, ES_PIPE_INVALID};

    if (failed(es_pipe_open(&ends[0], &ends[1]))) {
        assert_true(ends[0] == ES_PIPE_INVALID && ends[1] == ES_PIPE_INVALID);
        return;
    }
    (void)(failed(es_pipe_set_nonblocking(ends[0], 1)) ||
           persist(write_pipe, ends[1], REAL_WRITE) || persist(writev_pipe, ends[1], REAL_WRITE) ||
           persist(read_pipe, ends[0], REAL_READ));
    (void)failed(es_pipe_close(ends[0]));
    (void)persist(write_broken, ends[1], REAL_WRITE);
    (void)failed(es_pipe_close(ends[1]));
}

static void exchange(void) {
    failed_code = 0;
    exchange_stream();
    exchange_datagrams();
    exchange_ipv6();
    exchange_pipe();
}

/* accept4 and pipe2 are told as accept and pipe. A failing option of a new socket is followed by
 * close, which may fail too, silently. */
static int is_same_call(const char *told, const char *fired) {
    return strncmp(told, fired, strlen(told)) == 0 || strcmp(fired, "close") == 0;
}

static void check_outcome(int error) {
    es_error_native_t last = failed_last;
    int code = failed_code;

    if (code == 0 || code == ES_EAGAIN || code == ES_EINPROGRESS || code == ES_EOF) {
        return; /* survived, or an answer that leaves no trace */
    }
    assert_code(last.code, code);
    assert_int_equal(last.native, error);
    assert_int_equal(last.domain, ES_DOMAIN_ERRNO);
    assert_code(code, es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)error, last.op));
    if (!is_same_call(last.call, failed_call)) {
        print_error("told %s, failed %s\n", last.call, failed_call);
        fail();
    }
}

static void fail_everywhere(int times) {
    int call_count;
    int fired_count = 0;
    int open_count;

    exchange();
    assert_code(failed_code, 0);
    open_count = real_open_count();
    script_begin();
    exchange();
    call_count = script.count;
    assert_true(call_count > 40);
    for (size_t which = 0; which < COUNT(errors); which++) {
        for (int from = 0; from < call_count; from++) {
            script_fail(NULL, from, times, errors[which]);
            exchange();
            fired_count += script.fired != 0;
            check_outcome(errors[which]);
            assert_int_equal(real_open_count(), open_count);
        }
    }
    script_end();
    assert_int_equal(fired_count, call_count * (int)COUNT(errors));
}

static void each_call_may_fail_once(void **state) {
    (void)state;
    fail_everywhere(1);
}

static void each_call_may_fail_for_good(void **state) {
    (void)state;
    fail_everywhere(SCRIPT_FOR_GOOD);
}

/* One kind of call fails for good while the others work. */
static void each_kind_of_call_may_fail_for_good(void **state) {
    static const char *const kinds[] = {
        "socket", "bind",   "listen",   "connect",     "accept4",     "recv",
        "send",   "sendto", "recvfrom", "sendmsg",     "getsockopt",  "setsockopt",
        "close",  "poll",   "shutdown", "getsockname", "getpeername", "fcntl",
        "pipe2",  "read",   "write",    "writev",      "sigaction",   "pthread_sigmask"};
    int open_count = real_open_count();

    (void)state;
    script_begin();
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        for (size_t which = 0; which < COUNT(errors); which++) {
            script_fail(kinds[kind], 0, SCRIPT_FOR_GOOD, errors[which]);
            exchange();
            assert_int_equal(real_open_count(), open_count);
        }
    }
    script_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_fail_once),
        cmocka_unit_test(each_call_may_fail_for_good),
        cmocka_unit_test(each_kind_of_call_may_fail_for_good),
    };

    /* Where the guard against SIGPIPE itself was made to fail, the signal must not end the test. */
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("every call fails", tests, NULL, NULL);
}
