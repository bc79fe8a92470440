/* SPDX-License-Identifier: MIT */
/* What the leaves use to report errors, and what tests may look at. Not installed. */
#ifndef EVENSHIM_SRC_ERROR_INTERNAL_H
#define EVENSHIM_SRC_ERROR_INTERNAL_H

#include <evenshim/error.h>

/* Maps `native`, keeps it as this thread's last failure unless it is an answer (EAGAIN,
 * EINPROGRESS, EOF), and gives the code. `call` is the system call's name and must live for ever. A
 * native 0 from a call that failed is ES_EUNKNOWN: a failure is never taken for success. */
int es__fail(es_domain_t domain, uint32_t native, es_op_t op, const char *call);

/* The same when evenshim itself refuses: there is no native code. */
int es__refuse(int code, es_op_t op, const char *call);

/* What es_error_to_errno gives on Windows, on every system. */
int es__error_to_errno_windows(int code);

/* What ES_DOMAIN_ERRNO gives on Windows, on every system. */
int es__error_from_errno_windows(uint32_t native, es_op_t op);

#endif
