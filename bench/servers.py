# SPDX-License-Identifier: MIT
"""The echo server of the benchmarks, in each form that asyncio offers, on any of the loops.

It behaves like the C servers beside it: prints ``PORT n`` when it listens, ends when standard
input closes or on SIGTERM, and then prints ``CPU n``, the nanoseconds of processor time that all
its threads have used. Every form holds back a peer that sends without reading.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from contenders import LOOPS, loop_factory

READ_SIZE = 64 * 1024
BACKLOG = 1024


class EchoProtocol(asyncio.Protocol):
    """Writes back what it is given."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class EchoBufferedProtocol(asyncio.BufferedProtocol):
    """Writes back what was put into its buffer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = bytearray(READ_SIZE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # The slice is a copy, and has to be one: a loop may keep what it could not send at
        # once, while the next read fills the buffer again.
        self.transport.write(self.buffer[:nbytes])

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


class EchoDatagramProtocol(asyncio.DatagramProtocol):
    """Sends back what it is given."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.transport.sendto(data, addr)


def bound_socket(host: str, port: int, mode: str) -> socket.socket:
    """Bind or listen, non-blocking; every form gets the same socket."""
    if mode == "datagram":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, port))
        sock.setblocking(False)
        return sock
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def protocol_server(
    listener: socket.socket, factory: Callable[[], asyncio.BaseProtocol]
) -> AsyncIterator[None]:
    """Serve with transports and protocols."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, sock=listener, backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def stream_server(listener: socket.socket) -> AsyncIterator[None]:
    """Serve with a reader and a writer in a task a connection."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(READ_SIZE):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, sock=listener, backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()


@asynccontextmanager
async def sock_server(listener: socket.socket) -> AsyncIterator[None]:
    """Serve with sock_accept, sock_recv and sock_sendall in a task a connection."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def echo(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while data := await loop.sock_recv(connection, READ_SIZE):
                    await loop.sock_sendall(connection, data)
            except ConnectionError:
                pass

    async def accept() -> None:
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            start(echo(connection))

    def start(work: Coroutine[object, object, None]) -> None:
        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    start(accept())
    try:
        yield
    finally:
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()


@asynccontextmanager
async def datagram_server(sock: socket.socket) -> AsyncIterator[None]:
    """Serve with a datagram endpoint."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(EchoDatagramProtocol, sock=sock)
    try:
        yield
    finally:
        transport.close()


MODES: dict[str, Callable[[socket.socket], AbstractAsyncContextManager[None]]] = {
    "protocol": lambda listener: protocol_server(listener, EchoProtocol),
    "buffered": lambda listener: protocol_server(listener, EchoBufferedProtocol),
    "stream": stream_server,
    "sock": sock_server,
    "datagram": datagram_server,
}


def stop_at_end_of_input(stop: Callable[[], None]) -> None:
    """Call `stop` when standard input closes, from a thread that uses no time until then."""

    def wait() -> None:
        # os.read, because the lock of sys.stdin, held by a thread, stops the interpreter's end.
        try:
            while os.read(0, 64):
                pass
        except OSError:
            pass
        stop()

    threading.Thread(target=wait, daemon=True).start()


async def serve(host: str, port: int, mode: str) -> None:
    """Serve until asked to stop."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        try:
            loop.call_soon_threadsafe(stopped.set)
        except RuntimeError:
            pass  # The loop has ended on its own.

    try:
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    except NotImplementedError:
        signal.signal(signal.SIGTERM, lambda *_: stop())
    listener = bound_socket(host, port, mode)
    async with MODES[mode](listener):
        print("PORT", listener.getsockname()[1], flush=True)
        stop_at_end_of_input(stop)
        await stopped.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--mode", choices=list(MODES), default="protocol")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    try:
        factory = loop_factory(arguments.loop)
    except ImportError as error:
        sys.exit(f"servers.py: {arguments.loop} is not installed: {error}")
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(arguments.host, arguments.port, arguments.mode))
    print("CPU", time.process_time_ns(), flush=True)


if __name__ == "__main__":
    main()
