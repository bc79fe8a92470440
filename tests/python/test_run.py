# SPDX-License-Identifier: MIT
"""run_forever, run_until_complete, stop and close: what starts, stops and ends a loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
import weakref

import pytest
import support


def test_loop_is_an_asyncio_loop(loop):
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)


def test_run_until_complete_returns_the_result(loop):
    async def answer():
        await asyncio.sleep(0)
        return 42

    assert loop.run_until_complete(answer()) == 42


def test_run_until_complete_raises_the_exception(loop):
    async def fail():
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        loop.run_until_complete(fail())


def test_run_until_complete_takes_a_future(loop):
    future = loop.create_future()
    loop.call_soon(future.set_result, "done")
    assert loop.run_until_complete(future) == "done"


def test_running_loop_is_set_while_running_only(loop):
    async def current():
        return asyncio.get_running_loop(), loop.is_running()

    assert loop.run_until_complete(current()) == (loop, True)
    assert not loop.is_running()
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_stop_lets_the_turn_finish(loop):
    """Contract point 3."""
    ran = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.stop)
    loop.call_soon(ran.append, 2)
    loop.run_forever()
    assert ran == [1, 2]


def test_what_a_stopping_turn_schedules_waits_for_the_next_run(loop):
    """Contract point 3."""
    ran = []

    def first():
        loop.stop()
        loop.call_soon(ran.append, "later")

    loop.call_soon(first)
    loop.run_forever()
    assert ran == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == ["later"]


def test_stop_before_run_forever_runs_exactly_one_turn(loop):
    """Contract point 3."""
    ran = []

    def again():
        ran.append(len(ran))
        loop.call_soon(again)

    loop.call_soon(again)
    loop.stop()
    loop.run_forever()
    assert ran == [0]
    loop.stop()
    loop.run_forever()
    assert ran == [0, 1]


def test_run_until_complete_tells_when_it_was_stopped(loop):
    """Contract point 7."""
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError) as caught:
        loop.run_until_complete(future)
    assert str(caught.value) == "Event loop stopped before Future completed."


def test_nested_run_is_refused_and_starts_nothing(loop):
    """Contract point 7."""
    started = []

    async def inner():
        started.append(True)

    async def outer():
        coro = inner()
        with pytest.raises(RuntimeError) as caught:
            loop.run_until_complete(coro)
        coro.close()
        with pytest.raises(RuntimeError) as forever:
            loop.run_forever()
        await support.drain_callbacks()
        return str(caught.value), str(forever.value)

    text = "This event loop is already running"
    assert loop.run_until_complete(outer()) == (text, text)
    assert started == []


def test_second_loop_in_the_same_thread_is_refused(loop, loop_factory):
    """Contract point 7."""

    async def outer():
        other = loop_factory()
        try:
            with pytest.raises(RuntimeError) as caught:
                other.run_forever()
            assert not other.is_running()
        finally:
            other.close()
        return str(caught.value)

    text = "Cannot run the event loop while another loop is running"
    assert loop.run_until_complete(outer()) == text


def test_closing_a_running_loop_is_refused(loop):
    """Contract point 8."""

    async def close():
        loop.close()

    with pytest.raises(RuntimeError) as caught:
        loop.run_until_complete(close())
    assert str(caught.value) == "Cannot close a running event loop"
    assert not loop.is_closed()


def test_close_is_idempotent(loop_factory):
    """Contract point 8."""
    loop = loop_factory()
    assert not loop.is_closed()
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_close_drops_what_was_scheduled(loop_factory):
    loop = loop_factory()
    ran = []
    callback = ran.append
    loop.call_soon(callback, 1)
    loop.call_later(0, callback, 2)
    loop.close()
    assert ran == []


@pytest.mark.parametrize(
    "use",
    [
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_soon_threadsafe(print),
        lambda loop: loop.call_later(1, print),
        lambda loop: loop.call_at(loop.time() + 1, print),
        lambda loop: loop.run_forever(),
        lambda loop: loop.run_until_complete(asyncio.sleep(0)),
        lambda loop: loop.create_task(asyncio.sleep(0)),
        lambda loop: loop.run_in_executor(None, print),
    ],
    ids=[
        "call_soon",
        "call_soon_threadsafe",
        "call_later",
        "call_at",
        "run_forever",
        "run_until_complete",
        "create_task",
        "run_in_executor",
    ],
)
def test_use_after_close_is_refused(use):
    """Contract point 8."""

    def closed_then_used(loop):
        loop.close()
        use(loop)

    assert support.raised_by(closed_then_used) == ("RuntimeError", "Event loop is closed")


def test_stop_and_questions_are_fine_after_close(loop_factory):
    loop = loop_factory()
    loop.close()
    loop.stop()
    assert loop.is_closed()
    assert not loop.is_running()
    assert not loop.get_debug()
    assert loop.time() > 0
    assert "closed=True" in repr(loop)


def test_repr_tells_the_state(loop):
    shown = []
    loop.call_soon(lambda: shown.append(repr(loop)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert "running=True closed=False debug=False" in shown[0]
    assert "running=False closed=False debug=False" in repr(loop)
    assert repr(loop).startswith(f"<{type(loop).__name__} ")


def test_open_loop_that_is_collected_warns(loop_factory):
    """Contract point 8."""
    loop = loop_factory()
    text = repr(loop)
    with pytest.warns(ResourceWarning) as caught:
        del loop
        gc.collect()
    assert [str(entry.message) for entry in caught] == [f"unclosed event loop {text}"]


def test_closed_loop_is_freed_without_the_collector(loop_factory):
    gc.collect()
    gc.disable()
    try:
        loop = loop_factory()
        loop.call_soon(lambda: None)
        loop.call_later(3600, print)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        gone = weakref.ref(loop)
        del loop
        assert gone() is None
    finally:
        gc.enable()


def test_loop_takes_attributes_and_weak_references(loop):
    loop.label = "mine"
    assert loop.label == "mine"
    assert weakref.ref(loop)() is loop


def test_subclass_can_override_methods():
    class Counting(type(_probe_loop())):
        made = 0

        def call_soon(self, callback, *args, context=None):
            type(self).made += 1
            return super().call_soon(callback, *args, context=context)

    loop = Counting()
    try:
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    assert Counting.made > 0


def _probe_loop():
    loop = support.new_loop()
    loop.close()
    return loop


def test_loops_in_many_threads_run_at_once(loop_factory):
    """Contract row D15."""
    count = 8
    meeting = threading.Barrier(count, timeout=support.LIMIT)
    results = []

    def work(number):
        loop = loop_factory()
        try:

            async def main():
                meeting.wait()
                await asyncio.sleep(0.001)
                return number

            results.append(loop.run_until_complete(main()))
        finally:
            loop.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(count))


def test_many_loops_can_be_opened_and_closed(loop_factory):
    for _ in range(200):
        loop = loop_factory()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_two_loops_take_turns(loop_factory):
    first, second = loop_factory(), loop_factory()
    try:
        order = []

        async def note(name):
            await asyncio.sleep(0)
            order.append(name)

        for _ in range(2):
            first.run_until_complete(note("first"))
            second.run_until_complete(note("second"))
        assert order == ["first", "second"] * 2
    finally:
        first.close()
        second.close()


def test_run_forever_restores_async_generator_hooks(loop):
    """Contract point 12."""
    import sys

    before = sys.get_asyncgen_hooks()
    seen = []
    loop.call_soon(lambda: seen.append(sys.get_asyncgen_hooks()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen[0] != before
    assert sys.get_asyncgen_hooks() == before


def test_run_until_complete_rejects_what_cannot_be_awaited():
    kind, text = support.raised_by(lambda loop: loop.run_until_complete(42))
    assert kind == "TypeError"
    assert "awaitable is required" in text or "coroutine" in text


def test_run_until_complete_rejects_a_future_of_another_loop(loop_factory):
    def use(loop):
        other = loop_factory()
        try:
            loop.run_until_complete(other.create_future())
        finally:
            other.close()

    assert support.raised_by(use)[0] == "ValueError"


@pytest.mark.since(3, 13)
def test_setup_hooks_for_embedders_exist(loop):
    ran = []
    loop.call_soon(ran.append, 1)
    loop._run_forever_setup()
    try:
        assert loop.is_running()
        loop._run_once()
    finally:
        loop._run_forever_cleanup()
    assert ran == [1]
    assert not loop.is_running()


def test_current_loop_stays_usable_after_a_failed_run(loop):
    async def fail():
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):
            loop.run_until_complete(fail())
    assert loop.run_until_complete(asyncio.sleep(0, "fine")) == "fine"


def test_abandoned_task_is_reported_when_collected(loop, errors):
    async def wait():
        await loop.create_future()

    loop.create_task(wait())
    loop.run_until_complete(support.drain_callbacks())
    gc.collect()
    assert [context["message"] for context in errors] == ["Task was destroyed but it is pending!"]
    errors.clear()


def test_no_warning_when_everything_is_closed(loop_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop = loop_factory()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        del loop
        gc.collect()
