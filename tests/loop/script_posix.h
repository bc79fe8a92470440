/* SPDX-License-Identifier: MIT */
/* What the scripted system calls of Unix share with the one that differs between kernels. */
#ifndef EVENLOOP_TESTS_SCRIPT_POSIX_H
#define EVENLOOP_TESTS_SCRIPT_POSIX_H

#include "script.h"

#include "sys.h"

/* The next scripted accept, told as Unix tells it. */
int script_tell_accept(void);

/* script_accept4.c or script_accept.c */
void script_install_accept(void);

#endif
