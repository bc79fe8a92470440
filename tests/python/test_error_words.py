# SPDX-License-Identifier: MIT
"""Errors of bind and connect have the same words on every system: those of Linux.

asyncio's inherited code makes these calls through the socket object, which repeats what the system
says: on Windows in the language of its user.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any

import pytest
import support
from differences import WINDOWS, differs
from evenloop import _core
from support import Recorder

Run = Callable[..., Any]
NOBODYS = ("192.0.2.1", 0)  # of the block for documentation


def bind_failed(address: object, number: int, words: str) -> str:
    """What asyncio says when a bind fails; from 3.13 on with the number twice."""
    again = f"[errno {number}] " if sys.version_info >= (3, 13) else ""
    return f"[Errno {number}] error while attempting to bind on address {address!r}: {again}{words}"


@differs(
    from_=WINDOWS,
    what="the text of an error of bind or connect",
    they="has Windows' words, in the language of its user",
    evenloop="has Linux's words",
)
def test_server_on_a_used_address(loop: AbstractEventLoop, run: Run) -> None:
    async def main() -> None:
        with support.listening() as (_, address):
            with pytest.raises(OSError) as caught:
                await loop.create_server(Recorder, *address)
        expected = bind_failed(address, errno.EADDRINUSE, "address already in use")
        assert str(caught.value) == expected
        assert caught.value.args == (errno.EADDRINUSE, caught.value.strerror)

    run(main())


@pytest.mark.parametrize("all_errors", [False, True][: 1 + (sys.version_info >= (3, 12))])
def test_connection_from_a_used_or_foreign_address(
    loop: AbstractEventLoop, run: Run, all_errors: bool
) -> None:
    async def failure(address: tuple[str, int], local: tuple[str, int]) -> BaseException:
        options = {"all_errors": True} if all_errors else {}
        with pytest.raises((OSError, ExceptionGroup)) as caught:
            await loop.create_connection(Recorder, *address, local_addr=local, **options)  # type: ignore[call-overload]
        error = caught.value
        if all_errors:
            assert isinstance(error, ExceptionGroup)
            return error.exceptions[-1]
        return error

    async def main() -> None:
        with support.listening() as (_, address), support.listening() as (_, taken):
            assert str(await failure(address, taken)) == bind_failed(
                taken, errno.EADDRINUSE, "address already in use"
            )
            assert str(await failure(address, NOBODYS)) == bind_failed(
                NOBODYS, errno.EADDRNOTAVAIL, "cannot assign requested address"
            )

    run(main())


def test_datagram_endpoint_on_a_used_address(loop: AbstractEventLoop, run: Run) -> None:
    async def main() -> None:
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(OSError) as caught:
            await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=transport.get_extra_info("sockname")
            )
        transport.close()
        assert str(caught.value) == f"[Errno {errno.EADDRINUSE}] Address already in use"

    run(main())


def test_second_connect_of_a_socket(loop: AbstractEventLoop, run: Run) -> None:
    async def main() -> None:
        one, other = support.tcp_pair()
        with one, other, support.listening() as (_, address):
            with pytest.raises(OSError) as caught:
                await loop.sock_connect(one, address)
        expected = f"[Errno {errno.EISCONN}] Transport endpoint is already connected"
        assert str(caught.value) == expected

    run(main())


def test_words_are_linuxs() -> None:
    words = {
        errno.EADDRINUSE: "Address already in use",
        errno.ECONNREFUSED: "Connection refused",
        errno.EPIPE: "Broken pipe",
        errno.EACCES: "Permission denied",
    }
    assert {number: _core.error_text(number) for number in words} == words


def test_numbers_without_a_meaning_have_no_words() -> None:
    assert [_core.error_text(number) for number in (0, -1, 123456, 1 << 40)] == [None] * 4
    with pytest.raises(OverflowError):
        _core.error_text(1 << 70)
    with pytest.raises(TypeError):
        _core.error_text("98")  # type: ignore[arg-type]
