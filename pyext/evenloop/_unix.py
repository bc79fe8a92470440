# SPDX-License-Identifier: MIT
"""What Unix adds to the loop: signal handlers, unix sockets, pipes, child processes.

The functions are asyncio's own, taken from its Unix selector loop: they work through the private
methods that the C half has.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import sys
import threading
import warnings
import weakref
from asyncio import events, unix_events
from asyncio.log import logger
from typing import Any, cast

from . import _core
from ._support import start_subprocess

_Unix: Any = unix_events._UnixSelectorEventLoop
_UnixSubprocessTransport: Any = cast(Any, unix_events)._UnixSubprocessTransport


class _SignalPipe:
    """Stands where a selector loop keeps the write end of its self-pipe."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def fileno(self) -> int:
        return int(self._loop._signal_fd())


# The loops of the main thread that have signal handlers, the last to add one at the end. There is
# one wakeup descriptor for all, and asyncio takes it away when any loop removes its last handler.
_handling: list[weakref.ref[Any]] = []
os.register_at_fork(after_in_child=_handling.clear)


def _handling_loops() -> list[Any]:
    loops = [ref() for ref in reversed(_handling)]
    return [loop for loop in loops if loop is not None and loop._signal_handlers]


def _share_signals(loop: Any) -> None:
    """After a change of loop's handlers: the wakeup descriptor is that of a loop that has some."""
    others = [other for other in _handling_loops() if other is not loop]
    _handling[:] = [weakref.ref(other) for other in reversed(others)]
    if loop._signal_handlers:
        _handling.append(weakref.ref(loop))
    elif others and threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(others[0]._csock.fileno())


class UnixLoop:
    """The Unix part of evenloop.Loop."""

    _signal_handlers: dict[int, Any]

    def _init_platform(self) -> None:
        self._signal_handlers = {}
        self._unix_server_sockets: dict[Any, int] = {}

    def _close_platform(self) -> None:
        if not self._signal_handlers:
            return
        if sys.is_finalizing():
            warnings.warn(
                f"Closing the loop {self!r} on interpreter shutdown stage, "
                "skipping signal handlers removal",
                ResourceWarning,
                source=self,
                stacklevel=3,
            )
            self._signal_handlers.clear()
            return
        remove: Any = self.remove_signal_handler
        for sig in list(self._signal_handlers):
            remove(sig)

    # -- signals -----------------------------------------------------------------------------------

    @property
    def _csock(self) -> _SignalPipe:
        return _SignalPipe(self)

    @functools.wraps(_Unix.add_signal_handler)
    def add_signal_handler(self, *args: Any, **kwargs: Any) -> None:
        try:
            _Unix.add_signal_handler(self, *args, **kwargs)
        finally:
            _share_signals(self)

    @functools.wraps(_Unix.remove_signal_handler)
    def remove_signal_handler(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return _Unix.remove_signal_handler(self, *args, **kwargs)
        finally:
            _share_signals(self)

    def _handle_signal(self, sig: int) -> None:
        # Signals arrive at the loop that was last to add a handler, whoever's they are.
        for loop in [self, *_handling_loops()]:
            if sig in loop._signal_handlers:
                _Unix._handle_signal(loop, sig)
                break

    _process_self_data = _Unix._process_self_data
    _check_signal = _Unix._check_signal

    # -- sockets -----------------------------------------------------------------------------------

    sock_connect = _Unix.sock_connect

    # -- unix sockets ------------------------------------------------------------------------------

    create_unix_connection = _Unix.create_unix_connection
    create_unix_server = _Unix.create_unix_server

    def _unix_path_to_remove(self, sock: socket.socket) -> Any:
        return sock.getsockname() if sock in self._unix_server_sockets else None

    def _remove_unix_path(self, sock: socket.socket, path: Any) -> None:
        # As create_unix_server's cleanup_socket promises: only the file that we made (gh-111246).
        inode = self._unix_server_sockets.pop(sock)
        try:
            if os.stat(path).st_ino == inode:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            logger.error("Unable to clean up listening UNIX socket %r: %s", path, exc)

    # -- sendfile ----------------------------------------------------------------------------------

    _sock_sendfile_native = _Unix._sock_sendfile_native
    _sock_sendfile_native_impl = _Unix._sock_sendfile_native_impl
    _sock_sendfile_update_filepos = _Unix._sock_sendfile_update_filepos
    _sock_add_cancellation_callback = _Unix._sock_add_cancellation_callback

    # -- pipes and processes -----------------------------------------------------------------------

    def _make_read_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return self._make_pipe_transport(
            pipe, pipe.fileno(), _core.PIPE_READABLE, protocol, waiter, extra
        )

    def _make_write_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return self._make_pipe_transport(
            pipe, pipe.fileno(), _core.PIPE_WRITABLE, protocol, waiter, extra
        )

    # Child watchers, which 3.14 does away with, report through this.
    _child_watcher_callback = getattr(_Unix, "_child_watcher_callback", None)

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        if _program_chose_a_watcher():
            return await _Unix._make_subprocess_transport(self, *args, **kwargs)
        return await start_subprocess(self, _SubprocessTransport, *args, **kwargs)


class _SubprocessTransport(_UnixSubprocessTransport):  # type: ignore[misc]
    """asyncio's own transport; the loop tells when the process has ended."""

    def _start(self, *args: Any, **kwargs: Any) -> None:
        super()._start(*args, **kwargs)
        _watch_exit(self._loop, self, self._proc.pid)

    def send_signal(self, signal: int) -> None:
        # An ended child's number may be another process's by now: asyncio looks from 3.15 on
        # (gh-127049). The loop collects the child in this thread, so the answer holds.
        self._check_proc()
        if self._returncode is None:
            super().send_signal(signal)


def _program_chose_a_watcher() -> bool:
    """Whether a child watcher of the program's choice is to see every child (asyncio up to 3.13).

    asyncio's two defaults, which it makes itself when asked for one, do what the loop does without.
    """
    watcher = getattr(getattr(events, "_event_loop_policy", None), "_watcher", None)
    defaults = [
        getattr(unix_events, name)
        for name in ("ThreadedChildWatcher", "PidfdChildWatcher")
        if hasattr(unix_events, name)
    ]
    return watcher is not None and type(watcher) not in defaults


def _collect(pid: int, transport: Any) -> int:
    """Collect the exit status of a child that has ended: never that of a foreign one."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        process = transport.get_extra_info("subprocess")
        if process is not None and process.returncode is not None:
            return int(process.returncode)  # somebody polled the Popen object
        logger.warning(
            "child process pid %d exit status already read: will report returncode 255", pid
        )
        return 255
    return os.waitstatus_to_exitcode(status)


def _watch_exit(loop: Any, transport: Any, pid: int) -> None:
    def exited() -> None:
        transport._process_exited(_collect(pid, transport))

    try:
        loop._watch_child(pid, exited)
    except NotImplementedError:
        _watch_exit_in_thread(loop, transport, pid)
    except ProcessLookupError:
        loop.call_soon(exited)


def _watch_exit_in_thread(loop: Any, transport: Any, pid: int) -> None:
    """For systems without an event for the end of a process: a thread waits for it."""

    def wait() -> None:
        returncode = _collect(pid, transport)
        if loop.is_closed():
            logger.warning("Loop %r that handles pid %r is closed", loop, pid)
        else:
            loop.call_soon_threadsafe(transport._process_exited, returncode)

    threading.Thread(target=wait, name=f"evenloop-waitpid-{pid}", daemon=True).start()
