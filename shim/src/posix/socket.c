/* SPDX-License-Identifier: MIT */
/* Sockets on Unix. This leaf keeps the contract of prim/socket.h; what Linux, Darwin and the BSDs
 * do differently stands in their kernel.c. It holds no state: what an answer means is found by
 * asking the socket (SO_TYPE), and only when the answer is rare enough to pay for that. A direct
 * system call, or errno read after another call, would break it. */
#include "error_internal.h"
#include "io.h"
#include "prim/kernel.h"
#include "prim/socket.h"
#include "sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((es_addr_t *)0)->storage),
               "es_addr_t holds every address");

static int fail(es_op_t op, const char *call) {
    return es__fail(ES_DOMAIN_ERRNO, (uint32_t)errno, op, call);
}

/* One wrapper a call, each with the same rule for signals (prim/socket.h). */

static ssize_t receive(int fd, void *base, size_t size) {
    ssize_t got;
    int interruptions = 0;

    do {
        got = es__sys.recv(fd, base, size, ES__RECV_FLAGS);
    } while (got < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return got;
}

static ssize_t receive_from(int fd, void *base, size_t size, struct sockaddr *addr,
                            socklen_t *addr_size) {
    socklen_t room = *addr_size;
    ssize_t got;
    int interruptions = 0;

    do {
        *addr_size = room;
        got = es__sys.recvfrom(fd, base, size, ES__RECV_FLAGS, addr, addr_size);
    } while (got < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return got;
}

static ssize_t transmit(int fd, const void *base, size_t size) {
    ssize_t sent;
    int interruptions = 0;

    do {
        sent = es__sys.send(fd, base, size, ES__SEND_FLAGS);
    } while (sent < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return sent;
}

static ssize_t transmit_message(int fd, const struct msghdr *message) {
    ssize_t sent;
    int interruptions = 0;

    do {
        sent = es__sys.sendmsg(fd, message, ES__SEND_FLAGS);
    } while (sent < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return sent;
}

static ssize_t transmit_to(int fd, const void *base, size_t size, const es_addr_t *to) {
    ssize_t sent;
    int interruptions = 0;

    do {
        sent = es__sys.sendto(fd, base, size, ES__SEND_FLAGS,
                              (const struct sockaddr *)to->storage.bytes, (socklen_t)to->size);
    } while (sent < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return sent;
}

static int take_connection(int listener, struct sockaddr *addr, socklen_t *addr_size) {
    socklen_t room = *addr_size;
    int fd;
    int interruptions = 0;

    do {
        *addr_size = room;
        fd = es__kernel_accept(listener, addr, addr_size);
    } while (fd < 0 && errno == EINTR && ++interruptions < ES__INTERRUPTIONS_MAX);
    return fd;
}

/* Addresses. A kernel reports the true length of an address that was cut, and one without a name
 * (AF_UNIX) as the family alone. */

static void set_addr_size(es_addr_t *addr, socklen_t size) {
    const size_t nameless = offsetof(struct sockaddr, sa_data);

    if (size > sizeof(addr->storage)) {
        size = sizeof(addr->storage);
    }
    addr->size = size > nameless ? (uint32_t)size : 0;
}

static int set_option(int fd, int level, int name, int value) {
    return es__sys.setsockopt(fd, level, name, &value, sizeof(value));
}

/* The socket's type, or SOCK_STREAM when it does not tell. */
static int type_of(int fd) {
    int type = SOCK_STREAM;
    socklen_t size = sizeof(type);

    if (es__sys.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
        return SOCK_STREAM;
    }
    return type;
}

static int keeps_datagrams(int fd) {
    int type = type_of(fd);

    return type != SOCK_STREAM && type != SOCK_SEQPACKET;
}

static int set_open_options(int fd, int family, int type, uint32_t flags) {
    int is_internet = family == AF_INET || family == AF_INET6;

    if (family == AF_INET6 &&
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, (flags & ES_SOCK_DUAL_STACK) == 0) < 0) {
        return -1;
    }
    if (is_internet && type == SOCK_STREAM && (flags & ES_SOCK_NODELAY) != 0 &&
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0) {
        return -1;
    }
    return 0;
}

int es_sock_open(int family, int type, int protocol, uint32_t flags, es_sock_t *out) {
    int fd;

    assert(out != NULL);
    if ((flags & ~(uint32_t)ES__SOCK_FLAGS) != 0) {
        return es__refuse(ES_EINVAL, ES_OP_OPEN, "es_sock_open");
    }
    fd = es__kernel_socket(family, type, protocol);
    if (fd < 0) {
        return fail(ES_OP_OPEN, "socket");
    }
    if (set_open_options(fd, family, type, flags) < 0) {
        int code = fail(ES_OP_OPEN, "setsockopt");

        (void)es__sys.close(fd);
        return code;
    }
    *out = fd;
    return 0;
}

int es_sock_adopt(es_sock_t sock) {
    return es__kernel_adopt((int)sock) < 0 ? fail(ES_OP_OPTION, "setsockopt") : 0;
}

int es_sock_adopt_datagram(es_sock_t sock) {
    return es_sock_adopt(sock);
}

int es_sock_enable_recv(es_sock_t sock) {
    (void)sock; /* an address is needed for nothing but being sent to */
    return 0;
}

int es_sock_close(es_sock_t sock) {
    /* Linux frees the descriptor before anything can fail, and says so for EINTR in close(2); the
     * others do the same in all but historic cases. A second close could hit another thread's. */
    if (es__sys.close((int)sock) < 0 && errno != EINTR && errno != EINPROGRESS) {
        return fail(ES_OP_CLOSE, "close");
    }
    return 0;
}

int es_sock_bind(es_sock_t sock, const es_addr_t *addr) {
    assert(addr != NULL);
    if (es__sys.bind((int)sock, (const struct sockaddr *)addr->storage.bytes,
                     (socklen_t)addr->size) < 0) {
        return fail(ES_OP_BIND, "bind");
    }
    return 0;
}

int es_sock_listen(es_sock_t sock, int backlog) {
    return es__sys.listen((int)sock, backlog) < 0 ? fail(ES_OP_LISTEN, "listen") : 0;
}

int es_sock_accept(es_sock_t listener, es_sock_t *out, es_addr_t *peer) {
    es_addr_t unwanted;
    es_addr_t *addr = peer != NULL ? peer : &unwanted;
    es_addr_t seen;
    socklen_t size = sizeof(seen.storage);
    int fd;

    assert(out != NULL);
    fd = take_connection((int)listener, (struct sockaddr *)seen.storage.bytes, &size);
    if (fd < 0) {
        return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_ACCEPT, "accept");
    }
    set_addr_size(&seen, size);
    *addr = seen;
    *out = fd;
    return 0;
}

int es_sock_connect(es_sock_t sock, const es_addr_t *addr) {
    assert(addr != NULL);
    if (es__sys.connect((int)sock, (const struct sockaddr *)addr->storage.bytes,
                        (socklen_t)addr->size) < 0) {
        return fail(ES_OP_CONNECT, "connect");
    }
    return 0;
}

/* SO_ERROR is 0 and there is no peer. A socket that is still trying shows no event; one whose
 * reason was told before shows POLLHUP, and waiting for it would never end. */
static int explain_no_peer(int fd) {
    struct pollfd watched = {.fd = fd, .events = POLLIN | POLLOUT};

    if (es__sys.poll(&watched, 1, 0) < 0) {
        return errno == EINTR ? ES_EINPROGRESS : fail(ES_OP_CONNECT, "poll");
    }
    if (watched.revents == 0) {
        return ES_EINPROGRESS;
    }
    return es__fail(ES_DOMAIN_ERRNO, ENOTCONN, ES_OP_CONNECT, "getpeername");
}

int es_sock_connect_finish(es_sock_t sock) {
    int reason = 0;
    socklen_t size = sizeof(reason);
    es_addr_t peer;
    socklen_t peer_size = sizeof(peer.storage);

    if (es__sys.getsockopt((int)sock, SOL_SOCKET, SO_ERROR, &reason, &size) < 0) {
        return fail(ES_OP_CONNECT, "getsockopt");
    }
    if (reason != 0) {
        return es__fail(ES_DOMAIN_ERRNO, (uint32_t)reason, ES_OP_CONNECT, "connect");
    }
    if (es__sys.getpeername((int)sock, (struct sockaddr *)peer.storage.bytes, &peer_size) == 0) {
        return 0;
    }
    return errno == ENOTCONN ? explain_no_peer((int)sock) : fail(ES_OP_CONNECT, "getpeername");
}

/* A receive that gave nothing: the peer's end of a stream, or a datagram without bytes. */
static int explain_nothing(int fd, size_t size, size_t *done) {
    if (size != 0 && !keeps_datagrams(fd)) {
        return ES_EOF;
    }
    *done = 0;
    return 0;
}

int es_sock_recv(es_sock_t sock, void *base, size_t size, size_t *done) {
    ssize_t got = receive((int)sock, base, es__io_size(size));

    assert(done != NULL);
    if (got > 0) {
        *done = (size_t)got;
        return 0;
    }
    if (got == 0) {
        return explain_nothing((int)sock, size, done);
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_RECV, "recv");
}

int es_sock_recvfrom(es_sock_t sock, void *base, size_t size, size_t *done, es_addr_t *from) {
    es_addr_t seen;
    socklen_t addr_size = sizeof(seen.storage);
    ssize_t got;

    assert(done != NULL && from != NULL);
    got = receive_from((int)sock, base, es__io_size(size), (struct sockaddr *)seen.storage.bytes,
                       &addr_size);
    if (got < 0) {
        return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_RECV_DATAGRAM, "recvfrom");
    }
    if (got == 0 && explain_nothing((int)sock, size, done) != 0) {
        return ES_EOF;
    }
    set_addr_size(&seen, addr_size);
    *from = seen;
    *done = (size_t)got;
    return 0;
}

int es_sock_send(es_sock_t sock, const void *base, size_t size, size_t *done) {
    ssize_t sent = transmit((int)sock, base, es__io_size(size));

    assert(done != NULL);
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_SEND, "send");
}

int es_sock_sendv(es_sock_t sock, const es_iov_t *iov, size_t iov_count, size_t *done) {
    size_t pieces = es__io_pieces(iov, iov_count);
    struct msghdr message = {0};
    ssize_t sent;

    assert(done != NULL);
    if (pieces == 0 && iov_count != 0) {
        return es_sock_send(sock, iov[0].base, iov[0].size, done);
    }
    /* sendmsg only reads the pieces; struct iovec has no const to say so. */
    message.msg_iov = (struct iovec *)(uintptr_t)iov;
    message.msg_iovlen = (es__msg_iovlen_t)pieces;
    sent = transmit_message((int)sock, &message);
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_SEND, "sendmsg");
}

int es_sock_sendto(es_sock_t sock, const void *base, size_t size, const es_addr_t *to,
                   size_t *done) {
    ssize_t sent;

    assert(to != NULL && done != NULL);
    if (size > ES__IO_BYTES_MAX) {
        return es__refuse(ES_EMSGSIZE, ES_OP_SEND_DATAGRAM, "es_sock_sendto");
    }
    sent = transmit_to((int)sock, base, size, to);
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return errno == EAGAIN ? ES_EAGAIN : fail(ES_OP_SEND_DATAGRAM, "sendto");
}

_Static_assert(ES_SHUT_READ == SHUT_RD && ES_SHUT_WRITE == SHUT_WR && ES_SHUT_BOTH == SHUT_RDWR,
               "ES_SHUT_ values are passed on");

int es_sock_shutdown(es_sock_t sock, int how) {
    return es__sys.shutdown((int)sock, how) < 0 ? fail(ES_OP_SHUTDOWN, "shutdown") : 0;
}

int es_sock_take_error(es_sock_t sock, int *code) {
    int reason = 0;
    socklen_t size = sizeof(reason);

    assert(code != NULL);
    if (es__sys.getsockopt((int)sock, SOL_SOCKET, SO_ERROR, &reason, &size) < 0) {
        return fail(ES_OP_OPTION, "getsockopt");
    }
    *code = es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)reason, ES_OP_PENDING);
    return 0;
}

int es_sock_name(es_sock_t sock, es_addr_t *addr) {
    es_addr_t seen;
    socklen_t size = sizeof(seen.storage);

    assert(addr != NULL);
    if (es__sys.getsockname((int)sock, (struct sockaddr *)seen.storage.bytes, &size) < 0) {
        return fail(ES_OP_NAME, "getsockname");
    }
    set_addr_size(&seen, size);
    *addr = seen;
    return 0;
}

int es_sock_peer(es_sock_t sock, es_addr_t *addr) {
    es_addr_t seen;
    socklen_t size = sizeof(seen.storage);

    assert(addr != NULL);
    if (es__sys.getpeername((int)sock, (struct sockaddr *)seen.storage.bytes, &size) < 0) {
        return fail(ES_OP_NAME, "getpeername");
    }
    set_addr_size(&seen, size);
    *addr = seen;
    return 0;
}

int es_sock_set_nodelay(es_sock_t sock, int on) {
    if (set_option((int)sock, IPPROTO_TCP, TCP_NODELAY, on != 0) < 0) {
        return fail(ES_OP_OPTION, "setsockopt");
    }
    return 0;
}

int es_sock_set_nonblocking(es_sock_t sock, int on) {
    int status = es__sys.fcntl((int)sock, F_GETFL);
    int wanted = on != 0 ? status | O_NONBLOCK : status & ~O_NONBLOCK;

    if (status < 0 || (wanted != status && es__sys.fcntl((int)sock, F_SETFL, wanted) < 0)) {
        return fail(ES_OP_OPTION, "fcntl");
    }
    return 0;
}
