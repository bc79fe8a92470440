/* SPDX-License-Identifier: MIT */
/* Sockets on Windows, with the meaning that Unix gives them. This leaf keeps the contract of
 * prim/socket.h. Winsock is started at the first socket and never stopped, since other libraries of
 * the process may count on it. What breaks this file: a direct system call, WSAGetLastError asked
 * after a second call (every call of Winsock may change it), or CloseHandle on a socket. */
#include "error_internal.h"
#include "prim/socket.h"
#include "socket_address.h"
#include "sys.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>

/* Control codes of mstcpip.h, here by number since older SDKs have only some of them:
 * _WSAIOW(IOC_VENDOR, 12, 15 and 17). */
#define REPORT_CONNRESET 0x9800000CUL /* SIO_UDP_CONNRESET */
#define REPORT_NETRESET  0x9800000FUL /* SIO_UDP_NETRESET */
#define INITIAL_RTO      0x98000011UL /* SIO_TCP_INITIAL_RTO, Windows 10 1709 */

/* Windows takes a non-blocking send whole, however long, as soon as SO_SNDBUF has any room, and
 * keeps a copy in the kernel's non-paged memory. Smaller portions make a full buffer show as
 * ES_EAGAIN, as it does on Unix, and keep a long write from failing with WSAENOBUFS. */
#define SEND_BYTES_MAX ((size_t)1 << 20)

_Static_assert(sizeof(SOCKET) == sizeof(es_sock_t), "es_sock_t holds a SOCKET");
_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((es_addr_t *)0)->storage),
               "es_addr_t holds every address");

static int fail_with(int native, es_op_t op, const char *call) {
    return es__fail(ES_DOMAIN_WIN32, (uint32_t)native, op, call);
}

static int fail(es_op_t op, const char *call) {
    return fail_with(es__sys.WSAGetLastError(), op, call);
}

static struct sockaddr *native_addr(es_addr_t *addr) {
    return (struct sockaddr *)addr->storage.bytes;
}

static void set_addr_size(es_addr_t *addr, int size) {
    const int nameless = (int)sizeof(((struct sockaddr *)0)->sa_family);

    if (size > (int)sizeof(addr->storage)) {
        size = (int)sizeof(addr->storage);
    }
    addr->size = size > nameless ? (uint32_t)size : 0;
}

/* Two threads may both start Winsock; it counts, and the count is never taken back. */
static int start_winsock(void) {
    static atomic_int is_started;
    WSADATA unwanted;
    int reason;

    if (atomic_load_explicit(&is_started, memory_order_acquire)) {
        return 0;
    }
    reason = es__sys.WSAStartup(0x0202, &unwanted);
    if (reason != 0) {
        return fail_with(reason, ES_OP_OPEN, "WSAStartup");
    }
    atomic_store_explicit(&is_started, 1, memory_order_release);
    return 0;
}

static int set_option(SOCKET sock, int level, int name, int value) {
    return es__sys.setsockopt(sock, level, name, (const char *)&value, (int)sizeof(value));
}

/* The socket's type, or -1 with WSAGetLastError. */
static int type_of(SOCKET sock) {
    int type = 0;
    int size = (int)sizeof(type);

    if (es__sys.getsockopt(sock, SOL_SOCKET, SO_TYPE, (char *)&type, &size) != 0) {
        return -1;
    }
    return type;
}

static int keeps_datagrams(SOCKET sock) {
    int type = type_of(sock);

    return type != -1 && type != SOCK_STREAM && type != SOCK_SEQPACKET;
}

static int is_connected(SOCKET sock) {
    es_addr_t peer;
    int size = (int)sizeof(peer.storage);

    return es__sys.getpeername(sock, native_addr(&peer), &size) == 0;
}

static int lacks_address(SOCKET sock) {
    es_addr_t own;
    int size = (int)sizeof(own.storage);

    return es__sys.getsockname(sock, native_addr(&own), &size) != 0 &&
           es__sys.WSAGetLastError() == WSAEINVAL;
}

/* Binds to the wildcard address of a family. 0, or the reason. */
static int bind_any(SOCKET sock, unsigned short family) {
    es_addr_t any = {.size = family == AF_INET ? sizeof(struct sockaddr_in)
                                               : sizeof(struct sockaddr_in6)};

    native_addr(&any)->sa_family = family;
    return es__sys.bind(sock, native_addr(&any), (int)any.size) == 0 ? 0
                                                                     : es__sys.WSAGetLastError();
}

static int refuses_family(int reason) {
    return reason == WSAEFAULT || reason == WSAEAFNOSUPPORT || reason == WSAEINVAL;
}

/* The family is not asked for: the address of a wrong one is refused, as a bad pointer or as what
 * it is (Wine: as invalid, like Linux). A socket that takes neither cannot be helped, or another
 * thread was faster. */
static int give_address(SOCKET sock) {
    int reason = bind_any(sock, AF_INET);

    if (refuses_family(reason)) {
        reason = bind_any(sock, AF_INET6);
    }
    return reason == 0 || refuses_family(reason) ? 0 : fail_with(reason, ES_OP_BIND, "bind");
}

static int set_nonblocking(SOCKET sock, int on) {
    u_long mode = on != 0;

    return es__sys.ioctlsocket(sock, (long)FIONBIO, &mode);
}

static int set_report(SOCKET sock, DWORD report, BOOL on) {
    DWORD unwanted = 0;

    return es__sys.WSAIoctl(sock, report, &on, sizeof(on), NULL, 0, &unwanted, NULL, NULL);
}

/* An ICMP answer to an earlier datagram makes the next receive of a UDP socket fail, even of one
 * that talks to many peers: one dead peer silences a server (cpython issue 91227). Unix tells only
 * connected sockets, and so do we. Sockets of datagram types without these controls have no ICMP.
 */
static int set_icmp_reports(SOCKET sock) {
    BOOL wants_refusals = is_connected(sock);

    if (set_report(sock, REPORT_CONNRESET, wants_refusals) != 0) {
        int reason = es__sys.WSAGetLastError();

        if (reason == WSAENOTSOCK) {
            return fail_with(reason, ES_OP_OPTION, "WSAIoctl");
        }
    }
    (void)set_report(sock, REPORT_NETRESET, FALSE);
    return 0;
}

/* 0, or SOCKET_ERROR with WSAGetLastError and the name of the call in *call. */
static int set_open_options(SOCKET sock, int family, int type, uint32_t flags, const char **call) {
    int is_internet = family == AF_INET || family == AF_INET6;

    *call = "ioctlsocket";
    if (set_nonblocking(sock, 1) != 0) {
        return SOCKET_ERROR;
    }
    *call = "setsockopt";
    if (family == AF_INET6 &&
        set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY, (flags & ES_SOCK_DUAL_STACK) == 0) != 0) {
        return SOCKET_ERROR;
    }
    if (is_internet && type == SOCK_STREAM && (flags & ES_SOCK_NODELAY) != 0 &&
        set_option(sock, IPPROTO_TCP, TCP_NODELAY, 1) != 0) {
        return SOCKET_ERROR;
    }
    if (is_internet && type == SOCK_DGRAM) {
        /* Systems that refuse are older than both controls; what comes then is suppressed later. */
        (void)set_report(sock, REPORT_CONNRESET, FALSE);
        (void)set_report(sock, REPORT_NETRESET, FALSE);
    }
    return 0;
}

int es_sock_open(int family, int type, int protocol, uint32_t flags, es_sock_t *out) {
    const char *call = "";
    SOCKET made;
    int code;

    assert(out != NULL);
    if ((flags & ~(uint32_t)ES__SOCK_FLAGS) != 0) {
        return es__refuse(ES_EINVAL, ES_OP_OPEN, "es_sock_open");
    }
    code = start_winsock();
    if (code != 0) {
        return code;
    }
    made = es__sys.WSASocketW(family, type, protocol, NULL, 0,
                              WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (made == INVALID_SOCKET) {
        return fail(ES_OP_OPEN, "WSASocketW");
    }
    if (set_open_options(made, family, type, flags, &call) != 0) {
        code = fail(ES_OP_OPEN, call);
        (void)es__sys.closesocket(made);
        return code;
    }
    *out = (es_sock_t)made;
    return 0;
}

int es_sock_adopt(es_sock_t sock) {
    int type = type_of((SOCKET)sock);

    if (type == -1) {
        return fail(ES_OP_OPTION, "getsockopt");
    }
    return type == SOCK_DGRAM ? set_icmp_reports((SOCKET)sock) : 0;
}

int es_sock_adopt_datagram(es_sock_t sock) {
    return set_icmp_reports((SOCKET)sock);
}

int es_sock_enable_recv(es_sock_t sock) {
    /* What else is wrong with a socket, its next call tells. */
    return lacks_address((SOCKET)sock) ? give_address((SOCKET)sock) : 0;
}

int es_sock_close(es_sock_t sock) {
    return es__sys.closesocket((SOCKET)sock) != 0 ? fail(ES_OP_CLOSE, "closesocket") : 0;
}

int es_sock_bind(es_sock_t sock, const es_addr_t *addr) {
    assert(addr != NULL);
    if (es__sys.bind((SOCKET)sock, (const struct sockaddr *)addr->storage.bytes, (int)addr->size) !=
        0) {
        return fail(ES_OP_BIND, "bind");
    }
    return 0;
}

int es_sock_listen(es_sock_t sock, int backlog) {
    return es__sys.listen((SOCKET)sock, backlog) != 0 ? fail(ES_OP_LISTEN, "listen") : 0;
}

/* accept has no flags: the new socket is inheritable until we say otherwise (a process that another
 * thread starts meanwhile may get it), and has the listener's mode only if that was set as ours. */
int es_sock_accept(es_sock_t listener, es_sock_t *out, es_addr_t *peer) {
    es_addr_t seen;
    int size = (int)sizeof(seen.storage);
    SOCKET made;
    int code;

    assert(out != NULL);
    made = es__sys.accept((SOCKET)listener, native_addr(&seen), &size);
    if (made == INVALID_SOCKET) {
        return fail(ES_OP_ACCEPT, "accept");
    }
    if (!es__sys.SetHandleInformation((HANDLE)made, HANDLE_FLAG_INHERIT, 0)) {
        code = fail_with((int)es__sys.GetLastError(), ES_OP_ACCEPT, "SetHandleInformation");
        goto fail_close;
    }
    if (set_nonblocking(made, 1) != 0) {
        code = fail(ES_OP_ACCEPT, "ioctlsocket");
        goto fail_close;
    }
    if (peer != NULL) {
        set_addr_size(&seen, size);
        *peer = seen;
    }
    *out = (es_sock_t)made;
    return 0;

fail_close:
    (void)es__sys.closesocket(made);
    return code;
}

/* Windows reports a refused connect after two seconds of retries; no retransmission of the SYN
 * (Windows 10 1709) makes it immediate, as on Unix. Nothing is lost on the way to loopback, so this
 * is for loopback only; elsewhere it would give up too early. Older systems refuse: keep waiting.
 */
static void refuse_at_once(SOCKET sock) {
    struct {
        USHORT round_trip_ms; /* 0: the default */
        UCHAR retransmissions_max;
    } wanted = {0, 0xFE}; /* TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS */
    DWORD unwanted = 0;

    (void)es__sys.WSAIoctl(sock, INITIAL_RTO, &wanted, sizeof(wanted), NULL, 0, &unwanted, NULL,
                           NULL);
}

int es_sock_connect(es_sock_t sock, const es_addr_t *addr) {
    es_addr_t target;
    int type;

    assert(addr != NULL);
    target = *addr;
    es__addr_route_unspecified(&target);
    type = type_of((SOCKET)sock);
    if (type == -1) {
        return fail(ES_OP_CONNECT, "getsockopt");
    }
    if (type == SOCK_STREAM && es__addr_is_loopback(&target)) {
        refuse_at_once((SOCKET)sock);
    }
    if (es__sys.connect((SOCKET)sock, native_addr(&target), (int)target.size) != 0) {
        return fail(ES_OP_CONNECT, "connect");
    }
    if (type == SOCK_DGRAM) {
        (void)set_report((SOCKET)sock, REPORT_CONNRESET, TRUE);
    }
    return 0;
}

/* SO_ERROR is 0 and there is no peer. A socket that is still trying is neither writable nor
 * exceptional; one whose reason was told before is. select, for WSAPoll hides failed connects on
 * systems before Windows 10 2004. */
static int explain_no_peer(SOCKET sock) {
    fd_set writable = {.fd_count = 1, .fd_array = {sock}};
    fd_set exceptional = {.fd_count = 1, .fd_array = {sock}};
    struct timeval at_once = {0, 0};
    int count = es__sys.select(0, NULL, &writable, &exceptional, &at_once);

    if (count == SOCKET_ERROR) {
        return fail(ES_OP_CONNECT, "select");
    }
    return count == 0 ? ES_EINPROGRESS : fail_with(WSAENOTCONN, ES_OP_CONNECT, "getpeername");
}

int es_sock_connect_finish(es_sock_t sock) {
    int reason = 0;
    int size = (int)sizeof(reason);
    es_addr_t peer;
    int peer_size = (int)sizeof(peer.storage);

    if (es__sys.getsockopt((SOCKET)sock, SOL_SOCKET, SO_ERROR, (char *)&reason, &size) != 0) {
        return fail(ES_OP_CONNECT, "getsockopt");
    }
    if (reason != 0) {
        return fail_with(reason, ES_OP_CONNECT, "connect");
    }
    if (es__sys.getpeername((SOCKET)sock, native_addr(&peer), &peer_size) == 0) {
        return 0;
    }
    reason = es__sys.WSAGetLastError();
    return reason == WSAENOTCONN ? explain_no_peer((SOCKET)sock)
                                 : fail_with(reason, ES_OP_CONNECT, "getpeername");
}

/* A receive that gave nothing: the peer's end of a stream, or a datagram without bytes. */
static int explain_nothing(SOCKET sock, size_t size, size_t *done) {
    if (size != 0 && !keeps_datagrams(sock)) {
        return ES_EOF;
    }
    *done = 0;
    return 0;
}

static int receive_size(size_t size) {
    return size < INT_MAX ? (int)size : INT_MAX;
}

/* What a failed receive means. ES_OK: a datagram that was longer than the buffer, which is full.
 * ASK_AGAIN: an ICMP answer that is not for this socket to hear; the receive consumed it. */
enum { ASK_AGAIN = 1 };

static int explain_receive(SOCKET sock, es_op_t op, const char *call) {
    int reason = es__sys.WSAGetLastError();

    if (reason == WSAEWOULDBLOCK) {
        return ES_EAGAIN;
    }
    if (reason == WSAEMSGSIZE) {
        return ES_OK;
    }
    if (reason == WSAEINVAL && keeps_datagrams(sock) && lacks_address(sock)) {
        int code = give_address(sock);

        return code != 0 ? code : ES_EAGAIN;
    }
    if ((reason == WSAECONNRESET || reason == WSAENETRESET) && keeps_datagrams(sock)) {
        if (reason == WSAENETRESET || !is_connected(sock)) {
            return ASK_AGAIN;
        }
        op = ES_OP_RECV_DATAGRAM;
    }
    return fail_with(reason, op, call);
}

int es_sock_recv(es_sock_t sock, void *base, size_t size, size_t *done) {
    int room = receive_size(size);

    assert(done != NULL);
    for (int turn = 0; turn < ES__SUPPRESSED_MAX; turn++) {
        int got = es__sys.recv((SOCKET)sock, base, room, 0);
        int code;

        if (got > 0) {
            *done = (size_t)got;
            return 0;
        }
        if (got == 0) {
            return explain_nothing((SOCKET)sock, size, done);
        }
        code = explain_receive((SOCKET)sock, ES_OP_RECV, "recv");
        if (code == ES_OK) {
            *done = (size_t)room;
        }
        if (code != ASK_AGAIN) {
            return code;
        }
    }
    return ES_EAGAIN;
}

int es_sock_recvfrom(es_sock_t sock, void *base, size_t size, size_t *done, es_addr_t *from) {
    es_addr_t seen;
    int room = receive_size(size);

    assert(done != NULL && from != NULL);
    for (int turn = 0; turn < ES__SUPPRESSED_MAX; turn++) {
        int addr_size = (int)sizeof(seen.storage);
        int got;
        int code = ES_OK;

        /* Of a stream Windows says no sender, and leaves the room and its size as they were. */
        seen.size = 0;
        native_addr(&seen)->sa_family = AF_UNSPEC;
        got = es__sys.recvfrom((SOCKET)sock, base, room, 0, native_addr(&seen), &addr_size);
        if (got == 0) {
            size_t unwanted;

            code = explain_nothing((SOCKET)sock, size, &unwanted);
        } else if (got < 0) {
            code = explain_receive((SOCKET)sock, ES_OP_RECV_DATAGRAM, "recvfrom");
            got = room;
        }
        if (code == ES_OK) {
            BOOL is_told = native_addr(&seen)->sa_family != AF_UNSPEC;

            set_addr_size(&seen, is_told ? addr_size : 0);
            *from = seen;
            *done = (size_t)got;
        }
        if (code != ASK_AGAIN) {
            return code;
        }
    }
    return ES_EAGAIN;
}

/* WSAEWOULDBLOCK does not reach es__fail: it is the common answer of a busy connection. */
static int explain_send(es_op_t op, const char *call) {
    int reason = es__sys.WSAGetLastError();

    return reason == WSAEWOULDBLOCK ? ES_EAGAIN : fail_with(reason, op, call);
}

int es_sock_send(es_sock_t sock, const void *base, size_t size, size_t *done) {
    int portion = (int)(size < SEND_BYTES_MAX ? size : SEND_BYTES_MAX);
    int sent = es__sys.send((SOCKET)sock, base, portion, 0);

    assert(done != NULL);
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return explain_send(ES_OP_SEND, "send");
}

/* Fills WSABUFs until the portion or the array is full; the last one may be cut. */
static DWORD fill_buffers(WSABUF *buffers, const es_iov_t *iov, size_t iov_count) {
    size_t room = SEND_BYTES_MAX;
    DWORD count = 0;

    while (count < ES_IOV_MAX && count < iov_count && room != 0) {
        size_t size = iov[count].size < room ? iov[count].size : room;

        buffers[count].buf = iov[count].base;
        buffers[count].len = (ULONG)size;
        room -= size;
        count++;
    }
    return count;
}

int es_sock_sendv(es_sock_t sock, const es_iov_t *iov, size_t iov_count, size_t *done) {
    WSABUF buffers[ES_IOV_MAX];
    DWORD count = fill_buffers(buffers, iov, iov_count);
    DWORD sent = 0;

    assert(done != NULL);
    if (es__sys.WSASend((SOCKET)sock, buffers, count, &sent, 0, NULL, NULL) != 0) {
        return explain_send(ES_OP_SEND, "WSASend");
    }
    *done = sent;
    return 0;
}

int es_sock_sendto(es_sock_t sock, const void *base, size_t size, const es_addr_t *to,
                   size_t *done) {
    es_addr_t target;
    int sent;

    assert(to != NULL && done != NULL);
    if (size > INT_MAX) {
        return es__refuse(ES_EMSGSIZE, ES_OP_SEND_DATAGRAM, "es_sock_sendto");
    }
    target = *to;
    es__addr_route_unspecified(&target);
    sent = es__sys.sendto((SOCKET)sock, base, (int)size, 0, native_addr(&target), (int)target.size);
    if (sent >= 0) {
        *done = (size_t)sent;
        return 0;
    }
    return explain_send(ES_OP_SEND_DATAGRAM, "sendto");
}

_Static_assert(ES_SHUT_READ == SD_RECEIVE && ES_SHUT_WRITE == SD_SEND && ES_SHUT_BOTH == SD_BOTH,
               "ES_SHUT_ values are passed on");

int es_sock_shutdown(es_sock_t sock, int how) {
    return es__sys.shutdown((SOCKET)sock, how) != 0 ? fail(ES_OP_SHUTDOWN, "shutdown") : 0;
}

int es_sock_take_error(es_sock_t sock, int *code) {
    int reason = 0;
    int size = (int)sizeof(reason);

    assert(code != NULL);
    if (es__sys.getsockopt((SOCKET)sock, SOL_SOCKET, SO_ERROR, (char *)&reason, &size) != 0) {
        return fail(ES_OP_OPTION, "getsockopt");
    }
    *code = es_error_from_native(ES_DOMAIN_WIN32, (uint32_t)reason, ES_OP_PENDING);
    return 0;
}

int es_sock_name(es_sock_t sock, es_addr_t *addr) {
    es_addr_t seen;
    int size = (int)sizeof(seen.storage);

    assert(addr != NULL);
    if (es__sys.getsockname((SOCKET)sock, native_addr(&seen), &size) != 0) {
        return fail(ES_OP_NAME, "getsockname");
    }
    set_addr_size(&seen, size);
    *addr = seen;
    return 0;
}

int es_sock_peer(es_sock_t sock, es_addr_t *addr) {
    es_addr_t seen;
    int size = (int)sizeof(seen.storage);

    assert(addr != NULL);
    if (es__sys.getpeername((SOCKET)sock, native_addr(&seen), &size) != 0) {
        return fail(ES_OP_NAME, "getpeername");
    }
    set_addr_size(&seen, size);
    *addr = seen;
    return 0;
}

int es_sock_set_nodelay(es_sock_t sock, int on) {
    if (set_option((SOCKET)sock, IPPROTO_TCP, TCP_NODELAY, on != 0) != 0) {
        return fail(ES_OP_OPTION, "setsockopt");
    }
    return 0;
}

int es_sock_set_nonblocking(es_sock_t sock, int on) {
    return set_nonblocking((SOCKET)sock, on) != 0 ? fail(ES_OP_OPTION, "ioctlsocket") : 0;
}
