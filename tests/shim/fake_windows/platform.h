/* SPDX-License-Identifier: MIT */
/* What the Windows leaf needs of the Windows headers, declared with the same widths, values and
 * layouts, so that it compiles on any system. Stands before src/win/platform.h in the include path.
 * Values are those of winsock2.h, ws2ipdef.h and winbase.h of the Windows SDK. Nothing here has a
 * definition: the test supplies the whole table of calls. */
#ifndef EVENSHIM_TESTS_FAKE_WINDOWS_PLATFORM_H
#define EVENSHIM_TESTS_FAKE_WINDOWS_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#define WSAAPI
#define WINAPI
#define FALSE 0
#define TRUE  1

typedef int BOOL;
typedef char CHAR;
typedef uint8_t UCHAR;
typedef uint16_t USHORT;
typedef uint16_t WORD;
typedef uint32_t DWORD;
typedef uint32_t ULONG;
typedef uint32_t u_long; /* long has 32 bits on Windows */
typedef unsigned u_int;
typedef DWORD *LPDWORD;
typedef void *LPVOID;
typedef void *HANDLE;
typedef uintptr_t SOCKET;
typedef unsigned GROUP;

#define INVALID_SOCKET ((SOCKET)~0)
#define SOCKET_ERROR   (-1)

typedef struct WSAData {
    unsigned char bytes[512];
} WSADATA, *LPWSADATA;
typedef struct fake_protocol_info *LPWSAPROTOCOL_INFOW;
typedef struct fake_overlapped *LPWSAOVERLAPPED;
typedef void (*LPWSAOVERLAPPED_COMPLETION_ROUTINE)(DWORD, DWORD, LPWSAOVERLAPPED, DWORD);

typedef struct _WSABUF {
    ULONG len;
    CHAR *buf;
} WSABUF, *LPWSABUF;

typedef struct fd_set {
    u_int fd_count;
    SOCKET fd_array[64];
} fd_set;

struct timeval {
    int32_t tv_sec;
    int32_t tv_usec;
};
typedef struct timeval *PTIMEVAL;

struct sockaddr {
    USHORT sa_family;
    CHAR sa_data[14];
};

struct in_addr {
    ULONG s_addr;
};

struct sockaddr_in {
    USHORT sin_family;
    USHORT sin_port;
    struct in_addr sin_addr;
    CHAR sin_zero[8];
};

struct in6_addr {
    UCHAR bytes[16];
};

struct sockaddr_in6 {
    USHORT sin6_family;
    USHORT sin6_port;
    ULONG sin6_flowinfo;
    struct in6_addr sin6_addr;
    ULONG sin6_scope_id;
};

struct sockaddr_storage {
    USHORT ss_family;
    CHAR rest[126];
};

enum {
    AF_UNSPEC = 0,
    AF_UNIX = 1,
    AF_INET = 2,
    AF_INET6 = 23,
    SOCK_STREAM = 1,
    SOCK_DGRAM = 2,
    SOCK_RAW = 3,
    SOCK_SEQPACKET = 5,
    IPPROTO_TCP = 6,
    IPPROTO_IPV6 = 41,
    SOL_SOCKET = 0xffff,
    SO_ERROR = 0x1007,
    SO_TYPE = 0x1008,
    TCP_NODELAY = 1,
    IPV6_V6ONLY = 27,
    SD_RECEIVE = 0,
    SD_SEND = 1,
    SD_BOTH = 2,
    WSA_FLAG_OVERLAPPED = 0x01,
    WSA_FLAG_NO_HANDLE_INHERIT = 0x80,
    HANDLE_FLAG_INHERIT = 1,
    WSAEFAULT = 10014,
    WSAEINVAL = 10022,
    WSAEWOULDBLOCK = 10035,
    WSAENOTSOCK = 10038,
    WSAEMSGSIZE = 10040,
    WSAEAFNOSUPPORT = 10047,
    WSAENETRESET = 10052,
    WSAECONNRESET = 10054,
    WSAENOTCONN = 10057
};

#define FIONBIO 0x8004667eU

#endif
