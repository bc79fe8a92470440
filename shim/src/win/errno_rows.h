/* SPDX-License-Identifier: MIT */
/* This system's errno numbers: those of the C runtime and Winsock, in error_rows.h with the other
 * tables of Windows, so that they are tested everywhere. */
#ifndef EVENSHIM_SRC_ERRNO_ROWS_H
#define EVENSHIM_SRC_ERRNO_ROWS_H

#include "error_rows.h"

#define ES__ERRNO_ROWS    ES__WINDOWS_ERRNO_ROWS
#define ES__ERRNO_OP_ROWS ES__WINDOWS_ERRNO_OP_ROWS

#endif
