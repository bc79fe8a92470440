# SPDX-License-Identifier: MIT
"""Protocols that write down what happens to them.

`calls` is the order of events in words that can be compared: neighbouring data_received calls count
as one, because how the kernel cuts a stream is nobody's promise.
"""

from __future__ import annotations

import asyncio
from typing import Any


class _Waits:
    """Futures that are done when something has happened."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: list[Any] = []
        self.transport: Any = None
        self.made: asyncio.Future[None] = self.loop.create_future()
        self.eof: asyncio.Future[None] = self.loop.create_future()
        self.lost: asyncio.Future[BaseException | None] = self.loop.create_future()
        self.lost_with: BaseException | None = None
        self._wanted: list[tuple[int, asyncio.Future[None]]] = []
        self.data = bytearray()

    def saw(self, event: object) -> None:
        """Write an event down."""
        self.calls.append(event)

    def connection_made(self, transport: Any) -> None:
        """The transport is there."""
        self.saw("connection_made")
        self.transport = transport
        if not self.made.done():
            self.made.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport has gone; recorded with the type of the reason."""
        self.saw(f"connection_lost({'None' if exc is None else type(exc).__name__})")
        self.lost_with = exc
        if not self.lost.done():
            self.lost.set_result(exc)

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self.saw("pause_writing")

    def resume_writing(self) -> None:
        """The write buffer has room again."""
        self.saw("resume_writing")

    def _got(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data
        for size, future in self._wanted:
            if len(self.data) >= size and not future.done():
                future.set_result(None)

    async def received(self, size: int) -> bytes:
        """The data once there are at least so many bytes of it."""
        if len(self.data) < size:
            future = self.loop.create_future()
            self._wanted.append((size, future))
            await future
        return bytes(self.data)


class Recorder(_Waits, asyncio.Protocol):
    """A stream protocol. `keep_open` is what eof_received returns."""

    def __init__(self, keep_open: bool | None = None) -> None:
        super().__init__()
        self.keep_open = keep_open

    def data_received(self, data: bytes) -> None:
        """Some bytes."""
        event = "data_received" if type(data) is bytes else f"data_received({type(data).__name__})"
        if not self.calls or self.calls[-1] != event:
            self.saw(event)
        self._got(data)

    def eof_received(self) -> bool | None:
        """The peer will send no more."""
        self.saw("eof_received")
        if not self.eof.done():
            self.eof.set_result(None)
        return self.keep_open


class BufferedRecorder(_Waits, asyncio.BufferedProtocol):
    """The same with a buffer of its own; `hints` are what get_buffer was asked for."""

    def __init__(self, size: int = 4096) -> None:
        super().__init__()
        self.hints: list[int] = []
        self.buffer = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next bytes go."""
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have gone there."""
        if not self.calls or self.calls[-1] != "buffer_updated":
            self.saw("buffer_updated")
        self._got(self.buffer[:nbytes])

    def eof_received(self) -> bool | None:
        """The peer will send no more."""
        self.saw("eof_received")
        if not self.eof.done():
            self.eof.set_result(None)
        return None


class Datagrams(_Waits, asyncio.DatagramProtocol):
    """A datagram protocol: `packets` are (data, address), `failures` what error_received got."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[tuple[bytes, Any]] = []
        self.failures: list[Exception] = []
        self._counts: list[tuple[int, asyncio.Future[None]]] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One datagram."""
        self.saw("datagram_received")
        self.packets.append((data, addr))
        for count, future in self._counts:
            if len(self.packets) >= count and not future.done():
                future.set_result(None)

    def error_received(self, exc: Exception) -> None:
        """A send or receive has failed."""
        self.saw(f"error_received({type(exc).__name__})")
        self.failures.append(exc)

    async def arrived(self, count: int = 1) -> list[bytes]:
        """The datagrams once there are so many."""
        if len(self.packets) < count:
            future = self.loop.create_future()
            self._counts.append((count, future))
            await future
        return [data for data, _ in self.packets]


class Pipes(_Waits, asyncio.SubprocessProtocol):
    """A subprocess protocol: `output` per descriptor, `exited` when the process is over."""

    def __init__(self) -> None:
        super().__init__()
        self.output: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self.exited: asyncio.Future[None] = self.loop.create_future()
        self.closed: dict[int, asyncio.Future[BaseException | None]] = {
            fd: self.loop.create_future() for fd in (0, 1, 2)
        }

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Output of the child."""
        event = f"pipe_data_received({fd})"
        if event not in self.calls[-1:]:
            self.saw(event)
        self.output[fd] += data

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
        """One of its pipes has closed."""
        self.saw(f"pipe_connection_lost({fd}, {'None' if exc is None else type(exc).__name__})")
        if not self.closed[fd].done():
            self.closed[fd].set_result(exc)

    def process_exited(self) -> None:
        """The child is over."""
        self.saw("process_exited")
        if not self.exited.done():
            self.exited.set_result(None)
