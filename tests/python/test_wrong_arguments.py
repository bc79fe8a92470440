# SPDX-License-Identifier: MIT
"""Wrong arguments give the selector loop's error: a test made of tables, for all public methods.

The tables are in wrong_arguments.py. The reference is the stock selector loop of the Python that
runs the test, asked anew each time, on Windows the one there is on Windows: what it refuses, it
refuses in asyncio's own portable code, so its answers are those of Linux but for the rows that
WINDOWS names. An answer that differs on purpose is in DIFFERENCES, with its reason.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys

import pytest
import support
import wrong_arguments as tables
from wrong_arguments import Difference

pytestmark = pytest.mark.absent("wrong-arguments-on-windows", "windows")

with contextlib.closing(support.reference_loop()) as _loop:
    STOCK = type(_loop)

# A function in C that takes nothing is not called when something is given: CPython refuses it, with
# a TypeError as for one in Python, in its words for functions in C.
IN_C = (
    r"\['raises', 'TypeError', .*(takes (no|exactly|at most)|(unexpected|invalid) keyword"
    r"|missing required|given by name|(Transport|Mixin)\.\w+\(\) (takes|missing|got))"
)

DIFFERENCES = [
    Difference(
        ".*",
        ".*too many|an unknown keyword|nothing|no .*|the first twice",
        "a function in C that takes nothing or named arguments, or that several transports share",
        IN_C,
    ),
    Difference(
        "start_tls",
        "nothing|no sslcontext",
        "ours hands the rest on to asyncio's, and counts what it names itself",
        r"\['raises', 'TypeError', .*missing \d required",
    ),
    Difference(
        "call_later|call_at",
        "(delay|when)=(nan|1j|''|text|a NUL|a surrogate|b''|bytes|bytearray|memoryview|Thing"
        "|a type|a function|\\(.*|\\[.*|{})",
        "the stock loop takes what it cannot sort its timers by, and fails in a later turn",
        r"\['raises', '(ValueError|TypeError)'",
    ),
    Difference(
        "create_connection",
        "happy_eyeballs_delay=nan",
        "the same: no timer at NaN",
        r"\['raises', '(ValueError|ExceptionGroup)'",
    ),
    Difference(
        "start_tls",
        "ssl_(handshake|shutdown)_timeout=nan",
        "no timer at NaN",
        r"\['raises', 'ValueError', 'ssl_\w+ should be a positive number, got nan'",
    ),
    Difference(
        "call_.*",
        "context=.*",
        "what is no context fails as contextvars say it, where the stock handle looks for `run`",
        r".*Exception in callback function\(\).* TypeError",
    ),
    Difference(
        "create_connection",
        "good",
        "the future that two loops fight over is told of the closed socket",
        r".*attached to a different loop.*Future exception was never retrieved",
        "another loop",
    ),
    Difference(
        "connect_accepted_socket",
        "sock=a TransportSocket",
        "it has a descriptor, which is what the transport needs; stock lacks its recv()",
        r"\['gives'",
    ),
    Difference(
        "(tcp|tls|write pipe) transport.(write|writelines|write_eof)",
        "good",
        "a closed loop has given the connection up: that is said, where stock sends what fits",
        r"\['raises', 'RuntimeError', 'Event loop is closed'",
        "(open|ended), closed",
    ),
    Difference(
        "tcp transport.writelines",
        ".*",
        "fixed in later asyncios: the connection is closing, so nothing is sent",
        r"\['gives', 'None'",
        "(closing|aborted), .*",
    ),
    Difference(
        "tcp transport.writelines",
        r"list_of_data=\[None\]",
        "late asyncios leave out what is false before they see that it is no bytes",
        r"\['raises', 'TypeError', .*bytes-like",
    ),
    Difference(
        "write pipe transport.(abort|close|write_eof)",
        "good|by keyword",
        "the stock pipe, once its end has been reported, fails for lack of a loop; ours has ended",
        r"\['gives', 'None'",
        "(closing|aborted|ended), .*",
    ),
    Difference(
        ".*datagram transport.(sendto|abort)",
        ".*",
        "the same: a lost endpoint sends nothing",
        r"\['gives', 'None'",
        "(closing|aborted), .*",
    ),
    Difference(
        "datagram transport.sendto",
        "good",
        "without an address it cannot be sent, loop or no loop",
        r"\['gives', 'None', False, \['Fatal write error",
        "open, closed",
    ),
    Difference(
        "connect_write_pipe",
        "pipe=a.*(socket|SSLSocket)",
        "the stock transport reads from a socket to notice its end; when there is data it ends "
        "twice, and the second time takes the loop's run with it",
        r"\['gives'",
    ),
]

if sys.version_info < (3, 11, 4):
    DIFFERENCES.append(
        Difference(
            r"((connected )?datagram|read pipe) transport\.(is|pause|resume)_reading",
            ".*",
            "the stock loop has these methods from 3.11.4 on (gh-103607), ours always",
        )
    )


if support.is_here("no-gil"):
    DIFFERENCES.append(
        Difference(
            ".*",
            ".*",
            "without a GIL another thread is told before anything is touched (docs/python.md)",
            r"\['raises', 'RuntimeError', 'Non-thread-safe operation invoked",
            "another thread",
        )
    )


def public_methods(cls):
    return [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]


def states_of(name, row):
    method = getattr(STOCK, name)
    states = ["running", "debug"]
    if not inspect.iscoroutinefunction(method):
        states += ["idle", "another thread"]
    return [*states, "closed", "another loop"] if row == "good" else states


def check(wrong, count):
    with tables.watched():  # what the stock loop has left
        gc.collect()
    if wrong:
        pytest.fail("\n".join([f"{len(wrong)} of {count} rows differ:", *wrong]), pytrace=False)


@pytest.mark.parametrize("name", public_methods(STOCK))
def test_methods_of_a_loop(name, monkeypatch):
    tables.numeric_hosts_only(monkeypatch)
    method = getattr(STOCK, name)
    good = tables.CALLS.get(name, lambda stage: {})
    wrong = []
    count = 0
    for row, arguments in tables.rows_of(name, method, good):
        for state in states_of(name, row):

            def call(stage, arguments=arguments, state=state):
                args, kwargs = arguments(stage)
                if state == "idle" and name in ("run_forever", "run_until_complete"):
                    stage.loop.call_soon(stage.loop.stop)
                return lambda: getattr(stage.loop, name)(*args, **kwargs)

            def ask(make_loop, collect, state=state, call=call):
                return tables.answer(make_loop, state, call, collect)

            count += 1
            wrong.append(tables.compare(name, row, state, ask, DIFFERENCES))
    check([text for text in wrong if text is not None], count)


def test_every_required_parameter_has_a_good_value():
    for name in public_methods(STOCK):
        params = tables.parameters(getattr(STOCK, name))
        required = [
            p.name for p in params if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert not required or name in tables.CALLS, f"{name}{required} needs a good call"


STOCK_TYPES = tables.subject_types(support.reference_loop)


def lives_of(subject):
    if subject.endswith("handle"):
        return ["open", "cancelled"]
    if subject in ("tcp transport", "write pipe transport"):
        return ["open", "closing", "aborted", "ended"]
    return ["open", "closing", "aborted"]


SUBJECT_METHODS = [
    (subject, name) for subject, cls in STOCK_TYPES.items() for name in public_methods(cls)
]


@pytest.mark.parametrize(("subject", "name"), SUBJECT_METHODS)
def test_methods_of_what_a_loop_makes(subject, name):
    """Of transports, servers and handles: open, closing, lost, and of a loop that was closed."""
    cls = STOCK_TYPES[subject]
    good = tables.SUBJECT_CALLS.get(name, lambda stage: {})
    wrong = []
    count = 0
    for row, arguments in tables.rows_of(name, getattr(cls, name), good):
        lives = lives_of(subject) if row != "by keyword" else ["open"]
        for life in lives:
            for state in ("running", "closed") if row == "good" else ("running",):

                def call(stage, owner, arguments=arguments):
                    args, kwargs = arguments(stage)
                    return lambda: getattr(owner, name)(*args, **kwargs)

                def ask(make_loop, collect, state=state, life=life, call=call):
                    make = tables.SUBJECTS[subject]
                    return tables.subject_answer(make_loop, make, life, state, call, collect)

                count += 1
                text = tables.compare(
                    f"{subject}.{name}", row, f"{life}, {state}", ask, DIFFERENCES
                )
                wrong.append(text)
    check([text for text in wrong if text is not None], count)
