# SPDX-License-Identifier: MIT
"""asyncio's contract: servers, on internet and unix sockets.

Points 28, 32 and 33 and the rows D3, D4, D24 to D26, D45 to D47 and D78 of the table of
divergences, as far as test_server.py does not show them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import socket
import ssl
import stat
import sys

import pytest
import support
from differences import PROACTOR, WINDOWS, differs
from support import Recorder

NO_UNIX_SOCKETS = pytest.mark.absent("unix-sockets-on-windows", "windows")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def answers(connect):
    """Whether the server that connect(factory) reaches answers."""
    transport, protocol = await connect(Recorder)
    transport.write(b"hello")
    received = await protocol.received(5)
    transport.close()
    await protocol.lost
    return received == b"hello"


async def echoes(address):
    loop = asyncio.get_running_loop()
    return await answers(lambda factory: loop.create_connection(factory, *address[:2]))


async def stop(server):
    server.close()
    await asyncio.wait_for(server.wait_closed(), support.LIMIT)


# -- binding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["server", "datagram endpoint"])
def test_reuse_port_without_the_option_is_refused(what, monkeypatch):
    """Point 33 and D7: ValueError in asyncio's words where the system has no SO_REUSEPORT."""
    monkeypatch.delattr(socket, "SO_REUSEPORT", raising=False)

    def use(loop):
        if what == "server":
            coro = loop.create_server(Echo, "127.0.0.1", 0, reuse_port=True)
        else:
            coro = loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0), reuse_port=True
            )
        loop.run_until_complete(coro)

    assert support.raised_by(use) == (
        "ValueError",
        "reuse_port not supported by socket module",
    )


@pytest.mark.since(3, 13)
def test_address_that_is_not_here_is_skipped_while_another_is(loop, run):
    """Point 33's neighbour, 1.1: EADDRNOTAVAIL is skipped per address from 3.13 on."""

    async def main():
        server = await loop.create_server(Echo, ["127.0.0.1", "192.0.2.1"], 0)
        (sock,) = server.sockets
        assert sock.getsockname()[0] == "127.0.0.1"
        await stop(server)

    run(main())


@pytest.mark.since(3, 13)
def test_no_address_that_is_here_is_an_error(loop, run):
    """1.1: 'could not bind on any address out of ...'."""

    async def main():
        with pytest.raises(OSError) as caught:
            await loop.create_server(Echo, "192.0.2.1", 0)
        assert str(caught.value).startswith("could not bind on any address out of [")
        assert "192.0.2.1" in str(caught.value)

    run(main())


@differs(
    from_=WINDOWS,
    what="a second server on a port that is served",
    they="would share it if `reuse_address` were set",
    evenloop="fails with EADDRINUSE, whether or not",
)
@pytest.mark.parametrize("reuse_address", [None, False, True])
def test_two_servers_cannot_share_an_address(loop, run, reuse_address):
    """D45 and D46: with errno EADDRINUSE and the address in the text."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, reuse_address=reuse_address)
        address = server.sockets[0].getsockname()
        with pytest.raises(OSError) as caught:
            await loop.create_server(Echo, *address, reuse_address=reuse_address)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(caught.value).startswith(
            f"[Errno {errno.EADDRINUSE}] error while attempting to bind on address {address!r}: "
        )
        assert await echoes(address)  # the first was not hurt
        await stop(server)

    run(main())


def test_port_of_connections_that_wait_out_their_time_can_be_bound(loop, run):
    """D45: TIME_WAIT on the server's side does not hold the port."""

    async def main():
        closing = loop.create_future()

        class Closes(asyncio.Protocol):
            def connection_made(self, transport):
                transport.close()  # the end that closes first waits

            def connection_lost(self, exc):
                closing.set_result(None)

        server = await loop.create_server(Closes, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        await protocol.lost
        await closing
        await stop(server)
        server = await loop.create_server(Echo, *address)
        assert await echoes(address)
        await stop(server)

    run(main())


def test_ipv6_server_serves_no_ipv4_client(loop, run):
    """D47: IPV6_V6ONLY, whatever the system's default is."""

    async def main():
        server = await loop.create_server(Echo, "::", 0)
        port = server.sockets[0].getsockname()[1]
        assert await echoes(("::1", port))
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, "127.0.0.1", port)
        await stop(server)

    run(main())


# -- accepting -----------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="clients that reset their connection before it is accepted",
    they="end the server (`Accept failed on a socket`, WinError 64)",
    evenloop="are passed over",
)
def test_server_survives_a_storm_of_resets(loop, run, errors):
    """D24: two hundred, and the next client is served."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=10)
        address = server.sockets[0].getsockname()
        for _ in range(200):
            sock = socket.socket()
            sock.setblocking(False)
            try:
                sock.connect(address)
            except BlockingIOError:
                pass
            support.reset(sock)
            await asyncio.sleep(0)
        assert await echoes(address)
        assert server.is_serving()
        await stop(server)
        assert errors == []

    run(main())


@differs(
    from_=PROACTOR,
    what="a TLS server whose context fails to set up one connection",
    they="leaks that socket and accepts no more",
    evenloop="closes that connection and serves the next",
)
@pytest.mark.evenloop_only  # the stock selector loop leaves the socket to the collector
def test_tls_setup_that_fails_closes_that_connection_only(loop, run):
    """D25 and point 28."""

    class Broken(ssl.SSLContext):
        def wrap_bio(self, *args, **options):
            raise ssl.SSLError("no TLS today")

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=Broken(ssl.PROTOCOL_TLS_SERVER))
        address = server.sockets[0].getsockname()
        for _ in range(3):
            with socket.create_connection(address) as client:
                client.setblocking(False)
                try:
                    assert await loop.sock_recv(client, 1) == b""
                except ConnectionResetError:
                    pass
        assert server.is_serving()
        await stop(server)

    run(main())


@differs(
    from_=PROACTOR,
    what="clients that wait to be accepted",
    they="are accepted one in a turn",
    evenloop="are accepted as many as wait, up to the backlog, in one turn",
)
def test_clients_that_wait_are_accepted_together(loop, run):
    """D26."""

    async def main():
        made = []
        all_made = loop.create_future()
        turns = []
        once = loop._run_once

        class Counting(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.append(len(turns))
                if len(made) == 30:
                    all_made.set_result(None)

        server = await loop.create_server(Counting, "127.0.0.1", 0, backlog=64, start_serving=False)
        listener = server.sockets[0]
        await server.start_serving()
        clients = [socket.create_connection(listener.getsockname()) for _ in range(30)]

        def counted():
            turns.append(1)
            once()

        loop._run_once = counted
        try:
            await all_made
        finally:
            del loop._run_once
        assert max(made) - min(made) <= 3
        for client in clients:
            client.close()
        await stop(server)

    run(main())


def test_server_can_be_closed_by_its_own_connection(loop, run):
    """1.3: close() within a callback of a connection; that connection lives on."""

    async def main():
        class Closing(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                server.close()

        server = await loop.create_server(Closing, "127.0.0.1", 0)
        assert await echoes(server.sockets[0].getsockname())
        assert not server.is_serving()
        assert server.sockets == ()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@pytest.mark.since(3, 12, 1)
@pytest.mark.parametrize("first", ["server", "client"])
def test_wait_closed_ends_when_both_are_closed_in_either_order(loop, run, first):
    """1.3: the server closed, and no connection left."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname()
        )
        transport.write(b"x")
        await protocol.received(1)
        waiter = loop.create_task(server.wait_closed())
        for step in (first, "client" if first == "server" else "server"):
            await support.drain_callbacks(5)
            assert not waiter.done()
            if step == "server":
                server.close()
            else:
                transport.close()
                await protocol.lost
        await waiter

    run(main())


@pytest.mark.since(3, 14, 10)
def test_cancelled_serve_forever_closes_its_clients(loop, run):
    """1.3: gh-123720."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        serving = loop.create_task(server.serve_forever())
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname()
        )
        transport.write(b"x")
        await protocol.received(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert await protocol.lost is None

    run(main())


@pytest.mark.since(3, 14, 10)
def test_accepted_socket_is_closed_when_its_factory_raises(loop, run):
    """1.1: connect_accepted_socket, gh-153133."""

    def factory():
        raise LookupError("no protocol")

    async def main():
        ours, peer = support.tcp_pair()
        with pytest.raises(LookupError):
            await loop.connect_accepted_socket(factory, ours)
        assert ours.fileno() == -1
        peer.close()

    run(main())


@pytest.mark.since(3, 15)
def test_client_of_a_stream_server_whose_callback_raises_sees_the_end(loop, run, errors):
    """1.6: start_server with a plain function, gh-155941."""

    def callback(reader, writer):
        raise LookupError("no service")

    async def main():
        server = await asyncio.start_server(callback, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await stop(server)
        assert [type(context["exception"]) for context in errors] == [LookupError]
        errors.clear()

    run(main())


# -- unix sockets --------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A short path: the name of a unix socket has room for a hundred bytes."""
    monkeypatch.chdir(tmp_path)
    return pathlib.Path("socket")


@NO_UNIX_SOCKETS
@pytest.mark.parametrize("kind", [str, pathlib.Path, os.fsencode])
def test_unix_server_answers_a_unix_connection(loop, run, path, kind):
    """D3: paths as text, as PathLike objects and as bytes; the types are asyncio's."""

    async def main():
        server = await loop.create_unix_server(Echo, kind(path))
        assert isinstance(server, asyncio.AbstractServer)
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        transport, protocol = await loop.create_unix_connection(Recorder, kind(path))
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_extra_info("peername") == "socket"
        assert transport.get_extra_info("sockname") == ""
        assert transport.get_extra_info("socket").family == socket.AF_UNIX
        transport.write(b"x" * 100000)
        assert await protocol.received(100000) == b"x" * 100000
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


@NO_UNIX_SOCKETS
def test_unix_streams_work(loop, run, path):
    """D3: start_unix_server and open_unix_connection."""

    async def shout(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()

    async def main():
        server = await asyncio.start_unix_server(shout, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"quiet\n")
        assert await reader.read() == b"QUIET\n"
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


@NO_UNIX_SOCKETS
def test_socket_pair_can_be_used_as_a_unix_connection(loop, run):
    """D3: sock= instead of a path."""

    async def main():
        ours, peer = socket.socketpair()
        peer.setblocking(False)
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        peer.send(b"x")
        assert await protocol.received(1) == b"x"
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


@NO_UNIX_SOCKETS
def test_socket_that_a_dead_server_left_is_replaced(loop, run, path):
    """D78: a stale socket is removed before binding."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def main():
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)
        server = await loop.create_unix_server(Echo, path)
        assert await answers(lambda factory: loop.create_unix_connection(factory, path))
        await stop(server)

    run(main())


@NO_UNIX_SOCKETS
def test_file_that_is_no_socket_is_not_replaced(loop, run, path):
    """D78: 'Address ... is already in use', and the file is as it was."""
    path.write_text("precious")

    async def main():
        with pytest.raises(OSError) as caught:
            await loop.create_unix_server(Echo, path)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(caught.value) == (
            f"[Errno {errno.EADDRINUSE}] Address 'socket' is already in use"
        )
        assert path.read_text() == "precious"

    run(main())


@NO_UNIX_SOCKETS
@pytest.mark.since(3, 13)
def test_closed_server_removes_its_path(loop, run, path):
    """D78: cleanup_socket, on by default from 3.13 on."""

    async def main():
        server = await loop.create_unix_server(Echo, path)
        assert path.exists()
        await stop(server)
        assert not path.exists()
        server = await loop.create_unix_server(Echo, path, cleanup_socket=False)
        await stop(server)
        assert path.exists()

    run(main())


@NO_UNIX_SOCKETS
@pytest.mark.until(3, 13)
def test_path_stays_behind_a_closed_server(loop, run, path):
    """D78: before 3.13 nobody removes it."""

    async def main():
        server = await loop.create_unix_server(Echo, path)
        await stop(server)
        assert path.exists()

    run(main())


@NO_UNIX_SOCKETS
@pytest.mark.since(3, 13)
def test_path_that_belongs_to_another_server_by_now_is_not_removed(loop, run, path):
    """D78: only the very file that this server made."""

    async def main():
        first = await loop.create_unix_server(Echo, path)
        second = await loop.create_unix_server(Echo, path)  # replaces the first one's path
        await stop(first)
        assert path.exists()
        assert await answers(lambda factory: loop.create_unix_connection(factory, path))
        await stop(second)
        assert not path.exists()

    run(main())


@NO_UNIX_SOCKETS
@pytest.mark.since(3, 13)
def test_path_that_is_gone_already_is_no_error_at_close(loop, run, path, caplog):
    """D78."""

    async def main():
        server = await loop.create_unix_server(Echo, path)
        path.unlink()
        await stop(server)
        assert caplog.records == []

    run(main())


@NO_UNIX_SOCKETS
@pytest.mark.parametrize("kind", [str, os.fsencode])
def test_abstract_socket_is_served(loop, run, tmp_path, kind):
    """D4: a name without a file on Linux; elsewhere asyncio's error."""
    name = f"\0{tmp_path.name}-{os.getpid()}"

    async def main():
        server = await loop.create_unix_server(Echo, kind(name))
        assert server.sockets[0].getsockname() == os.fsencode(name)
        transport, protocol = await loop.create_unix_connection(Recorder, kind(name))
        assert transport.get_extra_info("peername") == os.fsencode(name)
        transport.write(b"x")
        assert await protocol.received(1) == b"x"
        transport.close()
        await protocol.lost
        await stop(server)

    if sys.platform == "linux":
        run(main())
    else:
        with pytest.raises(OSError):
            run(main())


UNIX_ERRORS = {
    "server on nothing": lambda loop, path, sock: loop.create_unix_server(Echo),
    "server on path and socket": lambda loop, path, sock: loop.create_unix_server(
        Echo, path, sock=sock
    ),
    "server on an internet socket": lambda loop, path, sock: loop.create_unix_server(
        Echo, sock=sock
    ),
    "server with ssl=True": lambda loop, path, sock: loop.create_unix_server(Echo, path, ssl=True),
    "server in no folder": lambda loop, path, sock: loop.create_unix_server(Echo, "no/such/folder"),
    "server with too long a path": lambda loop, path, sock: loop.create_unix_server(
        Echo, "x" * 200
    ),
    "server with a handshake timeout": lambda loop, path, sock: loop.create_unix_server(
        Echo, path, ssl_handshake_timeout=1
    ),
    "connection to nothing": lambda loop, path, sock: loop.create_unix_connection(Echo),
    "connection to path and socket": lambda loop, path, sock: loop.create_unix_connection(
        Echo, path, sock=sock
    ),
    "connection on an internet socket": lambda loop, path, sock: loop.create_unix_connection(
        Echo, sock=sock
    ),
    "connection to a missing path": lambda loop, path, sock: loop.create_unix_connection(
        Echo, path
    ),
    "connection with a name and no ssl": lambda loop, path, sock: loop.create_unix_connection(
        Echo, path, server_hostname="x"
    ),
    "connection with ssl and no name": lambda loop, path, sock: loop.create_unix_connection(
        Echo, path, ssl=ssl.create_default_context()
    ),
}


@pytest.mark.parametrize("case", UNIX_ERRORS)
def test_wrong_arguments_of_unix_sockets_give_asyncios_error(path, case):
    """D3 and D4: the selector loop's errors; on Windows its NotImplementedError."""

    def use(loop):
        with socket.socket() as sock:
            try:
                loop.run_until_complete(UNIX_ERRORS[case](loop, path, sock))
            except ValueError as exc:
                raise ValueError(str(exc).replace(repr(sock), "SOCK")) from None

    assert support.same_as_asyncio(use)[0] == "raises"
