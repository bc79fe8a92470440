# SPDX-License-Identifier: MIT
"""loop.sendfile and loop.sock_sendfile: offsets, counts, the file's position, errors, TLS.

Every test runs with the native way and, where that makes a difference, with the fallback: both give
the same bytes, the same number and the same position.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import os
import pathlib
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
import support
from differences import SELECTOR, UVLOOP, differs
from support import Recorder, drain_callbacks, transport_and_socket

Run = Callable[..., Any]
DATA = bytes(range(256)) * 1024  # 256 KiB
TOUR = pathlib.Path(__file__).resolve().parent.parent.parent / "examples"


@contextlib.contextmanager
def data_file(data: bytes = DATA) -> Iterator[Any]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


class NoDescriptor(io.BytesIO):
    """A file that is no file of the system's."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


class Way:
    """One of the ways in which a file can be sent."""

    def __init__(self, sock: bool, native: bool) -> None:
        self.sock = sock
        self.native = native

    def __repr__(self) -> str:
        return ("sock_sendfile" if self.sock else "sendfile") + (
            "-native" if self.native else "-fallback"
        )

    @contextlib.contextmanager
    def file(self, data: bytes = DATA) -> Iterator[Any]:
        if self.native:
            with data_file(data) as file:
                yield file
        else:
            yield NoDescriptor(data)


WAYS = [Way(sock=False, native=True), Way(sock=False, native=False)]
WAYS += [Way(sock=True, native=True), Way(sock=True, native=False)]
each_way = pytest.mark.parametrize("way", WAYS, ids=repr)


@contextlib.asynccontextmanager
async def sender(
    way: Way, *, small_buffers: bool = False
) -> AsyncIterator[tuple[Callable[..., Any], Any, socket.socket]]:
    """send(file, ...), what it sends through, and the other end."""
    loop = asyncio.get_running_loop()
    if not way.sock:
        async with transport_and_socket(small_buffers=small_buffers) as (transport, _, peer):

            async def send(file: Any, *args: Any) -> int:
                return await loop.sendfile(transport, file, *args, fallback=not way.native)

            yield send, transport, peer
        return
    ours, peer = support.tcp_pair()
    if small_buffers:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)

    async def send_by_socket(file: Any, *args: Any) -> int:
        return await loop.sock_sendfile(ours, file, *args, fallback=not way.native)

    with ours, peer:
        yield send_by_socket, ours, peer


# -- what arrives ----------------------------------------------------------------------------------


@differs(
    from_=UVLOOP,
    what="`loop.sendfile` and `loop.sock_sendfile`",
    they="raise NotImplementedError",
    evenloop="work, natively where the system can",
)
@differs(
    from_=SELECTOR,
    what="`loop.sendfile(..., fallback=False)` of a regular file",
    they="raises SendfileNotAvailableError",
    evenloop="sends it",
)
@each_way
def test_the_whole_file_arrives(run: Run, way: Way) -> None:
    """C126, contract point 38, D70."""

    async def main() -> None:
        async with sender(way) as (send, _, peer):
            with way.file() as file:
                sending = asyncio.ensure_future(send(file))
                assert await support.read_exactly(peer, len(DATA)) == DATA
                assert await sending == len(DATA)
                assert file.tell() == len(DATA)

    run(main())


@each_way
@pytest.mark.parametrize(
    ("offset", "count"),
    [(0, None), (0, 1), (1000, None), (1000, 1), (1000, 5000), (len(DATA) - 1, None), (5, 1 << 40)],
)
def test_offset_and_count(run: Run, way: Way, offset: int, count: int | None) -> None:
    """D70: the position afterwards is offset + sent."""
    expected = DATA[offset:] if count is None else DATA[offset : offset + count]

    async def main() -> None:
        async with sender(way) as (send, _, peer):
            with way.file() as file:
                sending = asyncio.ensure_future(send(file, offset, count))
                assert await support.read_exactly(peer, len(expected)) == expected
                assert await sending == len(expected)
                assert file.tell() == offset + len(expected)

    run(main())


@each_way
def test_nothing_to_send(run: Run, way: Way) -> None:
    async def main() -> None:
        async with sender(way) as (send, _, _peer):
            with way.file(b"") as file:
                assert await send(file) == 0
            with way.file() as file:
                assert await send(file, len(DATA)) == 0
                assert await send(file, len(DATA) + 100, 10) == 0

    run(main())


def test_position_stays_where_it_was_if_nothing_is_sent(run: Run) -> None:
    """D70, contract point 38: sendfile(2) does not move it, and neither does Windows' leaf."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = support.tcp_pair()
        with ours, peer, data_file() as file:
            file.seek(5)
            sent = await loop.sock_sendfile(ours, file, len(DATA) + 100, fallback=False)
            assert sent == 0
            assert file.tell() == 5

    run(main())


@each_way
def test_a_slow_receiver_gets_everything(run: Run, way: Way) -> None:
    data = DATA * 16

    async def main() -> None:
        async with sender(way, small_buffers=True) as (send, _, peer):
            with way.file(data) as file:
                sending = asyncio.ensure_future(send(file))
                received = bytearray()
                while len(received) < len(data):
                    received += await support.read_exactly(peer, min(65536, len(data)))
                assert await sending == len(data)
                assert received == data

    run(main())


def test_what_was_written_before_and_after_keeps_its_place(run: Run) -> None:
    """Contract point 38."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            with data_file() as file:
                before = bytes(1 << 20)
                transport.write(before)
                sending = asyncio.ensure_future(loop.sendfile(transport, file))
                expected = before + DATA
                assert await support.read_exactly(peer, len(expected)) == expected
                await sending
                transport.write(b"after")
                assert await support.read_exactly(peer, 5) == b"after"

    run(main())


def test_reading_goes_on_afterwards(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with transport_and_socket() as (transport, protocol, peer):
            with data_file() as file:
                peer.send(b"early")
                sending = asyncio.ensure_future(loop.sendfile(transport, file))
                await support.read_exactly(peer, len(DATA))
                await sending
                assert transport.is_reading()
                assert await protocol.received(5) == b"early"
            transport.pause_reading()
            with data_file() as file:
                sending = asyncio.ensure_future(loop.sendfile(transport, file))
                await support.read_exactly(peer, len(DATA))
                await sending
                assert not transport.is_reading()

    run(main())


def test_a_descriptor_that_is_no_regular_file(run: Run) -> None:
    """There is no native way, and nothing has happened to the transport."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        async with transport_and_socket() as (transport, _, peer):
            with os.fdopen(reading, "rb", buffering=0) as pipe:
                # Later asyncios seek in the file first, which the pipe refuses.
                with pytest.raises((asyncio.SendfileNotAvailableError, OSError)):
                    await loop.sendfile(transport, cast(Any, pipe), 0, 5, fallback=False)
            assert not transport.is_closing()
            transport.write(b"still open")
            assert await support.read_exactly(peer, 10) == b"still open"

    run(main())


# -- TLS -------------------------------------------------------------------------------------------


@differs(
    from_=UVLOOP,
    what="`loop.sendfile` over TLS",
    they="raises NotImplementedError",
    evenloop="sends by the fallback",
)
def test_over_tls_the_fallback_sends(run: Run) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(TOUR / "tour_only_cert.pem", TOUR / "tour_only_key.pem")
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE

    async def main() -> None:
        loop = asyncio.get_running_loop()
        protocols: asyncio.Queue[Recorder] = asyncio.Queue()

        def factory() -> Recorder:
            protocols.put_nowait(Recorder())
            return protocols._queue[-1]  # type: ignore[attr-defined,no-any-return]

        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            transport, protocol = await loop.create_connection(
                Recorder, "127.0.0.1", port, ssl=client_context
            )
            other = await protocols.get()
            with data_file() as file:
                assert await loop.sendfile(transport, file, 100, 50000) == 50000
                assert file.tell() == 50100
                assert await other.received(50000) == DATA[100:50100]
                with pytest.raises(RuntimeError, match="fallback is disabled"):
                    await loop.sendfile(transport, file, fallback=False)
            transport.close()
            await protocol.lost
            await other.lost

    run(main())


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "args"),
    [
        ("rb", (0, 0)),
        ("rb", (0, -1)),
        ("rb", (-1,)),
        ("rb", (0, 1.5)),
        ("rb", ("x",)),
        ("rb", (0, "x")),
        ("r", ()),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sock", [False, True], ids=["sendfile", "sock_sendfile"])
def test_wrong_arguments(mode: str, args: Any, sock: bool, tmp_path: pathlib.Path) -> None:
    """Contract point 38."""
    path = tmp_path / "f"
    path.write_bytes(DATA)

    async def send(loop: Any) -> None:
        with open(path, mode) as file:
            if sock:
                ours, peer = support.tcp_pair()
                with ours, peer:
                    await loop.sock_sendfile(ours, file, *args)
            else:
                async with transport_and_socket() as (transport, _, _peer):
                    await loop.sendfile(transport, file, *args)

    support.raised_by(lambda loop: loop.run_until_complete(send(loop)))


def test_a_closing_transport_is_refused() -> None:
    async def send(loop: Any) -> None:
        async with transport_and_socket() as (transport, _, _peer):
            transport.close()
            with data_file() as file:
                await loop.sendfile(transport, file)

    assert support.raised_by(lambda loop: loop.run_until_complete(send(loop))) == (
        "RuntimeError",
        "Transport is closing",
    )


def test_a_datagram_socket_is_refused() -> None:
    async def send(loop: Any) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, data_file() as file:
            sock.setblocking(False)
            await loop.sock_sendfile(sock, file)

    kind, _ = support.raised_by(lambda loop: loop.run_until_complete(send(loop)))
    assert kind == "ValueError"


def test_a_datagram_transport_is_refused(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with data_file() as file, pytest.raises(RuntimeError, match="sendfile is not supported"):
            await loop.sendfile(transport, file)  # type: ignore[arg-type]
        transport.close()
        await drain_callbacks()

    run(main())


def test_writing_meanwhile_is_refused(run: Run) -> None:
    """Contract point 38."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with transport_and_socket(small_buffers=True) as (transport, _, peer):
            with data_file(DATA * 64) as file:
                sending = asyncio.ensure_future(loop.sendfile(transport, file))
                await drain_callbacks()
                for write in (transport.write, lambda data: transport.writelines([data])):
                    with pytest.raises(RuntimeError, match="sendfile is in progress"):
                        write(b"x")
                assert await support.read_exactly(peer, len(DATA) * 64) == DATA * 64
                await sending

    run(main())


@each_way
def test_a_cancelled_one_stops_in_the_middle(run: Run, way: Way) -> None:
    """What arrives is the beginning, and nothing is sent later."""

    async def main() -> None:
        data = DATA * 128
        async with sender(way, small_buffers=True) as (send, through, peer):
            with way.file(data) as file:
                sending = asyncio.ensure_future(send(file, 1000))
                received = bytearray(await support.read_exactly(peer, 100_000))
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
                through.close()
                received += await support.read_until_eof(peer)
                assert len(received) < len(data) - 1000
                assert received == data[1000 : 1000 + len(received)]

    run(main())


@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
@each_way
def test_a_peer_that_goes_away_ends_it(run: Run, way: Way) -> None:
    """The position is set even then."""

    async def main() -> None:
        data = DATA * 128
        async with sender(way, small_buffers=True) as (send, _, peer):
            with way.file(data) as file:
                sending = asyncio.ensure_future(send(file))
                await support.read_exactly(peer, 100_000)
                support.reset(peer)
                with pytest.raises(ConnectionError):
                    await sending
                assert 100_000 <= file.tell() < len(data)

    run(main())


# -- by script: the pieces ------------------------------------------------------------------------


class Sink:
    """A socket that takes what it is told to."""

    def __init__(self, *answers: int | type[BaseException]) -> None:
        self.answers = list(answers)
        self.taken = bytearray()

    def send(self, data: bytes) -> int:
        answer = self.answers.pop(0) if self.answers else len(data)
        if not isinstance(answer, int):
            raise answer
        taken = data[:answer]
        self.taken += taken
        return len(taken)


def piecewise(**arguments: Any) -> Any:
    """The way that Windows goes, on any system."""
    return importlib.import_module("evenloop._sendfile").sock_sendfile(**arguments)


@pytest.mark.evenloop_only
def test_pieces_follow_one_another_without_gap_or_overlap(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sink = Sink(10, 1, 100_000, 5)
        with data_file() as file:
            sent = await piecewise(loop=loop, sock=sink, file=file, offset=3, count=200_000)
            assert sent == 200_000
            assert bytes(sink.taken) == DATA[3:200_003]
            assert file.tell() == 200_003

    run(main())


@pytest.mark.evenloop_only
def test_files_of_more_than_two_gibibytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No size is passed to the system that its types cannot hold; offsets have 64 bits."""
    module = importlib.import_module("evenloop._sendfile")
    start = (1 << 32) + 5
    left = 5 << 30
    reads: list[tuple[int, int]] = []

    def read_at(_: int, offset: int, size: int) -> bytes:
        reads.append((offset, size))
        return bytes(min(size, 1))

    monkeypatch.setattr(module, "_read_at", read_at)
    monkeypatch.setattr(module.os, "lseek", lambda *args: positions.append(args[1]))
    positions: list[int] = []

    class Swallows:
        def send(self, data: bytes) -> int:
            return 1 << 30  # as if a piece had been that long

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with data_file(b"some") as file:
            sent = await piecewise(loop=loop, sock=Swallows(), file=file, offset=start, count=left)
        assert sent == left
        assert [offset - start for offset, _ in reads[:-1]] == [i << 30 for i in range(5)]
        assert max(size for _, size in reads) == module.PIECE_SIZE
        assert positions == [0, start + left]  # asked for, and set

    run(main())


@pytest.mark.evenloop_only
@pytest.mark.parametrize(
    ("answers", "kind", "position"),
    [
        ((ConnectionResetError,), asyncio.SendfileNotAvailableError, 0),
        ((10, ConnectionResetError), ConnectionResetError, 13),
        ((10, ConnectionAbortedError), ConnectionResetError, 13),
        ((10, BrokenPipeError), BrokenPipeError, 13),
    ],
    ids=repr,
)
def test_errors_of_a_piece(run: Run, answers: Any, kind: Any, position: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with data_file() as file:
            with pytest.raises(kind):
                await piecewise(loop=loop, sock=Sink(*answers), file=file, offset=3, count=None)
            assert file.tell() == position

    run(main())
