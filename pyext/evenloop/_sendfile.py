# SPDX-License-Identifier: MIT
"""sock_sendfile where the system has no sendfile that goes together with readiness: Windows.

Reads a piece of the file where the last one ended and sends what the socket takes of it, whenever
it takes something. So it stops, counts and fails as sendfile(2) does; docs/adr/005-sendfile.md has
the reasons against TransmitFile.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
from asyncio.exceptions import SendfileNotAvailableError
from asyncio.trsock import TransportSocket
from typing import Any

PIECE_SIZE = 256 * 1024


def _file_and_status(file: Any) -> tuple[int, os.stat_result]:
    """Return a file's descriptor and what it is, or raise as the selector loop on Unix does."""
    try:
        fileno = file.fileno()
    except (AttributeError, io.UnsupportedOperation):
        raise SendfileNotAvailableError("not a regular file") from None
    try:
        status = os.fstat(fileno)
    except OSError:
        raise SendfileNotAvailableError("not a regular file") from None
    return fileno, status


async def _writable(loop: Any, sock: Any) -> None:
    future = loop.create_future()
    fd = sock.fileno()
    loop.add_writer(fd, _wake, future)
    try:
        await future
    finally:
        loop.remove_writer(fd)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _send_some(loop: Any, sock: Any, data: bytes) -> int:
    while True:
        try:
            return int(sock.send(data))
        except (BlockingIOError, InterruptedError):
            await _writable(loop, sock)
        except ConnectionAbortedError as exc:  # how Windows tells of a reset that it has seen
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer") from exc


def _read_at(fileno: int, offset: int, size: int) -> bytes:
    os.lseek(fileno, offset, os.SEEK_SET)
    return os.read(fileno, size)


async def sock_sendfile(loop: Any, sock: Any, file: Any, offset: int, count: int | None) -> int:
    """Send a file from `offset` on, `count` bytes or all; return how many bytes were sent.

    The file's position is then offset + sent, also after an error or a cancellation, and where it
    was if nothing was sent.
    """
    loop._check_closed()
    if isinstance(sock, TransportSocket):
        sock = sock._sock  # type: ignore[attr-defined]  # it has no send() of its own
    fileno, status = _file_and_status(file)
    if not (count or status.st_size):
        return 0
    if not stat.S_ISREG(status.st_mode):
        raise SendfileNotAvailableError("os.sendfile call failed")
    sent = 0
    position = os.lseek(fileno, 0, os.SEEK_CUR)
    try:
        while True:
            left = count - sent if count else PIECE_SIZE
            data = _read_at(fileno, offset + sent, min(left, PIECE_SIZE))
            if not data:
                return sent
            sent += await _send_some(loop, sock, data)
    except OSError as exc:
        if sent == 0:  # the caller falls back to plain sending, which tells of the real reason
            raise SendfileNotAvailableError("os.sendfile call failed") from exc
        if exc.errno == errno.ENOTCONN and type(exc) is not ConnectionError:
            raise ConnectionError("socket is not connected", errno.ENOTCONN) from exc
        raise
    finally:
        os.lseek(fileno, offset + sent if sent else position, os.SEEK_SET)
