/* SPDX-License-Identifier: MIT */
/* The Windows headers that this leaf needs, and nothing else of Windows. The tests put a platform.h
 * of their own before this one, which declares just the same on any system: so the leaf compiles
 * and runs on Linux against a scripted Windows. A new call here needs its declaration there. */
#ifndef EVENSHIM_SRC_WIN_PLATFORM_H
#define EVENSHIM_SRC_WIN_PLATFORM_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>

#endif
