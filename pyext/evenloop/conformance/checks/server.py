# SPDX-License-Identifier: MIT
"""server: making servers, what they listen on, and how they refuse."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

from ..check import Area
from ..handles import open_descriptors
from ..protocols import Recorder
from ..trial import Trial

area = Area("server", "Servers")


def text(seen: Any) -> str:
    """The text of an outcome, without the server's repr in the middle."""
    if not isinstance(seen, dict):
        return f"no error but {seen!r}"
    before, _, rest = seen["text"].partition("<")
    return f"{seen['type']}: {before}<...>{rest.rpartition('>')[2]}"


def _value_error(message: str) -> dict[str, object]:
    return {"type": "ValueError", "text": message}


async def greet(t: Trial, address: Any) -> object:
    """What a server that says hello says to a new client."""
    client = await t.dial(address)
    try:
        return await t.within(t.outcome_of(t.receive(client, 5)), 2.0)
    finally:
        client.close()


class Hello(Recorder):
    """Says hello and closes."""

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        super().connection_made(transport)
        transport.write(b"hello")
        transport.close()


# -- what a server is -----------------------------------------------------------------------------


@area.check(expect={"AbstractServer": True, "get_loop": True, "repr": "<Server sockets=("})
async def repr_and_get_loop(t: Trial) -> object:
    """A server is an asyncio.AbstractServer that knows its loop and shows its sockets.

    spec: docs, asyncio.Server; CPython Lib/asyncio/base_events.py, Server.__repr__
    """
    server, _ = await t.serve()
    seen = {
        "AbstractServer": isinstance(server, asyncio.AbstractServer),
        "get_loop": server.get_loop() is t.loop,
        "repr": repr(server)[:17].replace("[", "("),
    }
    server.close()
    return seen


@area.check(expect={"type": "tuple", "count": 1, "after close": []})
async def sockets_after_close_empty_tuple(t: Trial) -> object:
    """Server.sockets is a tuple, and empty after close().

    spec: docs, Server.sockets
    """
    server, _ = await t.serve()
    sockets = server.sockets
    server.close()
    closed = server.sockets
    await server.wait_closed()
    kind = type(sockets).__name__ if type(sockets) is type(closed) else type(closed).__name__
    return {"type": kind, "count": len(sockets), "after close": closed}


@area.check(expect={"TransportSocket": True, "listening": True, "non-blocking": 0.0})
async def sockets_are_transport_sockets(t: Trial) -> object:
    """The sockets of a server are asyncio TransportSockets that listen and do not block.

    spec: docs, Server.sockets; CPython Lib/asyncio/trsock.py
    """
    import asyncio.trsock

    server, _ = await t.serve()
    (sock,) = server.sockets
    seen = {
        "TransportSocket": isinstance(sock, asyncio.trsock.TransportSocket),
        "listening": bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)),
        "non-blocking": sock.gettimeout(),
    }
    server.close()
    return seen


@area.check(expect={"new": True, "closed": False, "closed twice": None})
async def is_serving(t: Trial) -> object:
    """A server serves until it is closed; closing it twice is allowed.

    spec: docs, Server.is_serving and Server.close
    """
    server, _ = await t.serve()
    seen = {"new": server.is_serving()}
    server.close()
    return {**seen, "closed": server.is_serving(), "closed twice": t.outcome(server.close)}


@area.check(
    expect={"before": ["refused", False], "after": [b"hello", True], "again": None}, limit=20.0
)
async def start_serving_false(t: Trial) -> object:
    """With start_serving=False nobody can connect before start_serving().

    spec: docs, loop.create_server: start_serving
    """
    server, address = await t.serve(Hello, start_serving=False)
    refused = t.outcome(socket.create_connection, address, 5)
    before = "refused" if isinstance(refused, dict) else "connected"
    seen: dict[str, object] = {"before": [before, server.is_serving()]}
    await server.start_serving()
    seen["after"] = [await greet(t, address), server.is_serving()]
    seen["again"] = await t.outcome_of(server.start_serving())
    server.close()
    return seen


@area.check(expect=b"hello")
async def accepts_right_after_create_server(t: Trial) -> object:
    """A client that connects when create_server() has returned is served.

    spec: docs, loop.create_server; CPython PR 134259
    """
    server, address = await t.serve(Hello)
    seen = await greet(t, address)
    server.close()
    return seen


@area.check(expect={"all": 50, "order": True})
async def accept_order_fairness(t: Trial) -> object:
    """Clients that wait are accepted in the order in which they came.

    spec: CPython Lib/asyncio/selector_events.py, _accept_connection accepts backlog + 1 at a time
    """
    accepted: list[Any] = []

    class Notes(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            accepted.append(transport.get_extra_info("peername"))
            transport.abort()

    server, address = await t.serve(Notes, backlog=100)
    clients = [t.closing(socket.create_connection(address)) for _ in range(50)]
    await t.until(lambda: len(accepted) == 50)
    names = [client.getsockname() for client in clients]
    server.close()
    return {"all": len(accepted), "order": accepted == names}


@area.check(expect={"peername": True, "data": b"gone"})
async def peername_of_a_client_that_has_gone(t: Trial) -> object:
    """The address of a client is known even if it has gone before it was accepted.

    spec: CPython Lib/asyncio/selector_events.py: the address that accept() gave; uvloop#560
    """
    protocols: list[Recorder] = []

    def factory() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    server, address = await t.serve(factory)
    client = socket.create_connection(address)
    name = client.getsockname()
    client.sendall(b"gone")
    client.close()
    await t.until(lambda: protocols and protocols[0].lost.done())
    server.close()
    transport = protocols[0].transport
    return {
        "peername": transport.get_extra_info("peername") == name,
        "data": bytes(protocols[0].data),
    }


@area.check(expect={"echo": b"HELLO", "sockname": True})
async def connect_accepted_socket(t: Trial) -> object:
    """A connection that was accepted elsewhere can be served.

    spec: docs, loop.connect_accepted_socket
    """

    class Upper(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write(data.upper())

    listener = t.listen()
    client = t.closing(socket.create_connection(listener.getsockname()))
    client.setblocking(False)
    conn, _ = listener.accept()
    transport, _ = await t.loop.connect_accepted_socket(Upper, conn)
    client.send(b"hello")
    seen = {
        "echo": await t.receive(client, 5),
        "sockname": transport.get_extra_info("sockname") == listener.getsockname(),
    }
    transport.close()
    return seen


@area.check(expect={"raised": _value_error("no protocol"), "peer sees": b""}, since=(3, 14, 10))
async def connect_accepted_socket_closes_on_factory_error(t: Trial) -> object:
    """A factory that raises makes connect_accepted_socket() raise, and closes the socket.

    spec: CPython gh-153133
    """

    def factory() -> Any:
        raise ValueError("no protocol")

    ours, peer = t.tcp_pair()
    outcome = await t.outcome_of(t.loop.connect_accepted_socket(factory, ours))
    return {"raised": outcome, "peer sees": await t.within(t.receive_all(peer), 2.0)}


# -- what it listens on ---------------------------------------------------------------------------


@area.check(
    expect={
        "type": "OSError",
        "errno": "EADDRINUSE",
        "text": (
            "[Errno EADDRINUSE] error while attempting to bind on address ('127.0.0.1', PORT): "
            "address already in use"
        ),
    }
)
async def eaddrinuse_message(t: Trial) -> object:
    """An address that is in use gives an OSError that names it.

    text: CPython Lib/asyncio/base_events.py, create_server (from 3.13 on the reason begins with
    [errno 98], which is left out here)
    """
    t.canon.replace(f"[errno {errno.EADDRINUSE}] address", "address")
    busy = t.listen()
    return await t.outcome_of(t.loop.create_server(Recorder, *busy.getsockname()))


@area.check(expect="EADDRINUSE")
async def two_listeners_eaddrinuse(t: Trial) -> object:
    """Two servers cannot listen on one address.

    portable: SO_REUSEADDR on Windows would let the second one take the first one's place
    """
    server, address = await t.serve()
    outcome = await t.outcome_of(t.loop.create_server(Recorder, *address))
    server.close()
    return outcome.get("errno") if isinstance(outcome, dict) else "two listen"


@area.check(expect={"default": "EADDRINUSE", "reuse_address=True": "EADDRINUSE"})
async def reuse_address_is_no_hijacking(t: Trial) -> object:
    """Nobody takes the address of a server that serves, with reuse_address=True either.

    portable: SO_REUSEADDR on Windows would let the second one take the first one's place
    """
    server, address = await t.serve(reuse_address=True)
    seen = {}
    for name, more in (("default", {}), ("reuse_address=True", {"reuse_address": True})):
        outcome = await t.outcome_of(t.loop.create_server(Recorder, *address, **more))
        seen[name] = outcome.get("errno") if isinstance(outcome, dict) else "two listen"
    server.close()
    return seen


@area.check(expect=b"hello")
async def reuse_rebind_time_wait(t: Trial) -> object:
    """A server can be started again on its address while old connections are in TIME_WAIT.

    portable: needs SO_REUSEADDR on Unix, and must not have it on Windows
    """
    server, address = await t.serve(Hello)
    client = await t.dial(address)
    await t.receive_all(client)  # the server has closed first: TIME_WAIT is on its side
    client.close()
    server.close()
    await server.wait_closed()
    again = await t.loop.create_server(Hello, *address)
    seen = await greet(t, address)
    again.close()
    return seen


@area.check(expect=True, needs=("posix",))
async def reuse_address_default_posix(t: Trial) -> object:
    """On Unix SO_REUSEADDR is set unless it is asked not to be.

    spec: docs, loop.create_server: reuse_address
    """
    server, _ = await t.serve()
    option = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    server.close()
    return bool(option)


@area.check(expect=False)
async def reuse_address_false(t: Trial) -> object:
    """reuse_address=False leaves SO_REUSEADDR unset.

    spec: docs, loop.create_server: reuse_address
    """
    server, _ = await t.serve(reuse_address=False)
    option = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    server.close()
    return bool(option)


@area.check(expect={"both": True, "answer": b"hello"}, needs=("reuse_port",))
async def reuse_port_two_processes(t: Trial) -> object:
    """With reuse_port=True a second server, of another process too, can share the address.

    spec: docs, loop.create_server: reuse_port
    """
    server, address = await t.serve(Hello, reuse_port=True)
    child = t.spawn_python(
        f"""
        import asyncio
        loop = new_loop()
        make = loop.create_server(asyncio.Protocol, "127.0.0.1", {address[1]}, reuse_port=True)
        server = loop.run_until_complete(make)
        print(server.sockets[0].getsockname()[1], flush=True)
        server.close()
        loop.close()
        """
    )
    assert child.stdout is not None
    line = await t.loop.run_in_executor(None, child.stdout.readline)
    await t.loop.run_in_executor(None, child.wait)
    seen = {"both": line.strip() == str(address[1]).encode(), "answer": await greet(t, address)}
    server.close()
    return seen


@area.check(expect=_value_error("reuse_port not supported by socket module"))
async def reuse_port_missing(t: Trial) -> object:
    """reuse_port=True is refused where Python's socket module has no SO_REUSEPORT.

    text: CPython Lib/asyncio/base_events.py, _set_reuseport
    """
    names = vars(socket)
    option = names.pop("SO_REUSEPORT", None)
    try:
        return await t.outcome_of(t.loop.create_server(Recorder, "127.0.0.1", 0, reuse_port=True))
    finally:
        if option is not None:
            names["SO_REUSEPORT"] = option


@area.check(expect={"keep_alive=True": True, "default": False}, since=(3, 13))
async def keep_alive_kwarg(t: Trial) -> object:
    """keep_alive=True sets SO_KEEPALIVE.

    spec: docs, loop.create_server: keep_alive (3.13)
    """
    seen = {}
    for name, asked in (("keep_alive=True", True), ("default", None)):
        server, _ = await t.serve(keep_alive=asked)
        option = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        seen[name] = bool(option)
        server.close()
    return seen


@area.check(expect=True, needs=("ipv6",))
async def dual_stack_v6only(t: Trial) -> object:
    """A server on an IPv6 address listens on IPv6 alone.

    spec: CPython Lib/asyncio/base_events.py, create_server sets IPV6_V6ONLY
    """
    server = await t.loop.create_server(Recorder, "::1", 0)
    option = server.sockets[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    server.close()
    return bool(option)


@area.check(expect={"the same twice": 1, "two": 2, "addresses": ["127.0.0.1", "127.0.0.2"]})
async def hosts_list_dedup(t: Trial) -> object:
    """A list of hosts gives one socket for each different address.

    spec: docs, loop.create_server: host can be a sequence; "If a host appears multiple times ...
    the server is only bound once to that host"
    """
    one = await t.loop.create_server(Recorder, ["127.0.0.1", "127.0.0.1"], 0)
    two = await t.loop.create_server(Recorder, ["127.0.0.1", "127.0.0.2"], 0)
    seen = {
        "the same twice": len(one.sockets),
        "two": len(two.sockets),
        "addresses": sorted(sock.getsockname()[0] for sock in two.sockets),
    }
    one.close()
    two.close()
    return seen


@area.check(
    expect={
        "one of two": ["127.0.0.1"],
        "none": {
            "type": "OSError",
            "text": "could not bind on any address out of [('192.0.2.1', 0)]",
        },
    },
    since=(3, 13),
)
async def addr_not_available_skipped(t: Trial) -> object:
    """An address that this machine does not have is skipped; if there is no other, that is an
    error.

    text: CPython gh-75007 (3.13), create_server
    """
    server = await t.loop.create_server(Recorder, ["127.0.0.1", "192.0.2.1"], 0)
    seen = {"one of two": [sock.getsockname()[0] for sock in server.sockets]}
    server.close()
    seen["none"] = await t.outcome_of(t.loop.create_server(Recorder, "192.0.2.1", 0))
    return seen


@area.check(expect={"all interfaces": True})
async def empty_host_is_everywhere(t: Trial) -> object:
    """host='' and host=None listen on all interfaces.

    spec: docs, loop.create_server: host
    """
    seen = True
    for host in ("", None):
        server = await t.loop.create_server(Recorder, host, 0)
        names = {sock.getsockname()[0] for sock in server.sockets}
        seen = seen and bool(names) and names <= {"0.0.0.0", "::"}
        server.close()
    return {"all interfaces": seen}


@area.check(expect={"type": "OverflowError", "text": "bind(): port must be 0-65535."})
async def port_out_of_range(t: Trial) -> object:
    """A port that does not exist is an OverflowError.

    text: CPython socket.bind, through create_server
    """
    return await t.outcome_of(t.loop.create_server(Recorder, "127.0.0.1", 65536))


@area.check(expect={"used": True, "non-blocking": 0.0, "answer": b"hello", "closed": -1})
async def server_on_a_given_socket(t: Trial) -> object:
    """create_server(sock=) listens on that socket and closes it with the server.

    spec: docs, loop.create_server: sock
    """
    sock = t.closing(socket.socket())
    sock.bind(("127.0.0.1", 0))
    server = await t.loop.create_server(Hello, sock=sock)
    seen = {
        "used": server.sockets[0].fileno() == sock.fileno(),
        "non-blocking": sock.gettimeout(),
        "answer": await greet(t, sock.getsockname()),
    }
    server.close()
    await server.wait_closed()
    await t.turns()
    return {**seen, "closed": sock.fileno()}


@area.check(
    expect={
        "nothing": _value_error("Neither host/port nor sock were specified"),
        "host and sock": _value_error("host/port and sock can not be specified at the same time"),
        "a datagram socket": "ValueError: A Stream Socket was expected, got <...>",
        "ssl_handshake_timeout alone": _value_error(
            "ssl_handshake_timeout is only meaningful with ssl"
        ),
        "ssl_shutdown_timeout alone": _value_error(
            "ssl_shutdown_timeout is only meaningful with ssl"
        ),
    }
)
async def create_server_arg_errors(t: Trial) -> object:
    """Arguments of create_server() that do not go together are refused.

    text: CPython Lib/asyncio/base_events.py, create_server
    """
    sock = t.closing(socket.socket())
    datagram = t.udp_socket()

    def serve(*args: object, **kwargs: object) -> Any:
        return t.outcome_of(t.loop.create_server(Recorder, *args, **kwargs))

    return {
        "nothing": await serve(),
        "host and sock": await serve("127.0.0.1", 0, sock=sock),
        "a datagram socket": text(await serve(sock=datagram)),
        "ssl_handshake_timeout alone": await serve("127.0.0.1", 0, ssl_handshake_timeout=1),
        "ssl_shutdown_timeout alone": await serve("127.0.0.1", 0, ssl_shutdown_timeout=1),
    }


@area.check(expect={"type": "TypeError", "text": "ssl argument must be an SSLContext or None"})
async def ssl_bool_rejected(t: Trial) -> object:
    """ssl=True is refused: a server needs a certificate.

    text: CPython Lib/asyncio/base_events.py, create_server
    """
    return await t.outcome_of(t.loop.create_server(Recorder, "127.0.0.1", 0, ssl=True))


@area.check(expect={"descriptors left": 0}, needs=("descriptors",))
async def failed_create_server_leaves_nothing(t: Trial) -> object:
    """A create_server() that fails closes the sockets that it had already bound.

    spec: CPython Lib/asyncio/base_events.py, create_server: "if not completed: sock.close()"
    """
    busy = t.listen()

    async def fail() -> None:
        outcome = await t.outcome_of(
            t.loop.create_server(Recorder, ["127.0.0.2", "127.0.0.1"], busy.getsockname()[1])
        )
        assert isinstance(outcome, dict)

    await fail()  # what a loop opens once and keeps is no leak
    before = open_descriptors()
    await fail()
    return {"descriptors left": open_descriptors() - before}
