# SPDX-License-Identifier: MIT
"""What a check is, and the register of all of them.

A module of `checks/` owns one area:

    area = Area("timers", "Timers and the clock")

    @area.check(expect=["first", "second"])
    def equal_delays_keep_their_order(t: Trial) -> object:
        ...

A check is a function. Its docstring holds the statement (first paragraph), why it matters (any
paragraphs between), and, last, the tier and the source: `spec: docs, loop.call_later; gh-12345`. It
returns an observation, which is compared with `expect`. docs/conformance.md explains how to write
one.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import needs as systems
from . import versions
from .observation import Canon, Json
from .versions import ByVersion, Version

TIERS = {
    "spec": "documented, or asserted by CPython's own tests",
    "text": "the exact type and text of an error or message",
    "portable": "the same on all systems; the stock loops do not all keep it",
}
AREAS = (
    "core",
    "timers",
    "context",
    "tasks",
    "threads",
    "shutdown",
    "tcp",
    "server",
    "udp",
    "sock",
    "fd",
    "signal",
    "process",
    "pipe",
    "unix",
    "sendfile",
    "dns",
    "tls",
    "subprocess-windows",
    "locks",
)
LIMIT = 10.0  # seconds that a check may take unless it says otherwise

_LAST = re.compile(r"(\w+): (.+)", re.DOTALL)


class Misuse(Exception):
    """A wrong name, file or option; the text is one sentence for the user."""


@dataclass(frozen=True)
class Check:
    """One fact about loops that can be asked for."""

    name: str
    area: str
    tier: str
    statement: str
    why: str
    source: str
    function: Callable[[Any], Any]
    expect: object
    since: tuple[Version, ...]
    until: Version | None
    needs: tuple[str, ...]
    limit: float

    def why_not(self) -> str | None:
        """Why this Python or this system has no such fact; None if it has."""
        unfit = versions.why_not(self.since, self.until, versions.running())
        return unfit or systems.why_not(self.needs)

    def expected(self) -> Json:
        """The observation that this Python's contract asks for."""
        value = self.expect
        if isinstance(value, ByVersion):
            value = value.at(versions.running())
        return Canon().value(value)


class Area:
    """The checks of one subject, in the order in which they are written."""

    def __init__(self, name: str, title: str) -> None:
        if name not in AREAS:
            raise ValueError(f"unknown area {name!r}")
        self.name = name
        self.title = title
        self.checks: list[Check] = []

    def check(
        self,
        *,
        expect: object,
        since: Version | tuple[Version, ...] = (),
        until: Version | None = None,
        needs: tuple[str, ...] = (),
        limit: float = LIMIT,
    ) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Register a function as a check; see the module's docstring."""

        def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
            statement, why, tier, source = read_docstring(function)
            unknown = [need for need in needs if need not in systems.NEEDS]
            if unknown:
                raise ValueError(f"{function.__name__}: unknown need {unknown[0]!r}")
            self.checks.append(
                Check(
                    name=f"{self.name}.{function.__name__.rstrip('_')}",
                    area=self.name,
                    tier=tier,
                    statement=statement,
                    why=why,
                    source=source,
                    function=function,
                    expect=expect,
                    since=releases(since),
                    until=until,
                    needs=needs,
                    limit=limit,
                )
            )
            return function

        return register


def releases(since: Version | tuple[Version, ...]) -> tuple[Version, ...]:
    """One version, or what fixed_in() made of several."""
    if not since:
        return ()
    if isinstance(since[0], tuple):
        return since
    return (since,)


def read_docstring(function: Callable[..., Any]) -> tuple[str, str, str, str]:
    """Statement, reason, tier and source of a check."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(function.__doc__ or ""))
    *body, last = [" ".join(paragraph.split()) for paragraph in paragraphs]
    match = _LAST.fullmatch(last)
    if not body or match is None or match[1] not in TIERS:
        raise ValueError(
            f"{function.__name__}: the docstring must be a statement, a blank line and "
            f"`TIER: SOURCE`, where TIER is one of {', '.join(TIERS)}"
        )
    return body[0], "\n\n".join(body[1:]), match[1], match[2]


def load_area(name: str) -> Area | None:
    """The area of that name; None while nobody has written it."""
    stem = name.replace("-", "_")
    home = importlib.import_module(f"{__package__}.checks")
    modules = [module.name for module in pkgutil.iter_modules(home.__path__)]
    if stem not in modules:
        return None
    area: Area = importlib.import_module(f"{home.__name__}.{stem}").area
    for more in modules:
        if more.startswith(f"{stem}_"):  # a long area goes on in AREA_SUBJECT.py
            importlib.import_module(f"{home.__name__}.{more}")
    return area


def load_areas() -> list[Area]:
    """All areas, in their fixed order."""
    found = [load_area(name) for name in AREAS]
    return [area for area in found if area is not None]


def load() -> list[Check]:
    """All checks, in their fixed order. The part behind the dot is unique on its own."""
    checks = [check for area in load_areas() for check in area.checks]
    seen: dict[str, str] = {}
    for check in checks:
        fact = check.name.partition(".")[2]
        if fact in seen:
            raise ValueError(f"{check.name} and {seen[fact]} share a name")
        seen[fact] = check.name
    return checks


def find(name: str) -> Check:
    """One check by its name; reads only the area that the name begins with."""
    area = load_area(name.partition(".")[0])
    for check in area.checks if area is not None else ():
        if check.name == name:
            return check
    raise Misuse(f"There is no check {name!r}.")


def select(checks: list[Check], areas: Iterable[str], names: Iterable[str]) -> list[Check]:
    """The checks of these areas and with these names, which may hold * and ?.

    A name may leave the area away, since facts have names of their own.
    """
    areas, names = list(areas), list(names)
    for area in areas:
        if area not in AREAS:
            raise Misuse(f"There is no area {area!r}; the areas are {', '.join(AREAS)}.")
    chosen = {check.name for check in checks if check.area in areas}
    for pattern in names:
        fact = pattern.partition(".")[2] or pattern
        found = {check.name for check in checks if fnmatch.fnmatchcase(check.name, pattern)} or {
            check.name
            for check in checks
            if fnmatch.fnmatchcase(check.name.partition(".")[2], fact)
        }
        if not found:
            raise Misuse(f"There is no check {pattern!r}{similar(pattern, checks)}.")
        chosen |= found
    if not areas and not names:
        return checks
    return [check for check in checks if check.name in chosen]


def similar(name: str, checks: list[Check]) -> str:
    """A hint at what may have been meant."""
    import difflib

    close = difflib.get_close_matches(name, [check.name for check in checks], n=3)
    return f"; did you mean {' or '.join(close)}" if close else ""
