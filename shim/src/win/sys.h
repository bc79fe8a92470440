/* SPDX-License-Identifier: MIT */
/* The system calls of the Windows leaves, in a table: row(result, convention, name, parameters).
 *
 * The leaf calls es__sys.recv(...), never recv(...). A test replaces single fields, or defines the
 * whole table itself and leaves sys.c out. Fields may be replaced only while no other thread is
 * inside evenshim. A replacement tells its error through the table's own WSAGetLastError. */
#ifndef EVENSHIM_SRC_WIN_SYS_H
#define EVENSHIM_SRC_WIN_SYS_H

#include <platform.h> /* by the include path: tests have one of their own */

/* clang-format off */

#define ES__SYS_SOCKETS(row)                                                                       \
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

#define ES__SYS_FILES(row)                                                                         \
    row(int, WINAPI, MultiByteToWideChar, (UINT, DWORD, LPCSTR, int, LPWSTR, int))                 \
    row(int, WINAPI, WideCharToMultiByte, (UINT, DWORD, LPCWSTR, int, LPSTR, int, LPCSTR, LPBOOL)) \
    row(HANDLE, WINAPI, CreateFileW, (LPCWSTR, DWORD, DWORD, LPSECURITY_ATTRIBUTES, DWORD, DWORD,  \
                                      HANDLE))                                                     \
    row(HANDLE, WINAPI, ReOpenFile, (HANDLE, DWORD, DWORD, DWORD))                                 \
    row(BOOL, WINAPI, CloseHandle, (HANDLE))                                                       \
    row(DWORD, WINAPI, GetFileType, (HANDLE))                                                      \
    row(DWORD, WINAPI, GetFileAttributesW, (LPCWSTR))                                              \
    row(BOOL, WINAPI, GetFileInformationByHandle, (HANDLE, LPBY_HANDLE_FILE_INFORMATION))          \
    row(BOOL, WINAPI, GetFileInformationByHandleEx, (HANDLE, FILE_INFO_BY_HANDLE_CLASS, LPVOID,    \
                                                     DWORD))                                       \
    row(BOOL, WINAPI, SetFileInformationByHandle, (HANDLE, FILE_INFO_BY_HANDLE_CLASS, LPVOID,      \
                                                   DWORD))                                         \
    row(BOOL, WINAPI, DeleteFileW, (LPCWSTR))                                                      \
    row(BOOL, WINAPI, MoveFileExW, (LPCWSTR, LPCWSTR, DWORD))                                      \
    row(BOOL, WINAPI, ReadFile, (HANDLE, LPVOID, DWORD, LPDWORD, LPOVERLAPPED))                    \
    row(BOOL, WINAPI, WriteFile, (HANDLE, LPCVOID, DWORD, LPDWORD, LPOVERLAPPED))                  \
    row(BOOL, WINAPI, LockFileEx, (HANDLE, DWORD, DWORD, DWORD, DWORD, LPOVERLAPPED))              \
    row(BOOL, WINAPI, UnlockFileEx, (HANDLE, DWORD, DWORD, DWORD, LPOVERLAPPED))                   \
    row(BOOL, WINAPI, GetOverlappedResult, (HANDLE, LPOVERLAPPED, LPDWORD, BOOL))                  \
    row(BOOL, WINAPI, CancelIoEx, (HANDLE, LPOVERLAPPED))                                          \
    row(HANDLE, WINAPI, CreateEventW, (LPSECURITY_ATTRIBUTES, BOOL, BOOL, LPCWSTR))                \
    row(BOOL, WINAPI, SetEvent, (HANDLE))                                                          \
    row(BOOL, WINAPI, ResetEvent, (HANDLE))                                                        \
    row(DWORD, WINAPI, WaitForMultipleObjects, (DWORD, const HANDLE *, BOOL, DWORD))               \
    row(void, WINAPI, Sleep, (DWORD))                                                              \
    row(BOOL, WINAPI, SwitchToThread, (void))                                                      \
    row(BOOL, WINAPI, QueryPerformanceCounter, (LARGE_INTEGER *))                                  \
    row(BOOL, WINAPI, QueryPerformanceFrequency, (LARGE_INTEGER *))                                \
    row(void, WINAPI, GetSystemTimeAsFileTime, (LPFILETIME))                                       \
    row(HANDLE, WINAPI, OpenProcess, (DWORD, BOOL, DWORD))                                         \
    row(BOOL, WINAPI, GetProcessTimes, (HANDLE, LPFILETIME, LPFILETIME, LPFILETIME, LPFILETIME))   \
    row(DWORD, WINAPI, GetCurrentProcessId, (void))                                                \
    row(BOOL, WINAPI, GetComputerNameExW, (COMPUTER_NAME_FORMAT, LPWSTR, LPDWORD))                 \
    row(LPWSTR, WINAPI, GetCommandLineW, (void))                                                   \
    row(HMODULE, WINAPI, GetModuleHandleW, (LPCWSTR))                                              \
    row(FARPROC, WINAPI, GetProcAddress, (HMODULE, LPCSTR))

/* clang-format on */

#define ES__SYS_CALLS(row)                                  ES__SYS_SOCKETS(row) ES__SYS_FILES(row)

#define ES__SYS_FIELD(result, convention, name, parameters) result(convention *name) parameters;
typedef struct es__sys {
    ES__SYS_CALLS(ES__SYS_FIELD)
} es__sys_t;
#undef ES__SYS_FIELD

extern es__sys_t es__sys;
extern const es__sys_t es__sys_default;

#endif
