/* SPDX-License-Identifier: MIT */
/* Other threads and the lock: posting, waking, the hooks around a wait, and the signal pipe.
 *
 * The hooks here keep a real mutex, so the thread sanitizer sees what the engine does without
 * it. What is hard is the moment between deciding to wait and waiting; the posting test goes
 * through it some ten thousand times.
 */
#include "support.h"

#define THREADS    8
#define POSTS_EACH 5000

typedef struct state {
    el_loop_t loop;
    uv_mutex_t lock;
    int before_count;
    int after_count;
    bool refuse;
    bool held;
    unsigned char signals[4096];
    size_t signal_count;
} state_t;

static bool before_block(void *ctx) {
    state_t *state = ctx;
    assert_true(state->held);
    if (state->refuse) {
        return false;
    }
    state->before_count++;
    state->held = false;
    uv_mutex_unlock(&state->lock);
    return true;
}

static void after_block(void *ctx) {
    state_t *state = ctx;
    uv_mutex_lock(&state->lock);
    assert_false(state->held);
    state->held = true;
    state->after_count++;
    assert_int_equal(state->before_count, state->after_count);
}

static void on_signals(void *ctx, const unsigned char *signums, size_t count) {
    state_t *state = ctx;
    assert_true(state->held);
    assert_true(state->signal_count + count <= sizeof state->signals);
    memcpy(state->signals + state->signal_count, signums, count);
    state->signal_count += count;
}

static int set_up(void **out) {
    static const el_hooks_t hooks = {before_block, after_block, on_signals};
    state_t *state = calloc(1, sizeof *state);
    if (state == NULL || uv_mutex_init(&state->lock) != 0) {
        return -1;
    }
    uv_mutex_lock(&state->lock);
    state->held = true;
    trace_clear();
    *out = state;
    return el_loop_init(&state->loop, &hooks, state);
}

static int tear_down(void **out) {
    state_t *state = *out;
    int code = el_loop_close(&state->loop);
    assert_int_equal(state->before_count, state->after_count);
    uv_mutex_unlock(&state->lock);
    uv_mutex_destroy(&state->lock);
    free(state);
    return code;
}

/* Posting. */

typedef struct poster {
    state_t *state;
    int number;
    int seen; /* the loop's side */
    int *total;
    item_t *items;
    int refused;
} poster_t;

static void count_post(item_t *item) {
    poster_t *poster = item->ctx;
    assert_true(poster->state->held);
    /* Order is kept per thread. */
    assert_ptr_equal(item, &poster->items[poster->seen]);
    poster->seen++;
    if (++*poster->total == THREADS * POSTS_EACH) {
        el_loop_stop(item->loop);
    }
}

static void post_many(void *argument) {
    poster_t *poster = argument;
    for (int i = 0; i < POSTS_EACH; i++) {
        item_t *item = &poster->items[i];
        item->ready.ops = &item_ops;
        item->loop = &poster->state->loop;
        item->ctx = poster;
        item->act = count_post;
        poster->refused |= el_loop_post(&poster->state->loop, &item->ready);
        if (i % 97 == 0) {
            uv_sleep(0); /* lets the loop fall asleep now and then */
        }
    }
}

static void posts_from_eight_threads_all_arrive_each_threads_in_order(void **out) {
    state_t *state = *out;
    uv_thread_t threads[THREADS];
    poster_t posters[THREADS];
    int total = 0;
    for (int i = 0; i < THREADS; i++) {
        item_t *items = calloc(POSTS_EACH, sizeof *items);
        assert_non_null(items);
        posters[i] = (poster_t){state, i, 0, &total, items, 0};
        assert_int_equal(uv_thread_create(&threads[i], post_many, &posters[i]), 0);
    }
    assert_int_equal(el_loop_run(&state->loop), 0);
    assert_int_equal(total, THREADS * POSTS_EACH);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_int_equal(posters[i].seen, POSTS_EACH);
        assert_int_equal(posters[i].refused, 0);
        free(posters[i].items);
    }
}

static void stop_loop(item_t *item) {
    el_loop_stop(item->loop);
}

static void a_post_from_the_loops_own_thread_runs_in_the_next_turn(void **out) {
    state_t *state = *out;
    item_t item = {.ready.ops = &item_ops, .loop = &state->loop, .name = "p", .act = stop_loop};
    assert_int_equal(el_loop_post(&state->loop, &item.ready), 0);
    assert_int_equal(el_loop_run(&state->loop), 0);
    assert_trace("p");
    assert_int_equal(state->before_count, 0); /* it never slept */
}

/* Waking. */

/* Waits for the loop to give the lock up: then it waits, or is about to. */
static void wait_for_block(state_t *state) {
    for (;;) {
        uv_mutex_lock(&state->lock);
        bool blocked = state->loop.blocked;
        uv_mutex_unlock(&state->lock);
        if (blocked) {
            return;
        }
        uv_sleep(0);
    }
}

static void wake_loop(void *argument) {
    state_t *state = argument;
    wait_for_block(state);
    el_loop_wake(&state->loop);
}

static void a_wake_ends_the_wait_of_a_loop_with_nothing_else_to_do(void **out) {
    state_t *state = *out;
    uv_thread_t thread;
    assert_int_equal(uv_thread_create(&thread, wake_loop, state), 0);
    assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(state->after_count, 1);
}

static void a_wake_before_the_poll_makes_it_not_wait_once(void **out) {
    state_t *state = *out;
    el_loop_wake(&state->loop);
    el_loop_wake(&state->loop);
    assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    assert_int_equal(state->before_count, 0);
    assert_int_equal(el_loop_turn(&state->loop, 1000000), 0);
    assert_int_equal(state->before_count, 1);
}

static void stop_from_thread(void *argument) {
    state_t *state = argument;
    wait_for_block(state);
    uv_mutex_lock(&state->lock);
    el_loop_stop(&state->loop);
    uv_mutex_unlock(&state->lock);
}

static void a_stop_from_another_thread_ends_the_run(void **out) {
    state_t *state = *out;
    uv_thread_t thread;
    assert_int_equal(uv_thread_create(&thread, stop_from_thread, state), 0);
    assert_int_equal(el_loop_run(&state->loop), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
}

static clock_item_t foreign_timer;

static void set_timer_from_thread(void *argument) {
    state_t *state = argument;
    wait_for_block(state);
    uv_mutex_lock(&state->lock);
    clock_item_start(&state->loop, &foreign_timer, "t", 1);
    uv_mutex_unlock(&state->lock);
}

static void a_timer_set_by_mistake_from_another_thread_is_not_overslept(void **out) {
    state_t *state = *out;
    uv_thread_t thread;
    memset(&foreign_timer, 0, sizeof foreign_timer);
    assert_int_equal(uv_thread_create(&thread, set_timer_from_thread, state), 0);
    while (foreign_timer.runs == 0) {
        assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    }
    assert_int_equal(uv_thread_join(&thread), 0);
}

static void on_foreign_poll(el_poll_t *poll, void *ctx) {
    (void)ctx;
    el_poll_clear(poll, EL_WRITE);
    el_loop_stop(el_poll_loop(poll));
}

typedef struct watching {
    state_t *state;
    es_sock_t fd;
    el_poll_t *poll;
} watching_t;

static void watch_from_thread(void *argument) {
    watching_t *watching = argument;
    state_t *state = watching->state;
    wait_for_block(state);
    uv_mutex_lock(&state->lock);
    assert_int_equal(el_poll_open(&state->loop, watching->fd, &watching->poll), 0);
    el_poll_set(watching->poll, EL_WRITE, on_foreign_poll, NULL);
    uv_mutex_unlock(&state->lock);
}

static void unwatch_from_thread(void *argument) {
    watching_t *watching = argument;
    state_t *state = watching->state;
    wait_for_block(state);
    uv_mutex_lock(&state->lock);
    el_poll_clear(watching->poll, EL_READ);
    el_poll_close(watching->poll);
    el_loop_stop(&state->loop);
    uv_mutex_unlock(&state->lock);
}

static void a_watcher_from_another_thread_works_though_libuv_is_asked_later(void **out) {
    state_t *state = *out;
    uv_thread_t thread;
    watching_t watching = {state, idle_socket(), NULL};
    assert_int_equal(uv_thread_create(&thread, watch_from_thread, &watching), 0);
    assert_int_equal(el_loop_run(&state->loop), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    el_poll_set(watching.poll, EL_READ, on_foreign_poll, NULL);
    assert_int_equal(uv_thread_create(&thread, unwatch_from_thread, &watching), 0);
    assert_int_equal(el_loop_run(&state->loop), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_null(el_poll_find(&state->loop, watching.fd));
    turns(&state->loop, 2);
    assert_int_equal(es_sock_close(watching.fd), 0);
}

/* Hooks. */

static void push_three_times(item_t *item) {
    if (item->runs < 3) {
        item_push(item->loop, item, "a", push_three_times);
    }
}

static void the_lock_is_given_back_only_around_a_wait(void **out) {
    state_t *state = *out;
    item_t item = {.ctx = state};
    item_push(&state->loop, &item, "a", push_three_times);
    turns(&state->loop, 1);
    assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0); /* an item is still queued */
    assert_int_equal(el_loop_turn(&state->loop, 0), 0);
    assert_trace("aaa");
    assert_int_equal(state->before_count, 0);
    assert_int_equal(el_loop_turn(&state->loop, 1000000), 0);
    assert_int_equal(state->before_count, 1);
    assert_int_equal(state->after_count, 1);
}

static void a_refused_wait_polls_without_waiting(void **out) {
    state_t *state = *out;
    state->refuse = true;
    assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    assert_int_equal(state->before_count, 0);
    assert_false(state->loop.blocked);
    state->refuse = false;
    assert_int_equal(el_loop_turn(&state->loop, 1000000), 0);
    assert_int_equal(state->after_count, 1);
}

static void check_held(el_poll_t *poll, void *ctx) {
    state_t *state = ctx;
    assert_true(state->held);
    assert_false(state->loop.blocked);
    trace("p");
    el_poll_clear(poll, EL_WRITE);
}

static void the_lock_is_back_before_the_first_of_many_callbacks_and_taken_once(void **out) {
    state_t *state = *out;
    es_sock_t fds[3];
    el_poll_t *polls[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = idle_socket();
        assert_int_equal(el_poll_open(&state->loop, fds[i], &polls[i]), 0);
        el_poll_set(polls[i], EL_WRITE, check_held, state);
    }
    while (strcmp(trace_text, "ppp") != 0) {
        assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    }
    assert_true(state->after_count <= 3);
    for (int i = 0; i < 3; i++) {
        el_poll_close(polls[i]);
        assert_int_equal(es_sock_close(fds[i]), 0);
    }
}

/* Signals. */

static void write_signal(int fd, unsigned char number) {
    uv_fs_t request;
    uv_buf_t buffer = uv_buf_init((char *)&number, 1);
    assert_int_equal(uv_fs_write(NULL, &request, fd, &buffer, 1, -1, NULL), 1);
    uv_fs_req_cleanup(&request);
}

static void bytes_written_to_the_signal_fd_arrive_in_order(void **out) {
    state_t *state = *out;
    int fd, again;
    assert_int_equal(el_loop_signal_fd(&state->loop, &fd), 0);
    assert_int_equal(el_loop_signal_fd(&state->loop, &again), 0);
    assert_int_equal(fd, again);
    for (unsigned char i = 0; i < 200; i++) {
        write_signal(fd, i);
    }
    while (state->signal_count < 200) {
        assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    }
    for (unsigned char i = 0; i < 200; i++) {
        assert_int_equal(state->signals[i], i);
    }
}

static void signal_from_thread(void *argument) {
    state_t *state = argument;
    wait_for_block(state);
    write_signal(state->loop.signal_fd, 2);
}

static void a_signal_wakes_a_waiting_loop(void **out) {
    state_t *state = *out;
    uv_thread_t thread;
    int fd;
    assert_int_equal(el_loop_signal_fd(&state->loop, &fd), 0);
    assert_int_equal(uv_thread_create(&thread, signal_from_thread, state), 0);
    while (state->signal_count == 0) {
        assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    }
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(state->signals[0], 2);
}

static void push_for_ever(item_t *item) {
    state_t *state = item->ctx;
    if (state->signal_count == 0) {
        item_push(item->loop, item, NULL, push_for_ever);
    }
}

static void a_signal_gets_through_to_a_loop_that_never_waits(void **out) {
    state_t *state = *out;
    int fd;
    static item_t item; /* still queued when the test ends */
    item.ctx = state;
    assert_int_equal(el_loop_signal_fd(&state->loop, &fd), 0);
    write_signal(fd, 15);
    item_push(&state->loop, &item, NULL, push_for_ever);
    while (state->signal_count == 0) {
        assert_int_equal(el_loop_turn(&state->loop, EL_NEVER), 0);
    }
    assert_int_equal(state->before_count, 0);
}

/* Posting and waking while the loop is closed. */

typedef struct racer {
    el_loop_t *loop;
    atomic_int *begun;
    item_t *items;
    int accepted;
    int ended; /* run or dropped */
    int refusal;
} racer_t;

static void end_racing_item(el_loop_t *loop, el_ready_t *ready) {
    (void)loop;
    racer_t *racer = el__container(ready, item_t, ready)->ctx;
    racer->ended++;
}

static const el_ready_ops_t racing_ops = {end_racing_item, end_racing_item};

static void post_until_refused(void *argument) {
    racer_t *racer = argument;
    for (int i = 0; racer->refusal == 0 && i < THREADS * POSTS_EACH; i++) {
        item_t *item = &racer->items[i];
        item->ready.ops = &racing_ops;
        item->ctx = racer;
        racer->refusal = el_loop_post(racer->loop, &item->ready);
        racer->accepted += racer->refusal == 0;
        el_loop_wake(racer->loop);
        if (i == 50) {
            (void)atomic_fetch_add(racer->begun, 1);
        }
        /* On a busy machine the close may be long in coming: half of the items are kept for it. */
        if (i % 29 == 0 || i > THREADS * POSTS_EACH / 2) {
            uv_sleep(i > THREADS * POSTS_EACH / 2);
        }
    }
}

static void posts_that_race_with_close_are_dropped_or_refused_and_none_is_lost(void **out) {
    state_t *state = *out;
    uv_thread_t threads[THREADS];
    racer_t racers[THREADS];
    atomic_int begun = 0;
    for (int i = 0; i < THREADS; i++) {
        item_t *items = calloc((size_t)THREADS * POSTS_EACH, sizeof *items);
        assert_non_null(items);
        racers[i] = (racer_t){.loop = &state->loop, .begun = &begun, .items = items};
        assert_int_equal(uv_thread_create(&threads[i], post_until_refused, &racers[i]), 0);
    }
    while (atomic_load(&begun) < THREADS) {
        assert_int_equal(el_loop_turn(&state->loop, 0), 0);
    }
    assert_int_equal(el_loop_close(&state->loop), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_join(&threads[i]), 0);
        assert_int_equal(racers[i].refusal, ES_ECANCELED);
        assert_true(racers[i].accepted > 50);
        assert_int_equal(racers[i].ended, racers[i].accepted);
        free(racers[i].items);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(posts_from_eight_threads_all_arrive_each_threads_in_order),
        TEST(a_post_from_the_loops_own_thread_runs_in_the_next_turn),
        TEST(a_wake_ends_the_wait_of_a_loop_with_nothing_else_to_do),
        TEST(a_wake_before_the_poll_makes_it_not_wait_once),
        TEST(a_stop_from_another_thread_ends_the_run),
        TEST(a_timer_set_by_mistake_from_another_thread_is_not_overslept),
        TEST(a_watcher_from_another_thread_works_though_libuv_is_asked_later),
        TEST(the_lock_is_given_back_only_around_a_wait),
        TEST(a_refused_wait_polls_without_waiting),
        TEST(the_lock_is_back_before_the_first_of_many_callbacks_and_taken_once),
        TEST(bytes_written_to_the_signal_fd_arrive_in_order),
        TEST(a_signal_wakes_a_waiting_loop),
        TEST(a_signal_gets_through_to_a_loop_that_never_waits),
        TEST(posts_that_race_with_close_are_dropped_or_refused_and_none_is_lost),
    };
#undef TEST
    return cmocka_run_group_tests_name("wake", tests, NULL, NULL);
}
