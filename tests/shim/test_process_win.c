/* SPDX-License-Identifier: MIT */
/* Windows has no fork: the generation is 0 and stays so, and pipes say that they are not for here.
 */
#include "check.h"

#include <evenshim/pipe.h>
#include <evenshim/process.h>

static void the_generation_is_zero(void **state) {
    (void)state;
    assert_int_equal(es_process_generation(), 0);
    assert_int_equal(es_process_generation(), 0);
}

static void pipes_are_refused_by_every_call(void **state) {
    es_pipe_t ends[2] = {ES_PIPE_INVALID, ES_PIPE_INVALID};
    es_iov_t piece = {"x", 1};
    char byte = 0;
    size_t done = 77;

    (void)state;
    assert_code(es_pipe_open(&ends[0], &ends[1]), ES_ENOTSUP);
    assert_code(es_pipe_read(0, &byte, 1, &done), ES_ENOTSUP);
    assert_code(es_pipe_write(0, &byte, 1, &done), ES_ENOTSUP);
    assert_code(es_pipe_writev(0, &piece, 1, &done), ES_ENOTSUP);
    assert_code(es_pipe_set_nonblocking(0, 1), ES_ENOTSUP);
    assert_code(es_pipe_close(0), ES_ENOTSUP);
    assert_int_equal(done, 77);
    assert_true(ends[0] == ES_PIPE_INVALID && ends[1] == ES_PIPE_INVALID);
    assert_code(es_error_last().code, ES_ENOTSUP);
    assert_string_equal(es_error_last().call, "es_pipe_close");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generation_is_zero),
        cmocka_unit_test(pipes_are_refused_by_every_call),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
