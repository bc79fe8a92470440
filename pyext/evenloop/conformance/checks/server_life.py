# SPDX-License-Identifier: MIT
"""server: serving, closing, and what goes wrong while it serves."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import time
from typing import Any

from ..protocols import Recorder
from ..trial import Trial
from .server import Hello, area, greet, text

_name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="unset")


async def _with_a_client(t: Trial) -> tuple[Any, Any, socket.socket]:
    """A server, the protocol of its one client, and the client's socket."""
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    server, address = await t.serve(factory)
    client = await t.dial(address)
    await t.until(lambda: made and made[0].made.done())
    return server, made[0], client


# -- serving and closing --------------------------------------------------------------------------


@area.check(expect={"refused": True, "answer": b"still here", "closing": False}, limit=20.0)
async def close_leaves_connections_alone(t: Trial) -> object:
    """A closed server takes no new clients and keeps the ones that it has.

    spec: docs, Server.close: "The sockets that represent existing incoming client connections are
    left open"
    """
    server, protocol, client = await _with_a_client(t)
    address = client.getpeername()
    server.close()
    await t.turns()
    refused = t.outcome(socket.create_connection, address, 5)
    protocol.transport.write(b"still here")
    seen = {
        "refused": isinstance(refused, dict),
        "answer": await t.receive(client, 10),
        "closing": protocol.transport.is_closing(),
    }
    protocol.transport.close()
    return seen


@area.check(expect=["waits for the client", "done"], since=(3, 12, 1))
async def wait_closed_waits_for_clients(t: Trial) -> object:
    """wait_closed() returns when the server is closed and its last client has gone.

    spec: docs, Server.wait_closed (3.12.1, gh-79033)
    """
    server, protocol, _ = await _with_a_client(t)
    server.close()
    waiter = t.loop.create_task(server.wait_closed())
    await t.settle(0.02)
    seen = ["did not wait" if waiter.done() else "waits for the client"]
    protocol.transport.close()
    outcome = await t.within(waiter, 2.0)
    return [*seen, "done" if outcome is None else outcome]


@area.check(expect=["waits for close", "done"], since=(3, 12, 1))
async def wait_closed_waits_for_close(t: Trial) -> object:
    """wait_closed() of an open server waits, whether it has clients or not.

    spec: docs, Server.wait_closed (3.12.1, gh-79033)
    """
    server, _ = await t.serve()
    waiter = t.loop.create_task(server.wait_closed())
    await t.settle(0.02)
    seen = ["did not wait" if waiter.done() else "waits for close"]
    server.close()
    outcome = await t.within(waiter, 2.0)
    return [*seen, "done" if outcome is None else outcome]


@area.check(
    expect={"calls": ["connection_made", "connection_lost(None)"], "peer": b""}, since=(3, 13)
)
async def close_clients(t: Trial) -> object:
    """close_clients() closes the connections of a server.

    spec: docs, Server.close_clients (3.13)
    """
    server, protocol, client = await _with_a_client(t)
    server.close()
    server.close_clients()
    await t.within(protocol.lost, 2.0)
    await t.within(server.wait_closed(), 2.0)
    return {"calls": protocol.calls, "peer": await t.receive_all(client)}


@area.check(expect={"last": "connection_lost(None)", "buffer": 0}, since=(3, 13))
async def abort_clients(t: Trial) -> object:
    """abort_clients() ends the connections of a server, whatever is still to be sent.

    spec: docs, Server.abort_clients (3.13)
    """
    server, protocol, client = await _with_a_client(t)
    protocol.transport.write(bytes(32 << 20))
    server.close()
    server.abort_clients()
    await t.within(protocol.lost, 2.0)
    seen = {
        "last": protocol.calls[-1],
        "buffer": protocol.transport.get_write_buffer_size(),
    }
    client.close()
    await t.within(server.wait_closed(), 2.0)
    return seen


@area.check(
    expect={"serve_forever": {"type": "CancelledError", "text": ""}, "serving": [True, False]}
)
async def serve_forever_cancel(t: Trial) -> object:
    """Cancelling serve_forever() closes the server.

    spec: docs, Server.serve_forever: "Cancellation of serve_forever task causes the server to be
    closed"
    """
    server, _ = await t.serve(start_serving=False)
    task = t.loop.create_task(server.serve_forever())
    await t.turns()
    serving = [server.is_serving()]
    task.cancel()
    outcome = await t.within(t.outcome_of(task), 2.0)
    return {"serve_forever": outcome, "serving": [*serving, server.is_serving()]}


@area.check(expect={"type": "CancelledError", "text": ""})
async def close_ends_serve_forever(t: Trial) -> object:
    """Server.close() makes serve_forever() raise CancelledError.

    spec: CPython Lib/asyncio/base_events.py, Server.close; uvloop#602
    """
    server, _ = await t.serve()
    task = t.loop.create_task(server.serve_forever())
    await t.turns()
    server.close()
    outcome = await t.within(t.outcome_of(task), 2.0)
    if isinstance(outcome, dict):
        outcome["text"] = ""  # the message of the cancellation is nobody's promise
    return outcome


@area.check(
    expect={"serve_forever": "CancelledError", "client": "connection_lost(None)"},
    since=(3, 14, 10),
)
async def serve_forever_cancel_closes_clients(t: Trial) -> object:
    """Cancelling serve_forever() also closes the clients, so that it does not wait for them.

    spec: CPython gh-123720
    """
    server, protocol, _ = await _with_a_client(t)
    task = t.loop.create_task(server.serve_forever())
    await t.turns()
    task.cancel()
    outcome = await t.within(t.outcome_of(task), 2.0)
    return {
        "serve_forever": outcome["type"] if isinstance(outcome, dict) else outcome,
        "client": protocol.calls[-1],
    }


@area.check(
    expect={
        "twice": "RuntimeError: server <...> is already being awaited on serve_forever()",
        "closed": "RuntimeError: server <...> is closed",
    }
)
async def serve_forever_twice(t: Trial) -> object:
    """serve_forever() is refused a second time, and on a closed server.

    text: CPython Lib/asyncio/base_events.py, Server.serve_forever
    """
    server, _ = await t.serve()
    task = t.loop.create_task(server.serve_forever())
    await t.turns()
    seen = {"twice": text(await t.within(t.outcome_of(server.serve_forever()), 2.0))}
    task.cancel()
    await t.within(asyncio.wait([task]), 2.0)
    server.close()
    seen["closed"] = text(await t.within(t.outcome_of(server.serve_forever()), 2.0))
    return seen


@area.check(expect={"inside": True, "outside": False, "same": True})
async def async_with(t: Trial) -> object:
    """`async with server` closes it at the end.

    spec: docs, asyncio.Server: asynchronous context manager
    """
    server, _ = await t.serve()
    async with server as inner:
        seen = {"inside": server.is_serving(), "same": inner is server}
    return {**seen, "outside": server.is_serving()}


# -- what goes wrong ------------------------------------------------------------------------------


@area.check(expect={"first client": b"", "second client": b"hello", "reports": []})
async def factory_error_keeps_serving(t: Trial) -> object:
    """A protocol factory that raises costs its client the connection, and no other one's.

    spec: CPython Lib/asyncio/selector_events.py, _accept_connection2
    """
    asked = 0

    def factory() -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ValueError("no protocol")
        return Hello()

    server, address = await t.serve(factory)
    seen = {
        "first client": await greet(t, address),
        "second client": await greet(t, address),
        "reports": t.take_errors(),
    }
    server.close()
    return seen


@area.check(
    expect=[
        {
            "message": "Error on transport creation for incoming connection",
            "exception": {"type": "ValueError", "text": "no protocol"},
            "keys": ["exception", "message"],
        }
    ]
)
async def debug_factory_error_is_reported(t: Trial) -> object:
    """In debug mode a protocol factory that raises is reported.

    text: CPython Lib/asyncio/selector_events.py, _accept_connection2
    """
    t.loop.set_debug(True)

    def factory() -> Any:
        raise ValueError("no protocol")

    server, address = await t.serve(factory)
    await greet(t, address)
    server.close()
    return t.take_errors()


async def _resets(t: Trial, address: Any, count: int) -> None:
    """Connections that are reset before the loop has had time to accept them."""
    for _ in range(count):
        client = socket.create_connection(address, 2)
        t.reset(client)


@area.check(expect={"answer": b"hello", "reports": [], "serving": True})
async def rst_before_accept_keeps_serving(t: Trial) -> object:
    """Clients that reset their connections before they are accepted do not hurt the server.

    spec: CPython gh-93821: the stock proactor loop closes the listening socket
    """
    server, address = await t.serve(Hello)
    await _resets(t, address, 20)
    await t.settle(0.02)
    seen = {
        "answer": await greet(t, address),
        "reports": t.take_errors(),
        "serving": server.is_serving(),
    }
    server.close()
    return seen


@area.check(expect={"answer": b"hello", "reports": []}, limit=30.0)
async def server_survives_rst_storm(t: Trial) -> object:
    """Ten thousand connections that are reset at once leave a server that serves.

    portable: CPython gh-93821 (open): the stock proactor loop's server dies
    """
    accepted: list[Hello] = []

    def factory() -> Hello:
        accepted.append(Hello())
        return accepted[-1]

    server, address = await t.serve(factory)
    for batch in range(200):
        await _resets(t, address, 50)
        await t.turns(2)
        for _ in range(50):  # a loop may accept one a turn; what it never tells is not waited for
            if len(accepted) >= 50 * batch:
                break
            await t.turns(1)
    await t.settle(0.02)
    seen = {"answer": await greet(t, address), "reports": t.take_errors()}
    server.close()
    return seen


@area.check(
    expect={
        "report": "socket.accept() out of system resource",
        "exception": "EMFILE",
        "keys": ["exception", "message", "socket"],
        "accepted while there is none": False,
        "accepted in the end": True,
    },
    needs=("posix",),
)
async def emfile_accept_backoff(t: Trial) -> object:
    """Without a free descriptor accepting stops for a second, says so, and goes on.

    text: CPython Lib/asyncio/selector_events.py, _accept_connection; ACCEPT_RETRY_DELAY
    """
    import resource

    accepted: list[Any] = []

    class Notes(Recorder):
        def connection_made(self, transport: Any) -> None:
            accepted.append(transport)

    server, address = await t.serve(Notes)
    client = t.closing(socket.socket())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hogs: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    try:
        try:
            while True:
                hogs.append(os.dup(client.fileno()))
        except OSError:
            pass
        client.connect(address)
        start = time.monotonic()
        await t.until(lambda: t.errors, 2.0)
        while_none = bool(accepted)
    finally:
        for hog in hogs:
            os.close(hog)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await t.until(lambda: accepted, 4.0)
    t.note("accepted after s", round(time.monotonic() - start, 2))
    await t.settle(0.1)  # the loop may have set a timer for each time that it tried
    first = t.errors[0] if t.errors else {}
    t.errors = []  # how often it is said before a second is over is nobody's promise
    for transport in accepted:
        transport.abort()
    server.close()
    return {
        "report": first.get("message"),
        "exception": t.error(first["exception"]).get("errno") if first else None,
        "keys": sorted(first),
        "accepted while there is none": while_none,
        "accepted in the end": bool(accepted),
    }


# -- contexts and streams -------------------------------------------------------------------------


@area.check(
    expect={"factory": "creator", "connection_made": "creator", "data_received": "creator"},
    since=(3, 15),
)
async def context_captured_at_creation(t: Trial) -> object:
    """Everything of an accepted connection runs in a copy of the context that made the server.

    spec: CPython gh-140947 (3.15), test_server_context
    """
    seen: dict[str, str] = {}

    class Looks(Recorder):
        def connection_made(self, transport: Any) -> None:
            seen["connection_made"] = _name.get()
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            seen["data_received"] = _name.get()
            super().data_received(data)

    made: list[Looks] = []

    def factory() -> Looks:
        seen["factory"] = _name.get()
        made.append(Looks())
        return made[-1]

    async def create() -> Any:
        _name.set("creator")
        return await t.serve(factory)

    server, address = await t.loop.create_task(create())
    _name.set("somebody else")
    client = await t.dial(address)
    client.send(b"x")
    await t.until(lambda: made and made[0].data)
    made[0].transport.close()
    server.close()
    return seen


@area.check(expect={"answer": b"", "reports": ["ZeroDivisionError"]}, since=(3, 15))
async def start_server_plain_cb_error_closes(t: Trial) -> object:
    """A plain function given to start_server() that raises is reported and its connection closed.

    spec: CPython gh-155941 (3.15)
    """

    def connected(reader: object, writer: object) -> None:
        raise ZeroDivisionError

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    answer = await greet(t, server.sockets[0].getsockname())
    reports, t.errors = t.errors, []
    server.close()
    return {
        "answer": answer,
        "reports": [type(report.get("exception")).__name__ for report in reports],
    }


@area.check(
    expect={
        "answer": b"",
        "reports": [["Unhandled exception in client_connected_cb", "ZeroDivisionError"]],
    },
    since=(3, 12),
)
async def start_server_coroutine_error_closes(t: Trial) -> object:
    """A coroutine given to start_server() that raises is reported and its connection closed.

    text: CPython Lib/asyncio/streams.py, connection_made (gh-110894)
    """

    async def connected(reader: object, writer: object) -> None:
        raise ZeroDivisionError

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    answer = await greet(t, server.sockets[0].getsockname())
    await t.until(lambda: t.errors, 1.0)
    reports, t.errors = t.errors, []
    server.close()
    return {
        "answer": answer,
        "reports": [
            [report["message"], type(report.get("exception")).__name__] for report in reports
        ],
    }


@area.check(expect=b"hello", limit=15.0)
async def server_survives_garbage_collection(t: Trial) -> object:
    """A server that nobody holds goes on serving as long as the loop lives.

    spec: CPython Lib/asyncio/selector_events.py: the reader's handle holds what accepting needs
    """
    import gc

    server, address = await t.serve(Hello)
    del server
    gc.collect()
    return await greet(t, address)
