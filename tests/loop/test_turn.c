/* SPDX-License-Identifier: MIT */
/* The order of a turn, stop, interrupt, close and fork.
 *
 * Each test writes down what ran as letters. What is hard here is what must NOT run in a turn;
 * so most tests make one turn at a time and look at the trace in between.
 */
#include "support.h"

static item_t items[8];
static clock_item_t clocks[8];

static int set_up(void **state) {
    memset(items, 0, sizeof items);
    memset(clocks, 0, sizeof clocks);
    return loop_set_up(state);
}

static void ready_items_run_in_the_order_in_which_they_were_queued(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", NULL);
    item_push(loop, &items[1], "b", NULL);
    item_push(loop, &items[2], "c", NULL);
    turns(loop, 1);
    assert_trace("abc");
    assert_int_equal(loop->ready.count, 0);
}

static void push_next(item_t *item) {
    item_push(item->loop, &items[1], "n", NULL);
}

static void an_item_queued_by_an_item_waits_for_the_next_turn(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", push_next);
    turns(loop, 1);
    assert_trace("a");
    turns(loop, 1);
    assert_trace("an");
}

static void push_itself(item_t *item) {
    if (item->runs < 100) {
        item_push(item->loop, item, "x", push_itself);
    }
}

static void an_item_may_queue_itself_again(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "x", push_itself);
    turns(loop, 100);
    assert_int_equal(items[0].runs, 100);
    assert_int_equal(loop->ready.count, 0);
}

static void on_readable(el_poll_t *poll, void *ctx) {
    (void)ctx;
    trace("p");
    item_push(el_poll_loop(poll), &items[2], "q", NULL);
    el_poll_clear(poll, EL_READ);
}

static void a_turn_runs_ready_items_then_io_then_timers(void **state) {
    el_loop_t *loop = *state;
    es_sock_t client, server;
    el_poll_t *poll;
    connected_pair(loop, &client, &server);
    assert_int_equal(el_poll_open(loop, server, &poll), 0);
    bool arrived = false;
    send_all(loop, client, "x", 1);
    /* First make sure that the byte has arrived: its readiness must be seen by a poll that does
     * not wait. */
    el_poll_set(poll, EL_READ, on_readable, NULL);
    while (!arrived) {
        turn_waiting(loop);
        arrived = strchr(trace_text, 'p') != NULL;
    }
    turns(loop, 1);
    trace_clear();

    el_poll_set(poll, EL_READ, on_readable, NULL);
    item_push(loop, &items[0], "r", push_next);
    clock_item_start(loop, &clocks[0], "t", el_now_ns());
    assert_int_equal(el_loop_turn(loop, 0), 0);
    /* On Windows the request that was just submitted may complete in the next poll. */
    while (strchr(trace_text, 'p') == NULL) {
        assert_int_equal(el_loop_turn(loop, 0), 0);
    }
    turns(loop, 1);
    const char *r = strchr(trace_text, 'r'), *n = strchr(trace_text, 'n');
    const char *p = strchr(trace_text, 'p'), *q = strchr(trace_text, 'q');
    const char *t = strchr(trace_text, 't');
    assert_true(r < t && r < p && t < n && p < q);
    assert_int_equal(strlen(trace_text), 5);

    el_poll_close(poll);
    (void)es_sock_close(client);
    (void)es_sock_close(server);
}

static void start_due(item_t *item) {
    clock_item_start(item->loop, &clocks[0], "t", 0);
    item_push(item->loop, &items[1], "n", NULL);
}

static void a_timer_set_in_a_turn_does_not_run_in_it_even_when_due(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", start_due);
    turns(loop, 1);
    assert_trace("a");
    turns(loop, 1);
    /* Nor does it overtake the item that was queued after it: items come first. */
    assert_trace("ant");
}

static void restart_due(clock_item_t *item) {
    if (item->runs < 3) {
        clock_item_start(item->loop, item, "t", 0);
    }
}

static void a_timer_that_sets_itself_again_runs_once_a_turn(void **state) {
    el_loop_t *loop = *state;
    clocks[0].act = restart_due;
    clock_item_start(loop, &clocks[0], "t", 0);
    turns(loop, 1);
    assert_trace("t");
    turns(loop, 1);
    assert_trace("tt");
    turns(loop, 5);
    assert_trace("ttt");
}

static void a_stop_before_the_run_makes_one_turn_that_does_not_wait(void **state) {
    el_loop_t *loop = *state;
    el_loop_stop(loop);
    assert_int_equal(el_loop_run(loop), 0); /* would wait for ever */
    item_push(loop, &items[0], "a", push_next);
    el_loop_stop(loop);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("a");
    assert_int_equal(loop->ready.count, 1);
}

static void stop_and_push(item_t *item) {
    el_loop_stop(item->loop);
    item_push(item->loop, &items[3], "s", NULL);
}

static void a_stop_finishes_the_turn_and_keeps_what_was_queued_meanwhile(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", stop_and_push);
    item_push(loop, &items[1], "b", NULL);
    clock_item_start(loop, &clocks[0], "t", 0);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("abt");
    el_loop_stop(loop);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("abts");
}

static void take_back_next(item_t *item) {
    el_loop_unpush(item->loop, &items[1].ready);
    item_push(item->loop, &items[3], "n", NULL);
}

static void an_item_taken_back_does_not_run_and_lets_no_new_one_into_its_turn(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", take_back_next);
    item_push(loop, &items[1], "b", NULL);
    item_push(loop, &items[2], "c", NULL);
    turns(loop, 1);
    assert_trace("ac");
    turns(loop, 1);
    assert_trace("acn");
    assert_int_equal(items[1].drops, 0);
}

static void take_back_all(item_t *item) {
    for (int i = 1; i < 4; i++) {
        el_loop_unpush(item->loop, &items[i].ready);
    }
}

static void a_turn_ends_when_an_item_takes_back_the_rest_of_it(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", take_back_all);
    item_push(loop, &items[1], "b", NULL);
    item_push(loop, &items[2], "c", NULL);
    turns(loop, 1);
    assert_trace("a");
    assert_int_equal(loop->ready.count, 0);
    item_push(loop, &items[4], "d", NULL);
    turns(loop, 1);
    assert_trace("ad");
}

static void the_first_and_the_last_item_can_be_taken_back(void **state) {
    el_loop_t *loop = *state;
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        item_push(loop, &items[i], names[i], NULL);
    }
    el_loop_unpush(loop, &items[0].ready);
    el_loop_unpush(loop, &items[2].ready);
    el_loop_unpush(loop, &items[2].ready); /* it is not queued any more */
    item_push(loop, &items[3], "d", NULL);
    turns(loop, 1);
    assert_trace("bd");
}

static void interrupt(item_t *item) {
    el_loop_interrupt(item->loop);
}

static void an_interrupt_keeps_the_rest_of_the_items_in_order(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", interrupt);
    item_push(loop, &items[1], "b", NULL);
    item_push(loop, &items[2], "c", NULL);
    clock_item_start(loop, &clocks[0], "t", 0);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("a");
    assert_int_equal(loop->ready.count, 2);
    item_push(loop, &items[3], "d", NULL);
    el_loop_stop(loop);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("abcdt");
}

static void interrupt_timer(clock_item_t *item) {
    item_push(item->loop, &items[0], "r", NULL);
    el_loop_interrupt(item->loop);
}

static void an_interrupt_in_a_timer_puts_the_other_due_timers_before_the_ready_items(void **state) {
    el_loop_t *loop = *state;
    clocks[0].act = interrupt_timer;
    clock_item_start(loop, &clocks[0], "1", 1);
    clock_item_start(loop, &clocks[1], "2", 2);
    clock_item_start(loop, &clocks[2], "3", 3);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("1");
    assert_int_equal(loop->ready.count, 3);
    el_loop_stop(loop);
    assert_int_equal(el_loop_run(loop), 0);
    assert_trace("123r");
}

static void interrupt_poll(el_poll_t *poll, void *ctx) {
    trace("%s", (const char *)ctx);
    el_loop_interrupt(el_poll_loop(poll));
}

static void note_poll(el_poll_t *poll, void *ctx) {
    (void)poll;
    trace("%s", (const char *)ctx);
}

static void an_interrupt_in_a_poll_callback_holds_back_the_other_slot_and_the_timers(void **state) {
    el_loop_t *loop = *state;
    es_sock_t client, server;
    el_poll_t *poll;
    connected_pair(loop, &client, &server);
    send_all(loop, client, "x", 1);
    assert_int_equal(el_poll_open(loop, server, &poll), 0);
    el_poll_set(poll, EL_READ, interrupt_poll, "r");
    assert_int_equal(el_loop_run(loop), 0); /* the byte has arrived now */
    trace_clear();
    el_poll_set(poll, EL_WRITE, interrupt_poll, "w");
    clock_item_start(loop, &clocks[0], "t", el_now_ns() + 1);
    assert_int_equal(el_loop_run(loop), 0);
    assert_int_equal(strlen(trace_text), 1);
    assert_int_equal(clocks[0].runs, 0);
    /* Level-triggered: both come again. */
    el_poll_set(poll, EL_READ, note_poll, "r");
    el_poll_set(poll, EL_WRITE, note_poll, "w");
    trace_clear();
    while (strchr(trace_text, 'r') == NULL || strchr(trace_text, 'w') == NULL) {
        turns(loop, 1);
    }
    el_poll_close(poll);
    (void)es_sock_close(client);
    (void)es_sock_close(server);
}

static void nest(item_t *item) {
    assert_int_equal(el_loop_run(item->loop), ES_EBUSY);
    assert_int_equal(el_loop_turn(item->loop, 0), ES_EBUSY);
    assert_int_equal(el_loop_close(item->loop), ES_EBUSY);
    assert_false(item->loop->closed);
}

static void a_running_loop_refuses_to_run_or_to_close(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", nest);
    turns(loop, 1);
    assert_trace("a");
}

static void closing_drops_items_and_timers_once_and_runs_none(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", NULL);
    clock_item_start(loop, &clocks[0], "t", 0);
    clock_item_start(loop, &clocks[1], "u", EL_NEVER);
    el_timer_cancel(loop, &clocks[1].timer);
    items[1].ready.ops = &item_ops;
    items[1].loop = loop;
    assert_int_equal(el_loop_post(loop, &items[1].ready), 0);
    assert_int_equal(el_loop_close(loop), 0);
    assert_int_equal(el_loop_close(loop), 0);
    assert_trace("");
    assert_int_equal(items[0].drops, 1);
    assert_int_equal(items[1].drops, 1);
    assert_int_equal(clocks[0].drops, 1);
    assert_int_equal(clocks[1].drops, 1);
    assert_int_equal(el_loop_run(loop), ES_EINVAL);
}

static void after_a_fork_the_loop_refuses_to_run_but_closes(void **state) {
    el_loop_t *loop = *state;
    es_sock_t client, server;
    el_poll_t *poll;
    connected_pair(loop, &client, &server);
    assert_int_equal(el_poll_open(loop, server, &poll), 0);
    el_poll_set(poll, EL_READ, note_poll, "r");
    turns(loop, 1);
    loop->process_generation--; /* as if this were the child of the process that made the loop */
    assert_int_equal(el_loop_run(loop), ES_EFORKED);
    assert_int_equal(el_loop_turn(loop, 0), ES_EFORKED);
    el_poll_clear(poll, EL_READ);
    assert_int_equal(el_loop_close(loop), 0);
    assert_true(loop->closed);
    el_poll_close(poll);
    (void)es_sock_close(client);
    (void)es_sock_close(server);
}

static void become_a_child(item_t *item) {
    item->loop->process_generation--;
}

static void a_fork_inside_a_callback_ends_the_childs_run_before_it_polls(void **state) {
    el_loop_t *loop = *state;
    item_push(loop, &items[0], "a", become_a_child);
    clock_item_start(loop, &clocks[0], "t", 0);
    assert_int_equal(el_loop_run(loop), ES_EFORKED);
    assert_trace("a");
    assert_false(loop->running);
}

static void a_turn_waits_at_least_as_long_as_it_was_told(void **state) {
    el_loop_t *loop = *state;
    uint64_t before = el_now_ns();
    assert_int_equal(el_loop_turn(loop, 1500000), 0);
    assert_true(el_now_ns() - before >= 1500000);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, loop_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(ready_items_run_in_the_order_in_which_they_were_queued),
        TEST(an_item_queued_by_an_item_waits_for_the_next_turn),
        TEST(an_item_may_queue_itself_again),
        TEST(a_turn_runs_ready_items_then_io_then_timers),
        TEST(a_timer_set_in_a_turn_does_not_run_in_it_even_when_due),
        TEST(a_timer_that_sets_itself_again_runs_once_a_turn),
        TEST(a_stop_before_the_run_makes_one_turn_that_does_not_wait),
        TEST(a_stop_finishes_the_turn_and_keeps_what_was_queued_meanwhile),
        TEST(an_item_taken_back_does_not_run_and_lets_no_new_one_into_its_turn),
        TEST(a_turn_ends_when_an_item_takes_back_the_rest_of_it),
        TEST(the_first_and_the_last_item_can_be_taken_back),
        TEST(an_interrupt_keeps_the_rest_of_the_items_in_order),
        TEST(an_interrupt_in_a_timer_puts_the_other_due_timers_before_the_ready_items),
        TEST(an_interrupt_in_a_poll_callback_holds_back_the_other_slot_and_the_timers),
        TEST(a_running_loop_refuses_to_run_or_to_close),
        TEST(closing_drops_items_and_timers_once_and_runs_none),
        TEST(after_a_fork_the_loop_refuses_to_run_but_closes),
        TEST(a_fork_inside_a_callback_ends_the_childs_run_before_it_polls),
        TEST(a_turn_waits_at_least_as_long_as_it_was_told),
    };
#undef TEST
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
