/* SPDX-License-Identifier: MIT */
/* The contract that each socket leaf keeps: src/posix/socket.c and src/win/socket.c.
 *
 * A leaf defines every function of evenshim/socket.h itself, with no layer between, because each
 * byte of a program passes here: receiving and sending cost one indirect call and the system call.
 * Beyond what socket.h promises to users, a leaf promises:
 *
 *   - Every call of the system goes through es__sys (sys.h of the leaf), so that a test can make
 *     any of them fail at any time. The leaf calls no other function of the system.
 *   - The error of a failed call is read once, directly after it, and goes through es__fail exactly
 *     once. The answer EAGAIN of a receive, send or accept touches no thread-local state but errno.
 *   - Results are written only when the return value is 0.
 *   - A descriptor that was made and cannot be finished (a failing option) is closed before the
 *     error is returned; the reason that is returned is the first one.
 *   - A call that a signal interrupts is repeated, at most ES__INTERRUPTIONS_MAX times in a row;
 *     then the tables in error_rows.h say what it means (for readiness calls: not now). connect and
 *     close are never repeated: both have happened when they say EINTR.
 *   - No allocation, no lock, no state: a leaf keeps nothing about a socket.
 *   - Lengths that the system's types cannot hold are cut for streams and refused (ES_EMSGSIZE) for
 *     datagrams; they are never wrapped.
 *
 * pre of all:  pointers are valid (peer of es_sock_accept may be NULL); `sock` may be anything.
 * thread:      any; different sockets, and different directions of one socket, at once.
 */
#ifndef EVENSHIM_SRC_PRIM_SOCKET_H
#define EVENSHIM_SRC_PRIM_SOCKET_H

#include <evenshim/socket.h>

#define ES__INTERRUPTIONS_MAX 128

#define ES__SOCK_FLAGS        (ES_SOCK_NODELAY | ES_SOCK_DUAL_STACK)

/* SIO_UDP_CONNRESET and its like are answered by asking again; a peer that sends ICMP errors
 * without end gets no more than this many turns before the caller's loop serves others. */
#define ES__SUPPRESSED_MAX 64

#endif
