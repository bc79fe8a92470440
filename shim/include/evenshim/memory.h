/* SPDX-License-Identifier: MIT */
/* Memory: one replaceable allocator for everything that evenshim, and a loop built on it,
 * allocates.
 *
 * The C library's allocator serves unless a program sets its own before the first allocation. Once
 * memory has been handed out the allocator stays for the life of the process: memory is always
 * freed by the allocator that made it.
 *
 * Thread safety: any thread.
 */
#ifndef EVENSHIM_MEMORY_H
#define EVENSHIM_MEMORY_H

#include <stddef.h>

#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The four functions of an allocator, with the C library's meaning; each must be set and callable
 * from any thread. They are never called with a size of 0, nor `release` with NULL. Memory must be
 * aligned for any type. */
typedef struct es_allocator {
    void *context; /* given back to each function; evenshim does not look at it */
    void *(*allocate)(void *context, size_t size);
    void *(*allocate_zeroed)(void *context, size_t count,
                             size_t size);                     /* count * size does not overflow */
    void *(*resize)(void *context, void *memory, size_t size); /* memory may be NULL */
    void (*release)(void *context, void *memory);
} es_allocator_t;

/* Replaces the allocator; the struct is copied. NULL brings the C library's back.
 * 0, ES_EINVAL (a function is missing), or ES_EBUSY (memory has been handed out already). */
ES_API int es_allocator_set(const es_allocator_t *allocator);

/* As the C library's, with three promises: a size of 0 gives memory of its own, not NULL; es_calloc
 * gives NULL when count * size overflows; es_realloc never frees: a size of 0 shrinks to the
 * smallest piece. NULL means no memory, and the old piece is untouched. */
ES_API void *es_malloc(size_t size);
ES_API void *es_calloc(size_t count, size_t size);
ES_API void *es_realloc(void *memory, size_t size);

/* Frees; NULL is allowed. */
ES_API void es_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
