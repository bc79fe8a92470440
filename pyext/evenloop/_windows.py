# SPDX-License-Identifier: MIT
"""What Windows adds to the loop: pipes and child processes, and where it still has nothing to add."""

from __future__ import annotations

from asyncio import base_subprocess, windows_utils
from typing import Any


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

    async def _make_subprocess_transport(
        self: Any,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        waiter = self.create_future()
        transport = _SubprocessTransport(
            self,
            protocol,
            args,
            shell,
            stdin,
            stdout,
            stderr,
            bufsize,
            waiter=waiter,
            extra=extra,
            **kwargs,
        )
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport


class _SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """subprocess.Popen on overlapped pipes; the process handle tells when it has ended."""

    def _start(
        self, args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, bufsize: int, **kwargs: Any
    ) -> None:
        self._proc: Any = windows_utils.Popen(
            args, shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=bufsize, **kwargs
        )
        self._watch = self._loop._watch_child(int(self._proc._handle), self._exited)

    def _exited(self) -> None:
        self._watch.close()
        self._process_exited(self._proc.poll())
