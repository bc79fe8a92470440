/* SPDX-License-Identifier: MIT */
/* The error space. The golden files say, for every native number and every operation, which code
 * comes out; they were written once and are compared here on every system, so that no mapping
 * changes unseen. A number that is in no golden line must be ES_EUNKNOWN for every operation. A
 * golden line is {number, code in general, "op=code op=code" where it differs}. */
#include "check.h"

#include "error_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct golden {
    uint32_t native;
    const char *general;
    const char *special;
} golden_t;

typedef int map_t(uint32_t native, es_op_t op);

#define GOLDEN_MAX 16384 /* far beyond the largest known number */

static const golden_t win32_golden[] = {
#include "golden/win32.inc"
};

static const golden_t windows_errno_golden[] = {
#include "golden/windows_errno.inc"
};

typedef struct fixed {
    int number;
    const char *name;
    const char *text;
} fixed_t;

/* The numbers are for ever: this copy is what a program compiled last year holds. */
static const fixed_t codes_golden[] = {
#include "golden/codes.inc"
};

static const struct {
    const char *name;
    int number;
} windows_numbers[] = {
#include "golden/windows_numbers.inc"
};

#define CODE(constant, number, name, text) constant,
static const int codes[] = {ES_ERRORS(CODE)};
#undef CODE

static int map_win32(uint32_t native, es_op_t op) {
    return es_error_from_native(ES_DOMAIN_WIN32, native, op);
}

/* The code that a golden line wants for this operation. */
static const char *expected_name(const golden_t *line, es_op_t op) {
    static char name[32];
    char key[48];
    const char *found;

    (void)snprintf(key, sizeof(key), " %s=", es_op_name(op));
    (void)snprintf(name, sizeof(name), "%s", line->general);
    found = strstr(line->special, key);
    if (found != NULL) {
        assert_int_equal(sscanf(found + strlen(key), "%31s", name), 1);
    }
    return name;
}

static int count_differences(const golden_t *line, const char *table, uint32_t native, map_t *map) {
    const golden_t unknown = {native, "EUNKNOWN", ""};
    int differences = 0;

    for (int op = 0; op < ES_OP_COUNT; op++) {
        const char *expected = expected_name(line != NULL ? line : &unknown, (es_op_t)op);
        const char *actual = es_error_name(map(native, (es_op_t)op));

        if (strcmp(expected, actual) != 0) {
            print_error("%s %u while %s: %s, not %s\n", table, (unsigned)native,
                        es_op_name((es_op_t)op), actual, expected);
            differences++;
        }
    }
    return differences;
}

static void compare(const golden_t *lines, size_t line_count, const char *table, map_t *map) {
    size_t next = 0;
    int differences = 0;

    for (uint32_t native = 1; native < GOLDEN_MAX; native++) {
        const golden_t *line = NULL;

        if (next < line_count && lines[next].native == native) {
            line = &lines[next++];
        }
        differences += count_differences(line, table, native, map);
    }
    assert_int_equal(next, line_count); /* every line was used: they are in order */
    assert_int_equal(differences, 0);
}

static void every_win32_code_means_what_it_did(void **state) {
    (void)state;
    compare(win32_golden, COUNT(win32_golden), "win32", map_win32);
}

static void every_windows_errno_means_what_it_did(void **state) {
    (void)state;
    compare(windows_errno_golden, COUNT(windows_errno_golden), "windows errno",
            es__error_from_errno_windows);
}

static void numbers_names_and_texts_are_for_ever(void **state) {
    (void)state;
    assert_true(COUNT(codes) >= COUNT(codes_golden));
    for (size_t index = 0; index < COUNT(codes_golden); index++) {
        const fixed_t *fixed = &codes_golden[index];

        assert_int_equal(codes[index], fixed->number);
        assert_string_equal(es_error_name(fixed->number), fixed->name);
        assert_string_equal(es_error_text(fixed->number), fixed->text);
        assert_int_equal(es_error_from_name(fixed->name), fixed->number);
    }
    assert_int_equal(COUNT(codes), COUNT(codes_golden)); /* a new code: add its golden line */
}

static void codes_are_negative_and_unique(void **state) {
    (void)state;
    for (size_t index = 0; index < COUNT(codes); index++) {
        assert_int_equal(codes[index], -1001 - (int)index);
        for (size_t other = 0; other < index; other++) {
            assert_string_not_equal(es_error_name(codes[index]), es_error_name(codes[other]));
        }
    }
}

static void strangers_have_a_name_too(void **state) {
    (void)state;
    assert_string_equal(es_error_name(0), "OK");
    assert_string_equal(es_error_text(0), "Success");
    assert_string_equal(es_error_name(1), "EUNKNOWN");
    assert_string_equal(es_error_name(-1), "EUNKNOWN");
    assert_string_equal(es_error_text(-999999), "Unknown error");
    assert_int_equal(es_error_from_name("EPERM"), ES_EPERM);
    assert_int_equal(es_error_from_name("eperm"), 0);
    assert_int_equal(es_error_from_name(""), 0);
    assert_int_equal(es_error_from_name(NULL), 0);
    assert_string_equal(es_op_name(ES_OP_ACCEPT), "accept");
    assert_string_equal(es_op_name(ES_OP_COUNT), "none");
    assert_string_equal(es_op_name((es_op_t)9999), "none");
}

static void zero_and_unknown_domains_are_safe(void **state) {
    (void)state;
    for (int op = 0; op < ES_OP_COUNT; op++) {
        assert_code(es_error_from_native(ES_DOMAIN_ERRNO, 0, (es_op_t)op), 0);
        assert_code(es_error_from_native(ES_DOMAIN_WIN32, 0, (es_op_t)op), 0);
        assert_code(es__error_from_errno_windows(0, (es_op_t)op), 0);
    }
    assert_code(es_error_from_native((es_domain_t)7, 5, ES_OP_NONE), ES_EUNKNOWN);
    assert_code(es_error_from_native(ES_DOMAIN_ERRNO, UINT32_MAX, ES_OP_NONE), ES_EUNKNOWN);
    assert_code(es_error_from_native(ES_DOMAIN_WIN32, UINT32_MAX, ES_OP_NONE), ES_EUNKNOWN);
}

/* es_error_to_errno(ES_X) is what Python calls errno.X on Windows: the golden numbers were printed
 * by CPython 3.13 there. */
static void windows_numbers_are_those_of_pythons_errno(void **state) {
    size_t checked = 0;

    (void)state;
    for (size_t index = 0; index < COUNT(windows_numbers); index++) {
        int code = es_error_from_name(windows_numbers[index].name);

        assert_int_not_equal(code, 0);
        if (es__error_to_errno_windows(code) != windows_numbers[index].number) {
            print_error("%s\n", windows_numbers[index].name);
        }
        assert_int_equal(es__error_to_errno_windows(code), windows_numbers[index].number);
        checked++;
    }
    assert_true(checked > 60);
    assert_int_equal(es__error_to_errno_windows(ES_EOF), 0);
    assert_int_equal(es__error_to_errno_windows(0), 0);
    assert_int_equal(es__error_to_errno_windows(ES_EFORKED), 22);
    assert_int_equal(es__error_to_errno_windows(ES_EUNKNOWN), 5);
    assert_int_equal(es__error_to_errno_windows(ES_EAI_AGAIN), 5);
    assert_int_equal(es__error_to_errno_windows(-5), 5);
}

static void every_failure_has_an_errno_and_comes_back(void **state) {
    (void)state;
    for (size_t index = 0; index < COUNT(codes); index++) {
        int number = es_error_to_errno(codes[index]);

        if (codes[index] == ES_EOF) {
            assert_int_equal(number, 0);
            continue;
        }
        assert_true(number > 0);
        if (strncmp(es_error_name(codes[index]), "EAI_", 4) == 0 || codes[index] == ES_EUNKNOWN) {
            assert_int_equal(number, es_error_to_errno(ES_EIO));
        } else if (codes[index] == ES_EFORKED) {
            assert_int_equal(number, es_error_to_errno(ES_EINVAL));
        } else if (number != es_error_to_errno(ES_EOPNOTSUPP)) { /* Linux: ENOTSUP is the same */
            assert_code(es_error_from_native(ES_DOMAIN_ERRNO, (uint32_t)number, ES_OP_NONE),
                        codes[index]);
        }
    }
}

static void the_last_failure_is_kept_and_answers_are_not(void **state) {
    es_error_native_t last;

    (void)state;
    assert_code(es_error_last().code, 0);
    assert_string_equal(es_error_last().call, "");
    assert_code(es__fail(ES_DOMAIN_WIN32, 10061, ES_OP_CONNECT, "connect"), ES_ECONNREFUSED);
    assert_code(es__fail(ES_DOMAIN_WIN32, 10035, ES_OP_RECV, "recv"), ES_EAGAIN);
    assert_code(es__fail(ES_DOMAIN_WIN32, 10035, ES_OP_CONNECT, "connect"), ES_EINPROGRESS);
    assert_code(es__fail(ES_DOMAIN_WIN32, 10101, ES_OP_RECV, "recv"), ES_EOF);
    last = es_error_last();
    assert_code(last.code, ES_ECONNREFUSED);
    assert_int_equal(last.native, 10061);
    assert_int_equal(last.op, ES_OP_CONNECT);
    assert_int_equal(last.domain, ES_DOMAIN_WIN32);
    assert_string_equal(last.call, "connect");
    assert_code(es__fail(ES_DOMAIN_WIN32, 4321, ES_OP_SEND, "send"), ES_EUNKNOWN);
    assert_int_equal(es_error_last().native, 4321);
    assert_code(es__refuse(ES_EINVAL, ES_OP_OPEN, "es_sock_open"), ES_EINVAL);
    assert_int_equal(es_error_last().native, 0);
}

static void a_failure_without_a_reason_is_still_one(void **state) {
    (void)state;
    assert_code(es__fail(ES_DOMAIN_WIN32, 0, ES_OP_SEND, "send"), ES_EUNKNOWN);
    assert_code(es__fail(ES_DOMAIN_ERRNO, 0, ES_OP_SEND, "send"), ES_EUNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_failure_is_kept_and_answers_are_not),
        cmocka_unit_test(every_win32_code_means_what_it_did),
        cmocka_unit_test(every_windows_errno_means_what_it_did),
        cmocka_unit_test(numbers_names_and_texts_are_for_ever),
        cmocka_unit_test(codes_are_negative_and_unique),
        cmocka_unit_test(strangers_have_a_name_too),
        cmocka_unit_test(zero_and_unknown_domains_are_safe),
        cmocka_unit_test(windows_numbers_are_those_of_pythons_errno),
        cmocka_unit_test(every_failure_has_an_errno_and_comes_back),
        cmocka_unit_test(a_failure_without_a_reason_is_still_one),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
