# SPDX-License-Identifier: MIT
"""sock: the loop's coroutines on plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from typing import Any

from ..check import Area
from ..trial import Trial
from ..versions import fixed_in

area = Area("sock", "Coroutines on sockets")


@area.check(expect={"got": b"ping", "rest": b""})
async def recv_and_end_of_file(t: Trial) -> object:
    """sock_recv returns what is there, and b'' at the end of file.

    spec: docs, loop.sock_recv
    """
    ours, peer = t.tcp_pair()
    peer.send(b"ping")
    got = await t.within(t.loop.sock_recv(ours, 100))
    peer.close()
    return {"got": got, "rest": await t.within(t.loop.sock_recv(ours, 100))}


@area.check(expect={"count": 4, "buffer": b"ping--"})
async def recv_into_fills_the_buffer(t: Trial) -> object:
    """sock_recv_into writes into the buffer and returns how much.

    spec: docs, loop.sock_recv_into
    """
    ours, peer = t.tcp_pair()
    buffer = bytearray(b"------")
    reading = t.loop.create_task(t.loop.sock_recv_into(ours, buffer))
    await t.turns()
    peer.send(b"ping")
    return {"count": await t.within(reading), "buffer": buffer}


@area.check(expect={"result": None, "received": 1 << 20, "whole": True})
async def sendall_sends_everything(t: Trial) -> object:
    """sock_sendall returns None once a mebibyte has been taken, whatever the buffers hold.

    spec: docs, loop.sock_sendall
    """
    ours, peer = t.tcp_pair(small=True)
    data = bytes(range(256)) * 4096
    sending = t.loop.create_task(t.loop.sock_sendall(ours, data))
    received = await t.within(t.receive(peer, len(data)))
    return {
        "result": await t.within(sending),
        "received": len(received),
        "whole": received == data,
    }


@area.check(expect={"type": "ConnectionResetError", "errno": "ECONNRESET"})
async def recv_of_a_reset_connection(t: Trial) -> object:
    """A reset by the peer is ConnectionResetError with ECONNRESET.

    portable: D29; Windows has three other numbers for it
    """
    ours, peer = t.tcp_pair()
    reading = t.loop.create_task(t.loop.sock_recv(ours, 100))
    await t.turns()
    t.reset(peer)
    seen = await t.outcome_of(t.within(reading))
    return {key: seen.get(key) for key in ("type", "errno")} if isinstance(seen, dict) else seen


@area.check(expect={"lost": 0, "received": 50}, limit=20.0)
async def recv_cancel_no_data_loss(t: Trial) -> object:
    """A cancelled sock_recv has not taken data away: fifty races between a cancel and a byte.

    spec: gh-85418; CPython's test_sock_lowlevel
    """
    ours, peer = t.tcp_pair()
    received = 0
    for _ in range(50):
        reading = t.loop.create_task(t.loop.sock_recv(ours, 1))
        await asyncio.sleep(0)
        peer.send(b"x")
        reading.cancel()
        got = await t.outcome_of(reading)
        if got != b"x":
            got = await t.within(t.loop.sock_recv(ours, 1), 1.0)
        received += got == b"x"
    return {"lost": 50 - received, "received": received}


@area.check(expect=b"second")
async def recv_right_after_cancel_same_tick(t: Trial) -> object:
    """A new sock_recv may begin before the cancelled one has been cleaned up.

    spec: the selector loop guards its remove_reader with the handle
    """
    ours, peer = t.tcp_pair()
    first = t.loop.create_task(t.loop.sock_recv(ours, 100))
    await asyncio.sleep(0)
    first.cancel()
    second = t.loop.create_task(t.loop.sock_recv(ours, 100))
    await t.turns()
    peer.send(b"second")
    return await t.within(second, 2.0)


@area.check(expect="connected")
async def connect_resolves_hostname(t: Trial) -> object:
    """sock_connect takes a host name.

    spec: docs, loop.sock_connect: "Changed in 3.5.2: address no longer needs to be resolved"
    """
    listener = t.listen()
    sock = plain_socket(t)
    await t.within(t.loop.sock_connect(sock, ("localhost", listener.getsockname()[1])))
    return "connected" if sock.getpeername() == listener.getsockname() else "not connected"


@area.check(
    expect={
        "type": "ConnectionRefusedError",
        "text": "[Errno ECONNREFUSED] Connect call failed ('127.0.0.1', PORT)",
        "errno": "ECONNREFUSED",
    }
)
async def connect_fail_message(t: Trial) -> object:
    """A refused connect says so in asyncio's words, with the address.

    text: BaseSelectorEventLoop._sock_connect
    """
    sock = plain_socket(t)
    return await t.outcome_of(
        t.within(t.loop.sock_connect(sock, ("127.0.0.1", t.unused_port())), 8.0)
    )


@area.check(expect="the peer has seen the connection")
async def connect_eager_numeric(t: Trial) -> object:
    """connect() has been called after the coroutine's first step, if the address is numeric.

    spec: CPython's test_sock_client_racing waits for ever otherwise
    """
    listener = t.listen()
    listener.settimeout(1.0)
    sock = plain_socket(t)
    connecting = t.loop.create_task(t.loop.sock_connect(sock, listener.getsockname()))
    await asyncio.sleep(0)
    try:
        accepted, _ = listener.accept()  # blocks the loop: only the first step can have done it
    except TimeoutError:
        return "connect() was not called in the first step"
    finally:
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
    accepted.close()
    return "the peer has seen the connection"


@area.check(
    expect={
        "recv": {"type": "ValueError", "text": "the socket must be non-blocking"},
        "sendall": {"type": "ValueError", "text": "the socket must be non-blocking"},
        "accept": {"type": "ValueError", "text": "the socket must be non-blocking"},
        "connect": {"type": "ValueError", "text": "the socket must be non-blocking"},
    }
)
async def debug_blocking_rejected(t: Trial) -> object:
    """In debug mode a blocking socket is refused.

    text: BaseSelectorEventLoop; gh-113892
    """
    t.loop.set_debug(True)
    sock = t.closing(socket.socket())
    sock.setblocking(True)
    return {
        "recv": await t.outcome_of(t.loop.sock_recv(sock, 1)),
        "sendall": await t.outcome_of(t.loop.sock_sendall(sock, b"x")),
        "accept": await t.outcome_of(t.loop.sock_accept(sock)),
        "connect": await t.outcome_of(t.loop.sock_connect(sock, ("127.0.0.1", 9))),
    }


@area.check(expect=[{"type": "TypeError", "text": "Socket cannot be of type SSLSocket"}] * 5)
async def ssl_socket_rejected(t: Trial) -> object:
    """The coroutines refuse an SSLSocket.

    text: base_events and selector_events, _check_ssl_socket
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    sock = t.closing(
        context.wrap_socket(socket.socket(), do_handshake_on_connect=False, server_hostname="x")
    )
    sock.setblocking(False)
    calls: list[Any] = [
        t.loop.sock_recv(sock, 1),
        t.loop.sock_recv_into(sock, bytearray(1)),
        t.loop.sock_sendall(sock, b"x"),
        t.loop.sock_connect(sock, ("127.0.0.1", 9)),
        t.loop.sock_accept(sock),
    ]
    return [await t.outcome_of(t.within(call, 0.5)) for call in calls]


@area.check(expect={"recvfrom": b"one", "from": True, "recvfrom_into": [3, b"two"], "sent": 5})
async def recvfrom_sendto(t: Trial) -> object:
    """The three datagram coroutines.

    spec: docs, loop.sock_recvfrom, sock_recvfrom_into, sock_sendto (3.11)
    """
    ours, peer = t.udp_socket(), t.udp_socket()
    reading = t.loop.create_task(t.loop.sock_recvfrom(ours, 100))
    await t.turns()
    peer.sendto(b"one", ours.getsockname())
    data, address = await t.within(reading)
    peer.sendto(b"two", ours.getsockname())
    buffer = bytearray(3)
    count, _ = await t.within(t.loop.sock_recvfrom_into(ours, buffer))
    sent = await t.within(t.loop.sock_sendto(ours, b"three", peer.getsockname()))
    return {
        "recvfrom": data,
        "from": address == peer.getsockname(),
        "recvfrom_into": [count, buffer],
        "sent": sent,
    }


@area.check(expect=[b"0123", b"next"])
async def recvfrom_cuts_a_long_datagram(t: Trial) -> object:
    """A datagram that is longer than the buffer is cut without an error.

    portable: D61; Windows reports WSAEMSGSIZE
    """
    ours, peer = t.udp_socket(), t.udp_socket()
    peer.sendto(b"0123456789", ours.getsockname())
    peer.sendto(b"next", ours.getsockname())
    return [(await t.within(t.loop.sock_recvfrom(ours, 4)))[0] for _ in range(2)]


@area.check(expect={"received": b"still here"})
async def recvfrom_survives_icmp_unreachable(t: Trial) -> object:
    """sock_recvfrom on an unconnected socket does not notice a peer's closed port.

    portable: D60; gh-91227
    """
    ours, peer = t.udp_socket(), t.udp_socket()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = gone.getsockname()
    await t.loop.sock_sendto(ours, b"anyone?", nobody)
    await t.settle(0.02)
    reading = t.loop.create_task(t.loop.sock_recvfrom(ours, 100))
    await t.turns()
    peer.sendto(b"still here", ours.getsockname())
    seen = await t.outcome_of(t.within(reading, 2.0))
    return {"received": seen[0]} if isinstance(seen, tuple) else seen


@area.check(expect={"blocking": False, "address": True})
async def accept_nonblocking_conn(t: Trial) -> object:
    """sock_accept gives a non-blocking connection and the peer's address.

    spec: docs, loop.sock_accept; CPython's test_sock_accept
    """
    listener = t.listen()
    listener.setblocking(False)
    accepting = t.loop.create_task(t.loop.sock_accept(listener))
    await t.turns()
    client = await t.dial(listener.getsockname())
    connection, address = await t.within(accepting)
    t.closing(connection)
    return {
        "blocking": connection.gettimeout() != 0,
        "address": address == client.getsockname(),
    }


async def cancelled_accepts(t: Trial, turns: range) -> list[str]:
    """After how many turns a cancelled sock_accept has lost its connection."""
    lost = []
    for count in turns:
        listener = t.listen()
        listener.setblocking(False)
        accepting = t.loop.create_task(t.loop.sock_accept(listener))
        await asyncio.sleep(0)
        client = t.closing(socket.create_connection(listener.getsockname()))
        await t.turns(count)
        accepting.cancel()
        seen = await t.outcome_of(accepting)
        if not isinstance(seen, tuple):
            seen = await t.outcome_of(t.within(t.loop.sock_accept(listener), 1.0))
        if isinstance(seen, tuple) and seen[1] == client.getsockname():
            t.closing(seen[0])
        else:
            lost.append(f"cancelled after {count} turns")
    return lost


@area.check(expect=[], since=fixed_in((3, 14, 10), (3, 15)))
async def accept_cancel_keeps_connection(t: Trial) -> object:
    """A sock_accept that is cancelled before it has accepted leaves the connection to the next one.

    spec: gh-153761; test_sock_lowlevel, test_sock_accept_racing
    """
    return await cancelled_accepts(t, range(2))


@area.check(expect=[])
async def accept_cancel_at_any_time(t: Trial) -> object:
    """A cancelled sock_accept loses no connection, whenever the cancel comes.

    portable: the stock selector loop drops one that it has accepted when the cancel comes before
    the task has woken up, the proactor loop closes it
    """
    return await cancelled_accepts(t, range(6))


@area.check(
    expect=dict.fromkeys(("reader", "writer", "recv", "sendall"), "RuntimeError: used by transport")
)
async def fd_used_by_transport_RuntimeError(t: Trial) -> object:
    """A descriptor that a transport owns cannot be watched or read beside it.

    text: BaseSelectorEventLoop._ensure_fd_no_transport
    """
    ours, _ = t.tcp_pair()
    await t.loop.create_connection(asyncio.Protocol, sock=ours)
    seen = {
        "reader": t.outcome(t.loop.add_reader, ours.fileno(), print),
        "writer": t.outcome(t.loop.add_writer, ours.fileno(), print),
        "recv": await t.outcome_of(t.within(t.loop.sock_recv(ours, 1), 0.5)),
        "sendall": await t.outcome_of(t.within(t.loop.sock_sendall(ours, bytes(1 << 24)), 0.5)),
    }
    return {name: used_by(error) for name, error in seen.items()}


def used_by(seen: Any) -> object:
    """The error without the descriptor's number and the transport's repr."""
    if isinstance(seen, dict) and " is used by transport <" in seen["text"]:
        return f"{seen['type']}: used by transport"
    return seen


@area.check(expect={"result": 600, "sent": True, "tell": 1100})
async def sendfile(t: Trial) -> object:
    """sock_sendfile sends the part asked for and leaves the file behind it.

    spec: docs, loop.sock_sendfile; CPython's test_sendfile
    """
    data = os.urandom(2000)
    path = t.path / "file"
    path.write_bytes(data)
    ours, peer = t.tcp_pair()
    with path.open("rb") as file:
        sent = await t.within(t.loop.sock_sendfile(ours, file, 500, 600))
        tell = file.tell()
    return {"result": sent, "sent": await t.receive(peer, 600) == data[500:1100], "tell": tell}


@area.check(
    expect=[
        {"type": "ValueError", "text": "file should be opened in binary mode"},
        {"type": "TypeError", "text": "count must be a positive integer (got 'x')"},
        {"type": "ValueError", "text": "count must be a positive integer (got 0)"},
        {"type": "TypeError", "text": "offset must be a non-negative integer (got 'x')"},
        {"type": "ValueError", "text": "offset must be a non-negative integer (got -1)"},
    ]
)
async def sendfile_arg_errors(t: Trial) -> object:
    """sock_sendfile's checks of its arguments.

    text: BaseEventLoop._check_sendfile_params
    """
    path = t.path / "file"
    path.write_bytes(b"x")
    ours, _ = t.tcp_pair()
    with path.open() as text, path.open("rb") as file:
        return [
            await t.outcome_of(t.loop.sock_sendfile(ours, text)),
            await t.outcome_of(t.loop.sock_sendfile(ours, file, 0, "x")),
            await t.outcome_of(t.loop.sock_sendfile(ours, file, 0, 0)),
            await t.outcome_of(t.loop.sock_sendfile(ours, file, "x")),
            await t.outcome_of(t.loop.sock_sendfile(ours, file, -1)),
        ]


@area.check(expect={"type": "ValueError", "text": "only SOCK_STREAM type sockets are supported"})
async def sendfile_on_a_datagram_socket(t: Trial) -> object:
    """sock_sendfile refuses a datagram socket.

    text: BaseEventLoop._check_sendfile_params
    """
    path = t.path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        return await t.outcome_of(t.loop.sock_sendfile(t.udp_socket(), file))


@area.check(expect=[b"first", b"second"])
async def two_loops_one_socket(t: Trial) -> object:
    """A socket may be used on one loop and then on another.

    portable: D48; on Windows a socket belongs to the first completion port for ever (gh-122240)
    """
    ours, peer = t.tcp_pair()
    peer.send(b"first")
    first = await t.within(t.loop.sock_recv(ours, 100))
    seen = [first]

    def on_another() -> None:
        other = t.new_loop()
        peer.send(b"second")
        seen.append(t.outcome(other.run_until_complete, other.sock_recv(ours, 100)))

    thread = t.in_thread(on_another)
    await t.until(lambda: not thread.is_alive(), 3.0)
    return seen


@area.check(expect={"read": b"in", "written": b"out"})
async def read_and_write_at_once(t: Trial) -> object:
    """One socket can be read and written by two tasks at once.

    spec: docs, loop.sock_recv and sock_sendall
    """
    ours, peer = t.tcp_pair()
    reading = t.loop.create_task(t.loop.sock_recv(ours, 100))
    await t.turns()
    await t.within(t.loop.sock_sendall(ours, b"out"))
    peer.send(b"in")
    return {"read": await t.within(reading), "written": await t.receive(peer, 3)}


def plain_socket(t: Trial) -> socket.socket:
    """A non-blocking TCP socket."""
    sock = t.closing(socket.socket())
    sock.setblocking(False)
    return sock  # type: ignore[no-any-return]
