/* SPDX-License-Identifier: MIT */
/* What Windows says and what it means: the tables of ES_DOMAIN_WIN32, and of errno as Python's
 * errno module has it on Windows. Numbers stand beside their names so that this compiles, and is
 * tested, on every system. Sources: winerror.h and winsock2.h of the Windows SDK, errno.h of the
 * UCRT, CPython's Modules/errnomodule.c (which names take Winsock's number). */
#ifndef EVENSHIM_SRC_ERROR_ROWS_H
#define EVENSHIM_SRC_ERROR_ROWS_H

/* clang-format off */

/* row(name, number, code) */
#define ES__WIN32_ROWS(row)                                                                        \
    /* Files and handles (winerror.h). */                                                          \
    row(ERROR_INVALID_FUNCTION, 1, ES_ENOSYS)                                                      \
    row(ERROR_FILE_NOT_FOUND, 2, ES_ENOENT)                                                        \
    row(ERROR_PATH_NOT_FOUND, 3, ES_ENOENT)                                                        \
    row(ERROR_TOO_MANY_OPEN_FILES, 4, ES_EMFILE)                                                   \
    row(ERROR_ACCESS_DENIED, 5, ES_EACCES)                                                         \
    row(ERROR_INVALID_HANDLE, 6, ES_EBADF)                                                         \
    row(ERROR_NOT_ENOUGH_MEMORY, 8, ES_ENOMEM)                                                     \
    row(ERROR_OUTOFMEMORY, 14, ES_ENOMEM)                                                          \
    row(ERROR_INVALID_DRIVE, 15, ES_ENODEV)                                                        \
    row(ERROR_NOT_SAME_DEVICE, 17, ES_EXDEV)                                                       \
    row(ERROR_WRITE_PROTECT, 19, ES_EROFS)                                                         \
    row(ERROR_BAD_UNIT, 20, ES_ENODEV)                                                             \
    row(ERROR_NOT_READY, 21, ES_EBUSY)                                                             \
    row(ERROR_SHARING_VIOLATION, 32, ES_EBUSY)                                                     \
    row(ERROR_LOCK_VIOLATION, 33, ES_EBUSY)                                                        \
    row(ERROR_SHARING_BUFFER_EXCEEDED, 36, ES_ENFILE)                                              \
    row(ERROR_HANDLE_EOF, 38, ES_EOF)                                                              \
    row(ERROR_HANDLE_DISK_FULL, 39, ES_ENOSPC)                                                     \
    row(ERROR_NOT_SUPPORTED, 50, ES_ENOTSUP)                                                       \
    row(ERROR_BAD_NETPATH, 53, ES_ENOENT)                                                          \
    row(ERROR_DEV_NOT_EXIST, 55, ES_ENODEV)                                                        \
    row(ERROR_NETNAME_DELETED, 64, ES_ECONNRESET)                                                  \
    row(ERROR_NETWORK_ACCESS_DENIED, 65, ES_EACCES)                                                \
    row(ERROR_BAD_NET_NAME, 67, ES_ENOENT)                                                         \
    row(ERROR_FILE_EXISTS, 80, ES_EEXIST)                                                          \
    row(ERROR_INVALID_PARAMETER, 87, ES_EINVAL)                                                    \
    row(ERROR_TOO_MANY_SEMAPHORES, 100, ES_ENOSPC)                                                 \
    row(ERROR_DRIVE_LOCKED, 108, ES_EBUSY)                                                         \
    row(ERROR_BROKEN_PIPE, 109, ES_EPIPE)                                                          \
    row(ERROR_BUFFER_OVERFLOW, 111, ES_ENAMETOOLONG)                                               \
    row(ERROR_DISK_FULL, 112, ES_ENOSPC)                                                           \
    row(ERROR_INVALID_TARGET_HANDLE, 114, ES_EBADF)                                                \
    row(ERROR_CALL_NOT_IMPLEMENTED, 120, ES_ENOSYS)                                                \
    row(ERROR_SEM_TIMEOUT, 121, ES_ETIMEDOUT)                                                      \
    row(ERROR_INSUFFICIENT_BUFFER, 122, ES_ERANGE)                                                 \
    row(ERROR_INVALID_NAME, 123, ES_EINVAL)                                                        \
    row(ERROR_MOD_NOT_FOUND, 126, ES_ENOENT)                                                       \
    row(ERROR_PROC_NOT_FOUND, 127, ES_ENOENT)                                                      \
    row(ERROR_WAIT_NO_CHILDREN, 128, ES_ECHILD)                                                    \
    row(ERROR_CHILD_NOT_COMPLETE, 129, ES_ECHILD)                                                  \
    row(ERROR_DIRECT_ACCESS_HANDLE, 130, ES_EBADF)                                                 \
    row(ERROR_NEGATIVE_SEEK, 131, ES_EINVAL)                                                       \
    row(ERROR_SEEK_ON_DEVICE, 132, ES_ESPIPE)                                                      \
    row(ERROR_BUSY_DRIVE, 142, ES_EBUSY)                                                           \
    row(ERROR_DIR_NOT_EMPTY, 145, ES_ENOTEMPTY)                                                    \
    row(ERROR_NOT_LOCKED, 158, ES_EINVAL)                                                          \
    row(ERROR_BAD_PATHNAME, 161, ES_ENOENT)                                                        \
    row(ERROR_MAX_THRDS_REACHED, 164, ES_EAGAIN)                                                   \
    row(ERROR_LOCK_FAILED, 167, ES_EAGAIN)                                                         \
    row(ERROR_BUSY, 170, ES_EBUSY)                                                                 \
    row(ERROR_ALREADY_EXISTS, 183, ES_EEXIST)                                                      \
    row(ERROR_FILENAME_EXCED_RANGE, 206, ES_ENAMETOOLONG)                                          \
    row(ERROR_NESTING_NOT_ALLOWED, 215, ES_EAGAIN)                                                 \
    row(ERROR_FILE_TOO_LARGE, 223, ES_EFBIG)                                                       \
    row(ERROR_BAD_PIPE, 230, ES_EPIPE)                                                             \
    row(ERROR_PIPE_BUSY, 231, ES_EBUSY)                                                            \
    row(ERROR_NO_DATA, 232, ES_EPIPE)                                                              \
    row(ERROR_PIPE_NOT_CONNECTED, 233, ES_EPIPE)                                                   \
    row(ERROR_MORE_DATA, 234, ES_EMSGSIZE)                                                         \
    row(WAIT_TIMEOUT, 258, ES_ETIMEDOUT)                                                           \
    row(ERROR_DIRECTORY, 267, ES_ENOTDIR)                                                          \
    row(ERROR_INVALID_ADDRESS, 487, ES_EFAULT)                                                     \
    row(ERROR_ARITHMETIC_OVERFLOW, 534, ES_EOVERFLOW)                                              \
    row(ERROR_PIPE_CONNECTED, 535, ES_EISCONN)                                                     \
    row(ERROR_PIPE_LISTENING, 536, ES_EINPROGRESS)                                                 \
    /* Requests and connections. */                                                                \
    row(ERROR_OPERATION_ABORTED, 995, ES_ECANCELED)                                                \
    row(ERROR_IO_INCOMPLETE, 996, ES_EINPROGRESS)                                                  \
    row(ERROR_IO_PENDING, 997, ES_EINPROGRESS)                                                     \
    row(ERROR_NOACCESS, 998, ES_EFAULT)                                                            \
    row(ERROR_NO_UNICODE_TRANSLATION, 1113, ES_EILSEQ)                                             \
    row(ERROR_DLL_INIT_FAILED, 1114, ES_EIO)                                                       \
    row(ERROR_IO_DEVICE, 1117, ES_EIO)                                                             \
    row(ERROR_POSSIBLE_DEADLOCK, 1131, ES_EDEADLK)                                                 \
    row(ERROR_TOO_MANY_LINKS, 1142, ES_EMLINK)                                                     \
    row(ERROR_DEVICE_NOT_CONNECTED, 1167, ES_ENXIO)                                                \
    row(ERROR_NOT_FOUND, 1168, ES_ENOENT)                                                          \
    row(ERROR_CANCELLED, 1223, ES_ECANCELED)                                                       \
    row(ERROR_CONNECTION_REFUSED, 1225, ES_ECONNREFUSED)                                           \
    row(ERROR_GRACEFUL_DISCONNECT, 1226, ES_EOF)                                                   \
    row(ERROR_ADDRESS_ALREADY_ASSOCIATED, 1227, ES_EADDRINUSE)                                     \
    row(ERROR_ADDRESS_NOT_ASSOCIATED, 1228, ES_EADDRNOTAVAIL)                                      \
    row(ERROR_CONNECTION_INVALID, 1229, ES_ENOTCONN)                                               \
    row(ERROR_CONNECTION_ACTIVE, 1230, ES_EINVAL)                                                  \
    row(ERROR_NETWORK_UNREACHABLE, 1231, ES_ENETUNREACH)                                           \
    row(ERROR_HOST_UNREACHABLE, 1232, ES_EHOSTUNREACH)                                             \
    row(ERROR_PROTOCOL_UNREACHABLE, 1233, ES_ENETUNREACH)                                          \
    row(ERROR_PORT_UNREACHABLE, 1234, ES_ECONNREFUSED)                                             \
    row(ERROR_REQUEST_ABORTED, 1235, ES_ECONNABORTED)                                              \
    row(ERROR_CONNECTION_ABORTED, 1236, ES_ECONNABORTED)                                           \
    row(ERROR_RETRY, 1237, ES_EAGAIN)                                                              \
    row(ERROR_HOST_DOWN, 1256, ES_EHOSTDOWN)                                                       \
    row(ERROR_PRIVILEGE_NOT_HELD, 1314, ES_EPERM)                                                  \
    row(ERROR_NO_SYSTEM_RESOURCES, 1450, ES_ENOBUFS)                                               \
    row(ERROR_WORKING_SET_QUOTA, 1453, ES_ENOMEM)                                                  \
    row(ERROR_COMMITMENT_LIMIT, 1455, ES_ENOMEM)                                                   \
    row(ERROR_TIMEOUT, 1460, ES_ETIMEDOUT)                                                         \
    row(ERROR_INVALID_USER_BUFFER, 1784, ES_EFAULT)                                                \
    row(ERROR_NOT_ENOUGH_QUOTA, 1816, ES_ENOMEM)                                                   \
    row(ERROR_CANT_ACCESS_FILE, 1920, ES_EACCES)                                                   \
    row(ERROR_CANT_RESOLVE_FILENAME, 1921, ES_ELOOP)                                               \
    row(ERROR_NOT_A_REPARSE_POINT, 4390, ES_EINVAL)                                                \
    /* Winsock (winsock2.h, winerror.h). */                                                        \
    row(WSAEINTR, 10004, ES_EINTR)                                                                 \
    row(WSAEBADF, 10009, ES_EBADF)                                                                 \
    row(WSAEACCES, 10013, ES_EACCES)                                                               \
    row(WSAEFAULT, 10014, ES_EFAULT)                                                               \
    row(WSAEINVAL, 10022, ES_EINVAL)                                                               \
    row(WSAEMFILE, 10024, ES_EMFILE)                                                               \
    row(WSAEWOULDBLOCK, 10035, ES_EAGAIN)                                                          \
    row(WSAEINPROGRESS, 10036, ES_EINPROGRESS)                                                     \
    row(WSAEALREADY, 10037, ES_EALREADY)                                                           \
    row(WSAENOTSOCK, 10038, ES_ENOTSOCK)                                                           \
    row(WSAEDESTADDRREQ, 10039, ES_EDESTADDRREQ)                                                   \
    row(WSAEMSGSIZE, 10040, ES_EMSGSIZE)                                                           \
    row(WSAEPROTOTYPE, 10041, ES_EPROTOTYPE)                                                       \
    row(WSAENOPROTOOPT, 10042, ES_ENOPROTOOPT)                                                     \
    row(WSAEPROTONOSUPPORT, 10043, ES_EPROTONOSUPPORT)                                             \
    row(WSAESOCKTNOSUPPORT, 10044, ES_ESOCKTNOSUPPORT)                                             \
    row(WSAEOPNOTSUPP, 10045, ES_EOPNOTSUPP)                                                       \
    row(WSAEPFNOSUPPORT, 10046, ES_EAFNOSUPPORT)                                                   \
    row(WSAEAFNOSUPPORT, 10047, ES_EAFNOSUPPORT)                                                   \
    row(WSAEADDRINUSE, 10048, ES_EADDRINUSE)                                                       \
    row(WSAEADDRNOTAVAIL, 10049, ES_EADDRNOTAVAIL)                                                 \
    row(WSAENETDOWN, 10050, ES_ENETDOWN)                                                           \
    row(WSAENETUNREACH, 10051, ES_ENETUNREACH)                                                     \
    row(WSAENETRESET, 10052, ES_ENETRESET)                                                         \
    row(WSAECONNABORTED, 10053, ES_ECONNABORTED)                                                   \
    row(WSAECONNRESET, 10054, ES_ECONNRESET)                                                       \
    row(WSAENOBUFS, 10055, ES_ENOBUFS)                                                             \
    row(WSAEISCONN, 10056, ES_EISCONN)                                                             \
    row(WSAENOTCONN, 10057, ES_ENOTCONN)                                                           \
    row(WSAESHUTDOWN, 10058, ES_ESHUTDOWN)                                                         \
    row(WSAETOOMANYREFS, 10059, ES_ETOOMANYREFS)                                                   \
    row(WSAETIMEDOUT, 10060, ES_ETIMEDOUT)                                                         \
    row(WSAECONNREFUSED, 10061, ES_ECONNREFUSED)                                                   \
    row(WSAELOOP, 10062, ES_ELOOP)                                                                 \
    row(WSAENAMETOOLONG, 10063, ES_ENAMETOOLONG)                                                   \
    row(WSAEHOSTDOWN, 10064, ES_EHOSTDOWN)                                                         \
    row(WSAEHOSTUNREACH, 10065, ES_EHOSTUNREACH)                                                   \
    row(WSAENOTEMPTY, 10066, ES_ENOTEMPTY)                                                         \
    row(WSAEPROCLIM, 10067, ES_EAGAIN)                                                             \
    row(WSAEUSERS, 10068, ES_EUSERS)                                                               \
    row(WSAEDQUOT, 10069, ES_EDQUOT)                                                               \
    row(WSAESTALE, 10070, ES_ESTALE)                                                               \
    row(WSAEREMOTE, 10071, ES_EREMOTE)                                                             \
    row(WSASYSNOTREADY, 10091, ES_ENETDOWN)                                                        \
    row(WSAVERNOTSUPPORTED, 10092, ES_ENOSYS)                                                      \
    row(WSANOTINITIALISED, 10093, ES_EINVAL)                                                       \
    row(WSAEDISCON, 10101, ES_EOF)                                                                 \
    row(WSAENOMORE, 10102, ES_ENOENT)                                                              \
    row(WSAECANCELLED, 10103, ES_ECANCELED)                                                        \
    row(WSAEINVALIDPROCTABLE, 10104, ES_EIO)                                                       \
    row(WSAEINVALIDPROVIDER, 10105, ES_EIO)                                                        \
    row(WSAEPROVIDERFAILEDINIT, 10106, ES_EIO)                                                     \
    row(WSASYSCALLFAILURE, 10107, ES_EIO)                                                          \
    row(WSASERVICE_NOT_FOUND, 10108, ES_ENOENT)                                                    \
    row(WSATYPE_NOT_FOUND, 10109, ES_ENOENT)                                                       \
    row(WSA_E_NO_MORE, 10110, ES_ENOENT)                                                           \
    row(WSA_E_CANCELLED, 10111, ES_ECANCELED)                                                      \
    row(WSAEREFUSED, 10112, ES_EACCES)                                                             \
    row(WSAHOST_NOT_FOUND, 11001, ES_EAI_NONAME)                                                   \
    row(WSATRY_AGAIN, 11002, ES_EAI_AGAIN)                                                         \
    row(WSANO_RECOVERY, 11003, ES_EAI_FAIL)                                                        \
    row(WSANO_DATA, 11004, ES_EAI_NODATA)

/* row(op, number, code): what a number means while doing `op`, before the rows above. */
#define ES__WIN32_OP_ROWS(row)                                                                     \
    /* An interruption is no reason to drop a connection: readiness will be reported again. */     \
    row(ES_OP_ACCEPT, 10004, ES_EAGAIN) /* WSAEINTR */                                             \
    row(ES_OP_RECV, 10004, ES_EAGAIN) /* WSAEINTR */                                               \
    row(ES_OP_RECV_DATAGRAM, 10004, ES_EAGAIN) /* WSAEINTR */                                      \
    row(ES_OP_SEND, 10004, ES_EAGAIN) /* WSAEINTR */                                               \
    row(ES_OP_SEND_DATAGRAM, 10004, ES_EAGAIN) /* WSAEINTR */                                      \
    /* A connect that has begun, and one that is asked to begin again. */                          \
    row(ES_OP_CONNECT, 10035, ES_EINPROGRESS) /* WSAEWOULDBLOCK */                                 \
    row(ES_OP_CONNECT, 10022, ES_EALREADY) /* WSAEINVAL */                                         \
    /* No free port is left for a connect; a bind meets an exclusive owner. */                     \
    row(ES_OP_CONNECT, 10048, ES_EADDRNOTAVAIL) /* WSAEADDRINUSE */                                \
    row(ES_OP_BIND, 10013, ES_EADDRINUSE) /* WSAEACCES */                                          \
    /* What happened to a connection while it waited is not about its listener. */                 \
    row(ES_OP_ACCEPT, 10054, ES_ECONNABORTED) /* WSAECONNRESET */                                  \
    row(ES_OP_ACCEPT, 10052, ES_ECONNABORTED) /* WSAENETRESET */                                   \
    row(ES_OP_ACCEPT, 10057, ES_ECONNABORTED) /* WSAENOTCONN: Wine, for one that reset */          \
    row(ES_OP_ACCEPT, 10060, ES_ECONNABORTED) /* WSAETIMEDOUT */                                   \
    row(ES_OP_ACCEPT, 64, ES_ECONNABORTED) /* ERROR_NETNAME_DELETED */                             \
    row(ES_OP_ACCEPT, 121, ES_ECONNABORTED) /* ERROR_SEM_TIMEOUT */                                \
    /* Windows has three words for a connection that is gone (ABORTED: given up by itself, */      \
    /* NETRESET: keepalive found nobody); a program on Linux knows one. */                         \
    row(ES_OP_RECV, 10053, ES_ECONNRESET) /* WSAECONNABORTED */                                    \
    row(ES_OP_RECV, 10052, ES_ECONNRESET) /* WSAENETRESET */                                       \
    row(ES_OP_RECV, 1236, ES_ECONNRESET) /* ERROR_CONNECTION_ABORTED */                            \
    row(ES_OP_SEND, 10053, ES_ECONNRESET) /* WSAECONNABORTED */                                    \
    row(ES_OP_SEND, 10052, ES_ECONNRESET) /* WSAENETRESET */                                       \
    row(ES_OP_SEND, 1236, ES_ECONNRESET) /* ERROR_CONNECTION_ABORTED */                            \
    row(ES_OP_PENDING, 10053, ES_ECONNRESET) /* WSAECONNABORTED */                                 \
    row(ES_OP_PENDING, 10052, ES_ECONNRESET) /* WSAENETRESET */                                    \
    row(ES_OP_PENDING, 1236, ES_ECONNRESET) /* ERROR_CONNECTION_ABORTED */                         \
    row(ES_OP_READ, 10053, ES_ECONNRESET) /* WSAECONNABORTED */                                    \
    row(ES_OP_READ, 10052, ES_ECONNRESET) /* WSAENETRESET */                                       \
    row(ES_OP_READ, 1236, ES_ECONNRESET) /* ERROR_CONNECTION_ABORTED */                            \
    row(ES_OP_WRITE, 10053, ES_ECONNRESET) /* WSAECONNABORTED */                                   \
    row(ES_OP_WRITE, 10052, ES_ECONNRESET) /* WSAENETRESET */                                      \
    row(ES_OP_WRITE, 1236, ES_ECONNRESET) /* ERROR_CONNECTION_ABORTED */                           \
    /* ICMP answers to an earlier datagram: a refusal is told, an expired time to live is */       \
    /* not: the leaf then asks again. */                                                           \
    row(ES_OP_RECV_DATAGRAM, 10054, ES_ECONNREFUSED) /* WSAECONNRESET */                           \
    row(ES_OP_RECV_DATAGRAM, 10052, ES_EAGAIN) /* WSAENETRESET */                                  \
    row(ES_OP_SEND_DATAGRAM, 10054, ES_ECONNREFUSED) /* WSAECONNRESET */                           \
    /* After our own shutdown. */                                                                  \
    row(ES_OP_RECV, 10058, ES_EOF) /* WSAESHUTDOWN */                                              \
    row(ES_OP_RECV_DATAGRAM, 10058, ES_EOF) /* WSAESHUTDOWN */                                     \
    row(ES_OP_SEND, 10058, ES_EPIPE) /* WSAESHUTDOWN */                                            \
    row(ES_OP_SEND_DATAGRAM, 10058, ES_EPIPE) /* WSAESHUTDOWN */                                   \
    row(ES_OP_SEND, 10101, ES_EPIPE) /* WSAEDISCON */                                              \
    row(ES_OP_SEND, 1226, ES_EPIPE) /* ERROR_GRACEFUL_DISCONNECT */                                \
    /* A pipe without its other end reads as ended and cannot be written. */                       \
    row(ES_OP_READ, 109, ES_EOF) /* ERROR_BROKEN_PIPE */                                           \
    row(ES_OP_READ, 232, ES_EOF) /* ERROR_NO_DATA */                                               \
    row(ES_OP_READ, 233, ES_EOF) /* ERROR_PIPE_NOT_CONNECTED */                                    \
    /* Someone else holds the lock; a process is not ours to signal. */                            \
    row(ES_OP_LOCK, 33, ES_EAGAIN) /* ERROR_LOCK_VIOLATION */                                      \
    row(ES_OP_KILL, 5, ES_EPERM) /* ERROR_ACCESS_DENIED */

/* row(number, code). The first row of a code is its way back (es_error_to_errno). */
#define ES__WINDOWS_ERRNO_ROWS(row)                                                                \
    /* What Python takes from the C runtime. */                                                    \
    row(1, ES_EPERM)                                                                               \
    row(2, ES_ENOENT)                                                                              \
    row(3, ES_ESRCH)                                                                               \
    row(4, ES_EINTR)                                                                               \
    row(5, ES_EIO)                                                                                 \
    row(6, ES_ENXIO)                                                                               \
    row(7, ES_E2BIG)                                                                               \
    row(9, ES_EBADF)                                                                               \
    row(10, ES_ECHILD)                                                                             \
    row(11, ES_EAGAIN)                                                                             \
    row(12, ES_ENOMEM)                                                                             \
    row(13, ES_EACCES)                                                                             \
    row(14, ES_EFAULT)                                                                             \
    row(16, ES_EBUSY)                                                                              \
    row(17, ES_EEXIST)                                                                             \
    row(18, ES_EXDEV)                                                                              \
    row(19, ES_ENODEV)                                                                             \
    row(20, ES_ENOTDIR)                                                                            \
    row(21, ES_EISDIR)                                                                             \
    row(22, ES_EINVAL)                                                                             \
    row(23, ES_ENFILE)                                                                             \
    row(24, ES_EMFILE)                                                                             \
    row(25, ES_ENOTTY)                                                                             \
    row(27, ES_EFBIG)                                                                              \
    row(28, ES_ENOSPC)                                                                             \
    row(29, ES_ESPIPE)                                                                             \
    row(30, ES_EROFS)                                                                              \
    row(31, ES_EMLINK)                                                                             \
    row(32, ES_EPIPE)                                                                              \
    row(34, ES_ERANGE)                                                                             \
    row(36, ES_EDEADLK)                                                                            \
    row(38, ES_ENAMETOOLONG)                                                                       \
    row(39, ES_ENOLCK)                                                                             \
    row(40, ES_ENOSYS)                                                                             \
    row(41, ES_ENOTEMPTY)                                                                          \
    row(42, ES_EILSEQ)                                                                             \
    row(105, ES_ECANCELED)                                                                         \
    row(127, ES_ENOTRECOVERABLE)                                                                   \
    row(129, ES_ENOTSUP)                                                                           \
    row(132, ES_EOVERFLOW)                                                                         \
    row(133, ES_EOWNERDEAD)                                                                        \
    row(134, ES_EPROTO)                                                                            \
    row(139, ES_ETXTBSY)                                                                           \
    /* What Python takes from Winsock, although the C runtime has numbers for most. */             \
    row(10036, ES_EINPROGRESS)                                                                     \
    row(10062, ES_ELOOP)                                                                           \
    row(10038, ES_ENOTSOCK)                                                                        \
    row(10039, ES_EDESTADDRREQ)                                                                    \
    row(10040, ES_EMSGSIZE)                                                                        \
    row(10041, ES_EPROTOTYPE)                                                                      \
    row(10042, ES_ENOPROTOOPT)                                                                     \
    row(10043, ES_EPROTONOSUPPORT)                                                                 \
    row(10045, ES_EOPNOTSUPP)                                                                      \
    row(10047, ES_EAFNOSUPPORT)                                                                    \
    row(10048, ES_EADDRINUSE)                                                                      \
    row(10049, ES_EADDRNOTAVAIL)                                                                   \
    row(10050, ES_ENETDOWN)                                                                        \
    row(10051, ES_ENETUNREACH)                                                                     \
    row(10052, ES_ENETRESET)                                                                       \
    row(10053, ES_ECONNABORTED)                                                                    \
    row(10054, ES_ECONNRESET)                                                                      \
    row(10055, ES_ENOBUFS)                                                                         \
    row(10056, ES_EISCONN)                                                                         \
    row(10057, ES_ENOTCONN)                                                                        \
    row(10060, ES_ETIMEDOUT)                                                                       \
    row(10061, ES_ECONNREFUSED)                                                                    \
    row(10065, ES_EHOSTUNREACH)                                                                    \
    row(10037, ES_EALREADY)                                                                        \
    row(10068, ES_EUSERS)                                                                          \
    row(10044, ES_ESOCKTNOSUPPORT)                                                                 \
    row(10058, ES_ESHUTDOWN)                                                                       \
    row(10059, ES_ETOOMANYREFS)                                                                    \
    row(10064, ES_EHOSTDOWN)                                                                       \
    row(10070, ES_ESTALE)                                                                          \
    row(10069, ES_EDQUOT)                                                                          \
    row(10071, ES_EREMOTE)                                                                         \
    /* The C runtime's own numbers for those, on the way in; 140 is its EWOULDBLOCK. */            \
    row(100, ES_EADDRINUSE)                                                                        \
    row(101, ES_EADDRNOTAVAIL)                                                                     \
    row(102, ES_EAFNOSUPPORT)                                                                      \
    row(103, ES_EALREADY)                                                                          \
    row(106, ES_ECONNABORTED)                                                                      \
    row(107, ES_ECONNREFUSED)                                                                      \
    row(108, ES_ECONNRESET)                                                                        \
    row(109, ES_EDESTADDRREQ)                                                                      \
    row(110, ES_EHOSTUNREACH)                                                                      \
    row(112, ES_EINPROGRESS)                                                                       \
    row(113, ES_EISCONN)                                                                           \
    row(114, ES_ELOOP)                                                                             \
    row(115, ES_EMSGSIZE)                                                                          \
    row(116, ES_ENETDOWN)                                                                          \
    row(117, ES_ENETRESET)                                                                         \
    row(118, ES_ENETUNREACH)                                                                       \
    row(119, ES_ENOBUFS)                                                                           \
    row(123, ES_ENOPROTOOPT)                                                                       \
    row(126, ES_ENOTCONN)                                                                          \
    row(128, ES_ENOTSOCK)                                                                          \
    row(130, ES_EOPNOTSUPP)                                                                        \
    row(135, ES_EPROTONOSUPPORT)                                                                   \
    row(136, ES_EPROTOTYPE)                                                                        \
    row(138, ES_ETIMEDOUT)                                                                         \
    row(140, ES_EAGAIN)

/* row(op, number, code): the C runtime's _locking says EACCES when someone else has the lock. */
#define ES__WINDOWS_ERRNO_OP_ROWS(row) row(ES_OP_LOCK, 13, ES_EAGAIN)

/* clang-format on */

#endif
