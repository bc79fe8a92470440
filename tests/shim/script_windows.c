/* SPDX-License-Identifier: MIT */
#include "script_windows.h"

#include "check.h"

#include <string.h>

BOOL script_report_on;
unsigned char script_ioctl[8];
DWORD script_ioctl_size;
int script_option_value;
uint64_t script_bytes_total;
int script_startups;

static const step_t *next;
static int last_error;

void script_steps(const step_t *steps) {
    next = steps;
    last_error = 0;
}

void script_finish(void) {
    if (next->call != NULL) {
        print_error("%s was not called\n", next->call);
        fail();
    }
}

static const step_t *take(const char *call, int64_t telling) {
    const step_t *step = next;

    if (step->call == NULL || strcmp(step->call, call) != 0) {
        print_error("%s was called, not %s\n", call, step->call != NULL ? step->call : "nothing");
        fail();
    }
    if (step->wanted != ANY && step->wanted != telling) {
        print_error("%s: %lld, not %lld\n", call, (long long)telling, (long long)step->wanted);
        fail();
    }
    next++;
    last_error = step->error;
    return step;
}

/* The host of an address as one number, for both families. */
static int64_t host_of(const struct sockaddr *addr, int size) {
    unsigned char bytes[128];
    size_t at = addr->sa_family == AF_INET6 ? 20 : 4;

    assert_true(size >= 0 && (size_t)size <= sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, addr, (size_t)size);
    return ((int64_t)bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) |
           bytes[at + 3];
}

static void set_nameless(struct sockaddr *addr, int *size) {
    struct sockaddr_in peer;

    memset(&peer, 0, sizeof(peer));
    peer.sin_family = AF_INET;
    peer.sin_port = 0x1234;
    assert_true(*size >= (int)sizeof(peer));
    memcpy(addr, &peer, sizeof(peer));
    *size = (int)sizeof(peer);
}

static int WSAAPI do_WSAStartup(WORD version, LPWSADATA data) {
    (void)data;
    script_startups++;
    return (int)take("WSAStartup", version)->result;
}

static int WSAAPI do_WSAGetLastError(void) {
    return last_error;
}

static SOCKET WSAAPI do_WSASocketW(int family, int type, int protocol, LPWSAPROTOCOL_INFOW info,
                                   GROUP group, DWORD flags) {
    (void)family;
    (void)type;
    (void)protocol;
    assert_null(info);
    assert_int_equal(group, 0);
    return (SOCKET)take("WSASocketW", flags)->result;
}

static int WSAAPI do_ioctlsocket(SOCKET sock, long code, u_long *argument) {
    (void)sock;
    assert_int_equal((u_long)code, FIONBIO);
    return (int)take("ioctlsocket", *argument)->result;
}

static int WSAAPI do_WSAIoctl(SOCKET sock, DWORD code, LPVOID in, DWORD in_size, LPVOID out,
                              DWORD out_size, LPDWORD returned, LPWSAOVERLAPPED overlapped,
                              LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    (void)sock;
    assert_null(out);
    assert_int_equal(out_size, 0);
    assert_non_null(returned); /* Winsock fails with WSAEFAULT without it */
    assert_null(overlapped);
    assert_true(routine == NULL);
    assert_true(in_size <= sizeof(script_ioctl));
    memcpy(script_ioctl, in, in_size);
    script_ioctl_size = in_size;
    if (in_size == sizeof(BOOL)) {
        memcpy(&script_report_on, in, sizeof(BOOL));
    }
    return (int)take("WSAIoctl", code)->result;
}

static int WSAAPI do_bind(SOCKET sock, const struct sockaddr *addr, int size) {
    (void)sock;
    return (int)take("bind", host_of(addr, size))->result;
}

static int WSAAPI do_listen(SOCKET sock, int backlog) {
    (void)sock;
    return (int)take("listen", backlog)->result;
}

static SOCKET WSAAPI do_accept(SOCKET sock, struct sockaddr *addr, int *size) {
    const step_t *step = take("accept", ANY);

    (void)sock;
    if ((SOCKET)step->result != INVALID_SOCKET) {
        set_nameless(addr, size);
    }
    return (SOCKET)step->result;
}

static int WSAAPI do_connect(SOCKET sock, const struct sockaddr *addr, int size) {
    (void)sock;
    return (int)take("connect", host_of(addr, size))->result;
}

/* A datagram that is cut fills the buffer and is an error. */
static int receive(const step_t *step, char *base) {
    if (step->bytes != NULL) {
        memcpy(base, step->bytes, (size_t)(step->result > 0 ? step->result : step->value));
    }
    return (int)step->result;
}

static int WSAAPI do_recv(SOCKET sock, char *base, int size, int flags) {
    (void)sock;
    assert_int_equal(flags, 0);
    return receive(take("recv", size), base);
}

static int WSAAPI do_recvfrom(SOCKET sock, char *base, int size, int flags, struct sockaddr *addr,
                              int *addr_size) {
    const step_t *step = take("recvfrom", size);

    (void)sock;
    assert_int_equal(flags, 0);
    assert_int_equal(*addr_size, 128); /* each attempt gives the whole room */
    if (step->value != NO_SENDER) {
        set_nameless(addr, addr_size);
    }
    return receive(step, base);
}

static int WSAAPI do_send(SOCKET sock, const char *base, int size, int flags) {
    (void)sock;
    (void)base;
    assert_int_equal(flags, 0);
    return (int)take("send", size)->result;
}

static int WSAAPI do_sendto(SOCKET sock, const char *base, int size, int flags,
                            const struct sockaddr *addr, int addr_size) {
    (void)sock;
    (void)base;
    (void)size;
    assert_int_equal(flags, 0);
    return (int)take("sendto", host_of(addr, addr_size))->result;
}

static int WSAAPI do_WSASend(SOCKET sock, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags,
                             LPWSAOVERLAPPED overlapped,
                             LPWSAOVERLAPPED_COMPLETION_ROUTINE routine) {
    const step_t *step = take("WSASend", count);

    (void)sock;
    assert_int_equal(flags, 0);
    assert_null(overlapped);
    assert_true(routine == NULL);
    script_bytes_total = 0;
    for (DWORD index = 0; index < count; index++) {
        script_bytes_total += buffers[index].len;
    }
    *sent = (DWORD)step->value;
    return (int)step->result;
}

static int WSAAPI do_shutdown(SOCKET sock, int how) {
    (void)sock;
    return (int)take("shutdown", how)->result;
}

static int WSAAPI do_closesocket(SOCKET sock) {
    (void)sock;
    return (int)take("closesocket", ANY)->result;
}

static int WSAAPI do_getsockopt(SOCKET sock, int level, int name, char *value, int *size) {
    const step_t *step = take("getsockopt", name);
    int answer = (int)step->value;

    (void)sock;
    assert_int_equal(level, SOL_SOCKET);
    assert_int_equal(*size, sizeof(int));
    if (step->result == 0) {
        memcpy(value, &answer, sizeof(answer));
    }
    return (int)step->result;
}

static int WSAAPI do_setsockopt(SOCKET sock, int level, int name, const char *value, int size) {
    (void)sock;
    (void)level;
    assert_int_equal(size, sizeof(int));
    memcpy(&script_option_value, value, sizeof(int));
    return (int)take("setsockopt", name)->result;
}

static int WSAAPI do_getsockname(SOCKET sock, struct sockaddr *addr, int *size) {
    const step_t *step = take("getsockname", ANY);

    (void)sock;
    set_nameless(addr, size);
    if (step->value != 0) {
        *size = (int)step->value;
    }
    return (int)step->result;
}

static int WSAAPI do_getpeername(SOCKET sock, struct sockaddr *addr, int *size) {
    (void)sock;
    set_nameless(addr, size);
    return (int)take("getpeername", ANY)->result;
}

static int WSAAPI do_select(int count, fd_set *readable, fd_set *writable, fd_set *failed,
                            const PTIMEVAL timeout) {
    (void)count;
    assert_null(readable);
    assert_int_equal(writable->fd_count, 1);
    assert_true(writable->fd_array[0] == SOCK);
    assert_int_equal(failed->fd_count, 1);
    assert_true(failed->fd_array[0] == SOCK);
    assert_int_equal(timeout->tv_sec, 0);
    assert_int_equal(timeout->tv_usec, 0);
    return (int)take("select", ANY)->result;
}

static BOOL WINAPI do_SetHandleInformation(HANDLE handle, DWORD mask, DWORD flags) {
    (void)handle;
    assert_int_equal(mask, HANDLE_FLAG_INHERIT);
    return (BOOL)take("SetHandleInformation", flags)->result;
}

static DWORD WINAPI do_GetLastError(void) {
    return (DWORD)last_error;
}

#define FIELD(result, convention, name, parameters) .name = do_##name,
es__sys_t es__sys = {ES__SYS_SOCKETS(FIELD)};
