/* SPDX-License-Identifier: MIT */
/* What a user of evenshim writes: a socket pair over loopback that says hello, and an error that
 * has the same name everywhere. Prints one line; the test compares it. */
#include <evenshim/evenshim.h>

#include <stdio.h>

int main(void) {
    es_sock_t sock = ES_SOCK_INVALID;
    const int family_inet = 2; /* AF_INET of every system */
    const int type_stream = 1; /* SOCK_STREAM of every system */
    es_addr_t peer;
    void *memory = es_malloc(16);
    int code;

    if (memory == NULL || es_version() != ES_VERSION) {
        return 1;
    }
    es_free(memory);
    if (es_sock_open(family_inet, type_stream, 0, ES_SOCK_NODELAY, &sock) != 0) {
        return 2;
    }
    code = es_sock_peer(sock, &peer);
    if (es_sock_close(sock) != 0) {
        return 3;
    }
    printf("evenshim %s: %s (%d), generation %u\n", es_version_string(), es_error_name(code), code,
           (unsigned)es_process_generation());
    return code == ES_ENOTCONN ? 0 : 4;
}
