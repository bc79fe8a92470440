# SPDX-License-Identifier: MIT
"""tcp: reading, end of file, errors of protocols and peers."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ..protocols import BufferedRecorder, Recorder
from ..trial import Trial
from ..versions import fixed_in
from .tcp import area

# -- reading --------------------------------------------------------------------------------------


@area.check(expect=["connection_made", "create_connection returned", "data_received"])
async def connection_made_comes_first(t: Trial) -> object:
    """connection_made() precedes all data, and the caller of create_connection() too.

    spec: CPython Lib/asyncio/selector_events.py: the order of the three call_soon of a transport
    """
    ours, peer = t.tcp_pair()
    peer.send(b"early")
    _, protocol = await t.loop.create_connection(Recorder, sock=ours)
    if "data_received" in protocol.calls:  # legal: reading starts before the caller wakes up
        protocol.calls.remove("data_received")
    protocol.saw("create_connection returned")
    await protocol.received(5)
    if "data_received" not in protocol.calls:
        protocol.saw("data_received")
    return protocol.calls


@area.check(expect={"type": "bytes", "whole": True})
async def data_received_gets_bytes(t: Trial) -> object:
    """data_received() gets bytes objects, together everything that was sent.

    spec: docs, Protocol.data_received: "data is a non-empty bytes object"
    """
    kinds: set[str] = set()

    class Typed(Recorder):
        def data_received(self, data: bytes) -> None:
            kinds.add(type(data).__name__ if data else "empty")
            super().data_received(data)

    _, protocol, peer = await t.connect(Typed)
    data = bytes(range(256)) * 2000
    sender = t.in_thread(_send_all, peer, data)
    received = await protocol.received(len(data))
    sender.join()
    return {"type": ",".join(sorted(kinds)), "whole": received == data}


def _send_all(sock: socket.socket, data: bytes) -> None:
    sock.setblocking(True)
    sock.sendall(data)


@area.check(expect=["connection_made", "data_received", "eof_received", "connection_lost(None)"])
async def eof_none_closes(t: Trial) -> object:
    """At the peer's end of file a protocol whose eof_received() returns None is closed.

    spec: docs, Protocol.eof_received
    """
    _, protocol, peer = await t.connect()
    peer.send(b"x")
    peer.close()
    await protocol.lost
    return protocol.calls


@area.check(
    expect={
        "calls": ["connection_made", "eof_received"],
        "closing": False,
        "peer received": b"answer",
        "afterwards": "connection_lost(None)",
    }
)
async def half_close_eof_true_keeps_writing(t: Trial) -> object:
    """A protocol whose eof_received() returns True can go on writing.

    spec: docs, Protocol.eof_received
    """
    transport, protocol, peer = await t.connect(lambda: Recorder(keep_open=True))
    peer.shutdown(socket.SHUT_WR)
    await protocol.eof
    await t.turns()
    seen = {"calls": list(protocol.calls), "closing": transport.is_closing()}
    transport.write(b"answer")
    seen["peer received"] = await t.receive(peer, 6)
    transport.close()
    await protocol.lost
    return {**seen, "afterwards": protocol.calls[-1]}


@area.check(expect=["connection_made"], since=fixed_in((3, 11, 5), (3, 12), (3, 13)))
async def pause_in_connection_made(t: Trial) -> object:
    """pause_reading() in connection_made() holds: nothing is read until resume_reading().

    spec: CPython gh-106527 (3.12, 3.11.5)
    """

    class Pauses(Recorder):
        def connection_made(self, transport: Any) -> None:
            transport.pause_reading()
            super().connection_made(transport)

    ours, peer = t.tcp_pair()
    peer.send(b"early")
    _, protocol = await t.loop.create_connection(Pauses, sock=ours)
    await t.settle()
    return protocol.calls


@area.check(expect={"while paused": b"a", "after resume": b"abc"})
async def pause_reading_immediate(t: Trial) -> object:
    """No data comes after pause_reading(), not even what has arrived already.

    spec: docs, ReadTransport.pause_reading: "No data will be passed to the protocol's
    data_received() until resume_reading() is called"
    """

    class PausesAtData(Recorder):
        pauses = True

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.pauses:
                self.transport.pause_reading()

    transport, protocol, peer = await t.connect(PausesAtData)
    peer.send(b"a")
    await protocol.received(1)
    peer.send(b"b")
    await t.settle(0.02)
    peer.send(b"c")
    await t.settle(0.02)
    seen = {"while paused": bytes(protocol.data)}
    protocol.pauses = False
    transport.resume_reading()
    return {**seen, "after resume": await protocol.received(3)}


@area.check(
    expect={
        "open": [None, None, False, None, None, True],
        "closed": [None, None, None, None],
        "is_reading when closed": False,
    }
)
async def pause_resume_idempotent_closed(t: Trial) -> object:
    """pause_reading() and resume_reading() may be repeated, and called when it is over.

    spec: docs, ReadTransport: "idempotent"; CPython gh-77639
    """
    transport, protocol, _ = await t.connect()
    opened = [
        t.outcome(transport.pause_reading),
        t.outcome(transport.pause_reading),
        transport.is_reading(),
        t.outcome(transport.resume_reading),
        t.outcome(transport.resume_reading),
        transport.is_reading(),
    ]
    transport.close()
    closed = [t.outcome(transport.pause_reading), t.outcome(transport.resume_reading)]
    await protocol.lost
    closed += [t.outcome(transport.pause_reading), t.outcome(transport.resume_reading)]
    return {"open": opened, "closed": closed, "is_reading when closed": transport.is_reading()}


@area.check(expect="connection_lost(None)")
async def paused_reader_does_not_see_the_end(t: Trial) -> object:
    """The end of file waits behind pause_reading() as data does.

    spec: docs, ReadTransport.pause_reading
    """
    transport, protocol, peer = await t.connect()
    transport.pause_reading()
    peer.close()
    await t.settle(0.02)
    if protocol.calls != ["connection_made"]:
        return protocol.calls
    transport.resume_reading()
    await protocol.lost
    return protocol.calls[-1]


@area.check(
    expect={
        "before": b"plain",
        "buffered": b"buffered",
        "hint": [-1],
        "back": b"again",
    }
)
async def set_protocol_buffered_midstream(t: Trial) -> object:
    """set_protocol() changes between the two kinds of protocols without losing anything.

    spec: docs, BaseTransport.set_protocol; CPython test_selector_events test_set_protocol
    """
    transport, plain, peer = await t.connect()
    peer.send(b"plain")
    seen: dict[str, object] = {"before": await plain.received(5)}
    buffered = BufferedRecorder()
    transport.set_protocol(buffered)
    peer.send(b"buffered")
    seen["buffered"] = await buffered.received(8)
    seen["hint"] = sorted(set(buffered.hints))
    again = Recorder()
    transport.set_protocol(again)
    peer.send(b"again")
    seen["back"] = await again.received(5)
    return seen


@area.check(expect={"data": True, "hints": [-1], "last": ["eof_received", "connection_lost(None)"]})
async def buffered_protocol(t: Trial) -> object:
    """A BufferedProtocol is asked for a buffer with -1 and told how much is in it.

    spec: docs, BufferedProtocol.get_buffer: "sizehint can be -1"
    """
    _, protocol, peer = await t.connect(BufferedRecorder)
    data = bytes(range(250)) * 100
    sender = t.in_thread(_send_all, peer, data)
    received = await protocol.received(len(data))
    sender.join()
    peer.close()
    await protocol.lost
    return {
        "data": received == data,
        "hints": sorted(set(protocol.hints)),
        "last": protocol.calls[-2:],
    }


@area.check(expect={"data": b"0123456789", "largest": 3})
async def buffered_proto_short_buffers(t: Trial) -> object:
    """A BufferedProtocol with a tiny buffer gets everything, never more than fits at once.

    spec: docs, BufferedProtocol
    """
    sizes: list[int] = []

    class Tiny(BufferedRecorder):
        def __init__(self) -> None:
            super().__init__(3)

        def buffer_updated(self, nbytes: int) -> None:
            sizes.append(nbytes)
            super().buffer_updated(nbytes)

    _, protocol, peer = await t.connect(Tiny)
    peer.send(b"0123456789")
    return {"data": await protocol.received(10), "largest": max(sizes)}


# -- errors of protocols --------------------------------------------------------------------------


def _failing(method: str) -> Any:
    """A recording protocol that raises in one of its methods."""

    def fail(self: Any, *args: Any) -> Any:
        self.saw(method)
        raise ZeroDivisionError("in a protocol")

    return type("Failing", (Recorder,), {method: fail})


def _fatal(method: str) -> dict[str, object]:
    return {
        "reports": [
            {
                "message": f"Fatal error: protocol.{method}() call failed.",
                "exception": {"type": "ZeroDivisionError", "text": "in a protocol"},
                "keys": ["exception", "message", "protocol", "transport"],
            }
        ],
        "calls": ["connection_made", method, "connection_lost(ZeroDivisionError)"],
    }


@area.check(expect=_fatal("data_received"))
async def data_received_raises_closes(t: Trial) -> object:
    """An exception of data_received() is reported, and closes the transport with it.

    Its protocol would go on with half a message otherwise.

    text: CPython Lib/asyncio/selector_events.py, _read_ready__data_received
    """
    _, protocol, peer = await t.connect(_failing("data_received"))
    peer.send(b"x")
    await t.within(protocol.lost, 2.0)
    return {"reports": t.take_errors(), "calls": protocol.calls}


@area.check(expect=_fatal("eof_received"))
async def eof_received_raises_closes(t: Trial) -> object:
    """An exception of eof_received() is reported, and closes the transport with it.

    text: CPython Lib/asyncio/selector_events.py, _read_ready__on_eof
    """
    _, protocol, peer = await t.connect(_failing("eof_received"))
    peer.close()
    await t.within(protocol.lost, 2.0)
    return {"reports": t.take_errors(), "calls": protocol.calls}


@area.check(
    expect={
        "reports": [
            {
                "message": "Fatal error: protocol.buffer_updated() call failed.",
                "exception": {"type": "ZeroDivisionError", "text": "division by zero"},
                "keys": ["exception", "message", "protocol", "transport"],
            }
        ],
        "last": "connection_lost(ZeroDivisionError)",
    }
)
async def buffer_updated_raises_closes(t: Trial) -> object:
    """An exception of buffer_updated() is reported, and closes the transport with it.

    text: CPython Lib/asyncio/selector_events.py, _read_ready__get_buffer
    """

    class Fails(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            _ = 1 / 0

    _, protocol, peer = await t.connect(Fails)
    peer.send(b"x")
    await t.within(protocol.lost, 2.0)
    return {"reports": t.take_errors(), "last": protocol.calls[-1]}


@area.check(
    expect={
        "reports": [
            {
                "message": "Fatal error: protocol.get_buffer() call failed.",
                "exception": {
                    "type": "RuntimeError",
                    "text": "get_buffer() returned an empty buffer",
                },
                "keys": ["exception", "message", "protocol", "transport"],
            }
        ],
        "last": "connection_lost(RuntimeError)",
    }
)
async def get_buffer_empty_error(t: Trial) -> object:
    """An empty buffer is an error of the protocol's, reported and fatal.

    text: CPython Lib/asyncio/selector_events.py, _read_ready__get_buffer
    """
    _, protocol, peer = await t.connect(lambda: BufferedRecorder(0))
    peer.send(b"x")
    await t.within(protocol.lost, 2.0)
    return {"reports": t.take_errors(), "last": protocol.calls[-1]}


@area.check(
    expect={
        "reported": ["ZeroDivisionError"],
        "message begins": "Exception in callback ",
        "create_connection": "returned",
        "calls": ["connection_made", "data_received"],
    }
)
async def connection_made_raises_reported(t: Trial) -> object:
    """An exception of connection_made() is reported as a callback's, and the connection stays.

    spec: CPython Lib/asyncio/selector_events.py: connection_made is called by call_soon
    """
    ours, peer = t.tcp_pair()
    _, protocol = await t.loop.create_connection(_failing("connection_made"), sock=ours)
    peer.send(b"x")
    await t.within(protocol.received(1), 2.0)
    reports, t.errors = t.errors, []
    return {
        "reported": [type(report.get("exception")).__name__ for report in reports],
        "message begins": str(reports[0]["message"])[:22] if reports else "",
        "create_connection": "returned",
        "calls": protocol.calls,
    }


@area.check(expect={"reported": ["ZeroDivisionError"], "socket closed": True})
async def connection_lost_raises_reported(t: Trial) -> object:
    """An exception of connection_lost() is reported as a callback's, and the socket is closed.

    spec: CPython Lib/asyncio/selector_events.py, _call_connection_lost
    """
    transport, _, peer = await t.connect(_failing("connection_lost"))
    transport.close()
    ended = await t.receive_all(peer) == b""
    await t.until(lambda: t.errors, 1.0)
    reports, t.errors = t.errors, []
    return {
        "reported": [type(report.get("exception")).__name__ for report in reports],
        "socket closed": ended,
    }


@area.check(expect={"raised": {"type": "SystemExit", "text": "7"}, "reports": []})
def data_received_systemexit_propagates(t: Trial) -> object:
    """SystemExit in data_received() leaves run_forever().

    spec: CPython Lib/asyncio/selector_events.py: "except (SystemExit, KeyboardInterrupt): raise"
    """

    class Leaves(Recorder):
        def data_received(self, data: bytes) -> None:
            raise SystemExit(7)

    async def main() -> Any:
        transport, _, peer = await t.connect(Leaves)
        peer.send(b"x")
        await asyncio.sleep(3)
        return transport

    try:
        t.run(main())
    except SystemExit as error:
        return {"raised": error, "reports": t.take_errors()}
    return {"raised": "nothing", "reports": t.take_errors()}


# -- errors of peers ------------------------------------------------------------------------------


@area.check(
    expect={
        "calls": ["connection_made", "connection_lost(ConnectionResetError)"],
        "errno": "ECONNRESET",
        "reports": [],
    }
)
async def peer_rst_ConnectionResetError(t: Trial) -> object:
    """A peer's reset is connection_lost(ConnectionResetError), without eof_received, unreported.

    spec: CPython Lib/asyncio/selector_events.py, _fatal_error logs OSError in debug mode only
    """
    _, protocol, peer = await t.connect()
    t.reset(peer)
    error = await t.within(protocol.lost, 2.0)
    return {
        "calls": protocol.calls,
        "errno": t.error(error).get("errno") if isinstance(error, OSError) else error,
        "reports": t.take_errors(),
    }


@area.check(
    expect={"while paused": ["connection_made"], "then": "a connection error", "reports": []}
)
async def reader_paused_peer_rst_detected_on_write(t: Trial) -> object:
    """A reset that a paused reader has not seen shows itself when something is written.

    spec: CPython Lib/asyncio/selector_events.py, write: _fatal_error
    """
    transport, protocol, peer = await t.connect()
    transport.pause_reading()
    t.reset(peer)
    await t.settle(0.02)
    seen: dict[str, object] = {"while paused": list(protocol.calls)}
    for _ in range(3):
        transport.write(b"x")
        await t.settle(0.01)
    error = await t.within(protocol.lost, 2.0)
    seen["then"] = "a connection error" if isinstance(error, ConnectionError) else error
    return {**seen, "reports": t.take_errors()}


@area.check(expect={"lost": "BrokenPipeError or ConnectionResetError", "reports": []})
async def write_to_a_gone_peer(t: Trial) -> object:
    """Writing to a peer that has closed ends in connection_lost() with a connection error.

    spec: CPython Lib/asyncio/selector_events.py, write
    """
    transport, protocol, peer = await t.connect(lambda: Recorder(keep_open=True))
    peer.close()
    await protocol.eof
    for _ in range(5):
        transport.write(b"x" * 1000)
        await t.settle(0.01)
    error = await t.within(protocol.lost, 2.0)
    good = isinstance(error, (BrokenPipeError, ConnectionResetError))
    return {
        "lost": "BrokenPipeError or ConnectionResetError" if good else error,
        "reports": t.take_errors(),
    }


@area.check(expect={"log": [], "reports": []})
async def quiet_when_both_sides_close(t: Trial) -> object:
    """Two sides that close at the same moment leave nothing in the log.

    portable: the stock proactor logs a ConnectionResetError of its shutdown(); asyncpg PR 1190
    """
    for _ in range(5):
        transport, protocol, peer = await t.connect()
        transport.write(b"bye")
        peer.close()
        transport.close()
        await protocol.lost
    await t.settle(0.02)
    return {"log": t.take_log(), "reports": t.take_errors()}
