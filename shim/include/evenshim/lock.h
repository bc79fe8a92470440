/* SPDX-License-Identifier: MIT */
/* File locks with one meaning on every system.
 *
 * A lock belongs to its object (es_lock_t), not to a process, a thread or a descriptor: two objects
 * on one file exclude each other even inside one thread, and closing some other descriptor of the
 * file never drops a lock. Locks are advisory: their bytes lie at 2^62 and beyond, far from data,
 * so that reading and writing a locked file works everywhere, also on Windows and SMB, where a lock
 * on data would forbid it. A crash of the holder releases its locks.
 *
 * Every function returns 0 or a negative code of error.h and writes its results only on success.
 * Times are nanoseconds on a clock that does not jump: timeout_ns < 0 (ES_LOCK_FOREVER) waits for
 * ever, 0 tries once, anything else is how long to wait at most; the longest is as good as for
 * ever. Paths are UTF-8 on every system (on Unix: bytes).
 *
 * What is returned where locks are asked for:
 *   ES_EAGAIN     somebody else holds it (only where there was no waiting: a try, a timeout of 0)
 *   ES_ETIMEDOUT  it was not to be had in time
 *   ES_ECANCELED  the wait was cancelled
 *   ES_EDEADLK    waiting would never end: two upgrades, or an upgrade behind a waiting writer; in
 *                 a debug build also threads of one process in a circle (see es_lock_acquire)
 *   ES_EBADF      an exclusive lock on a file that was opened ES_LOCK_READONLY
 *   ES_EINVAL     a range that overflows, an unknown kind or flag
 *   ES_ENOTSUP    this file system, or this mode, cannot do it; never a lock that locks nothing
 *   ES_EFORKED    the object was made by the parent of this forked process
 *   ES_EMFILE, ES_ENFILE, ES_ENOMEM, ES_ENOLCK: the system has no more to give
 *
 * Threads: a file may be used by any threads at once; a lock by one at a time, and any one may
 * release it; a monitor and its requests by one at a time, but for es_lock_monitor_wait and
 * es_lock_monitor_wake, which any thread may call at any time.
 *
 * fork: a lock stays with the parent. The child's copies of the objects refuse with ES_EFORKED;
 * releasing or closing them there frees memory and leaves the parent's lock alone. exec: not
 * inherited. Windows: nor by a child process.
 *
 * Differs from flock and fcntl: an upgrade is atomic or refused, and never loses the shared lock; a
 * waiting writer stops new readers; waits have deadlines, can be cancelled and need no thread.
 */
#ifndef EVENSHIM_LOCK_H
#define EVENSHIM_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include <evenshim/error.h>
#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ES_LOCK_FOREVER ((int64_t)-1)

typedef struct es_lockfile es_lockfile_t;         /* an opened file that can be locked */
typedef struct es_lock es_lock_t;                 /* one hold */
typedef struct es_lock_monitor es_lock_monitor_t; /* the waiters of one loop */
typedef struct es_cancel es_cancel_t;             /* ends blocking calls from another thread */

typedef enum es_lock_kind { ES_LOCK_SHARED = 1, ES_LOCK_EXCLUSIVE = 2 } es_lock_kind_t;

/* Bytes [offset, offset + size) of the space of ranges; size 0: to its end. {0, 0} and NULL are the
 * whole file, which is a lock of its own kind: it and ranges do not see each other. The sum must
 * not exceed ES_LOCK_RANGE_MAX. Ranges need not lie inside the file. */
typedef struct es_range {
    uint64_t offset;
    uint64_t size;
} es_range_t;
#define ES_LOCK_RANGE_MAX ((uint64_t)1 << 61)

/* ---- Files ---------------------------------------------------------------------------------- */

/* Flags of es_lockfile_open; those marked * also of es_lockfile_wrap. */
#define ES_LOCK_CREATE       1u  /* make the file, empty, if there is none; never truncates */
#define ES_LOCK_READONLY     2u  /* * open for reading only: shared locks alone */
#define ES_LOCK_NOFOLLOW     4u  /* a symbolic link (Windows: any reparse point) is ES_ELOOP */
#define ES_LOCK_FAIR         8u  /* * writers are served in order of arrival, across processes */
#define ES_LOCK_COMPAT_FLOCK 16u /* * take flock(2)'s lock instead; Unix only */
#define ES_LOCK_COMPAT_BYTE0 32u /* * lock byte 0 instead, as many programs do */
#define ES_LOCK_NATIVE_RANGE 64u /* * ranges are the file's own bytes, as fcntl users mean them */
/* The file is removed while its exclusive lock is released; the next acquisition makes it anew.
 * Whole files only: a range is ES_ENOTSUP, since its holder is not alone in the file. */
#define ES_LOCK_UNLINK_ON_RELEASE 128u
/* es_lockfile_wrap alone: locks are given to the caller's own descriptor; see there. */
#define ES_LOCK_ADOPT 256u

/* Opens a file to lock it. mode: permissions of a file that is made, as open(2) takes them, under
 * the umask; Windows ignores it. The three compatible modes exclude each other: they meet flock(1),
 * fcntl users, the `filelock` package and so on, but have neither convert nor writers' precedence,
 * and on Windows their locks forbid access to the locked bytes, as they do there. NATIVE_RANGE
 * takes the whole file as [0, end). FAIR costs a thread for each file that is waited for, but not
 * on Windows, whose queue is fair by itself; the BSDs have no such queue and serve as without it.
 * ES_EISDIR: a directory. ES_EINVAL: unknown or conflicting flags, an empty path; and a file that
 * is none (a FIFO, a device) is ES_ENOTSUP. ES_ELOOP: NOFOLLOW met a link. On Windows a file that
 * another program holds open without sharing is asked for again for a quarter of a second, since
 * virus scanners do so, and then is ES_EBUSY. A descriptor is used up per file and per lock. */
ES_API int es_lockfile_open(const char *path, uint32_t flags, int mode, es_lockfile_t **out);

/* The same for a descriptor (Unix: an int; Windows: a HANDLE) that stays the caller's: it is
 * reopened, not kept, so its position and flags do not matter and it may be closed at once. Its
 * file must be open for writing unless ES_LOCK_READONLY is given (ES_EBADF).
 *
 * With ES_LOCK_ADOPT the descriptor itself is locked, as flock(2) locks it: es_lock_detach leaves
 * the lock with it, and it ends when the last copy of the descriptor is closed, in whatever process
 * that is, or by es_lockfile_unlock. A descriptor has one lock: a new one takes its place, in one
 * step if nobody is in the way; who has to wait for it gives the old one up first (flock(2) does
 * so, too), and a try that fails does not. Waiting holds nothing of the descriptor's, so a waiter
 * that is killed leaves nothing with it. Whole files only, and no es_lock_convert: ES_ENOTSUP. A
 * shared lock needs a descriptor that is open for reading. With ES_LOCK_COMPAT_FLOCK any descriptor
 * of any kind of file will do, also a folder's, for locks of both kinds. ES_ENOTSUP where locks
 * belong to processes: Windows, and, without ES_LOCK_COMPAT_FLOCK, the BSDs. */
ES_API int es_lockfile_wrap(intptr_t descriptor, uint32_t flags, es_lockfile_t **out);

/* Frees what the descriptor of an ES_LOCK_ADOPT file has, whoever gave it that; 0 also if that was
 * nothing. ES_EINVAL for any other file. */
ES_API int es_lockfile_unlock(es_lockfile_t *file);

/* What locks on this file can do: a set of ES_LOCK_CAN_ and ES_LOCK_IS_ bits. */
#define ES_LOCK_CAN_LOCK     1u  /* locks owned by their object, whole file and ranges */
#define ES_LOCK_CAN_FLOCK    2u  /* ES_LOCK_COMPAT_FLOCK */
#define ES_LOCK_CAN_NOTIFY   4u  /* the system tells waiters; otherwise they ask again, 1..250 ms */
#define ES_LOCK_IS_NETWORK   8u  /* the file lies on another machine: es_lock_verify matters */
#define ES_LOCK_IS_MANDATORY 16u /* COMPAT and NATIVE locks here forbid others to read or write */
ES_API int es_lockfile_caps(const es_lockfile_t *file, uint32_t *caps);

/* The same for the file system that `path` (a file or a directory) lies on. */
ES_API int es_lock_probe_fs(const char *path, uint32_t *caps);

/* Closes. Locks taken through it live on until they are released; requests must be over. NULL is
 * allowed. */
ES_API void es_lockfile_close(es_lockfile_t *file);

/* ---- Locks ---------------------------------------------------------------------------------- */

/* Takes the lock if that needs no waiting; else ES_EAGAIN. */
ES_API int es_lock_try(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                       es_lock_t **out);

/* Takes the lock, waiting for it. cancel: NULL, or what another thread ends the wait with.
 *
 * A thread that already holds the same file through another object waits for itself, and threads
 * can wait for each other in a circle: for ever, unless there is a timeout or a cancel. evenshim
 * built for debugging (CMake's Debug, or -DEVENSHIM_LOCK_GRAPH=ON) refuses the call that would
 * close such a circle with ES_EDEADLK at once, be it this one or es_lock_convert; what it holds it
 * keeps. Looked at are waits of this process with neither a timeout nor a cancel, for they alone
 * never end otherwise. A lock counts as that thread's which took it, or converted it last; one that
 * came by a request (es_lock_start) is no thread's. So a program whose lock is to be released by
 * another thread than that, while the first waits for it, waits with a cancel, or by a request.
 * Left out are files with ES_LOCK_UNLINK_ON_RELEASE or ES_LOCK_ADOPT. */
ES_API int es_lock_acquire(es_lockfile_t *file, es_lock_kind_t kind, const es_range_t *range,
                           int64_t timeout_ns, es_cancel_t *cancel, es_lock_t **out);

/* Makes a held lock exclusive or shared. 0 at once if it is so already. To shared: never waits and
 * no writer gets between. To exclusive: waits until the other readers have gone, letting no new one
 * in; ES_EDEADLK at once when somebody else is waiting to write, since that one waits for us. After
 * any failure the shared lock is held as before. ES_ENOTSUP in the compatible modes. */
ES_API int es_lock_convert(es_lock_t *lock, es_lock_kind_t kind, int64_t timeout_ns,
                           es_cancel_t *cancel);

/* The kind that is held. */
ES_API es_lock_kind_t es_lock_kind(const es_lock_t *lock);

/* Is the lock still ours, and its path still the locked file? ES_ESTALE when the file was replaced
 * or removed, or when a network file system has lost the lock; best effort there. */
ES_API int es_lock_verify(es_lock_t *lock);

/* Releases and frees the lock, even when it returns a failure. ES_EINVAL for NULL; ES_EFORKED in a
 * forked child, where it only frees. A conversion of it must be over. */
ES_API int es_lock_release(es_lock_t *lock);

/* Gives the lock to the descriptor it was taken with, which becomes the caller's, and frees the
 * object: the lock lives until that descriptor and all duplicates of it are closed, so that a child
 * process that inherits one keeps it (the descriptor itself is closed on exec). A hand-over, not a
 * release: nothing is removed or unlocked. ES_ENOTSUP, and the lock stays as it was, where a lock
 * belongs to the process that took it: Windows, the BSDs (but for ES_LOCK_COMPAT_FLOCK); and with
 * ES_LOCK_UNLINK_ON_RELEASE.
 * ES_EINVAL for NULL. */
ES_API int es_lock_detach(es_lock_t *lock, intptr_t *descriptor);

/* ---- Ending a blocking call ----------------------------------------------------------------- */

/* es_cancel_set may be called from any thread, and on Unix from a signal handler; it stays set, so
 * later calls with it end at once too. Close it when no call uses it. */
ES_API int es_cancel_open(es_cancel_t **out);
ES_API void es_cancel_set(es_cancel_t *cancel);
ES_API void es_cancel_close(es_cancel_t *cancel);

/* ---- Waiting without a thread --------------------------------------------------------------- */

/* A monitor has one pollable: a descriptor to poll for reading on Unix, a HANDLE to wait for on
 * Windows. A loop starts requests, asks for the timeout, waits for either, and dispatches. Requests
 * on one file are served in order of arrival within a monitor. Keep it as long as the loop: closing
 * one takes Linux milliseconds. */
typedef intptr_t es_pollable_t;

ES_API int es_lock_monitor_open(es_lock_monitor_t **out);

/* Closes. Requests that are not over are dropped without a callback and their locks released. NULL
 * is allowed. After fork the child can only close it; all else is ES_EFORKED there. */
ES_API void es_lock_monitor_close(es_lock_monitor_t *monitor);

/* Lives as long as the monitor. */
ES_API es_pollable_t es_lock_monitor_pollable(const es_lock_monitor_t *monitor);

/* After how many nanoseconds es_lock_dispatch should be called although the pollable is silent (a
 * deadline, a file system that does not tell); ES_LOCK_FOREVER: not at all; 0: now. Changes with
 * every start, cancel and dispatch. */
ES_API int64_t es_lock_monitor_timeout(const es_lock_monitor_t *monitor);

/* Blocks until the pollable is ready: 0; or ES_ETIMEDOUT, or ES_ECANCELED. For loops that cannot
 * poll it (a completion loop): one thread calls this and posts the dispatch to the loop. Returns at
 * once until the dispatch has run. Does not look at the deadlines of requests. */
ES_API int es_lock_monitor_wait(es_lock_monitor_t *monitor, int64_t timeout_ns,
                                es_cancel_t *cancel);

/* Makes the pollable ready, until the next dispatch. */
ES_API void es_lock_monitor_wake(es_lock_monitor_t *monitor);

/* A request in the caller's storage, which must stay in place from its start until its callback
 * runs; `data` is the caller's, the rest is evenshim's. */
typedef struct es_lock_req {
    void *data;
    union {
        void *align;
        uint64_t words[40];
    } opaque;
} es_lock_req_t;

/* Runs exactly once per started request, from es_lock_dispatch, never from the call that started or
 * cancelled it. status 0: `lock` is held and the caller's. Otherwise lock is NULL, or, for a
 * conversion, the lock as it was. The request's storage may be freed or used again inside; any
 * function here may be called but es_lock_dispatch and es_lock_monitor_close. */
typedef void (*es_lock_cb)(es_lock_req_t *req, int status, es_lock_t *lock);

/* Begins to take a lock. 0: the callback will tell, even if the lock is had at once (the pollable
 * is ready then); a failure here: it will not run. timeout_ns as everywhere; 0 gives ES_EAGAIN to
 * the callback where it would wait. */
ES_API int es_lock_start(es_lock_monitor_t *monitor, es_lock_req_t *req, es_lockfile_t *file,
                         es_lock_kind_t kind, const es_range_t *range, int64_t timeout_ns,
                         es_lock_cb cb);

/* Begins es_lock_convert. Until the callback the lock must not be used otherwise. */
ES_API int es_lock_start_convert(es_lock_monitor_t *monitor, es_lock_req_t *req, es_lock_t *lock,
                                 es_lock_kind_t kind, int64_t timeout_ns, es_lock_cb cb);

/* Ends a request: its callback runs in the next dispatch with ES_ECANCELED, or with 0 and the lock
 * if that had been granted already. ES_EALREADY when it was over before (its callback has run, or
 * will with another answer). Only between the start and the return of the callback. */
ES_API int es_lock_cancel(es_lock_req_t *req);

/* Does what is due and runs callbacks; never waits. The count of callbacks, or a negative code;
 * after a failure the requests live on and the next dispatch goes on with them. */
ES_API int es_lock_dispatch(es_lock_monitor_t *monitor);

/* ---- Owners --------------------------------------------------------------------------------- */

/* Who holds a lock, for people and for diagnostics: the lock is the truth, the record a comment
 * that its holder wrote into the file. Strings are UTF-8 and end with a zero. */
typedef struct es_lock_owner {
    int64_t pid;
    uint64_t birth;    /* when the process started, in the system's own unit: tells pids apart */
    int64_t since_s;   /* Unix time when the record was made, in seconds */
    char host[256];    /* the machine's name */
    char boot[64];     /* changes when the machine starts anew; "" where unknown */
    char command[256]; /* the program, cut to fit */
} es_lock_owner_t;

/* This process. */
ES_API int es_lock_owner_self(es_lock_owner_t *owner);

/* Replaces the file's contents with a record; needs an exclusive lock and a writable file
 * (ES_EBADF). NULL: this process. The record stays when the lock is released. */
ES_API int es_lock_owner_write(es_lock_t *lock, const es_lock_owner_t *owner);

/* Reads the record of a file, locked or not. ES_ENOENT: no file; ES_EPROTO: it has no record. */
ES_API int es_lock_owner_read(const char *path, es_lock_owner_t *owner);

/* 1: that process lives; 0: it is gone; ES_ENOTSUP: it ran on another machine. */
ES_API int es_lock_owner_is_alive(const es_lock_owner_t *owner);

/* A pid file: opens (and makes, mode 0644) the file, tries its exclusive lock and writes this
 * process's record. ES_EAGAIN: another has it, and *holder says who (pid 0 when the file does not
 * say). holder may be NULL. flags: NOFOLLOW, UNLINK_ON_RELEASE and the compatible modes. */
ES_API int es_pidlock_acquire(const char *path, uint32_t flags, es_lock_owner_t *holder,
                              es_lock_t **out);

#ifdef __cplusplus
}
#endif
#endif
