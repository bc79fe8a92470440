/* SPDX-License-Identifier: MIT */
/* Watchers: slots, order, errors, descriptors that go away, and many of them.
 *
 * Readiness comes from real sockets. What is hard is what must stop: after a clear or a close
 * nothing may be called, even when the event has already been fetched from the system.
 */
#include "support.h"

typedef struct ends {
    el_loop_t *loop;
    es_sock_t client;
    es_sock_t server;
    el_poll_t *poll; /* of the server */
} ends_t;

static ends_t ends;

static int set_up(void **state) {
    int code = loop_set_up(state);
    if (code == 0) {
        ends.loop = *state;
        connected_pair(*state, &ends.client, &ends.server);
        code = el_poll_open(*state, ends.server, &ends.poll);
    }
    return code;
}

static int tear_down(void **state) {
    if (ends.poll != NULL) {
        el_poll_close(ends.poll);
        ends.poll = NULL;
    }
    (void)es_sock_close(ends.client);
    (void)es_sock_close(ends.server);
    return loop_tear_down(state);
}

static void note(el_poll_t *poll, void *ctx) {
    (void)poll;
    trace("%s", (const char *)ctx);
}

/* Turns until the trace holds this text. */
static void turn_until_traced(el_loop_t *loop, const char *text) {
    while (strstr(trace_text, text) == NULL) {
        turn_waiting(loop);
    }
}

static void a_slot_that_stays_set_is_called_in_every_turn(void **state) {
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    turn_until_traced(*state, "www");
    el_poll_clear(ends.poll, EL_WRITE);
    trace_clear();
    turns(*state, 3);
    assert_trace("");
}

static void both_slots_of_one_descriptor_are_called_reading_first(void **state) {
    send_all(*state, ends.client, "x", 1);
    el_poll_set(ends.poll, EL_READ, note, "r");
    turn_until_traced(*state, "r");
    trace_clear();
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    turn_until_traced(*state, "rw");
}

static void setting_a_slot_again_replaces_what_was_there(void **state) {
    void *ctx;
    el_poll_set(ends.poll, EL_WRITE, note, "1");
    turn_until_traced(*state, "1");
    el_poll_set(ends.poll, EL_WRITE, note, "2");
    assert_ptr_equal(el_poll_get(ends.poll, EL_WRITE, &ctx), note);
    assert_string_equal(ctx, "2");
    assert_null(el_poll_get(ends.poll, EL_READ, NULL));
    trace_clear();
    turn_until_traced(*state, "2");
    assert_null(strstr(trace_text, "1"));
}

static void a_descriptor_has_one_watcher_however_often_it_is_opened(void **state) {
    el_poll_t *again;
    assert_ptr_equal(el_poll_find(*state, ends.server), ends.poll);
    assert_null(el_poll_find(*state, ends.client));
    assert_int_equal(el_poll_open(*state, ends.server, &again), 0);
    assert_ptr_equal(again, ends.poll);
    el_poll_set(again, EL_WRITE, note, "w");
    el_poll_close(again);
    turn_until_traced(*state, "w"); /* one opening is left */
    el_poll_close(ends.poll);
    ends.poll = NULL;
    assert_null(el_poll_find(*state, ends.server));
    trace_clear();
    turns(*state, 3);
    assert_trace("");
}

static void the_owner_is_noted(void **state) {
    (void)state;
    assert_null(el_poll_owner(ends.poll));
    el_poll_set_owner(ends.poll, &ends);
    assert_ptr_equal(el_poll_owner(ends.poll), &ends);
    assert_int_equal(el_poll_fd(ends.poll), ends.server);
    assert_ptr_equal(el_poll_loop(ends.poll), ends.loop);
}

static void clear_other(el_poll_t *poll, void *ctx) {
    (void)ctx;
    trace("r");
    el_poll_clear(poll, EL_WRITE);
}

static void a_slot_cleared_by_the_other_slots_callback_is_not_called(void **state) {
    send_all(*state, ends.client, "x", 1);
    el_poll_set(ends.poll, EL_READ, note, "-");
    turn_until_traced(*state, "-"); /* arrived */
    trace_clear();
    el_poll_set(ends.poll, EL_READ, clear_other, NULL);
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    turn_until_traced(*state, "r");
    turns(*state, 2);
    assert_null(strstr(trace_text + 1, "w"));
}

static void close_self(el_poll_t *poll, void *ctx) {
    (void)ctx;
    trace("c");
    el_poll_close(poll);
    ends.poll = NULL;
}

static void a_watcher_may_be_closed_in_its_own_callback(void **state) {
    send_all(*state, ends.client, "x", 1);
    el_poll_set(ends.poll, EL_READ, close_self, NULL);
    el_poll_set(ends.poll, EL_WRITE, note, "");
    turn_until_traced(*state, "c");
    turns(*state, 3);
    assert_trace("c");
}

/* The C library's malloc, but for zeroed memory, too: unlike calloc it gives out at once what was just
 * freed, so that a new watcher has the address of the last. */
static void *allocate(void *context, size_t size) {
    (void)context;
    return malloc(size);
}

static void *allocate_zeroed(void *context, size_t count, size_t size) {
    void *memory = allocate(context, count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

static void *resize(void *context, void *memory, size_t size) {
    (void)context;
    return realloc(memory, size);
}

static void release(void *context, void *memory) {
    (void)context;
    free(memory);
}

static const es_allocator_t allocator = {NULL, allocate, allocate_zeroed, resize, release};

/* Closes the watcher that is being called, and opens one that may get its memory and its handle. */
static es_sock_t never_ready;
static el_poll_t *successor;
static void be_succeeded(el_poll_t *poll, void *ctx) {
    el_loop_t *loop = ends.loop;
    close_self(poll, ctx);
    assert_int_equal(el_poll_open(loop, never_ready, &successor), 0);
    el_poll_set(successor, EL_READ, note, "r");
    el_poll_set(successor, EL_WRITE, note, "w");
}

static void a_watcher_opened_where_one_was_closed_does_not_get_its_event(void **state) {
    never_ready = listening(1);
    send_all(*state, ends.client, "x", 1);
    el_poll_set(ends.poll, EL_READ, note, "-");
    turn_until_traced(*state, "-"); /* arrived: the next event is for both directions */
    trace_clear();
    el_poll_set(ends.poll, EL_READ, be_succeeded, NULL);
    el_poll_set(ends.poll, EL_WRITE, note, "");
    turn_until_traced(*state, "c");
    turns(*state, 3);
    assert_trace("c");
    el_poll_close(successor);
    assert_int_equal(es_sock_close(never_ready), 0);
}

static void watchers_that_follow_each_other_hear_of_their_own_descriptor_alone(void **state) {
    enum { COUNT = 50 };
    es_sock_t fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        el_poll_t *poll;
        fds[i] = idle_socket(); /* stays open and writable when its watcher has gone */
        assert_int_equal(el_poll_open(*state, fds[i], &poll), 0);
        trace_clear();
        turns(*state, i % 3);
        assert_trace("");
        el_poll_set(poll, EL_WRITE, note, "w");
        turn_until_traced(*state, "w");
        turns(*state, i % 2);
        el_poll_close(poll);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(es_sock_close(fds[i]), 0);
    }
}

static el_poll_t *pair_of_polls[2];
static void close_both(el_poll_t *poll, void *ctx) {
    (void)poll;
    (void)ctx;
    trace("x");
    el_poll_close(pair_of_polls[0]);
    el_poll_close(pair_of_polls[1]);
}

static void
a_watcher_closed_by_another_ones_callback_is_not_called_though_it_was_ready(void **state) {
    es_sock_t fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = idle_socket();
        assert_int_equal(el_poll_open(*state, fds[i], &pair_of_polls[i]), 0);
        el_poll_set(pair_of_polls[i], EL_WRITE, close_both, NULL);
    }
    turn_until_traced(*state, "x");
    turns(*state, 3);
    assert_trace("x");
    (void)es_sock_close(fds[0]);
    (void)es_sock_close(fds[1]);
}

static void a_descriptor_may_be_closed_right_after_its_last_slot_is_cleared(void **state) {
    /* And its number, given out again, starts afresh. */
    for (int i = 0; i < 50; i++) {
        es_sock_t fd = idle_socket();
        el_poll_t *poll;
        assert_int_equal(el_poll_open(*state, fd, &poll), 0);
        trace_clear();
        el_poll_set(poll, EL_WRITE, note, "w");
        turn_until_traced(*state, "w");
        el_poll_clear(poll, EL_WRITE);
        assert_int_equal(es_sock_close(fd), 0);
        fd = idle_socket();
        if (fd == el_poll_fd(poll)) {
            /* Same number, same watcher, another socket. */
            trace_clear();
            el_poll_set(poll, EL_WRITE, note, "v");
            turn_until_traced(*state, "v");
        }
        el_poll_close(poll);
        assert_int_equal(es_sock_close(fd), 0);
    }
}

static void a_refused_connect_calls_the_slot_and_the_socket_tells_why(void **state) {
    es_sock_t listener = listening(1);
    es_addr_t addr;
    es_sock_t fd;
    el_poll_t *poll;
    assert_int_equal(es_sock_name(listener, &addr), 0);
    assert_int_equal(es_sock_close(listener), 0);
    assert_int_equal(es_sock_open(AF_INET, SOCK_STREAM, 0, 0, &fd), 0);
    int code = es_sock_connect(fd, &addr);
    if (code == ES_EINPROGRESS) {
        assert_int_equal(el_poll_open(*state, fd, &poll), 0);
        el_poll_set(poll, EL_WRITE, note, "w");
        do {
            trace_clear();
            turn_until_traced(*state, "w");
            code = es_sock_connect_finish(fd);
        } while (code == ES_EINPROGRESS);
        el_poll_close(poll);
    }
    assert_int_equal(code, ES_ECONNREFUSED);
    (void)es_sock_close(fd);
}

static void after_an_error_event_the_slots_that_stay_set_are_watched_again(void **state) {
    /* The peer's reset is an error event; then the socket stays readable and writable for ever. */
    send_all(*state, ends.server, "unread", 6);
    el_poll_t *client_poll;
    assert_int_equal(el_poll_open(*state, ends.client, &client_poll), 0);
    el_poll_set(client_poll, EL_READ, note, "!");
    turn_until_traced(*state, "!");
    el_poll_close(client_poll);
    el_poll_set(ends.poll, EL_READ, note, "r");
    assert_int_equal(es_sock_close(ends.client), 0); /* with bytes unread: a reset */
    turn_until_traced(*state, "rrr");
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    trace_clear();
    turn_until_traced(*state, "w");
    ends.client = idle_socket();
}

static void a_bad_descriptor_is_refused(void **state) {
    el_poll_t *poll;
    es_sock_t fd = idle_socket();
    assert_int_equal(es_sock_close(fd), 0);
    int code = el_poll_open(*state, fd, &poll);
    assert_int_equal(code, ES_EBADF);
    code = el_poll_open(*state, ES_SOCK_INVALID, &poll);
    assert_int_equal(code, ES_EBADF);
    assert_null(el_poll_find(*state, fd));
}

static void three_thousand_sockets_are_watched_and_each_is_found(void **state) {
    enum { COUNT = 3000 };
    static es_sock_t fds[COUNT];
    static el_poll_t *polls[COUNT];
    el_loop_t *loop = *state;
    size_t seen = 0;
    for (int i = 0; i < COUNT; i++) {
        fds[i] = idle_socket();
        assert_int_equal(el_poll_open(loop, fds[i], &polls[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(el_poll_find(loop, fds[i]), polls[i]);
        el_poll_set(polls[i], EL_WRITE, note, "");
    }
    for (int i = 0; i < COUNT; i += 2) {
        el_poll_close(polls[i]);
        assert_null(el_poll_find(loop, fds[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(el_poll_find(loop, fds[i]), i % 2 == 0 ? NULL : polls[i]);
        seen += el_poll_find(loop, fds[i]) != NULL;
    }
    assert_int_equal(seen, COUNT / 2);
    for (int i = 1; i < COUNT; i += 2) {
        el_poll_set(polls[i], EL_WRITE, note, "y");
    }
    trace_clear();
    while (strlen(trace_text) < COUNT / 2) {
        turn_waiting(loop);
    }
    for (int i = 1; i < COUNT; i += 2) {
        el_poll_close(polls[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(es_sock_close(fds[i]), 0);
    }
}

static void a_watcher_outlives_the_loop_until_it_is_closed(void **state) {
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    turns(*state, 1);
    assert_int_equal(el_loop_close(*state), 0);
    assert_null(el_poll_loop(ends.poll));
    el_poll_clear(ends.poll, EL_WRITE);
    el_poll_set(ends.poll, EL_WRITE, note, "w");
    el_poll_close(ends.poll);
    ends.poll = NULL;
}

int main(void) {
    if (es_allocator_set(&allocator) != 0) {
        return 1;
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_slot_that_stays_set_is_called_in_every_turn),
        TEST(both_slots_of_one_descriptor_are_called_reading_first),
        TEST(setting_a_slot_again_replaces_what_was_there),
        TEST(a_descriptor_has_one_watcher_however_often_it_is_opened),
        TEST(the_owner_is_noted),
        TEST(a_slot_cleared_by_the_other_slots_callback_is_not_called),
        TEST(a_watcher_may_be_closed_in_its_own_callback),
        TEST(a_watcher_opened_where_one_was_closed_does_not_get_its_event),
        TEST(watchers_that_follow_each_other_hear_of_their_own_descriptor_alone),
        TEST(a_watcher_closed_by_another_ones_callback_is_not_called_though_it_was_ready),
        TEST(a_descriptor_may_be_closed_right_after_its_last_slot_is_cleared),
        TEST(a_refused_connect_calls_the_slot_and_the_socket_tells_why),
        TEST(after_an_error_event_the_slots_that_stay_set_are_watched_again),
        TEST(a_bad_descriptor_is_refused),
        TEST(three_thousand_sockets_are_watched_and_each_is_found),
        TEST(a_watcher_outlives_the_loop_until_it_is_closed),
    };
#undef TEST
    return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
