# SPDX-License-Identifier: MIT
"""The rows of the table of wrong arguments, as questions that can be put to any loop.

A question names its group (a method of a loop, or of something that a loop makes), its row and the
state; `ask(make_loop, collect)` makes the call on a new loop and gives the answer, as the functions
of wrong_arguments.py do. The groups and their parameters are read off the stock classes.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import support
import wrong_arguments as tables

with contextlib.closing(support.reference_loop()) as _loop:
    STOCK = type(_loop)

STOCK_TYPES = tables.subject_types(support.reference_loop)
if support.WINDOWS:
    # The stock selector loop makes no pipe transports there: these have the same signatures.
    STOCK_TYPES["read pipe transport"] = asyncio.ReadTransport
    STOCK_TYPES["write pipe transport"] = asyncio.WriteTransport


@dataclass(frozen=True)
class Question:
    """One call in one state."""

    group: str
    row: str
    state: str
    ask: tables.Ask


def public_methods(cls: type) -> list[str]:
    """What a program may call, in the order of the alphabet."""
    return [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]


LOOP_METHODS = public_methods(STOCK)
SUBJECT_METHODS = [
    (subject, name) for subject, cls in STOCK_TYPES.items() for name in public_methods(cls)
]


def states_of(name: str, row: str) -> list[str]:
    """The states of a loop that a row is tried in."""
    states = ["running", "debug"]
    if not inspect.iscoroutinefunction(getattr(STOCK, name)):
        states += ["idle", "another thread"]
    return [*states, "closed", "another loop"] if row == "good" else states


def lives_of(subject: str) -> list[str]:
    """What may have become of a subject before the call."""
    if subject.endswith("handle"):
        return ["open", "cancelled"]
    if subject in ("tcp transport", "write pipe transport"):
        return ["open", "closing", "aborted", "ended"]
    return ["open", "closing", "aborted"]


def of_loop(name: str) -> Iterator[Question]:
    """The questions about a method of a loop."""
    good = tables.CALLS.get(name, lambda stage: {})
    for row, arguments in tables.rows_of(name, getattr(STOCK, name), good):
        for state in states_of(name, row):
            yield Question(name, row, state, _asking_loop(name, state, arguments))


def _asking_loop(
    name: str, state: str, arguments: Callable[[tables.Stage], tables.Call]
) -> tables.Ask:
    def call(stage: tables.Stage) -> Callable[[], Any]:
        args, kwargs = arguments(stage)
        if state == "idle" and name in ("run_forever", "run_until_complete"):
            stage.loop.call_soon(stage.loop.stop)
        return lambda: getattr(stage.loop, name)(*args, **kwargs)

    return lambda make_loop, collect: tables.answer(make_loop, state, call, collect)


def of_subject(subject: str, name: str) -> Iterator[Question]:
    """The questions about a method of what a loop makes: open, closing, lost, and of a loop that
    was closed."""
    good = tables.SUBJECT_CALLS.get(name, lambda stage: {})
    for row, arguments in tables.rows_of(name, getattr(STOCK_TYPES[subject], name), good):
        for life in lives_of(subject) if row != "by keyword" else ["open"]:
            for state in ("running", "closed") if row == "good" else ("running",):
                ask = _asking_subject(subject, name, life, state, arguments)
                yield Question(f"{subject}.{name}", row, f"{life}, {state}", ask)


def _asking_subject(
    subject: str,
    name: str,
    life: str,
    state: str,
    arguments: Callable[[tables.Stage], tables.Call],
) -> tables.Ask:
    def call(stage: tables.Stage, owner: Any) -> Callable[[], Any]:
        args, kwargs = arguments(stage)
        return lambda: getattr(owner, name)(*args, **kwargs)

    make = tables.SUBJECTS[subject]
    return lambda make_loop, collect: tables.subject_answer(
        make_loop, make, life, state, call, collect
    )


def all_questions() -> Iterator[Question]:
    """Every question, group by group."""
    for name in LOOP_METHODS:
        yield from of_loop(name)
    for subject, name in SUBJECT_METHODS:
        yield from of_subject(subject, name)
