# SPDX-License-Identifier: MIT
"""create_server and Server: binding, serving, closing, and connections that go wrong."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
import sys

import pytest
import support
from differences import UVLOOP, differs
from support import Recorder

variable = contextvars.ContextVar("variable", default="unset")


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echoes(address, text=b"hello"):
    """Whether a server there answers a client."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Recorder, *address[:2])
    transport.write(text)
    received = await protocol.received(len(text))
    transport.close()
    await protocol.lost
    return received == text


async def close(server):
    server.close()
    await asyncio.wait_for(server.wait_closed(), support.LIMIT)


def test_server_serves(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        assert isinstance(server, asyncio.AbstractServer)
        assert isinstance(server, asyncio.base_events.Server)
        assert server.is_serving()
        assert server.get_loop() is loop
        assert await echoes(server.sockets[0].getsockname())
        await close(server)
        assert not server.is_serving()

    run(main())


def test_sockets_is_a_tuple_that_close_empties(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        assert isinstance(server.sockets, tuple)
        (sock,) = server.sockets
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert sock.gettimeout() == 0
        server.close()
        assert server.sockets == ()
        server.close()
        await server.wait_closed()

    run(main())


def test_close_refuses_new_connections_and_keeps_the_old(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.write(b"a")
        await protocol.received(1)
        server.close()
        await support.drain_callbacks()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, *address)
        transport.write(b"b")
        assert await protocol.received(2) == b"ab"
        transport.close()
        await protocol.lost
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@pytest.mark.since(3, 12)
def test_wait_closed_waits_for_the_connections(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.write(b"a")
        await protocol.received(1)
        server.close()
        waiter = loop.create_task(server.wait_closed())
        await support.drain_callbacks()
        assert not waiter.done()
        transport.close()
        await waiter

    run(main())


@pytest.mark.until(3, 12)
def test_wait_closed_of_a_closed_server_returns_at_once(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.write(b"a")
        await protocol.received(1)
        server.close()
        await server.wait_closed()
        transport.close()
        await protocol.lost
        await support.drain_callbacks(10)

    run(main())


@differs(
    from_=UVLOOP,
    what="`Server.close_clients()`, `Server.abort_clients()`, Python 3.13",
    they="do not exist",
    evenloop="work",
)
@pytest.mark.since(3, 13)
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_clients_can_be_closed_and_aborted(loop, run, method):
    async def main():
        lost = []

        class Counting(Echo):
            def connection_lost(self, exc):
                lost.append(exc)

        server = await loop.create_server(Counting, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        clients = [await loop.create_connection(Recorder, *address) for _ in range(5)]
        for transport, protocol in clients:
            transport.write(b"a")
            await protocol.received(1)
        server.close()
        getattr(server, method)()
        for _, protocol in clients:
            assert await protocol.lost is None
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)
        assert lost == [None] * 5

    run(main())


@pytest.mark.until(3, 13)
def test_server_of_an_older_python_has_its_own_methods_only(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        assert not hasattr(server, "close_clients")
        await close(server)

    run(main())


def test_async_with_closes(loop, run):
    async def main():
        async with await loop.create_server(Echo, "127.0.0.1", 0) as server:
            assert await echoes(server.sockets[0].getsockname())
        assert not server.is_serving()

    run(main())


def test_serve_forever_ends_when_cancelled_and_closes(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, start_serving=False)
        address = server.sockets[0].getsockname()
        assert not server.is_serving()
        task = loop.create_task(server.serve_forever())
        await support.drain_callbacks()
        assert server.is_serving()
        assert await echoes(address)
        with pytest.raises(RuntimeError) as caught:
            await server.serve_forever()
        assert str(caught.value) == (
            f"server {server!r} is already being awaited on serve_forever()"
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.is_serving()
        with pytest.raises(RuntimeError) as caught:
            await server.serve_forever()
        assert str(caught.value) == f"server {server!r} is closed"

    run(main())


@differs(
    from_=UVLOOP,
    what="`Server.close()` during `serve_forever()`",
    they="leaves it waiting",
    evenloop="ends it",
)
def test_close_ends_serve_forever(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        task = loop.create_task(server.serve_forever())
        await support.drain_callbacks()
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_start_serving_false_accepts_nobody_until_started(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, start_serving=False)
        address = server.sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, *address)
        await server.start_serving()
        await server.start_serving()
        assert await echoes(address)
        await close(server)

    run(main())


def test_takes_a_bound_socket(loop, run):
    async def main():
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        server = await loop.create_server(Echo, sock=sock)
        assert server.sockets[0].fileno() == sock.fileno()
        assert await echoes(sock.getsockname())
        await close(server)
        assert sock.fileno() == -1

    run(main())


def test_several_hosts_and_duplicates(loop, run):
    """Contract point 33."""

    async def main():
        server = await loop.create_server(Echo, ["127.0.0.1", "127.0.0.1", "::1"], 0)
        families = sorted(sock.family for sock in server.sockets)
        assert families == sorted([socket.AF_INET, socket.AF_INET6])
        for sock in server.sockets:
            assert await echoes(sock.getsockname())
        await close(server)

    run(main())


def test_ipv6_socket_is_for_ipv6_only(loop, run):
    """Contract point 33, row D47."""

    async def main():
        server = await loop.create_server(Echo, "::", 0)
        sock = server.sockets[0]
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        await close(server)

    run(main())


def test_no_host_serves_every_interface(loop, run):
    async def main():
        server = await loop.create_server(Echo, None, 0, family=socket.AF_INET)
        assert await echoes(("127.0.0.1", server.sockets[0].getsockname()[1]))
        await close(server)

    run(main())


def test_address_in_use_says_so(loop, run):
    """C115: with asyncio's text and the system's number. Contract point 32, row D46."""

    async def main():
        with support.listening() as (_, address):
            with pytest.raises(OSError) as caught:
                await loop.create_server(Echo, *address)
            assert caught.value.errno == errno.EADDRINUSE
            assert str(caught.value).startswith(
                f"[Errno {errno.EADDRINUSE}] error while attempting to bind on address "
                f"{address!r}: "
            )

    run(main())


def test_port_can_be_bound_again_right_after_close(loop, run):
    """Contract row D45."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        assert await echoes(address)
        await close(server)
        server = await loop.create_server(Echo, *address)
        assert await echoes(address)
        await close(server)

    run(main())


@differs(
    from_=UVLOOP,
    what="`create_server(keep_alive=True)`, Python 3.13",
    they="raises TypeError",
    evenloop="works",
)
@pytest.mark.since(3, 13)
def test_keep_alive_is_set_on_the_listener(loop, run):
    """C118."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, keep_alive=True)
        assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        await close(server)

    run(main())


ARGUMENT_ERRORS = {
    "nothing": {},
    "host and sock": {"host": "127.0.0.1", "port": 1, "sock": "SOCK"},
    "ssl is a bool": {"host": "127.0.0.1", "port": 0, "ssl": True},
    "handshake timeout without ssl": {"host": "127.0.0.1", "port": 0, "ssl_handshake_timeout": 1},
    "shutdown timeout without ssl": {"host": "127.0.0.1", "port": 0, "ssl_shutdown_timeout": 1},
    "datagram socket": {"sock": "UDP"},
    "port out of range": {"host": "127.0.0.1", "port": 65536},
    "negative port": {"host": "127.0.0.1", "port": -1},
    "host of a wrong type": {"host": 17, "port": 0},
    "port of a wrong type": {"host": "127.0.0.1", "port": object},
    "address of nobody here": {"host": "192.0.2.1", "port": 0},
}


@pytest.mark.parametrize("case", ARGUMENT_ERRORS)
def test_wrong_arguments_give_asyncios_error(case):
    def serve(loop):
        arguments = dict(ARGUMENT_ERRORS[case])
        kind = {"SOCK": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}.get(arguments.get("sock"))
        with socket.socket(type=kind or socket.SOCK_STREAM) as sock:
            if kind:
                arguments["sock"] = sock
            try:
                loop.run_until_complete(loop.create_server(Recorder, **arguments))
            except (ValueError, TypeError) as exc:
                raise type(exc)(str(exc).replace(repr(sock), "SOCK")) from None

    assert support.same_as_asyncio(serve)[0] == "raises"


@pytest.mark.evenloop_only  # the stock loop of older Pythons leaves the socket to the collector
def test_factory_that_raises_closes_that_connection_only(loop, run, errors):
    """Contract point 28, row D25."""

    async def main():
        made = []

        def factory():
            made.append(True)
            if len(made) == 1:
                raise LookupError("no protocol")
            return Echo()

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address) as client:
            client.setblocking(False)
            assert await loop.sock_recv(client, 1) == b""
        assert await echoes(address)
        assert errors == []  # asyncio reports this one in debug mode only
        loop.set_debug(True)
        made.clear()
        with socket.create_connection(address) as client:
            client.setblocking(False)
            assert await loop.sock_recv(client, 1) == b""
        assert await echoes(address)
        (context,) = errors
        assert type(context["exception"]) is LookupError
        assert context["message"] == "Error on transport creation for incoming connection"
        errors.clear()
        await close(server)

    run(main())


def test_resets_before_accept_do_not_stop_the_server(loop, run):
    """Contract row D24."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=50)
        address = server.sockets[0].getsockname()
        for _ in range(20):
            support.reset(socket.create_connection(address))
        assert await echoes(address)
        await close(server)

    run(main())


def test_many_waiting_clients_are_accepted(loop, run):
    """Contract row D26."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=64)
        address = server.sockets[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(50)]
        for number, client in enumerate(clients):
            client.setblocking(False)
            await loop.sock_sendall(client, bytes([number]))
        for number, client in enumerate(clients):
            assert await loop.sock_recv(client, 1) == bytes([number])
            client.close()
        await close(server)

    run(main())


@pytest.mark.absent("no-descriptor-limit-on-windows", "windows")
def test_out_of_descriptors_pauses_accepting_and_goes_on(loop, run, errors):
    """C116: nobody is turned away. Contract point 27."""
    import resource

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        client = socket.create_connection(address)
        client.setblocking(False)
        await loop.sock_sendall(client, b"x")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir("/dev/fd"))
        told = loop.create_future()

        def handler(_, context):
            errors.append(context)
            if not told.done():
                told.set_result(None)

        loop.set_exception_handler(handler)
        fillers = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            try:
                while True:
                    fillers.append(os.dup(0))
            except OSError:
                pass
            second = None
            if not fillers:
                fillers.append(-1)
            await told
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for number in fillers:
                if number >= 0:
                    os.close(number)
            assert second is None
        assert await loop.sock_recv(client, 1) == b"x"  # after the pause, without a new event
        client.close()
        messages = {context["message"] for context in errors}
        assert messages == {"socket.accept() out of system resource"}
        assert errors[0]["exception"].errno == errno.EMFILE
        assert isinstance(errors[0]["socket"], asyncio.trsock.TransportSocket)
        assert set(errors[0]) == {"message", "exception", "socket"}
        errors.clear()
        await close(server)

    run(main())


@pytest.mark.since(3, 15)
def test_connections_run_in_copies_of_the_creating_context(loop, run):
    """Contract row D50."""

    async def main():
        seen = loop.create_future()

        class Seeing(Echo):
            def data_received(self, data):
                seen.set_result(variable.get())

        variable.set("creator's")
        server = await loop.create_server(Seeing, "127.0.0.1", 0)
        variable.set("changed later")
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname()
        )
        transport.write(b"x")
        assert await seen == "creator's"
        transport.close()
        await protocol.lost
        await close(server)

    run(main())


def test_peername_is_the_address_that_accept_gave(loop, run):
    """Contract point 27."""

    async def main():
        made = loop.create_future()

        class Telling(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(transport)

        server = await loop.create_server(Telling, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            transport = await made
            assert transport.get_extra_info("peername") == client.getsockname()
            assert transport.get_extra_info("sockname") == client.getpeername()
            transport.close()
        await close(server)

    run(main())


def test_unclosed_server_is_closed_with_its_loop(loop_factory):
    import warnings

    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    address = server.sockets[0].getsockname()
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OSError):
            socket.create_connection(address, timeout=5).close()


def test_server_repr_and_private_names(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        assert repr(server).startswith("<Server sockets=(<asyncio.TransportSocket ")
        assert server._ssl_context is None
        await close(server)

    run(main())


def test_reuse_port_is_honoured_or_refused_as_asyncio_does():
    """Contract point 33, row D7."""

    async def use(loop):
        server = await loop.create_server(Echo, "127.0.0.1", 0, reuse_port=True)
        value = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        await close(server)
        return value != 0

    result = support.same_as_asyncio(lambda loop: loop.run_until_complete(use(loop)))
    assert result[0] == ("returns" if hasattr(socket, "SO_REUSEPORT") else "raises")


def test_reuse_address_is_asyncios_default_of_the_system():
    """Contract point 33, row D45."""

    async def use(loop):
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        value = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        await close(server)
        return value != 0

    result = support.same_as_asyncio(lambda loop: loop.run_until_complete(use(loop)))
    assert result == ("returns", repr(os.name == "posix" and sys.platform != "cygwin"))
