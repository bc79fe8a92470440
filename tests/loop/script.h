/* SPDX-License-Identifier: MIT */
/* Scripted system calls: a network that does what the test says, on every system alike.
 *
 * While a script is on, evenshim's recv, recvfrom, send, sendto, accept and shutdown come here instead of to the
 * system. Answers are a number of bytes or a code of evenshim, told to evenshim as this system
 * would tell it.
 */
#ifndef EVENLOOP_TESTS_SCRIPT_H
#define EVENLOOP_TESTS_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include <evenshim/socket.h>

/* One system call's answer: how many bytes at most, or a failure. */
typedef struct answer {
    int code; /* 0, or a code of evenshim */
    size_t limit;
} answer_t;

#define ANSWERS_MAX 64

typedef struct script {
    answer_t recv[ANSWERS_MAX]; /* in order; after the last one: nothing to read (ES_EAGAIN) */
    size_t recv_count;
    size_t recv_next;
    answer_t send[ANSWERS_MAX]; /* in order; after the last one: all is taken */
    size_t send_count;
    size_t send_next;
    answer_t accept[ANSWERS_MAX]; /* limit: unused; after the last one ES_EAGAIN */
    size_t accept_count;
    size_t accept_next;
    size_t shutdowns;
    size_t calls;        /* of recv, send and shutdown so far */
    size_t fail_at;      /* this call (from 1) fails... */
    int fail_code;       /* ...with this; 0: none does */
    unsigned char *wire; /* what was sent */
    size_t wire_size;
    size_t wire_capacity;
    uint32_t received; /* bytes given out: byte n of the stream is n & 0xff */
    es_addr_t sender;  /* of what recvfrom gives; size 0: nobody */
    es_addr_t target;  /* of the last sendto */
    size_t sends;      /* calls of send and sendto that the system took */
} script_t;

extern script_t script;

void script_on(void);  /* forgets what was, then takes over the system calls */
void script_off(void); /* gives them back; frees the wire */
void script_recv(int code, size_t limit);
void script_send(int code, size_t limit);
void script_accept(int code);

/* For the leaves script_posix.c and script_win.c: results are bytes, or a negative code of
 * evenshim. */
intptr_t script_do_recv(void *base, size_t size);
intptr_t script_do_send(const es_iov_t *iov, size_t count);
intptr_t script_do_recvfrom(void *base, size_t size, void *addr, size_t *addr_size);
intptr_t script_do_sendto(const void *base, size_t size, const void *addr, size_t addr_size);
int script_do_accept(es_sock_t *out); /* 0 with a socket, or a code */
int script_do_shutdown(void);
void script_install(void);
void script_uninstall(void);

#endif
