/* SPDX-License-Identifier: MIT */
/* What only Unix has: the O_NONBLOCK flag, regular files, FIFOs, terminals and fork.
 *
 * Built on Unix alone: Windows can't be asked for a socket's mode, has no FIFO and no fork, and
 * its pipes are tested in test_pipe.c.
 */
#include "streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/evenloop-XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory);
}

static void note(el_poll_t *poll, void *ctx) {
    (void)poll;
    trace("%s", (const char *)ctx);
}

static void watching_leaves_the_nonblocking_flag_as_it_was(void **state) {
    for (int on = 0; on < 2; on++) {
        int ends[2];
        el_poll_t *poll;
        assert_int_equal(pipe(ends), 0);
        int flags = fcntl(ends[0], F_GETFL);
        flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        assert_int_equal(fcntl(ends[0], F_SETFL, flags), 0);
        assert_int_equal(el_poll_open(*state, ends[0], &poll), 0);
        assert_int_equal(fcntl(ends[0], F_GETFL), flags);
        el_poll_set(poll, EL_READ, note, "r");
        assert_int_equal(write(ends[1], "x", 1), 1);
        trace_clear();
        while (trace_text[0] == '\0') {
            turn_waiting(*state);
        }
        assert_int_equal(fcntl(ends[0], F_GETFL), flags);
        el_poll_close(poll);
        assert_int_equal(fcntl(ends[0], F_GETFL), flags);
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
}

static void regular_files_and_directories_can_not_be_watched(void **state) {
    char path[64];
    el_poll_t *poll;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(file >= 0);
    assert_int_equal(el_poll_open(*state, file, &poll), ES_EPERM);
    (void)close(file);
    (void)unlink(path);
    file = open(directory, O_RDONLY);
    assert_int_equal(el_poll_open(*state, file, &poll), ES_EPERM);
    (void)close(file);
}

static void a_descriptor_closed_under_the_loop_does_not_spin_or_hurt_the_next_one(void **state) {
    int ends[2];
    el_poll_t *poll;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(el_poll_open(*state, ends[1], &poll), 0);
    el_poll_set(poll, EL_WRITE, note, "w");
    turns(*state, 1);
    (void)close(ends[1]);
    trace_clear();
    turns(*state, 5);
    assert_trace("");
    el_poll_close(poll);
    assert_int_equal(fcntl(ends[0], F_DUPFD, ends[1]), ends[1]); /* the number again */
    assert_int_equal(el_poll_open(*state, ends[1], &poll), 0);
    el_poll_set(poll, EL_READ, note, "r");
    while (trace_text[0] == '\0') {
        turn_waiting(*state); /* the end of file: nobody writes */
    }
    el_poll_close(poll);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static owner_t *open_stream(el_loop_t *loop, int file, unsigned flags) {
    owner_t *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    owner->quiet = true;
    assert_int_equal(el_stream_open_pipe(&owner->stream, loop, file, flags, &owner_ops), 0);
    el_stream_read_start(&owner->stream);
    return owner;
}

static void abort_and_free(el_loop_t *loop, owner_t *owner) {
    el_stream_abort(&owner->stream, (el_reason_t){0, 0});
    while (!owner->lost) {
        turn_waiting(loop);
    }
    owner_free(owner);
}

static void an_idle_writer_notices_that_the_last_reader_has_gone(void **state) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    owner_t *owner = open_stream(*state, ends[1], EL_PIPE_WRITABLE);
    turns(*state, 3);
    assert_false(owner->lost);
    (void)close(ends[0]);
    turn_until(*state, &owner->lost);
    assert_int_equal(owner->reason.code, 0);
    owner_free(owner);
    (void)close(ends[1]);
}

static void a_fifo_open_for_both_ways_is_not_taken_for_abandoned_when_it_holds_bytes(void **state) {
    char path[64];
    (void)snprintf(path, sizeof path, "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    int file = open(path, O_RDWR | O_NONBLOCK);
    assert_true(file >= 0);
    owner_t *owner = open_stream(*state, file, EL_PIPE_WRITABLE);
    assert_int_equal(owner_write_copied(owner, "abc", 3), 0);
    turns(*state, 20);
    assert_false(owner->stream.closing);
    abort_and_free(*state, owner);
    (void)close(file);
    (void)unlink(path);
}

static void a_terminal_is_a_stream_and_its_end_is_told(void **state) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    owner_t *owner = open_stream(*state, master, EL_PIPE_READABLE | EL_PIPE_WRITABLE);
    assert_int_equal(write(terminal, "hello\n", 6), 6);
    while (owner->received_size < 7) {
        turn_waiting(*state); /* the terminal's discipline adds a carriage return */
    }
    assert_memory_equal(owner->received, "hello\r\n", 7);
    assert_int_equal(owner_write_copied(owner, "x", 1), 0);
    (void)close(terminal);
    /* Linux says EIO, others end of file; asyncio passes on what the system says. */
    while (!owner->at_eof && !owner->lost) {
        turn_waiting(*state);
    }
    assert_true(owner->at_eof || owner->reason.code == ES_EIO);
    abort_and_free(*state, owner);
    (void)close(master);
}

/* The child closes its copy of the loop; the parent's watcher must go on working. */
static void
a_forked_child_refuses_to_run_and_closing_its_copy_leaves_the_parent_alone(void **state) {
    int ends[2];
    el_poll_t *poll;
    int status;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(el_poll_open(*state, ends[0], &poll), 0);
    el_poll_set(poll, EL_READ, note, "r");
    turns(*state, 2);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool right = el_loop_run(*state) == ES_EFORKED && el_loop_turn(*state, 0) == ES_EFORKED;
        el_poll_clear(poll, EL_READ);
        el_poll_close(poll);
        right = el_loop_close(*state) == 0 && right;
        _exit(right ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    while (trace_text[0] == '\0') {
        turn_waiting(*state);
    }
    el_poll_close(poll);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_set_up, loop_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(watching_leaves_the_nonblocking_flag_as_it_was),
        TEST(regular_files_and_directories_can_not_be_watched),
        TEST(a_descriptor_closed_under_the_loop_does_not_spin_or_hurt_the_next_one),
        TEST(an_idle_writer_notices_that_the_last_reader_has_gone),
        TEST(a_fifo_open_for_both_ways_is_not_taken_for_abandoned_when_it_holds_bytes),
        TEST(a_terminal_is_a_stream_and_its_end_is_told),
        TEST(a_forked_child_refuses_to_run_and_closing_its_copy_leaves_the_parent_alone),
    };
#undef TEST
    return cmocka_run_group_tests_name("unix", tests, make_directory, remove_directory);
}
