# SPDX-License-Identifier: MIT
"""What a check is given: loops of the kind under test, connected ends, and eyes.

A Trial lives in the process of one check. It makes loops, records what they report (exception
handler, log, warnings), gives out sockets and protocols that write down what happens to them, and
puts everything away at the end. A report that the check did not take away with take_errors() is
part of its observation, so a loop cannot complain unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from . import loops
from .observation import Canon, Json
from .protocols import Datagrams, Recorder

SMALL_BUFFER = 1 << 16  # so that a mebibyte fills what lies between two ends
PRELUDE = """\
import sys
sys.path[:] = {path!r}
from evenloop.conformance import loops
def new_loop():
    return loops.make({loop!r})
"""


class NotApplicable(Exception):
    """Raised by a check: this system has no such thing."""


class Unsupported(Exception):
    """Raised by a check: the loop says that it has no such thing."""


class _Journal(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Trial:
    """The surroundings of one run of one check."""

    def __init__(self, loop_name: str, path: pathlib.Path, scale: float = 1.0) -> None:
        self.loop_name = loop_name
        self.path = path  # a folder of the check's own, empty
        self.scale = scale  # how much longer than usual this machine may take
        self.canon = Canon()
        self.canon.replace(str(path), "TMP")
        self.canon.replace(str(pathlib.Path(__file__).resolve().parent), "KIT")
        self.canon.replace(str(pathlib.Path(os.__file__).resolve().parent), "LIB")
        self.notes: dict[str, Json] = {}
        self.errors: list[dict[str, Any]] = []  # what the exception handlers were given
        self.warned: list[warnings.WarningMessage] = []
        self._journal = _Journal()
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._making = threading.Lock()
        self._open = contextlib.ExitStack()

    # -- loops -------------------------------------------------------------------------------------

    @property
    def loop(self) -> Any:
        """The loop under test, made when first asked for. Any: foreign loops have other methods."""
        with self._making:
            if self._loop is None:
                self._loop = self.new_loop()
                asyncio.set_event_loop(self._loop)
            return self._loop

    def new_loop(self) -> Any:
        """One more loop; closed at the end. Its exception handler adds to `errors`."""
        loop = loops.make(self.loop_name)
        self._loops.append(loop)
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        return loop

    def forget_loops(self) -> None:
        """Drop all loops, so that what is left of them can be collected."""
        self._loops.clear()
        self._loop = None

    def run(self, main: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
        """Run a coroutine on the loop."""
        return self.loop.run_until_complete(main)

    async def turns(self, count: int = 5) -> None:
        """Let the loop turn a few times."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def settle(self, seconds: float = 0.05) -> None:
        """Give what should not happen the time to happen: the loop turns, loopback delivers."""
        await self.turns()
        await asyncio.sleep(seconds * self.scale)
        await self.turns()

    async def until(self, condition: Callable[[], Any], seconds: float = 5.0) -> bool:
        """Wait until a condition holds; False if it does not in that time."""
        deadline = time.monotonic() + seconds * self.scale
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True

    async def within(self, awaitable: Awaitable[Any], seconds: float = 5.0) -> Any:
        """The result of an awaitable, or the text 'not within N s': a hang as an observation."""
        task = asyncio.ensure_future(awaitable)
        done, _ = await asyncio.wait([task], timeout=seconds * self.scale)
        if not done:
            task.cancel()
            return f"not within {seconds:g} s"
        return task.result()

    # -- what was seen -----------------------------------------------------------------------------

    def take_errors(self) -> list[Json]:
        """What the exception handler was given since the last time: message, exception, keys."""
        taken, self.errors = self.errors, []
        return [self._report(context) for context in taken]

    def _report(self, context: dict[str, Any]) -> Json:
        report: dict[str, Json] = {"message": self.canon.text(str(context.get("message")))}
        if "exception" in context:
            report["exception"] = self.canon.value(context["exception"])
        report["keys"] = [*sorted(context)]
        return report

    def take_log(self, level: int = logging.WARNING) -> list[str]:
        """What the logger 'asyncio' got since the last time, as 'LEVEL: text'."""
        taken, self._journal.records = self._journal.records, []
        return [
            self.canon.text(f"{record.levelname}: {record.getMessage()}")
            for record in taken
            if record.levelno >= level
        ]

    def take_warnings(self) -> list[str]:
        """The warnings since the last time, as 'Category: text'."""
        taken = list(self.warned)
        self.warned.clear()
        return [self.canon.text(f"{warn.category.__name__}: {warn.message}") for warn in taken]

    def note(self, name: str, value: object) -> None:
        """Record a measurement beside the observation: it is shown and never compared."""
        self.notes[name] = self.canon.value(value)

    def error(self, error: BaseException) -> dict[str, Json]:
        """An exception as an observation."""
        return self.canon.error(error)

    def outcome(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a call returns, or the exception that it raises as an observation.

        NotImplementedError goes on, because it makes the check UNSUPPORTED.
        """
        try:
            return call(*args, **kwargs)
        except (NotImplementedError, NotApplicable, Unsupported):
            raise
        except Exception as error:
            return self.error(error)

    async def outcome_of(self, awaitable: Awaitable[Any]) -> Any:
        """The same for something to be awaited; a cancellation counts as well."""
        try:
            return await awaitable
        except (NotImplementedError, NotApplicable, Unsupported):
            raise
        except (Exception, asyncio.CancelledError) as error:
            return self.error(error)

    # -- sockets -----------------------------------------------------------------------------------

    def closing(self, thing: Any) -> Any:
        """Close this at the end, whatever happens."""
        self._open.callback(_close_quietly, thing)
        return thing

    def at_end(self, call: Callable[..., object], *args: Any) -> None:
        """Call this at the end, whatever happens."""
        self._open.callback(call, *args)

    def hide_port(self, sock: socket.socket) -> None:
        """Write PORT for the ports of this socket in every text."""
        name = sock.getsockname()
        if isinstance(name, tuple):
            self.canon.replace(str(name[1]), "PORT")

    def listen(self, backlog: int = 100, host: str = "127.0.0.1") -> socket.socket:
        """A TCP listener on loopback whose accept() waits for two seconds."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self.closing(socket.create_server((host, 0), family=family, backlog=backlog))
        sock.settimeout(2.0 * self.scale)
        self.hide_port(sock)
        return sock  # type: ignore[no-any-return]

    def unused_port(self) -> int:
        """A TCP port of 127.0.0.1 on which nobody listens."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.hide_port(sock)
            return int(sock.getsockname()[1])

    def tcp_pair(self, *, small: bool = False) -> tuple[socket.socket, socket.socket]:
        """Two connected non-blocking TCP sockets; `small` buffers fill up with a mebibyte."""
        with socket.socket() as listener:
            if small:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            one = self.closing(socket.socket())
            if small:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            one.connect(listener.getsockname())
            other = self.closing(listener.accept()[0])
        for sock in (one, other):
            sock.setblocking(False)
            self.hide_port(sock)
        return one, other

    def udp_socket(self, host: str = "127.0.0.1") -> socket.socket:
        """A bound non-blocking UDP socket."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self.closing(socket.socket(family, socket.SOCK_DGRAM))
        sock.bind((host, 0))
        sock.setblocking(False)
        self.hide_port(sock)
        return sock  # type: ignore[no-any-return]

    def reset(self, sock: socket.socket) -> None:
        """Close a TCP socket so that its peer sees a reset."""
        linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        sock.close()

    async def connect(
        self, factory: Callable[[], Any] | None = None, *, small: bool = False
    ) -> tuple[Any, Any, socket.socket]:
        """A TCP transport, its protocol (a Recorder by default), and the peer's plain socket."""
        ours, peer = self.tcp_pair(small=small)
        transport, protocol = await self.loop.create_connection(factory or Recorder, sock=ours)
        return transport, protocol, peer

    async def serve(
        self, factory: Callable[[], Any] | None = None, **kwargs: Any
    ) -> tuple[Any, tuple[str, int]]:
        """A TCP server on loopback and its address."""
        server = await self.loop.create_server(factory or Recorder, "127.0.0.1", 0, **kwargs)
        address = server.sockets[0].getsockname()
        self.canon.replace(str(address[1]), "PORT")
        return server, address

    async def dial(self, address: Any) -> socket.socket:
        """A plain non-blocking socket, connected to a server of this loop."""
        sock = self.closing(socket.socket())
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(address)
        await self.until(lambda: _connected(sock))
        self.hide_port(sock)
        return sock  # type: ignore[no-any-return]

    async def receive(self, sock: socket.socket, size: int) -> bytes:
        """Exactly so many bytes from a plain non-blocking socket; fewer if it ends before.

        Polls, so that it depends on nothing of the loop but sleep.
        """
        data = bytearray()
        while len(data) < size:
            try:
                chunk = sock.recv(min(1 << 18, size - len(data)))
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            if not chunk:
                break
            data += chunk
        return bytes(data)

    async def receive_all(self, sock: socket.socket) -> bytes:
        """Everything up to the end of file."""
        return await self.receive(sock, 1 << 40)

    async def datagrams(self, **kwargs: Any) -> tuple[Any, Datagrams]:
        """A UDP endpoint that records; bound to loopback unless the arguments say otherwise."""
        kwargs = kwargs or {"local_addr": ("127.0.0.1", 0)}
        return await self.loop.create_datagram_endpoint(Datagrams, **kwargs)  # type: ignore[no-any-return]

    # -- threads and processes ---------------------------------------------------------------------

    def in_thread(self, call: Callable[..., Any], *args: Any) -> threading.Thread:
        """Start a daemon thread that makes this call."""
        thread = threading.Thread(target=call, args=args, daemon=True)
        thread.start()
        return thread

    def python(self, source: str, *args: str) -> list[str]:
        """The command that runs a program which finds `new_loop` (the loop under test) defined."""
        prelude = PRELUDE.format(path=sys.path, loop=self.loop_name)
        return [sys.executable, "-c", prelude + textwrap.dedent(source), *args]

    def run_python(self, source: str, *args: str, seconds: float = 8.0) -> dict[str, Json]:
        """Run such a program to its end: exit code and what it printed."""
        try:
            done = subprocess.run(
                self.python(source, *args),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds * self.scale,
            )
        except subprocess.TimeoutExpired:
            return {"exit code": f"not within {seconds:g} s"}
        return {
            "exit code": done.returncode,
            "stdout": self.lines(done.stdout),
            "stderr": self.lines(done.stderr),
        }

    def lines(self, output: bytes) -> list[Json]:
        """Output as lines, the same on all systems."""
        text = output.decode("utf-8", "replace").replace("\r\n", "\n")
        return [self.canon.text(line) for line in text.splitlines()]

    def spawn_python(self, source: str, *args: str, **kwargs: Any) -> subprocess.Popen[bytes]:
        """Start such a program; killed at the end."""
        kwargs = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **kwargs}
        process = subprocess.Popen(self.python(source, *args), **kwargs)
        self.at_end(_end_process, process)
        return process

    # -- the run -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Record log and warnings while a check runs."""
        logger = logging.getLogger("asyncio")
        logger.propagate = False
        logger.addHandler(self._journal)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            self.warned = warned
            yield

    def finish(self) -> None:
        """Put everything away: what asyncio.run does at its end, then the open things."""
        try:
            for loop in self._loops:
                if not loop.is_closed():
                    finish_loop(loop)
                    loop.close()
        finally:
            self._open.close()
            asyncio.set_event_loop(None)


def finish_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left, and end the asynchronous generators and the executor's threads."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


def _connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _close_quietly(thing: Any) -> None:
    with contextlib.suppress(OSError):
        thing.close()


def _end_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
