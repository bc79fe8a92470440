# SPDX-License-Identifier: MIT
#
# macOS on ARM64: compiled to keep the sources honest; nothing here can run it.

set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(EVENLOOP_ZIG_TARGET aarch64-macos)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
# CMake insists on Apple's install_name_tool, which only an installation on a Mac would use.
find_program(CMAKE_INSTALL_NAME_TOOL NAMES install_name_tool llvm-install-name-tool true)
