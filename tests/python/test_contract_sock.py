# SPDX-License-Identifier: MIT
"""asyncio's contract: sock_* coroutines and sendfile.

Points 35 to 38 and the rows D53 to D61 and D70 of the table of divergences, as far as
test_sock_coroutines.py does not show them.
"""

from __future__ import annotations

import asyncio
import errno
import io
import select
import socket

import pytest
import support
from differences import PROACTOR, UVLOOP, WINDOWS, differs
from support import Recorder, transport_and_socket

MIB = 1 << 20


def udp_socket():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


@pytest.fixture
def udp_pair():
    """Two bound datagram sockets, the second connected to the first."""
    ours, peer = udp_socket(), udp_socket()
    peer.connect(ours.getsockname())
    with ours, peer:
        yield ours, peer


def wait_readable(sock):
    assert select.select([sock], [], [], support.LIMIT)[0]


def first_step(coro):
    """The result of a coroutine that has one after its first step."""
    with pytest.raises(StopIteration) as caught:
        coro.send(None)
    return caught.value.value


# -- the first step ------------------------------------------------------------------------------


FIRST_STEPS = {
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 100),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(100)),
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 100),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(100)),
}


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_receiving_what_waits_needs_one_step(loop, run, udp_pair, name):
    """Point 35: every sock_* tries its system call in its first step."""
    ours, peer = udp_pair

    async def main():
        peer.send(b"waits")
        wait_readable(ours)
        result = first_step(FIRST_STEPS[name](loop, ours))
        assert result in (
            b"waits",
            5,
            (b"waits", peer.getsockname()),
            (5, peer.getsockname()),
        )

    run(main())


def test_accepting_who_waits_needs_one_step(loop, run):
    """Point 35: and the new socket does not block (point 37)."""

    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            with socket.create_connection(address) as client:
                wait_readable(listener)
                conn, peername = first_step(loop.sock_accept(listener))
                with conn:
                    assert peername == client.getsockname()
                    assert conn.gettimeout() == 0

    run(main())


def test_sending_a_datagram_needs_one_step(loop, run, udp_pair):
    """Point 35."""
    ours, peer = udp_pair

    async def main():
        assert first_step(loop.sock_sendto(ours, b"sent", peer.getsockname())) == 4
        wait_readable(peer)
        assert peer.recv(10) == b"sent"

    run(main())


# -- cancelling ----------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="a cancelled `sock_recv`",
    they="can lose what arrived in the same moment",
    evenloop="loses nothing",
)
@pytest.mark.parametrize("name", FIRST_STEPS)
def test_cancelled_receiving_loses_no_datagram(loop, run, udp_pair, name):
    """Point 35 and D53: whether it came before, with or after the cancellation."""
    ours, peer = udp_pair

    async def main():
        for moment in range(30):
            task = loop.create_task(FIRST_STEPS[name](loop, ours))
            await support.drain_callbacks()
            if moment % 3 == 0:
                peer.send(b"%d" % moment)
            task.cancel()
            if moment % 3 == 1:
                peer.send(b"%d" % moment)
            try:
                got = await task
            except asyncio.CancelledError:
                if moment % 3 == 2:
                    peer.send(b"%d" % moment)
                got = await loop.sock_recv(ours, 100)
                assert got == b"%d" % moment
            else:  # it was faster than the cancellation
                assert got is not None

    run(main())


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_new_receiving_right_after_a_cancelled_one_works(loop, run, udp_pair, name):
    """Point 35: before the callbacks of the cancelled one have run."""
    ours, peer = udp_pair

    async def main():
        for _ in range(20):
            task = loop.create_task(FIRST_STEPS[name](loop, ours))
            await support.drain_callbacks()
            task.cancel()
            again = loop.create_task(FIRST_STEPS[name](loop, ours))
            await asyncio.wait([task])
            await support.drain_callbacks()
            peer.send(b"x")
            await again

    run(main())


def test_cancelled_connect_leaves_the_socket_to_its_owner(loop, run):
    """Point 35: nothing watches it any more, and it is not closed."""

    async def main():
        with support.listening() as (_, address), socket.socket() as sock:
            sock.setblocking(False)
            task = loop.create_task(loop.sock_connect(sock, address))
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            assert sock.fileno() >= 0
            assert loop.remove_writer(sock) is False

    run(main())


@differs(
    from_=PROACTOR,
    what="a cancelled `sock_accept`",
    they="closes the connection that it had accepted",
    evenloop="leaves it to the next one",
)
def test_connection_survives_a_cancelled_accept(loop, run):
    """Point 35 and D54: gh-153761."""

    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            for _ in range(20):
                task = loop.create_task(loop.sock_accept(listener))
                await support.drain_callbacks()
                client = socket.create_connection(address)
                task.cancel()
                try:
                    conn, _ = await task
                except asyncio.CancelledError:
                    conn, _ = await loop.sock_accept(listener)
                with conn, client:
                    client.send(b"x")
                    assert await loop.sock_recv(conn, 1) == b"x"

    run(main())


def test_ending_one_waiting_call_does_not_end_the_other_direction(loop, run):
    """Point 35: recv and sendall of one socket have nothing to do with each other."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
            receiving = loop.create_task(loop.sock_recv(ours, 10))
            sending = loop.create_task(loop.sock_sendall(ours, bytes(8 * MIB)))
            await support.drain_callbacks()
            assert not sending.done()
            receiving.cancel()
            await asyncio.wait([receiving])
            await support.read_exactly(peer, 8 * MIB)
            await sending

    run(main())


# -- addresses and datagrams ---------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="`sock_connect` with a host name",
    they="raises OSError",
    evenloop="resolves it",
)
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connect_resolves_a_name_for_the_sockets_family(loop, run, monkeypatch, family):
    """Point 37 and D55: through socket.getaddrinfo, for the family of the socket."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    real = socket.getaddrinfo

    def getaddrinfo(name, port, *args, **options):
        return real(host if name == "example.invalid" else name, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main():
        with socket.create_server((host, 0), family=family) as listener:
            with socket.socket(family) as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, ("example.invalid", listener.getsockname()[1]))
                assert sock.getpeername()[0] == host

    run(main())


@differs(
    from_=WINDOWS,
    what="`sock_recvfrom` of a datagram that is larger than asked for",
    they="raises OSError (WinError 234 or 10040)",
    evenloop="gives what fits",
)
@pytest.mark.parametrize("name", ["sock_recvfrom", "sock_recvfrom_into", "sock_recv"])
def test_datagram_that_is_too_large_is_cut_off(loop, run, udp_pair, name):
    """D61: as recvfrom(2) does."""
    ours, peer = udp_pair

    async def main():
        peer.send(b"0123456789")
        peer.send(b"next")
        if name == "sock_recvfrom":
            assert await loop.sock_recvfrom(ours, 4) == (b"0123", peer.getsockname())
        elif name == "sock_recv":
            assert await loop.sock_recv(ours, 4) == b"0123"
        else:
            buffer = bytearray(4)
            assert await loop.sock_recvfrom_into(ours, buffer) == (4, peer.getsockname())
            assert buffer == b"0123"
        assert await loop.sock_recv(ours, 100) == b"next"

    run(main())


def test_recvfrom_into_fills_no_more_than_it_was_told(loop, run, udp_pair):
    """Surface 1.1: nbytes of sock_recvfrom_into; 0 means the whole buffer."""
    ours, peer = udp_pair

    async def main():
        buffer = bytearray(b"........")
        peer.send(b"abcdefgh")
        assert (await loop.sock_recvfrom_into(ours, buffer, 3))[0] == 3
        assert buffer == b"abc....."
        peer.send(b"12345678")
        assert (await loop.sock_recvfrom_into(ours, buffer, 0))[0] == 8
        assert buffer == b"12345678"

    run(main())


@differs(
    from_=WINDOWS,
    what="`sock_recvfrom` after a datagram to a closed port",
    they="fails or gives `(b'', None)`",
    evenloop="waits for the next datagram",
)
def test_unconnected_socket_hears_nothing_of_a_closed_port(loop, run, udp_pair):
    """D60."""
    ours, peer = udp_pair

    async def main():
        closed = udp_socket()
        address = closed.getsockname()
        closed.close()
        await loop.sock_sendto(ours, b"to nobody", address)
        await loop.sock_sendto(ours, b"to nobody", address)
        peer.send(b"from somebody")
        assert (await loop.sock_recvfrom(ours, 100))[0] == b"from somebody"

    run(main())


@pytest.mark.absent("wine-no-icmp", "wine")
def test_connected_socket_hears_of_a_closed_port(loop, run):
    """D60: ConnectionRefusedError, with its errno."""

    async def main():
        closed = udp_socket()
        with udp_socket() as sock:
            sock.connect(closed.getsockname())
            closed.close()
            await loop.sock_sendall(sock, b"to nobody")
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_recv(sock, 1)
            assert caught.value.errno == errno.ECONNREFUSED

    run(main())


def test_empty_datagram_is_received(loop, run, udp_pair):
    """D62's neighbour: zero bytes are a datagram, not the end."""
    ours, peer = udp_pair

    async def main():
        peer.send(b"")
        assert await loop.sock_recvfrom(ours, 10) == (b"", peer.getsockname())

    run(main())


@differs(
    from_=PROACTOR,
    what="`sock_sendall` of more than the system takes at once",
    they="is one WSASend",
    evenloop="sends piece by piece and waits in between",
)
def test_sendall_of_a_lot_leaves_the_loop_free(loop, run):
    """D59: other callbacks run while the peer is slow."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            task = loop.create_task(loop.sock_sendall(ours, bytes(16 * MIB)))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
            assert len(await support.read_exactly(peer, 16 * MIB)) == 16 * MIB
            assert await task is None

    run(main())


# -- sendfile ------------------------------------------------------------------------------------


CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with open(path, "rb") as opened:
        yield opened


SPANS = {
    "whole": ((), CONTENT),
    "from": ((1000,), CONTENT[1000:]),
    "from to": ((1000, 5000), CONTENT[1000:6000]),
    "beyond the end": ((len(CONTENT) - 10, 100), CONTENT[-10:]),
    "nothing left": ((len(CONTENT) + 10,), b""),
}


@differs(
    from_=UVLOOP,
    what="`sock_sendfile` and `sendfile`",
    they="raise NotImplementedError",
    evenloop="send the file",
)
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("way", ["sock_sendfile", "sendfile", "sendfile without fallback"])
def test_file_is_sent_and_its_position_told(loop, run, file, way, span):
    """Point 38 and D70: the count of bytes, and file.tell() at the end of what was sent."""
    arguments, expected = SPANS[span]

    async def main():
        async with transport_and_socket(asyncio.Protocol) as (transport, _, peer):
            receiving = loop.create_task(support.read_exactly(peer, len(expected)))
            if way == "sock_sendfile":
                ours, other = support.tcp_pair()
                receiving.cancel()
                receiving = loop.create_task(support.read_exactly(other, len(expected)))
                sent = await loop.sock_sendfile(ours, file, *arguments)
            else:
                fallback = way == "sendfile"
                sent = await loop.sendfile(transport, file, *arguments, fallback=fallback)
            assert sent == len(expected)
            assert await receiving == expected
            if expected:
                assert file.tell() == (arguments[0] if arguments else 0) + sent
            if way == "sock_sendfile":
                ours.close()
                other.close()

    run(main())


PARAMETERS = {
    "text file": lambda: (io.StringIO("text"),),
    "offset of a wrong type": lambda: (io.BytesIO(b"x"), 1.5),
    "negative offset": lambda: (io.BytesIO(b"x"), -1),
    "count of a wrong type": lambda: (io.BytesIO(b"x"), 0, "1"),
    "count of zero": lambda: (io.BytesIO(b"x"), 0, 0),
    "negative count": lambda: (io.BytesIO(b"x"), 0, -1),
    "no file": lambda: (None,),
}


@pytest.mark.parametrize("case", PARAMETERS)
@pytest.mark.parametrize("way", ["sock_sendfile", "sendfile"])
def test_wrong_arguments_of_sendfile_give_asyncios_error(way, case):
    """Point 38: the texts of _check_sendfile_params."""

    async def use(loop):
        async with transport_and_socket(asyncio.Protocol) as (transport, _, peer):
            if way == "sock_sendfile":
                await loop.sock_sendfile(peer, *PARAMETERS[case]())
            else:
                await loop.sendfile(transport, *PARAMETERS[case]())

    assert support.same_as_asyncio(lambda loop: loop.run_until_complete(use(loop)))[0] == "raises"


def test_sendfile_wants_a_stream_socket():
    """Point 38: 'only SOCK_STREAM type sockets are supported'."""

    async def use(loop):
        with udp_socket() as sock:
            await loop.sock_sendfile(sock, io.BytesIO(b"x"))

    assert support.raised_by(lambda loop: loop.run_until_complete(use(loop))) == (
        "ValueError",
        "only SOCK_STREAM type sockets are supported",
    )


def test_sendfile_over_a_closing_transport_is_refused(loop, run, file):
    """Point 38: RuntimeError('Transport is closing')."""

    async def main():
        async with transport_and_socket() as (transport, _, _):
            transport.close()
            with pytest.raises(RuntimeError) as caught:
                await loop.sendfile(transport, file)
            assert str(caught.value) == "Transport is closing"

    run(main())


def test_sendfile_over_a_datagram_transport_is_refused(loop, run, file):
    """Point 38: 'sendfile is not supported for transport ...'."""

    async def main():
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(RuntimeError) as caught:
            await loop.sendfile(transport, file)
        assert str(caught.value) == f"sendfile is not supported for transport {transport!r}"
        transport.close()
        await support.drain_callbacks()

    run(main())


def test_file_without_a_descriptor_needs_the_fallback(loop, run):
    """Point 38: a BytesIO is read and written; without fallback it is an error."""

    async def main():
        async with transport_and_socket() as (transport, _, peer):
            content = io.BytesIO(CONTENT)
            assert await loop.sendfile(transport, content, 10, 1000) == 1000
            assert await support.read_exactly(peer, 1000) == CONTENT[10:1010]
            assert content.tell() == 1010
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sendfile(transport, content, fallback=False)

    run(main())


def test_written_data_comes_before_and_after_the_file(loop, run, file):
    """Point 38: sendfile waits for the buffer, and what is written later follows."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            before = bytes(2 * MIB)
            transport.write(before)
            assert transport.get_write_buffer_size() > 0

            async def send():
                assert await loop.sendfile(transport, file) == len(CONTENT)
                transport.write(b"after")

            task = loop.create_task(send())
            total = len(before) + len(CONTENT) + 5
            assert await support.read_exactly(peer, total) == before + CONTENT + b"after"
            await task

    run(main())


def test_position_tells_what_was_sent_when_the_peer_goes(loop, run, tmp_path):
    """Point 38: file.tell() after a failure, and an OSError."""
    path = tmp_path / "large"
    path.write_bytes(bytes(32 * MIB))

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            with open(path, "rb") as large:
                task = loop.create_task(loop.sendfile(transport, large, 100))
                await loop.sock_recv(peer, 1)
                support.reset(peer)
                with pytest.raises((ConnectionError, asyncio.CancelledError)):
                    await task
                assert 100 < large.tell() < 32 * MIB
            transport.close()
            await protocol.lost

    run(main())


@differs(
    from_=UVLOOP,
    what="`sendfile` over TLS",
    they="raises NotImplementedError",
    evenloop="reads and writes the file",
)
def test_file_is_sent_over_tls_by_reading_and_writing(loop, run, file):
    """Point 38: native only for plain TCP; without fallback it is an error."""
    import test_tls

    class Collect(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            accepted.set_result(self)

    async def main():
        server = await loop.create_server(Collect, "127.0.0.1", 0, ssl=test_tls.server_context())
        transport, protocol = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=test_tls.client_context(),
            server_hostname="localhost",
        )
        assert await loop.sendfile(transport, file) == len(CONTENT)
        assert await (await accepted).received(len(CONTENT)) == CONTENT
        with pytest.raises(RuntimeError, match="fallback is disabled"):
            await loop.sendfile(transport, file, fallback=False)
        transport.close()
        await protocol.lost
        await test_tls.stop(server)

    accepted = loop.create_future()
    run(main())


def test_recorder_sees_no_data_while_a_file_is_sent(loop, run, tmp_path):
    """Point 38: reading is paused meanwhile, and goes on."""
    path = tmp_path / "large"
    path.write_bytes(bytes(8 * MIB))

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            with open(path, "rb") as large:
                task = loop.create_task(loop.sendfile(transport, large))
                await loop.sock_recv(peer, 1)
                peer.send(b"meanwhile")
                await support.drain_callbacks(5)
                assert not task.done()
                assert protocol.data == b""
                assert len(await support.read_exactly(peer, 8 * MIB - 1)) == 8 * MIB - 1
                await task
            assert await protocol.received(9) == b"meanwhile"

    run(main())
