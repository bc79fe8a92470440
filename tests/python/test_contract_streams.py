# SPDX-License-Identifier: MIT
"""asyncio's contract: stream transports and connecting.

Points 17 to 34 that no other file shows, and the rows of the table of divergences about TCP
connections (D23, D29 to D49). test_tcp_*.py have the others, with their numbers.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import pytest
import support
from differences import PROACTOR, WINDOWS, differs
from support import BufferedRecorder, Recorder, transport_and_socket

MIB = 1 << 20


class TurnCount:
    """Counts the turns of a loop while the block runs."""

    def __init__(self, loop):
        self.loop = loop
        self.turns = 0

    def __enter__(self):
        once = self.loop._run_once

        def counted():
            self.turns += 1
            once()

        self.loop._run_once = counted
        return self

    def __exit__(self, *exc):
        del self.loop._run_once


# -- the start -----------------------------------------------------------------------------------


def test_connection_made_is_not_called_while_the_transport_is_made(loop, run):
    """Point 17: it comes as a callback of its own, then reading, then the waiter."""

    async def main():
        ours, peer = support.tcp_pair()
        peer.send(b"early")
        protocol = Recorder()
        order = []
        waiter = loop.create_future()
        waiter.add_done_callback(lambda _: order.append(list(protocol.calls)))
        transport = loop._make_socket_transport(ours, protocol, waiter)
        assert protocol.calls == []
        await waiter
        await protocol.received(5)
        assert order[0][0] == "connection_made"
        transport.abort()
        peer.close()

    run(main())


# -- reading -------------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="what `data_received()` is given",
    they="is a bytearray up to Python 3.11, of 64 KiB at most",
    evenloop="is bytes, of 256 KiB at most",
)
def test_data_comes_as_bytes_of_at_most_256_kib(loop, run):
    """D38: however much waits."""
    kinds, sizes = set(), []

    class Sizing(Recorder):
        def data_received(self, data):
            kinds.add(type(data))
            sizes.append(len(data))
            super().data_received(data)

    async def main():
        async with transport_and_socket(Sizing) as (_, protocol, peer):
            await loop.sock_sendall(peer, bytes(8 * MIB))
            await protocol.received(8 * MIB)
        assert kinds == {bytes}
        assert max(sizes) <= 256 * 1024

    run(main())


@differs(
    from_=PROACTOR,
    what="`BufferedProtocol.get_buffer(sizehint)`",
    they="is asked after the data arrived, with its size, and gets a copy",
    evenloop="is asked with -1 before it arrives, and is read into",
)
def test_get_buffer_is_asked_before_the_data_is_read_and_with_minus_one(loop, run):
    """D39: what the socket holds when get_buffer() is called is still there."""

    class Peeking(BufferedRecorder):
        def get_buffer(self, sizehint):
            sock = socket.socket(fileno=self.transport.get_extra_info("socket").fileno())
            try:
                self.peeked = sock.recv(100, socket.MSG_PEEK)
            finally:
                sock.detach()
            return super().get_buffer(sizehint)

    async def main():
        async with transport_and_socket(Peeking) as (_, protocol, peer):
            peer.send(b"still in the socket")
            assert await protocol.received(19) == b"still in the socket"
            assert protocol.peeked == b"still in the socket"
            assert set(protocol.hints) == {-1}

    run(main())


def test_half_open_connection_does_not_keep_the_loop_busy(loop, run):
    """Point 22: after a kept end of file nobody watches for more input."""

    async def main():
        keeping = lambda: Recorder(keep_open=True)  # noqa: E731
        async with transport_and_socket(keeping) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            with TurnCount(loop) as count:
                await asyncio.sleep(0.05)
            assert count.turns < 10
            transport.write(b"still writing")
            assert await support.read_exactly(peer, 13) == b"still writing"
            assert protocol.calls.count("eof_received") == 1

    run(main())


def test_paused_transport_does_not_keep_the_loop_busy(loop, run):
    """Point 26 and D37: data that waits for resume_reading() causes no turns."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.pause_reading()
            peer.send(b"waiting")
            with TurnCount(loop) as count:
                await asyncio.sleep(0.05)
            assert count.turns < 10
            assert "data_received" not in protocol.calls
            transport.resume_reading()
            assert await protocol.received(7) == b"waiting"

    run(main())


# -- writing -------------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="`get_write_buffer_size()` after a small `write()`",
    they="counts what the system has taken until that is reported",
    evenloop="is 0",
)
def test_size_of_the_write_buffer_is_what_the_system_did_not_take(loop, run):
    """Point 18 and D41."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            transport.write(b"small")
            assert transport.get_write_buffer_size() == 0
            await support.read_exactly(peer, 5)
            transport.write(bytes(8 * MIB))
            left = transport.get_write_buffer_size()
            assert 0 < left < 8 * MIB
            transport.write(bytes(1000))
            assert transport.get_write_buffer_size() == left + 1000
            assert len(await support.read_exactly(peer, 8 * MIB + 1000)) == 8 * MIB + 1000
            await support.drain_callbacks()
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_write_eof_twice_is_one_end_of_file(loop, run):
    """Point 22: idempotent, and the other direction goes on."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            assert transport.can_write_eof()
            transport.write_eof()
            transport.write_eof()
            assert await loop.sock_recv(peer, 1) == b""
            peer.send(b"answer")
            assert await protocol.received(6) == b"answer"
            assert not transport.is_closing()

    run(main())


@pytest.mark.parametrize("method", ["write", "writelines"])
def test_nothing_is_written_while_a_file_is_sent(loop, run, tmp_path, method):
    """Points 20 and 38: refused in asyncio's words while sendfile is in progress."""
    path = tmp_path / "file"
    path.write_bytes(bytes(4 * MIB))

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            with open(path, "rb") as file:
                task = loop.create_task(loop.sendfile(transport, file, fallback=False))
                await support.drain_callbacks(5)
                assert not task.done()
                assert not transport.is_reading()
                with pytest.raises(RuntimeError) as caught:
                    getattr(transport, method)([b"x"] if method == "writelines" else b"x")
                assert str(caught.value).startswith("unable to write")
                assert str(caught.value).endswith("; sendfile is in progress")
                received = 0
                while received < 4 * MIB:
                    received += len(await loop.sock_recv(peer, MIB))
                assert await task == 4 * MIB
            assert transport.is_reading()
            transport.write(b"after")
            assert await support.read_exactly(peer, 5) == b"after"

    run(main())


# -- the end -------------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="`close()` after the peer has reset the connection",
    they="logs ConnectionResetError from shutdown() as `Exception in callback`",
    evenloop="is silent",
)
@pytest.mark.parametrize("method", ["close", "abort"])
def test_closing_a_connection_that_was_reset_is_silent(loop, run, errors, caplog, method):
    """D33: the reset is not yet seen when the program closes."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.pause_reading()
            support.reset(peer)
            getattr(transport, method)()
            await protocol.lost
            await support.drain_callbacks()
        assert errors == []
        assert caplog.records == []

    run(main())


@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
@pytest.mark.parametrize("method", ["close", "abort"])
def test_closing_with_unread_input_resets_the_peer(loop, run, method):
    """D34 and D35: nothing pretends that the peer was heard."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.pause_reading()
            peer.send(b"never read")
            await support.drain_callbacks()
            getattr(transport, method)()
            await protocol.lost
            await support.drain_callbacks()
            with pytest.raises(ConnectionResetError):
                await loop.sock_recv(peer, 1)

    run(main())


@pytest.mark.parametrize("method", ["close", "abort"])
def test_closing_without_unread_input_ends_the_connection_cleanly(loop, run, method):
    """D35: the peer reads end of file after abort() too, no reset."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            getattr(transport, method)()
            assert await loop.sock_recv(peer, 1) == b""
            assert await protocol.lost is None

    run(main())


@differs(
    from_=WINDOWS,
    what="a reset by the peer",
    they="comes as WinError 64, 995, 10053, 10054 or 1236, some of them without an errno",
    evenloop="is ConnectionResetError with ECONNRESET",
)
@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
def test_reset_by_the_peer_has_one_type_and_errno(loop, run):
    """D29 and point 25."""

    async def main():
        async with transport_and_socket() as (_, protocol, peer):
            support.reset(peer)
            exc = await protocol.lost
            assert type(exc) is ConnectionResetError
            assert exc.errno == errno.ECONNRESET
            assert "eof_received" not in protocol.calls

    run(main())


def test_lost_connection_says_so_once_whatever_is_called_afterwards(loop, run):
    """Point 21: gh-156512."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            support.reset(peer)
            await protocol.lost
            transport.close()
            transport.abort()
            transport.pause_reading()
            transport.resume_reading()
            transport.write(b"dropped")
            await support.drain_callbacks()
            assert protocol.calls.count("connection_lost") == 1
            assert transport.is_closing()

    run(main())


# -- whose descriptor it is ----------------------------------------------------------------------


OWNED = {
    "add_reader": lambda loop, sock: loop.add_reader(sock, print),
    "add_reader by number": lambda loop, sock: loop.add_reader(sock.fileno(), print),
    "add_writer": lambda loop, sock: loop.add_writer(sock, print),
    "remove_reader": lambda loop, sock: loop.remove_reader(sock),
    "remove_writer": lambda loop, sock: loop.remove_writer(sock),
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 1),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(1)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 1),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(1)),
}


@differs(
    from_=PROACTOR,
    what="`sock_*` on the socket of a transport",
    they="is not noticed, and takes the transport's data",
    evenloop="raises RuntimeError",
)
@pytest.mark.parametrize("case", OWNED)
def test_descriptor_of_a_transport_is_refused_to_everybody_else(loop, run, case):
    """Point 31 and D49: File descriptor N is used by transport ..."""

    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        with pytest.raises(RuntimeError) as caught:
            result = OWNED[case](loop, ours)
            if result is not None:
                await asyncio.wait_for(result, support.LIMIT)
        assert str(caught.value).startswith("File descriptor ")
        assert str(caught.value).endswith(f" is used by transport {transport!r}")
        peer.send(b"x")
        assert await protocol.received(1) == b"x"  # and nothing was lost
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_descriptor_of_a_closed_transport_is_free_again(loop, run):
    """Point 31: the mark goes with the transport."""

    async def main():
        ours, peer = support.tcp_pair()
        number = ours.fileno()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        transport.close()
        await protocol.lost
        await support.drain_callbacks()
        peer.close()
        assert ours.fileno() == -1
        assert loop.remove_reader(number) is False

    run(main())


@differs(
    from_=PROACTOR,
    what="a socket that another loop has used before",
    they="fails with WinError 87 for ever",
    evenloop="works",
)
def test_socket_moves_from_one_loop_to_another(loop_factory):
    """D48: sock_* and transports of two loops, one after the other."""
    ours, peer = support.tcp_pair()
    peer.settimeout(support.LIMIT)

    async def use(text):
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, text)
        peer.sendall(text)
        assert await loop.sock_recv(ours, 100) == text

    async def own():
        transport, protocol = await asyncio.get_running_loop().create_connection(
            Recorder, sock=ours
        )
        peer.sendall(b"transport")
        assert await protocol.received(9) == b"transport"
        transport.close()
        await protocol.lost

    with peer:
        for text in (b"first", b"second"):
            loop = loop_factory()
            loop.run_until_complete(asyncio.wait_for(use(text), support.LIMIT))
            loop.close()
        loop = loop_factory()
        loop.run_until_complete(asyncio.wait_for(own(), support.LIMIT))
        loop.close()


# -- connecting ----------------------------------------------------------------------------------


@differs(
    from_=WINDOWS,
    what="connecting to 0.0.0.0 or ::",
    they="fails",
    evenloop="reaches this machine",
)
@pytest.mark.parametrize(("host", "any_host"), [("127.0.0.1", "0.0.0.0"), ("::1", "::")])
def test_connecting_to_the_unspecified_address_reaches_this_machine(loop, run, host, any_host):
    """D32."""

    async def main():
        server = await loop.create_server(Recorder, host, 0)
        port = server.sockets[0].getsockname()[1]
        transport, protocol = await loop.create_connection(Recorder, any_host, port)
        transport.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


@differs(
    from_=WINDOWS,
    what="a refused connection on loopback",
    they="takes two seconds",
    evenloop="is refused at once",
)
def test_refusal_comes_at_once(loop, run):
    """D31 and D30: long before a second, with errno ECONNREFUSED."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        async def main():
            with pytest.raises(ConnectionRefusedError) as caught:
                await asyncio.wait_for(
                    loop.create_connection(Recorder, *unused.getsockname()), timeout=1
                )
            assert caught.value.errno == errno.ECONNREFUSED

        run(main())


def resolve_to(loop, *addresses):
    """Makes loop.getaddrinfo answer with these addresses."""

    async def getaddrinfo(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    loop._getaddrinfo = getaddrinfo  # numbers are not resolved, names are
    loop.getaddrinfo = getaddrinfo


def unused_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    return sockets, [sock.getsockname() for sock in sockets]


def test_several_failures_with_several_texts_are_listed(loop, run):
    """Point 32: OSError('Multiple exceptions: ...')."""
    sockets, addresses = unused_ports(2)

    async def main():
        resolve_to(loop, *addresses)
        with pytest.raises(OSError) as caught:
            await loop.create_connection(Recorder, "two.example", 1)
        text = str(caught.value)
        assert text.startswith("Multiple exceptions: ")
        for address in addresses:
            assert f"Connect call failed {address!r}" in text

    run(main())
    for sock in sockets:
        sock.close()


def test_several_failures_with_one_text_are_the_first(loop, run):
    """Point 32: the very exception, with its type and errno."""
    sockets, addresses = unused_ports(1)

    async def main():
        resolve_to(loop, *addresses * 2)
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.create_connection(Recorder, "twice.example", 1)
        assert caught.value.errno == errno.ECONNREFUSED
        assert f"Connect call failed {addresses[0]!r}" in str(caught.value)

    run(main())
    for sock in sockets:
        sock.close()


def test_second_address_is_tried_after_the_first_failed(loop, run):
    """Point 32: one that answers is enough."""
    sockets, addresses = unused_ports(1)

    async def main():
        with support.listening() as (_, address):
            resolve_to(loop, *addresses, address)
            transport, protocol = await loop.create_connection(Recorder, "second.example", 1)
            assert transport.get_extra_info("peername") == address
            transport.close()
            await protocol.lost

    run(main())
    for sock in sockets:
        sock.close()


def test_refused_tls_arguments_open_no_connection(loop, run):
    """Point 47's neighbour: server_hostname without ssl, and ssl without a name to check."""
    for arguments, text in (
        ({"server_hostname": "x"}, "server_hostname is only meaningful with ssl"),
        (
            {"sock": "SOCK", "ssl": ssl.create_default_context()},
            "You must set server_hostname when using ssl without a host",
        ),
        ({"ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only meaningful with ssl"),
    ):

        async def main(arguments=arguments, text=text):
            ours, peer = support.tcp_pair()
            with ours, peer:
                given = {
                    key: ours if value == "SOCK" else value for key, value in arguments.items()
                }
                host = () if "sock" in given else ("127.0.0.1", 1)
                with pytest.raises(ValueError) as caught:
                    await loop.create_connection(Recorder, *host, **given)
                assert str(caught.value) == text

        run(main())
