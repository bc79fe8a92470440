/* SPDX-License-Identifier: MIT */
/* A scripted Windows: the test writes down which calls the leaf will make, in order, and what each
 * answers; any other call, order or argument fails the test. Like Winsock, every call overwrites
 * the last error, so a leaf that asks for it too late reads the wrong one. */
#ifndef EVENSHIM_TESTS_SCRIPT_WINDOWS_H
#define EVENSHIM_TESTS_SCRIPT_WINDOWS_H

#include "sys.h"

#include <stdint.h>

typedef struct step {
    const char *call;  /* the name of the function that must be called */
    intptr_t result;   /* what it returns */
    int error;         /* what WSAGetLastError says then */
    int64_t wanted;    /* what its telling argument must be (see below); ANY: whatever */
    int64_t value;     /* what it writes: an option's value, the bytes sent, a count of sockets */
    const char *bytes; /* what it receives into the buffer, `result` bytes of it or `value` */
} step_t;

enum { ANY = -987654321, SOCK = 1234 };

/* As a recvfrom's value: it says nothing of a sender. */
enum { NO_SENDER = -1 };

/* The telling argument of each call:
 *   WSAStartup                 version
 *   WSASocketW                 flags
 *   ioctlsocket                on or off
 *   WSAIoctl                   control code
 *   getsockopt, setsockopt     name of the option
 *   bind, connect, sendto      IPv4 host, or the last 4 bytes of an IPv6 one
 *   recv, recvfrom, send       size
 *   WSASend                    count of buffers
 *   listen, shutdown           the number given
 *   SetHandleInformation       flags */

/* Takes the steps, up to one without a call. */
void script_steps(const step_t *steps);

/* Every step was taken. */
void script_finish(void);

/* Arguments beyond the telling one, of the last call of their kind. */
extern BOOL script_report_on;         /* WSAIoctl: the BOOL it was given */
extern unsigned char script_ioctl[8]; /* WSAIoctl: the first bytes it was given */
extern DWORD script_ioctl_size;
extern int script_option_value;     /* setsockopt */
extern uint64_t script_bytes_total; /* WSASend: sum of the buffers */
extern int script_startups;         /* WSAStartup: calls since the beginning */

#endif
