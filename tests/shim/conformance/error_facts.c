/* SPDX-License-Identifier: MIT */
/* Facts about the error space: the same numbers, names and meanings on every system. */
#include "fact.h"

#include <evenshim/evenshim.h>

#include <errno.h>
#include <string.h>

#define CODE(constant, number, name, text) constant,
static const int codes[] = {ES_ERRORS(CODE)};
#undef CODE

/* Winsock's and Windows' own numbers; their meaning is in the tables of every system. */
enum {
    WIN_ACCESS_DENIED = 5,
    WIN_BROKEN_PIPE = 109,
    WIN_NETNAME_DELETED = 64,
    WIN_CONNECTION_REFUSED = 1225,
    WIN_WOULDBLOCK = 10035,
    WIN_CONNRESET = 10054,
    WIN_CONNABORTED = 10053,
    WIN_HOST_NOT_FOUND = 11001,
    NO_SUCH_NUMBER = 77777
};

static void look_at_numbers(fact_t *fact) {
    size_t same = 0;

    for (size_t index = 0; index < COUNT(codes); index++) {
        same += codes[index] == -1001 - (int)index;
    }
    see(fact, "codes: %u", (unsigned)COUNT(codes));
    see(fact, "numbered from -1001 down without a gap: %u", (unsigned)same);
}

static void look_at_names(fact_t *fact) {
    size_t same = 0;

    for (size_t index = 0; index < COUNT(codes); index++) {
        same += es_error_from_name(es_error_name(codes[index])) == codes[index];
    }
    see(fact, "names that lead back to their code: %u", (unsigned)same);
    see_code(fact, "a number that is no code", -5);
    see_code(fact, "success", 0);
    see(fact, "a name that is none: %d", es_error_from_name("ENOSUCHNAME"));
}

static void look_at_texts(fact_t *fact) {
    see(fact, "%s", es_error_text(ES_EAGAIN));
    see(fact, "%s", es_error_text(ES_ECONNREFUSED));
    see(fact, "%s", es_error_text(ES_EADDRINUSE));
    see(fact, "%s", es_error_text(ES_EAI_NONAME));
    see(fact, "%s", es_error_text(0));
}

static void look_at_errno(fact_t *fact) {
    size_t same = 0;
    size_t with_errno = 0;

    for (size_t index = 0; index < COUNT(codes); index++) {
        int number = es_error_to_errno(codes[index]);

        if (number != 0) {
            with_errno++;
            same += es_error_to_errno(es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)number,
                                                           ES_OP_NONE)) == number;
        }
    }
    see(fact, "codes without an errno: %u", (unsigned)(COUNT(codes) - with_errno));
    see(fact, "errno numbers that lead back to themselves: %s",
        same == with_errno ? "all" : "not all");
    see(fact, "ES_ENOENT is ENOENT: %s", es_error_to_errno(ES_ENOENT) == ENOENT ? "yes" : "no");
}

static void see_win32(fact_t *fact, const char *what, uint32_t native, es_op_t op) {
    see_code(fact, what, es_error_from_native(ES_DOMAIN_WIN32, native, op));
}

static void look_at_windows_wouldblock(fact_t *fact) {
    see_win32(fact, "10035 of recv", WIN_WOULDBLOCK, ES_OP_RECV);
    see_win32(fact, "10035 of connect", WIN_WOULDBLOCK, ES_OP_CONNECT);
}

static void look_at_windows_reset(fact_t *fact) {
    see_win32(fact, "10054 of recv", WIN_CONNRESET, ES_OP_RECV);
    see_win32(fact, "10054 of accept", WIN_CONNRESET, ES_OP_ACCEPT);
    see_win32(fact, "10053 of send", WIN_CONNABORTED, ES_OP_SEND);
    see_win32(fact, "64 of recv", WIN_NETNAME_DELETED, ES_OP_RECV);
}

static void look_at_windows_refusal(fact_t *fact) {
    see_win32(fact, "1225 of connect", WIN_CONNECTION_REFUSED, ES_OP_CONNECT);
}

static void look_at_windows_pipe(fact_t *fact) {
    see_win32(fact, "109 of read", WIN_BROKEN_PIPE, ES_OP_READ);
    see_win32(fact, "109 of write", WIN_BROKEN_PIPE, ES_OP_WRITE);
}

static void look_at_windows_names(fact_t *fact) {
    see_win32(fact, "5", WIN_ACCESS_DENIED, ES_OP_OPEN);
    see_win32(fact, "11001", WIN_HOST_NOT_FOUND, ES_OP_NONE);
    see_win32(fact, "no such number", NO_SUCH_NUMBER, ES_OP_NONE);
}

static void look_at_operations(fact_t *fact) {
    see(fact, "operations: %d", (int)ES_OP_COUNT);
    see(fact, "the first: %s", es_op_name(ES_OP_NONE));
    see(fact, "connect: %s", es_op_name(ES_OP_CONNECT));
    see(fact, "a number that is none: %s", es_op_name((es_op_t)9999));
}

static void look_at_last(fact_t *fact) {
    es_error_native_t last;

    see_code(fact, "close of no socket",
             es_sock_close(ES_SOCK_INVALID) == 0 ? 0
             : es_error_last().code == 0         ? 0
                                                 : ES_EBADF);
    last = es_error_last();
    see(fact, "operation: %s", es_op_name(last.op));
    see(fact, "the native number is kept: %s", last.native != 0 ? "yes" : "no");
}

static void look_at_last_after_an_answer(fact_t *fact) {
    es_error_native_t before;
    es_sock_t sock = ES_SOCK_INVALID;
    es_error_native_t after;

    (void)es_sock_close(ES_SOCK_INVALID);
    before = es_error_last();
    (void)es_sock_open(2 /* AF_INET everywhere */, 2, 0, 0, &sock);
    (void)es_sock_close(sock);
    after = es_error_last();
    see(fact, "success leaves it alone: %s",
        before.code == after.code && before.op == after.op ? "yes" : "no");
}

static void look_at_version(fact_t *fact) {
    see(fact, "compiled and running are the same: %s", es_version() == ES_VERSION ? "yes" : "no");
}

fact_t error_facts[] = {
    {.name = "error.numbers_are_the_same_everywhere",
     .tier = "portable",
     .statement = "A code has the same number on every system.",
     .source = "error.h",
     .look = look_at_numbers,
     .expected = {"codes: 82", "numbered from -1001 down without a gap: 82"}},
    {.name = "error.names_lead_back_to_codes",
     .tier = "portable",
     .statement = "Every code has a name, and every name one code; what is no code is EUNKNOWN.",
     .source = "error.h",
     .look = look_at_names,
     .expected = {"names that lead back to their code: 82", "a number that is no code: EUNKNOWN",
                  "success: OK", "a name that is none: 0"}},
    {.name = "error.texts_are_those_of_glibc",
     .tier = "portable",
     .statement = "Texts are the same on every system, in English.",
     .source = "error.h; strerror(3) of glibc",
     .look = look_at_texts,
     .expected = {"Resource temporarily unavailable", "Connection refused",
                  "Address already in use", "Name or service not known", "Success"}},
    {.name = "error.errno_of_this_system",
     .tier = "portable",
     .statement = "Codes lead to this system's errno and back.",
     .source = "error.h",
     .look = look_at_errno,
     .expected = {"codes without an errno: 1", "errno numbers that lead back to themselves: all",
                  "ES_ENOENT is ENOENT: yes"}},
    {.name = "error.windows_would_block",
     .tier = "portable",
     .statement = "WSAEWOULDBLOCK means 'not yet', or 'begun' of a connect.",
     .source = "Winsock, connect",
     .look = look_at_windows_wouldblock,
     .expected = {"10035 of recv: EAGAIN", "10035 of connect: EINPROGRESS"}},
    {.name = "error.windows_resets_have_one_name",
     .tier = "portable",
     .statement = "A reset is ECONNRESET, whichever of Windows' numbers tells it; at an accept it "
                  "is about the client.",
     .source = "Winsock, recv and accept",
     .look = look_at_windows_reset,
     .expected = {"10054 of recv: ECONNRESET", "10054 of accept: ECONNABORTED",
                  "10053 of send: ECONNRESET", "64 of recv: ECONNRESET"}},
    {.name = "error.windows_refusal",
     .tier = "portable",
     .statement = "ERROR_CONNECTION_REFUSED is ECONNREFUSED, where the C runtime says EINVAL.",
     .source = "winerror.h",
     .look = look_at_windows_refusal,
     .expected = {"1225 of connect: ECONNREFUSED"}},
    {.name = "error.windows_broken_pipe_is_two_things",
     .tier = "portable",
     .statement = "ERROR_BROKEN_PIPE is the end of the file for a reader, EPIPE for a writer.",
     .source = "ReadFile and WriteFile",
     .look = look_at_windows_pipe,
     .expected = {"109 of read: EOF", "109 of write: EPIPE"}},
    {.name = "error.windows_numbers_are_known_everywhere",
     .tier = "portable",
     .statement = "The table of Windows' numbers is there on every system; others are EUNKNOWN.",
     .source = "error.h",
     .look = look_at_windows_names,
     .expected = {"5: EACCES", "11001: EAI_NONAME", "no such number: EUNKNOWN"}},
    {.name = "error.operations_have_names",
     .tier = "portable",
     .statement = "Every operation has a name; what is none is 'none'.",
     .source = "error.h",
     .look = look_at_operations,
     .expected = {"operations: 19", "the first: none", "connect: connect",
                  "a number that is none: none"}},
    {.name = "error.last_keeps_what_the_system_said",
     .tier = "portable",
     .statement = "After a failure es_error_last has the operation and the native number.",
     .source = "error.h",
     .look = look_at_last,
     .expected = {"close of no socket: EBADF", "operation: close",
                  "the native number is kept: yes"}},
    {.name = "error.success_leaves_last_alone",
     .tier = "portable",
     .statement = "A call that succeeds does not change es_error_last.",
     .source = "error.h",
     .look = look_at_last_after_an_answer,
     .expected = {"success leaves it alone: yes"}},
    {.name = "error.version_matches",
     .tier = "portable",
     .statement = "The library that runs is the one that was compiled against.",
     .source = "version.h",
     .look = look_at_version,
     .expected = {"compiled and running are the same: yes"}},
    {.name = NULL},
};
