# SPDX-License-Identifier: MIT
"""pipe: transports of pipes."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

from ..check import Area
from ..protocols import Recorder
from ..trial import Trial

area = Area("pipe", "Pipes")

BIG = 500_000


@area.check(expect=["connection_made", "data_received", "eof_received", "connection_lost(None)"])
async def read_eof_sequence(t: Trial) -> object:
    """A read pipe: made, data, end of file, lost.

    spec: docs, loop.connect_read_pipe; CPython's test_events, test_read_pipe
    """
    reading, writing = pipe(t)
    _, protocol = await t.loop.connect_read_pipe(Recorder, reading)
    writing.write(b"data")
    await t.within(protocol.received(4))
    writing.close()
    await t.within(protocol.lost)
    return protocol.calls


@area.check(expect={"read": [True, True], "write": [True, True]}, since=(3, 11, 4))
async def instances(t: Trial) -> object:
    """Pipe transports are an asyncio.ReadTransport and an asyncio.WriteTransport.

    A pipe's is_reading() came with 3.11.4 (gh-103607).

    spec: docs, loop.connect_read_pipe and connect_write_pipe
    """
    reading, writing = pipe(t)
    reader, _ = await t.loop.connect_read_pipe(Recorder, reading)
    writer, _ = await t.loop.connect_write_pipe(Recorder, writing)
    return {
        "read": [isinstance(reader, asyncio.ReadTransport), reader.is_reading()],
        "write": [isinstance(writer, asyncio.WriteTransport), not writer.is_closing()],
    }


@area.check(expect={"same object": True, "closed after": True})
async def extra_info_pipe(t: Trial) -> object:
    """get_extra_info('pipe') is the object that was given; it is closed with the transport.

    spec: docs, BaseTransport.get_extra_info
    """
    reading, _ = pipe(t)
    transport, protocol = await t.loop.connect_read_pipe(Recorder, reading)
    same = transport.get_extra_info("pipe") is reading
    transport.close()
    await t.within(protocol.lost)
    return {"same object": same, "closed after": reading.closed}


@area.check(expect={"read": b"now", "size": 0})
async def write_eager(t: Trial) -> object:
    """The bytes are in the pipe before write() returns.

    spec: CPython's test_events, test_write_pipe
    """
    reading, writing = pipe(t)
    transport, _ = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(b"now")
    size = transport.get_write_buffer_size()
    return {"read": await drain(t, reading, 3), "size": size}


@area.check(expect=["connection_made", "connection_lost(None)"])
async def write_peer_close_lost(t: Trial) -> object:
    """A reader that goes away ends an idle write pipe with connection_lost(None).

    spec: CPython's test_events, test_write_pipe_disconnect_on_close
    """
    reading, writing = pipe(t)
    _, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    reading.close()
    await t.within(protocol.lost)
    return protocol.calls


@area.check(expect="connection_lost(BrokenPipeError)")
async def write_peer_close_with_buffer_BrokenPipe(t: Trial) -> object:
    """A reader that goes away while there is something to write: BrokenPipeError.

    spec: _UnixWritePipeTransport._read_ready
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(bytes(BIG))
    await t.settle(0.01)
    reading.close()
    await t.within(protocol.lost)
    return protocol.calls[-1]


@area.check(
    expect={
        "read": {"type": "ValueError", "text": "Pipe transport is for pipes/sockets only."},
        "write": {
            "type": "ValueError",
            "text": "Pipe transport is only for pipes, sockets and character devices",
        },
    }
)
async def regular_file_ValueError(t: Trial) -> object:
    """Regular files are refused at once.

    uvloop aborts the process.

    text: _UnixReadPipeTransport and _UnixWritePipeTransport; C138
    """
    path = t.path / "file"
    path.write_bytes(b"data")
    with path.open("rb") as reading, path.open("ab") as writing:
        return {
            "read": await t.outcome_of(t.loop.connect_read_pipe(Recorder, reading)),
            "write": await t.outcome_of(t.loop.connect_write_pipe(Recorder, writing)),
        }


@area.check(expect={"arrived": BIG, "lost": "connection_lost(None)"})
async def write_close_flushes(t: Trial) -> object:
    """close() writes what is left first.

    spec: docs, BaseTransport.close
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(bytes(BIG))
    transport.close()
    arrived = await drain(t, reading, BIG)
    await t.within(protocol.lost)
    return {"arrived": len(arrived), "lost": protocol.calls[-1]}


@area.check(expect={"arrived": BIG, "then": b""})
async def write_eof_flushes_and_closes(t: Trial) -> object:
    """write_eof() writes what is left; the reader then sees the end of file.

    spec: docs, WriteTransport.write_eof
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(bytes(BIG))
    transport.write_eof()
    arrived = await drain(t, reading, BIG)
    await t.within(protocol.lost)
    return {"arrived": len(arrived), "then": await drain(t, reading, 1)}


@area.check(expect={"arrived": 1000, "lost": "connection_lost(None)", "size": 0})
async def abort_drops_the_rest(t: Trial) -> object:
    """abort() drops what is not in the pipe yet.

    spec: docs, WriteTransport.abort
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(bytes(1000))
    transport.write(bytes(1 << 22))
    transport.abort()
    size = transport.get_write_buffer_size()
    await t.within(protocol.lost)
    arrived = await drain(t, reading, 1 << 22)
    short = 1000 if 1000 <= len(arrived) < 1 << 22 else len(arrived)
    return {"arrived": short, "lost": protocol.calls[-1], "size": size}


@area.check(expect=["pause_writing", "resume_writing"])
async def flow_control_of_a_pipe(t: Trial) -> object:
    """A full pipe pauses the protocol, an empty one resumes it.

    spec: docs, flow control of protocols
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_write_pipe(Recorder, writing)
    transport.write(bytes(BIG))
    paused = list(protocol.calls)
    await drain(t, reading, BIG)
    await t.until(lambda: "resume_writing" in protocol.calls)
    return paused[1:] + protocol.calls[len(paused) :]


@area.check(expect={"while paused": b"", "afterwards": b"data"})
async def pause_reading_of_a_pipe(t: Trial) -> object:
    """A paused read pipe delivers nothing until it is resumed.

    spec: docs, ReadTransport.pause_reading
    """
    reading, writing = pipe(t)
    transport, protocol = await t.loop.connect_read_pipe(Recorder, reading)
    transport.pause_reading()
    writing.write(b"data")
    await t.settle()
    paused = bytes(protocol.data)
    transport.resume_reading()
    return {"while paused": paused, "afterwards": await t.within(protocol.received(4))}


@area.check(expect={"data": b"line\r\n", "end": "connection_lost"}, needs=("pty",))
async def pty(t: Trial) -> object:
    """The master of a pseudoterminal can be read; its end (EIO) ends the transport.

    spec: CPython's test_events, test_read_pty_output
    """
    master, slave = os.openpty()
    reading = t.closing(os.fdopen(master, "rb", 0))
    _, protocol = await t.loop.connect_read_pipe(Recorder, reading)
    os.write(slave, b"line\n")
    data = await t.within(protocol.received(6))
    os.close(slave)
    await t.within(protocol.lost)
    reason = protocol.lost_with
    if not isinstance(reason, OSError) or reason.errno != errno.EIO:
        return repr(reason)
    return {"data": data, "end": "connection_lost"}


@area.check(expect={"data": b"through", "calls": "connection_lost(None)"}, needs=("posix",))
async def fifo(t: Trial) -> object:
    """A named pipe of the file system can be read.

    spec: docs, loop.connect_read_pipe; D27
    """
    path = t.path / "fifo"
    os.mkfifo(path)
    reading = t.closing(os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0))
    with path.open("wb", 0) as writing:
        _, protocol = await t.loop.connect_read_pipe(Recorder, reading)
        writing.write(b"through")
        data = await t.within(protocol.received(7))
    await t.within(protocol.lost)
    return {"data": data, "calls": protocol.calls[-1]}


@area.check(expect={"stdin": "typed\n", "exit code": 0})
def stdin_of_a_program(t: Trial) -> object:
    """A program reads its standard input, a pipe that its parent made, through connect_read_pipe.

    The proactor loop fails later with WinError 6: the pipe is not made for overlapped reads.

    portable: D6, gh-71019, gh-87694; C026
    """
    t.new_loop().close()
    process = t.spawn_python(
        """
        import asyncio, sys
        async def main():
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            sys.stdout.write((await reader.readline()).decode().rstrip("\\r\\n"))
            sys.stdout.flush()
        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        """
    )
    out, _ = process.communicate(b"typed\n", timeout=8 * t.scale)
    return {"stdin": out.decode().strip() + "\n", "exit code": process.returncode}


@area.check(expect={"read": b"from os.pipe", "written": b"to os.pipe"})
async def os_pipe_transports(t: Trial) -> object:
    """Both ends of os.pipe() make transports.

    portable: D6; the proactor loop takes only pipes made for overlapped use
    """
    reading, writing = pipe(t)
    _, protocol = await t.loop.connect_read_pipe(Recorder, reading)
    writing.write(b"from os.pipe")
    read = await t.within(protocol.received(12))
    other_reading, other_writing = pipe(t)
    transport, _ = await t.loop.connect_write_pipe(Recorder, other_writing)
    transport.write(b"to os.pipe")
    return {"read": read, "written": await drain(t, other_reading, 10)}


# -- pieces ----------------------------------------------------------------------------------------


def pipe(t: Trial) -> tuple[Any, Any]:
    """The ends of an anonymous pipe as unbuffered files."""
    reading, writing = os.pipe()
    return t.closing(open(reading, "rb", 0)), t.closing(open(writing, "wb", 0))


async def drain(t: Trial, file: Any, size: int) -> bytes:
    """So many bytes of a pipe's plain end; a thread reads them, as every system can."""
    data = bytearray()

    def read() -> None:
        while len(data) < size:
            chunk = file.read(min(1 << 16, size - len(data)))
            if not chunk:
                break
            data.extend(chunk)

    thread = t.in_thread(read)
    await t.until(lambda: not thread.is_alive(), 3.0)
    return bytes(data)


@area.check(
    expect={"before": b"", "afterwards": b"unread", "end": "connection_lost(None)"},
    needs=("posix",),
)
async def named_fifo_unread_data(t: Trial) -> object:
    """What a writer has left in a named pipe is still there when the writer has gone.

    portable: docs, loop.connect_read_pipe; macOS may report the end of file too soon
    """
    path = t.path / "fifo"
    os.mkfifo(path)
    reading = t.closing(os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0))
    with path.open("wb", 0) as writing:
        transport, protocol = await t.loop.connect_read_pipe(Recorder, reading)
        transport.pause_reading()
        writing.write(b"unread")
    await t.settle()
    before = bytes(protocol.data)
    transport.resume_reading()
    data = await t.within(protocol.received(6))
    await t.within(protocol.lost)
    return {"before": before, "afterwards": data, "end": protocol.calls[-1]}


@area.check(expect={"read": "typed", "exit code": 0}, needs=("pty",))
def terminal_of_a_program(t: Trial) -> object:
    """A program whose standard input is a terminal reads a line of it through connect_read_pipe.

    portable: docs, loop.connect_read_pipe; C026
    """
    t.new_loop().close()  # a factory that raises says so here
    master, slave = os.openpty()
    t.at_end(os.close, master)
    process = t.spawn_python(
        """
        import asyncio, sys
        async def main():
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            print((await reader.readline()).decode().strip(), flush=True)
        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        """,
        stdin=slave,
    )
    os.close(slave)
    os.write(master, b"typed\n")
    out, _ = process.communicate(timeout=8 * t.scale)
    return {"read": out.decode().strip(), "exit code": process.returncode}
