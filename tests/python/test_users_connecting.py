# SPDX-License-Identifier: MIT
"""What users of other loops ran into with connecting, names, addresses, sockets and watchers."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import sys

import pytest
import support
from differences import UVLOOP, differs
from support import Recorder


def unused_port():
    """A port that nobody listens on, as long as the socket with it is open."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


@differs(
    from_=UVLOOP,
    what="the text of a refused connection",
    they="is that of the system: `Connection refused`",
    evenloop="names the address: `Connect call failed ('127.0.0.1', 1)`",
)
@pytest.mark.parametrize("way", ["create_connection", "open_connection"])
def test_refused_connection_names_the_address(loop, run, way):
    """C121: with ECONNREFUSED as its errno, on every system."""

    async def main():
        sock, port = unused_port()
        with sock, pytest.raises(ConnectionRefusedError) as caught:
            if way == "create_connection":
                await loop.create_connection(Recorder, "127.0.0.1", port)
            else:
                await asyncio.open_connection("127.0.0.1", port)
        assert caught.value.errno == errno.ECONNREFUSED
        assert str(caught.value) == (
            f"[Errno {errno.ECONNREFUSED}] Connect call failed ('127.0.0.1', {port})"
        )

    run(main())


@pytest.mark.parametrize("turns", range(5))
def test_cancelled_connect_of_a_given_socket_closes_it_once(loop, run, turns):
    """C122: a second close would hit whoever got the number next."""

    async def main():
        ours, peer = support.tcp_pair()
        number = ours.fileno()
        task = loop.create_task(loop.create_connection(Recorder, sock=ours))
        await support.drain_callbacks(turns)
        task.cancel()
        try:
            transport, protocol = await task
        except asyncio.CancelledError:
            pass
        else:
            transport.abort()
            await protocol.lost
        await support.drain_callbacks()
        ours.close()
        del task
        others = [support.tcp_pair() for _ in range(4)]
        if not support.WINDOWS:
            assert number in [sock.fileno() for pair in others for sock in pair]
        gc.collect()
        await support.drain_callbacks(5)
        for one, other in others:
            one.send(b"mine")
            assert await support.read_exactly(other, 4) == b"mine"
            one.close()
            other.close()
        peer.close()

    run(main())


LITERALS = [
    "127.0.0.1",
    "::1",
    "::",
    "0.0.0.0",
    "::ffff:127.0.0.1",
    "fe80::1%1",
    "127.1",
    "1",
    "",
    None,
    b"127.0.0.1",
    " 127.0.0.1",
    "::1%",
    "[::1]",
]


@pytest.mark.parametrize("host", LITERALS, ids=repr)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"type": socket.SOCK_STREAM},
        {"family": socket.AF_INET6, "type": socket.SOCK_DGRAM},
        {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP},
        {"flags": socket.AI_NUMERICHOST, "type": socket.SOCK_STREAM},
        {"flags": socket.AI_PASSIVE | socket.AI_NUMERICHOST},
        {"flags": socket.AI_CANONNAME | socket.AI_NUMERICHOST, "type": socket.SOCK_STREAM},
    ],
    ids=str,
)
def test_every_literal_resolves_as_the_socket_module_resolves_it(loop, run, host, options):
    """C124, C128, section 3a test_getaddrinfo_1: scopes, protocols, canonical names and errors."""

    def ask(resolve):
        try:
            return resolve()
        except (OSError, UnicodeError) as exc:
            return type(exc), exc.args

    expected = ask(lambda: socket.getaddrinfo(host, 80, **options))
    assert ask(lambda: run(loop.getaddrinfo(host, 80, **options))) == expected


def connect_to(address):
    """What sock_connect() of a datagram socket does: nobody has to be there."""

    async def connect(loop):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            return sock.getpeername()

    return support.same_as_asyncio(
        lambda loop: loop.run_until_complete(asyncio.wait_for(connect(loop), support.LIMIT))
    )


@differs(
    from_=UVLOOP,
    what="`sock_connect()` to an IPv6 address with a scope: `('fe80::1', 9, 0, 1)`",
    they="loses the scope",
    evenloop="keeps it",
)
def test_scope_of_an_ipv6_address_is_kept():
    """C124: the system answers as it answers the stock loop; without a scope it refuses."""
    connect_to(("fe80::1", 9, 0, 1))


@pytest.mark.parametrize("address", [("fe80::1%1", 9), ("::1", 9, 0, 0), ("::1", 9)])
def test_other_forms_of_ipv6_addresses_are_taken(address):
    """C124, C128: a scope in the text, none, and short tuples."""
    connect_to(address)


@pytest.mark.absent("unix-sockets-on-windows", "windows")
def test_abstract_unix_address_connects(loop, run):
    """C123: where the system has such addresses (Linux)."""

    async def main():
        path = f"\0evenloop-test-{os.getpid()}"
        try:
            server = await loop.create_unix_server(Recorder, path)
        except OSError:
            assert sys.platform != "linux"
            return
        transport, protocol = await loop.create_unix_connection(Recorder, path)
        assert transport.get_extra_info("peername") == path.encode()
        transport.close()
        await protocol.lost
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


@differs(
    from_=UVLOOP,
    what="`sock_recvfrom`, `sock_recvfrom_into`, `sock_sendto`",
    they="raise NotImplementedError",
    evenloop="work",
)
def test_datagram_coroutines_work(loop, run):
    """C125: a datagram there and back."""

    async def main():
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
        ):
            for sock in (one, two):
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            await loop.sock_sendto(one, b"there", two.getsockname())
            data, address = await loop.sock_recvfrom(two, 100)
            assert (data, address) == (b"there", one.getsockname())
            buffer = bytearray(8)
            await loop.sock_sendto(two, b"back", address)
            assert await loop.sock_recvfrom_into(one, buffer) == (4, two.getsockname())

    run(main())


@pytest.mark.parametrize(
    "ask",
    [
        lambda loop: loop.getnameinfo(("not a number", 80), 0),
        lambda loop: loop.getnameinfo(("127.0.0.1", 80), 0x7FFF),
        lambda loop: loop.getnameinfo(("192.0.2.1", 80), socket.NI_NAMEREQD),
        lambda loop: loop.getaddrinfo("127.0.0.1", 80, family=socket.AF_INET6),
        lambda loop: loop.getaddrinfo("127.0.0.1", "no service"),
        lambda loop: loop.getaddrinfo("127.0.0.1", 80, type=12345),
    ],
    ids=["name", "flags", "name required", "family", "service", "type"],
)
def test_resolver_errors_are_the_socket_modules(ask):
    """C127: gaierror with the system's EAI number and text, from getnameinfo too."""
    result = support.same_as_asyncio(lambda loop: loop.run_until_complete(ask(loop)))
    assert result[1] == "gaierror"


def test_resolver_errors_are_readable_in_any_locale(tmp_path):
    """C010: the text is text, whatever language the system speaks."""
    source = """
    import asyncio, locale, socket
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        pass
    loop = new_loop()
    try:
        loop.run_until_complete(loop.getaddrinfo("127.0.0.1", "no service"))
    except socket.gaierror as exc:
        print(type(exc.strerror).__name__, bool(str(exc)), exc.errno == exc.args[0])
    loop.close()
    """
    for name in ("C", "de_DE.ISO-8859-1", "ru_RU.KOI8-R", "zh_CN.GB18030", "nowhere"):
        env = support.child_environment(LC_ALL=name, LANG=name, PYTHONUTF8="0")
        process = support.run_child(tmp_path, source, env=env)
        assert process.stdout == "str True True\n", process.stderr


@differs(
    from_=UVLOOP,
    what="`loop.add_reader(fd, ...)` of a blocking descriptor",
    they="makes it non-blocking",
    evenloop="leaves it as it is",
)
@pytest.mark.parametrize("method", ["reader", "writer"])
def test_watching_leaves_a_blocking_socket_blocking(loop, run, method):
    """C129: a recv() by its owner still waits."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            ours.setblocking(True)
            getattr(loop, f"add_{method}")(ours, int)
            await support.drain_callbacks()
            getattr(loop, f"remove_{method}")(ours)
            assert ours.gettimeout() is None
            thread = loop.run_in_executor(None, ours.recv, 10)  # BlockingIOError if it is not
            await asyncio.sleep(0.01)
            assert not thread.done()
            peer.send(b"late")
            assert await thread == b"late"

    run(main())


def test_removed_writer_is_not_called_again(loop, run):
    """C130: from the moment of remove_writer(), though a copy of the socket stays writable."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            calls = []
            removed = loop.create_future()

            def writable():
                calls.append(True)
                loop.remove_writer(ours)
                ours.close()
                removed.set_result(None)

            with ours.dup():
                loop.add_writer(ours, writable)
                await removed
                assert await support.is_idle()
            assert calls == [True]

    run(main())


@pytest.mark.parametrize("method", ["reader", "writer"])
def test_watcher_of_a_socket_with_an_error_is_called_until_it_is_removed(loop, run, method):
    """C131: an error is news like any other, and does not end the watching."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours:
            support.reset(peer)
            calls = []
            done = loop.create_future()

            def ready():
                calls.append(True)
                if len(calls) == 3:
                    getattr(loop, f"remove_{method}")(ours)
                    done.set_result(None)

            getattr(loop, f"add_{method}")(ours, ready)
            await done
            await support.drain_callbacks()
            assert len(calls) == 3

    run(main())


def test_more_sockets_than_select_takes(loop, run):
    """C029: 600 at once, on every system; select() on Windows ends at 512."""

    async def main():
        sockets = []
        try:
            for _ in range(600):
                sock = socket.socket(type=socket.SOCK_DGRAM)
                sockets.append(sock)
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
            tasks = [loop.create_task(loop.sock_recv(sock, 10)) for sock in sockets]
            await support.drain_callbacks()
            with socket.socket(type=socket.SOCK_DGRAM) as sender:
                for number, sock in enumerate(sockets):
                    sender.sendto(b"%d" % number, sock.getsockname())
                    assert await tasks[number] == b"%d" % number
        finally:
            for sock in sockets:
                sock.close()

    run(main())
