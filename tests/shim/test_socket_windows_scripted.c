/* SPDX-License-Identifier: MIT */
/* The Windows leaf on a scripted Windows, on every system. Verified: which calls are made, in which
 * order, with which arguments, and what each answer of Windows comes to mean. Much of this no
 * test-bed can show: Wine refuses SIO_TCP_INITIAL_RTO and never reports ICMP errors. */
#include "check.h"
#include "script_windows.h"

#include "prim/socket.h"
#include "socket_address.h"

#include <limits.h>
#include <string.h>

enum { UNTOUCHED = 7777, NEW = 4321, CONNRESET_REPORT = 12, NETRESET_REPORT = 15, RTO = 17 };

#define VENDOR(number) (0x98000000LL + (number))
#define LOOPBACK       0x7f000001LL
#define END                                                                                        \
    { 0 }
#define DO(function, ...)                                                                          \
    { .call = #function, .wanted = ANY, __VA_ARGS__ }
#define WANT(function, telling, ...)                                                               \
    { .call = #function, .wanted = (telling), __VA_ARGS__ }
#define FAILS(number) .result = -1, .error = (number)
#define TYPE_IS(type) WANT(getsockopt, SO_TYPE, .value = (type))
#define PLAY(...)                                                                                  \
    const step_t steps[] = {__VA_ARGS__, END};                                                     \
    script_steps(steps)

static void set_ipv4(es_addr_t *addr, uint32_t host) {
    struct sockaddr_in native;
    unsigned char bytes[4] = {(unsigned char)(host >> 24), (unsigned char)(host >> 16),
                              (unsigned char)(host >> 8), (unsigned char)host};

    memset(&native, 0, sizeof(native));
    native.sin_family = AF_INET;
    memcpy(&native.sin_addr, bytes, sizeof(bytes));
    memcpy(addr->storage.bytes, &native, sizeof(native));
    addr->size = sizeof(native);
}

static void set_ipv6(es_addr_t *addr, const char *host) {
    struct sockaddr_in6 native;

    memset(&native, 0, sizeof(native));
    native.sin6_family = AF_INET6;
    memcpy(&native.sin6_addr, host, 16);
    memcpy(addr->storage.bytes, &native, sizeof(native));
    addr->size = sizeof(native);
}

#define MAPPED(a, b, c, d) "\0\0\0\0\0\0\0\0\0\0\xff\xff" a b c d
static const char any6[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
static const char loopback6[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
static const char mapped_loopback[] = MAPPED("\x7f", "\0", "\0", "\1");
static const char mapped_any[] = MAPPED("\0", "\0", "\0", "\0");
static const char global6[] = "\x20\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1";

/* Runs first: Winsock is not started yet. */
static void winsock_starts_once_and_a_failure_is_told(void **state) {
    es_sock_t made = UNTOUCHED;

    (void)state;
    {
        PLAY(WANT(WSAStartup, 0x0202, .result = 10091));
        assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &made), ES_ENETDOWN);
        assert_int_equal(es_error_last().native, 10091);
        assert_string_equal(es_error_last().call, "WSAStartup");
        script_finish();
    }
    {
        PLAY(DO(WSAStartup), WANT(WSASocketW, 0x81, .result = NEW), WANT(ioctlsocket, 1),
             WANT(WSASocketW, 0x81, .result = NEW), WANT(ioctlsocket, 1));
        assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &made), 0);
        assert_true(made == NEW);
        assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &made), 0);
        script_finish();
    }
    assert_int_equal(script_startups, 2);
}

static void a_new_datagram_socket_hears_no_icmp(void **state) {
    es_sock_t made;

    (void)state;
    PLAY(DO(WSASocketW, .result = NEW), WANT(ioctlsocket, 1),
         WANT(WSAIoctl, VENDOR(CONNRESET_REPORT)), WANT(WSAIoctl, VENDOR(NETRESET_REPORT)),
         DO(WSASocketW, .result = NEW), WANT(ioctlsocket, 1), DO(WSAIoctl, FAILS(10045)),
         DO(WSAIoctl, FAILS(10045)));
    script_report_on = TRUE;
    assert_code(es_sock_open(AF_INET, SOCK_DGRAM, 0, 0, &made), 0);
    assert_int_equal(script_report_on, FALSE);
    assert_code(es_sock_open(AF_INET, SOCK_DGRAM, 0, 0, &made), 0); /* an old Windows refuses */
    script_finish();
}

static void options_are_set_on_those_that_have_them(void **state) {
    es_sock_t made;

    (void)state;
    PLAY(DO(WSASocketW, .result = NEW), DO(ioctlsocket), WANT(setsockopt, TCP_NODELAY),
         DO(WSASocketW, .result = NEW), DO(ioctlsocket), WANT(setsockopt, IPV6_V6ONLY),
         DO(WSASocketW, .result = NEW), DO(ioctlsocket), WANT(setsockopt, IPV6_V6ONLY),
         DO(WSASocketW, .result = NEW), DO(ioctlsocket));
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, ES_SOCK_NODELAY, &made), 0);
    assert_code(es_sock_open(AF_INET6, SOCK_STREAM, 0, 0, &made), 0);
    assert_int_equal(script_option_value, 1);
    assert_code(es_sock_open(AF_INET6, SOCK_STREAM, 0, ES_SOCK_DUAL_STACK, &made), 0);
    assert_int_equal(script_option_value, 0);
    assert_code(es_sock_open(AF_UNIX, SOCK_STREAM, 0, ES_SOCK_NODELAY, &made), 0);
    script_finish();
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 8, &made), ES_EINVAL);
}

/* The reason that is told is the first, though closesocket overwrites Winsock's last error. */
static void a_half_made_socket_is_closed_and_the_first_reason_told(void **state) {
    es_sock_t made = UNTOUCHED;

    (void)state;
    PLAY(DO(WSASocketW, FAILS(10024)), DO(WSASocketW, .result = NEW), DO(ioctlsocket, FAILS(10055)),
         DO(closesocket), DO(WSASocketW, .result = NEW), DO(ioctlsocket),
         DO(setsockopt, FAILS(10042)), DO(closesocket, FAILS(10038)), DO(WSASocketW, .result = NEW),
         DO(ioctlsocket), DO(setsockopt, FAILS(10022)), DO(closesocket));
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &made), ES_EMFILE);
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &made), ES_ENOBUFS);
    assert_string_equal(es_error_last().call, "ioctlsocket");
    assert_code(es_sock_open(AF_INET6, SOCK_STREAM, 0, 0, &made), ES_ENOPROTOOPT);
    assert_int_equal(es_error_last().native, 10042);
    assert_code(es_sock_open(AF_INET, SOCK_STREAM, 0, ES_SOCK_NODELAY, &made), ES_EINVAL);
    script_finish();
    assert_true(made == UNTOUCHED);
}

static void adopted_datagram_sockets_hear_what_unix_would_tell_them(void **state) {
    (void)state;
    PLAY(TYPE_IS(SOCK_DGRAM), DO(getpeername, FAILS(10057)),
         WANT(WSAIoctl, VENDOR(CONNRESET_REPORT)), WANT(WSAIoctl, VENDOR(NETRESET_REPORT)),
         TYPE_IS(SOCK_STREAM), DO(getsockopt, FAILS(10038)));
    script_report_on = TRUE;
    assert_code(es_sock_adopt(SOCK), 0);
    assert_int_equal(script_report_on, FALSE);
    assert_code(es_sock_adopt(SOCK), 0);
    assert_code(es_sock_adopt(SOCK), ES_ENOTSOCK);
    script_finish();
}

static void an_adopted_connected_one_hears_of_refusals(void **state) {
    (void)state;
    {
        PLAY(DO(getpeername), WANT(WSAIoctl, VENDOR(CONNRESET_REPORT), FAILS(10045)), DO(WSAIoctl));
        assert_code(es_sock_adopt_datagram(SOCK), 0);
        script_finish();
    }
    {
        PLAY(DO(getpeername, FAILS(10038)), DO(WSAIoctl, FAILS(10038)));
        assert_code(es_sock_adopt_datagram(SOCK), ES_ENOTSOCK);
        script_finish();
    }
}

static void accepted_sockets_are_made_ours(void **state) {
    es_sock_t made = UNTOUCHED;
    es_addr_t peer = {.size = 0};

    (void)state;
    PLAY(DO(accept, .result = NEW), WANT(SetHandleInformation, 0, .result = TRUE),
         WANT(ioctlsocket, 1), DO(accept, .result = NEW),
         DO(SetHandleInformation, .result = FALSE, .error = 6), DO(closesocket),
         DO(accept, .result = NEW), DO(SetHandleInformation, .result = TRUE),
         DO(ioctlsocket, FAILS(10055)), DO(closesocket));
    assert_code(es_sock_accept(SOCK, &made, &peer), 0);
    assert_true(made == NEW);
    assert_int_equal(peer.size, sizeof(struct sockaddr_in));
    made = UNTOUCHED;
    assert_code(es_sock_accept(SOCK, &made, NULL), ES_EBADF);
    assert_string_equal(es_error_last().call, "SetHandleInformation");
    assert_code(es_sock_accept(SOCK, &made, &peer), ES_ENOBUFS);
    script_finish();
    assert_true(made == UNTOUCHED);
}

static void a_listener_survives_what_happens_to_those_who_wait(void **state) {
    static const int cases[][2] = {
        {10035, ES_EAGAIN},    {10054, ES_ECONNABORTED}, {10053, ES_ECONNABORTED},
        {64, ES_ECONNABORTED}, {10060, ES_ECONNABORTED}, {10052, ES_ECONNABORTED},
        {10024, ES_EMFILE},    {10055, ES_ENOBUFS},      {10004, ES_EAGAIN},
        {10022, ES_EINVAL},    {10057, ES_ECONNABORTED},
    };
    es_sock_t made;

    (void)state;
    for (size_t index = 0; index < COUNT(cases); index++) {
        PLAY(DO(accept, FAILS(cases[index][0])));
        assert_code(es_sock_accept(SOCK, &made, NULL), cases[index][1]);
        script_finish();
    }
}

static void a_loopback_connect_is_refused_at_once(void **state) {
    es_addr_t addr;

    (void)state;
    PLAY(TYPE_IS(SOCK_STREAM), WANT(WSAIoctl, VENDOR(RTO)), WANT(connect, LOOPBACK, FAILS(10035)));
    set_ipv4(&addr, LOOPBACK);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    script_finish();
    assert_int_equal(script_ioctl_size, 4); /* as TCP_INITIAL_RTO_PARAMETERS */
    assert_int_equal(script_ioctl[0] | script_ioctl[1] << 8, 0);
    assert_int_equal(script_ioctl[2], 0xFE);
}

static void loopback_is_known_in_every_form(void **state) {
    es_addr_t addr;

    (void)state;
    set_ipv4(&addr, 0x7f112233);
    assert_true(es__addr_is_loopback(&addr));
    set_ipv4(&addr, 0x80000001);
    assert_false(es__addr_is_loopback(&addr));
    set_ipv6(&addr, loopback6);
    assert_true(es__addr_is_loopback(&addr));
    set_ipv6(&addr, mapped_loopback);
    assert_true(es__addr_is_loopback(&addr));
    addr.size = 20; /* cut short */
    assert_false(es__addr_is_loopback(&addr));
    set_ipv6(&addr, MAPPED("\x0a", "\0", "\0", "\1"));
    assert_false(es__addr_is_loopback(&addr));
    set_ipv6(&addr, global6);
    assert_false(es__addr_is_loopback(&addr));
    addr.size = 0;
    assert_false(es__addr_is_loopback(&addr));
    es__addr_route_unspecified(&addr);
    assert_int_equal(addr.size, 0);
}

static void connects_elsewhere_keep_their_retries(void **state) {
    es_addr_t addr;

    (void)state;
    PLAY(TYPE_IS(SOCK_STREAM), WANT(connect, 0x0a000001, FAILS(10035)), TYPE_IS(SOCK_STREAM),
         WANT(connect, 1, FAILS(10035)));
    set_ipv4(&addr, 0x0a000001);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    set_ipv6(&addr, global6);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    script_finish();
}

static void nowhere_is_this_machine(void **state) {
    es_addr_t addr;

    (void)state;
    PLAY(TYPE_IS(SOCK_STREAM), WANT(WSAIoctl, VENDOR(RTO), FAILS(10045)),
         WANT(connect, LOOPBACK, FAILS(10035)), TYPE_IS(SOCK_STREAM), DO(WSAIoctl),
         WANT(connect, 1, FAILS(10035)), TYPE_IS(SOCK_STREAM), DO(WSAIoctl),
         WANT(connect, LOOPBACK, FAILS(10035)), WANT(sendto, LOOPBACK, .result = 1));
    set_ipv4(&addr, 0);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    set_ipv6(&addr, any6);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    set_ipv6(&addr, mapped_any);
    assert_code(es_sock_connect(SOCK, &addr), ES_EINPROGRESS);
    assert_memory_equal(addr.storage.bytes + 8, mapped_any, 16); /* the caller's stays */
    set_ipv4(&addr, 0);
    size_t done = 0;
    assert_code(es_sock_sendto(SOCK, "x", 1, &addr, &done), 0);
    script_finish();
}

static void connect_answers_mean_what_they_do_on_unix(void **state) {
    static const int cases[][2] = {
        {10035, ES_EINPROGRESS},   {10037, ES_EALREADY},      {10022, ES_EALREADY},
        {10056, ES_EISCONN},       {10048, ES_EADDRNOTAVAIL}, {10061, ES_ECONNREFUSED},
        {10049, ES_EADDRNOTAVAIL},
    };
    es_addr_t addr;

    (void)state;
    set_ipv4(&addr, 0x0a000001);
    for (size_t index = 0; index < COUNT(cases); index++) {
        PLAY(TYPE_IS(SOCK_STREAM), DO(connect, FAILS(cases[index][0])));
        assert_code(es_sock_connect(SOCK, &addr), cases[index][1]);
        script_finish();
    }
    PLAY(DO(getsockopt, FAILS(10038)));
    assert_code(es_sock_connect(SOCK, &addr), ES_ENOTSOCK);
    script_finish();
}

static void a_connected_datagram_socket_hears_of_refusals(void **state) {
    es_addr_t addr;

    (void)state;
    PLAY(TYPE_IS(SOCK_DGRAM), WANT(connect, LOOPBACK), WANT(WSAIoctl, VENDOR(CONNRESET_REPORT)));
    script_report_on = FALSE;
    set_ipv4(&addr, LOOPBACK);
    assert_code(es_sock_connect(SOCK, &addr), 0);
    assert_int_equal(script_report_on, TRUE);
    script_finish();
}

static void a_connect_ends_in_one_of_five_ways(void **state) {
    (void)state;
    PLAY(WANT(getsockopt, SO_ERROR, .value = 10061), WANT(getsockopt, SO_ERROR), DO(getpeername),
         WANT(getsockopt, SO_ERROR), DO(getpeername, FAILS(10057)), DO(select, .result = 0),
         WANT(getsockopt, SO_ERROR), DO(getpeername, FAILS(10057)), DO(select, .result = 1),
         DO(getsockopt, FAILS(10038)), DO(getsockopt), DO(getpeername, FAILS(10022)),
         DO(getsockopt), DO(getpeername, FAILS(10057)), DO(select, FAILS(10050)));
    assert_code(es_sock_connect_finish(SOCK), ES_ECONNREFUSED);
    assert_int_equal(es_error_last().native, 10061);
    assert_code(es_sock_connect_finish(SOCK), 0);
    assert_code(es_sock_connect_finish(SOCK), ES_EINPROGRESS);
    assert_code(es_sock_connect_finish(SOCK), ES_ENOTCONN);
    assert_code(es_sock_connect_finish(SOCK), ES_ENOTSOCK);
    assert_code(es_sock_connect_finish(SOCK), ES_EALREADY);
    assert_code(es_sock_connect_finish(SOCK), ES_ENETDOWN);
    script_finish();
}

static void receiving_is_one_call(void **state) {
    char heard[8];
    size_t done = 0;

    (void)state;
    PLAY(WANT(recv, 8, .result = 3, .bytes = "abc"));
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 3);
    assert_memory_equal(heard, "abc", 3);
    script_finish();
}

static void an_empty_receive_is_the_end_of_a_stream_only(void **state) {
    char heard[8];
    size_t done = UNTOUCHED;
    es_addr_t from;

    (void)state;
    PLAY(DO(recv), TYPE_IS(SOCK_STREAM), DO(recv), DO(getsockopt, FAILS(10038)), DO(recvfrom),
         TYPE_IS(SOCK_STREAM), DO(recv), TYPE_IS(SOCK_DGRAM), WANT(recv, 0), DO(recvfrom),
         TYPE_IS(SOCK_DGRAM));
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EOF);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EOF);
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), ES_EOF);
    assert_int_equal(done, UNTOUCHED);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 0);
    done = UNTOUCHED;
    assert_code(es_sock_recv(SOCK, heard, 0, &done), 0);
    assert_int_equal(done, 0);
    done = UNTOUCHED;
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 0);
    assert_int_equal(from.size, sizeof(struct sockaddr_in));
    script_finish();
}

static void a_stream_tells_no_sender(void **state) {
    char heard[8];
    size_t done = 0;
    es_addr_t from = {.size = UNTOUCHED};

    (void)state;
    PLAY(DO(recvfrom, .result = 3, .bytes = "abc", .value = NO_SENDER));
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 3);
    assert_int_equal(from.size, 0);
    script_finish();
}

static void a_long_datagram_is_cut_without_error(void **state) {
    char heard[4];
    size_t done = 0;
    es_addr_t from = {.size = 0};

    (void)state;
    PLAY(DO(recv, FAILS(10040), .bytes = "long", .value = 4),
         DO(recvfrom, FAILS(10040), .bytes = "also", .value = 4));
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 4);
    assert_memory_equal(heard, "long", 4);
    done = 0;
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 4);
    assert_memory_equal(heard, "also", 4);
    assert_int_equal(from.size, sizeof(struct sockaddr_in));
    script_finish();
}

static void a_datagram_socket_without_address_gets_one_to_receive(void **state) {
    char heard[4];
    size_t done = UNTOUCHED;
    es_addr_t from;

    (void)state;
    {
        PLAY(DO(getsockname), DO(getsockname, FAILS(10038)),
             /* IPv4 */
             DO(getsockname, FAILS(10022)), WANT(bind, 0),
             /* IPv6 */
             DO(getsockname, FAILS(10022)), WANT(bind, 0, FAILS(10014)), WANT(bind, 0),
             /* IPv6 under Wine */
             DO(getsockname, FAILS(10022)), WANT(bind, 0, FAILS(10022)), WANT(bind, 0),
             /* another family */
             DO(getsockname, FAILS(10022)), WANT(bind, 0, FAILS(10047)),
             WANT(bind, 0, FAILS(10014)),
             /* no port is free */
             DO(getsockname, FAILS(10022)), WANT(bind, 0, FAILS(10055)));
        for (int i = 0; i < 6; i++) {
            assert_code(es_sock_enable_recv(SOCK), 0);
        }
        assert_code(es_sock_enable_recv(SOCK), ES_ENOBUFS);
        script_finish();
    }
    {
        PLAY(DO(recvfrom, FAILS(10022)), TYPE_IS(SOCK_DGRAM), DO(getsockname, FAILS(10022)),
             WANT(bind, 0), DO(recv, FAILS(10022)), TYPE_IS(SOCK_DGRAM), DO(getsockname),
             DO(recv, FAILS(10022)), TYPE_IS(SOCK_STREAM));
        assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), ES_EAGAIN);
        assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EINVAL);
        assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EINVAL);
        assert_int_equal(done, UNTOUCHED);
        script_finish();
    }
}

static void udp_recv_survives_icmp_unreachable(void **state) {
    char heard[8];
    size_t done = 0;
    es_addr_t from;

    (void)state;
    PLAY(DO(recvfrom, FAILS(10054)), TYPE_IS(SOCK_DGRAM), DO(getpeername, FAILS(10057)),
         DO(recvfrom, FAILS(10052)), TYPE_IS(SOCK_DGRAM), DO(recvfrom, .result = 2, .bytes = "ok"),
         DO(recv, FAILS(10054)), TYPE_IS(SOCK_DGRAM), DO(getpeername, FAILS(10057)),
         DO(recv, FAILS(10035)));
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 2);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EAGAIN);
    script_finish();
}

static void a_connected_udp_recv_tells_of_the_refusal(void **state) {
    char heard[8];
    size_t done = UNTOUCHED;
    es_addr_t from;

    (void)state;
    PLAY(DO(recvfrom, FAILS(10054)), TYPE_IS(SOCK_DGRAM), DO(getpeername), DO(recv, FAILS(10054)),
         TYPE_IS(SOCK_DGRAM), DO(getpeername), DO(recv, FAILS(10052)), TYPE_IS(SOCK_DGRAM),
         DO(recv, FAILS(10035)));
    assert_code(es_sock_recvfrom(SOCK, heard, sizeof(heard), &done, &from), ES_ECONNREFUSED);
    assert_int_equal(es_error_last().native, 10054);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_ECONNREFUSED);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EAGAIN);
    assert_int_equal(done, UNTOUCHED);
    script_finish();
}

static void icmp_without_end_gives_others_their_turn(void **state) {
    static step_t steps[3 * ES__SUPPRESSED_MAX + 1];
    char heard[8];
    size_t done = UNTOUCHED;

    (void)state;
    for (size_t turn = 0; turn < ES__SUPPRESSED_MAX; turn++) {
        steps[3 * turn] = (step_t)DO(recv, FAILS(10054));
        steps[3 * turn + 1] = (step_t)TYPE_IS(SOCK_DGRAM);
        steps[3 * turn + 2] = (step_t)DO(getpeername, FAILS(10057));
    }
    script_steps(steps);
    assert_code(es_sock_recv(SOCK, heard, sizeof(heard), &done), ES_EAGAIN);
    script_finish();
}

static void a_lost_connection_has_one_name(void **state) {
    static const int cases[][3] = {
        /* error, of recv, of send */
        {10053, ES_ECONNRESET, ES_ECONNRESET},
        {10054, ES_ECONNRESET, ES_ECONNRESET},
        {10052, ES_ECONNRESET, ES_ECONNRESET},
        {1236, ES_ECONNRESET, ES_ECONNRESET},
        {64, ES_ECONNRESET, ES_ECONNRESET},
        {10058, ES_EOF, ES_EPIPE},
        {10101, ES_EOF, ES_EPIPE},
        {10060, ES_ETIMEDOUT, ES_ETIMEDOUT},
        {10057, ES_ENOTCONN, ES_ENOTCONN},
        {10004, ES_EAGAIN, ES_EAGAIN},
        {4999, ES_EUNKNOWN, ES_EUNKNOWN},
    };
    char byte = 0;
    size_t done = UNTOUCHED;

    (void)state;
    for (size_t index = 0; index < COUNT(cases); index++) {
        int error = cases[index][0];
        int asks_type = error == 10054 || error == 10052;
        const step_t receiving[] = {DO(recv, FAILS(error)), TYPE_IS(SOCK_STREAM), END};
        const step_t received[] = {DO(recv, FAILS(error)), END};
        const step_t sending[] = {DO(send, FAILS(error)), DO(WSASend, FAILS(error)), END};
        es_iov_t piece = {&byte, 1};

        script_steps(asks_type ? receiving : received);
        assert_code(es_sock_recv(SOCK, &byte, 1, &done), cases[index][1]);
        script_finish();
        script_steps(sending);
        assert_code(es_sock_send(SOCK, &byte, 1, &done), cases[index][2]);
        assert_code(es_sock_sendv(SOCK, &piece, 1, &done), cases[index][2]);
        script_finish();
    }
    assert_int_equal(es_error_last().native, 4999);
    assert_int_equal(done, UNTOUCHED);
}

static void answers_leave_the_last_failure_alone(void **state) {
    char byte = 0;
    size_t done;
    es_sock_t made;
    es_iov_t piece = {&byte, 1};

    (void)state;
    PLAY(DO(send, FAILS(10060)), DO(recv, FAILS(10035)), DO(send, FAILS(10035)),
         DO(WSASend, FAILS(10035)), DO(accept, FAILS(10035)));
    assert_code(es_sock_send(SOCK, &byte, 1, &done), ES_ETIMEDOUT);
    assert_code(es_sock_recv(SOCK, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_send(SOCK, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_sendv(SOCK, &piece, 1, &done), ES_EAGAIN);
    assert_code(es_sock_accept(SOCK, &made, NULL), ES_EAGAIN);
    assert_int_equal(es_error_last().native, 10060);
    script_finish();
}

static void long_transfers_are_cut_to_what_windows_counts_in(void **state) {
    char byte = 0;
    size_t done;
    es_addr_t to;
    size_t much = (size_t)3 << 30;
    es_iov_t pieces[ES_IOV_MAX + 10];

    (void)state;
    PLAY(WANT(recv, INT_MAX, .result = 1), WANT(send, 1 << 20, .result = 1 << 20),
         WANT(WSASend, 1, .value = 5), WANT(WSASend, ES_IOV_MAX, .value = 1),
         WANT(WSASend, 3, .value = 1));
    assert_code(es_sock_recv(SOCK, &byte, much, &done), 0);
    assert_code(es_sock_send(SOCK, &byte, much, &done), 0);
    for (size_t index = 0; index < COUNT(pieces); index++) {
        pieces[index] = (es_iov_t){&byte, much};
    }
    assert_code(es_sock_sendv(SOCK, pieces, 2, &done), 0);
    assert_int_equal(done, 5);
    assert_int_equal(script_bytes_total, 1 << 20);
    for (size_t index = 0; index < COUNT(pieces); index++) {
        pieces[index].size = 1;
    }
    assert_code(es_sock_sendv(SOCK, pieces, COUNT(pieces), &done), 0);
    assert_int_equal(script_bytes_total, ES_IOV_MAX);
    pieces[0].size = 1000000;
    pieces[1].size = 40000;
    pieces[2].size = 1000000;
    assert_code(es_sock_sendv(SOCK, pieces, 5, &done), 0);
    assert_int_equal(script_bytes_total, 1 << 20);
    set_ipv4(&to, LOOPBACK);
    assert_code(es_sock_sendto(SOCK, &byte, much, &to, &done), ES_EMSGSIZE);
    assert_int_equal(es_error_last().native, 0);
    script_finish();
}

static void the_rest_says_what_it_means(void **state) {
    es_addr_t addr = {.size = 0};
    size_t done;
    int code = UNTOUCHED;

    (void)state;
    set_ipv4(&addr, LOOPBACK);
    PLAY(WANT(bind, LOOPBACK, FAILS(10013)), DO(bind, FAILS(10048)), WANT(bind, LOOPBACK),
         WANT(listen, 100), DO(listen, FAILS(10022)), WANT(shutdown, 1), DO(shutdown, FAILS(10057)),
         WANT(getsockopt, SO_ERROR, .value = 10053), DO(getsockopt, FAILS(10038)),
         DO(sendto, FAILS(10040)), DO(sendto, FAILS(10035)), DO(closesocket),
         DO(closesocket, FAILS(10038)), DO(getsockname), DO(getsockname, .value = 2),
         DO(getsockname, FAILS(10022)), DO(getpeername), DO(getpeername, FAILS(10057)),
         WANT(setsockopt, TCP_NODELAY), DO(setsockopt, FAILS(10042)), WANT(ioctlsocket, 0),
         DO(ioctlsocket, FAILS(10038)));
    assert_code(es_sock_bind(SOCK, &addr), ES_EADDRINUSE);
    assert_int_equal(es_error_last().native, 10013);
    assert_code(es_sock_bind(SOCK, &addr), ES_EADDRINUSE);
    assert_code(es_sock_bind(SOCK, &addr), 0);
    assert_code(es_sock_listen(SOCK, 100), 0);
    assert_code(es_sock_listen(SOCK, 100), ES_EINVAL);
    assert_code(es_sock_shutdown(SOCK, ES_SHUT_WRITE), 0);
    assert_code(es_sock_shutdown(SOCK, ES_SHUT_BOTH), ES_ENOTCONN);
    assert_code(es_sock_take_error(SOCK, &code), 0);
    assert_code(code, ES_ECONNRESET);
    assert_code(es_sock_take_error(SOCK, &code), ES_ENOTSOCK);
    assert_code(es_sock_sendto(SOCK, "x", 1, &addr, &done), ES_EMSGSIZE);
    assert_code(es_sock_sendto(SOCK, "x", 1, &addr, &done), ES_EAGAIN);
    assert_code(es_sock_close(SOCK), 0);
    assert_code(es_sock_close(SOCK), ES_ENOTSOCK);
    assert_code(es_sock_name(SOCK, &addr), 0);
    assert_int_equal(addr.size, sizeof(struct sockaddr_in));
    assert_code(es_sock_name(SOCK, &addr), 0);
    assert_int_equal(addr.size, 0);
    assert_code(es_sock_name(SOCK, &addr), ES_EINVAL);
    assert_code(es_sock_peer(SOCK, &addr), 0);
    assert_code(es_sock_peer(SOCK, &addr), ES_ENOTCONN);
    assert_code(es_sock_set_nodelay(SOCK, 1), 0);
    assert_code(es_sock_set_nodelay(SOCK, 1), ES_ENOPROTOOPT);
    assert_code(es_sock_set_nonblocking(SOCK, 0), 0);
    assert_code(es_sock_set_nonblocking(SOCK, 1), ES_ENOTSOCK);
    script_finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winsock_starts_once_and_a_failure_is_told),
        cmocka_unit_test(a_new_datagram_socket_hears_no_icmp),
        cmocka_unit_test(options_are_set_on_those_that_have_them),
        cmocka_unit_test(a_half_made_socket_is_closed_and_the_first_reason_told),
        cmocka_unit_test(adopted_datagram_sockets_hear_what_unix_would_tell_them),
        cmocka_unit_test(an_adopted_connected_one_hears_of_refusals),
        cmocka_unit_test(accepted_sockets_are_made_ours),
        cmocka_unit_test(a_listener_survives_what_happens_to_those_who_wait),
        cmocka_unit_test(a_loopback_connect_is_refused_at_once),
        cmocka_unit_test(loopback_is_known_in_every_form),
        cmocka_unit_test(connects_elsewhere_keep_their_retries),
        cmocka_unit_test(nowhere_is_this_machine),
        cmocka_unit_test(connect_answers_mean_what_they_do_on_unix),
        cmocka_unit_test(a_connected_datagram_socket_hears_of_refusals),
        cmocka_unit_test(a_connect_ends_in_one_of_five_ways),
        cmocka_unit_test(receiving_is_one_call),
        cmocka_unit_test(an_empty_receive_is_the_end_of_a_stream_only),
        cmocka_unit_test(a_stream_tells_no_sender),
        cmocka_unit_test(a_long_datagram_is_cut_without_error),
        cmocka_unit_test(a_datagram_socket_without_address_gets_one_to_receive),
        cmocka_unit_test(udp_recv_survives_icmp_unreachable),
        cmocka_unit_test(a_connected_udp_recv_tells_of_the_refusal),
        cmocka_unit_test(icmp_without_end_gives_others_their_turn),
        cmocka_unit_test(a_lost_connection_has_one_name),
        cmocka_unit_test(answers_leave_the_last_failure_alone),
        cmocka_unit_test(long_transfers_are_cut_to_what_windows_counts_in),
        cmocka_unit_test(the_rest_says_what_it_means),
    };

    return cmocka_run_group_tests_name("sockets on a scripted Windows", tests, NULL, NULL);
}
