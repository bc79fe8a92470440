# SPDX-License-Identifier: MIT
"""The reading half of a TCP transport: data, pausing, end of file, resets, BufferedProtocol."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket

import pytest
import support
from differences import UVLOOP, differs
from support import BufferedRecorder, Recorder, transport_and_socket

MIB = 1 << 20


def test_data_arrives_whole_and_in_order(loop, run):
    async def main():
        async with transport_and_socket() as (_, protocol, peer):
            data = bytes(range(256)) * (5 * MIB // 256)
            await loop.sock_sendall(peer, data)
            assert await protocol.received(len(data)) == data

    run(main())


def test_data_received_gets_bytes_that_stay_as_they_were(loop, run):
    """Contract row D38."""

    async def main():
        pieces = []

        class Keeping(Recorder):
            def data_received(self, data):
                assert type(data) is bytes
                pieces.append(data)
                super().data_received(data)

        async with transport_and_socket(Keeping) as (_, protocol, peer):
            for number in range(200):
                peer.send(bytes([number]) * 10)
                await protocol.received(10 * (number + 1))
            assert b"".join(pieces) == b"".join(bytes([n]) * 10 for n in range(200))

    run(main())


def test_end_of_file_closes_by_default(loop, run):
    """Contract point 22."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            peer.send(b"last words")
            peer.shutdown(socket.SHUT_WR)
            assert await protocol.lost is None
            assert protocol.calls == [
                "connection_made",
                "data_received",
                "eof_received",
                "connection_lost",
            ]
            assert protocol.data == b"last words"
            assert transport.is_closing()

    run(main())


def test_end_of_file_can_leave_the_writing_half_open(loop, run):
    """Contract point 22, row D36."""

    async def main():
        async with transport_and_socket(lambda: Recorder(keep_open=True)) as triple:
            transport, protocol, peer = triple
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            await support.drain_callbacks()
            assert not transport.is_closing()
            transport.write(b"still writing")
            transport.close()
            assert await support.read_until_eof(peer) == b"still writing"
            assert await protocol.lost is None
            assert protocol.calls.count("eof_received") == 1

    run(main())


def test_end_of_file_flushes_what_was_written(loop, run):
    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            transport.write(b"x" * (2 * MIB))
            peer.shutdown(socket.SHUT_WR)
            assert await support.read_until_eof(peer) == b"x" * (2 * MIB)
            assert await protocol.lost is None

    run(main())


@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
def test_reset_is_connection_reset_without_end_of_file(loop, run):
    """Contract point 25, row D29."""

    async def main():
        async with transport_and_socket() as (_, protocol, peer):
            support.reset(peer)
            exc = await protocol.lost
            assert type(exc) is ConnectionResetError
            assert exc.errno == errno.ECONNRESET
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


@pytest.mark.evenloop_only  # the stock transport of Python 3.11 reads on
def test_pausing_in_connection_made_holds_all_data_back(loop, run):
    """Contract point 17."""

    class Paused(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def main():
        ours, peer = support.tcp_pair()
        peer.send(b"early")
        transport, protocol = await loop.create_connection(Paused, sock=ours)
        await asyncio.sleep(0.02)  # time for data to be delivered wrongly
        assert protocol.data == b""
        assert not transport.is_reading()
        transport.resume_reading()
        assert await protocol.received(5) == b"early"
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


def test_nothing_arrives_after_pause_within_data_received(loop, run):
    """Contract point 26, row D37."""

    class OneByOne(Recorder):
        turns = 0

        def data_received(self, data):
            assert self.transport.is_reading()
            self.turns += 1
            self.transport.pause_reading()
            assert not self.transport.is_reading()
            super().data_received(data)
            self.loop.call_soon(self.transport.resume_reading)

    async def main():
        async with transport_and_socket(OneByOne) as (_, protocol, peer):
            await loop.sock_sendall(peer, bytes(3 * MIB))
            await protocol.received(3 * MIB)
            assert protocol.turns > 1

    run(main())


def test_paused_transport_holds_the_sender_back(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.pause_reading()
            sending = loop.create_task(loop.sock_sendall(peer, bytes(32 * MIB)))
            await asyncio.sleep(0.05)
            assert not sending.done()
            assert protocol.data == b""
            transport.resume_reading()
            await sending
            assert len(await protocol.received(32 * MIB)) == 32 * MIB

    run(main())


def test_pause_and_resume_are_idempotent_and_legal_when_closing(loop, run):
    """Contract point 26."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            assert transport.is_reading()
            transport.resume_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            peer.send(b"x")
            await protocol.received(1)
            transport.close()
            assert not transport.is_reading()
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()
            await protocol.lost
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()

    run(main())


def test_no_data_is_delivered_after_close(loop, run):
    """Contract point 21."""

    class Closing(Recorder):
        def data_received(self, data):
            assert not self.transport.is_closing()
            super().data_received(data)
            self.transport.close()

    async def main():
        async with transport_and_socket(Closing) as (_, protocol, peer):
            try:
                await loop.sock_sendall(peer, bytes(4 * MIB))
            except OSError:
                pass  # the other end closed with data unread
            await protocol.lost
            assert protocol.calls == ["connection_made", "data_received", "connection_lost"]

    run(main())


def test_other_connections_are_served_while_one_streams(loop, run):
    async def main():
        async with transport_and_socket() as (_, streaming, one), transport_and_socket() as triple:
            _, small, other = triple

            async def stream_on():
                while True:
                    await loop.sock_sendall(one, bytes(16 * MIB))

            sending = loop.create_task(stream_on())
            for number in range(50):
                other.send(b"x")
                await small.received(number + 1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending

    run(main())


@differs(
    from_=UVLOOP,
    what="`transport.get_extra_info('socket')`",
    they="is a class of its own (PseudoSocket)",
    evenloop="is an `asyncio.trsock.TransportSocket`",
)
def test_extra_info(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        names = ours.getpeername(), ours.getsockname()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        sock = transport.get_extra_info("socket")
        assert isinstance(sock, asyncio.trsock.TransportSocket)
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert sock.getpeername() == names[0]
        assert sock.getsockname() == names[1]
        assert sock.gettimeout() == 0
        assert transport.get_extra_info("peername") == names[0]
        assert transport.get_extra_info("sockname") == names[1]
        assert transport.get_extra_info("nothing") is None
        assert transport.get_extra_info("nothing", "default") == "default"
        sock.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(peer, 1) == b""
        transport.close()
        await protocol.lost
        assert transport.get_extra_info("peername") == names[0]
        assert transport.get_extra_info("sockname") == names[1]
        peer.close()

    run(main())


def test_extra_of_the_caller_is_kept(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        protocol = Recorder()
        waiter = loop.create_future()
        transport = loop._make_socket_transport(ours, protocol, waiter, extra={"mine": 5})
        await waiter
        assert transport.get_extra_info("mine") == 5
        assert transport.get_extra_info("peername") == peer.getsockname()
        transport.close()
        await protocol.lost
        peer.close()

    run(main())


@pytest.mark.absent("abandoned-transports-without-a-gil", "no-gil")
def test_unclosed_transport_warns_and_closes_when_collected(loop, run):
    """Contract point 29."""

    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(asyncio.Protocol, sock=ours)
        transport.pause_reading()  # the loop keeps a reading transport alive
        text = f"unclosed transport {transport!r}"
        with pytest.warns(ResourceWarning) as caught:
            del transport, protocol
            gc.collect()
        assert text in [str(entry.message) for entry in caught]
        assert await loop.sock_recv(peer, 1) == b""
        peer.close()

    run(main())


def test_repr_shows_the_state(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            number = transport.get_extra_info("socket").fileno()
            assert f"fd={number}" in repr(transport)
            assert "bufsize=0" in repr(transport)
            transport.close()
            assert "clos" in repr(transport)
            await protocol.lost
            assert "closed" in repr(transport)

    run(main())


def test_transport_type(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, _):
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport, asyncio.ReadTransport)
            assert isinstance(transport, asyncio.WriteTransport)
            assert transport._start_tls_compatible is True
            assert transport._sendfile_compatible is not None

    run(main())


# -- BufferedProtocol ----------------------------------------------------------------------------


def test_buffered_protocol_reads_into_its_own_buffer(loop, run):
    """Contract row D39."""

    async def main():
        async with transport_and_socket(lambda: BufferedRecorder(1000)) as (_, protocol, peer):
            data = bytes(range(250)) * 4000
            await loop.sock_sendall(peer, data)
            assert await protocol.received(len(data)) == data
            assert set(protocol.hints) == {-1}
            peer.close()
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main())


@pytest.mark.parametrize("wrap", [bytearray, lambda size: memoryview(bytearray(size))])
def test_buffered_protocol_may_give_any_writable_buffer(loop, run, wrap):
    class Other(BufferedRecorder):
        def get_buffer(self, sizehint):
            self.buffer = wrap(7)
            return self.buffer

    async def main():
        async with transport_and_socket(Other) as (_, protocol, peer):
            peer.send(b"0123456789" * 10)
            assert await protocol.received(100) == b"0123456789" * 10

    run(main())


def test_buffered_protocol_can_pause(loop, run):
    class Pausing(BufferedRecorder):
        def buffer_updated(self, nbytes):
            self.transport.pause_reading()
            super().buffer_updated(nbytes)
            self.loop.call_soon(self.transport.resume_reading)

    async def main():
        async with transport_and_socket(lambda: Pausing(100)) as (_, protocol, peer):
            peer.send(bytes(5000))
            await protocol.received(5000)

    run(main())


def test_set_protocol_switches_without_losing_data(loop, run):
    """Contract point 30."""

    async def main():
        async with transport_and_socket() as (transport, first, peer):
            peer.send(b"one")
            await first.received(3)
            second = BufferedRecorder()
            second.transport = transport
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            peer.send(b"two")
            assert await second.received(3) == b"two"
            third = Recorder()
            third.calls.append("set")
            third.transport = transport
            transport.set_protocol(third)
            peer.send(b"three")
            assert await third.received(5) == b"three"
            assert (first.data, second.data) == (b"one", b"two")
            peer.close()
            assert await third.lost is None
            assert not first.lost.done()
            assert not second.lost.done()

    run(main())


def test_set_protocol_within_data_received_sends_the_rest_to_the_new_one(loop, run):
    """Contract point 30."""

    async def main():
        second = Recorder()
        second.calls.append("set")

        class First(Recorder):
            def data_received(self, data):
                super().data_received(data)
                self.transport.set_protocol(second)

        async with transport_and_socket(First) as (transport, first, peer):
            second.transport = transport
            data = bytes(range(256)) * 8192
            await loop.sock_sendall(peer, data)
            while len(first.data) == 0:
                await asyncio.sleep(0)
            await second.received(len(data) - len(first.data))
            assert first.data + second.data == data

    run(main())


def test_set_protocol_while_paused(loop, run):
    async def main():
        async with transport_and_socket() as (transport, first, peer):
            transport.pause_reading()
            peer.send(b"for the second")
            second = BufferedRecorder(4)
            transport.set_protocol(second)
            transport.resume_reading()
            assert await second.received(14) == b"for the second"
            assert first.data == b""
            transport.set_protocol(first)

    run(main())


def test_method_replaced_on_the_protocol_is_used(loop, run):
    """Libraries patch data_received on the instance after the connection was made."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            peer.send(b"x")
            await protocol.received(1)
            got = loop.create_future()
            protocol.data_received = got.set_result
            transport.set_protocol(protocol)
            peer.send(b"patched")
            assert await got == b"patched"

    run(main())
