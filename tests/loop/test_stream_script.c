/* SPDX-License-Identifier: MIT */
/* Streams on scripted system calls: what the state machine does with every answer a system can
 * give.
 *
 * What recv, send and shutdown answer is written in the test. Reading is started by hand, as if
 * the watcher had called.
 */
#include "scripted.h"

/* Runs `act` inside a ready item, so inside a phase. */
static void in_a_phase(el_loop_t *loop, void (*act)(item_t *item)) {
    item_t item = {.act = act, .ready.ops = &item_ops, .loop = loop};
    el_loop_push(loop, &item.ready);
    turns(loop, 1);
    assert_int_equal(item.runs, 1);
}

/* Writing. */

static void a_write_goes_out_before_it_returns(void **state) {
    (void)state;
    write_more(10);
    assert_int_equal(script.send_next, 0);
    assert_wire(10);
    assert_int_equal(owner->taken, 0);
    assert_int_equal(el_stream_write_size(&owner->stream), 0);
}

static void only_what_the_system_did_not_take_is_queued(void **state) {
    script_send(0, 4);
    write_more(10);
    assert_wire(4);
    assert_int_equal(owner->taken, 1);
    assert_int_equal(el_stream_write_size(&owner->stream), 6);
    turns(*state, 2);
    assert_wire(10);
    assert_int_equal(owner->released, 1);
}

static void a_copy_is_made_only_of_what_was_not_sent(void **state) {
    script_send(0, 3);
    write_copy(10);
    assert_wire(3);
    write_copy(10); /* owner_write_copied spoils its memory after the call */
    write_copy(2000);
    turns(*state, 2);
    assert_wire(2020);
}

static void an_interrupted_call_is_made_again(void **state) {
    (void)state;
    script_send(ES_EINTR, 0);
    script_send(ES_EINTR, 0);
    write_more(10);
    assert_wire(10);
    script_recv(ES_EINTR, 0);
    script_recv(0, 5);
    el__stream_readable(&owner->stream);
    assert_int_equal(owner->received_size, 5);
}

static void a_storm_of_refusals_loses_nothing_and_keeps_order(void **state) {
    for (int i = 0; i < 20; i++) {
        script_send(ES_EAGAIN, 0);
        script_send(0, 1 + (size_t)i % 3);
    }
    for (int i = 0; i < 30; i++) {
        write_more(7);
    }
    turns(*state, 60);
    assert_wire(210);
    assert_int_equal(owner->released, owner->taken);
    assert_int_equal(el_stream_write_size(&owner->stream), 0);
}

static void more_pieces_than_one_call_takes_go_out_in_order(void **state) {
    script_send(ES_EAGAIN, 0);
    for (int i = 0; i < 1000; i++) {
        write_more(3);
    }
    assert_wire(0);
    turns(*state, 3);
    assert_wire(3000);
    assert_int_equal(owner->released, 1000);
}

static void a_send_failure_ends_the_stream_with_its_reason(void **state) {
    script_send(0, 4);
    script_send(ES_ECONNRESET, 0);
    write_more(10);
    write_more(10);
    assert_int_equal(owner->counts[UP_LOST], 0);
    turns(*state, 3);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_ECONNRESET);
    assert_int_not_equal(owner->reason.native, 0);
    assert_wire(4);
}

static void writes_after_the_end_are_dropped_and_counted(void **state) {
    script_send(ES_EPIPE, 0);
    write_more(10);
    assert_true(owner->stream.closing);
    for (int i = 0; i < 5; i++) {
        write_more(10);
    }
    assert_int_equal(owner->stream.dropped_writes, 5);
    turns(*state, 2);
    assert_trace("L");
    assert_wire(0);
    assert_int_equal(owner->reason.code, ES_EPIPE);
}

static void the_first_reason_wins(void **state) {
    script_send(0, 1);
    script_send(ES_EPIPE, 0);
    script_recv(ES_ECONNRESET, 0);
    write_more(10);
    el__stream_readable(&owner->stream);
    el_stream_abort(&owner->stream, (el_reason_t){ES_ETIMEDOUT, 1});
    el_stream_close(&owner->stream);
    turns(*state, 3);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_ECONNRESET);
    assert_int_equal(owner->counts[UP_LOST], 1);
}

static void lost_never_comes_from_inside_a_call(void **state) {
    el_stream_abort(&owner->stream, (el_reason_t){ES_EIO, 5});
    assert_trace("");
    turns(*state, 1);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_EIO);
    assert_int_equal(owner->reason.native, 5);
}

/* Gathering. */

static void write_three(item_t *item) {
    (void)item;
    write_more(10);
    assert_wire(10); /* the first goes at once */
    write_more(10);
    write_copy(10);
    assert_wire(10); /* the others wait */
}

static void further_writes_of_a_phase_go_out_together_at_its_end(void **state) {
    in_a_phase(*state, write_three);
    assert_wire(30);
    assert_int_equal(script.calls, 2);
    assert_int_equal(owner->released, owner->taken);
}

static void outside_a_phase_every_write_goes_out_at_once(void **state) {
    (void)state;
    write_more(10);
    write_more(10);
    assert_wire(20);
    assert_int_equal(script.calls, 2);
}

static void ask_size(item_t *item) {
    write_three(item);
    assert_int_equal(el_stream_write_size(&owner->stream), 0);
    assert_wire(30);
}

static void flush(item_t *item) {
    write_three(item);
    el_stream_flush(&owner->stream);
    assert_wire(30);
}

static void write_eof(item_t *item) {
    write_three(item);
    el_stream_write_eof(&owner->stream);
    assert_wire(30);
    assert_int_equal(script.shutdowns, 1);
}

static void close_stream(item_t *item) {
    write_three(item);
    el_stream_close(&owner->stream);
    assert_wire(30);
}

static void set_water(item_t *item) {
    write_three(item);
    el_stream_set_water(&owner->stream, 5, 1);
    assert_wire(30);
}

static void stop(item_t *item) {
    write_three(item);
    el_loop_stop(item->loop);
}

static void interrupt(item_t *item) {
    write_three(item);
    el_loop_interrupt(item->loop);
}

static void whatever_could_see_the_difference_sends_what_is_gathered(void **state) {
    static void (*const acts[])(item_t *) = {ask_size, flush, stop, interrupt, set_water};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        script_off();
        script_on();
        written = 0;
        in_a_phase(*state, acts[i]);
        assert_wire(30);
    }
    assert_null(strchr(trace_text, 'P'));
}

static void write_eof_sends_what_is_gathered_first(void **state) {
    in_a_phase(*state, write_eof);
    assert_int_equal(script.shutdowns, 1);
}

static void close_sends_what_is_gathered_and_then_ends(void **state) {
    in_a_phase(*state, close_stream);
    turns(*state, 1);
    assert_trace("L");
    assert_int_equal(owner->reason.code, 0);
}

static void write_many(item_t *item) {
    (void)item;
    for (int i = 0; i < 64; i++) {
        write_more(1024);
    }
}

static void gathered_bytes_are_sent_when_they_reach_the_low_water_mark(void **state) {
    in_a_phase(*state, write_many);
    assert_wire(64 * 1024);
    /* 1 at once, then joins of 16 KiB (the low-water mark): 1 + 63 / 16 rounded up. */
    assert_int_equal(script.calls, 1 + 4);
    assert_null(strchr(trace_text, 'P'));
    assert_int_equal(el_stream_write_size(&owner->stream), 0);
}

static void write_small_then_large(item_t *item) {
    (void)item;
    write_more(10);
    write_more(10);
    script_send(0, 30);
    write_copy(100000);
    assert_wire(40);
}

static void a_large_write_joins_the_gathered_ones_and_its_rest_is_kept(void **state) {
    in_a_phase(*state, write_small_then_large);
    turns(*state, 3);
    assert_wire(100020);
}

static void write_large_while_full(item_t *item) {
    (void)item;
    script_send(0, 10);
    script_send(ES_EAGAIN, 0);
    write_more(10);
    write_more(10);
    write_copy(100000);
    assert_wire(10);
    write_more(5);
}

static void a_refused_join_keeps_everything_in_order(void **state) {
    in_a_phase(*state, write_large_while_full);
    turns(*state, 3);
    assert_wire(100025);
    assert_int_equal(owner->counts[UP_PAUSE], 1);
    assert_int_equal(owner->counts[UP_RESUME], 1);
}

static void write_two_then_fail(item_t *item) {
    (void)item;
    write_more(10);
    script_send(ES_ECONNRESET, 0);
    write_more(10);
    write_more(10);
}

static void a_failing_flush_ends_the_stream(void **state) {
    in_a_phase(*state, write_two_then_fail);
    turns(*state, 1);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_ECONNRESET);
    assert_wire(10);
}

/* Water marks. */

static void pause_comes_above_the_high_mark_and_resume_at_the_low_one(void **state) {
    el_stream_set_water(&owner->stream, 100, 40);
    script_send(ES_EAGAIN, 0);
    write_more(100);
    assert_trace("");
    write_more(1);
    assert_trace("P");
    write_more(50);
    assert_trace("P");
    script_send(0, 110); /* leaves 41 */
    turns(*state, 1);
    assert_trace("P");
    script_send(0, 1); /* leaves 40 */
    turns(*state, 1);
    assert_trace("PR");
    turns(*state, 2);
    assert_wire(151);
    assert_trace("PR");
}

static void marks_of_zero_pause_at_the_first_byte_queued(void **state) {
    el_stream_set_water(&owner->stream, 0, 0);
    write_more(10);
    assert_trace("");
    script_send(0, 9);
    write_more(10);
    assert_trace("P");
    turns(*state, 1);
    assert_trace("PR");
}

static void lowering_the_marks_pauses_at_once_and_raising_them_resumes_nothing(void **state) {
    script_send(ES_EAGAIN, 0);
    write_more(100);
    el_stream_set_water(&owner->stream, 50, 10);
    assert_trace("P");
    el_stream_set_water(&owner->stream, 1000, 200);
    assert_trace("P");
    turns(*state, 1);
    assert_trace("PR");
}

static void write_in_resume(owner_t *self) {
    if (self->counts[UP_RESUME] == 1) {
        script_send(ES_EAGAIN, 0);
        write_more(200);
    }
}

static void resume_may_write_and_pause_again(void **state) {
    owner->act[UP_RESUME] = write_in_resume;
    el_stream_set_water(&owner->stream, 100, 10);
    script_send(ES_EAGAIN, 0);
    write_more(150);
    turns(*state, 1);
    assert_trace("PRP");
    turns(*state, 2);
    assert_trace("PRPR");
    assert_wire(350);
}

/* Half-close and close. */

static void write_eof_waits_for_what_is_queued_and_happens_once(void **state) {
    script_send(0, 1);
    write_more(10);
    el_stream_write_eof(&owner->stream);
    el_stream_write_eof(&owner->stream);
    assert_int_equal(script.shutdowns, 0);
    turns(*state, 2);
    assert_wire(10);
    assert_int_equal(script.shutdowns, 1);
    bool taken = true;
    assert_int_equal(el_stream_write(&owner->stream, "x", 1, NULL, &taken), ES_EPIPE);
    assert_false(taken);
    /* Reading goes on. */
    script_recv(0, 3);
    el__stream_readable(&owner->stream);
    assert_int_equal(owner->received_size, 3);
    el_stream_close(&owner->stream);
    turns(*state, 1);
    assert_int_equal(owner->reason.code, 0);
}

/* As SSLProtocol does: its goodbye is written from resume_writing, after close(). */
static void say_goodbye(owner_t *self) {
    if (self->counts[UP_RESUME] == 1) {
        write_more(10);
        write_more(20);
    }
}

static void a_closing_stream_sends_what_resume_writing_writes_before_the_end(void **state) {
    owner->act[UP_RESUME] = say_goodbye;
    el_stream_set_water(&owner->stream, 100, 40);
    script_send(ES_EAGAIN, 0);
    write_more(150);
    el_stream_close(&owner->stream);
    turns(*state, 3);
    assert_trace("PRL");
    assert_int_equal(owner->reason.code, 0);
    assert_wire(180);
}

static void a_closing_stream_waits_for_a_goodbye_that_the_system_refuses(void **state) {
    owner->act[UP_RESUME] = say_goodbye;
    el_stream_set_water(&owner->stream, 100, 40);
    script_send(ES_EAGAIN, 0);
    script_send(0, 150);
    script_send(0, 10);
    script_send(ES_EAGAIN, 0); /* the second write, at the end of the turn */
    write_more(150);
    el_stream_close(&owner->stream);
    turns(*state, 1);
    assert_trace("PR");
    turns(*state, 3);
    assert_trace("PRL");
    assert_wire(180);
}

static void close_sends_what_is_queued_before_the_end(void **state) {
    script_send(0, 1);
    script_send(0, 2);
    script_send(ES_EAGAIN, 0);
    script_send(0, 3);
    write_more(10);
    el_stream_close(&owner->stream);
    el_stream_close(&owner->stream);
    assert_false(owner->stream.reading);
    turns(*state, 10);
    assert_trace("L");
    assert_wire(10);
    assert_int_equal(owner->reason.code, 0);
    assert_int_equal(script.shutdowns, 0);
}

static void a_write_after_close_is_sent_while_something_is_queued(void **state) {
    script_send(0, 1);
    write_more(10);
    el_stream_close(&owner->stream);
    write_more(5);
    assert_int_equal(owner->stream.dropped_writes, 0);
    turns(*state, 3);
    assert_wire(15);
    assert_trace("L");
}

static void abort_after_close_drops_what_is_queued(void **state) {
    script_send(0, 1);
    write_more(10);
    el_stream_close(&owner->stream);
    el_stream_abort(&owner->stream, (el_reason_t){0, 0});
    assert_int_equal(owner->released, 1);
    turns(*state, 3);
    assert_trace("L");
    assert_wire(1);
}

static void a_failure_while_closing_is_the_reason(void **state) {
    script_send(0, 1);
    script_send(ES_EPIPE, 0);
    write_more(10);
    el_stream_close(&owner->stream);
    turns(*state, 3);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_EPIPE);
}

/* Reading. */

static void small_reads_come_from_the_loops_buffer_one_a_readiness(void **state) {
    (void)state;
    script_recv(0, 100);
    script_recv(0, 100);
    el__stream_readable(&owner->stream);
    assert_trace("d");
    assert_int_equal(script.calls, 1); /* no second call that would find nothing */
    el__stream_readable(&owner->stream);
    assert_trace("dd");
    assert_counts_up(owner->received, 200);
}

static void a_full_buffer_makes_the_connection_stream_into_the_owners_memory(void **state) {
    (void)state;
    owner->memory_size = 1000;
    owner->memory = malloc(owner->memory_size);
    script_recv(0, EL_READ_BUFFER_SIZE);
    script_recv(0, 1000);
    script_recv(0, 250); /* a quarter: goes on streaming */
    el__stream_readable(&owner->stream);
    assert_trace("dgfgf");
    assert_true(owner->stream.streaming);
    assert_counts_up(owner->received, owner->received_size);
}

static void two_little_reads_in_a_row_end_streaming_and_one_does_not(void **state) {
    (void)state;
    owner->memory_size = 1000;
    owner->memory = malloc(owner->memory_size);
    owner->stream.streaming = true;
    static const size_t sizes[] = {249, 250, 249, 249, 10};
    for (size_t each = 0; each < sizeof sizes / sizeof *sizes; each++) {
        script_recv(0, sizes[each]);
        el__stream_readable(&owner->stream);
        assert_int_equal(owner->stream.streaming, each < 3);
    }
    assert_trace("gfgfgfgfd"); /* the last one into the loop's buffer */
    assert_counts_up(owner->received, owner->received_size);
}

static void a_direct_stream_always_asks_for_memory(void **state) {
    (void)state;
    owner->memory_size = 10;
    owner->memory = malloc(owner->memory_size);
    el_stream_set_direct(&owner->stream, true);
    script_recv(0, 10);
    script_recv(0, 1);
    el__stream_readable(&owner->stream);
    assert_trace("gfgf");
    el__stream_readable(&owner->stream); /* nothing there: the memory is given back */
    assert_trace("gfgfg0");
    assert_int_equal(owner->received_size, 11);
}

static void memory_may_be_refused(void **state) {
    (void)state;
    owner->refuses = true;
    el_stream_set_direct(&owner->stream, true);
    el__stream_readable(&owner->stream);
    assert_trace("g");
    assert_int_equal(script.calls, 0);
}

static void rounds_are_bounded_so_that_others_are_served(void **state) {
    (void)state;
    owner->memory_size = 1;
    owner->memory = malloc(1);
    el_stream_set_direct(&owner->stream, true);
    for (int i = 0; i < 40; i++) {
        script_recv(0, 1);
    }
    el__stream_readable(&owner->stream);
    assert_int_equal(owner->received_size, EL_READ_ROUNDS_MAX);
}

static void stop_reading(owner_t *self) {
    el_stream_read_stop(&self->stream);
}

static void nothing_is_delivered_after_reading_was_stopped_in_an_upcall(void **state) {
    (void)state;
    owner->act[UP_DATA] = stop_reading;
    owner->memory_size = 100;
    owner->memory = malloc(100);
    script_recv(0, EL_READ_BUFFER_SIZE);
    script_recv(0, 100);
    el__stream_readable(&owner->stream);
    assert_trace("d");
    assert_false(owner->stream.reading);
    owner->act[UP_DATA] = NULL;
    owner->act[UP_FILLED] = stop_reading;
    el_stream_read_start(&owner->stream);
    el__stream_readable(&owner->stream);
    assert_trace("dgf");
}

static void reading_stopped_in_get_buffer_takes_the_memory_back_unread(void **state) {
    (void)state;
    owner->act[UP_GET_BUFFER] = stop_reading;
    owner->memory_size = 100;
    owner->memory = malloc(100);
    el_stream_set_direct(&owner->stream, true);
    script_recv(0, 100);
    el__stream_readable(&owner->stream);
    assert_trace("g0");
    assert_int_equal(script.calls, 0);
    owner->act[UP_GET_BUFFER] = NULL;
    el_stream_read_start(&owner->stream);
    el__stream_readable(&owner->stream);
    assert_int_equal(owner->received_size, 100);
}

static void end_of_file_comes_once_and_ends_reading(void **state) {
    script_recv(ES_EOF, 0);
    el__stream_readable(&owner->stream);
    assert_trace("e");
    assert_false(owner->stream.reading);
    el_stream_read_start(&owner->stream);
    assert_false(owner->stream.reading);
    write_more(10); /* half-open */
    assert_wire(10);
    el_stream_close(&owner->stream);
    turns(*state, 1);
    assert_trace("eL");
}

static void end_of_file_in_direct_mode_gives_the_memory_back_first(void **state) {
    (void)state;
    owner->memory_size = 10;
    owner->memory = malloc(10);
    el_stream_set_direct(&owner->stream, true);
    script_recv(ES_EOF, 0);
    el__stream_readable(&owner->stream);
    assert_trace("g0e");
}

static void end_of_file_found_while_pausing_is_delivered_after_the_resume(void **state) {
    (void)state;
    owner->memory_size = 10;
    owner->memory = malloc(10);
    owner->act[UP_FILLED] = stop_reading;
    el_stream_set_direct(&owner->stream, true);
    script_recv(ES_EOF, 0);
    script_recv(ES_EOF, 0);
    el__stream_readable(&owner->stream);
    assert_trace("g0");
    owner->act[UP_FILLED] = NULL;
    el_stream_read_start(&owner->stream);
    el__stream_readable(&owner->stream);
    assert_trace("g0g0e");
}

static void a_read_failure_ends_the_stream_with_its_reason(void **state) {
    script_recv(ES_ETIMEDOUT, 0);
    el__stream_readable(&owner->stream);
    assert_trace("");
    turns(*state, 1);
    assert_trace("L");
    assert_int_equal(owner->reason.code, ES_ETIMEDOUT);
    assert_int_not_equal(owner->reason.native, 0);
}

static void a_read_failure_in_direct_mode_gives_the_memory_back(void **state) {
    owner->memory_size = 10;
    owner->memory = malloc(10);
    el_stream_set_direct(&owner->stream, true);
    script_recv(ES_ECONNRESET, 0);
    el__stream_readable(&owner->stream);
    turns(*state, 1);
    assert_trace("g0L");
    assert_int_equal(owner->reason.code, ES_ECONNRESET);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scripted_set_up, scripted_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_write_goes_out_before_it_returns),
        TEST(only_what_the_system_did_not_take_is_queued),
        TEST(a_copy_is_made_only_of_what_was_not_sent),
        TEST(an_interrupted_call_is_made_again),
        TEST(a_storm_of_refusals_loses_nothing_and_keeps_order),
        TEST(more_pieces_than_one_call_takes_go_out_in_order),
        TEST(a_send_failure_ends_the_stream_with_its_reason),
        TEST(writes_after_the_end_are_dropped_and_counted),
        TEST(the_first_reason_wins),
        TEST(lost_never_comes_from_inside_a_call),
        TEST(further_writes_of_a_phase_go_out_together_at_its_end),
        TEST(outside_a_phase_every_write_goes_out_at_once),
        TEST(whatever_could_see_the_difference_sends_what_is_gathered),
        TEST(write_eof_sends_what_is_gathered_first),
        TEST(close_sends_what_is_gathered_and_then_ends),
        TEST(gathered_bytes_are_sent_when_they_reach_the_low_water_mark),
        TEST(a_large_write_joins_the_gathered_ones_and_its_rest_is_kept),
        TEST(a_refused_join_keeps_everything_in_order),
        TEST(a_failing_flush_ends_the_stream),
        TEST(pause_comes_above_the_high_mark_and_resume_at_the_low_one),
        TEST(marks_of_zero_pause_at_the_first_byte_queued),
        TEST(lowering_the_marks_pauses_at_once_and_raising_them_resumes_nothing),
        TEST(resume_may_write_and_pause_again),
        TEST(write_eof_waits_for_what_is_queued_and_happens_once),
        TEST(a_closing_stream_sends_what_resume_writing_writes_before_the_end),
        TEST(a_closing_stream_waits_for_a_goodbye_that_the_system_refuses),
        TEST(close_sends_what_is_queued_before_the_end),
        TEST(a_write_after_close_is_sent_while_something_is_queued),
        TEST(abort_after_close_drops_what_is_queued),
        TEST(a_failure_while_closing_is_the_reason),
        TEST(small_reads_come_from_the_loops_buffer_one_a_readiness),
        TEST(a_full_buffer_makes_the_connection_stream_into_the_owners_memory),
        TEST(two_little_reads_in_a_row_end_streaming_and_one_does_not),
        TEST(a_direct_stream_always_asks_for_memory),
        TEST(memory_may_be_refused),
        TEST(rounds_are_bounded_so_that_others_are_served),
        TEST(nothing_is_delivered_after_reading_was_stopped_in_an_upcall),
        TEST(reading_stopped_in_get_buffer_takes_the_memory_back_unread),
        TEST(end_of_file_comes_once_and_ends_reading),
        TEST(end_of_file_in_direct_mode_gives_the_memory_back_first),
        TEST(end_of_file_found_while_pausing_is_delivered_after_the_resume),
        TEST(a_read_failure_ends_the_stream_with_its_reason),
        TEST(a_read_failure_in_direct_mode_gives_the_memory_back),
    };
#undef TEST
    return cmocka_run_group_tests_name("stream_script", tests, NULL, NULL);
}
