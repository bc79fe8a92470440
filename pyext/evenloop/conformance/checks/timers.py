# SPDX-License-Identifier: MIT
"""timers: when they run, in which order, and the clock that they run by."""

from __future__ import annotations

import asyncio
import itertools
import math
import time

from ..check import Area
from ..trial import Trial

area = Area("timers", "Timers and the clock")


# -- the clock ------------------------------------------------------------------------------------


@area.check(expect={"type": "float", "goes on in one callback": True, "steps below 1 ms": True})
def time_resolution_sub_ms(t: Trial) -> object:
    """loop.time() goes on while a callback runs, in steps far below a millisecond.

    Programs measure with it; a clock that stands still for a turn says that everything takes 0 ms.

    spec: docs, loop.time: "a float, according to the event loop's internal monotonic clock"; on
    Windows since 3.13 (gh-88494)
    """
    kind = type(t.loop.time()).__name__

    async def main() -> list[float]:
        start = time.perf_counter()
        seen = [t.loop.time()]
        while time.perf_counter() - start < 0.01:
            now = t.loop.time()
            if now != seen[-1]:
                seen.append(now)
        return seen

    seen = t.run(main())
    steps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    t.note("smallest step in us", round(min(steps) * 1e6, 3) if steps else None)
    return {
        "type": kind,
        "goes on in one callback": bool(steps),
        # A step of one millisecond is a little less than 0.001 as a difference of floats.
        "steps below 1 ms": bool(steps) and min(steps) < 0.0009,
    }


@area.check(expect=True)
def time_is_monotonic(t: Trial) -> object:
    """loop.time() never goes back.

    spec: docs, loop.time
    """
    seen = [t.loop.time() for _ in range(1000)]

    async def main() -> None:
        for _ in range(50):
            seen.append(t.loop.time())
            await asyncio.sleep(0)

    t.run(main())
    return seen == sorted(seen)


@area.check(expect="agrees within 20 ms")
def time_advances_with_the_wall(t: Trial) -> object:
    """A second of loop.time() is a second.

    spec: docs, loop.time
    """
    wall, clock = time.perf_counter(), t.loop.time()
    time.sleep(0.05)
    drift = (t.loop.time() - clock) - (time.perf_counter() - wall)
    t.note("drift in ms", round(drift * 1000, 3))
    return "agrees within 20 ms" if abs(drift) < 0.02 else "disagrees"


# -- when -----------------------------------------------------------------------------------------


@area.check(expect={"early": []})
def timer_never_early(t: Trial) -> object:
    """A timer never runs before its time, not by a fraction of a millisecond either.

    A deadline that is checked in the callback would otherwise be found not reached, and set again.

    spec: docs, loop.call_later: "called after the given delay"; CPython gh-75720
    """
    early: list[str] = []

    async def main() -> None:
        for delay in (0.0004, 0.0014, 0.0024, 0.0103):
            for _ in range(5):
                done = t.loop.create_future()
                start = t.loop.time()
                began = time.monotonic()
                t.loop.call_at(start + delay, done.set_result, None)
                await done
                took = min(t.loop.time() - start, time.monotonic() - began + 1e-6)
                if took < delay:
                    early.append(f"{delay * 1000:g} ms")

    t.run(main())
    return {"early": sorted(set(early))}


@area.check(expect=["1.1 ms", "1.4 ms"])
def timer_order_sub_ms(t: Trial) -> object:
    """Timers less than a millisecond apart run in the order of their times.

    spec: docs, loop.call_at; CPython Lib/asyncio/base_events.py: a heap ordered by when()
    """
    ran: list[str] = []

    async def main() -> None:
        start = t.loop.time()
        t.loop.call_at(start + 0.0014, ran.append, "1.4 ms")
        t.loop.call_at(start + 0.0011, ran.append, "1.1 ms")
        await t.until(lambda: len(ran) == 2)

    t.run(main())
    return ran


@area.check(expect=["1", "2", "3", "4", "5"])
def timers_overdue_together_run_in_order(t: Trial) -> object:
    """Timers that are all overdue when the loop gets to them run in the order of their times.

    spec: CPython Lib/asyncio/base_events.py, _run_once
    """
    ran: list[str] = []

    async def main() -> None:
        start = t.loop.time()
        for number in (4, 2, 5, 1, 3):
            t.loop.call_at(start + number * 0.001, ran.append, str(number))
        time.sleep(0.01)
        await t.until(lambda: len(ran) == 5)

    t.run(main())
    return ran


@area.check(expect=["soon", "later", "second soon"])
def call_later_zero_after_call_soon(t: Trial) -> object:
    """call_later(0) runs after what call_soon took in its turn, and before what comes a turn later.

    spec: CPython Lib/asyncio/base_events.py, _run_once: due timers are appended to the ready queue
    """
    ran: list[str] = []

    def soon() -> None:
        ran.append("soon")
        t.loop.call_soon(lambda: t.loop.call_soon(ran.append, "second soon"))

    async def main() -> None:
        t.loop.call_later(0, ran.append, "later")
        t.loop.call_soon(soon)
        await t.until(lambda: len(ran) == 3)

    t.run(main())
    return ran


@area.check(expect=["soon", "-2", "-1", "0"])
def negative_delay_is_overdue(t: Trial) -> object:
    """A negative delay is a time in the past: due at once, ordered by when it was due.

    spec: CPython Lib/asyncio/base_events.py, call_later is call_at(time() + delay)
    """
    ran: list[str] = []

    async def main() -> None:
        t.loop.call_later(-1, ran.append, "-1")
        t.loop.call_later(0, ran.append, "0")
        t.loop.call_later(-2, ran.append, "-2")
        t.loop.call_soon(ran.append, "soon")
        await t.until(lambda: len(ran) == 4)

    t.run(main())
    return ran


@area.check(expect=["input", "timer"])
def input_before_due_timers(t: Trial) -> object:
    """When input and a timer are both waiting, the input is delivered first.

    A time-out that loses against the answer that is already there would be a false alarm.

    spec: CPython Lib/asyncio/base_events.py, _run_once: I/O events are queued, then due timers
    """
    one, other = t.tcp_pair()
    ran: list[str] = []

    def read() -> None:
        t.loop.remove_reader(one)
        ran.append("input")

    async def main() -> None:
        await t.turns()
        t.loop.add_reader(one, read)
        t.loop.call_later(0.001, ran.append, "timer")
        other.send(b"x")
        time.sleep(0.02)
        await t.until(lambda: len(ran) == 2)

    t.run(main())
    return ran


@area.check(expect=["first", "ran by the first"])
def timer_set_by_a_timer(t: Trial) -> object:
    """A timer may set another one for at once; it runs in a later turn.

    spec: docs, loop.call_later
    """
    ran: list[str] = []

    def first() -> None:
        t.loop.call_later(0, ran.append, "ran by the first")
        ran.append("first")

    async def main() -> None:
        t.loop.call_later(0.001, first)
        await t.until(lambda: len(ran) == 2)

    t.run(main())
    return ran


@area.check(expect="less than 50 ms late")
def timer_is_prompt(t: Trial) -> object:
    """An idle loop runs a timer soon after its time.

    spec: docs, loop.call_later; on Windows the system's tick is 15.6 ms
    """

    async def main() -> float:
        late: list[float] = []
        for _ in range(3):
            start = t.loop.time()
            await asyncio.sleep(0.01)
            late.append(t.loop.time() - start - 0.01)
        return min(late)

    late = t.run(main())
    t.note("late by ms", round(late * 1000, 3))
    return "less than 50 ms late" if late < 0.05 * t.scale else "late"


@area.check(expect="measured")
def sleep_accuracy_histogram(t: Trial) -> object:
    """How late asyncio.sleep() of 1, 2, 5, 10, 15 and 20 ms is on this system: a measurement.

    portable: nothing is promised but that no sleep ends early (timers.timer_never_early)
    """

    async def main() -> dict[str, object]:
        late: dict[str, object] = {}
        for ms in (1, 2, 5, 10, 15, 20):
            took = []
            for _ in range(3):
                start = time.perf_counter()
                await asyncio.sleep(ms / 1000)
                took.append((time.perf_counter() - start) * 1000 - ms)
            late[f"{ms} ms"] = round(min(took), 2)
        return late

    t.note("late by ms", t.run(main()))
    return "measured"


# -- what they take -------------------------------------------------------------------------------


@area.check(expect={"exact": True, "type": "float"})
def timer_when_value(t: Trial) -> object:
    """TimerHandle.when() is the very number that call_at() was given.

    spec: docs, TimerHandle.when
    """
    when = t.loop.time() + 0.1234567890123
    handle = t.loop.call_at(when, int)
    seen = {"exact": handle.when() == when, "type": type(handle.when()).__name__}
    handle.cancel()
    return seen


@area.check(expect=True)
def call_later_when_is_now_plus_delay(t: Trial) -> object:
    """The when() of call_later() is the time of the call plus the delay.

    spec: docs, loop.call_later: "an asyncio.TimerHandle"; loop.time() as the reference
    """
    before = t.loop.time()
    handle = t.loop.call_later(5.25, int)
    after = t.loop.time()
    handle.cancel()
    return before + 5.25 <= handle.when() <= after + 5.25


@area.check(expect=True)
def when_survives_cancel(t: Trial) -> object:
    """A cancelled timer still knows when it would have run.

    spec: docs, TimerHandle.when
    """
    when = t.loop.time() + 3
    handle = t.loop.call_at(when, int)
    handle.cancel()
    return handle.when() == when


@area.check(
    expect={
        "call_later": {"type": "TypeError", "text": "delay must not be None"},
        "call_at": {"type": "TypeError", "text": "when cannot be None"},
    }
)
def none_is_no_time(t: Trial) -> object:
    """None is refused as a delay and as a time.

    text: CPython Lib/asyncio/base_events.py; test_base_events test_call_later, test_call_at
    """
    return {
        "call_later": t.outcome(t.loop.call_later, None, int),
        "call_at": t.outcome(t.loop.call_at, None, int),
    }


@area.check(expect={"TimerHandle for 0": True, "TimerHandle for -1": True})
def call_later_always_gives_a_timer_handle(t: Trial) -> object:
    """A delay that has already passed gives a TimerHandle as well.

    spec: docs, loop.call_later: "An instance of asyncio.TimerHandle is returned"
    """
    return {
        f"TimerHandle for {delay}": isinstance(t.loop.call_later(delay, int), asyncio.TimerHandle)
        for delay in (0, -1)
    }


@area.check(
    expect={
        "<": True,
        "<=": True,
        ">": False,
        ">=": False,
        "==": False,
        "sorted": ["a", "b", "c"],
        "hash is that of when": True,
    }
)
def timerhandle_comparison(t: Trial) -> object:
    """Timer handles are ordered by their times, and can be hashed.

    spec: CPython Lib/asyncio/events.py, TimerHandle; test_events TimerTests.test_timer_comparison
    """
    now = t.loop.time()
    a = t.loop.call_at(now + 1, int, "a")
    b = t.loop.call_at(now + 2, int, "b")
    c = t.loop.call_at(now + 3, int, "c")
    names = {id(a): "a", id(b): "b", id(c): "c"}
    seen = {
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
        "==": a == b,
        "sorted": [names[id(handle)] for handle in sorted([c, a, b])],
        "hash is that of when": hash(a) == hash(a.when()),
    }
    for handle in (a, b, c):
        handle.cancel()
    return seen


@area.check(expect={"ran": ["other"], "infinite one cancelled": True})
def huge_delays_are_legal(t: Trial) -> object:
    """A delay of centuries, or infinity, is a timer like any other that never comes.

    spec: CPython Lib/asyncio/base_events.py, MAXIMUM_SELECT_TIMEOUT; test_base_events
    """
    ran: list[str] = []
    handles = [
        t.loop.call_later(delay, ran.append, "huge") for delay in (1e10, 1e18, 1e308, math.inf)
    ]

    async def main() -> None:
        t.loop.call_later(0.002, ran.append, "other")
        await t.until(lambda: ran)

    t.run(main())
    for handle in handles:
        handle.cancel()
    t.run(t.turns())
    return {"ran": ran, "infinite one cancelled": handles[-1].cancelled()}


@area.check(expect="woke up for the next callback")
def timer_24h_cap(t: Trial) -> object:
    """A loop whose only timer is more than a day away waits, and still wakes for everything else.

    spec: CPython Lib/asyncio/base_events.py, MAXIMUM_SELECT_TIMEOUT (24 hours)
    """
    handle = t.loop.call_later(3 * 24 * 3600, int)

    def wake() -> None:
        time.sleep(0.02)
        t.loop.call_soon_threadsafe(t.loop.stop)

    thread = t.in_thread(wake)
    t.loop.run_forever()
    thread.join()
    handle.cancel()
    return "woke up for the next callback"


@area.check(expect={"ran": ["kept"]})
def cancelled_timer_does_not_run(t: Trial) -> object:
    """A cancelled timer does not run, nor does one that another timer of its turn cancels.

    spec: docs, TimerHandle (a subclass of Handle), Handle.cancel
    """
    ran: list[str] = []

    async def main() -> None:
        start = t.loop.time()
        t.loop.call_at(start + 0.001, ran.append, "cancelled").cancel()

        def kept() -> None:
            ran.append("kept")
            last.cancel()

        t.loop.call_at(start + 0.002, kept)
        last = t.loop.call_at(start + 0.003, ran.append, "cancelled by the one before")
        time.sleep(0.01)
        await t.settle(0.01)

    t.run(main())
    return {"ran": ran}


@area.check(expect={"kept timers ran": 50, "cancelled ones ran": 0})
def heap_compaction_100_cancelled(t: Trial) -> object:
    """Hundreds of cancelled timers disturb neither the order nor the number of those that stay.

    spec: CPython Lib/asyncio/base_events.py, _MIN_SCHEDULED_TIMER_HANDLES; test_base_events
    test__run_once_cancelled_event_cleanup
    """
    kept: list[int] = []
    cancelled: list[int] = []

    async def main() -> None:
        start = t.loop.time()
        handles = []
        for number in range(400):
            if number % 8 == 0:
                t.loop.call_at(start + 0.01 + number * 1e-5, kept.append, number)
            else:
                handles.append(
                    t.loop.call_at(start + 0.01 + number * 1e-5, cancelled.append, number)
                )
        for handle in handles:
            handle.cancel()
        await t.until(lambda: len(kept) == 50)

    t.run(main())
    in_order = len(kept) if kept == sorted(kept) else f"out of order: {kept}"
    return {"kept timers ran": in_order, "cancelled ones ran": len(cancelled)}


@area.check(expect={"pending": "<TimerHandle when=5000000 int()>", "cancelled": "cancelled"})
def timer_repr(t: Trial) -> object:
    """repr() of a timer handle shows its time and its callback, or that it is cancelled.

    text: CPython Lib/asyncio/events.py, TimerHandle._repr_info
    """
    handle = t.loop.call_at(5_000_000, int)
    seen = {"pending": repr(handle)}
    handle.cancel()
    seen["cancelled"] = repr(handle).strip("<>").split()[1]
    return seen


@area.check(expect={"exception": "TimeoutError", "the sleeper was cancelled": True})
def wait_for_times_out(t: Trial) -> object:
    """asyncio.wait_for() cancels what takes too long and raises TimeoutError.

    spec: docs, asyncio.wait_for
    """
    seen: list[str] = []

    async def sleeper() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> object:
        return await t.outcome_of(asyncio.wait_for(sleeper(), 0.005))

    outcome = t.run(main())
    return {
        "exception": outcome["type"] if isinstance(outcome, dict) else outcome,
        "the sleeper was cancelled": seen == ["cancelled"],
    }


@area.check(expect={"expired": True, "exception": "TimeoutError"})
def timeout_block_expires(t: Trial) -> object:
    """asyncio.timeout() ends its block in time and says that it did.

    spec: docs, asyncio.timeout (3.11)
    """

    async def main() -> object:
        try:
            async with asyncio.timeout(0.005) as limit:
                await asyncio.sleep(3600)
        except TimeoutError as error:
            return {"expired": limit.expired(), "exception": type(error)}
        return "no exception"

    return t.run(main())
