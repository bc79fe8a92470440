# SPDX-License-Identifier: MIT
"""threads: calls from other threads, executors, loops in other threads and interpreters."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
from typing import Any
from unittest import mock

from ..check import Area
from ..trial import NotApplicable, Trial

area = Area("threads", "Other threads, executors, several loops")


# -- calls from other threads ---------------------------------------------------------------------


@area.check(expect="within 100 ms")
def call_soon_threadsafe_wakes_idle_loop_latency(t: Trial) -> object:
    """call_soon_threadsafe() wakes a loop that waits for nothing else.

    spec: docs, loop.call_soon_threadsafe
    """
    called: list[float] = []
    late: list[float] = []

    def ran() -> None:
        late.append(time.perf_counter() - called[-1])
        t.loop.stop()

    def call() -> None:
        time.sleep(0.02)
        called.append(time.perf_counter())
        t.loop.call_soon_threadsafe(ran)

    for _ in range(3):
        thread = t.in_thread(call)
        t.loop.run_forever()
        thread.join()
    t.note("late by us", [round(seconds * 1e6) for seconds in late])
    return "within 100 ms" if min(late) < 0.1 * t.scale else "late"


@area.check(expect={"in the order of each thread": True, "all": 4000})
def call_soon_threadsafe_from_many_threads(t: Trial) -> object:
    """What several threads call arrives completely, for each thread in its order.

    spec: docs, loop.call_soon_threadsafe
    """
    got: list[tuple[int, int]] = []

    def call(thread: int) -> None:
        for number in range(1000):
            t.loop.call_soon_threadsafe(got.append, (thread, number))

    threads = [t.in_thread(call, number) for number in range(4)]
    t.run(t.until(lambda: len(got) == 4000))
    for thread in threads:
        thread.join()
    in_order = all(
        [number for who, number in got if who == thread] == list(range(1000)) for thread in range(4)
    )
    return {"in the order of each thread": in_order, "all": len(got)}


@area.check(expect=["before the run"])
def call_soon_threadsafe_before_run(t: Trial) -> object:
    """What another thread calls before the loop runs is run by the next run.

    spec: docs, loop.call_soon_threadsafe
    """
    ran: list[str] = []
    thread = t.in_thread(t.loop.call_soon_threadsafe, ran.append, "before the run")
    thread.join()
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


@area.check(expect={"cancelled": True, "ran": ["stop"]})
def threadsafe_handle_cancel_other_thread(t: Trial) -> object:
    """The handle of call_soon_threadsafe() can be cancelled from another thread.

    spec: CPython gh-128340 (thread-safe handles, 3.14); before that a plain cancel()
    """
    ran: list[str] = []
    handle = t.loop.call_soon_threadsafe(ran.append, "cancelled")
    t.in_thread(handle.cancel).join()
    t.loop.call_soon_threadsafe(ran.append, "stop")
    t.loop.call_soon_threadsafe(t.loop.stop)
    t.loop.run_forever()
    return {"cancelled": handle.cancelled(), "ran": ran}


@area.check(expect=["callback began", "callback ended", "cancel returned"], since=(3, 14))
def threadsafe_handle_blocks_while_running(t: Trial) -> object:
    """cancel() from another thread waits while the callback runs.

    After it has returned, the callback is certain not to be running.

    spec: CPython gh-128340 (3.14), test_base_events
    test_call_soon_threadsafe_handle_block_cancellation
    """
    seen: list[str] = []
    running = threading.Event()

    def callback() -> None:
        seen.append("callback began")
        running.set()
        time.sleep(0.05)
        seen.append("callback ended")

    handle = t.loop.call_soon_threadsafe(callback)

    def cancel() -> None:
        running.wait()
        handle.cancel()
        seen.append("cancel returned")
        t.loop.call_soon_threadsafe(t.loop.stop)

    thread = t.in_thread(cancel)
    t.loop.run_forever()
    thread.join()
    return seen


@area.check(
    expect={
        "type": "RuntimeError",
        "text": "Non-thread-safe operation invoked on an event loop other than the current one",
    }
)
def debug_thread_check(t: Trial) -> object:
    """In debug mode call_soon() from another thread is refused.

    text: CPython Lib/asyncio/base_events.py, _check_thread
    """
    t.loop.set_debug(True)
    seen: list[object] = []

    def call() -> None:
        seen.append(t.outcome(t.loop.call_soon, int))

    async def main() -> None:
        thread = t.in_thread(call)
        while thread.is_alive():
            await asyncio.sleep(0.001)

    t.run(main())
    return seen[0]


@area.check(
    expect={
        "call_later": "RuntimeError",
        "call_at": "RuntimeError",
        "call_soon_threadsafe": "Handle",
    }
)
def debug_thread_check_covers_timers(t: Trial) -> object:
    """In debug mode timers from another thread are refused; call_soon_threadsafe() is what remains.

    spec: CPython Lib/asyncio/base_events.py, _check_thread in call_at
    """
    loop = t.loop
    loop.set_debug(True)
    seen: dict[str, object] = {}

    def kind(outcome: object) -> object:
        if isinstance(outcome, dict):
            return outcome["type"]
        return "Handle" if isinstance(outcome, asyncio.Handle) else type(outcome).__name__

    def call() -> None:
        seen["call_later"] = kind(t.outcome(loop.call_later, 1, int))
        seen["call_at"] = kind(t.outcome(loop.call_at, loop.time(), int))
        seen["call_soon_threadsafe"] = kind(t.outcome(loop.call_soon_threadsafe, int))

    async def main() -> None:
        thread = t.in_thread(call)
        while thread.is_alive():
            await asyncio.sleep(0.001)

    t.run(main())
    return seen


@area.check(
    expect={
        "result": 42,
        "exception": {"type": "KeyError", "text": "'x'"},
        "cancelled": True,
    }
)
def run_coroutine_threadsafe(t: Trial) -> object:
    """Another thread can run a coroutine on the loop, get its result or exception, and cancel it.

    spec: docs, asyncio.run_coroutine_threadsafe
    """
    seen: dict[str, object] = {}
    cancelled: list[bool] = []

    async def value() -> int:
        return 42

    async def fail() -> None:
        raise KeyError("x")

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    def other() -> None:
        seen["result"] = asyncio.run_coroutine_threadsafe(value(), t.loop).result(5)
        future: Any = asyncio.run_coroutine_threadsafe(fail(), t.loop)
        seen["exception"] = future.exception(5)
        future = asyncio.run_coroutine_threadsafe(wait(), t.loop)
        time.sleep(0.01)
        future.cancel()
        time.sleep(0.01)
        t.loop.call_soon_threadsafe(t.loop.stop)

    thread = t.in_thread(other)
    t.loop.run_forever()
    thread.join()
    return {**seen, "cancelled": cancelled == [True]}


# -- executors ------------------------------------------------------------------------------------


@area.check(
    expect={
        "value": [3, "another thread"],
        "exception": {"type": "ZeroDivisionError", "text": "division by zero"},
    }
)
async def run_in_executor(t: Trial) -> object:
    """run_in_executor() runs a function in a thread and gives its result or exception.

    spec: docs, loop.run_in_executor
    """

    def work(number: int) -> list[object]:
        here = threading.current_thread() is threading.main_thread()
        return [number, "the main thread" if here else "another thread"]

    def fail() -> float:
        return 1 / 0

    return {
        "value": await t.loop.run_in_executor(None, work, 3),
        "exception": await t.outcome_of(t.loop.run_in_executor(None, fail)),
    }


@area.check(expect=["pool"])
async def run_in_given_executor(t: Trial) -> object:
    """run_in_executor() uses the executor that it is given.

    spec: docs, loop.run_in_executor
    """
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        name = await t.loop.run_in_executor(pool, lambda: threading.current_thread().name)
    return [name.partition("_")[0]]


@area.check(expect={"type": "TypeError", "text": "executor must be ThreadPoolExecutor instance"})
def set_default_executor_type(t: Trial) -> object:
    """The default executor must be a ThreadPoolExecutor.

    text: CPython Lib/asyncio/base_events.py, set_default_executor (3.11)
    """
    return t.outcome(t.loop.set_default_executor, "executor")


@area.check(expect=["mine"])
async def set_default_executor(t: Trial) -> object:
    """run_in_executor(None, ...) uses the default executor that was set.

    spec: docs, loop.set_default_executor
    """
    pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine")
    t.loop.set_default_executor(pool)
    name = await t.loop.run_in_executor(None, lambda: threading.current_thread().name)
    return [name.partition("_")[0]]


@area.check(expect="asyncio")
async def executor_thread_name_prefix(t: Trial) -> object:
    """Threads of the default executor are named asyncio_N.

    spec: CPython bpo-27195; Lib/asyncio/base_events.py, run_in_executor
    """
    name = await t.loop.run_in_executor(None, lambda: threading.current_thread().name)
    return name.partition("_")[0]


@area.check(expect={"type": "RuntimeError", "text": "Executor shutdown has been called"})
async def executor_after_shutdown(t: Trial) -> object:
    """After shutdown_default_executor() the default executor takes nothing more.

    text: CPython Lib/asyncio/base_events.py, _check_default_executor
    """
    await t.loop.run_in_executor(None, int)
    await t.loop.shutdown_default_executor()
    return t.outcome(t.loop.run_in_executor, None, int)


@area.check(
    expect={
        "type": "TypeError",
        "text": "coroutines cannot be used with run_in_executor()",
    }
)
async def debug_run_in_executor_coroutine_rejected(t: Trial) -> object:
    """In debug mode run_in_executor() refuses a coroutine function.

    text: CPython Lib/asyncio/base_events.py, _check_callback
    """
    t.loop.set_debug(True)

    async def wrong() -> None:
        pass

    return t.outcome(t.loop.run_in_executor, None, wrong)


@area.check(expect={"cancelled": True, "the thread ended": True})
async def executor_future_cancel(t: Trial) -> object:
    """Cancelling the future of run_in_executor() does not disturb the thread or the loop.

    spec: docs, loop.run_in_executor; concurrent.futures: running calls cannot be cancelled
    """
    began, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go.wait(5)
        ended.set()

    future = t.loop.run_in_executor(None, work)
    await t.until(began.is_set)
    future.cancel()
    await t.turns()
    go.set()
    await t.until(ended.is_set)
    await t.settle(0.01)
    return {"cancelled": future.cancelled(), "the thread ended": ended.is_set()}


# -- several loops --------------------------------------------------------------------------------


@area.check(expect={"value": "from the thread", "running loop there": True, "here": None})
def loop_in_other_thread(t: Trial) -> object:
    """A loop runs in a thread that is not the main one.

    spec: docs, "Concurrency and Multithreading"
    """
    seen: dict[str, object] = {}

    def run() -> None:
        loop = t.new_loop()

        async def main() -> str:
            await asyncio.sleep(0.002)
            seen["running loop there"] = asyncio.get_running_loop() is loop
            return "from the thread"

        seen["value"] = loop.run_until_complete(main())
        loop.close()

    thread = t.in_thread(run)
    thread.join()
    return {**seen, "here": asyncio._get_running_loop()}


@area.check(expect=[100, 100])
def free_threaded_two_loops_two_threads(t: Trial) -> object:
    """Two loops run side by side in two threads, and call each other.

    spec: docs, "Concurrency and Multithreading"; CPython test_free_threading (3.14)
    """
    loops = [t.new_loop(), t.new_loop()]
    counts = [0, 0]

    def bounce(here: int, left: int) -> None:
        counts[here] += 1
        there = 1 - here
        if left:
            loops[there].call_soon_threadsafe(bounce, there, left - 1)
        else:
            for loop in loops:
                loop.call_soon_threadsafe(loop.stop)

    threads = [t.in_thread(loop.run_forever) for loop in loops]
    loops[0].call_soon_threadsafe(bounce, 0, 199)
    for thread in threads:
        thread.join()
    return counts


@area.check(expect=["in turn: 1", "in turn: 2", "in turn: 1", "in turn: 2"])
def two_loops_in_turn(t: Trial) -> object:
    """Two loops of one thread can be run in turn.

    spec: docs, loop.run_until_complete
    """
    loops = [t.new_loop(), t.new_loop()]

    async def work(number: int) -> str:
        await asyncio.sleep(0.001)
        return f"in turn: {number}"

    return [
        loop.run_until_complete(work(number))
        for _ in range(2)
        for number, loop in enumerate(loops, 1)
    ]


@area.check(expect="ran in the sub-interpreter", needs=("subinterpreters",))
def subinterpreter_own_loop(t: Trial) -> object:
    """A loop runs in a sub-interpreter.

    portable: PEP 684 and PEP 734; asyncio's own loops do
    """
    try:
        import _interpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    import sys

    target = t.path / "result"
    source = (
        f"import sys\nsys.path[:] = {sys.path!r}\n"
        "try:\n"
        "    import asyncio\n"
        "    from evenloop.conformance import loops\n"
        f"    loop = loops.make({t.loop_name!r})\n"
        "    async def main():\n"
        "        await asyncio.sleep(0.001)\n"
        "        return 'ran in the sub-interpreter'\n"
        "    result = loop.run_until_complete(main())\n"
        "    loop.close()\n"
        "except BaseException as error:\n"
        "    result = f'{type(error).__name__}: {error}'\n"
        f"open({str(target)!r}, 'w').write(result)\n"
    )
    try:
        # The legacy kind: one GIL for all, which is what extension modules have to bear at least.
        name = (
            interpreters.create("legacy") if sys.version_info >= (3, 13) else interpreters.create()
        )
    except (TypeError, ValueError) as error:
        raise NotApplicable(f"this Python's sub-interpreters cannot be made: {error}") from None
    run = interpreters.exec if sys.version_info >= (3, 13) else interpreters.run_string
    run(name, source)
    interpreters.destroy(name)
    return target.read_text()


@area.check(expect={"rests": True, "woken": True})
def self_wakeup_survives_socketpair_loss(t: Trial) -> object:
    """A loop whose own pair of sockets is torn down still rests, and can still be woken.

    Windows ends such a connection on loopback when the machine sleeps; the stock loops then spin
    for ever. A loop that wakes itself by other means has nothing to lose.

    portable: gh-156333, gh-156344; D16, C024
    """
    pairs: list[tuple[socket.socket, socket.socket]] = []
    make = socket.socketpair

    def remembered(*args: Any, **kwargs: Any) -> tuple[socket.socket, socket.socket]:
        pairs.append(make(*args, **kwargs))
        return pairs[-1]

    with mock.patch.object(socket, "socketpair", remembered):
        loop = t.loop

    async def main() -> object:
        for _, ours in pairs:
            ours.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        began = time.process_time()
        await asyncio.sleep(0.3)
        spent = time.process_time() - began
        woken = asyncio.Event()
        t.in_thread(loop.call_soon_threadsafe, woken.set)
        t.note("seconds of CPU time while it rested for 0.3", spent)
        return {"rests": spent < 0.04, "woken": await t.within(woken.wait(), 2.0)}

    return t.run(main())
