/* SPDX-License-Identifier: MIT */
/* Errors with one meaning on every system.
 *
 * Every function of evenshim returns 0 or one of the negative codes below. A code has the same
 * number on every system and in every later version, so it may be stored, sent and compared. What
 * the operating system itself said is kept beside it, for diagnostics, until the next failure on
 * the same thread: es_error_last.
 *
 * Thread safety: any thread; everything here except es_error_last is a pure function.
 */
#ifndef EVENSHIM_ERROR_H
#define EVENSHIM_ERROR_H

#include <stdint.h>

#include <evenshim/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */

/* One row feeds the enum, the name, the text, the table in docs/shim-errors.md and a golden test.
 * row(constant, number, name, text). A text equals glibc's strerror where glibc knows the error,
 * since programs show it to people. Numbers are never reused; a new code takes the next one. */
#define ES_ERRORS(row)                                                                             \
    row(ES_EAGAIN, -1001, "EAGAIN", "Resource temporarily unavailable")                            \
    row(ES_EINPROGRESS, -1002, "EINPROGRESS", "Operation now in progress")                         \
    row(ES_EOF, -1003, "EOF", "End of file")                                                       \
    row(ES_ECANCELED, -1004, "ECANCELED", "Operation canceled")                                    \
    row(ES_EFORKED, -1005, "EFORKED", "Object belongs to the parent of this forked process")       \
    row(ES_EUNKNOWN, -1006, "EUNKNOWN", "Unknown error")                                           \
    row(ES_EPERM, -1007, "EPERM", "Operation not permitted")                                       \
    row(ES_ENOENT, -1008, "ENOENT", "No such file or directory")                                   \
    row(ES_ESRCH, -1009, "ESRCH", "No such process")                                               \
    row(ES_EINTR, -1010, "EINTR", "Interrupted system call")                                       \
    row(ES_EIO, -1011, "EIO", "Input/output error")                                                \
    row(ES_ENXIO, -1012, "ENXIO", "No such device or address")                                     \
    row(ES_E2BIG, -1013, "E2BIG", "Argument list too long")                                        \
    row(ES_EBADF, -1014, "EBADF", "Bad file descriptor")                                           \
    row(ES_ECHILD, -1015, "ECHILD", "No child processes")                                          \
    row(ES_ENOMEM, -1016, "ENOMEM", "Cannot allocate memory")                                      \
    row(ES_EACCES, -1017, "EACCES", "Permission denied")                                           \
    row(ES_EFAULT, -1018, "EFAULT", "Bad address")                                                 \
    row(ES_EBUSY, -1019, "EBUSY", "Device or resource busy")                                       \
    row(ES_EEXIST, -1020, "EEXIST", "File exists")                                                 \
    row(ES_EXDEV, -1021, "EXDEV", "Invalid cross-device link")                                     \
    row(ES_ENODEV, -1022, "ENODEV", "No such device")                                              \
    row(ES_ENOTDIR, -1023, "ENOTDIR", "Not a directory")                                           \
    row(ES_EISDIR, -1024, "EISDIR", "Is a directory")                                              \
    row(ES_EINVAL, -1025, "EINVAL", "Invalid argument")                                            \
    row(ES_ENFILE, -1026, "ENFILE", "Too many open files in system")                               \
    row(ES_EMFILE, -1027, "EMFILE", "Too many open files")                                         \
    row(ES_ENOTTY, -1028, "ENOTTY", "Inappropriate ioctl for device")                              \
    row(ES_ETXTBSY, -1029, "ETXTBSY", "Text file busy")                                            \
    row(ES_EFBIG, -1030, "EFBIG", "File too large")                                                \
    row(ES_ENOSPC, -1031, "ENOSPC", "No space left on device")                                     \
    row(ES_ESPIPE, -1032, "ESPIPE", "Illegal seek")                                                \
    row(ES_EROFS, -1033, "EROFS", "Read-only file system")                                         \
    row(ES_EMLINK, -1034, "EMLINK", "Too many links")                                              \
    row(ES_EPIPE, -1035, "EPIPE", "Broken pipe")                                                   \
    row(ES_ERANGE, -1036, "ERANGE", "Numerical result out of range")                               \
    row(ES_EDEADLK, -1037, "EDEADLK", "Resource deadlock avoided")                                 \
    row(ES_ENAMETOOLONG, -1038, "ENAMETOOLONG", "File name too long")                              \
    row(ES_ENOLCK, -1039, "ENOLCK", "No locks available")                                          \
    row(ES_ENOSYS, -1040, "ENOSYS", "Function not implemented")                                    \
    row(ES_ENOTEMPTY, -1041, "ENOTEMPTY", "Directory not empty")                                   \
    row(ES_ELOOP, -1042, "ELOOP", "Too many levels of symbolic links")                             \
    row(ES_EPROTO, -1043, "EPROTO", "Protocol error")                                              \
    row(ES_EOVERFLOW, -1044, "EOVERFLOW", "Value too large for defined data type")                 \
    row(ES_EILSEQ, -1045, "EILSEQ", "Invalid or incomplete multibyte or wide character")           \
    row(ES_EUSERS, -1046, "EUSERS", "Too many users")                                              \
    row(ES_ENOTSOCK, -1047, "ENOTSOCK", "Socket operation on non-socket")                          \
    row(ES_EDESTADDRREQ, -1048, "EDESTADDRREQ", "Destination address required")                    \
    row(ES_EMSGSIZE, -1049, "EMSGSIZE", "Message too long")                                        \
    row(ES_EPROTOTYPE, -1050, "EPROTOTYPE", "Protocol wrong type for socket")                      \
    row(ES_ENOPROTOOPT, -1051, "ENOPROTOOPT", "Protocol not available")                            \
    row(ES_EPROTONOSUPPORT, -1052, "EPROTONOSUPPORT", "Protocol not supported")                    \
    row(ES_ESOCKTNOSUPPORT, -1053, "ESOCKTNOSUPPORT", "Socket type not supported")                 \
    row(ES_EOPNOTSUPP, -1054, "EOPNOTSUPP", "Operation not supported")                             \
    row(ES_ENOTSUP, -1055, "ENOTSUP", "Operation not supported")                                   \
    row(ES_EAFNOSUPPORT, -1056, "EAFNOSUPPORT", "Address family not supported by protocol")        \
    row(ES_EADDRINUSE, -1057, "EADDRINUSE", "Address already in use")                              \
    row(ES_EADDRNOTAVAIL, -1058, "EADDRNOTAVAIL", "Cannot assign requested address")               \
    row(ES_ENETDOWN, -1059, "ENETDOWN", "Network is down")                                         \
    row(ES_ENETUNREACH, -1060, "ENETUNREACH", "Network is unreachable")                            \
    row(ES_ENETRESET, -1061, "ENETRESET", "Network dropped connection on reset")                   \
    row(ES_ECONNABORTED, -1062, "ECONNABORTED", "Software caused connection abort")                \
    row(ES_ECONNRESET, -1063, "ECONNRESET", "Connection reset by peer")                            \
    row(ES_ENOBUFS, -1064, "ENOBUFS", "No buffer space available")                                 \
    row(ES_EISCONN, -1065, "EISCONN", "Transport endpoint is already connected")                   \
    row(ES_ENOTCONN, -1066, "ENOTCONN", "Transport endpoint is not connected")                     \
    row(ES_ESHUTDOWN, -1067, "ESHUTDOWN", "Cannot send after transport endpoint shutdown")         \
    row(ES_ETOOMANYREFS, -1068, "ETOOMANYREFS", "Too many references: cannot splice")              \
    row(ES_ETIMEDOUT, -1069, "ETIMEDOUT", "Connection timed out")                                  \
    row(ES_ECONNREFUSED, -1070, "ECONNREFUSED", "Connection refused")                              \
    row(ES_EHOSTDOWN, -1071, "EHOSTDOWN", "Host is down")                                          \
    row(ES_EHOSTUNREACH, -1072, "EHOSTUNREACH", "No route to host")                                \
    row(ES_EALREADY, -1073, "EALREADY", "Operation already in progress")                           \
    row(ES_ESTALE, -1074, "ESTALE", "Stale file handle")                                           \
    row(ES_EDQUOT, -1075, "EDQUOT", "Disk quota exceeded")                                         \
    row(ES_EREMOTE, -1076, "EREMOTE", "Object is remote")                                          \
    row(ES_EOWNERDEAD, -1077, "EOWNERDEAD", "Owner died")                                          \
    row(ES_ENOTRECOVERABLE, -1078, "ENOTRECOVERABLE", "State not recoverable")                     \
    row(ES_EAI_NONAME, -1079, "EAI_NONAME", "Name or service not known")                           \
    row(ES_EAI_AGAIN, -1080, "EAI_AGAIN", "Temporary failure in name resolution")                  \
    row(ES_EAI_FAIL, -1081, "EAI_FAIL", "Non-recoverable failure in name resolution")              \
    row(ES_EAI_NODATA, -1082, "EAI_NODATA", "No address associated with hostname")

#define ES__ERROR_ENUM(constant, number, name, text) constant = (number),
enum es_error { ES_OK = 0, ES_ERRORS(ES__ERROR_ENUM) };
#undef ES__ERROR_ENUM

/* What was being done: row(constant, name). The same native code means different things in
 * different places: Windows answers a connect that has only begun with WSAEWOULDBLOCK, and
 * an accept whose client has left with WSAECONNRESET. PENDING is SO_ERROR of a connected socket. */
#define ES_OPS(row)                                                                                \
    row(ES_OP_NONE, "none")                                                                        \
    row(ES_OP_OPEN, "open")                                                                        \
    row(ES_OP_CLOSE, "close")                                                                      \
    row(ES_OP_BIND, "bind")                                                                        \
    row(ES_OP_LISTEN, "listen")                                                                    \
    row(ES_OP_ACCEPT, "accept")                                                                    \
    row(ES_OP_CONNECT, "connect")                                                                  \
    row(ES_OP_RECV, "recv")                                                                        \
    row(ES_OP_RECV_DATAGRAM, "recv_datagram")                                                      \
    row(ES_OP_SEND, "send")                                                                        \
    row(ES_OP_SEND_DATAGRAM, "send_datagram")                                                      \
    row(ES_OP_SHUTDOWN, "shutdown")                                                                \
    row(ES_OP_PENDING, "pending")                                                                  \
    row(ES_OP_OPTION, "option")                                                                    \
    row(ES_OP_NAME, "name")                                                                        \
    row(ES_OP_READ, "read")                                                                        \
    row(ES_OP_WRITE, "write")                                                                      \
    row(ES_OP_LOCK, "lock")                                                                        \
    row(ES_OP_KILL, "kill")

/* clang-format on */

#define ES__OP_ENUM(constant, name) constant,
typedef enum es_op { ES_OPS(ES__OP_ENUM) ES_OP_COUNT } es_op_t;
#undef ES__OP_ENUM

/* Where a native code comes from. ERRNO is this system's own errno, as Python's errno module names
 * it: on Windows that is the C runtime's numbers and, from 10000 up, Winsock's. WIN32 is what
 * GetLastError and WSAGetLastError return; its table is there on every system. */
typedef enum es_domain { ES_DOMAIN_ERRNO = 0, ES_DOMAIN_WIN32 = 1 } es_domain_t;

/* The name ("ECONNRESET"; "OK" for 0) and the text ("Connection reset by peer"). Never NULL: a
 * number that is no code of ours has the name "EUNKNOWN" and its text. They live for ever. */
ES_API const char *es_error_name(int code);
ES_API const char *es_error_text(int code);

/* The code with this name, or 0 when there is none. For codes of other libraries that have names
 * (uv_err_name). */
ES_API int es_error_from_name(const char *name);

/* The name of an operation, for messages; "none" for a number that is no operation. */
ES_API const char *es_op_name(es_op_t op);

/* The errno value of this system for a code, as Python's errno module spells it:
 * es_error_to_errno(ES_X) == errno.X. So on Windows ES_ECONNREFUSED is 10061 (Winsock's) and
 * ES_EPIPE is 32 (the C runtime's). Codes without an errno of their own: ES_EFORKED gives EINVAL,
 * ES_EUNKNOWN and the ES_EAI_ codes EIO. ES_EOF and 0 give 0: they are no failure. */
ES_API int es_error_to_errno(int code);

/* The code for what the system said while doing `op`. 0 gives 0; a native code without a row gives
 * ES_EUNKNOWN. */
ES_API int es_error_from_native(es_domain_t domain, uint32_t native, es_op_t op);

/* The last failure of an evenshim call on this thread. ES_EAGAIN, ES_EINPROGRESS and ES_EOF are
 * answers, not failures, and leave it alone; so does success: look only after a call returned a
 * failure. code is 0 when nothing failed yet. */
typedef struct es_error_native {
    int code;           /* what the call returned */
    uint32_t native;    /* what the system said; 0: evenshim itself refused */
    es_op_t op;         /* what was being done */
    const char *call;   /* the system call's name; lives for ever; "" when code is 0 */
    es_domain_t domain; /* where `native` comes from */
} es_error_native_t;

ES_API es_error_native_t es_error_last(void);

#ifdef __cplusplus
}
#endif
#endif
