# SPDX-License-Identifier: MIT
"""More that the tables of wrong arguments are asked of: what needs a peer or a child process.

wrong_arguments.py has the rows and the way to ask. Here are child processes, servers in each of
their states, streams, TLS, and good calls of start_tls() and sendfile() on transports that can do
it. A subject's companions (the other end of a connection, a child) are kept by its stage and ended
before its loop is closed.
"""

from __future__ import annotations

import asyncio
import asyncio.base_subprocess
import asyncio.sslproto
import asyncio.subprocess
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import support
import wrong_arguments as tables
from wrong_arguments import Ask, Stage

Make = Callable[[Stage], Awaitable[Any]]


def accompany(stage: Stage, thing: Any, ended: Callable[[], Awaitable[Any]] | None = None) -> None:
    """Has `thing` closed with the subject, and `ended()` awaited, while the loop is open."""

    def end() -> None:
        if stage.loop.is_closed():
            return

        async def wait() -> None:
            tables.dispose(stage.subject)
            if ended is not None:
                await asyncio.wait_for(ended(), 30)
            tables.dispose(thing)
            for _ in range(5):
                await asyncio.sleep(0)

        stage.loop.run_until_complete(wait())

    stage.stack.callback(end)


# -- transports ------------------------------------------------------------------------------------


class ChildProtocol(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.exited = asyncio.get_running_loop().create_future()

    def process_exited(self) -> None:
        self.exited.set_result(None)


def reap(process: Any) -> None:
    """Of a loop that was closed first."""
    if process.poll() is None:
        process.kill()
        process.wait()


async def started_child(loop: Any, factory: Callable[[], Any], code: str) -> tuple[Any, Any]:
    command = sys.executable, "-ISc", code
    # Windows: no console, so that a signal which is a console's event reaches nobody.
    flags = getattr(subprocess, "DETACHED_PROCESS", 0)
    options: dict[str, Any] = {"stderr": None, "creationflags": flags}
    try:
        pair: Any = await loop.subprocess_exec(factory, *command, **options)
    except OSError:
        if not support.under_wine():
            raise
        # Now and then a process dies there while it starts: "[WinError 1359] Internal error".
        pair = await loop.subprocess_exec(factory, *command, **options)
    return pair  # type: ignore[no-any-return]


async def subprocess_transport(stage: Stage) -> Any:
    """Of a child that ends when its input does."""
    transport, protocol = await started_child(
        stage.loop, ChildProtocol, "import sys; sys.stdin.read()"
    )
    stage.stack.callback(reap, transport._proc)
    accompany(stage, transport, lambda: protocol.exited)
    return transport


async def exited_subprocess_transport(stage: Stage) -> Any:
    transport = await subprocess_transport(stage)
    transport.get_pipe_transport(0).close()
    await transport._wait()
    return transport


async def process(stage: Stage) -> Any:
    """asyncio's Process, over a child that only a signal ends."""
    loop = stage.loop
    transport, protocol = await started_child(
        loop,
        lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=1000, loop=loop),
        "import time; time.sleep(3600)",
    )
    stage.stack.callback(reap, transport._proc)

    async def ended() -> None:
        transport.close()
        await transport._wait()

    accompany(stage, transport, ended)
    return asyncio.subprocess.Process(transport, protocol, loop)


async def pipe_of_a_subprocess(stage: Stage) -> Any:
    return (await subprocess_transport(stage)).get_pipe_transport(0)


async def paused_tcp_transport(stage: Stage) -> Any:
    transport = await tables.tcp_transport(stage)
    transport.pause_reading()
    return transport


# -- streams ---------------------------------------------------------------------------------------


async def streams(stage: Stage, data: bytes) -> tuple[Any, Any, socket.socket]:
    ours, peer = stage.pair(b"")
    reader, writer = await asyncio.open_connection(sock=ours, limit=1000)
    accompany(stage, writer.transport)
    if data:
        peer.send(data)
        while not reader._buffer:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
    return reader, writer, peer


async def stream_writer(stage: Stage) -> Any:
    return (await streams(stage, b""))[1]


async def stream_reader(stage: Stage) -> Any:
    """One that has a line and a half."""
    reader, writer, _ = await streams(stage, b"line\nrest")
    stage.stack.callback(writer.is_closing)  # who has only the reader has the transport collected
    return reader


async def ended_stream_reader(stage: Stage) -> Any:
    """The same, and nothing will follow."""
    reader, writer, peer = await streams(stage, b"line\nrest")
    stage.stack.callback(writer.is_closing)
    peer.close()
    while not reader._eof:
        await asyncio.sleep(0.001)
    return reader


# -- servers ---------------------------------------------------------------------------------------


async def idle_server(stage: Stage) -> Any:
    """One that does not serve yet."""
    return await stage.loop.create_server(
        asyncio.Protocol, "127.0.0.1", 0, start_serving=False, backlog=5
    )


async def server_with_a_client(stage: Stage) -> Any:
    """One with a connection that stays."""
    accepted: asyncio.Future[asyncio.BaseTransport] = stage.loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)

    server = await stage.loop.create_server(Accepting, "127.0.0.1", 0)
    stage.kept(socket.create_connection(server.sockets[0].getsockname()))
    accompany(stage, await accepted)
    return server


async def serving_server(stage: Stage) -> Any:
    """One that a task serves forever."""
    server = await idle_server(stage)
    accompany(stage, asyncio.ensure_future(server.serve_forever()))
    await asyncio.sleep(0)
    return server


SUBJECTS: dict[str, Make] = {
    "subprocess transport": subprocess_transport,
    "exited subprocess transport": exited_subprocess_transport,
    "idle server": idle_server,
    "server with a client": server_with_a_client,
    "serving server": serving_server,
    "process": process,
    "stream writer": stream_writer,
    "stream reader": stream_reader,
    "ended stream reader": ended_stream_reader,
}
TYPES: dict[str, Any] = {
    "subprocess transport": asyncio.base_subprocess.BaseSubprocessTransport,
    "exited subprocess transport": asyncio.base_subprocess.BaseSubprocessTransport,
    "idle server": asyncio.Server,
    "server with a client": asyncio.Server,
    "serving server": asyncio.Server,
    "process": asyncio.subprocess.Process,
    "stream writer": asyncio.StreamWriter,
    "stream reader": asyncio.StreamReader,
    "ended stream reader": asyncio.StreamReader,
}
# What they answer while the child is dying depends on how far it is.
ABOUT_THE_CHILD = ("get_protocol", "get_returncode", "kill", "send_signal", "terminate")
CALLS: dict[str, Callable[[Stage], dict[str, Any]]] = {
    **tables.SUBJECT_CALLS,
    "get_pipe_transport": lambda s: {"fd": 0},
    "send_signal": lambda s: {"signal": signal.SIGTERM},
    "process.communicate": lambda s: {"input": b"data"},
    "stream writer.writelines": lambda s: {"data": [b"one", b"two"]},
    "stream writer.start_tls": lambda s: {"sslcontext": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
    "feed_data": lambda s: {"data": b"data"},
    "readexactly": lambda s: {"n": 5},
    "set_exception": lambda s: {"exc": ValueError("value")},
    "set_transport": lambda s: {"transport": s.transport()},
}


def good_call(subject: str, name: str) -> Callable[[Stage], dict[str, Any]]:
    return CALLS.get(f"{subject}.{name}") or CALLS.get(name, lambda stage: {})


# What start_tls() and sendfile() are called on, able to or not.
TRANSPORTS: dict[str, Make] = {
    "tcp": tables.tcp_transport,
    "paused tcp": paused_tcp_transport,
    "datagram": tables.datagram_transport,
    "read pipe": tables.read_pipe_transport,
    "write pipe": tables.write_pipe_transport,
    "pipe of a subprocess": pipe_of_a_subprocess,
    "server": tables.server,
}


def lives_of(subject: str, name: str) -> list[str]:
    if subject == "process" or "reader" in subject:
        return ["open"]
    if subject == "subprocess transport" and name in ABOUT_THE_CHILD:
        return ["open"]
    return ["open", "closing"]


def states_of(subject: str) -> list[str]:
    """Of the loop. 3.11's child watcher has a thread, which logs of a closed loop when it likes."""
    if "process" in subject and sys.version_info < (3, 12):
        return ["running"]
    return ["running", "closed"]


def good_start_tls(stage: Stage) -> dict[str, Any]:
    """Its peer says nothing, so it waits."""
    return {
        "transport": stage.subject,
        "protocol": stage.protocol(),
        "sslcontext": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "server_hostname": "localhost",
    }


def good_sendfile(stage: Stage) -> dict[str, Any]:
    return {"transport": stage.subject, "file": stage.file()}


TRANSPORT_CALLS = {"start_tls": good_start_tls, "sendfile": good_sendfile}


# -- TLS -------------------------------------------------------------------------------------------


async def tls_transport(stage: Stage) -> Any:
    """The client's end of a connection that has shaken hands."""
    import test_tls  # of its requirements not all are had for a Python without a GIL

    loop = stage.loop
    ours, peer = stage.pair(b"")
    (transport, _), (other, _) = await asyncio.gather(
        loop.create_connection(
            asyncio.Protocol, sock=ours, ssl=test_tls.client_context(), server_hostname="localhost"
        ),
        loop.connect_accepted_socket(asyncio.Protocol, peer, ssl=test_tls.server_context()),
    )
    accompany(stage, other)
    return transport


# The transport is asyncio's own on every loop. What is compared is all below it: how the plain
# transport of the loop takes what TLS makes of a wrong call, and who is told of it.
TLS_TRANSPORT: Any = asyncio.sslproto._SSLProtocolTransport  # type: ignore[attr-defined]
TLS_LIVES = ("open", "closing", "aborted")
# Not start_tls() of a closing one: the answer depends on whether its peer has said goodbye by then.
TLS_CALLS = [
    ("start_tls", "open"),
    ("start_tls", "aborted"),
    *(("sendfile", life) for life in TLS_LIVES),
]


# -- asking ----------------------------------------------------------------------------------------


def of_subject(make: Make, life: str, state: str, name: str, arguments: Any) -> Ask:
    """Calls a method of the subject, and puts back the protocol that it took away."""

    def call(stage: Stage, owner: Any) -> Callable[[], Any]:
        args, kwargs = arguments(stage)

        def run() -> Any:
            protocol = owner.get_protocol() if name == "set_protocol" else None
            try:
                value = getattr(owner, name)(*args, **kwargs)
                return value > 0 if name == "get_pid" else value  # of a system's own size
            finally:
                if name == "set_protocol":
                    owner.set_protocol(protocol)

        return run

    return lambda loop, collect: tables.subject_answer(loop, make, life, state, call, collect)


def of_loop(make: Make, life: str, state: str, name: str, arguments: Any) -> Ask:
    """Calls a method of the loop that takes the subject."""

    def call(stage: Stage, owner: Any) -> Callable[[], Any]:
        args, kwargs = arguments(stage)
        return lambda: getattr(stage.loop, name)(*args, **kwargs)

    return lambda loop, collect: tables.subject_answer(loop, make, life, state, call, collect)
