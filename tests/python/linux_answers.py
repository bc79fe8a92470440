#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the stock selector loop of Linux answers to wrong arguments, for tests on other systems.

    python tests/python/linux_answers.py      # on Linux: asks it, and writes linux_answers/

The reference is the same everywhere: on Windows a row of the table is not compared with the stock
loop that is there, but with what the stock loop of the same Python said on Linux. The answers are
kept in linux_answers/VERSION.json: that of BASE in full, of another version what differs from
it. On Linux the table is asked live, and a file that is of the very Python that runs has to say
the same.

Answers are kept in a portable form: a system error is known by its name, not by its number or by
the system's own words, a method without its class, a socket without its protocol's number, and
CPython's C without its lines and its types of numbers.
"""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import json
import math
import pathlib
import platform
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

FOLDER = pathlib.Path(__file__).resolve().parent / "linux_answers"
BASE = "3.13"
VERSION = ".".join(map(str, sys.version_info[:2]))

Answers = dict[str, dict[tuple[str, str], Any]]  # by group, then by row and state

_LOOKUP_FAILURES = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}


def error_name(number: int, windows: bool = False) -> str:
    """The name of an error number, the same on every system; `windows`: of one of GetLastError."""
    if windows and number < 10000:
        number = OSError(0, "", None, number).errno or 0
    if number == errno.EOPNOTSUPP:
        return "ENOTSUP"  # one number on Linux
    if number in errno.errorcode:
        return errno.errorcode[number].removeprefix("WSA")
    return f"error {number}"


def portable(answer: Any) -> Any:
    """An answer less what is the system's own, and less what was warned."""
    return _portable(answer[:-1])


def _portable(part: Any) -> Any:
    if isinstance(part, str):
        part = re.sub(r"(?<=\(_ssl\.c):\d+|(?<= to C )(int|long|ssize_t)\b", "", part)
        part = re.sub(r", proto=\d+|, laddr=\('0\.0\.0\.0', 0\)", "", part)
        part = re.sub(r"\b(?:\w+\.)+(\w+\(\) (?:takes|missing|got))", r"\1", part)
        return re.sub(
            r"\[(Errno|WinError) (-?\d+)\] [^:'\"\]]*",
            lambda found: f"[{error_name(int(found[2]), found[1] == 'WinError')}]",
            part,
        )
    if isinstance(part, (list, tuple)):
        if len(part) >= 4 and part[0] == "raises" and isinstance(part[3], int):
            lookup = part[1] == "gaierror"
            name = _LOOKUP_FAILURES[part[3]] if lookup else error_name(part[3])
            part = [*part[:2], f"[{name}]" if lookup else part[2], name, *part[4:]]
        return [_portable(each) for each in part]
    return part


# -- the files -------------------------------------------------------------------------------------


def path_of(version: str) -> pathlib.Path:
    return FOLDER / f"{version}.json"


def packed(rows: dict[tuple[str, str], Any]) -> list[Any]:
    """Each answer with its rows: a row's name alone stands for all of its states that are not
    named with another answer."""
    usual: dict[str, str] = {}
    by_answer: dict[str, list[Any]] = {}
    for (row, state), answer in rows.items():
        text = json.dumps(answer)
        if usual.setdefault(row, text) == text:
            label: Any = row
        else:
            label = [row, state]
        labels = by_answer.setdefault(text, [])
        if label not in labels:
            labels.append(label)
    return [[json.loads(text), *labels] for text, labels in by_answer.items()]


def row_of(label: str | tuple[str, str]) -> str:
    """The row of a row's name, or of a row and a state."""
    return label if isinstance(label, str) else label[0]


class Recorded:
    """The answers of a version: those of its file, which has whole rows, else those of BASE."""

    def __init__(self, version: str) -> None:
        self.python = ""
        self._answers: dict[str, dict[Any, Any]] = {}
        for each in dict.fromkeys((BASE, version)):
            file = json.loads(path_of(each).read_text("utf-8"))
            self.python = file["python"]
            for group, answers in file["answers"].items():
                said: dict[Any, Any] = {}
                for answer, *labels in answers:
                    for label in labels:
                        said[label if isinstance(label, str) else tuple(label)] = answer
                rows = {row_of(label) for label in said}
                before = self._answers.get(group, {})
                kept = {label: before[label] for label in before if row_of(label) not in rows}
                self._answers[group] = kept | said

    def answer(self, group: str, row: str, state: str) -> Any:
        """What Linux said; KeyError if it was not asked."""
        answers = self._answers[group]
        return answers[row, state] if (row, state) in answers else answers[row]


def recorded() -> Recorded:
    """The answers for the running Python; FileNotFoundError if there are none."""
    return Recorded(VERSION)


def write(answers: Answers) -> None:
    """Writes the file of the running Python."""
    kept = {group: packed(rows) for group, rows in answers.items()}
    FOLDER.mkdir(exist_ok=True)
    with path_of(VERSION).open("w", encoding="utf-8") as file:
        file.write(f'{{"python": "{platform.python_version()}", "answers": {{')
        for number, (group, lines) in enumerate(kept.items()):
            file.write(f"{',' * bool(number)}\n{json.dumps(group)}: [\n")
            file.write(",\n".join(json.dumps(line) for line in lines))
            file.write("\n]")
        file.write("\n}}\n")


def unlike(base: Recorded, answers: Answers) -> Answers:
    """The rows, in all of their states, in which an answer is not that of another version."""
    kept: Answers = {}
    for group, asked in answers.items():
        rows = {
            row
            for (row, state), answer in asked.items()
            if not says(base, group, row, state, answer)
        }
        rest = {key: answer for key, answer in asked.items() if key[0] in rows}
        if rest:
            kept[group] = rest
    return kept


def says(record: Recorded, group: str, row: str, state: str, answer: Any) -> bool:
    """Whether this is the recorded answer; not if there is none."""
    try:
        return bool(record.answer(group, row, state) == answer)
    except KeyError:
        return False


# -- odd addresses and descriptors (tests/fuzz) ----------------------------------------------------

FUZZ_EXAMPLES = 200
_SYSTEM = re.compile(
    r"(sock_sendto raises )?(OSError|gaierror|PermissionError|ConnectionRefusedError): .*"
)


def fuzz() -> Any:
    """The module tests/fuzz/addresses.py."""
    path = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "addresses.py"
    spec = importlib.util.spec_from_file_location("addresses", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(example: Any) -> str:
    """An example as an expression."""
    return repr(example).replace("<class 'object'>", "object")


def read(text: str) -> Any:
    """The example that was written like this."""
    return eval(text, {"object": object, "inf": math.inf, "nan": math.nan})


def fuzz_path() -> pathlib.Path:
    return FOLDER / f"fuzz-{VERSION}.json"


def write_fuzz() -> None:
    """Asks the stock loop about examples of each kind, and writes them with its answers."""
    module = fuzz()
    lines = [
        [kind, written(example), module.answer(kind, example, asyncio.SelectorEventLoop)]
        for kind, examples in module.examples_of(FUZZ_EXAMPLES).items()
        for example in examples
    ]
    text = ",\n".join(map(json.dumps, lines))
    fuzz_path().write_text(f"[\n{text}\n]\n", "utf-8")


def read_fuzz(kind: str) -> list[tuple[Any, list[str]]]:
    """The examples of a kind with what Linux said of them."""
    lines = json.loads(fuzz_path().read_text("utf-8"))
    return [(read(text), answer) for of, text, answer in lines if of == kind]


def judged(told: list[str]) -> list[str]:
    """What was said of an example less what the system says of an address that it was given."""
    return [
        "the system's" if line in ("1", "closing: False") or _SYSTEM.fullmatch(line) else line
        for line in told
    ]


# -- asking ----------------------------------------------------------------------------------------


def said(question: Any, make_loop: Callable[[], Any]) -> Any:
    """The portable answer of a loop to a question of wrong_argument_rows.py."""
    try:
        answer = portable(question.ask(make_loop, False))
    except Exception as exc:  # what the stock loop has taken in goes wrong in a later run
        asyncio.set_event_loop(None)
        answer = ["fails later", type(exc).__name__]
    return json.loads(json.dumps(answer))


def main() -> int:
    import pytest
    import support
    import wrong_argument_rows as rows
    import wrong_arguments as tables

    if sys.platform != "linux":
        print("linux_answers.py: the reference is the stock loop of Linux", file=sys.stderr)
        return 2
    answers: Answers = {}
    with pytest.MonkeyPatch.context() as patch:
        tables.numeric_hosts_only(patch)
        for each in rows.all_questions():
            answers.setdefault(each.group, {})[each.row, each.state] = said(
                each, support.reference_loop
            )
    if VERSION != BASE:
        answers = unlike(Recorded(BASE), answers)
    write(answers)
    write_fuzz()
    print(f"{path_of(VERSION)}: {sum(map(len, answers.values()))} answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
