# SPDX-License-Identifier: MIT
"""create_pipe_connection and start_serving_pipe: named pipes by address, on Windows.

The reference is asyncio's ProactorEventLoop, the only loop of its that has them; the selector loop,
on every system, has neither name.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import sys

import pytest
import support
from support import Recorder

MIB = 1 << 20
numbers = itertools.count()

on_windows = pytest.mark.absent("named-pipes-by-address", "posix")


@pytest.fixture
def address():
    return rf"\\.\pipe\evenloop-test-{os.getpid()}-{next(numbers)}"


async def serve(loop, address):
    """A server, and a future of the first connection's protocol."""
    first = loop.create_future()

    class Served(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            if not first.done():
                first.set_result(self)

    (server,) = await loop.start_serving_pipe(Served, address)
    return server, first


@on_windows
def test_client_and_server_talk_over_a_named_pipe(loop, run, address):
    """C028, D8."""

    async def main():
        server, first = await serve(loop, address)
        transport, client = await loop.create_pipe_connection(Recorder, address)
        served = await first
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_extra_info("addr") == address
        assert served.transport.get_extra_info("addr") == address
        assert transport.get_extra_info("pipe") is not None
        transport.write(b"hello")
        await served.received(5)
        served.transport.write(b"answer")
        await client.received(6)
        served.transport.writelines([b"x" * MIB, b"y" * MIB])
        data = await client.received(6 + 2 * MIB)
        assert data == b"answer" + b"x" * MIB + b"y" * MIB
        transport.close()
        assert await served.lost is None
        assert await client.lost is None
        assert "eof_received" in served.calls
        server.close()
        await support.drain_callbacks()

    run(main())


@on_windows
def test_named_pipe_cannot_be_closed_by_half(loop, run, address):
    """C021: asyncio's duplex pipes have no write_eof; a reply is never lost to one."""

    async def main():
        server, first = await serve(loop, address)
        transport, client = await loop.create_pipe_connection(Recorder, address)
        assert transport.can_write_eof() is False
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        served = await first
        served.transport.write(b"reply")
        await client.received(5)
        served.transport.close()
        await client.lost
        server.close()
        await support.drain_callbacks()

    run(main())


@on_windows
def test_many_clients_are_served_at_once(loop, run, address):
    async def main():
        class Echo(Recorder):
            def data_received(self, data):
                self.transport.write(data)

        (server,) = await loop.start_serving_pipe(Echo, address)

        async def client(number):
            transport, protocol = await loop.create_pipe_connection(Recorder, address)
            data = b"%04d" % number * 1000
            transport.write(data)
            assert await protocol.received(len(data)) == data
            transport.close()
            await protocol.lost

        await asyncio.gather(*(client(number) for number in range(20)))
        server.close()
        await support.drain_callbacks()

    run(main())


@on_windows
def test_missing_pipe_is_file_not_found(loop, run, address):
    async def main():
        with pytest.raises(FileNotFoundError) as caught:
            await loop.create_pipe_connection(Recorder, address)
        assert caught.value.winerror == 2

    run(main())


@on_windows
def test_closed_server_serves_nobody(loop, run, address):
    async def main():
        server, _ = await serve(loop, address)
        await support.drain_callbacks()
        assert not server.closed()
        server.close()
        server.close()
        assert server.closed()
        await support.drain_callbacks()
        with pytest.raises(FileNotFoundError):
            await loop.create_pipe_connection(Recorder, address)

    run(main())


@on_windows
def test_server_that_its_loop_leaves_behind_is_collected(address, monkeypatch):
    """C023: its __del__ closes it without an exception; its pipes warn that nobody closed them."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_type))
    loop = support.new_loop()
    servers = loop.run_until_complete(loop.start_serving_pipe(Recorder, address))
    loop.run_until_complete(support.drain_callbacks())
    loop.close()
    servers.clear()
    del loop
    gc.collect()
    assert set(unraisable) <= {ResourceWarning}


@on_windows
def test_connections_outlive_their_server(loop, run, address):
    async def main():
        server, first = await serve(loop, address)
        transport, client = await loop.create_pipe_connection(Recorder, address)
        served = await first
        server.close()
        transport.write(b"still here")
        await served.received(10)
        transport.abort()
        await client.lost
        await served.lost

    run(main())


@pytest.mark.parametrize("name", ["create_pipe_connection", "start_serving_pipe"])
def test_only_windows_has_named_pipes(loop, name):
    """Elsewhere AttributeError, as on every selector loop."""
    assert hasattr(loop, name) is support.WINDOWS
