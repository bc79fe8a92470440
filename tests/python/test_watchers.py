# SPDX-License-Identifier: MIT
"""add_reader and add_writer on sockets: the same on every system."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import support
from differences import PROACTOR, SELECTOR, UVLOOP, differs


@pytest.fixture
def pair():
    ours, peer = support.tcp_pair()
    with ours, peer:
        yield ours, peer


@differs(
    from_=PROACTOR,
    what="`add_reader`, `remove_reader`",
    they="raises NotImplementedError",
    evenloop="watches any socket",
)
def test_reader_is_called_while_data_waits(loop, run, pair):
    """Contract row D1."""
    ours, peer = pair

    async def main():
        calls = []
        done = loop.create_future()

        def readable(*args):
            calls.append(args)
            if len(calls) == 3:  # level triggered: nothing was read yet
                done.set_result(None)
                loop.remove_reader(ours)

        loop.add_reader(ours, readable, 1, "two")
        await support.drain_callbacks()
        assert calls == []
        peer.send(b"x")
        await done
        assert calls == [(1, "two")] * 3
        await support.drain_callbacks(5)
        assert len(calls) == 3

    run(main())


@pytest.mark.parametrize("as_number", [False, True])
def test_socket_and_its_number_mean_the_same(loop, run, pair, as_number):
    ours, peer = pair

    async def main():
        done = loop.create_future()
        loop.add_reader(
            ours.fileno() if as_number else ours, lambda: done.done() or done.set_result(1)
        )
        peer.send(b"x")
        await done
        assert loop.remove_reader(ours if as_number else ours.fileno()) is True

    run(main())


@differs(
    from_=PROACTOR,
    what="`add_writer`, `remove_writer`",
    they="raises NotImplementedError",
    evenloop="watches any socket",
)
def test_writer_is_called_while_there_is_room(loop, run, pair):
    ours, _ = pair

    async def main():
        done = loop.create_future()
        loop.add_writer(ours, lambda: done.done() or done.set_result(None))
        await done
        assert loop.remove_writer(ours) is True

    run(main())


@differs(
    from_=UVLOOP,
    what="`remove_reader`, `remove_writer`",
    they="return None",
    evenloop="tell whether there was one",
)
def test_removing_tells_whether_there_was_one(loop, pair):
    ours, _ = pair
    assert loop.remove_reader(ours) is False
    assert loop.remove_writer(ours) is False
    loop.add_reader(ours, print)
    loop.add_writer(ours, print)
    assert loop.remove_reader(ours) is True
    assert loop.remove_reader(ours) is False
    assert loop.remove_writer(ours) is True
    assert loop.remove_writer(ours) is False


def test_second_reader_replaces_the_first(loop, run, pair):
    ours, peer = pair

    async def main():
        first = []
        done = loop.create_future()
        handle = loop._add_reader(ours, first.append, 1)
        loop.add_reader(ours, lambda: done.done() or done.set_result(None))
        assert handle.cancelled()
        peer.send(b"x")
        await done
        assert first == []
        loop.remove_reader(ours)

    run(main())


def test_handle_of_a_watcher_is_asyncios(loop, pair):
    """add_reader gives nothing back; child watchers and libraries use _add_reader's handle."""
    ours, _ = pair
    for method, remove in (("reader", loop._remove_reader), ("writer", loop._remove_writer)):
        assert getattr(loop, f"add_{method}")(ours, print) is None
        handle = getattr(loop, f"_add_{method}")(ours, print)
        assert isinstance(handle, asyncio.Handle)
        assert remove(ours) is True
        assert handle.cancelled()


def test_reader_and_writer_of_one_socket_are_independent(loop, run, pair):
    ours, peer = pair

    async def main():
        read, written = loop.create_future(), loop.create_future()
        loop.add_reader(ours, lambda: read.done() or read.set_result(None))
        loop.add_writer(ours, lambda: written.done() or written.set_result(None))
        await written
        loop.remove_writer(ours)
        assert not read.done()
        peer.send(b"x")
        await read
        loop.remove_reader(ours)

    run(main())


def test_reader_sees_end_of_file(loop, run, pair):
    ours, peer = pair

    async def main():
        done = loop.create_future()

        def readable():
            loop.remove_reader(ours)
            done.set_result(ours.recv(10))

        loop.add_reader(ours, readable)
        peer.shutdown(socket.SHUT_WR)
        assert await done == b""

    run(main())


def test_listener_becomes_readable(loop, run):
    async def main():
        with support.listening() as (listener, address):
            done = loop.create_future()
            loop.add_reader(listener, lambda: done.done() or done.set_result(None))
            with socket.create_connection(address):
                await done
            loop.remove_reader(listener)

    run(main())


def test_udp_socket_can_be_watched(loop, run):
    async def main():
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as two,
        ):
            one.bind(("127.0.0.1", 0))
            done = loop.create_future()

            def readable():
                loop.remove_reader(one)
                done.set_result(one.recv(100))

            loop.add_reader(one, readable)
            two.sendto(b"datagram", one.getsockname())
            assert await done == b"datagram"

    run(main())


def test_watching_does_not_change_the_sockets_blocking_mode(loop):
    ours, peer = support.tcp_pair()
    with ours, peer:
        for timeout in (None, 5.0, 0.0):
            ours.settimeout(timeout)
            loop.add_reader(ours, print)
            loop.add_writer(ours, print)
            assert ours.gettimeout() == timeout
            loop.remove_reader(ours)
            loop.remove_writer(ours)
            assert ours.gettimeout() == timeout


@differs(
    from_=UVLOOP,
    what="`add_reader` on a blocking socket",
    they="makes it non-blocking behind its back",
    evenloop="leaves it as it is",
)
def test_blocking_socket_stays_blocking_in_the_kernel(loop):
    ours, peer = support.tcp_pair()
    with ours, peer:
        ours.setblocking(True)
        loop.add_reader(ours, print)
        loop.run_until_complete(support.drain_callbacks())
        loop.remove_reader(ours)
        if hasattr(socket, "MSG_DONTWAIT"):
            import os

            assert os.get_blocking(ours.fileno())


def test_removed_reader_is_not_called_even_if_it_was_ready(loop, run):
    """Both are ready in one poll; the first removes the second."""
    one, one_peer = support.tcp_pair()
    two, two_peer = support.tcp_pair()
    with one, one_peer, two, two_peer:

        async def main():
            called = []

            def readable(name):
                called.append(name)
                loop.remove_reader(one)
                loop.remove_reader(two)

            one_peer.send(b"x")
            two_peer.send(b"x")
            loop.add_reader(one, readable, "one")
            loop.add_reader(two, readable, "two")
            while not called:
                await asyncio.sleep(0)
            await support.drain_callbacks(5)
            assert len(called) == 1

        run(main())


def test_reader_may_close_its_socket(loop, run):
    async def main():
        ours, peer = support.tcp_pair()
        done = loop.create_future()

        def readable():
            loop.remove_reader(ours)
            ours.close()
            done.set_result(None)

        loop.add_reader(ours, readable)
        peer.close()
        await done
        await asyncio.sleep(0.01)

    run(main())


def test_number_can_be_used_again_after_close(loop, run):
    """Contract row D79."""

    async def main():
        for _ in range(50):
            ours, peer = support.tcp_pair()
            done = loop.create_future()
            loop.add_reader(ours, lambda done=done: done.done() or done.set_result(None))
            peer.send(b"x")
            await done
            loop.remove_reader(ours)
            ours.close()
            peer.close()

    run(main())


def test_reader_that_raises_is_reported_and_stays(loop, run, pair, errors):
    ours, peer = pair

    async def main():
        calls = []
        done = loop.create_future()

        def readable():
            calls.append(True)
            if len(calls) == 2:
                done.set_result(None)
                loop.remove_reader(ours)
            raise ZeroDivisionError

        loop.add_reader(ours, readable)
        peer.send(b"x")
        await done
        await support.drain_callbacks()
        assert [type(context["exception"]) for context in errors] == [ZeroDivisionError] * 2
        assert set(errors[0]) == {"message", "exception", "handle"}
        errors.clear()

    run(main())


class NotAFile:
    def fileno(self):
        raise ValueError("no file here")

    def __repr__(self):
        return "<NotAFile>"


@pytest.mark.parametrize("target", [-1, "text", None, 1.5, NotAFile(), object], ids=repr)
@pytest.mark.parametrize("method", ["add_reader", "add_writer", "remove_reader", "remove_writer"])
def test_wrong_targets_give_asyncios_error(target, method):
    """Contract row D28."""
    arguments = (print,) if method.startswith("add") else ()

    def use(loop):
        return getattr(loop, method)(target, *arguments)

    support.same_as_asyncio(use)


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_closed_socket_is_refused(method):
    def use(loop):
        sock = socket.socket()
        sock.close()
        try:
            getattr(loop, method)(sock, print)
        except ValueError as exc:
            raise ValueError(str(exc).replace(repr(sock), "SOCK")) from None

    assert support.same_as_asyncio(use)[1] == "ValueError"


def test_use_after_close_of_the_loop_is_refused():
    ours, peer = support.tcp_pair()
    with ours, peer:

        def use(loop):
            loop.close()
            loop.add_reader(ours, print)

        assert support.raised_by(use) == ("RuntimeError", "Event loop is closed")


def test_loop_can_be_closed_with_watchers(loop_factory):
    ours, peer = support.tcp_pair()
    with ours, peer:
        loop = loop_factory()
        loop.add_reader(ours, print)
        loop.add_writer(ours, print)
        loop.close()
        peer.send(b"x")
        ours.setblocking(True)
        assert ours.recv(1) == b"x"  # the socket is the caller's, open and usable


def test_two_loops_can_watch_one_socket_in_turn(loop_factory):
    """Contract row D48."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        for number in range(2):
            loop = loop_factory()
            peer.send(b"x")
            assert loop.run_until_complete(asyncio.wait_for(loop.sock_recv(ours, 1), 10)) == b"x"
            loop.add_reader(ours, loop.stop)
            peer.send(b"y")
            loop.run_forever()
            assert ours.recv(1) == b"y"
            loop.remove_reader(ours)
            loop.close()


def test_debug_rejects_what_cannot_be_called():
    ours, peer = support.tcp_pair()
    with ours, peer:

        def use(loop):
            loop.set_debug(True)
            loop.add_reader(ours, None)

        support.same_as_asyncio(use)


@differs(
    from_=SELECTOR,
    what="`add_reader`, `add_writer` with what is no socket",
    they="is accepted, and the loop's next poll fails with WinError 10038",
    evenloop="raises PermissionError at once, as on Linux for a regular file",
)
@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_what_cannot_be_watched_is_refused_at_once(loop, run, tmp_path, method):
    """D1, D28: PermissionError, and the loop goes on; for a bad descriptor EBADF."""
    with open(tmp_path / "file", "w+b") as file:
        for fileobj in (file, file.fileno()):
            with pytest.raises(PermissionError):
                getattr(loop, method)(fileobj, print)
    with pytest.raises(OSError) as caught:
        getattr(loop, method)(987_654, print)
    assert caught.value.errno == 9
    assert loop.remove_reader(987_654) is False
    run(asyncio.sleep(0))


@pytest.mark.absent("readers-of-pipes-on-unix", "posix")
@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_pipes_and_devices_cannot_be_watched_on_windows(loop, run, method):
    """D1: one error for every kind: descriptors, handles, devices."""
    from asyncio import windows_utils

    ends = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    handles = [windows_utils.PipeHandle(handle) for handle in windows_utils.pipe()]
    try:
        for bad in (*ends, null, *handles):
            with pytest.raises(PermissionError):
                getattr(loop, method)(bad, print)
        run(asyncio.sleep(0))
    finally:
        for fd in (*ends, null):
            os.close(fd)
        for handle in handles:
            handle.close()


@pytest.mark.absent("readers-of-pipes", "windows")
def test_pipes_can_be_watched(loop, run):
    """D1."""
    reading, writing = os.pipe()

    async def main():
        readable, writable = loop.create_future(), loop.create_future()
        loop.add_reader(reading, lambda: readable.done() or readable.set_result(None))
        loop.add_writer(writing, lambda: writable.done() or writable.set_result(None))
        await writable
        loop.remove_writer(writing)
        os.write(writing, b"x")
        await readable
        loop.remove_reader(reading)

    run(main())
    os.close(reading)
    os.close(writing)
