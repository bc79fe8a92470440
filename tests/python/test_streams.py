# SPDX-License-Identifier: MIT
"""asyncio streams over the loop: open_connection, start_server, reading, drain, closing."""

from __future__ import annotations

import asyncio
import socket

import pytest
import support

MIB = 1 << 20


async def serve(handler, **options):
    server = await asyncio.start_server(handler, "127.0.0.1", 0, **options)
    return server, server.sockets[0].getsockname()


async def stop(server):
    server.close()
    await asyncio.wait_for(server.wait_closed(), support.LIMIT)


def test_lines_go_both_ways(loop, run):
    async def shout(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        server, address = await serve(shout)
        reader, writer = await asyncio.open_connection(*address)
        for number in range(100):
            writer.write(b"line %d\n" % number)
            assert await reader.readline() == b"LINE %d\n" % number
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


@pytest.mark.parametrize("size", [0, 1, 1000, MIB, 8 * MIB])
def test_any_amount_comes_back_as_it_was_sent(loop, run, size):
    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main():
        server, address = await serve(echo)
        reader, writer = await asyncio.open_connection(*address)
        data = bytes(range(256)) * (size // 256 + 1)
        data = data[:size]

        async def send():
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        received, _ = await asyncio.gather(reader.read(), send())
        assert received == data
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_readexactly_readuntil_and_their_errors(loop, run):
    async def send(reader, writer):
        writer.write(b"0123456789|abc|incomplete")
        writer.close()

    async def main():
        server, address = await serve(send)
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.readexactly(4) == b"0123"
        assert await reader.readuntil(b"|") == b"456789|"
        assert await reader.readuntil(b"|") == b"abc|"
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readuntil(b"|")
        assert caught.value.partial == b"incomplete"
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_limit_overrun(loop, run):
    async def send(reader, writer):
        writer.write(b"x" * 5000 + b"\n")
        writer.close()

    async def main():
        server, address = await serve(send)
        reader, writer = await asyncio.open_connection(*address, limit=1000)
        with pytest.raises(ValueError, match=r"Separator is (not )?found"):
            await reader.readline()
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_reader_that_is_slow_pauses_the_transport(loop, run):
    async def flood(reader, writer):
        for number in range(64):
            writer.write(bytes([number]) * 65536)
            await writer.drain()
        writer.close()

    async def main():
        server, address = await serve(flood)
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        while writer.transport.is_reading():  # until the reader's buffer is over its limit
            await asyncio.sleep(0)
        received = bytearray()
        while data := await reader.read(10000):
            received += data
        assert received == b"".join(bytes([number]) * 65536 for number in range(64))
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_drain_waits_until_the_peer_reads(loop, run):
    async def main():
        waiting = asyncio.Event()
        release = asyncio.Event()

        async def slow(reader, writer):
            await release.wait()
            writer.write(b"%d" % len(await reader.read()))
            writer.close()

        server, address = await serve(slow)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(bytes(16 * MIB))
        draining = loop.create_task(writer.drain())
        waiting.set()
        await support.drain_callbacks()
        assert not draining.done()
        release.set()
        await draining
        writer.write_eof()
        assert await reader.read() == b"%d" % (16 * MIB)
        writer.close()
        await writer.wait_closed()
        await stop(server)

    run(main())


def test_drain_after_a_reset_raises(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=ours)
        support.reset(peer)
        with pytest.raises(ConnectionError):
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass

    run(main())


@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
def test_read_after_a_reset_raises(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=ours)
        support.reset(peer)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()

    run(main())


def test_writer_gives_the_transports_extra_info(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        _, writer = await asyncio.open_connection(sock=ours)
        assert writer.get_extra_info("peername") == peer.getsockname()
        assert isinstance(writer.get_extra_info("socket"), asyncio.trsock.TransportSocket)
        assert writer.get_extra_info("nothing", 7) == 7
        assert writer.can_write_eof()
        assert isinstance(writer.transport, asyncio.Transport)
        assert not writer.is_closing()
        writer.close()
        assert writer.is_closing()
        await writer.wait_closed()
        peer.close()

    run(main())


def test_writelines_joins(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        _, writer = await asyncio.open_connection(sock=ours)
        writer.writelines([b"a", b"b", b"c"])
        await writer.drain()
        assert await support.read_exactly(peer, 3) == b"abc"
        writer.close()
        await writer.wait_closed()
        peer.close()

    run(main())


# 3.11.2's streams leave the connection open and the error to the task's destructor, on every loop.
@pytest.mark.since(3, 11, 7)
def test_handler_that_raises_is_reported_and_the_server_goes_on(loop, run, errors):
    async def main():
        calls = []

        async def handler(reader, writer):
            calls.append(True)
            if len(calls) == 1:
                raise ZeroDivisionError
            writer.write(b"fine")
            writer.close()

        server, address = await serve(handler)
        for expected in (b"", b"fine"):
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() == expected
            writer.close()
            await writer.wait_closed()
        assert [type(context["exception"]) for context in errors] == [ZeroDivisionError]
        assert errors[0]["message"] == "Unhandled exception in client_connected_cb"
        errors.clear()
        await stop(server)

    run(main())


def test_cancelled_read_loses_no_data(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=ours)
        received = b""
        for number in range(50):
            task = loop.create_task(reader.read(100))
            await asyncio.sleep(0)
            peer.send(bytes([number]))
            if number % 2:
                await asyncio.sleep(0)
            if task.cancel():
                try:
                    received += await task
                except asyncio.CancelledError:
                    pass
            else:
                received += task.result()
        peer.shutdown(socket.SHUT_WR)
        received += await reader.read()
        assert received == bytes(range(50))
        writer.close()
        await writer.wait_closed()
        peer.close()

    run(main())


def test_subclass_of_the_stream_protocol_sees_its_calls(loop, run):
    """A fast path for streams must not skip what a subclass or an instance overrides."""

    async def main():
        seen = []

        class Seeing(asyncio.StreamReaderProtocol):
            def data_received(self, data):
                seen.append(("protocol", data))
                super().data_received(data)

        class SeeingReader(asyncio.StreamReader):
            def feed_data(self, data):
                seen.append(("reader", data))
                super().feed_data(data)

        for protocol_class, reader_class, expected in (
            (Seeing, asyncio.StreamReader, ["protocol"]),
            (asyncio.StreamReaderProtocol, SeeingReader, ["reader"]),
            (asyncio.StreamReaderProtocol, asyncio.StreamReader, []),
        ):
            seen.clear()
            ours, peer = support.tcp_pair()
            reader = reader_class(loop=loop)
            protocol = protocol_class(reader, loop=loop)
            transport, _ = await loop.create_connection(lambda p=protocol: p, sock=ours)
            peer.send(b"data")
            assert await reader.readexactly(4) == b"data"
            assert [who for who, _ in seen] == expected
            transport.close()
            peer.close()
            await support.drain_callbacks()

    run(main())


def test_feed_data_patched_on_the_reader_is_used(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=ours)
        got = loop.create_future()
        reader.feed_data = got.set_result
        peer.send(b"patched")
        assert await got == b"patched"
        writer.close()
        await writer.wait_closed()
        peer.close()

    run(main())


def test_reader_wakes_when_data_completes_what_it_waits_for(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        reader, writer = await asyncio.open_connection(sock=ours)
        task = loop.create_task(reader.readexactly(10))
        for number in range(10):
            assert not task.done()
            peer.send(bytes([number]))
            await support.drain_callbacks()
        assert await task == bytes(range(10))
        writer.close()
        await writer.wait_closed()
        peer.close()

    run(main())


def test_many_streams_at_once(loop, run):
    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main():
        server, address = await serve(echo, backlog=128)

        async def talk(number):
            reader, writer = await asyncio.open_connection(*address)
            data = number.to_bytes(4, "big") * 5000
            writer.write(data)
            writer.write_eof()
            assert await reader.read() == data
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(talk(number) for number in range(100)))
        await stop(server)

    run(main())
