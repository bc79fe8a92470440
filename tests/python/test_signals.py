# SPDX-License-Identifier: MIT
"""add_signal_handler, Ctrl-C, and the user's own signal arrangements."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

import pytest
import support
from differences import UVLOOP, differs

NO_HANDLERS = pytest.mark.absent("signal-handlers-on-windows", "windows")


@pytest.fixture(autouse=True)
def interrupt_handler():
    """Ctrl-C raises KeyboardInterrupt, even if whoever started us had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@NO_HANDLERS
def test_handler_is_called_in_the_loop_with_its_arguments(loop, run):
    """Contract row D2."""

    async def main():
        got = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, lambda *args: got.set_result(args), 1, "two")
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await got == (1, "two")
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert loop.remove_signal_handler(signal.SIGUSR1) is False
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL

    run(main())


@NO_HANDLERS
def test_signal_wakes_an_idle_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    guard = loop.call_later(support.LIMIT, pytest.fail)
    loop.call_soon(lambda: thread.start())
    thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
    loop.run_forever()
    guard.cancel()
    thread.join()
    loop.remove_signal_handler(signal.SIGUSR1)


@differs(
    from_=UVLOOP,
    what="a signal that arrives before the loop runs",
    they="waits for the next signal",
    evenloop="is delivered when the loop runs",
)
@NO_HANDLERS
def test_signal_before_the_loop_runs_is_delivered(loop):
    """Contract point 15."""
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    os.kill(os.getpid(), signal.SIGUSR1)
    guard = loop.call_later(support.LIMIT, pytest.fail)
    loop.run_forever()
    guard.cancel()
    loop.remove_signal_handler(signal.SIGUSR1)


@NO_HANDLERS
def test_handler_can_be_replaced(loop, run):
    async def main():
        first, second = [], loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, first.append, 1)
        loop.add_signal_handler(signal.SIGUSR1, second.set_result, 2)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await second == 2
        assert first == []
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


@NO_HANDLERS
def test_several_signals_each_reach_their_handler(loop, run):
    async def main():
        got = []
        done = loop.create_future()

        def note(number):
            got.append(number)
            if len(got) == 2:
                done.set_result(None)

        for number in (signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(number, note, number)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await done
        assert sorted(got) == sorted([signal.SIGUSR1, signal.SIGUSR2])
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            loop.remove_signal_handler(number)

    run(main())


@NO_HANDLERS
def test_sigint_handler_replaces_keyboard_interrupt_and_gives_it_back(loop, run):
    async def main():
        got = loop.create_future()
        loop.add_signal_handler(signal.SIGINT, got.set_result, None)
        os.kill(os.getpid(), signal.SIGINT)
        await got
        loop.remove_signal_handler(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    run(main())


@differs(
    from_=UVLOOP,
    what="`add_signal_handler(SIGCHLD, ...)`",
    they="raises RuntimeError",
    evenloop="works",
)
@NO_HANDLERS
def test_sigchld_is_free_to_be_handled(loop, run):
    async def main():
        got = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, got.set)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(4)")
        assert await process.wait() == 4
        await got.wait()
        loop.remove_signal_handler(signal.SIGCHLD)

    run(main())


@differs(
    from_=UVLOOP,
    what="signal handlers after `loop.close()`",
    they="stay installed",
    evenloop="are given back",
)
@NO_HANDLERS
def test_closing_the_loop_restores_the_signals(loop_factory):
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@NO_HANDLERS
def test_handler_that_raises_is_reported(loop, run, errors):
    async def main():
        done = loop.create_future()

        def fail():
            done.set_result(None)
            raise ZeroDivisionError

        loop.add_signal_handler(signal.SIGUSR1, fail)
        os.kill(os.getpid(), signal.SIGUSR1)
        await done
        await support.drain_callbacks()
        assert [type(context["exception"]) for context in errors] == [ZeroDivisionError]
        errors.clear()
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


async def coroutine_function():
    pass


WRONG = {
    "uncatchable": lambda loop: loop.add_signal_handler(9, print),
    "zero": lambda loop: loop.add_signal_handler(0, print),
    "negative": lambda loop: loop.add_signal_handler(-1, print),
    "too big": lambda loop: loop.add_signal_handler(1000, print),
    "text": lambda loop: loop.add_signal_handler("SIGINT", print),
    "coroutine function": lambda loop: loop.add_signal_handler(2, coroutine_function),
    "coroutine": lambda loop: _with_closed(lambda coro: loop.add_signal_handler(2, coro)),
    "remove nothing": lambda loop: loop.remove_signal_handler(10),
    "remove text": lambda loop: loop.remove_signal_handler("x"),
    "remove zero": lambda loop: loop.remove_signal_handler(0),
}


def _with_closed(use):
    coro = coroutine_function()
    try:
        use(coro)
    finally:
        coro.close()


@NO_HANDLERS
@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_give_asyncios_error(case):
    support.same_as_asyncio(WRONG[case])


@NO_HANDLERS
def test_other_threads_may_not_add_handlers():
    def use(loop):
        outcome = []

        def work():
            try:
                loop.add_signal_handler(signal.SIGUSR1, print)
            except RuntimeError as exc:
                outcome.append(str(exc))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return outcome

    assert support.same_as_asyncio(use)[1] != "[]"


# -- the user's own handlers and wakeup descriptor -----------------------------------------------


@NO_HANDLERS
def test_signal_signal_handlers_run_while_the_loop_is_idle(loop, run):
    """Contract point 14, row D14."""

    async def main():
        got = asyncio.Event()
        before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(got.set))
        try:
            thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
            loop.call_soon(thread.start)
            await got.wait()
            thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)

    run(main())


def test_users_wakeup_descriptor_is_left_alone(loop_factory):
    """Contract point 14, row D13."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        descriptor = ours.fileno()
        before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        try:
            loop = loop_factory()

            async def look():
                await asyncio.sleep(0.001)
                current = signal.set_wakeup_fd(-1)
                signal.set_wakeup_fd(current, warn_on_full_buffer=False)
                signal.raise_signal(signal.SIGTERM)
                return current

            previous = signal.signal(signal.SIGTERM, lambda *_: None)
            try:
                seen = loop.run_until_complete(look())
            finally:
                signal.signal(signal.SIGTERM, previous)
            loop.close()
            after = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        finally:
            signal.set_wakeup_fd(before)
        assert after == descriptor
        assert seen == descriptor
        peer.settimeout(support.LIMIT)
        assert peer.recv(10) == bytes([signal.SIGTERM])


def test_no_wakeup_descriptor_is_left_behind(loop_factory):
    """Contract point 14, row D13."""
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    after = signal.set_wakeup_fd(-1)
    assert after == -1


# -- Ctrl-C --------------------------------------------------------------------------------------

INTERRUPT = """
import asyncio, os, signal, sys, threading, time

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    # Each system's way in which Ctrl-C arrives: to the process, while its main thread waits.
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)  # a thread runs the C handler, as the console's would
    else:
        os.kill(os.getpid(), signal.SIGINT)

def interrupt_soon(loop):
    loop.call_soon(loop.call_soon, threading.Timer(0.1, interrupt).start)
"""

CHILDREN = {
    "idle run_forever": (
        """
        loop = new_loop()
        interrupt_soon(loop)
        started = time.monotonic()
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - started < 5)
        print(loop.run_until_complete(asyncio.sleep(0.001, "usable")))
        loop.close()
        """,
        "interrupted True\nusable\n",
    ),
    "idle with a far timer": (
        """
        loop = new_loop()
        interrupt_soon(loop)
        loop.call_later(3600, print)
        started = time.monotonic()
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - started < 5)
        loop.close()
        """,
        "interrupted True\n",
    ),
    "busy callbacks": (
        """
        loop = new_loop()
        interrupt_soon(loop)
        def again():
            loop.call_soon(again)
        again()
        try:
            loop.run_forever()
        except KeyboardInterrupt:
            print("interrupted")
        loop.close()
        """,
        "interrupted\n",
    ),
    "runner cancels the main task": (
        """
        async def main():
            interrupt_soon(asyncio.get_running_loop())
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                print("cancelled")
                raise
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        """,
        "cancelled\ninterrupted\nTrue\n",
    ),
    "runner lets the main task finish": (
        """
        async def main():
            interrupt_soon(asyncio.get_running_loop())
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                await asyncio.sleep(0.001)
                return "finished anyway"
        with asyncio.Runner(loop_factory=new_loop) as runner:
            print(runner.run(main()))
        """,
        "finished anyway\n",
    ),
    "during sock_recv": (
        """
        import socket
        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        client.setblocking(False)
        async def main():
            loop = asyncio.get_running_loop()
            interrupt_soon(loop)
            await loop.sock_recv(client, 1)
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        client.close()
        listener.close()
        """,
        "interrupted\n",
    ),
}


@pytest.mark.parametrize("case", CHILDREN)
def test_ctrl_c_is_prompt(tmp_path, case):
    """Contract point 14, row D12."""
    import textwrap

    source, expected = CHILDREN[case]
    process = support.run_child(tmp_path, INTERRUPT + textwrap.dedent(source))
    assert (process.stdout, process.stderr) == (expected, "")
    assert process.returncode == 0


def test_uncaught_ctrl_c_ends_the_program_as_pythons_own(tmp_path):
    source = INTERRUPT + (
        "async def main():\n"
        "    interrupt_soon(asyncio.get_running_loop())\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "with asyncio.Runner(loop_factory=new_loop) as runner:\n"
        "    runner.run(main())\n"
    )
    process = support.run_child(tmp_path, source)
    assert process.returncode != 0
    assert process.stderr.rstrip().endswith("KeyboardInterrupt")


def test_raise_signal_in_a_callback_interrupts(loop):
    loop.call_soon(signal.raise_signal, signal.SIGINT)
    guard = loop.call_later(support.LIMIT, loop.stop)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    guard.cancel()
    assert loop.run_until_complete(asyncio.sleep(0.001, "usable")) == "usable"


def test_python_level_sigint_handler_runs_in_the_main_thread(loop):
    seen = []

    def handler(number, frame):
        seen.append((number, threading.current_thread() is threading.main_thread()))
        loop.stop()

    before = signal.signal(signal.SIGINT, handler)
    try:
        loop.call_soon(signal.raise_signal, signal.SIGINT)
        guard = loop.call_later(support.LIMIT, pytest.fail)
        loop.run_forever()
        guard.cancel()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [(signal.SIGINT, True)]


def test_loop_in_another_thread_needs_no_signals(loop_factory):
    """Contract row D15."""
    results = []

    def work():
        loop = loop_factory()

        async def main():
            ours, peer = support.tcp_pair()
            with ours, peer:
                peer.send(b"x")
                return await loop.sock_recv(ours, 1)

        results.append(loop.run_until_complete(main()))
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [b"x"]
