#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""flat.py [--rounds N] [--loop asyncio] [NAME ...]: what is opened and closed ten thousand times
leaves memory and descriptors as they were.

Each program below makes one kind of thing, uses it and lets go of it. A tenth of the rounds warms
up; then resident memory and open descriptors (on Windows: handles) are measured before and after
the rest. tests/python/test_leaks.py runs the same programs with 200 rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import pathlib
import socket
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

ROUNDS = 10_000
SLACK_BYTES = 2 << 20  # what an allocator may keep of a peak
SLACK_DESCRIPTORS = 2
WINDOWS = sys.platform == "win32"

Round = Callable[[], Awaitable[None]]
Program = Callable[[], contextlib.AbstractAsyncContextManager[Round]]
PROGRAMS: dict[str, Program] = {}
FEWER = {"subprocesses": 10, "tls handshakes": 1}  # rounds are divided by this


class Result(NamedTuple):
    """What a program has left."""

    rounds: int
    memory: int  # bytes more than after the warm-up
    descriptors: int

    @property
    def is_flat(self) -> bool:
        return self.descriptors <= SLACK_DESCRIPTORS and self.memory <= SLACK_BYTES


def program(name: str) -> Callable[[Program], Program]:
    def register(function: Program) -> Program:
        PROGRAMS[name] = function
        return function

    return register


def descriptors() -> int:
    """Open descriptors or handles of this process."""
    if not WINDOWS:
        return len(os.listdir("/dev/fd"))
    import psutil

    return int(psutil.Process().num_handles())


def resident() -> int:
    """Bytes of memory that this process holds."""
    if sys.platform == "linux":
        text = pathlib.Path("/proc/self/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)


# -- programs --------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Lost(asyncio.Protocol):
    """Tells of the first data and of the end."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.data: asyncio.Future[bytes] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        if not self.data.done():
            self.data.set_result(data)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(None)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
    one.setblocking(False)
    two.setblocking(False)
    return one, two


async def exchange(address: Any, **options: Any) -> None:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Lost, *address[:2], **options)
    transport.write(b"x")
    await protocol.data
    transport.close()
    await protocol.lost


@program("connections")
@contextlib.asynccontextmanager
async def connections():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    yield lambda: exchange(server.sockets[0].getsockname())
    server.close()
    await server.wait_closed()


@program("tls handshakes")
@contextlib.asynccontextmanager
async def handshakes():
    # The pair of keys that the tour brings along.
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples"
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(folder / "tour_only_cert.pem", folder / "tour_only_key.pem")
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, ssl=serving)
    yield lambda: exchange(server.sockets[0].getsockname(), ssl=asking)
    server.close()
    await server.wait_closed()


@program("servers")
@contextlib.asynccontextmanager
async def servers():
    async def one() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        server.close()
        await server.wait_closed()

    yield one


@program("datagram endpoints")
@contextlib.asynccontextmanager
async def endpoints():
    async def one() -> None:
        loop = asyncio.get_running_loop()
        there, receiver = await loop.create_datagram_endpoint(Lost, ("127.0.0.1", 0))
        address = there.get_extra_info("sockname")
        here, sender = await loop.create_datagram_endpoint(Lost, remote_addr=address)
        here.sendto(b"x")
        await receiver.data
        for transport, protocol in ((here, sender), (there, receiver)):
            transport.close()
            await protocol.lost

    yield one


@program("pipes")
@contextlib.asynccontextmanager
async def pipes():
    async def one() -> None:
        loop = asyncio.get_running_loop()
        ends = os.pipe()
        reading, reader = await loop.connect_read_pipe(Lost, os.fdopen(ends[0], "rb", 0))
        writing, writer = await loop.connect_write_pipe(Lost, os.fdopen(ends[1], "wb", 0))
        writing.write(b"x")
        await reader.data
        writing.close()
        await writer.lost
        await reader.lost
        reading.close()

    yield one


@program("subprocesses")
@contextlib.asynccontextmanager
async def subprocesses():
    pipe = asyncio.subprocess.PIPE

    async def one() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", "-c", "print(input())", stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, _ = await process.communicate(b"x\n")
        assert out.strip() == b"x", out

    yield one


@program("timers cancelled")
@contextlib.asynccontextmanager
async def timers():
    async def one() -> None:
        loop = asyncio.get_running_loop()
        for delay in range(10):
            loop.call_later(delay + 1, print).cancel()
        loop.call_soon(print).cancel()
        await asyncio.sleep(0)

    yield one


@program("readers and writers")
@contextlib.asynccontextmanager
async def watchers():
    loop = asyncio.get_running_loop()
    ours, peer = tcp_pair()

    async def one() -> None:
        loop.add_reader(ours, int)
        loop.add_writer(ours, int)
        await asyncio.sleep(0)
        loop.remove_writer(ours)
        loop.remove_reader(ours)

    yield one
    ours.close()
    peer.close()


async def cancelled(coroutine: Any) -> None:
    """Begins it, and takes it back while it waits."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@program("cancelled operations")
@contextlib.asynccontextmanager
async def operations():
    loop = asyncio.get_running_loop()
    ours, peer = tcp_pair()
    full, full_peer = tcp_pair()
    with contextlib.suppress(BlockingIOError):
        while True:
            full.send(bytes(1 << 16))
    datagram = socket.socket(type=socket.SOCK_DGRAM)
    datagram.setblocking(False)
    datagram.bind(("127.0.0.1", 0))
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    file = tempfile.TemporaryFile()
    file.write(bytes(1 << 16))

    async def connecting(connect: Callable[[socket.socket], Any]) -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            await cancelled(connect(sock))

    async def one() -> None:
        await cancelled(loop.sock_recv(ours, 10))
        await cancelled(loop.sock_recv_into(ours, bytearray(10)))
        await cancelled(loop.sock_recvfrom(datagram, 10))
        await cancelled(loop.sock_recvfrom_into(datagram, bytearray(10)))
        await cancelled(loop.sock_sendall(full, bytes(1 << 16)))
        await cancelled(loop.sock_sendto(datagram, b"x", ("127.0.0.1", 9)))
        await cancelled(loop.sock_sendfile(full, file))
        await cancelled(loop.sock_accept(listener))
        await connecting(lambda sock: loop.sock_connect(sock, ("127.0.0.1", 9)))
        await cancelled(asyncio.sleep(3600))
        await cancelled(asyncio.wait_for(asyncio.sleep(3600), 3600))

    yield one
    for thing in (ours, peer, full, full_peer, datagram, listener, file):
        thing.close()


@program("cancelled connections")
@contextlib.asynccontextmanager
async def cancelled_connections():
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setblocking(False)
    address = listener.getsockname()

    async def one() -> None:
        await cancelled(loop.create_connection(asyncio.Protocol, *address))
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()

    yield one
    listener.close()


# -- measuring -------------------------------------------------------------------------------------


async def measure(
    name: str, rounds: int, progress: Callable[[str, int, int], None] | None = None
) -> Result:
    """Runs one program: what it has left."""
    rounds = max(20, rounds // FEWER.get(name, 1))
    warm_up = max(10, rounds // 10)
    async with PROGRAMS[name]() as one:
        before = (0, 0)
        for count in range(rounds + warm_up):
            if count == warm_up:
                gc.collect()
                before = (resident(), descriptors())
            await one()
            if progress is not None and count % 50 == 0:
                progress(name, count, rounds + warm_up)
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        return Result(rounds, resident() - before[0], descriptors() - before[1])


def show(name: str, done: int, total: int) -> None:
    print(f"\r  {name}: {done} of {total}  ", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--loop", choices=("evenloop", "asyncio"), default="evenloop")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    given = parser.parse_args()
    factory: Any = asyncio.new_event_loop
    if given.loop == "evenloop":
        import evenloop

        factory = evenloop.new_event_loop
    failed = 0
    for name in given.names or PROGRAMS:
        with asyncio.Runner(loop_factory=factory) as runner:
            result = runner.run(measure(name, given.rounds, show if sys.stderr.isatty() else None))
        verdict = "flat" if result.is_flat else "NOT FLAT"
        print(
            f"{name:22} {result.rounds:6} rounds  memory {result.memory / 1024:+9.0f} KiB  "
            f"descriptors {result.descriptors:+d}  {verdict}",
            flush=True,
        )
        failed += not result.is_flat
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
