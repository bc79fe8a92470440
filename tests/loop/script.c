/* SPDX-License-Identifier: MIT */
/* See script.h. */
#include "script.h"

#include "support.h"

script_t script;

void script_on(void) {
    memset(&script, 0, sizeof script);
    script_install();
}

void script_off(void) {
    script_uninstall();
    free(script.wire);
    script.wire = NULL;
}

void script_recv(int code, size_t limit) {
    assert_true(script.recv_count < ANSWERS_MAX);
    script.recv[script.recv_count++] = (answer_t){code, limit};
}

void script_send(int code, size_t limit) {
    assert_true(script.send_count < ANSWERS_MAX);
    script.send[script.send_count++] = (answer_t){code, limit};
}

void script_accept(int code) {
    assert_true(script.accept_count < ANSWERS_MAX);
    script.accept[script.accept_count++] = (answer_t){code, 0};
}

/* Whether this call is the one that was chosen to fail. */
static bool fails_now(void) {
    script.calls++;
    return script.fail_code != 0 && script.calls == script.fail_at;
}

intptr_t script_do_recv(void *base, size_t size) {
    if (fails_now()) {
        return script.fail_code;
    }
    answer_t answer = {ES_EAGAIN, 0};
    if (script.recv_next < script.recv_count) {
        answer = script.recv[script.recv_next++];
    }
    if (answer.code != 0) {
        return answer.code;
    }
    size_t taken = size < answer.limit ? size : answer.limit;
    for (size_t i = 0; i < taken; i++) {
        ((unsigned char *)base)[i] = (unsigned char)script.received++;
    }
    return (intptr_t)taken;
}

intptr_t script_do_send(const es_iov_t *iov, size_t count) {
    if (fails_now()) {
        return script.fail_code;
    }
    answer_t answer = {0, SIZE_MAX};
    if (script.send_next < script.send_count) {
        answer = script.send[script.send_next++];
    }
    if (answer.code != 0) {
        return answer.code;
    }
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < answer.limit; i++) {
        size_t room = answer.limit - taken;
        size_t part = iov[i].size < room ? iov[i].size : room;
        if (script.wire_size + part > script.wire_capacity) {
            script.wire_capacity = (script.wire_size + part) * 2;
            script.wire = realloc(script.wire, script.wire_capacity);
            assert_non_null(script.wire);
        }
        memcpy(script.wire + script.wire_size, iov[i].base, part);
        script.wire_size += part;
        taken += part;
    }
    script.sends++;
    return (intptr_t)taken;
}

intptr_t script_do_recvfrom(void *base, size_t size, void *addr, size_t *addr_size) {
    intptr_t result = script_do_recv(base, size);
    if (result >= 0) {
        memcpy(addr, script.sender.storage.bytes, script.sender.size);
        *addr_size = script.sender.size;
    }
    return result;
}

intptr_t script_do_sendto(const void *base, size_t size, const void *addr, size_t addr_size) {
    es_iov_t iov = {(void *)(uintptr_t)base, size};
    memcpy(script.target.storage.bytes, addr, addr_size);
    script.target.size = (uint32_t)addr_size;
    return script_do_send(&iov, 1);
}

int script_do_accept(es_sock_t *out) {
    int code = ES_EAGAIN;
    if (script.accept_next < script.accept_count) {
        code = script.accept[script.accept_next++].code;
    }
    if (code == 0) {
        *out = idle_socket();
    }
    return code;
}

int script_do_shutdown(void) {
    script.shutdowns++;
    return fails_now() ? script.fail_code : 0;
}
