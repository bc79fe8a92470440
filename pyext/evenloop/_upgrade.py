# SPDX-License-Identifier: MIT
"""start_tls(): asyncio's own, with what the plain connection was about handed on to TLS.

Two things get lost between the protocols otherwise. Bytes that a StreamReader has beyond the plain
text are the beginning of TLS (asyncio itself moves them since gh-142352), and a transport that has
paused its protocol will resume whichever it has then (gh-109051). Both are handed on in the step
that puts the TLS protocol in its place: no event of the loop comes between.
"""

from __future__ import annotations

import functools
from asyncio import base_events, sslproto
from collections.abc import Coroutine, Generator
from typing import Any


class _FirstStep:
    """Awaits a coroutine, and calls `then` when it has run up to its first wait."""

    def __init__(self, coro: Coroutine[Any, Any, Any], then: Any) -> None:
        self._coro = coro
        self._then = then

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            waiting = self._coro.send(None)
        except StopIteration as stop:
            return stop.value
        self._then()
        # An exception on its way out holds this frame: a name here for it, or for the future that
        # has it, would be a cycle, and keep the transport until the collector comes.
        while True:
            try:
                try:
                    sent = yield waiting
                except BaseException as exc:
                    waiting = None
                    waiting = self._coro.throw(exc)
                else:
                    waiting = None
                    waiting = self._coro.send(sent)
            except StopIteration as stop:
                return stop.value


def check_timeout(name: str, seconds: Any) -> None:
    """Refuses NaN as asyncio does what is not above zero: call_later() would refuse it in the midst
    of a handshake, which then never ends."""
    if seconds != seconds:
        raise ValueError(f"{name} should be a positive number, got {seconds}")


def _hand_over(transport: Any, protocol: Any) -> None:
    secure: Any = transport.get_protocol()
    is_tls = isinstance(secure, sslproto.SSLProtocol)
    if not is_tls:
        return  # a transport that keeps its protocol to itself
    if getattr(transport, "_protocol_paused", False):
        secure._ssl_writing_paused = secure._app_writing_paused = True
    read_ahead = getattr(getattr(protocol, "_stream_reader", None), "_buffer", None)
    if read_ahead and secure._server_side:
        secure._incoming.write(read_ahead)
        read_ahead.clear()


class UpgradingLoop:
    """start_tls() of evenloop.Loop."""

    @functools.wraps(base_events.BaseEventLoop.start_tls)
    async def start_tls(self, transport: Any, protocol: Any, *args: Any, **kwargs: Any) -> Any:
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            check_timeout(name, kwargs.get(name))
        start_tls: Any = base_events.BaseEventLoop.start_tls
        upgrade = start_tls(self, transport, protocol, *args, **kwargs)
        return await _FirstStep(upgrade, lambda: _hand_over(transport, protocol))
