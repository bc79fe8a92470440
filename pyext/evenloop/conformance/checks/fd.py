# SPDX-License-Identifier: MIT
"""fd: readers and writers of descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from ..check import Area
from ..trial import Trial

area = Area("fd", "Readers and writers of descriptors")


@area.check(expect={"first": 0, "second": True, "removed": True, "again": False})
async def add_reader_replaces_callback(t: Trial) -> object:
    """A second add_reader replaces the first; remove_reader says whether there was one.

    spec: docs, loop.add_reader and remove_reader
    """
    ours, peer = t.tcp_pair()
    first: list[int] = []
    second = asyncio.Event()
    t.loop.add_reader(ours.fileno(), first.append, 1)
    t.loop.add_reader(ours.fileno(), second.set)
    peer.send(b"x")
    fired = await t.until(second.is_set)
    return {
        "first": len(first),
        "second": fired,
        "removed": t.loop.remove_reader(ours.fileno()),
        "again": t.loop.remove_reader(ours.fileno()),
    }


@area.check(expect={"fired": True, "removed": True, "again": False})
async def remove_writer_return(t: Trial) -> object:
    """A writer fires on a writable socket; remove_writer says whether there was one.

    spec: docs, loop.add_writer and remove_writer
    """
    ours, _ = t.tcp_pair()
    writable = asyncio.Event()
    t.loop.add_writer(ours.fileno(), writable.set)
    fired = await t.until(writable.is_set)
    return {
        "fired": fired,
        "removed": t.loop.remove_writer(ours.fileno()),
        "again": t.loop.remove_writer(ours.fileno()),
    }


@area.check(expect={"both": True, "reader alone": True, "writer after its removal": False})
async def reader_and_writer_same_fd(t: Trial) -> object:
    """One descriptor has a reader and a writer; removing one leaves the other.

    spec: docs, loop.add_reader and add_writer
    """
    ours, peer = t.tcp_pair()
    readable, writable = asyncio.Event(), asyncio.Event()
    t.loop.add_reader(ours.fileno(), readable.set)
    t.loop.add_writer(ours.fileno(), writable.set)
    peer.send(b"x")
    both = await t.until(lambda: readable.is_set() and writable.is_set())
    t.loop.remove_writer(ours.fileno())
    readable.clear()
    writable.clear()
    alone = await t.until(readable.is_set)
    return {"both": both, "reader alone": alone, "writer after its removal": writable.is_set()}


@area.check(expect=["a", "b"])
async def reader_gets_its_arguments(t: Trial) -> object:
    """The arguments after the callback are passed to it.

    spec: docs, loop.add_reader(fd, callback, *args)
    """
    ours, peer = t.tcp_pair()
    called = t.loop.create_future()

    def readable(*args: str) -> None:
        if not called.done():
            called.set_result(args)

    t.loop.add_reader(ours.fileno(), readable, "a", "b")
    peer.send(b"x")
    return await t.within(called)


@area.check(expect=True)
async def reader_is_level_triggered(t: Trial) -> object:
    """A reader is called again as long as there is something to read.

    spec: the selector loop; docs, loop.add_reader
    """
    ours, peer = t.tcp_pair()
    calls: list[int] = []
    t.loop.add_reader(ours.fileno(), calls.append, 1)
    peer.send(b"x")
    return await t.until(lambda: len(calls) > 3)


@area.check(expect=True)
async def socket_object_instead_of_its_number(t: Trial) -> object:
    """add_reader takes an object with a fileno() method.

    spec: docs, loop.add_reader: "fd" as in the selectors module
    """
    ours, peer = t.tcp_pair()
    readable = asyncio.Event()
    t.loop.add_reader(ours, readable.set)
    peer.send(b"x")
    return await t.until(readable.is_set)


@area.check(expect={"fired": True, "read": b"x"})
async def add_reader_pipe(t: Trial) -> object:
    """add_reader watches a pipe.

    Windows tells of no pipe when it can be read, so no loop there can.

    portable: docs, loop.add_reader
    """
    reading, writing = os.pipe()
    t.at_end(os.close, reading)
    t.at_end(os.close, writing)
    readable = asyncio.Event()
    t.loop.add_reader(reading, readable.set)
    os.write(writing, b"x")
    fired = await t.until(readable.is_set)
    t.loop.remove_reader(reading)
    return {"fired": fired, "read": os.read(reading, 10)}


@area.check(expect={"type": "PermissionError", "errno": "EPERM"}, needs=("unwatched_files",))
async def add_reader_regular_file_error(t: Trial) -> object:
    """A regular file cannot be watched.

    spec: epoll_ctl(2), EPERM; the selector loop passes it on
    """
    path = t.path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        seen = t.outcome(t.loop.add_reader, file.fileno(), print)
        t.loop.remove_reader(file.fileno())
    return (
        {"type": seen["type"], "errno": seen.get("errno")} if isinstance(seen, dict) else "watched"
    )


@area.check(
    expect=[
        {"type": "ValueError", "begins": "Invalid file object: "},
        {"type": "ValueError", "begins": "Invalid file object: "},
    ]
)
async def add_reader_invalid_ValueError(t: Trial) -> object:
    """What has no descriptor is refused.

    text: selectors._fileobj_to_fd
    """
    return [begins(t.outcome(t.loop.add_reader, thing, print), 21) for thing in ("abc", object())]


@area.check(expect={"type": "ValueError", "text": "Invalid file descriptor: -1"})
async def add_reader_negative_ValueError(t: Trial) -> object:
    """A negative descriptor is refused.

    text: selectors._fileobj_to_fd
    """
    return t.outcome(t.loop.add_reader, -1, print)


@area.check(expect=True)
async def writer_fires_on_peer_close(t: Trial) -> object:
    """A writer waiting on a full socket wakes when the peer resets the connection.

    spec: the selector loop: EPOLLHUP and EPOLLERR count as writable
    """
    ours, peer = t.tcp_pair(small=True)
    fill(ours)
    await t.settle(0.02)
    fill(ours)
    writable = asyncio.Event()
    t.loop.add_writer(ours.fileno(), writable.set)
    await t.turns()
    writable.clear()
    t.reset(peer)
    return await t.until(writable.is_set)


@area.check(expect={"end of file": True, "read": b""})
async def reader_fires_on_end_of_file(t: Trial) -> object:
    """A reader is called when the peer has closed.

    spec: docs, loop.add_reader
    """
    ours, peer = t.tcp_pair()
    readable = asyncio.Event()
    t.loop.add_reader(ours.fileno(), readable.set)
    peer.close()
    fired = await t.until(readable.is_set)
    return {"end of file": fired, "read": ours.recv(10)}


@area.check(expect={"first blocking": True, "still blocking": True})
async def add_reader_leaves_the_blocking_mode_alone(t: Trial) -> object:
    """Watching a descriptor does not make it non-blocking.

    uvloop sets O_NONBLOCK, which the terminal's other users then suffer from.

    portable: C129, uvloop#712
    """
    ours, _ = t.tcp_pair()
    ours.setblocking(True)
    seen = {"first blocking": blocks(ours)}
    t.loop.add_reader(ours.fileno(), print)
    await t.turns()
    t.loop.remove_reader(ours.fileno())
    seen["still blocking"] = blocks(ours)
    return seen


@area.check(expect=["EXC: boom"])
async def reader_exception_is_reported(t: Trial) -> object:
    """An exception of a reader goes to the exception handler; the loop goes on.

    spec: docs, error handling; Handle._run
    """
    ours, peer = t.tcp_pair()

    def fail() -> None:
        t.loop.remove_reader(ours.fileno())
        raise ValueError("boom")

    t.loop.add_reader(ours.fileno(), fail)
    peer.send(b"x")
    await t.until(lambda: t.errors)
    reports: Any = t.take_errors()
    return [f"EXC: {report['exception']['text']}" for report in reports]


@area.check(expect={"calls": 0})
async def remove_reader_is_immediate(t: Trial) -> object:
    """A reader that was removed is not called, although its descriptor was ready.

    spec: docs, loop.remove_reader; C130
    """
    ours, peer = t.tcp_pair()
    calls: list[int] = []
    peer.send(b"x")
    t.loop.add_reader(ours.fileno(), calls.append, 1)
    t.loop.remove_reader(ours.fileno())
    await t.settle(0.02)
    return {"calls": len(calls)}


@area.check(expect={"type": "RuntimeError", "text": "Event loop is closed"})
def add_reader_on_a_closed_loop(t: Trial) -> object:
    """A closed loop refuses readers.

    text: BaseEventLoop._check_closed
    """
    ours, _ = t.tcp_pair()
    t.loop.close()
    return t.outcome(t.loop.add_reader, ours.fileno(), print)


@area.check(expect={"served": 600}, limit=30.0)
async def six_hundred_sockets(t: Trial) -> object:
    """More sockets than select() takes on Windows (512) can be watched.

    portable: D9; gh-71019 has the limit
    """
    if os.name == "posix":
        raise_descriptor_limit()
    pairs = [t.tcp_pair() for _ in range(600)]
    seen: set[int] = set()

    def readable(sock: socket.socket) -> None:
        seen.add(sock.fileno())
        t.loop.remove_reader(sock.fileno())

    for ours, peer in pairs:
        t.loop.add_reader(ours.fileno(), readable, ours)
        peer.send(b"x")
    await t.until(lambda: len(seen) == len(pairs), 8.0)
    return {"served": len(seen)}


@area.check(expect={"reader": b"typed\n", "writer": True}, needs=("pty",))
async def add_reader_terminal(t: Trial) -> object:
    """Both ends of a pseudoterminal can be watched.

    portable: docs, loop.add_reader takes any descriptor that the selector takes
    """
    master, slave = os.openpty()
    t.at_end(os.close, master)
    t.at_end(os.close, slave)
    typed, writable = t.loop.create_future(), t.loop.create_future()
    t.loop.add_reader(slave, lambda: typed.done() or typed.set_result(os.read(slave, 100)))
    t.loop.add_writer(master, lambda: writable.done() or writable.set_result(True))
    can_write = await t.within(writable)
    t.loop.remove_writer(master)
    os.write(master, b"typed\n")
    seen = {"reader": await t.within(typed), "writer": can_write}
    t.loop.remove_reader(slave)
    return seen


# -- pieces ----------------------------------------------------------------------------------------


def begins(seen: Any, length: int) -> object:
    """An error with no more of its text than this."""
    if isinstance(seen, dict):
        return {"type": seen["type"], "begins": seen["text"][:length]}
    return seen


def fill(sock: socket.socket) -> None:
    """Send until the kernel takes no more."""
    try:
        while True:
            sock.send(bytes(1 << 16))
    except BlockingIOError:
        return


def blocks(sock: socket.socket) -> bool:
    """Whether a receive would wait: asked of the system where it can be."""
    if os.name == "posix":
        return os.get_blocking(sock.fileno())
    return sock.getblocking()


def raise_descriptor_limit() -> None:
    """1,200 sockets are more than many systems allow unasked."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
