# SPDX-License-Identifier: MIT
"""tls: connections over TLS, start_tls."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ..certificate import client_context, server_context
from ..check import Area
from ..protocols import BufferedRecorder, Recorder
from ..trial import Trial

area = Area("tls", "TLS")


@area.check(
    expect={
        "Transport": True,
        "sslcontext": True,
        "ssl_object": "SSLObject",
        "cipher": True,
        "peercert": "localhost",
        "can_write_eof": False,
        "write_eof": "NotImplementedError",
    }
)
async def isinstance_Transport_and_extra(t: Trial) -> object:
    """A TLS transport is an asyncio.Transport, tells of its TLS, and cannot be half-closed.

    spec: docs, BaseTransport.get_extra_info, WriteTransport.can_write_eof; C159
    """
    context = client_context()
    transport, _, _ = await connect(t, context=context)
    cert: Any = transport.get_extra_info("peercert")
    try:
        write_eof: object = transport.write_eof()
    except NotImplementedError as error:
        write_eof = type(error)
    return {
        "Transport": isinstance(transport, asyncio.Transport),
        "sslcontext": transport.get_extra_info("sslcontext") is context,
        "ssl_object": type(transport.get_extra_info("ssl_object")).__name__,
        "cipher": bool(transport.get_extra_info("cipher")),
        "peercert": dict(cert["subjectAltName"]).get("DNS"),
        "can_write_eof": transport.can_write_eof(),
        "write_eof": write_eof,
    }


@area.check(expect={"there": b"ping", "back": b"pong"})
async def encrypted_roundtrip(t: Trial) -> object:
    """Data goes both ways between create_connection and create_server.

    spec: docs, ssl=
    """
    transport, client, server = await connect(t)
    transport.write(b"ping")
    there = await t.within(server.received(4))
    server.transport.write(b"pong")
    return {"there": there, "back": await t.within(client.received(4))}


@area.check(expect={"arrived": True})
async def two_mebibytes_arrive_whole(t: Trial) -> object:
    """More than all buffers hold arrives whole and in order.

    spec: docs, WriteTransport.write
    """
    data = bytes(range(256)) * 8192
    transport, _, server = await connect(t)
    transport.write(data)
    return {"arrived": await t.within(server.received(len(data))) == data}


@area.check(expect=["pause_writing", "resume_writing"])
async def flow_control_through_tls(t: Trial) -> object:
    """A reader that rests makes the writer's protocol pause, and resume later.

    spec: docs, flow control of protocols
    """
    transport, client, server = await connect(t)
    server.transport.pause_reading()
    for _ in range(64):
        transport.write(bytes(1 << 18))
    await t.until(lambda: "pause_writing" in client.calls)
    server.transport.resume_reading()
    await t.until(lambda: "resume_writing" in client.calls)
    return [call for call in client.calls if call.endswith("_writing")]


@area.check(expect={"read": [65536, 262144], "write": [131072, 524288], "size": 0, "set": [10, 40]})
async def read_buffer_limits_api(t: Trial) -> object:
    """A TLS transport has limits for reading, and higher ones for writing.

    spec: sslproto._SSLProtocolTransport
    """
    transport, _, _ = await connect(t)
    seen = {
        "read": transport.get_read_buffer_limits(),
        "write": transport.get_write_buffer_limits(),
        "size": transport.get_read_buffer_size(),
    }
    transport.set_read_buffer_limits(high=40)
    return {**seen, "set": transport.get_read_buffer_limits()}


@area.check(
    expect={
        "type": "ConnectionAbortedError",
        "text": "SSL handshake is taking longer than 0.1 seconds: aborting the connection",
    }
)
async def handshake_timeout_error(t: Trial) -> object:
    """A peer that does not answer: ConnectionAbortedError with the time.

    text: sslproto.SSLProtocol._check_handshake_timeout
    """
    listener = t.listen()
    return await t.outcome_of(
        t.within(
            t.loop.create_connection(
                Recorder,
                *listener.getsockname(),
                ssl=client_context(),
                server_hostname="localhost",
                ssl_handshake_timeout=0.1,
            )
        )
    )


@area.check(
    expect=[
        {
            "type": "ValueError",
            "text": "ssl_handshake_timeout should be a positive number, got 0",
        },
        {"type": "ValueError", "text": "ssl_shutdown_timeout should be a positive number, got -1"},
        {
            "type": "ValueError",
            "text": "ssl_handshake_timeout is only meaningful with ssl",
        },
        {
            "type": "ValueError",
            "text": "ssl_shutdown_timeout is only meaningful with ssl",
        },
        {"type": "ValueError", "text": "server_hostname is only meaningful with ssl"},
        {
            "type": "ValueError",
            "text": "You must set server_hostname when using ssl without a host",
        },
    ]
)
async def tls_arg_errors(t: Trial) -> object:
    """create_connection's checks of the TLS arguments.

    text: BaseEventLoop.create_connection and sslproto.SSLProtocol
    """
    context = client_context()
    address = t.listen().getsockname()
    wrong: list[dict[str, Any]] = [
        {"ssl": context, "server_hostname": "localhost", "ssl_handshake_timeout": 0},
        {"ssl": context, "server_hostname": "localhost", "ssl_shutdown_timeout": -1},
        {"ssl_handshake_timeout": 1},
        {"ssl_shutdown_timeout": 1},
        {"server_hostname": "localhost"},
    ]
    seen = [
        await t.outcome_of(t.loop.create_connection(Recorder, *address, **kwargs))
        for kwargs in wrong
    ]
    ours, _ = t.tcp_pair()
    seen.append(await t.outcome_of(t.loop.create_connection(Recorder, sock=ours, ssl=context)))
    return [error if isinstance(error, dict) else "taken" for error in seen]


@area.check(expect={"client": "SSLCertVerificationError", "server made": 0})
async def verify_failed_error(t: Trial) -> object:
    """A certificate that the client does not trust: SSLCertVerificationError.

    The server's protocol hears nothing of it.

    spec: docs, ssl.SSLCertVerificationError
    """
    address, protocols = await serve(t)
    seen = await t.outcome_of(
        t.loop.create_connection(
            Recorder,
            *address,
            ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            server_hostname="localhost",
        )
    )
    await t.settle()
    return {
        "client": seen["type"] if isinstance(seen, dict) else "connected",
        "server made": sum("connection_made" in protocol.calls for protocol in protocols),
    }


@area.check(expect="SSLCertVerificationError")
async def wrong_name(t: Trial) -> object:
    """A certificate for another name is refused.

    spec: docs, ssl, check_hostname
    """
    address, _ = await serve(t)
    seen = await t.outcome_of(
        t.loop.create_connection(
            Recorder, *address, ssl=client_context(), server_hostname="example.org"
        )
    )
    await t.settle(0.02)
    return seen["type"] if isinstance(seen, dict) else "connected"


@area.check(expect={"made": [], "then": b"ping"})
async def handshake_failure_server_side_no_connection_made(t: Trial) -> object:
    """Garbage instead of a handshake ends that connection alone: connection_made is never called.

    spec: contract of SSLProtocol; CPython's test_ssl
    """
    address, protocols = await serve(t)
    sock = await t.dial(address)
    sock.send(b"this is not TLS\r\n" * 10)
    await t.within(t.receive_all(sock))
    made = [protocol.calls for protocol in protocols if protocol.calls]
    transport, _ = await t.loop.create_connection(
        Recorder, *address, ssl=client_context(), server_hostname="localhost"
    )
    transport.write(b"ping")
    await t.until(lambda: any(protocol.data for protocol in protocols))
    return {"made": made, "then": bytes(protocols[-1].data)}


@area.check(expect="ConnectionResetError")
async def end_of_file_during_the_handshake(t: Trial) -> object:
    """A peer that closes during the handshake: ConnectionResetError.

    spec: sslproto.SSLProtocol.eof_received; C153
    """
    listener = t.listen()

    def close_at_once() -> None:
        connection, _ = listener.accept()
        connection.recv(4096)
        connection.close()

    t.in_thread(close_at_once)
    seen = await t.outcome_of(
        t.within(
            t.loop.create_connection(
                Recorder,
                *listener.getsockname(),
                ssl=client_context(),
                server_hostname="localhost",
            )
        )
    )
    return seen["type"] if isinstance(seen, dict) else seen


@area.check(expect=["connection_made", "data_received", "eof_received", "connection_lost(None)"])
async def raw_eof_without_close_notify_calls_eof_received(t: Trial) -> object:
    """A peer that closes TCP without TLS's farewell: eof_received, then connection_lost(None).

    spec: sslproto of the standard library; C151
    """

    protocol = await connect_to_thread(t, leave_without_farewell)
    await t.within(protocol.received(3))
    protocol.transport.write(b"!")
    await t.within(protocol.lost)
    return protocol.calls


def leave_without_farewell(tls: ssl.SSLSocket) -> None:
    """Say something, wait for an answer, and close TCP without close_notify."""
    tls.send(b"bye")
    tls.recv(1)
    plain = socket.socket(fileno=tls.detach())
    plain.close()


@area.check(expect=["connection_made", "data_received", "eof_received", "connection_lost(None)"])
async def close_notify_calls_eof_received(t: Trial) -> object:
    """TLS's farewell: eof_received, then connection_lost(None).

    spec: docs, Protocol.eof_received
    """

    def say_and_unwrap(tls: ssl.SSLSocket) -> None:
        tls.send(b"bye")
        with contextlib.suppress(OSError):
            tls.unwrap().close()

    protocol = await connect_to_thread(t, say_and_unwrap)
    await t.within(protocol.lost)
    return protocol.calls


@area.check(expect=["connection_made", "connection_lost(ConnectionResetError)"])
async def reset_below_tls(t: Trial) -> object:
    """A reset below TLS is connection_lost(ConnectionResetError).

    portable: D29
    """

    def reset(tls: ssl.SSLSocket) -> None:
        tls.recv(1)
        t.reset(socket.socket(fileno=tls.detach()))

    protocol = await connect_to_thread(t, reset)
    protocol.transport.write(b"!")
    await t.within(protocol.lost)
    return protocol.calls


@area.check(expect={"before": b"plain", "there": b"ping", "back": b"pong"})
async def start_tls_roundtrip(t: Trial) -> object:
    """start_tls on both sides of a plain connection.

    spec: docs, loop.start_tls
    """
    client, server = await pair_of_transports(t)
    client.transport.write(b"plain")
    before = await t.within(server.received(5))
    server.data.clear()
    secure, secured = await t.within(
        asyncio.gather(
            t.loop.start_tls(
                client.transport, client, client_context(), server_hostname="localhost"
            ),
            t.loop.start_tls(server.transport, server, server_context(t.path), server_side=True),
        )
    )
    secure.write(b"ping")
    there = await t.within(server.received(4))
    secured.write(b"pong")
    return {"before": before, "there": there, "back": await t.within(client.received(4))}


@area.check(expect={"there": b"ping", "back": b"pong"})
async def streams_start_tls(t: Trial) -> object:
    """StreamWriter.start_tls on both sides.

    spec: docs, StreamWriter.start_tls (3.11)
    """
    heard: list[bytes] = []
    done = asyncio.Event()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"go ahead\n")
        await writer.start_tls(server_context(t.path))
        heard.append(await reader.readexactly(4))
        writer.write(b"pong")
        await writer.drain()
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"STARTTLS\n")
    await reader.readline()
    await t.within(writer.start_tls(client_context(), server_hostname="localhost"))
    writer.write(b"ping")
    back = await t.within(reader.readexactly(4))
    done.set()
    writer.close()
    server.close()
    return {"there": heard[0], "back": back}


@area.check(
    expect={"types": ["TypeError", "TypeError"]},
)
async def start_tls_wrong_transport_TypeError(t: Trial) -> object:
    """start_tls refuses a transport that cannot do it, and a context that is none.

    spec: docs, loop.start_tls; BaseEventLoop.start_tls
    """
    endpoint, _ = await t.datagrams()
    transport, protocol, _ = await t.connect()
    seen: list[Any] = [
        await t.outcome_of(t.loop.start_tls(endpoint, Recorder(), client_context())),
        await t.outcome_of(t.loop.start_tls(transport, protocol, True)),
    ]
    return {"types": [error["type"] if isinstance(error, dict) else "taken" for error in seen]}


@area.check(expect={"inner": b"ping", "back": b"pong"})
async def over_ssl(t: Trial) -> object:
    """TLS inside TLS: start_tls on a TLS transport, as through an HTTPS proxy.

    spec: SSLProtocolTransport is _start_tls_compatible since 3.11
    """
    transport, _, server = await connect(t)
    inner_client, inner_server = Recorder(), Recorder()
    inner, outer = await t.within(
        asyncio.gather(
            t.loop.start_tls(
                transport, inner_client, client_context(), server_hostname="localhost"
            ),
            t.loop.start_tls(
                server.transport, inner_server, server_context(t.path), server_side=True
            ),
        )
    )
    inner.write(b"ping")
    there = await t.within(inner_server.received(4))
    outer.write(b"pong")
    return {"inner": there, "back": await t.within(inner_client.received(4))}


@area.check(expect={"SNI": "localhost"})
async def sni_callback(t: Trial) -> object:
    """The server's context learns the name that the client asked for.

    spec: docs, SSLContext.sni_callback
    """
    asked: list[str | None] = []
    context = server_context(t.path)
    context.sni_callback = lambda _, name, __: asked.append(name)
    await connect(t, server=context)
    return {"SNI": asked[0] if asked else None}


@area.check(expect={"protocol": "h2"})
async def alpn(t: Trial) -> object:
    """Both sides agree on an application protocol.

    spec: docs, SSLContext.set_alpn_protocols
    """
    server, client = server_context(t.path), client_context()
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["h2"])
    transport, _, _ = await connect(t, context=client, server=server)
    return {"protocol": transport.get_extra_info("ssl_object").selected_alpn_protocol()}


@area.check(expect={"version": "TLSv1.2", "there": b"ping"})
async def tls_1_2(t: Trial) -> object:
    """A context that allows only TLS 1.2 gets it.

    spec: docs, SSLContext.maximum_version; C160
    """
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    transport, _, server = await connect(t, context=client)
    transport.write(b"ping")
    return {
        "version": transport.get_extra_info("ssl_object").version(),
        "there": await t.within(server.received(4)),
    }


@area.check(expect={"while paused": b"", "afterwards": True})
async def pause_reading_mid_record(t: Trial) -> object:
    """A paused TLS transport delivers nothing, and everything afterwards.

    spec: docs, ReadTransport.pause_reading
    """
    transport, _, server = await connect(t)
    server.transport.pause_reading()
    data = bytes(range(256)) * 4096
    transport.write(data)
    await t.settle()
    paused = bytes(server.data)
    server.transport.resume_reading()
    return {
        "while paused": paused,
        "afterwards": await t.within(server.received(len(data))) == data,
    }


@area.check(expect={"data": b"buffered", "calls": ["connection_made", "buffer_updated"]})
async def buffered_protocol_over_tls(t: Trial) -> object:
    """A BufferedProtocol works over TLS.

    spec: docs, BufferedProtocol; CPython's test_sslproto
    """
    _, client, server = await connect(t, factory=BufferedRecorder)
    server.transport.write(b"buffered")
    data = await t.within(client.received(8))
    return {"data": data, "calls": client.calls}


@area.check(expect={"arrived": True, "server": "connection_lost(None)"})
async def close_flushes_before_the_farewell(t: Trial) -> object:
    """close() sends what was written, then says farewell.

    spec: docs, BaseTransport.close
    """
    data = bytes(range(256)) * 4096
    transport, client, server = await connect(t)
    transport.write(data)
    transport.close()
    await t.within(client.lost)
    await t.within(server.lost)
    return {"arrived": bytes(server.data) == data, "server": server.calls[-1]}


@area.check(expect={"inside": [], "lost": "connection_lost(None)"})
async def abort_without_farewell(t: Trial) -> object:
    """abort() ends with connection_lost(None), not called inside it.

    spec: docs, WriteTransport.abort
    """
    transport, client, _ = await connect(t)
    before = len(client.calls)
    transport.write(bytes(1 << 24))
    client.calls = client.calls[:before]
    transport.abort()
    inside = client.calls[before:]
    await t.within(client.lost)
    return {"inside": inside, "lost": client.calls[-1]}


@area.check(
    expect={
        "raised": "connection_lost(ZeroDivisionError)",
        "message": "Fatal error on SSL protocol",
    }
)
async def exception_of_data_received(t: Trial) -> object:
    """An exception of data_received closes the connection with it and is reported.

    spec: sslproto.SSLProtocol._fatal_error
    """

    class Fragile(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    _, client, server = await connect(t, factory=Fragile)
    server.transport.write(b"x")
    await t.within(client.lost)
    await t.settle(0.02)
    reports: Any = t.take_errors()
    return {
        "raised": client.calls[-1],
        "message": next((report["message"] for report in reports if "exception" in report), None),
    }


@area.check(expect={"lost": "connection_lost(TimeoutError)"}, since=(3, 12))
async def shutdown_timeout_TimeoutError(t: Trial) -> object:
    """A peer that does not answer the farewell ends with TimeoutError after ssl_shutdown_timeout.

    spec: docs, ssl_shutdown_timeout; sslproto.SSLProtocol._check_shutdown_timeout
    """
    release = threading.Event()
    t.at_end(release.set)
    protocol = await connect_to_thread(t, lambda _: release.wait(8), ssl_shutdown_timeout=0.1)
    protocol.transport.close()
    await t.within(protocol.lost)
    t.take_errors()
    return {"lost": protocol.calls[-1]}


@area.check(expect={"freed": True})
async def collectable_after_close(t: Trial) -> object:
    """The protocol of a closed TLS connection can be collected: nothing holds it for ever.

    spec: gh-109534
    """
    transport, client, server = await connect(t)
    alive = weakref.ref(client)
    transport.close()
    await t.within(client.lost)
    await t.within(server.lost)
    del transport, client
    await t.turns()
    gc.collect()
    return {"freed": alive() is None}


@area.check(expect={"server_hostname": "ValueError"}, since=(3, 15))
async def check_hostname_requires_server_hostname(t: Trial) -> object:
    """start_tls with a context that checks names wants a name.

    spec: gh-156793
    """
    transport, protocol, _ = await t.connect()
    seen = await t.outcome_of(
        t.within(t.loop.start_tls(transport, protocol, client_context()), 1.0)
    )
    return {"server_hostname": seen["type"] if isinstance(seen, dict) else seen}


# -- pieces ----------------------------------------------------------------------------------------


async def serve(
    t: Trial, context: ssl.SSLContext | None = None
) -> tuple[tuple[str, int], list[Recorder]]:
    """A TLS server on loopback, and the protocols that it makes."""
    protocols: list[Recorder] = []

    def factory() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    _, address = await t.serve(factory, ssl=context or server_context(t.path))
    return address, protocols


async def connect(
    t: Trial,
    *,
    factory: Callable[[], Any] = Recorder,
    context: ssl.SSLContext | None = None,
    server: ssl.SSLContext | None = None,
) -> tuple[Any, Any, Any]:
    """A TLS connection to the loop's own server: transport and both protocols."""
    address, protocols = await serve(t, server)
    transport, protocol = await t.within(
        t.loop.create_connection(
            factory, *address, ssl=context or client_context(), server_hostname="localhost"
        )
    )
    await t.until(lambda: protocols and protocols[0].transport)
    return transport, protocol, protocols[0]


async def connect_to_thread(
    t: Trial, act: Callable[[ssl.SSLSocket], object], **kwargs: Any
) -> Recorder:
    """A TLS connection to a thread, which acts once the handshake is over."""
    listener = t.listen()
    context = server_context(t.path)

    def serve_one() -> None:
        plain, _ = listener.accept()
        with contextlib.suppress(OSError):
            tls = context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
            act(tls)
            tls.close()

    t.in_thread(serve_one)
    _, protocol = await t.within(
        t.loop.create_connection(
            Recorder,
            *listener.getsockname(),
            ssl=client_context(),
            server_hostname="localhost",
            **kwargs,
        )
    )
    return protocol  # type: ignore[no-any-return]


async def pair_of_transports(t: Trial) -> tuple[Any, Any]:
    """The protocols of two plain transports of the loop that are connected to each other."""
    one, other = t.tcp_pair()
    _, client = await t.loop.create_connection(Recorder, sock=one)
    _, server = await t.loop.connect_accepted_socket(Recorder, other)
    return client, server
