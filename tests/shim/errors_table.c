/* SPDX-License-Identifier: MIT */
/* Prints docs/shim-errors.md from the tables: what the page says is what the library does. */
#include "error_internal.h"

#include <evenshim/error.h>

#include <inttypes.h>
#include <stdio.h>

static const char *const head =
    "<!-- Written by the build: cmake --build <folder> --target evenshim_docs -->\n"
    "# Errors of evenshim\n"
    "\n"
    "Every function returns 0 or one of these negative codes. A code has the same number on every\n"
    "system and in every version. `es_error_name`, `es_error_text` and `es_error_to_errno` give "
    "the\n"
    "columns; `es_error_last` keeps what the system itself said.\n"
    "\n"
    "The last column is `es_error_to_errno` on Windows, the number that Python's `errno` module "
    "has\n"
    "there; on Unix it is `errno.h`'s.\n"
    "\n"
    "| code | name | text | errno on Windows |\n"
    "|---|---|---|---|\n";

static const char *const windows_head =
    "\n"
    "## What Windows says\n"
    "\n"
    "`es_error_from_native(ES_DOMAIN_WIN32, number, op)`. The second column holds whatever the\n"
    "operation; the third the operations in which the same number means something else. A number\n"
    "that is not here is `EUNKNOWN`, and kept.\n"
    "\n"
    "| number | means | but |\n"
    "|---|---|---|\n";

#define CODE_LINE(constant, number, name, text)                                                    \
    printf("| %d | `ES_%s` | %s | %d |\n", (number), (name), (text),                               \
           es__error_to_errno_windows(number));

static void print_windows_line(uint32_t native) {
    int general = es_error_from_native(ES_DOMAIN_WIN32, native, ES_OP_NONE);
    const char *separator = "";

    if (general == ES_EUNKNOWN) {
        return;
    }
    printf("| %" PRIu32 " | `ES_%s` | ", native, es_error_name(general));
    for (int op = 0; op < ES_OP_COUNT; op++) {
        int code = es_error_from_native(ES_DOMAIN_WIN32, native, (es_op_t)op);

        if (code != general) {
            printf("%s%s: `ES_%s`", separator, es_op_name((es_op_t)op), es_error_name(code));
            separator = ", ";
        }
    }
    printf(" |\n");
}

int main(void) {
    fputs(head, stdout);
    ES_ERRORS(CODE_LINE)
    fputs(windows_head, stdout);
    for (uint32_t native = 1; native < 65536; native++) {
        print_windows_line(native);
    }
    return 0;
}
