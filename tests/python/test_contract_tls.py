# SPDX-License-Identifier: MIT
"""asyncio's contract: TLS.

Points 44 to 48, as far as test_tls.py does not show them. The protocol is asyncio's own; what is
tested is that our transports under it give its users what the selector loop's give.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import weakref
from asyncio import sslproto

import pytest
import support
from differences import UVLOOP, differs
from support import Recorder
from test_tls import Echo, client_context, server_context, stop

MIB = 1 << 20


async def connect(address, factory=Recorder, **options):
    loop = asyncio.get_running_loop()
    return await loop.create_connection(
        factory, *address[:2], ssl=client_context(), server_hostname="localhost", **options
    )


async def serve(factory=Echo, **options):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context(), **options)
    return server, server.sockets[0].getsockname()


def test_transport_is_the_one_of_asyncio(loop, run):
    """Point 48: the standard library's SSLProtocol over our transport, on both sides."""

    async def main():
        made = loop.create_future()

        class Telling(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(transport)

        server, address = await serve(Telling)
        transport, protocol = await connect(address)
        for each in (transport, await made):
            assert type(each) is sslproto._SSLProtocolTransport
            assert isinstance(each, asyncio.Transport)
            assert type(each._ssl_protocol) is sslproto.SSLProtocol
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


def test_extra_info_of_tls_falls_through_to_the_raw_transport(loop, run):
    """Surface 1.4: TLS keys after the handshake, the socket's from below, then the default."""

    async def main():
        server, address = await serve()
        transport, protocol = await connect(address)
        for name in ("sslcontext", "peercert", "cipher", "ssl_object", "socket", "peername"):
            assert transport.get_extra_info(name) is not None, name
        assert transport.get_extra_info("compression") is None
        assert transport.get_extra_info("peername") == address
        assert transport.get_extra_info("unknown", 5) == 5
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


def test_limits_of_both_buffers_are_asyncios(loop, run):
    """Surface 1.4: (64 KiB, 256 KiB) to read, (128 KiB, 512 KiB) to write, and both can be set."""

    async def main():
        server, address = await serve()
        transport, protocol = await connect(address)
        assert transport.get_read_buffer_limits() == (64 * 1024, 256 * 1024)
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        assert transport.get_read_buffer_size() == 0
        assert transport.get_write_buffer_size() == 0
        transport.set_read_buffer_limits(high=1024, low=512)
        transport.set_write_buffer_limits(high=2048)
        assert transport.get_read_buffer_limits() == (512, 1024)
        assert transport.get_write_buffer_limits() == (512, 2048)
        with pytest.raises(ValueError):
            transport.set_read_buffer_limits(high=1, low=2)
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


# -- the handshake -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 60.0), ({"ssl_handshake_timeout": 12.5}, 12.5)],
    ids=["by default", "as given"],
)
def test_handshake_may_take_a_minute(loop, run, monkeypatch, given, expected):
    """Point 44: what the timer is set to, by default and when it is given."""
    delays = []
    real = loop.call_later

    def call_later(delay, callback, *args, **options):
        if getattr(callback, "__name__", "").startswith("_check_handshake") or "handshake" in repr(
            callback
        ):
            delays.append(delay)
        return real(delay, callback, *args, **options)

    loop.call_later = call_later

    async def main():
        server, address = await serve()
        transport, protocol = await connect(address, **given)
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())
    assert expected in delays
    assert set(delays) == {60.0, expected}  # the server's is the default


def test_server_drops_who_never_shakes_hands(loop, run):
    """Point 44: on the server's side the same, and it serves the next."""

    async def main():
        server, address = await serve(ssl_handshake_timeout=2.0)  # the next one's limit, too
        with socket.create_connection(address) as silent:
            silent.setblocking(False)
            assert await loop.sock_recv(silent, 1) == b""
        transport, protocol = await connect(address)
        transport.write(b"x")
        await protocol.received(1)
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


@pytest.mark.parametrize("debug", [False, True])
def test_handshake_failure_on_a_server_is_told_in_debug_mode(loop, run, errors, debug):
    """Point 46: connection_made is not called; 'SSL handshake failed' for OSErrors in debug."""
    loop.set_debug(debug)
    loop.slow_callback_duration = support.LIMIT

    async def main():
        made = []

        class Noting(Echo):
            def connection_made(self, transport):
                made.append(transport)

        server, address = await serve(Noting)
        with socket.create_connection(address) as plain:
            plain.setblocking(False)
            await loop.sock_sendall(plain, b"GET / HTTP/1.0\r\n\r\n")
            try:
                while await loop.sock_recv(plain, 100):
                    pass
            except ConnectionResetError:
                pass
        await support.drain_callbacks(5)
        assert made == []
        messages = [context["message"] for context in errors]
        errors.clear()
        if not debug:
            assert messages == []
        else:
            assert "Error on transport creation for incoming connection" in messages
        await stop(server)

    run(main())


@pytest.mark.since(3, 15)
def test_failed_connection_is_free_without_the_collector(loop, run):
    """Point 46: an untrusted certificate leaves no cycle that keeps the protocol alive."""

    async def main():
        kept = []

        class Noted(asyncio.Protocol):
            def __init__(self):
                kept.append(weakref.ref(self))

        server, address = await serve()
        gc.collect()
        gc.disable()
        try:
            try:
                await loop.create_connection(
                    Noted, *address[:2], ssl=ssl.create_default_context(), server_hostname="x"
                )
            except ssl.SSLError:
                pass
            await support.drain_callbacks(5)
            assert [ref() for ref in kept] == [None]
        finally:
            gc.enable()
        await stop(server)

    run(main())


@pytest.mark.since(3, 15)
def test_name_to_check_has_to_be_given(loop, run):
    """Point 47: gh-156793; a context that checks names wants server_hostname."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            with pytest.raises(ValueError, match="server_hostname"):
                await loop.create_connection(
                    Recorder, sock=ours, ssl=client_context(), server_hostname=""
                )

    run(main())


# -- data and the end ----------------------------------------------------------------------------


@differs(
    from_=UVLOOP,
    what="the end of a TLS connection without close_notify",
    they="skips `eof_received()`",
    evenloop="calls `eof_received()`, then `connection_lost(None)`",
)
@pytest.mark.parametrize("side", ["client", "server"])
def test_raw_end_without_close_notify_is_an_end_of_file(loop, run, side):
    """Point 45: on whichever side it is seen."""

    async def main():
        accepted = loop.create_future()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        server, address = await serve(Accepted)
        _, protocol = await connect(address)
        pair = [protocol, await accepted]
        ending, seeing = pair if side == "server" else reversed(pair)
        ending.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await seeing.eof
        assert await seeing.lost is None
        assert seeing.calls[-2:] == ["eof_received", "connection_lost"]
        ending.transport.abort()
        await ending.lost
        await stop(server)

    run(main())


def test_peer_that_never_says_goodbye_is_given_up(loop, run, caplog):
    """Point 44: TimeoutError('SSL shutdown timed out') after ssl_shutdown_timeout."""

    async def main():
        accepted = loop.create_future()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        server, address = await serve(Accepted)
        transport, protocol = await connect(address, ssl_shutdown_timeout=0.05)
        peer = await accepted
        peer.transport._ssl_protocol._transport.pause_reading()  # hears nothing any more
        transport.close()
        exc = await protocol.lost
        assert exc is None or (type(exc) is TimeoutError and str(exc) == "SSL shutdown timed out")
        peer.transport.abort()
        await peer.lost
        await stop(server)

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(main())


def test_tls_written_before_close_arrives(loop, run):
    """Point 21 in TLS: close() sends what is buffered, then says goodbye."""

    async def main():
        accepted = loop.create_future()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(self)

        server, address = await serve(Accepted)
        transport, protocol = await connect(address)
        transport.write(b"x" * (4 * MIB))
        transport.close()
        peer = await accepted
        assert await peer.received(4 * MIB) == b"x" * (4 * MIB)
        await protocol.lost
        await peer.lost
        assert peer.calls[-2:] == ["eof_received", "connection_lost"]
        await stop(server)

    run(main())


@pytest.mark.since(3, 14, 10)
def test_bytes_that_were_read_too_early_go_into_the_handshake(loop, run):
    """1.1: start_tls with data already buffered in a StreamReader, gh-142352."""

    async def main():
        done = loop.create_future()

        async def handle(reader, writer):
            await reader.readexactly(4)
            await asyncio.sleep(0.01)  # the client's hello has been read into the buffer
            await writer.start_tls(server_context())
            writer.write((await reader.readexactly(5)).upper())
            writer.close()
            done.set_result(None)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"TLS\n")
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        await done
        writer.close()
        try:
            await writer.wait_closed()
        except (OSError, ssl.SSLError):
            pass
        await stop(server)

    run(main())


def test_start_tls_of_a_transport_that_is_none_of_asyncios_is_refused(loop, run):
    """Point 47's neighbour: _start_tls_compatible is what start_tls looks at."""

    async def main():
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        for wrong in (transport, asyncio.Transport()):
            with pytest.raises(TypeError) as caught:
                await loop.start_tls(wrong, asyncio.Protocol(), client_context())
            assert str(caught.value) == f"transport {wrong!r} is not supported by start_tls()"
        transport.close()
        await support.drain_callbacks()

    run(main())


def test_paused_reading_in_tls_holds_the_plain_text_back(loop, run):
    """Point 26 in TLS: nothing after pause_reading(), everything after resume_reading()."""

    async def main():
        server, address = await serve()
        transport, protocol = await connect(address)
        transport.pause_reading()
        transport.pause_reading()
        transport.write(b"x" * 100000)
        await asyncio.sleep(0.02)
        assert protocol.data == b""
        assert not transport.is_reading()
        transport.resume_reading()
        assert await protocol.received(100000) == b"x" * 100000
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())
