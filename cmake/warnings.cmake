# SPDX-License-Identifier: MIT
#
# evenloop_warnings: an interface target with the warnings our own code is held to. Link it PRIVATE; never
# give it to third-party sources.

add_library(evenloop_warnings INTERFACE)
if(MSVC)
    # C4200 and C4204 flag C11 that the standard allows; the others name POSIX spellings and padding.
    target_compile_options(evenloop_warnings INTERFACE /W4 /wd4200 /wd4204 /wd4324 /wd4996
                                                       /experimental:c11atomics)
    if(EVENLOOP_WERROR)
        target_compile_options(evenloop_warnings INTERFACE /WX)
    endif()
else()
    target_compile_options(evenloop_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wvla)
    if(EVENLOOP_WERROR)
        target_compile_options(evenloop_warnings INTERFACE -Werror)
    endif()
endif()
