# SPDX-License-Identifier: MIT
#
# Linux on x86-64 with musl for a C library, linked statically: programs built here run on any Linux.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(EVENLOOP_ZIG_TARGET x86_64-linux-musl)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
