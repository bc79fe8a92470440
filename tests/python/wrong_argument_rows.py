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
import wrong_arguments_subjects as subjects
import wrong_states as states

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


# -- what needs a peer or a child process ----------------------------------------------------------

COMPANION_METHODS = [
    (subject, name) for subject, cls in subjects.TYPES.items() for name in public_methods(cls)
]
TLS_METHODS = public_methods(subjects.TLS_TRANSPORT)


def of_companion(subject: str, name: str) -> Iterator[Question]:
    """Of child processes, servers and streams: in use, closing, and of a closed loop."""
    make = subjects.SUBJECTS[subject]
    good = subjects.good_call(subject, name)
    for row, arguments in tables.rows_of(name, getattr(subjects.TYPES[subject], name), good):
        for life in subjects.lives_of(subject, name) if row != "by keyword" else ["open"]:
            for state in subjects.states_of(subject) if row == "good" else ["running"]:
                ask = subjects.of_subject(make, life, state, name, arguments)
                yield Question(f"{subject}.{name}", row, f"{life}, {state}", ask)


def of_tls(name: str) -> Iterator[Question]:
    """Of a TLS transport: open, closing and aborted, and of a loop that was closed."""
    good = subjects.good_call("tls transport", name)
    for row, arguments in tables.rows_of(name, getattr(subjects.TLS_TRANSPORT, name), good):
        for life in subjects.TLS_LIVES if row != "by keyword" else ("open",):
            for state in ("running", "closed") if row == "good" else ("running",):
                ask = subjects.of_subject(subjects.tls_transport, life, state, name, arguments)
                yield Question(f"tls transport.{name}", row, f"{life}, {state}", ask)


def of_transport_call(name: str) -> Iterator[Question]:
    """start_tls() and sendfile() of an open connection, with each argument wrong in turn."""
    method = getattr(asyncio.BaseEventLoop, name)
    for row, arguments in tables.rows_of(name, method, subjects.TRANSPORT_CALLS[name]):
        ask = subjects.of_loop(tables.tcp_transport, "open", "running", name, arguments)
        yield Question(f"{name} of tcp", row, "open, running", ask)


# What start_tls() and sendfile() are asked with, beside what they need.
EXTRAS = {"start_tls": {"server_side": True}, "sendfile": {"fallback": False}}


def of_call_in_state(
    name: str, kind: str, make: subjects.Make, life: str, states: list[str]
) -> Iterator[Question]:
    """start_tls() and sendfile() of a transport of a kind that is open, closing or aborted."""
    params = tables.parameters(getattr(asyncio.BaseEventLoop, name))
    for row, extra in (("good", {}), (str(EXTRAS[name]), EXTRAS[name])):

        def arguments(stage: tables.Stage, extra: dict[str, Any] = extra) -> tables.Call:
            return tables.positional(params, {**subjects.TRANSPORT_CALLS[name](stage), **extra})

        for state in states:
            ask = subjects.of_loop(make, life, state, name, arguments)
            yield Question(f"{name} of {kind}", row, f"{life}, {state}", ask)


def of_transport_in_state(name: str, kind: str) -> Iterator[Question]:
    """The same for what can do it, and for what is of another kind."""
    for life in ("open", "closing", "aborted"):
        states = subjects.states_of(kind)
        yield from of_call_in_state(name, kind, subjects.TRANSPORTS[kind], life, states)


def of_tls_in_state(name: str, life: str) -> Iterator[Question]:
    """TLS within TLS, and files through TLS."""
    yield from of_call_in_state(name, "tls", subjects.tls_transport, life, ["running", "closed"])


# -- wrong states ----------------------------------------------------------------------------------


def of_state(group: str) -> Iterator[Question]:
    """What is asked of a loop out of turn, and callbacks that do what they must not."""
    for row, ask_it in states.GROUPS[group].items():

        def call(stage: tables.Stage, ask_it: states.Row = ask_it) -> Callable[[], Any]:
            return lambda: ask_it(stage)

        def ask(make_loop: Callable[[], Any], collect: bool, call: Any = call) -> list[Any]:
            return tables.answer(make_loop, "idle", call, collect)

        yield Question(group, row, "idle", ask)


def all_questions() -> Iterator[Question]:
    """Every question, group by group."""
    for name in LOOP_METHODS:
        yield from of_loop(name)
    for subject, name in SUBJECT_METHODS:
        yield from of_subject(subject, name)
    for subject, name in COMPANION_METHODS:
        yield from of_companion(subject, name)
    for name in TLS_METHODS:
        yield from of_tls(name)
    for name in subjects.TRANSPORT_CALLS:
        yield from of_transport_call(name)
        for kind in subjects.TRANSPORTS:
            yield from of_transport_in_state(name, kind)
    for name, life in subjects.TLS_CALLS:
        yield from of_tls_in_state(name, life)
    for group in states.GROUPS:
        yield from of_state(group)
