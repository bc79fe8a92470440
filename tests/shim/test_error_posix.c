/* SPDX-License-Identifier: MIT */
/* errno on this Unix: each name goes in and comes back, each operation-aware meaning is listed, and
 * the texts are the C library's own where that is glibc, since that is what Python shows. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct special {
    es_op_t op;
    int native;
    int code;
} special_t;

/* Every meaning that depends on the operation; all other pairs have the general one. */
static const special_t specials[] = {
    {ES_OP_ACCEPT, EINTR, ES_EAGAIN},
    {ES_OP_RECV, EINTR, ES_EAGAIN},
    {ES_OP_RECV_DATAGRAM, EINTR, ES_EAGAIN},
    {ES_OP_SEND, EINTR, ES_EAGAIN},
    {ES_OP_SEND_DATAGRAM, EINTR, ES_EAGAIN},
    {ES_OP_READ, EINTR, ES_EAGAIN},
    {ES_OP_WRITE, EINTR, ES_EAGAIN},
    {ES_OP_CONNECT, EINTR, ES_EINPROGRESS},
    {ES_OP_ACCEPT, ECONNRESET, ES_ECONNABORTED},
    {ES_OP_ACCEPT, EPROTO, ES_ECONNABORTED},
    {ES_OP_ACCEPT, ENETDOWN, ES_ECONNABORTED},
    {ES_OP_ACCEPT, ENETUNREACH, ES_ECONNABORTED},
    {ES_OP_ACCEPT, ENOPROTOOPT, ES_ECONNABORTED},
    {ES_OP_ACCEPT, EHOSTDOWN, ES_ECONNABORTED},
    {ES_OP_ACCEPT, EHOSTUNREACH, ES_ECONNABORTED},
    {ES_OP_ACCEPT, ETIMEDOUT, ES_ECONNABORTED},
    {ES_OP_SEND, EPROTOTYPE, ES_EPIPE},
    {ES_OP_SEND, ESHUTDOWN, ES_EPIPE},
    {ES_OP_RECV, ESHUTDOWN, ES_EOF},
    {ES_OP_LOCK, EACCES, ES_EAGAIN},
};

typedef struct name {
    int native;
    const char *text;
} name_t;

#define NAME(constant)                                                                             \
    { constant, #constant }
static const name_t names[] = {
    NAME(EAGAIN),       NAME(EINPROGRESS),     NAME(ECANCELED),       NAME(EPERM),
    NAME(ENOENT),       NAME(ESRCH),           NAME(EINTR),           NAME(EIO),
    NAME(ENXIO),        NAME(E2BIG),           NAME(EBADF),           NAME(ECHILD),
    NAME(ENOMEM),       NAME(EACCES),          NAME(EFAULT),          NAME(EBUSY),
    NAME(EEXIST),       NAME(EXDEV),           NAME(ENODEV),          NAME(ENOTDIR),
    NAME(EISDIR),       NAME(EINVAL),          NAME(ENFILE),          NAME(EMFILE),
    NAME(ENOTTY),       NAME(ETXTBSY),         NAME(EFBIG),           NAME(ENOSPC),
    NAME(ESPIPE),       NAME(EROFS),           NAME(EMLINK),          NAME(EPIPE),
    NAME(ERANGE),       NAME(EDEADLK),         NAME(ENAMETOOLONG),    NAME(ENOLCK),
    NAME(ENOSYS),       NAME(ENOTEMPTY),       NAME(ELOOP),           NAME(EPROTO),
    NAME(EOVERFLOW),    NAME(EILSEQ),          NAME(EUSERS),          NAME(ENOTSOCK),
    NAME(EDESTADDRREQ), NAME(EMSGSIZE),        NAME(EPROTOTYPE),      NAME(ENOPROTOOPT),
    NAME(EOPNOTSUPP),   NAME(EAFNOSUPPORT),    NAME(EPROTONOSUPPORT), NAME(ESOCKTNOSUPPORT),
    NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL),   NAME(ENETDOWN),        NAME(ENETUNREACH),
    NAME(ENETRESET),    NAME(ECONNABORTED),    NAME(ECONNRESET),      NAME(ENOBUFS),
    NAME(EISCONN),      NAME(ENOTCONN),        NAME(ESHUTDOWN),       NAME(ETOOMANYREFS),
    NAME(ETIMEDOUT),    NAME(ECONNREFUSED),    NAME(EHOSTDOWN),       NAME(EHOSTUNREACH),
    NAME(EALREADY),     NAME(ESTALE),          NAME(EDQUOT),          NAME(EREMOTE),
    NAME(EOWNERDEAD),   NAME(ENOTRECOVERABLE),
};

static int general_code(int native) {
    if (native == EPFNOSUPPORT) {
        return ES_EAFNOSUPPORT;
    }
    for (size_t index = 0; index < COUNT(names); index++) {
        if (names[index].native == native) {
            return es_error_from_name(names[index].text);
        }
    }
    return ES_EUNKNOWN;
}

static int expected_code(int native, es_op_t op) {
    for (size_t index = 0; index < COUNT(specials); index++) {
        if (specials[index].native == native && specials[index].op == op) {
            return specials[index].code;
        }
    }
    return general_code(native);
}

static void every_errno_means_what_it_did_in_every_operation(void **state) {
    (void)state;
    for (int native = 1; native < 9999; native++) {
        for (int op = 0; op < ES_OP_COUNT; op++) {
            int code = es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)native, (es_op_t)op);

            if (code != expected_code(native, (es_op_t)op)) {
                print_error("errno %d while %s\n", native, es_op_name((es_op_t)op));
            }
            assert_code(code, expected_code(native, (es_op_t)op));
        }
    }
}

static void errno_and_name_go_both_ways(void **state) {
    (void)state;
    for (size_t index = 0; index < COUNT(names); index++) {
        int code = es_error_from_name(names[index].text);

        assert_int_not_equal(code, 0);
        assert_int_equal(es_error_to_errno(code), names[index].native);
    }
    assert_int_equal(es_error_to_errno(ES_ENOTSUP), ENOTSUP);
}

static void texts_are_those_of_glibc(void **state) {
    (void)state;
#if defined(__GLIBC__)
    /* Other C libraries word some differently; the text of an error is the same everywhere here. */
    for (size_t index = 0; index < COUNT(names); index++) {
        assert_string_equal(es_error_text(es_error_from_name(names[index].text)),
                            strerror(names[index].native));
    }
    assert_string_equal(es_error_text(ES_ENOTSUP), strerror(ENOTSUP));
#else
    assert_string_equal(es_error_text(ES_ECONNRESET), "Connection reset by peer");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_means_what_it_did_in_every_operation),
        cmocka_unit_test(errno_and_name_go_both_ways),
        cmocka_unit_test(texts_are_those_of_glibc),
    };

    return cmocka_run_group_tests_name("error on Unix", tests, NULL, NULL);
}
