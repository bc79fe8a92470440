# SPDX-License-Identifier: MIT
"""What the tests share: loops, recording protocols, pairs of connected ends, child processes.

Nothing here waits on the clock to make something happen; LIMIT and friends only end a hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

LOOP_NAME = "evenloop"  # conftest sets it from --loop
LIMIT = 30.0  # seconds after which a test has hung
WINDOWS = sys.platform == "win32"


def under_wine() -> bool:
    return WINDOWS and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")  # type: ignore[attr-defined]


def is_here(where: str) -> bool:
    """Whether `where` (windows, wine, posix, no-gil) names what runs this."""
    if where == "windows":
        return WINDOWS
    if where == "wine":
        return under_wine()
    if where == "posix":
        return not WINDOWS
    if where == "no-gil":
        return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    raise ValueError(where)


def reference_loop() -> asyncio.AbstractEventLoop:
    """A stock selector loop: the reference for errors and order on every system."""
    return asyncio.SelectorEventLoop()


def new_loop() -> asyncio.AbstractEventLoop:
    if LOOP_NAME == "evenloop":
        import evenloop

        return evenloop.new_event_loop()
    if LOOP_NAME == "uvloop":
        return importlib.import_module("uvloop").new_event_loop()
    if WINDOWS and LOOP_NAME == "asyncio":
        return asyncio.ProactorEventLoop()  # type: ignore[attr-defined]
    return asyncio.SelectorEventLoop()


def finish(loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio.run does before it closes the loop."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


# -- comparing with the stock loop ---------------------------------------------------------------


def outcome(make_loop: Callable[[], Any], fn: Callable[[Any], Any]) -> tuple[str, ...]:
    """What fn(loop) did, in a form that two loops can be compared by."""
    loop = make_loop()
    try:
        with warnings.catch_warnings():
            # A coroutine that a rejected call never started is the caller's litter, not the loop's.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            try:
                value = fn(loop)
            except Exception as exc:
                extra = getattr(exc, "errno", None)
                if WINDOWS and isinstance(exc, OSError):
                    linux_words(exc)
                result: tuple[str, ...] = ("raises", type(exc).__name__, str(exc), repr(extra))
            else:
                result = ("returns", repr(value))
    finally:
        if not loop.is_closed():
            if not loop.is_running():
                finish(loop)
            loop.close()
    return result


def linux_words(error: OSError) -> None:
    """Gives an error of the stock loop, which has Windows' words, those that ours always has."""
    from evenloop._words import reword

    reword(error)


def same_as_asyncio(fn: Callable[[Any], Any]) -> tuple[str, ...]:
    """Asserts that fn(loop) does the same on the loop under test and on the stock selector loop."""
    ours = outcome(new_loop, fn)
    reference = outcome(reference_loop, fn)
    assert ours == reference
    return ours


def raised_by(fn: Callable[[Any], Any]) -> tuple[str, str]:
    """Type name and text of what fn(loop) raises, the same on the stock loop."""
    result = same_as_asyncio(fn)
    assert result[0] == "raises", result
    return result[1], result[2]


# -- protocols -----------------------------------------------------------------------------------


class Recorder(asyncio.Protocol):
    """Writes down every call, and lets a test wait for the ones that matter."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.keep_open = keep_open
        self.made: asyncio.Future[None] = self.loop.create_future()
        self.eof: asyncio.Future[None] = self.loop.create_future()
        self.lost: asyncio.Future[BaseException | None] = self.loop.create_future()
        self.paused: asyncio.Future[None] = self.loop.create_future()
        self.resumed: asyncio.Future[None] = self.loop.create_future()
        self._wanted: list[tuple[int, asyncio.Future[None]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = transport
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        if self.calls[-1] != "data_received":
            self.calls.append("data_received")
        self.data += data
        for size, future in self._wanted:
            if len(self.data) >= size and not future.done():
                future.set_result(None)

    def eof_received(self) -> bool | None:
        self.calls.append("eof_received")
        self.eof.set_result(None)
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause_writing")
        if not self.paused.done():
            self.paused.set_result(None)

    def resume_writing(self) -> None:
        self.calls.append("resume_writing")
        if not self.resumed.done():
            self.resumed.set_result(None)

    async def received(self, size: int) -> bytes:
        """The data once there are at least `size` bytes of it."""
        if len(self.data) < size:
            future = self.loop.create_future()
            self._wanted.append((size, future))
            await future
        return bytes(self.data)


class BufferedRecorder(asyncio.BufferedProtocol):
    """The same for BufferedProtocol; `hints` are what get_buffer was asked for."""

    def __init__(self, size: int = 4096) -> None:
        self.loop = asyncio.get_running_loop()
        self.calls: list[str] = []
        self.data = bytearray()
        self.hints: list[int] = []
        self.buffer = bytearray(size)
        self.transport: Any = None
        self.eof: asyncio.Future[None] = self.loop.create_future()
        self.lost: asyncio.Future[BaseException | None] = self.loop.create_future()
        self._wanted: list[tuple[int, asyncio.Future[None]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("connection_made")
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        self.data += self.buffer[:nbytes]
        for size, future in self._wanted:
            if len(self.data) >= size and not future.done():
                future.set_result(None)

    def eof_received(self) -> None:
        self.calls.append("eof_received")
        self.eof.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("connection_lost")
        self.lost.set_result(exc)

    async def received(self, size: int) -> bytes:
        if len(self.data) < size:
            future = self.loop.create_future()
            self._wanted.append((size, future))
            await future
        return bytes(self.data)


# -- connections ---------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(backlog: int = 16) -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    """A blocking listener on loopback and its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener, listener.getsockname()[:2]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected non-blocking TCP sockets, on every system."""
    with listening() as (listener, address):
        client = socket.create_connection(address)
        server, _ = listener.accept()
    client.setblocking(False)
    server.setblocking(False)
    return client, server


@contextlib.asynccontextmanager
async def transport_and_socket(
    protocol_factory: Callable[[], Any] = Recorder, *, small_buffers: bool = False
) -> AsyncIterator[tuple[Any, Any, socket.socket]]:
    """A transport over TCP, its protocol, and the plain non-blocking socket at the other end."""
    loop = asyncio.get_running_loop()
    ours, peer = tcp_pair()
    if small_buffers:
        # Small enough for a mebibyte to leave a rest, large enough not to crawl.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    transport, protocol = await loop.create_connection(protocol_factory, sock=ours)
    try:
        yield transport, protocol, peer
    finally:
        if not protocol_lost(protocol):
            transport.abort()
        peer.close()
        await drain_callbacks()


def protocol_lost(protocol: Any) -> bool:
    lost = getattr(protocol, "lost", None)
    return lost is not None and lost.done()


def names_callback(context: dict[str, Any], name: str) -> bool:
    """Whether the exception handler was told of an exception in what asyncio runs under this name.

    With the callback's arguments or, from Python 3.13 on, without them.
    """
    return set(context) == {"message", "exception", "handle"} and bool(
        re.fullmatch(rf"Exception in callback {re.escape(name)}\(.*\)", context["message"])
    )


async def drain_callbacks(turns: int = 3) -> None:
    """Lets callbacks that are already queued run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def is_idle() -> bool:
    """Whether the loop sleeps when nobody asks anything of it: a spinning one burns what it gets.

    What it gets on a busy machine is less than all, so a tenth is told from next to nothing.
    """
    started = time.perf_counter(), time.process_time()
    await asyncio.sleep(0.5)
    elapsed, spent = time.perf_counter() - started[0], time.process_time() - started[1]
    return spent < elapsed / 10


async def read_until_eof(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    chunks = []
    while True:
        chunk = await loop.sock_recv(sock, 1 << 18)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


async def read_exactly(sock: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < size:
        chunk = await loop.sock_recv(sock, min(1 << 18, size - len(data)))
        assert chunk, f"end of file after {len(data)} of {size} bytes"
        data += chunk
    return bytes(data)


def reset(sock: socket.socket) -> None:
    """Closes `sock` so that its peer sees a reset."""
    linger = (
        (1).to_bytes(2, "little") + bytes(2) if WINDOWS else (1).to_bytes(4, "little") + bytes(4)
    )
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    sock.close()


# -- descriptors ---------------------------------------------------------------------------------


def descriptors() -> int:
    """Open descriptors or handles of this process."""
    if WINDOWS:
        from evenloop.conformance import handles

        return handles.open_descriptors()
    return len(os.listdir("/dev/fd"))


def inheritable_number(fd: int) -> int:
    """What a child knows the descriptor `fd` by: the handle, where there are handles."""
    if not WINDOWS:
        return fd
    import msvcrt

    handle = int(msvcrt.get_osfhandle(fd))  # type: ignore[attr-defined]
    os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
    return handle


# -- child processes -----------------------------------------------------------------------------


def loop_prelude() -> str:
    """Source text that gives a child process `new_loop`, the factory of the loop under test."""
    if LOOP_NAME == "evenloop":
        return "import evenloop\nnew_loop = evenloop.new_event_loop\n"
    if LOOP_NAME == "uvloop":
        return "import uvloop\nnew_loop = uvloop.new_event_loop\n"
    kind = "ProactorEventLoop" if WINDOWS and LOOP_NAME == "asyncio" else "SelectorEventLoop"
    return f"import asyncio\nnew_loop = asyncio.{kind}\n"


def child_environment(**extra: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env.pop("PYTHONASYNCIODEBUG", None)
    env["PYTHONIOENCODING"] = "utf-8"
    env.update(extra)
    return env


def run_python(
    *args: str,
    stdin: str = "",
    env: dict[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float = LIMIT,
) -> subprocess.CompletedProcess[str]:
    """Runs this Python with `args`, a pipe for each stream; newlines come back as \\n."""
    process = subprocess.run(
        [sys.executable, *args],
        input=stdin.encode(),
        capture_output=True,
        env=child_environment() if env is None else env,
        cwd=cwd,
        timeout=timeout,
    )
    return subprocess.CompletedProcess(
        process.args,
        process.returncode,
        process.stdout.decode().replace("\r\n", "\n"),
        process.stderr.decode().replace("\r\n", "\n"),
    )


def run_child(
    directory: pathlib.Path, source: str, *flags: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `source` as a script that finds `new_loop` defined."""
    script = directory / "child.py"
    script.write_text(loop_prelude() + textwrap.dedent(source), encoding="utf-8")
    return run_python(*flags, str(script), env=env)
