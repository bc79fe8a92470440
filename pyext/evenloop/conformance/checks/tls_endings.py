# SPDX-License-Identifier: MIT
"""tls: connections that end badly, what was read before TLS began, and handshakes in mid-stream."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import weakref
from typing import Any

from ..certificate import AUTHORITY, client_context, server_context
from ..protocols import Recorder
from ..trial import Trial
from ..versions import fixed_in
from .tls import area, connect, connect_to_thread

MUCH = 16 << 20  # more than the buffers of both ends hold


@area.check(expect={"lost": "connection_lost(TimeoutError)"}, since=(3, 12))
async def peer_not_reading_close(t: Trial) -> object:
    """A peer that does not read cannot keep a closed connection open beyond ssl_shutdown_timeout.

    spec: docs, ssl_shutdown_timeout; gh-160520
    """
    release = threading.Event()
    t.at_end(release.set)
    protocol = await connect_to_thread(t, lambda _: release.wait(8), ssl_shutdown_timeout=0.1)
    protocol.transport.write(bytes(MUCH))
    protocol.transport.close()
    await t.within(protocol.lost)
    t.take_errors()
    return {"lost": protocol.calls[-1]}


@area.check(expect={"lost": True, "last": "connection_lost(TimeoutError)"}, since=fixed_in((3, 15)))
async def peer_not_reading_after_its_farewell(t: Trial) -> object:
    """Nor can a peer that says farewell first, and then does not read.

    spec: gh-160520
    """
    release = threading.Event()
    t.at_end(release.set)

    def say_farewell_only(tls: ssl.SSLSocket) -> None:
        tls.recv(1)
        tls.settimeout(0)
        try:
            tls.unwrap()
        except OSError:
            pass  # it has said it, and does not wait for the answer
        release.wait(8)

    protocol = await connect_to_thread(t, say_farewell_only, ssl_shutdown_timeout=0.1)
    protocol.transport.write(bytes(MUCH))
    lost = await t.within(protocol.lost)
    t.take_errors()
    return {"lost": lost != "not within 5 s", "last": protocol.calls[-1]}


@area.check(expect={"heard": b"ping"}, since=fixed_in((3, 14, 10), (3, 15)))
async def start_tls_with_buffered_stream_data(t: Trial) -> object:
    """What a StreamReader has of the handshake when start_tls is called belongs to the handshake.

    A client may send its ClientHello without waiting for the answer to STARTTLS.

    spec: gh-142352; C007
    """
    heard = asyncio.get_running_loop().create_future()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await writer.start_tls(server_context(t.path), ssl_handshake_timeout=2.0 * t.scale)
        heard.set_result(await reader.readexactly(4))
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    t.at_end(server.close)
    t.in_thread(hasty_client, server.sockets[0].getsockname())
    seen = await t.within(heard, 3.0)
    t.take_errors()
    return {"heard": seen}


def hasty_client(address: Any) -> None:
    """Send STARTTLS and the ClientHello in one piece, shake hands, say ping."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(address) as sock:
        sock.settimeout(5)
        before = b"STARTTLS\n"
        while True:
            try:
                tls.do_handshake()
                tls.write(b"ping")
                sock.sendall(outgoing.read())
                sock.recv(1)
                return
            except ssl.SSLWantReadError:
                sock.sendall(before + outgoing.read())
                before = b""
                data = sock.recv(1 << 14)
                if not data:
                    return
                incoming.write(data)


@area.check(expect={"refused": "TimeoutError", "freed without a collection": True})
async def refcycle_free_failure(t: Trial) -> object:
    """What a handshake that was given up leaves is freed at once: the context, and what it holds.

    A client that tries again and again would otherwise grow until the next collection.

    spec: CPython's test_ssl, test_handshake_timeout_handler_leak; bpo-34118
    """
    listener = t.listen()  # the system accepts, and nobody answers
    context = client_context()
    alive = weakref.ref(context)
    gc.collect()
    gc.disable()
    try:
        refused = await give_up(t, listener.getsockname(), context)
        del context
        await t.settle()
        freed = alive() is None
    finally:
        gc.enable()
    return {"refused": refused, "freed without a collection": freed}


async def give_up(t: Trial, address: Any, context: ssl.SSLContext) -> str:
    """The type of what a handshake that nobody answers ends with."""
    connecting = t.loop.create_connection(
        Recorder, *address, ssl=context, server_hostname="localhost"
    )
    try:
        await asyncio.wait_for(connecting, 0.1 * t.scale)
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return "connected"


@area.check(expect={"asked": b"who?", "answered": b"me", "certificate of": "localhost"})
async def handshake_in_mid_stream(t: Trial) -> object:
    """A server may ask for the client's certificate later: messages of TLS between those of both.

    It is what TLS 1.3 has in the place of renegotiation, which Python's ssl cannot ask for.

    spec: docs, SSLObject.verify_client_post_handshake; CPython's test_ssl, TestPostHandshakeAuth
    """
    ours, theirs = client_context(), server_context(t.path)
    ours.load_cert_chain(t.path / "certificate.pem")  # the server's serves as the client's
    theirs.load_verify_locations(cadata=AUTHORITY)
    theirs.verify_mode = ssl.CERT_REQUIRED
    ours.post_handshake_auth = theirs.post_handshake_auth = True
    transport, client, server = await connect(t, context=ours, server=theirs)
    tls = server.transport.get_extra_info("ssl_object")
    tls.verify_client_post_handshake()
    server.transport.write(b"who?")
    asked = await t.within(client.received(4))
    transport.write(b"me")
    answered = await t.within(server.received(2))
    names = (tls.getpeercert() or {}).get("subjectAltName", ())
    return {"asked": asked, "answered": answered, "certificate of": dict(names).get("DNS")}
