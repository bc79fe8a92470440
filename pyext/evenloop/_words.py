# SPDX-License-Identifier: MIT
"""On Windows: errors that Python itself raises, in the words of Linux.

What C does is worded by evenshim on every system. A few calls are made by asyncio's inherited code
through the socket object (bind, connect), and there the words are Windows' own, in the language of
its user. The type and the errno are right already; the text becomes what Linux would say.
"""

from __future__ import annotations

import re
from types import TracebackType

from . import _core

# What asyncio puts before the system's words when a bind fails; from 3.13 on (and in no release
# before it) they are str(error), which begins with the number.
_BIND = re.compile(
    r"(?P<where>error while attempting to bind on address .*\): )"
    r"(?P<number>\[winerror \d+\] |\[errno \d+\] )?.*",
    re.DOTALL,
)


def reword(error: OSError) -> None:
    """Give an error the text that Linux has for its errno; one that has none stays as it is."""
    if type(error.errno) is not int or not isinstance(error.strerror, str):
        return
    words = _core.error_text(error.errno)
    if words is None:
        return
    bind = _BIND.fullmatch(error.strerror)
    if bind is not None:
        number = f"[errno {error.errno}] " if bind["number"] else ""
        text = f"{bind['where']}{number}{words.lower()}"
    elif getattr(error, "winerror", None) is not None:
        del error.winerror  # type: ignore[attr-defined]  # while it is there, str() shows it
        text = words
    else:
        return
    error.strerror = text
    error.args = (error.errno, text)


class LinuxWords:
    """`with LinuxWords():` rewords the OSError that leaves the block."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            reword(error)
