# SPDX-License-Identifier: MIT
"""What a run shows while it works, on standard error: a bar with the present checks, or lines.

rich draws the bar where it is installed, a few characters do otherwise; where standard error is no
terminal, or in CI, there are only lines: one for each check that is not ok, and one a tenth of the
run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO

from .report import Fact

WIDTH = 30


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody watches: a terminal that is not a CI's."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """How wide the terminal is: a bar that wraps could not be taken away."""
    with contextlib.suppress(OSError, ValueError):  # no terminal, or none that says so
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80


def wants_colour(stream: TextIO, choice: str) -> bool:
    """Colours on a terminal, or as asked for; NO_COLOR is kept."""
    if choice == "auto":
        return stream.isatty() and "NO_COLOR" not in os.environ
    return choice == "always"


class Lines:
    """Plain lines."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.total = total
        self.stream = stream
        self.done = 0

    def started(self, name: str) -> None:
        """A check has begun."""

    def finished(self, fact: Fact) -> None:
        """A check is over."""
        before = self.done * 10 // self.total
        self.done += 1
        if fact.bad:
            self.say(f"{fact.verdict:<11} {fact.name}: {fact.reason}")
        if self.done * 10 // self.total > before:
            self.say(f"{self.done} of {self.total} checks")

    def say(self, line: str) -> None:
        """Write a line."""
        self.stream.write(line + "\n")
        self.stream.flush()

    def close(self) -> None:
        """The run is over."""


class Bar(Lines):
    """A bar drawn with a carriage return."""

    def __init__(self, total: int, stream: TextIO) -> None:
        super().__init__(total, stream)
        self.current: list[str] = []

    def started(self, name: str) -> None:
        """A check has begun."""
        self.current.append(name)
        self.draw()

    def finished(self, fact: Fact) -> None:
        """A check is over."""
        self.done += 1
        if fact.name in self.current:
            self.current.remove(fact.name)
        if fact.bad:
            self.clear()
            self.say(f"{fact.verdict:<11} {fact.name}: {fact.reason}")
        self.draw()

    def draw(self) -> None:
        """Show where the run is."""
        filled = WIDTH * self.done // self.total
        bar = "#" * filled + "-" * (WIDTH - filled)
        line = f"[{bar}] {self.done}/{self.total} {' '.join(self.current)[:60]}"
        self.stream.write(f"\r\x1b[K{line[: columns(self.stream) - 1]}")
        self.stream.flush()

    def clear(self) -> None:
        """Take the bar away."""
        self.stream.write("\r\x1b[K")
        self.stream.flush()

    def close(self) -> None:
        """The run is over."""
        self.clear()


class RichBar(Bar):
    """The bar as rich draws it."""

    def __init__(self, total: int, stream: TextIO) -> None:
        super().__init__(total, stream)
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self.progress: Any = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=stream, highlight=False),
            transient=True,
        )
        self.task = self.progress.add_task("", total=total)
        self.progress.start()

    def draw(self) -> None:
        """Show where the run is."""
        self.progress.update(
            self.task, completed=self.done, description=" ".join(self.current)[:60]
        )

    def clear(self) -> None:
        """rich keeps its bar below what is said."""

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """The run is over."""
        self.progress.stop()


class Silent(Lines):
    """Nothing at all."""

    def finished(self, fact: Fact) -> None:
        """A check is over."""


def choose(kind: str, total: int, stream: TextIO | None = None) -> Lines:
    """The display that was asked for; auto takes the best that fits."""
    stream = sys.stderr if stream is None else stream
    total = max(total, 1)
    if kind == "none":
        return Silent(total, stream)
    if kind == "plain" or (kind == "auto" and not is_terminal(stream)):
        return Lines(total, stream)
    if kind == "bar":
        return Bar(total, stream)
    try:
        return RichBar(total, stream)
    except ImportError:
        return Bar(total, stream)
