# SPDX-License-Identifier: MIT
"""Wrong arguments and states of TLS transports: test_wrong_arguments.py's rules, with certificates.

The transport is asyncio's own on every loop. What is compared is all below it: how the plain
transport of the loop takes what TLS makes of a wrong call, and who is told of it.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
from collections.abc import Callable
from typing import Any

import pytest
import test_tls
import wrong_arguments as tables
import wrong_arguments_subjects as subjects
from test_wrong_arguments import DIFFERENCES
from wrong_arguments import Stage

pytestmark = pytest.mark.absent("companions-on-windows", "windows")

TRANSPORT: Any = asyncio.sslproto._SSLProtocolTransport  # type: ignore[attr-defined]
LIVES = ("open", "closing", "aborted")


async def tls_transport(stage: Stage) -> Any:
    """The client's end of a connection that has shaken hands."""
    loop = stage.loop
    ours, peer = stage.pair(b"")
    (transport, _), (other, _) = await asyncio.gather(
        loop.create_connection(
            asyncio.Protocol, sock=ours, ssl=test_tls.client_context(), server_hostname="localhost"
        ),
        loop.connect_accepted_socket(asyncio.Protocol, peer, ssl=test_tls.server_context()),
    )
    subjects.accompany(stage, other)
    return transport


def public_methods(cls: type) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))]


@pytest.mark.parametrize("name", public_methods(TRANSPORT))
def test_methods_of_a_tls_transport(name: str) -> None:
    """Open, closing and aborted, and of a loop that was closed."""
    table = subjects.Table(DIFFERENCES)
    good: Callable[[Stage], dict[str, Any]] = subjects.CALLS.get(name, lambda stage: {})
    for row, arguments in tables.rows_of(name, getattr(TRANSPORT, name), good):
        for life in LIVES if row != "by keyword" else ("open",):
            for state in ("running", "closed") if row == "good" else ("running",):
                ask = subjects.of_subject(tls_transport, life, state, name, arguments)
                table.ask(f"tls transport.{name}", row, f"{life}, {state}", ask)
    table.check()


# Not start_tls() of a closing one: the answer depends on whether its peer has said goodbye by then.
@pytest.mark.parametrize(
    ("name", "life"),
    [
        ("start_tls", "open"),
        ("start_tls", "aborted"),
        *(("sendfile", life) for life in LIVES),
    ],
)
def test_calls_that_take_a_tls_transport(name: str, life: str) -> None:
    """TLS within TLS, and files through TLS, in each state of the outer connection."""
    table = subjects.Table(DIFFERENCES)
    params = tables.parameters(getattr(asyncio.BaseEventLoop, name))
    for extra in ({}, {"server_side": True} if name == "start_tls" else {"fallback": False}):

        def arguments(stage: Stage, extra: dict[str, Any] = extra) -> tables.Call:
            return tables.positional(params, {**subjects.TRANSPORT_CALLS[name](stage), **extra})

        for state in ("running", "closed"):
            ask = subjects.of_loop(tls_transport, life, state, name, arguments)
            table.ask(f"{name} of tls", str(extra), f"{life}, {state}", ask)
    table.check()
