# SPDX-License-Identifier: MIT
#
# Provides the target uv_a: libuv 1.52.1, static and position-independent, the same sources for every system.
# In this order: the system's libuv where EVENLOOP_SYSTEM_LIBUV asks for it; EVENLOOP_LIBUV_SOURCE_DIR; the official
# release archive; and on a network that reaches only a Python package index, the copy that uvloop 0.23.0 ships in its
# source distribution (compared file by file with the tag v1.52.1). Archives are checked by SHA-256 and kept in
# EVENLOOP_CACHE_DIR. Its warnings are its own: they are silenced, and none of our flags reach it but one, on Windows.

set(EVENLOOP_LIBUV_VERSION 1.52.1)
set(evenloop_libuv_url "https://github.com/libuv/libuv/archive/refs/tags/v${EVENLOOP_LIBUV_VERSION}.tar.gz")
set(evenloop_libuv_sha256 478baf2599bfbc882c355288c9cb6f92e0e7dda435fa04031fa5b607cf3f414c)
set(evenloop_uvloop_sha256 28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27)

include(${CMAKE_CURRENT_LIST_DIR}/cache_dir.cmake)

# evenloop_pip_download_uvloop(<path>): leaves uvloop's source distribution at path, if any Python here has a pip
# that can fetch it. -I keeps the isolated environment of a running `pip install .` from hiding pip itself.
function(evenloop_pip_download_uvloop path)
    find_program(EVENLOOP_PIP_PYTHON NAMES python3 python NO_CACHE)
    set(scratch "${EVENLOOP_CACHE_DIR}/pip")
    foreach(python IN ITEMS "${Python_EXECUTABLE}" "${EVENLOOP_PIP_PYTHON}")
        if(NOT python OR EXISTS "${path}")
            continue()
        endif()
        message(STATUS "Fetching libuv ${EVENLOOP_LIBUV_VERSION} inside uvloop's source distribution with pip")
        string(RANDOM LENGTH 8 nonce)
        execute_process(
            COMMAND "${python}" -I -m pip download --quiet --no-deps --no-binary uvloop --timeout 20
                    --dest "${scratch}.${nonce}" uvloop==0.23.0
            RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET TIMEOUT 300)
        evenloop_has_hash(right "${scratch}.${nonce}/uvloop-0.23.0.tar.gz" "${evenloop_uvloop_sha256}")
        if(right)
            file(RENAME "${scratch}.${nonce}/uvloop-0.23.0.tar.gz" "${path}")
        endif()
        file(REMOVE_RECURSE "${scratch}.${nonce}")
    endforeach()
endfunction()

# evenloop_find_libuv_sources(<result>): the folder with libuv's CMakeLists.txt, or a stop with one sentence.
function(evenloop_find_libuv_sources result)
    if(EVENLOOP_LIBUV_SOURCE_DIR)
        if(NOT EXISTS "${EVENLOOP_LIBUV_SOURCE_DIR}/include/uv.h")
            message(FATAL_ERROR "EVENLOOP_LIBUV_SOURCE_DIR is ${EVENLOOP_LIBUV_SOURCE_DIR}, which has no "
                                "include/uv.h: name the folder that libuv's release archive unpacks to.")
        endif()
        set(${result} "${EVENLOOP_LIBUV_SOURCE_DIR}" PARENT_SCOPE)
        return()
    endif()
    set(folder "${EVENLOOP_CACHE_DIR}/libuv-${EVENLOOP_LIBUV_VERSION}")
    set(${result} "${folder}" PARENT_SCOPE)
    if(EXISTS "${folder}/include/uv.h")
        return()
    endif()
    set(official "${EVENLOOP_CACHE_DIR}/libuv-v${EVENLOOP_LIBUV_VERSION}.tar.gz")
    set(sdist "${EVENLOOP_CACHE_DIR}/uvloop-0.23.0.tar.gz")
    evenloop_has_hash(have_official "${official}" "${evenloop_libuv_sha256}")
    evenloop_has_hash(have_sdist "${sdist}" "${evenloop_uvloop_sha256}")
    if(NOT have_official AND NOT have_sdist)
        message(STATUS "Fetching libuv ${EVENLOOP_LIBUV_VERSION}")
        evenloop_download(have_official "${evenloop_libuv_url}" "${evenloop_libuv_sha256}" "${official}")
    endif()
    if(have_official)
        evenloop_unpack("${official}" "libuv-${EVENLOOP_LIBUV_VERSION}" "${folder}")
        return()
    endif()
    if(NOT have_sdist)
        file(REMOVE "${sdist}")
        evenloop_pip_download_uvloop("${sdist}")
    endif()
    if(NOT EXISTS "${sdist}")
        message(FATAL_ERROR "The sources of libuv ${EVENLOOP_LIBUV_VERSION} could not be fetched: unpack its release "
                            "archive and configure with -DEVENLOOP_LIBUV_SOURCE_DIR=<that folder>.")
    endif()
    # uvloop's archive keeps libuv two levels down.
    string(RANDOM LENGTH 8 nonce)
    set(scratch "${folder}.${nonce}")
    file(ARCHIVE_EXTRACT INPUT "${sdist}" DESTINATION "${scratch}" PATTERNS "uvloop-0.23.0/vendor/libuv/*")
    if(NOT EXISTS "${folder}")
        file(RENAME "${scratch}/uvloop-0.23.0/vendor/libuv" "${folder}" RESULT ignored)
    endif()
    file(REMOVE_RECURSE "${scratch}")
endfunction()

# evenloop_system_libuv(): uv_a as an interface to what the packager installed.
function(evenloop_system_libuv)
    add_library(uv_a INTERFACE)
    find_package(libuv 1.50 CONFIG QUIET)
    if(TARGET libuv::uv_a)
        target_link_libraries(uv_a INTERFACE libuv::uv_a)
    elseif(TARGET libuv::uv)
        target_link_libraries(uv_a INTERFACE libuv::uv)
    else()
        find_package(PkgConfig QUIET)
        if(PkgConfig_FOUND)
            pkg_check_modules(EVENLOOP_UV QUIET IMPORTED_TARGET "libuv>=1.50")
        endif()
        if(NOT TARGET PkgConfig::EVENLOOP_UV)
            message(FATAL_ERROR "EVENLOOP_SYSTEM_LIBUV is on but no libuv 1.50 or newer with a CMake package or a "
                                "pkg-config file is installed: install it or leave the option off.")
        endif()
        target_link_libraries(uv_a INTERFACE PkgConfig::EVENLOOP_UV)
    endif()
endfunction()

# evenloop_build_libuv(): uv_a from sources. A function, so that what is set for libuv stays in here.
function(evenloop_build_libuv)
    evenloop_find_libuv_sources(sources)
    file(STRINGS "${sources}/include/uv/version.h" lines REGEX "define UV_VERSION_(MAJOR|MINOR|PATCH)")
    list(TRANSFORM lines REPLACE "[^0-9]" "")
    list(JOIN lines "." version)
    if(version VERSION_LESS 1.50)
        message(FATAL_ERROR "The libuv sources in ${sources} are version ${version}: Evenloop needs 1.50 or newer.")
    endif()
    message(STATUS "libuv ${version} from ${sources}")
    set(LIBUV_BUILD_SHARED OFF)
    set(LIBUV_BUILD_TESTS OFF)
    set(LIBUV_BUILD_BENCH OFF)
    set(BUILD_TESTING OFF)
    set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
    set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
    add_subdirectory("${sources}" "${CMAKE_BINARY_DIR}/libuv" EXCLUDE_FROM_ALL SYSTEM)
    if(MSVC)
        target_compile_options(uv_a PRIVATE /w)
    else()
        target_compile_options(uv_a PRIVATE -w)
    endif()
    if(WIN32)
        # Watching a socket is not to change whether it blocks: the header says more.
        set(header "${PROJECT_SOURCE_DIR}/loop/src/win/uv_poll_mode.h")
        set(include_first -include "${header}")
        if(MSVC)
            set(include_first "/FI${header}")
        endif()
        set_source_files_properties("${sources}/src/win/poll.c" TARGET_DIRECTORY uv_a PROPERTIES
            COMPILE_OPTIONS "${include_first}" OBJECT_DEPENDS "${header}")
    endif()
endfunction()

if(EVENLOOP_SYSTEM_LIBUV)
    evenloop_system_libuv()
else()
    evenloop_build_libuv()
endif()
