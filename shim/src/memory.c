/* SPDX-License-Identifier: MIT */
/* Owns the process's one allocator. It guarantees that the allocator never changes once memory has
 * been handed out, so that no piece is freed by a stranger. Only a program that stores to
 * `allocator` without moving `state` first could break that. */
#include <evenshim/error.h>
#include <evenshim/memory.h>

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static void *allocate_default(void *context, size_t size) {
    (void)context;
    return malloc(size);
}

static void *allocate_zeroed_default(void *context, size_t count, size_t size) {
    (void)context;
    return calloc(count, size);
}

static void *resize_default(void *context, void *memory, size_t size) {
    (void)context;
    return realloc(memory, size);
}

static void release_default(void *context, void *memory) {
    (void)context;
    free(memory);
}

static const es_allocator_t allocator_default = {
    .context = NULL,
    .allocate = allocate_default,
    .allocate_zeroed = allocate_zeroed_default,
    .resize = resize_default,
    .release = release_default,
};

/* OPEN: may be replaced. SETTING: one thread is copying the struct, which takes no system call, so
 * others spin. IN_USE: fixed for ever. */
enum { OPEN, SETTING, IN_USE };

static atomic_int state = OPEN;
static es_allocator_t allocator = {
    .context = NULL,
    .allocate = allocate_default,
    .allocate_zeroed = allocate_zeroed_default,
    .resize = resize_default,
    .release = release_default,
};

static int is_complete(const es_allocator_t *candidate) {
    return candidate->allocate != NULL && candidate->allocate_zeroed != NULL &&
           candidate->resize != NULL && candidate->release != NULL;
}

int es_allocator_set(const es_allocator_t *candidate) {
    const es_allocator_t *wanted = candidate != NULL ? candidate : &allocator_default;
    int expected = OPEN;

    if (!is_complete(wanted)) {
        return ES_EINVAL;
    }
    while (!atomic_compare_exchange_weak(&state, &expected, SETTING)) {
        if (expected == IN_USE) {
            return ES_EBUSY;
        }
        expected = OPEN;
    }
    allocator = *wanted;
    atomic_store(&state, OPEN);
    return 0;
}

static const es_allocator_t *use_allocator(void) {
    int expected;

    if (atomic_load_explicit(&state, memory_order_acquire) == IN_USE) {
        return &allocator;
    }
    do {
        expected = OPEN;
    } while (!atomic_compare_exchange_weak(&state, &expected, IN_USE) && expected != IN_USE);
    return &allocator;
}

void *es_malloc(size_t size) {
    const es_allocator_t *used = use_allocator();

    return used->allocate(used->context, size != 0 ? size : 1);
}

void *es_calloc(size_t count, size_t size) {
    const es_allocator_t *used = use_allocator();

    if (count == 0 || size == 0) {
        count = 1;
        size = 1;
    }
    if (count > SIZE_MAX / size) {
        return NULL;
    }
    return used->allocate_zeroed(used->context, count, size);
}

void *es_realloc(void *memory, size_t size) {
    const es_allocator_t *used = use_allocator();

    return used->resize(used->context, memory, size != 0 ? size : 1);
}

void es_free(void *memory) {
    if (memory != NULL) {
        const es_allocator_t *used = use_allocator();

        used->release(used->context, memory);
    }
}
