# SPDX-License-Identifier: MIT
"""Other threads at a running loop: what they may ask, hand over and drop, and what is refused.

Written for CPython without a GIL under the thread sanitizer (`make freethreading-test`), where each
of these would be a race if the loop did not belong to one thread; it holds with a GIL too.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import evenloop
import pytest

LIMIT = 120.0  # seconds after which a thread has hung
HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
REFUSAL = "Non-thread-safe operation invoked on an event loop other than the current one"


class Loop:
    """A loop that runs in a thread of its own."""

    def __enter__(self) -> Any:
        self.loop = evenloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self.loop

    def __exit__(self, *exc_info: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(LIMIT)
        assert not self.thread.is_alive(), "the loop hangs"
        self.loop.close()


def submit(loop: Any, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(LIMIT)


def together(*functions: Callable[[], None]) -> None:
    """Each function in a thread of its own, all begun together; the first failure is raised."""
    barrier = threading.Barrier(len(functions))
    failures: list[BaseException] = []

    def work(function: Callable[[], None]) -> None:
        try:
            barrier.wait(LIMIT)
            function()
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(f,), daemon=True) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_getters_answer_in_every_thread_while_the_loop_works():
    with Loop() as loop:

        async def connect() -> Any:
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            return server, *await asyncio.open_connection(*server.sockets[0].getsockname())

        server, reader, writer = submit(loop, connect())
        transport = writer.transport

        async def talk() -> None:
            for _ in range(200):
                writer.write(b"x" * 100)
                assert await reader.readexactly(100)

        def look() -> None:
            for _ in range(300):
                assert loop.is_running() and not loop.is_closed()
                assert loop.time() > 0 and loop.get_debug() in (False, True)
                assert "running=True" in repr(loop)
                assert repr(transport).startswith("<StreamTransport fd=") or HAS_GIL
                assert not transport.is_closing() and transport.is_reading()
                assert transport.get_extra_info("peername")[0] == "127.0.0.1"
                assert transport.get_extra_info("socket").fileno() > 0

        talking = asyncio.run_coroutine_threadsafe(talk(), loop)
        together(look, look, look)
        talking.result(LIMIT)

        async def end() -> None:
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()

        submit(loop, end())


def test_every_call_from_every_thread_runs_or_is_cancelled():
    rounds = 1500
    with Loop() as loop:
        counter = itertools.count()
        done = threading.Semaphore(0)

        def count() -> None:
            next(counter)
            done.release()

        def schedule() -> None:
            for number in range(rounds):
                loop.call_soon_threadsafe(count)
                loop.call_soon(count)
                loop.call_later(0.0001 * (number % 7), count)
                loop.call_later(3600, print).cancel()
                loop.call_soon_threadsafe(int).cancel()
                handle = loop.call_soon(int)
                assert repr(handle)
                handle.cancel()
                assert handle.cancelled()

        # call_soon and call_later wake a loop that waits; asyncio's own contract asks for no more
        together(schedule, schedule, schedule)
        for _ in range(3 * 3 * rounds):
            assert done.acquire(timeout=LIMIT), "a call got lost"
        assert next(counter) == 3 * 3 * rounds


def test_threads_cancel_what_the_loop_is_about_to_run():
    with Loop() as loop:
        handles: list[Any] = []
        ready = threading.Barrier(3)
        ran: list[int] = []

        def fill() -> None:
            for round_number in range(60):
                handles[:] = [
                    loop.call_soon_threadsafe(ran.append, number) for number in range(50)
                ] + [loop.call_later(0.0001, ran.append, round_number) for _ in range(20)]
                ready.wait(LIMIT)
                ready.wait(LIMIT)

        def cancel(order: int) -> None:
            for _ in range(60):
                ready.wait(LIMIT)
                for handle in list(handles)[::order]:
                    handle.cancel()
                    assert handle.cancelled()
                ready.wait(LIMIT)

        together(fill, lambda: cancel(1), lambda: cancel(-1))


def test_loops_that_close_while_others_post_lose_no_call_silently():
    for _ in range(25):
        loop = evenloop.new_event_loop()
        begun = threading.Barrier(4)
        accepted = itertools.count()

        def post(loop: Any = loop, begun: Any = begun, accepted: Any = accepted) -> None:
            begun.wait(LIMIT)
            with pytest.raises(RuntimeError, match="Event loop is closed"):
                while True:
                    loop.call_soon_threadsafe(int)
                    next(accepted)

        def close(loop: Any = loop, begun: Any = begun) -> None:
            begun.wait(LIMIT)
            loop.run_until_complete(asyncio.sleep(0.001))
            loop.close()

        together(post, post, post, close)


@pytest.mark.filterwarnings("ignore:.*never awaited")  # the refused sock_recv
@pytest.mark.skipif(HAS_GIL, reason="tests/platforms.md: unordered-calls-with-a-gil")
def test_what_no_other_thread_may_do_is_refused_before_anything_is_touched():
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with Loop() as loop:
        transport, _ = submit(loop, loop.create_connection(asyncio.Protocol, sock=ours))
        calls = [
            lambda: transport.write(b"x"),
            lambda: transport.pause_reading(),
            lambda: transport.set_write_buffer_limits(1),
            lambda: transport.write_eof(),
            lambda: transport.get_write_buffer_size(),
            lambda: transport.set_protocol(asyncio.Protocol()),
            lambda: loop.add_reader(peer, print),
            lambda: loop.remove_reader(peer),
            lambda: loop.sock_recv(peer, 1).send(None),
            lambda: loop._signal_fd(),
        ]

        def try_all() -> None:
            for _ in range(100):
                for call in calls:
                    with pytest.raises(RuntimeError, match=REFUSAL):
                        call()

        together(try_all, try_all, try_all)
        transport.close()  # this one is handed over
        assert peer.recv(1) == b""
    peer.close()


def test_what_threads_drop_is_ended_by_the_loop():
    """Handles, operations and connections whose last reference goes in another thread."""
    with Loop() as loop:

        async def make() -> list[Any]:
            ours, peer = socket.socketpair()
            ours.setblocking(False)
            peer.setblocking(False)
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            operation = loop.sock_recv(peer, 1)
            operation.send(None)
            return [transport, operation, loop.call_later(3600, print), peer]

        def drop() -> None:
            for _ in range(40):
                transport, operation, timer, peer = submit(loop, make())
                timer.cancel()
                transport.close()
                del operation, transport, timer
                submit(loop, asyncio.sleep(0))
                peer.close()

        together(drop, drop, drop)
        submit(loop, asyncio.sleep(0))


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="tests/platforms.md: cancelling-elsewhere-before-3.14"
)
def test_a_callback_that_is_cancelled_elsewhere_has_ended_when_cancel_returns():
    with Loop() as loop:
        inside = threading.Event()
        busy = [False]

        def callback() -> None:
            busy[0] = True
            inside.set()
            for _ in range(2000):
                pass
            busy[0] = False

        for _ in range(200):
            inside.clear()
            handle = loop.call_soon_threadsafe(callback)
            inside.wait(LIMIT)

            def cancel(handle: Any = handle) -> None:
                handle.cancel()
                assert not busy[0] and handle.cancelled()

            together(cancel, cancel)
