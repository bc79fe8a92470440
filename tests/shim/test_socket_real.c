/* SPDX-License-Identifier: MIT */
/* Sockets on the real system: the same facts on Linux and, built for Windows, under Wine. Waiting
 * is always for an event, with a limit that only a broken system reaches. */
#include "check.h"
#include "ends.h"
#include "real.h"

#include <evenshim/evenshim.h>

#include <stdlib.h>
#include <string.h>

enum { UNTOUCHED = 7777 };

static void a_conversation_has_both_names(void **state) {
    es_addr_t addr;
    es_addr_t peer;
    es_addr_t own;
    es_sock_t listener = listen_on(&addr);
    es_sock_t client;
    es_sock_t server;

    (void)state;
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    connect_to(client, &addr);
    server = accept_from(listener, &peer);
    assert_code(es_sock_name(client, &own), 0);
    assert_int_equal(real_port(&own), real_port(&peer));
    assert_true(real_host4(&peer) == loopback);
    assert_code(es_sock_peer(client, &peer), 0);
    assert_int_equal(real_port(&peer), real_port(&addr));
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(server), 0);
    assert_code(es_sock_close(listener), 0);
}

static void bytes_go_both_ways_and_end(void **state) {
    const es_iov_t pieces[] = {
        {(void *)(uintptr_t) "one ", 4}, {NULL, 0}, {(void *)(uintptr_t) "two", 3}};
    ends_t ends = make_ends();
    char heard[64];
    size_t done = UNTOUCHED;

    (void)state;
    assert_code(es_sock_recv(ends.server, heard, sizeof(heard), &done), ES_EAGAIN);
    assert_int_equal(done, UNTOUCHED);
    assert_code(es_sock_send(ends.client, "hello", 5, &done), 0);
    assert_int_equal(done, 5);
    assert_code(hear(ends.server, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 5);
    assert_memory_equal(heard, "hello", 5);
    assert_code(es_sock_sendv(ends.server, pieces, COUNT(pieces), &done), 0);
    assert_int_equal(done, 7);
    assert_code(es_sock_shutdown(ends.server, ES_SHUT_WRITE), 0);
    assert_code(es_sock_send(ends.server, "more", 4, &done), ES_EPIPE);
    assert_code(hear(ends.client, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 7);
    assert_memory_equal(heard, "one two", 7);
    done = UNTOUCHED;
    assert_code(hear(ends.client, heard, sizeof(heard), &done), ES_EOF);
    assert_code(hear(ends.client, heard, sizeof(heard), &done), ES_EOF); /* it stays so */
    assert_int_equal(done, UNTOUCHED);
    assert_code(es_sock_send(ends.client, "back", 4, &done), 0); /* the other half is open */
    assert_code(hear(ends.server, heard, sizeof(heard), &done), 0);
    assert_memory_equal(heard, "back", 4);
    close_ends(&ends);
}

static void more_pieces_than_a_call_takes_are_a_short_send(void **state) {
    es_iov_t pieces[ES_IOV_MAX + 40];
    ends_t ends = make_ends();
    size_t done = 0;

    (void)state;
    for (size_t index = 0; index < COUNT(pieces); index++) {
        pieces[index] = (es_iov_t){(void *)(uintptr_t) "ab", 2};
    }
    assert_code(es_sock_sendv(ends.client, pieces, COUNT(pieces), &done), 0);
    assert_int_equal(done, 2 * ES_IOV_MAX);
    assert_code(es_sock_sendv(ends.client, pieces, 0, &done), 0);
    assert_int_equal(done, 0);
    close_ends(&ends);
}

/* Fills the connection until the system says stop, then empties it: nothing is lost. */
static void a_full_connection_says_so_and_loses_nothing(void **state) {
    enum { BLOCK = 1 << 22 };
    unsigned char *block = malloc(BLOCK);
    ends_t ends = make_ends();
    uint64_t sent = 0;
    uint64_t heard = 0;
    size_t done;
    int code;

    (void)state;
    assert_non_null(block);
    memset(block, 42, BLOCK);
    while ((code = es_sock_send(ends.client, block, BLOCK, &done)) == 0) {
        assert_true(done > 0 && done <= BLOCK);
        sent += done;
        assert_true(sent < (uint64_t)1 << 32);
    }
    assert_code(code, ES_EAGAIN);
    assert_code(es_sock_shutdown(ends.client, ES_SHUT_WRITE), 0);
    while ((code = hear(ends.server, block, BLOCK, &done)) == 0) {
        heard += done;
    }
    assert_code(code, ES_EOF);
    assert_true(heard == sent);
    close_ends(&ends);
    free(block);
}

static void a_peers_reset_is_told(void **state) {
    ends_t ends = make_ends();
    char heard[8];
    size_t done = UNTOUCHED;
    int code;

    (void)state;
    real_reset_on_close(ends.server);
    assert_code(es_sock_close(ends.server), 0);
    assert_true(real_wait(ends.client, REAL_READ, LIMIT_MS));
    code = es_sock_recv(ends.client, heard, sizeof(heard), &done);
    if (code == ES_EOF) {
        /* Wine 8 forgets a reset that was seen by a poll; what sends then learns of it. */
        while ((code = es_sock_send(ends.client, "x", 1, &done)) == 0) {
            assert_true(real_wait(ends.client, REAL_WRITE, LIMIT_MS));
        }
        assert_true(code == ES_ECONNRESET || code == ES_EPIPE);
    } else {
        assert_code(code, ES_ECONNRESET);
        assert_int_equal(done, UNTOUCHED);
        assert_code(es_error_last().code, ES_ECONNRESET);
        assert_int_not_equal(es_error_last().native, 0);
    }
    assert_code(es_sock_close(ends.client), 0);
}

static int connect_to_nobody(int family, const es_addr_t *addr) {
    es_sock_t client;
    int code;

    assert_code(es_sock_open(family, real_stream, 0, 0, &client), 0);
    code = es_sock_connect(client, addr);
    if (code == ES_EINPROGRESS) {
        assert_true(real_wait(client, REAL_WRITE, LIMIT_MS));
        code = es_sock_connect_finish(client);
        /* Told once or for ever, but a loop that asks again is never sent back to wait. */
        assert_int_not_equal(es_sock_connect_finish(client), 0);
        assert_int_not_equal(es_sock_connect_finish(client), ES_EINPROGRESS);
    }
    assert_code(es_sock_close(client), 0);
    return code;
}

static void a_refused_connect_is_told(void **state) {
    es_addr_t addr;

    (void)state;
    assert_code(es_sock_close(listen_on(&addr)), 0); /* a port that just became free */
    assert_code(connect_to_nobody(real_inet, &addr), ES_ECONNREFUSED);
    if (real_has_ipv6()) {
        unsigned port = real_port(&addr);

        real_ipv6(&addr, loopback6, port);
        assert_code(connect_to_nobody(real_inet6, &addr), ES_ECONNREFUSED);
    }
}

static void nowhere_is_this_machine(void **state) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    es_sock_t client;
    es_sock_t server;

    (void)state;
    real_ipv4(&addr, 0, real_port(&addr));
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    connect_to(client, &addr);
    server = accept_from(listener, NULL);
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(server), 0);
    assert_code(es_sock_close(listener), 0);
}

static void nobody_waits(void **state) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    es_sock_t made = UNTOUCHED;

    (void)state;
    assert_code(es_sock_accept(listener, &made, NULL), ES_EAGAIN);
    assert_true(made == UNTOUCHED);
    assert_code(es_sock_close(listener), 0);
}

/* Clients that reset before they were accepted: the listener goes on, whatever was told. */
static void a_listener_survives_those_who_leave(void **state) {
    es_addr_t addr;
    es_addr_t peer = {.size = 0};
    es_sock_t listener = listen_on(&addr);
    es_sock_t client;
    es_sock_t made;

    (void)state;
    real_ipv4(&peer, 0, 0);
    for (int round = 0; round < 50; round++) {
        int code;

        assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
        connect_to(client, &addr);
        real_reset_on_close(client);
        assert_code(es_sock_close(client), 0);
        code = es_sock_accept(listener, &made, NULL);
        if (code == 0) {
            assert_code(es_sock_close(made), 0);
        } else if (code != ES_EAGAIN) {
            assert_code(code, ES_ECONNABORTED);
        }
    }
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    connect_to(client, &addr);
    assert_code(es_sock_name(client, &addr), 0);
    do { /* the last ones of those who left may come first */
        assert_true(real_wait(listener, REAL_READ, LIMIT_MS));
        if (es_sock_accept(listener, &made, &peer) == 0) {
            assert_code(es_sock_close(made), 0);
        }
    } while (real_port(&peer) != real_port(&addr));
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(listener), 0);
}

static void sockets_are_ours_alone_and_never_wait(void **state) {
    ends_t ends = make_ends();
    char byte;
    size_t done;

    (void)state;
    assert_false(real_is_inheritable(ends.client));
    assert_false(real_is_inheritable(ends.server));
    assert_true(real_get_nodelay(ends.client));
    assert_code(es_sock_set_nodelay(ends.client, 0), 0);
    assert_false(real_get_nodelay(ends.client));
    assert_code(es_sock_set_nodelay(ends.server, 1), 0);
    assert_true(real_get_nodelay(ends.server));
    assert_code(es_sock_recv(ends.client, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_recv(ends.server, &byte, 1, &done), ES_EAGAIN);
    assert_code(es_sock_set_nonblocking(ends.server, 0), 0);
    assert_code(es_sock_set_nonblocking(ends.server, 1), 0);
    assert_code(es_sock_recv(ends.server, &byte, 1, &done), ES_EAGAIN);
    close_ends(&ends);
}

static void ipv6_serves_itself_alone_unless_asked(void **state) {
    es_sock_t sock;

    (void)state;
    if (!real_has_ipv6()) {
        print_message("no IPv6 on this machine: nothing to see\n");
        return;
    }
    assert_code(es_sock_open(real_inet6, real_stream, 0, 0, &sock), 0);
    assert_true(real_get_v6only(sock));
    assert_code(es_sock_close(sock), 0);
    assert_code(es_sock_open(real_inet6, real_stream, 0, ES_SOCK_DUAL_STACK, &sock), 0);
    assert_false(real_get_v6only(sock));
    assert_code(es_sock_close(sock), 0);
}

static void datagrams_keep_their_bounds(void **state) {
    static char huge[70000];
    es_addr_t here_addr;
    es_addr_t there_addr;
    es_sock_t here = datagram_on(&here_addr);
    es_sock_t there = datagram_on(&there_addr);
    es_addr_t from = {.size = 0};
    char heard[4];
    size_t done = UNTOUCHED;

    (void)state;
    assert_code(es_sock_recvfrom(there, heard, sizeof(heard), &done, &from), ES_EAGAIN);
    assert_code(es_sock_sendto(here, "", 0, &there_addr, &done), 0);
    assert_int_equal(done, 0);
    done = UNTOUCHED;
    assert_code(hear_from(there, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 0); /* an empty datagram is data */
    assert_int_equal(real_port(&from), real_port(&here_addr));
    assert_code(es_sock_sendto(here, "", 0, &there_addr, &done), 0);
    done = UNTOUCHED;
    assert_code(hear(there, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 0);
    assert_code(es_sock_sendto(here, "too long", 8, &there_addr, &done), 0);
    assert_int_equal(done, 8);
    assert_code(hear_from(there, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 4); /* cut, and no error */
    assert_memory_equal(heard, "too ", 4);
    assert_int_equal(real_port(&from), real_port(&here_addr));
    assert_code(es_sock_sendto(here, "also long", 9, &there_addr, &done), 0);
    assert_code(hear(there, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 4);
    assert_code(es_sock_sendto(here, huge, sizeof(huge), &there_addr, &done), ES_EMSGSIZE);
    assert_code(es_sock_recv(there, heard, sizeof(heard), &done), ES_EAGAIN);
    assert_code(es_sock_close(here), 0);
    assert_code(es_sock_close(there), 0);
}

/* Sends to a port where nobody is, then receives from somebody: no error comes between. The socket
 * is also tried as other code makes it. */
static void udp_recv_survives_icmp_unreachable(void **state) {
    for (int is_foreign = 0; is_foreign < 2; is_foreign++) {
        es_addr_t addr;
        es_addr_t other_addr;
        es_addr_t nobody;
        es_addr_t from;
        es_sock_t other = datagram_on(&other_addr);
        es_sock_t sock;
        char heard[8];
        size_t done;

        (void)state;
        assert_code(es_sock_close(datagram_on(&nobody)), 0);
        if (is_foreign) {
            sock = real_foreign_datagram();
            assert_code(es_sock_set_nonblocking(sock, 1), 0);
            assert_code(es_sock_adopt(sock), 0);
            assert_code(es_sock_adopt_datagram(sock), 0);
            real_ipv4(&addr, loopback, 0);
            assert_code(es_sock_bind(sock, &addr), 0);
            assert_code(es_sock_name(sock, &addr), 0);
        } else {
            sock = datagram_on(&addr);
        }
        assert_code(es_sock_sendto(sock, "lost", 4, &nobody, &done), 0);
        assert_code(es_sock_sendto(other, "ok", 2, &addr, &done), 0);
        assert_code(hear_from(sock, heard, sizeof(heard), &done, &from), 0);
        assert_int_equal(done, 2);
        assert_int_equal(real_port(&from), real_port(&other_addr));
        assert_code(es_sock_recvfrom(sock, heard, sizeof(heard), &done, &from), ES_EAGAIN);
        assert_code(es_sock_close(sock), 0);
        assert_code(es_sock_close(other), 0);
    }
}

static void a_connected_datagram_socket_speaks_to_one_peer(void **state) {
    es_addr_t addr;
    es_addr_t own;
    es_addr_t from;
    es_sock_t there = datagram_on(&addr);
    es_sock_t here = datagram_on(&own);
    char heard[8];
    size_t done;

    (void)state;
    assert_code(es_sock_peer(here, &from), ES_ENOTCONN);
    assert_code(es_sock_connect(here, &addr), 0);
    assert_code(es_sock_connect_finish(here), 0);
    assert_code(es_sock_send(here, "hi", 2, &done), 0);
    assert_code(hear_from(there, heard, sizeof(heard), &done, &from), 0);
    assert_int_equal(done, 2);
    assert_int_equal(real_port(&from), real_port(&own));
    assert_code(es_sock_close(there), 0);
    assert_code(es_sock_close(here), 0);
}

static void receiving_may_begin_before_there_is_an_address(void **state) {
    for (int version = 4; version <= 6; version += 2) {
        es_addr_t addr;
        es_addr_t from;
        es_sock_t there = datagram_on(&addr);
        es_sock_t here;
        char heard[8];
        size_t done;

        (void)state;
        if (version == 6 && !real_has_ipv6()) {
            assert_code(es_sock_close(there), 0);
            continue;
        }
        assert_code(es_sock_open(version == 4 ? real_inet : real_inet6, real_dgram, 0, 0, &here),
                    0);
        assert_code(es_sock_recvfrom(here, heard, sizeof(heard), &done, &from), ES_EAGAIN);
        assert_code(es_sock_enable_recv(here), 0);
        assert_code(es_sock_enable_recv(here), 0);
        if (version == 4) {
            assert_code(es_sock_sendto(here, "hi", 2, &addr, &done), 0);
            assert_code(hear_from(there, heard, sizeof(heard), &done, &from), 0);
            assert_code(es_sock_sendto(there, "back", 4, &from, &done), 0);
            assert_code(hear_from(here, heard, sizeof(heard), &done, &from), 0);
            assert_int_equal(done, 4);
            assert_int_equal(real_port(&from), real_port(&addr));
        }
        assert_code(es_sock_close(there), 0);
        assert_code(es_sock_close(here), 0);
    }
}

static void what_is_wrong_is_said(void **state) {
    es_addr_t addr;
    es_addr_t busy;
    es_sock_t sock = UNTOUCHED;
    es_sock_t listener = listen_on(&busy);
    es_sock_t other;
    size_t done;
    int code = UNTOUCHED;

    (void)state;
    assert_code(es_sock_open(real_inet, 9999, 0, 0, &sock) == 0, 0);
    assert_true(sock == UNTOUCHED);
    assert_code(es_sock_open(real_inet, real_stream, 0, 1u << 31, &sock), ES_EINVAL);
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &other), 0);
    assert_code(es_sock_bind(other, &busy), ES_EADDRINUSE);
    real_ipv4(&addr, 0x01020304, 0); /* not an address of ours */
    assert_code(es_sock_bind(other, &addr), ES_EADDRNOTAVAIL);
    assert_code(es_sock_peer(other, &addr), ES_ENOTCONN);
    assert_code(es_sock_shutdown(other, ES_SHUT_WRITE), ES_ENOTCONN);
    assert_code(es_sock_take_error(other, &code), 0);
    assert_code(code, 0);
    assert_code(es_sock_close(other), 0);
    code = es_sock_close(other);
    assert_true(code == ES_EBADF || code == ES_ENOTSOCK); /* Unix; Windows */
    code = es_sock_send(other, "x", 1, &done);
    assert_true(code == ES_EBADF || code == ES_ENOTSOCK);
    assert_code(es_error_last().code, code);
    assert_string_equal(es_error_last().call, "send");
    assert_code(es_sock_close(listener), 0);
}

static void nothing_leaks(void **state) {
    int before;

    (void)state;
    for (int warm_up = 0; warm_up < 3; warm_up++) {
        ends_t ends = make_ends();

        close_ends(&ends);
    }
    before = real_open_count();
    for (int round = 0; round < 200; round++) {
        ends_t ends = make_ends();

        close_ends(&ends);
    }
    assert_int_equal(real_open_count(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_has_both_names),
        cmocka_unit_test(bytes_go_both_ways_and_end),
        cmocka_unit_test(more_pieces_than_a_call_takes_are_a_short_send),
        cmocka_unit_test(a_full_connection_says_so_and_loses_nothing),
        cmocka_unit_test(a_peers_reset_is_told),
        cmocka_unit_test(a_refused_connect_is_told),
        cmocka_unit_test(nowhere_is_this_machine),
        cmocka_unit_test(nobody_waits),
        cmocka_unit_test(a_listener_survives_those_who_leave),
        cmocka_unit_test(sockets_are_ours_alone_and_never_wait),
        cmocka_unit_test(ipv6_serves_itself_alone_unless_asked),
        cmocka_unit_test(datagrams_keep_their_bounds),
        cmocka_unit_test(udp_recv_survives_icmp_unreachable),
        cmocka_unit_test(a_connected_datagram_socket_speaks_to_one_peer),
        cmocka_unit_test(receiving_may_begin_before_there_is_an_address),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(nothing_leaks),
    };

    return cmocka_run_group_tests_name("sockets on the real system", tests, NULL, NULL);
}
