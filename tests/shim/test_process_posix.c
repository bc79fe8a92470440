/* SPDX-License-Identifier: MIT */
/* The fork generation: 0 where the library was loaded, one more in each forked child, unchanged in
 * the parent. What makes it hard: nobody may have to call anything before the fork. */
#include "check.h"

#include <evenshim/process.h>

#include <sys/wait.h>
#include <unistd.h>

/* Forks, runs `observe` in the child and gives the number it returned. */
static int in_child(int (*observe)(void)) {
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(observe());
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int own_generation(void) {
    return (int)es_process_generation();
}

static int generation_of_own_child(void) {
    return in_child(own_generation);
}

/* Runs first: the generation was never asked for before this fork. */
static void a_child_differs_even_if_nobody_asked_before(void **state) {
    (void)state;
    assert_int_equal(in_child(own_generation), 1);
}

static void the_loading_process_stays_zero(void **state) {
    (void)state;
    assert_int_equal(es_process_generation(), 0);
    assert_int_equal(in_child(own_generation), 1);
    assert_int_equal(es_process_generation(), 0);
}

static void a_grandchild_differs_from_both(void **state) {
    (void)state;
    assert_int_equal(in_child(generation_of_own_child), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_differs_even_if_nobody_asked_before),
        cmocka_unit_test(the_loading_process_stays_zero),
        cmocka_unit_test(a_grandchild_differs_from_both),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
