# SPDX-License-Identifier: MIT
"""sendfile: files through transports."""

from __future__ import annotations

import asyncio
import io
import os
import pathlib
from typing import Any

from ..check import Area
from ..trial import Trial

area = Area("sendfile", "Files through transports")

SIZE = 300_000


@area.check(expect={"result": 1000, "data": True, "tell": 1500})
async def native_offset_count_pos(t: Trial) -> object:
    """loop.sendfile sends the part asked for and leaves the file's position behind it.

    spec: docs, loop.sendfile; CPython's test_sendfile
    """
    path, data = make_file(t)
    transport, _, peer = await t.connect()
    with path.open("rb") as file:
        sent = await t.within(t.loop.sendfile(transport, file, 500, 1000))
        tell = file.tell()
    return {"result": sent, "data": await t.receive(peer, 1000) == data[500:1500], "tell": tell}


@area.check(expect={"result": SIZE, "data": True, "tell": SIZE})
async def whole_file(t: Trial) -> object:
    """Without a count everything up to the end of the file is sent.

    spec: docs, loop.sendfile
    """
    path, data = make_file(t)
    transport, _, peer = await t.connect(small=True)
    with path.open("rb") as file:
        sending = t.loop.create_task(t.loop.sendfile(transport, file))
        sent, arrived = await t.within(asyncio.gather(sending, t.receive(peer, SIZE)))
        tell = file.tell()
    return {"result": sent, "data": arrived == data, "tell": tell}


@area.check(expect={"result": 10, "data": b"0123456789"})
async def count_beyond_the_end(t: Trial) -> object:
    """A count that is longer than the file sends the file.

    spec: docs, loop.sendfile: returns the number of bytes sent
    """
    path = t.path / "short"
    path.write_bytes(b"0123456789")
    transport, _, peer = await t.connect()
    with path.open("rb") as file:
        sent = await t.within(t.loop.sendfile(transport, file, 0, 100))
    return {"result": sent, "data": await t.receive(peer, 10)}


@area.check(expect={"result": 0})
async def empty_file(t: Trial) -> object:
    """An empty file sends nothing.

    spec: CPython's test_sendfile, test_sendfile_zero_size
    """
    path = t.path / "empty"
    path.write_bytes(b"")
    transport, _, _ = await t.connect()
    with path.open("rb") as file:
        return {"result": await t.within(t.loop.sendfile(transport, file))}


@area.check(expect={"result": 6, "data": b"memory"})
async def file_without_a_descriptor(t: Trial) -> object:
    """A file object that has no descriptor is read and written instead.

    spec: docs, loop.sendfile, fallback
    """
    transport, _, peer = await t.connect()
    sent = await t.within(t.loop.sendfile(transport, io.BytesIO(b"memory")))
    return {"result": sent, "data": await t.receive(peer, 6)}


@area.check(expect={"type": "SendfileNotAvailableError"})
async def no_fallback(t: Trial) -> object:
    """fallback=False refuses what the system cannot send natively.

    spec: docs, loop.sendfile: SendfileNotAvailableError
    """
    transport, _, _ = await t.connect()
    seen = await t.outcome_of(t.loop.sendfile(transport, io.BytesIO(b"memory"), fallback=False))
    return {"type": seen["type"].rpartition(".")[2]} if isinstance(seen, dict) else seen


@area.check(expect={"type": "RuntimeError", "text": "Transport is closing"})
async def closing_transport_RuntimeError(t: Trial) -> object:
    """A closing transport is refused.

    text: BaseEventLoop.sendfile
    """
    path, _ = make_file(t)
    transport, _, _ = await t.connect()
    transport.close()
    with path.open("rb") as file:
        return await t.outcome_of(t.loop.sendfile(transport, file))


@area.check(
    expect={
        "write": {"type": "RuntimeError", "text": "unable to write; sendfile is in progress"},
        "writelines": "RuntimeError: sendfile is in progress",
        "data": True,
    },
    needs=("sendfile",),
)
async def write_while_sending(t: Trial) -> object:
    """Writing is refused while a file is being sent.

    text: _SelectorSocketTransport.write and writelines (3.11 says "unable to write" in both)
    """
    path, data = make_file(t, 1 << 21)
    transport, _, peer = await t.connect(small=True)
    with path.open("rb") as file:
        sending = t.loop.create_task(t.loop.sendfile(transport, file))
        await under_way(t, sending)
        seen = {
            "write": t.outcome(transport.write, b"x"),
        }
        refused = t.outcome(transport.writelines, [b"x"])
        seen["writelines"] = (
            f"{refused['type']}:{refused['text'].rpartition(';')[2]}" if refused else "taken"
        )
        _, arrived = await t.within(asyncio.gather(sending, t.receive(peer, len(data))))
    return {**seen, "data": arrived == data}


@area.check(expect={"order": True})
async def sendfile_then_write_order(t: Trial) -> object:
    """What is written before and after a file arrives before and after it.

    spec: docs, loop.sendfile
    """
    path, data = make_file(t)
    transport, _, peer = await t.connect(small=True)
    head, tail = os.urandom(200_000), os.urandom(1000)
    transport.write(head)
    with path.open("rb") as file:
        sending = t.loop.create_task(t.loop.sendfile(transport, file))
        arriving = t.loop.create_task(t.receive(peer, len(head) + SIZE + len(tail)))
        await t.within(sending)
        transport.write(tail)
        arrived = await t.within(arriving)
    return {"order": arrived == head + data + tail}


@area.check(expect={"paused": b"", "afterwards": b"later"})
async def reading_rests_while_sending(t: Trial) -> object:
    """While a file is being sent the transport does not read, and goes on afterwards.

    spec: CPython's test_sendfile: reading is paused and resumed
    """
    path, data = make_file(t, 1 << 21)
    transport, protocol, peer = await t.connect(small=True)
    with path.open("rb") as file:
        sending = t.loop.create_task(t.loop.sendfile(transport, file))
        await under_way(t, sending)
        peer.send(b"later")
        await t.settle(0.02)
        paused = bytes(protocol.data)
        await t.within(t.receive(peer, len(data)))
        await t.within(sending)
    return {"paused": paused, "afterwards": await t.within(protocol.received(5))}


@area.check(expect={"error": "connection", "position is what was sent or more": True})
async def peer_resets_while_sending(t: Trial) -> object:
    """A reset in the middle raises a ConnectionError; the file tells how far it came.

    spec: CPython's test_sendfile, test_sendfile_close_peer_in_the_middle_of_receiving
    """
    path, data = make_file(t, 1 << 22)
    transport, _, peer = await t.connect(small=True)
    with path.open("rb") as file:
        sending = t.loop.create_task(t.loop.sendfile(transport, file))
        await under_way(t, sending)
        received = await t.within(t.receive(peer, 100_000))
        t.reset(peer)
        seen: Any = await failure(sending)
        tell = file.tell()
    return {
        "error": "connection" if isinstance(seen, ConnectionError) else repr(seen),
        "position is what was sent or more": len(received) <= tell <= len(data),
    }


# -- pieces ----------------------------------------------------------------------------------------


def make_file(t: Trial, size: int = SIZE) -> tuple[pathlib.Path, bytes]:
    """A file of random bytes."""
    path = t.path / "data"
    data = os.urandom(size)
    path.write_bytes(data)
    return path, data


async def under_way(t: Trial, sending: asyncio.Task[int]) -> None:
    """Wait until the peer's buffers are full; raises what has put an end to the sending."""
    await t.settle(0.02)
    if sending.done():
        sending.result()


async def failure(awaitable: Any) -> object:
    """The exception of something to be awaited."""
    try:
        return await asyncio.wait_for(awaitable, 5.0)
    except Exception as error:
        return error
