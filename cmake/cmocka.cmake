# SPDX-License-Identifier: MIT
#
# Provides the target cmocka. Built natively it is the system's CMocka; for another system it is built from the
# sources of CMocka 1.1.5, the version Debian 12 installs, so that both systems run the same test library.
# The archive comes from CMocka's own site, else through the system's apt (tools/fetch-cmocka); checked by SHA-256.

set(evenloop_cmocka_url "https://cmocka.org/files/1.1/cmocka-1.1.5.tar.xz")
set(evenloop_cmocka_sha256 f0ccd8242d55e2fd74b16ba518359151f6f8383ff8aef4976e48393f77bba8b6)
set(EVENLOOP_CMOCKA_SOURCE_DIR "" CACHE PATH "Build CMocka from the sources in this folder")

include(${CMAKE_CURRENT_LIST_DIR}/cache_dir.cmake)

function(evenloop_find_cmocka_sources result)
    if(EVENLOOP_CMOCKA_SOURCE_DIR)
        set(${result} "${EVENLOOP_CMOCKA_SOURCE_DIR}" PARENT_SCOPE)
        return()
    endif()
    set(folder "${EVENLOOP_CACHE_DIR}/cmocka-1.1.5")
    set(archive "${folder}.tar.xz")
    set(${result} "${folder}" PARENT_SCOPE)
    if(EXISTS "${folder}/src/cmocka.c")
        return()
    endif()
    evenloop_has_hash(have "${archive}" "${evenloop_cmocka_sha256}")
    if(NOT have)
        message(STATUS "Fetching CMocka 1.1.5")
        evenloop_download(have "${evenloop_cmocka_url}" "${evenloop_cmocka_sha256}" "${archive}")
    endif()
    if(NOT have)
        execute_process(COMMAND "${CMAKE_SOURCE_DIR}/tools/fetch-cmocka" "${archive}" OUTPUT_QUIET ERROR_QUIET)
        evenloop_has_hash(have "${archive}" "${evenloop_cmocka_sha256}")
    endif()
    if(NOT have)
        message(FATAL_ERROR "The sources of CMocka 1.1.5 could not be fetched: unpack its release archive and configure "
                            "with -DEVENLOOP_CMOCKA_SOURCE_DIR=<that folder>.")
    endif()
    evenloop_unpack("${archive}" "cmocka-1.1.5" "${folder}")
endfunction()

# CMocka is one C file; its own build writes a config.h from probes, whose answers for a C11 compiler with a current
# C library are known and stand in the definitions below.
function(evenloop_build_cmocka)
    evenloop_find_cmocka_sources(sources)
    enable_language(C)
    add_library(cmocka STATIC EXCLUDE_FROM_ALL "${sources}/src/cmocka.c")
    target_include_directories(cmocka SYSTEM PUBLIC "${sources}/include")
    target_compile_options(cmocka PRIVATE -w)
    target_compile_definitions(cmocka PUBLIC CMOCKA_STATIC
        PRIVATE HAVE_STDDEF_H=1 HAVE_STDARG_H=1 HAVE_SETJMP_H=1 HAVE_STDLIB_H=1 HAVE_STDINT_H=1 HAVE_INTTYPES_H=1
                HAVE_STRING_H=1 HAVE_TIME_H=1 HAVE_SIGNAL_H=1 HAVE_MALLOC_H=1 $<$<PLATFORM_ID:Linux>:_GNU_SOURCE>)
endfunction()

if(CMAKE_CROSSCOMPILING OR EVENLOOP_CMOCKA_SOURCE_DIR OR WIN32)
    evenloop_build_cmocka()
else()
    find_path(EVENLOOP_CMOCKA_INCLUDE cmocka.h)
    find_library(EVENLOOP_CMOCKA_LIBRARY cmocka)
    if(NOT EVENLOOP_CMOCKA_INCLUDE OR NOT EVENLOOP_CMOCKA_LIBRARY)
        message(FATAL_ERROR "CMocka was not found: install it, on Debian or Ubuntu with `apt-get install "
                            "libcmocka-dev`, or configure with -DEVENLOOP_BUILD_TESTS=OFF.")
    endif()
    add_library(cmocka UNKNOWN IMPORTED GLOBAL)
    set_target_properties(cmocka PROPERTIES IMPORTED_LOCATION "${EVENLOOP_CMOCKA_LIBRARY}"
                                            INTERFACE_INCLUDE_DIRECTORIES "${EVENLOOP_CMOCKA_INCLUDE}")
endif()
