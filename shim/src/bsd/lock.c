/* SPDX-License-Identifier: MIT */
/* Single locks on the BSDs, which have no OFD locks. A POSIX lock belongs to the process and goes
 * with any close of any descriptor of the file (SQLite's os_unix.c: "broken by design"). So the
 * process keeps a table of the files on which it has locks: who among its holds has which bytes. A
 * try is judged there first and by fcntl second; a free gives the system only the bytes that no
 * other hold has; and while a file has locks none of its descriptors that pass through here is
 * closed: they wait in the table for the last lock to go, or to be used again. Another library that
 * opens and closes the file in this process still drops the locks: es_lock_verify is all that helps
 * there. Everything here is under one mutex; breaks if a descriptor of a locked file is closed
 * elsewhere. */
#include "lock_posix.h"

#include "error_internal.h"

#include <evenshim/memory.h>

#include <assert.h>
#include <errno.h>

typedef struct entry entry_t;
typedef struct inode inode_t;

/* Bytes [first, end) that one hold has. */
struct entry {
    entry_t *next;
    const es__hold_t *hold;
    uint64_t first;
    uint64_t end;
    es_lock_kind_t kind;
};

/* A descriptor that must not be closed yet. */
typedef struct late {
    struct late *next;
    int fd;
} late_t;

struct inode {
    inode_t *next;
    dev_t device;
    ino_t number;
    entry_t *entries;
    late_t *late;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static inode_t *inodes;

static uint64_t end_of(es__bytes_t bytes) {
    return bytes.size != 0 ? bytes.offset + bytes.size : (uint64_t)INT64_MAX;
}

static inode_t *find(int fd) {
    struct stat status;
    inode_t *inode = inodes;

    if (es__sys.fstat(fd, &status) < 0) {
        return NULL;
    }
    while (inode != NULL && (inode->device != status.st_dev || inode->number != status.st_ino)) {
        inode = inode->next;
    }
    return inode;
}

static inode_t *find_or_make(int fd) {
    struct stat status;
    inode_t *inode = find(fd);

    if (inode != NULL || es__sys.fstat(fd, &status) < 0) {
        return inode;
    }
    inode = es_calloc(1, sizeof(*inode));
    if (inode == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    inode->device = status.st_dev;
    inode->number = status.st_ino;
    inode->next = inodes;
    inodes = inode;
    return inode;
}

/* Closes what has waited, and forgets the file, once nobody here has a lock on it. */
static void tidy(inode_t *inode) {
    inode_t **link = &inodes;

    if (inode->entries != NULL) {
        return;
    }
    while (inode->late != NULL) {
        late_t *late = inode->late;

        inode->late = late->next;
        (void)es__sys.close(late->fd);
        es_free(late);
    }
    while (*link != inode) {
        link = &(*link)->next;
    }
    *link = inode->next;
    es_free(inode);
}

static int is_in_the_way(const inode_t *inode, const es__hold_t *hold, uint64_t first, uint64_t end,
                         es_lock_kind_t kind) {
    for (const entry_t *entry = inode->entries; entry != NULL; entry = entry->next) {
        if (entry->hold != hold && entry->first < end && first < entry->end &&
            (entry->kind == ES_LOCK_EXCLUSIVE || kind == ES_LOCK_EXCLUSIVE)) {
            return 1;
        }
    }
    return 0;
}

/* Cuts [first, end) out of what the hold has: an entry may vanish, shrink, or become two. `spare`
 * is for the second; the hold's new entry, if any, is added by the caller. */
static void cut(inode_t *inode, const es__hold_t *hold, uint64_t first, uint64_t end,
                entry_t **spare) {
    entry_t **link = &inode->entries;

    while (*link != NULL) {
        entry_t *entry = *link;

        if (entry->hold != hold || entry->first >= end || first >= entry->end) {
            link = &entry->next;
        } else if (entry->first < first && entry->end > end) {
            entry_t *tail = *spare;

            *spare = NULL;
            *tail = *entry;
            tail->first = end;
            entry->end = first;
            entry->next = tail;
            return;
        } else if (entry->first < first) {
            entry->end = first;
            link = &entry->next;
        } else if (entry->end > end) {
            entry->first = end;
            link = &entry->next;
        } else {
            *link = entry->next;
            es_free(entry);
        }
    }
}

/* Tells the system what the process has on [first, end) after a change: piece by piece, since
 * holds' shared bytes may overlap. */
static void settle(const inode_t *inode, int fd, uint64_t first, uint64_t end) {
    while (first < end) {
        uint64_t piece_end = end;
        short type = F_UNLCK;

        for (const entry_t *entry = inode->entries; entry != NULL; entry = entry->next) {
            if (entry->first <= first && first < entry->end) {
                type = entry->kind == ES_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
                piece_end = entry->end < piece_end ? entry->end : piece_end;
            } else if (entry->first > first && entry->first < piece_end) {
                piece_end = entry->first;
            }
        }
        (void)es__lock_fcntl(fd, F_SETLK, type, (es__bytes_t){first, piece_end - first});
        first = piece_end;
    }
}

static int judge(int reason) {
    errno = reason;
    return reason == EAGAIN || reason == EACCES ? ES_EAGAIN : es__lock_fail(ES_OP_LOCK, "fcntl");
}

/* Under the mutex. `made` and `spare` are two entries to use. 0 or errno. */
static int set_lock(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind, entry_t **made,
                    entry_t **spare) {
    int fd = (int)hold->native;
    inode_t *inode = find_or_make(fd);
    uint64_t end = end_of(bytes);

    if (inode == NULL) {
        return errno;
    }
    if (is_in_the_way(inode, hold, bytes.offset, end, kind)) {
        return EAGAIN;
    }
    if (es__lock_fcntl(fd, F_SETLK, kind == ES_LOCK_SHARED ? F_RDLCK : F_WRLCK, bytes) < 0) {
        int reason = errno;

        tidy(inode);
        return reason;
    }
    cut(inode, hold, bytes.offset, end, spare);
    **made = (entry_t){inode->entries, hold, bytes.offset, end, kind};
    inode->entries = *made;
    *made = NULL;
    return 0;
}

static int set_flock(int fd, int operation) {
    return es__sys.flock(fd, operation) < 0 ? judge(errno) : 0;
}

int es__prim_lock_try(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    entry_t *made;
    entry_t *spare;
    int reason;

    if (hold->is_flock) {
        return set_flock((int)hold->native, (kind == ES_LOCK_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB);
    }
    made = es_malloc(sizeof(*made));
    spare = es_malloc(sizeof(*spare));
    if (made == NULL || spare == NULL) {
        reason = ENOMEM;
    } else {
        (void)pthread_mutex_lock(&mutex);
        reason = set_lock(hold, bytes, kind, &made, &spare);
        (void)pthread_mutex_unlock(&mutex);
    }
    es_free(made);
    es_free(spare);
    return reason == 0 ? 0 : judge(reason);
}

/* The system's queue waits for processes, and this one's threads would pass each other in it. */
int es__prim_lock_wait(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    (void)hold;
    (void)bytes;
    (void)kind;
    return ES_ENOTSUP;
}

int es__prim_lock_look(const es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    (void)hold;
    (void)bytes;
    (void)kind;
    return 0;
}

int es__prim_lock_convert(es__hold_t *hold, es__bytes_t bytes, es_lock_kind_t kind) {
    return es__prim_lock_try(hold, bytes, kind);
}

int es__prim_lock_free(es__hold_t *hold, es__bytes_t bytes) {
    entry_t *spare;
    inode_t *inode;

    if (hold->is_flock) {
        return set_flock((int)hold->native, LOCK_UN);
    }
    spare = es_malloc(sizeof(*spare));
    if (spare == NULL) {
        return judge(ENOMEM);
    }
    (void)pthread_mutex_lock(&mutex);
    inode = find((int)hold->native);
    if (inode != NULL) {
        cut(inode, hold, bytes.offset, end_of(bytes), &spare);
        settle(inode, (int)hold->native, bytes.offset, end_of(bytes));
        tidy(inode);
    }
    (void)pthread_mutex_unlock(&mutex);
    es_free(spare);
    return 0;
}

/* Frees everything of a hold; its descriptor is closed by the next function. */
void es__lock_forget(es__hold_t *hold) {
    entry_t **link;
    inode_t *inode;

    (void)pthread_mutex_lock(&mutex);
    inode = find((int)hold->native);
    link = inode != NULL ? &inode->entries : NULL;
    while (link != NULL && *link != NULL) {
        entry_t *entry = *link;

        if (entry->hold == hold) {
            *link = entry->next;
            settle(inode, (int)hold->native, entry->first, entry->end);
            es_free(entry);
        } else {
            link = &entry->next;
        }
    }
    if (inode != NULL) {
        tidy(inode);
    }
    (void)pthread_mutex_unlock(&mutex);
}

/* Closes now, or with the file's last lock; then a touch tells the waiters instead. */
void es__lock_close_fd(int fd) {
    late_t *late = es_malloc(sizeof(*late));
    inode_t *inode;

    (void)pthread_mutex_lock(&mutex);
    inode = find(fd);
    if (inode != NULL && late != NULL) {
        late->fd = fd;
        late->next = inode->late;
        inode->late = late;
        late = NULL;
        (void)es__sys.futimens(fd, NULL);
    } else if (inode == NULL) {
        (void)es__sys.close(fd);
    } /* without memory the descriptor is left open: closing it would drop the locks */
    (void)pthread_mutex_unlock(&mutex);
    es_free(late);
}

/* In a forked child, which has inherited no lock: the table starts anew. */
void es__lock_forked(void) {
    (void)pthread_mutex_init(&mutex, NULL);
    inodes = NULL;
}

void es__prim_lock_announce(es__hold_t *hold) {
    (void)es__sys.futimens((int)hold->native, NULL);
}

/* One of those that wait to be closed, else locks that come and go beside one that stays would use
 * up all descriptors. -1: none fits. */
static int take_late(int base, uint32_t flags) {
    int access = (flags & ES_LOCK_READONLY) != 0 ? O_RDONLY : O_RDWR;
    late_t *found = NULL;
    inode_t *inode;
    int fd = -1;

    (void)pthread_mutex_lock(&mutex);
    inode = find(base);
    for (late_t **link = inode != NULL ? &inode->late : NULL; link != NULL && *link != NULL;
         link = &(*link)->next) {
        int status = es__sys.fcntl((*link)->fd, F_GETFL, 0);

        if (status >= 0 && (status & O_ACCMODE) == access) {
            found = *link;
            *link = found->next;
            fd = found->fd;
            break;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
    es_free(found);
    return fd;
}

/* By the path, if it still leads there: there is no other way to an open description of one's own.
 */
int es__lock_reopen(int base, const char *path, uint32_t flags) {
    int fd = take_late(base, flags);
    int reason;

    if (fd >= 0) {
        return fd;
    }
    fd = path != NULL ? es__lock_open_fd(path, flags & (uint32_t)ES_LOCK_READONLY, 0)
                      : es__sys.fcntl(base, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0 && es__lock_same_file(base, fd) < 0) {
        reason = errno;
        es__lock_close_fd(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Which file systems are on other machines the BSDs tell in three ways; a touch is seen on all that
 * can be watched. */
int es__prim_lock_caps(intptr_t native, uint32_t *caps) {
    (void)native;
    *caps = ES__LOCK_CAPS;
    return 0;
}

int es__prim_lock_caps_at(const char *path, uint32_t *caps) {
    struct stat status;

    return es__sys.stat(path, &status) < 0 ? es__lock_fail(ES_OP_OPEN, "stat")
                                           : es__prim_lock_caps(ES__NATIVE_NONE, caps);
}
