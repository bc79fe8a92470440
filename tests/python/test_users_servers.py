# SPDX-License-Identifier: MIT
"""What users of other loops ran into with servers: ending them, their clients, their files."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import support
from differences import UVLOOP, differs
from support import Recorder


@differs(
    from_=UVLOOP,
    what="`server.serve_forever()` when the server is closed",
    they="never returns",
    evenloop="ends with CancelledError",
)
def test_serve_forever_ends_when_another_task_closes_the_server(loop, run):
    """C110: CancelledError for who awaits it, at once."""

    async def main():
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        task = loop.create_task(server.serve_forever())
        await support.drain_callbacks()
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


def test_cancelled_serve_forever_ends_as_soon_as_its_clients_have(loop, run):
    """C111: it neither hangs nor tears a working connection down before the server is closed.

    Pythons from 3.14 on close the clients then; older ones wait for them, or for nobody (3.11).
    """

    async def main():
        accepted = loop.create_future()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        task = loop.create_task(server.serve_forever())
        client = socket.create_connection(server.sockets[0].getsockname())
        serving = await accepted
        client.send(b"works")
        assert await serving.received(5) == b"works"
        task.cancel()
        await support.drain_callbacks()
        client.close()
        assert await serving.lost is None
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, support.LIMIT)
        assert not server.is_serving()

    run(main())


@differs(
    from_=UVLOOP,
    what="`server.close_clients()`, `server.abort_clients()`, Python 3.13",
    they="do not exist",
    evenloop="end every connection of the server",
)
@pytest.mark.since(3, 13)
def test_clients_that_are_sending_can_be_aborted(loop, run):
    """C112: with data that nobody reads; closing would wait for it."""

    async def main():
        lost = loop.create_future()

        class Flooding(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                transport.write(bytes(32 << 20))

            def connection_lost(self, exc):
                super().connection_lost(exc)
                lost.set_result(exc)

        server = await loop.create_server(Flooding, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        client.setblocking(False)
        await support.read_exactly(client, 1)
        server.close()
        server.close_clients()
        await support.drain_callbacks()
        assert not lost.done()
        server.abort_clients()
        assert await lost is None
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)
        client.close()

    run(main())


@differs(
    from_=UVLOOP,
    what="`server.wait_closed()` of a closed server with connections, Python 3.12",
    they="returns at once",
    evenloop="waits until the last connection is gone",
)
@pytest.mark.since(3, 12)
def test_wait_closed_waits_for_the_last_connection(loop, run):
    """C113: whether it was asked before close() or after."""

    async def main():
        accepted = asyncio.Event()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set()

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        await accepted.wait()
        before = loop.create_task(server.wait_closed())
        await support.drain_callbacks()
        server.close()
        after = loop.create_task(server.wait_closed())
        await support.drain_callbacks()
        assert not before.done()
        assert not after.done()
        transport.close()
        await protocol.lost
        await asyncio.wait_for(asyncio.gather(before, after), support.LIMIT)

    run(main())


@differs(
    from_=UVLOOP,
    what="a server",
    they="is no asyncio.AbstractServer, and `server.sockets` is a list",
    evenloop="is asyncio's own Server; `sockets` is a tuple",
)
def test_server_is_asyncios(loop, run):
    """C114: in type, and in what `sockets` is before and after close()."""

    async def main():
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        assert isinstance(server, asyncio.AbstractServer)
        assert type(server.sockets) is tuple
        server.close()
        assert server.sockets == ()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


def test_server_made_by_hand_with_nothing_can_be_closed(loop, run):
    """C114: without sockets there is nothing to close, and nothing to crash on."""

    async def main():
        server = asyncio.base_events.Server(loop, [], Recorder, None, 100, None)
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)
        assert server.sockets == ()

    run(main())


def test_server_accepts_in_the_turn_after_it_was_made(loop, run):
    """C025: whoever connected while create_server() returned is served in the next turns."""

    async def main():
        made = []

        class Made(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.append(transport)

        server = await loop.create_server(Made, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await support.drain_callbacks(4)
            assert len(made) == 1
            made[0].abort()
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@pytest.mark.absent("unix-sockets-on-windows", "windows")
@pytest.mark.since(3, 13)
def test_unix_path_is_removed_on_close_if_it_is_still_ours(loop, run, tmp_path):
    """C117: the file that the server made goes; one that somebody put in its place stays."""

    async def main():
        path = str(tmp_path / "socket")
        server = await loop.create_unix_server(Recorder, path)
        assert os.path.exists(path)
        server.close()
        assert not os.path.exists(path)
        await server.wait_closed()

        first = await loop.create_unix_server(Recorder, path)
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            first.close()
            await first.wait_closed()
            assert os.path.exists(path)
        os.unlink(path)

        kept = await loop.create_unix_server(Recorder, path, cleanup_socket=False)
        kept.close()
        await kept.wait_closed()
        assert os.path.exists(path)

    run(main())


@pytest.mark.absent("unix-sockets-on-windows", "windows")
def test_unix_server_takes_the_place_of_a_stale_socket(loop, run, tmp_path):
    """C117: a socket file that nobody listens on any more is replaced, another file is not."""

    async def main():
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        server = await loop.create_unix_server(Recorder, path)
        transport, protocol = await loop.create_unix_connection(Recorder, path)
        transport.close()
        await protocol.lost
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)
        other = tmp_path / "file"
        other.write_text("mine")
        with pytest.raises(OSError, match="is already in use"):
            await loop.create_unix_server(Recorder, str(other))
        assert other.read_text() == "mine"

    run(main())
