# SPDX-License-Identifier: MIT
#
# macOS on ARM64: compiled to keep the sources honest; nothing here can run it.

set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(EVENLOOP_ZIG_TARGET aarch64-macos)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
