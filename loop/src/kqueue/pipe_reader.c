/* SPDX-License-Identifier: MIT */
/* What the write end of a FIFO can learn of its readers on macOS and the BSDs.
 *
 * A pipe of pipe(2), which has no name and so no links, tells that its reader has gone. A named FIFO
 * reports what nobody has read yet and never that end (python/cpython gh-145030): there the next
 * write tells.
 */
#include "../internal.h"

#include <sys/stat.h>

bool el__os_tells_of_readers(const struct stat *status) {
    return status->st_nlink == 0;
}
