# SPDX-License-Identifier: MIT
"""A pytest plugin for tools/asan-python: asks for leaks before a worker of pytest-xdist leaves.

Such a worker ends without the steps at which the sanitizer looks for leaks by itself. What it
finds goes to the report files that asan-python judges.
"""

from __future__ import annotations

import ctypes
import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look for leaks in this process, if it is a worker that runs under the sanitizer."""
    check = getattr(ctypes.CDLL(None), "__lsan_do_recoverable_leak_check", None)
    if check is not None and hasattr(session.config, "workerinput"):
        gc.collect()
        check()
