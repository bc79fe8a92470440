/* SPDX-License-Identifier: MIT */
/* This system's errno numbers: row(errno, code). The first row of a code is its way back
 * (es_error_to_errno); where two names share a number the first row of it wins on the way in. */
#ifndef EVENSHIM_SRC_ERRNO_ROWS_H
#define EVENSHIM_SRC_ERRNO_ROWS_H

#include <errno.h>

/* clang-format off */

#define ES__ERRNO_ROWS(row)                                                                        \
    row(EAGAIN, ES_EAGAIN)                                                                         \
    row(EWOULDBLOCK, ES_EAGAIN)                                                                    \
    row(EINPROGRESS, ES_EINPROGRESS)                                                               \
    row(ECANCELED, ES_ECANCELED)                                                                   \
    row(EPERM, ES_EPERM)                                                                           \
    row(ENOENT, ES_ENOENT)                                                                         \
    row(ESRCH, ES_ESRCH)                                                                           \
    row(EINTR, ES_EINTR)                                                                           \
    row(EIO, ES_EIO)                                                                               \
    row(ENXIO, ES_ENXIO)                                                                           \
    row(E2BIG, ES_E2BIG)                                                                           \
    row(EBADF, ES_EBADF)                                                                           \
    row(ECHILD, ES_ECHILD)                                                                         \
    row(ENOMEM, ES_ENOMEM)                                                                         \
    row(EACCES, ES_EACCES)                                                                         \
    row(EFAULT, ES_EFAULT)                                                                         \
    row(EBUSY, ES_EBUSY)                                                                           \
    row(EEXIST, ES_EEXIST)                                                                         \
    row(EXDEV, ES_EXDEV)                                                                           \
    row(ENODEV, ES_ENODEV)                                                                         \
    row(ENOTDIR, ES_ENOTDIR)                                                                       \
    row(EISDIR, ES_EISDIR)                                                                         \
    row(EINVAL, ES_EINVAL)                                                                         \
    row(ENFILE, ES_ENFILE)                                                                         \
    row(EMFILE, ES_EMFILE)                                                                         \
    row(ENOTTY, ES_ENOTTY)                                                                         \
    row(ETXTBSY, ES_ETXTBSY)                                                                       \
    row(EFBIG, ES_EFBIG)                                                                           \
    row(ENOSPC, ES_ENOSPC)                                                                         \
    row(ESPIPE, ES_ESPIPE)                                                                         \
    row(EROFS, ES_EROFS)                                                                           \
    row(EMLINK, ES_EMLINK)                                                                         \
    row(EPIPE, ES_EPIPE)                                                                           \
    row(ERANGE, ES_ERANGE)                                                                         \
    row(EDEADLK, ES_EDEADLK)                                                                       \
    row(ENAMETOOLONG, ES_ENAMETOOLONG)                                                             \
    row(ENOLCK, ES_ENOLCK)                                                                         \
    row(ENOSYS, ES_ENOSYS)                                                                         \
    row(ENOTEMPTY, ES_ENOTEMPTY)                                                                   \
    row(ELOOP, ES_ELOOP)                                                                           \
    row(EPROTO, ES_EPROTO)                                                                         \
    row(EOVERFLOW, ES_EOVERFLOW)                                                                   \
    row(EILSEQ, ES_EILSEQ)                                                                         \
    row(EUSERS, ES_EUSERS)                                                                         \
    row(ENOTSOCK, ES_ENOTSOCK)                                                                     \
    row(EDESTADDRREQ, ES_EDESTADDRREQ)                                                             \
    row(EMSGSIZE, ES_EMSGSIZE)                                                                     \
    row(EPROTOTYPE, ES_EPROTOTYPE)                                                                 \
    row(ENOPROTOOPT, ES_ENOPROTOOPT)                                                               \
    row(EPROTONOSUPPORT, ES_EPROTONOSUPPORT)                                                       \
    row(ESOCKTNOSUPPORT, ES_ESOCKTNOSUPPORT)                                                       \
    row(EOPNOTSUPP, ES_EOPNOTSUPP)                                                                 \
    row(ENOTSUP, ES_ENOTSUP)                                                                       \
    row(EAFNOSUPPORT, ES_EAFNOSUPPORT)                                                             \
    row(EPFNOSUPPORT, ES_EAFNOSUPPORT)                                                             \
    row(EADDRINUSE, ES_EADDRINUSE)                                                                 \
    row(EADDRNOTAVAIL, ES_EADDRNOTAVAIL)                                                           \
    row(ENETDOWN, ES_ENETDOWN)                                                                     \
    row(ENETUNREACH, ES_ENETUNREACH)                                                               \
    row(ENETRESET, ES_ENETRESET)                                                                   \
    row(ECONNABORTED, ES_ECONNABORTED)                                                             \
    row(ECONNRESET, ES_ECONNRESET)                                                                 \
    row(ENOBUFS, ES_ENOBUFS)                                                                       \
    row(EISCONN, ES_EISCONN)                                                                       \
    row(ENOTCONN, ES_ENOTCONN)                                                                     \
    row(ESHUTDOWN, ES_ESHUTDOWN)                                                                   \
    row(ETOOMANYREFS, ES_ETOOMANYREFS)                                                             \
    row(ETIMEDOUT, ES_ETIMEDOUT)                                                                   \
    row(ECONNREFUSED, ES_ECONNREFUSED)                                                             \
    row(EHOSTDOWN, ES_EHOSTDOWN)                                                                   \
    row(EHOSTUNREACH, ES_EHOSTUNREACH)                                                             \
    row(EALREADY, ES_EALREADY)                                                                     \
    row(ESTALE, ES_ESTALE)                                                                         \
    row(EDQUOT, ES_EDQUOT)                                                                         \
    row(EREMOTE, ES_EREMOTE)                                                                       \
    row(EOWNERDEAD, ES_EOWNERDEAD)                                                                 \
    row(ENOTRECOVERABLE, ES_ENOTRECOVERABLE)

/* row(op, errno, code): what a number means while doing `op`, before the rows above. */
#define ES__ERRNO_OP_ROWS(row)                                                                     \
    /* A signal storm is no reason to drop a connection: readiness will be reported again. */      \
    row(ES_OP_ACCEPT, EINTR, ES_EAGAIN)                                                            \
    row(ES_OP_RECV, EINTR, ES_EAGAIN)                                                              \
    row(ES_OP_RECV_DATAGRAM, EINTR, ES_EAGAIN)                                                     \
    row(ES_OP_SEND, EINTR, ES_EAGAIN)                                                              \
    row(ES_OP_SEND_DATAGRAM, EINTR, ES_EAGAIN)                                                     \
    row(ES_OP_READ, EINTR, ES_EAGAIN)                                                              \
    row(ES_OP_WRITE, EINTR, ES_EAGAIN)                                                             \
    /* POSIX: an interrupted connect goes on by itself. */                                         \
    row(ES_OP_CONNECT, EINTR, ES_EINPROGRESS)                                                      \
    /* accept(2) on Linux hands over what happened to the connection while it waited; BSD says     \
     * ECONNABORTED and older systems EPROTO. */                                                   \
    row(ES_OP_ACCEPT, ECONNRESET, ES_ECONNABORTED)                                                 \
    row(ES_OP_ACCEPT, EPROTO, ES_ECONNABORTED)                                                     \
    row(ES_OP_ACCEPT, ENETDOWN, ES_ECONNABORTED)                                                   \
    row(ES_OP_ACCEPT, ENETUNREACH, ES_ECONNABORTED)                                                \
    row(ES_OP_ACCEPT, ENOPROTOOPT, ES_ECONNABORTED)                                                \
    row(ES_OP_ACCEPT, EHOSTDOWN, ES_ECONNABORTED)                                                  \
    row(ES_OP_ACCEPT, EHOSTUNREACH, ES_ECONNABORTED)                                               \
    row(ES_OP_ACCEPT, ETIMEDOUT, ES_ECONNABORTED)                                                  \
    /* macOS says EPROTOTYPE when a socket is being shut down while we send (libuv's stream.c      \
     * knows it since OS X 10.10); asking again would give EPIPE. */                               \
    row(ES_OP_SEND, EPROTOTYPE, ES_EPIPE)                                                          \
    row(ES_OP_SEND, ESHUTDOWN, ES_EPIPE)                                                           \
    row(ES_OP_RECV, ESHUTDOWN, ES_EOF)                                                             \
    /* fcntl(2): POSIX lets a system say either for a lock that someone else holds. */             \
    row(ES_OP_LOCK, EACCES, ES_EAGAIN)

/* clang-format on */

#endif
