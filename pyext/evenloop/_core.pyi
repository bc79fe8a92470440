# SPDX-License-Identifier: MIT
"""The extension module, as type checkers see it."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from socket import socket
from typing import Any, Protocol, TypeVarTuple, final

from typing_extensions import Buffer, disjoint_base

_Ts = TypeVarTuple("_Ts")

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_File = int | _HasFileno

__version__: str
libuv_version: str
PIPE_READABLE: int
PIPE_WRITABLE: int
PIPE_HANDLE: int
PIPE_SOCKET: int

def error_text(number: int, /) -> str | None: ...

LOCK_SHARED: int
LOCK_EXCLUSIVE: int
LOCK_CREATE: int
LOCK_READONLY: int
LOCK_NOFOLLOW: int
LOCK_FAIR: int
LOCK_COMPAT_FLOCK: int
LOCK_COMPAT_BYTE0: int
LOCK_NATIVE_RANGE: int
LOCK_UNLINK_ON_RELEASE: int
LOCK_CAN_LOCK: int
LOCK_CAN_FLOCK: int
LOCK_CAN_NOTIFY: int
LOCK_IS_NETWORK: int
LOCK_IS_MANDATORY: int

def open_lock(
    path: bytes, flags: int, mode: int, kind: int, offset: int, size: int, wait_in_line: bool, /
) -> HeldLock | LockFile: ...
def read_lock_owner(path: bytes, /) -> tuple[int, int, int, str, str, str] | None: ...
def is_lock_owner_alive(
    pid: int, birth: int, since: int, host: str, boot: str, command: str, /
) -> bool | None: ...
def lock_capabilities(path: bytes, /) -> int: ...

@final
class LockFile:
    """A file that is open for locking."""

    @property
    def capabilities(self) -> int: ...

@final
class HeldLock:
    """A file lock that is held."""

    @property
    def kind(self) -> int: ...
    def release(self) -> bool: ...
    def detach(self) -> int: ...
    def convert(self, kind: int, /) -> None: ...
    def verify(self) -> None: ...
    def write_owner(self) -> None: ...

@final
class LockRequest:
    """A file lock that is waited for."""

    def cancel(self) -> bool: ...

_LockOver = Callable[[OSError | None, HeldLock | None], object]

@final
class LockMonitor:
    """The waiting room for the file locks of one loop."""

    def fileno(self) -> int: ...
    def timeout(self) -> float | None: ...
    def start(
        self,
        file: LockFile,
        kind: int,
        offset: int,
        size: int,
        timeout_ns: int,
        callback: _LockOver,
        /,
    ) -> LockRequest: ...
    def start_upgrade(
        self, held: HeldLock, timeout_ns: int, callback: _LockOver, /
    ) -> LockRequest: ...
    def dispatch(self) -> int: ...
    def wait(self, seconds: float, /) -> bool | None: ...
    def stop_waiting(self) -> None: ...
    def close(self) -> None: ...

@final
class Handle(asyncio.Handle):
    """A callback that a loop will call: what call_soon() returns."""

@final
class TimerHandle(asyncio.TimerHandle):
    """A callback that a loop will call at a time: what call_later() returns."""

@final
class ChildWatch:
    """A watch for the end of a process."""

    def close(self) -> None: ...

@disjoint_base
class Loop:
    """The C half of evenloop.Loop: scheduling, running, watching, transports."""

    _debug: bool
    _closed: bool
    _stopping: bool
    _thread_id: int | None
    _ready: Sequence[asyncio.Handle]
    _scheduled: Sequence[asyncio.TimerHandle]
    _transports: Any

    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def get_debug(self) -> bool: ...
    def stop(self) -> None: ...
    def time(self) -> float: ...
    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> Handle: ...
    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def add_reader(self, fd: _File, callback: Callable[[*_Ts], Any], *args: *_Ts) -> None: ...
    def add_writer(self, fd: _File, callback: Callable[[*_Ts], Any], *args: *_Ts) -> None: ...
    def remove_reader(self, fd: _File) -> bool: ...
    def remove_writer(self, fd: _File) -> bool: ...
    async def sock_recv(self, sock: socket, n: int) -> bytes: ...
    async def sock_recv_into(self, sock: socket, buf: Buffer) -> int: ...
    async def sock_recvfrom(self, sock: socket, bufsize: int) -> tuple[bytes, Any]: ...
    async def sock_recvfrom_into(
        self, sock: socket, buf: Buffer, nbytes: int = 0
    ) -> tuple[int, Any]: ...
    async def sock_sendall(self, sock: socket, data: Buffer) -> None: ...
    async def sock_sendto(self, sock: socket, data: Buffer, address: Any) -> int: ...
    async def sock_accept(self, sock: socket) -> tuple[socket, Any]: ...
    def _add_reader(self, fd: _File, callback: Callable[[*_Ts], Any], *args: *_Ts) -> Handle: ...
    def _add_writer(self, fd: _File, callback: Callable[[*_Ts], Any], *args: *_Ts) -> Handle: ...
    def _remove_reader(self, fd: _File) -> bool: ...
    def _remove_writer(self, fd: _File) -> bool: ...
    def _ensure_fd_no_transport(self, fd: _File) -> None: ...
    def _watched(self, fd: _File) -> tuple[Handle | None, Handle | None]: ...
    def _watched_fds(self) -> list[int]: ...
    def _set_fd_owner(self, fd: int, owner: Any) -> None: ...
    def _watch_child(self, process: int, callback: Callable[[], object]) -> ChildWatch: ...
    def _check_closed(self) -> None: ...
    def _close_engine(self) -> None: ...
    def _run_turns(self) -> None: ...
    def _run_once(self) -> None: ...
    def _signal_fd(self) -> int: ...
    def _call_soon(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> Handle: ...
    def _add_callback(self, handle: asyncio.Handle) -> None: ...
    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None: ...
    def _write_to_self(self) -> None: ...
    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...
    def _start_listener(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: Any,
        sslcontext: Any,
        server: Any,
        backlog: int,
        ssl_handshake_timeout: float | None,
        ssl_shutdown_timeout: float | None,
        context: Context | None,
    ) -> None: ...
    def _stop_listener(self, sock: Any) -> bool: ...
    def _make_socket_transport(
        self,
        sock: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[Any] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        context: Context | None = None,
    ) -> asyncio.Transport: ...
    def _make_datagram_transport(
        self,
        sock: Any,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.DatagramTransport: ...
    def _make_pipe_transport(
        self,
        pipe: Any,
        file: int,
        flags: int,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[Any] | None,
        extra: dict[str, Any] | None,
    ) -> asyncio.BaseTransport: ...
