/* SPDX-License-Identifier: MIT */
/* The allocator. One process has one allocator for life, so the tests below run in their order:
 * what may be set, then the first allocation, then what may no longer be set. */
#include "check.h"

#include <evenshim/memory.h>

#include <stdlib.h>
#include <string.h>

typedef struct counted {
    int allocated;
    int zeroed;
    int resized;
    int released;
    size_t size_last;
    int is_empty; /* no memory is left */
} counted_t;

static counted_t counted;

static void *count_allocate(void *context, size_t size) {
    counted_t *seen = context;

    seen->allocated++;
    seen->size_last = size;
    return seen->is_empty ? NULL : malloc(size);
}

static void *count_allocate_zeroed(void *context, size_t count, size_t size) {
    counted_t *seen = context;

    seen->zeroed++;
    seen->size_last = count * size;
    return seen->is_empty ? NULL : calloc(count, size);
}

static void *count_resize(void *context, void *memory, size_t size) {
    counted_t *seen = context;

    seen->resized++;
    seen->size_last = size;
    return seen->is_empty ? NULL : realloc(memory, size);
}

static void count_release(void *context, void *memory) {
    counted_t *seen = context;

    assert_non_null(memory);
    seen->released++;
    free(memory);
}

static const es_allocator_t counting = {
    .context = &counted,
    .allocate = count_allocate,
    .allocate_zeroed = count_allocate_zeroed,
    .resize = count_resize,
    .release = count_release,
};

static void incomplete_allocators_are_refused(void **state) {
    es_allocator_t incomplete = counting;

    (void)state;
    incomplete.allocate = NULL;
    assert_code(es_allocator_set(&incomplete), ES_EINVAL);
    incomplete = counting;
    incomplete.allocate_zeroed = NULL;
    assert_code(es_allocator_set(&incomplete), ES_EINVAL);
    incomplete = counting;
    incomplete.resize = NULL;
    assert_code(es_allocator_set(&incomplete), ES_EINVAL);
    incomplete = counting;
    incomplete.release = NULL;
    assert_code(es_allocator_set(&incomplete), ES_EINVAL);
}

static void it_may_change_until_it_is_used(void **state) {
    es_allocator_t copy = counting;

    (void)state;
    assert_code(es_allocator_set(&counting), 0);
    assert_code(es_allocator_set(NULL), 0);
    assert_code(es_allocator_set(&copy), 0);
    memset(&copy, 0, sizeof(copy)); /* the struct was copied */
    es_free(NULL);
    assert_code(es_allocator_set(&counting), 0);
}

static void every_call_reaches_the_allocator(void **state) {
    void *memory;
    unsigned char *zeroed;

    (void)state;
    memory = es_malloc(100);
    assert_non_null(memory);
    assert_int_equal(counted.allocated, 1);
    assert_int_equal(counted.size_last, 100);
    memset(memory, 1, 100);
    memory = es_realloc(memory, 200);
    assert_non_null(memory);
    assert_int_equal(counted.resized, 1);
    assert_int_equal(((unsigned char *)memory)[99], 1);
    zeroed = es_calloc(10, 20);
    assert_non_null(zeroed);
    assert_int_equal(counted.zeroed, 1);
    for (size_t index = 0; index < 200; index++) {
        assert_int_equal(zeroed[index], 0);
    }
    es_free(memory);
    es_free(zeroed);
    assert_int_equal(counted.released, 2);
}

static void it_is_fixed_once_memory_was_handed_out(void **state) {
    (void)state;
    assert_code(es_allocator_set(NULL), ES_EBUSY);
    assert_code(es_allocator_set(&counting), ES_EBUSY);
}

static void nothing_is_something(void **state) {
    int released = counted.released;
    void *memory = es_malloc(0);

    (void)state;
    assert_non_null(memory);
    assert_true(counted.size_last > 0);
    memory = es_realloc(memory, 0);
    assert_non_null(memory);
    assert_true(counted.size_last > 0);
    assert_int_equal(counted.released, released);
    es_free(memory);
    memory = es_calloc(0, 8);
    assert_non_null(memory);
    assert_true(counted.size_last > 0);
    es_free(memory);
    memory = es_calloc(8, 0);
    assert_non_null(memory);
    es_free(memory);
    memory = es_realloc(NULL, 8);
    assert_non_null(memory);
    es_free(memory);
}

static void overflow_gives_null_without_asking(void **state) {
    int zeroed = counted.zeroed;

    (void)state;
    assert_null(es_calloc(SIZE_MAX, 2));
    assert_null(es_calloc(SIZE_MAX / 2 + 1, 2));
    assert_int_equal(counted.zeroed, zeroed);
}

static void out_of_memory_gives_null_and_keeps_the_old_piece(void **state) {
    char *memory = es_malloc(4);

    (void)state;
    assert_non_null(memory);
    memcpy(memory, "abc", 4);
    counted.is_empty = 1;
    assert_null(es_malloc(4));
    assert_null(es_calloc(4, 4));
    assert_null(es_realloc(memory, 8));
    counted.is_empty = 0;
    assert_string_equal(memory, "abc");
    es_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incomplete_allocators_are_refused),
        cmocka_unit_test(it_may_change_until_it_is_used),
        cmocka_unit_test(every_call_reaches_the_allocator),
        cmocka_unit_test(it_is_fixed_once_memory_was_handed_out),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(overflow_gives_null_without_asking),
        cmocka_unit_test(out_of_memory_gives_null_and_keeps_the_old_piece),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
