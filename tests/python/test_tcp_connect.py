# SPDX-License-Identifier: MIT
"""create_connection and connect_accepted_socket: success, every way to fail, and cancelling."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket

import pytest
import support
from differences import UVLOOP, differs
from support import Recorder


def test_connects_by_host_and_port(loop, run):
    async def main():
        with support.listening() as (listener, (host, port)):
            transport, protocol = await loop.create_connection(Recorder, host, port)
            assert isinstance(transport, asyncio.Transport)
            assert protocol.calls == ["connection_made"]
            assert transport.get_protocol() is protocol
            assert transport.get_extra_info("peername") == (host, port)
            peer, address = listener.accept()
            assert transport.get_extra_info("sockname") == address
            transport.close()
            assert await protocol.lost is None
            peer.close()

    run(main())


def test_connects_by_name(loop, run):
    async def main():
        with support.listening() as (listener, (_, port)):
            transport, protocol = await loop.create_connection(
                Recorder, "localhost", port, family=socket.AF_INET
            )
            transport.close()
            await protocol.lost

    run(main())


def test_takes_a_connected_socket(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        descriptor = ours.fileno()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        assert transport.get_extra_info("socket").fileno() == descriptor
        peer.send(b"hello")
        assert await protocol.received(5) == b"hello"
        transport.close()
        await protocol.lost
        assert ours.fileno() == -1  # closed with its transport, and known to be
        peer.close()

    run(main())


def test_connection_made_precedes_data_and_the_caller(loop, run):
    """Contract point 17."""
    order = []

    class Noting(Recorder):
        def connection_made(self, transport):
            order.append("made")
            super().connection_made(transport)

        def data_received(self, data):
            order.append("data")
            super().data_received(data)

    async def main():
        with support.listening() as (listener, address):
            task = loop.create_task(loop.create_connection(Noting, *address))
            task.add_done_callback(lambda _: order.append("caller"))
            listener.setblocking(False)
            peer, _ = await loop.sock_accept(listener)
            peer.send(b"x")
            transport, protocol = await task
            await protocol.received(1)
            assert order[0] == "made"
            assert order.index("made") < order.index("caller")
            transport.abort()
            peer.close()

    run(main())


def test_protocol_factory_is_called_once_and_may_return_anything(loop, run):
    async def main():
        made = []

        class Bare:  # no base class: asyncio asks only for the methods
            def connection_made(self, transport):
                made.append("made")

            def data_received(self, data):
                made.append(data)

            def eof_received(self):
                made.append("eof")

            def connection_lost(self, exc):
                lost.set_result(exc)

        lost = loop.create_future()
        ours, peer = support.tcp_pair()
        _, protocol = await loop.create_connection(Bare, sock=ours)
        assert type(protocol) is Bare
        peer.send(b"x")
        peer.close()
        assert await lost is None
        assert made == ["made", b"x", "eof"]

    run(main())


def test_refused_is_connection_refused_with_the_address(loop, run):
    """Contract point 32, row D30."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def main():
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.create_connection(Recorder, "127.0.0.1", port)
            assert caught.value.errno == errno.ECONNREFUSED
            assert f"Connect call failed ('127.0.0.1', {port})" in str(caught.value)

        run(main())


@differs(
    from_=UVLOOP,
    what="`create_connection(all_errors=True)`, Python 3.12",
    they="raises TypeError",
    evenloop="raises an ExceptionGroup with the error of each address",
)
@pytest.mark.since(3, 12)
def test_all_errors_gives_an_exception_group(loop, run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def main():
            with pytest.raises(ExceptionGroup) as caught:
                await loop.create_connection(Recorder, "127.0.0.1", port, all_errors=True)
            assert caught.value.message == "create_connection failed"
            assert [type(exc) for exc in caught.value.exceptions] == [ConnectionRefusedError]

        run(main())


@differs(
    from_=UVLOOP,
    what="`create_connection(happy_eyeballs_delay=..., interleave=...)`",
    they="raises TypeError",
    evenloop="tries several addresses at once, as the running asyncio does",
)
def test_happy_eyeballs_connects(loop, run):
    """C120."""

    async def main():
        with support.listening() as (_, (host, port)):
            transport, protocol = await loop.create_connection(
                Recorder, host, port, happy_eyeballs_delay=0.25, interleave=1
            )
            transport.close()
            await protocol.lost

    run(main())


def test_local_address_is_bound(loop, run):
    async def main():
        with support.listening() as (_, address):
            transport, protocol = await loop.create_connection(
                Recorder, *address, local_addr=("127.0.0.1", 0)
            )
            assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
            transport.close()
            await protocol.lost

    run(main())


def test_local_address_in_use_says_so(loop, run):
    """Contract point 32."""

    async def main():
        with support.listening() as (_, address), support.listening() as (_, taken):
            with pytest.raises(OSError) as caught:
                await loop.create_connection(Recorder, *address, local_addr=taken)
            assert caught.value.errno == errno.EADDRINUSE
            assert str(caught.value).startswith(
                f"[Errno {errno.EADDRINUSE}] error while attempting to bind on address {taken!r}: "
            )

    run(main())


ARGUMENT_ERRORS = {
    "nothing": {},
    "host and sock": {"host": "x", "port": 1, "sock": "SOCK"},
    "server_hostname without ssl": {"host": "x", "port": 1, "server_hostname": "x"},
    "handshake timeout without ssl": {"host": "x", "port": 1, "ssl_handshake_timeout": 1},
    "shutdown timeout without ssl": {"host": "x", "port": 1, "ssl_shutdown_timeout": 1},
    "ssl and sock without server_hostname": {"ssl": True, "sock": "SOCK"},
    "datagram socket": {"sock": "UDP"},
    "port out of range": {"host": "127.0.0.1", "port": 65536},
    "negative port": {"host": "127.0.0.1", "port": -1},
    "port of a wrong type": {"host": "127.0.0.1", "port": 1.5},
    "host of a wrong type": {"host": 17, "port": 1},
}


@pytest.mark.parametrize("case", ARGUMENT_ERRORS)
def test_wrong_arguments_give_asyncios_error(case):
    def connect(loop):
        arguments = dict(ARGUMENT_ERRORS[case])
        kind = {"SOCK": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}.get(arguments.get("sock"))
        with socket.socket(type=kind or socket.SOCK_STREAM) as sock:
            if kind:
                arguments["sock"] = sock
            try:
                loop.run_until_complete(
                    asyncio.wait_for(loop.create_connection(Recorder, **arguments), 10)
                )
            except (ValueError, TypeError) as exc:
                # A socket's repr has its descriptor, which is not the loop's to choose.
                raise type(exc)(str(exc).replace(repr(sock), "SOCK")) from None

    assert support.same_as_asyncio(connect)[0] == "raises"


# Older Pythons leave the socket to the collector, which says so.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_factory_that_raises_gives_its_exception_and_the_peer_sees_the_end(loop, run):
    def broken():
        raise LookupError("no protocol")

    async def main():
        with support.listening() as (listener, address):
            with pytest.raises(LookupError, match="no protocol"):
                await loop.create_connection(broken, *address)
            gc.collect()
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(support.LIMIT)
                assert peer.recv(1) == b""

    run(main())


def test_cancelled_connect_closes_its_socket(loop, run):
    """A full backlog keeps the handshake from finishing, so the connect is really under way.

    Contract point 34.
    """

    async def main():
        sockets = []
        original = socket.socket

        class Tracked(original):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                sockets.append(self)

        socket.socket = Tracked
        try:
            # 192.0.2.0/24 is for documentation: nothing answers there.
            task = loop.create_task(loop.create_connection(Recorder, "192.0.2.1", 9))
            while not sockets and not task.done():
                await asyncio.sleep(0)
            await support.drain_callbacks()
        finally:
            socket.socket = original
        task.cancel()
        with pytest.raises((asyncio.CancelledError, OSError)):
            await task
        assert sockets
        assert [sock.fileno() for sock in sockets] == [-1] * len(sockets)

    run(main())


def test_connect_accepted_socket_gives_a_transport(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hi")
        assert await loop.sock_recv(peer, 10) == b"hi"
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_connect_accepted_socket_rejects_datagram_sockets():
    def use(loop):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            try:
                loop.run_until_complete(loop.connect_accepted_socket(Recorder, sock))
            except ValueError as exc:
                raise ValueError(str(exc).replace(repr(sock), "SOCK")) from None

    assert support.raised_by(use) == ("ValueError", "A Stream Socket was expected, got SOCK")


def test_two_transports_on_one_socket_are_refused(loop, run):
    """Contract point 31, row D49."""

    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        number = ours.fileno()
        for use in (
            lambda: loop.add_reader(number, print),
            lambda: loop.add_writer(ours, print),
            lambda: loop.remove_reader(number),
            lambda: loop.remove_writer(number),
        ):
            with pytest.raises(RuntimeError) as caught:
                use()
            assert str(caught.value) in (
                f"File descriptor {number!r} is used by transport {transport!r}",
                f"File descriptor {ours!r} is used by transport {transport!r}",
            )
        with pytest.raises(RuntimeError, match="is used by transport"):
            await loop.sock_recv(ours, 1)
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_ipv6_connects(loop, run):
    async def main():
        server = await loop.create_server(Recorder, "::1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address[:2])
        assert len(transport.get_extra_info("peername")) == 4
        transport.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


def test_many_connections_at_once(loop, run):
    count = 200

    async def main():
        servers = []

        class Echo(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                servers.append(transport)

            def data_received(self, data):
                self.transport.write(data)

        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=count)
        address = server.sockets[0].getsockname()

        async def talk(number):
            transport, protocol = await loop.create_connection(Recorder, *address)
            text = f"hello {number}".encode() * 10
            transport.write(text)
            assert await protocol.received(len(text)) == text
            transport.close()
            assert await protocol.lost is None

        await asyncio.gather(*(talk(number) for number in range(count)))
        assert len(servers) == count
        server.close()
        await server.wait_closed()

    run(main())
