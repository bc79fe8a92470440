# SPDX-License-Identifier: MIT
"""asyncio's contract: FIFOs and terminals, which only Unix has.

Points 18 and 40 and the rows D11, D27 and D28 of the table of divergences. test_pipes.py has the
other facts about pipes, for every system.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from differences import UVLOOP, differs
from support import Recorder

pytestmark = pytest.mark.absent("terminals-and-fifos", "windows")


@pytest.fixture
def terminal():
    """A pseudo-terminal in raw mode: the master's and the slave's descriptors."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    for number in (master, slave):
        try:
            os.close(number)
        except OSError:
            pass  # a transport has closed it


def test_terminal_is_written_before_write_returns(loop, run, terminal):
    """Point 18: eager on terminals too; the loop does not run between write and read."""
    master, slave = terminal

    async def main():
        file = open(master, "wb", buffering=0)
        transport, protocol = await loop.connect_write_pipe(Recorder, file)
        transport.write(b"eager")
        assert transport.get_write_buffer_size() == 0
        assert os.read(slave, 100) == b"eager"
        transport.close()
        await protocol.lost

    run(main())


@differs(
    from_=UVLOOP,
    what="reading and writing one terminal through two transports",
    they="writes only when the loop turns",
    evenloop="writes at once",
)
def test_terminal_goes_both_ways_through_two_transports(loop, run, terminal):
    """Point 18 and D11: one transport reads the master, another writes it."""
    master, slave = terminal

    async def main():
        reading = open(os.dup(master), "rb", buffering=0)
        writing = open(os.dup(master), "wb", buffering=0)
        _, reader = await loop.connect_read_pipe(Recorder, reading)
        writer, written = await loop.connect_write_pipe(Recorder, writing)
        for word in (b"one", b"two", b"three"):
            writer.write(word)
            assert os.read(slave, 100) == word
            os.write(slave, word.upper())
            await reader.received(len(reader.data) + len(word))
        assert reader.data == b"ONETWOTHREE"
        writer.close()
        await written.lost
        reader.transport.close()
        await reader.lost

    run(main())


def test_terminal_whose_other_side_is_gone_ends_the_reader(loop, run, errors, terminal):
    """Point 40 and D28: EIO at the master is the end, and not reported as an error."""
    master, slave = terminal

    async def main():
        file = open(master, "rb", buffering=0)
        _, protocol = await loop.connect_read_pipe(Recorder, file)
        os.write(slave, b"last words")
        assert await protocol.received(10) == b"last words"
        os.close(slave)
        exc = await protocol.lost
        assert exc is None or isinstance(exc, OSError)
        assert protocol.calls[-1] == "connection_lost"
        assert errors == []

    run(main())


def test_fifo_carries_data_and_its_end(loop, run, tmp_path):
    """Point 40: a FIFO is a pipe with a name."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main():
        reading = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
        writing = open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        _, reader = await loop.connect_read_pipe(Recorder, reading)
        writer, written = await loop.connect_write_pipe(Recorder, writing)
        writer.write(bytes(300000))
        writer.close()
        assert len(await reader.received(300000)) == 300000
        assert await reader.lost is None
        assert await written.lost is None
        assert reader.calls == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]

    run(main())


def test_unread_data_in_a_fifo_is_no_disconnection(loop, run, tmp_path):
    """D27: nobody has read yet, and the writer is not told that the reader has gone."""
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main():
        reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writing = open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)
        writer, protocol = await loop.connect_write_pipe(Recorder, writing)
        writer.write(b"unread")
        await asyncio.sleep(0.01)
        assert not writer.is_closing()
        assert os.read(reading, 100) == b"unread"
        os.close(reading)
        assert await protocol.lost is None

    run(main())
