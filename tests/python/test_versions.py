# SPDX-License-Identifier: MIT
"""What newer Pythons promise of a loop, where their own tests do not look closely."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from typing import Any

import pytest
import support

variable = contextvars.ContextVar("variable", default="unset")


class ActingSocket:
    """Not a socket.socket: it forwards to one and counts what goes through its own methods."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.calls: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: Any) -> int:
        self.calls["send"] = self.calls.get("send", 0) + 1
        return self._sock.send(data)

    def recv(self, size: int) -> bytes:
        self.calls["recv"] = self.calls.get("recv", 0) + 1
        return self._sock.recv(size)


def test_an_object_that_acts_like_a_socket_is_used_through_its_methods(loop, run):
    async def main():
        near, far = support.tcp_pair()
        far.setblocking(False)
        acting = ActingSocket(near)
        transport, protocol = await loop.create_connection(support.Recorder, sock=acting)
        with far:
            transport.write(b"ping")
            assert await support.read_exactly(far, 4) == b"ping"
            await loop.sock_sendall(far, b"pong")
            assert await protocol.received(4) == b"pong"
            transport.close()
            await protocol.lost
        assert acting.calls["send"] == 1
        assert acting.calls["recv"] >= 1
        assert near.fileno() == -1

    run(main())


@pytest.mark.since(3, 14)
def test_keywords_of_create_task_reach_the_factory_as_given(loop, run):
    async def answer():
        return 42

    async def main():
        seen: list[dict[str, Any]] = []

        def factory(loop, coro, **keywords):
            seen.append(dict(keywords))
            keywords.pop("extra", None)
            return asyncio.Task(coro, loop=loop, **keywords)

        loop.set_task_factory(factory)
        context = contextvars.copy_context()
        await loop.create_task(answer())
        await loop.create_task(answer(), name="n", context=context, extra=1)
        await loop.create_task(answer(), eager_start=True)
        loop.set_task_factory(None)
        assert seen == [{}, {"name": "n", "context": context, "extra": 1}, {"eager_start": True}]

    run(main())


@pytest.mark.since(3, 14)
def test_a_threadsafe_handle_in_debug_mode_knows_where_it_was_made(loop):
    loop.set_debug(True)
    handle = loop.call_soon_threadsafe(print)
    handle.cancel()
    assert handle._source_traceback[-1].filename == __file__
    assert f"created at {__file__}" in repr(handle)


@pytest.mark.since(3, 15)
@pytest.mark.parametrize("buffered", [False, True])
def test_every_callback_of_a_connection_sees_its_own_copy_of_the_servers_context(
    loop, run, buffered
):
    """Contract point 10, row D50."""
    steps: list[tuple[str, str]] = []

    def step(name: str) -> None:
        steps.append((name, variable.get()))
        variable.set(f"after {name}")

    class Connection(asyncio.BufferedProtocol if buffered else asyncio.Protocol):
        def __init__(self) -> None:
            step("made by the factory")

        def connection_made(self, transport: Any) -> None:
            step("connection_made")

        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray(16)

        def buffer_updated(self, size: int) -> None:
            step("data")

        def data_received(self, data: bytes) -> None:
            step("data")

        def eof_received(self) -> None:
            step("eof_received")

        def connection_lost(self, exc: BaseException | None) -> None:
            step("connection_lost")
            lost.set()

    async def connect(address: Any) -> None:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    async def main():
        nonlocal lost
        lost = asyncio.Event()
        variable.set("creation")
        server = await loop.create_server(Connection, "127.0.0.1", 0)
        variable.set("later")
        names = ["made by the factory", "connection_made", "data", "eof_received"]
        names.append("connection_lost")
        values = ["creation", *(f"after {name}" for name in names[:-1])]
        async with server:
            for _ in range(2):
                await connect(server.sockets[0].getsockname())
                await lost.wait()
                lost.clear()
                assert steps == list(zip(names, values, strict=True))
                steps.clear()
        assert variable.get() == "later"

    lost: Any = None
    run(main())


@pytest.mark.since(3, 15)
def test_callbacks_of_a_client_see_the_context_of_create_connection(loop, run):
    async def main():
        seen: list[str] = []

        class Client(support.Recorder):
            def data_received(self, data: bytes) -> None:
                seen.append(variable.get())
                super().data_received(data)

        near, far = support.tcp_pair()
        far.setblocking(False)
        variable.set("connecting")
        transport, protocol = await loop.create_connection(Client, sock=near)
        transport.pause_reading()
        variable.set("resuming")
        transport.resume_reading()
        with far:
            await loop.sock_sendall(far, b"x")
            await protocol.received(1)
            transport.close()
            await protocol.lost
        assert seen == ["connecting"]

    run(main())


@pytest.mark.evenloop_only
@pytest.mark.since(3, 14)
@pytest.mark.until(3, 16)
def test_install_warns_of_no_deprecation(tmp_path):
    source = (
        "import asyncio, evenloop, warnings\n"
        "warnings.simplefilter('error')\n"
        "evenloop.install()\n"
        "async def main():\n"
        "    return type(asyncio.get_running_loop()) is evenloop.Loop\n"
        "print(asyncio.run(main()))\n"
    )
    process = support.run_child(tmp_path, source)
    assert process.stdout == "True\n", process.stderr
