/* SPDX-License-Identifier: MIT */
/* Timers: order, exactly once, cancelling, and the heap's memory.
 *
 * The model is a list sorted by deadline and then by the order of setting. Deadlines lie in the
 * past, so one turn runs what is due and the test does not wait; what must be late is set far
 * into the future.
 */
#include "support.h"

#define MODEL_COUNT 5000
#define IN_AN_HOUR  (el_now_ns() + 3600ull * 1000000000ull)

static clock_item_t *clocks;

static int set_up(void **state) {
    clocks = calloc(MODEL_COUNT, sizeof *clocks);
    return clocks == NULL ? -1 : loop_set_up(state);
}

static int tear_down(void **state) {
    int code = loop_tear_down(state);
    free(clocks);
    return code;
}

static clock_item_t *fired[MODEL_COUNT];
static size_t fired_count;

static void note_fired(clock_item_t *item) {
    assert_true(fired_count < MODEL_COUNT);
    fired[fired_count++] = item;
}

static int by_deadline_then_order(const void *left, const void *right) {
    const clock_item_t *a = *(clock_item_t *const *)left, *b = *(clock_item_t *const *)right;
    if (a->timer.deadline_ns != b->timer.deadline_ns) {
        return a->timer.deadline_ns < b->timer.deadline_ns ? -1 : 1;
    }
    return a < b ? -1 : a > b; /* set in the order of the array */
}

/* Sets many, cancels some, and compares what runs with the sorted list. Few different deadlines
 * make many equal ones. */
static void run_model(el_loop_t *loop, uint32_t seed, uint32_t deadlines, uint32_t cancel_percent) {
    static clock_item_t *expected[MODEL_COUNT];
    size_t expected_count = 0;
    memset(clocks, 0, MODEL_COUNT * sizeof *clocks);
    fired_count = 0;
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        clocks[i].act = note_fired;
        clock_item_start(loop, &clocks[i], NULL, 1 + random_next(&seed) % deadlines);
        if (random_next(&seed) % 100 < cancel_percent) {
            clock_item_t *victim = &clocks[random_next(&seed) % (i + 1)];
            el_timer_cancel(loop, &victim->timer);
        }
    }
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        if (!clocks[i].timer.cancelled) {
            expected[expected_count++] = &clocks[i];
        }
    }
    qsort(expected, expected_count, sizeof *expected, by_deadline_then_order);
    turns(loop, 1);
    assert_int_equal(fired_count, expected_count);
    assert_memory_equal(fired, expected, expected_count * sizeof *fired);
    assert_int_equal(loop->heap_count, 0);
    assert_int_equal(loop->heap_cancelled, 0);
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        assert_int_equal(clocks[i].runs + clocks[i].drops, 1);
        assert_int_equal(clocks[i].runs, clocks[i].timer.cancelled ? 0 : 1);
    }
}

static void timers_run_by_deadline_and_then_in_the_order_of_setting(void **state) {
    run_model(*state, 1, 1000000, 0);
    run_model(*state, 2, 7, 0);
    run_model(*state, 3, 1, 0);
}

static void cancelled_timers_are_dropped_once_and_never_run(void **state) {
    run_model(*state, 4, 1000000, 30);
    run_model(*state, 5, 5, 60);
    run_model(*state, 6, 1000, 100);
}

static void a_timer_in_the_future_does_not_run_and_bounds_the_wait(void **state) {
    el_loop_t *loop = *state;
    clock_item_start(loop, &clocks[0], "f", IN_AN_HOUR);
    clock_item_start(loop, &clocks[1], "n", el_now_ns() + 1200000);
    /* The run waits for the near one: its own check says that it is not early. */
    while (clocks[1].runs == 0) {
        turn_waiting(loop);
    }
    assert_trace("n");
}

static void a_timer_is_never_early(void **state) {
    el_loop_t *loop = *state;
    /* Odd nanoseconds: rounding to libuv's milliseconds must go up. clock_item_run compares. */
    for (int i = 0; i < 50; i++) {
        clocks[i].runs = 0;
        clock_item_start(loop, &clocks[i], NULL, el_now_ns() + 1 + (uint64_t)i * 61007);
    }
    for (int i = 0; i < 50; i++) {
        while (clocks[i].runs == 0) {
            turn_waiting(loop);
        }
    }
}

static void deadlines_that_never_come_are_legal(void **state) {
    el_loop_t *loop = *state;
    clock_item_start(loop, &clocks[0], "x", EL_NEVER);
    clock_item_start(loop, &clocks[1], "y", EL_NEVER - 1);
    clock_item_start(loop, &clocks[2], "z", UINT64_MAX / 2);
    turns(loop, 3);
    assert_trace("");
    /* A wait beside them ends when it should. */
    assert_int_equal(el_loop_turn(loop, 1000000), 0);
    assert_int_equal(loop->heap_count, 3);
}

static void cancelling_twice_or_after_the_run_does_nothing(void **state) {
    el_loop_t *loop = *state;
    clock_item_start(loop, &clocks[0], "a", 1);
    turns(loop, 1);
    el_timer_cancel(loop, &clocks[0].timer);
    clock_item_start(loop, &clocks[1], "b", IN_AN_HOUR);
    el_timer_cancel(loop, &clocks[1].timer);
    el_timer_cancel(loop, &clocks[1].timer);
    assert_int_equal(loop->heap_cancelled, 1);
    turns(loop, 1);
    assert_trace("a");
}

static void cancel_second(clock_item_t *item) {
    el_timer_cancel(item->loop, &clocks[1].timer);
}

static void a_timer_cancelled_while_it_is_due_still_runs_and_its_owner_can_tell(void **state) {
    el_loop_t *loop = *state;
    clocks[0].act = cancel_second;
    clock_item_start(loop, &clocks[0], "a", 1);
    clock_item_start(loop, &clocks[1], "b", 2);
    turns(loop, 1);
    assert_trace("ab");
    assert_true(clocks[1].timer.cancelled);
    assert_int_equal(clocks[1].drops, 0);
}

static void cancel_never_calls_drop_itself(void **state) {
    el_loop_t *loop = *state;
    for (int i = 0; i < 1000; i++) {
        clock_item_start(loop, &clocks[i], NULL, IN_AN_HOUR);
    }
    for (int i = 0; i < 1000; i++) {
        el_timer_cancel(loop, &clocks[i].timer);
        assert_int_equal(clocks[i].drops, 0);
    }
}

static void a_heap_mostly_of_cancelled_timers_is_swept_in_the_turn(void **state) {
    el_loop_t *loop = *state;
    for (int i = 0; i < 1000; i++) {
        clock_item_start(loop, &clocks[i], NULL, IN_AN_HOUR);
    }
    for (int i = 0; i < 600; i++) {
        el_timer_cancel(loop, &clocks[i].timer);
    }
    /* A live one on top hides the others from all but a sweep. */
    clock_item_start(loop, &clocks[1000], NULL, el_now_ns() + 3000000000ull);
    assert_int_equal(loop->heap_count, 1001);
    assert_int_equal(el_loop_turn(loop, 1), 0);
    assert_int_equal(loop->heap_count, 401);
    assert_int_equal(loop->heap_cancelled, 0);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(clocks[i].drops, 1);
    }
}

static void a_few_cancelled_timers_stay_until_they_surface(void **state) {
    el_loop_t *loop = *state;
    for (int i = 0; i < 50; i++) {
        clock_item_start(loop, &clocks[i], NULL, IN_AN_HOUR + (uint64_t)i * 1000000000u);
    }
    for (int i = 10; i < 50; i++) {
        el_timer_cancel(loop, &clocks[i].timer);
    }
    assert_int_equal(el_loop_turn(loop, 1), 0);
    assert_int_equal(loop->heap_count, 50);
    for (int i = 0; i < 10; i++) {
        el_timer_cancel(loop, &clocks[i].timer);
    }
    assert_int_equal(el_loop_turn(loop, 1), 0);
    assert_int_equal(loop->heap_count, 0);
}

static void a_storm_of_timers_set_and_cancelled_in_one_callback_keeps_the_heap_small(void **state) {
    el_loop_t *loop = *state;
    /* Without a turn in between: each timer's memory is used again as soon as it was dropped. */
    uint64_t deadline = IN_AN_HOUR;
    size_t next = 0;
    for (int i = 0; i < 200000; i++) {
        while (clocks[next].timer.scheduled) {
            next = (next + 1) % MODEL_COUNT;
        }
        clock_item_start(loop, &clocks[next], NULL, deadline + (uint64_t)i);
        el_timer_cancel(loop, &clocks[next].timer);
        assert_true(loop->heap_count <= 256);
    }
}

static clock_item_t *started_by_drop;
static void drop_and_start(el_loop_t *loop, el_ready_t *ready) {
    clock_item_t *item = (clock_item_t *)ready;
    item->drops++;
    clock_item_start(loop, started_by_drop, NULL, EL_NEVER);
    started_by_drop++;
}

static void a_drop_may_set_a_timer(void **state) {
    el_loop_t *loop = *state;
    static const el_ready_ops_t ops = {NULL, drop_and_start};
    started_by_drop = &clocks[1000];
    for (int i = 0; i < 500; i++) {
        clocks[i].loop = loop;
        assert_int_equal(el_timer_start(loop, &clocks[i].timer, IN_AN_HOUR, &ops), 0);
        el_timer_cancel(loop, &clocks[i].timer);
    }
    assert_int_equal(el_loop_turn(loop, 1), 0);
    size_t drops = 0;
    for (int i = 0; i < 500; i++) {
        drops += (size_t)clocks[i].drops;
    }
    assert_int_equal(drops, 500);
    assert_ptr_equal(started_by_drop, &clocks[1500]);
    assert_int_equal(loop->heap_count, 500);
}

static void cancelling_the_first_timer_moves_the_end_of_the_wait(void **state) {
    el_loop_t *loop = *state;
    uint64_t now = el_now_ns();
    clock_item_start(loop, &clocks[0], "a", now + 1000000);
    clock_item_start(loop, &clocks[1], "b", now + 2000000);
    el_timer_cancel(loop, &clocks[0].timer);
    while (clocks[1].runs == 0) {
        turn_waiting(loop);
    }
    assert_trace("b");
    assert_int_equal(clocks[0].drops, 1);
}

static int count_timers(el_timer_t *timer, void *ctx) {
    size_t *left = ctx;
    assert_true(timer->scheduled);
    return --*left == 0 ? 7 : 0;
}

static void each_shows_every_timer_until_told_to_stop(void **state) {
    el_loop_t *loop = *state;
    for (int i = 0; i < 10; i++) {
        clock_item_start(loop, &clocks[i], NULL, IN_AN_HOUR);
    }
    el_timer_cancel(loop, &clocks[3].timer);
    size_t left = 11;
    assert_int_equal(el_timer_each(loop, count_timers, &left), 0);
    assert_int_equal(left, 1);
    left = 4;
    assert_int_equal(el_timer_each(loop, count_timers, &left), 7);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(timers_run_by_deadline_and_then_in_the_order_of_setting),
        TEST(cancelled_timers_are_dropped_once_and_never_run),
        TEST(a_timer_in_the_future_does_not_run_and_bounds_the_wait),
        TEST(a_timer_is_never_early),
        TEST(deadlines_that_never_come_are_legal),
        TEST(cancelling_twice_or_after_the_run_does_nothing),
        TEST(a_timer_cancelled_while_it_is_due_still_runs_and_its_owner_can_tell),
        TEST(cancel_never_calls_drop_itself),
        TEST(a_heap_mostly_of_cancelled_timers_is_swept_in_the_turn),
        TEST(a_few_cancelled_timers_stay_until_they_surface),
        TEST(a_storm_of_timers_set_and_cancelled_in_one_callback_keeps_the_heap_small),
        TEST(a_drop_may_set_a_timer),
        TEST(cancelling_the_first_timer_moves_the_end_of_the_wait),
        TEST(each_shows_every_timer_until_told_to_stop),
    };
#undef TEST
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
