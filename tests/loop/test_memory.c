/* SPDX-License-Identifier: MIT */
/* Every allocation of the engine fails once, at every index.
 *
 * What must hold: the call that needed the memory says ES_ENOMEM or the stream ends with it,
 * nothing is lost or released twice (the sanitizers look), and the loop goes on. The allocator
 * is evenshim's, set before anything is allocated.
 */
#include "streams.h"

static size_t allocations;
static size_t fail_at; /* 0: never */
static size_t failures;

static bool fails_now(void) {
    allocations++;
    if (fail_at == 0 || allocations != fail_at) {
        return false;
    }
    failures++;
    return true;
}

static void *allocate(void *context, size_t size) {
    (void)context;
    return fails_now() ? NULL : malloc(size);
}

static void *allocate_zeroed(void *context, size_t count, size_t size) {
    (void)context;
    return fails_now() ? NULL : calloc(count, size);
}

static void *resize(void *context, void *memory, size_t size) {
    (void)context;
    return fails_now() ? NULL : realloc(memory, size);
}

static void release(void *context, void *memory) {
    (void)context;
    free(memory);
}

#define TIMERS 100

typedef struct play {
    el_loop_t loop;
    clock_item_t timers[TIMERS];
    int refused; /* calls that said ES_ENOMEM */
} play_t;

static bool ok(play_t *play, int code) {
    assert_true(code == 0 || code == ES_ENOMEM);
    play->refused += code != 0;
    return code == 0;
}

static void start_timers(play_t *play) {
    for (size_t i = 0; i < TIMERS; i++) {
        play->timers[i].loop = &play->loop;
        (void)ok(play, el_timer_start(&play->loop, &play->timers[i].timer, 1 + i, &clock_item_ops));
    }
    turns(&play->loop, 1);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_false(play->timers[i].timer.scheduled);
    }
}

static void watch_many(play_t *play) {
    es_sock_t fds[20];
    el_poll_t *polls[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = idle_socket();
        if (!ok(play, el_poll_open(&play->loop, fds[i], &polls[i]))) {
            polls[i] = NULL;
        }
    }
    turns(&play->loop, 1);
    for (int i = 0; i < 20; i++) {
        if (polls[i] != NULL) {
            el_poll_close(polls[i]);
        }
        (void)es_sock_close(fds[i]);
    }
    turns(&play->loop, 1);
}

/* To an end that does not read: the system refuses, so copies and lent pieces queue up and the
 * ring grows. */
static void queue_on_stream(play_t *play) {
    size_t saved = fail_at;
    es_sock_t client, server;
    static unsigned char bytes[100000];
    fail_at = 0; /* the helpers have no answer to a failure; they count, though */
    connected_pair(&play->loop, &client, &server);
    fail_at = saved;
    owner_t *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    owner->quiet = true;
    if (ok(play, el_stream_open(&owner->stream, &play->loop, client, &owner_ops))) {
        for (int i = 0; i < 200; i++) {
            int code = i % 2 == 0 ? owner_write_copied(owner, bytes, sizeof bytes)
                                  : owner_write_lent(owner, bytes, sizeof bytes);
            bool went = ok(play, code);
            assert_true(went || owner->stream.reason.code == ES_ENOMEM);
        }
        el_stream_abort(&owner->stream, (el_reason_t){0, 0});
        while (!owner->lost) {
            turns(&play->loop, 1);
        }
    }
    owner_free(owner);
    (void)es_sock_close(client);
    (void)es_sock_close(server);
}

static void on_lost(el_datagram_t *datagram, el_reason_t reason) {
    (void)datagram;
    (void)reason;
}

static int refuse(el_datagram_t *datagram, const void *base, size_t size, void *route) {
    (void)datagram;
    (void)base;
    (void)size;
    (void)route;
    return ES_EAGAIN;
}

static void on_release(el_datagram_t *datagram, void *route) {
    (void)datagram;
    (*(size_t *)route)++;
}

static void on_flow(el_datagram_t *datagram) {
    (void)datagram;
}

/* A queue of datagrams that nobody takes: each is queued whole, or refused and forgotten. */
static void queue_datagrams(play_t *play) {
    static const el_datagram_ops_t ops = {.send = refuse,
                                          .release = on_release,
                                          .pause_writing = on_flow,
                                          .resume_writing = on_flow,
                                          .lost = on_lost};
    el_datagram_t datagram;
    size_t released = 0;
    size_t kept = 0;
    es_sock_t fd = idle_socket();
    if (ok(play, el_datagram_open(&datagram, &play->loop, fd, &ops))) {
        for (int i = 0; i < 10; i++) {
            bool taken;
            (void)ok(play, el_datagram_send_by(&datagram, "bytes", 5, &released, &taken));
            kept += taken;
        }
        assert_int_equal(datagram.queued, kept * 5);
        el_datagram_abort(&datagram, (el_reason_t){0, 0});
        assert_int_equal(released, kept);
        turns(&play->loop, 1);
    }
    (void)es_sock_close(fd);
}

static size_t play_once(size_t failing) {
    static play_t play;
    memset(&play, 0, sizeof play);
    allocations = 0;
    failures = 0;
    fail_at = failing;
    if (ok(&play, el_loop_init(&play.loop, NULL, NULL))) {
        start_timers(&play);
        watch_many(&play);
        queue_on_stream(&play);
        queue_datagrams(&play);
        assert_int_equal(el_loop_close(&play.loop), 0);
    }
    fail_at = 0;
    return failures;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    assert_int_equal(play_once(0), 0);
    size_t count = allocations;
    assert_true(count > 40);
    for (size_t i = 1; i <= count; i++) {
        (void)play_once(i);
    }
}

int main(void) {
    static const es_allocator_t allocator = {NULL, allocate, allocate_zeroed, resize, release};
    if (es_allocator_set(&allocator) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
