/* SPDX-License-Identifier: MIT */
/* Files under locks on Windows: opening, knowing one from another, and their contents. It
 * guarantees that handles share everything (so that others may read, write, rename and delete the
 * file as on Unix), that none is inherited, and that only files on a disk come out. */
#include "lock_win.h"

#include "error_internal.h"

#include <evenshim/memory.h>

#include <string.h>

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* Virus scanners and indexers hold a file for moments; a file that is being deleted is in the way
 * until its last handle is closed. SQLite retries the same errors (os_win.c). */
#define RETRIES_MAX 25
#define RETRY_MS    10

/* FILE_DISPOSITION_INFO_EX of winbase.h, which older SDKs lack: one DWORD of these flags. */
#define DISPOSITION_INFO_EX ((FILE_INFO_BY_HANDLE_CLASS)21)
#define DISPOSITION_DELETE  1u
#define DISPOSITION_POSIX   2u

/* A point, eight digits and the end. */
#define ASIDE_CHARS 10

WCHAR *es__lock_wide(const char *text, int *code) {
    int count = es__sys.MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    WCHAR *wide;

    if (count <= 0) {
        *code = es__refuse(ES_EILSEQ, ES_OP_OPEN, "MultiByteToWideChar");
        return NULL;
    }
    wide = es_malloc((size_t)count * sizeof(*wide));
    if (wide == NULL) {
        *code = es__refuse(ES_ENOMEM, ES_OP_OPEN, "MultiByteToWideChar");
        return NULL;
    }
    (void)es__sys.MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, count);
    return wide;
}

static DWORD access_of(uint32_t flags) {
    return (flags & ES_LOCK_READONLY) != 0 ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE;
}

/* Without overlapped requests a handle is synchronous: Wine locks both alike, and reports a
 * conflict on either. */
static DWORD manner(void) {
    return es__lock_pends() ? FILE_FLAG_OVERLAPPED : 0u;
}

static int is_folder(const WCHAR *path) {
    DWORD attributes = es__sys.GetFileAttributesW(path);

    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

/* A file that is being deleted refuses access, and no longer shows its attributes. */
static int is_passing(const WCHAR *path, DWORD reason) {
    return reason == ERROR_SHARING_VIOLATION ||
           (reason == ERROR_ACCESS_DENIED &&
            es__sys.GetFileAttributesW(path) == INVALID_FILE_ATTRIBUTES);
}

static HANDLE open_wide(const WCHAR *path, DWORD access, DWORD disposition, DWORD flags,
                        DWORD *reason) {
    HANDLE handle = INVALID_HANDLE_VALUE;

    for (int tries = 0; tries < RETRIES_MAX; tries++) {
        handle = es__sys.CreateFileW(path, access, SHARE_ALL, NULL, disposition, flags, NULL);
        if (handle != INVALID_HANDLE_VALUE) {
            return handle;
        }
        *reason = es__sys.GetLastError();
        if (!is_passing(path, *reason)) {
            break;
        }
        es__sys.Sleep(RETRY_MS);
    }
    return handle;
}

/* 0, or what is wrong with the file behind the handle. */
static int refusal_of(HANDLE handle, uint32_t flags) {
    BY_HANDLE_FILE_INFORMATION status;

    if (es__sys.GetFileType(handle) != FILE_TYPE_DISK) {
        return ES_ENOTSUP;
    }
    if (!es__sys.GetFileInformationByHandle(handle, &status)) {
        return es__lock_fail(ES_OP_OPEN, "GetFileInformationByHandle");
    }
    if ((status.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
        return ES_EISDIR;
    }
    return (flags & ES_LOCK_NOFOLLOW) != 0 &&
                   (status.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0
               ? ES_ELOOP
               : 0;
}

static int check_handle(HANDLE handle, uint32_t flags, intptr_t *out) {
    int code = refusal_of(handle, flags);

    if (code != 0) {
        (void)es__sys.CloseHandle(handle);
        return es__refuse(code, ES_OP_OPEN, "CreateFileW");
    }
    *out = (intptr_t)handle;
    return 0;
}

static int open_path(const char *path, uint32_t flags, intptr_t *out) {
    DWORD disposition = (flags & ES_LOCK_CREATE) != 0 ? OPEN_ALWAYS : OPEN_EXISTING;
    DWORD how = manner() | FILE_ATTRIBUTE_NORMAL;
    DWORD reason = 0;
    int code = 0;
    WCHAR *wide = es__lock_wide(path, &code);
    HANDLE handle;

    if (wide == NULL) {
        return code;
    }
    how |= (flags & ES_LOCK_NOFOLLOW) != 0 ? FILE_FLAG_OPEN_REPARSE_POINT : 0u;
    handle = open_wide(wide, access_of(flags), disposition, how, &reason);
    if (handle != INVALID_HANDLE_VALUE) {
        code = check_handle(handle, flags, out);
    } else if (is_folder(wide)) { /* which is told as any of three errors */
        code = es__refuse(ES_EISDIR, ES_OP_OPEN, "CreateFileW");
    } else {
        code = es__fail(ES_DOMAIN_WIN32, reason, ES_OP_OPEN, "CreateFileW");
    }
    es_free(wide);
    return code;
}

int es__prim_lock_open(const char *path, uint32_t flags, int mode, intptr_t *out) {
    (void)mode;
    if ((flags & ES_LOCK_COMPAT_FLOCK) != 0) {
        return es__refuse(ES_ENOTSUP, ES_OP_OPEN, "es_lockfile_open");
    }
    return open_path(path, flags, out);
}

static int reopen(HANDLE handle, uint32_t flags, intptr_t *out) {
    HANDLE made = es__sys.ReOpenFile(handle, access_of(flags), SHARE_ALL, manner());

    if (made == INVALID_HANDLE_VALUE) {
        return es__lock_fail(ES_OP_OPEN, "ReOpenFile");
    }
    *out = (intptr_t)made;
    return 0;
}

/* -1 is the pseudo handle of this process, not one of a file. */
int es__prim_lock_wrap(intptr_t descriptor, uint32_t flags, intptr_t *out) {
    int code;

    if ((flags & (ES_LOCK_COMPAT_FLOCK | ES_LOCK_ADOPT)) != 0) {
        return es__refuse(ES_ENOTSUP, ES_OP_OPEN, "es_lockfile_wrap");
    }
    if (descriptor == ES__NATIVE_NONE || descriptor == 0) {
        return es__refuse(ES_EBADF, ES_OP_OPEN, "es_lockfile_wrap");
    }
    code = refusal_of((HANDLE)descriptor, flags);
    return code != 0 ? es__refuse(code, ES_OP_OPEN, "es_lockfile_wrap")
                     : reopen((HANDLE)descriptor, flags, out);
}

void es__prim_lock_close(intptr_t native) {
    (void)es__sys.CloseHandle((HANDLE)native);
}

int es__prim_hold_open(intptr_t base, const char *path, uint32_t flags, int mode,
                       es__hold_t *hold) {
    (void)mode;
    return base != ES__NATIVE_NONE ? reopen((HANDLE)base, flags, &hold->native)
                                   : open_path(path, flags, &hold->native);
}

int es__prim_hold_adopt(intptr_t base, es__hold_t *hold) {
    (void)base;
    (void)hold;
    return es__refuse(ES_ENOTSUP, ES_OP_OPEN, "es_lockfile_wrap");
}

/* "The child process is not granted access" (LockFileEx, on inherited handles). */
int es__prim_hold_detach(es__hold_t *hold, intptr_t *native) {
    (void)hold;
    (void)native;
    return es__refuse(ES_ENOTSUP, ES_OP_LOCK, "es_lock_detach");
}

void es__prim_hold_close(es__hold_t *hold) {
    (void)es__sys.CloseHandle((HANDLE)hold->native);
    hold->native = ES__NATIVE_NONE;
}

int es__prim_lock_identity(intptr_t native, es__identity_t *identity) {
    BY_HANDLE_FILE_INFORMATION status;

    if (!es__sys.GetFileInformationByHandle((HANDLE)native, &status)) {
        return es__lock_fail(ES_OP_LOCK, "GetFileInformationByHandle");
    }
    identity->volume = status.dwVolumeSerialNumber;
    identity->file[0] = ((uint64_t)status.nFileIndexHigh << 32) | status.nFileIndexLow;
    identity->file[1] = 0;
    identity->link_count = status.nNumberOfLinks;
    return 0;
}

/* Opens whatever the path names, for its attributes alone: that is never refused by sharing. */
static int open_attributes(const char *path, HANDLE *out) {
    DWORD reason = 0;
    int code = 0;
    WCHAR *wide = es__lock_wide(path, &code);

    if (wide == NULL) {
        return code;
    }
    *out = es__sys.CreateFileW(wide, FILE_READ_ATTRIBUTES, SHARE_ALL, NULL, OPEN_EXISTING,
                               FILE_FLAG_BACKUP_SEMANTICS, NULL);
    reason = *out == INVALID_HANDLE_VALUE ? es__sys.GetLastError() : 0;
    es_free(wide);
    return reason != 0 ? es__fail(ES_DOMAIN_WIN32, reason, ES_OP_OPEN, "CreateFileW") : 0;
}

int es__prim_lock_identity_at(const char *path, es__identity_t *identity) {
    HANDLE handle = INVALID_HANDLE_VALUE;
    int code = open_attributes(path, &handle);

    if (code == 0) {
        code = es__prim_lock_identity((intptr_t)handle, identity);
        (void)es__sys.CloseHandle(handle);
    }
    return code;
}

int es__prim_lock_caps_at(const char *path, uint32_t *caps) {
    HANDLE handle = INVALID_HANDLE_VALUE;
    int code = open_attributes(path, &handle);

    if (code == 0) {
        code = es__prim_lock_caps((intptr_t)handle, caps);
        (void)es__sys.CloseHandle(handle);
    }
    return code;
}

/* Takes the name away at once although the file is open (Windows 10 1709, NTFS). */
static int unlink_as_posix(const WCHAR *path) {
    DWORD flags = DISPOSITION_DELETE | DISPOSITION_POSIX;
    HANDLE handle = es__sys.CreateFileW(path, DELETE, SHARE_ALL, NULL, OPEN_EXISTING,
                                        FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    int is_done;

    if (handle == INVALID_HANDLE_VALUE) {
        return 0;
    }
    is_done = es__sys.SetFileInformationByHandle(handle, DISPOSITION_INFO_EX, &flags,
                                                 sizeof(flags)) != 0;
    (void)es__sys.CloseHandle(handle);
    return is_done;
}

/* Elsewhere a removed file keeps its name until its last handle is closed, and nobody can make the
 * new one; so it gets another name first: this one's and the process's number. */
static int unlink_by_rename(const WCHAR *path) {
    static const char digits[] = "0123456789abcdef";
    DWORD pid = es__sys.GetCurrentProcessId();
    size_t size = 0;
    WCHAR *aside;
    int is_done;

    while (path[size] != 0) {
        size++;
    }
    aside = es_malloc((size + ASIDE_CHARS) * sizeof(*aside));
    if (aside == NULL) {
        return 0;
    }
    memcpy(aside, path, size * sizeof(*aside));
    aside[size++] = '.';
    for (int shift = 28; shift >= 0; shift -= 4) {
        aside[size++] = (WCHAR)digits[(pid >> shift) & 15];
    }
    aside[size] = 0;
    is_done = es__sys.MoveFileExW(path, aside, MOVEFILE_REPLACE_EXISTING) &&
              es__sys.DeleteFileW(aside);
    es_free(aside);
    return is_done;
}

int es__prim_lock_unlink(const char *path) {
    int code = 0;
    WCHAR *wide = es__lock_wide(path, &code);

    if (wide == NULL) {
        return code;
    }
    if (!unlink_as_posix(wide) && !unlink_by_rename(wide) && !es__sys.DeleteFileW(wide)) {
        code = es__lock_fail(ES_OP_LOCK, "DeleteFileW");
    }
    es_free(wide);
    return code;
}

/* The end of the file is told as an error of overlapped handles. */
static int finish_read(HANDLE handle, OVERLAPPED *overlapped, BOOL is_done, size_t *done) {
    DWORD got = 0;
    DWORD reason = is_done ? 0 : es__sys.GetLastError();

    if ((is_done || reason == ERROR_IO_PENDING) &&
        es__sys.GetOverlappedResult(handle, overlapped, &got, TRUE)) {
        *done = got;
        return 0;
    }
    reason = reason == ERROR_IO_PENDING || is_done ? es__sys.GetLastError() : reason;
    if (reason == ERROR_HANDLE_EOF) {
        *done = 0;
        return 0;
    }
    return es__fail(ES_DOMAIN_WIN32, reason, ES_OP_READ, "ReadFile");
}

int es__prim_lock_read(const char *path, char *text, size_t size, size_t *done) {
    OVERLAPPED overlapped;
    intptr_t native = ES__NATIVE_NONE;
    int code = open_path(path, ES_LOCK_READONLY, &native);

    if (code != 0) {
        return code;
    }
    memset(&overlapped, 0, sizeof(overlapped));
    code = finish_read((HANDLE)native, &overlapped,
                       es__sys.ReadFile((HANDLE)native, text, (DWORD)size, NULL, &overlapped),
                       done);
    (void)es__sys.CloseHandle((HANDLE)native);
    return code;
}

int es__prim_lock_write(es__hold_t *hold, const char *text, size_t size) {
    HANDLE handle = (HANDLE)hold->native;
    FILE_END_OF_FILE_INFO end;
    OVERLAPPED overlapped;
    DWORD put = 0;

    memset(&overlapped, 0, sizeof(overlapped));
    memset(&end, 0, sizeof(end));
    if (!es__sys.WriteFile(handle, text, (DWORD)size, NULL, &overlapped) &&
        es__sys.GetLastError() != ERROR_IO_PENDING) {
        return es__lock_fail(ES_OP_WRITE, "WriteFile");
    }
    if (!es__sys.GetOverlappedResult(handle, &overlapped, &put, TRUE)) {
        return es__lock_fail(ES_OP_WRITE, "WriteFile");
    }
    if (put != size) {
        return es__refuse(ES_ENOSPC, ES_OP_WRITE, "WriteFile");
    }
    end.EndOfFile.QuadPart = (LONGLONG)size;
    return es__sys.SetFileInformationByHandle(handle, FileEndOfFileInfo, &end, sizeof(end))
               ? 0
               : es__lock_fail(ES_OP_WRITE, "SetFileInformationByHandle");
}
