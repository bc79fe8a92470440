# SPDX-License-Identifier: MIT
#
# Compares docs/shim-errors.md with what the library says, or writes it (WRITE=ON).
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE wanted RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} failed: ${result}")
endif()
if(WRITE)
    file(WRITE "${PAGE}" "${wanted}")
    return()
endif()
file(READ "${PAGE}" actual)
if(NOT actual STREQUAL wanted)
    message(FATAL_ERROR "${PAGE} is not what the tables say: run `cmake --build <folder> --target evenshim_docs`.")
endif()
