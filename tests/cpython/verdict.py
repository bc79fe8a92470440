# SPDX-License-Identifier: MIT
"""What a run means: exclusions, a baseline of the stock loop, and what the loop is held to.

A result is held against the loop unless it is excluded (tests/cpython/exclusions.txt: the test
cannot apply to any foreign loop), known (the stock loops fail it on this system too: the baseline),
or a skip that the stock loop makes as well. An exclusion whose test passes is itself held against
the run, so the list cannot outlive its reasons. None of the three applies to a stock loop: it is
measured as it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from supervisor import BAD, Result

SYSTEMS = {"linux": "linux", "win32": "windows", "darwin": "darwin"}
SYSTEM = SYSTEMS.get(sys.platform, "posix")
VERSION = sys.version_info[:2]


class Malformed(Exception):
    """A line of an exclusion list or a baseline that cannot be read."""


@dataclass(frozen=True)
class Exclusion:
    """One line of the list."""

    versions: str
    system: str
    name: str
    reason: str
    line: int

    def applies(self, version: tuple[int, int] = VERSION, system: str = SYSTEM) -> bool:
        """Whether this Python on this system is meant."""
        meant = ("*", system) if system == "windows" else ("*", system, "posix")
        if self.system not in meant:
            return False
        first, dash, last = self.versions.partition("-")
        low = number(first) if first != "*" else (0, 0)
        high = number(last) if last else (low if not dash and first != "*" else (99, 99))
        return low <= version <= high


def number(text: str) -> tuple[int, int]:
    """'3.13' as (3, 13)."""
    major, minor = text.split(".")
    return int(major), int(minor)


LINE = re.compile(
    r"(?P<versions>\*|\d+\.\d+(?:-(?:\d+\.\d+)?)?)\s+"
    r"(?P<system>\*|posix|linux|darwin|windows)\s+"
    r"(?P<name>\w+(?:\.\w+){2})\s+#\s*(?P<reason>\S.*)"
)


def read_exclusions(path: Path) -> list[Exclusion]:
    """The list in `path`: `3.11-3.13 linux test_events.EventLoop.test_x  # reason` a line."""
    found: list[Exclusion] = []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        match = LINE.fullmatch(text.strip())
        if match is None:
            raise Malformed(
                f"{path}:{line}: expected `versions system module.Class.test  # reason`: {text}"
            )
        found.append(Exclusion(line=line, **match.groupdict()))
    return found


def read_baseline(path: Path) -> dict[str, str]:
    """Names and outcomes of the tests that the stock loops fail: `name  # outcome` a line."""
    known: dict[str, str] = {}
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        name, mark, note = text.partition("#")
        if not mark or not name.strip() or not note.strip():
            raise Malformed(f"{path}:{line}: expected `module.Class.test  # outcome`: {text}")
        known[name.strip()] = note.strip()
    return known


def common_failures(runs: list[dict[str, Result]]) -> dict[str, str]:
    """The tests that every run fails (or does not have), and how: no loop is to blame."""
    names = {name for run in runs for name, result in run.items() if result.bad}
    return {
        name: ", ".join(sorted({run[name].outcome for run in runs if name in run}))
        for name in sorted(names)
        if all(name not in run or run[name].bad for run in runs)
    }


@dataclass
class Verdict:
    """The judgement of a run."""

    results: dict[str, Result]
    excluded: dict[str, Exclusion] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    # Tests that the loop skips although the stock loop does not, with the stock loop's outcome.
    unlike_stock: dict[str, str] = field(default_factory=dict)
    # Failing tests run again on the stock loop, with its outcome: a hint for the reader, no excuse.
    stock: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """ok, skip, excluded, stale, known or FAILED."""
        result = self.results[name]
        wrong = result.bad or name in self.unlike_stock
        if name in self.excluded:
            # A test that does not apply here at all is excluded for nothing, but not wrongly.
            return "excluded" if wrong else "skip" if result.outcome == "skip" else "stale"
        if wrong:
            return "known" if name in self.known else "FAILED"
        return "skip" if result.outcome == "skip" else "ok"

    def named(self, *verdicts: str) -> list[str]:
        """The names with one of these verdicts, in the order of the run."""
        return [name for name in self.results if self.of(name) in verdicts]

    @property
    def failed(self) -> bool:
        """Whether the run must end with a failure."""
        return bool(self.named("FAILED", "stale"))


def select_exclusions(exclusions: Iterable[Exclusion]) -> dict[str, Exclusion]:
    """Those for the running Python and system, by test."""
    return {exclusion.name: exclusion for exclusion in exclusions if exclusion.applies()}


__all__ = [
    "BAD",
    "SYSTEM",
    "VERSION",
    "Exclusion",
    "Malformed",
    "Verdict",
    "common_failures",
    "read_baseline",
    "read_exclusions",
    "select_exclusions",
]
