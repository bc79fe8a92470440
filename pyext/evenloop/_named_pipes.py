# SPDX-License-Identifier: MIT
# mypy: disable-error-code="attr-defined,import-not-found,name-defined"
"""Named pipes by address, on Windows.

asyncio's create_pipe_connection and start_serving_pipe need little of a loop but a proactor that
waits for the other side. Here a wait is one overlapped request with an event of its own, and the
loop watches that as it watches the end of a process.
"""

from __future__ import annotations

import _overlapped
import asyncio
from asyncio import windows_events
from collections.abc import Coroutine
from typing import Any

_connect: Any = windows_events.IocpProactor.connect_pipe


class PipeLoop:
    """A loop as asyncio's functions for named pipes see it."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    @property
    def _proactor(self) -> PipeLoop:
        return self

    def connect_pipe(self, address: str) -> Coroutine[Any, Any, Any]:
        """Open the client's end of a pipe; waits while all instances are busy."""
        coroutine: Coroutine[Any, Any, Any] = _connect(self, address)
        return coroutine

    def accept_pipe(self, pipe: Any) -> asyncio.Future[Any]:
        """Return a future of `pipe`, done when a client has connected to it."""
        accept = _Accept(self._loop, pipe)
        self._loop._pipe_accepts.add(accept)
        return accept


class _Accept(asyncio.Future[Any]):
    """An instance of a pipe that waits for its client. To cancel it ends the request at once."""

    def __init__(self, loop: Any, pipe: Any) -> None:
        super().__init__(loop=loop)
        self._pipe = pipe
        self._request = _overlapped.Overlapped()  # with an event
        self._watch: Any = None
        if self._request.ConnectNamedPipe(pipe.fileno()):
            self.set_result(pipe)  # the client was faster
        else:
            self._watch = loop._watch_child(self._request.event, self._connected)

    def _connected(self) -> None:
        self._watch.close()
        if self.done():
            return
        try:
            self._request.getresult()
        except OSError as exc:
            self.set_exception(exc)
        else:
            self.set_result(self._pipe)

    def cancel(self, msg: Any = None) -> bool:
        if self._watch is not None and not self.done():
            self._watch.close()
            self._request.cancel()
        return super().cancel(msg)
