# SPDX-License-Identifier: MIT
# mypy: disable-error-code="attr-defined,no-any-return"
"""What Windows adds to the loop: pipes, named ones too, child processes, Linux's words."""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import signal as signals
import socket
import weakref
from asyncio import base_events, base_subprocess, trsock, windows_events, windows_utils
from typing import Any

from . import _core
from ._named_pipes import PipeLoop
from ._sendfile import sock_sendfile
from ._support import start_subprocess
from ._words import LinuxWords, reword

_Base: Any = base_events.BaseEventLoop
_Proactor: Any = windows_events.ProactorEventLoop
_Selector: Any = windows_events.SelectorEventLoop
_CONSOLE_EVENTS = (signals.CTRL_C_EVENT, signals.CTRL_BREAK_EVENT)


class WindowsLoop:
    """The Windows part of evenloop.Loop."""

    def _init_platform(self) -> None:
        self._pipe_accepts: weakref.WeakSet[Any] = weakref.WeakSet()

    def _close_platform(self) -> None:
        # As the proactor does: a server that is collected later has nothing left to cancel.
        for accept in list(self._pipe_accepts):
            accept.cancel()

    def _process_self_data(self, data: bytes) -> None:
        """Signals arrived; the interpreter calls their Python handlers itself."""

    def _unix_path_to_remove(self, sock: Any) -> Any:
        return None

    def _remove_unix_path(self, sock: Any, path: Any) -> None:
        raise NotImplementedError

    # -- sockets that asyncio's own code binds and connects ----------------------------------------

    @functools.wraps(_Base.create_server)
    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("reuse_address"):
            # What a program wants of it, an address in TIME_WAIT, Windows gives unasked. There
            # SO_REUSEADDR would let one program take the address of another that serves.
            kwargs["reuse_address"] = False
        with LinuxWords():
            return await _Base.create_server(self, *args, **kwargs)

    @functools.wraps(_Base.create_datagram_endpoint)
    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        with LinuxWords():
            return await _Base.create_datagram_endpoint(self, *args, **kwargs)

    @functools.wraps(_Selector.sock_connect)
    async def sock_connect(self, *args: Any, **kwargs: Any) -> Any:
        with LinuxWords():
            return await _Selector.sock_connect(self, *args, **kwargs)

    async def _connect_sock(self, exceptions: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await _Base._connect_sock(self, exceptions, *args, **kwargs)
        except OSError:
            for error in (error for attempt in exceptions for error in attempt):
                if isinstance(error, OSError):
                    reword(error)
            raise

    # -- sendfile ----------------------------------------------------------------------------------

    async def _sock_sendfile_native(
        self, sock: Any, file: Any, offset: int, count: int | None
    ) -> int:
        return await sock_sendfile(self, sock, file, offset, count)

    # -- pipes and processes -----------------------------------------------------------------------

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return self._open_pipe(_core.PIPE_READABLE, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return self._open_pipe(_core.PIPE_WRITABLE, pipe, protocol, waiter, extra)

    def _make_duplex_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        both = _core.PIPE_READABLE | _core.PIPE_WRITABLE
        return self._open_pipe(both, pipe, protocol, waiter, extra)

    def _open_pipe(self: Any, flags: int, pipe: Any, protocol: Any, waiter: Any, extra: Any) -> Any:
        number, kind = _number_of(pipe)
        return self._make_pipe_transport(pipe, number, flags | kind, protocol, waiter, extra)

    async def create_pipe_connection(self, protocol_factory: Any, address: str) -> Any:
        """Connect to a named pipe: asyncio's ProactorEventLoop's, arguments and errors alike."""
        return await _Proactor.create_pipe_connection(PipeLoop(self), protocol_factory, address)

    async def start_serving_pipe(self, protocol_factory: Any, address: str) -> Any:
        """Serve a named pipe; returns a list of one server, which has close()."""
        return await _Proactor.start_serving_pipe(PipeLoop(self), protocol_factory, address)

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        return await start_subprocess(self, _SubprocessTransport, *args, **kwargs)


def _number_of(pipe: Any) -> tuple[int, int]:
    """Return what pipe.fileno() gives and what that is: descriptor, handle or socket.

    As on Unix a pipe is any object with fileno(): a file, whose descriptor is the C library's, or a
    socket, or an object over a handle of the system (asyncio's PipeHandle, multiprocessing's
    connections).
    """
    number = pipe.fileno()
    if isinstance(pipe, (socket.socket, trsock.TransportSocket)):
        return number, _core.PIPE_SOCKET
    if isinstance(pipe, windows_utils.PipeHandle):
        return number, _core.PIPE_HANDLE
    try:
        os.fstat(number)
    except OSError:
        return number, _core.PIPE_HANDLE
    return number, 0


class _SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """subprocess.Popen on overlapped pipes; the process handle tells when it has ended."""

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        try:
            self._proc: Any = windows_utils.Popen(
                args,
                shell=shell,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                bufsize=bufsize,
                **kwargs,
            )
        except FileNotFoundError as exc:
            if exc.filename is None:  # CreateProcess does not say it; exec does
                exc.filename = kwargs.get("executable") or _program_of(args)
            raise
        self._watch = self._loop._watch_child(int(self._proc._handle), self._exited)

    def send_signal(self, signal: int) -> None:
        """Popen's, with Linux's word on what is no number, and without os.kill()."""
        self._check_proc()
        if self._proc.returncode is None and operator.index(signal) in _CONSOLE_EVENTS:
            _send_console_event(signal, self._proc.pid)
        else:
            super().send_signal(signal)

    def _exited(self) -> None:
        self._watch.close()
        self._process_exited(self._proc.poll())


def _send_console_event(event: int, group: int) -> None:
    """Send CTRL_C_EVENT or CTRL_BREAK_EVENT to a process group of our console.

    When the system refuses that, os.kill() goes on to end the process, and returns with an
    exception set that comes up wherever Python next looks.
    """
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    if not kernel32.GenerateConsoleCtrlEvent(ctypes.c_uint32(event), ctypes.c_uint32(group)):
        error = ctypes.WinError(ctypes.get_last_error())
        reword(error)
        raise error


def _program_of(args: Any) -> Any:
    return args if isinstance(args, (str, bytes, os.PathLike)) else args[0]
