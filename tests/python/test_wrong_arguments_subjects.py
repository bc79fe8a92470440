# SPDX-License-Identifier: MIT
"""Wrong arguments and states of child processes, servers, start_tls() and sendfile().

The other half of test_wrong_arguments.py, by the same rules and with the same DIFFERENCES.
"""

from __future__ import annotations

import asyncio

import pytest
import support
import wrong_arguments as tables
import wrong_arguments_subjects as subjects
from test_wrong_arguments import DIFFERENCES

pytestmark = pytest.mark.absent("companions-on-windows", "windows")

TYPES = {
    name: cls
    for name, make in subjects.SUBJECTS.items()
    if (cls := subjects.made_here(make, support.reference_loop)) is not None
}
TRANSPORTS = [
    name
    for name, make in subjects.TRANSPORTS.items()
    if subjects.made_here(make, support.reference_loop) is not None
]


def public_methods(cls):
    return [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]


@pytest.mark.parametrize(
    ("subject", "name"),
    [(subject, name) for subject in TYPES for name in public_methods(TYPES[subject])],
)
def test_methods_of_what_has_a_companion(subject, name):
    """Of child processes' transports and of servers: in use, closing, and of a closed loop."""
    table = subjects.Table(DIFFERENCES)
    make = subjects.SUBJECTS[subject]
    good = subjects.CALLS.get(name, lambda stage: {})
    for row, arguments in tables.rows_of(name, getattr(TYPES[subject], name), good):
        for life in subjects.lives_of(subject, name) if row != "by keyword" else ["open"]:
            for state in subjects.states_of(subject) if row == "good" else ["running"]:
                ask = subjects.of_subject(make, life, state, name, arguments)
                table.ask(f"{subject}.{name}", row, f"{life}, {state}", ask)
    table.check()


@pytest.mark.parametrize("name", subjects.TRANSPORT_CALLS)
def test_calls_that_take_a_transport(name):
    """start_tls() and sendfile() of an open connection, with each argument wrong in turn."""
    table = subjects.Table(DIFFERENCES)
    method = getattr(asyncio.BaseEventLoop, name)
    for row, arguments in tables.rows_of(name, method, subjects.TRANSPORT_CALLS[name]):
        ask = subjects.of_loop(tables.tcp_transport, "open", "running", name, arguments)
        table.ask(name, row, "open, running", ask)
    table.check()


@pytest.mark.parametrize("kind", TRANSPORTS)
@pytest.mark.parametrize("name", subjects.TRANSPORT_CALLS)
def test_calls_that_take_a_transport_in_each_of_its_states(name, kind):
    """start_tls() and sendfile() of what is open, closing, aborted, or of another kind."""
    table = subjects.Table(DIFFERENCES)
    params = tables.parameters(getattr(asyncio.BaseEventLoop, name))
    extras = {"start_tls": ["server_side"], "sendfile": ["fallback"]}[name]
    for extra in [None, *extras]:

        def arguments(stage, extra=extra):
            call = subjects.TRANSPORT_CALLS[name](stage)
            if extra is not None:
                call[extra] = {"server_side": True, "fallback": False}[extra]
            return tables.positional(params, call)

        for life in ("open", "closing", "aborted"):
            for state in subjects.states_of(kind):
                ask = subjects.of_loop(subjects.TRANSPORTS[kind], life, state, name, arguments)
                table.ask(f"{name} of {kind}", extra or "good", f"{life}, {state}", ask)
    table.check()
