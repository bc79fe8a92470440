/* SPDX-License-Identifier: MIT */
/* Listeners: taking connections, connections that went away, and running out of descriptors.
 *
 * Running out is scripted: accept answers what the test says, while a real connection that
 * nobody takes keeps the listening socket readable. The pause of a second is shortened, and the
 * test waits for what follows it, not for a time.
 */
#include "script.h"
#include "support.h"

enum { FDS_MAX = 256 };

static es_sock_t listener_fd;
static el_listener_t *listener;
static es_sock_t accepted[FDS_MAX];
static int accepted_count;
static int failed_count;
static bool last_pausing;
static el_reason_t last_reason;
static void (*in_accepted)(void);
static void (*in_failed)(void);

static void on_accepted(el_listener_t *self, es_sock_t fd, const es_addr_t *peer) {
    assert_ptr_equal(self, listener);
    assert_non_null(peer);
    assert_true(accepted_count < FDS_MAX);
    accepted[accepted_count++] = fd;
    if (in_accepted != NULL) {
        in_accepted();
    }
}

static void on_failed(el_listener_t *self, el_reason_t reason, bool pausing) {
    assert_ptr_equal(self, listener);
    failed_count++;
    last_reason = reason;
    last_pausing = pausing;
    if (in_failed != NULL) {
        in_failed();
    }
}

static const el_listener_ops_t ops = {on_accepted, on_failed};

static int set_up(void **state) {
    script_off();
    accepted_count = 0;
    failed_count = 0;
    in_accepted = in_failed = NULL;
    el__accept_pause_ns = 1000000;
    if (loop_set_up(state) != 0) {
        return -1;
    }
    listener_fd = listening(64);
    /* On the heap, so that a use after the owner freed it shows. */
    listener = calloc(1, sizeof *listener);
    return el_listener_open(listener, *state, listener_fd, 64, &ops);
}

static int tear_down(void **state) {
    script_off();
    if (listener != NULL) {
        el_listener_close(listener);
        free(listener);
        listener = NULL;
    }
    for (int i = 0; i < accepted_count; i++) {
        (void)es_sock_close(accepted[i]);
    }
    (void)es_sock_close(listener_fd);
    el__accept_pause_ns = EL_ACCEPT_PAUSE_NS;
    return loop_tear_down(state);
}

static void turn_until_accepted(el_loop_t *loop, int count) {
    while (accepted_count < count) {
        turn_waiting(loop);
    }
}

static void waiting_connections_are_all_taken(void **state) {
    es_sock_t clients[50];
    for (int i = 0; i < 50; i++) {
        clients[i] = connecting_to(listener_fd);
    }
    turn_until_accepted(*state, 50);
    turns(*state, 2);
    assert_int_equal(accepted_count, 50);
    assert_int_equal(failed_count, 0);
    for (int i = 0; i < 50; i++) {
        (void)es_sock_close(clients[i]);
    }
}

static void one_readiness_takes_at_most_the_backlog_and_one(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    el_listener_close(listener);
    assert_int_equal(el_listener_open(listener, *state, listener_fd, 2, &ops), 0);
    script_on();
    for (int i = 0; i < 10; i++) {
        script_accept(0);
    }
    turn_until_accepted(*state, 1);
    assert_int_equal(accepted_count, 3);
    turn_until_accepted(*state, 4);
    assert_int_equal(accepted_count, 6);
    (void)es_sock_close(client);
}

static void a_connection_that_gave_up_is_skipped(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    script_on();
    script_accept(ES_ECONNABORTED);
    script_accept(ES_ECONNABORTED);
    script_accept(0);
    turn_until_accepted(*state, 1);
    assert_int_equal(failed_count, 0);
    (void)es_sock_close(client);
}

static void out_of_descriptors_rests_and_tries_again(void **state) {
    static const int codes[] = {ES_EMFILE, ES_ENOBUFS, ES_ENOMEM};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        es_sock_t client = connecting_to(listener_fd);
        script_off();
        script_on();
        script_accept(codes[i]);
        script_accept(codes[i]);
        script_accept(0);
        int failed = failed_count, seen = accepted_count;
        uint64_t began = el_now_ns();
        turn_until_accepted(*state, seen + 1);
        assert_true(el_now_ns() - began >= 2 * el__accept_pause_ns);
        assert_int_equal(failed_count, failed + 2);
        assert_true(last_pausing);
        assert_int_equal(last_reason.code, codes[i]);
        script_off();
        turn_until_accepted(*state, seen + 2); /* the real one */
        (void)es_sock_close(client);
    }
}

static void a_resting_listener_does_not_try(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    el__accept_pause_ns = 3600ull * 1000000000u;
    script_on();
    script_accept(ES_EMFILE);
    while (failed_count == 0) {
        turn_waiting(*state);
    }
    turns(*state, 50);
    assert_int_equal(failed_count, 1);
    assert_int_equal(script.accept_next, 1);
    (void)es_sock_close(client);
}

static void another_failure_is_told_and_listening_goes_on(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    script_on();
    script_accept(ES_EINVAL);
    script_accept(0);
    turn_until_accepted(*state, 1);
    assert_int_equal(failed_count, 1);
    assert_false(last_pausing);
    assert_int_equal(last_reason.code, ES_EINVAL);
    (void)es_sock_close(client);
}

static void close_and_free(void) {
    el_listener_close(listener);
    memset(listener, 0xee, sizeof *listener);
    free(listener);
    listener = NULL;
}

static void it_may_be_closed_and_freed_in_accepted(void **state) {
    es_sock_t clients[3];
    in_accepted = close_and_free;
    for (int i = 0; i < 3; i++) {
        clients[i] = connecting_to(listener_fd);
    }
    turn_until_accepted(*state, 1);
    turns(*state, 3);
    assert_int_equal(accepted_count, 1);
    for (int i = 0; i < 3; i++) {
        (void)es_sock_close(clients[i]);
    }
}

static void it_may_be_closed_and_freed_in_failed_or_while_resting(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    in_failed = close_and_free;
    script_on();
    script_accept(ES_EMFILE);
    while (failed_count == 0) {
        turn_waiting(*state);
    }
    assert_int_equal(el_loop_turn(*state, 2000000), 0); /* past the end of the pause */
    assert_int_equal(accepted_count, 0);
    (void)es_sock_close(client);
}

static void closing_the_loop_closes_a_listener_even_a_resting_one(void **state) {
    es_sock_t client = connecting_to(listener_fd);
    script_on();
    script_accept(ES_EMFILE);
    while (failed_count == 0) {
        turn_waiting(*state);
    }
    assert_int_equal(el_loop_close(*state), 0);
    assert_false(listener->open);
    el_listener_close(listener);
    (void)es_sock_close(client);
}

static void a_socket_has_one_listener(void **state) {
    el_listener_t second;
    assert_int_equal(el_listener_open(&second, *state, listener_fd, 1, &ops), ES_EBUSY);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(waiting_connections_are_all_taken),
        TEST(one_readiness_takes_at_most_the_backlog_and_one),
        TEST(a_connection_that_gave_up_is_skipped),
        TEST(out_of_descriptors_rests_and_tries_again),
        TEST(a_resting_listener_does_not_try),
        TEST(another_failure_is_told_and_listening_goes_on),
        TEST(it_may_be_closed_and_freed_in_accepted),
        TEST(it_may_be_closed_and_freed_in_failed_or_while_resting),
        TEST(closing_the_loop_closes_a_listener_even_a_resting_one),
        TEST(a_socket_has_one_listener),
    };
#undef TEST
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
