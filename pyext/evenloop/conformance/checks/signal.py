# SPDX-License-Identifier: MIT
"""signal: signal handlers, Ctrl-C, the wake-up descriptor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from ..check import Area
from ..trial import Trial

area = Area("signal", "Signals and Ctrl-C")


@area.check(
    expect={"called with": [1, 2], "removed": True, "again": False, "disposition": "SIG_DFL"}
)
async def add_remove_handler(t: Trial) -> object:
    """A handler is called on the loop with its arguments; removing it restores the default.

    spec: docs, loop.add_signal_handler and remove_signal_handler
    """
    called = t.loop.create_future()
    t.loop.add_signal_handler(signal.SIGTERM, lambda *args: called.set_result(args), 1, 2)
    send(signal.SIGTERM)
    return {
        "called with": await t.within(called),
        "removed": t.loop.remove_signal_handler(signal.SIGTERM),
        "again": t.loop.remove_signal_handler(signal.SIGTERM),
        "disposition": signal.getsignal(signal.SIGTERM),
    }


@area.check(expect={"first": 0, "second": 1})
async def later_handler_replaces(t: Trial) -> object:
    """A second handler for a signal replaces the first.

    spec: docs, loop.add_signal_handler; the selector loop
    """
    first: list[int] = []
    second: list[int] = []
    t.loop.add_signal_handler(signal.SIGTERM, first.append, 1)
    t.loop.add_signal_handler(signal.SIGTERM, second.append, 1)
    send(signal.SIGTERM)
    await t.until(lambda: second)
    return {"first": len(first), "second": len(second)}


@area.check(expect=True)
async def remove_sigint_restores_default_int_handler(t: Trial) -> object:
    """Removing a handler of SIGINT brings Python's own back, which raises KeyboardInterrupt.

    spec: _UnixSelectorEventLoop.remove_signal_handler
    """
    t.loop.add_signal_handler(signal.SIGINT, print)
    t.loop.remove_signal_handler(signal.SIGINT)
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


@area.check(expect=1, needs=("sigchld",))
async def sigchld_allowed(t: Trial) -> object:
    """SIGCHLD may have a handler.

    spec: docs, loop.add_signal_handler; C043
    """
    calls: list[int] = []
    t.loop.add_signal_handler(signal.SIGCHLD, calls.append, 1)
    send(signal.SIGCHLD)
    await t.until(lambda: calls)
    return len(calls)


@area.check(expect={"type": "RuntimeError", "text": "sig 9 cannot be caught"}, needs=("posix",))
async def uncatchable_RuntimeError(t: Trial) -> object:
    """SIGKILL cannot be caught.

    text: _UnixSelectorEventLoop.add_signal_handler
    """
    return t.outcome(t.loop.add_signal_handler, signal.SIGKILL, print)


@area.check(
    expect=[
        {"type": "ValueError", "text": "invalid signal number 999"},
        {"type": "ValueError", "text": "invalid signal number -1"},
        {"type": "TypeError", "text": "sig must be an int, not 'SIGTERM'"},
    ]
)
async def invalid_ValueError(t: Trial) -> object:
    """What is no signal is refused.

    text: _UnixSelectorEventLoop._check_signal
    """
    return [t.outcome(t.loop.add_signal_handler, what, print) for what in (999, -1, "SIGTERM")]


@area.check(
    expect={"type": "TypeError", "text": "coroutines cannot be used with add_signal_handler()"}
)
async def coroutine_TypeError(t: Trial) -> object:
    """A coroutine function is refused as a handler.

    text: _UnixSelectorEventLoop.add_signal_handler
    """

    async def handler() -> None:
        await asyncio.sleep(0)

    return t.outcome(t.loop.add_signal_handler, signal.SIGTERM, handler)


@area.check(expect="RuntimeError")
def non_main_thread_RuntimeError(t: Trial) -> object:
    """Handlers can be added in the main thread only.

    spec: docs, loop.add_signal_handler; signal.set_wakeup_fd
    """
    seen: list[Any] = []

    def run() -> None:
        loop = t.new_loop()
        seen.append(t.outcome(loop.add_signal_handler, signal.SIGTERM, print))
        loop.close()

    thread = t.in_thread(lambda: outcome_into(seen, run))
    thread.join(5)
    if seen and isinstance(seen[0], NotImplementedError):
        raise seen[0]
    return seen[0]["type"] if seen and isinstance(seen[0], dict) else repr(seen)


def outcome_into(seen: list[Any], call: Callable[[], object]) -> None:
    """Keep what ends a thread."""
    try:
        call()
    except BaseException as error:
        seen.append(error)


@area.check(expect="SIG_DFL")
def handler_removed_on_close(t: Trial) -> object:
    """Closing the loop removes its handlers.

    spec: _UnixSelectorEventLoop.close; C046
    """
    t.loop.add_signal_handler(signal.SIGTERM, print)
    t.loop.close()
    return signal.getsignal(signal.SIGTERM)


@area.check(expect=1)
def delivered_before_run_forever(t: Trial) -> object:
    """A signal that comes between add_signal_handler and the run is delivered in the run.

    spec: CPython's test_events, test_add_signal_handler
    """
    calls: list[int] = []

    def called() -> None:
        calls.append(1)
        t.loop.stop()

    t.loop.add_signal_handler(signal.SIGTERM, called)
    send(signal.SIGTERM)
    t.loop.call_later(2.0 * t.scale, t.loop.stop)
    t.loop.run_forever()
    return len(calls)


@area.check(expect={"reported": ["ZeroDivisionError"], "loop": "goes on"})
async def handler_exception_is_reported(t: Trial) -> object:
    """An exception of a handler goes to the exception handler.

    spec: docs, error handling
    """

    def fail() -> None:
        raise ZeroDivisionError

    t.loop.add_signal_handler(signal.SIGTERM, fail)
    send(signal.SIGTERM)
    await t.until(lambda: t.errors)
    reports: Any = t.take_errors()
    return {"reported": [report["exception"]["type"] for report in reports], "loop": "goes on"}


@area.check(expect={"raised": "KeyboardInterrupt", "at once": True})
def keyboardinterrupt_while_idle(t: Trial) -> object:
    """Ctrl-C ends a loop that waits, at once.

    portable: D12, gh-101166: the selector loop of Windows notices at the end of its timeout
    """
    t.loop.call_later(3.0 * t.scale, t.loop.stop)
    sent = at_leisure(t, signal.SIGINT)
    try:
        t.loop.run_forever()
        raised: object = "nothing"
    except KeyboardInterrupt as error:
        raised = type(error)
    return {"raised": raised, "at once": time.monotonic() - sent[0] < 1.0 * t.scale}


@area.check(expect={"ran": 1, "at once": True})
def python_signal_handler_runs_while_idle(t: Trial) -> object:
    """A handler of the signal module runs at once while the loop waits.

    portable: D14; docs, signal.signal
    """
    ran: list[float] = []
    signal.signal(signal.SIGTERM, lambda *_: ran.append(time.monotonic()))
    t.loop.call_later(1.0 * t.scale, t.loop.stop)
    sent = at_leisure(t, signal.SIGTERM)
    t.loop.run_forever()
    return {"ran": len(ran), "at once": bool(ran) and ran[0] - sent[0] < 0.5 * t.scale}


@area.check(expect="Alarm")
def exception_of_a_signal_handler_leaves_the_run(t: Trial) -> object:
    """What a handler of the signal module raises comes out of run_forever.

    spec: docs, signal: handlers run in the main thread, between its instructions; C042
    """

    class Alarm(BaseException):
        pass

    def handler(*_: object) -> None:
        raise Alarm

    signal.signal(signal.SIGTERM, handler)
    t.loop.call_later(3.0 * t.scale, t.loop.stop)
    at_leisure(t, signal.SIGTERM)
    try:
        t.loop.run_forever()
    except Alarm:
        return "Alarm"
    return "nothing"


@area.check(expect={"made": True, "running": True, "closed": True})
def user_wakeup_fd_untouched(t: Trial) -> object:
    """The program's own wake-up descriptor stays, while the loop runs and after.

    portable: D13, gh-77373
    """
    ours, peer = t.tcp_pair()
    descriptor = ours.fileno()
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    t.at_end(signal.set_wakeup_fd, -1)
    seen: dict[str, bool] = {}

    def look() -> None:
        send_harmless()
        seen["running"] = wakes(peer)

    loop = t.loop
    send_harmless()
    seen["made"] = wakes(peer)
    loop.call_soon(look)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    send_harmless()
    seen["closed"] = wakes(peer)
    return seen


@area.check(expect={"task": "cancelled", "run": "KeyboardInterrupt"})
def runner_sigint_cancels_main_task(t: Trial) -> object:
    """asyncio.Runner turns Ctrl-C into a cancelled main task, then into KeyboardInterrupt.

    spec: docs, asyncio runners, "Handling Keyboard Interruption"
    """
    seen: dict[str, object] = {}

    async def main() -> None:
        at_leisure(t, signal.SIGINT)
        try:
            await asyncio.sleep(3.0 * t.scale)
            seen["task"] = "not cancelled"
        except asyncio.CancelledError:
            seen["task"] = "cancelled"
            raise

    try:
        with asyncio.Runner(loop_factory=t.new_loop) as runner:
            runner.run(main())
        seen["run"] = "returned"
    except KeyboardInterrupt as error:
        seen["run"] = type(error)
    return seen


@area.check(expect={"SIGINT": True, "SIGTERM": "SIG_DFL"})
async def loop_leaves_the_dispositions_alone(t: Trial) -> object:
    """A running loop has not touched signals that nobody asked it for.

    spec: contract point 14; C044
    """
    return {
        "SIGINT": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "SIGTERM": signal.getsignal(signal.SIGTERM),
    }


@area.check(expect=1)
async def closing_another_loop_keeps_the_handlers(t: Trial) -> object:
    """Another loop that is made and closed does not take this one's handlers away.

    spec: C045
    """
    calls: list[int] = []
    t.loop.add_signal_handler(signal.SIGTERM, calls.append, 1)
    t.new_loop().close()
    send(signal.SIGTERM)
    await t.until(lambda: calls, 2.0)
    return len(calls)


@area.check(expect=["SIGTERM", "SIGINT"])
async def several_signals(t: Trial) -> object:
    """Each signal has a handler of its own.

    spec: docs, loop.add_signal_handler
    """
    calls: list[str] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        t.loop.add_signal_handler(number, calls.append, number.name)
    for number in (signal.SIGTERM, signal.SIGINT):
        send(number)
        await t.until(lambda: calls[-1:] == [number.name], 2.0)  # noqa: B023 - awaited here
    return calls


# -- pieces ----------------------------------------------------------------------------------------


def send(number: signal.Signals) -> None:
    """Send this process a signal. Windows can only raise one in the calling thread."""
    if os.name == "posix":
        os.kill(os.getpid(), number)
    else:
        signal.raise_signal(number)


def at_leisure(t: Trial, number: signal.Signals) -> list[float]:
    """Send a signal from a thread once the loop waits; the list gets the time."""
    sent: list[float] = []

    def wait_and_send() -> None:
        time.sleep(0.1 * t.scale)  # nothing tells from outside that a loop waits
        sent.append(time.monotonic())
        send(number)

    t.in_thread(wait_and_send)
    return sent


def send_harmless() -> None:
    """Raise a signal that has a handler of Python's: the wake-up descriptor gets a byte."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    send(signal.SIGTERM)
    signal.signal(signal.SIGTERM, previous)


def wakes(peer: socket.socket) -> bool:
    """Whether the wake-up descriptor's peer has received something."""
    peer.settimeout(0.5)
    try:
        return bool(peer.recv(100))
    except TimeoutError:
        return False
