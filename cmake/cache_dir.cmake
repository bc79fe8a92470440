# SPDX-License-Identifier: MIT
#
# EVENLOOP_CACHE_DIR: where downloads stay between builds, so that each is fetched once per machine and not once
# per build folder. One folder per user; EVENLOOP_CACHE_DIR in the environment or with -D moves it.

if(NOT EVENLOOP_CACHE_DIR)
    if(DEFINED ENV{EVENLOOP_CACHE_DIR})
        set(evenloop_cache "$ENV{EVENLOOP_CACHE_DIR}")
    elseif(DEFINED ENV{XDG_CACHE_HOME})
        set(evenloop_cache "$ENV{XDG_CACHE_HOME}/evenloop")
    elseif(CMAKE_HOST_WIN32 AND DEFINED ENV{LOCALAPPDATA})
        set(evenloop_cache "$ENV{LOCALAPPDATA}/evenloop")
    elseif(DEFINED ENV{HOME})
        set(evenloop_cache "$ENV{HOME}/.cache/evenloop")
    else()
        set(evenloop_cache "${CMAKE_BINARY_DIR}/_cache")
    endif()
    file(TO_CMAKE_PATH "${evenloop_cache}" evenloop_cache)
    set(EVENLOOP_CACHE_DIR "${evenloop_cache}" CACHE PATH "Where downloads are kept between builds")
endif()
file(MAKE_DIRECTORY "${EVENLOOP_CACHE_DIR}")

# evenloop_unpack(<archive> <top folder inside it> <folder to make>): the folder appears whole or not at all,
# also when two builds unpack at once or one is interrupted.
function(evenloop_unpack archive inside folder)
    string(RANDOM LENGTH 8 nonce)
    set(scratch "${folder}.${nonce}")
    file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${scratch}" PATTERNS "${inside}/*")
    if(NOT EXISTS "${folder}")
        file(RENAME "${scratch}/${inside}" "${folder}" RESULT ignored)
    endif()
    file(REMOVE_RECURSE "${scratch}")
endfunction()

# evenloop_has_hash(<result> <file> <sha256>)
function(evenloop_has_hash result path sha256)
    set(${result} OFF PARENT_SCOPE)
    if(EXISTS "${path}")
        file(SHA256 "${path}" actual)
        if(actual STREQUAL sha256)
            set(${result} ON PARENT_SCOPE)
        endif()
    endif()
endfunction()

# evenloop_download(<result> <url> <sha256> <path>): one try that gives up soon, so that a network without the
# address costs seconds. The file appears only when its hash is right.
function(evenloop_download result url sha256 path)
    set(${result} OFF PARENT_SCOPE)
    string(RANDOM LENGTH 8 nonce)
    file(DOWNLOAD "${url}" "${path}.${nonce}" TIMEOUT 20 TLS_VERIFY ON STATUS status)
    evenloop_has_hash(right "${path}.${nonce}" "${sha256}")
    if(right)
        file(RENAME "${path}.${nonce}" "${path}")
        set(${result} ON PARENT_SCOPE)
    else()
        list(GET status 1 reason)
        message(STATUS "${url} did not give the expected file (${reason}): trying the next source")
        file(REMOVE "${path}.${nonce}")
    endif()
endfunction()
