# SPDX-License-Identifier: MIT
#
# Finds the C compiler (with one sentence when there is none) and sets what holds for every target: C11,
# position-independent code, hidden symbols. Sets EVENLOOP_PIP_BUILD when scikit-build-core is driving.

if(DEFINED SKBUILD)
    set(EVENLOOP_PIP_BUILD ON)
else()
    set(EVENLOOP_PIP_BUILD OFF)
endif()

# CMake's own report on a missing compiler fills a screen; this is the sentence a user needs. Generators that
# bring their compiler (Visual Studio, Xcode) and toolchain files are left alone.
if(NOT CMAKE_C_COMPILER AND NOT CMAKE_TOOLCHAIN_FILE AND NOT CMAKE_GENERATOR MATCHES "Visual Studio|Xcode")
    set(evenloop_compilers cc gcc clang cl)
    if(DEFINED ENV{CC})
        separate_arguments(evenloop_cc NATIVE_COMMAND "$ENV{CC}")
        list(GET evenloop_cc 0 evenloop_compilers)
    endif()
    find_program(EVENLOOP_FOUND_COMPILER NAMES ${evenloop_compilers} NO_CACHE)
    if(NOT EVENLOOP_FOUND_COMPILER)
        list(JOIN evenloop_compilers ", " evenloop_compilers)
        message(FATAL_ERROR "No C compiler was found (looked for ${evenloop_compilers}): install one, on Debian "
                            "or Ubuntu with `apt-get install build-essential`, or name it in CC.")
    endif()
endif()

enable_language(C)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug, RelWithDebInfo or MinSizeRel" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
include(GNUInstallDirs)
