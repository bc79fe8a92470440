# SPDX-License-Identifier: MIT
"""udp: datagram endpoints."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from ..check import Area
from ..protocols import Datagrams
from ..trial import Trial
from ..versions import by_version

area = Area("udp", "Datagram endpoints")

NOWHERE = ("127.0.0.1", 9)


@area.check(expect={"Transport": True, "DatagramTransport": True}, since=(3, 12))
async def isinstance_DatagramTransport(t: Trial) -> object:
    """A datagram transport is an asyncio.Transport and an asyncio.DatagramTransport.

    spec: CPython's test_events asserts the first; the second since 3.12
    """
    transport, _ = await t.datagrams()
    return {
        "Transport": isinstance(transport, asyncio.Transport),
        "DatagramTransport": isinstance(transport, asyncio.DatagramTransport),
    }


@area.check(expect=[b"one", b"two", b"three"])
async def datagrams_keep_their_bounds(t: Trial) -> object:
    """Each sendto() arrives as one datagram, in order on loopback.

    spec: docs, DatagramProtocol.datagram_received
    """
    receiver, protocol = await t.datagrams()
    sender, _ = await t.datagrams()
    address = receiver.get_extra_info("sockname")
    for data in (b"one", b"two", b"three"):
        sender.sendto(data, address)
    return await t.within(protocol.arrived(3))


@area.check(expect={"to the server": b"ping", "back": b"pong", "from its address": True})
async def reply_to_the_senders_address(t: Trial) -> object:
    """The address that datagram_received is given reaches the sender.

    spec: docs, datagram_received(data, addr)
    """

    class Echo(Datagrams):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.sendto(b"pong", addr)

    server, echo = await t.loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    client, protocol = await t.datagrams(remote_addr=address)
    client.sendto(b"ping")
    await t.within(protocol.arrived())
    return {
        "to the server": echo.packets[0][0],
        "back": protocol.packets[0][0],
        "from its address": protocol.packets[0][1] == address,
    }


@area.check(expect=[b"", b"after"], since=(3, 13))
async def zero_length_send(t: Trial) -> object:
    """sendto(b'') sends an empty datagram.

    spec: docs, DatagramTransport.sendto, changed in 3.13; gh-113812
    """
    transport, _ = await t.datagrams()
    peer = t.udp_socket()
    transport.sendto(b"", peer.getsockname())
    transport.sendto(b"after", peer.getsockname())
    return [await receive(t, peer), await receive(t, peer)]


@area.check(expect=[b"", b"after"])
async def zero_length_receive(t: Trial) -> object:
    """An empty datagram is delivered as b''.

    The proactor loop drops it without a word.

    spec: docs, datagram_received; the selector loop delivers it
    """
    transport, protocol = await t.datagrams()
    peer = t.udp_socket()
    address = transport.get_extra_info("sockname")
    peer.sendto(b"", address)
    peer.sendto(b"after", address)
    return await t.within(protocol.arrived(2))


@area.check(
    expect={"errors": ["ConnectionRefusedError"], "closing": False, "calls": ["connection_made"]}
)
async def connected_refused_error_received(t: Trial) -> object:
    """A connected endpoint whose peer's port is closed gets ConnectionRefusedError and stays open.

    portable: the selector loop on Linux; gh-91227, gh-127057
    """
    transport, protocol = await t.datagrams(remote_addr=closed_udp_port(t))
    transport.sendto(b"anyone?")
    await t.until(lambda: protocol.failures, 2.0)
    return {
        "errors": [type(error) for error in protocol.failures],
        "closing": transport.is_closing(),
        "calls": [call for call in protocol.calls if not call.startswith("error_received")],
    }


@area.check(expect={"errors": [], "then": [b"still here"], "closing": False})
async def icmp_to_an_unconnected_endpoint_is_ignored(t: Trial) -> object:
    """An endpoint that is not connected does not notice that one of its peers has gone.

    Windows reports the ICMP message with the next receive (WSAECONNRESET) unless it is told
    not to; reading loops have died of it.

    portable: gh-91227, gh-88906; the selector loop on Linux
    """
    transport, protocol = await t.datagrams()
    transport.sendto(b"anyone?", closed_udp_port(t))
    await t.settle()
    peer = t.udp_socket()
    peer.sendto(b"still here", transport.get_extra_info("sockname"))
    arrived = await t.within(protocol.arrived())
    return {
        "errors": protocol.failures,
        "then": arrived,
        "closing": transport.is_closing(),
    }


@area.check(
    expect={
        "type": "ValueError",
        "text": "Invalid address: must be None or ('127.0.0.1', PORT)",
    }
)
async def connected_wrong_addr_ValueError(t: Trial) -> object:
    """A connected endpoint refuses to send to another address than its peer's.

    text: DatagramTransport.sendto of the selector loop
    """
    peer = t.udp_socket()
    transport, _ = await t.datagrams(remote_addr=peer.getsockname())
    return t.outcome(transport.sendto, b"x", NOWHERE)


@area.check(expect=b"named")
async def connected_sendto_its_peer(t: Trial) -> object:
    """A connected endpoint may be given its peer's address.

    spec: docs, DatagramTransport.sendto; CPython's test_selector_events
    """
    peer = t.udp_socket()
    transport, _ = await t.datagrams(remote_addr=peer.getsockname())
    transport.sendto(b"named", peer.getsockname())
    return await receive(t, peer)


@area.check(
    expect=[
        {"type": "TypeError", "text": f"data argument must be a bytes-like object, not {name!r}"}
        for name in ("str", "int", "NoneType", "list")
    ]
)
async def sendto_type_error(t: Trial) -> object:
    """sendto() refuses what is no bytes-like object.

    text: DatagramTransport.sendto of the selector loop
    """
    transport, _ = await t.datagrams()
    wrong: tuple[object, ...] = ("x", 1, None, [])
    return [t.outcome(transport.sendto, data, NOWHERE) for data in wrong]


@area.check(expect=[b"bytes", b"bytearray", b"memoryview"])
async def sendto_takes_bytes_like_objects(t: Trial) -> object:
    """sendto() takes bytes, bytearray and memoryview.

    spec: docs, DatagramTransport.sendto: "data is a bytes-like object"
    """
    transport, _ = await t.datagrams()
    peer = t.udp_socket()
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview")):
        transport.sendto(data, peer.getsockname())
    return [await receive(t, peer) for _ in range(3)]


@area.check(expect={"made": "connection_made", "sent": b"hello", "errors": []})
async def unbound_family_only(t: Trial) -> object:
    """An endpoint with neither address, only a family, sends: it is bound by its first sendto().

    Windows cannot receive on a socket that is not bound (WSAEINVAL).

    portable: docs, create_datagram_endpoint; gh-119711
    """
    transport, protocol = await t.datagrams(family=socket.AF_INET)
    peer = t.udp_socket()
    transport.sendto(b"hello", peer.getsockname())
    sent = await receive(t, peer)
    return {"made": protocol.calls[0], "sent": sent, "errors": protocol.failures}


@area.check(expect=b"reply")
async def unbound_endpoint_receives_after_its_first_send(t: Trial) -> object:
    """An endpoint with neither address receives the answers to what it has sent.

    portable: D65; the selector loop on Linux
    """
    transport, protocol = await t.datagrams(family=socket.AF_INET)
    await t.settle(0.02)  # reading begins before there is an address
    peer = t.udp_socket()
    transport.sendto(b"hello", peer.getsockname())
    address = await sender_of(t, peer)
    peer.sendto(b"reply", ("127.0.0.1", address[1]))
    arrived = await t.within(protocol.arrived())
    return arrived[0]


@area.check(expect={"type": "ValueError", "text": "unexpected address family"})
async def no_args_ValueError(t: Trial) -> object:
    """Neither an address nor a family: ValueError.

    text: BaseEventLoop.create_datagram_endpoint
    """
    return await t.outcome_of(t.loop.create_datagram_endpoint(Datagrams))


@area.check(expect=b"by name")
async def sendto_hostname(t: Trial) -> object:
    """sendto() takes a host name.

    portable: the selector loop passes it to socket.sendto, which resolves it
    """
    peer = t.udp_socket()
    transport, _ = await t.datagrams(family=socket.AF_INET)
    transport.sendto(b"by name", ("localhost", peer.getsockname()[1]))
    return await receive(t, peer)


@area.check(expect={"inside": [], "calls": ["connection_made", "connection_lost(None)"]})
async def abort_lost_none(t: Trial) -> object:
    """abort() ends with connection_lost(None), which is not called inside it.

    spec: docs, DatagramTransport.abort
    """
    return await ended_by(t, "abort")


@area.check(expect={"inside": [], "calls": ["connection_made", "connection_lost(None)"]})
async def endpoint_close_lost_none(t: Trial) -> object:
    """close() ends with connection_lost(None), which is not called inside it.

    spec: docs, BaseTransport.close
    """
    return await ended_by(t, "close")


async def ended_by(t: Trial, method: str) -> dict[str, Any]:
    """What an endpoint's protocol is told when the transport is put an end to, twice."""
    transport, protocol = await t.datagrams()
    before = len(protocol.calls)
    getattr(transport, method)()
    inside = protocol.calls[before:]
    getattr(transport, method)()
    await t.within(protocol.lost)
    await t.settle(0.01)
    return {"inside": inside, "calls": protocol.calls}


@area.check(expect=[b"0", b"1", b"2", b"3"])
async def close_after_sendto_loses_nothing(t: Trial) -> object:
    """What was sent before close() goes out.

    spec: docs, BaseTransport.close: buffered data is flushed; gh-156920
    """
    peer = t.udp_socket()
    transport, protocol = await t.datagrams()
    for number in range(4):
        transport.sendto(b"%d" % number, peer.getsockname())
    transport.close()
    await t.within(protocol.lost)
    return [await receive(t, peer) for _ in range(4)]


@area.check(expect=[])
async def no_datagram_after_close(t: Trial) -> object:
    """After close() no datagram reaches the protocol.

    spec: docs, BaseTransport.close: "no more data will be received"
    """
    transport, protocol = await t.datagrams()
    peer = t.udp_socket()
    peer.sendto(b"late", transport.get_extra_info("sockname"))
    transport.close()
    await t.within(protocol.lost)
    await t.settle()
    return protocol.packets


@area.check(
    expect={
        "type": "ValueError",
        "text": "socket modifier keyword arguments can not be used when sock is specified. "
        "(local_addr=('127.0.0.1', 0))",
    }
)
async def sock_and_local_addr_conflict(t: Trial) -> object:
    """sock= excludes the arguments that describe a socket.

    text: BaseEventLoop.create_datagram_endpoint
    """
    sock = t.udp_socket()
    return await t.outcome_of(
        t.loop.create_datagram_endpoint(Datagrams, sock=sock, local_addr=("127.0.0.1", 0))
    )


@area.check(
    expect={
        "type": "ValueError",
        "text": "socket modifier keyword arguments can not be used when sock is specified. "
        "(reuse_port=True)",
    }
)
async def sock_reuse_port_kwargs_conflict(t: Trial) -> object:
    """sock= excludes reuse_port=.

    text: BaseEventLoop.create_datagram_endpoint
    """
    sock = t.udp_socket()
    return await t.outcome_of(
        t.loop.create_datagram_endpoint(Datagrams, sock=sock, reuse_port=True)
    )


@area.check(
    expect=by_version(
        {"type": "ValueError", "begins": "A UDP Socket was expected, got <socket"},
        {(3, 13): {"type": "ValueError", "begins": "A datagram socket was expected, got <socket"}},
    )
)
async def sock_stream_rejected(t: Trial) -> object:
    """A stream socket is refused.

    text: BaseEventLoop.create_datagram_endpoint; "UDP Socket" before 3.13
    """
    sock = t.closing(socket.socket())
    seen = await t.outcome_of(t.loop.create_datagram_endpoint(Datagrams, sock=sock))
    if not isinstance(seen, dict):
        return type(seen)
    return {"type": seen["type"], "begins": seen["text"].partition(".")[0]}


@area.check(expect={"data": [b"given"], "socket is ours": True})
async def sock_is_used_as_it_is(t: Trial) -> object:
    """A bound socket given as sock= becomes the endpoint.

    spec: docs, create_datagram_endpoint
    """
    sock = t.udp_socket()
    descriptor, address = sock.fileno(), sock.getsockname()
    transport, protocol = await t.datagrams(sock=sock)
    t.udp_socket().sendto(b"given", address)
    arrived = await t.within(protocol.arrived())
    return {
        "data": arrived,
        "socket is ours": transport.get_extra_info("socket").fileno() == descriptor,
    }


@area.check(expect={"data": [b"local"]}, needs=("posix",))
async def unix_dgram(t: Trial) -> object:
    """Unix datagram sockets make endpoints.

    spec: CPython's test_events, test_create_datagram_endpoint_sock_unix
    """
    path = str(t.path / "dgram")
    _, protocol = await t.datagrams(local_addr=path, family=socket.AF_UNIX)
    sender, _ = await t.datagrams(remote_addr=path, family=socket.AF_UNIX)
    sender.sendto(b"local")
    return {"data": await t.within(protocol.arrived())}


@area.check(
    expect={
        "default": [16384, 65536],
        "high=40": [10, 40],
        "size": 0,
        "wrong": {"type": "ValueError", "text": "high (1) must be >= low (2) must be >= 0"},
    }
)
async def write_buffer_limits_api(t: Trial) -> object:
    """A datagram transport has the flow control of a stream transport.

    spec: docs, DatagramProtocol: pause_writing and resume_writing; the selector loop's limits
    """
    transport, _ = await t.datagrams()
    default = list(transport.get_write_buffer_limits())
    transport.set_write_buffer_limits(high=40)
    return {
        "default": default,
        "high=40": list(transport.get_write_buffer_limits()),
        "size": transport.get_write_buffer_size(),
        "wrong": t.outcome(transport.set_write_buffer_limits, high=1, low=2),
    }


@area.check(expect=b"now")
async def eager_send(t: Trial) -> object:
    """The datagram is on its way before sendto() returns.

    spec: the selector loop tries the system call at once; CPython's test_selector_events
    """
    peer = t.udp_socket()
    peer.settimeout(1.0)
    transport, _ = await t.datagrams()
    transport.sendto(b"now", peer.getsockname())
    try:
        return peer.recv(100)  # blocks the loop: nothing else can have sent it
    except TimeoutError:
        return "not sent by sendto()"


@area.check(expect={"errno": ["EMSGSIZE"], "then": b"small", "closing": False})
async def oversize_datagram_error_received(t: Trial) -> object:
    """A datagram that is too long: error_received with EMSGSIZE; the endpoint goes on.

    portable: D69; Windows calls it 10040
    """
    transport, protocol = await t.datagrams()
    peer = t.udp_socket()
    transport.sendto(bytes(70_000), peer.getsockname())
    await t.until(lambda: protocol.failures, 1.0)
    transport.sendto(b"small", peer.getsockname())
    errors = [t.error(error).get("errno") for error in protocol.failures]
    return {"errno": errors, "then": await receive(t, peer), "closing": transport.is_closing()}


@area.check(expect={"lengths": [1, 9_000, 65_507]})
async def large_datagrams_arrive_whole(t: Trial) -> object:
    """The longest datagram that IPv4 allows arrives whole.

    spec: docs, datagram_received: data is the whole datagram
    """
    receiver, protocol = await t.datagrams()
    sender, _ = await t.datagrams()
    address = receiver.get_extra_info("sockname")
    for length in (1, 9_000, 65_507):
        sender.sendto(bytes(length), address)
    arrived = await t.within(protocol.arrived(3))
    return {"lengths": [len(data) for data in arrived]}


@area.check(expect={"sockname": True, "peername": None, "socket": "TransportSocket", "other": 7})
async def extra_info_of_a_bound_endpoint(t: Trial) -> object:
    """A bound endpoint knows its own address, has no peer, and gives its socket.

    spec: docs, BaseTransport.get_extra_info
    """
    transport, _ = await t.datagrams()
    sock = transport.get_extra_info("socket")
    return {
        "sockname": transport.get_extra_info("sockname") == sock.getsockname(),
        "peername": transport.get_extra_info("peername"),
        "socket": type(sock).__name__,
        "other": transport.get_extra_info("no such name", 7),
    }


@area.check(expect={"peername": True, "after close": True})
async def extra_info_of_a_connected_endpoint(t: Trial) -> object:
    """A connected endpoint knows its peer, also when it is closed.

    spec: docs, BaseTransport.get_extra_info
    """
    peer = t.udp_socket()
    transport, protocol = await t.datagrams(remote_addr=peer.getsockname())
    seen = {"peername": transport.get_extra_info("peername") == peer.getsockname()}
    transport.close()
    await t.within(protocol.lost)
    seen["after close"] = transport.get_extra_info("peername") == peer.getsockname()
    return seen


@area.check(expect=[True, False])
async def allow_broadcast_sets_the_option(t: Trial) -> object:
    """allow_broadcast=True sets SO_BROADCAST; without it the option is off.

    spec: docs, create_datagram_endpoint
    """
    seen = []
    for allow in (True, None):
        transport, _ = await t.datagrams(local_addr=("127.0.0.1", 0), allow_broadcast=allow)
        sock = transport.get_extra_info("socket")
        seen.append(bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)))
    return seen


@area.check(expect=[b"one", b"two"], needs=("ipv6",))
async def ipv6_roundtrip(t: Trial) -> object:
    """IPv6 endpoints send and receive.

    spec: docs, create_datagram_endpoint
    """
    receiver, protocol = await t.datagrams(local_addr=("::1", 0))
    sender, _ = await t.datagrams(remote_addr=receiver.get_extra_info("sockname")[:2])
    sender.sendto(b"one")
    sender.sendto(b"two")
    return await t.within(protocol.arrived(2))


@area.check(expect=["connected to its peer", "bound where it was asked to be"])
async def local_and_remote_address(t: Trial) -> object:
    """An endpoint may be bound and connected at once.

    spec: docs, create_datagram_endpoint
    """
    peer = t.udp_socket()
    transport, _ = await t.datagrams(local_addr=("127.0.0.1", 0), remote_addr=peer.getsockname())
    transport.sendto(b"from")
    _, address = await t.within(wait_for_datagram(peer))
    return [
        "connected to its peer"
        if transport.get_extra_info("peername") == peer.getsockname()
        else "not connected",
        "bound where it was asked to be"
        if address == transport.get_extra_info("sockname")
        else "bound elsewhere",
    ]


@area.check(
    expect={
        "type": "OSError",
        "errno": "EADDRINUSE",
    }
)
async def bind_to_a_used_port_raises(t: Trial) -> object:
    """Binding to a port in use raises EADDRINUSE when the endpoint is made.

    portable: C019; Windows may report WSAEACCES
    """
    taken = t.udp_socket()
    seen = await t.outcome_of(
        t.loop.create_datagram_endpoint(Datagrams, local_addr=taken.getsockname())
    )
    if not isinstance(seen, dict):
        return "bound twice"
    return {"type": seen["type"], "errno": seen.get("errno")}


@area.check(
    expect={
        "reported": ["ZeroDivisionError"],
        "then": [b"first", b"second"],
        "closing": False,
    }
)
async def datagram_received_raises_reported(t: Trial) -> object:
    """An exception of datagram_received is reported; the endpoint goes on.

    spec: the selector loop; CPython has no other rule
    """

    class Fragile(Datagrams):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if len(self.packets) == 1:
                raise ZeroDivisionError

    transport, protocol = await t.loop.create_datagram_endpoint(
        Fragile, local_addr=("127.0.0.1", 0)
    )
    peer = t.udp_socket()
    address = transport.get_extra_info("sockname")
    peer.sendto(b"first", address)
    peer.sendto(b"second", address)
    arrived = await t.within(protocol.arrived(2))
    reports: Any = t.take_errors()
    return {
        "reported": [report["exception"]["type"] for report in reports],
        "then": arrived,
        "closing": transport.is_closing(),
    }


@area.check(expect={"arrived": 500, "in order": True})
async def a_burst_is_received_in_order(t: Trial) -> object:
    """Five hundred waiting datagrams are all delivered, in order.

    spec: docs, datagram_received; loopback neither loses nor reorders what its buffer holds
    """
    count = 500
    transport, protocol = await t.datagrams()
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    peer = t.udp_socket()
    address = transport.get_extra_info("sockname")
    for first in range(0, count, 50):  # what 200 KiB of kernel memory surely hold
        for number in range(first, first + 50):
            peer.sendto(b"%d" % number, address)
        await t.within(protocol.arrived(first + 50))
    numbers = [int(data) for data, _ in protocol.packets]
    return {"arrived": len(numbers), "in order": numbers == sorted(numbers)}


# -- pieces ----------------------------------------------------------------------------------------


def closed_udp_port(t: Trial) -> tuple[str, int]:
    """An address of loopback on which nobody receives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        t.hide_port(sock)
        host, port = sock.getsockname()
        return host, port


async def wait_for_datagram(sock: socket.socket) -> tuple[bytes, Any]:
    """The next datagram of a plain non-blocking socket; needs nothing of the loop but sleep."""
    while True:
        try:
            return sock.recvfrom(1 << 17)
        except (BlockingIOError, ConnectionResetError):
            await asyncio.sleep(0.001)


async def receive(t: Trial, sock: socket.socket) -> object:
    """The data of the next datagram, or that there was none."""
    seen = await t.within(wait_for_datagram(sock), 2.0)
    return seen if isinstance(seen, str) else seen[0]


async def sender_of(t: Trial, sock: socket.socket) -> Any:
    """Who has sent the next datagram."""
    _, address = await t.within(wait_for_datagram(sock), 2.0)
    return address
