/* SPDX-License-Identifier: MIT */
#include "ends.h"

const uint32_t loopback = 0x7f000001;
const unsigned char loopback6[16] = {[15] = 1};

es_sock_t listen_on(es_addr_t *addr) {
    es_sock_t listener = ES_SOCK_INVALID;

    assert_code(es_sock_open(real_inet, real_stream, 0, 0, &listener), 0);
    real_ipv4(addr, loopback, 0);
    assert_code(es_sock_bind(listener, addr), 0);
    assert_code(es_sock_listen(listener, 64), 0);
    assert_code(es_sock_name(listener, addr), 0);
    assert_true(real_port(addr) != 0);
    return listener;
}

static void finish_connect(es_sock_t sock) {
    int code;

    do {
        assert_true(real_wait(sock, REAL_WRITE, LIMIT_MS));
        code = es_sock_connect_finish(sock);
    } while (code == ES_EINPROGRESS);
    assert_code(code, 0);
}

void connect_to(es_sock_t sock, const es_addr_t *addr) {
    int code = es_sock_connect(sock, addr);

    if (code != 0) {
        assert_code(code, ES_EINPROGRESS);
        finish_connect(sock);
    }
}

es_sock_t accept_from(es_sock_t listener, es_addr_t *peer) {
    es_sock_t made = ES_SOCK_INVALID;

    assert_true(real_wait(listener, REAL_READ, LIMIT_MS));
    assert_code(es_sock_accept(listener, &made, peer), 0);
    return made;
}

ends_t make_ends(void) {
    es_addr_t addr;
    es_sock_t listener = listen_on(&addr);
    ends_t ends = {ES_SOCK_INVALID, ES_SOCK_INVALID};

    assert_code(es_sock_open(real_inet, real_stream, 0, ES_SOCK_NODELAY, &ends.client), 0);
    connect_to(ends.client, &addr);
    ends.server = accept_from(listener, NULL);
    assert_code(es_sock_close(listener), 0);
    return ends;
}

void close_ends(const ends_t *ends) {
    assert_code(es_sock_close(ends->client), 0);
    assert_code(es_sock_close(ends->server), 0);
}

es_sock_t datagram_on(es_addr_t *addr) {
    es_sock_t sock;

    assert_code(es_sock_open(real_inet, real_dgram, 0, 0, &sock), 0);
    real_ipv4(addr, loopback, 0);
    assert_code(es_sock_bind(sock, addr), 0);
    assert_code(es_sock_name(sock, addr), 0);
    return sock;
}

int hear(es_sock_t sock, void *base, size_t size, size_t *done) {
    assert_true(real_wait(sock, REAL_READ, LIMIT_MS));
    return es_sock_recv(sock, base, size, done);
}

int hear_from(es_sock_t sock, void *base, size_t size, size_t *done, es_addr_t *from) {
    assert_true(real_wait(sock, REAL_READ, LIMIT_MS));
    return es_sock_recvfrom(sock, base, size, done, from);
}
