# SPDX-License-Identifier: MIT
"""Datagram endpoints: the addresses, sockets and options that they are made with."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest
import support
from datagrams import LOCAL, Recorder, endpoint, plain_socket
from differences import PROACTOR, differs
from support import drain_callbacks

Run = Callable[..., Any]


@differs(
    from_=PROACTOR,
    what="`create_datagram_endpoint(factory, family=socket.AF_INET)` without an address",
    they="fails with WinError 10022",
    evenloop="works; the first `sendto` gives it a port",
)
def test_an_endpoint_without_addresses_gets_one_by_sending(run: Run) -> None:
    """D65."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(family=socket.AF_INET) as (transport, protocol):
                assert transport.get_extra_info("sockname") == ("0.0.0.0", 0)
                assert transport.get_extra_info("peername") is None
                await drain_callbacks()
                transport.sendto(b"hello", peer.getsockname())
                data, sender = await loop.sock_recvfrom(peer, 10)
                assert data == b"hello"
                peer.sendto(b"back", sender)
                assert await protocol.datagrams.get() == (b"back", peer.getsockname())
                assert protocol.errors.empty()

    run(main())


def test_both_addresses_of_one_family(run: Run) -> None:
    """C134."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(
                local_addr=LOCAL, remote_addr=("127.0.0.1", peer.getsockname()[1])
            ) as (transport, _):
                assert transport.get_extra_info("peername") == peer.getsockname()
                assert transport.get_extra_info("sockname")[0] == "127.0.0.1"

    run(main())


@pytest.mark.parametrize(
    "arguments",
    [
        {"local_addr": ("127.0.0.1", 0), "remote_addr": ("::1", 9)},
        {},
        {"local_addr": "127.0.0.1"},
        {"remote_addr": ("127.0.0.1", 9, 1)},
        {"local_addr": ("127.0.0.1", 0), "family": socket.AF_INET6},
    ],
    ids=repr,
)
def test_addresses_that_do_not_fit(arguments: Any) -> None:
    """C134."""

    async def create(loop: Any) -> None:
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, **arguments)

    support.raised_by(lambda loop: loop.run_until_complete(create(loop)))


def test_a_used_port_fails_at_once(run: Run) -> None:
    """C019, D46."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with endpoint(local_addr=LOCAL) as (transport, _):
            with pytest.raises(OSError) as caught:
                await loop.create_datagram_endpoint(
                    Recorder, local_addr=transport.get_extra_info("sockname")
                )
            assert caught.value.errno == errno.EADDRINUSE

    run(main())


def test_a_socket_may_be_brought(run: Run) -> None:
    async def main() -> None:
        with plain_socket() as peer:
            sock = plain_socket()
            async with endpoint(sock=sock) as (transport, protocol):
                assert transport.get_extra_info("socket").fileno() == sock.fileno()
                transport.sendto(b"x", peer.getsockname())
                transport.close()
                await protocol.lost
                assert sock.fileno() == -1
            sock = plain_socket()
            sock.connect(peer.getsockname())
            async with endpoint(sock=sock) as (transport, protocol):
                assert transport.get_extra_info("peername") == peer.getsockname()
                transport.sendto(b"y")
                transport.sendto(b"z", ("192.0.2.1", 9))  # connected: the address does not matter
            assert [peer.recv(5) for _ in range(3)] == [b"x", b"y", b"z"]

    run(main())


def test_what_cannot_go_with_a_socket() -> None:
    async def create(loop: Any, kind: int, **arguments: Any) -> None:
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                await loop.create_datagram_endpoint(Recorder, sock=sock, **arguments)
            except ValueError as exc:  # a socket's repr has its number
                raise ValueError(str(exc).split("<socket")[0]) from None

    for kind, arguments in (
        (socket.SOCK_STREAM, {}),
        (socket.SOCK_DGRAM, {"local_addr": LOCAL}),
        (socket.SOCK_DGRAM, {"family": 1, "proto": 1, "flags": 1, "reuse_port": True}),
    ):
        support.raised_by(
            lambda loop, kind=kind, arguments=arguments: loop.run_until_complete(
                create(loop, kind, **arguments)
            )
        )


def test_a_socket_of_a_class_of_its_own_is_asked_for_everything(run: Run) -> None:
    """Its methods may be more than the system's: a proxy's header, say."""

    class Counted(socket.socket):
        calls = 0

        def sendto(self, data: Any, address: Any) -> int:  # type: ignore[override]
            type(self).calls += 1
            return super().sendto(b"[" + data + b"]", address)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            sock = Counted(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(LOCAL)
            async with endpoint(sock=sock) as (transport, protocol):
                transport.sendto(b"x", peer.getsockname())
                assert await loop.sock_recv(peer, 10) == b"[x]"
                assert Counted.calls == 1
                peer.sendto(b"back", transport.get_extra_info("sockname"))
                assert await protocol.datagrams.get() == (b"back", peer.getsockname())

    run(main())


def test_broadcasting_needs_to_be_allowed(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=("0.0.0.0", 0), allow_broadcast=True) as (transport, _):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0
        async with endpoint(local_addr=("0.0.0.0", 0)) as (transport, protocol):
            transport.sendto(b"x", ("<broadcast>", 9))
            exc = protocol.errors.get_nowait()
            assert isinstance(exc, PermissionError)

    run(main())


def test_broadcasting_endpoints_are_not_connected(run: Run) -> None:
    """A remote address with allow_broadcast is where everything goes, but answers come from all."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer, plain_socket() as other:
            async with endpoint(
                local_addr=LOCAL, remote_addr=peer.getsockname(), allow_broadcast=True
            ) as (transport, protocol):
                assert transport.get_extra_info("peername") is None
                transport.sendto(b"x")
                assert await loop.sock_recv(peer, 10) == b"x"
                with pytest.raises(ValueError, match="Invalid address"):
                    transport.sendto(b"x", other.getsockname())
                other.sendto(b"answer", transport.get_extra_info("sockname"))
                assert await protocol.datagrams.get() == (b"answer", other.getsockname())

    run(main())


def test_reuse_port_shares_or_says_that_it_cannot(run: Run) -> None:
    """D7: never ignored silently."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if not hasattr(socket, "SO_REUSEPORT"):
            with pytest.raises(ValueError, match="reuse_port not supported by socket module"):
                await loop.create_datagram_endpoint(Recorder, local_addr=LOCAL, reuse_port=True)
            return
        async with endpoint(local_addr=LOCAL, reuse_port=True) as (transport, _):
            address = transport.get_extra_info("sockname")
            async with endpoint(local_addr=address, reuse_port=True) as (second, _):
                assert second.get_extra_info("sockname") == address

    run(main())
