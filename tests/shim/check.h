/* SPDX-License-Identifier: MIT */
/* CMocka with the headers it wants before it, for every test of evenshim. */
#ifndef EVENSHIM_TESTS_CHECK_H
#define EVENSHIM_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <evenshim/error.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Fails with both names instead of two numbers. */
#define assert_code(actual, expected) check_code((actual), (expected), #actual, __FILE__, __LINE__)

static inline void check_code(int actual, int expected, const char *what, const char *file,
                              int line) {
    if (actual != expected) {
        print_error("%s is %d (%s), not %d (%s)\n", what, actual, es_error_name(actual), expected,
                    es_error_name(expected));
        _fail(file, line);
    }
}

#endif
