/* SPDX-License-Identifier: MIT */
/* The locks' Windows leaf on a Windows of the test's own, on every system: one file, its locks with
 * LockFileEx's rules (mandatory order, no upgrade, shared over one's own exclusive stacks, a free
 * must name what was taken), and requests that pend, complete and are cancelled when the test says.
 * Verified: upgrades and downgrades that Windows has not are put together without a gap; a
 * cancelled request that was granted in the same moment is not lost; every request is awaited
 * before its memory goes; every call may fail. Wine can show none of it: there requests never end.
 */
#include "check.h"

#include "sys.h"

#include <evenshim/lock.h>
#include <evenshim/memory.h>

#include <string.h>

enum {
    HANDLES_MAX = 64,
    LOCKS_MAX = 64,
    FILE_HANDLE = 100, /* the first */
    CANCELLED = 0x120,
    TURNS_MAX = 200,
};

#define MS ((int64_t)1000000)

/* ---- A small Windows ---- */

typedef struct fake_lock {
    int handle; /* 0: free */
    int is_exclusive;
    uint64_t offset;
    uint64_t size;
    OVERLAPPED *request; /* it waits */
} fake_lock_t;

typedef enum cancel_manner { CANCELS, HAS_GRANTED, ANSWERS_LATE } cancel_manner_t;

static struct fake {
    int is_open[HANDLES_MAX];
    int is_event[HANDLES_MAX];
    int is_set[HANDLES_MAX];
    fake_lock_t locks[LOCKS_MAX]; /* oldest first among those that wait */
    int64_t clock;
    DWORD error;
    cancel_manner_t cancel_manner;
    OVERLAPPED *late; /* cancelled, to be answered at the next pause */
    int call_count;
    int fail_at; /* -1: none */
    DWORD fail_error;
    int open_failures; /* so many openings fail from now on */
    DWORD open_error;
    int open_count;
    DWORD attributes; /* of any path */
} fake;

static int fails(void) {
    if (fake.call_count++ != fake.fail_at) {
        return 0;
    }
    fake.error = fake.fail_error;
    return 1;
}

static int index_of(HANDLE handle) {
    intptr_t index = (intptr_t)handle - FILE_HANDLE;

    assert_true(index >= 0 && index < HANDLES_MAX && fake.is_open[index]);
    return (int)index;
}

static HANDLE make_handle(int is_event) {
    for (int index = 0; index < HANDLES_MAX; index++) {
        if (!fake.is_open[index]) {
            fake.is_open[index] = 1;
            fake.is_event[index] = is_event;
            fake.is_set[index] = 0;
            return (HANDLE)(intptr_t)(index + FILE_HANDLE);
        }
    }
    fail();
    return NULL;
}

static int count_handles(void) {
    int count = 0;

    for (int index = 0; index < HANDLES_MAX; index++) {
        count += fake.is_open[index];
    }
    return count;
}

static int count_locks(int waits) {
    int count = 0;

    for (int index = 0; index < LOCKS_MAX; index++) {
        count += fake.locks[index].handle != 0 && (fake.locks[index].request != NULL) == waits;
    }
    return count;
}

/* An exclusive lock meets every other lock, also of its own handle; a shared one meets exclusive
 * locks of other handles. */
static int is_in_the_way(const fake_lock_t *wanted) {
    for (int index = 0; index < LOCKS_MAX; index++) {
        const fake_lock_t *held = &fake.locks[index];

        if (held->handle != 0 && held->request == NULL && held != wanted &&
            held->offset < wanted->offset + wanted->size &&
            wanted->offset < held->offset + held->size &&
            (wanted->is_exclusive || (held->is_exclusive && held->handle != wanted->handle))) {
            return 1;
        }
    }
    return 0;
}

static fake_lock_t *add_lock(const fake_lock_t *made) {
    for (int index = 0; index < LOCKS_MAX; index++) {
        if (fake.locks[index].handle == 0) {
            fake.locks[index] = *made;
            return &fake.locks[index];
        }
    }
    fail();
    return NULL;
}

static void answer(OVERLAPPED *request, ULONG_PTR status) {
    request->Internal = status;
    fake.is_set[index_of(request->hEvent)] = 1;
}

static void grant_waiting(void) {
    for (int index = 0; index < LOCKS_MAX; index++) {
        fake_lock_t *lock = &fake.locks[index];

        if (lock->handle != 0 && lock->request != NULL && !is_in_the_way(lock)) {
            answer(lock->request, 0);
            lock->request = NULL;
        }
    }
}

static fake_lock_t *find_request(const OVERLAPPED *request) {
    for (int index = 0; index < LOCKS_MAX; index++) {
        if (fake.locks[index].handle != 0 && fake.locks[index].request == request) {
            return &fake.locks[index];
        }
    }
    return NULL;
}

static BOOL WINAPI do_LockFileEx(HANDLE handle, DWORD flags, DWORD unused, DWORD low, DWORD high,
                                 LPOVERLAPPED request) {
    fake_lock_t wanted = {index_of(handle) + 1, (flags & LOCKFILE_EXCLUSIVE_LOCK) != 0,
                          ((uint64_t)request->OffsetHigh << 32) | request->Offset,
                          ((uint64_t)high << 32) | low, NULL};

    assert_int_equal(unused, 0);
    if (request->hEvent != NULL) {
        fake.is_set[index_of(request->hEvent)] = 0; /* every start resets its event */
    }
    if (fails()) {
        return FALSE;
    }
    if (!is_in_the_way(&wanted)) {
        (void)add_lock(&wanted);
        request->Internal = 0;
        return TRUE;
    }
    if ((flags & LOCKFILE_FAIL_IMMEDIATELY) != 0) {
        fake.error = ERROR_LOCK_VIOLATION;
        return FALSE;
    }
    request->Internal = STATUS_PENDING;
    wanted.request = request;
    (void)add_lock(&wanted);
    fake.error = ERROR_IO_PENDING;
    return FALSE;
}

/* Of two locks on the same bytes the exclusive one goes first. */
static BOOL WINAPI do_UnlockFileEx(HANDLE handle, DWORD unused, DWORD low, DWORD high,
                                   LPOVERLAPPED where) {
    uint64_t offset = ((uint64_t)where->OffsetHigh << 32) | where->Offset;
    uint64_t size = ((uint64_t)high << 32) | low;
    fake_lock_t *found = NULL;

    assert_int_equal(unused, 0);
    for (int index = 0; index < LOCKS_MAX; index++) {
        fake_lock_t *lock = &fake.locks[index];

        if (lock->handle == index_of(handle) + 1 && lock->request == NULL &&
            lock->offset == offset && lock->size == size && (found == NULL || lock->is_exclusive)) {
            found = lock;
        }
    }
    assert_non_null(found); /* nothing is freed that was not taken just so */
    if (fails()) {
        return FALSE;
    }
    found->handle = 0;
    grant_waiting();
    return TRUE;
}

static void drop_request(OVERLAPPED *request) {
    fake_lock_t *lock = find_request(request);

    if (lock != NULL) {
        lock->handle = 0;
        answer(request, CANCELLED);
    }
}

static es_lock_t *in_the_way;

static void release_in_the_way(void) {
    assert_code(es_lock_release(in_the_way), 0);
}

static BOOL WINAPI do_CancelIoEx(HANDLE handle, LPOVERLAPPED request) {
    fake_lock_t *lock = find_request(request);

    (void)index_of(handle);
    if (lock == NULL) {
        fake.error = ERROR_NOT_FOUND;
        return FALSE;
    }
    if (fake.cancel_manner == HAS_GRANTED) {
        fake.cancel_manner = CANCELS;
        release_in_the_way(); /* another thread, in this very moment */
        fake.error = ERROR_NOT_FOUND;
        return FALSE;
    }
    if (fake.cancel_manner == ANSWERS_LATE) {
        fake.late = request;
    } else {
        drop_request(request);
    }
    return TRUE;
}

static void pass_time(int64_t ns) {
    fake.clock += ns;
    if (fake.late != NULL) {
        drop_request(fake.late);
        fake.late = NULL;
    }
}

static BOOL WINAPI do_GetOverlappedResult(HANDLE handle, LPOVERLAPPED request, LPDWORD done,
                                          BOOL waits) {
    (void)index_of(handle);
    assert_true(!waits || request->Internal != STATUS_PENDING);
    if (fails()) {
        return FALSE;
    }
    *done = (DWORD)request->InternalHigh;
    fake.error = request->Internal == STATUS_PENDING ? 996 : ERROR_OPERATION_ABORTED;
    return request->Internal == 0;
}

static HANDLE WINAPI do_CreateFileW(LPCWSTR path, DWORD access, DWORD share,
                                    LPSECURITY_ATTRIBUTES security, DWORD disposition, DWORD flags,
                                    HANDLE model) {
    (void)path;
    (void)access;
    (void)disposition;
    assert_int_equal(share, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE);
    assert_null(security); /* not inherited */
    assert_null(model);
    fake.open_count++;
    if (fake.open_failures > 0) {
        fake.open_failures--;
        fake.error = fake.open_error;
        return INVALID_HANDLE_VALUE;
    }
    if (fails()) {
        return INVALID_HANDLE_VALUE;
    }
    assert_true((flags & (FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS)) != 0);
    return make_handle(0);
}

static HANDLE WINAPI do_ReOpenFile(HANDLE handle, DWORD access, DWORD share, DWORD flags) {
    (void)index_of(handle);
    (void)access;
    (void)share;
    assert_true((flags & FILE_FLAG_OVERLAPPED) != 0);
    return fails() ? INVALID_HANDLE_VALUE : make_handle(0);
}

/* A handle that goes takes its locks along; none of its requests may be under way. */
static BOOL WINAPI do_CloseHandle(HANDLE handle) {
    int index = index_of(handle);

    for (int at = 0; at < LOCKS_MAX; at++) {
        if (fake.locks[at].handle == index + 1) {
            assert_null(fake.locks[at].request);
            fake.locks[at].handle = 0;
        }
    }
    fake.is_open[index] = 0;
    grant_waiting();
    return TRUE;
}

static DWORD WINAPI do_GetFileType(HANDLE handle) {
    (void)index_of(handle);
    return FILE_TYPE_DISK;
}

static DWORD WINAPI do_GetFileAttributesW(LPCWSTR path) {
    (void)path;
    return fake.attributes;
}

static BOOL WINAPI do_GetFileInformationByHandle(HANDLE handle,
                                                 LPBY_HANDLE_FILE_INFORMATION status) {
    (void)index_of(handle);
    memset(status, 0, sizeof(*status));
    status->dwFileAttributes = FILE_ATTRIBUTE_NORMAL;
    status->nNumberOfLinks = 1;
    return fails() ? FALSE : TRUE;
}

static BOOL WINAPI do_GetFileInformationByHandleEx(HANDLE handle, FILE_INFO_BY_HANDLE_CLASS what,
                                                   LPVOID info, DWORD size) {
    (void)index_of(handle);
    (void)what;
    (void)info;
    (void)size;
    return FALSE;
}

static HANDLE WINAPI do_CreateEventW(LPSECURITY_ATTRIBUTES security, BOOL by_hand, BOOL is_set,
                                     LPCWSTR name) {
    assert_null(security);
    assert_true(by_hand && !is_set);
    assert_null(name);
    return fails() ? NULL : make_handle(1);
}

static BOOL WINAPI do_SetEvent(HANDLE handle) {
    fake.is_set[index_of(handle)] = 1;
    return TRUE;
}

static BOOL WINAPI do_ResetEvent(HANDLE handle) {
    fake.is_set[index_of(handle)] = 0;
    return TRUE;
}

/* Time passes only here and in Sleep. */
static DWORD WINAPI do_WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all,
                                              DWORD timeout_ms) {
    assert_false(all);
    if (fails()) {
        return WAIT_FAILED;
    }
    for (DWORD which = 0; which < count; which++) {
        if (fake.is_set[index_of(handles[which])]) {
            return WAIT_OBJECT_0 + which;
        }
    }
    assert_true(timeout_ms != INFINITE); /* nothing would ever end it */
    pass_time((int64_t)timeout_ms * MS);
    return WAIT_TIMEOUT;
}

static void WINAPI do_Sleep(DWORD ms) {
    pass_time((int64_t)ms * MS);
}

static BOOL WINAPI do_SwitchToThread(void) {
    return TRUE;
}

static BOOL WINAPI do_QueryPerformanceCounter(LARGE_INTEGER *now) {
    now->QuadPart = fake.clock / 100;
    return TRUE;
}

static BOOL WINAPI do_QueryPerformanceFrequency(LARGE_INTEGER *rate) {
    rate->QuadPart = 10000000;
    return TRUE;
}

static int WINAPI do_MultiByteToWideChar(UINT page, DWORD flags, LPCSTR text, int size, LPWSTR wide,
                                         int room) {
    int length = (int)strlen(text) + 1;

    assert_int_equal(page, CP_UTF8);
    assert_int_equal(flags, MB_ERR_INVALID_CHARS);
    assert_int_equal(size, -1);
    for (int at = 0; wide != NULL && at < room; at++) {
        wide[at] = (WCHAR)(unsigned char)text[at];
    }
    return length;
}

static DWORD WINAPI do_GetLastError(void) {
    return fake.error;
}

static HMODULE WINAPI do_GetModuleHandleW(LPCWSTR name) {
    (void)name;
    return (HMODULE)(void *)&fake;
}

static FARPROC WINAPI do_GetProcAddress(HMODULE module, LPCSTR name) {
    (void)module;
    assert_string_equal(name, "wine_get_version");
    return NULL;
}

es__sys_t es__sys = {
    .LockFileEx = do_LockFileEx,
    .UnlockFileEx = do_UnlockFileEx,
    .CancelIoEx = do_CancelIoEx,
    .GetOverlappedResult = do_GetOverlappedResult,
    .CreateFileW = do_CreateFileW,
    .ReOpenFile = do_ReOpenFile,
    .CloseHandle = do_CloseHandle,
    .GetFileType = do_GetFileType,
    .GetFileAttributesW = do_GetFileAttributesW,
    .GetFileInformationByHandle = do_GetFileInformationByHandle,
    .GetFileInformationByHandleEx = do_GetFileInformationByHandleEx,
    .CreateEventW = do_CreateEventW,
    .SetEvent = do_SetEvent,
    .ResetEvent = do_ResetEvent,
    .WaitForMultipleObjects = do_WaitForMultipleObjects,
    .Sleep = do_Sleep,
    .SwitchToThread = do_SwitchToThread,
    .QueryPerformanceCounter = do_QueryPerformanceCounter,
    .QueryPerformanceFrequency = do_QueryPerformanceFrequency,
    .MultiByteToWideChar = do_MultiByteToWideChar,
    .GetLastError = do_GetLastError,
    .GetModuleHandleW = do_GetModuleHandleW,
    .GetProcAddress = do_GetProcAddress,
};

/* ---- What every test has ---- */

typedef struct reply {
    es_lock_req_t req;
    int count;
    int status;
    es_lock_t *lock;
} reply_t;

static es_lockfile_t *file;
static es_lock_monitor_t *monitor;

static int set_up(void **state) {
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.fail_at = -1;
    fake.attributes = FILE_ATTRIBUTE_NORMAL;
    assert_code(es_lockfile_open("lock", ES_LOCK_CREATE, 0600, &file), 0);
    assert_code(es_lock_monitor_open(&monitor), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    es_lock_monitor_close(monitor);
    es_lockfile_close(file);
    assert_int_equal(count_locks(0), 0);
    assert_int_equal(count_locks(1), 0);
    assert_int_equal(count_handles(), 0);
    return 0;
}

static void keep(es_lock_req_t *req, int status, es_lock_t *lock) {
    reply_t *reply = req->data;

    reply->count++;
    reply->status = status;
    reply->lock = lock;
}

static es_lock_t *take(es_lock_kind_t kind) {
    es_lock_t *lock = NULL;

    assert_code(es_lock_try(file, kind, NULL, &lock), 0);
    return lock;
}

static int probe(es_lock_kind_t kind) {
    es_lock_t *lock = NULL;
    int code = es_lock_try(file, kind, NULL, &lock);

    if (code == 0) {
        assert_code(es_lock_release(lock), 0);
    }
    return code;
}

static void start(reply_t *reply, es_lock_kind_t kind, int64_t timeout_ns) {
    memset(reply, 0, sizeof(*reply));
    reply->req.data = reply;
    assert_code(es_lock_start(monitor, &reply->req, file, kind, NULL, timeout_ns, keep), 0);
}

static void start_upgrade(reply_t *reply, es_lock_t *lock, int64_t timeout_ns) {
    memset(reply, 0, sizeof(*reply));
    reply->req.data = reply;
    assert_code(
        es_lock_start_convert(monitor, &reply->req, lock, ES_LOCK_EXCLUSIVE, timeout_ns, keep), 0);
}

static void drive(const reply_t *reply) {
    for (int turns = 0; reply->count == 0; turns++) {
        assert_true(turns < TURNS_MAX);
        (void)es_lock_monitor_wait(monitor, es_lock_monitor_timeout(monitor), NULL);
        (void)es_lock_dispatch(monitor);
    }
    assert_int_equal(reply->count, 1);
}

static void release(es_lock_t *lock) {
    assert_code(es_lock_release(lock), 0);
}

/* ---- Tests ---- */

static void a_pending_request_is_granted_by_the_system(void **state) {
    es_lock_t *lock = take(ES_LOCK_EXCLUSIVE);
    reply_t reply;

    (void)state;
    start(&reply, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    assert_int_equal(count_locks(1), 1);
    assert_int_equal(es_lock_dispatch(monitor), 0); /* the event was set by the start */
    assert_true(es_lock_monitor_timeout(monitor) == ES_LOCK_FOREVER);
    release(lock);
    drive(&reply);
    assert_code(reply.status, 0);
    assert_code(probe(ES_LOCK_SHARED), ES_EAGAIN);
    assert_int_equal(count_locks(0), 1); /* DATA alone */
    release(reply.lock);
}

/* A reader that was granted DATA must not ask for GATE again: the writer that shut it waits for
 * the reader. */
static void a_granted_reader_does_not_go_back_to_the_gate(void **state) {
    es_lock_t *lock = take(ES_LOCK_EXCLUSIVE);
    es_lock_monitor_t *other = NULL;
    reply_t reader;
    reply_t writer = {.count = 0};

    (void)state;
    assert_code(es_lock_monitor_open(&other), 0);
    start(&reader, ES_LOCK_SHARED, ES_LOCK_FOREVER);
    writer.req.data = &writer;
    assert_code(
        es_lock_start(other, &writer.req, file, ES_LOCK_EXCLUSIVE, NULL, ES_LOCK_FOREVER, keep), 0);
    release(lock);
    drive(&reader);
    assert_code(reader.status, 0);
    assert_int_equal(writer.count, 0);
    release(reader.lock);
    (void)es_lock_dispatch(other);
    assert_code(writer.status, 0);
    release(writer.lock);
    es_lock_monitor_close(other);
}

static void an_upgrade_lets_nobody_between(void **state) {
    es_lock_t *lock = take(ES_LOCK_SHARED);
    es_lock_t *reader = take(ES_LOCK_SHARED);
    reply_t reply;

    (void)state;
    start_upgrade(&reply, lock, ES_LOCK_FOREVER);
    assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
    assert_code(probe(ES_LOCK_SHARED), ES_EAGAIN); /* GATE is shut although DATA was given up */
    assert_code(probe(ES_LOCK_EXCLUSIVE), ES_EAGAIN);
    release(reader);
    drive(&reply);
    assert_code(reply.status, 0);
    assert_int_equal(es_lock_kind(lock), ES_LOCK_EXCLUSIVE);
    assert_code(es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL), 0);
    assert_int_equal(count_locks(0), 1);
    assert_code(probe(ES_LOCK_SHARED), 0);
    assert_code(probe(ES_LOCK_EXCLUSIVE), ES_EAGAIN);
    release(lock);
}

static void an_upgrade_that_ends_without_it_shares_again(void **state) {
    es_lock_t *lock = take(ES_LOCK_SHARED);
    es_lock_t *reader = take(ES_LOCK_SHARED);
    reply_t reply;

    (void)state;
    start_upgrade(&reply, lock, 5 * MS);
    drive(&reply);
    assert_code(reply.status, ES_ETIMEDOUT);
    assert_int_equal(es_lock_kind(lock), ES_LOCK_SHARED);
    release(reader);
    assert_code(probe(ES_LOCK_EXCLUSIVE), ES_EAGAIN); /* it is held, not only said to be */
    assert_code(probe(ES_LOCK_SHARED), 0);
    release(lock);
}

static void a_cancelled_request_is_awaited(void **state) {
    static const cancel_manner_t manners[] = {CANCELS, ANSWERS_LATE};

    (void)state;
    for (size_t index = 0; index < COUNT(manners); index++) {
        es_lock_t *lock = take(ES_LOCK_EXCLUSIVE);
        reply_t reply;

        fake.cancel_manner = manners[index];
        start(&reply, ES_LOCK_SHARED, ES_LOCK_FOREVER);
        assert_code(es_lock_cancel(&reply.req), 0);
        assert_int_equal(count_locks(1), 0);
        drive(&reply);
        assert_code(reply.status, ES_ECANCELED);
        release(lock);
        assert_code(probe(ES_LOCK_EXCLUSIVE), 0);
    }
}

static void a_grant_in_the_moment_of_the_cancel_is_not_lost(void **state) {
    reply_t reply;

    (void)state;
    in_the_way = take(ES_LOCK_SHARED);
    start(&reply, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    fake.cancel_manner = HAS_GRANTED;
    assert_code(es_lock_cancel(&reply.req), 0);
    drive(&reply);
    assert_code(reply.status, 0);
    assert_code(probe(ES_LOCK_SHARED), ES_EAGAIN);
    release(reply.lock);
}

/* The exit of the thread that began a request cancels it. */
static void a_request_that_was_cancelled_unasked_begins_again(void **state) {
    es_lock_t *lock = take(ES_LOCK_EXCLUSIVE);
    reply_t reply;

    (void)state;
    start(&reply, ES_LOCK_EXCLUSIVE, ES_LOCK_FOREVER);
    for (int index = 0; index < LOCKS_MAX; index++) {
        if (fake.locks[index].request != NULL) {
            drop_request(fake.locks[index].request);
        }
    }
    assert_int_equal(es_lock_dispatch(monitor), 0);
    assert_int_equal(count_locks(1), 1);
    release(lock);
    drive(&reply);
    assert_code(reply.status, 0);
    release(reply.lock);
}

static void closing_a_monitor_awaits_its_requests(void **state) {
    es_lock_t *lock = take(ES_LOCK_EXCLUSIVE);
    es_lock_monitor_t *other = NULL;
    reply_t reply = {.count = 0};

    (void)state;
    assert_code(es_lock_monitor_open(&other), 0);
    reply.req.data = &reply;
    assert_code(es_lock_start(other, &reply.req, file, ES_LOCK_SHARED, NULL, ES_LOCK_FOREVER, keep),
                0);
    es_lock_monitor_close(other);
    assert_int_equal(count_locks(1), 0);
    assert_int_equal(reply.count, 0);
    release(lock);
}

static void live(void) {
    es_lock_t *lock = NULL;
    es_lock_t *reader = NULL;
    reply_t reply;

    if (es_lock_try(file, ES_LOCK_EXCLUSIVE, NULL, &lock) != 0) {
        return;
    }
    memset(&reply, 0, sizeof(reply));
    reply.req.data = &reply;
    if (es_lock_start(monitor, &reply.req, file, ES_LOCK_SHARED, NULL, 50 * MS, keep) == 0) {
        (void)es_lock_convert(lock, ES_LOCK_SHARED, 0, NULL);
        drive(&reply);
        reader = reply.lock;
    }
    memset(&reply, 0, sizeof(reply));
    reply.req.data = &reply;
    if (es_lock_start_convert(monitor, &reply.req, lock, ES_LOCK_EXCLUSIVE, 3 * MS, keep) == 0) {
        drive(&reply);
    }
    if (reader != NULL) {
        (void)es_lock_release(reader);
    }
    (void)es_lock_release(lock);
}

static void every_call_may_fail(void **state) {
    static const DWORD errors[] = {ERROR_ACCESS_DENIED, 6, 8, ERROR_OPERATION_ABORTED, 1450};
    int calls;

    (void)state;
    live();
    fake.call_count = 0;
    live();
    calls = fake.call_count;
    assert_true(calls > 20);
    for (size_t which = 0; which < COUNT(errors); which++) {
        for (int at = 0; at < calls; at++) {
            fake.call_count = 0;
            fake.fail_at = at;
            fake.fail_error = errors[which];
            live();
            fake.fail_at = -1;
            assert_int_equal(count_locks(0), 0);
            assert_int_equal(count_locks(1), 0);
            assert_code(probe(ES_LOCK_EXCLUSIVE), 0);
        }
    }
}

/* A virus scanner has the file open without sharing; a file that is being deleted (the system's
 * STATUS_DELETE_PENDING) refuses access and shows no attributes. Both pass; a refusal does not. */
static void an_opening_that_others_prevent_for_a_moment_is_repeated(void **state) {
    static const struct {
        DWORD error;
        DWORD attributes;
        int failures;
        int open_count;
        int code;
    } cases[] = {
        {ERROR_SHARING_VIOLATION, FILE_ATTRIBUTE_NORMAL, 3, 4, 0},
        {ERROR_SHARING_VIOLATION, FILE_ATTRIBUTE_NORMAL, 1000, 25, ES_EBUSY},
        {ERROR_ACCESS_DENIED, INVALID_FILE_ATTRIBUTES, 3, 4, 0},
        {ERROR_ACCESS_DENIED, INVALID_FILE_ATTRIBUTES, 1000, 25, ES_EACCES},
        {ERROR_ACCESS_DENIED, FILE_ATTRIBUTE_NORMAL, 1000, 1, ES_EACCES},
    };

    (void)state;
    for (size_t index = 0; index < COUNT(cases); index++) {
        es_lockfile_t *opened = NULL;
        int64_t began = fake.clock;
        int handles = count_handles();

        fake.open_count = 0;
        fake.open_error = cases[index].error;
        fake.open_failures = cases[index].failures;
        fake.attributes = cases[index].attributes;
        assert_code(es_lockfile_open("lock", ES_LOCK_CREATE, 0, &opened), cases[index].code);
        assert_int_equal(fake.open_count, cases[index].open_count);
        assert_true(fake.clock - began <= 250 * MS);
        fake.open_failures = 0;
        fake.attributes = FILE_ATTRIBUTE_NORMAL;
        es_lockfile_close(opened);
        assert_int_equal(count_handles(), handles);
    }
}

#define IN_WINDOWS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WINDOWS(a_pending_request_is_granted_by_the_system),
        IN_WINDOWS(a_granted_reader_does_not_go_back_to_the_gate),
        IN_WINDOWS(an_upgrade_lets_nobody_between),
        IN_WINDOWS(an_upgrade_that_ends_without_it_shares_again),
        IN_WINDOWS(a_cancelled_request_is_awaited),
        IN_WINDOWS(a_grant_in_the_moment_of_the_cancel_is_not_lost),
        IN_WINDOWS(a_request_that_was_cancelled_unasked_begins_again),
        IN_WINDOWS(closing_a_monitor_awaits_its_requests),
        IN_WINDOWS(every_call_may_fail),
        IN_WINDOWS(an_opening_that_others_prevent_for_a_moment_is_repeated),
    };

    return cmocka_run_group_tests_name("locks on a scripted Windows", tests, NULL, NULL);
}
