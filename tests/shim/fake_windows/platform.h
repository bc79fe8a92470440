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

typedef uintptr_t ULONG_PTR;
typedef int64_t LONGLONG;
typedef unsigned UINT;
typedef uint16_t WCHAR;
typedef const char *LPCSTR;
typedef char *LPSTR;
typedef const WCHAR *LPCWSTR;
typedef WCHAR *LPWSTR;
typedef const void *LPCVOID;
typedef BOOL *LPBOOL;
typedef struct fake_security *LPSECURITY_ATTRIBUTES;
typedef struct fake_module *HMODULE;
typedef intptr_t (*FARPROC)(void);
typedef int FILE_INFO_BY_HANDLE_CLASS;
typedef int COMPUTER_NAME_FORMAT;

typedef struct _OVERLAPPED {
    ULONG_PTR Internal;
    ULONG_PTR InternalHigh;
    DWORD Offset;
    DWORD OffsetHigh;
    HANDLE hEvent;
} OVERLAPPED, *LPOVERLAPPED;
typedef OVERLAPPED *LPWSAOVERLAPPED;

typedef struct _FILETIME {
    DWORD dwLowDateTime;
    DWORD dwHighDateTime;
} FILETIME, *LPFILETIME;

typedef union _LARGE_INTEGER {
    LONGLONG QuadPart;
} LARGE_INTEGER;

typedef struct _BY_HANDLE_FILE_INFORMATION {
    DWORD dwFileAttributes;
    FILETIME times[3];
    DWORD dwVolumeSerialNumber;
    DWORD nFileSizeHigh;
    DWORD nFileSizeLow;
    DWORD nNumberOfLinks;
    DWORD nFileIndexHigh;
    DWORD nFileIndexLow;
} BY_HANDLE_FILE_INFORMATION, *LPBY_HANDLE_FILE_INFORMATION;

typedef struct _FILE_END_OF_FILE_INFO {
    LARGE_INTEGER EndOfFile;
} FILE_END_OF_FILE_INFO;

typedef struct _FILE_REMOTE_PROTOCOL_INFO {
    UCHAR bytes[116];
} FILE_REMOTE_PROTOCOL_INFO;
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

/* Files: winbase.h, winnt.h and fileapi.h. */
#define INVALID_HANDLE_VALUE      ((HANDLE)(intptr_t)-1)
#define GENERIC_READ              0x80000000U
#define GENERIC_WRITE             0x40000000U
#define DELETE                    0x00010000U
#define FILE_FLAG_OVERLAPPED      0x40000000U
#define INFINITE                  0xffffffffU
#define INVALID_FILE_ATTRIBUTES   0xffffffffU
#define WAIT_FAILED               0xffffffffU
#define STATUS_PENDING            0x103U
#define WAIT_OBJECT_0             0U
#define WAIT_TIMEOUT              258U
#define LOCKFILE_FAIL_IMMEDIATELY 1U
#define LOCKFILE_EXCLUSIVE_LOCK   2U

enum {
    CP_UTF8 = 65001,
    MB_ERR_INVALID_CHARS = 8,
    FILE_READ_ATTRIBUTES = 0x80,
    FILE_SHARE_READ = 1,
    FILE_SHARE_WRITE = 2,
    FILE_SHARE_DELETE = 4,
    OPEN_EXISTING = 3,
    OPEN_ALWAYS = 4,
    FILE_ATTRIBUTE_DIRECTORY = 0x10,
    FILE_ATTRIBUTE_NORMAL = 0x80,
    FILE_ATTRIBUTE_REPARSE_POINT = 0x400,
    FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000,
    FILE_FLAG_BACKUP_SEMANTICS = 0x02000000,
    FILE_TYPE_DISK = 1,
    MOVEFILE_REPLACE_EXISTING = 1,
    PROCESS_QUERY_LIMITED_INFORMATION = 0x1000,
    FileEndOfFileInfo = 6,
    FileRemoteProtocolInfo = 13,
    ComputerNameDnsHostname = 1,
    ERROR_ACCESS_DENIED = 5,
    ERROR_SHARING_VIOLATION = 32,
    ERROR_LOCK_VIOLATION = 33,
    ERROR_HANDLE_EOF = 38,
    ERROR_OPERATION_ABORTED = 995,
    ERROR_IO_PENDING = 997,
    ERROR_NOT_FOUND = 1168
};

#endif
