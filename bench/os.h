/* SPDX-License-Identifier: MIT */
/* os.h: the few things the benchmark programs need from the system and libuv does not give.
 *
 * Owns nothing. Each function has one body per system: os_socket_posix.c or os_socket_win.c, and
 * os_cpu_posix.c, os_cpu_darwin.c or os_cpu_win.c; the build picks the files.
 * The echo programs use neither evenshim nor the engine, so that a fault there cannot flatter the
 * figures that are compared here. */
#ifndef BENCH_OS_H
#define BENCH_OS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* What an input or output call on a socket can end as, besides a count of bytes. */
#define OS_WOULD_BLOCK (-1)
#define OS_FAILED      (-2)

/* Reads the processor time, user and system, that all threads of process `pid`, finished ones
 * too, have used since it started. Returns 0 and stores nanoseconds in *cpu_ns, or -1 where the
 * process is gone or may not be asked. Linux and macOS count in nanoseconds; Windows adds whole
 * clock ticks (about 16 ms), so a measurement there has to last for seconds. */
int os_process_cpu_ns(int64_t pid, uint64_t *cpu_ns);

/* Makes a write to a connection that the peer has reset an error instead of a deadly signal. */
void os_ignore_broken_pipe(void);

/* Opens a TCP listener on the address, made non-blocking. Returns 0, or -1 on any failure. */
int os_socket_listen(const struct sockaddr_in *address, int backlog, uv_os_sock_t *listener);

/* Stores the IPv4 port that `listener` is bound to, in host order. Returns 0 or -1. */
int os_socket_port(uv_os_sock_t listener, int *port);

/* Accepts one connection, non-blocking and with TCP_NODELAY set.
 * Returns 0, OS_WOULD_BLOCK when none is waiting, or OS_FAILED. */
int os_socket_accept(uv_os_sock_t listener, uv_os_sock_t *connection);

/* Each returns the count of bytes moved (0 from os_socket_recv is the end of the stream),
 * OS_WOULD_BLOCK or OS_FAILED. A call that a signal interrupted is repeated. */
ptrdiff_t os_socket_recv(uv_os_sock_t connection, char *buffer, size_t size);
ptrdiff_t os_socket_send(uv_os_sock_t connection, const char *buffer, size_t size);

void os_socket_close(uv_os_sock_t socket);

#endif
