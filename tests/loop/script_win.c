/* SPDX-License-Identifier: MIT */
/* The scripted system calls as Windows spells them. */
#include "script.h"

#include "sys.h"

static int last_error;

/* Where Winsock's number is not the one that errno would have. */
static int winsock_error(int code) {
    switch (code) {
    case ES_EAGAIN:
        return WSAEWOULDBLOCK;
    case ES_EINTR:
        return WSAEINTR;
    case ES_EPIPE:
        return WSAESHUTDOWN;
    case ES_EMFILE:
        return WSAEMFILE;
    case ES_ENOMEM:
        return ERROR_NOT_ENOUGH_MEMORY;
    case ES_EINVAL:
        return WSAEINVAL;
    case ES_EIO:
        return ERROR_IO_DEVICE;
    default:
        return es_error_to_errno(code);
    }
}

static int tell(intptr_t result) {
    if (result >= 0) {
        return (int)result;
    }
    if (result == ES_EOF) {
        return 0;
    }
    last_error = winsock_error((int)result);
    return SOCKET_ERROR;
}

static int WSAAPI scripted_error(void) {
    int error = last_error;
    last_error = 0;
    return error != 0 ? error : es__sys_default.WSAGetLastError();
}

static int WSAAPI scripted_recv(SOCKET fd, char *base, int size, int flags) {
    (void)fd;
    (void)flags;
    intptr_t result;
    do {
        result = script_do_recv(base, (size_t)size);
    } while (result == ES_EINTR); /* Windows interrupts no call of its own accord */
    return tell(result);
}

static int WSAAPI scripted_recvfrom(SOCKET fd, char *base, int size, int flags,
                                    struct sockaddr *addr, int *addr_size) {
    size_t length = (size_t)*addr_size;
    (void)fd;
    (void)flags;
    intptr_t result;
    do {
        result = script_do_recvfrom(base, (size_t)size, addr, &length);
    } while (result == ES_EINTR);
    *addr_size = (int)length;
    return tell(result);
}

static intptr_t do_send(const es_iov_t *iov, size_t count) {
    intptr_t result;
    do {
        result = script_do_send(iov, count);
    } while (result == ES_EINTR);
    return result;
}

static int WSAAPI scripted_send(SOCKET fd, const char *base, int size, int flags) {
    es_iov_t iov = {(void *)(uintptr_t)base, (size_t)size};
    (void)fd;
    (void)flags;
    return tell(do_send(&iov, 1));
}

static int WSAAPI scripted_sendto(SOCKET fd, const char *base, int size, int flags,
                                  const struct sockaddr *addr, int addr_size) {
    (void)fd;
    (void)flags;
    intptr_t result;
    do {
        result = script_do_sendto(base, (size_t)size, addr, (size_t)addr_size);
    } while (result == ES_EINTR);
    return tell(result);
}

static int WSAAPI scripted_send_several(SOCKET fd, LPWSABUF buffers, DWORD count, LPDWORD sent,
                                        DWORD flags, LPWSAOVERLAPPED overlapped,
                                        LPWSAOVERLAPPED_COMPLETION_ROUTINE done) {
    es_iov_t iov[ES_IOV_MAX];
    (void)fd;
    (void)flags;
    (void)overlapped;
    (void)done;
    for (DWORD i = 0; i < count && i < ES_IOV_MAX; i++) {
        iov[i].base = buffers[i].buf;
        iov[i].size = buffers[i].len;
    }
    int result = tell(do_send(iov, count));
    if (result >= 0) {
        *sent = (DWORD)result;
        return 0;
    }
    return result;
}

static int WSAAPI scripted_shutdown(SOCKET fd, int how) {
    (void)fd;
    (void)how;
    return tell(script_do_shutdown());
}

static SOCKET WSAAPI scripted_accept(SOCKET fd, struct sockaddr *addr, int *size) {
    es_sock_t made;
    (void)fd;
    (void)addr;
    int code = script_do_accept(&made);
    if (code == 0) {
        *size = 0;
        return (SOCKET)made;
    }
    /* A client that gave up while it waited shows as a reset there. */
    (void)tell(code == ES_ECONNABORTED ? ES_ECONNRESET : code);
    return INVALID_SOCKET;
}

void script_install(void) {
    es__sys.WSAGetLastError = scripted_error;
    es__sys.recv = scripted_recv;
    es__sys.recvfrom = scripted_recvfrom;
    es__sys.send = scripted_send;
    es__sys.sendto = scripted_sendto;
    es__sys.WSASend = scripted_send_several;
    es__sys.shutdown = scripted_shutdown;
    es__sys.accept = scripted_accept;
}

void script_uninstall(void) {
    es__sys = es__sys_default;
}
