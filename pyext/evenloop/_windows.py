# SPDX-License-Identifier: MIT
# mypy: disable-error-code="attr-defined,no-any-return"
"""What Windows adds to the loop: pipes and child processes."""

from __future__ import annotations

import _winapi
import msvcrt
import os
import stat
from asyncio import base_subprocess, windows_utils
from typing import Any

from ._support import start_subprocess


class WindowsLoop:
    """The Windows part of evenloop.Loop."""

    def _init_platform(self) -> None:
        pass

    def _close_platform(self) -> None:
        pass

    def _process_self_data(self, data: bytes) -> None:
        """Signals arrived; the interpreter calls their Python handlers itself."""

    def _unix_path_to_remove(self, sock: Any) -> Any:
        return None

    def _remove_unix_path(self, sock: Any, path: Any) -> None:
        raise NotImplementedError

    # -- pipes and processes -----------------------------------------------------------------------

    def _make_read_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return _open_pipe(self, pipe, protocol, waiter, extra, writable=False)

    def _make_write_pipe_transport(
        self: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return _open_pipe(self, pipe, protocol, waiter, extra, writable=True)

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        return await start_subprocess(self, _SubprocessTransport, *args, **kwargs)


def _open_pipe(
    loop: Any, pipe: Any, protocol: Any, waiter: Any, extra: Any, *, writable: bool
) -> Any:
    """Make the transport of a pipe: of a file object, or of the PipeHandle of a subprocess."""
    if isinstance(pipe, windows_utils.PipeHandle):
        file = _descriptor_of_handle(pipe.fileno())
        try:
            return loop._make_pipe_transport(pipe, file, protocol, waiter, extra, writable)
        finally:
            os.close(file)
    file = pipe.fileno()
    mode = os.fstat(file).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        # The selector loop's words, and at the same moment.
        raise ValueError(
            "Pipe transport is only for pipes, sockets and character devices"
            if writable
            else "Pipe transport is for pipes/sockets only."
        )
    return loop._make_pipe_transport(pipe, file, protocol, waiter, extra, writable)


def _descriptor_of_handle(handle: int) -> int:
    """Return a C library descriptor for a copy of a handle: closing it leaves the handle alone."""
    process = _winapi.GetCurrentProcess()
    copy = _winapi.DuplicateHandle(
        process, handle, process, 0, False, _winapi.DUPLICATE_SAME_ACCESS
    )
    try:
        return msvcrt.open_osfhandle(copy, 0)
    except OSError:
        _winapi.CloseHandle(copy)
        raise


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
        self._proc: Any = windows_utils.Popen(
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
        )
        self._watch = self._loop._watch_child(int(self._proc._handle), self._exited)

    def _exited(self) -> None:
        self._watch.close()
        self._process_exited(self._proc.poll())
