# SPDX-License-Identifier: MIT
"""A report: what was run, where, and every fact. Its JSON form is the kit's file format.

    {"schema": "evenloop-conformance/1",
     "loop": {"name": ..., "type": ..., "version": ...},
     "python": {"implementation": ..., "version": ...} or null for a subject that is not Python,
     "system": {"name": ..., "release": ..., "machine": ..., "wine": version or null},
     "started": "2026-01-31T12:00:00Z", "duration": seconds,
     "facts": [{"name": "area.fact", "area": ..., "tier": ..., "verdict": ...,
                "observation": any JSON, "expected": only where it differs, "reason": text,
                "detail": text, "notes": {...}, "duration": seconds}, ...]}

Of a fact, name, area, tier and verdict are always there. Readers ignore keys that they do not know.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import verdict
from .check import Misuse
from .observation import Json

SCHEMA = "evenloop-conformance/1"


@dataclass
class Fact:
    """What one check saw."""

    name: str
    area: str
    tier: str
    verdict: str
    observation: Json = None
    expected: Json = None
    reason: str = ""
    detail: str = ""
    notes: dict[str, Json] = field(default_factory=dict)
    duration: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether the loop is to blame."""
        return self.verdict in verdict.BAD

    def comparable(self) -> Json:
        """What two reports are compared by: the observation, or the verdict where there is none."""
        if self.verdict in (verdict.OK, verdict.FAIL):
            return self.observation
        return {"verdict": self.verdict}

    def as_json(self) -> dict[str, Json]:
        """The fact without what is empty."""
        entry: dict[str, Json] = {
            "name": self.name,
            "area": self.area,
            "tier": self.tier,
            "verdict": self.verdict,
        }
        if self.verdict in (verdict.OK, verdict.FAIL):
            entry["observation"] = self.observation
        if self.verdict == verdict.FAIL:
            entry["expected"] = self.expected
        if self.reason:
            entry["reason"] = self.reason
        if self.detail:
            entry["detail"] = self.detail
        if self.notes:
            entry["notes"] = self.notes
        entry["duration"] = self.duration
        return entry


@dataclass
class Report:
    """One run of the kit."""

    loop: dict[str, Any]
    python: dict[str, Any] | None
    system: dict[str, Any]
    started: str
    duration: float
    facts: list[Fact]

    def title(self) -> str:
        """Which loop, where: 'uvloop 0.23.0, CPython 3.13.0, Linux'."""
        parts = [" ".join(filter(None, (self.loop["name"], self.loop.get("version"))))]
        if self.python is not None:
            parts.append(f"{self.python['implementation']} {self.python['version']}")
        wine = self.system.get("wine")
        parts.append(self.system["name"] + (f" (Wine {wine})" if wine else ""))
        return ", ".join(parts)

    def counts(self) -> dict[str, int]:
        """How many facts have each verdict."""
        return {name: sum(fact.verdict == name for fact in self.facts) for name in verdict.VERDICTS}

    def as_json(self) -> dict[str, Any]:
        """The file format."""
        return {
            "schema": SCHEMA,
            "loop": self.loop,
            "python": self.python,
            "system": self.system,
            "started": self.started,
            "duration": self.duration,
            "facts": [fact.as_json() for fact in self.facts],
        }


def this_python() -> dict[str, Any]:
    """What a report says about the Python that runs it."""
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    return {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        **({"free-threaded": True} if free else {}),
    }


def this_system() -> dict[str, Any]:
    """What a report says about the system."""
    if os.name == "posix":
        names = os.uname()
        return {
            "name": {"Darwin": "macOS"}.get(names.sysname, names.sysname),
            "release": names.release,
            "machine": names.machine,
            "wine": None,
        }
    version = sys.getwindowsversion()  # type: ignore[attr-defined]
    return {
        "name": "Windows",
        "release": f"{version.major}.{version.minor}.{version.build}",
        "machine": os.environ.get("PROCESSOR_ARCHITECTURE", "unknown"),
        "wine": wine_version(),
    }


def wine_version() -> str | None:
    """The version of Wine that this runs under; None on real Windows."""
    import ctypes

    try:
        ask = ctypes.WinDLL("ntdll").wine_get_version  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    ask.restype = ctypes.c_char_p
    return str(ask().decode("ascii", "replace"))


def load(path: Path) -> Report:
    """Read a report, or say in one sentence what is wrong with the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Misuse(f"The report {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Misuse(f"{path} is not a report: it is not a text file.") from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{path} is not a report, or it is damaged: {error}.") from error
    if not isinstance(data, dict) or "schema" not in data:
        raise Misuse(f"{path} is not a report of the conformance kit.")
    if data["schema"] != SCHEMA:
        raise Misuse(f"{path} has the form {data['schema']!r}; this kit reads {SCHEMA!r}.")
    try:
        return _read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Misuse(f"The report {path} is damaged: {_complaint(error)}.") from error


def _complaint(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _read(data: dict[str, Any]) -> Report:
    facts = [_read_fact(entry) for entry in _of(data, "facts", list)]
    names = [fact.name for fact in facts]
    if len(set(names)) != len(names):
        raise ValueError("a fact stands in it twice")
    loop, system = _of(data, "loop", dict), _of(data, "system", dict)
    _of(loop, "name", str)
    _of(system, "name", str)
    for part, key in ((loop, "version"), (loop, "error"), (system, "wine")):
        if part.get(key) is not None:
            _of(part, key, str)
    python = data["python"]
    if python is not None:
        _of(python, "implementation", str)
        _of(python, "version", str)
    started = _of(data, "started", str)
    return Report(loop, python, system, started, _seconds(data), facts)


def _read_fact(entry: dict[str, Any]) -> Fact:
    texts = {key: _of(entry, key, str) for key in ("name", "area", "tier", "verdict")}
    if texts["verdict"] not in verdict.VERDICTS:
        raise ValueError(f"{texts['name']} has the unknown verdict {texts['verdict']!r}")
    rest: dict[str, Any] = {key: entry[key] for key in ("observation", "expected") if key in entry}
    kinds = {"reason": str, "detail": str, "notes": dict}
    rest.update({key: _of(entry, key, kind) for key, kind in kinds.items() if key in entry})
    if "duration" in entry:
        rest["duration"] = _seconds(entry)
    return Fact(**texts, **rest)


def _seconds(data: dict[str, Any]) -> float:
    value: float = _of(data, "duration", (int, float))
    if isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} is no duration")
    return value


def _of(data: dict[str, Any], key: str, kind: Any) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} is not an object")
    if not isinstance(data[key], kind):
        raise TypeError(f"{key!r} is of the wrong type")
    return data[key]


def save(report: Report, path: Path) -> None:
    """Write a report where `load` reads it."""
    write(path, json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")


def must_be_writable(path: Path) -> None:
    """Say in one sentence if a file cannot be written; what it holds stays."""
    new = not path.exists()
    if not (new or path.is_file() or path.is_dir()):
        return  # a pipe or a device: whoever reads it would see it end
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise Misuse(f"{path} cannot be written: {error.strerror or error}.") from error
    if new:
        path.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Write a file, or say in one sentence why not."""
    try:
        # Python has texts that UTF-8 lacks: a file name that is none in the system's encoding.
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise Misuse(f"{path} cannot be written: {error.strerror or error}.") from error
