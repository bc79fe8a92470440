# SPDX-License-Identifier: MIT
#
# What the toolchain files share: zig (the Python package `ziglang`) as C compiler, archiver and resource compiler
# for EVENLOOP_ZIG_TARGET. Included, never named as a toolchain file itself.

get_filename_component(evenloop_tools "${CMAKE_CURRENT_LIST_DIR}/../../tools" ABSOLUTE)
if(CMAKE_HOST_WIN32)
    set(evenloop_suffix ".cmd")
endif()
set(CMAKE_C_COMPILER "${evenloop_tools}/zig-cc${evenloop_suffix}" -target ${EVENLOOP_ZIG_TARGET})
set(CMAKE_AR "${evenloop_tools}/zig-ar${evenloop_suffix}" CACHE FILEPATH "Archiver")
set(CMAKE_RANLIB "${evenloop_tools}/zig-ranlib${evenloop_suffix}" CACHE FILEPATH "Archive indexer")
set(CMAKE_RC_COMPILER "${evenloop_tools}/zig-rc${evenloop_suffix}" CACHE FILEPATH "Resource compiler")
