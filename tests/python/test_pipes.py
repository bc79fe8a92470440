# SPDX-License-Identifier: MIT
"""connect_read_pipe and connect_write_pipe: pipes, files, sockets and devices, on every system."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import subprocess
import sys
import textwrap

import pytest
import support
from differences import ASYNCIO, PROACTOR, UVLOOP, differs
from support import Recorder

READ_TEXT = "Pipe transport is for pipes/sockets only."
WRITE_TEXT = "Pipe transport is only for pipes, sockets and character devices"
MIB = 1 << 20


class Raw(io.FileIO):
    """A file object that counts how often it is closed while it is open."""

    closes = 0

    def close(self):
        if not self.closed:
            self.closes += 1
        super().close()


def files():
    """The two ends of an os.pipe() as file objects: reading, writing."""
    reading, writing = os.pipe()
    return Raw(reading, "r"), Raw(writing, "w")


async def reader_of(file, factory=Recorder):
    return await asyncio.get_running_loop().connect_read_pipe(factory, file)


async def writer_of(file, factory=Recorder):
    return await asyncio.get_running_loop().connect_write_pipe(factory, file)


async def two_writers():
    """The reading end of a pipe, and two transports, with their protocols, of its writing end."""
    reading, writing = files()
    same = Raw(writing.fileno(), "w", closefd=False)
    return reading, await writer_of(writing), await writer_of(same)


# -- reading -------------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="`connect_read_pipe`, `connect_write_pipe` with an end of `os.pipe()`",
    they="succeeds and fails afterwards, with WinError 6",
    evenloop="works",
)
def test_read_pipe_gives_data_then_end_then_loss(loop, run):
    """Contract point 40; C026, C138."""

    async def main():
        reading, writing = files()
        transport, protocol = await reader_of(reading)
        assert isinstance(transport, asyncio.ReadTransport)
        assert protocol.calls == ["connection_made"]
        writing.write(b"hello")
        await protocol.received(5)
        writing.write(b" pipe")
        await protocol.received(10)
        writing.close()
        assert await protocol.lost is None
        assert protocol.data == b"hello pipe"
        assert [call for call in protocol.calls if call != "data_received"] == [
            "connection_made",
            "eof_received",
            "connection_lost",
        ]
        assert transport.is_closing()

    run(main())


def test_pipe_is_the_very_object_and_is_closed_exactly_once(loop, run):
    """C138, C022."""

    async def main():
        reading, writing = files()
        read_transport, read_protocol = await reader_of(reading)
        write_transport, write_protocol = await writer_of(writing)
        assert read_transport.get_extra_info("pipe") is reading
        assert write_transport.get_extra_info("pipe") is writing
        assert read_transport._pipe is reading
        assert read_transport._fileno == reading.fileno()
        write_transport.close()
        write_transport.close()
        await write_protocol.lost
        await read_protocol.lost
        read_transport.close()
        await support.drain_callbacks()
        assert (reading.closes, writing.closes) == (1, 1)
        assert read_transport.get_extra_info("pipe") is reading
        assert read_transport._pipe is None

    run(main())


@differs(
    from_=PROACTOR,
    what="`eof_received()` of a read pipe's protocol returns true",
    they="keeps the transport open",
    evenloop="closes it, as the selector loop does",
)
def test_answer_of_eof_received_does_not_keep_a_pipe_open(loop, run):
    """D51: what eof_received returns is ignored. Contract point 40."""

    async def main():
        reading, writing = files()
        _, protocol = await reader_of(reading)
        protocol.keep_open = True
        writing.close()
        assert await protocol.lost is None

    run(main())


def test_transport_is_closing_in_eof_received_and_loss_follows_in_the_same_turn(loop, run):
    """Contract point 40: both are callbacks of their own, one right after the other."""

    async def main():
        reading, writing = files()
        seen = []

        class Protocol(Recorder):
            def eof_received(self):
                seen.append(self.transport.is_closing())
                self.loop.call_soon(seen.append, "later")

            def connection_lost(self, exc):
                seen.append("lost")
                super().connection_lost(exc)

        _, protocol = await reader_of(reading, Protocol)
        writing.close()
        await protocol.lost
        await support.drain_callbacks()
        assert seen == [True, "lost", "later"]

    run(main())


def test_eof_received_that_raises_is_reported_and_the_pipe_ends(loop, run, errors):
    class Protocol(Recorder):
        def eof_received(self):
            raise LookupError("eof")

    async def main():
        reading, writing = files()
        _, protocol = await reader_of(reading, Protocol)
        writing.close()
        assert await protocol.lost is None

    run(main())
    assert [type(context["exception"]) for context in errors] == [LookupError]
    errors.clear()


@pytest.mark.parametrize("end", ["Read", "Write"])
def test_connection_lost_that_raises_is_reported_and_the_pipe_closed(loop, run, errors, end):
    """Contract point 24, row C204."""

    class Protocol(Recorder):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise LookupError("lost")

    async def main():
        reading, writing = files()
        connect = reader_of(reading, Protocol) if end == "Read" else writer_of(writing, Protocol)
        transport, protocol = await connect
        transport.close()
        assert await protocol.lost is None
        await support.drain_callbacks()
        assert (reading if end == "Read" else writing).closed
        reading.close()
        writing.close()

    run(main())
    (context,) = errors
    assert support.names_callback(context, f"_Unix{end}PipeTransport._call_connection_lost")
    errors.clear()


def test_data_received_that_raises_is_reported_and_the_pipe_goes_on(loop, run, errors):
    class Protocol(Recorder):
        def data_received(self, data):
            super().data_received(data)
            if data == b"bad":
                raise LookupError("data")

    async def main():
        reading, writing = files()
        transport, protocol = await reader_of(reading, Protocol)
        writing.write(b"bad")
        await protocol.received(3)
        await support.drain_callbacks()
        assert not transport.is_closing()
        writing.write(b"good")
        await protocol.received(7)
        writing.close()
        assert await protocol.lost is None

    run(main())
    (context,) = errors
    assert type(context["exception"]) is LookupError
    assert support.names_callback(context, "_UnixReadPipeTransport._read_ready")
    errors.clear()


def test_closing_a_read_pipe_stops_reading_at_once(loop, run):
    async def main():
        reading, writing = files()
        transport, protocol = await reader_of(reading)
        writing.write(b"never read")
        transport.close()
        assert transport.is_closing()
        assert not transport.is_reading()
        assert await protocol.lost is None
        assert protocol.data == b""
        assert "eof_received" not in protocol.calls
        writing.close()

    run(main())


def test_paused_read_pipe_keeps_its_data_until_it_resumes(loop, run):
    async def main():
        reading, writing = files()
        transport, protocol = await reader_of(reading)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        writing.write(b"later")
        writing.close()
        await support.drain_callbacks(20)
        assert protocol.data == b""
        transport.resume_reading()
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.lost
        assert protocol.data == b"later"
        transport.pause_reading()  # nothing happens any more
        transport.resume_reading()

    run(main())


def test_pause_in_connection_made_is_honoured(loop, run):
    class Protocol(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def main():
        reading, writing = files()
        writing.write(b"x")
        transport, protocol = await reader_of(reading, Protocol)
        await support.drain_callbacks(20)
        assert protocol.data == b""
        transport.resume_reading()
        await protocol.received(1)
        writing.close()
        await protocol.lost

    run(main())


def test_megabytes_arrive_whole_and_in_order(loop, run):
    async def main():
        reading, writing = files()
        _, protocol = await reader_of(reading)
        transport, _ = await writer_of(writing)
        data = bytes(range(256)) * (4 * MIB // 256)
        transport.write(data)
        transport.close()
        await protocol.lost
        assert protocol.data == data

    run(main())


def test_stream_reader_and_writer_work_on_pipes(loop, run):
    async def main():
        reading, writing = files()
        reader = asyncio.StreamReader()
        transport, _ = await reader_of(reading, lambda: asyncio.StreamReaderProtocol(reader))
        out, protocol = await writer_of(writing, asyncio.streams.FlowControlMixin)
        writer = asyncio.StreamWriter(out, protocol, None, loop)
        for number in range(20):
            writer.write(b"%d\n" % number)
            await writer.drain()
            assert await reader.readline() == b"%d\n" % number
        writer.close()
        assert await reader.read() == b""
        transport.close()
        await support.drain_callbacks()

    run(main())


# -- writing -------------------------------------------------------------------------------------


@differs(
    from_=UVLOOP,
    what="`write()` on a pipe, up to uvloop 0.22",
    they="sends at the end of the turn",
    evenloop="sends before it returns",
)
def test_write_is_on_its_way_before_it_returns(loop, run):
    """Contract point 18."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        for number in range(3):
            transport.write(b"now %d" % number)
            assert os.read(reading.fileno(), 100) == b"now %d" % number
            while transport.get_write_buffer_size() > 0:  # Windows has yet to say that it is done
                await asyncio.sleep(0)
        transport.close()
        assert await protocol.lost is None
        reading.close()

    run(main())


@pytest.mark.absent("idle-anonymous-pipe-writers", "windows")
def test_idle_write_pipe_ends_without_a_reason_when_its_reader_goes(loop, run):
    """Contract point 40."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        transport.write(b"read")
        assert os.read(reading.fileno(), 100) == b"read"
        reading.close()
        assert await protocol.lost is None
        assert transport.is_closing()
        assert writing.closes == 1

    run(main())


def test_write_pipe_with_bytes_waiting_ends_broken_when_its_reader_goes(loop, run):
    """Contract point 40."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        transport.write(b"x" * MIB)
        assert transport.get_write_buffer_size() > 0
        reading.close()
        assert isinstance(await protocol.lost, BrokenPipeError)

    run(main())


def test_writes_after_the_reader_has_gone_are_dropped(loop, run, caplog):
    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        reading.close()
        while not protocol.lost.done():
            transport.write(b"x")
            await asyncio.sleep(0)
        exc = protocol.lost.result()
        assert exc is None or isinstance(exc, BrokenPipeError)
        for _ in range(10):
            transport.write(b"x")
        assert transport.get_write_buffer_size() == 0

    run(main())
    assert "pipe closed by peer or os.write(pipe, data) raised exception." in caplog.text


@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_closing_a_write_pipe_flushes_what_is_queued(loop, run, how):
    """C020: nothing queued is lost; contract point 40: write_eof closes."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        transport.write(b"x" * MIB)
        assert transport.can_write_eof() is True
        getattr(transport, how)()
        assert transport.is_closing()
        transport.write(b"dropped")
        transport.write_eof()
        transport.close()
        _, reader = await reader_of(reading)
        await reader.lost
        assert reader.data == b"x" * MIB
        assert await protocol.lost is None

    run(main())


def test_aborting_a_write_pipe_drops_what_is_queued(loop, run):
    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        transport.write(b"x" * MIB)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.lost is None
        _, reader = await reader_of(reading)
        await reader.lost
        assert len(reader.data) < MIB

    run(main())


def test_full_pipe_pauses_the_protocol_and_an_empty_one_resumes_it(loop, run):
    """C055; asyncio resumes a write pipe when its buffer is empty, whatever the low mark is."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.set_write_buffer_limits(high=1000, low=900)
        assert transport.get_write_buffer_limits() == (900, 1000)
        transport.write(b"x" * MIB)
        assert protocol.calls[-1] == "pause_writing"
        sizes = []
        resume = protocol.resume_writing

        def resume_writing():
            sizes.append(transport.get_write_buffer_size())
            resume()

        protocol.resume_writing = resume_writing
        _, reader = await reader_of(reading)
        await protocol.resumed
        assert sizes == [0]
        transport.close()
        await reader.lost
        assert len(reader.data) == MIB

    run(main())


@pytest.mark.parametrize("limits", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}])
def test_wrong_limits_are_refused(loop, run, limits):
    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(**limits)
        transport.close()
        await protocol.lost
        reading.close()

    run(main())


@pytest.mark.parametrize("data", [None, 0, "text", [b"x"]], ids=repr)
def test_only_bytes_can_be_written(loop, run, data):
    """As in asyncio's write pipe, which asserts it."""

    async def main():
        reading, writing = files()
        transport, protocol = await writer_of(writing)
        with pytest.raises(AssertionError) as caught:
            transport.write(data)
        assert str(caught.value) == repr(data)
        transport.close()
        await protocol.lost
        reading.close()

    run(main())


def test_every_kind_of_bytes_can_be_written_and_changed_afterwards(loop, run):
    """C081: what is queued is a copy."""

    async def main():
        reading, writing = files()
        transport, _ = await writer_of(writing)
        transport.write(b"fill" * (MIB // 4))
        for kind in (bytes, bytearray, lambda data: memoryview(bytearray(data))):
            data = kind(b"abc")
            transport.write(data)
            if not isinstance(data, bytes):
                data[0] = 0
        transport.write(b"")
        transport.writelines([b"d", bytearray(b"e"), memoryview(b"f")])
        transport.close()
        _, reader = await reader_of(reading)
        await reader.lost
        assert reader.data[MIB:] == b"abcabcabcdef"

    run(main())


def test_types_and_private_names_are_asyncios(loop, run):
    async def main():
        reading, writing = files()
        reader, read_protocol = await reader_of(reading)
        writer, write_protocol = await writer_of(writing)
        assert isinstance(reader, asyncio.ReadTransport)
        assert isinstance(writer, asyncio.WriteTransport)
        assert not isinstance(reader, asyncio.WriteTransport)
        assert reader.get_protocol() is reader._protocol is read_protocol
        assert (reader._closing, reader._paused, reader._loop) == (False, False, loop)
        assert (writer._closing, writer._conn_lost, writer._loop) == (False, 0, loop)
        assert writer._buffer == bytearray()
        assert isinstance(writer._buffer, bytearray)
        assert f"fd={reader._fileno} " in repr(reader)
        other = Recorder()
        other.calls.append("connection_made")
        reader.set_protocol(other)
        assert reader.get_protocol() is other
        writer.write(b"x")
        await other.received(1)
        writer.close()
        await write_protocol.lost
        await other.lost
        assert repr(reader).endswith(f" closed fd={reader._fileno} closed>")
        assert repr(writer).endswith(f" closed fd={writer._fileno} closed>")

    run(main())


@pytest.mark.parametrize(
    "connect",
    [
        reader_of,
        pytest.param(writer_of, marks=pytest.mark.absent("idle-anonymous-pipe-writers", "windows")),
    ],
)
def test_loop_keeps_the_transport_of_a_pipe_that_nobody_else_keeps(loop, run, connect):
    """As the selector loop does, whose reader's handle refers to it."""

    async def main():
        ends = files()
        ours, peer = ends if connect is reader_of else ends[::-1]
        lost = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_lost(self, exc):
                lost.set_result(exc)

        await connect(ours, Protocol)
        gc.collect()
        assert not ours.closed
        peer.close()
        assert await lost is None

    run(main())


def test_pipe_transport_left_open_by_its_loop_warns_and_closes_its_pipe():
    loop = support.new_loop()
    reading, writing = files()

    async def main():
        await reader_of(reading)
        await writer_of(writing)

    loop.run_until_complete(main())
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport .*PipeTransport .*fd="):
        del loop
        gc.collect()
    assert (reading.closes, writing.closes) == (1, 1)


# -- what can be a pipe --------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="`connect_read_pipe`, `connect_write_pipe` with a regular file",
    they="succeeds, and fails or hangs afterwards",
    evenloop="raises ValueError at once, as on Linux",
)
@differs(
    from_=UVLOOP,
    what="`connect_read_pipe`, `connect_write_pipe` with a regular file",
    they="aborts the process",
    evenloop="raises ValueError",
)
@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
def test_regular_file_is_refused_at_once_and_left_open(loop, run, tmp_path, connect):
    """Contract point 40, C138, D6: asyncio's text, and the protocol is never called."""

    async def main():
        with open(tmp_path / "file", "w+b") as file:
            protocol = Recorder()
            with pytest.raises(ValueError) as caught:
                await getattr(loop, connect)(lambda: protocol, file)
            assert str(caught.value) == (READ_TEXT if "read" in connect else WRITE_TEXT)
            await support.drain_callbacks()
            assert protocol.calls == []
            file.write(b"still open")

    run(main())


@pytest.mark.evenloop_only  # the stock transport, half made, fails once more in its finaliser
@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
def test_closed_and_fileless_objects_give_their_own_error(loop, run, connect):
    async def main():
        reading, writing = files()
        reading.close()
        writing.close()
        with pytest.raises(ValueError, match="closed file"):
            await getattr(loop, connect)(Recorder, reading)
        with pytest.raises(AttributeError, match="fileno"):
            await getattr(loop, connect)(Recorder, 5)

    run(main())


@differs(
    from_=PROACTOR,
    what="`connect_read_pipe`, `connect_write_pipe` with the file object of a descriptor",
    they="takes `fileno()` for a handle",
    evenloop="takes descriptors, handles and sockets alike",
)
@pytest.mark.evenloop_only  # the stock transport warns that it was not closed
@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
def test_bad_descriptor_is_a_bad_descriptor(loop, run, connect):
    class Bad:
        def fileno(self):
            return 987_654

    async def main():
        with pytest.raises(OSError) as caught:
            await getattr(loop, connect)(Recorder, Bad())
        assert caught.value.errno == 9

    run(main())


def test_sockets_can_stand_in_for_pipes(loop, run):
    """D6: on every system, by the pipe's rules."""

    async def main():
        ours, peer = support.tcp_pair()
        reader, read_protocol = await reader_of(ours)
        writer, write_protocol = await writer_of(peer)
        assert reader.get_extra_info("pipe") is ours
        writer.write(b"x" * MIB)
        writer.write_eof()
        assert await read_protocol.lost is None
        assert await write_protocol.lost is None
        assert read_protocol.data == b"x" * MIB
        assert read_protocol.calls[-2:] == ["eof_received", "connection_lost"]
        assert (ours.fileno(), peer.fileno()) == (-1, -1)
        assert isinstance(reader, asyncio.ReadTransport)
        assert isinstance(writer, asyncio.WriteTransport)

    run(main())


def test_socket_written_as_a_pipe_ends_when_its_peer_closes(loop, run):
    """Contract point 40, for sockets: CPython's test_write_pipe_disconnect_on_close."""

    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await writer_of(ours)
        transport.write(b"1")
        assert await loop.sock_recv(peer, 10) == b"1"
        peer.close()
        assert await protocol.lost is None
        assert transport.is_closing()

    run(main())


@differs(
    from_=ASYNCIO,
    what="`connect_read_pipe` with the null device, as standard input may be",
    they="reports PermissionError and never ends (Unix); fails later (Windows)",
    evenloop="is at its end at once",
)
@pytest.mark.evenloop_only  # the selector loop cannot watch it and waits for ever
def test_null_device_is_at_its_end(loop, run):
    """D6, D28: as a child's standard input that was given DEVNULL."""

    async def main():
        file = Raw(os.open(os.devnull, os.O_RDONLY), "r")
        _, protocol = await reader_of(file)
        assert await protocol.lost is None
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
        assert file.closes == 1

    run(main())


def test_null_device_takes_everything(loop, run):
    """D6."""

    async def main():
        file = Raw(os.open(os.devnull, os.O_WRONLY), "w")
        transport, protocol = await writer_of(file)
        transport.write(b"x" * MIB)
        assert transport.get_write_buffer_size() == 0
        await support.drain_callbacks()
        assert not transport.is_closing()
        transport.close()
        assert await protocol.lost is None
        assert file.closes == 1

    run(main())


@differs(
    from_=UVLOOP,
    what="`connect_write_pipe` twice with one descriptor, or beside `connect_read_pipe`",
    they="raises FileExistsError",
    evenloop="makes both transports, and both send all they have",
)
def test_one_descriptor_can_have_two_write_transports(loop, run):
    """C139: connect_write_pipe(sys.stdout) twice."""

    async def main():
        reading, (first, first_protocol), (second, second_protocol) = await two_writers()
        first.write(b"1")
        second.write(b"2")
        first.write(b"3")
        second.close()
        await second_protocol.lost
        first.close()
        await first_protocol.lost
        _, reader = await reader_of(reading)
        await reader.lost
        assert sorted(reader.data) == sorted(b"123")

    run(main())


@pytest.mark.evenloop_only  # the selector loop forgets the first of two that wait
def test_two_write_transports_of_one_descriptor_both_finish_what_is_queued(loop, run):
    """C139."""

    async def main():
        reading, (first, first_protocol), (second, second_protocol) = await two_writers()
        first.write(b"1" * MIB)
        second.write(b"2" * MIB)
        first.write(b"1" * MIB)
        reader, protocol = await reader_of(reading)
        await protocol.received(3 * MIB)
        second.close()
        await second_protocol.lost
        first.close()
        await first_protocol.lost
        await protocol.lost
        assert (protocol.data.count(b"1"), protocol.data.count(b"2")) == (2 * MIB, MIB)

    run(main())


@pytest.mark.evenloop_only  # the selector loop forgets the first of two that wait
@pytest.mark.parametrize("how", ["close", "abort"])
def test_an_idle_write_transport_that_ends_leaves_another_of_its_descriptor_at_work(loop, run, how):
    """C139: what waits on the same file is not its own to cancel."""

    async def main():
        reading, (first, first_protocol), (second, second_protocol) = await two_writers()
        first.write(b"1" * MIB)
        assert await loop.run_in_executor(None, reading.read, 1) == b"1"  # it has begun
        getattr(second, how)()
        assert await second_protocol.lost is None
        _, protocol = await reader_of(reading)
        await protocol.received(MIB - 1)
        first.close()
        assert await first_protocol.lost is None
        await protocol.lost

    run(main())


# -- the standard streams ------------------------------------------------------------------------

ECHO = """
    import asyncio, sys

    class Upper(asyncio.Protocol):
        def __init__(self, out, done):
            self.out, self.done = out, done

        def data_received(self, data):
            self.out.write(data.upper())

        def connection_lost(self, exc):
            self.out.close()
            self.done.set_result(exc)

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
        await loop.connect_read_pipe(lambda: Upper(out, done), sys.stdin)
        print("ended", await done, file=sys.stderr)

    loop = new_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
"""


@differs(
    from_=PROACTOR,
    what="`connect_read_pipe(sys.stdin)`, `connect_write_pipe(sys.stdout)`",
    they="fails afterwards, with WinError 6",
    evenloop="works with pipes, consoles and NUL",
)
def test_standard_streams_that_are_pipes_are_read_and_written(tmp_path):
    """C026."""
    script = tmp_path / "child.py"
    script.write_text(support.loop_prelude() + textwrap.dedent(ECHO), "utf-8")
    result = support.run_python(str(script), stdin="hello from a pipe\n")
    assert (result.stdout, result.returncode) == ("HELLO FROM A PIPE\n", 0), result.stderr
    assert "ended None" in result.stderr


def test_standard_input_that_is_a_file_is_refused(tmp_path):
    """C026: ValueError, as on Linux; a program then reads the file as a file."""
    source = """
        import asyncio, sys

        async def main():
            await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, sys.stdin)

        loop = new_loop()
        try:
            loop.run_until_complete(main())
        except ValueError as exc:
            print(exc)
        loop.close()
    """
    script = tmp_path / "child.py"
    script.write_text(support.loop_prelude() + textwrap.dedent(source), "utf-8")
    # Opened in the child: a standard stream that is a file is not what Python can start with
    # everywhere (tests/README.md).
    runner = (
        "import runpy, sys; sys.stdin = open(sys.argv[1]); "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    result = support.run_python("-c", runner, str(script))
    assert (result.stdout.strip(), result.returncode) == (READ_TEXT, 0), result.stderr


@pytest.mark.evenloop_only  # the selector loop reports PermissionError and waits for ever
def test_standard_input_that_is_the_null_device_is_at_its_end(tmp_path):
    """C026, D6: a child whose parent gave it DEVNULL."""
    script = tmp_path / "child.py"
    script.write_text(support.loop_prelude() + textwrap.dedent(ECHO), "utf-8")
    result = subprocess.run(
        [sys.executable, str(script)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=support.child_environment(),
        timeout=support.LIMIT,
    )
    assert result.stdout == b""
    assert b"ended None" in result.stderr


# -- what only Unix has --------------------------------------------------------------------------

unix_files = pytest.mark.absent("fifos-and-ptys", "windows")


@unix_files
def test_pty_is_read_and_written_and_its_end_is_quiet(loop, run):
    """D11, C139: one descriptor for both; the other side's end is EIO on Linux, and no report."""

    async def main():
        import tty

        master, terminal = os.openpty()
        tty.setraw(terminal)
        ours = Raw(master, "r+")
        reader, read_protocol = await reader_of(ours)
        writer, write_protocol = await writer_of(Raw(master, "w", closefd=False))
        os.write(terminal, b"to us")
        await read_protocol.received(5)
        writer.write(b"to them")
        assert os.read(terminal, 100) == b"to them"
        os.close(terminal)
        exc = await read_protocol.lost
        assert exc is None or exc.errno == errno.EIO
        writer.close()
        await write_protocol.lost
        assert ours.closes == 1

    run(main())


@unix_files
def test_named_fifo_works_both_ways(loop, run, tmp_path):
    """D6."""

    async def main():
        path = tmp_path / "fifo"
        os.mkfifo(path)
        reading = Raw(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "r")
        writing = Raw(os.open(path, os.O_WRONLY), "w")
        _, reader = await reader_of(reading)
        transport, writer = await writer_of(writing)
        transport.write(b"x" * MIB)
        transport.write_eof()
        await reader.lost
        assert await writer.lost is None
        assert len(reader.data) == MIB

    run(main())


@unix_files
@pytest.mark.evenloop_only  # the selector loop takes the unread bytes for the reader's end
def test_unread_data_in_a_fifo_is_no_disconnect(loop, run, tmp_path):
    """D27: a FIFO that is open for both ways holds our own bytes."""

    async def main():
        path = tmp_path / "fifo"
        os.mkfifo(path)
        both = Raw(os.open(path, os.O_RDWR), "r+")
        transport, protocol = await writer_of(both)
        transport.write(b"unread")
        await support.drain_callbacks(20)
        assert not transport.is_closing()
        transport.close()
        await protocol.lost

    run(main())


@unix_files
@pytest.mark.evenloop_only  # the selector loop cannot watch it
def test_device_that_is_always_ready_leaves_the_loop_responsive(loop, run):
    """D6, D28: /dev/zero never ends; others are served in between, and closing it works."""

    async def main():
        file = Raw(os.open("/dev/zero", os.O_RDONLY), "r")

        class Protocol(asyncio.Protocol):
            size = 0
            lost = loop.create_future()

            def data_received(self, data):
                self.size += len(data)

            def connection_lost(self, exc):
                self.lost.set_result(exc)

        transport, protocol = await reader_of(file, Protocol)
        while protocol.size < MIB:
            await asyncio.sleep(0)
        transport.pause_reading()
        size = protocol.size
        await support.drain_callbacks()
        assert protocol.size == size
        transport.resume_reading()
        while protocol.size == size:
            await asyncio.sleep(0)
        transport.close()
        assert await protocol.lost is None

    run(main())


@unix_files
def test_write_that_fails_ends_the_pipe_with_its_error(loop, run):
    """/dev/full: the first reason is what connection_lost gets."""

    async def main():
        file = Raw(os.open("/dev/full", os.O_WRONLY), "w")
        transport, protocol = await writer_of(file)
        transport.write(b"x")
        exc = await protocol.lost
        assert exc.errno == errno.ENOSPC
        assert transport._conn_lost == 1

    run(main())


@pytest.mark.absent("no-console-for-a-tests-child", "windows")
def test_standard_streams_that_are_a_terminal_are_read_by_lines(tmp_path):
    """C026, D11: one terminal for all three, as a shell gives it."""
    import pty

    script = tmp_path / "child.py"
    script.write_text(support.loop_prelude() + textwrap.dedent(ECHO), "utf-8")
    master, terminal = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        env=support.child_environment(),
    )
    os.close(terminal)
    with open(master, "r+b", buffering=0) as console:
        console.write(b"typed\n")
        seen = b""
        while b"TYPED" not in seen:
            seen += console.read(1000)
        console.write(b"\x04")  # end of file at the beginning of a line
        _, err = child.communicate(timeout=support.LIMIT)
    assert b"typed" in seen  # the terminal's own echo
    assert b"ended None" in err
