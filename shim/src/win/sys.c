/* SPDX-License-Identifier: MIT */
/* The two instances of the system-call table: the one in use and the one to go back to. */
#include "sys.h"

/* The casts are for select, whose last parameter the headers of the SDK and of mingw spell
 * differently; by way of void(void), the type that compilers let any function pointer pass through.
 */
#define DEFAULT(result, convention, name, parameters)                                              \
    .name = (result(convention *) parameters)(void (*)(void))name,

es__sys_t es__sys = {ES__SYS_CALLS(DEFAULT)};
const es__sys_t es__sys_default = {ES__SYS_CALLS(DEFAULT)};
