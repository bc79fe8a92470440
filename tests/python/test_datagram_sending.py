# SPDX-License-Identifier: MIT
"""Sending datagrams: addresses, errors, flow control; sockets without a transport.

The queue of a transport fills only when the system refuses a datagram. UDP on loopback never does;
a unix datagram socket does as soon as its receiver's queue is full, so those tests use one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import pathlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import support
from datagrams import LOCAL, Recorder, closed_port, endpoint, plain_socket, unix_datagrams
from differences import PROACTOR, UVLOOP, WINDOWS, differs
from support import drain_callbacks

Run = Callable[..., Any]


# -- sending ---------------------------------------------------------------------------------------


def test_sendto_is_eager(run: Run) -> None:
    """Contract point 39: it has left before sendto returns."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, _):
                transport.sendto(b"now", peer.getsockname())
                peer.settimeout(support.LIMIT)  # the loop does not run while recv waits
                assert peer.recv(10) == b"now"
                assert transport.get_write_buffer_size() == 0

    run(main())


def test_sendto_takes_every_bytes_like_object(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
                for data in (b"one", bytearray(b"two"), memoryview(b"three")):
                    transport.sendto(data)
                    transport.sendto(data=data, addr=None)
                    for _ in range(2):
                        assert await loop.sock_recv(peer, 10) == bytes(data)

    run(main())


@pytest.mark.parametrize("data", ["text", None, 5, object, [b"x"]], ids=repr)
def test_sendto_rejects_what_is_not_bytes(data: Any) -> None:
    async def send() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, _):
            transport.sendto(data, LOCAL)

    kind, text = support.raised_by(lambda loop: loop.run_until_complete(send()))
    assert (kind, text[:19]) == ("TypeError", "data argument must ")


@pytest.mark.parametrize(
    ("args", "keywords"),
    [((), {}), ((b"x", None, 1), {}), ((b"x",), {"data": b"y"}), ((b"x",), {"address": None})],
    ids=repr,
)
def test_sendto_checks_its_arguments_as_python_does(args: Any, keywords: Any) -> None:
    async def send() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, _):
            transport.sendto(*args, **keywords)

    kind, _ = support.raised_by(lambda loop: loop.run_until_complete(send()))
    assert kind == "TypeError"


def test_sendto_another_than_the_peer_is_a_value_error() -> None:
    """C136. Contract point 39."""
    with plain_socket() as peer:
        address = peer.getsockname()

        async def send(target: Any) -> None:
            async with endpoint(remote_addr=address) as (transport, _):
                transport.sendto(b"x", target)

        async def send_to_peer() -> bytes:
            await send(tuple(address))
            await send(list(address) and address)
            await send(None)
            return b"".join([peer.recv(10) for _ in range(3)])

        for target in (("127.0.0.2", 9), "elsewhere", 5, list(address)):
            kind, text = support.raised_by(
                lambda loop, target=target: loop.run_until_complete(send(target))
            )
            assert (kind, text) == ("ValueError", f"Invalid address: must be None or {address}")
        assert support.same_as_asyncio(lambda loop: loop.run_until_complete(send_to_peer())) == (
            "returns",
            "b'xxx'",
        )


@differs(
    from_=(UVLOOP, PROACTOR),
    what="`transport.sendto(data, ('localhost', port))`",
    they="takes numeric addresses only",
    evenloop="resolves the name, as asyncio on Linux does",
)
def test_sendto_resolves_host_names(run: Run) -> None:
    """C136, D67."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            port = peer.getsockname()[1]
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                transport.sendto(b"named", ("localhost", port))
                assert await loop.sock_recv(peer, 10) == b"named"
                transport.sendto(b"numbered", ("127.0.0.1", port))
                assert await loop.sock_recv(peer, 10) == b"numbered"
                assert protocol.errors.empty()

    run(main())


def test_an_unknown_host_is_an_error_of_that_datagram(run: Run) -> None:
    """C135."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                transport.sendto(b"x", ("no such host", 9))
                assert isinstance(protocol.errors.get_nowait(), socket.gaierror)
                transport.sendto(b"next", peer.getsockname())
                assert await loop.sock_recv(peer, 10) == b"next"

    run(main())


@pytest.mark.parametrize(
    "address",
    [
        None,
        "127.0.0.1",
        ("127.0.0.1",),
        ("127.0.0.1", "9"),
        ("127.0.0.1", 1 << 16),
        ("127.0.0.1", -1),
    ],
    ids=repr,
)
def test_an_address_that_is_none_ends_the_endpoint(address: Any) -> None:
    """asyncio's rule: what is no OSError is the program's mistake, reported and fatal."""

    async def main(loop: Any) -> list[str]:
        reports: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reports.append(context))
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            transport.sendto(b"x", address)
            assert transport.is_closing()
            reason = await protocol.lost
            assert reason is reports[0]["exception"]
            assert reports[0]["transport"] is transport
            assert reports[0]["protocol"] is protocol
        return [reports[0]["message"], type(reason).__name__, str(reason)]

    assert support.same_as_asyncio(lambda loop: loop.run_until_complete(main(loop)))[0] == "returns"


def test_a_too_long_datagram_is_an_error_of_its_own(run: Run) -> None:
    """D69, C015, C133: error_received at once, with one errno everywhere; the next one goes.

    Contract point 39.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            for arguments in ({"remote_addr": peer.getsockname()}, {"local_addr": LOCAL}):
                async with endpoint(**arguments) as (transport, protocol):
                    for _ in range(2):
                        transport.sendto(bytes(70000), peer.getsockname())
                        exc = protocol.errors.get_nowait()
                        assert isinstance(exc, OSError)
                        assert exc.errno == errno.EMSGSIZE
                    assert not transport.is_closing()
                    transport.sendto(b"next", peer.getsockname())
                    assert await loop.sock_recv(peer, 10) == b"next"

    run(main())


def test_an_exception_of_error_received_is_the_callers(run: Run) -> None:
    class Raises(Recorder):
        def error_received(self, exc: Exception) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        async with endpoint(Raises, local_addr=LOCAL) as (transport, _):
            with pytest.raises(ZeroDivisionError):
                transport.sendto(bytes(70000), ("127.0.0.1", 9))
            assert not transport.is_closing()

    run(main())


def test_closing_inside_error_received(run: Run) -> None:
    class Closes(Recorder):
        def error_received(self, exc: Exception) -> None:
            super().error_received(exc)
            self.transport.close()

    async def main() -> None:
        async with endpoint(Closes, local_addr=LOCAL) as (transport, protocol):
            transport.sendto(bytes(70000), ("127.0.0.1", 9))
            assert protocol.calls == ["connection_made", "error_received"]
            assert await protocol.lost is None

    run(main())


@differs(
    from_=WINDOWS,
    what="a datagram to a closed port, from an endpoint without a peer",
    they="makes `error_received` or ends receiving",
    evenloop="has no effect on the endpoint",
)
def test_a_closed_port_does_not_disturb_an_unconnected_endpoint(run: Run) -> None:
    """C014, D63."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                for _ in range(3):
                    transport.sendto(b"to nobody", closed_port())
                    await drain_callbacks()
                peer.sendto(b"still here", transport.get_extra_info("sockname"))
                assert (await protocol.datagrams.get())[0] == b"still here"
                assert protocol.errors.empty()

    run(main())


@pytest.mark.absent("wine-no-icmp", "wine")
@differs(
    from_=WINDOWS,
    what="a datagram to a closed port, from an endpoint with a peer",
    they="is a ConnectionResetError, or nothing",
    evenloop="is `error_received(ConnectionRefusedError)`; the endpoint stays open",
)
def test_a_closed_port_refuses_a_connected_endpoint(run: Run) -> None:
    """C016, D64: told once for each datagram, and receiving goes on. Contract point 39."""

    async def main() -> None:
        async with endpoint(remote_addr=closed_port()) as (transport, protocol):
            for _ in range(3):
                transport.sendto(b"to nobody")
                exc = await protocol.errors.get()
                assert isinstance(exc, ConnectionRefusedError)
                assert exc.errno == errno.ECONNREFUSED
            assert not transport.is_closing()
            assert transport.is_reading()

    run(main())


# -- unix datagrams and flow control ---------------------------------------------------------------


@unix_datagrams
@differs(
    from_=UVLOOP,
    what="`create_datagram_endpoint(..., family=socket.AF_UNIX)`",
    they="is refused",
    evenloop="works, abstract names of Linux included",
)
@pytest.mark.parametrize("abstract", [False, True])
def test_unix_datagrams(run: Run, tmp_path: pathlib.Path, abstract: bool) -> None:
    """C137, C123. Contract row D4."""
    if abstract and sys.platform != "linux":
        return
    prefix = f"\0evenloop{id(tmp_path)}" if abstract else str(tmp_path / "d")
    names = [prefix + "1", prefix + "2"]
    received = [name.encode() if abstract else name for name in names]

    async def main() -> None:
        async with (
            endpoint(local_addr=names[0], family=socket.AF_UNIX) as (one, one_protocol),
            endpoint(local_addr=names[1], remote_addr=names[0], family=socket.AF_UNIX) as (
                two,
                two_protocol,
            ),
        ):
            assert one.get_extra_info("sockname") == received[0]
            assert two.get_extra_info("peername") == received[0]
            two.sendto(b"there")
            assert await one_protocol.datagrams.get() == (b"there", received[1])
            one.sendto(b"back", received[1])
            assert await two_protocol.datagrams.get() == (b"back", received[0])
            one.sendto(b"x", names[1] + "nobody")
            assert isinstance(one_protocol.errors.get_nowait(), OSError)

    run(main())


@unix_datagrams
def test_a_datagram_larger_than_any_of_udp(run: Run, tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "d")
        async with endpoint(local_addr=path, family=socket.AF_UNIX) as (_, protocol):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                data = bytes(range(256)) * 500
                peer.sendto(data, path)
                assert await protocol.datagrams.get() == (data, None)

    run(main())


@contextlib.asynccontextmanager
async def full_endpoint(path: str) -> AsyncIterator[tuple[Any, Recorder, socket.socket, int]]:
    """An endpoint, its protocol, the receiver that takes no more, and how many it took."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.setblocking(False)
        async with endpoint(remote_addr=path, family=socket.AF_UNIX) as (transport, protocol):
            taken = 0
            while not transport.get_write_buffer_size():
                transport.sendto(b"%03d" % taken)
                taken += 1
            yield transport, protocol, receiver, taken - 1


OVERHEAD = 8 if sys.version_info >= (3, 13) else 0


async def receive(receiver: socket.socket, count: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    return [await loop.sock_recv(receiver, 100) for _ in range(count)]


@unix_datagrams
@pytest.mark.evenloop_only  # 3.13.0 never takes the eight bytes off again
def test_refused_datagrams_are_queued_and_go_in_order(run: Run, tmp_path: pathlib.Path) -> None:
    """Contract row D68."""

    async def main() -> None:
        async with full_endpoint(str(tmp_path / "d")) as (transport, protocol, receiver, taken):
            assert transport.get_write_buffer_size() == 3 + OVERHEAD
            data = bytearray(b"more")
            transport.sendto(data)
            data[:] = b"lost"  # what is queued is a copy
            assert transport.get_write_buffer_size() == 7 + 2 * OVERHEAD
            path = transport.get_extra_info("peername")
            assert list(transport._buffer) == [(b"%03d" % taken, path), (b"more", path)]
            expected = [b"%03d" % i for i in range(taken + 1)] + [b"more"]
            assert await receive(receiver, taken + 2) == expected
            await drain_callbacks()
            assert transport.get_write_buffer_size() == 0
            assert protocol.errors.empty()

    run(main())


@unix_datagrams
@pytest.mark.evenloop_only  # 3.13.0 never takes the eight bytes off again
def test_the_protocol_is_paused_and_resumed(run: Run, tmp_path: pathlib.Path) -> None:
    """Contract point 39, row D68."""

    async def main() -> None:
        async with full_endpoint(str(tmp_path / "d")) as (transport, protocol, receiver, taken):
            assert transport.get_write_buffer_limits() == (16384, 65536)
            transport.set_write_buffer_limits(high=100, low=20)
            count = 1
            while not protocol.paused.is_set():
                assert transport.get_write_buffer_size() <= 100
                transport.sendto(b"%03d" % (taken + count))
                count += 1
            assert transport.get_write_buffer_size() > 100
            assert len(await receive(receiver, taken + count)) == taken + count
            await protocol.resumed.wait()
            assert transport.get_write_buffer_size() <= 20
            assert protocol.calls == ["connection_made", "pause_writing", "resume_writing"]

    run(main())


@unix_datagrams
def test_lower_limits_pause_at_once(run: Run, tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        async with full_endpoint(str(tmp_path / "d")) as (transport, protocol, _, _):
            transport.set_write_buffer_limits(high=0)
            assert protocol.paused.is_set()

    run(main())


@pytest.mark.parametrize(
    "limits", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}, {"high": "x"}], ids=repr
)
def test_limits_that_make_no_sense(limits: Any) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, _):
            transport.set_write_buffer_limits(**limits)

    support.raised_by(lambda loop: loop.run_until_complete(main()))


@unix_datagrams
def test_close_sends_what_is_queued(run: Run, tmp_path: pathlib.Path) -> None:
    """C015, D66. Contract point 39."""

    async def main() -> None:
        async with full_endpoint(str(tmp_path / "d")) as (transport, protocol, receiver, taken):
            transport.close()
            assert transport.is_closing()
            transport.sendto(b"after close")  # joins the queue, as in asyncio
            await drain_callbacks()
            assert not protocol.lost.done()
            received = await receive(receiver, taken + 2)
            assert received[-2:] == [b"%03d" % taken, b"after close"]
            assert await protocol.lost is None

    run(main())


@unix_datagrams
@pytest.mark.evenloop_only  # up to 3.13 the size stays as it was
def test_abort_drops_what_is_queued(run: Run, tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        async with full_endpoint(str(tmp_path / "d")) as (transport, protocol, receiver, taken):
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            assert await protocol.lost is None
            assert len(await receive(receiver, taken)) == taken
            with pytest.raises(BlockingIOError):
                receiver.recv(10)

    run(main())


@unix_datagrams
@pytest.mark.evenloop_only  # 3.13.0 never takes the eight bytes off again
def test_an_error_of_a_queued_datagram_lets_the_others_go(run: Run, tmp_path: pathlib.Path) -> None:
    """C015: told by error_received, and a paused protocol is resumed."""
    path = str(tmp_path / "d")

    async def main() -> None:
        async with full_endpoint(path) as (transport, protocol, receiver, _):
            transport.set_write_buffer_limits(high=1)
            transport.sendto(b"queued too")
            assert protocol.paused.is_set()
            receiver.close()  # refused from now on
            for _ in range(2):
                assert isinstance(await protocol.errors.get(), OSError)
            await protocol.resumed.wait()
            assert not transport.is_closing()
            transport.close()
            assert await protocol.lost is None

    run(main())


@unix_datagrams
def test_queued_paths_keep_their_addresses(run: Run, tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        paths = [str(tmp_path / name) for name in "ab"]
        with contextlib.ExitStack() as stack:
            receivers = []
            for path in paths:
                sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                sock.bind(path)
                sock.setblocking(False)
                receivers.append(sock)
            async with endpoint(family=socket.AF_UNIX) as (transport, _):
                sent = 0
                while not transport.get_write_buffer_size():
                    transport.sendto(b"a", paths[0])
                    sent += 1
                transport.sendto(b"b", paths[1])
                assert transport._buffer[1][1] == paths[1]
                assert await receive(receivers[0], sent) == [b"a"] * sent
                assert await receive(receivers[1], 1) == [b"b"]

    run(main())


# -- sockets without a transport -------------------------------------------------------------------


@differs(
    from_=WINDOWS,
    what="a datagram longer than the buffer of `sock_recvfrom`",
    they="raises OSError",
    evenloop="is cut to it, as on Unix",
)
def test_a_datagram_too_long_for_the_buffer_is_cut(run: Run) -> None:
    """D61."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as one, plain_socket() as two:
            buffer = bytearray(3)
            sender = one.getsockname()
            receives: list[tuple[Awaitable[Any], Any]] = [
                (loop.sock_recvfrom(two, 3), (b"abc", sender)),
                (loop.sock_recv(two, 3), b"abc"),
                (loop.sock_recvfrom_into(two, buffer), (3, sender)),
                (loop.sock_recv_into(two, buffer), 3),
            ]
            for receive_one, expected in receives:
                one.sendto(b"abcdef", two.getsockname())
                assert await receive_one == expected
            assert buffer == b"abc"

    run(main())


@differs(
    from_=WINDOWS,
    what="`sock_recvfrom` on a socket that has no address yet",
    they="raises WinError 10022",
    evenloop="waits",
)
def test_receiving_may_begin_before_the_socket_has_an_address(run: Run) -> None:
    """C031."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            receiving = asyncio.ensure_future(loop.sock_recvfrom(sock, 10))
            await drain_callbacks()
            assert not receiving.done()
            assert await loop.sock_sendto(sock, b"hello", peer.getsockname()) == 5
            _, address = await loop.sock_recvfrom(peer, 10)
            peer.sendto(b"back", address)
            assert await receiving == (b"back", peer.getsockname())

    run(main())


@differs(
    from_=WINDOWS,
    what="`sock_recvfrom` after a datagram to a closed port",
    they="raises ConnectionResetError, or gives `(b'', None)`",
    evenloop="waits for the next datagram",
)
def test_receiving_is_not_disturbed_by_closed_ports(run: Run) -> None:
    """D60, C014."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer, plain_socket() as sock:
            for _ in range(3):
                await loop.sock_sendto(sock, b"to nobody", closed_port())
            receiving = asyncio.ensure_future(loop.sock_recvfrom(sock, 10))
            await drain_callbacks()
            peer.sendto(b"x", sock.getsockname())
            assert await receiving == (b"x", peer.getsockname())

    run(main())


def test_a_too_long_datagram_of_sock_sendto(run: Run) -> None:
    """D69."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as sock:
            with pytest.raises(OSError) as caught:
                await loop.sock_sendto(sock, bytes(70000), sock.getsockname())
            assert caught.value.errno == errno.EMSGSIZE
            assert await loop.sock_sendto(sock, b"named", ("localhost", sock.getsockname()[1])) == 5
            assert await loop.sock_recv(sock, 10) == b"named"

    run(main())


@unix_datagrams
def test_an_exit_in_pause_writing_is_the_callers(run: Run, tmp_path: pathlib.Path) -> None:
    """Also when the protocol has sent something itself before it exits."""
    path = str(tmp_path / "d")

    async def main() -> None:
        async with full_endpoint(path) as (transport, protocol, _, _):

            def pause_writing() -> None:
                transport.sendto(b"one more")
                raise SystemExit("out")

            protocol.pause_writing = pause_writing  # type: ignore[method-assign]
            transport.set_write_buffer_limits(high=20)
            with pytest.raises(SystemExit, match="out"):
                transport.sendto(bytes(20))
            assert not transport.is_closing()

    run(main())
