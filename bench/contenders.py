# SPDX-License-Identifier: MIT
"""The event loops that are compared: how each is made and which version is installed.

Run as a program, ``python bench/contenders.py NAME``, it prints the version of the loop, or the
reason why it is absent with exit code 1. The runner asks in a child process, so that a loop that
crashes on import is only absent.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Callable

LOOPS = ("asyncio", "uvloop", "evenloop")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the function that makes a new loop of this kind; ImportError if it is absent."""
    if name == "asyncio":
        return asyncio.new_event_loop
    module = importlib.import_module(name)
    factory: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
    return factory


def version(name: str) -> str:
    """Make and close one loop, to see that it works, and return its version."""
    loop = loop_factory(name)()
    try:
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    if name == "asyncio":
        return f"CPython {platform.python_version()}"
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules[name], "__version__", "unknown version"))


def main() -> int:
    """Print the version of the loop named on the command line."""
    name = sys.argv[1]
    if name not in LOOPS:
        print(f"no such loop; there are {', '.join(LOOPS)}")
        return 1
    try:
        print(version(name))
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        print("not installed" if missing else f"not importable: {error}")
        return 1
    except Exception as error:
        print(f"not usable: {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
