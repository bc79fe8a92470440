# SPDX-License-Identifier: MIT
"""call_soon, call_later and call_at: order, time and context."""

from __future__ import annotations

import asyncio
import contextvars
import math

import pytest
import support
from differences import UVLOOP, differs

variable = contextvars.ContextVar("variable", default="unset")


def run_once(loop):
    loop.stop()
    loop.run_forever()


def test_call_soon_keeps_order(loop):
    """Contract point 1."""
    ran = []
    for number in range(1000):
        loop.call_soon(ran.append, number)
    run_once(loop)
    assert ran == list(range(1000))


def test_call_soon_passes_all_arguments(loop):
    ran = []

    def take(*args):
        ran.append(args)

    loop.call_soon(take)
    loop.call_soon(take, 1)
    loop.call_soon(take, 1, 2, 3, 4, 5, 6, 7, 8)
    run_once(loop)
    assert ran == [(), (1,), (1, 2, 3, 4, 5, 6, 7, 8)]


def test_what_a_callback_schedules_runs_in_the_next_turn(loop):
    """Contract point 1."""
    ran = []

    def first():
        ran.append("first")
        loop.call_soon(ran.append, "third")

    loop.call_soon(first)
    loop.call_soon(ran.append, "second")
    run_once(loop)
    assert ran == ["first", "second"]
    run_once(loop)
    assert ran == ["first", "second", "third"]


def test_cancelled_callback_does_not_run(loop):
    ran = []
    handle = loop.call_soon(ran.append, 1)
    loop.call_soon(ran.append, 2)
    handle.cancel()
    run_once(loop)
    assert ran == [2]
    assert handle.cancelled()


def test_callback_can_cancel_a_later_one_of_its_turn(loop):
    ran = []
    loop.call_soon(lambda: victim.cancel())
    victim = loop.call_soon(ran.append, 1)
    run_once(loop)
    assert ran == []


def test_self_rescheduling_callback_starves_neither_timers_nor_sockets(loop, run):
    """Contract point 1."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        stopped = []

        def spin():
            if not stopped:
                loop.call_soon(spin)

        async def main():
            spin()
            timer = loop.create_future()
            readable = loop.create_future()
            loop.call_later(0.001, timer.set_result, None)
            loop.add_reader(ours, lambda: readable.done() or readable.set_result(None))
            peer.send(b"x")
            await asyncio.gather(timer, readable)
            loop.remove_reader(ours)
            stopped.append(True)

        run(main())


@differs(
    from_=UVLOOP,
    what="`call_later(0, ...)` before a `call_soon`",
    they="runs the timer first",
    evenloop="runs what was called soon first, as asyncio does",
)
def test_call_later_zero_does_not_overtake_call_soon(loop):
    """Contract point 2."""
    ran = []
    loop.call_later(0, ran.append, "timer")
    loop.call_soon(ran.append, "soon")
    for _ in range(3):
        run_once(loop)
    assert ran == ["soon", "timer"]


def test_call_later_zero_runs_after_what_is_already_queued(loop):
    """Contract point 2."""
    ran = []
    loop.call_soon(ran.append, "soon")
    loop.call_later(0, ran.append, "timer")
    for _ in range(3):
        run_once(loop)
    assert ran == ["soon", "timer"]


@differs(
    from_=UVLOOP,
    what="`call_later` with a delay that is not positive",
    they="returns a Handle without `when()`",
    evenloop="returns a TimerHandle",
)
def test_negative_delay_is_due_at_once(loop, run):
    async def main():
        future = loop.create_future()
        handle = loop.call_later(-5, future.set_result, None)
        assert handle.when() < loop.time()
        await future

    run(main())


def test_timers_fire_in_order_of_their_time(loop, run):
    """Contract point 4."""

    async def main():
        ran = []
        done = loop.create_future()
        base = loop.time()
        delays = [0.0151, 0.0004, 0.0102, 0.0029, 0.0011, 0.0075, 0.0014]
        for delay in delays:
            loop.call_at(base + delay, ran.append, delay)
        loop.call_at(base + 0.0155, done.set_result, None)
        await done
        assert ran == sorted(delays)

    run(main())


@differs(
    from_=UVLOOP,
    what="timers",
    they="go by whole milliseconds, and may run up to one early",
    evenloop="go by nanoseconds, and are never early",
)
@pytest.mark.parametrize("delay", [0.0004, 0.0014, 0.0024, 0.0103, 0.0156])
def test_timer_is_never_early(loop, run, delay):
    """Contract point 4, rows D20 and D21."""

    async def main():
        for _ in range(5):
            due = loop.time() + delay
            future = loop.create_future()
            loop.call_at(due, lambda future=future: future.set_result(loop.time()))
            resolution = getattr(loop, "_clock_resolution", 0)
            assert await future >= due - resolution

    run(main())


@differs(
    from_=UVLOOP,
    what="`TimerHandle.when()`",
    they="is rounded to milliseconds",
    evenloop="is the time that was given",
)
def test_when_is_the_exact_time_that_was_given(loop):
    when = loop.time() + 1234.5678901
    handle = loop.call_at(when, print)
    assert handle.when() == when
    handle.cancel()


def test_call_later_adds_to_the_loops_time(loop):
    before = loop.time()
    handle = loop.call_later(10, print)
    assert before + 10 <= handle.when() <= loop.time() + 10
    handle.cancel()


def test_time_moves_within_a_callback(loop):
    """Contract row D19."""
    moved = []

    def spin():
        start = loop.time()
        while loop.time() == start:
            pass
        moved.append(loop.time() - start)

    loop.call_soon(spin)
    run_once(loop)
    assert 0 < moved[0] < 0.01


def test_cancelled_timer_does_not_fire(loop, run):
    async def main():
        ran = []
        handle = loop.call_later(0.001, ran.append, 1)
        handle.cancel()
        done = loop.create_future()
        loop.call_later(0.005, done.set_result, None)
        await done
        assert ran == []

    run(main())


def test_callback_can_cancel_a_timer_that_is_due_with_it(loop, run):
    async def main():
        ran = []
        base = loop.time()
        second = loop.call_at(base + 0.002, ran.append, "second")
        loop.call_at(base + 0.001, second.cancel)
        done = loop.create_future()
        loop.call_at(base + 0.003, done.set_result, None)
        while loop.time() < base + 0.004:
            pass
        await done
        assert ran == []

    run(main())


def test_thousands_of_cancelled_timers_leave_the_others_alone(loop, run):
    async def main():
        ran = []
        base = loop.time()
        handles = [loop.call_at(base + 0.001 + n * 1e-7, ran.append, n) for n in range(5000)]
        for number, handle in enumerate(handles):
            if number % 10:
                handle.cancel()
        done = loop.create_future()
        loop.call_at(base + 0.003, done.set_result, None)
        await done
        assert ran == list(range(0, 5000, 10))

    run(main())


@differs(
    from_=UVLOOP,
    what="`call_later(inf, ...)`",
    they="is cut to a hundred years",
    evenloop="stays infinite",
)
@pytest.mark.parametrize("delay", [math.inf, 1e300, 1e12, 2**40, 86400 * 365 * 300])
def test_infinite_and_huge_delays_are_legal(loop, run, delay):
    """C103: they wait, and overflow nothing. Contract point 4, row D22."""
    handle = loop.call_later(delay, print)
    assert handle.when() >= delay

    async def main():
        done = loop.create_future()
        loop.call_later(0.001, done.set_result, "fired")
        return await done

    assert run(main()) == "fired"
    handle.cancel()


def test_integer_and_bool_delays_work(loop, run):
    async def main():
        futures = [loop.create_future() for _ in range(3)]
        loop.call_later(0, futures[0].set_result, None)
        loop.call_later(False, futures[1].set_result, None)
        loop.call_at(int(loop.time()), futures[2].set_result, None)
        await asyncio.gather(*futures)

    run(main())


def test_callback_runs_in_a_copy_of_the_schedulers_context(loop):
    """Contract point 10."""
    seen = []

    def change():
        seen.append(variable.get())
        variable.set("changed")

    def schedule():
        variable.set("mine")
        loop.call_soon(change)
        loop.call_soon(lambda: seen.append(variable.get()))
        loop.call_later(0, lambda: seen.append(variable.get()))

    contextvars.copy_context().run(schedule)
    for _ in range(3):
        run_once(loop)
    assert seen == ["mine", "mine", "mine"]
    assert variable.get() == "unset"


@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_callback_runs_in_the_context_it_was_given(loop, how):
    """Contract point 10."""
    context = contextvars.Context()
    context.run(variable.set, "given")

    def change():
        assert variable.get() == "given"
        variable.set("changed inside")

    first = {"call_later": (0,), "call_at": (loop.time(),)}.get(how, ())
    getattr(loop, how)(*first, change, context=context)
    for _ in range(3):
        run_once(loop)
    assert context[variable] == "changed inside"


def test_task_steps_run_in_the_tasks_context(loop, run):
    """Contract point 10."""

    async def child():
        await asyncio.sleep(0)
        variable.set("child")
        await asyncio.sleep(0)
        return variable.get()

    async def main():
        variable.set("parent")
        assert await asyncio.create_task(child()) == "child"
        assert variable.get() == "parent"
        context = contextvars.copy_context()
        await asyncio.create_task(child(), context=context)
        assert context[variable] == "child"

    run(main())


def test_sleep_zero_yields_once(loop, run):
    async def main():
        order = []

        async def worker(name):
            for number in range(3):
                order.append((name, number))
                await asyncio.sleep(0)

        await asyncio.gather(worker("a"), worker("b"))
        assert order == [(name, number) for number in range(3) for name in "ab"]

    run(main())


@differs(
    from_=UVLOOP,
    what="the order of a turn",
    they="may run a due timer before what was called soon",
    evenloop="ready callbacks, then input and output, then timers",
)
def test_timers_come_after_ready_callbacks_and_io(loop, run):
    """I/O that a callback itself causes may be delivered in its turn or the next (docs/adr).

    Contract point 2.
    """
    ours, peer = support.tcp_pair()
    with ours, peer:
        order = []

        async def main():
            done = loop.create_future()
            peer.send(b"x")
            await loop.sock_recv(ours, 1)  # the socket really is readable after this kind of send
            peer.send(b"y")

            def readable():
                loop.remove_reader(ours)
                order.append("io")

            loop.add_reader(ours, readable)
            while not _is_readable(ours):
                pass
            loop.call_at(loop.time(), order.append, "timer")
            loop.call_soon(order.append, "ready")
            loop.call_later(0.05, done.set_result, None)
            await done

        run(main())
    assert set(order[:2]) == {"ready", "io"}
    assert order[2:] == ["timer"]


def _is_readable(sock):
    import select

    return bool(select.select([sock], [], [], 1)[0])
