# SPDX-License-Identifier: MIT
"""What users of other loops ran into with signals: Ctrl-C twice, handlers that raise, clean-up."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap

import pytest
import support
from differences import UNIX, UVLOOP, differs
from test_signals import INTERRUPT, NO_HANDLERS


@pytest.fixture(autouse=True)
def interrupt_handler():
    """Ctrl-C raises KeyboardInterrupt, even if whoever started us had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


CHILDREN = {
    "second Ctrl-C while the main task cleans up": (
        """
        async def main():
            loop = asyncio.get_running_loop()
            interrupt_soon(loop)
            try:
                await loop.create_future()
            finally:
                print("cleaning up", flush=True)
                interrupt_soon(loop)
                await loop.create_future()
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        "cleaning up\ninterrupted\n",
    ),
    "handler of signal.signal that raises": (
        """
        def handler(number, frame):
            raise LookupError("from the handler")
        signal.signal(signal.SIGINT, handler)
        loop = new_loop()
        interrupt_soon(loop)
        try:
            loop.run_forever()
        except LookupError as exc:
            print(exc)
        print(loop.run_until_complete(asyncio.sleep(0.001, "usable")))
        loop.close()
        """,
        "from the handler\nusable\n",
    ),
    "loop that turns all the time": (
        """
        loop = new_loop()
        async def spin():
            while True:
                await asyncio.sleep(0)
        loop.call_soon(threading.Timer(0.1, interrupt).start)
        try:
            loop.run_until_complete(spin())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        "interrupted\n",
    ),
}


@pytest.mark.parametrize("case", CHILDREN)
def test_ctrl_c_and_what_follows_it(tmp_path, case):
    """C013, C040, C041, C042: it ends what runs, once and promptly, and loses no exception."""
    source, expected = CHILDREN[case]
    process = support.run_child(tmp_path, INTERRUPT + textwrap.dedent(source))
    assert process.stdout == expected, process.stderr


def test_interrupted_program_cleans_up_and_says_so(tmp_path):
    """Section 3c, test_signals_sigint: Python's own way to end, not a silent kill."""
    source = INTERRUPT + textwrap.dedent(
        """
        async def main():
            interrupt_soon(asyncio.get_running_loop())
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                print("done cleaning up", flush=True)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        """
    )
    process = support.run_child(tmp_path, source)
    assert process.stdout == "done cleaning up\n"
    assert process.stderr.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode != 0


@NO_HANDLERS
def test_signal_handlers_can_be_added(loop, run):
    """C012: the callback runs in the loop, with its arguments."""

    async def main():
        got = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, got.set_result, "asked to end")
        signal.raise_signal(signal.SIGTERM)
        assert await got == "asked to end"
        loop.remove_signal_handler(signal.SIGTERM)

    run(main())


@differs(
    from_=UVLOOP,
    what="`add_signal_handler(SIGCHLD, ...)`",
    they="raises RuntimeError",
    evenloop="works: children are watched without the signal",
)
@NO_HANDLERS
def test_end_of_a_child_is_a_signal_like_any_other(loop, run):
    """C043: beside the loop's own children."""

    async def main():
        got = asyncio.Event()
        loop.add_signal_handler(signal.SIGCHLD, got.set)
        process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
        assert await process.wait() == 0
        await got.wait()
        assert loop.remove_signal_handler(signal.SIGCHLD) is True

    run(main())


def test_loop_installs_no_signal_handler_of_its_own(loop, run):
    """C044: neither when it is made nor when it runs nor when it has children."""
    signals = [number for number in signal.valid_signals() if number not in (9, 19)]

    def handlers():
        return {number: signal.getsignal(number) for number in signals}

    before = handlers()

    async def main():
        assert handlers() == before
        process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
        assert await process.wait() == 0
        assert handlers() == before

    run(main())
    assert handlers() == before


@pytest.mark.evenloop_only
@differs(
    from_=UNIX,
    what="signal handlers of two loops, when one of them is closed",
    they="the other loop hears of its signals no more",
    evenloop="keep working",
)
@NO_HANDLERS
def test_closing_one_loop_leaves_the_signals_of_another(loop, loop_factory):
    """C045: each loop gives back what it took itself."""
    got = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: (got.append("first"), loop.stop()))
    other = loop_factory()
    other.add_signal_handler(signal.SIGUSR2, got.append, "second")
    signal.raise_signal(signal.SIGUSR2)
    signal.raise_signal(signal.SIGUSR1)  # arrives at the other loop
    other.run_until_complete(asyncio.sleep(0.01))
    other.close()
    assert got == ["second"]
    guard = loop.call_later(10, loop.stop)
    loop.run_forever()
    assert got == ["second", "first"]
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    guard.cancel()
    assert got == ["second", "first", "first"]
    loop.remove_signal_handler(signal.SIGUSR1)


@differs(
    from_=UVLOOP,
    what="the handler of a signal after `loop.close()`",
    they="stays the loop's own",
    evenloop="is SIG_DFL again",
)
@NO_HANDLERS
def test_closed_loop_leaves_no_signal_handler(loop_factory):
    """C046: the program ends on SIGTERM again."""
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@differs(
    from_=UVLOOP,
    what="`remove_signal_handler()` of a loop that does not run",
    they="is False, and the handler stays",
    evenloop="is True, and the handler is gone",
)
@NO_HANDLERS
def test_signal_handler_can_be_removed_while_the_loop_does_not_run(loop):
    """C047: True if there was one."""
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


@pytest.mark.absent("posix-signals-to-children", "windows")
def test_child_can_be_asked_to_end_and_cleans_up(loop, run):
    """C030, C032: an interrupt is a request; the child decides how it ends."""
    source = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('cleaned up', flush=True)\n"
    )

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", source, stdout=asyncio.subprocess.PIPE
        )
        assert (await process.stdout.readline()).strip() == b"ready"
        process.send_signal(signal.SIGINT)
        assert (await process.stdout.readline()).strip() == b"cleaned up"
        assert await process.wait() == 0

    run(main())
