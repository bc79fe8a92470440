# SPDX-License-Identifier: MIT
#
# The Python that the extension module is built for, and evenloop_add_python_module() that builds it.
# Native builds ask the running interpreter (scikit-build-core names it). Cross builds take the folder of a Windows
# CPython in EVENLOOP_PYTHON_ROOT: include/, libs/python3XX.lib. Everything else sees one target, evenloop_python
# (headers, and on Windows the import library), and one variable, EVENLOOP_PYTHON_SUFFIX.

set(EVENLOOP_PYTHON_ROOT "" CACHE PATH "Cross builds: the folder of the Windows CPython to build for")

add_library(evenloop_python INTERFACE)

# What a user of an old Python reads, whichever way it was found.
function(evenloop_require_python version)
    if(version VERSION_LESS 3.11)
        message(FATAL_ERROR "Evenloop needs CPython 3.11 or newer and this is ${version}: choose another one, "
                            "for example with `make run PYTHON=python3.13`.")
    endif()
endfunction()

if(WIN32 AND NOT CMAKE_HOST_WIN32)
    if(NOT EXISTS "${EVENLOOP_PYTHON_ROOT}/include/patchlevel.h")
        message(FATAL_ERROR "EVENLOOP_PYTHON_ROOT (${EVENLOOP_PYTHON_ROOT}) holds no Windows CPython: run `make windows`, "
                            "which fetches one, or configure with -DEVENLOOP_BUILD_PYTHON=OFF.")
    endif()
    file(STRINGS "${EVENLOOP_PYTHON_ROOT}/include/patchlevel.h" line REGEX "define PY_VERSION ")
    string(REGEX MATCH "[0-9]+\\.[0-9]+" evenloop_version "${line}")
    evenloop_require_python("${evenloop_version}")
    string(REPLACE "." "" evenloop_digits "${evenloop_version}")
    target_include_directories(evenloop_python SYSTEM INTERFACE "${EVENLOOP_PYTHON_ROOT}/include")
    target_link_libraries(evenloop_python INTERFACE "${EVENLOOP_PYTHON_ROOT}/libs/python${evenloop_digits}.lib")
    set(EVENLOOP_PYTHON_SUFFIX ".cp${evenloop_digits}-win_amd64.pyd")
else()
    find_package(Python QUIET COMPONENTS Interpreter OPTIONAL_COMPONENTS Development.Module)
    if(NOT Python_Interpreter_FOUND)
        message(FATAL_ERROR "No Python was found: install CPython 3.11 or newer, or name one with "
                            "-DPython_EXECUTABLE=<path>.")
    endif()
    evenloop_require_python("${Python_VERSION}")
    if(NOT Python_INTERPRETER_ID STREQUAL "Python")
        message(STATUS "${Python_EXECUTABLE} is ${Python_INTERPRETER_ID}; only CPython is tested")
    endif()
    if(NOT Python_Development.Module_FOUND)
        message(FATAL_ERROR "${Python_EXECUTABLE} (${Python_VERSION}) has no headers: install them, on Debian or Ubuntu with "
                            "`apt-get install python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}-dev`.")
    endif()
    target_link_libraries(evenloop_python INTERFACE Python::Module)
    execute_process(COMMAND "${Python_EXECUTABLE}" -c
                            "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"
                    OUTPUT_VARIABLE EVENLOOP_PYTHON_SUFFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()

# evenloop_add_python_module(<name> <sources...>): a loadable module named as this Python expects it, which exports
# its PyInit function alone: the libuv inside must not meet another module's libuv.
function(evenloop_add_python_module name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES PREFIX "" DEBUG_POSTFIX "" SUFFIX "${EVENLOOP_PYTHON_SUFFIX}")
    target_link_libraries(${name} PRIVATE evenloop_python)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        target_link_options(${name} PRIVATE "LINKER:--exclude-libs,ALL")
    endif()
    install(TARGETS ${name} LIBRARY DESTINATION evenloop COMPONENT python)
endfunction()
