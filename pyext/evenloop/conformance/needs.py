# SPDX-License-Identifier: MIT
"""What only some systems have, by name: a check that needs one is n/a where it is missing.

Every entry asks the system or Python, never the loop: what a loop lacks is UNSUPPORTED.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable

from . import handles


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _has_subinterpreters() -> bool:
    import importlib.util

    return any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters")))


def _has_file_locks() -> bool:
    import importlib.util

    return importlib.util.find_spec("evenloop._core") is not None


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "descriptors": (handles.are_counted, "this system does not say how many are open"),
    "filelocks": (_has_file_locks, "evenloop's C core is not installed here"),
    "fork": (lambda: hasattr(os, "fork"), "this system has no os.fork"),
    "ipv6": (_has_ipv6, "this machine has no IPv6 on loopback"),
    "linux": (lambda: sys.platform == "linux", "only Linux has this"),
    "posix": (lambda: os.name == "posix", "only Unix has this"),
    "pty": (lambda: hasattr(os, "openpty"), "this system has no pseudoterminals"),
    "reuse_port": (lambda: hasattr(socket, "SO_REUSEPORT"), "this system has no SO_REUSEPORT"),
    "sendfile": (lambda: hasattr(os, "sendfile"), "this system has no os.sendfile"),
    "sigbreak": (lambda: hasattr(signal, "SIGBREAK"), "this system has no SIGBREAK"),
    "sigchld": (lambda: hasattr(signal, "SIGCHLD"), "this system has no SIGCHLD"),
    "subinterpreters": (_has_subinterpreters, "this Python has no sub-interpreters"),
    "unwatched_files": (
        lambda: sys.platform in ("linux", "win32"),
        "this system can watch regular files",
    ),
    "windows": (lambda: sys.platform == "win32", "only Windows has this"),
}


def why_not(needs: tuple[str, ...]) -> str | None:
    """Why this system cannot be asked; None if it has everything in `needs`."""
    for need in needs:
        present, reason = NEEDS[need]
        if not present():
            return reason
    return None
