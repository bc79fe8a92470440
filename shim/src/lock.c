/* SPDX-License-Identifier: MIT */
/* Lock files and locks: their making, the calls that do not wait, and the end of both. It
 * guarantees that a lock object has an open file of its own (so that two objects exclude each
 * other), that nothing is held after a failure, and that a forked child touches no lock. A hold
 * that never had a lock is kept for the next try: its close would wake every waiter for nothing. */
#include "lock_internal.h"

#include "error_internal.h"

#include <evenshim/memory.h>
#include <evenshim/process.h>

#include <assert.h>
#include <string.h>

#define OPEN_FLAGS                                                                                 \
    (ES_LOCK_CREATE | ES_LOCK_READONLY | ES_LOCK_NOFOLLOW | ES_LOCK_FAIR | ES__LOCK_COMPAT |       \
     ES_LOCK_UNLINK_ON_RELEASE)
#define WRAP_FLAGS (ES_LOCK_READONLY | ES_LOCK_FAIR | ES__LOCK_COMPAT | ES_LOCK_ADOPT)

/* So often may the file be replaced under a waiter before it gives up. */
#define REPLACED_TIMES_MAX 100

static const es__bytes_t everything = {0, 0};

static int refuse(int code, const char *call) {
    return es__refuse(code, ES_OP_LOCK, call);
}

static int is_foreign(uint32_t generation) {
    return generation != es_process_generation();
}

static int are_flags_sound(uint32_t flags, uint32_t known) {
    uint32_t compat = flags & ES__LOCK_COMPAT;

    if ((flags & ~known) != 0 || (compat & (compat - 1)) != 0) {
        return 0;
    }
    return (flags & ES_LOCK_READONLY) == 0 ||
           (flags & (ES_LOCK_CREATE | ES_LOCK_UNLINK_ON_RELEASE)) == 0;
}

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = es_malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static es_lockfile_t *make_file(uint32_t flags, int mode, const char *path) {
    es_lockfile_t *file = es_calloc(1, sizeof(*file));

    if (file == NULL) {
        return NULL;
    }
    file->path = path != NULL ? copy_text(path) : NULL;
    if (path != NULL && file->path == NULL) {
        es_free(file);
        return NULL;
    }
    atomic_init(&file->references, 1);
    atomic_init(&file->spare, 0);
    file->flags = flags;
    file->mode = mode;
    file->base = ES__NATIVE_NONE;
    file->generation = es_process_generation();
    return file;
}

/* The close of an adopted descriptor's copy tells nobody that a lock was freed. */
static void free_lock(es_lock_t *lock) {
    if (lock->heir.native != ES__NATIVE_NONE) {
        es__prim_hold_close(&lock->heir);
    }
    if (lock->hold.native != ES__NATIVE_NONE) {
        if (lock->hold.is_adopted && lock->was_held && !is_foreign(lock->generation)) {
            es__prim_lock_announce(&lock->hold);
        }
        es__prim_hold_close(&lock->hold);
    }
    es_free(lock);
}

static void drop_file(es_lockfile_t *file) {
    uintptr_t spare;

    if (atomic_fetch_sub(&file->references, 1) != 1) {
        return;
    }
    spare = atomic_exchange(&file->spare, 0);
    if (spare != 0) {
        free_lock((es_lock_t *)spare);
    }
    if (file->base != ES__NATIVE_NONE) {
        es__prim_lock_close(file->base);
    }
    es_free(file->path);
    es_free(file);
}

static int finish_open(es_lockfile_t *file, int code, es_lockfile_t **out) {
    if (code == 0) {
        code = es__prim_lock_identity(file->base, &file->identity);
    }
    if (code == 0 && (file->flags & ES_LOCK_UNLINK_ON_RELEASE) != 0) {
        es__prim_lock_close(file->base); /* an open handle keeps a removed file's name on Windows */
        file->base = ES__NATIVE_NONE;
    }
    if (code != 0) {
        drop_file(file);
        return code;
    }
    *out = file;
    return 0;
}

int es_lockfile_open(const char *path, uint32_t flags, int mode, es_lockfile_t **out) {
    es_lockfile_t *file;

    assert(out != NULL);
    if (path == NULL || path[0] == '\0' || !are_flags_sound(flags, OPEN_FLAGS)) {
        return refuse(ES_EINVAL, "es_lockfile_open");
    }
    file = make_file(flags, mode, path);
    if (file == NULL) {
        return refuse(ES_ENOMEM, "es_lockfile_open");
    }
    return finish_open(file, es__prim_lock_open(path, flags, mode, &file->base), out);
}

int es_lockfile_wrap(intptr_t descriptor, uint32_t flags, es_lockfile_t **out) {
    es_lockfile_t *file;

    assert(out != NULL);
    if (!are_flags_sound(flags, WRAP_FLAGS)) {
        return refuse(ES_EINVAL, "es_lockfile_wrap");
    }
    file = make_file(flags, 0, NULL);
    if (file == NULL) {
        return refuse(ES_ENOMEM, "es_lockfile_wrap");
    }
    return finish_open(file, es__prim_lock_wrap(descriptor, flags, &file->base), out);
}

int es_lockfile_unlock(es_lockfile_t *file) {
    es__hold_t hold = {.is_adopted = 1};
    int code;

    assert(file != NULL);
    if ((file->flags & ES_LOCK_ADOPT) == 0) {
        return refuse(ES_EINVAL, "es_lockfile_unlock");
    }
    if (is_foreign(file->generation)) {
        return refuse(ES_EFORKED, "es_lockfile_unlock");
    }
    hold.native = file->base;
    hold.is_flock = (file->flags & ES_LOCK_COMPAT_FLOCK) != 0;
    code = es__prim_lock_free(&hold, everything);
    es__prim_lock_announce(&hold);
    return code;
}

int es_lockfile_caps(const es_lockfile_t *file, uint32_t *caps) {
    assert(file != NULL && caps != NULL);
    return file->base != ES__NATIVE_NONE ? es__prim_lock_caps(file->base, caps)
                                         : es__prim_lock_caps_at(file->path, caps);
}

int es_lock_probe_fs(const char *path, uint32_t *caps) {
    assert(caps != NULL);
    if (path == NULL || path[0] == '\0') {
        return refuse(ES_EINVAL, "es_lock_probe_fs");
    }
    return es__prim_lock_caps_at(path, caps);
}

void es_lockfile_close(es_lockfile_t *file) {
    if (file != NULL) {
        drop_file(file);
    }
}

static int check_new(const es_lockfile_t *file, es_lock_kind_t kind) {
    if (is_foreign(file->generation)) {
        return refuse(ES_EFORKED, "es_lock_acquire");
    }
    if (kind != ES_LOCK_SHARED && kind != ES_LOCK_EXCLUSIVE) {
        return refuse(ES_EINVAL, "es_lock_acquire");
    }
    if (kind == ES_LOCK_EXCLUSIVE && (file->flags & ES_LOCK_READONLY) != 0) {
        return refuse(ES_EBADF, "es_lock_acquire");
    }
    return 0;
}

int es__lock_new(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                 es_lock_t **out) {
    int code = check_new(file, kind);
    es_lock_t *lock;

    if (code != 0) {
        return code;
    }
    lock = (es_lock_t *)atomic_exchange(&file->spare, 0);
    if (lock == NULL) {
        lock = es_calloc(1, sizeof(*lock));
        if (lock == NULL) {
            return refuse(ES_ENOMEM, "es_lock_acquire");
        }
        lock->hold.native = ES__NATIVE_NONE;
        lock->heir.native = ES__NATIVE_NONE;
    }
    lock->file = file;
    lock->wanted = kind;
    lock->generation = file->generation;
    code = es__lock_lay_out(lock, range);
    if (code != 0) {
        free_lock(lock);
        return refuse(code, "es_lock_acquire");
    }
    atomic_fetch_add(&file->references, 1);
    *out = lock;
    return 0;
}

/* The compatible modes hold nothing while they wait, so there the adopted descriptor may wait
 * itself. The protocol's doors must go with their process, and are never its. */
static int open_hold(es_lock_t *lock) {
    const es_lockfile_t *file = lock->file;
    int is_adopting = (file->flags & ES_LOCK_ADOPT) != 0;

    lock->hold_serial++;
    lock->hold.is_flock = (file->flags & ES_LOCK_COMPAT_FLOCK) != 0;
    if (is_adopting && (file->flags & ES__LOCK_COMPAT) != 0) {
        return es__prim_hold_adopt(file->base, &lock->hold);
    }
    if (is_adopting && lock->heir.native == ES__NATIVE_NONE) {
        int code = es__prim_hold_adopt(file->base, &lock->heir);

        if (code != 0) {
            return code;
        }
    }
    return es__prim_hold_open(file->base, file->path, file->flags, file->mode, &lock->hold);
}

/* After ES_EAGAIN, which may be due to what the adopted descriptor has of old: tries to turn that
 * into what is wanted, or, to wait, frees it. */
static int replace(es_lock_t *lock) {
    es__hold_t *adopted = lock->hold.is_adopted ? &lock->hold : &lock->heir;
    int code = lock->hold.is_adopted ? ES_EAGAIN : es__lock_inherit(lock);

    if (code != ES_EAGAIN || !lock->is_queued) {
        return code;
    }
    lock->has_yielded = 1;
    code = es__prim_lock_free(adopted, everything);
    es__prim_lock_announce(adopted);
    return code == 0 ? es__lock_advance(lock) : code;
}

/* Whether the path names another file now, or none. */
static int is_replaced(const es_lock_t *lock) {
    es__identity_t held;
    es__identity_t named;

    if (es__prim_lock_identity(lock->hold.native, &held) != 0 || held.link_count == 0 ||
        es__prim_lock_identity_at(lock->file->path, &named) != 0) {
        return 1;
    }
    return held.volume != named.volume || held.file[0] != named.file[0] ||
           held.file[1] != named.file[1];
}

static void close_hold(es_lock_t *lock) {
    es__prim_hold_close(&lock->hold);
    lock->hold.native = ES__NATIVE_NONE;
    lock->held = 0;
    lock->kind = 0;
    lock->was_held = 0;
}

int es__lock_attempt(es_lock_t *lock) {
    for (int times = 0; times < REPLACED_TIMES_MAX; times++) {
        int was_queued = lock->is_queued;
        int code = lock->hold.native == ES__NATIVE_NONE ? open_hold(lock) : 0;

        if (code == 0) {
            code = es__lock_advance(lock);
        }
        if (code == ES_EAGAIN && (lock->file->flags & ES_LOCK_ADOPT) != 0 && !lock->has_yielded) {
            code = replace(lock);
        }
        if (code != 0 || (lock->file->flags & ES_LOCK_UNLINK_ON_RELEASE) == 0 ||
            !is_replaced(lock)) {
            return code;
        }
        (void)es__lock_retreat(lock);
        close_hold(lock);
        lock->is_queued = was_queued;
    }
    return refuse(ES_ESTALE, "es_lock_acquire");
}

/* Keeps a lock object whose hold never had a lock, if there is room for one. */
static int keep_spare(es_lockfile_t *file, es_lock_t *lock) {
    uintptr_t empty = 0;

    if (lock->was_held || lock->hold.native == ES__NATIVE_NONE ||
        (file->flags & (ES_LOCK_UNLINK_ON_RELEASE | ES_LOCK_ADOPT)) != 0) {
        return 0;
    }
    assert(lock->kind == 0 && lock->held == 0 && lock->parting == ES__NOT_PARTED);
    lock->is_queued = 0;
    return atomic_compare_exchange_strong(&file->spare, &empty, (uintptr_t)lock);
}

void es__lock_discard(es_lock_t *lock) {
    es_lockfile_t *file = lock->file;

    es__graph_drop(lock);
    if (lock->hold.native != ES__NATIVE_NONE) {
        (void)es__lock_retreat(lock);
    }
    if (!keep_spare(file, lock)) {
        free_lock(lock);
    }
    drop_file(file);
}

int es_lock_try(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                es_lock_t **out) {
    return es_lock_acquire(file, kind, range, 0, NULL, out);
}

int es_lock_acquire(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                    int64_t timeout_ns, es_cancel_t *cancel, es_lock_t **out) {
    es_lock_t *lock = NULL;
    int code;

    assert(file != NULL && out != NULL);
    code = es__lock_new(file, kind, range, &lock);
    if (code != 0) {
        return code;
    }
    code = es__lock_attempt(lock);
    if (code == ES_EAGAIN && timeout_ns != 0) {
        code = es__lock_wait(lock, timeout_ns, cancel);
    } else if (code != 0) {
        es__lock_discard(lock);
    }
    if (code == 0) {
        es__graph_hold(lock);
        *out = lock;
    }
    return code;
}

int es__lock_check_convert(const es_lock_t *lock, es_lock_kind_t kind) {
    if (is_foreign(lock->generation)) {
        return refuse(ES_EFORKED, "es_lock_convert");
    }
    if (kind != ES_LOCK_SHARED && kind != ES_LOCK_EXCLUSIVE) {
        return refuse(ES_EINVAL, "es_lock_convert");
    }
    if ((lock->file->flags & (ES__LOCK_COMPAT | ES_LOCK_ADOPT)) != 0) {
        return refuse(ES_ENOTSUP, "es_lock_convert");
    }
    if (kind == ES_LOCK_EXCLUSIVE && (lock->file->flags & ES_LOCK_READONLY) != 0) {
        return refuse(ES_EBADF, "es_lock_convert");
    }
    return lock->kind == 0 ? refuse(ES_ESTALE, "es_lock_convert") : 0;
}

void es__lock_begin_upgrade(es_lock_t *lock) {
    lock->wanted = ES_LOCK_EXCLUSIVE;
    lock->is_queued = 1;
}

static int upgrade(es_lock_t *lock, int64_t timeout_ns, es_cancel_t *cancel) {
    int code;

    es__lock_begin_upgrade(lock);
    code = es__lock_advance(lock);
    if (code == ES_EAGAIN && timeout_ns != 0) {
        return es__lock_wait(lock, timeout_ns, cancel);
    }
    if (code != 0) {
        int retreated = es__lock_retreat(lock);

        code = retreated != 0 ? retreated : code;
    }
    return code;
}

int es_lock_convert(es_lock_t *lock, es_lock_kind_t kind, int64_t timeout_ns, es_cancel_t *cancel) {
    int code = es__lock_check_convert(lock, kind);

    if (code != 0 || kind == lock->kind) {
        return code;
    }
    if (kind == ES_LOCK_SHARED) {
        code = es__lock_downgrade(lock);
    } else {
        code = upgrade(lock, timeout_ns, cancel);
    }
    es__graph_hold(lock);
    return code;
}

es_lock_kind_t es_lock_kind(const es_lock_t *lock) {
    return lock->kind;
}

/* Where a lock may be taken again over itself, doing so asks the system, or the server of a network
 * file system, whether it is still there. */
int es_lock_verify(es_lock_t *lock) {
    es__identity_t held;
    int code;

    if (is_foreign(lock->generation)) {
        return refuse(ES_EFORKED, "es_lock_verify");
    }
    if (lock->kind == 0 || es__prim_lock_identity(lock->hold.native, &held) != 0 ||
        (lock->file->path != NULL && is_replaced(lock))) {
        return refuse(ES_ESTALE, "es_lock_verify");
    }
    if (!ES__LOCK_UPGRADES) {
        return 0;
    }
    code = es__prim_lock_convert(&lock->hold, lock->layout.bytes[ES__STEP_COUNT - 1], lock->kind);
    return code == ES_EAGAIN || code == ES_EBADF ? refuse(ES_ESTALE, "es_lock_verify") : code;
}

static int check_detach(const es_lock_t *lock) {
    if (lock == NULL) {
        return refuse(ES_EINVAL, "es_lock_detach");
    }
    if (is_foreign(lock->generation)) {
        return refuse(ES_EFORKED, "es_lock_detach");
    }
    if (lock->kind == 0) {
        return refuse(ES_ESTALE, "es_lock_detach");
    }
    return (lock->file->flags & ES_LOCK_UNLINK_ON_RELEASE) != 0
               ? refuse(ES_ENOTSUP, "es_lock_detach")
               : 0;
}

static void forget(es_lock_t *lock) {
    es_lockfile_t *file = lock->file;
    int owns_file = lock->owns_file;

    free_lock(lock);
    if (owns_file) {
        drop_file(file);
    }
    drop_file(file);
}

int es_lock_detach(es_lock_t *lock, intptr_t *descriptor) {
    int code = check_detach(lock);

    assert(descriptor != NULL);
    if (code == 0) {
        code = es__prim_hold_detach(&lock->hold, descriptor);
    }
    if (code == 0) {
        es__graph_drop(lock);
        forget(lock);
    }
    return code;
}

int es_lock_release(es_lock_t *lock) {
    const es_lockfile_t *file;
    int code = 0;

    if (lock == NULL) {
        return refuse(ES_EINVAL, "es_lock_release");
    }
    file = lock->file;
    if (is_foreign(lock->generation)) {
        code = refuse(ES_EFORKED, "es_lock_release");
    } else {
        es__graph_drop(lock);
        if (lock->kind == ES_LOCK_EXCLUSIVE && (file->flags & ES_LOCK_UNLINK_ON_RELEASE) != 0 &&
            !is_replaced(lock)) {
            code = es__prim_lock_unlink(file->path);
        }
        lock->kind = 0;
        (void)es__lock_retreat(lock);
    }
    forget(lock);
    return code;
}
