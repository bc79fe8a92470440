/* SPDX-License-Identifier: MIT */
/* Pipes on Unix, real ones. What is hard: write(2) raises SIGPIPE, whose default ends the process,
 * and a guard against it must not swallow a SIGPIPE of somebody else or leave the signal blocked.
 */
#include "check.h"

#include <evenshim/pipe.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_blocked(void) {
    sigset_t mask;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGPIPE);
}

static int is_pending(void) {
    sigset_t pending;

    (void)sigpending(&pending);
    return sigismember(&pending, SIGPIPE);
}

static void bytes_pass_and_the_end_is_told(void **state) {
    const es_iov_t pieces[] = {{(void *)(uintptr_t) "one", 3}, {(void *)(uintptr_t) "two", 3}};
    es_pipe_t out = ES_PIPE_INVALID;
    es_pipe_t in = ES_PIPE_INVALID;
    char heard[16];
    size_t done = 7777;

    (void)state;
    assert_code(es_pipe_open(&out, &in), 0);
    assert_int_equal(fcntl((int)out, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl((int)in, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_code(es_pipe_read(out, heard, sizeof(heard), &done), ES_EAGAIN);
    assert_int_equal(done, 7777);
    assert_code(es_pipe_write(in, "zero", 4, &done), 0);
    assert_int_equal(done, 4);
    assert_code(es_pipe_writev(in, pieces, 2, &done), 0);
    assert_int_equal(done, 6);
    assert_code(es_pipe_writev(in, pieces, 0, &done), 0);
    assert_int_equal(done, 0);
    assert_code(es_pipe_read(out, heard, sizeof(heard), &done), 0);
    assert_int_equal(done, 10);
    assert_memory_equal(heard, "zeroonetwo", 10);
    assert_code(es_pipe_close(in), 0);
    assert_code(es_pipe_read(out, heard, 0, &done), 0);
    assert_code(es_pipe_read(out, heard, sizeof(heard), &done), ES_EOF);
    assert_code(es_pipe_close(out), 0);
    assert_code(es_pipe_close(out), ES_EBADF);
}

static void a_full_pipe_takes_a_part_and_then_nothing(void **state) {
    static char much[1 << 20];
    es_pipe_t out;
    es_pipe_t in;
    size_t done = 0;

    (void)state;
    assert_code(es_pipe_open(&out, &in), 0);
    assert_code(es_pipe_write(in, much, sizeof(much), &done), 0);
    assert_true(done > 0 && done < sizeof(much));
    while (es_pipe_write(in, much, sizeof(much), &done) == 0) {
    }
    assert_code(es_pipe_write(in, much, 1, &done), ES_EAGAIN);
    assert_code(es_pipe_close(out), 0);
    assert_code(es_pipe_close(in), 0);
}

/* Runs with the default action: were the signal delivered, this program would end here. */
static void a_broken_pipe_is_an_error_and_no_signal(void **state) {
    const es_iov_t piece = {(void *)(uintptr_t) "x", 1};
    es_pipe_t out;
    es_pipe_t in;
    size_t done;

    (void)state;
    (void)signal(SIGPIPE, SIG_DFL);
    assert_code(es_pipe_open(&out, &in), 0);
    assert_code(es_pipe_close(out), 0);
    assert_code(es_pipe_write(in, "x", 1, &done), ES_EPIPE);
    assert_code(es_pipe_writev(in, &piece, 1, &done), ES_EPIPE);
    assert_int_equal(is_blocked(), 0);
    assert_int_equal(is_pending(), 0);
    assert_code(es_pipe_close(in), 0);
}

static void a_signal_of_someone_else_stays(void **state) {
    es_pipe_t out;
    es_pipe_t in;
    sigset_t sigpipe;
    size_t done;
    int taken = 0;

    (void)state;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigemptyset(&sigpipe);
    (void)sigaddset(&sigpipe, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &sigpipe, NULL), 0);
    assert_int_equal(raise(SIGPIPE), 0);
    assert_code(es_pipe_open(&out, &in), 0);
    assert_code(es_pipe_close(out), 0);
    assert_code(es_pipe_write(in, "x", 1, &done), ES_EPIPE);
    assert_int_equal(is_blocked(), 1);
    assert_int_equal(is_pending(), 1);
    assert_int_equal(sigwait(&sigpipe, &taken), 0);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL), 0);
    assert_code(es_pipe_close(in), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_and_the_end_is_told),
        cmocka_unit_test(a_full_pipe_takes_a_part_and_then_nothing),
        cmocka_unit_test(a_broken_pipe_is_an_error_and_no_signal),
        cmocka_unit_test(a_signal_of_someone_else_stays),
    };

    return cmocka_run_group_tests_name("pipes", tests, NULL, NULL);
}
