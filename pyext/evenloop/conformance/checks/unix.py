# SPDX-License-Identifier: MIT
"""unix: connections and servers on Unix sockets."""

from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import stat
from typing import Any

from ..check import Area
from ..protocols import Recorder
from ..trial import Trial

area = Area("unix", "Unix sockets")


@area.check(
    expect={
        "to the server": b"ping",
        "to the client": b"pong",
        "Transport": True,
        "AbstractServer": True,
    }
)
async def server_client_roundtrip(t: Trial) -> object:
    """A server and a client on a path, given as a PathLike.

    spec: docs, create_unix_server and create_unix_connection
    """
    server, protocols = await serve(t, t.path / "s")
    transport, client = await t.loop.create_unix_connection(Recorder, t.path / "s")
    transport.write(b"ping")
    await t.until(lambda: protocols)
    arrived = await t.within(protocols[0].received(4))
    protocols[0].transport.write(b"pong")
    return {
        "to the server": arrived,
        "to the client": await t.within(client.received(4)),
        "Transport": isinstance(transport, asyncio.Transport),
        "AbstractServer": isinstance(server, asyncio.AbstractServer),
    }


@area.check(expect=[b"ping", b"pong"])
async def streams_on_a_path(t: Trial) -> object:
    """open_unix_connection and start_unix_server.

    portable: docs, streams; C027, gh-77589
    """
    if not hasattr(asyncio, "open_unix_connection"):
        raise NotImplementedError("asyncio has no open_unix_connection on this system")
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(4))
        writer.write(b"pong")
        writer.close()

    async with await asyncio.start_unix_server(answer, str(t.path / "s")):
        reader, writer = await asyncio.open_unix_connection(str(t.path / "s"))
        writer.write(b"ping")
        heard.append(await t.within(reader.read()))
        writer.close()
    return heard


@area.check(expect={"peername": "''", "sockname": "path", "client's peer": "path"})
async def addresses_are_paths(t: Trial) -> object:
    """The server's address is its path; a client that is not bound has the address ''.

    spec: socket.getsockname of AF_UNIX; C072
    """
    path = str(t.path / "s")
    _, protocols = await serve(t, path)
    transport, _ = await t.loop.create_unix_connection(Recorder, path)
    await t.until(lambda: protocols and protocols[0].transport)
    accepted = protocols[0].transport

    def named(address: object) -> str:
        return "path" if address == path else repr(address)

    return {
        "peername": named(accepted.get_extra_info("peername")),
        "sockname": named(accepted.get_extra_info("sockname")),
        "client's peer": named(transport.get_extra_info("peername")),
    }


@area.check(expect="connected")
async def stale_socket_removed(t: Trial) -> object:
    """A socket file that a dead server has left is replaced.

    spec: _UnixSelectorEventLoop.create_unix_server; CPython's test_unix_events
    """
    path = str(t.path / "s")
    leave_stale_socket(path)
    await serve(t, path)
    transport, _ = await t.loop.create_unix_connection(Recorder, path)
    return "connected" if not transport.is_closing() else "closing"


@area.check(
    expect={
        "type": "OSError",
        "text": "[Errno EADDRINUSE] Address 'TMP/s' is already in use",
        "errno": "EADDRINUSE",
    }
)
async def in_use_message(t: Trial) -> object:
    """A path that is no socket is not replaced.

    text: _UnixSelectorEventLoop.create_unix_server
    """
    path = t.path / "s"
    path.write_text("not a socket")
    seen = await t.outcome_of(t.loop.create_unix_server(Recorder, str(path)))
    return seen if isinstance(seen, dict) else type(seen)


@area.check(expect={"bound": True, "after close": False}, since=(3, 13))
async def cleanup_socket(t: Trial) -> object:
    """Closing a server removes its path.

    spec: docs, create_unix_server, cleanup_socket (3.13)
    """
    path = t.path / "s"
    server, _ = await serve(t, path)
    bound = os.path.lexists(path)
    server.close()
    await t.within(server.wait_closed())
    return {"bound": bound, "after close": os.path.lexists(path)}


@area.check(expect={"after close": True}, since=(3, 13))
async def cleanup_socket_false(t: Trial) -> object:
    """cleanup_socket=False leaves the path.

    spec: docs, create_unix_server, cleanup_socket (3.13)
    """
    path = t.path / "s"
    server = await t.loop.create_unix_server(Recorder, str(path), cleanup_socket=False)
    server.close()
    await t.within(server.wait_closed())
    return {"after close": os.path.lexists(path)}


@area.check(expect={"the other's socket": "still there"}, since=(3, 13))
async def cleanup_socket_spares_a_successor(t: Trial) -> object:
    """Closing a server leaves a path that is not its own any more.

    spec: docs, create_unix_server: removed "if the socket has not been replaced"; C117, gh-121252
    """
    path = t.path / "s"
    server, _ = await serve(t, path)
    os.unlink(path)
    leave_stale_socket(str(path))
    server.close()
    await t.within(server.wait_closed())
    there = os.path.lexists(path)
    return {"the other's socket": "still there" if there else "removed"}


@area.check(expect={"server's name": True, "arrived": b"ping"}, needs=("linux",))
async def abstract(t: Trial) -> object:
    """Linux's abstract names, which begin with a zero byte, serve and connect.

    spec: unix(7); _UnixSelectorEventLoop; C123
    """
    name = f"\0evenloop-conformance-{os.getpid()}"
    server, protocols = await serve(t, name)
    transport, _ = await t.loop.create_unix_connection(Recorder, name)
    transport.write(b"ping")
    await t.until(lambda: protocols)
    bound = server.sockets[0].getsockname()
    return {
        "server's name": bound in (name, name.encode()),
        "arrived": await t.within(protocols[0].received(4)),
    }


@area.check(
    expect=[
        {"type": "ValueError", "text": "path and sock can not be specified at the same time"},
        {"type": "ValueError", "text": "no path and sock were specified"},
        {"type": "ValueError", "text": "server_hostname is only meaningful with ssl"},
        {"type": "ValueError", "text": "you have to pass server_hostname when using ssl"},
    ]
)
async def arg_errors(t: Trial) -> object:
    """create_unix_connection's checks of its arguments.

    text: _UnixSelectorEventLoop.create_unix_connection
    """
    import ssl

    connect: Any = t.loop.create_unix_connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours, _ = t.tcp_pair()
    return [
        await t.outcome_of(connect(Recorder, "x", sock=ours)),
        await t.outcome_of(connect(Recorder)),
        await t.outcome_of(connect(Recorder, "x", server_hostname="x")),
        await t.outcome_of(connect(Recorder, "x", ssl=context)),
    ]


@area.check(
    expect=[
        {"type": "ValueError", "text": "path and sock can not be specified at the same time"},
        {
            "type": "ValueError",
            "text": "path was not specified, and no sock specified",
        },
        {"type": "TypeError", "text": "ssl argument must be an SSLContext or None"},
    ]
)
async def path_server_arg_errors(t: Trial) -> object:
    """create_unix_server's checks of its arguments.

    text: _UnixSelectorEventLoop.create_unix_server
    """
    serve_unix: Any = t.loop.create_unix_server
    ours, _ = t.tcp_pair()
    return [
        await t.outcome_of(serve_unix(Recorder, "x", sock=ours)),
        await t.outcome_of(serve_unix(Recorder)),
        await t.outcome_of(serve_unix(Recorder, "x", ssl=True)),
    ]


@area.check(expect=["ValueError", "ValueError"])
async def tcp_socket_rejected(t: Trial) -> object:
    """A TCP socket given as sock= is refused.

    spec: "A UNIX Domain Stream Socket was expected"
    """
    ours, _ = t.tcp_pair()
    seen: list[Any] = [
        await t.outcome_of(t.loop.create_unix_connection(Recorder, sock=ours)),
        await t.outcome_of(t.loop.create_unix_server(Recorder, sock=ours)),
    ]
    return [error["type"] if isinstance(error, dict) else "taken" for error in seen]


@area.check(expect={"type": "FileNotFoundError", "errno": "ENOENT"})
async def connect_to_a_missing_path(t: Trial) -> object:
    """Connecting to a path that does not exist: FileNotFoundError.

    spec: unix(7), ENOENT
    """
    seen = await t.outcome_of(t.loop.create_unix_connection(Recorder, str(t.path / "none")))
    return {key: seen[key] for key in ("type", "errno")} if isinstance(seen, dict) else seen


@area.check(expect={"type": "ConnectionRefusedError", "errno": "ECONNREFUSED"})
async def connect_to_a_dead_server(t: Trial) -> object:
    """Connecting to a socket file that nobody serves: ConnectionRefusedError.

    spec: unix(7), ECONNREFUSED
    """
    path = str(t.path / "s")
    leave_stale_socket(path)
    seen = await t.outcome_of(t.loop.create_unix_connection(Recorder, path))
    return {key: seen[key] for key in ("type", "errno")} if isinstance(seen, dict) else seen


@area.check(expect={"eof": True, "reply": b"reply"})
async def half_close_on_a_path(t: Trial) -> object:
    """write_eof() ends one direction; the answer still arrives.

    spec: docs, WriteTransport.write_eof
    """

    class Server(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            self.transport.write(b"reply")
            self.transport.close()
            return True

    server = await t.loop.create_unix_server(Server, str(t.path / "s"))
    transport, client = await t.loop.create_unix_connection(
        lambda: Recorder(keep_open=True), str(t.path / "s")
    )
    transport.write_eof()
    reply = await t.within(client.received(5))
    await t.within(client.eof)
    transport.close()
    server.close()
    return {"eof": client.eof.done(), "reply": reply}


@area.check(expect={"is a socket": True}, needs=("posix",))
async def path_is_a_socket_file(t: Trial) -> object:
    """The path of a server is a socket in the file system.

    spec: unix(7)
    """
    await serve(t, t.path / "s")
    return {"is a socket": stat.S_ISSOCK(os.lstat(t.path / "s").st_mode)}


@area.check(expect={"mode": "0o700"}, needs=("posix",))
async def path_permissions(t: Trial) -> object:
    """The path of a server has the permissions that the umask leaves: who may not write is out.

    spec: unix(7); umask(2)
    """
    before = os.umask(0o077)
    try:
        await serve(t, t.path / "s")
    finally:
        os.umask(before)
    return {"mode": oct(stat.S_IMODE(os.lstat(t.path / "s").st_mode))}


# -- pieces ----------------------------------------------------------------------------------------


async def serve(t: Trial, path: str | pathlib.Path) -> tuple[Any, list[Recorder]]:
    """A server on a path, and the protocols that it makes."""
    protocols: list[Recorder] = []

    def factory() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    server = await t.loop.create_unix_server(factory, path)
    t.at_end(server.close)
    return server, protocols


def leave_stale_socket(path: str) -> None:
    """A socket file as a dead server leaves it."""
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise NotImplementedError("socket has no AF_UNIX on this system")
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(path)
