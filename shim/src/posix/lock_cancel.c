/* SPDX-License-Identifier: MIT */
/* What ends a blocking call on Unix: a pipe that becomes readable and stays so. write(2) is allowed
 * in a signal handler. */
#include "lock_posix.h"

#include "error_internal.h"

#include <evenshim/memory.h>
#include <evenshim/pipe.h>

#include <assert.h>
#include <errno.h>

struct es_cancel {
    es_pipe_t read_end;
    es_pipe_t write_end;
};

int es_cancel_open(es_cancel_t **out) {
    es_cancel_t *cancel = es_malloc(sizeof(*cancel));
    int code;

    assert(out != NULL);
    if (cancel == NULL) {
        return es__refuse(ES_ENOMEM, ES_OP_OPEN, "es_cancel_open");
    }
    code = es_pipe_open(&cancel->read_end, &cancel->write_end);
    if (code != 0) {
        es_free(cancel);
        return code;
    }
    *out = cancel;
    return 0;
}

/* A full pipe is readable too. async-signal-safe */
void es_cancel_set(es_cancel_t *cancel) {
    int reason = errno;

    (void)es__sys.write((int)cancel->write_end, "", 1);
    errno = reason;
}

void es_cancel_close(es_cancel_t *cancel) {
    if (cancel != NULL) {
        (void)es_pipe_close(cancel->read_end);
        (void)es_pipe_close(cancel->write_end);
        es_free(cancel);
    }
}

int es__cancel_fd(const es_cancel_t *cancel) {
    return (int)cancel->read_end;
}
