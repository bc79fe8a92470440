# SPDX-License-Identifier: MIT
"""How much of the system this process holds, and whether another process still runs.

Unix tells both through folders and signals, Windows through kernel32.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
_EXTENDED_HANDLE_INFORMATION = 64  # SystemExtendedHandleInformation
_INFO_LENGTH_MISMATCH = 0xC0000004


def _folder() -> str:
    """Where this Unix lists the descriptors of the process that looks."""
    return "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def are_counted() -> bool:
    """Whether the system says how many there are."""
    if sys.platform in ("win32", "darwin"):
        return True
    return sys.platform == "linux" and os.path.isdir(_folder())


def open_descriptors() -> int:
    """How many descriptors, or on Windows handles, this process has open."""
    if sys.platform != "win32":
        return len(os.listdir(_folder()))
    kernel32 = _kernel32()
    count = ctypes.c_uint32()
    kernel32.GetProcessHandleCount(
        ctypes.c_void_p(kernel32.GetCurrentProcess()), ctypes.byref(count)
    )
    return count.value or _listed_handles()  # Wine 8 always says 0


def process_exists(pid: int) -> bool:
    """Whether there is such a process; on Unix one that nobody has waited for counts, too."""
    if sys.platform != "win32":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    kernel32 = _kernel32()
    process = ctypes.c_void_p(kernel32.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid))
    if not process:
        return False
    code = ctypes.c_uint32()
    kernel32.GetExitCodeProcess(process, ctypes.byref(code))
    kernel32.CloseHandle(process)
    return code.value == _STILL_ACTIVE


class _Handle(ctypes.Structure):
    """SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX."""

    _fields_ = (
        ("object", ctypes.c_void_p),
        ("process", ctypes.c_size_t),
        ("value", ctypes.c_size_t),
        ("access", ctypes.c_uint32),
        ("indexes", ctypes.c_uint16 * 2),
        ("attributes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


def _listed_handles() -> int:
    """How many handles of ours are among those of all processes."""
    ntdll: Any = ctypes.WinDLL("ntdll")  # type: ignore[attr-defined]
    size, status = 1 << 16, _INFO_LENGTH_MISMATCH
    while status == _INFO_LENGTH_MISMATCH:
        size *= 2
        answer = ctypes.create_string_buffer(size)
        status = 0xFFFFFFFF & ntdll.NtQuerySystemInformation(
            _EXTENDED_HANDLE_INFORMATION, answer, size, None
        )
    if status:
        raise OSError(f"NtQuerySystemInformation: {status:#x}")
    count = ctypes.c_size_t.from_buffer(answer).value
    handles = (_Handle * count).from_buffer(answer, 2 * ctypes.sizeof(ctypes.c_size_t))
    return sum(handle.process == os.getpid() for handle in handles)


def _kernel32() -> Any:
    kernel32: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    kernel32.OpenProcess.restype = ctypes.c_void_p
    return kernel32
