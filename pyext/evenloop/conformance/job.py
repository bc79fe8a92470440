# SPDX-License-Identifier: MIT
"""Windows: a process together with all that it starts, so that they can be ended together.

Unix has process groups for that. A job object holds the process that was put into it and every
process which one of them starts afterwards; here its end is also the end of whatever is in it, so
that nothing outlives a keeper that is killed.
"""

from __future__ import annotations

import ctypes
import subprocess
from typing import Any

_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMIT_INFORMATION = 9
_BASIC_ACCOUNTING_INFORMATION = 1


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("per_process_user_time_limit", ctypes.c_int64),
        ("per_job_user_time_limit", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set_size", ctypes.c_size_t),
        ("maximum_working_set_size", ctypes.c_size_t),
        ("active_process_limit", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("basic", _BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("memory_limits_and_peaks", ctypes.c_size_t * 4),
    )


class _Accounting(ctypes.Structure):
    _fields_ = (
        ("times", ctypes.c_int64 * 4),
        ("total_page_fault_count", ctypes.c_uint32),
        ("total_processes", ctypes.c_uint32),
        ("active_processes", ctypes.c_uint32),
        ("total_terminated_processes", ctypes.c_uint32),
    )


class Job:
    """A process that was just started and has started none yet, and its descendants."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._kernel32: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
        self._kernel32.CreateJobObjectW.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._kernel32.CreateJobObjectW(None, None))
        limits = _ExtendedLimits()
        limits.basic.limit_flags = _KILL_ON_JOB_CLOSE
        self._kernel32.SetInformationJobObject(
            self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        child = ctypes.c_void_p(int(process._handle))  # type: ignore[attr-defined]
        self._kernel32.AssignProcessToJobObject(self._handle, child)

    def running(self) -> int:
        """How many processes there are in it."""
        seen = _Accounting()
        self._kernel32.QueryInformationJobObject(
            self._handle,
            _BASIC_ACCOUNTING_INFORMATION,
            ctypes.byref(seen),
            ctypes.sizeof(seen),
            None,
        )
        return int(seen.active_processes)

    def end(self) -> None:
        """End all that is in it, and with it the use of this object."""
        self._kernel32.TerminateJobObject(self._handle, 1)
        self._kernel32.CloseHandle(self._handle)
