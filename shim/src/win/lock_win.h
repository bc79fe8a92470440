/* SPDX-License-Identifier: MIT */
/* What the Windows lock leaves share. */
#ifndef EVENSHIM_SRC_LOCK_WIN_H
#define EVENSHIM_SRC_LOCK_WIN_H

#include "prim/lock.h"
#include "sys.h"

/* lock.c: es__fail with GetLastError. */
int es__lock_fail(es_op_t op, const char *call);

/* lock.c: whether LockFileEx completes when it had to wait. Wine says ERROR_IO_PENDING and never
 * does (its log: "Async I/O lock wait not implemented"), nor can it be cancelled. */
int es__lock_pends(void);

/* lock.c: LockFileEx. TRUE, or FALSE with GetLastError. */
BOOL es__lock_call(HANDLE handle, es__bytes_t bytes, DWORD flags, OVERLAPPED *overlapped);

/* lock_file.c: a path as Windows wants it, to be freed with es_free; NULL: the code is in *code. */
WCHAR *es__lock_wide(const char *text, int *code);

#endif
