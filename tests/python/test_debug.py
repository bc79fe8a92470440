# SPDX-License-Identifier: MIT
"""Debug mode: slow callbacks, wrong threads, what cannot be called, and where it comes from."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import socket
import sys
import threading
import time

import pytest
import support


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def coroutine_function():
    pass


def test_debug_is_off_unless_asked_for(loop):
    assert loop.get_debug() is False
    assert loop.slow_callback_duration == 0.1
    loop.set_debug(True)
    assert loop.get_debug() is True
    assert "debug=True" in repr(loop)
    loop.set_debug(False)


def test_environment_turns_debug_on(tmp_path):
    source = "loop = new_loop()\nprint(loop.get_debug())\nloop.close()\n"
    for variable in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE"):
        process = support.run_child(
            tmp_path, source, env=support.child_environment(**{variable: "1"})
        )
        assert process.stdout == "True\n", process.stderr


def test_slow_callback_is_logged_with_its_handle(loop, caplog):
    """C202: in asyncio's words. Contract point 11."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.call_soon(spin, 0.02)
        loop.call_soon(loop.stop)
        loop.run_forever()
    # On a busy machine loop.stop may be slow as well, and spin slower than it wanted to be.
    texts = [record.getMessage() for record in caplog.records]
    (text,) = [text for text in texts if "spin" in text]
    assert text.startswith("Executing <Handle spin(0.02) at ")
    said = re.search(r" took (\d+\.\d{3}) seconds$", text)
    assert said is not None
    assert float(said[1]) >= 0.02


def test_slow_timer_and_reader_are_logged(loop, run, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    ours, peer = support.tcp_pair()

    async def main():
        done = loop.create_future()

        def slow():
            loop.remove_reader(ours)
            spin(0.02)
            loop.call_later(0, slow_timer)

        def slow_timer():
            spin(0.02)
            done.set_result(None)

        loop.add_reader(ours, slow)
        peer.send(b"x")
        await done

    with ours, peer, caplog.at_level(logging.WARNING, "asyncio"):
        run(main())
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "Executing <Handle " in text and "slow()" in text]) == 1
    assert len([text for text in texts if "Executing <TimerHandle " in text]) == 1


def test_slow_task_step_is_logged_with_its_task(loop, run, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01

    async def slow():
        spin(0.02)

    async def main():
        await asyncio.create_task(slow(), name="the slow one")

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main())
    assert any(
        "Executing <Task " in record.getMessage() and "the slow one" in record.getMessage()
        for record in caplog.records
    )


def test_fast_callbacks_are_not_logged(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 5
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(100):
            loop.call_soon(int)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert caplog.records == []


def test_duration_is_looked_up_each_time(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 10
    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.call_soon(spin, 0.02)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert caplog.records == []


NOT_CALLABLE = {
    "number": lambda: 5,
    "text": lambda: "text",
    "None": lambda: None,
    "coroutine function": lambda: coroutine_function,
    "coroutine": coroutine_function,
}


@pytest.mark.parametrize("kind", NOT_CALLABLE)
@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
@pytest.mark.parametrize("debug", [True])
def test_debug_rejects_what_cannot_be_called_back(kind, method, debug):
    """Contract point 11."""
    target = NOT_CALLABLE[kind]()

    def use(loop):
        loop.set_debug(debug)
        first = (1,) if method in ("call_later", "call_at") else ()
        getattr(loop, method)(*first, target)

    try:
        name, _ = support.raised_by(use)
    finally:
        if asyncio.iscoroutine(target):
            target.close()
    assert name == "TypeError"


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_debug_rejects_other_threads(method):
    """Contract point 11."""
    text = "Non-thread-safe operation invoked on an event loop other than the current one"

    def use(loop):
        loop.set_debug(True)

        async def main():
            first = (1,) if method in ("call_later", "call_at") else ()
            await asyncio.to_thread(getattr(loop, method), *first, print)

        loop.run_until_complete(main())

    assert support.raised_by(use) == ("RuntimeError", text)


def test_without_debug_other_threads_are_not_checked(loop, run):
    """Contract point 11."""

    async def main():
        done = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon(done.set_result, None))
        thread.start()
        thread.join()
        await done

    run(main())


def test_call_soon_threadsafe_is_fine_in_debug(loop, run):
    loop.set_debug(True)

    async def main():
        done = loop.create_future()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(done.set_result, 1))
        thread.start()
        assert await done == 1
        thread.join()

    run(main())


def test_debug_tracks_where_coroutines_come_from(loop):
    """Contract point 11."""
    loop.set_debug(True)
    depths = []
    loop.call_soon(lambda: depths.append(sys.get_coroutine_origin_tracking_depth()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert depths[0] > 0
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_never_awaited_coroutine_tells_its_origin(loop, run):
    loop.set_debug(True)

    async def main():
        coroutine_function()

    with pytest.warns(RuntimeWarning, match="was never awaited") as caught:
        run(main())
        gc.collect()
    assert "Coroutine created at" in str(caught[0].message)


def test_debug_can_be_changed_while_running(loop, run):
    async def main():
        loop.set_debug(True)
        await support.drain_callbacks()
        assert sys.get_coroutine_origin_tracking_depth() > 0
        loop.set_debug(False)
        await support.drain_callbacks()
        assert sys.get_coroutine_origin_tracking_depth() == 0

    run(main())


def test_tcp_and_subprocess_work_in_debug(loop, run):
    loop.set_debug(True)

    async def main():
        async def echo(reader, writer):
            writer.write(await reader.read())
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x" * 100000)
        writer.write_eof()
        assert await reader.read() == b"x" * 100000
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('x', end='')", stdout=asyncio.subprocess.PIPE
        )
        assert (await process.communicate())[0] == b"x"

    loop.slow_callback_duration = 10
    run(main())


def test_socket_errors_are_logged_at_debug_level_in_debug(loop, run, caplog):
    """Contract point 25."""
    loop.set_debug(True)
    loop.slow_callback_duration = 10

    async def main():
        async with support.transport_and_socket() as (transport, protocol, peer):
            support.reset(peer)
            await protocol.lost

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(main())
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_blocking_socket_is_refused_by_create_server_nowhere(loop, run):
    """create_server makes the socket non-blocking itself, in debug mode too."""
    loop.set_debug(True)

    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        server = await loop.create_server(support.Recorder, sock=sock)
        assert server.sockets[0].gettimeout() == 0
        server.close()
        await server.wait_closed()

    run(main())
