# SPDX-License-Identifier: MIT
"""The surface: every method, argument, private name and extra info that the selector loop has.

The reference is the stock selector loop of the Python that runs the test, so the list is never
older than it. Contract points of other areas are in the test_contract_* files beside this one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import subprocess
import sys
import threading
from asyncio import base_events, base_subprocess, selector_events
from unittest import mock

import pytest
import support

REFERENCE = asyncio.SelectorEventLoop
PLAIN = (int, float, str, bytes, bool, type(None))


def parameters(function):
    """What a caller can pass, in a form that two functions can be compared by; without self."""
    shown = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        default = parameter.default
        if default is not inspect.Parameter.empty and not isinstance(default, PLAIN):
            default = repr(default)
        shown.append((parameter.name, parameter.kind.name, default))
    return shown


def public_methods(*classes):
    return sorted(
        {
            name
            for cls in classes
            for name in dir(cls)
            if not name.startswith("_") and inspect.isroutine(getattr(cls, name))
        }
    )


def loop_class():
    loop = support.new_loop()
    loop.close()
    return type(loop)


@pytest.mark.parametrize("name", public_methods(asyncio.AbstractEventLoop, REFERENCE))
def test_method_of_the_loop_takes_the_arguments_that_it_takes_in_asyncio(name):
    """Surface 1.1: every method of this Python's loop, with this Python's arguments."""
    assert parameters(getattr(loop_class(), name)) == parameters(getattr(REFERENCE, name))


@pytest.mark.parametrize("name", public_methods(asyncio.AbstractEventLoop, REFERENCE))
def test_method_of_the_loop_is_a_coroutine_function_where_it_is_one_in_asyncio(loop, name):
    """Surface 1.1: frameworks ask inspect, and unittest.mock does, whether to await a result."""
    expected = inspect.iscoroutinefunction(getattr(REFERENCE, name))
    assert inspect.iscoroutinefunction(getattr(type(loop), name)) is expected
    assert inspect.iscoroutinefunction(getattr(loop, name)) is expected
    with mock.patch.object(loop, name) as patched:
        assert isinstance(patched, mock.AsyncMock) is expected


SOCK_CALLS = [name for name in dir(REFERENCE) if name.startswith("sock_")]


@pytest.mark.parametrize("name", SOCK_CALLS)
def test_coroutine_method_in_c_looks_like_asyncios_function(loop, name):
    """Surface 1.1: what introspection asks of a function is this Python's answer."""
    ours, reference = getattr(loop, name), getattr(REFERENCE, name)
    assert inspect.ismethod(ours) and ours.__self__ is loop
    assert inspect.isroutine(getattr(type(loop), name))
    assert not inspect.isclass(ours.__func__) and callable(ours.__func__)
    for attribute in ("__name__", "__doc__", "__module__", "__defaults__", "__annotations__"):
        assert getattr(ours, attribute) == getattr(reference, attribute)
    assert not hasattr(ours, "nothing")


def test_coroutine_method_in_c_is_called_in_every_way(loop):
    """Surface 1.1: bound, of the class, by name, through super() and through partial()."""

    class Derived(type(loop)):
        async def sock_recv(self, sock, n):
            return b"<" + await super().sock_recv(sock, n) + b">"

    async def body():
        ours, peer = support.tcp_pair()
        with ours, peer:
            peer.sendall(b"abcde")
            derived = asyncio.get_running_loop()
            cls = type(loop)
            return [
                await derived.sock_recv(ours, 1),
                await cls.sock_recv(derived, ours, 1),
                await cls.sock_recv(derived, n=1, sock=ours),
                await functools.partial(cls.sock_recv, derived)(ours, n=1),
                await cls.sock_recv.__get__(derived)(ours, 1),
            ]

    derived = Derived()
    try:
        assert derived.run_until_complete(body()) == [b"<a>", b"b", b"c", b"d", b"e"]
    finally:
        derived.close()


KEYWORD_CALLS = {
    "call_soon": {"callback": print},
    "call_soon_threadsafe": {"callback": print},
    "call_later": {"delay": 60, "callback": print},
    "call_at": {"when": 1e9, "callback": print},
    "add_reader": {"fd": "SOCK", "callback": print},
    "add_writer": {"fd": "SOCK", "callback": print},
    "remove_reader": {"fd": "SOCK"},
    "remove_writer": {"fd": "SOCK"},
    "run_until_complete": {"future": "FUTURE"},
    "set_debug": {"enabled": False},
    "set_task_factory": {"factory": None},
    "set_exception_handler": {"handler": None},
}


@pytest.mark.parametrize("name", KEYWORD_CALLS)
def test_arguments_of_the_loop_can_be_given_by_name(loop, name):
    """Surface 1.1: methods in C take their arguments by name as those in Python do."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        future = loop.create_future()
        future.set_result(None)
        stand_in = {"SOCK": ours, "FUTURE": future}
        arguments = {
            key: stand_in.get(value, value) if isinstance(value, str) else value
            for key, value in KEYWORD_CALLS[name].items()
        }
        handle = getattr(loop, name)(**arguments)
        if isinstance(handle, asyncio.Handle):
            handle.cancel()
        loop.remove_reader(ours)
        loop.remove_writer(ours)


@pytest.mark.parametrize("name", KEYWORD_CALLS)
@pytest.mark.parametrize("how", ["twice", "unknown", "missing", "surplus"])
def test_wrong_arguments_by_name_are_refused_in_asyncios_words(name, how):
    """Surface 1.1: the errors of Python functions, from methods in C too."""

    def call(loop):
        names = KEYWORD_CALLS[name]
        if how == "twice":
            getattr(loop, name)(1, **{next(iter(names)): 2})
        elif how == "unknown":
            getattr(loop, name)(**dict.fromkeys(names, 1), nothing=1)
        elif how == "missing":
            getattr(loop, name)()
        elif "callback" in names:  # takes *args: nothing is too much
            getattr(loop, name)(1, 2, callback=print)
        else:
            getattr(loop, name)(1, 2)

    assert support.raised_by(call)[0] == "TypeError"


PRIVATE = [
    "_add_reader",
    "_add_writer",
    "_asyncgens",
    "_check_closed",
    "_clock_resolution",
    "_closed",
    "_debug",
    "_default_executor",
    "_make_datagram_transport",
    "_make_socket_transport",
    "_make_ssl_transport",
    "_ready",
    "_remove_reader",
    "_remove_writer",
    "_run_once",
    "_scheduled",
    "_selector",
    "_signal_handlers",
    "_stopping",
    "_thread_id",
    "_timer_handle_cancelled",
    "_transports",
    "slow_callback_duration",
]


@pytest.mark.parametrize("name", PRIVATE)
def test_private_name_of_the_loop_is_there_with_asyncios_type(loop, name):
    """Surface 1.1: what libraries, CPython's own code and its tests reach for."""
    reference = support.reference_loop()
    try:
        if not hasattr(reference, name):
            assert name == "_signal_handlers" and support.WINDOWS
            return
        expected = getattr(reference, name)
        ours = getattr(loop, name)
        assert callable(ours) == callable(expected)
        if isinstance(expected, PLAIN):
            assert isinstance(ours, type(expected))
        elif isinstance(expected, (dict, list)):
            assert list(ours) == list(expected) == []
    finally:
        reference.close()


@pytest.mark.since(3, 13)
@pytest.mark.parametrize("name", ["_run_forever_setup", "_run_forever_cleanup", "_run_once"])
def test_halves_of_run_forever_are_there_for_embedders(name):
    """Surface 1.1: gh-110771."""
    assert parameters(getattr(loop_class(), name)) == []


def test_running_loop_shows_its_thread_and_what_is_queued(loop):
    """Surface 1.1: _thread_id, _ready, _scheduled and _stopping say what they say in asyncio."""
    assert loop._thread_id is None
    handle = loop.call_soon(int)
    timer = loop.call_later(60, print)
    assert list(loop._ready) == [handle]
    assert list(loop._scheduled) == [timer]
    timer.cancel()

    async def main():
        assert loop._thread_id == threading.get_ident()
        assert not loop._stopping
        loop.stop()
        assert loop._stopping

    task = loop.create_task(main())
    loop.run_forever()
    assert task.done() and task.result() is None
    assert loop._thread_id is None


# -- transports ----------------------------------------------------------------------------------


def check_methods(ours, reference, names):
    for name in names:
        assert parameters(getattr(ours, name)) == parameters(getattr(reference, name)), name


STREAM_METHODS = public_methods(asyncio.Transport)


def test_stream_transport_takes_the_arguments_that_it_takes_in_asyncio(loop, run):
    """Surface 1.4: every public method, and the private ones that sslproto and sendfile call."""

    async def main():
        async with support.transport_and_socket() as (transport, protocol, _):
            reference = selector_events._SelectorSocketTransport
            private = ["_force_close", "_make_empty_waiter", "_reset_empty_waiter", "_fatal_error"]
            check_methods(type(transport), reference, STREAM_METHODS + private)
            assert isinstance(transport, asyncio.Transport)
            assert transport._start_tls_compatible is True
            assert transport._sendfile_compatible is reference._sendfile_compatible
            assert transport._protocol is protocol
            assert transport._protocol_paused is False
            assert transport._loop is loop

    run(main())


def test_arguments_of_a_stream_transport_can_be_given_by_name(loop, run):
    """Surface 1.4: write(data=...), set_protocol(protocol=...) and their kin."""

    async def main():
        async with support.transport_and_socket() as (transport, protocol, peer):
            transport.write(data=b"a")
            transport.writelines(list_of_data=[b"b", b"c"])
            transport.set_write_buffer_limits(high=4, low=2)
            transport.set_protocol(protocol=protocol)
            assert transport.get_extra_info(name="nothing", default="fallback") == "fallback"
            assert await support.read_exactly(peer, 3) == b"abc"
            for call, text in (
                (lambda: transport.write(), "write() missing 1 required positional argument"),
                (lambda: transport.write(b"", b""), "write() takes 2 positional arguments but 3"),
                (lambda: transport.write(text=b""), "write() got an unexpected keyword argument"),
                (lambda: transport.set_protocol(1, protocol=2), "got multiple values for argument"),
            ):
                with pytest.raises(TypeError) as caught:
                    call()
                assert text in str(caught.value)

    run(main())


def test_datagram_transport_takes_the_arguments_that_it_takes_in_asyncio(loop, run):
    """Surface 1.4: sendto and abort, and the flow control that asyncio mixes in."""

    async def main():
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        reference = selector_events._SelectorDatagramTransport
        names = [
            *public_methods(asyncio.DatagramTransport),
            "set_write_buffer_limits",
            "get_write_buffer_limits",
            "get_write_buffer_size",
            "_force_close",
            "_fatal_error",
        ]
        check_methods(type(transport), reference, names)
        assert isinstance(transport, asyncio.Transport)
        # asyncio says so of its own from 3.12 on.
        if sys.version_info >= (3, 12):
            assert isinstance(transport, asyncio.DatagramTransport)
        transport.close()
        await support.drain_callbacks()

    run(main())


def test_subprocess_transport_takes_the_arguments_that_it_takes_in_asyncio(loop, run):
    """Surface 1.4: the transport of a child, and contract point 48: it is asyncio's own base."""

    async def main():
        transport, _ = await loop.subprocess_exec(
            asyncio.SubprocessProtocol, sys.executable, "-c", "", stdin=None, stdout=None
        )
        reference = base_subprocess.BaseSubprocessTransport
        check_methods(type(transport), reference, public_methods(asyncio.SubprocessTransport))
        assert isinstance(transport, reference)
        await transport._wait()
        transport.close()

    run(main())


@pytest.mark.parametrize("name", ["Handle", "TimerHandle"])
def test_handle_takes_the_arguments_that_it_takes_in_asyncio(loop, name):
    """Surface 1.2."""
    reference = getattr(asyncio, name)
    handle = loop.call_soon(print) if name == "Handle" else loop.call_later(60, print)
    handle.cancel()
    check_methods(type(handle), reference, [*public_methods(reference), "_run"])
    assert isinstance(handle, reference)


def test_server_takes_the_arguments_that_it_takes_in_asyncio(loop, run):
    """Surface 1.3."""

    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        check_methods(type(server), base_events.Server, public_methods(base_events.Server))
        server.close()
        await server.wait_closed()

    run(main())


# -- extra info ----------------------------------------------------------------------------------


def test_extra_info_of_a_stream_survives_its_end(loop, run):
    """Surface 1.4: socket, sockname and peername; unknown names give the default."""

    async def main():
        async with support.transport_and_socket() as (transport, protocol, peer):
            sock = transport.get_extra_info("socket")
            assert isinstance(sock, asyncio.trsock.TransportSocket)
            before = [transport.get_extra_info(name) for name in ("sockname", "peername")]
            assert before == [peer.getpeername(), peer.getsockname()]
            assert transport.get_extra_info("unknown") is None
            assert transport.get_extra_info("unknown", 5) == 5
            transport.close()
            await protocol.lost
            await support.drain_callbacks()
            after = [transport.get_extra_info(name) for name in ("sockname", "peername")]
            assert after == before
            assert sock.fileno() == -1

    run(main())


def test_socket_of_extra_info_answers_what_asyncios_does(loop, run):
    """Surface 1.4: what a TransportSocket can be asked, and that it refuses to block."""

    async def main():
        async with support.transport_and_socket() as (transport, _, peer):
            sock = transport.get_extra_info("socket")
            assert (sock.family, sock.type) == (peer.family, peer.type)
            assert sock.proto in (0, socket.IPPROTO_TCP)
            assert sock.fileno() >= 0
            assert sock.getpeername() == peer.getsockname()
            assert sock.getsockname() == peer.getpeername()
            assert sock.get_inheritable() is False
            assert sock.gettimeout() == 0
            sock.settimeout(0)
            sock.setblocking(False)
            with pytest.raises(ValueError, match="only 0 timeout is allowed on transport sockets"):
                sock.settimeout(1)
            with pytest.raises(ValueError, match="cannot be blocking"):
                sock.setblocking(True)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            duplicate = sock.dup()
            assert duplicate.getsockname() == sock.getsockname()
            duplicate.close()
            names = {
                name for name in dir(asyncio.trsock.TransportSocket) if not name.startswith("__")
            }
            assert names <= set(dir(sock))
            sock.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(peer, 1) == b""

    run(main())


def test_subprocess_of_extra_info_is_the_popen_object(loop, run):
    """Surface 1.4: and the pipe transports tell the pipes that Popen made."""

    async def main():
        transport, _ = await loop.subprocess_exec(
            asyncio.SubprocessProtocol, sys.executable, "-c", "", stderr=None
        )
        popen = transport.get_extra_info("subprocess")
        assert isinstance(popen, subprocess.Popen)
        assert popen.pid == transport.get_pid()
        assert transport.get_pipe_transport(0).get_extra_info("pipe") is popen.stdin
        assert transport.get_pipe_transport(1).get_extra_info("pipe") is popen.stdout
        assert transport.get_pipe_transport(2) is None
        await transport._wait()
        transport.close()
        await support.drain_callbacks()

    run(main())
