/* SPDX-License-Identifier: MIT */
/* The library says the version of the headers it was built with, in both forms. */
#include "check.h"

#include <evenshim/evenshim.h>

#include <stdio.h>

static void library_and_headers_agree(void **state) {
    char text[32];

    (void)state;
    assert_int_equal(es_version(), ES_VERSION);
    (void)snprintf(text, sizeof(text), "%d.%d.%d", ES_VERSION_MAJOR, ES_VERSION_MINOR,
                   ES_VERSION_PATCH);
    assert_string_equal(es_version_string(), text);
    assert_string_equal(es_version_string(), EVENSHIM_BUILD_VERSION);
}

static void versions_compare_as_numbers(void **state) {
    (void)state;
    assert_true(ES_VERSION_NUMBER(1, 2, 3) == 0x010203);
    assert_true(ES_VERSION_NUMBER(1, 0, 0) > ES_VERSION_NUMBER(0, 255, 255));
    assert_true(ES_VERSION_NUMBER(0, 2, 0) > ES_VERSION_NUMBER(0, 1, 255));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_and_headers_agree),
        cmocka_unit_test(versions_compare_as_numbers),
    };

    return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
