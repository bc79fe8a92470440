/* SPDX-License-Identifier: MIT */
/* What the socket and the pipe leaf share: lengths that a kernel takes in one call. */
#ifndef EVENSHIM_SRC_POSIX_IO_H
#define EVENSHIM_SRC_POSIX_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "prim/kernel.h"
#include "prim/socket.h"

_Static_assert(sizeof(es_iov_t) == sizeof(struct iovec), "es_iov_t is a struct iovec");
_Static_assert(offsetof(es_iov_t, base) == offsetof(struct iovec, iov_base), "same layout");
_Static_assert(offsetof(es_iov_t, size) == offsetof(struct iovec, iov_len), "same layout");

static inline size_t es__io_size(size_t size) {
    return size < ES__IO_BYTES_MAX ? size : ES__IO_BYTES_MAX;
}

/* How many of the pieces one call may take: at most ES_IOV_MAX, and so many that their sum stays
 * within ES__IO_BYTES_MAX. 0: the first alone is too long. Where the kernel has no such limit the
 * compiler drops the loop. */
static inline size_t es__io_pieces(const es_iov_t *iov, size_t iov_count) {
    size_t count = iov_count < ES_IOV_MAX ? iov_count : ES_IOV_MAX;
    size_t room = ES__IO_BYTES_MAX;

    if (ES__IO_BYTES_MAX == SIZE_MAX) {
        return count;
    }
    for (size_t index = 0; index < count; index++) {
        if (iov[index].size > room) {
            return index;
        }
        room -= iov[index].size;
    }
    return count;
}

#endif
