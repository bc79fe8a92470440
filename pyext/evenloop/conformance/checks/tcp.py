# SPDX-License-Identifier: MIT
"""tcp: writing, flow control, and closing by our own side."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import time
from typing import Any

from ..check import Area
from ..protocols import Recorder
from ..trial import NotApplicable, Trial
from ..versions import by_version, fixed_in

area = Area("tcp", "TCP transports and connecting")

MEBIBYTE = 1 << 20


def _readable(sock: socket.socket, seconds: float) -> bool:
    """Whether something can be read, without the loop's help."""
    return bool(select.select([sock], [], [], seconds)[0])


async def _fill(t: Trial, transport: Any) -> None:
    """Write until the peer's and our socket are full and something stays in the buffer."""
    await t.turns(2)
    for _ in range(64):
        transport.write(bytes(MEBIBYTE))
        if transport.get_write_buffer_size() > MEBIBYTE:
            return


# -- what it is -----------------------------------------------------------------------------------


@area.check(expect=True)
async def isinstance_Transport(t: Trial) -> object:
    """A TCP transport is an asyncio.Transport.

    spec: docs, "Transports Hierarchy"; asserted by CPython test_events
    """
    transport, _, _ = await t.connect()
    return isinstance(transport, asyncio.Transport)


@area.check(expect={"get_protocol": True, "is_reading": True, "is_closing": [False, True]})
async def transport_state(t: Trial) -> object:
    """A new transport reads and is not closing; it knows its protocol.

    spec: docs, BaseTransport and ReadTransport
    """
    transport, protocol, _ = await t.connect()
    seen = {
        "get_protocol": transport.get_protocol() is protocol,
        "is_reading": transport.is_reading(),
    }
    closing = [transport.is_closing()]
    transport.close()
    closing.append(transport.is_closing())
    await protocol.lost
    return {**seen, "is_closing": closing}


# -- writing --------------------------------------------------------------------------------------


@area.check(expect={"on the wire when write() returned": True, "received": b"hello"})
async def write_is_eager(t: Trial) -> object:
    """A write to an idle transport is on the wire before write() returns.

    spec: CPython Lib/asyncio/selector_events.py, write tries to send at once; test_events
    test_write_pipe
    """
    transport, _, peer = await t.connect()
    transport.write(b"hello")
    there = _readable(peer, 0.5)
    return {
        "on the wire when write() returned": there,
        "received": peer.recv(100) if there else await t.receive(peer, 5),
    }


@area.check(expect={"received": b"onetwothree"})
async def writes_keep_their_order(t: Trial) -> object:
    """What is written in several calls arrives in that order.

    spec: docs, WriteTransport.write
    """
    transport, _, peer = await t.connect()
    transport.write(b"one")
    transport.write(bytearray(b"two"))
    transport.write(memoryview(b"three"))
    return {"received": await t.receive(peer, 11)}


@area.check(expect="on the wire")
def write_before_stop_is_sent(t: Trial) -> object:
    """What is written in the very turn that stops the loop is on the wire when the run returns.

    spec: CPython Lib/asyncio/selector_events.py, write sends at once; uvloop#631
    """
    peers: list[socket.socket] = []

    async def main() -> None:
        transport, _, peer = await t.connect()
        peers.append(peer)
        transport.write(b"a")
        transport.write(b"b")

    t.run(main())
    deadline = time.monotonic() + 0.5
    data = b""
    while len(data) < 2 and time.monotonic() < deadline:
        if _readable(peers[0], 0.1):
            data += peers[0].recv(10)
    return "on the wire" if data == b"ab" else f"only {data!r}"


@area.check(expect=None)
async def write_nothing(t: Trial) -> object:
    """Writing b'' does nothing.

    spec: CPython Lib/asyncio/selector_events.py, write
    """
    transport, _, peer = await t.connect()
    seen = t.outcome(transport.write, b"")
    await t.turns()
    return "something was sent" if _readable(peer, 0) else seen


@area.check(expect={"after close": {"write": None}, "after connection_lost": {"write": None}})
async def write_after_close_silent(t: Trial) -> object:
    """write() on a transport that was closed, by us or by the peer, drops the data silently.

    A protocol cannot know yet that the connection has gone.

    spec: CPython Lib/asyncio/selector_events.py, write; uvloop#506
    """
    transport, protocol, _ = await t.connect()
    transport.close()
    seen = {"after close": {"write": t.outcome(transport.write, b"x")}}
    await protocol.lost
    seen["after connection_lost"] = {"write": t.outcome(transport.write, b"x")}
    return seen


@area.check(
    expect={
        "write": None,
        "write_eof": None,
        "set_write_buffer_limits": None,
        "pause_reading": None,
        "resume_reading": None,
        "close": None,
        "abort": None,
    }
)
async def methods_after_connection_lost(t: Trial) -> object:
    """No method of a transport raises because its connection has gone.

    spec: CPython Lib/asyncio/selector_events.py; uvloop#506
    """
    transport, protocol, peer = await t.connect()
    t.reset(peer)
    await protocol.lost
    return {
        "write": t.outcome(transport.write, b"x"),
        "write_eof": t.outcome(transport.write_eof),
        "set_write_buffer_limits": t.outcome(transport.set_write_buffer_limits, 100),
        "pause_reading": t.outcome(transport.pause_reading),
        "resume_reading": t.outcome(transport.resume_reading),
        "close": t.outcome(transport.close),
        "abort": t.outcome(transport.abort),
    }


@area.check(expect={"after close": None, "after connection_lost": None})
async def writelines_after_close_silent(t: Trial) -> object:
    """writelines() on a transport that was closed drops the data silently, as write() does.

    portable: the stock selector loop of 3.12, and of 3.13 at first, raises AttributeError
    """
    transport, protocol, _ = await t.connect()
    transport.close()
    seen = {"after close": t.outcome(transport.writelines, [b"x", b"y"])}
    await protocol.lost
    return {**seen, "after connection_lost": t.outcome(transport.writelines, [b"x", b"y"])}


@area.check(expect={"after 4": [], "after 6": ["WARNING: socket.send() raised exception."] * 2})
async def write_after_connlost_warns_after_5(t: Trial) -> object:
    """From the fifth dropped write on, each is logged.

    text: CPython Lib/asyncio/constants.py, LOG_THRESHOLD_FOR_CONNLOST_WRITES
    """
    transport, protocol, _ = await t.connect()
    transport.abort()
    await protocol.lost
    for _ in range(4):
        transport.write(b"x")
    seen = {"after 4": t.take_log()}
    for _ in range(2):
        transport.write(b"x")
    return {**seen, "after 6": t.take_log()}


@area.check(
    expect={
        "write": {"type": "RuntimeError", "text": "Cannot call write() after write_eof()"},
        "write nothing": {
            "type": "RuntimeError",
            "text": "Cannot call write() after write_eof()",
        },
        "write_eof": None,
        "can_write_eof": True,
    }
)
async def write_after_write_eof(t: Trial) -> object:
    """write() after write_eof() is refused; a second write_eof() is nothing.

    text: CPython Lib/asyncio/selector_events.py, write
    """
    transport, _, _ = await t.connect()
    transport.write_eof()
    return {
        "write": t.outcome(transport.write, b"x"),
        "write nothing": t.outcome(transport.write, b""),
        "write_eof": t.outcome(transport.write_eof),
        "can_write_eof": transport.can_write_eof(),
    }


@area.check(
    expect=by_version(
        {"type": "RuntimeError", "text": "Cannot call write() after write_eof()"},
        {
            (3, 12): {
                "type": "RuntimeError",
                "text": "Cannot call writelines() after write_eof()",
            }
        },
    )
)
async def writelines_after_write_eof(t: Trial) -> object:
    """writelines() after write_eof() is refused.

    text: CPython Lib/asyncio/selector_events.py, writelines (its own text since 3.12)
    """
    transport, _, _ = await t.connect()
    transport.write_eof()
    return t.outcome(transport.writelines, [b"x"])


def _not_bytes(article: str) -> dict[str, object]:
    return {
        kind: {
            "type": "TypeError",
            "text": f"data argument must be a {article} object, not '{kind}'",
        }
        for kind in ("str", "NoneType", "int", "list")
    }


@area.check(
    expect=by_version(
        _not_bytes("bytes-like"), {(3, 14): _not_bytes("bytes, bytearray, or memoryview")}
    )
)
async def write_type_error(t: Trial) -> object:
    """write() refuses what is not bytes, when it is called.

    text: CPython Lib/asyncio/selector_events.py, write (3.14 names the types)
    """
    transport, _, _ = await t.connect()
    wrong: list[Any] = ["x", None, 0, []]
    return {type(data).__name__: t.outcome(transport.write, data) for data in wrong}


@area.check(expect={"bytes that the later change reached": 0})
async def write_copies_mutable_buffer(t: Trial) -> object:
    """Changing a bytearray after write() has returned does not change what is sent.

    A program that fills one buffer again and again sends garbage otherwise, only under load.

    portable: docs up to 3.11 promised nothing, the transport copied; since 3.12 the stock loop
    keeps a view of the caller's buffer (gh-91166), as uvloop does
    """
    transport, _, peer = await t.connect(small=True)
    buffer = bytearray(4 * MEBIBYTE)
    transport.write(buffer)
    buffer[:] = b"\xff" * len(buffer)
    received = await t.receive(peer, len(buffer))
    return {"bytes that the later change reached": len(received) - received.count(0)}


@area.check(expect="can be resized")
async def write_does_not_pin_the_buffer(t: Trial) -> object:
    """A bytearray that write() has taken can be resized when it returns.

    portable: a bytearray with views of it raises BufferError when it is resized; gh-91166
    """
    transport, _, _ = await t.connect(small=True)
    buffer = bytearray(4 * MEBIBYTE)
    transport.write(buffer)
    try:
        buffer.append(0)
    except BufferError:
        return "pinned"
    return "can be resized"


@area.check(expect={"received": True, "buffer afterwards": 0})
async def large_write_arrives_whole(t: Trial) -> object:
    """Eight mebibytes in one write arrive as they were, whatever the kernel takes at once.

    spec: docs, WriteTransport.write
    """
    transport, _, peer = await t.connect(small=True)
    data = bytes(range(256)) * (8 * MEBIBYTE // 256)
    transport.write(data)
    received = await t.receive(peer, len(data))
    await t.until(lambda: not transport.get_write_buffer_size(), 1.0)
    return {
        "received": received == data,
        "buffer afterwards": transport.get_write_buffer_size(),
    }


def _available_memory() -> float:
    """How much memory this machine can still give; infinite where nobody says."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return float("inf")


@area.check(expect={"buffered": "2 GiB less what the kernel took", "read": b"\0" * 8}, limit=30.0)
async def large_single_write_2GiB(t: Trial) -> object:
    """A single write of more than 2 GiB is not cut by a length of 32 bits.

    portable: Windows' WSASend and libuv's buffers there take 32 bits
    """
    size = (1 << 31) + 5
    if _available_memory() < 3 * size:
        raise NotApplicable("this machine has not enough memory for 2 GiB")
    transport, _, peer = await t.connect()
    transport.write(bytes(size))  # zeros that take no memory as long as nobody copies them
    left = transport.get_write_buffer_size()
    received = await t.receive(peer, 8)
    transport.abort()
    t.note("taken at once", size - left)
    whole = size - 64 * MEBIBYTE < left < size
    return {"buffered": "2 GiB less what the kernel took" if whole else left, "read": received}


@area.check(expect={"received": b"abbccc", "empty": None, "nothing": None})
async def writelines_generator_and_empty(t: Trial) -> object:
    """writelines() takes any iterable, empty pieces, and all kinds of bytes.

    spec: docs, WriteTransport.writelines: "list_of_data is an iterable of bytes objects"
    """
    transport, _, peer = await t.connect()
    transport.writelines(piece for piece in (b"a", b"", bytearray(b"bb"), memoryview(b"ccc")))
    return {
        "received": await t.receive(peer, 6),
        "empty": t.outcome(transport.writelines, []),
        "nothing": t.outcome(transport.write, b""),
    }


@area.check(expect={"received": True})
async def huge_writelines_iov_max(t: Trial) -> object:
    """writelines() takes more pieces than one system call can carry.

    spec: CPython gh-91166, SC_IOV_MAX; test_selector_events
    """
    transport, _, peer = await t.connect()
    pieces = [bytes([number % 251]) * 3 for number in range(5000)]
    transport.writelines(pieces)
    data = b"".join(pieces)
    return {"received": await t.receive(peer, len(data)) == data}


@area.check(
    expect=["connection_made", "pause_writing"], since=fixed_in((3, 11), (3, 12, 9), (3, 13, 2))
)
async def writelines_pauses_protocol(t: Trial) -> object:
    """writelines() pauses the protocol as write() does.

    spec: CPython gh-127655 (3.14, 3.13.2, 3.12.9)
    """
    transport, protocol, _ = await t.connect(small=True)
    transport.writelines([bytes(MEBIBYTE)] * 8)
    seen = list(protocol.calls)
    transport.abort()
    return seen


# -- flow control ---------------------------------------------------------------------------------


@area.check(expect=[16384, 65536])
async def default_watermarks(t: Trial) -> object:
    """The write buffer's default limits are 16 KiB and 64 KiB.

    spec: CPython Lib/asyncio/transports.py, _FlowControlMixin
    """
    transport, _, _ = await t.connect()
    return transport.get_write_buffer_limits()


@area.check(
    expect={
        "high=40": [10, 40],
        "low=10": [10, 40],
        "high=0": [0, 0],
        "both": [7, 9],
        "reset": [16384, 65536],
        "low > high": {
            "type": "ValueError",
            "text": "high (5) must be >= low (6) must be >= 0",
        },
        "negative": {
            "type": "ValueError",
            "text": "high (-1) must be >= low (-1) must be >= 0",
        },
    }
)
async def limits_validation(t: Trial) -> object:
    """set_write_buffer_limits() fills in what is not given and refuses nonsense.

    text: CPython Lib/asyncio/transports.py, _set_write_buffer_limits
    """
    transport, _, _ = await t.connect()
    seen: dict[str, object] = {}

    def limits(name: str, **kwargs: int) -> None:
        transport.set_write_buffer_limits(**kwargs)
        seen[name] = transport.get_write_buffer_limits()

    limits("high=40", high=40)
    limits("low=10", low=10)
    limits("high=0", high=0)
    limits("both", high=9, low=7)
    limits("reset")
    seen["low > high"] = t.outcome(transport.set_write_buffer_limits, high=5, low=6)
    seen["negative"] = t.outcome(transport.set_write_buffer_limits, high=-1, low=-1)
    return seen


@area.check(expect="inside write()")
async def pause_writing_synchronous(t: Trial) -> object:
    """pause_writing() is called before the write() that fills the buffer returns.

    spec: CPython Lib/asyncio/transports.py, _maybe_pause_protocol; docs, "Flow control callbacks"
    """
    transport, protocol, _ = await t.connect(small=True)
    transport.write(bytes(8 * MEBIBYTE))
    paused = "pause_writing" in protocol.calls
    transport.abort()
    return "inside write()" if paused else "not yet"


@area.check(expect={"calls": ["connection_made"], "buffer": [0, 0]})
async def no_pause_if_kernel_took_it(t: Trial) -> object:
    """What the kernel takes at once is not in the buffer and does not pause, whatever the limit.

    spec: CPython Lib/asyncio/selector_events.py, write
    """
    transport, protocol, peer = await t.connect()
    transport.set_write_buffer_limits(high=1)
    transport.write(bytes(1000))
    sizes = [transport.get_write_buffer_size()]
    await t.receive(peer, 1000)
    transport.write(bytes(1000))
    sizes.append(transport.get_write_buffer_size())
    await t.turns()
    return {"calls": protocol.calls, "buffer": sizes}


@area.check(expect=["connection_made", "pause_writing", "resume_writing"])
async def resume_writing_at_low(t: Trial) -> object:
    """A protocol is paused once and resumed once, however often the buffer is written to.

    spec: docs, "Flow control callbacks": calls are paired
    """
    transport, protocol, peer = await t.connect(small=True)
    for _ in range(8):
        transport.write(bytes(MEBIBYTE))
    await t.receive(peer, 8 * MEBIBYTE)
    await t.until(lambda: "resume_writing" in protocol.calls, 1.0)
    return protocol.calls


@area.check(expect={"calls": ["pause_writing"], "size above the old limit": False})
async def set_write_buffer_limits_triggers_pause(t: Trial) -> object:
    """Lowering the limit below what is in the buffer pauses at once.

    spec: CPython Lib/asyncio/transports.py, set_write_buffer_limits calls _maybe_pause_protocol
    """
    transport, protocol, _ = await t.connect(small=True)
    transport.set_write_buffer_limits(high=1 << 30)
    await _fill(t, transport)
    above = transport.get_write_buffer_size() > 1 << 30
    transport.set_write_buffer_limits(high=1)
    calls = protocol.calls[1:]
    transport.abort()
    return {"calls": calls, "size above the old limit": above}


@area.check(
    expect=[
        {
            "message": "protocol.pause_writing() failed",
            "exception": {"type": "ValueError", "text": "full"},
            "keys": ["exception", "message", "protocol", "transport"],
        },
        "still open",
    ]
)
async def pause_writing_raises_reported(t: Trial) -> object:
    """An exception of pause_writing() is reported and ends nothing.

    text: CPython Lib/asyncio/transports.py, _maybe_pause_protocol
    """

    class Fails(Recorder):
        def pause_writing(self) -> None:
            raise ValueError("full")

    transport, _, _ = await t.connect(Fails, small=True)
    transport.write(bytes(8 * MEBIBYTE))
    seen: list[object] = list(t.take_errors())
    seen.append("closing" if transport.is_closing() else "still open")
    transport.abort()
    return seen


@area.check(expect={"drained": True, "calls": 1})
async def stream_writer_drain(t: Trial) -> object:
    """StreamWriter.drain() waits while the buffer is above the limit.

    spec: docs, StreamWriter.drain
    """
    ours, peer = t.tcp_pair(small=True)
    _, writer = await asyncio.open_connection(sock=ours)
    writer.write(bytes(8 * MEBIBYTE))
    drained: list[str] = []

    async def drain() -> None:
        await writer.drain()
        drained.append("drained")

    task = t.loop.create_task(drain())
    await t.settle(0.02)
    early = bool(drained)
    await t.receive(peer, 8 * MEBIBYTE)
    await t.within(task)
    writer.close()
    await writer.wait_closed()
    return {"drained": not early and bool(drained), "calls": len(drained)}


# -- closing --------------------------------------------------------------------------------------


@area.check(expect={"inside close()": [], "afterwards": ["connection_lost(None)"]})
async def close_is_async(t: Trial) -> object:
    """close() calls nothing by itself; connection_lost(None) comes in a later turn.

    spec: docs, BaseTransport.close: "the protocol's connection_lost() method will be called"
    """
    transport, protocol, _ = await t.connect()
    before = len(protocol.calls)
    transport.close()
    seen = {"inside close()": protocol.calls[before:]}
    await protocol.lost
    return {**seen, "afterwards": protocol.calls[before:]}


@area.check(expect={"received": 5 * MEBIBYTE, "last": "connection_lost(None)"})
async def close_flushes(t: Trial) -> object:
    """close() sends what is in the buffer before the connection goes.

    spec: docs, BaseTransport.close: "buffered data will be flushed asynchronously"
    """
    transport, protocol, peer = await t.connect(small=True)
    transport.write(bytes(5 * MEBIBYTE))
    transport.close()
    received = await t.receive_all(peer)
    await protocol.lost
    return {"received": len(received), "last": protocol.calls[-1]}


@area.check(expect=["connection_made", "connection_lost(None)"])
async def close_stops_reading(t: Trial) -> object:
    """After close() nothing is read any more, also while it flushes.

    spec: docs, BaseTransport.close: "No more data will be received"
    """
    transport, protocol, peer = await t.connect(small=True)
    transport.set_write_buffer_limits(high=1 << 30)
    transport.write(bytes(5 * MEBIBYTE))
    peer.send(b"unwanted")
    transport.close()
    await t.settle(0.02)
    # What stays unread makes the kernel send a reset behind the data.
    await t.outcome_of(t.receive_all(peer))
    await protocol.lost
    return protocol.calls


@area.check(expect={"last": "connection_lost(None)", "buffer": 0, "peer got everything": False})
async def abort_drops_buffer_lost_none(t: Trial) -> object:
    """abort() throws the buffer away, and connection_lost(None) follows.

    spec: docs, WriteTransport.abort
    """
    transport, protocol, peer = await t.connect(small=True)
    transport.write(bytes(8 * MEBIBYTE))
    transport.abort()
    await protocol.lost
    size = transport.get_write_buffer_size()
    received = 0
    try:
        received = len(await t.receive_all(peer))
    except ConnectionError:
        pass
    return {
        "last": protocol.calls[-1],
        "buffer": size,
        "peer got everything": received == 8 * MEBIBYTE,
    }


@area.check(
    expect={
        "close close": 1,
        "close abort": 1,
        "abort close": 1,
        "abort abort": 1,
        "close, then the peer resets": 1,
    }
)
async def connection_lost_once(t: Trial) -> object:
    """However a connection is ended, connection_lost() is called once.

    spec: CPython gh-156512; docs, "Connection Callbacks": "exactly once"
    """
    seen = {}
    for order in ("close close", "close abort", "abort close", "abort abort"):
        transport, protocol, _ = await t.connect()
        for name in order.split():
            getattr(transport, name)()
        await protocol.lost
        await t.turns()
        seen[order] = sum(str(call).startswith("connection_lost") for call in protocol.calls)
    transport, protocol, peer = await t.connect()
    transport.close()
    t.reset(peer)
    await protocol.lost
    await t.settle(0.01)
    seen["close, then the peer resets"] = sum(
        str(call).startswith("connection_lost") for call in protocol.calls
    )
    return seen


@area.check(expect={"peer": b"", "received": b"reply", "closed": "connection_lost(None)"})
async def write_eof_half_close(t: Trial) -> object:
    """After write_eof() the peer sees the end, and its answer still arrives.

    spec: docs, WriteTransport.write_eof: "data may still be received"
    """
    transport, protocol, peer = await t.connect()
    transport.write_eof()
    await t.until(lambda: _readable(peer, 0))
    seen: dict[str, object] = {"peer": peer.recv(10)}
    peer.send(b"reply")
    seen["received"] = await protocol.received(5)
    peer.close()
    await protocol.lost
    return {**seen, "closed": protocol.calls[-1]}


@area.check(expect={"received": 5 * MEBIBYTE, "then": "end of file"})
async def write_eof_flushes_first(t: Trial) -> object:
    """write_eof() with a full buffer ends the stream after what is in it.

    spec: docs, WriteTransport.write_eof: "after flushing all buffered data"
    """
    transport, _, peer = await t.connect(small=True)
    transport.write(bytes(5 * MEBIBYTE))
    transport.write_eof()
    received = await t.receive_all(peer)
    transport.close()
    return {"received": len(received), "then": "end of file"}


@area.check(expect={"ResourceWarning": True, "peer sees": "end of file"})
async def unclosed_transport_ResourceWarning(t: Trial) -> object:
    """A transport that goes away without being closed gives a ResourceWarning, and closes.

    spec: CPython Lib/asyncio/selector_events.py, _SelectorTransport.__del__
    """
    ours, peer = t.tcp_pair()
    transport, protocol = await t.loop.create_connection(Recorder, sock=ours)
    transport.pause_reading()
    protocol.transport = None
    await t.turns()
    del transport, protocol, ours
    t._open.pop_all()  # the only other references to the sockets
    gc.collect()
    warned = any("unclosed transport" in text for text in t.take_warnings())
    ended = await t.until(lambda: _readable(peer, 0), 1.0)
    data = t.outcome(peer.recv, 10) if ended else b"nothing"
    peer.close()
    return {"ResourceWarning": warned, "peer sees": "end of file" if data == b"" else data}


@area.check(
    expect={
        "connection_made": ["connection_made", "connection_lost(None)"],
        "data_received": ["connection_made", "data_received", "connection_lost(None)"],
        "eof_received": ["connection_made", "eof_received", "connection_lost(None)"],
        "pause_writing": ["connection_made", "pause_writing", "connection_lost(None)"],
    }
)
async def close_inside_each_callback(t: Trial) -> object:
    """A protocol may close its transport inside any of its callbacks.

    spec: docs, "Protocols": nothing forbids it; uvloop#34, uvloop#83
    """
    seen: dict[str, object] = {}

    def closing_in(name: str) -> Any:
        class Closes(Recorder):
            def saw(self, event: object) -> None:
                super().saw(event)
                if event == name:
                    self.transport.close()

            def connection_made(self, transport: Any) -> None:
                self.transport = transport
                super().connection_made(transport)

        return Closes

    for name in ("connection_made", "data_received", "eof_received", "pause_writing"):
        transport, protocol, peer = await t.connect(closing_in(name), small=True)
        if name == "data_received":
            peer.send(b"x")
        elif name == "eof_received":
            peer.shutdown(socket.SHUT_WR)
        elif name == "pause_writing":
            transport.write(bytes(8 * MEBIBYTE))
            peer.close()
        await t.within(protocol.lost, 2.0)
        seen[name] = [
            call
            if not str(call).startswith("connection_lost") or name != "pause_writing"
            # The peer goes before it has read all: the reason depends on the moment.
            else "connection_lost(None)"
            for call in protocol.calls
        ]
    return seen


@area.check(expect=["connection_made", "pause_writing", "resume_writing", "connection_lost(None)"])
async def close_inside_resume_writing(t: Trial) -> object:
    """A protocol may close its transport inside resume_writing(), and nobody complains.

    portable: the stock selector loop up to 3.13 at least calls connection_lost() twice and trips
    over it (gh-156512)
    """

    class Closes(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.close()

    transport, protocol, peer = await t.connect(Closes, small=True)
    transport.write(bytes(8 * MEBIBYTE))
    await t.receive(peer, 8 * MEBIBYTE)
    await t.within(protocol.lost, 2.0)
    await t.turns()
    return protocol.calls


@area.check(expect="survived")
async def transport_gc_in_callback(t: Trial) -> object:
    """Nothing breaks when a connection's last reference goes in one of its own callbacks.

    spec: memory safety; uvloop#34, uvloop#197
    """

    class Forgets(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            self.transport.abort()
            self.transport = None
            gc.collect()

        def connection_lost(self, exc: BaseException | None) -> None:
            lost.set_result(None)

    for _ in range(3):
        lost = t.loop.create_future()
        ours, peer = t.tcp_pair()
        await t.loop.create_connection(Forgets, sock=ours)
        peer.send(b"x")
        await lost
        gc.collect()
    return "survived"
