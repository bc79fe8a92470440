# SPDX-License-Identifier: MIT
"""core: order of callbacks, handles, running and stopping."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import weakref

from ..check import Area
from ..trial import Trial
from ..versions import fixed_in

area = Area("core", "Callbacks, running and stopping, errors and debug mode")


# -- order ----------------------------------------------------------------------------------------


@area.check(expect=list("abcde"))
def call_soon_fifo(t: Trial) -> object:
    """Callbacks run in the order in which call_soon took them.

    spec: docs, loop.call_soon: "Callbacks are called in the order in which they are registered"
    """
    ran: list[str] = []
    for name in "abcde":
        t.loop.call_soon(ran.append, name)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


@area.check(
    expect={
        "first run": ["first", "second"],
        "both runs": ["first", "second", "queued by first"],
    }
)
def call_soon_next_iteration(t: Trial) -> object:
    """What a callback queues runs in the next turn: after all that was queued, and after a stop.

    Without that rule callbacks that queue callbacks could keep a loop from ever stopping.

    spec: docs, loop.stop and loop.call_soon ("at the next iteration of the event loop")
    """
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        t.loop.call_soon(ran.append, "queued by first")

    t.loop.call_soon(first)
    t.loop.call_soon(ran.append, "second")
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    seen = {"first run": list(ran)}
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return {**seen, "both runs": ran}


@area.check(expect={"this run": ["stop"], "next run": ["stop", "later"]})
def stop_then_scheduled_not_run(t: Trial) -> object:
    """What is scheduled in the turn that stops waits for the next run.

    spec: docs, loop.stop: "callbacks scheduled by callbacks will not run in this case; instead,
    they will run the next time run_forever() or run_until_complete() is called"
    """
    ran: list[str] = []

    def stop() -> None:
        ran.append("stop")
        t.loop.stop()
        t.loop.call_soon(ran.append, "later")

    t.loop.call_soon(stop)
    t.loop.run_forever()
    seen = {"this run": list(ran)}
    t.loop.stop()
    t.loop.run_forever()
    return {**seen, "next run": ran}


@area.check(expect=["queued before"])
def stop_before_run_forever(t: Trial) -> object:
    """stop() before run_forever() makes one turn: what was queued runs, what that queues does not.

    spec: docs, loop.stop: "If stop() is called before run_forever() is called, the loop will poll
    the I/O selector once with a timeout of zero, run all callbacks scheduled in response to I/O
    events (and those that were already scheduled), and then exit"
    """
    ran: list[str] = []

    def queued() -> None:
        ran.append("queued before")
        t.loop.call_soon(ran.append, "queued by that")

    t.loop.call_soon(queued)
    t.loop.stop()
    t.loop.run_forever()
    return ran


@area.check(expect="input was read")
def stop_before_run_forever_polls(t: Trial) -> object:
    """The one turn of a loop that was stopped before its run looks at I/O.

    spec: docs, loop.stop: "the loop will poll the I/O selector once with a timeout of zero"
    """
    one, other = t.tcp_pair()
    seen: list[str] = []

    def ready() -> None:
        seen.append("input was read")
        t.loop.remove_reader(one)

    t.loop.add_reader(one, ready)
    other.send(b"x")
    time.sleep(0.01 * t.scale)  # loopback delivers
    t.loop.stop()
    t.loop.run_forever()
    t.loop.remove_reader(one)
    return seen[0] if seen else "nothing"


@area.check(expect="within 3 turns")
def io_not_starved_by_call_soon(t: Trial) -> object:
    """A callback that queues itself again and again does not keep a ready reader from running.

    spec: CPython Lib/asyncio/base_events.py, _run_once: callbacks queued in a turn run after the
    next poll
    """
    one, other = t.tcp_pair()
    other.send(b"x")
    time.sleep(0.01 * t.scale)
    turns = 0
    seen: list[int] = []

    def spin() -> None:
        nonlocal turns
        turns += 1
        if seen or turns > 1000:
            t.loop.stop()
        else:
            t.loop.call_soon(spin)

    def ready() -> None:
        seen.append(turns)
        t.loop.remove_reader(one)

    t.loop.add_reader(one, ready)
    t.loop.call_soon(spin)
    t.loop.run_forever()
    t.note("turns", seen)
    return "within 3 turns" if seen and seen[0] <= 3 else "starved"


@area.check(expect=["callback", "callback with arguments (1, 2)"])
def call_soon_passes_arguments(t: Trial) -> object:
    """A callback gets the positional arguments that were given with it.

    spec: docs, loop.call_soon(callback, *args, context=None)
    """
    ran: list[str] = []
    t.loop.call_soon(lambda: ran.append("callback"))
    t.loop.call_soon(lambda *args: ran.append(f"callback with arguments {args}"), 1, 2)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


@area.check(expect=["one", "turn 1", "two", "turn 2", "three", "turn 3"])
def sleep_zero_is_one_turn(t: Trial) -> object:
    """asyncio.sleep(0) lets every other ready task run exactly once.

    spec: docs, asyncio.sleep: "a value of 0 ... provides an optimized path to allow other tasks to
    run"
    """
    ran: list[str] = []

    async def words() -> None:
        for word in ("one", "two", "three"):
            ran.append(word)
            await asyncio.sleep(0)

    async def turns() -> None:
        for number in range(1, 4):
            ran.append(f"turn {number}")
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(words(), turns())

    t.run(main())
    return ran


# -- handles --------------------------------------------------------------------------------------


@area.check(
    expect={
        "call_soon": True,
        "call_soon_threadsafe": True,
        "call_later": True,
        "call_at": True,
    }
)
def handle_types(t: Trial) -> object:
    """Handles are instances of asyncio.Handle, those of timers of asyncio.TimerHandle.

    spec: docs, "Callback Handles": call_soon returns an asyncio.Handle, call_later a TimerHandle
    """

    def nothing() -> None:
        pass

    return {
        "call_soon": isinstance(t.loop.call_soon(nothing), asyncio.Handle),
        "call_soon_threadsafe": isinstance(t.loop.call_soon_threadsafe(nothing), asyncio.Handle),
        "call_later": isinstance(t.loop.call_later(0, nothing), asyncio.TimerHandle),
        "call_at": isinstance(t.loop.call_at(t.loop.time(), nothing), asyncio.TimerHandle),
    }


@area.check(expect={"ran": ["kept"], "before": False, "after": True, "again": True})
def handle_cancel(t: Trial) -> object:
    """A cancelled callback does not run; cancelling twice is allowed.

    spec: docs, Handle.cancel and Handle.cancelled
    """
    ran: list[str] = []
    handle = t.loop.call_soon(ran.append, "cancelled")
    t.loop.call_soon(ran.append, "kept")
    seen = {"before": handle.cancelled()}
    handle.cancel()
    seen["after"] = handle.cancelled()
    handle.cancel()
    seen["again"] = handle.cancelled()
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return {"ran": ran, **seen}


@area.check(expect=["first"])
def handle_cancel_in_the_same_turn(t: Trial) -> object:
    """A callback can cancel one that would run after it in the same turn.

    spec: docs, Handle.cancel; CPython Lib/asyncio/base_events.py, _run_once skips cancelled handles
    """
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        second.cancel()

    t.loop.call_soon(first)
    second = t.loop.call_soon(ran.append, "second")
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


class _Held:
    """Something that can be watched for being let go."""

    def __call__(self) -> None:
        pass


@area.check(expect={"held before": True, "held after cancel": False})
def handle_cancel_releases_arguments(t: Trial) -> object:
    """cancel() lets go of the callback and its arguments at once.

    A cancelled time-out of an hour would otherwise hold its connection for an hour.

    spec: CPython Lib/asyncio/events.py, Handle.cancel; test_events HandleTests
    """
    held = _Held()
    watch = weakref.ref(held)
    handle = t.loop.call_soon(held, held)
    del held
    seen = {"held before": watch() is not None}
    handle.cancel()
    gc.collect()
    return {**seen, "held after cancel": watch() is not None}


@area.check(expect=True)
def handle_weak_reference(t: Trial) -> object:
    """Handles can be referenced weakly.

    spec: CPython Lib/asyncio/events.py: __weakref__ in Handle.__slots__; test_events
    """
    handle = t.loop.call_soon(int)
    return weakref.ref(handle)() is handle


@area.check(expect={"pending": "<Handle int>", "cancelled": "<Handle cancelled>"})
def handle_repr(t: Trial) -> object:
    """repr() of a handle names its callback, and says when it is cancelled.

    text: CPython Lib/asyncio/events.py, Handle.__repr__; test_events HandleTests.test_handle_repr
    """
    handle = t.loop.call_soon(int)
    seen = {"pending": repr(handle).replace("int()", "int")}
    handle.cancel()
    return {**seen, "cancelled": repr(handle)}


# -- types and state ------------------------------------------------------------------------------


@area.check(expect=True)
def isinstance_AbstractEventLoop(t: Trial) -> object:
    """The loop is an asyncio.AbstractEventLoop.

    spec: docs, "Event Loop Implementations"
    """
    return isinstance(t.loop, asyncio.AbstractEventLoop)


@area.check(
    expect=["running=False closed=False debug=False", "running=False closed=True debug=False"]
)
def repr_(t: Trial) -> object:
    """repr() of a loop shows whether it runs, is closed, and is in debug mode.

    text: CPython Lib/asyncio/base_events.py, BaseEventLoop.__repr__
    """
    loop = t.new_loop()
    seen = [repr(loop)]
    loop.close()
    seen.append(repr(loop))
    return [text.strip("<>").partition(" ")[2] for text in seen]


@area.check(
    expect={
        "new": [False, False],
        "in a callback": [True, False],
        "after": [False, False],
        "closed": [False, True],
    }
)
def is_running_and_is_closed(t: Trial) -> object:
    """is_running() is true within a run only, is_closed() after close().

    spec: docs, loop.is_running and loop.is_closed
    """
    loop = t.new_loop()
    seen = {"new": [loop.is_running(), loop.is_closed()]}

    def look() -> None:
        seen["in a callback"] = [loop.is_running(), loop.is_closed()]
        loop.stop()

    loop.call_soon(look)
    loop.run_forever()
    seen["after"] = [loop.is_running(), loop.is_closed()]
    loop.close()
    seen["closed"] = [loop.is_running(), loop.is_closed()]
    return seen


@area.check(expect={"in a callback": True, "after": None})
def running_loop_is_set(t: Trial) -> object:
    """asyncio.get_running_loop() gives the loop to its callbacks, and nothing afterwards.

    spec: docs, asyncio.get_running_loop
    """
    seen: list[bool] = []

    def look() -> None:
        seen.append(asyncio.get_running_loop() is t.loop)
        t.loop.stop()

    t.loop.call_soon(look)
    t.loop.run_forever()
    return {"in a callback": seen[0], "after": asyncio._get_running_loop()}


@area.check(expect={"value": 42, "error": {"type": "KeyError", "text": "'x'"}})
def run_until_complete_result(t: Trial) -> object:
    """run_until_complete() gives the result of its future, or raises its exception.

    spec: docs, loop.run_until_complete: "Return the Future's result or raise its exception"
    """

    async def value() -> int:
        return 42

    async def error() -> None:
        raise KeyError("x")

    return {"value": t.run(value()), "error": t.outcome(t.run, error())}


@area.check(
    expect={
        "type": "ValueError",
        "text": (
            "The future belongs to a different loop than the one specified as the loop argument"
        ),
    }
)
def run_until_complete_foreign_future(t: Trial) -> object:
    """A future of another loop is refused.

    text: CPython Lib/asyncio/tasks.py, ensure_future
    """
    future = t.new_loop().create_future()
    return t.outcome(t.loop.run_until_complete, future)


@area.check(expect="TypeError")
def run_until_complete_wrong_type(t: Trial) -> object:
    """What is not awaitable is refused.

    spec: CPython test_base_events, test_run_until_complete_type_error
    """
    seen = t.outcome(t.loop.run_until_complete, "blah")
    return seen["type"] if isinstance(seen, dict) else seen


@area.check(expect={"type": "RuntimeError", "text": "Event loop stopped before Future completed."})
def run_until_complete_stopped(t: Trial) -> object:
    """A loop that stops before the future of run_until_complete is done says so.

    text: CPython Lib/asyncio/base_events.py, run_until_complete
    """
    future = t.loop.create_future()
    t.loop.call_soon(t.loop.stop)
    return t.outcome(t.loop.run_until_complete, future)


@area.check(expect={"first": 1, "second": 2, "callbacks left on the future": 0})
def run_until_complete_twice(t: Trial) -> object:
    """A loop runs as often as one likes, and leaves no callback of its own on the futures.

    spec: CPython Lib/asyncio/base_events.py, run_until_complete removes its done-callback
    """
    future = t.loop.create_future()
    t.loop.call_soon(t.loop.stop)
    t.outcome(t.loop.run_until_complete, future)
    left = len(future._callbacks or ())
    t.loop.call_soon(future.set_result, 1)
    first = t.loop.run_until_complete(future)

    async def second() -> int:
        return 2

    return {"first": first, "second": t.run(second()), "callbacks left on the future": left}


@area.check(
    expect={"type": "RuntimeError", "text": "This event loop is already running"},
)
def nested_run_message(t: Trial) -> object:
    """A running loop cannot be run until something else completes.

    text: CPython Lib/asyncio/base_events.py, _check_running; test_events,
    test_run_until_complete_nesting
    """

    async def main() -> object:
        return t.outcome(t.loop.run_until_complete, t.loop.create_future())

    return t.run(main())


@area.check(
    expect={
        "raised": {"type": "RuntimeError", "text": "This event loop is already running"},
        "still running": True,
        "still the running loop": True,
    },
    since=fixed_in((3, 11), (3, 12), (3, 13, 3)),
)
def nested_run_forever_is_harmless(t: Trial) -> object:
    """A running loop refuses run_forever(), and goes on running.

    text: CPython Lib/asyncio/base_events.py, _check_running; gh-130145: 3.13.0 to 3.13.2 forget
    that the loop is running
    """
    seen: dict[str, object] = {}

    def nest() -> None:
        seen["raised"] = t.outcome(t.loop.run_forever)
        seen["still running"] = t.loop.is_running()
        seen["still the running loop"] = asyncio._get_running_loop() is t.loop
        t.loop.stop()

    t.loop.call_soon(nest)
    t.loop.run_forever()
    return seen


@area.check(expect="never awaited")
def nested_run_leaves_the_coroutine(t: Trial) -> object:
    """A refused run_until_complete() does not make a task of its coroutine.

    spec: CPython test_events, test_run_until_complete_nesting: the coroutine is never awaited
    """

    async def inner() -> None:
        pass

    async def main() -> None:
        t.outcome(t.loop.run_until_complete, inner())

    t.run(main())
    gc.collect()
    warned = [text for text in t.take_warnings() if "inner" in text and "never awaited" in text]
    return "never awaited" if warned else "made a task"


@area.check(
    expect={
        "type": "RuntimeError",
        "text": "Cannot run the event loop while another loop is running",
    }
)
def other_loop_running_message(t: Trial) -> object:
    """A loop cannot be run while another one runs in the thread.

    text: CPython Lib/asyncio/base_events.py, _check_running
    """
    other = t.new_loop()

    async def main() -> object:
        return t.outcome(other.run_forever)

    return t.run(main())


@area.check(expect={"type": "RuntimeError", "text": "Cannot close a running event loop"})
def close_running_rejected(t: Trial) -> object:
    """A running loop cannot be closed.

    text: CPython Lib/asyncio/base_events.py, close
    """

    async def main() -> object:
        return t.outcome(t.loop.close)

    return t.run(main())


@area.check(expect=["ran"])
def stop_from_outside_callbacks_is_idempotent(t: Trial) -> object:
    """Several stops are one: the next run goes on as usual.

    spec: docs, loop.stop
    """
    ran: list[str] = []
    t.loop.call_soon(t.loop.stop)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    t.loop.call_soon(ran.append, "ran")
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


@area.check(expect=["set up", "ran", "cleaned up"], since=(3, 13))
def run_forever_setup_hooks(t: Trial) -> object:
    """A program with a main loop of its own can drive the loop turn by turn.

    spec: CPython gh-110771 (3.13): _run_forever_setup, _run_once, _run_forever_cleanup
    """
    loop = t.loop
    seen: list[str] = []
    loop._run_forever_setup()
    try:
        seen.append("set up" if asyncio._get_running_loop() is loop else "not running")
        loop.call_soon(seen.append, "ran")
        loop._run_once()
    finally:
        loop._run_forever_cleanup()
    seen.append("cleaned up" if asyncio._get_running_loop() is None else "still running")
    return seen


@area.check(expect={"loop in the child": None, "exit code": 7}, since=(3, 12), needs=("fork",))
def fork_child_has_no_running_loop(t: Trial) -> object:
    """A process forked inside a coroutine has no running loop.

    spec: CPython gh-66285 (3.12), test_unix_events TestFork.test_fork_not_share_current_task
    """

    async def main() -> object:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, repr(asyncio._get_running_loop()).encode())
            os._exit(7)
        os.close(write)
        _, status = os.waitpid(child, 0)
        text = os.read(read, 1000)
        os.close(read)
        return {
            "loop in the child": None if text == b"None" else text,
            "exit code": os.waitstatus_to_exitcode(status),
        }

    return t.run(main())


@area.check(expect={"parent": "ran", "child": "ran"}, needs=("fork",))
def fork_child_can_asyncio_run(t: Trial) -> object:
    """A forked process can run a new loop of its own, and the parent's goes on.

    spec: CPython gh-66285, test_unix_events TestFork.test_fork_asyncio_run
    """

    async def work() -> str:
        await asyncio.sleep(0.001)
        return "ran"

    async def main() -> object:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            asyncio._set_running_loop(None)
            try:
                loop = t.new_loop()
                os.write(write, loop.run_until_complete(work()).encode())
                loop.close()
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        text = os.read(read, 1000).decode()
        os.close(read)
        return {"parent": await work(), "child": text}

    return t.run(main())
