/* SPDX-License-Identifier: MIT */
/* Pipes as streams, on every system: readiness on Unix, completion on Windows, one contract.
 *
 * The pipes come from libuv, which makes them on both systems. What differs is when a write
 * counts as taken; so nothing here looks at sizes between turns.
 */
#include "streams.h"

static uv_file files[2]; /* read, write */
static owner_t *reader, *writer;

static owner_t *open_pipe(el_loop_t *loop, int file, unsigned flags) {
    owner_t *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    owner->quiet = true;
    assert_int_equal(el_stream_open_pipe(&owner->stream, loop, file, flags, &owner_ops), 0);
    el_stream_read_start(&owner->stream);
    return owner;
}

static void close_file(int which) {
    uv_fs_t request;
    if (files[which] != -1) {
        (void)uv_fs_close(NULL, &request, files[which], NULL);
        uv_fs_req_cleanup(&request);
        files[which] = -1;
    }
}

static int set_up(void **state) {
    if (loop_set_up(state) != 0 || uv_pipe(files, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE) != 0) {
        return -1;
    }
    reader = open_pipe(*state, files[0], EL_PIPE_READABLE);
    writer = open_pipe(*state, files[1], EL_PIPE_WRITABLE);
    return 0;
}

static void end(el_loop_t *loop, owner_t **owner, int which) {
    if (*owner == NULL) {
        return;
    }
    el_stream_abort(&(*owner)->stream, (el_reason_t){0, 0});
    while (!(*owner)->lost) {
        turn_waiting(loop);
    }
    owner_free(*owner);
    *owner = NULL;
    close_file(which);
}

/* After their streams were destroyed. */
static void forget_both(void) {
    owner_free(writer);
    owner_free(reader);
    writer = reader = NULL;
    close_file(0);
    close_file(1);
}

static int tear_down(void **state) {
    end(*state, &reader, 0);
    end(*state, &writer, 1);
    return loop_tear_down(state);
}

static void turn_until_received(el_loop_t *loop, size_t size) {
    while (reader->received_size < size) {
        turn_waiting(loop);
    }
}

static void give_memory(owner_t *owner, size_t size) {
    owner->memory = malloc(size);
    owner->memory_size = size;
    assert_non_null(owner->memory);
}

static void bytes_go_through(void **state) {
    unsigned char *bytes = counting_bytes(0, 1000);
    assert_int_equal(owner_write_lent(writer, bytes, 500), 0);
    assert_int_equal(owner_write_copied(writer, bytes + 500, 500), 0);
    turn_until_received(*state, 1000);
    assert_counts_up(reader->received, 1000);
    free(bytes);
}

static void megabytes_go_through_with_pause_and_resume(void **state) {
    enum { SIZE = 5 * 1024 * 1024 };
    unsigned char *bytes = counting_bytes(0, SIZE);
    give_memory(reader, 100000);
    assert_int_equal(owner_write_lent(writer, bytes, SIZE), 0);
    assert_int_equal(writer->counts[UP_PAUSE], 1);
    turn_until_received(*state, SIZE);
    assert_counts_up(reader->received, SIZE);
    while (writer->counts[UP_RESUME] == 0) {
        turn_waiting(*state);
    }
    assert_int_equal(el_stream_write_size(&writer->stream), 0);
    free(bytes);
}

static void a_direct_reader_gets_everything_in_its_own_memory(void **state) {
    unsigned char *bytes = counting_bytes(0, 300000);
    give_memory(reader, 1234);
    el_stream_set_direct(&reader->stream, true);
    assert_int_equal(owner_write_copied(writer, bytes, 300000), 0);
    turn_until_received(*state, 300000);
    assert_counts_up(reader->received, 300000);
    assert_int_equal(reader->counts[UP_DATA], 0);
    free(bytes);
}

static void a_paused_reader_gets_nothing_until_it_resumes(void **state) {
    el_stream_read_stop(&reader->stream);
    assert_int_equal(owner_write_copied(writer, "abc", 3), 0);
    turns(*state, 10);
    assert_int_equal(reader->received_size, 0);
    el_stream_read_start(&reader->stream);
    turn_until_received(*state, 3);
}

static void closing_the_writer_sends_everything_and_then_end_of_file(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    el_stream_close(&writer->stream);
    while (!writer->lost) {
        turn_waiting(*state);
    }
    assert_int_equal(writer->reason.code, 0);
    assert_int_equal(writer->taken, writer->released);
    close_file(1);
    turn_until(*state, &reader->at_eof);
    assert_int_equal(reader->received_size, 1 << 20);
    assert_counts_up(reader->received, 1 << 20);
    free(bytes);
}

static void write_eof_on_a_pipe_closes_it(void **state) {
    assert_int_equal(owner_write_copied(writer, "abc", 3), 0);
    el_stream_write_eof(&writer->stream);
    turn_until(*state, &writer->lost);
    assert_int_equal(writer->reason.code, 0);
    close_file(1);
    turn_until(*state, &reader->at_eof);
    assert_int_equal(reader->received_size, 3);
}

static void aborting_with_bytes_in_flight_gives_the_pieces_back(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    el_stream_read_stop(&reader->stream);
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    turns(*state, 2);
    el_stream_abort(&writer->stream, (el_reason_t){ES_ETIMEDOUT, 3});
    assert_int_equal(writer->taken, writer->released);
    turn_until(*state, &writer->lost);
    assert_int_equal(writer->reason.code, ES_ETIMEDOUT);
    free(bytes);
}

/* Pipes as os.pipe() makes them. On Windows a thread of libuv's does the writing then, and what is
 * ended before the thread has begun could once never be cancelled. */
static void reopen_synchronous(el_loop_t *loop) {
    end(loop, &reader, 0);
    end(loop, &writer, 1);
    assert_int_equal(uv_pipe(files, 0, 0), 0);
    reader = open_pipe(loop, files[0], EL_PIPE_READABLE);
    writer = open_pipe(loop, files[1], EL_PIPE_WRITABLE);
    el_stream_read_stop(&reader->stream);
}

static void a_synchronous_write_ends_whenever_it_is_aborted(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    for (int i = 0; i < 200; i++) {
        reopen_synchronous(*state);
        assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
        turns(*state, i % 3);
        el_stream_abort(&writer->stream, (el_reason_t){0, 0});
        assert_int_equal(writer->taken, writer->released);
        turn_until(*state, &writer->lost);
    }
    free(bytes);
}

static void a_synchronous_write_ends_whenever_its_stream_or_loop_does(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    for (int i = 0; i < 100; i++) {
        end(*state, &reader, 0);
        end(*state, &writer, 1);
        assert_int_equal(loop_tear_down(state), 0);
        assert_int_equal(loop_set_up(state), 0);
        reopen_synchronous(*state);
        assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
        turns(*state, i % 3);
        if (i % 2 == 0) {
            el_stream_destroy(&writer->stream);
        }
        assert_int_equal(el_loop_close(*state), 0);
        if (i % 2 != 0) {
            el_stream_destroy(&writer->stream);
        }
        el_stream_destroy(&reader->stream);
        forget_both();
    }
    free(bytes);
}

static void writing_with_no_reader_left_ends_with_a_broken_pipe(void **state) {
    end(*state, &reader, 0);
    for (int i = 0; i < 1000 && !writer->lost; i++) {
        assert_int_equal(owner_write_copied(writer, "abc", 3), 0);
        turns(*state, 1);
    }
    assert_true(writer->lost);
    /* Unix also notices with nothing to write: then there is no reason. */
    assert_true(writer->reason.code == ES_EPIPE || writer->reason.code == 0);
}

static void the_readers_end_with_bytes_waiting_is_a_broken_pipe(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    el_stream_read_stop(&reader->stream);
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    turns(*state, 2);
    end(*state, &reader, 0);
    turn_until(*state, &writer->lost);
    assert_int_equal(writer->reason.code, ES_EPIPE);
    assert_int_equal(writer->taken, writer->released);
    free(bytes);
}

static void close_self(owner_t *owner) {
    el_stream_close(&owner->stream);
}

static void stop_self(owner_t *owner) {
    el_stream_read_stop(&owner->stream);
    el_stream_read_start(&owner->stream);
}

static void reading_may_be_stopped_and_started_in_every_upcall(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    give_memory(reader, 5000);
    reader->act[UP_DATA] = reader->act[UP_FILLED] = reader->act[UP_GET_BUFFER] = stop_self;
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    turn_until_received(*state, 1 << 20);
    assert_counts_up(reader->received, 1 << 20);
    free(bytes);
}

static void a_reader_may_close_in_data_and_in_eof(void **state) {
    reader->act[UP_DATA] = close_self;
    assert_int_equal(owner_write_copied(writer, "abc", 3), 0);
    turn_until(*state, &reader->lost);
    assert_int_equal(reader->reason.code, 0);
}

static void interrupt_loop(owner_t *owner) {
    el_loop_interrupt(owner->stream.loop);
}

static void an_interrupt_in_data_loses_nothing(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    give_memory(reader, 5000);
    reader->act[UP_DATA] = reader->act[UP_FILLED] = interrupt_loop;
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    while (reader->received_size < 1 << 20) {
        assert_int_equal(el_loop_run(*state), 0); /* returns at each interrupt */
    }
    assert_counts_up(reader->received, 1 << 20);
    free(bytes);
}

static void closing_the_loop_cuts_pipes_off(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    el_stream_read_stop(&reader->stream);
    assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
    assert_int_equal(el_loop_close(*state), 0);
    assert_int_equal(writer->taken, writer->released);
    el_stream_destroy(&writer->stream);
    el_stream_destroy(&reader->stream);
    forget_both();
    free(bytes);
}

static void a_destroyed_pipe_says_nothing(void **state) {
    assert_int_equal(owner_write_copied(writer, "abc", 3), 0);
    el_stream_destroy(&writer->stream);
    el_stream_destroy(&reader->stream);
    turns(*state, 3);
    assert_int_equal(writer->counts[UP_LOST], 0);
    forget_both();
}

static void a_regular_file_is_refused(void **state) {
    char path[1024];
    size_t size = sizeof path - 32;
    uv_fs_t request;
    el_stream_t stream;
    assert_int_equal(uv_os_tmpdir(path, &size), 0);
    strcat(path, "/evenloopXXXXXX");
    int file = uv_fs_mkstemp(NULL, &request, path, NULL);
    assert_true(file >= 0);
    strcpy(path, request.path);
    uv_fs_req_cleanup(&request);
    assert_int_equal(el_stream_open_pipe(&stream, *state, file, EL_PIPE_READABLE, &owner_ops),
                     ES_EPERM);
    assert_int_equal(el_stream_open_pipe(&stream, *state, file, 0, &owner_ops), ES_EINVAL);
    (void)uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    (void)uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

/* /dev/null or NUL, which no watcher serves. */
static int open_null(void) {
    static const char *const names[] = {"NUL", "/dev/null"}; /* the first is no file on Unix */
    int file = -1;
    for (int i = 0; i < 2 && file < 0; i++) {
        uv_fs_t request;
        file = uv_fs_open(NULL, &request, names[i], UV_FS_O_RDWR, 0, NULL);
        uv_fs_req_cleanup(&request);
    }
    assert_true(file >= 0);
    return file;
}

static void the_null_device_is_at_its_end_and_takes_everything(void **state) {
    unsigned char *bytes = counting_bytes(0, 1 << 20);
    for (int i = 0; i < 2; i++) {
        end(*state, &reader, 0);
        end(*state, &writer, 1);
        files[0] = open_null();
        files[1] = open_null();
        reader = open_pipe(*state, files[0], EL_PIPE_READABLE);
        writer = open_pipe(*state, files[1], EL_PIPE_WRITABLE);
        turn_until(*state, &reader->at_eof);
        assert_int_equal(reader->received_size, 0);
        assert_int_equal(owner_write_lent(writer, bytes, 1 << 20), 0);
        assert_int_equal(el_stream_write_size(&writer->stream), 0);
        assert_int_equal(writer->counts[UP_PAUSE], 0);
        turns(*state, 5);
        assert_false(writer->lost);
    }
    free(bytes);
}

static void a_device_may_be_closed_and_destroyed_with_its_item_queued(void **state) {
    end(*state, &reader, 0);
    files[0] = open_null();
    reader = open_pipe(*state, files[0], EL_PIPE_READABLE);
    el_stream_close(&reader->stream); /* before its first turn */
    turn_until(*state, &reader->lost);
    assert_int_equal(reader->counts[UP_EOF], 0);
    owner_free(reader);
    reader = open_pipe(*state, files[0], EL_PIPE_READABLE);
    el_stream_read_stop(&reader->stream);
    turns(*state, 3);
    assert_false(reader->at_eof);
    el_stream_read_start(&reader->stream);
    el_stream_destroy(&reader->stream);
    turns(*state, 3);
    assert_int_equal(reader->counts[UP_EOF], 0);
    owner_free(reader);
    reader = NULL;
    close_file(0);
}

static void a_second_writer_of_a_descriptor_sends_all_that_it_has_too(void **state) {
    enum { SIZE = 1 << 20 };
    unsigned char *bytes = calloc(SIZE, 1);
    owner_t *second = open_pipe(*state, files[1], EL_PIPE_WRITABLE);
    el_stream_read_stop(&reader->stream);
    assert_int_equal(owner_write_lent(writer, bytes, SIZE), 0);
    assert_int_equal(owner_write_lent(second, bytes, SIZE), 0);
    assert_int_equal(owner_write_lent(writer, bytes, SIZE), 0);
    el_stream_read_start(&reader->stream);
    turn_until_received(*state, 3 * SIZE);
    el_stream_close(&second->stream);
    turn_until(*state, &second->lost);
    assert_int_equal(second->reason.code, 0);
    owner_free(second);
    assert_int_equal(owner_write_copied(writer, "x", 1), 0);
    turn_until_received(*state, 3 * SIZE + 1);
    free(bytes);
}

static void a_socket_in_a_pipes_place_keeps_the_pipes_rules(void **state) {
    es_sock_t client, server;
    connected_pair(*state, &client, &server);
    owner_t *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    owner->quiet = true;
    assert_int_equal(el_stream_open_pipe(&owner->stream, *state, client,
                                         EL_PIPE_WRITABLE | EL_PIPE_SOCKET, &owner_ops),
                     0);
    assert_int_equal(owner_write_copied(owner, "abc", 3), 0);
    turns(*state, 3);
    assert_false(owner->lost);
    assert_int_equal(es_sock_close(server), 0);
    turn_until(*state, &owner->lost);
    assert_int_equal(owner->reason.code, 0);
    owner_free(owner);
    assert_int_equal(es_sock_close(client), 0);
}

static void a_bad_descriptor_is_refused(void **state) {
    el_stream_t stream;
    assert_int_equal(el_stream_open_pipe(&stream, *state, 987654, EL_PIPE_READABLE, &owner_ops),
                     ES_EBADF);
    assert_int_equal(
        el_stream_open_pipe(&stream, *state, 987654, EL_PIPE_WRITABLE | EL_PIPE_HANDLE, &owner_ops),
        ES_EBADF);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_through),
        TEST(megabytes_go_through_with_pause_and_resume),
        TEST(a_direct_reader_gets_everything_in_its_own_memory),
        TEST(a_paused_reader_gets_nothing_until_it_resumes),
        TEST(closing_the_writer_sends_everything_and_then_end_of_file),
        TEST(write_eof_on_a_pipe_closes_it),
        TEST(aborting_with_bytes_in_flight_gives_the_pieces_back),
        TEST(a_synchronous_write_ends_whenever_it_is_aborted),
        TEST(a_synchronous_write_ends_whenever_its_stream_or_loop_does),
        TEST(writing_with_no_reader_left_ends_with_a_broken_pipe),
        TEST(the_readers_end_with_bytes_waiting_is_a_broken_pipe),
        TEST(reading_may_be_stopped_and_started_in_every_upcall),
        TEST(a_reader_may_close_in_data_and_in_eof),
        TEST(an_interrupt_in_data_loses_nothing),
        TEST(closing_the_loop_cuts_pipes_off),
        TEST(a_destroyed_pipe_says_nothing),
        TEST(a_regular_file_is_refused),
        TEST(the_null_device_is_at_its_end_and_takes_everything),
        TEST(a_device_may_be_closed_and_destroyed_with_its_item_queued),
        TEST(a_second_writer_of_a_descriptor_sends_all_that_it_has_too),
        TEST(a_socket_in_a_pipes_place_keeps_the_pipes_rules),
        TEST(a_bad_descriptor_is_refused),
    };
#undef TEST
    return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
