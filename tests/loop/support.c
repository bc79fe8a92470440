/* SPDX-License-Identifier: MIT */
/* See support.h. */
#include "support.h"

char trace_text[1 << 16];
static size_t trace_size;

void trace_clear(void) {
    trace_size = 0;
    trace_text[0] = '\0';
}

void trace(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(trace_text + trace_size, sizeof trace_text - trace_size, format,
                         arguments);
    va_end(arguments);
    assert_true(size >= 0 && trace_size + (size_t)size < sizeof trace_text);
    trace_size += (size_t)size;
}

static void item_run(el_loop_t *loop, el_ready_t *ready) {
    item_t *item = (item_t *)ready;
    assert_ptr_equal(item->loop, loop);
    item->runs++;
    if (item->name != NULL) {
        trace("%s", item->name);
    }
    if (item->act != NULL) {
        item->act(item);
    }
}

static void item_drop(el_loop_t *loop, el_ready_t *ready) {
    item_t *item = (item_t *)ready;
    assert_ptr_equal(item->loop, loop);
    item->drops++;
}

const el_ready_ops_t item_ops = {item_run, item_drop};

void item_push(el_loop_t *loop, item_t *item, const char *name, void (*act)(item_t *)) {
    item->ready.ops = &item_ops;
    item->loop = loop;
    item->name = name;
    item->act = act;
    el_loop_push(loop, &item->ready);
}

static void clock_item_run(el_loop_t *loop, el_ready_t *ready) {
    clock_item_t *item = (clock_item_t *)ready;
    assert_ptr_equal(item->loop, loop);
    assert_true(el_now_ns() >= item->timer.deadline_ns);
    assert_false(item->timer.scheduled);
    item->runs++;
    if (item->name != NULL) {
        trace("%s", item->name);
    }
    if (item->act != NULL) {
        item->act(item);
    }
}

static void clock_item_drop(el_loop_t *loop, el_ready_t *ready) {
    clock_item_t *item = (clock_item_t *)ready;
    assert_ptr_equal(item->loop, loop);
    assert_false(item->timer.scheduled);
    item->drops++;
}

const el_ready_ops_t clock_item_ops = {clock_item_run, clock_item_drop};

void clock_item_start(el_loop_t *loop, clock_item_t *item, const char *name, uint64_t deadline_ns) {
    item->loop = loop;
    item->name = name;
    assert_int_equal(el_timer_start(loop, &item->timer, deadline_ns, &clock_item_ops), 0);
}

int loop_set_up(void **state) {
    el_loop_t *loop = calloc(1, sizeof *loop);
    trace_clear();
    *state = loop;
    return loop == NULL ? -1 : el_loop_init(loop, NULL, NULL);
}

int loop_tear_down(void **state) {
    int code = el_loop_close(*state);
    free(*state);
    return code;
}

void turns(el_loop_t *loop, int count) {
    while (count-- > 0) {
        assert_int_equal(el_loop_turn(loop, 0), 0);
    }
}

void turn_waiting(el_loop_t *loop) {
    bool queued = loop->ready.first != NULL || atomic_load(&loop->posted) != NULL;
    assert_int_equal(el_loop_turn(loop, queued ? 0 : EL_NEVER), 0);
}

void turn_until(el_loop_t *loop, const bool *flag) {
    while (!*flag) {
        turn_waiting(loop);
    }
}

es_sock_t listening(int backlog) {
    struct sockaddr_in name;
    es_addr_t addr;
    es_sock_t fd;
    memset(&addr, 0, sizeof addr);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &name), 0);
    addr.size = (uint32_t)sizeof name;
    memcpy(addr.storage.bytes, &name, sizeof name);
    assert_int_equal(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &fd), 0);
    assert_int_equal(es_sock_bind(fd, &addr), 0);
    assert_int_equal(es_sock_listen(fd, backlog), 0);
    return fd;
}

es_sock_t connecting_to(es_sock_t listener) {
    es_addr_t addr;
    es_sock_t fd;
    assert_int_equal(es_sock_name(listener, &addr), 0);
    assert_int_equal(es_sock_open(AF_INET, SOCK_STREAM, 0, ES_SOCK_NODELAY, &fd), 0);
    int code = es_sock_connect(fd, &addr);
    assert_true(code == 0 || code == ES_EINPROGRESS);
    return fd;
}

static void set_flag(el_poll_t *poll, void *flag) {
    (void)poll;
    *(bool *)flag = true;
}

static void await(el_loop_t *loop, es_sock_t fd, el_direction_t direction) {
    el_poll_t *poll;
    bool ready = false;
    assert_int_equal(el_poll_open(loop, fd, &poll), 0);
    el_poll_set(poll, direction, set_flag, &ready);
    turn_until(loop, &ready);
    el_poll_clear(poll, direction);
    el_poll_close(poll);
}

void connected_pair(el_loop_t *loop, es_sock_t *client, es_sock_t *server) {
    es_sock_t listener = listening(8);
    *client = connecting_to(listener);
    int code;
    while ((code = es_sock_accept(listener, server, NULL)) == ES_EAGAIN) {
        await(loop, listener, EL_READ);
    }
    assert_int_equal(code, 0);
    while ((code = es_sock_connect_finish(*client)) == ES_EINPROGRESS) {
        await(loop, *client, EL_WRITE);
    }
    assert_int_equal(code, 0);
    assert_int_equal(es_sock_set_nodelay(*server, 1), 0);
    assert_int_equal(es_sock_close(listener), 0);
}

es_sock_t idle_socket(void) {
    es_sock_t fd;
    assert_int_equal(es_sock_open(AF_INET, SOCK_DGRAM, 0, 0, &fd), 0);
    return fd;
}

void send_all(el_loop_t *loop, es_sock_t fd, const void *base, size_t size) {
    const unsigned char *rest = base;
    while (size > 0) {
        size_t done = 0;
        int code = es_sock_send(fd, rest, size, &done);
        assert_true(code == 0 || code == ES_EAGAIN);
        rest += done;
        size -= done;
        if (code == ES_EAGAIN) {
            turns(loop, 1);
        }
    }
}

uint32_t random_next(uint32_t *seed) {
    /* xorshift32 (Marsaglia 2003): every nonzero state once. */
    uint32_t x = *seed;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}
