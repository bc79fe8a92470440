# SPDX-License-Identifier: MIT
"""The writing half of a TCP transport: eagerness, buffering, flow control, closing, aborting."""

from __future__ import annotations

import array
import asyncio
import contextlib
import itertools
import logging
import socket

import pytest
import support
from differences import UNIX, UVLOOP, differs
from support import Recorder, transport_and_socket

MIB = 1 << 20


async def fill(transport):
    """Writes until some stays in the transport's buffer; returns how much was written."""
    written = 0
    while not transport.get_write_buffer_size():
        transport.write(bytes(65536))
        written += 65536
    return written


def test_write_reaches_the_kernel_before_it_returns(loop, run):
    """C192: nothing waits for the end of the turn. Contract point 18."""

    async def main():
        async with transport_and_socket() as (transport, _, peer):
            transport.write(b"eager")
            assert transport.get_write_buffer_size() == 0
            peer.settimeout(support.LIMIT)  # the loop does not run while recv waits
            assert peer.recv(100) == b"eager"

    run(main())


def test_write_takes_every_bytes_like_object(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            numbers = array.array("I", [1, 2, 3])
            parts = [
                b"bytes",
                bytearray(b"bytearray"),
                memoryview(b"memoryview"),
                memoryview(numbers),
            ]
            for part in parts:
                transport.write(part)
            expected = b"bytesbytearraymemoryview" + numbers.tobytes()
            assert await support.read_exactly(peer, len(expected)) == expected

    run(main())


def test_empty_write_does_nothing(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            transport.write(b"")
            transport.write(bytearray())
            transport.write(memoryview(b""))
            transport.write(b"x")
            assert await support.read_exactly(peer, 1) == b"x"

    run(main())


@pytest.mark.parametrize("data", ["text", None, 5, object, [b"x"]], ids=repr)
def test_write_rejects_what_is_not_bytes(data):
    """Contract point 20, row D42."""

    async def write():
        async with transport_and_socket() as (transport, _, _):
            transport.write(data)

    kind, _ = support.raised_by(lambda loop: loop.run_until_complete(write()))
    assert kind == "TypeError"


def test_writes_arrive_in_order(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            expected = bytearray()
            for number in range(3000):
                part = number.to_bytes(2, "big") * (number % 50)
                expected += part
                transport.write(part)
                if number % 7 == 0:
                    await asyncio.sleep(0)
            assert await support.read_exactly(peer, len(expected)) == expected

    run(main())


def test_only_what_the_kernel_did_not_take_is_buffered(loop, run):
    """Contract point 18, row D41."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            transport.write(bytes(MIB))
            size = transport.get_write_buffer_size()
            assert 0 < size < MIB
            assert len(await support.read_exactly(peer, MIB)) == MIB
            assert transport.get_write_buffer_size() == 0

    run(main())


@differs(
    from_=UNIX,
    what="a `bytearray` changed after `write()`",
    they="from Python 3.12 on sends the changed bytes if they had to wait",
    evenloop="sends what was written",
)
@pytest.mark.evenloop_only  # the stock transport of Python 3.12 and newer sends what it holds later
def test_mutable_data_is_copied_if_it_has_to_wait(loop, run):
    """Contract row D40."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            data = bytearray(b"a" * (4 * MIB))
            transport.write(data)
            assert transport.get_write_buffer_size() > 0
            data[:] = b"b" * len(data)
            received = await support.read_exactly(peer, len(data))
            assert received == b"a" * (4 * MIB)

    run(main())


@differs(
    from_=UNIX,
    what="a `bytearray` resized after `write()`",
    they="from Python 3.12 on lets it raise BufferError while bytes wait",
    evenloop="keeps no export of it",
)
@pytest.mark.evenloop_only  # the stock transport of Python 3.12 and newer keeps an export of it
def test_bytearray_can_be_resized_after_write(loop, run):
    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            data = bytearray(2 * MIB)
            transport.write(data)
            data.clear()
            assert await support.read_exactly(peer, 2 * MIB) == bytes(2 * MIB)

    run(main())


def test_small_bytearray_writes_of_one_turn_keep_their_content(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            data = bytearray(1)
            for number in range(100):
                data[0] = number
                transport.write(data)
            assert await support.read_exactly(peer, 100) == bytes(range(100))

    run(main())


def test_writelines_takes_any_iterable_and_skips_empty_parts(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            transport.writelines([])
            transport.writelines([b""])
            transport.writelines(part for part in (b"a", b"", bytearray(b"b"), memoryview(b"c")))
            transport.writelines((b"d", b"e"))
            assert await support.read_exactly(peer, 5) == b"abcde"

    run(main())


def test_writelines_of_thousands_of_parts_is_sent_whole(loop, run):
    """More parts than one vectored system call takes."""

    async def main():
        async with transport_and_socket() as (transport, _, peer):
            parts = [str(number).encode() for number in range(20000)]
            transport.writelines(parts)
            expected = b"".join(parts)
            assert await support.read_exactly(peer, len(expected)) == expected

    run(main())


def test_writelines_mixes_with_write(loop, run):
    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            transport.write(b"1" * MIB)
            transport.writelines([b"2" * MIB, b"3"])
            transport.write(b"4")
            data = await support.read_exactly(peer, 2 * MIB + 2)
            assert data == b"1" * MIB + b"2" * MIB + b"34"

    run(main())


@differs(
    from_=UVLOOP,
    what="`get_write_buffer_limits()`",
    they="returns `(16, 65536)`",
    evenloop="returns `(16384, 65536)`",
)
def test_default_watermarks(loop, run):
    """C076: as in asyncio. Contract point 19."""

    async def main():
        async with transport_and_socket() as (transport, _, _):
            assert transport.get_write_buffer_limits() == (16384, 65536)

    run(main())


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [
        ({"high": 100}, (25, 100)),
        ({"low": 10}, (10, 40)),
        ({"high": 100, "low": 7}, (7, 100)),
        ({"high": 0}, (0, 0)),
        ({"high": 5, "low": 5}, (5, 5)),
        ({}, (16384, 65536)),
        ({"high": 1 << 40}, (1 << 38, 1 << 40)),
    ],
)
def test_watermarks_are_derived_as_asyncio_does(loop, run, arguments, limits):
    """Contract point 19."""

    async def main():
        async with transport_and_socket() as (transport, _, _):
            transport.set_write_buffer_limits(**arguments)
            assert transport.get_write_buffer_limits() == limits
            transport.set_write_buffer_limits()
            assert transport.get_write_buffer_limits() == (16384, 65536)

    run(main())


@pytest.mark.parametrize(
    "arguments",
    [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}, {"high": 10, "low": -5}, {"high": "x"}],
    ids=repr,
)
def test_wrong_watermarks_give_asyncios_error(arguments):
    """C086: high >= low >= 0. Contract point 19."""

    async def use():
        async with transport_and_socket() as (transport, _, _):
            transport.set_write_buffer_limits(**arguments)

    assert support.same_as_asyncio(lambda loop: loop.run_until_complete(use()))[0] == "raises"


def test_pause_writing_is_called_within_write(loop, run):
    """Contract point 19."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            transport.write(bytes(4 * MIB))
            assert protocol.calls == ["connection_made", "pause_writing"]
            assert transport.get_write_buffer_size() > 65536
            transport.write(b"more")  # allowed, and no second call
            assert protocol.calls == ["connection_made", "pause_writing"]
            await support.read_exactly(peer, 4 * MIB + 4)
            await protocol.resumed
            assert protocol.calls == ["connection_made", "pause_writing", "resume_writing"]

    run(main())


def test_no_pause_when_the_kernel_took_everything(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=0)
            for _ in range(10):
                transport.write(b"x" * 100)
            assert transport.get_write_buffer_size() == 0
            assert await support.read_exactly(peer, 1000) == b"x" * 1000
            assert "pause_writing" not in protocol.calls

    run(main())


def test_resume_comes_at_the_low_mark_and_not_before(loop, run):
    """Contract point 19."""

    async def main():
        sizes = []

        class Sizing(Recorder):
            def resume_writing(self):
                sizes.append(self.transport.get_write_buffer_size())
                super().resume_writing()

        async with transport_and_socket(Sizing, small_buffers=True) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=300000, low=100000)
            transport.write(bytes(2 * MIB))
            assert transport.get_write_buffer_size() > 300000
            await support.read_exactly(peer, 2 * MIB)
            await protocol.resumed
            assert len(sizes) == 1
            assert sizes[0] <= 100000

    run(main())


def test_write_from_resume_writing_keeps_order(loop, run):
    async def main():
        class Refill(Recorder):
            rounds = 0

            def resume_writing(self):
                super().resume_writing()
                self.rounds += 1
                if self.rounds < 4:
                    self.transport.write(bytes([self.rounds]) * MIB)

        async with transport_and_socket(Refill, small_buffers=True) as (transport, protocol, peer):
            transport.write(bytes(MIB))
            data = await support.read_exactly(peer, 4 * MIB)
            assert data == b"".join(bytes([n]) * MIB for n in range(4))
            assert protocol.calls.count("pause_writing") == 4

    run(main())


def test_lowering_the_limits_pauses_at_once(loop, run):
    """Contract point 19."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=1 << 30)
            written = await fill(transport)
            assert "pause_writing" not in protocol.calls
            transport.set_write_buffer_limits(high=1)
            assert protocol.calls.count("pause_writing") <= 1
            transport.write(b"x")
            assert protocol.calls.count("pause_writing") == 1
            await support.read_exactly(peer, written + 1)
            await protocol.resumed

    run(main())


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_flow_control_callbacks_that_raise_are_reported_and_survived(loop, run, errors, method):
    """Contract point 19."""

    class Broken(Recorder):
        def pause_writing(self):
            super().pause_writing()
            if method == "pause_writing":
                raise ZeroDivisionError

        def resume_writing(self):
            super().resume_writing()
            if method == "resume_writing":
                raise ZeroDivisionError

    async def main():
        async with transport_and_socket(Broken, small_buffers=True) as (transport, protocol, peer):
            transport.write(bytes(MIB))
            await support.read_exactly(peer, MIB)
            await protocol.resumed
            transport.write(b"still open")
            assert await support.read_exactly(peer, 10) == b"still open"
            (context,) = errors
            assert context["message"] == f"protocol.{method}() failed"
            assert type(context["exception"]) is ZeroDivisionError
            assert context["transport"] is transport
            assert context["protocol"] is protocol
            errors.clear()

    run(main())


def test_close_calls_nothing_back_at_once(loop, run):
    """Contract point 21."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            transport.close()
            assert transport.is_closing()
            assert protocol.calls == ["connection_made"]
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "connection_lost"]

    run(main())


def test_close_flushes_ten_mebibytes(loop, run):
    """Contract point 21."""

    async def main():
        data = bytes(range(256)) * (10 * MIB // 256)
        async with transport_and_socket() as (transport, protocol, peer):
            transport.write(data)
            transport.close()
            assert await support.read_until_eof(peer) == data
            assert await protocol.lost is None

    run(main())


def test_write_then_close_delivers_everything(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            for number in range(50):
                transport.write(b"%d," % number)
            transport.close()
            expected = b"".join(b"%d," % number for number in range(50))
            assert await support.read_until_eof(peer) == expected
            assert await protocol.lost is None

    run(main())


def test_writes_before_stop_are_sent(loop):
    """C082: no byte waits in the transport while the loop does not run."""
    ours, peer = support.tcp_pair()

    async def connect():
        return await loop.create_connection(Recorder, sock=ours)

    transport, _ = loop.run_until_complete(connect())

    def write_and_stop():
        transport.write(b"a")
        transport.write(b"b")
        transport.writelines([b"c", b"d"])
        loop.stop()

    loop.call_soon(write_and_stop)
    loop.run_forever()
    peer.settimeout(support.LIMIT)
    received = b""
    while len(received) < 4:
        received += peer.recv(100)
    assert received == b"abcd"
    transport.close()
    loop.run_until_complete(support.drain_callbacks())
    peer.close()


def test_write_from_outside_the_running_loop_is_sent_at_once(loop):
    ours, peer = support.tcp_pair()

    async def connect():
        return await loop.create_connection(Recorder, sock=ours)

    transport, _ = loop.run_until_complete(connect())
    transport.write(b"while ")
    transport.write(b"stopped")
    assert transport.get_write_buffer_size() == 0
    peer.settimeout(support.LIMIT)
    received = b""
    while len(received) < 13:
        received += peer.recv(100)
    assert received == b"while stopped"
    transport.close()
    loop.run_until_complete(support.drain_callbacks())
    peer.close()


@differs(
    from_=UVLOOP,
    what="`get_write_buffer_size()` after `abort()`",
    they="counts what will never be sent",
    evenloop="is 0",
)
def test_abort_drops_the_buffer(loop, run):
    """Contract point 21."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            transport.write(bytes(8 * MIB))
            assert transport.get_write_buffer_size() > 0
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            assert transport.is_closing()
            assert "connection_lost" not in protocol.calls
            assert await protocol.lost is None
            received = 0
            try:
                while chunk := await loop.sock_recv(peer, MIB):
                    received += len(chunk)
            except ConnectionResetError:
                pass
            assert received < 8 * MIB

    run(main())


def test_every_order_of_close_and_abort_loses_the_connection_once(loop, run):
    """Contract point 21."""

    async def main():
        for calls in itertools.product(("close", "abort"), repeat=3):
            for pending in (0, 4 * MIB):
                async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
                    if pending:
                        transport.write(bytes(pending))
                    for call in calls:
                        getattr(transport, call)()
                    if pending and "abort" not in calls:
                        await support.read_until_eof(peer)
                    assert await protocol.lost is None
                    await support.drain_callbacks()
                    assert protocol.calls.count("connection_lost") == 1

    run(main())


@pytest.mark.parametrize("first", ["close", "abort"])
@pytest.mark.parametrize(
    "where", ["connection_made", "data_received", "eof_received", "connection_lost"]
)
def test_closing_within_each_callback_loses_the_connection_once(loop, run, first, where):
    class Closing(Recorder):
        def __getattribute__(self, name):
            method = super().__getattribute__(name)
            if name != where:
                return method

            def call(*args):
                result = method(*args)
                getattr(self.transport, first)()
                self.transport.close()
                return result

            return call

    async def main():
        async with transport_and_socket(Closing) as (_, protocol, peer):
            try:
                peer.send(b"x")
                peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # connection_made has closed already
            await protocol.lost
            await support.drain_callbacks()
            assert protocol.calls.count("connection_lost") == 1
            assert protocol.calls[-1] == "connection_lost"

    run(main())


@differs(
    from_=UVLOOP,
    what="`write()` after the connection is lost",
    they="raises RuntimeError",
    evenloop="is dropped, with a warning from the fifth on",
)
def test_write_after_close_or_loss_is_dropped_silently(loop, run, caplog):
    """Contract point 20."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.close()
            transport.write(b"after close")
            await protocol.lost
            transport.write(b"after loss")
            assert transport.get_write_buffer_size() == 0
            transport.close()
            transport.abort()
            assert protocol.calls.count("connection_lost") == 1

    run(main())


@differs(
    from_=UNIX,
    what="`writelines()` after the connection is lost",
    they="raises TypeError (`'NoneType' object is not callable`)",
    evenloop="drops it silently, as `write()` does",
)
@pytest.mark.evenloop_only  # the stock transport fails with "'NoneType' object is not callable"
def test_writelines_after_close_or_loss_is_dropped_silently(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            transport.close()
            transport.writelines([b"after", b"close"])
            await protocol.lost
            transport.writelines([b"after loss"])
            assert transport.get_write_buffer_size() == 0
            assert await support.read_until_eof(peer) == b""

    run(main())


def test_repeated_writes_after_loss_are_logged_from_the_fifth(loop, run, caplog):
    """Contract point 20."""

    async def main():
        async with transport_and_socket() as (transport, protocol, peer):
            support.reset(peer)
            await protocol.lost
            logged = []
            for _ in range(8):
                caplog.clear()
                transport.write(b"x")
                logged.append([record.getMessage() for record in caplog.records])
            text = "socket.send() raised exception."
            assert logged == [[]] * 4 + [[text]] * 4 or logged == [[]] * 5 + [[text]] * 3

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main())


def test_write_after_write_eof_is_refused():
    """Contract point 20, row D42."""

    async def use():
        async with transport_and_socket() as (transport, _, _):
            transport.write_eof()
            transport.write(b"x")

    assert support.raised_by(lambda loop: loop.run_until_complete(use())) == (
        "RuntimeError",
        "Cannot call write() after write_eof()",
    )


def test_writelines_after_write_eof_is_refused():
    """Contract row D43."""

    async def use():
        async with transport_and_socket() as (transport, _, _):
            transport.write_eof()
            transport.writelines([b"x"])

    kind, text = support.raised_by(lambda loop: loop.run_until_complete(use()))
    assert kind == "RuntimeError"
    assert "after write_eof()" in text


def test_write_eof_is_seen_after_everything_that_was_written(loop, run):
    """Contract point 22, row D36."""

    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            assert transport.can_write_eof() is True
            transport.write(b"x" * (2 * MIB))
            transport.write_eof()
            transport.write_eof()
            assert await support.read_until_eof(peer) == b"x" * (2 * MIB)
            await loop.sock_sendall(peer, b"the other way is open")
            assert await protocol.received(21) == b"the other way is open"
            assert not transport.is_closing()

    run(main())


def test_write_eof_right_after_small_writes(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            transport.write(b"a")
            transport.write(b"b")
            transport.write_eof()
            assert await support.read_until_eof(peer) == b"ab"

    run(main())


@differs(
    from_=UVLOOP,
    what="`write_eof()` after the connection is lost",
    they="raises RuntimeError",
    evenloop="is harmless",
)
def test_write_eof_after_close_is_harmless(loop, run):
    async def main():
        async with transport_and_socket() as (transport, protocol, _):
            transport.close()
            transport.write_eof()
            await protocol.lost
            transport.write_eof()

    run(main())


def test_reset_by_the_peer_while_writing_loses_with_an_oserror(loop, run):
    async def main():
        async with transport_and_socket(small_buffers=True) as (transport, protocol, peer):
            transport.pause_reading()
            transport.write(bytes(4 * MIB))
            support.reset(peer)
            exc = await protocol.lost
            assert isinstance(exc, (ConnectionResetError, BrokenPipeError))
            assert protocol.calls.count("connection_lost") == 1
            assert transport.get_write_buffer_size() == 0

    run(main())


def test_wide_transport_of_both_ends(loop, run):
    """Ten mebibytes both ways at once, through one transport on each end."""
    size = 10 * MIB

    async def main():
        ours, theirs = support.tcp_pair()
        one, one_protocol = await loop.create_connection(Recorder, sock=ours)
        two, two_protocol = await loop.create_connection(Recorder, sock=theirs)
        one.write(b"1" * size)
        two.write(b"2" * size)
        received = await asyncio.gather(one_protocol.received(size), two_protocol.received(size))
        assert received == [b"2" * size, b"1" * size]
        one.close()
        two.close()
        await asyncio.gather(one_protocol.lost, two_protocol.lost)

    run(main())


def test_nodelay_is_set_on_both_ends(loop, run):
    """Contract point 27, row D44."""

    async def main():
        accepted = loop.create_future()

        class Accepted(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                accepted.set_result(transport)

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address)
        for end in (transport, await accepted):
            sock = end.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        transport.close()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


@differs(
    from_=UVLOOP,
    what="attributes of a transport",
    they="are read-only (`transport.write = ...`)",
    evenloop="can be set, and a patched `write` is what gets called",
)
def test_patched_write_is_what_gets_called(loop, run):
    async def main():
        async with transport_and_socket() as (transport, _, _):
            seen = []
            transport.write = seen.append
            transport.label = "mine"
            writer = asyncio.StreamWriter(transport, Recorder(), None, loop)
            writer.write(b"x")
            assert seen == [b"x"]
            assert transport.label == "mine"

    run(main())


@differs(
    from_=UVLOOP,
    what="`get_extra_info('socket').shutdown()`",
    they="raises TypeError",
    evenloop="comes after what was written",
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_shutdown_through_the_socket_comes_after_what_was_written(loop, run, when):
    async def main():
        async with transport_and_socket() as (transport, _, peer):
            sock = transport.get_extra_info("socket") if when == "before" else None
            for part in (b"a", b"b", b"c"):
                transport.write(part)
            sock = sock or transport.get_extra_info("socket")
            sock.shutdown(socket.SHUT_WR)
            assert await support.read_until_eof(peer) == b"abc"

    run(main())


@pytest.mark.parametrize("when", ["before", "after"])
def test_sending_past_the_transport_comes_after_what_was_written(loop, run, when):
    """Libraries dup the descriptor to hand a connection on; no byte may be overtaken."""

    async def main():
        async with transport_and_socket() as (transport, _, peer):
            sock = transport.get_extra_info("socket") if when == "before" else None
            transport.write(b"a")
            transport.write(b"b")
            sock = sock or transport.get_extra_info("socket")
            with sock.dup() as copy:
                copy.send(b"c")
            assert await support.read_exactly(peer, 3) == b"abc"

    run(main())


def test_an_exit_in_pause_writing_is_the_writers(loop, run):
    """Also when the protocol has written something itself before it exits."""

    async def main():
        async with transport_and_socket() as (transport, protocol, _):

            def pause_writing():
                transport.write(b"one more")
                raise SystemExit("out")

            protocol.pause_writing = pause_writing
            with pytest.raises(SystemExit, match="out"):
                transport.write(bytes(1 << 25))
            assert not transport.is_closing()
            transport.abort()

    run(main())


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, "stop", "exception"])
def test_writes_of_the_last_callback_are_sent(loop, errors, ending):
    ours, peer = support.tcp_pair()
    transport, _ = loop.run_until_complete(loop.create_connection(Recorder, sock=ours))

    def last():
        for part in (b"a", b"b", b"c"):
            transport.write(part)
        if ending == "stop":
            loop.stop()
        elif ending == "exception":
            loop.stop()
            raise ZeroDivisionError
        else:
            raise ending

    loop.call_soon(last)
    with pytest.raises(ending) if isinstance(ending, type) else contextlib.nullcontext():
        loop.run_forever()
    errors.clear()
    peer.settimeout(support.LIMIT)  # the loop does not run any more
    received = b""
    while len(received) < 3:
        received += peer.recv(10)
    assert received == b"abc"
    transport.abort()
    loop.run_until_complete(support.drain_callbacks())
    peer.close()


def test_writes_to_many_connections_in_one_callback_all_arrive(loop, run):
    async def main():
        pairs = [support.tcp_pair() for _ in range(50)]
        transports = [
            (await loop.create_connection(asyncio.Protocol, sock=ours))[0] for ours, _ in pairs
        ]
        for round_number in range(10):
            for number, transport in enumerate(transports):
                transport.write(b"%02d" % number)
                transport.write(b"%d" % round_number)
        for number, (_, peer) in enumerate(pairs):
            expected = b"".join(b"%02d%d" % (number, n) for n in range(10))
            assert await support.read_exactly(peer, 30) == expected
        for transport in transports:
            transport.close()
        await support.drain_callbacks()
        for _, peer in pairs:
            peer.close()

    run(main())
