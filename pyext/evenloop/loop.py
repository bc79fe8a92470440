# SPDX-License-Identifier: MIT
"""The Loop class: the C half, what this system adds, and the running Python's BaseEventLoop.

What runs once a loop or once a connection is inherited from asyncio, so that each Python keeps its
own contract; what runs once a callback or a packet is in C and comes first in the look-up.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from asyncio import base_events, constants, selector_events, sslproto
from typing import Any

from . import _core
from ._support import RunForever, SelectorView
from ._upgrade import UpgradingLoop, check_timeout

if sys.platform == "win32":
    from ._windows import WindowsLoop as _PlatformLoop
else:
    from ._unix import UnixLoop as _PlatformLoop

# BaseEventLoop has the two halves of run_forever from 3.13 on.
_RunBase: Any = object if hasattr(base_events.BaseEventLoop, "_run_forever_setup") else RunForever
_bases: Any = (_core.Loop, _PlatformLoop, UpgradingLoop) + (
    () if _RunBase is object else (_RunBase,)
)

_Selector = selector_events.BaseSelectorEventLoop


class Loop(*_bases, base_events.BaseEventLoop):  # type: ignore[misc]
    """An asyncio event loop in C."""

    def __init__(self) -> None:
        base_events.BaseEventLoop.__init__(self)
        # Ours is the finest clock of the system, which up to 3.12 time.monotonic is not on Windows.
        self._clock_resolution = time.get_clock_info("perf_counter").resolution
        self._transports: Any = weakref.WeakValueDictionary()
        self._init_platform()

    @property
    def _selector(self) -> SelectorView | None:
        return None if self.is_closed() else SelectorView(self)

    # -- life ------------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until stop() is called."""
        self._run_forever_setup()
        try:
            if type(self)._run_once is _core.Loop._run_once and "_run_once" not in self.__dict__:
                self._run_turns()
            else:  # somebody wraps the turn
                while True:
                    self._run_once()
                    if self._stopping:
                        break
        finally:
            self._run_forever_cleanup()

    # An error about its arguments names the method as asyncio does.
    run_forever.__qualname__ = base_events.BaseEventLoop.run_forever.__qualname__

    def close(self) -> None:
        """Close the loop: drop all callbacks and give back what the system lent."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        self._close_platform()
        base_events.BaseEventLoop.close(self)
        self._close_engine()

    close.__qualname__ = asyncio.SelectorEventLoop.close.__qualname__

    # -- connections -----------------------------------------------------------------------------

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        self._ensure_fd_no_transport(rawsock)
        check_timeout("ssl_handshake_timeout", ssl_handshake_timeout)
        check_timeout("ssl_shutdown_timeout", ssl_shutdown_timeout)
        ssl_protocol = sslproto.SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._make_socket_transport(rawsock, ssl_protocol, extra=extra, server=server, **kwargs)
        return ssl_protocol._app_transport

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        self._check_closed()
        resume_reading = transp.is_reading()
        transp.pause_reading()
        await transp._make_empty_waiter()
        sock = transp._sock
        fd = sock.fileno()
        self._set_fd_owner(fd, None)  # sock_sendfile waits for the descriptor itself
        try:
            return await self.sock_sendfile(sock, file, offset, count, fallback=False)
        finally:
            if sock.fileno() == fd:
                self._set_fd_owner(fd, transp)
            transp._reset_empty_waiter()
            if resume_reading:
                transp.resume_reading()

    # -- sockets without a transport ---------------------------------------------------------------

    _sock_connect = _Selector._sock_connect
    _sock_connect_cb = _Selector._sock_connect_cb
    _sock_write_done = _Selector._sock_write_done
    _sock_read_done = _Selector._sock_read_done

    # -- servers -----------------------------------------------------------------------------------

    def _start_serving(
        self,
        protocol_factory: Any,
        sock: Any,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: Any = None,
    ) -> None:
        self._start_listener(
            protocol_factory,
            sock,
            sslcontext,
            server,
            backlog,
            ssl_handshake_timeout,
            ssl_shutdown_timeout,
            context,
        )

    def _stop_serving(self, sock: Any) -> None:
        path = self._unix_path_to_remove(sock)
        self._stop_listener(sock)
        sock.close()
        if path is not None:
            self._remove_unix_path(sock, path)
