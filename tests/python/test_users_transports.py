# SPDX-License-Identifier: MIT
"""What users of other loops ran into with transports: names, sockets, late calls, first reasons."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest
import support
from differences import SELECTOR, UNIX, UVLOOP, differs
from support import Recorder, transport_and_socket

MIB = 1 << 20


def test_sockname_of_a_connection_to_a_wildcard_server_is_the_real_address(loop, run):
    """C070: the address that the client reached, not the 0.0.0.0 that the server is bound to."""

    async def main():
        made = loop.create_future()

        class Telling(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(transport)

        server = await loop.create_server(Telling, "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            transport = await made
            assert transport.get_extra_info("sockname") == ("127.0.0.1", port)
            assert transport.get_extra_info("peername") == client.getsockname()
            transport.close()
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(socket.socket.close, id="closed"),
        pytest.param(
            support.reset, id="reset", marks=pytest.mark.absent("wine-reset-before-accept", "wine")
        ),
    ],
)
@differs(
    from_=UVLOOP,
    what="`get_extra_info('peername')` of a client that left before it was accepted",
    they="is None",
    evenloop="is the address that it had",
)
def test_peername_is_known_of_a_client_that_left_before_it_was_accepted(loop, run, leave):
    """C071: accept() says who it was; getpeername() no longer can."""

    async def main():
        made = loop.create_future()

        class Telling(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(transport.get_extra_info("peername"))

        server = await loop.create_server(Telling, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        name = client.getsockname()
        leave(client)
        assert await made == name
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@pytest.mark.absent("unix-sockets-on-windows", "windows")
def test_peername_of_a_nameless_unix_client_is_an_empty_text(loop, run, tmp_path):
    """C072: as the kernel says it, for the server's side and for both ends of a pair."""

    async def main():
        made = loop.create_future()

        class Telling(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(transport)

        path = str(tmp_path / "socket")
        server = await loop.create_unix_server(Telling, path)
        transport, protocol = await loop.create_unix_connection(Recorder, path)
        assert (await made).get_extra_info("peername") == ""
        assert (await made).get_extra_info("sockname") == path
        assert transport.get_extra_info("peername") == path
        assert transport.get_extra_info("sockname") == ""
        transport.close()
        await protocol.lost
        await (await made).get_protocol().lost
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@differs(
    from_=UVLOOP,
    what="`transport.get_extra_info('socket')`",
    they="gives a PseudoSocket",
    evenloop="gives asyncio's TransportSocket",
)
def test_socket_of_a_transport_can_be_asked_and_peeked_at(loop, run):
    """C074: options are read and set through it; a copy of it peeks without taking data away."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            sock = transport.get_extra_info("socket")
            assert isinstance(sock, asyncio.trsock.TransportSocket)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            transport.pause_reading()
            peer.send(b"peeked")
            with sock.dup() as copy:
                copy.setblocking(True)
                copy.settimeout(support.LIMIT)
                assert copy.recv(100, socket.MSG_PEEK) == b"peeked"
            transport.resume_reading()
            assert await protocol.received(6) == b"peeked"

    run(main())


@differs(
    from_=UVLOOP,
    what="`isinstance(transport, asyncio.Transport)`",
    they="is False",
    evenloop="is True, also on asyncio.ReadTransport and asyncio.WriteTransport",
)
def test_transport_is_one_of_asyncios(loop, run):
    """C075: libraries tell transports from other things by asyncio's classes."""

    async def main():
        async with transport_and_socket() as (transport, _, _):
            for base in (asyncio.Transport, asyncio.ReadTransport, asyncio.WriteTransport):
                assert isinstance(transport, base)

    run(main())


@differs(
    from_=UVLOOP,
    what="`transport.write_eof()`, `writelines()` after `close()`",
    they="raise RuntimeError",
    evenloop="do nothing, as `write()` does",
)
def test_calls_on_a_closing_or_lost_transport_do_nothing(loop, run):
    """C078: the end of a connection races with its users; none of these may raise for it."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):

            def use():
                transport.write(b"x")
                transport.set_write_buffer_limits(high=10)
                transport.pause_reading()
                transport.resume_reading()
                transport.write_eof()
                transport.close()
                transport.abort()
                assert transport.get_write_buffer_size() == 0
                assert transport.is_closing()
                assert not transport.is_reading()

            transport.close()
            use()
            assert await protocol.lost is None
            use()
            await support.drain_callbacks()
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


@differs(
    from_=UVLOOP,
    what="`get_extra_info('socket')`, `get_extra_info('peername')` of a lost connection",
    they="the socket is None; a unix transport raises AttributeError",
    evenloop="still answers; the socket's `fileno()` is -1",
)
def test_extra_info_outlives_the_connection(loop, run):
    """C079: names stay as they were, and the socket tells that it is closed."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            names = [transport.get_extra_info(key) for key in ("peername", "sockname")]
            transport.close()
            await protocol.lost
            await support.drain_callbacks()
            assert [transport.get_extra_info(key) for key in ("peername", "sockname")] == names
            assert transport.get_extra_info("socket").fileno() == -1

    run(main())


@pytest.mark.absent("unix-sockets-on-windows", "windows")
def test_extra_info_outlives_a_unix_connection(loop, run):
    """C079: the empty name of a unix socket does too."""

    async def main():
        ours, peer = socket.socketpair()
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        transport.close()
        await protocol.lost
        assert transport.get_extra_info("peername") == ""
        assert transport.get_extra_info("sockname") == ""
        assert transport.get_extra_info("socket").fileno() == -1
        peer.close()

    run(main())


@pytest.mark.parametrize(
    "use",
    [
        lambda transport: transport.write(b""),
        lambda transport: transport.write(b"x"),
        lambda transport: transport.writelines([]),
        lambda transport: transport.writelines([b""]),
        lambda transport: transport.write_eof(),
    ],
    ids=["write nothing", "write", "writelines of nothing", "writelines", "write_eof"],
)
@pytest.mark.parametrize("closed", [False, True])
def test_what_may_follow_write_eof_is_asyncios_choice(use, closed):
    """C080: a write of nothing after write_eof() is as wrong as any other, closing or not."""

    async def attempt():
        async with transport_and_socket() as (transport, _, _):
            transport.write_eof()
            if closed:
                transport.close()
            use(transport)

    support.same_as_asyncio(lambda loop: loop.run_until_complete(attempt()))


@pytest.mark.parametrize("first", ["exception", "abort"])
def test_connection_lost_tells_the_first_reason(loop, run, errors, first):
    """C083: what comes after it, abort() or an exception, does not change the reason."""

    class Ending(Recorder):
        def data_received(self, data):
            if first == "abort":
                self.transport.abort()
            raise ZeroDivisionError

    async def main():
        async with transport_and_socket(Ending) as (transport, protocol, peer):
            peer.send(b"x")
            while not errors:
                await asyncio.sleep(0)
            transport.abort()
            exc = await protocol.lost
            assert type(exc) is (ZeroDivisionError if first == "exception" else type(None))
            errors.clear()

    run(main())


@differs(
    from_=UVLOOP,
    what="SystemExit raised in `data_received()`",
    they="is reported to the exception handler and the loop runs on",
    evenloop="leaves the loop, as in asyncio",
)
def test_exit_in_data_received_leaves_the_loop(loop, errors):
    """C084: and an ordinary exception ends the connection (test_protocol_errors)."""

    class Exiting(Recorder):
        def data_received(self, data):
            raise SystemExit(3)

    async def main():
        ours, peer = support.tcp_pair()
        await loop.create_connection(Exiting, sock=ours)
        peer.send(b"x")
        try:
            await asyncio.wait_for(loop.create_future(), support.LIMIT)
        finally:
            peer.close()

    with pytest.raises(SystemExit, match="3"):
        loop.run_until_complete(main())
    errors.clear()


def test_refused_transport_leaves_the_socket_to_its_owner(loop, run):
    """C087, C132: a second transport on a descriptor is refused, and takes nothing away.

    create_connection closes the socket that it could not make a transport of; the first transport
    goes on with its own.
    """

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            copy = socket.socket(fileno=transport.get_extra_info("socket").fileno())
            try:
                with pytest.raises(RuntimeError, match="is used by transport"):
                    loop._make_socket_transport(copy, Recorder())
            finally:
                copy.detach()
            peer.send(b"x")
            assert await protocol.received(1) == b"x"

    run(main())


def test_socket_view_of_a_lost_transport_cannot_reach_a_reused_number(loop, run):
    """C088: the number belongs to somebody else by then."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            view = transport.get_extra_info("socket")
            number = view.fileno()
            transport.close()
            await protocol.lost
            others = [socket.socket() for _ in range(8)]
            try:
                if not support.WINDOWS:
                    assert number in [other.fileno() for other in others]
                assert view.fileno() == -1
                for use in (
                    view.getsockname,
                    view.getpeername,
                    lambda: view.shutdown(socket.SHUT_RDWR),
                    lambda: view.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                    lambda: view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                ):
                    with pytest.raises(OSError) as caught:
                        use()
                    assert caught.value.errno in (errno.EBADF, errno.ENOTSOCK)
                for other in others:
                    assert other.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
            finally:
                for other in others:
                    other.close()

    run(main())


@differs(
    from_=UVLOOP,
    what="`transport._start_tls_compatible`, which asyncio's `start_tls()` asks for",
    they="does not exist",
    evenloop="is True",
)
def test_transport_has_the_private_names_that_libraries_use(loop, run):
    """C089, C090: they are asyncio's, with asyncio's meaning."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            assert transport._start_tls_compatible is True
            assert transport._protocol is protocol
            assert transport._loop is loop
            assert transport._sock.fileno() == transport.get_extra_info("socket").fileno()
            assert transport._extra["peername"] == transport.get_extra_info("peername")
            assert transport._paused is False
            assert transport._closing is False
            assert transport._conn_lost == 0
            assert transport._protocol_paused is False
            assert transport._server is None
            assert transport._eof is False
            other = Recorder()
            other.transport = transport
            transport.set_protocol(other)
            assert transport._protocol is other
            transport.set_protocol(protocol)
            transport.pause_reading()
            assert transport._paused is True

    run(main())


@pytest.mark.parametrize("paused", [False, True])
def test_failed_connection_is_closing_before_its_protocol_hears_of_it(loop, run, paused):
    """C091: after an error of the socket, state and callbacks agree."""

    class Looking(Recorder):
        state = None

        def connection_lost(self, exc):
            self.state = (self.transport.is_closing(), self.transport.is_reading())
            super().connection_lost(exc)

    async def main():
        async with transport_and_socket(Looking, small_buffers=True) as (transport, protocol, peer):
            if paused:
                transport.pause_reading()
            transport.write(bytes(4 * MIB))
            support.reset(peer)
            exc = await protocol.lost
            assert isinstance(exc, OSError) or (exc is None and support.under_wine())
            assert protocol.state == (True, False)
            assert transport.get_write_buffer_size() == 0
            assert protocol.calls.count("connection_lost") == 1

    run(main())


def test_closing_with_data_unread_sends_what_was_written(loop, run):
    """C017: close() while the loop waits for input is an orderly end for the peer, no reset."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            peer.send(b"x")
            await protocol.received(1)
            assert transport.is_reading()
            transport.write(b"good bye")
            transport.close()
            assert await support.read_until_eof(peer) == b"good bye"
            await protocol.lost

    run(main())


@pytest.mark.evenloop_only
@differs(
    from_=(UNIX, SELECTOR),
    what="`resume_reading()` after `eof_received()` has returned True",
    they="calls `eof_received()` again, for as long as the transport is open",
    evenloop="does nothing",
)
def test_nothing_happens_after_the_end_of_the_input(loop, run):
    """C018: pausing and resuming after it is silent, and the loop has nothing to do."""

    async def main():
        keep_open = Recorder(keep_open=True)
        async with transport_and_socket(lambda: keep_open) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            for _ in range(3):
                transport.pause_reading()
                await support.drain_callbacks()
                transport.resume_reading()
                await support.drain_callbacks()
            transport.write(b"still open")
            assert await support.read_exactly(peer, 10) == b"still open"
            assert await support.is_idle()
            assert protocol.calls == ["connection_made", "eof_received"]

    run(main())


@pytest.mark.parametrize("nothing", ["", 0, 0.0, (), [], {}, False, None], ids=repr)
@differs(
    from_=UVLOOP,
    what="`transport.write(None)`, `write('')`, `write(0)`, `write([])`",
    they="are taken for nothing to write",
    evenloop="raise TypeError",
)
def test_write_of_what_is_false_but_no_bytes_is_refused(nothing):
    """C077: it is the type that is wrong, whatever the truth of the value."""

    async def write():
        async with transport_and_socket() as (transport, _, _):
            transport.write(nothing)

    kind, _ = support.raised_by(lambda loop: loop.run_until_complete(write()))
    assert kind == "TypeError"
