# SPDX-License-Identifier: MIT
#
# Link-time optimisation for Release builds of the extension module: the way of a byte crosses shim/, loop/ and
# pyext/, and the compiler may inline along it. Never for a build that installs the static evenshim alone: an
# archive of one compiler's intermediate code is of no use to another. Debug and sanitizer builds stay as written.

if(EVENLOOP_LTO AND EVENLOOP_BUILD_PYTHON AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT CMAKE_CROSSCOMPILING)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT evenloop_lto_works LANGUAGES C)
    if(evenloop_lto_works)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    endif()
endif()
