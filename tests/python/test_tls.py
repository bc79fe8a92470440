# SPDX-License-Identifier: MIT
"""TLS through asyncio's own SSLProtocol over the loop's transports."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl

import pytest
import support
import trustme
from support import Recorder

MIB = 1 << 20


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    try:
        await writer.wait_closed()
    except (OSError, ssl.SSLError):
        pass


async def stop(server):
    server.close()
    await asyncio.wait_for(server.wait_closed(), support.LIMIT)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def test_create_connection_and_create_server(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context())
        assert server._ssl_context is server_context()
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(
            Recorder, *address, ssl=client_context(), server_hostname="localhost"
        )
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_extra_info("sslcontext") is client_context()
        assert transport.get_extra_info("ssl_object").version().startswith("TLSv1.")
        assert transport.get_extra_info("cipher")
        assert transport.get_extra_info("peercert")["subjectAltName"]
        assert transport.get_extra_info("peername") == address
        assert isinstance(transport.get_extra_info("socket"), asyncio.trsock.TransportSocket)
        transport.write(b"hello")
        assert await protocol.received(5) == b"hello"
        assert transport.can_write_eof() is False
        with pytest.raises(NotImplementedError):
            transport.write_eof()
        transport.close()
        assert await protocol.lost is None
        await stop(server)

    run(main())


@pytest.mark.parametrize("size", [1, 16385, 4 * MIB])
def test_streams_carry_any_amount(loop, run, size):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context(), server_hostname="localhost"
        )
        data = (bytes(range(256)) * (size // 256 + 1))[:size]
        writer.write(data)
        received, _ = await asyncio.gather(reader.readexactly(size), writer.drain())
        assert received == data
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_host_name_is_checked(loop, run, errors):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await loop.create_connection(
                Recorder, *address, ssl=client_context(), server_hostname="elsewhere"
            )
        await stop(server)

    run(main())


def test_untrusted_certificate_is_refused(loop, run):
    async def main():
        made = []

        class Seeing(Echo):
            def connection_made(self, transport):
                made.append(transport)

        server = await loop.create_server(Seeing, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(
                Recorder, *address, ssl=context, server_hostname="localhost"
            )
        await support.drain_callbacks(10)
        await stop(server)

    run(main())


def test_handshake_timeout_says_how_long_it_waited(loop, run):
    """Contract point 44."""

    async def main():
        with support.listening() as (_, address):
            with pytest.raises(ConnectionAbortedError) as caught:
                await loop.create_connection(
                    Recorder,
                    *address,
                    ssl=client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.05,
                )
        assert str(caught.value) == (
            "SSL handshake is taking longer than 0.05 seconds: aborting the connection"
        )

    run(main())


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("value", [0, -1])
def test_timeouts_have_to_be_positive(name, value):
    """Contract point 44."""

    async def use(loop):
        with support.listening() as (_, address):
            await loop.create_connection(
                Recorder,
                *address,
                ssl=client_context(),
                server_hostname="localhost",
                **{name: value},
            )

    def attempt(loop):
        loop.set_exception_handler(lambda *_: None)
        return loop.run_until_complete(asyncio.wait_for(use(loop), support.LIMIT))

    import gc
    import warnings

    with warnings.catch_warnings():
        # Older Pythons leave the connected socket to the collector here.
        warnings.simplefilter("ignore", ResourceWarning)
        kind, text = support.raised_by(attempt)
        gc.collect()
    assert kind == "ValueError"
    assert "should be a positive number" in text


def test_plain_text_to_a_tls_server_closes_that_connection_only(loop, run, errors):
    """Contract points 28 and 46."""

    async def main():
        made = []

        class Counting(Echo):
            def connection_made(self, transport):
                made.append(transport)
                super().connection_made(transport)

        server = await loop.create_server(Counting, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        with socket.create_connection(address) as plain:
            plain.setblocking(False)
            await loop.sock_sendall(plain, b"GET / HTTP/1.0\r\n\r\n")
            try:
                while await loop.sock_recv(plain, 1000):
                    pass
            except ConnectionResetError:
                pass
        assert made == []
        transport, protocol = await loop.create_connection(
            Recorder, *address, ssl=client_context(), server_hostname="localhost"
        )
        transport.write(b"x")
        await protocol.received(1)
        transport.close()
        await protocol.lost
        assert len(made) == 1
        await stop(server)

    run(main())


def test_end_of_file_in_the_handshake_is_connection_reset(loop, run):
    """Contract point 45."""

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
            peer.close()
            with pytest.raises(ConnectionResetError):
                await task

    run(main())


def test_end_of_file_without_close_notify_is_an_end_of_file(loop, run):
    """asyncio tells eof_received when the raw connection ends, and no error. Contract point 45."""

    async def main():
        accepted = loop.create_future()

        class Raw(Echo):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(transport)

        server = await loop.create_server(Raw, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(
            Recorder, *address, ssl=client_context(), server_hostname="localhost"
        )
        transport.write(b"x")
        await protocol.received(1)
        raw = (await accepted).get_extra_info("socket")
        raw.shutdown(socket.SHUT_WR)
        await protocol.eof
        assert await protocol.lost is None
        assert protocol.calls[-2:] == ["eof_received", "connection_lost"]
        await stop(server)

    run(main())


def test_start_tls_upgrades_both_ends(loop, run):
    """Contract point 48."""

    async def main():
        lost = loop.create_future()

        class Upgrading(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                if data == b"STARTTLS":
                    self.transport.write(b"GO")
                    self.task = loop.create_task(self.upgrade())
                else:
                    self.transport.write(data[::-1])

            async def upgrade(self):
                self.transport = await loop.start_tls(
                    self.transport, self, server_context(), server_side=True
                )
                self.transport.write(b"READY")

            def connection_lost(self, exc):
                lost.set_result(exc)

        server = await loop.create_server(Upgrading, "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(
            Recorder, *server.sockets[0].getsockname()
        )
        transport.write(b"STARTTLS")
        assert await protocol.received(2) == b"GO"
        protocol.data.clear()
        secure = await loop.start_tls(
            transport, protocol, client_context(), server_hostname="localhost"
        )
        assert secure.get_extra_info("ssl_object") is not None
        assert secure.get_protocol() is protocol
        assert await protocol.received(5) == b"READY"
        secure.write(b"hidden")
        assert await protocol.received(11) == b"READYneddih"
        secure.close()
        assert await protocol.lost is None
        assert await lost is None
        await stop(server)

    run(main())


def test_start_tls_on_streams(loop, run):
    async def main():
        async def handle(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            writer.write(b"OK\n")
            await writer.drain()
            await writer.start_tls(server_context())
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"OK\n"
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"quiet\n")
        assert await reader.readline() == b"QUIET\n"
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_tls_within_tls(loop, run):
    """Contract point 47."""

    async def main():
        async def handle(reader, writer):
            await writer.start_tls(server_context())
            writer.write(await reader.readexactly(5))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server_context())
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context(), server_hostname="localhost"
        )
        await writer.start_tls(client_context(), server_hostname="localhost")
        writer.write(b"inner")
        assert await reader.readexactly(5) == b"inner"
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_start_tls_rejects_a_transport_that_cannot():
    async def use(loop):
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        other = asyncio.Transport()
        try:
            await loop.start_tls(other, protocol, client_context())
        except TypeError as exc:
            raise TypeError(str(exc).replace(repr(other), "TRANSPORT")) from None
        finally:
            transport.abort()
            peer.close()
            await support.drain_callbacks()

    assert support.raised_by(lambda loop: loop.run_until_complete(use(loop))) == (
        "TypeError",
        "transport TRANSPORT is not supported by start_tls()",
    )


def test_start_tls_wants_a_context():
    async def use(loop):
        async with support.transport_and_socket() as (transport, protocol, _):
            await loop.start_tls(transport, protocol, None)

    kind, text = support.raised_by(lambda loop: loop.run_until_complete(use(loop)))
    assert kind == "TypeError"
    assert "sslcontext is expected to be an instance of ssl.SSLContext" in text


def test_flow_control_reaches_the_protocol(loop, run):
    async def main():
        async def slow(reader, writer):
            await release.wait()
            writer.write(b"%d" % len(await reader.readexactly(8 * MIB)))
            writer.close()

        release = asyncio.Event()
        server = await asyncio.start_server(slow, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
        )
        for _ in range(128):
            transport.write(bytes(65536))
        await protocol.paused
        release.set()
        await protocol.resumed
        await protocol.lost
        assert protocol.data == b"%d" % (8 * MIB)
        await stop(server)

    run(main())


def test_buffered_protocol_reads_through_tls(loop, run):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await loop.create_connection(
            lambda: support.BufferedRecorder(1000),
            *server.sockets[0].getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
        )
        transport.write(b"0123456789" * 1000)
        assert await protocol.received(10000) == b"0123456789" * 1000
        transport.close()
        assert await protocol.lost is None
        await stop(server)

    run(main())


def test_protocol_that_raises_ends_its_tls_connection(loop, run, errors):
    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await loop.create_connection(
            Broken,
            *server.sockets[0].getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
        )
        transport.write(b"x")
        await protocol.lost
        assert "ZeroDivisionError" in [type(c["exception"]).__name__ for c in errors]
        errors.clear()
        await stop(server)

    run(main())


def test_abort_loses_the_connection(loop, run):
    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context())
        transport, protocol = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
        )
        transport.abort()
        assert await protocol.lost is None
        await stop(server)

    run(main())


def test_connect_accepted_socket_with_tls(loop, run):
    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            client = loop.create_task(
                asyncio.open_connection(*address, ssl=client_context(), server_hostname="localhost")
            )
            accepted, _ = await loop.sock_accept(listener)
            transport, protocol = await loop.connect_accepted_socket(
                Recorder, accepted, ssl=server_context()
            )
            reader, writer = await client
            writer.write(b"secret")
            assert await protocol.received(6) == b"secret"
            transport.write(b"answer")
            assert await reader.readexactly(6) == b"answer"
            writer.close()
            await writer.wait_closed()
            assert await protocol.lost is None

    run(main())


def test_client_certificates_are_seen_by_the_server(loop, run):
    async def main():
        strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert("localhost").configure_cert(strict)
        authority().configure_trust(strict)
        strict.verify_mode = ssl.CERT_REQUIRED
        presenting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority().configure_trust(presenting)
        authority().issue_cert("client@example.org").configure_cert(presenting)

        async def tell(reader, writer):
            names = writer.get_extra_info("peercert")["subjectAltName"]
            writer.write(repr(names).encode())
            writer.close()

        server = await asyncio.start_server(tell, "127.0.0.1", 0, ssl=strict)
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=presenting, server_hostname="localhost"
        )
        assert await reader.read() == b"(('email', 'client@example.org'),)"
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_failed_handshakes_log_at_debug_level_only_without_debug(loop, run, caplog, errors):
    """Contract point 46."""

    async def main():
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context())
        with socket.create_connection(server.sockets[0].getsockname()) as plain:
            plain.setblocking(False)
            await loop.sock_sendall(plain, b"nonsense" * 10)
            try:
                while await loop.sock_recv(plain, 1000):
                    pass
            except ConnectionResetError:
                pass
        await stop(server)

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main())
    assert caplog.records == []


def test_many_tls_connections_at_once(loop, run):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
        address = server.sockets[0].getsockname()

        async def talk(number):
            reader, writer = await asyncio.open_connection(
                *address, ssl=client_context(), server_hostname="localhost"
            )
            data = number.to_bytes(4, "big") * 1000
            writer.write(data)
            assert await reader.readexactly(len(data)) == data
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(talk(number) for number in range(30)))
        await stop(server)

    run(main())
