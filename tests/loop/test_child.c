/* SPDX-License-Identifier: MIT */
/* The end of a child process as an event.
 *
 * The children are this program again, started with an argument; they end when their standard
 * input does. So the test decides when a child ends, and no clock does. children_posix.c and
 * children_win.c start them.
 */
#include "children.h"
#include "support.h"

static bool exited;
static el_child_t *watching;

static void on_exited(el_child_t *child, void *ctx) {
    assert_ptr_equal(child, watching);
    assert_ptr_equal(ctx, &exited);
    assert_false(exited);
    exited = true;
}

static int set_up(void **state) {
    exited = false;
    watching = NULL;
    return loop_set_up(state);
}

static void the_end_of_a_child_is_told_once_and_its_status_left(void **state) {
    child_process_t process = child_start();
    assert_int_equal(el_child_start(*state, process.id, on_exited, &exited, &watching), 0);
    turns(*state, 5);
    assert_false(exited);
    child_end(&process);
    turn_until(*state, &exited);
    turns(*state, 3);
    el_child_stop(watching);
    assert_int_equal(child_status(&process), CHILD_STATUS);
}

static void a_child_that_has_ended_already_is_told_too(void **state) {
    child_process_t process = child_start();
    child_end(&process);
    child_await_without_collecting(&process);
    assert_int_equal(el_child_start(*state, process.id, on_exited, &exited, &watching), 0);
    turn_until(*state, &exited);
    el_child_stop(watching);
    assert_int_equal(child_status(&process), CHILD_STATUS);
}

static void a_watch_that_was_stopped_says_nothing(void **state) {
    child_process_t process = child_start();
    assert_int_equal(el_child_start(*state, process.id, on_exited, &exited, &watching), 0);
    el_child_stop(watching);
    child_end(&process);
    child_await_without_collecting(&process);
    turns(*state, 5);
    assert_false(exited);
    /* Stopped when the news is already on its way. */
    assert_int_equal(el_child_start(*state, process.id, on_exited, &exited, &watching), 0);
    el_child_stop(watching);
    turns(*state, 5);
    assert_false(exited);
    assert_int_equal(child_status(&process), CHILD_STATUS);
}

static void stop_in_exited(el_child_t *child, void *ctx) {
    *(bool *)ctx = true;
    el_child_stop(child);
}

static void a_watch_may_be_stopped_in_exited(void **state) {
    child_process_t process = child_start();
    assert_int_equal(el_child_start(*state, process.id, stop_in_exited, &exited, &watching), 0);
    child_end(&process);
    turn_until(*state, &exited);
    turns(*state, 2);
    assert_int_equal(child_status(&process), CHILD_STATUS);
}

static void a_watch_outlives_its_loop_until_it_is_stopped(void **state) {
    child_process_t process = child_start();
    assert_int_equal(el_child_start(*state, process.id, on_exited, &exited, &watching), 0);
    assert_int_equal(el_loop_close(*state), 0);
    child_end(&process);
    assert_int_equal(child_status(&process), CHILD_STATUS);
    el_child_stop(watching);
    assert_false(exited);
}

static void no_such_child_is_an_error(void **state) {
    intptr_t nobody = child_nobody();
    assert_true(el_child_start(*state, nobody, on_exited, &exited, &watching) < 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "child") == 0) {
        while (getchar() != EOF) {
        }
        return CHILD_STATUS;
    }
    child_program(argv[0]);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, loop_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_a_child_is_told_once_and_its_status_left),
        TEST(a_child_that_has_ended_already_is_told_too),
        TEST(a_watch_that_was_stopped_says_nothing),
        TEST(a_watch_may_be_stopped_in_exited),
        TEST(a_watch_outlives_its_loop_until_it_is_stopped),
        TEST(no_such_child_is_an_error),
    };
#undef TEST
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
