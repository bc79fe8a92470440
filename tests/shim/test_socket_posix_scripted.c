/* SPDX-License-Identifier: MIT */
/* The Unix leaf on single answers of the system that a real one gives rarely or never on demand:
 * interruptions, empty receives of each kind of socket, addresses of odd lengths, connects that
 * lost their reason. Each test sets the fields it needs of the table of system calls. */
#include "check.h"
#include "real.h"
#include "script_posix.h"

#include "prim/kernel.h"
#include "prim/socket.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

enum { UNTOUCHED = 7777, SOME_FD = 5 };

/* What the answers below give, and what they were asked. */
static int type_answer;
static int so_error_answer;
static short poll_answer;
static int calls;
static int flags_seen;
static size_t size_seen;
static int setsockopts;

static int set_up(void **state) {
    (void)state;
    type_answer = SOCK_STREAM;
    so_error_answer = 0;
    poll_answer = 0;
    calls = 0;
    setsockopts = 0;
    script_begin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    script_end();
    return 0;
}

static int answer_option(int fd, int level, int name, void *value, socklen_t *size) {
    (void)fd;
    (void)level;
    if (name == SO_TYPE && type_answer < 0) {
        errno = EBADF;
        return -1;
    }
    memcpy(value, name == SO_TYPE ? &type_answer : &so_error_answer, sizeof(int));
    *size = sizeof(int);
    return 0;
}

static ssize_t receive_nothing(int fd, void *base, size_t size, int flags) {
    (void)fd;
    (void)base;
    (void)size;
    (void)flags;
    calls++;
    return 0;
}

static ssize_t receive_three(int fd, void *base, size_t size, int flags) {
    (void)fd;
    memcpy(base, "abc", 3);
    size_seen = size;
    flags_seen = flags;
    calls++;
    return 3;
}

static ssize_t send_three(int fd, const void *base, size_t size, int flags) {
    (void)fd;
    (void)base;
    size_seen = size;
    flags_seen = flags;
    calls++;
    return 3;
}

static ssize_t send_no_more_than_two(int fd, const struct msghdr *message, int flags) {
    (void)fd;
    size_seen = (size_t)message->msg_iovlen;
    flags_seen = flags;
    calls++;
    return 2;
}

static void receiving_is_one_call_that_never_waits(void **state) {
    char heard[8];
    size_t done = 0;

    (void)state;
    es__sys.recv = receive_three;
    assert_code(es_sock_recv(SOME_FD, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 3);
    assert_memory_equal(heard, "abc", 3);
    assert_int_equal(size_seen, 8);
    assert_int_equal(flags_seen, ES__RECV_FLAGS);
    assert_int_equal(calls, 1);
    assert_int_equal(script.count, 0); /* no other call was made */
}

static void a_short_send_tells_what_was_taken(void **state) {
    size_t done = 0;
    es_iov_t pieces[100];

    (void)state;
    es__sys.send = send_three;
    es__sys.sendmsg = send_no_more_than_two;
    assert_code(es_sock_send(SOME_FD, "abcdef", 6, &done), 0);
    assert_int_equal(done, 3);
    assert_int_equal(flags_seen, ES__SEND_FLAGS);
    for (size_t index = 0; index < COUNT(pieces); index++) {
        pieces[index] = (es_iov_t){(void *)(uintptr_t) "x", 1};
    }
    assert_code(es_sock_sendv(SOME_FD, pieces, COUNT(pieces), &done), 0);
    assert_int_equal(done, 2);
    assert_int_equal(size_seen, ES_IOV_MAX); /* the rest waits for the next call */
    assert_int_equal(flags_seen, ES__SEND_FLAGS);
    assert_int_equal(calls, 2);
}

static void an_empty_receive_is_the_end_of_a_stream_only(void **state) {
    char heard[8];
    size_t done = UNTOUCHED;

    (void)state;
    es__sys.recv = receive_nothing;
    es__sys.getsockopt = answer_option;
    assert_code(es_sock_recv(SOME_FD, heard, sizeof(heard), &done), ES_EOF);
    type_answer = SOCK_SEQPACKET;
    assert_code(es_sock_recv(SOME_FD, heard, sizeof(heard), &done), ES_EOF);
    type_answer = -1; /* it does not tell */
    assert_code(es_sock_recv(SOME_FD, heard, sizeof(heard), &done), ES_EOF);
    assert_int_equal(done, UNTOUCHED);
    type_answer = SOCK_DGRAM;
    assert_code(es_sock_recv(SOME_FD, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 0);
    type_answer = SOCK_STREAM;
    done = UNTOUCHED;
    assert_code(es_sock_recv(SOME_FD, heard, 0, &done), 0); /* nothing was asked for */
    assert_int_equal(done, 0);
}

/* Runs `call` with one kind of system call interrupted so often, and gives its code. */
static int interrupt(const char *call, int times, int (*run)(size_t *done)) {
    size_t done = UNTOUCHED;
    int code;

    script_fail(call, 0, times, EINTR);
    code = run(&done);
    assert_int_equal(script.fired, times < ES__INTERRUPTIONS_MAX ? times : ES__INTERRUPTIONS_MAX);
    assert_true((done != UNTOUCHED) == (code == 0));
    return code;
}

static es_sock_t pair[2];

static int run_recv(size_t *done) {
    char byte;

    return es_sock_recv(pair[0], &byte, 1, done);
}

static int run_recvfrom(size_t *done) {
    char byte;
    es_addr_t from;

    return es_sock_recvfrom(pair[0], &byte, 1, done, &from);
}

static int run_send(size_t *done) {
    return es_sock_send(pair[1], "x", 1, done);
}

static int run_sendv(size_t *done) {
    es_iov_t piece = {(void *)(uintptr_t) "x", 1};

    return es_sock_sendv(pair[1], &piece, 1, done);
}

static int run_sendto(size_t *done) {
    es_addr_t nowhere = {.size = 0};

    return es_sock_sendto(pair[1], "x", 1, &nowhere, done);
}

static void interrupted_calls_are_repeated_with_an_end(void **state) {
    static const struct {
        const char *call;
        int (*run)(size_t *done);
    } cases[] = {
        {"send", run_send},         {"recv", run_recv},     {"sendmsg", run_sendv},
        {"recvfrom", run_recvfrom}, {"sendto", run_sendto}, {"recv", run_recv},
    };
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pair[0] = fds[0];
    pair[1] = fds[1];
    for (size_t index = 0; index < COUNT(cases); index++) {
        assert_code(interrupt(cases[index].call, SCRIPT_FOR_GOOD, cases[index].run), ES_EAGAIN);
        assert_code(interrupt(cases[index].call, ES__INTERRUPTIONS_MAX - 1, cases[index].run), 0);
    }
    assert_code(es_sock_close(pair[0]), 0);
    assert_code(es_sock_close(pair[1]), 0);
}

static void an_interrupted_close_is_done_and_not_repeated(void **state) {
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    script_fail("close", 0, SCRIPT_FOR_GOOD, EINTR);
    assert_code(es_sock_close(fds[0]), 0);
    assert_int_equal(script.fired, 1);
    script_fail("close", 0, 1, EIO);
    assert_code(es_sock_close(fds[1]), ES_EIO);
    assert_int_equal(script.fired, 1);
}

static void an_interrupted_connect_goes_on(void **state) {
    es_addr_t addr;

    (void)state;
    real_ipv4(&addr, 0x7f000001, 1);
    script_fail("connect", 0, SCRIPT_FOR_GOOD, EINTR);
    assert_code(es_sock_connect(SOME_FD + 1000, &addr), ES_EINPROGRESS);
    assert_int_equal(script.fired, 1);
}

static void trouble_of_a_waiting_connection_is_not_the_listeners(void **state) {
    static const int troubles[] = {ECONNABORTED, ECONNRESET, EPROTO,       ENETDOWN, ENETUNREACH,
                                   ENOPROTOOPT,  EHOSTDOWN,  EHOSTUNREACH, ETIMEDOUT};
    static const int shortages[][2] = {
        {EMFILE, ES_EMFILE}, {ENFILE, ES_ENFILE}, {ENOBUFS, ES_ENOBUFS}, {ENOMEM, ES_ENOMEM}};
    es_sock_t made = UNTOUCHED;

    (void)state;
    for (size_t index = 0; index < COUNT(troubles); index++) {
        script_fail(NULL, 0, 1, troubles[index]);
        assert_code(es_sock_accept(SOME_FD, &made, NULL), ES_ECONNABORTED);
    }
    for (size_t index = 0; index < COUNT(shortages); index++) {
        script_fail(NULL, 0, 1, shortages[index][0]);
        assert_code(es_sock_accept(SOME_FD, &made, NULL), shortages[index][1]);
    }
    script_fail(NULL, 0, SCRIPT_FOR_GOOD, EINTR);
    assert_code(es_sock_accept(SOME_FD, &made, NULL), ES_EAGAIN);
    assert_true(made == UNTOUCHED);
}

static void answers_leave_the_last_failure_alone(void **state) {
    char byte;
    size_t done;
    es_sock_t made;

    (void)state;
    script_fail("recv", 0, 1, ECONNRESET);
    assert_code(es_sock_recv(SOME_FD, &byte, 1, &done), ES_ECONNRESET);
    script_fail(NULL, 0, SCRIPT_FOR_GOOD, EAGAIN);
    assert_code(es_sock_recv(SOME_FD, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_send(SOME_FD, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_accept(SOME_FD, &made, NULL), ES_EAGAIN);
    assert_code(es_error_last().code, ES_ECONNRESET);
    assert_string_equal(es_error_last().call, "recv");
    assert_int_equal(es_error_last().native, ECONNRESET);
}

static int name_nobody(int fd, struct sockaddr *addr, socklen_t *size) {
    (void)fd;
    (void)addr;
    *size = sizeof(addr->sa_family);
    return 0;
}

static int name_too_long(int fd, struct sockaddr *addr, socklen_t *size) {
    (void)fd;
    memset(addr, 1, *size);
    *size = 1000; /* the kernel tells the true length of a name that was cut */
    return 0;
}

static void a_name_is_cut_and_no_name_is_empty(void **state) {
    es_addr_t addr = {.size = 1};

    (void)state;
    es__sys.getsockname = name_nobody;
    es__sys.getpeername = name_too_long;
    assert_code(es_sock_name(SOME_FD, &addr), 0);
    assert_int_equal(addr.size, 0);
    assert_code(es_sock_peer(SOME_FD, &addr), 0);
    assert_int_equal(addr.size, sizeof(addr.storage));
}

static int name_no_peer(int fd, struct sockaddr *addr, socklen_t *size) {
    (void)fd;
    (void)addr;
    (void)size;
    errno = ENOTCONN;
    return -1;
}

static int answer_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    assert_int_equal(count, 1);
    assert_int_equal(timeout_ms, 0);
    fds->revents = poll_answer;
    return poll_answer != 0;
}

static void a_connect_ends_in_one_of_four_ways(void **state) {
    (void)state;
    es__sys.getsockopt = answer_option;
    es__sys.getpeername = name_no_peer;
    es__sys.poll = answer_poll;
    so_error_answer = ECONNREFUSED;
    assert_code(es_sock_connect_finish(SOME_FD), ES_ECONNREFUSED);
    assert_int_equal(es_error_last().native, ECONNREFUSED);
    so_error_answer = 0;
    assert_code(es_sock_connect_finish(SOME_FD), ES_EINPROGRESS);
    poll_answer = POLLOUT | POLLHUP; /* the reason was told before: no more waiting */
    assert_code(es_sock_connect_finish(SOME_FD), ES_ENOTCONN);
    es__sys.getpeername = name_too_long;
    assert_code(es_sock_connect_finish(SOME_FD), 0);
}

static int count_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    (void)fd;
    (void)level;
    (void)name;
    (void)value;
    (void)size;
    setsockopts++;
    return 0;
}

static int make_socket(int family, int type, int protocol) {
    (void)family;
    (void)type;
    (void)protocol;
    return SOME_FD;
}

static void options_go_to_sockets_that_have_them(void **state) {
    es_sock_t made;

    (void)state;
    es__sys.socket = make_socket;
    es__sys.setsockopt = count_setsockopt;
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, ES_SOCK_NODELAY, &made), 0);
    assert_int_equal(setsockopts, 1);
    assert_code(es_sock_open(AF_INET, SOCK_DGRAM, 0, ES_SOCK_NODELAY, &made), 0);
    assert_code(es_sock_open(AF_UNIX, SOCK_STREAM, 0, ES_SOCK_NODELAY, &made), 0);
    assert_int_equal(setsockopts, 1);
    assert_code(es_sock_open(AF_INET6, SOCK_STREAM, 0, ES_SOCK_DUAL_STACK, &made), 0);
    assert_int_equal(setsockopts, 2);
    made = UNTOUCHED;
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 4u, &made), ES_EINVAL);
    assert_int_equal(es_error_last().native, 0);
    assert_true(made == UNTOUCHED);
}

#define TEST(fact) cmocka_unit_test_setup_teardown(fact, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(receiving_is_one_call_that_never_waits),
        TEST(a_short_send_tells_what_was_taken),
        TEST(an_empty_receive_is_the_end_of_a_stream_only),
        TEST(interrupted_calls_are_repeated_with_an_end),
        TEST(an_interrupted_close_is_done_and_not_repeated),
        TEST(an_interrupted_connect_goes_on),
        TEST(trouble_of_a_waiting_connection_is_not_the_listeners),
        TEST(answers_leave_the_last_failure_alone),
        TEST(a_name_is_cut_and_no_name_is_empty),
        TEST(a_connect_ends_in_one_of_four_ways),
        TEST(options_go_to_sockets_that_have_them),
    };

    return cmocka_run_group_tests_name("sockets on a scripted Unix", tests, NULL, NULL);
}
