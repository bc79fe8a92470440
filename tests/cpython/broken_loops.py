# SPDX-License-Identifier: MIT
"""Event loops that are broken on purpose, one way each: what the runner must notice.

Used by test_runner.py as `--loop broken_loops:NAME`. Each is asyncio's selector
loop with one fault.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from typing import Any


def _crash() -> None:
    """Ends the process with no clean-up, as a fault in C does."""
    if sys.platform == "win32":
        os._exit(0xC0000005 - (1 << 32))
    os.abort()


class Failing(asyncio.SelectorEventLoop):
    """Its sock_recv gives the wrong bytes."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        return (await super().sock_recv(sock, n))[::-1]


class Raising(asyncio.SelectorEventLoop):
    """Its sock_recv raises what no test expects."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        raise ZeroDivisionError("broken on purpose")


class Hanging(asyncio.SelectorEventLoop):
    """Its sock_recv never ends, and blocks the whole thread."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        threading.Event().wait()
        return b""


class Spinning(asyncio.SelectorEventLoop):
    """Its sock_recv never ends, and burns the processor in Python code."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        while True:
            threading.get_ident()


class Crashing(asyncio.SelectorEventLoop):
    """Its sock_recv takes the process down."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        _crash()
        return b""


class CrashingAtExit(asyncio.SelectorEventLoop):
    """Works, and takes the process down when the interpreter exits."""

    registered = False

    def __init__(self) -> None:
        super().__init__()
        if not CrashingAtExit.registered:
            CrashingAtExit.registered = True
            atexit.register(_crash)


class HangingAtExit(asyncio.SelectorEventLoop):
    """Works, and keeps the interpreter from exiting."""

    started = False

    def __init__(self) -> None:
        super().__init__()
        if not HangingAtExit.started:
            HangingAtExit.started = True
            atexit.register(threading.Event().wait)


class Sulking(asyncio.SelectorEventLoop):
    """Skips what it cannot do: its sock_recv raises SkipTest."""

    async def sock_recv(self, sock: Any, n: int) -> bytes:
        import unittest

        raise unittest.SkipTest("not today")


class Good(asyncio.SelectorEventLoop):
    """Nothing is wrong with it."""


class Foreign(Good):
    """Good, with a report of where it runs: each loop adds its process to a file."""

    def __init__(self) -> None:
        super().__init__()
        with open(os.environ["BROKEN_LOOPS_SEEN"], "a", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")


not_a_factory = 42
