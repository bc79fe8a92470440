# SPDX-License-Identifier: MIT
"""What users of other loops ran into with TLS: upgrades, endings, errors and settings."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys

import pytest
import support
from differences import ASYNCIO, UVLOOP, differs
from support import Recorder
from test_tls import Echo, authority, client_context, echo, server_context, stop

MIB = 1 << 20


async def secure_client(server, factory=Recorder, context=None):
    """A TLS connection to `server`: transport and protocol."""
    loop = asyncio.get_running_loop()
    address = server.sockets[0].getsockname()
    return await loop.create_connection(
        factory, *address, ssl=context or client_context(), server_hostname="localhost"
    )


@pytest.mark.evenloop_only
@differs(
    from_=ASYNCIO,
    what="`writer.start_tls()` of a server whose reader has TLS bytes already",
    they="in releases without python/cpython#142352 waits for them until the handshake times out",
    evenloop="goes on with them, on every Python",
)
@differs(
    from_=UVLOOP,
    what="`writer.start_tls()` of a server whose reader has TLS bytes already",
    they="waits for them until the handshake times out",
    evenloop="goes on with them",
)
def test_start_tls_keeps_what_the_reader_has_already(loop, run):
    """C007, C157: the client's first TLS bytes may come with the last plain ones."""

    async def main():
        lost = []

        class Once(asyncio.StreamReaderProtocol):
            def connection_lost(self, exc):
                lost.append(exc)
                super().connection_lost(exc)

        async def upgrade(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            while not reader._buffer:  # the greeting is in the reader before the upgrade begins
                await asyncio.sleep(0)
            await writer.start_tls(server_context())
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        def factory():
            return Once(asyncio.StreamReader(loop=loop), upgrade, loop=loop)

        server = await loop.create_server(factory, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"secret\n")
        assert await reader.readline() == b"SECRET\n"
        writer.close()
        await writer.wait_closed()
        await stop(server)
        while not lost:
            await asyncio.sleep(0)
        assert len(lost) == 1

    run(main())


def test_extra_info_of_the_socket_survives_start_tls(loop, run):
    """C073: socket, peername and sockname are those of the plain connection."""

    async def main():
        async def serve(reader, writer):
            await writer.start_tls(server_context())
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname()
        )
        keys = ("socket", "peername", "sockname")
        before = [transport.get_extra_info(key) for key in keys]
        secure = await loop.start_tls(
            transport, protocol, client_context(), server_hostname="localhost"
        )
        after = [secure.get_extra_info(key) for key in keys]
        assert after[0].fileno() == before[0].fileno()
        assert after[1:] == before[1:]
        secure.close()
        await protocol.lost
        await stop(server)

    run(main())


def test_close_stops_the_data_at_once(loop, run):
    """C150: a server that sends without end does not keep the client downloading."""

    class Closing(Recorder):
        after = 0

        def data_received(self, data):
            if self.transport.is_closing():
                self.after += 1
            super().data_received(data)
            self.transport.close()

    async def main():
        async def flood(reader, writer):
            try:
                while True:
                    writer.write(bytes(65536))
                    await writer.drain()
            except OSError:
                writer.close()

        server = await asyncio.start_server(flood, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server, Closing)
        await asyncio.wait_for(asyncio.shield(protocol.lost), 10)
        assert protocol.after == 0
        server.close()

    run(main())


def test_end_without_close_notify_is_told_as_an_end(loop, run):
    """C151: eof_received, then connection_lost without an error."""

    async def main():
        accepted = loop.create_future()

        class Raw(Echo):
            def connection_made(self, transport):
                accepted.set_result(transport)

        server = await loop.create_server(Raw, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server)
        (await accepted).get_extra_info("socket").shutdown(socket.SHUT_WR)
        assert await protocol.lost is None
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
        await stop(server)

    run(main())


def test_debug_mode_logs_how_long_a_handshake_took(loop, run, caplog):
    """C152: and the message can be formatted."""
    loop.set_debug(True)
    loop.slow_callback_duration = 60

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server)
        transport.close()
        await protocol.lost
        await stop(server)

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(main())
    texts = [record.getMessage() for record in caplog.records]
    assert any("SSL handshake took" in text and text.endswith(" ms") for text in texts)


@pytest.mark.parametrize("ending", ["end of file", "reset"])
def test_connection_that_ends_in_the_handshake_wakes_who_waits_for_it(loop, run, ending):
    """C153, C154: ConnectionResetError for the caller; the exception handler hears nothing."""

    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            task = loop.create_task(
                loop.create_connection(
                    Recorder, *address, ssl=client_context(), server_hostname="localhost"
                )
            )
            peer, _ = await loop.sock_accept(listener)
            await loop.sock_recv(peer, 65536)
            if ending == "reset":
                support.reset(peer)
            else:
                peer.close()
            with pytest.raises(ConnectionResetError):
                await task

    run(main())


def test_reset_in_the_shutdown_is_for_the_protocol_alone(loop, run):
    """C154: the peer is gone when we say good-bye; no error in any log."""

    async def main():
        accepted = loop.create_future()

        class Raw(Echo):
            def connection_made(self, transport):
                accepted.set_result(transport)

        server = await loop.create_server(Raw, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server)
        (await accepted).abort()
        transport.write(bytes(MIB))
        transport.close()
        exc = await protocol.lost
        assert exc is None or isinstance(exc, OSError)
        await stop(server)

    run(main())


@pytest.mark.evenloop_only
@differs(
    from_=ASYNCIO,
    what="`start_tls()` while the protocol's writing is paused",
    they="reports an AssertionError of `resume_writing()`, and never resumes the protocol",
    evenloop="resumes it when what waited is sent",
)
def test_start_tls_while_writing_is_paused(loop, run):
    """C155: what waits goes out first, then the handshake; the protocol is resumed."""

    async def main():
        size = 8 * MIB
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        transport.write(bytes(size))
        assert protocol.calls == ["connection_made", "pause_writing"]
        upgrade = loop.create_task(
            loop.start_tls(transport, protocol, client_context(), server_hostname="localhost")
        )
        await support.drain_callbacks()
        assert await support.read_exactly(peer, size) == bytes(size)
        await loop.connect_accepted_socket(Echo, peer, ssl=server_context())
        secure = await upgrade
        secure.write(b"after")
        assert await protocol.received(5) == b"after"
        assert protocol.calls.count("resume_writing") == 1
        secure.close()
        await protocol.lost

    run(main())


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_cancelled_start_tls_ends_the_connection_and_calls_nothing_late(loop, run, turns):
    """C156: nothing that the handshake had queued runs into a closed connection."""

    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        task = loop.create_task(
            loop.start_tls(transport, protocol, client_context(), server_hostname="localhost")
        )
        await support.drain_callbacks(turns)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await support.drain_callbacks(5)
        assert turns == 0 or transport.is_closing()
        assert "data_received" not in protocol.calls
        assert protocol.calls.count("connection_made") == 1
        transport.abort()
        await support.drain_callbacks()
        peer.close()

    run(main())


def test_thousands_of_small_writes_arrive_under_pressure(loop, run):
    """C158: with flow control going on and off all the time."""

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context(), server_hostname="localhost"
        )
        writer.transport.set_write_buffer_limits(high=1000)
        parts = [b"%d," % number * (number % 40 + 1) for number in range(5000)]

        async def send():
            for part in parts:
                writer.write(part)
                await writer.drain()

        expected = b"".join(parts)
        received, _ = await asyncio.gather(reader.readexactly(len(expected)), send())
        assert received == expected
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_close_flushes_before_the_shutdown(loop, run):
    """Section 3a, test_flush_before_shutdown: the last megabytes are not cut off."""

    async def main():
        async def collect(reader, writer):
            done.set_result(len(await reader.read()))
            writer.close()

        done = loop.create_future()
        server = await asyncio.start_server(collect, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server)
        transport.write(bytes(8 * MIB))
        transport.close()
        assert await done == 8 * MIB
        assert await protocol.lost is None
        await stop(server)

    run(main())


# 3.11.2's SSLProtocol asks for no good-bye of the peer.
@pytest.mark.since(3, 11, 7)
def test_shutdown_that_the_peer_never_answers_times_out(loop, run):
    """Section 3b, test_shutdown_timeout: the connection ends after ssl_shutdown_timeout."""

    async def main():
        accepted = loop.create_future()

        class Silent(asyncio.Protocol):
            def connection_made(self, transport):
                accepted.set_result(transport)

        server = await loop.create_server(Silent, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
            ssl_shutdown_timeout=0.1,
        )
        secure = await accepted
        raw = secure._ssl_protocol._transport
        raw.pause_reading()  # never sees our close_notify, so it never answers
        transport.close()
        exc = await protocol.lost
        assert exc is None or isinstance(exc, TimeoutError)
        raw.abort()
        await stop(server)

    run(main())


def test_settings_of_the_context_are_honoured(loop, run):
    """C160: it is the ssl module's own context, with everything that can be set on it."""

    async def main():
        names = []
        strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert("localhost").configure_cert(strict)
        strict.set_alpn_protocols(["second", "third"])
        strict.sni_callback = lambda sock, name, context: names.append(name)
        strict.maximum_version = ssl.TLSVersion.TLSv1_2
        strict.set_ciphers("ECDHE+AESGCM")
        picky = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority().configure_trust(picky)
        picky.set_alpn_protocols(["first", "second"])
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=strict)
        transport, protocol = await secure_client(server, context=picky)
        session = transport.get_extra_info("ssl_object")
        assert session.version() == "TLSv1.2"
        assert session.selected_alpn_protocol() == "second"
        assert names == ["localhost"]
        assert "GCM" in transport.get_extra_info("cipher")[0]
        assert transport.get_extra_info("sslcontext") is picky
        transport.close()
        await protocol.lost
        picky = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority().configure_trust(picky)
        picky.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await secure_client(server, context=picky)
        await stop(server)

    run(main())


def test_encrypted_key_with_a_password_is_taken(loop, run, tmp_path):
    """C160: load_cert_chain(password=...) is the ssl module's."""
    from cryptography.hazmat.primitives import serialization

    issued = authority().issue_cert("localhost")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    protected = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    (tmp_path / "key.pem").write_bytes(protected)
    (tmp_path / "chain.pem").write_bytes(b"".join(b.bytes() for b in issued.cert_chain_pems))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem", password="password")

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context)
        transport, protocol = await secure_client(server)
        transport.write(b"x")
        assert await protocol.received(1) == b"x"
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


@differs(
    from_=UVLOOP,
    what="`isinstance(transport, asyncio.Transport)` of a TLS transport",
    they="is False",
    evenloop="is True: it is asyncio's own",
)
def test_tls_transport_cannot_write_eof_and_says_so(loop, run):
    """C159: can_write_eof() is False, write_eof() not implemented, as in asyncio."""

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await secure_client(server)
        assert isinstance(transport, asyncio.Transport)
        assert transport.can_write_eof() is False
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        transport.close()
        await protocol.lost
        await stop(server)

    run(main())


@pytest.mark.timeout(240)
def test_a_hundred_tls_connections_leave_memory_flat(loop):
    """C172: each connection gives back all that it took."""
    from test_leaks import flat

    server = loop.run_until_complete(
        asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
    )

    async def batch():
        for _ in range(5):
            transport, protocol = await secure_client(server)
            transport.write(b"x")
            await protocol.received(1)
            transport.close()
            await protocol.lost
        await support.drain_callbacks(10)

    flat(
        lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
        rounds=20,
        warm_up=10,
        slack_bytes=4 << 20,
    )
    loop.run_until_complete(stop(server))


def test_renegotiation_reaches_the_protocol_as_data_only(loop, run):
    """Section 3b, test_renegotiation: new keys in mid-stream lose no byte.

    TLS 1.3 changes keys by itself after so many records; the session tickets that a server sends
    after the handshake are such messages too, and come between the data.
    """

    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert("localhost").configure_cert(context)
        context.num_tickets = 10
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context(), server_hostname="localhost"
        )
        for size in (1, 100, 16384, 100000):
            writer.write(bytes(size))
            assert await reader.readexactly(size) == bytes(size)
        writer.close()
        await writer.wait_closed()
        await stop(server)

    assert sys.version_info >= (3, 11)
    run(main())
