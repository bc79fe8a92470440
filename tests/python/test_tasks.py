# SPDX-License-Identifier: MIT
"""Tasks, futures, task factories and async generators on the loop."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
import support
from differences import UVLOOP, differs


def test_create_task_gives_an_asyncio_task(loop, run):
    async def main():
        async def child():
            return 5

        task = loop.create_task(child(), name="named")
        assert type(task) is asyncio.Task
        assert task.get_name() == "named"
        assert task.get_loop() is loop
        assert await task == 5

    run(main())


def test_create_future_gives_an_asyncio_future(loop):
    future = loop.create_future()
    assert type(future) is asyncio.Future
    assert future.get_loop() is loop
    future.cancel()


@differs(
    from_=UVLOOP,
    what="a replaced `asyncio.Task`",
    they="is not used by `create_task`",
    evenloop="is used",
)
def test_task_class_is_looked_up_when_a_task_is_made(loop, monkeypatch):
    """Contract point 9."""

    class Own(asyncio.Task):
        pass

    monkeypatch.setattr(asyncio.tasks, "Task", Own)
    assert type(loop.run_until_complete(_current_task())) is Own


async def _current_task():
    return asyncio.current_task()


def test_task_factory_makes_the_tasks(loop, run):
    made = []

    def factory(loop, coro, **options):
        made.append(sorted(options))
        return asyncio.Task(coro, loop=loop, **options)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory

    async def main():
        await asyncio.create_task(asyncio.sleep(0))
        await asyncio.create_task(asyncio.sleep(0), name="named")

    run(main())
    loop.set_task_factory(None)
    assert len(made) >= 3


@differs(
    from_=UVLOOP,
    what="`asyncio.eager_task_factory`",
    they="is called with `eager_start=None`, and tasks do not start eagerly",
    evenloop="works",
)
@pytest.mark.since(3, 12)
def test_eager_tasks_run_at_once(loop, run):
    loop.set_task_factory(asyncio.eager_task_factory)

    async def main():
        ran = []

        async def child():
            ran.append("child")
            return 1

        task = asyncio.create_task(child())
        assert ran == ["child"]
        assert task.done()
        assert await task == 1

    run(main())


def test_futures_call_back_in_order(loop, run):
    async def main():
        order = []
        future = loop.create_future()
        for number in range(10):
            future.add_done_callback(lambda _, number=number: order.append(number))
        future.set_result(None)
        assert order == []
        await support.drain_callbacks()
        assert order == list(range(10))

    run(main())


def test_gather_wait_timeout_and_task_groups(loop, run):
    async def give(value):
        await asyncio.sleep(0.001 * value)
        return value

    async def main():
        assert await asyncio.gather(*(give(number) for number in (3, 1, 2))) == [3, 1, 2]
        done, pending = await asyncio.wait(
            [asyncio.create_task(give(0)), asyncio.create_task(give(1000))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert [task.result() for task in done] == [0]
        for task in pending:
            task.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await loop.create_future()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(give(number)) for number in range(3)]
        assert [task.result() for task in tasks] == [0, 1, 2]
        results = [await future for future in asyncio.as_completed([give(2), give(1)])]
        assert results == [1, 2]

    run(main())


def test_locks_queues_and_events(loop, run):
    async def main():
        queue = asyncio.Queue(3)
        received = []

        async def produce():
            for number in range(100):
                await queue.put(number)
            await queue.put(None)

        async def consume():
            while (item := await queue.get()) is not None:
                received.append(item)

        await asyncio.gather(produce(), consume())
        assert received == list(range(100))
        lock, active, most = asyncio.Lock(), 0, 0

        async def work():
            nonlocal active, most
            async with lock:
                active += 1
                most = max(most, active)
                await asyncio.sleep(0)
                active -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        assert most == 1

    run(main())


def test_all_tasks_and_current_task_know_the_loop(loop, run):
    async def main():
        task = asyncio.current_task()
        child = asyncio.create_task(asyncio.sleep(3600))
        assert {task, child} <= asyncio.all_tasks()
        child.cancel()
        with pytest.raises(asyncio.CancelledError):
            await child

    run(main())


def test_unfinished_async_generators_are_closed_by_shutdown(loop):
    """Contract point 12."""
    closed = []

    async def generator():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    agen = generator()

    async def main():
        async for _ in agen:
            break

    loop.run_until_complete(main())
    assert closed == []
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert closed == [True]


def test_collected_async_generator_is_closed_by_the_loop(loop, run):
    """Contract point 12."""
    closed = []

    async def generator():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main():
        agen = generator()
        async for _ in agen:
            break
        del agen
        gc.collect()
        await support.drain_callbacks(5)
        assert closed == [True]

    run(main())


def test_async_generator_after_shutdown_warns(loop):
    """Contract point 12."""

    async def generator():
        yield 1

    async def main():
        await loop.shutdown_asyncgens()
        agen = generator()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async for _ in agen:
                break
            await agen.aclose()
        return [str(entry.message) for entry in caught if entry.category is ResourceWarning]

    messages = loop.run_until_complete(main())
    assert len(messages) == 1
    assert "was scheduled after loop.shutdown_asyncgens() call" in messages[0]


def test_error_in_closing_an_async_generator_is_reported(loop, errors):
    """Contract point 12."""

    async def generator():
        try:
            yield 1
        finally:
            raise ZeroDivisionError

    agen = generator()

    async def main():
        async for _ in agen:
            break

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    (context,) = errors
    assert set(context) == {"message", "exception", "asyncgen"}
    assert context["asyncgen"] is agen
    errors.clear()


def test_hundred_thousand_sleeps(loop, run):
    async def main():
        async def sleeper():
            for _ in range(1000):
                await asyncio.sleep(0)

        await asyncio.gather(*(sleeper() for _ in range(100)))

    run(main())
