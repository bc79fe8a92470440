/* SPDX-License-Identifier: MIT */
/* Owns the error space: names, texts, both ways of translation and the last failure of each thread.
 * It guarantees that every code of error.h has a row in each table and that an unknown native code
 * is never lost or taken for success. Only this file reads the rows. A search is a walk over at
 * most 200 pairs: failures are rare, and answers (EAGAIN) are caught by the leaves before they come
 * here. */
#include "error_internal.h"
#include "error_rows.h"
#include "errno_rows.h"

#include <stddef.h>
#include <string.h>

typedef struct code_row {
    int code;
    const char *name;
    const char *text;
} code_row_t;

typedef struct native_row {
    uint32_t native;
    int code;
} native_row_t;

typedef struct op_row {
    es_op_t op;
    uint32_t native;
    int code;
} op_row_t;

#define COUNT(array)                           (sizeof(array) / sizeof((array)[0]))

#define CODE_ROW(constant, number, name, text) {constant, name, text},
static const code_row_t codes[] = {ES_ERRORS(CODE_ROW)};

#define OP_NAME(constant, name) name,
static const char *const op_names[] = {ES_OPS(OP_NAME)};

#define NATIVE_ROW(native, code) {(uint32_t)(native), code},
static const native_row_t errno_rows[] = {ES__ERRNO_ROWS(NATIVE_ROW)};
static const native_row_t windows_errno_rows[] = {ES__WINDOWS_ERRNO_ROWS(NATIVE_ROW)};

#define NAMED_ROW(name, native, code) {native, code},
static const native_row_t win32_rows[] = {ES__WIN32_ROWS(NAMED_ROW)};

#define OP_ROW(op, native, code) {op, (uint32_t)(native), code},
static const op_row_t errno_op_rows[] = {ES__ERRNO_OP_ROWS(OP_ROW)};
static const op_row_t windows_errno_op_rows[] = {ES__WINDOWS_ERRNO_OP_ROWS(OP_ROW)};
static const op_row_t win32_op_rows[] = {ES__WIN32_OP_ROWS(OP_ROW)};

/* From here up the numbers of Windows' errno module are Winsock's. */
static const uint32_t winsock_first = 10000;

static const code_row_t *find_code(int code) {
    for (size_t index = 0; index < COUNT(codes); index++) {
        if (codes[index].code == code) {
            return &codes[index];
        }
    }
    return NULL;
}

static int find_native(const native_row_t *rows, size_t row_count, uint32_t native) {
    for (size_t index = 0; index < row_count; index++) {
        if (rows[index].native == native) {
            return rows[index].code;
        }
    }
    return ES_EUNKNOWN;
}

static int find_op(const op_row_t *rows, size_t row_count, uint32_t native, es_op_t op) {
    for (size_t index = 0; index < row_count; index++) {
        if (rows[index].native == native && rows[index].op == op) {
            return rows[index].code;
        }
    }
    return 0;
}

static int find_errno(const native_row_t *rows, size_t row_count, int code) {
    switch (code) {
    case 0:
    case ES_EOF:
        return 0;
    case ES_EFORKED:
        code = ES_EINVAL;
        break;
    default:
        break;
    }
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t index = 0; index < row_count; index++) {
            if (rows[index].code == code) {
                return (int)rows[index].native;
            }
        }
        code = ES_EIO; /* codes without a number of their own: a failure must not become 0 */
    }
    return 0;
}

static int from_win32(uint32_t native, es_op_t op) {
    int code = find_op(win32_op_rows, COUNT(win32_op_rows), native, op);

    return code != 0 ? code : find_native(win32_rows, COUNT(win32_rows), native);
}

static int from_errno(uint32_t native, es_op_t op) {
    int code = find_op(errno_op_rows, COUNT(errno_op_rows), native, op);

    return code != 0 ? code : find_native(errno_rows, COUNT(errno_rows), native);
}

int es__error_from_errno_windows(uint32_t native, es_op_t op) {
    int code;

    if (native == 0) {
        return 0;
    }
    if (native >= winsock_first) {
        return from_win32(native, op);
    }
    code = find_op(windows_errno_op_rows, COUNT(windows_errno_op_rows), native, op);
    return code != 0 ? code : find_native(windows_errno_rows, COUNT(windows_errno_rows), native);
}

int es__error_to_errno_windows(int code) {
    return find_errno(windows_errno_rows, COUNT(windows_errno_rows), code);
}

int es_error_to_errno(int code) {
    return find_errno(errno_rows, COUNT(errno_rows), code);
}

int es_error_from_native(es_domain_t domain, uint32_t native, es_op_t op) {
    if (native == 0) {
        return 0;
    }
    if (domain == ES_DOMAIN_WIN32 || native >= winsock_first) {
        return from_win32(native, op); /* no system but Windows has an errno this large */
    }
    return domain == ES_DOMAIN_ERRNO ? from_errno(native, op) : ES_EUNKNOWN;
}

const char *es_error_name(int code) {
    const code_row_t *row = find_code(code);

    if (code == 0) {
        return "OK";
    }
    return row != NULL ? row->name : "EUNKNOWN";
}

const char *es_error_text(int code) {
    const code_row_t *row = find_code(code != 0 ? code : ES_EUNKNOWN);

    if (code == 0) {
        return "Success";
    }
    return row != NULL ? row->text : "Unknown error";
}

int es_error_from_name(const char *name) {
    if (name == NULL) {
        return 0;
    }
    for (size_t index = 0; index < COUNT(codes); index++) {
        if (strcmp(codes[index].name, name) == 0) {
            return codes[index].code;
        }
    }
    return 0;
}

const char *es_op_name(es_op_t op) {
    return (size_t)op < COUNT(op_names) ? op_names[op] : op_names[ES_OP_NONE];
}

static _Thread_local es_error_native_t last = {0, 0, ES_OP_NONE, "", ES_DOMAIN_ERRNO};

es_error_native_t es_error_last(void) {
    return last;
}

int es__fail(es_domain_t domain, uint32_t native, es_op_t op, const char *call) {
    int code = native != 0 ? es_error_from_native(domain, native, op) : ES_EUNKNOWN;

    if (code != ES_EAGAIN && code != ES_EINPROGRESS && code != ES_EOF) {
        last = (es_error_native_t){code, native, op, call, domain};
    }
    return code;
}

int es__refuse(int code, es_op_t op, const char *call) {
    last = (es_error_native_t){code, 0, op, call, ES_DOMAIN_ERRNO};
    return code;
}
