/* SPDX-License-Identifier: MIT */
/* Datagram endpoints: order, flow control, errors and the end, on scripted system calls and for
 * real.
 *
 * What is hard: an error belongs to one datagram and must neither end the endpoint nor lose the
 * others. The scripted tests use a real socket with one datagram that nobody takes, so that the
 * loop finds it readable and writable in every turn; what a call answers is the script's.
 */
#include "script.h"
#include "support.h"

typedef struct end end_t;

typedef enum upcall {
    UP_RECEIVED,
    UP_ERROR,
    UP_SEND,
    UP_PAUSE,
    UP_RESUME,
    UP_LOST,
    UP_COUNT
} upcall_t;

struct end {
    el_datagram_t datagram;
    bool quiet;
    bool lost;
    void (*act[UP_COUNT])(end_t *end);
    int counts[UP_COUNT];
    el_reason_t reason; /* of the last error, or of the end */
    int answer;         /* what ops->send says */
    size_t taken;       /* routes that the engine took */
    size_t released;    /* and gave back */
    es_addr_t from;
    bool got; /* something was received */
};

static void upcall(end_t *end, upcall_t which, const char *format, size_t size) {
    end->counts[which]++;
    if (!end->quiet) {
        trace(format, size);
    }
    assert_false(end->lost);
    if (end->act[which] != NULL) {
        end->act[which](end);
    }
}

static void on_received(el_datagram_t *datagram, const void *base, size_t size,
                        const es_addr_t *from) {
    end_t *end = (end_t *)datagram;
    (void)base;
    end->from = *from;
    end->got = true;
    upcall(end, UP_RECEIVED, "r%zu ", size);
}

static void on_error(el_datagram_t *datagram, el_direction_t direction, el_reason_t reason) {
    end_t *end = (end_t *)datagram;
    end->reason = reason;
    upcall(end, UP_ERROR, direction == EL_READ ? "e " : "E ", 0);
}

static int on_send(el_datagram_t *datagram, const void *base, size_t size, void *route) {
    end_t *end = (end_t *)datagram;
    (void)base;
    assert_ptr_equal(route, end);
    int answer = end->answer;
    upcall(end, UP_SEND, "s%zu ", size);
    return answer;
}

static void on_release(el_datagram_t *datagram, void *route) {
    assert_ptr_equal(route, datagram);
    ((end_t *)datagram)->released++;
}

static void on_pause(el_datagram_t *datagram) {
    upcall((end_t *)datagram, UP_PAUSE, "P ", 0);
}

static void on_resume(el_datagram_t *datagram) {
    upcall((end_t *)datagram, UP_RESUME, "R ", 0);
}

static void on_lost(el_datagram_t *datagram, el_reason_t reason) {
    end_t *end = (end_t *)datagram;
    end->reason = reason;
    upcall(end, UP_LOST, "L ", 0);
    end->lost = true;
}

static const el_datagram_ops_t ops = {
    .received = on_received,
    .error = on_error,
    .send = on_send,
    .release = on_release,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
    .lost = on_lost,
};

/* Sockets and endpoints. */

static es_sock_t bound_socket(es_addr_t *addr) {
    es_sock_t fd;
    struct sockaddr_in any = {.sin_family = AF_INET};
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr->size = sizeof any;
    memcpy(addr->storage.bytes, &any, sizeof any);
    assert_int_equal(es_sock_open(AF_INET, SOCK_DGRAM, 0, 0, &fd), 0);
    assert_int_equal(es_sock_bind(fd, addr), 0);
    assert_int_equal(es_sock_name(fd, addr), 0);
    return fd;
}

static es_sock_t fd;
static es_addr_t own;
static end_t *end;

static end_t *end_new(el_loop_t *loop, es_sock_t sock) {
    end_t *made = calloc(1, sizeof *made);
    assert_non_null(made);
    assert_int_equal(el_datagram_open(&made->datagram, loop, sock, &ops), 0);
    el_datagram_read_start(&made->datagram);
    return made;
}

static void lose(el_loop_t *loop) {
    el_datagram_abort(&end->datagram, (el_reason_t){0, 0});
    while (!end->lost) {
        turns(loop, 1);
    }
}

static void end_free(el_loop_t *loop) {
    end->quiet = true;
    memset(end->act, 0, sizeof end->act);
    if (!end->lost) {
        lose(loop);
    }
    assert_int_equal(end->taken, end->released);
    free(end);
    end = NULL;
}

/* A socket that is readable for as long as the script is on: a datagram of its own waits in it. */
static int set_up(void **state) {
    script_off(); /* a test that failed may have left it on */
    if (loop_set_up(state) != 0) {
        return -1;
    }
    size_t done;
    fd = bound_socket(&own);
    assert_int_equal(es_sock_sendto(fd, "", 1, &own, &done), 0);
    end = end_new(*state, fd);
    script_on();
    script.sender = own;
    return 0;
}

static int tear_down(void **state) {
    end_free(*state);
    script_off();
    (void)es_sock_close(fd);
    return loop_tear_down(state);
}

static int send_to(const char *text) {
    return el_datagram_send(&end->datagram, text, strlen(text), &own);
}

static int send_by(const char *text) {
    bool taken;
    int code = el_datagram_send_by(&end->datagram, text, strlen(text), end, &taken);
    end->taken += taken;
    return code;
}

static void assert_wire(const char *expected) {
    assert_int_equal(script.wire_size, strlen(expected));
    assert_memory_equal(script.wire, expected, script.wire_size);
}

/* Receiving. */

static void each_datagram_is_one_upcall_empty_ones_too(void **state) {
    script_recv(0, 10);
    script_recv(0, 0);
    script_recv(0, 7);
    turns(*state, 1);
    assert_trace("r10 r0 r7 ");
    assert_int_equal(end->from.size, own.size);
    assert_memory_equal(end->from.storage.bytes, own.storage.bytes, own.size);
}

static void a_turn_takes_a_bounded_number(void **state) {
    for (int i = 0; i < EL_READ_ROUNDS_MAX + 4; i++) {
        script_recv(0, 1);
    }
    turns(*state, 1);
    assert_int_equal(end->counts[UP_RECEIVED], EL_READ_ROUNDS_MAX);
    turns(*state, 1);
    assert_int_equal(end->counts[UP_RECEIVED], EL_READ_ROUNDS_MAX + 4);
}

static void act_stop(end_t *self) {
    el_datagram_read_stop(&self->datagram);
}

static void nothing_is_received_after_reading_was_stopped(void **state) {
    script_recv(0, 1);
    script_recv(0, 2);
    end->act[UP_RECEIVED] = act_stop;
    turns(*state, 2);
    assert_trace("r1 ");
    end->act[UP_RECEIVED] = NULL;
    el_datagram_read_start(&end->datagram);
    turns(*state, 1);
    assert_trace("r1 r2 ");
}

static void a_failed_receive_is_told_and_reading_goes_on(void **state) {
    script_recv(ES_ECONNREFUSED, 0);
    script_recv(0, 3);
    turns(*state, 2);
    assert_trace("e r3 ");
    assert_int_equal(end->reason.code, ES_ECONNREFUSED);
    assert_false(end->datagram.closing);
}

static void a_descriptor_that_is_gone_ends_reading(void **state) {
    script_recv(ES_ENOTSOCK, 0);
    script_recv(ES_ENOTSOCK, 0);
    turns(*state, 3);
    assert_trace("e ");
    assert_false(end->datagram.reading);
    assert_false(end->datagram.closing);
}

static void a_run_that_is_interrupted_delivers_no_further(void **state) {
    script_recv(0, 1);
    script_recv(0, 2);
    end->act[UP_RECEIVED] = NULL;
    el_loop_t *loop = *state;
    loop->interrupted = true;
    turns(loop, 1);
    loop->interrupted = false;
    turns(loop, 1);
    assert_trace("r1 r2 ");
}

/* Sending. */

static void a_datagram_reaches_the_system_before_send_returns(void **state) {
    (void)state;
    assert_int_equal(send_to("one"), 0);
    assert_wire("one");
    assert_int_equal(send_to(""), 0);
    assert_int_equal(script.sends, 2);
    assert_int_equal(script.target.size, own.size);
    assert_int_equal(end->datagram.queued, 0);
    assert_int_equal(el_datagram_send(&end->datagram, "peer", 4, NULL), 0);
    assert_wire("onepeer");
}

static void refused_datagrams_wait_and_go_in_order(void **state) {
    script_send(ES_EAGAIN, 0);
    script_send(ES_EAGAIN, 0);
    assert_int_equal(send_to("one"), 0);
    assert_int_equal(send_to(""), 0);
    assert_int_equal(send_to("three"), 0);
    assert_int_equal(end->datagram.queued, 8);
    assert_int_equal(script.send_next, 1); /* the others were not offered before the first */
    turns(*state, 1);
    assert_int_equal(script.sends, 0);
    turns(*state, 1);
    assert_wire("onethree");
    assert_int_equal(script.sends, 3);
    assert_int_equal(end->datagram.queued, 0);
}

static void the_marks_count_what_a_datagram_weighs_beside_its_bytes(void **state) {
    end->datagram.overhead = 8;
    el_datagram_set_water(&end->datagram, 20, 9);
    script_send(ES_EAGAIN, 0);
    assert_int_equal(send_to("1"), 0);
    assert_int_equal(send_to("2"), 0);
    assert_trace("");
    assert_int_equal(end->datagram.queued, 18);
    assert_int_equal(send_to("3"), 0);
    assert_trace("P ");
    assert_int_equal(send_to("4"), 0);
    assert_trace("P ");
    script_send(0, SIZE_MAX);
    script_send(0, SIZE_MAX);
    script_send(ES_EAGAIN, 0);
    turns(*state, 1);
    assert_trace("P ");
    script_send(0, SIZE_MAX);
    script_send(ES_EAGAIN, 0);
    turns(*state, 1);
    assert_trace("P R ");
    assert_int_equal(end->datagram.queued, 9);
}

static void lower_marks_pause_at_once(void **state) {
    (void)state;
    script_send(ES_EAGAIN, 0);
    assert_int_equal(send_to("four"), 0);
    el_datagram_set_water(&end->datagram, 3, 0);
    assert_trace("P ");
}

static void a_failed_send_is_that_calls_result(void **state) {
    script_send(ES_ECONNREFUSED, 0);
    assert_int_equal(send_to("lost"), ES_ECONNREFUSED);
    assert_int_equal(send_to("sent"), 0);
    assert_wire("sent");
    turns(*state, 1);
    assert_trace("");
    assert_false(end->datagram.closing);
}

static void a_failed_queued_datagram_is_told_and_the_rest_goes_on(void **state) {
    el_datagram_set_water(&end->datagram, 2, 1);
    script_send(ES_EAGAIN, 0);
    script_send(ES_EMSGSIZE, 0);
    assert_int_equal(send_to("bad"), 0);
    assert_int_equal(send_to("good"), 0);
    turns(*state, 1);
    assert_trace("P E ");
    assert_int_equal(end->reason.code, ES_EMSGSIZE);
    turns(*state, 1);
    assert_trace("P E R ");
    assert_wire("good");
}

static void a_failure_of_the_last_queued_one_still_resumes(void **state) {
    el_datagram_set_water(&end->datagram, 2, 1);
    script_send(ES_EAGAIN, 0);
    script_send(ES_ENOBUFS, 0);
    assert_int_equal(send_to("bad"), 0);
    turns(*state, 2);
    assert_trace("P E R ");
}

static void a_route_is_sent_by_the_owner_now_or_later(void **state) {
    assert_int_equal(send_by("now"), 0);
    assert_trace("s3 ");
    end->answer = ES_EAGAIN;
    assert_int_equal(send_by("later"), 0);
    assert_int_equal(end->taken, 1);
    assert_int_equal(send_to("behind"), 0);
    end->answer = 0;
    turns(*state, 1);
    assert_trace("s3 s5 s5 ");
    assert_wire("behind");
    assert_int_equal(end->released, 1);
    end->answer = ES_ECONNRESET;
    assert_int_equal(send_by("x"), ES_ECONNRESET);
}

/* The end. */

static void close_sends_what_is_queued_and_receives_nothing(void **state) {
    script_recv(0, 1);
    script_send(ES_EAGAIN, 0);
    assert_int_equal(send_to("a"), 0);
    el_datagram_close(&end->datagram);
    assert_int_equal(send_to("b"), 0);
    turns(*state, 3);
    assert_trace("L ");
    assert_wire("ab");
    assert_int_equal(end->reason.code, 0);
    assert_int_equal(send_to("c"), ES_ECANCELED);
}

static void close_with_a_failing_queue_ends_all_the_same(void **state) {
    script_send(ES_EAGAIN, 0);
    script_send(ES_EMSGSIZE, 0);
    assert_int_equal(send_to("a"), 0);
    el_datagram_close(&end->datagram);
    turns(*state, 4);
    assert_trace("E L ");
    assert_int_equal(end->reason.code, 0);
}

static void abort_drops_the_queue_and_the_first_reason_counts(void **state) {
    script_send(ES_EAGAIN, 0);
    assert_int_equal(send_to("a"), 0);
    end->answer = ES_EAGAIN;
    assert_int_equal(send_by("b"), 0);
    el_datagram_abort(&end->datagram, (el_reason_t){ES_ECANCELED, 1});
    el_datagram_abort(&end->datagram, (el_reason_t){ES_EIO, 2});
    el_datagram_close(&end->datagram);
    assert_trace("");
    turns(*state, 1);
    assert_trace("L ");
    assert_int_equal(script.sends, 0);
    assert_int_equal(end->reason.code, ES_ECANCELED);
    assert_int_equal(end->released, 1);
}

static void destroying_calls_nothing(void **state) {
    end->answer = ES_EAGAIN;
    assert_int_equal(send_by("a"), 0);
    el_datagram_close(&end->datagram);
    el_datagram_destroy(&end->datagram);
    el_datagram_destroy(&end->datagram);
    end->lost = true; /* any upcall would be noticed now */
    turns(*state, 2);
    assert_trace("s1 ");
}

static void a_closed_loop_cuts_an_endpoint_off(void **state) {
    end->answer = ES_EAGAIN;
    assert_int_equal(send_by("a"), 0);
    assert_int_equal(el_loop_close(*state), 0);
    assert_null(end->datagram.loop);
    assert_int_equal(send_to("b"), ES_ECANCELED);
    el_datagram_read_start(&end->datagram);
    el_datagram_close(&end->datagram);
    el_datagram_destroy(&end->datagram);
    end->lost = true;
    assert_trace("s1 ");
}

static void a_second_owner_is_refused(void **state) {
    el_datagram_t other;
    assert_int_equal(el_datagram_open(&other, *state, fd, &ops), ES_EBUSY);
    el_datagram_set_owner(&end->datagram, NULL);
    assert_int_equal(el_datagram_open(&other, *state, fd, &ops), 0);
    el_datagram_destroy(&other);
}

/* Everything may go wrong anywhere. */

static void act_close(end_t *self) {
    el_datagram_close(&self->datagram);
}

static void act_abort(end_t *self) {
    el_datagram_abort(&self->datagram, (el_reason_t){ES_ECANCELED, 7});
}

static void act_send(end_t *self) {
    if (script.sends < 100 && self->taken < 50) {
        (void)send_to("act");
        if (self->counts[UP_SEND] < 50) {
            (void)send_by("by act");
        }
    }
}

static void act_water(end_t *self) {
    el_datagram_set_water(&self->datagram, 1, 0);
}

static void act_pause_and_resume(end_t *self) {
    el_datagram_read_stop(&self->datagram);
    el_datagram_read_start(&self->datagram);
}

static void play(el_loop_t *loop) {
    el_datagram_set_water(&end->datagram, 10, 4);
    script_recv(0, 10);
    script_recv(0, 0);
    script_recv(ES_EAGAIN, 0);
    script_recv(ES_ECONNREFUSED, 0);
    script_recv(0, 5);
    script_send(0, SIZE_MAX);
    script_send(ES_EAGAIN, 0);
    for (int i = 0; i < 5; i++) {
        end->answer = i % 2 == 0 ? ES_EAGAIN : 0;
        (void)send_to("0123");
        (void)send_by("4567");
        turns(loop, 1);
    }
    end->answer = 0;
    el_datagram_close(&end->datagram);
    while (!end->lost) {
        turns(loop, 1);
    }
    assert_int_equal(end->counts[UP_LOST], 1);
    assert_int_equal(end->taken, end->released);
    assert_int_equal(end->datagram.queued, 0);
    assert_null(end->datagram.first);
}

static void renew(el_loop_t *loop) {
    end_free(loop);
    script_off();
    end = end_new(loop, fd);
    end->quiet = true;
    script_on();
    script.sender = own;
}

static void the_owner_may_do_anything_in_any_upcall(void **state) {
    static void (*const acts[])(end_t *) = {act_close, act_abort, act_send,
                                            act_stop,  act_water, act_pause_and_resume};
    for (size_t act = 0; act < sizeof acts / sizeof *acts; act++) {
        for (int where = 0; where < UP_COUNT; where++) {
            renew(*state);
            end->act[where] = acts[act];
            play(*state);
        }
    }
}

static void every_call_may_fail_and_the_endpoint_stays_open(void **state) {
    static const int failures[] = {ES_ECONNREFUSED, ES_ECONNRESET, ES_EMSGSIZE,
                                   ES_ENOBUFS,      ES_EIO,        ES_EBADF};
    for (size_t f = 0; f < sizeof failures / sizeof *failures; f++) {
        size_t call = 0;
        do {
            renew(*state);
            script.fail_at = ++call;
            script.fail_code = failures[f];
            play(*state);
            assert_int_equal(end->reason.code, 0); /* the end was close(), whatever failed */
        } while (script.calls >= script.fail_at);
        assert_true(call > 10);
    }
}

/* For real. */

static void datagrams_travel_both_ways(void **state) {
    script_off();
    end_free(*state);
    size_t done;
    (void)es_sock_recv(fd, &(char){0}, 1, &done); /* the one that set_up left */
    end = end_new(*state, fd);
    es_addr_t theirs;
    es_sock_t other = bound_socket(&theirs);
    end_t *mine = end;
    end_t *second = end_new(*state, other);
    assert_int_equal(el_datagram_send(&mine->datagram, "", 0, &theirs), 0);
    turn_until(*state, &second->got);
    assert_int_equal(second->from.size, own.size);
    assert_memory_equal(second->from.storage.bytes, own.storage.bytes, 8); /* family, port, host */
    assert_int_equal(el_datagram_send(&second->datagram, "back", 4, &second->from), 0);
    turn_until(*state, &mine->got);
    assert_trace("r0 r4 ");
    el_datagram_destroy(&second->datagram);
    free(second);
    (void)es_sock_close(other);
}

static void an_endpoint_without_an_address_gets_one_by_sending(void **state) {
    script_off();
    end_free(*state);
    size_t done;
    (void)es_sock_recv(fd, &(char){0}, 1, &done);
    es_sock_t unbound = idle_socket();
    end = end_new(*state, unbound);
    turns(*state, 2);
    assert_int_equal(send_to("hello"), 0);
    es_addr_t from;
    char text[8];
    int code;
    do {
        code = es_sock_recvfrom(fd, text, sizeof text, &done, &from);
    } while (code == ES_EAGAIN);
    assert_int_equal(code, 0);
    assert_int_equal(done, 5);
    assert_int_equal(es_sock_sendto(fd, text, 5, &from, &done), 0);
    turn_until(*state, &end->got);
    assert_trace("r5 ");
    end_free(*state);
    (void)es_sock_close(unbound);
    end = end_new(*state, fd);
}

#define SCRIPTED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPTED(each_datagram_is_one_upcall_empty_ones_too),
        SCRIPTED(a_turn_takes_a_bounded_number),
        SCRIPTED(nothing_is_received_after_reading_was_stopped),
        SCRIPTED(a_failed_receive_is_told_and_reading_goes_on),
        SCRIPTED(a_descriptor_that_is_gone_ends_reading),
        SCRIPTED(a_run_that_is_interrupted_delivers_no_further),
        SCRIPTED(a_datagram_reaches_the_system_before_send_returns),
        SCRIPTED(refused_datagrams_wait_and_go_in_order),
        SCRIPTED(the_marks_count_what_a_datagram_weighs_beside_its_bytes),
        SCRIPTED(lower_marks_pause_at_once),
        SCRIPTED(a_failed_send_is_that_calls_result),
        SCRIPTED(a_failed_queued_datagram_is_told_and_the_rest_goes_on),
        SCRIPTED(a_failure_of_the_last_queued_one_still_resumes),
        SCRIPTED(a_route_is_sent_by_the_owner_now_or_later),
        SCRIPTED(close_sends_what_is_queued_and_receives_nothing),
        SCRIPTED(close_with_a_failing_queue_ends_all_the_same),
        SCRIPTED(abort_drops_the_queue_and_the_first_reason_counts),
        SCRIPTED(destroying_calls_nothing),
        SCRIPTED(a_closed_loop_cuts_an_endpoint_off),
        SCRIPTED(a_second_owner_is_refused),
        SCRIPTED(the_owner_may_do_anything_in_any_upcall),
        SCRIPTED(every_call_may_fail_and_the_endpoint_stays_open),
        SCRIPTED(datagrams_travel_both_ways),
        SCRIPTED(an_endpoint_without_an_address_gets_one_by_sending),
    };
    return cmocka_run_group_tests_name("datagram", tests, NULL, NULL);
}
