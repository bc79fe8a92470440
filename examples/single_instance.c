/* SPDX-License-Identifier: MIT */
/* A program that runs once at a time: it holds a lock file while it runs, and who comes second is
 * told who came first. Nothing stale can stay: the lock ends with the process, however it ends.
 *
 *     single_instance FILE        runs until its input ends
 *
 * With evenshim installed: cc single_instance.c $(pkg-config --cflags --libs evenshim)
 */
#include <evenshim/evenshim.h>

#include <stdio.h>

int main(int argc, char **argv) {
    es_lock_owner_t holder;
    es_lock_t *lock = NULL;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: single_instance FILE\n");
        return 2;
    }
    code = es_pidlock_acquire(argv[1], ES_LOCK_UNLINK_ON_RELEASE, &holder, &lock);
    if (code == ES_EAGAIN) {
        printf("it runs already, as process %lld on %s\n", (long long)holder.pid, holder.host);
        return 1;
    }
    if (code != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], es_error_text(code));
        return 2;
    }
    printf("running\n");
    fflush(stdout);
    while (getchar() != EOF) {
        /* here the program would do its work */
    }
    code = es_lock_release(lock);
    return code == 0 ? 0 : 2;
}
