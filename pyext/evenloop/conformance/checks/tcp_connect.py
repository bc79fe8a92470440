# SPDX-License-Identifier: MIT
"""tcp: connecting, what can be asked of a connection, streams."""

from __future__ import annotations

import asyncio
import asyncio.trsock
import errno
import socket
import sys
import time
from typing import Any

from .. import handles
from ..protocols import Recorder
from ..trial import Trial
from .tcp import area

REFUSED = {
    "type": "ConnectionRefusedError",
    "text": "[Errno ECONNREFUSED] Connect call failed ('127.0.0.1', PORT)",
    "errno": "ECONNREFUSED",
}


# -- extra info -----------------------------------------------------------------------------------


@area.check(
    expect={
        "peername": True,
        "sockname": True,
        "socket": True,
        "unknown": None,
        "unknown with a default": "default",
    }
)
async def extra_info(t: Trial) -> object:
    """get_extra_info() knows both addresses and the socket, and has a default for the rest.

    spec: docs, BaseTransport.get_extra_info
    """
    ours, peer = t.tcp_pair()
    transport, _ = await t.loop.create_connection(Recorder, sock=ours)
    return {
        "peername": transport.get_extra_info("peername") == peer.getsockname(),
        "sockname": transport.get_extra_info("sockname") == peer.getpeername(),
        "socket": transport.get_extra_info("socket").fileno() == ours.fileno(),
        "unknown": transport.get_extra_info("nothing"),
        "unknown with a default": transport.get_extra_info("nothing", "default"),
    }


@area.check(
    expect={
        "TransportSocket": True,
        "family": "AF_INET",
        "kind": "SOCK_STREAM",
        "getsockopt": True,
        "getpeername": True,
        "peer sees": b"",
        "shutdown": None,
    }
)
async def extra_info_socket_type_and_shutdown(t: Trial) -> object:
    """The socket of a transport is an asyncio TransportSocket that can be asked and shut down.

    spec: docs, get_extra_info('socket'); CPython Lib/asyncio/trsock.py, bpo-38248
    """
    transport, _, peer = await t.connect()
    sock = transport.get_extra_info("socket")
    seen = {
        "TransportSocket": isinstance(sock, asyncio.trsock.TransportSocket),
        "family": sock.family,
        "kind": sock.type,
        "getsockopt": sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 0,
        "getpeername": sock.getpeername() == peer.getsockname(),
        "shutdown": t.outcome(sock.shutdown, socket.SHUT_WR),
    }
    return {**seen, "peer sees": await t.within(t.receive_all(peer), 2.0)}


@area.check(expect={"peername": True, "sockname": True})
async def extra_info_after_close(t: Trial) -> object:
    """The addresses are known after the connection has gone.

    spec: CPython Lib/asyncio/selector_events.py: kept in _extra
    """
    transport, protocol, peer = await t.connect()
    names = (peer.getsockname(), peer.getpeername())
    peer.close()
    await protocol.lost
    return {
        "peername": transport.get_extra_info("peername") == names[0],
        "sockname": transport.get_extra_info("sockname") == names[1],
    }


@area.check(expect={"client": True, "accepted": True})
async def nodelay_set(t: Trial) -> object:
    """TCP_NODELAY is set on both kinds of connections.

    spec: docs, loop.create_connection (3.6): "The socket option TCP_NODELAY is set by default";
    macOS forgets it on accepted ones (gh-148783)
    """
    accepted = t.loop.create_future()

    class Accepts(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            accepted.set_result(transport)

    server, address = await t.serve(Accepts)
    client, _ = await t.loop.create_connection(Recorder, *address)
    seen = {
        name: bool(
            transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        )
        for name, transport in (("client", client), ("accepted", await accepted))
    }
    client.abort()
    (await accepted).abort()
    server.close()
    return seen


# -- connecting -----------------------------------------------------------------------------------


@area.check(expect={"type": "Recorder", "peername": True, "echo": b"hello"})
async def create_connection(t: Trial) -> object:
    """create_connection(host, port) connects, and returns transport and protocol.

    spec: docs, loop.create_connection
    """
    listener = t.listen()
    address = listener.getsockname()
    transport, protocol = await t.loop.create_connection(Recorder, *address)
    peer = t.closing(listener.accept()[0])
    peer.sendall(b"hello")
    seen = {
        "type": type(protocol).__name__,
        "peername": transport.get_extra_info("peername") == address,
        "echo": await protocol.received(5),
    }
    transport.close()
    return seen


@area.check(expect=REFUSED)
async def connect_refused_type(t: Trial) -> object:
    """A refused connection is a ConnectionRefusedError with errno ECONNREFUSED and the address.

    text: CPython Lib/asyncio/selector_events.py, _sock_connect_cb
    """
    port = t.unused_port()
    return await t.outcome_of(t.loop.create_connection(Recorder, "127.0.0.1", port))


@area.check(expect="at once")
async def connect_refused_under_100ms(t: Trial) -> object:
    """A refused connection on loopback is known at once.

    portable: Windows tries again for two seconds (TCP_INITIAL_RTO)
    """
    port = t.unused_port()
    start = time.perf_counter()
    await t.outcome_of(t.loop.create_connection(Recorder, "127.0.0.1", port))
    took = time.perf_counter() - start
    t.note("took ms", round(took * 1000, 2))
    return "at once" if took < 0.1 * t.scale else "late"


@area.check(expect=[["127.0.0.1", "127.0.0.1"]])
async def connect_any_address(t: Trial) -> object:
    """Connecting to 0.0.0.0 reaches this machine.

    portable: Linux does so; Windows refuses with WSAEADDRNOTAVAIL
    """
    listener = t.listen()
    outcome = await t.outcome_of(
        t.loop.create_connection(Recorder, "0.0.0.0", listener.getsockname()[1])
    )
    if isinstance(outcome, dict):
        return outcome
    transport, _ = outcome
    names = [transport.get_extra_info(name)[0] for name in ("peername", "sockname")]
    transport.close()
    return [names]


@area.check(
    expect={
        "type": "ExceptionGroup",
        "text": "create_connection failed (1 sub-exception)",
        "exceptions": [REFUSED],
    },
    since=(3, 12),
)
async def all_errors_group(t: Trial) -> object:
    """With all_errors=True every address's error comes in an ExceptionGroup.

    text: docs, loop.create_connection: all_errors (3.12)
    """
    port = t.unused_port()
    return await t.outcome_of(
        t.loop.create_connection(Recorder, "127.0.0.1", port, all_errors=True)
    )


@area.check(expect={"both": "connected", "interleave": "connected"})
async def happy_eyeballs_kwargs(t: Trial) -> object:
    """create_connection() takes happy_eyeballs_delay and interleave.

    spec: docs, loop.create_connection (3.8)
    """
    listener = t.listen()
    seen = {}
    for name, kwargs in (
        ("both", {"happy_eyeballs_delay": 0.1, "interleave": 1}),
        ("interleave", {"interleave": 1}),
    ):
        transport, _ = await t.loop.create_connection(Recorder, *listener.getsockname(), **kwargs)
        seen[name] = "connected"
        transport.close()
    return seen


@area.check(expect="connected by the second address", needs=("ipv6",))
async def second_address_is_tried(t: Trial) -> object:
    """Where the first address of a name refuses, the next one is tried.

    spec: docs, loop.create_connection; CPython test_base_events test_create_connection_multiple
    """
    listener = t.listen()
    port = listener.getsockname()[1]

    async def getaddrinfo(host: object, port: object, **kwargs: object) -> object:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    t.loop.getaddrinfo = getaddrinfo
    transport, _ = await t.loop.create_connection(Recorder, "two.addresses", port)
    host = transport.get_extra_info("peername")[0]
    transport.close()
    return "connected by the second address" if host == "127.0.0.1" else host


@area.check(
    expect={
        "type": "OSError",
        "text": (
            "[Errno EADDRINUSE] error while attempting to bind on address ('127.0.0.1', PORT): "
            "address already in use"
        ),
        "errno": "EADDRINUSE",
    }
)
async def local_addr_in_use_message(t: Trial) -> object:
    """A local address that is in use gives an OSError that names it.

    text: CPython Lib/asyncio/base_events.py, _connect_sock (from 3.13 on the reason begins with
    [errno 98], which is left out here)
    """
    t.canon.replace(f"[errno {errno.EADDRINUSE}] address", "address")
    listener = t.listen()
    busy = t.listen()
    return await t.outcome_of(
        t.loop.create_connection(Recorder, *listener.getsockname(), local_addr=busy.getsockname())
    )


@area.check(expect=True)
async def local_addr(t: Trial) -> object:
    """local_addr= is what the connection comes from.

    spec: docs, loop.create_connection: local_addr
    """
    listener = t.listen()
    port = t.unused_port()
    transport, _ = await t.loop.create_connection(
        Recorder, *listener.getsockname(), local_addr=("127.0.0.1", port)
    )
    _, address = listener.accept()
    transport.close()
    return address == ("127.0.0.1", port)


def _value_error(text: str) -> dict[str, object]:
    return {"type": "ValueError", "text": text}


@area.check(
    expect={
        "nothing": _value_error("host and port was not specified and no sock specified"),
        "host and sock": _value_error("host/port and sock can not be specified at the same time"),
        "server_hostname alone": _value_error("server_hostname is only meaningful with ssl"),
        "ssl without a host": _value_error(
            "You must set server_hostname when using ssl without a host"
        ),
        "ssl_handshake_timeout alone": _value_error(
            "ssl_handshake_timeout is only meaningful with ssl"
        ),
        "ssl_shutdown_timeout alone": _value_error(
            "ssl_shutdown_timeout is only meaningful with ssl"
        ),
        "a datagram socket": "A Stream Socket was expected, got ",
    }
)
async def create_connection_arg_errors(t: Trial) -> object:
    """Arguments of create_connection() that do not go together are refused.

    text: CPython Lib/asyncio/base_events.py, create_connection
    """
    ours, _ = t.tcp_pair()
    datagram = t.udp_socket()

    def connect(*args: object, **kwargs: object) -> Any:
        return t.outcome_of(t.loop.create_connection(Recorder, *args, **kwargs))

    wrong = await connect(sock=datagram)
    return {
        "nothing": await connect(),
        "host and sock": await connect("127.0.0.1", 1, sock=ours),
        "server_hostname alone": await connect("127.0.0.1", 1, server_hostname="x"),
        "ssl without a host": await connect(sock=ours, ssl=True),
        "ssl_handshake_timeout alone": await connect("127.0.0.1", 1, ssl_handshake_timeout=1),
        "ssl_shutdown_timeout alone": await connect("127.0.0.1", 1, ssl_shutdown_timeout=1),
        "a datagram socket": wrong["text"].partition("<")[0],
    }


@area.check(expect={"cancelled": True, "peer of the listener": "gone", "descriptors": 0})
async def cancel_connect_closes_socket(t: Trial) -> object:
    """Cancelling create_connection() closes the socket that was connecting.

    spec: CPython Lib/asyncio/base_events.py, _connect_sock: "except: sock.close()"
    """
    listener = t.listen()
    # What a loop opens for its first connection and keeps is no leak.
    first, _ = await t.loop.create_connection(Recorder, *listener.getsockname())
    listener.accept()[0].close()
    first.abort()
    await t.settle(0.01)
    before = _descriptors()
    task = t.loop.create_task(t.loop.create_connection(Recorder, *listener.getsockname()))
    await t.turns(1)
    task.cancel()
    await asyncio.wait([task])
    await t.settle(0.01)
    listener.settimeout(0.2)
    try:
        conn, _ = listener.accept()
    except TimeoutError:
        state = "gone"
    else:
        conn.settimeout(2)
        seen = t.outcome(conn.recv, 1)
        state = "open" if seen == {"type": "TimeoutError", "text": "timed out"} else "gone"
        conn.close()
    return {
        "cancelled": task.cancelled(),
        "peer of the listener": state,
        "descriptors": _descriptors() - before,
    }


def _descriptors() -> int:
    """How many descriptors are open, where the system says so."""
    return handles.open_descriptors() if handles.are_counted() else 0


@area.check(expect={"raised": {"type": "ValueError", "text": "no protocol"}, "peer sees": b""})
async def factory_that_raises(t: Trial) -> object:
    """A protocol factory that raises makes create_connection() raise, and the connection closes.

    portable: the stock loops leave the socket open until it is collected (gh-153133)
    """
    listener = t.listen()

    def factory() -> Any:
        raise ValueError("no protocol")

    outcome = await t.outcome_of(t.loop.create_connection(factory, *listener.getsockname()))
    conn = t.closing(listener.accept()[0])
    conn.setblocking(False)
    import gc

    gc.collect()
    return {"raised": outcome, "peer sees": await t.within(t.receive_all(conn), 2.0)}


@area.check(expect="the caller's")
async def create_connection_takes_the_socket_over(t: Trial) -> object:
    """create_connection(sock=) uses the very descriptor that it is given.

    spec: docs, loop.create_connection: sock
    """
    ours, _ = t.tcp_pair()
    fd = ours.fileno()
    transport, _ = await t.loop.create_connection(Recorder, sock=ours)
    same = transport.get_extra_info("socket").fileno() == fd
    return "the caller's" if same else "another"


@area.check(expect={"raises": "RuntimeError", "text": True})
async def two_transports_on_one_socket(t: Trial) -> object:
    """A descriptor that a transport owns is refused to a second one.

    spec: CPython Lib/asyncio/selector_events.py, _ensure_fd_no_transport (3.12 for transports)
    """
    ours, _ = t.tcp_pair()
    transport, _ = await t.loop.create_connection(Recorder, sock=ours)
    seen = t.outcome(t.loop.add_reader, ours.fileno(), int)
    transport.abort()
    if not isinstance(seen, dict):
        return seen
    return {"raises": seen["type"], "text": " is used by transport <" in seen["text"]}


@area.check(expect={"first loop": b"one", "second loop": b"two"})
def two_loops_same_socket(t: Trial) -> object:
    """A socket that one loop has used can be used by another one afterwards.

    portable: on Windows a socket is bound to one completion port for good (gh-108089, gh-122240)
    """
    ours, peer = t.tcp_pair()

    async def read(loop: Any) -> bytes:
        return await t.within(loop.sock_recv(ours, 10), 2.0)  # type: ignore[no-any-return]

    seen = {}
    for name, word in (("first loop", b"one"), ("second loop", b"two")):
        loop = t.new_loop()
        peer.send(word)
        seen[name] = loop.run_until_complete(read(loop))
        loop.close()
    return seen


@area.check(expect={"type names": True, "errno names": True, "sending": True})
async def errno_names(t: Trial) -> object:
    """Errors of connecting, binding, receiving and sending carry the errno of the errno module.

    portable: Windows' own numbers (WinError 1225, 64, 995, 1236) have no errno of that meaning
    """
    refused = await _error(t.loop.create_connection(Recorder, "127.0.0.1", t.unused_port()))
    busy = t.listen()
    in_use = await _error(t.loop.create_server(Recorder, *busy.getsockname()))
    _, protocol, peer = await t.connect()
    t.reset(peer)
    reset = await t.within(protocol.lost, 2.0)
    sent = await _error(_send_until_it_fails(t))
    errors = (
        (refused, ConnectionRefusedError, errno.ECONNREFUSED),
        (in_use, OSError, errno.EADDRINUSE),
        (reset, ConnectionResetError, errno.ECONNRESET),
    )
    return {
        "type names": all(isinstance(error, kind) for error, kind, _ in errors)
        or [t.canon.value(error) for error, _, _ in errors],
        "errno names": all(getattr(error, "errno", None) == number for error, _, number in errors)
        or [getattr(error, "errno", None) for error, _, _ in errors],
        "sending": (isinstance(sent, ConnectionError) and errno.errorcode.get(sent.errno or 0))
        in ("ECONNRESET", "EPIPE", "WSAECONNRESET")
        or t.canon.value(sent),
    }


async def _send_until_it_fails(t: Trial) -> object:
    """Send to a peer that has reset the connection; which of its two errors comes first is open."""
    ours, peer = t.tcp_pair()
    t.reset(peer)
    return await t.within(_send_for_ever(t, ours), 2.0)


async def _send_for_ever(t: Trial, sock: socket.socket) -> None:
    while True:
        await t.loop.sock_sendall(sock, b"x")
        await asyncio.sleep(0)


async def _error(awaitable: Any) -> Any:
    try:
        return await awaitable
    except OSError as error:
        return error


@area.check(expect=["ascii", "ascii"])
async def error_text_not_localised(t: Trial) -> object:
    """The texts of errors do not depend on the system's language.

    portable: Windows' FormatMessage speaks the user's language
    """
    refused = await _error(t.loop.create_connection(Recorder, "127.0.0.1", t.unused_port()))
    busy = t.listen()
    in_use = await _error(t.loop.create_server(Recorder, *busy.getsockname()))
    own = ("Connect call failed", "error while attempting to bind on address")
    return [
        "ascii" if word in str(error) and str(error).isascii() else str(error)
        for error, word in zip((refused, in_use), own, strict=True)
    ]


# -- streams --------------------------------------------------------------------------------------


@area.check(expect={"line": b"hello\n", "rest": b"rest", "at_eof": True})
async def streams_roundtrip(t: Trial) -> object:
    """asyncio.start_server() and open_connection() talk over the loop.

    spec: docs, "Streams"
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.write(b"rest")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    seen = {
        "line": await reader.readline(),
        "rest": await reader.read(),
        "at_eof": reader.at_eof(),
    }
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return seen


@area.check(expect={"error": "LimitOverrunError", "then": b"x" * 40})
async def streams_limit_overrun(t: Trial) -> object:
    """readuntil() beyond the limit raises LimitOverrunError and leaves the data.

    spec: docs, StreamReader.readuntil
    """
    ours, peer = t.tcp_pair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=20)
    peer.send(b"x" * 40 + b"\n")
    seen = await t.outcome_of(reader.readuntil(b"\n"))
    kind = seen["type"].rpartition(".")[2] if isinstance(seen, dict) else seen
    data = await reader.readexactly(40)
    writer.close()
    return {"error": kind, "then": data}


@area.check(expect=[b"one;", b"two!"], since=(3, 13))
async def streams_readuntil_tuple(t: Trial) -> object:
    """readuntil() takes several separators.

    spec: docs, StreamReader.readuntil (3.13)
    """
    ours, peer = t.tcp_pair()
    reader, writer = await asyncio.open_connection(sock=ours)
    peer.send(b"one;two!")
    separators: Any = (b"!", b";")
    seen = [await reader.readuntil(separators), await reader.readuntil(separators)]
    writer.close()
    return seen


@area.check(expect={"type": "IncompleteReadError", "partial": b"half"})
async def streams_incomplete_read(t: Trial) -> object:
    """readexactly() at the end of file says what there was.

    spec: docs, StreamReader.readexactly
    """
    ours, peer = t.tcp_pair()
    reader, writer = await asyncio.open_connection(sock=ours)
    peer.send(b"half")
    peer.close()
    try:
        await reader.readexactly(10)
    except asyncio.IncompleteReadError as error:
        return {"type": type(error).__qualname__, "partial": error.partial}
    finally:
        writer.close()
    return "no error"


@area.check(expect=REFUSED)
async def streams_connect_refused(t: Trial) -> object:
    """open_connection() raises what create_connection() raises.

    text: docs, asyncio.open_connection
    """
    return await t.outcome_of(asyncio.open_connection("127.0.0.1", t.unused_port()))


@area.check(
    expect={"peak": "bounded", "all arrived": True},
)
async def streams_back_pressure(t: Trial) -> object:
    """A reader that nobody reads from stops the sender.

    spec: docs, "Streams": limit; CPython Lib/asyncio/streams.py, feed_data pauses the transport
    """
    ours, peer = t.tcp_pair(small=True)
    reader, writer = await asyncio.open_connection(sock=peer, limit=1 << 16)
    data = bytes(4 << 20)
    sender = t.loop.create_task(t.loop.sock_sendall(ours, data))
    await t.settle(0.05)
    peak = len(reader._buffer)  # type: ignore[attr-defined]
    received = await reader.readexactly(len(data))
    await sender
    writer.close()
    t.note("peak", peak)
    return {
        "peak": "bounded" if peak <= 1 << 19 else "unbounded",
        "all arrived": len(received) == len(data),
    }


# -- many -----------------------------------------------------------------------------------------


async def _many(t: Trial, count: int) -> object:
    """So many connections to a server of the loop, from plain sockets; each is asked once."""
    made = 0
    asked = 0
    ours: list[Any] = []

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            nonlocal made
            made += 1
            self.transport: Any = transport
            ours.append(transport)

        def data_received(self, data: bytes) -> None:
            nonlocal asked
            asked += 1
            self.transport.write(data)

    server, address = await t.serve(Echo, backlog=1000)
    clients: list[socket.socket] = []
    for wanted in range(100, count + 1, 100):
        clients += [t.closing(socket.create_connection(address)) for _ in range(100)]
        while made < wanted:  # without an end of its own: a server that lags behind is a HANG
            await asyncio.sleep(0.001)
    for client in clients:
        client.send(b"x")
        client.setblocking(False)
    await t.until(lambda: asked == count, 10.0)
    answers = [await t.receive(client, 1) for client in clients[:asked]]
    for transport in ours:
        transport.abort()
    server.close()
    await t.turns()
    return {"accepted": made, "answered": answers.count(b"x")}


def _raise_limit(descriptors: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    from ..trial import NotApplicable

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < descriptors:
        if hard != resource.RLIM_INFINITY and hard < descriptors:
            raise NotApplicable(f"this process may open {hard} descriptors only")
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))


@area.check(expect={"accepted": 1000, "answered": 1000}, limit=20.0)
async def connections_1000(t: Trial) -> object:
    """A thousand connections at once are no problem.

    portable: the stock selector loop of Windows ends at 512 sockets
    """
    _raise_limit(2200)
    return await _many(t, 1000)


@area.check(expect={"accepted": 5000, "answered": 5000}, limit=40.0)
async def connections_5000(t: Trial) -> object:
    """Five thousand connections at once are no problem either.

    portable: the stock selector loop of Windows ends at 512 sockets
    """
    _raise_limit(10200)
    return await _many(t, 5000)
