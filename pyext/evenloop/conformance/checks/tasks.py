# SPDX-License-Identifier: MIT
"""tasks: how the loop makes tasks and futures, and what asyncio's own tools find in them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from ..check import Area
from ..trial import Trial
from ..versions import by_version, fixed_in

area = Area("tasks", "Tasks and futures")

_EAGER = ["before the first await", "after create_task", "after the await"]


async def _nothing() -> None:
    pass


@area.check(expect={"Future": True, "its loop": True, "Task": True, "name": "given"})
async def futures_and_tasks_are_asyncios(t: Trial) -> object:
    """create_future() gives an asyncio.Future of the loop, create_task() an asyncio.Task.

    spec: docs, loop.create_future and loop.create_task
    """
    future = t.loop.create_future()
    task = t.loop.create_task(_nothing(), name="given")
    seen = {
        "Future": isinstance(future, asyncio.Future),
        "its loop": future.get_loop() is t.loop,
        "Task": isinstance(task, asyncio.Task),
        "name": task.get_name(),
    }
    await task
    return seen


@area.check(
    expect=["before the first await", "after create_task", "after the await"], since=(3, 14)
)
async def create_task_eager_start_kwarg(t: Trial) -> object:
    """create_task(eager_start=True) runs the task up to its first wait at once.

    spec: docs, loop.create_task: eager_start (3.14)
    """
    seen: list[str] = []

    async def work() -> None:
        seen.append("before the first await")
        await asyncio.sleep(0)
        seen.append("after the await")

    task = t.loop.create_task(work(), eager_start=True)
    seen.append("after create_task")
    await task
    return seen


@area.check(
    expect=["before the first await", "after create_task", "after the await"], since=(3, 12)
)
async def eager_task_factory(t: Trial) -> object:
    """With asyncio.eager_task_factory tasks run up to their first wait when they are made.

    spec: docs, asyncio.eager_task_factory (3.12)
    """
    seen: list[str] = []

    async def work() -> None:
        seen.append("before the first await")
        await asyncio.sleep(0)
        seen.append("after the await")

    factory: Any = asyncio.eager_task_factory  # type: ignore[attr-defined]
    t.loop.set_task_factory(factory)
    task = t.loop.create_task(work())
    seen.append("after create_task")
    await task
    t.loop.set_task_factory(None)
    return seen


@area.check(expect={"done at once": True, "result": 5, "value": 5}, since=(3, 12))
async def eager_task_that_never_waits(t: Trial) -> object:
    """An eager task that never waits is done when create_task() returns, and was never scheduled.

    spec: docs, asyncio.eager_task_factory
    """

    async def five() -> int:
        return 5

    t.loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    task = t.loop.create_task(five())
    done = task.done()
    t.loop.set_task_factory(None)
    return {"done at once": done, "result": task.result() if done else None, "value": await task}


@area.check(
    expect={
        "nothing given": [],
        "name": ["name"],
        "name and context": ["context", "name"],
        "eager_start": ["eager_start"],
    },
    since=(3, 14),
)
async def task_factory_gets_all_kwargs(t: Trial) -> object:
    """A task factory gets exactly the keyword arguments that the caller gave.

    spec: docs, loop.set_task_factory (3.14): "(loop, coro, **kwargs)"; CPython gh-128307
    """
    import contextvars

    got: list[list[str]] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        got.append(sorted(kwargs))
        kwargs.pop("eager_start", None)
        return asyncio.Task(coro, loop=loop, **kwargs)

    t.loop.set_task_factory(factory)
    context = contextvars.copy_context()
    await t.loop.create_task(_nothing())
    await t.loop.create_task(_nothing(), name="x")
    await t.loop.create_task(_nothing(), name="x", context=context)
    await t.loop.create_task(_nothing(), eager_start=False)
    t.loop.set_task_factory(None)
    return dict(zip(("nothing given", "name", "name and context", "eager_start"), got, strict=True))


@area.check(expect={"arguments": 2, "keywords": [], "loop": True, "name": "given"}, until=(3, 14))
async def task_factory_no_context_when_none(t: Trial) -> object:
    """A task factory of two arguments works: no context is passed that the caller did not give.

    spec: docs up to 3.13, loop.set_task_factory: "(loop, coro)"; CPython Lib/asyncio/base_events.py
    """
    seen: dict[str, Any] = {}

    def factory(*args: Any, **kwargs: Any) -> Any:
        loop, coro = args
        # 3.13.3 alone passed the name on (gh-128308); taken back in 3.13.4.
        seen.update(arguments=len(args), keywords=sorted(set(kwargs) - {"name"}))
        seen["loop"] = loop is t.loop
        return asyncio.Task(coro, loop=loop, **kwargs)

    t.loop.set_task_factory(factory)
    task = t.loop.create_task(_nothing(), name="given")
    seen["name"] = task.get_name()
    await task
    t.loop.set_task_factory(None)
    return seen


@area.check(
    expect={
        "type": {"type": "TypeError", "text": "task factory must be a callable or None"},
        "default": None,
        "set": True,
        "reset": None,
    }
)
def set_task_factory(t: Trial) -> object:
    """A task factory is a callable or None, and get_task_factory() gives it back.

    text: CPython Lib/asyncio/base_events.py, set_task_factory
    """
    seen: dict[str, object] = {"default": t.loop.get_task_factory()}
    seen["type"] = t.outcome(t.loop.set_task_factory, "factory")

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        return asyncio.Task(coro, loop=loop, **kwargs)

    t.loop.set_task_factory(factory)
    seen["set"] = t.loop.get_task_factory() is factory
    t.loop.set_task_factory(None)
    seen["reset"] = t.loop.get_task_factory()
    return seen


@area.check(expect="patched Task")
async def create_task_looks_up_tasks_Task(t: Trial) -> object:
    """create_task() looks asyncio.tasks.Task up when it is called.

    Libraries and tests replace it there.

    spec: CPython Lib/asyncio/base_events.py, create_task; test_base_events test_create_task_*
    """

    class Patched(asyncio.Task):  # type: ignore[type-arg]
        pass

    original = asyncio.tasks.Task
    asyncio.tasks.Task = Patched  # type: ignore[misc]
    try:
        task = t.loop.create_task(_nothing())
    finally:
        asyncio.tasks.Task = original  # type: ignore[misc]
    await task
    return "patched Task" if type(task) is Patched else type(task)


@area.check(expect={"in a task": True, "in a callback": None, "after": None})
def current_task(t: Trial) -> object:
    """asyncio.current_task() is the running task, and None in a plain callback.

    spec: docs, asyncio.current_task
    """
    seen: dict[str, object] = {}

    async def main() -> None:
        task = asyncio.current_task()
        t.loop.call_soon(lambda: seen.update({"in a callback": asyncio.current_task()}))
        await asyncio.sleep(0)
        seen["in a task"] = asyncio.current_task() is task and task is not None

    t.run(main())
    return {**seen, "after": asyncio.current_task(t.loop)}


@area.check(expect=["main", "worker"])
async def all_tasks(t: Trial) -> object:
    """asyncio.all_tasks() finds the tasks of the loop that are not done.

    spec: docs, asyncio.all_tasks
    """
    current = asyncio.current_task()
    assert current is not None
    current.set_name("main")
    worker = t.loop.create_task(asyncio.sleep(3600), name="worker")
    done = t.loop.create_task(_nothing(), name="done")
    await done
    names = sorted(task.get_name() for task in asyncio.all_tasks())
    worker.cancel()
    return names


@area.check(expect=["worker is awaited by main"], since=(3, 14))
async def asyncio_ps_sees_tasks(t: Trial) -> object:
    """The call graph that `python -m asyncio pstree` shows holds the tasks of the loop.

    spec: docs, asyncio.capture_call_graph (3.14); CPython gh-91048
    """
    asyncio.current_task().set_name("main")  # type: ignore[union-attr]
    seen: list[str] = []

    async def work() -> None:
        graph = asyncio.capture_call_graph()  # type: ignore[attr-defined]
        for waiter in graph.awaited_by:
            seen.append(f"{graph.future.get_name()} is awaited by {waiter.future.get_name()}")

    await asyncio.wait_for(asyncio.shield(asyncio.sleep(0)), 5)
    task = t.loop.create_task(work(), name="worker")
    await task
    return seen


@area.check(expect=["a", "b", "set_result returned", "first", "second"])
async def done_callbacks_run_later_and_in_order(t: Trial) -> object:
    """A future's done-callbacks run in a later turn, in the order in which they were added.

    spec: docs, Future.add_done_callback: "scheduled with loop.call_soon()"
    """
    seen = ["a"]
    future = t.loop.create_future()
    future.add_done_callback(lambda _: seen.append("first"))
    future.add_done_callback(lambda _: seen.append("second"))
    seen.append("b")
    future.set_result(None)
    seen.append("set_result returned")
    await t.turns(2)
    return seen


@area.check(expect={"cancelled": True, "cancel()": True, "in the task": ["CancelledError: why"]})
async def cancel_task(t: Trial) -> object:
    """cancel() raises CancelledError, with its message, where the task waits.

    spec: docs, Task.cancel
    """
    seen: list[str] = []

    async def work() -> None:
        try:
            await t.loop.create_future()
        except asyncio.CancelledError as error:
            seen.append(f"CancelledError: {error}")
            raise

    task = t.loop.create_task(work())
    await t.turns(2)
    accepted = task.cancel("why")
    await asyncio.wait([task])
    return {"cancelled": task.cancelled(), "cancel()": accepted, "in the task": seen}


@area.check(expect={"ran": [], "cancelled": True})
async def cancel_before_start(t: Trial) -> object:
    """A task that is cancelled before it has begun never runs.

    spec: docs, Task.cancel; CPython test_tasks test_cancel_before_start
    """
    ran: list[str] = []

    async def work() -> None:
        ran.append("ran")

    task = t.loop.create_task(work())
    task.cancel()
    await asyncio.wait([task])
    return {"ran": ran, "cancelled": task.cancelled()}


@area.check(
    expect={
        "exceptions": ["ValueError"],
        "the other was cancelled": True,
        "caught": "ExceptionGroup",
    }
)
async def task_group_cancels_the_rest(t: Trial) -> object:
    """A task of a TaskGroup that fails cancels the others, and the group raises.

    spec: docs, asyncio.TaskGroup (3.11)
    """

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(asyncio.sleep(3600))
            group.create_task(fail())
    except BaseExceptionGroup as caught:
        return {
            "exceptions": [type(error).__name__ for error in caught.exceptions],
            "the other was cancelled": other.cancelled(),
            "caught": type(caught),
        }
    return "no exception"


@area.check(
    expect=["ok", {"type": "ValueError", "text": "bad"}, {"type": "CancelledError", "text": ""}]
)
async def gather_keeps_the_order(t: Trial) -> object:
    """asyncio.gather() gives results and exceptions in the order of its arguments.

    spec: docs, asyncio.gather: return_exceptions
    """

    async def ok() -> str:
        await asyncio.sleep(0.002)
        return "ok"

    async def bad() -> None:
        raise ValueError("bad")

    cancelled = t.loop.create_future()
    cancelled.cancel()
    return await asyncio.gather(ok(), bad(), cancelled, return_exceptions=True)


@area.check(expect=["Task was destroyed but it is pending!", ["message", "task"]])
def destroyed_pending_task_is_reported(t: Trial) -> object:
    """A task that goes away while it waits is reported.

    text: CPython Lib/asyncio/tasks.py, Task.__del__
    """

    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = t.loop.create_task(forgotten())
        await t.turns(2)
        task._log_destroy_pending = True
        del task

    t.run(main())
    gc.collect()
    seen: list[object] = []
    for context in t.errors:
        seen += [context["message"], sorted(set(context) - {"source_traceback"})]
    t.errors = []
    return seen


@area.check(expect={"without a name": True, "set": "other", "number": "7"})
async def task_names(t: Trial) -> object:
    """A task has a name: its own, one that was set, always a text.

    spec: docs, Task.get_name and Task.set_name
    """
    plain = t.loop.create_task(_nothing())
    seen: dict[str, object] = {"without a name": plain.get_name().startswith("Task-")}
    plain.set_name("other")
    seen["set"] = plain.get_name()
    number = t.loop.create_task(_nothing(), name=7)
    seen["number"] = number.get_name()
    await asyncio.gather(plain, number)
    return seen


@area.check(expect=["one", "two", "three"])
async def queue_wakes_in_order(t: Trial) -> object:
    """Those who wait for a queue get its items in the order in which they came.

    spec: docs, asyncio.Queue; CPython test_queues
    """
    queue: asyncio.Queue[str] = asyncio.Queue()
    getters = [t.loop.create_task(queue.get()) for _ in range(3)]
    await t.turns(2)
    for word in ("one", "two", "three"):
        queue.put_nowait(word)
    return [await getter for getter in getters]


@area.check(expect={"result": 3, "callbacks": ["done"], "turns": True})
async def wrapped_concurrent_future(t: Trial) -> object:
    """asyncio.wrap_future() brings the result of another thread's future onto the loop.

    spec: docs, asyncio.wrap_future
    """
    import concurrent.futures

    outer: concurrent.futures.Future[int] = concurrent.futures.Future()
    inner = asyncio.wrap_future(outer)
    seen: list[str] = []
    inner.add_done_callback(lambda _: seen.append("done"))
    thread = t.in_thread(outer.set_result, 3)
    result = await inner
    thread.join()
    await t.turns(2)
    return {"result": result, "callbacks": seen, "turns": inner.get_loop() is t.loop}


@area.check(
    expect={
        "sync with": "no",
        "mutex": ["a in", "a out", "b in", "b out"],
        "event": "set",
    }
)
async def locks_and_events(t: Trial) -> object:
    """asyncio's locks hand over in order, and events wake who waits.

    spec: docs, asyncio.Lock and asyncio.Event
    """
    lock, event = asyncio.Lock(), asyncio.Event()
    seen: list[str] = []

    async def hold(who: str) -> None:
        async with lock:
            seen.append(f"{who} in")
            await asyncio.sleep(0)
            seen.append(f"{who} out")

    await asyncio.gather(hold("a"), hold("b"))
    waiter = t.loop.create_task(event.wait())
    await t.turns(2)
    event.set()
    return {
        "sync with": "yes" if hasattr(lock, "__enter__") else "no",
        "mutex": seen,
        "event": "set" if await waiter else "not set",
    }


@area.check(
    expect=by_version(
        {"name": True, "context": True, "eager_start": "TypeError"},
        {
            (3, 13, 3): {"name": True, "context": True, "eager_start": "accepted"},
            (3, 14): {"name": True, "context": True, "eager_start": "accepted"},
        },
    ),
    since=fixed_in((3, 11), (3, 12), (3, 13), (3, 14)),
)
async def create_task_keywords(t: Trial) -> object:
    """create_task() takes the keyword arguments of this Python's tasks, and refuses others.

    spec: docs, loop.create_task (name, context; **kwargs since 3.13.3)
    """
    import contextvars

    seen: dict[str, object] = {}
    task = t.loop.create_task(_nothing(), name="n")
    seen["name"] = task.get_name() == "n"
    await task
    context = contextvars.copy_context()
    task = t.loop.create_task(_nothing(), context=context)
    seen["context"] = True
    await task
    coro = _nothing()
    try:
        await t.loop.create_task(coro, eager_start=False)
        seen["eager_start"] = "accepted"
    except TypeError:
        coro.close()
        seen["eager_start"] = "TypeError"
    return seen
