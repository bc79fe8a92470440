# SPDX-License-Identifier: MIT
"""What users of other loops ran into with timers, handles and the clock."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
import support
from differences import UVLOOP, differs


def run_once(loop):
    loop.stop()
    loop.run_forever()


@differs(
    from_=UVLOOP,
    what="`call_later(0, ...)`, `call_later(-1, ...)`",
    they="give a Handle without `when()`",
    evenloop="give a TimerHandle",
)
@pytest.mark.parametrize("delay", [0, -1, 0.0, 1e-9])
def test_timer_that_is_due_at_once_is_a_timer(loop, delay):
    """C100: a TimerHandle, whatever the delay."""
    handle = loop.call_later(delay, int)
    assert isinstance(handle, asyncio.TimerHandle)
    assert handle.when() <= loop.time() + 1
    assert handle._scheduled is True
    handle.cancel()
    run_once(loop)


@differs(
    from_=UVLOOP,
    what="a timer, by `loop.time()`",
    they="may run up to a millisecond early",
    evenloop="is never early",
)
@pytest.mark.parametrize("delay", [0.0014, 0.0105])
def test_sleep_is_never_shorter_than_it_says(loop, run, delay):
    """C101: by the clock of the system, which knows nothing of the loop's own."""

    async def main():
        for _ in range(20):
            start = time.perf_counter()
            await asyncio.sleep(delay)
            assert time.perf_counter() - start >= delay - getattr(loop, "_clock_resolution", 0)

    run(main())


@differs(
    from_=UVLOOP,
    what="`loop.time()`",
    they="moves in steps of a millisecond, and stands still within a callback",
    evenloop="is the clock of the system, in nanoseconds",
)
def test_time_is_finer_than_a_millisecond(loop, run):
    """C102: it moves while a callback runs, and `_clock_resolution` says how finely."""

    async def main():
        steps = sorted({loop.time() for _ in range(20_000)})
        assert min(after - before for before, after in itertools.pairwise(steps)) < 0.0005
        assert 0 < loop._clock_resolution < 0.001

    run(main())


@differs(
    from_=UVLOOP,
    what="`call_later(-1, ...)` beside `call_soon()`",
    they="run in the order of the calls",
    evenloop="timers come after what was queued, in the order of their time",
)
def test_overdue_timers_come_after_what_is_queued_and_in_the_order_of_their_time(loop):
    """C104: the earlier time first, however late both are."""
    ran = []
    loop.call_later(-1, ran.append, "a second ago")
    loop.call_later(-2, ran.append, "two seconds ago")
    loop.call_soon(ran.append, "queued")
    for _ in range(3):
        run_once(loop)
    assert ran == ["queued", "two seconds ago", "a second ago"]


@differs(
    from_=UVLOOP,
    what="what `call_later()` returns",
    they="is no asyncio.TimerHandle and can't be compared",
    evenloop="is one, with asyncio's order, equality and hash",
)
def test_timer_handle_is_asyncios_after_cancel_too(loop):
    """C105: `when()` answers, `_scheduled` tells, and timers have an order."""
    early, late = loop.call_later(10, int), loop.call_later(20, int)
    assert isinstance(early, asyncio.TimerHandle)
    assert early._scheduled is True
    assert sorted([late, early]) == [early, late]
    when = early.when()
    early.cancel()
    assert early.when() == when
    assert early.cancelled()
    assert early < late
    late.cancel()


def test_due_timers_run_in_order_between_io(loop, run):
    """C107: a turn runs the timers that are due by their time; a busy socket holds none back."""
    ours, peer = support.tcp_pair()

    async def main():
        ran = []
        done = loop.create_future()

        def readable():  # nothing is read: it is readable in every turn
            if len(ran) == 50:
                loop.remove_reader(ours)
                done.set_result(None)

        peer.send(b"x")
        loop.add_reader(ours, readable)
        base = loop.time()
        for number in reversed(range(50)):
            loop.call_at(base + number * 1e-4, ran.append, number)
        await done
        assert ran == list(range(50))

    with ours, peer:
        run(main())


def test_timer_set_after_the_loop_was_blocked_counts_from_now(loop):
    """Section 3a, test_now_update: a callback that takes long does not make later timers early."""
    ran = []

    def block():
        time.sleep(0.05)
        started = time.perf_counter()
        loop.call_later(0.05, lambda: (ran.append(time.perf_counter() - started), loop.stop()))

    loop.call_soon(block)
    guard = loop.call_later(support.LIMIT, loop.stop)
    loop.run_forever()
    guard.cancel()
    assert ran[0] >= 0.05 - loop._clock_resolution


@pytest.mark.parametrize("delay", [0.0999, 0.01, 0.0011, 0.0001])
def test_rounding_makes_no_timer_early_and_none_wait_for_another(loop, run, delay):
    """Section 3a, test_call_later_rounding and test_call_later_2.

    Two timers a tenth of a millisecond apart are two: the later one never runs with the earlier.
    """

    async def main():
        base = loop.time() + delay
        ran = []
        done = loop.create_future()
        loop.call_at(base, lambda: ran.append(loop.time() - base))
        loop.call_at(base + 1e-4, lambda: (ran.append(loop.time() - base), done.set_result(None)))
        await done
        assert ran[0] >= -loop._clock_resolution
        assert ran[1] >= 1e-4 - loop._clock_resolution

    run(main())
