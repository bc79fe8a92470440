/* SPDX-License-Identifier: MIT */
/* Sockets with one meaning on every system.
 *
 * An es_sock_t is the native descriptor itself (an int on Unix, a SOCKET on Windows), so it can be
 * taken from and handed to any other library. Every function returns 0 or a negative code of
 * error.h and writes its results only on success. No call here waits or raises SIGPIPE. Where the
 * system lets each call say so (MSG_DONTWAIT on Linux) receiving and sending do not look at the
 * descriptor's O_NONBLOCK flag; everywhere else, and for accept and connect always, the socket must
 * be non-blocking, as es_sock_open and es_sock_accept make it.
 *
 * A socket made by other code goes through es_sock_adopt once, before its first use here.
 *
 * Thread safety: any thread; two threads may use one socket at once in different directions.
 */
#ifndef EVENSHIM_SOCKET_H
#define EVENSHIM_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include <evenshim/error.h>
#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef intptr_t es_sock_t;
#define ES_SOCK_INVALID ((es_sock_t)-1)

/* A piece of memory. Laid out as struct iovec on Unix; the Windows leaf converts to WSABUF. */
typedef struct es_iov {
    void *base;
    size_t size; /* bytes */
} es_iov_t;

/* At most this many pieces go into one system call; more is a short write, never an error (IOV_MAX
 * is 1024 on Linux). */
#define ES_IOV_MAX 64

/* A socket address, large enough for every family, in the system's own sockaddr layout. */
typedef struct es_addr {
    uint32_t size; /* bytes used of `storage`; 0: no address (an unnamed peer) */
    union {
        uint64_t align;
        unsigned char bytes[128];
    } storage;
} es_addr_t;

/* Flags of es_sock_open. */
#define ES_SOCK_NODELAY    1u /* TCP_NODELAY on a stream socket of an internet family */
#define ES_SOCK_DUAL_STACK 2u /* an AF_INET6 socket serves IPv4 too (as ::ffff:a.b.c.d) */

/* Opens a socket, non-blocking and not inherited by children. family and type are the system's own
 * AF_ and SOCK_ numbers, protocol 0 is the usual one. Whether an AF_INET6 socket serves IPv4 is
 * always set, since systems disagree about it: no, unless ES_SOCK_DUAL_STACK is given.
 * Differs from POSIX: flags that Linux takes in `type` (SOCK_NONBLOCK) are not for `type` here.
 * ES_EINVAL: an unknown flag. */
ES_API int es_sock_open(int family, int type, int protocol, uint32_t flags, es_sock_t *out);

/* Makes a socket that other code created behave as those of es_sock_open where evenshim's calls
 * depend on it: on Windows a datagram socket stops reporting ICMP errors of earlier sends
 * (SIO_UDP_CONNRESET and SIO_UDP_NETRESET off, but for a connected one, which is to report a
 * refusal as Unix does); where there is no MSG_NOSIGNAL, SIGPIPE goes off (SO_NOSIGPIPE).
 * O_NONBLOCK and inheritance stay as they are. Nothing to do on Linux. May be repeated. */
ES_API int es_sock_adopt(es_sock_t sock);

/* The same for a socket that is known to be of a datagram type: saves asking the system. */
ES_API int es_sock_adopt_datagram(es_sock_t sock);

/* Makes a datagram socket that has neither been bound nor connected fit to be received on, or
 * watched for it: Windows refuses that (WSAEINVAL) until the socket has an address, so it gets the
 * wildcard one with a port of the system's choice, as its first sendto would give it. Elsewhere it
 * waits without one, and nothing happens; nor does it to a socket that has an address. A receive
 * that meets such a socket does this too. To be called after a bind of one's own, if any. */
ES_API int es_sock_enable_recv(es_sock_t sock);

/* Closes a descriptor. Never reports EINTR: the descriptor is gone when this returns, whatever the
 * system said. */
ES_API int es_sock_close(es_sock_t sock);

ES_API int es_sock_bind(es_sock_t sock, const es_addr_t *addr);
ES_API int es_sock_listen(es_sock_t sock, int backlog);

/* Takes one waiting connection. The new socket is non-blocking, not inherited; peer may be NULL.
 * ES_EAGAIN: nobody waits. ES_ECONNABORTED: one gave up while it waited; call again. ES_EMFILE,
 * ES_ENFILE, ES_ENOBUFS, ES_ENOMEM: out of a resource; the connection still waits.
 * Differs from POSIX: network errors of the waiting connection (Linux's accept(2) lists six,
 * Windows reports a reset) are all ES_ECONNABORTED: none of them is about the listener. */
ES_API int es_sock_accept(es_sock_t listener, es_sock_t *out, es_addr_t *peer);

/* Begins to connect: 0, or ES_EINPROGRESS: wait until writable, then call es_sock_connect_finish.
 * 0.0.0.0 and :: mean this machine, also on Windows; a refused connect to a loopback address fails
 * at once there (from Windows 10 1709 on; two seconds before that). On a datagram socket connect
 * sets the peer, and a refusal by ICMP is then reported once by a later call.
 * Differs from POSIX: an interrupted connect goes on, so it is ES_EINPROGRESS. */
ES_API int es_sock_connect(es_sock_t sock, const es_addr_t *addr);

/* The result of a connect that was in progress: 0, ES_EINPROGRESS (not yet), or the reason it
 * failed. Asked again after a failure, Unix has forgotten the reason and gives ES_ENOTCONN, Windows
 * may repeat it. */
ES_API int es_sock_connect_finish(es_sock_t sock);

/* Receives up to `size` bytes. 0 with *done >= 1, ES_EAGAIN, or ES_EOF when the peer of a stream
 * socket has shut down its sending side. On a datagram socket a zero-length datagram is data: 0
 * with *done == 0, and a datagram longer than the buffer is cut to it without error, as on Unix.
 * Asking for 0 bytes of a stream says nothing about the peer: 0 with *done == 0, or ES_EAGAIN. */
ES_API int es_sock_recv(es_sock_t sock, void *base, size_t size, size_t *done);

/* The same with the sender's address (size 0 on a stream socket, or if the sender has none). A
 * connected datagram socket reports ES_ECONNREFUSED once after an ICMP error; an unconnected one
 * never hears of those. */
ES_API int es_sock_recvfrom(es_sock_t sock, void *base, size_t size, size_t *done, es_addr_t *from);

/* Sends 1..size bytes: 0 with *done bytes taken by the system, or ES_EAGAIN: none. ES_EPIPE after
 * we shut down sending, ES_ECONNRESET when the peer is gone. */
ES_API int es_sock_send(es_sock_t sock, const void *base, size_t size, size_t *done);

/* The same for several pieces in one call; pieces after the first ES_IOV_MAX wait for the next
 * call. The pieces are not changed. */
ES_API int es_sock_sendv(es_sock_t sock, const es_iov_t *iov, size_t iov_count, size_t *done);

/* Sends one datagram, whole or not at all. ES_EMSGSIZE: too long for the protocol. */
ES_API int es_sock_sendto(es_sock_t sock, const void *base, size_t size, const es_addr_t *to,
                          size_t *done);

/* Ends one direction or both. ES_ENOTCONN: there is no connection (any more).
 * Differs from POSIX: on Windows data that arrives after ES_SHUT_READ resets the connection, where
 * Unix takes it; ES_SHUT_WRITE is the portable one. */
#define ES_SHUT_READ  0
#define ES_SHUT_WRITE 1
#define ES_SHUT_BOTH  2
ES_API int es_sock_shutdown(es_sock_t sock, int how);

/* SO_ERROR, read and cleared, as a code of error.h (0: none). */
ES_API int es_sock_take_error(es_sock_t sock, int *code);

/* The socket's own address and its peer's. ES_ENOTCONN: it has no peer. */
ES_API int es_sock_name(es_sock_t sock, es_addr_t *addr);
ES_API int es_sock_peer(es_sock_t sock, es_addr_t *addr);

/* on: 0 or 1. Windows cannot be asked whether a socket is non-blocking, so there is no getter. */
ES_API int es_sock_set_nodelay(es_sock_t sock, int on);
ES_API int es_sock_set_nonblocking(es_sock_t sock, int on);

#ifdef __cplusplus
}
#endif
#endif
