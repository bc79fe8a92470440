# SPDX-License-Identifier: MIT
"""Tables of wrong arguments, and what a loop answers to a row of them.

A row is a call: a method, what it is called with, and the state that its loop is in. The methods
and their parameters are read off the stock class of the running Python, so a parameter that a
version brings is tried without anybody adding it here; a method that needs more than nothing to be
called well has an entry in the tables of calls below.

`answer(...)` makes the call on a new loop, with new sockets, and says what came of it: type and
text of the exception or the kind of the result, what was logged, warned and given to the exception
handler. Names, numbers and addresses that differ from one run to the next are taken out.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import io
import logging
import math
import os
import re
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import support

TURNS = 12  # of a loop until what still waits is said to wait,
EVENTS = 5  # and what else it has heard of by then
Call = tuple[tuple[Any, ...], dict[str, Any]]


class Thing:
    """An object that is nothing in particular."""

    def __repr__(self) -> str:
        return "<Thing>"


def function(*args: Any) -> None:
    """What a callback does here."""


# For every parameter of every method.
WRONG: dict[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "huge": 10**30,
    "minus huge": -(10**30),
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "1j": 1j,
    "''": "",
    "text": "text",
    "a NUL": "a\0b",
    "a surrogate": "\udc80",
    "b''": b"",
    "bytes": b"bytes",
    "bytearray": bytearray(b"bytes"),
    "memoryview": memoryview(b"bytes"),
    "()": (),
    "(1, 2)": (1, 2),
    "[]": [],
    "['x', 'y']": ["x", "y"],
    "{}": {},
    "Thing": Thing(),
    "a type": Thing,
    "a function": function,
}


class Stage:
    """A loop and what its rows are called with; closes all of it."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.subject: Any = None
        self.stack = contextlib.ExitStack()

    # -- sockets and files -------------------------------------------------------------------------

    def kept(self, thing: Any) -> Any:
        return self.stack.enter_context(contextlib.closing(thing))

    def pair(self, data: bytes = b"data") -> tuple[socket.socket, socket.socket]:
        ours, peer = support.tcp_pair()
        self.kept(ours), self.kept(peer)
        if data:
            peer.send(data)
        return ours, peer

    def stream(self) -> socket.socket:
        """A connected socket that has data."""
        return self.pair()[0]

    def blocking(self) -> socket.socket:
        sock = self.stream()
        sock.setblocking(True)
        return sock

    def listener(self) -> socket.socket:
        sock: socket.socket = self.kept(socket.create_server(("127.0.0.1", 0)))
        sock.setblocking(False)
        return sock

    def called(self) -> socket.socket:
        """A listener with a connection to accept."""
        sock = self.listener()
        self.kept(socket.create_connection(sock.getsockname()))
        return sock

    def datagram(self) -> socket.socket:
        sock: socket.socket = self.kept(socket.socket(type=socket.SOCK_DGRAM))
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        return sock

    def filled_datagram(self) -> socket.socket:
        sock = self.datagram()
        sock.sendto(b"datagram", sock.getsockname())
        return sock

    def unconnected(self) -> socket.socket:
        sock: socket.socket = self.kept(socket.socket())
        sock.setblocking(False)
        return sock

    def closed(self) -> socket.socket:
        sock = socket.socket()
        sock.close()
        return sock

    def detached(self) -> socket.socket:
        """An object of socket.socket whose descriptor was closed behind its back."""
        # Lower numbers are free, so nothing takes this one over.
        lower = [socket.socket() for _ in range(8)]
        sock = socket.socket()
        socket.close(sock.fileno())
        self.stack.callback(sock.detach)
        for other in lower:
            other.close()
        return sock

    def tls(self) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        sock: ssl.SSLSocket = self.kept(
            context.wrap_socket(socket.socket(), do_handshake_on_connect=False)
        )
        return sock

    def file(self) -> Any:
        number, path = tempfile.mkstemp()
        self.stack.callback(os.unlink, path)
        file = self.kept(open(number, "w+b"))
        file.write(b"content")
        file.seek(0)
        return file

    def pipe(self, end: int) -> Any:
        return self.pipe_ends()[end]

    def pipe_ends(self) -> list[Any]:
        ends = os.pipe()
        files = [open(ends[0], "rb", 0), open(ends[1], "wb", 0)]
        for file in files:
            self.kept(file)
        return files

    def view(self) -> Any:
        return asyncio.trsock.TransportSocket(self.stream())  # type: ignore[attr-defined]

    # -- other arguments ---------------------------------------------------------------------------

    def coroutine(self) -> Any:
        async def nothing() -> None:
            pass

        coro = nothing()
        self.stack.callback(coro.close)
        return coro

    def future_of_another_loop(self) -> Any:
        other = self.kept(support.reference_loop())
        return other.create_future()

    def transport(self) -> Any:
        """Something with the methods of a transport that no loop has made."""
        return asyncio.Transport()

    def protocol(self) -> Any:
        return asyncio.Protocol()


# What stands for a descriptor or a socket, beside WRONG. Numbers of the standard streams and of
# descriptors that may belong to the test runner are no wrong arguments, so the small ones of WRONG
# are left out where a number means a descriptor.
SOCKETS: dict[str, Callable[[Stage], Any]] = {
    "a closed socket": Stage.closed,
    "a socket closed behind its back": Stage.detached,
    "a connected socket": Stage.stream,
    "a blocking socket": Stage.blocking,
    "an unconnected socket": Stage.unconnected,
    "a listening socket": Stage.listener,
    "a datagram socket": Stage.datagram,
    "an SSLSocket": Stage.tls,
    "a TransportSocket": Stage.view,
    "a file": Stage.file,
    "a pipe's read end": lambda stage: stage.pipe(0),
    "a pipe's write end": lambda stage: stage.pipe(1),
    "StringIO": lambda stage: io.StringIO("text"),
    "a closed file": lambda stage: closed_file(stage),
}


def closed_file(stage: Stage) -> Any:
    file = stage.file()
    file.close()
    return file


KINDS: dict[str, dict[str, Callable[[Stage], Any]]] = {
    "fd": SOCKETS,
    "sock": SOCKETS,
    "pipe": SOCKETS,
    "file": SOCKETS,
    "coro": {"a coroutine": Stage.coroutine},
    "future": {
        "a coroutine": Stage.coroutine,
        "a future of another loop": Stage.future_of_another_loop,
    },
    "ssl": {
        "an SSLContext": lambda stage: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "an SSLSocket": Stage.tls,
    },
    "sslcontext": {"an SSLContext": lambda stage: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
    "transport": {"a bare transport": Stage.transport},
}

ADDRESS = ("127.0.0.1", 9)

# A good call of each method of a loop that needs arguments: what has the first wrong one put in.
CALLS: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "add_reader": lambda s: {"fd": s.stream(), "callback": function},
    "add_writer": lambda s: {"fd": s.stream(), "callback": function},
    "remove_reader": lambda s: {"fd": s.stream()},
    "remove_writer": lambda s: {"fd": s.stream()},
    "add_signal_handler": lambda s: {"sig": 2, "callback": function},
    "remove_signal_handler": lambda s: {"sig": 2},
    "call_soon": lambda s: {"callback": function},
    "call_soon_threadsafe": lambda s: {"callback": function},
    "call_later": lambda s: {"delay": 0, "callback": function},
    "call_at": lambda s: {"when": 0, "callback": function},
    "call_exception_handler": lambda s: {"context": {"message": "said"}},
    "default_exception_handler": lambda s: {"context": {"message": "said"}},
    "connect_accepted_socket": lambda s: {"protocol_factory": asyncio.Protocol, "sock": s.stream()},
    "connect_read_pipe": lambda s: {"protocol_factory": asyncio.Protocol, "pipe": s.pipe(0)},
    "connect_write_pipe": lambda s: {"protocol_factory": asyncio.BaseProtocol, "pipe": s.pipe(1)},
    "create_connection": lambda s: {
        "protocol_factory": asyncio.Protocol,
        "host": "127.0.0.1",
        "port": s.listener().getsockname()[1],
    },
    "create_datagram_endpoint": lambda s: {
        "protocol_factory": asyncio.DatagramProtocol,
        "local_addr": ("127.0.0.1", 0),
    },
    "create_server": lambda s: {
        "protocol_factory": asyncio.Protocol,
        "host": "127.0.0.1",
        "port": 0,
    },
    "create_task": lambda s: {"coro": s.coroutine()},
    "create_unix_connection": lambda s: {"protocol_factory": asyncio.Protocol, "path": "absent"},
    "create_unix_server": lambda s: {"protocol_factory": asyncio.Protocol, "sock": s.stream()},
    "getaddrinfo": lambda s: {"host": "127.0.0.1", "port": 80},
    "getnameinfo": lambda s: {
        "sockaddr": ("127.0.0.1", 61001),  # a port that has a name on no machine
        "flags": socket.NI_NUMERICHOST | socket.NI_NUMERICSERV,
    },
    "run_in_executor": lambda s: {"executor": None, "func": function},
    "run_until_complete": lambda s: {"future": s.coroutine()},
    "sendfile": lambda s: {"transport": s.transport(), "file": s.file()},
    "set_debug": lambda s: {"enabled": True},
    "set_default_executor": lambda s: {"executor": None},
    "set_exception_handler": lambda s: {"handler": None},
    "set_task_factory": lambda s: {"factory": None},
    "sock_accept": lambda s: {"sock": s.called()},
    "sock_connect": lambda s: {"sock": s.unconnected(), "address": s.listener().getsockname()},
    "sock_recv": lambda s: {"sock": s.stream(), "n": 10},
    "sock_recv_into": lambda s: {"sock": s.stream(), "buf": bytearray(10)},
    "sock_recvfrom": lambda s: {"sock": s.filled_datagram(), "bufsize": 10},
    "sock_recvfrom_into": lambda s: {"sock": s.filled_datagram(), "buf": bytearray(10)},
    "sock_sendall": lambda s: {"sock": s.stream(), "data": b"data"},
    "sock_sendfile": lambda s: {"sock": s.stream(), "file": s.file()},
    "sock_sendto": lambda s: {"sock": s.datagram(), "data": b"data", "address": ADDRESS},
    "start_tls": lambda s: {
        "transport": s.transport(),
        "protocol": s.protocol(),
        "sslcontext": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    },
    "subprocess_exec": lambda s: {
        "protocol_factory": asyncio.SubprocessProtocol,
        "program": "absent-program",
    },
    "subprocess_shell": lambda s: {
        "protocol_factory": asyncio.SubprocessProtocol,
        "cmd": 5,  # a child a row would take minutes: the good call is tested elsewhere
    },
}


# What the stock loop does not survive, so that there is nothing to compare with.
NOT_TRIED = {
    # A task in a context that is none never makes a step, and a run that waits for it never ends.
    ("create_task", "context"),
}


def parameters(method: Any) -> list[inspect.Parameter]:
    """Of a method of a class, without self."""
    return list(inspect.signature(method).parameters.values())[1:]


def positional(params: list[inspect.Parameter], call: dict[str, Any]) -> Call:
    """The call as programs write it: what may be positional is, up to the first gap."""
    args: list[Any] = []
    rest = dict(call)
    for param in params:
        if param.kind is not param.POSITIONAL_OR_KEYWORD or param.name not in rest:
            break
        args.append(rest.pop(param.name))
    return tuple(args), rest


def values_for(name: str) -> Iterator[tuple[str, Callable[[Stage], Any]]]:
    """Wrong values for a parameter of this name."""
    for label, value in [*WRONG.items(), *SUBJECT_VALUES.get(name, {}).items()]:
        if name in ("fd", "future") and isinstance(value, int) and 0 <= value < 3:
            continue  # perhaps a descriptor of the test runner's
        if name == "cmd" and isinstance(value, (str, bytes)):
            continue  # a shell, which ends when it likes
        if isinstance(value, bytearray):  # a row may have written into the last one
            yield label, lambda stage, value=bytes(value): bytearray(value)  # type: ignore[misc]
        else:
            yield label, lambda stage, value=value: value  # type: ignore[misc]
    yield from KINDS.get(name, {}).items()


def rows_of(
    name: str, method: Any, good: Callable[[Stage], dict[str, Any]]
) -> Iterator[tuple[str, Callable[[Stage], Call]]]:
    """All rows of a method: a label and what makes the arguments."""
    params = parameters(method)
    names = [p.name for p in params if p.kind is p.POSITIONAL_OR_KEYWORD]
    required = [p.name for p in params if p.default is p.empty and p.name in names]
    yield "good", lambda stage: positional(params, good(stage))
    yield "by keyword", lambda stage: ((), good(stage))
    yield (
        "an unknown keyword",
        lambda stage: (lambda c: (c[0], {**c[1], "unknown": 1}))(positional(params, good(stage))),
    )
    if not any(p.kind is p.VAR_POSITIONAL for p in params):
        for extra in (1, 3):
            yield (
                f"{extra} too many",
                lambda stage, extra=extra: (tuple([None] * (len(names) + extra)), {}),
            )
    if required:
        yield "nothing", lambda stage: ((), {})
        yield (
            "the first twice",
            lambda stage: (lambda c: (c[0], {**c[1], names[0]: None}))(
                positional(params, good(stage))
            ),
        )
    for missing in required:
        yield (
            f"no {missing}",
            lambda stage, missing=missing: (
                (),
                {k: v for k, v in good(stage).items() if k != missing},
            ),
        )
    for param in params:
        if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD):
            continue
        if (name, param.name) in NOT_TRIED:
            continue
        for label, value in values_for(param.name):
            yield (
                f"{param.name}={label}",
                lambda stage, param=param, value=value: positional(
                    params, {**good(stage), param.name: value(stage)}
                ),
            )


# -- what came of it -------------------------------------------------------------------------------

_SAME: tuple[tuple[str, str], ...] = (
    (r"0x[0-9a-fA-F]+", "0x"),
    (r"\b(fd|pid)=\d+", r"\1=N"),
    (r"\b_?(?:Unix|Selector)?(Datagram|ReadPipe|WritePipe|Subprocess)Transport", r"\1Transport"),
    (r"\b(?:_SelectorSocket|Stream)Transport", "StreamTransport"),
    (r"(descriptor:?|pid|laddr=|raddr=|socket\.socket object,) ?\d+", r"\1 N"),
    (r"\('127\.0\.0\.1', \d+\)", "ADDRESS"),
    (
        r"<(?:[\w.]+ )?(?:_UnixSelector|_WindowsSelector|Proactor)?(?:Event)?Loop running",
        "<LOOP running",
    ),
    (r"(?:_UnixSelectorEventLoop|_WindowsSelectorEventLoop|evenloop\.loop\.Loop)", "LOOP"),
    (r"name='Task-\d+'", "name='Task-N'"),
    (r"Thread-\d+", "Thread-N"),
    (r"got Future <.*> attached", "got Future attached"),
    (r"\bname=\d+", "name=N"),
    (r"\w+\._call_connection_lost\(.*\)", "_call_connection_lost()"),
    (r"[^\s'\"]*\.py:\d+", "FILE:LINE"),
    (r"(Base(?:Event)?)?Loop\.stop\(\)", "Loop.stop()"),
    (r" took -?\d\.\d+ seconds", " took N seconds"),
)


def same(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, replacement in _SAME:
        text = re.sub(pattern, replacement, text)
    return text


def kind_of(value: Any) -> Any:
    """What a result is, comparably."""
    if value is None or isinstance(value, (bool, str, bytes, bytearray)):
        return repr(value)
    if isinstance(value, int):
        return repr(int(value)) if abs(value) < 200 else "a number"
    if isinstance(value, (tuple, list)):
        return [type(value).__name__, *map(kind_of, value)]
    for base in type(value).__mro__:
        if base.__module__ == "_asyncio" or base.__module__.startswith("asyncio"):
            # Our classes derive from asyncio's bases; so do the stock loop's own.
            for public in (
                asyncio.AbstractEventLoop, asyncio.Server, asyncio.TimerHandle, asyncio.Handle,
                asyncio.SubprocessTransport, asyncio.Transport,
                asyncio.ReadTransport, asyncio.WriteTransport,
            ):  # fmt: skip
                if isinstance(value, public):
                    return public.__name__
            return base.__name__
    return type(value).__name__


def failure(exc: BaseException) -> list[Any]:
    """An exception, comparably."""
    return ["raises", type(exc).__name__, same(str(exc)), getattr(exc, "errno", None)]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # A Popen that polls can come before the stock loop's child watcher, which then says so.
        is_race = re.match("(Unknown )?child process pid", record.getMessage())
        if record.levelno > logging.DEBUG and not is_race:
            self.lines.append(f"{record.levelname}: {same(record.getMessage()).splitlines()[0]}")


async def hear(loop: Any) -> None:
    """Returns when the loop has heard of what is sent now to a socket of its own."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        heard = loop.create_task(loop.sock_recv(ours, 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        peer.send(b"x")
        await heard


async def settle(loop: Any, awaitable: Any) -> Any:
    """The outcome of an awaitable that should not take long; "waits" when it does.

    On a busy machine the system may take longer than that to tell of an event: then it takes long
    to tell of any.
    """
    task = asyncio.ensure_future(awaitable)
    if task.get_loop() is not asyncio.get_running_loop():
        task.cancel()
        return ["a future of its own loop"]
    for _ in range(TURNS):
        if task.done():
            break
        await asyncio.sleep(0)
    if not task.done():
        busy = getattr(loop, "_default_executor", None) is not None
        await asyncio.wait({task}, timeout=10 if busy else 0.02)
        for _ in range(EVENTS):
            if not task.done():
                await hear(loop)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        return ["waits"]
    if task.cancelled():
        return ["cancelled"]
    exc = task.exception()
    return failure(exc) if exc is not None else ["gives", task.result()]


def dispose(value: Any) -> None:
    """Closes what a call has given."""
    if isinstance(value, (tuple, list)):
        for item in value:
            dispose(item)
    elif isinstance(value, asyncio.Transport):
        # A stock pipe that has ended; a closed loop.
        with contextlib.suppress(AttributeError, RuntimeError):
            value.abort()
    elif isinstance(value, (asyncio.BaseTransport, asyncio.Server, socket.socket)):
        value.close()
    elif isinstance(value, (asyncio.Future, asyncio.Handle)):
        value.cancel()
    elif inspect.iscoroutine(value):
        value.close()


def is_awaitable(value: Any) -> bool:
    return inspect.isawaitable(value) and not isinstance(value, asyncio.Handle)


async def called(loop: Any, call: Callable[[], Any]) -> list[Any]:
    """Calls, awaits what can be awaited, and closes what came of it."""
    try:
        value = call()
    except Exception as exc:
        return failure(exc)
    outcome = ["gives", value]
    if is_awaitable(value):
        outcome = await settle(loop, value)
    if outcome[0] == "gives":
        value = outcome[1]
        outcome = ["gives", kind_of(value)]
        for _ in range(5):
            await asyncio.sleep(0)
        dispose(value)
    for _ in range(5):
        await asyncio.sleep(0)
    return outcome


def by_hand(call: Callable[[], Any], kept: list[Any]) -> list[Any]:
    """Calls without a running loop; a coroutine makes its first step. Results go to `kept`."""
    try:
        value = call()
        if inspect.iscoroutine(value) or hasattr(value, "cr_frame"):
            try:
                value.send(None)
            except StopIteration as stop:
                value = stop.value
            else:
                value.close()
                return ["waits"]
    except Exception as exc:
        return failure(exc)
    kept.append(value)
    return ["gives", kind_of(value)]


def in_thread(call: Callable[[], Any], kept: list[Any]) -> list[Any]:
    """What by_hand says in another thread."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(by_hand(call, kept)))
    thread.start()
    thread.join()
    return result[0]  # type: ignore[no-any-return]


def in_state(state: str, loop: Any, call: Callable[[], Any]) -> list[Any]:
    """Makes the call while the loop is in this state."""
    kept: list[Any] = []
    loop.slow_callback_duration = 1000.0

    async def inside() -> list[Any]:
        if state == "debug":
            loop.set_debug(True)
        if state == "another thread":
            loop.set_debug(True)
            outcome = in_thread(call, kept)
            dispose(kept)
            return outcome
        return await called(loop, call)

    if state in ("idle", "closed"):
        if state == "closed":
            loop.close()
        outcome = by_hand(call, kept)
        dispose(kept)
        return outcome
    if state == "another loop":
        other = support.new_loop() if loop.__module__.startswith("evenloop") else type(loop)()
        try:
            return other.run_until_complete(called(other, call))  # type: ignore[no-any-return]
        finally:
            support.finish(other)
            other.close()
    task = None
    try:
        task = loop.create_task(inside())
        return loop.run_until_complete(task)  # type: ignore[no-any-return]
    except Exception as exc:  # loop.stop() was the call
        outcome = ["stopped", failure(exc)]
        if task is not None and not task.done():
            outcome.append(loop.run_until_complete(task))
        return outcome


@contextlib.contextmanager
def watched() -> Iterator[tuple[list[str], list[str]]]:
    """What is logged and warned meanwhile."""
    log = _Log()
    logger = logging.getLogger("asyncio")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(log)
    unraisable: list[str] = []
    hook, sys.unraisablehook = (
        sys.unraisablehook,
        lambda u: unraisable.append(
            same(f"unraisable {type(u.exc_value).__name__}: {u.exc_value}")
        ),
    )
    warned: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield log.lines, warned
        warned += [same(f"{w.category.__name__}: {w.message}") for w in caught]
        warned += unraisable
    finally:
        sys.unraisablehook = hook
        logger.removeHandler(log)
        logger.propagate = propagate


def answer(
    make_loop: Callable[[], Any],
    state: str,
    call: Callable[[Stage], Callable[[], Any]],
    collect: bool = False,
    after: Callable[[Stage], Any] | None = None,
) -> list[Any]:
    """What a new loop in this state says to call(stage)(); what after(stage) gives; what was
    reported, logged, and, in the last place, warned."""
    with watched() as (logged, warned):
        loop = make_loop()
        stage = Stage(loop)
        reported: list[str] = []
        loop.set_exception_handler(
            lambda _, context: reported.append(
                same(f"{context.get('message')} {type(context.get('exception')).__name__}")
            )
        )
        asyncio.set_event_loop(loop)
        try:
            outcome = in_state(state, loop, call(stage))
            if after is not None:
                outcome.append(after(stage))
            if not loop.is_closed():
                loop.set_task_factory(None)
                for _ in range(2):  # a stop() that is left would end the next run
                    loop.call_soon(loop.stop)
                    loop.run_forever()
                support.finish(loop)
        finally:
            asyncio.set_event_loop(None)
            stage.stack.close()
            loop.close()
            del loop, stage
            if collect:
                gc.collect()
    return [*outcome, sorted(set(reported)), sorted(set(logged)), sorted(set(warned))]


def numeric_hosts_only(monkeypatch: Any) -> None:
    """Keeps rows from asking a name server about a wrong host."""
    real = socket.getaddrinfo

    def getaddrinfo(
        host: Any, port: Any, family: Any = 0, type: Any = 0, proto: Any = 0, flags: Any = 0
    ) -> Any:
        if isinstance(flags, int) and isinstance(host, (str, bytes)) and -1 < flags < 1 << 20:
            flags |= socket.AI_NUMERICHOST
        return real(host, port, family, type, proto, flags)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@dataclass(frozen=True)
class Difference:
    """Rows whose answer is ours on purpose; each field is a pattern for all of its text."""

    method: str
    row: str
    reason: str
    ours: str = ".*"  # the beginning of our answer
    state: str = ".*"

    def covers(self, method: str, row: str, state: str, ours: list[Any]) -> bool:
        return bool(
            re.fullmatch(self.method, method)
            and re.fullmatch(self.row, row)
            and re.fullmatch(self.state, state)
            and re.match(self.ours, repr(ours))
        )


Ask = Callable[[Callable[[], Any], bool], list[Any]]  # (make_loop, collect) to an answer


def compare(
    method: str,
    row: str,
    state: str,
    ask: Ask,
    differences: list[Difference],
    reference: Callable[[], Any] = support.reference_loop,
) -> str | None:
    """None when evenloop answers as the stock loop does, or differs on purpose; else what differs.

    What is warned need not be the same, as the stock transports warn of their own mess; but where
    the stock loop cleans up, ours does.
    """
    ours = ask(support.new_loop, False)
    if any(d.covers(method, row, state, ours) for d in differences):
        return None
    theirs = ask(reference, False)
    if ours[:-1] == theirs[:-1]:
        if set(ours[-1]) <= set(theirs[-1]):
            return None
        theirs = ask(reference, True)
        if categories(ours) <= categories(theirs):
            return None
        with watched():  # what an earlier row has left may have been collected in this one
            gc.collect()
        ours = ask(support.new_loop, False)
        if ours[:-1] == theirs[:-1] and categories(ours) <= categories(theirs):
            return None
    return f"{row} ({state}): {ours} instead of {theirs}"


def categories(outcome: list[Any]) -> set[str]:
    """The kinds of what was warned."""
    return {line.split(":")[0] for line in outcome[-1]}


# -- transports, servers and handles ---------------------------------------------------------------


async def tcp_transport(stage: Stage) -> Any:
    ours, _ = stage.pair(b"")
    return (await stage.loop.create_connection(asyncio.Protocol, sock=ours))[0]


async def datagram_transport(stage: Stage) -> Any:
    loop = stage.loop
    return (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0)))[0]


async def connected_datagram_transport(stage: Stage) -> Any:
    loop, peer = stage.loop, stage.datagram().getsockname()
    return (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=peer))[0]


async def read_pipe_transport(stage: Stage) -> Any:
    reader, _writer = stage.pipe_ends()
    return (await stage.loop.connect_read_pipe(asyncio.Protocol, reader))[0]


async def write_pipe_transport(stage: Stage) -> Any:
    _reader, writer = stage.pipe_ends()
    return (await stage.loop.connect_write_pipe(asyncio.BaseProtocol, writer))[0]


async def server(stage: Stage) -> Any:
    return await stage.loop.create_server(asyncio.Protocol, "127.0.0.1", 0)


async def handle(stage: Stage) -> Any:
    return stage.loop.call_soon(function)


async def timer_handle(stage: Stage) -> Any:
    return stage.loop.call_later(3600, function)


SUBJECTS: dict[str, Callable[[Stage], Any]] = {
    "tcp transport": tcp_transport,
    "datagram transport": datagram_transport,
    "connected datagram transport": connected_datagram_transport,
    "read pipe transport": read_pipe_transport,
    "write pipe transport": write_pipe_transport,
    "server": server,
    "handle": handle,
    "timer handle": timer_handle,
}

# What is done to a subject before the call.
LIVES: dict[str, Callable[[Any], Any]] = {
    "open": lambda subject: None,
    "closing": lambda subject: subject.close(),
    "aborted": lambda subject: (getattr(subject, "abort", None) or subject.close)(),
    "ended": lambda subject: subject.write_eof(),
    "cancelled": lambda subject: subject.cancel(),
}

# A good call of each method of a subject that needs arguments.
SUBJECT_CALLS: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "write": lambda s: {"data": b"data"},
    "writelines": lambda s: {"list_of_data": [b"one", b"two"]},
    "sendto": lambda s: {"data": b"data"},
    "set_protocol": lambda s: {"protocol": s.protocol()},
    "get_extra_info": lambda s: {"name": "peername"},
}
SUBJECT_VALUES: dict[str, dict[str, Any]] = {
    "list_of_data": {
        "[b'x', 'y']": [b"x", "y"],
        "[None]": [None],
        "[b'']": [b""],
    },
    "addr": {"an address": ADDRESS, "no port": ("127.0.0.1",), "a port of text": ("::1", "x")},
}


def subject_types(loop_factory: Callable[[], Any]) -> dict[str, type]:
    """What the loop makes of each subject, where it makes one at all."""
    found = {}
    for name, make in SUBJECTS.items():
        loop = loop_factory()
        stage = Stage(loop)
        try:
            subject = loop.run_until_complete(make(stage))
            found[name] = type(subject)
            dispose(subject)
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.sleep(0))
        except NotImplementedError:
            pass  # pipes of the selector loop on Windows
        finally:
            stage.stack.close()
            loop.close()
    return found


def subject_answer(
    make_loop: Callable[[], Any],
    make: Callable[[Stage], Any],
    life: str,
    state: str,
    call: Callable[[Stage, Any], Callable[[], Any]],
    collect: bool = False,
) -> list[Any]:
    """What a subject of a new loop says to call(stage, subject)() after LIVES[life], and whether it
    is closing afterwards."""

    def prepared(stage: Stage) -> Callable[[], Any]:
        async def begin() -> Any:
            subject = await make(stage)
            LIVES[life](subject)
            if life == "aborted":
                for _ in range(5):
                    await asyncio.sleep(0)
            return subject

        subject = stage.loop.run_until_complete(begin())
        stage.subject = subject
        made = call(stage, subject)

        def run() -> Any:
            return made()

        return run

    def after(stage: Stage) -> Any:
        is_closing = getattr(stage.subject, "is_closing", None)
        closing = is_closing() if is_closing is not None else None
        # Of a closed loop; and a stock pipe that has ended cannot be aborted again.
        with contextlib.suppress(RuntimeError, AttributeError):
            dispose(stage.subject)
        return closing

    return answer(make_loop, state, prepared, collect, after)


def judge(wrong: list[str], count: int) -> None:
    """Fails with what differs among the rows that were asked."""
    with watched():  # what the stock loop has left
        gc.collect()
    if wrong:
        pytest.fail("\n".join([f"{len(wrong)} of {count} rows differ:", *wrong]), pytrace=False)
