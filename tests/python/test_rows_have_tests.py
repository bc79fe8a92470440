# SPDX-License-Identifier: MIT
"""Every row of the list of what users of event loops ran into is named by a test that holds it, and
so is every point of asyncio's contract that is not obvious.

The rows are numbered C001 and up, the points 1 to 48; a test names what it proves in its docstring.
A row that no program can observe is listed here, with the reason.
"""

from __future__ import annotations

import ast
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent

# First and last number of each section.
SECTIONS = {
    "Windows": (1, 32),
    "signals": (40, 47),
    "subprocesses": (50, 68),
    "transports and protocols": (70, 91),
    "timers and handles": (100, 107),
    "servers": (110, 118),
    "connecting, names, sockets": (120, 139),
    "TLS": (150, 160),
    "tasks, contexts, leaks, crashes": (170, 178),
    "speed": (190, 195),
    "packaging, debugging, typing": (200, 204),
}

UNOBSERVABLE = {
    "C190": "how much faster another loop's own table was; bench/ makes ours",
    "C191": "what a program gained from another loop; bench/ measures whole programs",
    "C193": "figures of other loops between their releases; bench/ compares with the stock loop",
    "C194": "a rate of callbacks; bench/ has it, a test would race with the machine",
    "C195": "a rate of messages; bench/ has it, a test would race with the machine",
}


CONTRACT_POINTS = range(1, 49)


def rows():
    return {
        f"C{number:03d}" for first, last in SECTIONS.values() for number in range(first, last + 1)
    }


def docstrings():
    """The name and the docstring of each test."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not node.name.startswith("test_"):
                continue
            yield f"{path.name}::{node.name}", ast.get_docstring(node) or ""


def named():
    """The rows that tests name, each with the names of its tests."""
    found: dict[str, list[str]] = {}
    for test, text in docstrings():
        for row in re.findall(r"\bC\d{3}\b", text):
            found.setdefault(row, []).append(test)
    return found


def test_every_row_has_a_test_or_a_reason():
    missing = rows() - named().keys() - UNOBSERVABLE.keys()
    assert missing == set(), f"no test's docstring names {sorted(missing)}"


def test_reasons_are_for_rows_without_a_test():
    assert UNOBSERVABLE.keys() <= rows()
    assert UNOBSERVABLE.keys() & named().keys() == set()


def test_tests_name_only_rows_that_exist():
    unknown = {row: tests for row, tests in named().items() if row not in rows()}
    assert unknown == {}


def test_every_point_of_the_contract_has_a_test():
    points = set()
    for _, text in docstrings():
        for numbers in re.findall(r"\b(?i:points?) ((?:\d+(?:, | and )?)+)", text):
            points.update(int(number) for number in re.findall(r"\d+", numbers))
    missing = set(CONTRACT_POINTS) - points
    assert missing == set(), f"no test's docstring names the points {sorted(missing)}"
