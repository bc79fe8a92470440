/* SPDX-License-Identifier: MIT */
/* Single locks by LockFileEx. They belong to the open file (the handle's file object), so each hold
 * is a handle of its own, and closing another handle drops nothing. They are mandatory for the
 * bytes they cover, which is why the protocol's lie where no data is. Breaks if a range is freed
 * otherwise than it was taken, or if two requests use one hold at once. */
#include "lock_win.h"

#include "error_internal.h"

#include <stdatomic.h>
#include <string.h>

static HANDLE handle_of(const es__hold_t *hold) {
    return (HANDLE)hold->native;
}

int es__lock_fail(es_op_t op, const char *call) {
    return es__fail(ES_DOMAIN_WIN32, es__sys.GetLastError(), op, call);
}

/* There is no documented way to ask, and trying would leave a request in Wine that never ends; so
 * its own question is put: ntdll of Wine alone has this export. 0: not asked yet. */
int es__lock_pends(void) {
    static const WCHAR ntdll[] = {'n', 't', 'd', 'l', 'l', '.', 'd', 'l', 'l', 0};
    static atomic_int answer;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    HMODULE module;

    if (known == 0) {
        module = es__sys.GetModuleHandleW(ntdll);
        known = module != NULL && es__sys.GetProcAddress(module, "wine_get_version") != NULL ? -1
                                                                                             : 1;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known > 0;
}

/* size 0: to the end. */
static uint64_t size_of(es__bytes_t bytes) {
    return bytes.size != 0 ? bytes.size : UINT64_MAX - bytes.offset;
}

static void set_offset(OVERLAPPED *overlapped, uint64_t offset) {
    overlapped->Offset = (DWORD)(offset & 0xffffffffu);
    overlapped->OffsetHigh = (DWORD)(offset >> 32);
}

BOOL es__lock_call(HANDLE handle, es__bytes_t bytes, DWORD flags, OVERLAPPED *overlapped) {
    uint64_t size = size_of(bytes);

    set_offset(overlapped, bytes.offset);
    return es__sys.LockFileEx(handle, flags, 0, (DWORD)(size & 0xffffffffu), (DWORD)(size >> 32),
                              overlapped);
}

/* Over a network even a request that fails immediately may be answered later; nothing else is
 * under way on this handle, so the handle itself tells when. */
static BOOL finish_later(HANDLE handle, OVERLAPPED *overlapped, BOOL is_done) {
    DWORD unwanted = 0;

    if (!is_done && es__sys.GetLastError() == ERROR_IO_PENDING) {
        return es__sys.GetOverlappedResult(handle, overlapped, &unwanted, TRUE);
    }
    return is_done;
}

int es__prim_lock_try(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    DWORD flags = LOCKFILE_FAIL_IMMEDIATELY;
    OVERLAPPED overlapped;
    DWORD reason;

    memset(&overlapped, 0, sizeof(overlapped));
    flags |= kind == ES_LOCK_EXCLUSIVE ? LOCKFILE_EXCLUSIVE_LOCK : 0u;
    if (finish_later(handle_of(hold), &overlapped,
                     es__lock_call(handle_of(hold), bytes, flags, &overlapped))) {
        return 0;
    }
    reason = es__sys.GetLastError();
    return reason == ERROR_LOCK_VIOLATION
               ? ES_EAGAIN
               : es__fail(ES_DOMAIN_WIN32, reason, ES_OP_LOCK, "LockFileEx");
}

int es__prim_lock_free(es__hold_t *hold, es__bytes_t bytes) {
    uint64_t size = size_of(bytes);
    OVERLAPPED overlapped;

    memset(&overlapped, 0, sizeof(overlapped));
    set_offset(&overlapped, bytes.offset);
    if (finish_later(handle_of(hold), &overlapped,
                     es__sys.UnlockFileEx(handle_of(hold), 0, (DWORD)(size & 0xffffffffu),
                                          (DWORD)(size >> 32), &overlapped))) {
        return 0;
    }
    return es__lock_fail(ES_OP_LOCK, "UnlockFileEx");
}

/* Requests on an overlapped handle never block their thread; lock_wait.c waits for their events. */
int es__prim_lock_wait(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    (void)hold;
    (void)bytes;
    (void)kind;
    return ES_ENOTSUP;
}

/* To shared: the shared lock goes over the exclusive one, which the next unlock ends (UnlockFileEx
 * of the Windows SDK). So nobody gets between. */
int es__prim_lock_look(const es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    (void)hold;
    (void)bytes;
    (void)kind;
    return 0;
}

int es__prim_lock_convert(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    int code;

    if (kind != ES_LOCK_SHARED) {
        return es__refuse(ES_ENOTSUP, ES_OP_LOCK, "LockFileEx");
    }
    code = es__prim_lock_try(hold, bytes, ES_LOCK_SHARED);
    return code == 0 ? es__prim_lock_free(hold, bytes) : code;
}

/* Pending requests are granted by the system, whatever frees the bytes. */
void es__prim_lock_announce(es__hold_t *hold) {
    (void)hold;
}

int es__prim_lock_caps(intptr_t native, uint32_t *caps) {
    FILE_REMOTE_PROTOCOL_INFO remote;

    *caps = ES_LOCK_CAN_LOCK | ES_LOCK_IS_MANDATORY;
    *caps |= es__lock_pends() ? ES_LOCK_CAN_NOTIFY : 0u;
    if (es__sys.GetFileInformationByHandleEx((HANDLE)native, FileRemoteProtocolInfo, &remote,
                                             sizeof(remote))) {
        *caps |= ES_LOCK_IS_NETWORK; /* a file of this machine has no such protocol */
    }
    return 0;
}
