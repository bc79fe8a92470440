# SPDX-License-Identifier: MIT
#
# Windows on ARM64: compiled to keep the sources honest; nothing here can run it.

set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR ARM64)
set(EVENLOOP_ZIG_TARGET aarch64-windows-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
