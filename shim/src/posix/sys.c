/* SPDX-License-Identifier: MIT */
/* The two instances of the system-call table: the one in use and the one to go back to. */
#include "sys.h"

#include <fcntl.h>
#include <unistd.h>

/* The casts are for glibc under _GNU_SOURCE, where address parameters are unions of pointers that
 * are passed as pointers (__SOCKADDR_ARG in sys/socket.h); by way of void(void), the type that
 * compilers let any function pointer pass through. */
#define DEFAULT(result, name, parameters) .name = (result(*) parameters)(void (*)(void))name,

es__sys_t es__sys = {ES__SYS_CALLS(DEFAULT)};
const es__sys_t es__sys_default = {ES__SYS_CALLS(DEFAULT)};
