/* SPDX-License-Identifier: MIT */
/* Streams when everything goes wrong: any act in any upcall, any system call failing, owners
 * that vanish.
 *
 * One play goes through reads, refused writes, pause, resume, half-close and close. It is
 * repeated with one thing wrong at a time, at every place where it can go wrong; what is checked
 * must hold whatever happened.
 */
#include "scripted.h"

/* Every act in every upcall. */

static void act_close(owner_t *self) {
    el_stream_close(&self->stream);
}

static void act_abort(owner_t *self) {
    el_stream_abort(&self->stream, (el_reason_t){ES_ECANCELED, 7});
}

static void act_write(owner_t *self) {
    if (self->taken < 50) { /* else a write in every release would never end */
        (void)owner_write_lent(self, "abc", 3);
    }
}

static void act_eof(owner_t *self) {
    el_stream_write_eof(&self->stream);
}

static void act_toggle(owner_t *self) {
    el_stream_set_direct(&self->stream, !self->stream.direct);
}

static void act_stop(owner_t *self) {
    el_stream_read_stop(&self->stream);
}

static void act_pause_and_resume(owner_t *self) {
    el_stream_read_stop(&self->stream);
    el_stream_read_start(&self->stream);
}

static void act_water(owner_t *self) {
    el_stream_set_water(&self->stream, 3, 1);
}

static void act_flush(owner_t *self) {
    el_stream_flush(&self->stream);
}

/* Goes through reads, refused writes, resume and half-close. */
static void play(el_loop_t *loop) {
    el_stream_set_water(&owner->stream, 50, 10);
    script_recv(0, 10);
    script_recv(0, EL_READ_BUFFER_SIZE);
    script_recv(0, 64);
    script_recv(0, 5);
    script_recv(ES_EAGAIN, 0);
    script_recv(ES_EOF, 0);
    script_send(0, 10);
    script_send(ES_EAGAIN, 0);
    script_send(0, 60);
    (void)owner_write_lent(owner, "0123456789abcdef", 16);
    for (int i = 0; i < 6; i++) {
        if (owner->stream.reading) {
            el__stream_readable(&owner->stream);
        }
        (void)owner_write_lent(owner, "0123456789abcdef", 16);
        (void)owner_write_copied(owner, "0123456789abcdef", 16);
        if (i > 1) {
            turns(loop, 1);
        }
    }
    el_stream_write_eof(&owner->stream);
    turns(loop, 3);
    el_stream_close(&owner->stream);
    while (!owner->lost) {
        turns(loop, 1);
    }
}

static void renew(el_loop_t *loop) {
    owner->quiet = true;
    if (!owner->lost) {
        lose(loop);
    }
    owner_free(owner);
    owner = owner_new(loop, client);
    owner->quiet = true;
    owner->memory_size = 64;
    owner->memory = malloc(64);
    script_off();
    script_on();
}

static void the_owner_may_do_anything_in_any_upcall(void **state) {
    static void (*const acts[])(owner_t *) = {
        act_close, act_abort, act_write, act_eof, act_toggle, act_stop, act_pause_and_resume,
        act_water, act_flush};
    for (size_t act = 0; act < sizeof acts / sizeof *acts; act++) {
        for (int where = 0; where < UP_COUNT; where++) {
            renew(*state);
            owner->act[where] = acts[act];
            play(*state);
            assert_true(owner->lost);
            assert_int_equal(owner->taken, owner->released);
            assert_int_equal(owner->stream.queued, 0);
        }
    }
}

/* Each system call fails once, at every index, with every kind of failure. */
static void every_call_may_fail_and_the_end_is_told_once_with_that_reason(void **state) {
    static const int failures[] = {ES_ECONNRESET, ES_EPIPE, ES_ETIMEDOUT, ES_ENOBUFS, ES_EIO};
    for (size_t f = 0; f < sizeof failures / sizeof *failures; f++) {
        size_t call = 0;
        do {
            renew(*state);
            script.fail_at = ++call;
            script.fail_code = failures[f];
            play(*state);
            bool failed = script.calls >= call;
            assert_int_equal(owner->counts[UP_LOST], 1);
            assert_int_equal(owner->taken, owner->released);
            if (failed && script.shutdowns == 0) {
                assert_int_equal(owner->reason.code, failures[f]);
            } else {
                assert_int_equal(owner->reason.code, 0);
            }
            /* No byte twice, none out of order: all writes are the same sixteen. */
            for (size_t i = 0; i < script.wire_size; i++) {
                assert_int_equal(script.wire[i], "0123456789abcdef"[i % 16]);
            }
            if (!failed) {
                break;
            }
        } while (true);
        assert_true(call > 8); /* the play has that many calls to fail */
    }
}

/* The end of the owner. */

static void a_destroyed_stream_gives_everything_back_and_says_nothing(void **state) {
    script_send(ES_EAGAIN, 0);
    write_more(10);
    write_copy(10);
    el_stream_destroy(&owner->stream);
    el_stream_destroy(&owner->stream);
    assert_int_equal(owner->taken, owner->released);
    assert_null(el_poll_find(*state, client));
    turns(*state, 2);
    assert_trace("");
    owner_free(owner);
    owner = owner_new(*state, client);
    /* Also when its end is already on its way. */
    el_stream_abort(&owner->stream, (el_reason_t){0, 0});
    item_t before = {0}, after = {0};
    item_push(*state, &after, "a", NULL);
    el_stream_destroy(&owner->stream);
    item_push(*state, &before, "b", NULL);
    turns(*state, 2);
    assert_trace("ab");
    owner_free(owner);
    owner = owner_new(*state, client);
}

static void a_stream_of_a_closed_loop_takes_every_call_and_does_nothing(void **state) {
    script_send(ES_EAGAIN, 0);
    write_more(10);
    assert_int_equal(el_loop_close(*state), 0);
    assert_int_equal(owner->taken, owner->released);
    write_more(10);
    el_stream_read_start(&owner->stream);
    el_stream_read_stop(&owner->stream);
    el_stream_flush(&owner->stream);
    el_stream_write_eof(&owner->stream);
    el_stream_set_water(&owner->stream, 1, 0);
    el_stream_close(&owner->stream);
    el_stream_abort(&owner->stream, (el_reason_t){0, 0});
    assert_int_equal(el_stream_write_size(&owner->stream), 0);
    el_stream_destroy(&owner->stream);
    assert_trace("");
    owner_free(owner);
    /* A loop for the tear-down. */
    assert_int_equal(el_loop_init(*state, NULL, NULL), 0);
    owner = owner_new(*state, client);
}

static void a_descriptor_belongs_to_one_stream(void **state) {
    el_stream_t second;
    assert_int_equal(el_stream_open(&second, *state, client, &owner_ops), ES_EBUSY);
    assert_ptr_equal(el_poll_owner(el_poll_find(*state, client)), &owner->stream);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scripted_set_up, scripted_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_owner_may_do_anything_in_any_upcall),
        TEST(every_call_may_fail_and_the_end_is_told_once_with_that_reason),
        TEST(a_destroyed_stream_gives_everything_back_and_says_nothing),
        TEST(a_stream_of_a_closed_loop_takes_every_call_and_does_nothing),
        TEST(a_descriptor_belongs_to_one_stream),
    };
#undef TEST
    return cmocka_run_group_tests_name("stream_fault", tests, NULL, NULL);
}
