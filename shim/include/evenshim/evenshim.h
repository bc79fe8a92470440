/* SPDX-License-Identifier: MIT */
/* All of evenshim: one API for sockets, pipes, file locks, errors and processes that means the same
 * on Windows and Unix. */
#ifndef EVENSHIM_H
#define EVENSHIM_H

#include <evenshim/error.h>
#include <evenshim/export.h>
#include <evenshim/lock.h>
#include <evenshim/memory.h>
#include <evenshim/pipe.h>
#include <evenshim/process.h>
#include <evenshim/socket.h>
#include <evenshim/version.h>

#endif
