# SPDX-License-Identifier: MIT
"""Evenloop: an asyncio event loop in C that behaves the same on Linux, macOS and Windows.

    import evenloop
    evenloop.run(main())

or, for a program that knows nothing of it, `python -m evenloop app.py`.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ._core import __version__
    from ._filelock import BlockingFileLock, FileLock, LockOwner, lock_capabilities
    from .loop import Loop
    from .policy import EventLoopPolicy

__all__ = (
    "BlockingFileLock",
    "EventLoopPolicy",
    "FileLock",
    "LockOwner",
    "Loop",
    "__version__",
    "install",
    "lock_capabilities",
    "new_event_loop",
    "run",
)

_T = TypeVar("_T")

# What comes from the C core is imported when it is first asked for: `evenloop.conformance` judges
# other loops where the core is missing.
_HOMES = {
    "BlockingFileLock": "_filelock",
    "EventLoopPolicy": "policy",
    "FileLock": "_filelock",
    "LockOwner": "_filelock",
    "Loop": "loop",
    "__version__": "_core",
    "lock_capabilities": "_filelock",
}

if sys.version_info >= (3, 16):  # no policies any more
    __all__ = tuple(name for name in __all__ if name != "EventLoopPolicy")
    del _HOMES["EventLoopPolicy"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _HOMES.values():  # evenloop.loop without an import of its own
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def new_event_loop() -> Loop:
    """Return a new event loop: what `loop_factory=` of asyncio.run and asyncio.Runner wants."""
    from .loop import Loop

    return Loop()


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None, **kwargs: Any) -> _T:
    """Run a coroutine on a new evenloop.Loop, as asyncio.run does on its default loop."""
    kwargs.setdefault("loop_factory", new_event_loop)
    if sys.version_info >= (3, 12) or len(kwargs) > 1:  # who gives more is told so by asyncio
        return asyncio.run(main, debug=debug, **kwargs)
    # 3.11's asyncio.run has no loop_factory, its Runner has.
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with asyncio.Runner(debug=debug, **kwargs) as runner:
        return runner.run(main)


def install() -> None:
    """Make evenloop the default of this process, for asyncio.run and all that asks for a loop."""
    if sys.version_info >= (3, 16):
        asyncio.events.new_event_loop = new_event_loop
        asyncio.new_event_loop = new_event_loop
    else:
        from .policy import EventLoopPolicy

        # The public function warns from 3.14 on: policies will go. No concern of the caller.
        set_policy = getattr(asyncio.events, "_set_event_loop_policy", None)
        (set_policy or asyncio.set_event_loop_policy)(EventLoopPolicy())
