/* SPDX-License-Identifier: MIT */
/* Facts about sockets: one meaning on every system, on loopback. */
#include "../ends.h"
#include "fact.h"

#include <stdlib.h>
#include <string.h>

/* Streams -------------------------------------------------------------------------------------- */

static void look_at_empty(fact_t *fact) {
    ends_t ends = make_ends();
    char byte;
    size_t done = 42;

    see_code(fact, "recv before anything came", es_sock_recv(ends.client, &byte, 1, &done));
    see(fact, "the result is untouched: %s", done == 42 ? "yes" : "no");
    close_ends(&ends);
}

static void look_at_end_of_file(fact_t *fact) {
    ends_t ends = make_ends();
    char heard[8];
    size_t done = 0;

    assert_code(es_sock_send(ends.server, "last", 4, &done), 0);
    assert_code(es_sock_shutdown(ends.server, ES_SHUT_WRITE), 0);
    see_code(fact, "first", hear(ends.client, heard, sizeof(heard), &done));
    see(fact, "bytes: %u", (unsigned)done);
    see_code(fact, "then", hear(ends.client, heard, sizeof(heard), &done));
    see_code(fact, "and again", hear(ends.client, heard, sizeof(heard), &done));
    see_code(fact, "send the other way", es_sock_send(ends.client, "x", 1, &done));
    close_ends(&ends);
}

static void look_at_send_after_shutdown(fact_t *fact) {
    ends_t ends = make_ends();
    size_t done = 0;

    assert_code(es_sock_shutdown(ends.client, ES_SHUT_WRITE), 0);
    see_code(fact, "send", es_sock_send(ends.client, "x", 1, &done));
    see_code(fact, "shutdown again", es_sock_shutdown(ends.client, ES_SHUT_WRITE));
    close_ends(&ends);
}

static void look_at_reset(fact_t *fact) {
    ends_t ends = make_ends();
    char heard[8];
    size_t done = 0;

    real_reset_on_close(ends.server);
    assert_code(es_sock_close(ends.server), 0);
    assert_true(real_wait(ends.client, REAL_READ, LIMIT_MS));
    see_code(fact, "recv", es_sock_recv(ends.client, heard, sizeof(heard), &done));
    assert_code(es_sock_close(ends.client), 0);
}

static void look_at_close_with_unread_data(fact_t *fact) {
    ends_t ends = make_ends();
    char heard[8];
    size_t done = 0;
    int code;

    assert_code(es_sock_send(ends.client, "unread", 6, &done), 0);
    assert_true(real_wait(ends.server, REAL_READ, LIMIT_MS));
    assert_code(es_sock_close(ends.server), 0);
    code = hear(ends.client, heard, sizeof(heard), &done);
    see(fact, "recv: %s",
        code == ES_ECONNRESET || code == ES_EOF ? "ECONNRESET or EOF" : es_error_name(code));
    assert_code(es_sock_close(ends.client), 0);
}

static void look_at_full(fact_t *fact) {
    enum { BLOCK = 1 << 20 };
    unsigned char *block = calloc(1, BLOCK);
    ends_t ends = make_ends();
    uint64_t sent = 0;
    uint64_t heard = 0;
    size_t done = 0;
    int code;

    assert_non_null(block);
    while ((code = es_sock_send(ends.client, block, BLOCK, &done)) == 0 && sent < 1u << 30) {
        sent += done;
    }
    see_code(fact, "send into a full connection", code);
    assert_code(es_sock_shutdown(ends.client, ES_SHUT_WRITE), 0);
    while ((code = hear(ends.server, block, BLOCK, &done)) == 0) {
        heard += done;
    }
    see_code(fact, "at the end", code);
    see(fact, "everything arrived: %s", sent == heard ? "yes" : "no");
    close_ends(&ends);
    free(block);
}

static void look_at_many_pieces(fact_t *fact) {
    es_iov_t pieces[ES_IOV_MAX + 10];
    ends_t ends = make_ends();
    size_t done = 0;

    for (size_t index = 0; index < COUNT(pieces); index++) {
        pieces[index] = (es_iov_t){(void *)(uintptr_t) "p", 1};
    }
    see_code(fact, "sendv", es_sock_sendv(ends.client, pieces, COUNT(pieces), &done));
    see(fact, "bytes taken: %u", (unsigned)done);
    close_ends(&ends);
}

static void look_at_names(fact_t *fact) {
    es_addr_t addr;
    es_addr_t peer;
    es_addr_t own;
    es_sock_t listener = listen_on(&addr);
    es_sock_t client = ES_SOCK_INVALID;
    es_sock_t server;

    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    see_code(fact, "peer before connect", es_sock_peer(client, &peer));
    connect_to(client, &addr);
    server = accept_from(listener, &peer);
    assert_code(es_sock_name(client, &own), 0);
    see(fact, "accept gives the client's address: %s",
        real_port(&own) == real_port(&peer) && real_host4(&peer) == loopback ? "yes" : "no");
    assert_code(es_sock_peer(client, &peer), 0);
    see(fact, "the client's peer is the listener: %s",
        real_port(&peer) == real_port(&addr) ? "yes" : "no");
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(server), 0);
    assert_code(es_sock_close(listener), 0);
}

/* Connecting and accepting --------------------------------------------------------------------- */

static void look_at_refusal(fact_t *fact) {
    es_addr_t addr;
    es_sock_t client = ES_SOCK_INVALID;
    double started;
    int code;

    assert_code(es_sock_close(listen_on(&addr)), 0);
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    started = clock_seconds();
    code = es_sock_connect(client, &addr);
    if (code == ES_EINPROGRESS) {
        assert_true(real_wait(client, REAL_WRITE, LIMIT_MS));
        code = es_sock_connect_finish(client);
    }
    see_code(fact, "connect", code);
    see(fact, "within half a second: %s", clock_seconds() - started < 0.5 ? "yes" : "no");
    see(fact, "asked again it waits: %s",
        es_sock_connect_finish(client) == ES_EINPROGRESS ? "yes" : "no");
    assert_code(es_sock_close(client), 0);
}

static void look_at_nowhere(fact_t *fact) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    es_sock_t client = ES_SOCK_INVALID;

    real_ipv4(&addr, 0, real_port(&addr));
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    connect_to(client, &addr);
    assert_code(es_sock_close(accept_from(listener, NULL)), 0);
    see(fact, "connect to 0.0.0.0: reaches this machine");
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(listener), 0);
}

static void look_at_nobody_waiting(fact_t *fact) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    es_sock_t made = ES_SOCK_INVALID;

    see_code(fact, "accept", es_sock_accept(listener, &made, NULL));
    see(fact, "the result is untouched: %s", made == ES_SOCK_INVALID ? "yes" : "no");
    assert_code(es_sock_close(listener), 0);
}

static void look_at_clients_that_leave(fact_t *fact) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    es_sock_t client = ES_SOCK_INVALID;
    es_sock_t made = ES_SOCK_INVALID;
    unsigned wrong = 0;

    for (int round = 0; round < 20; round++) {
        int code;

        assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
        connect_to(client, &addr);
        real_reset_on_close(client);
        assert_code(es_sock_close(client), 0);
        code = es_sock_accept(listener, &made, NULL);
        if (code == 0) {
            assert_code(es_sock_close(made), 0);
        }
        wrong += code != 0 && code != ES_EAGAIN && code != ES_ECONNABORTED;
    }
    see(fact, "answers that are about the listener: %u", wrong);
    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &client), 0);
    connect_to(client, &addr);
    assert_code(es_sock_close(accept_from(listener, NULL)), 0);
    see(fact, "then: it accepts");
    assert_code(es_sock_close(client), 0);
    assert_code(es_sock_close(listener), 0);
}

static void look_at_ownership(fact_t *fact) {
    ends_t ends = make_ends();

    see(fact, "opened is inheritable: %s", real_is_inheritable(ends.client) ? "yes" : "no");
    see(fact, "accepted is inheritable: %s", real_is_inheritable(ends.server) ? "yes" : "no");
    see(fact, "no delay where asked for: %s", real_get_nodelay(ends.client) ? "yes" : "no");
    assert_code(es_sock_set_nodelay(ends.client, 0), 0);
    see(fact, "after it was switched off: %s", real_get_nodelay(ends.client) ? "yes" : "no");
    close_ends(&ends);
}

static void look_at_ipv6(fact_t *fact) {
    es_sock_t sock = ES_SOCK_INVALID;

    if (!real_has_ipv6()) {
        not_here(fact, "this machine has no IPv6");
        return;
    }
    assert_code(es_sock_open(real_inet6, real_stream, 0, 0, &sock), 0);
    see(fact, "IPv6 only: %s", real_get_v6only(sock) ? "yes" : "no");
    assert_code(es_sock_close(sock), 0);
    assert_code(es_sock_open(real_inet6, real_stream, 0, ES_SOCK_DUAL_STACK, &sock), 0);
    see(fact, "with ES_SOCK_DUAL_STACK: %s", real_get_v6only(sock) ? "yes" : "no");
    assert_code(es_sock_close(sock), 0);
}

static void look_at_used_address(fact_t *fact) {
    es_addr_t busy;
    es_addr_t foreign;
    es_sock_t listener = listen_on(&busy);
    es_sock_t other = ES_SOCK_INVALID;

    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &other), 0);
    see_code(fact, "bind to a port in use", es_sock_bind(other, &busy));
    real_ipv4(&foreign, 0x01020304, 0);
    see_code(fact, "bind to another machine's address", es_sock_bind(other, &foreign));
    assert_code(es_sock_close(other), 0);
    assert_code(es_sock_close(listener), 0);
}

static void look_at_wrong_states(fact_t *fact) {
    es_addr_t addr;
    es_sock_t sock = ES_SOCK_INVALID;
    int code = 1;

    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &sock), 0);
    see_code(fact, "peer of an unconnected socket", es_sock_peer(sock, &addr));
    see_code(fact, "shutdown of an unconnected socket", es_sock_shutdown(sock, ES_SHUT_WRITE));
    assert_code(es_sock_take_error(sock, &code), 0);
    see_code(fact, "pending error", code);
    see_code(fact, "unknown flag", es_sock_open(real_inet, real_stream, 0, 1u << 31, &sock));
    assert_code(es_sock_close(sock), 0);
}

static void look_at_closed_descriptor(fact_t *fact) {
    es_sock_t sock = ES_SOCK_INVALID;
    size_t done = 0;
    int code;

    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &sock), 0);
    assert_code(es_sock_close(sock), 0);
    code = es_sock_send(sock, "x", 1, &done);
    see(fact, "send on a closed socket: %s",
        code == ES_EBADF || code == ES_ENOTSOCK ? "EBADF or ENOTSOCK" : es_error_name(code));
}

/* Datagrams ------------------------------------------------------------------------------------ */

static void look_at_bounds(fact_t *fact) {
    es_addr_t here_addr;
    es_addr_t there_addr;
    es_addr_t from;
    es_sock_t here = datagram_on(&here_addr);
    es_sock_t there = datagram_on(&there_addr);
    char heard[4];
    size_t done = 42;

    assert_code(es_sock_sendto(here, "", 0, &there_addr, &done), 0);
    done = 42;
    see_code(fact, "an empty datagram", hear_from(there, heard, sizeof(heard), &done, &from));
    see(fact, "bytes: %u", (unsigned)done);
    see(fact, "from its sender: %s", real_port(&from) == real_port(&here_addr) ? "yes" : "no");
    assert_code(es_sock_sendto(here, "too long", 8, &there_addr, &done), 0);
    see_code(fact, "one that is too long", hear_from(there, heard, sizeof(heard), &done, &from));
    see(fact, "bytes: %u", (unsigned)done);
    see_code(fact, "afterwards", es_sock_recv(there, heard, sizeof(heard), &done));
    assert_code(es_sock_close(here), 0);
    assert_code(es_sock_close(there), 0);
}

static void look_at_oversize(fact_t *fact) {
    static char huge[70000];
    es_addr_t addr;
    es_sock_t sock = datagram_on(&addr);
    size_t done = 0;

    see_code(fact, "sendto", es_sock_sendto(sock, huge, sizeof(huge), &addr, &done));
    see_code(fact, "then a short one", es_sock_sendto(sock, huge, 1, &addr, &done));
    assert_code(es_sock_close(sock), 0);
}

static void look_at_icmp(fact_t *fact, bool is_foreign) {
    es_addr_t addr;
    es_addr_t other_addr;
    es_addr_t nobody;
    es_addr_t from;
    es_sock_t other = datagram_on(&other_addr);
    es_sock_t sock;
    char heard[8];
    size_t done = 0;

    assert_code(es_sock_close(datagram_on(&nobody)), 0);
    if (is_foreign) {
        sock = real_foreign_datagram();
        assert_code(es_sock_set_nonblocking(sock, 1), 0);
        assert_code(es_sock_adopt(sock), 0);
        real_ipv4(&addr, loopback, 0);
        assert_code(es_sock_bind(sock, &addr), 0);
        assert_code(es_sock_name(sock, &addr), 0);
    } else {
        sock = datagram_on(&addr);
    }
    assert_code(es_sock_sendto(sock, "lost", 4, &nobody, &done), 0);
    assert_code(es_sock_sendto(other, "ok", 2, &addr, &done), 0);
    see_code(fact, "recv", hear_from(sock, heard, sizeof(heard), &done, &from));
    see(fact, "bytes: %u", (unsigned)done);
    see_code(fact, "then", es_sock_recvfrom(sock, heard, sizeof(heard), &done, &from));
    assert_code(es_sock_close(sock), 0);
    assert_code(es_sock_close(other), 0);
}

static void look_at_icmp_of_our_own(fact_t *fact) {
    look_at_icmp(fact, false);
}

static void look_at_icmp_of_an_adopted_one(fact_t *fact) {
    look_at_icmp(fact, true);
}

static void look_at_refused_datagram(fact_t *fact) {
    es_addr_t nobody;
    es_addr_t addr;
    es_sock_t sock = datagram_on(&addr);
    char heard[8];
    size_t done = 0;

    assert_code(es_sock_close(datagram_on(&nobody)), 0);
    assert_code(es_sock_connect(sock, &nobody), 0);
    assert_code(es_sock_send(sock, "lost", 4, &done), 0);
    if (!real_wait(sock, REAL_READ, 1000)) {
        see(fact, "recv: nothing was told within a second");
    } else {
        see_code(fact, "recv", es_sock_recv(sock, heard, sizeof(heard), &done));
        see_code(fact, "then", es_sock_recv(sock, heard, sizeof(heard), &done));
    }
    assert_code(es_sock_close(sock), 0);
}

static void look_at_recv_without_an_address(fact_t *fact) {
    es_addr_t addr;
    es_addr_t from;
    es_sock_t there = datagram_on(&addr);
    es_sock_t here = ES_SOCK_INVALID;
    char heard[8];
    size_t done = 0;

    assert_code(es_sock_open(real_inet, real_dgram, 0, 0, &here), 0);
    see_code(fact, "recv", es_sock_recvfrom(here, heard, sizeof(heard), &done, &from));
    assert_code(es_sock_sendto(here, "hi", 2, &addr, &done), 0);
    assert_code(hear_from(there, heard, sizeof(heard), &done, &from), 0);
    assert_code(es_sock_sendto(there, "back", 4, &from, &done), 0);
    see_code(fact, "after a send", hear_from(here, heard, sizeof(heard), &done, &from));
    assert_code(es_sock_close(there), 0);
    assert_code(es_sock_close(here), 0);
}

static void look_at_leaks(fact_t *fact) {
    int before;

    for (int warm_up = 0; warm_up < 3; warm_up++) {
        ends_t ends = make_ends();
        close_ends(&ends);
    }
    before = real_open_count();
    for (int round = 0; round < 50; round++) {
        ends_t ends = make_ends();
        close_ends(&ends);
    }
    see(fact, "descriptors left of 50 connections: %d", real_open_count() - before);
}

fact_t socket_facts[] = {
    {.name = "socket.recv_never_waits",
     .tier = "portable",
     .statement = "Receiving from an empty connection answers EAGAIN and touches nothing.",
     .source = "socket.h",
     .look = look_at_empty,
     .expected = {"recv before anything came: EAGAIN", "the result is untouched: yes"}},
    {.name = "socket.end_of_file_is_a_code_and_stays",
     .tier = "portable",
     .statement = "After the peer's shutdown comes what it had sent, then EOF for ever; our half "
                  "stays open.",
     .source = "socket.h; shutdown(2)",
     .look = look_at_end_of_file,
     .expected = {"first: OK", "bytes: 4", "then: EOF", "and again: EOF",
                  "send the other way: OK"}},
    {.name = "socket.send_after_shutdown_is_EPIPE",
     .tier = "portable",
     .statement = "Sending after our own shutdown is EPIPE, without a signal.",
     .source = "send(2), EPIPE",
     .look = look_at_send_after_shutdown,
     .expected = {"send: EPIPE", "shutdown again: OK"}},
    {.name = "socket.peers_reset_is_ECONNRESET",
     .tier = "portable",
     .statement = "A reset by the peer is ECONNRESET.",
     .source = "recv(2); WSAECONNRESET",
     .look = look_at_reset,
     .expected = {"recv: ECONNRESET"}},
    {.name = "socket.close_with_unread_data_ends_the_peer",
     .tier = "portable",
     .statement = "Closing with unread data ends the peer's reading at once.",
     .source = "RFC 2525, 2.17: a reset is sent; some systems send the end of file first",
     .look = look_at_close_with_unread_data,
     .expected = {"recv: ECONNRESET or EOF"}},
    {.name = "socket.full_connection_says_so_and_loses_nothing",
     .tier = "portable",
     .statement = "Sending into a full connection is EAGAIN; all that was taken arrives.",
     .source = "socket.h",
     .look = look_at_full,
     .expected = {"send into a full connection: EAGAIN", "at the end: EOF",
                  "everything arrived: yes"}},
    {.name = "socket.more_pieces_than_a_call_takes",
     .tier = "portable",
     .statement = "More than ES_IOV_MAX pieces are a short send, never an error.",
     .source = "socket.h",
     .look = look_at_many_pieces,
     .expected = {"sendv: OK", "bytes taken: 64"}},
    {.name = "socket.both_ends_know_each_other",
     .tier = "portable",
     .statement = "accept gives the client's address, and each end has the other's.",
     .source = "accept(2), getpeername(2)",
     .look = look_at_names,
     .expected = {"peer before connect: ENOTCONN", "accept gives the client's address: yes",
                  "the client's peer is the listener: yes"}},
    {.name = "socket.refused_connect_is_told_at_once",
     .tier = "portable",
     .statement = "A connect to a closed port of this machine is ECONNREFUSED, at once.",
     .source = "connect(2); SIO_TCP_INITIAL_RTO on Windows",
     .look = look_at_refusal,
     .expected = {"connect: ECONNREFUSED", "within half a second: yes",
                  "asked again it waits: no"}},
    {.name = "socket.nowhere_is_this_machine",
     .tier = "portable",
     .statement = "Connecting to 0.0.0.0 reaches this machine.",
     .source = "Linux; Windows says WSAEADDRNOTAVAIL by itself",
     .look = look_at_nowhere,
     .expected = {"connect to 0.0.0.0: reaches this machine"}},
    {.name = "socket.accept_never_waits",
     .tier = "portable",
     .statement = "Accepting where nobody waits is EAGAIN.",
     .source = "accept(2)",
     .look = look_at_nobody_waiting,
     .expected = {"accept: EAGAIN", "the result is untouched: yes"}},
    {.name = "socket.listener_survives_clients_that_leave",
     .tier = "portable",
     .statement = "Clients that reset before they are accepted never make the listener fail.",
     .source = "accept(2), error handling; WSAECONNRESET of accept",
     .look = look_at_clients_that_leave,
     .expected = {"answers that are about the listener: 0", "then: it accepts"}},
    {.name = "socket.descriptors_are_ours_alone",
     .tier = "portable",
     .statement = "Sockets are not inherited by children; TCP_NODELAY is as asked for.",
     .source = "PEP 446's reasons; FD_CLOEXEC, HANDLE_FLAG_INHERIT",
     .look = look_at_ownership,
     .expected = {"opened is inheritable: no", "accepted is inheritable: no",
                  "no delay where asked for: yes", "after it was switched off: no"}},
    {.name = "socket.ipv6_serves_itself_alone_unless_asked",
     .tier = "portable",
     .statement = "An IPv6 socket does not take IPv4 unless ES_SOCK_DUAL_STACK is given.",
     .source = "IPV6_V6ONLY, whose default differs between systems",
     .look = look_at_ipv6,
     .expected = {"IPv6 only: yes", "with ES_SOCK_DUAL_STACK: no"}},
    {.name = "socket.addresses_that_cannot_be_bound",
     .tier = "portable",
     .statement = "A port in use is EADDRINUSE, another machine's address EADDRNOTAVAIL.",
     .source = "bind(2)",
     .look = look_at_used_address,
     .expected = {"bind to a port in use: EADDRINUSE",
                  "bind to another machine's address: EADDRNOTAVAIL"}},
    {.name = "socket.wrong_states_are_said",
     .tier = "portable",
     .statement = "What a socket is not ready for has the code that Unix has for it.",
     .source = "getpeername(2), shutdown(2)",
     .look = look_at_wrong_states,
     .expected = {"peer of an unconnected socket: ENOTCONN",
                  "shutdown of an unconnected socket: ENOTCONN", "pending error: OK",
                  "unknown flag: EINVAL"}},
    {.name = "socket.closed_descriptor_is_said",
     .tier = "portable",
     .statement = "A descriptor that was closed is EBADF on Unix, ENOTSOCK on Windows.",
     .source = "send(2); WSAENOTSOCK",
     .look = look_at_closed_descriptor,
     .expected = {"send on a closed socket: EBADF or ENOTSOCK"}},
    {.name = "socket.datagrams_keep_their_bounds",
     .tier = "portable",
     .statement = "An empty datagram is data, one that is too long is cut without an error.",
     .source = "recvfrom(2); Windows says WSAEMSGSIZE by itself",
     .look = look_at_bounds,
     .expected = {"an empty datagram: OK", "bytes: 0", "from its sender: yes",
                  "one that is too long: OK", "bytes: 4", "afterwards: EAGAIN"}},
    {.name = "socket.oversize_datagram_is_EMSGSIZE",
     .tier = "portable",
     .statement = "A datagram that the protocol cannot carry is EMSGSIZE; the socket goes on.",
     .source = "sendto(2)",
     .look = look_at_oversize,
     .expected = {"sendto: EMSGSIZE", "then a short one: OK"}},
    {.name = "socket.udp_recv_survives_icmp_unreachable",
     .tier = "portable",
     .statement = "An unconnected socket does not hear that a peer's port is closed.",
     .source = "udp(7); SIO_UDP_CONNRESET on Windows",
     .look = look_at_icmp_of_our_own,
     .expected = {"recv: OK", "bytes: 2", "then: EAGAIN"}},
    {.name = "socket.adopted_socket_survives_icmp_unreachable",
     .tier = "portable",
     .statement = "So it is with a socket of other code's making, once it was adopted.",
     .source = "es_sock_adopt",
     .look = look_at_icmp_of_an_adopted_one,
     .expected = {"recv: OK", "bytes: 2", "then: EAGAIN"}},
    {.name = "socket.connected_udp_hears_of_a_refusal_once",
     .tier = "portable",
     .statement = "A connected socket hears ECONNREFUSED, once.",
     .source = "udp(7)",
     .look = look_at_refused_datagram,
     .expected = {"recv: ECONNREFUSED", "then: EAGAIN"}},
    {.name = "socket.recv_before_there_is_an_address",
     .tier = "portable",
     .statement = "A datagram socket may be received on before it has an address.",
     .source = "Linux; Windows says WSAEINVAL by itself",
     .look = look_at_recv_without_an_address,
     .expected = {"recv: EAGAIN", "after a send: OK"}},
    {.name = "socket.connections_leave_no_descriptor",
     .tier = "portable",
     .statement = "Connections that were closed leave nothing open.",
     .source = "close(2), closesocket",
     .look = look_at_leaks,
     .expected = {"descriptors left of 50 connections: 0"}},
    {.name = NULL},
};
