/* SPDX-License-Identifier: MIT */
/* The system calls of the Windows leaf, in a table: row(result, convention, name, parameters).
 *
 * The leaf calls es__sys.recv(...), never recv(...). A test replaces single fields, or defines the
 * whole table itself and leaves sys.c out. Fields may be replaced only while no other thread is
 * inside evenshim. A replacement tells its error through the table's own WSAGetLastError. */
#ifndef EVENSHIM_SRC_WIN_SYS_H
#define EVENSHIM_SRC_WIN_SYS_H

#include <platform.h> /* by the include path: tests have one of their own */

/* clang-format off */

#define ES__SYS_CALLS(row)                                                                         \
    row(int, WSAAPI, WSAStartup, (WORD, LPWSADATA))                                                \
    row(int, WSAAPI, WSAGetLastError, (void))                                                      \
    row(SOCKET, WSAAPI, WSASocketW, (int, int, int, LPWSAPROTOCOL_INFOW, GROUP, DWORD))            \
    row(int, WSAAPI, ioctlsocket, (SOCKET, long, u_long *))                                        \
    row(int, WSAAPI, WSAIoctl, (SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD, LPDWORD,              \
                                LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE))              \
    row(int, WSAAPI, bind, (SOCKET, const struct sockaddr *, int))                                 \
    row(int, WSAAPI, listen, (SOCKET, int))                                                        \
    row(SOCKET, WSAAPI, accept, (SOCKET, struct sockaddr *, int *))                                \
    row(int, WSAAPI, connect, (SOCKET, const struct sockaddr *, int))                              \
    row(int, WSAAPI, recv, (SOCKET, char *, int, int))                                             \
    row(int, WSAAPI, recvfrom, (SOCKET, char *, int, int, struct sockaddr *, int *))               \
    row(int, WSAAPI, send, (SOCKET, const char *, int, int))                                       \
    row(int, WSAAPI, sendto, (SOCKET, const char *, int, int, const struct sockaddr *, int))       \
    row(int, WSAAPI, WSASend, (SOCKET, LPWSABUF, DWORD, LPDWORD, DWORD, LPWSAOVERLAPPED,           \
                               LPWSAOVERLAPPED_COMPLETION_ROUTINE))                                \
    row(int, WSAAPI, shutdown, (SOCKET, int))                                                      \
    row(int, WSAAPI, closesocket, (SOCKET))                                                        \
    row(int, WSAAPI, getsockopt, (SOCKET, int, int, char *, int *))                                \
    row(int, WSAAPI, setsockopt, (SOCKET, int, int, const char *, int))                            \
    row(int, WSAAPI, getsockname, (SOCKET, struct sockaddr *, int *))                              \
    row(int, WSAAPI, getpeername, (SOCKET, struct sockaddr *, int *))                              \
    row(int, WSAAPI, select, (int, fd_set *, fd_set *, fd_set *, const PTIMEVAL))                  \
    row(BOOL, WINAPI, SetHandleInformation, (HANDLE, DWORD, DWORD))                                \
    row(DWORD, WINAPI, GetLastError, (void))

/* clang-format on */

#define ES__SYS_FIELD(result, convention, name, parameters) result(convention *name) parameters;
typedef struct es__sys {
    ES__SYS_CALLS(ES__SYS_FIELD)
} es__sys_t;
#undef ES__SYS_FIELD

extern es__sys_t es__sys;
extern const es__sys_t es__sys_default;

#endif
