/* SPDX-License-Identifier: MIT */
#include "kqueue_fake.h"

#include "check.h"

#include "lock_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/event.h>
#include <sys/statfs.h>
#include <unistd.h>

enum {
    QUEUES_MAX = 16,
    KNOTES_MAX = 256,
    DESCRIPTORS_MAX = 1024,
    /* macOS's numbers of its OFD commands, and F_GETPATH */
    DARWIN_OFD_SETLK = 90,
    DARWIN_OFD_SETLKW = 91,
    DARWIN_OFD_GETLK = 92,
    DARWIN_GETPATH = 50,
    DARWIN_MNT_LOCAL = 0x1000,
};

typedef struct queue {
    int fd; /* an epoll descriptor; 0: free */
    int bell;
} queue_t;

typedef struct knote {
    int queue; /* 0: free */
    int ident;
    short filter;
    unsigned notes;
    unsigned posted;
    struct stat file;
} knote_t;

kqueue_fake_t fake;
static queue_t queues[QUEUES_MAX];
static knote_t knotes[KNOTES_MAX];
static char has_locked[DESCRIPTORS_MAX];

static int fail_with(int error) {
    errno = error;
    return -1;
}

static queue_t *find_queue(int fd) {
    for (int index = 0; index < QUEUES_MAX; index++) {
        if (queues[index].fd == fd) {
            return &queues[index];
        }
    }
    return NULL;
}

int kqueue(void) {
    queue_t *queue = find_queue(0);
    struct epoll_event interest = {.events = EPOLLIN};

    if (fake.queue_error != 0) {
        return fail_with(fake.queue_error);
    }
    assert_non_null(queue);
    queue->fd = epoll_create1(0);
    queue->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(queue->fd > 0 && queue->bell > 0);
    assert_int_equal(epoll_ctl(queue->fd, EPOLL_CTL_ADD, queue->bell, &interest), 0);
    return queue->fd;
}

/* ---- Knotes ---- */

static knote_t *find_knote(int queue, uintptr_t ident, short filter) {
    for (int index = 0; index < KNOTES_MAX; index++) {
        knote_t *knote = &knotes[index];

        if (knote->queue == queue &&
            (queue == 0 || ((uintptr_t)knote->ident == ident && knote->filter == filter))) {
            return knote;
        }
    }
    return NULL;
}

static int add(int queue, const struct kevent *change) {
    knote_t *knote = find_knote(queue, change->ident, change->filter);
    struct epoll_event interest = {.events = EPOLLIN};

    if (change->filter == EVFILT_VNODE && fake.add_error != 0) {
        return fail_with(fake.add_error);
    }
    if (knote == NULL) {
        knote = find_knote(0, 0, 0);
        assert_non_null(knote);
        *knote = (knote_t){.queue = queue, .ident = (int)change->ident, .filter = change->filter};
    }
    if (fstat(knote->ident, &knote->file) < 0) {
        knote->queue = 0;
        return -1;
    }
    knote->notes = change->fflags;
    if (change->filter == EVFILT_READ) {
        return epoll_ctl(queue, EPOLL_CTL_ADD, knote->ident, &interest);
    }
    assert_true((change->flags & EV_CLEAR) != 0); /* or it would be told again and again */
    return 0;
}

static int change_one(int queue, const struct kevent *change) {
    knote_t *knote;

    if ((change->flags & EV_ADD) != 0) {
        return add(queue, change);
    }
    knote = find_knote(queue, change->ident, change->filter);
    if (knote == NULL) {
        return fail_with(ENOENT);
    }
    knote->queue = 0;
    return 0;
}

static int is_readable(int fd) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    return poll(&readable, 1, 0) == 1;
}

static int collect(const queue_t *queue, struct kevent *events, int event_count) {
    uint64_t rings;
    int count = 0;

    for (int index = 0; index < KNOTES_MAX && count < event_count; index++) {
        knote_t *knote = &knotes[index];

        if (knote->queue == queue->fd &&
            (knote->filter == EVFILT_READ ? is_readable(knote->ident) : knote->posted != 0)) {
            events[count++] = (struct kevent){
                .ident = (uintptr_t)knote->ident, .filter = knote->filter, .fflags = knote->posted};
            knote->posted = 0;
        }
    }
    if (count < event_count) {
        (void)(read(queue->bell, &rings, sizeof(rings)) < 0);
    }
    return count;
}

int kevent(int fd, const struct kevent *changes, int change_count, struct kevent *events,
           int event_count, const struct timespec *timeout) {
    const queue_t *queue = find_queue(fd);

    if (queue == NULL || fd == 0) {
        return fail_with(EBADF);
    }
    for (int index = 0; index < change_count; index++) {
        if (change_one(fd, &changes[index]) < 0) {
            return -1;
        }
    }
    if (event_count == 0) {
        return 0;
    }
    assert_true(timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0);
    fake.collect_count++;
    return fake.collect_error != 0 ? fail_with(fake.collect_error)
                                   : collect(queue, events, event_count);
}

static void post(const struct stat *file, unsigned notes) {
    static const uint64_t one = 1;

    for (int index = 0; index < KNOTES_MAX; index++) {
        knote_t *knote = &knotes[index];

        if (knote->queue != 0 && (knote->notes & notes) != 0 &&
            knote->file.st_dev == file->st_dev && knote->file.st_ino == file->st_ino) {
            knote->posted |= knote->notes & notes;
            assert_int_equal(write(find_queue(knote->queue)->bell, &one, sizeof(one)), sizeof(one));
        }
    }
}

void fake_post(const char *path, unsigned notes) {
    struct stat file;

    assert_int_equal(stat(path, &file), 0);
    post(&file, notes);
}

int fake_watch_count(void) {
    int count = 0;

    for (int index = 0; index < KNOTES_MAX; index++) {
        count += knotes[index].queue != 0 && knotes[index].filter == EVFILT_VNODE;
    }
    return count;
}

unsigned fake_release_note(void) {
#ifdef FAKE_OPENBSD
    return NOTE_LINK; /* which nobody asks for */
#elif ES__LOCK_DETACHES
    return NOTE_FUNLOCK;
#else
    return NOTE_CLOSE_WRITE;
#endif
}

int fake_tells_of_closes(void) {
    return fake_release_note() != NOTE_LINK;
}

/* ---- What the process does ---- */

static void post_of(int fd, unsigned notes) {
    struct stat file;

    if (fstat(fd, &file) == 0) {
        post(&file, notes);
    }
}

/* A knote goes with its descriptor, and a queue with its own. */
static int close_watched(int fd) {
    queue_t *queue = fd > 0 ? find_queue(fd) : NULL;
    int access = fcntl(fd, F_GETFL);

    for (int index = 0; index < KNOTES_MAX; index++) {
        if (knotes[index].queue == fd || knotes[index].ident == fd) {
            knotes[index].queue = 0;
        }
    }
    if (queue != NULL) {
        (void)close(queue->bell);
        *queue = (queue_t){0, 0};
    } else if (access >= 0) {
        unsigned closed = (access & O_ACCMODE) == O_RDONLY ? 0x100u : 0x200u;

        post_of(fd, closed | (has_locked[fd] ? NOTE_FUNLOCK : 0));
        has_locked[fd] = 0;
    }
    return close(fd);
}

static int lock(int fd, int command, struct flock *region) {
    int result;

    fake.lock_count += region->l_type != F_UNLCK;
    if (fake.lock_error != 0) {
        return fail_with(fake.lock_error);
    }
    command = command == DARWIN_OFD_SETLK    ? F_OFD_SETLK
              : command == DARWIN_OFD_SETLKW ? F_OFD_SETLKW
                                             : command;
    result = fcntl(fd, command, region);
    if (result == 0 && region->l_type != F_UNLCK) {
        has_locked[fd] = 1;
    } else if (result == 0) {
        post_of(fd, NOTE_FUNLOCK);
    }
    return result;
}

static int tell_path(int fd, char *path) {
    char name[32];
    ssize_t size;

    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    size = readlink(name, path, 1023);
    path[size > 0 ? size : 0] = '\0';
    return size > 0 ? 0 : -1;
}

static int fcntl_watched(int fd, int command, ...) {
    va_list list;
    void *argument;

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    switch (command) {
    case DARWIN_OFD_SETLK:
    case DARWIN_OFD_SETLKW:
    case F_SETLK:
    case F_SETLKW:
        return lock(fd, command, argument);
    case DARWIN_OFD_GETLK:
        return fcntl(fd, F_OFD_GETLK, argument);
    case DARWIN_GETPATH:
        return tell_path(fd, argument);
    default:
        return fcntl(fd, command, argument);
    }
}

static int unlink_watched(const char *path) {
    fake_post(path, NOTE_DELETE);
    return unlink(path);
}

static int futimens_watched(int fd, const struct timespec times[2]) {
    int result = futimens(fd, times);

    post_of(fd, NOTE_ATTRIB);
    return result;
}

static int poll_watched(struct pollfd *fds, nfds_t count, int timeout_ms) {
    fake.poll_ms = timeout_ms;
    return fake.poll_error != 0 ? fail_with(fake.poll_error) : poll(fds, count, timeout_ms);
}

#undef fstatfs /* fake_darwin puts this one in its place */
int fake_fstatfs(int fd, struct statfs *status);
int fake_fstatfs(int fd, struct statfs *status) {
    int result = fstatfs(fd, status);

    status->f_flags = fake.is_remote ? 0 : DARWIN_MNT_LOCAL;
    return result;
}

void fake_begin(void) {
    memset(&fake, 0, sizeof(fake));
    es__sys.close = close_watched;
    es__sys.fcntl = fcntl_watched;
    es__sys.unlink = unlink_watched;
    es__sys.futimens = futimens_watched;
    es__sys.poll = poll_watched;
}

void fake_end(void) {
    es__sys = es__sys_default;
    assert_int_equal(fake_watch_count(), 0);
}
