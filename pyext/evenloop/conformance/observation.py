# SPDX-License-Identifier: MIT
"""Turns what a check saw into plain JSON that two runs, loops or systems can be compared by.

What differs from run to run (addresses of objects, ports, temporary folders) is replaced by a fixed
word, what differs from system to system in number only (errno) by its name. Everything else stays
as it is: a difference that a program could see must remain one.
"""

from __future__ import annotations

import enum
import errno
import re
from typing import Any, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

LONG = 200  # a longer bytes object is recorded by its length and ends
LONG_TEXT = 10_000  # a longer text is recorded by its length and its ends
LINE = 400  # what a reason may take
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
_ERRNO = re.compile(r"\[([Ee])rrno (-?\d+)\]")


def errno_name(number: object) -> str | int | None:
    """The name of an errno, which is the same on all systems; its number is not.

    Windows' sockets have a second name for each, with WSA in front, of the same number.
    """
    if not isinstance(number, int):
        return None
    if number == errno.EDEADLK:  # EDEADLOCK is the same number on most systems
        return "EDEADLK"
    name = errno.errorcode.get(number, number)
    if isinstance(name, str) and getattr(errno, name.removeprefix("WSA"), None) == number:
        return name.removeprefix("WSA")
    return name


def type_name(kind: type) -> str:
    """The name of a type: bare for what Python and asyncio export, else with its module."""
    module = kind.__module__
    if module == "builtins" or module.split(".")[0] in ("asyncio", "socket", "ssl", "_asyncio"):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"


def words(error: BaseException) -> str:
    """The text of an exception; some have none because their __str__ raises as well."""
    try:
        return str(error)
    except Exception as another:
        return f"(its text raises {type(another).__name__})"


def one_line(text: str, limit: int = LINE) -> str:
    """A text as a part of one line of a terminal, whatever it holds."""
    line = "".join(char if char.isprintable() else " " for char in text[: 2 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit and len(text) <= 2 * limit else line[: limit - 3] + "..."


class Canon:
    """Knows which texts of this run stand for what."""

    def __init__(self) -> None:
        self._words: list[tuple[re.Pattern[str], str]] = []

    def replace(self, text: str, word: str) -> None:
        """From now on record `word` wherever `text` appears as a whole word."""
        self._words.append((re.compile(rf"(?<![\w]){re.escape(text)}(?![\w])"), word))

    def text(self, text: str) -> str:
        """A text without what changes from run to run."""
        if len(text) > LONG_TEXT:
            text = f"{len(text)} characters, {text[:LINE]} ... {text[-LINE:]}"
        for pattern, word in self._words:
            text = pattern.sub(lambda _, word=word: word, text)  # type: ignore[misc]
        text = _ADDRESS.sub("0x...", text)
        return _ERRNO.sub(lambda match: f"[{match[1]}rrno {errno_name(int(match[2]))}]", text)

    def error(self, error: BaseException) -> dict[str, Json]:
        """An exception: type, text, and errno by name where it has one."""
        seen: dict[str, Json] = {
            "type": type_name(type(error)),
            "text": self.text(words(error)),
        }
        number = getattr(error, "errno", None)
        if isinstance(error, OSError) and number is not None:
            seen["errno"] = errno_name(number)
        if isinstance(error, BaseExceptionGroup):
            seen["exceptions"] = [self.error(inner) for inner in error.exceptions]
        return seen

    def value(self, value: Any) -> Json:
        """Anything that a check may return, as JSON."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            return value.name
        if isinstance(value, (int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value))
        if isinstance(value, BaseException):
            return dict(self.error(value))
        if isinstance(value, type):
            return type_name(value)
        if isinstance(value, dict):
            return {self._key(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, (set, frozenset)):
            return sorted((self.value(item) for item in value), key=repr)
        try:
            return self.text(repr(value))
        except Exception as error:
            return f"{type_name(type(value))} (its repr raises {type(error).__name__})"

    def _key(self, key: object) -> str:
        return self.text(key) if isinstance(key, str) else str(self.value(key))

    def _bytes(self, value: bytes) -> str:
        if len(value) <= LONG:
            return self.text(repr(value))
        return f"{len(value)} bytes, {value[:8]!r} ... {value[-8:]!r}"


def first_difference(expected: Json, observed: Json, path: str = "") -> str:
    """Where two observations part, in one line."""
    where = f"{path}: " if path else ""
    if isinstance(expected, dict) and isinstance(observed, dict):
        for key in [*expected, *(key for key in observed if key not in expected)]:
            inner = f"{path}.{key}" if path else key
            if key not in observed:
                return f"{inner}: expected {short(expected[key])}, observed nothing"
            if key not in expected:
                return f"{inner}: expected nothing, observed {short(observed[key])}"
            if not same(expected[key], observed[key]):
                return first_difference(expected[key], observed[key], inner)
    return f"{where}expected {short(expected)}, observed {short(observed)}"


def same(one: Json, other: Json) -> bool:
    """Equality that tells True from 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def short(value: Json, limit: int = 300) -> str:
    """A value for people, cut where it gets long."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 3] + "..."
