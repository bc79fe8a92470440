# SPDX-License-Identifier: MIT
"""What the tests of datagrams share: a recording protocol, endpoints, plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support import drain_callbacks

LOCAL = ("127.0.0.1", 0)
unix_datagrams = pytest.mark.absent("unix-datagrams", "windows")


class Recorder(asyncio.DatagramProtocol):
    """Writes down every call, and lets a test wait for the next of a kind."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.transport: Any = None
        self.datagrams: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        assert type(data) is bytes
        self.calls.append("datagram_received")
        self.datagrams.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.calls.append("error_received")
        self.errors.put_nowait(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")
        self.paused.set()

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")
        self.resumed.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)


@contextlib.asynccontextmanager
async def endpoint(
    factory: Callable[[], Any] = Recorder, **arguments: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """A datagram endpoint: its transport and protocol. Closed afterwards."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(factory, **arguments)
    try:
        yield transport, protocol
    finally:
        if not transport.is_closing():
            transport.abort()
        await drain_callbacks()


def plain_socket(family: int = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    """A bound, non-blocking UDP socket."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def closed_port() -> tuple[str, int]:
    """An address of this machine that nobody listens at."""
    with plain_socket() as sock:
        address: tuple[str, int] = sock.getsockname()
    return address
