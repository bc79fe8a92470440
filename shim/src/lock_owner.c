/* SPDX-License-Identifier: MIT */
/* Owner records: who holds a lock, as lines of text in the locked file, so that a person reads them
 * with `cat`. The lock is the truth and the record a comment: it may be missing, old or foreign,
 * and a reader trusts none of it. Values are percent-encoded where a byte would break a line. The
 * first and the last line frame the record: what follows the last, or lacks it, is no record. */
#include "lock_internal.h"

#include "error_internal.h"

#include <evenshim/memory.h>
#include <evenshim/process.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE "evenshim-lock 1\n"
#define LAST_LINE  "end\n"

/* Three bytes for each byte of the texts, and the rest. */
#define RECORD_BYTES  2048
#define PID_FILE_MODE 0644
#define PID_FLAGS     (ES_LOCK_NOFOLLOW | ES_LOCK_UNLINK_ON_RELEASE | ES__LOCK_COMPAT)

static int refuse(int code, const char *call) {
    return es__refuse(code, ES_OP_LOCK, call);
}

/* ---- Text ---- */

static int is_plain(unsigned char byte) {
    return byte > ' ' && byte != '%' && byte != 0x7f;
}

static size_t encode(char *to, const char *text, size_t text_size) {
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t index = 0; index < text_size && text[index] != '\0'; index++) {
        unsigned char byte = (unsigned char)text[index];

        if (is_plain(byte)) {
            to[at++] = (char)byte;
        } else {
            to[at++] = '%';
            to[at++] = digits[byte >> 4];
            to[at++] = digits[byte & 15];
        }
    }
    to[at] = '\0';
    return at;
}

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Cuts what does not fit and stops at what is not as encode writes it. */
static void decode(char *to, size_t room, const char *text, size_t size) {
    size_t at = 0;

    for (size_t index = 0; index < size && at + 1 < room; index++) {
        if (text[index] != '%') {
            to[at++] = text[index];
            continue;
        }
        if (index + 2 >= size || digit(text[index + 1]) < 0 || digit(text[index + 2]) < 0) {
            break;
        }
        to[at++] = (char)(digit(text[index + 1]) * 16 + digit(text[index + 2]));
        index += 2;
    }
    to[at] = '\0';
}

static size_t write_record(char text[RECORD_BYTES], const es_lock_owner_t *owner) {
    char host[3 * sizeof(owner->host) + 1];
    char boot[3 * sizeof(owner->boot) + 1];
    char command[3 * sizeof(owner->command) + 1];
    int size;

    (void)encode(host, owner->host, sizeof(owner->host));
    (void)encode(boot, owner->boot, sizeof(owner->boot));
    (void)encode(command, owner->command, sizeof(owner->command));
    size = snprintf(text, RECORD_BYTES,
                    FIRST_LINE "pid %" PRId64 "\nbirth %" PRIu64 "\nsince %" PRId64
                               "\nhost %s\nboot %s\ncommand %s\n" LAST_LINE,
                    owner->pid, owner->birth, owner->since_s, host, boot, command);
    assert(size > 0 && size < RECORD_BYTES);
    return (size_t)size;
}

static void read_line(es_lock_owner_t *owner, const char *line, size_t size) {
    const char *space = memchr(line, ' ', size);
    size_t name_size = space != NULL ? (size_t)(space - line) : size;
    const char *value = space != NULL ? space + 1 : line + size;
    size_t value_size = (size_t)(line + size - value);

    if (name_size == 3 && memcmp(line, "pid", 3) == 0) {
        owner->pid = strtoll(value, NULL, 10);
    } else if (name_size == 5 && memcmp(line, "birth", 5) == 0) {
        owner->birth = strtoull(value, NULL, 10);
    } else if (name_size == 5 && memcmp(line, "since", 5) == 0) {
        owner->since_s = strtoll(value, NULL, 10);
    } else if (name_size == 4 && memcmp(line, "host", 4) == 0) {
        decode(owner->host, sizeof(owner->host), value, value_size);
    } else if (name_size == 4 && memcmp(line, "boot", 4) == 0) {
        decode(owner->boot, sizeof(owner->boot), value, value_size);
    } else if (name_size == 7 && memcmp(line, "command", 7) == 0) {
        decode(owner->command, sizeof(owner->command), value, value_size);
    } /* a line of a later version is passed over */
}

/* `text` ends with a zero. 0 or ES_EPROTO. */
static int read_record(const char *text, es_lock_owner_t *owner) {
    const char *line = text + sizeof(FIRST_LINE) - 1;
    const char *end;

    if (strncmp(text, FIRST_LINE, sizeof(FIRST_LINE) - 1) != 0) {
        return ES_EPROTO;
    }
    memset(owner, 0, sizeof(*owner));
    while ((end = strchr(line, '\n')) != NULL) {
        if (strncmp(line, LAST_LINE, sizeof(LAST_LINE) - 1) == 0) {
            return owner->pid > 0 ? 0 : ES_EPROTO;
        }
        read_line(owner, line, (size_t)(end - line));
        line = end + 1;
    }
    return ES_EPROTO;
}

/* ---- The interface ---- */

int es_lock_owner_self(es_lock_owner_t *owner) {
    assert(owner != NULL);
    return es__prim_owner_self(owner);
}

int es_lock_owner_write(es_lock_t *lock, const es_lock_owner_t *owner) {
    char text[RECORD_BYTES];
    es_lock_owner_t self;
    int code;

    if (lock->generation != es_process_generation()) {
        return refuse(ES_EFORKED, "es_lock_owner_write");
    }
    if (lock->kind != ES_LOCK_EXCLUSIVE) {
        return refuse(ES_EBADF, "es_lock_owner_write");
    }
    if (owner == NULL) {
        code = es__prim_owner_self(&self);
        if (code != 0) {
            return code;
        }
        owner = &self;
    }
    return es__prim_lock_write(&lock->hold, text, write_record(text, owner));
}

int es_lock_owner_read(const char *path, es_lock_owner_t *owner) {
    char text[RECORD_BYTES];
    es_lock_owner_t read;
    size_t size = 0;
    int code;

    assert(owner != NULL);
    if (path == NULL || path[0] == '\0') {
        return refuse(ES_EINVAL, "es_lock_owner_read");
    }
    code = es__prim_lock_read(path, text, sizeof(text) - 1, &size);
    if (code != 0) {
        return code;
    }
    text[size] = '\0';
    if (read_record(text, &read) != 0) {
        return refuse(ES_EPROTO, "es_lock_owner_read");
    }
    *owner = read;
    return 0;
}

/* A number is given to a new process once the old one has gone; the birth tells. */
int es_lock_owner_is_alive(const es_lock_owner_t *owner) {
    es_lock_owner_t self;
    uint64_t birth = 0;
    int code = es__prim_owner_self(&self);

    if (code != 0) {
        return code;
    }
    if (strcmp(owner->host, self.host) != 0) {
        return refuse(ES_ENOTSUP, "es_lock_owner_is_alive");
    }
    if (strcmp(owner->boot, self.boot) != 0 || es__prim_process_birth(owner->pid, &birth) != 0) {
        return 0;
    }
    return owner->birth == 0 || birth == 0 || owner->birth == birth;
}

/* Who has it, if the file says so; it may have been released meanwhile. */
static void tell_holder(const char *path, es_lock_owner_t *holder) {
    if (holder != NULL && es_lock_owner_read(path, holder) != 0) {
        memset(holder, 0, sizeof(*holder));
    }
}

int es_pidlock_acquire(const char *path, uint32_t flags, es_lock_owner_t *holder, es_lock_t **out) {
    es_lockfile_t *file = NULL;
    es_lock_t *lock = NULL;
    int code;

    assert(out != NULL);
    if ((flags & ~(uint32_t)PID_FLAGS) != 0) {
        return refuse(ES_EINVAL, "es_pidlock_acquire");
    }
    code = es_lockfile_open(path, flags | ES_LOCK_CREATE, PID_FILE_MODE, &file);
    if (code != 0) {
        return code;
    }
    code = es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock);
    if (code == 0) {
        code = es_lock_owner_write(lock, NULL);
    } else if (code == ES_EAGAIN) {
        tell_holder(path, holder);
    }
    if (code != 0) {
        if (lock != NULL) {
            (void)es_lock_release(lock);
        }
        es_lockfile_close(file);
        return code;
    }
    lock->owns_file = 1;
    *out = lock;
    return 0;
}
