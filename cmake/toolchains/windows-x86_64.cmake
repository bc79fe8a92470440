# SPDX-License-Identifier: MIT
#
# Windows on x86-64, linked with the Universal C Runtime as CPython is. Programs built here run under Wine.

set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(EVENLOOP_ZIG_TARGET x86_64-windows-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
if(NOT CMAKE_HOST_WIN32)
    set(CMAKE_CROSSCOMPILING_EMULATOR "${evenloop_tools}/winrun")
endif()
