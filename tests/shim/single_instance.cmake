# SPDX-License-Identifier: MIT
#
# The example runs, ends with its input, and leaves no file behind.
cmake_minimum_required(VERSION 3.25)

file(WRITE "${WORK}.input" "some\ninput\n")
execute_process(COMMAND "${PROGRAM}" "${WORK}.lock" INPUT_FILE "${WORK}.input" OUTPUT_VARIABLE said RESULT_VARIABLE code
                TIMEOUT 30)
if(NOT code STREQUAL "0" OR NOT said STREQUAL "running\n")
    message(FATAL_ERROR "single_instance ended with ${code} and said: ${said}")
endif()
if(EXISTS "${WORK}.lock")
    message(FATAL_ERROR "single_instance left its file behind.")
endif()
