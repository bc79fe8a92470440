# SPDX-License-Identifier: MIT
"""Where evenloop differs from other loops, said by the test that proves it.

docs/differences.md and docs/from-uvloop.md are made of these markers: a row of the tables is a
marker, and names its test. `make docs` writes the pages, `make lint` fails when they are stale.

    from differences import PROACTOR, UVLOOP, WINDOWS, differs

    @differs(
        from_=PROACTOR,
        what="`loop.add_reader`",
        they="raises NotImplementedError",
        evenloop="watches any socket",
    )
    @differs(from_=UVLOOP, what=..., they=..., evenloop=...)
    def test_a_reader_is_called_when_its_socket_has_data(run: Run) -> None: ...

- The marker changes nothing about the run. It goes on a test function, a method or a class; as
  many as there are differences. Markers that say the same on several tests make one row.
- `from_` is one of the names below, or a tuple of them. ASYNCIO and WINDOWS stand for several.
- `what` is the call or the situation, `they` what the other loop does, `evenloop` what evenloop
  does: Markdown on one line, without `|`, each beginning in lower case and without a full stop,
  as the table's heads lead into them. Versions go into the text: "up to Python 3.12 ...".
- All are written out in the call (text, or the names below): the pages are made without
  importing a test.
- The test asserts what `evenloop` says, on every system where it runs, and fails on the loops that
  `from_` names: `pytest tests/python --differences --loop uvloop` (or asyncio, selector) runs the
  marked tests there and complains about those that pass. Only what a program can notice belongs
  here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

LINUX = "asyncio on Linux"
MACOS = "asyncio on macOS"
PROACTOR = "asyncio on Windows (Proactor)"
SELECTOR = "asyncio on Windows (Selector)"
UVLOOP = "uvloop"

UNIX = (LINUX, MACOS)
WINDOWS = (PROACTOR, SELECTOR)
ASYNCIO = (*UNIX, *WINDOWS)

# What a marker may name in `from_`, by the name that it is written with.
LOOPS: dict[str, tuple[str, ...]] = {
    "LINUX": (LINUX,),
    "MACOS": (MACOS,),
    "PROACTOR": (PROACTOR,),
    "SELECTOR": (SELECTOR,),
    "UVLOOP": (UVLOOP,),
    "UNIX": UNIX,
    "WINDOWS": WINDOWS,
    "ASYNCIO": ASYNCIO,
}

Test = TypeVar("Test", bound=Callable[..., Any])


def differs(
    *, from_: str | tuple[str | tuple[str, ...], ...], what: str, they: str, evenloop: str
) -> Callable[[Test], Test]:
    """Marks a test that shows a difference: see above. The test itself stays what it is."""
    loops = {
        name for each in ((from_,) if isinstance(from_, str) else from_) for name in flat(each)
    }

    def mark(test: Test) -> Test:
        test.__dict__.setdefault("differs_from", set()).update(loops)
        return test

    return mark


def flat(loops: str | tuple[str, ...]) -> tuple[str, ...]:
    """One name or several, as several."""
    return (loops,) if isinstance(loops, str) else loops


def running(loop: str) -> str:
    """The name here of what --loop calls `loop`, on this system."""
    if loop == "uvloop":
        return UVLOOP
    if sys.platform == "win32":
        return PROACTOR if loop == "asyncio" else SELECTOR
    return MACOS if sys.platform == "darwin" else LINUX
