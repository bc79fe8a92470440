# SPDX-License-Identifier: MIT
"""shutdown: closing a loop, what is still open then, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator

from ..check import Area
from ..handles import open_descriptors
from ..protocols import Recorder
from ..trial import Trial

area = Area("shutdown", "Closing a loop, and what is left over")

_CLOSED = {"type": "RuntimeError", "text": "Event loop is closed"}


async def _nothing() -> None:
    pass


@area.check(
    expect={
        "call_soon": _CLOSED,
        "call_soon_threadsafe": _CLOSED,
        "call_later": _CLOSED,
        "call_at": _CLOSED,
        "run_forever": _CLOSED,
        "run_until_complete": _CLOSED,
        "run_in_executor": _CLOSED,
        "create_task": _CLOSED,
        "close": None,
    }
)
def use_after_close(t: Trial) -> object:
    """A closed loop refuses everything in the same words; closing it again is allowed.

    text: CPython Lib/asyncio/base_events.py, _check_closed; test_base_events test_close
    """
    loop = t.new_loop()
    future = loop.create_future()
    loop.close()
    coro = _nothing()
    seen = {
        "call_soon": t.outcome(loop.call_soon, int),
        "call_soon_threadsafe": t.outcome(loop.call_soon_threadsafe, int),
        "call_later": t.outcome(loop.call_later, 1, int),
        "call_at": t.outcome(loop.call_at, 1, int),
        "run_forever": t.outcome(loop.run_forever),
        "run_until_complete": t.outcome(loop.run_until_complete, future),
        "run_in_executor": t.outcome(loop.run_in_executor, None, int),
        "create_task": t.outcome(loop.create_task, coro),
        "close": t.outcome(loop.close),
    }
    coro.close()
    return seen


@area.check(expect=["ResourceWarning: unclosed event loop"])
def unclosed_loop_ResourceWarning(t: Trial) -> object:
    """A loop that goes away without being closed gives a ResourceWarning.

    spec: CPython Lib/asyncio/base_events.py, BaseEventLoop.__del__
    """
    loop = t.new_loop()
    t.forget_loops()
    loop.set_exception_handler(None)
    del loop
    gc.collect()
    return [
        text[: len("ResourceWarning: unclosed event loop")]
        for text in t.take_warnings()
        if "event loop" in text
    ]


@area.check(expect={"freed at once": True})
def loop_freed_no_refcycle(t: Trial) -> object:
    """A closed loop is freed when the last reference goes, without the garbage collector.

    spec: CPython test_base_events, test_close and the refcycle tests; bpo-21163
    """
    gc.collect()
    gc.disable()
    try:
        loop = t.new_loop()
        t.forget_loops()
        loop.set_exception_handler(None)
        loop.run_until_complete(_nothing())
        loop.close()
        watch = weakref.ref(loop)
        del loop
        return {"freed at once": watch() is None}
    finally:
        gc.enable()


@area.check(expect={"ran": [], "released": True})
def close_drops_pending_callbacks(t: Trial) -> object:
    """close() drops what was still queued, and lets go of it.

    spec: CPython Lib/asyncio/base_events.py, close clears _ready and _scheduled
    """
    ran: list[str] = []

    class Held:
        def __call__(self) -> None:
            ran.append("ran")

    held = Held()
    watch = weakref.ref(held)
    loop = t.new_loop()
    loop.call_soon(held)
    loop.call_later(0, held)
    loop.call_later(3600, held)
    del held
    loop.close()
    gc.collect()
    return {"ran": ran, "released": watch() is None}


@area.check(expect={"waited": False, "the call ended": True})
def close_does_not_wait_for_the_executor(t: Trial) -> object:
    """close() does not wait for calls that run in the default executor.

    spec: CPython Lib/asyncio/base_events.py, close: executor.shutdown(wait=False)
    """
    loop = t.new_loop()
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(5)
        ended.set()

    async def start() -> None:
        loop.run_in_executor(None, work)
        await t.turns()

    loop.run_until_complete(start())
    loop.close()
    waited = ended.is_set()
    go.set()
    ended.wait(5)
    time.sleep(0.01)
    return {"waited": waited, "the call ended": ended.is_set()}


@area.check(expect={"closed": ["generator"], "handler": []})
def shutdown_asyncgens_closes(t: Trial) -> object:
    """shutdown_asyncgens() closes the asynchronous generators that are still open.

    spec: docs, loop.shutdown_asyncgens
    """
    closed: list[str] = []

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append("generator")

    generator = generate()

    async def main() -> None:
        async for _ in generator:
            break
        await t.loop.shutdown_asyncgens()

    t.run(main())
    return {"closed": closed, "handler": t.take_errors()}


@area.check(
    expect={
        "message begins": "an error occurred during closing of asynchronous generator",
        "keys": ["asyncgen", "exception", "message"],
    }
)
def shutdown_asyncgens_reports_errors(t: Trial) -> object:
    """A generator that raises while it is closed is reported, and the others are closed as well.

    text: CPython Lib/asyncio/base_events.py, shutdown_asyncgens
    """

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ValueError

    generator = generate()

    async def main() -> None:
        async for _ in generator:
            break
        await t.loop.shutdown_asyncgens()

    t.run(main())
    (context,) = t.errors
    t.errors = []
    text = "an error occurred during closing of asynchronous generator"
    return {"message begins": context["message"][: len(text)], "keys": sorted(context)}


@area.check(
    expect=["ResourceWarning: asynchronous generator was scheduled after shutdown_asyncgens()"]
)
def asyncgen_after_shutdown_warns(t: Trial) -> object:
    """An asynchronous generator that begins after shutdown_asyncgens() gives a ResourceWarning.

    text: CPython Lib/asyncio/base_events.py, _asyncgen_firstiter_hook
    """

    async def generate() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        await t.loop.shutdown_asyncgens()
        async for _ in generate():
            pass

    t.run(main())
    seen = [text for text in t.take_warnings() if "asynchronous generator" in text]
    return [
        "ResourceWarning: asynchronous generator was scheduled after shutdown_asyncgens()"
        if text.startswith("ResourceWarning: asynchronous generator ")
        and text.endswith("was scheduled after loop.shutdown_asyncgens() call")
        else text
        for text in seen
    ]


@area.check(expect=["closed by the loop"])
def forgotten_asyncgen_is_closed_by_the_loop(t: Trial) -> object:
    """An asynchronous generator that goes away while the loop runs is closed by it.

    spec: PEP 525; CPython Lib/asyncio/base_events.py, _asyncgen_finalizer_hook
    """
    closed: list[str] = []

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append("closed by the loop")

    async def main() -> None:
        async for _ in generate():
            break
        gc.collect()
        await t.until(lambda: closed, 1.0)

    t.run(main())
    return closed


@area.check(expect={"during": True, "after": True})
def asyncgen_hooks_are_restored(t: Trial) -> object:
    """The hooks for asynchronous generators are the loop's during a run, and the old ones after it.

    spec: PEP 525; CPython Lib/asyncio/base_events.py, run_forever
    """
    import sys

    def firstiter(generator: object) -> None:
        pass

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=firstiter)
    try:

        async def look() -> bool:
            return sys.get_asyncgen_hooks().firstiter not in (None, firstiter)

        during = t.run(look())
        return {"during": during, "after": sys.get_asyncgen_hooks().firstiter is firstiter}
    finally:
        sys.set_asyncgen_hooks(*before)


@area.check(expect={"threads left": []})
def shutdown_default_executor_joins(t: Trial) -> object:
    """shutdown_default_executor() returns when the threads of the default executor have ended.

    spec: docs, loop.shutdown_default_executor
    """

    async def main() -> None:
        await t.loop.run_in_executor(None, int)
        await t.loop.shutdown_default_executor()

    t.run(main())
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("asyncio")]
    return {"threads left": left}


@area.check(
    expect=[
        "RuntimeWarning: The executor did not finishing joining its threads within 0.01 seconds."
    ],
    since=(3, 13),
)
def shutdown_default_executor_timeout_warns(t: Trial) -> object:
    """shutdown_default_executor(timeout) gives up in time and warns.

    text: CPython Lib/asyncio/base_events.py, shutdown_default_executor: `timeout` came with 3.12,
    and is kept since gh-111358 (3.13)
    """
    go = threading.Event()

    async def main() -> None:
        t.loop.run_in_executor(None, go.wait, 5)
        await t.turns()
        await t.loop.shutdown_default_executor(0.01)

    t.run(main())
    go.set()
    time.sleep(0.02)
    return [text for text in t.take_warnings() if text.startswith("RuntimeWarning")]


@area.check(expect={"cancelled": ["left over"], "result": "main"})
def runner_cancels_what_is_left(t: Trial) -> object:
    """asyncio.Runner cancels the tasks that are left, and closes the loop.

    spec: docs, asyncio.Runner; asyncio.run: "finalizing asynchronous generators, and closing the
    executor"
    """
    cancelled: list[str] = []

    async def left_over() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.append("left over")

    async def main() -> str:
        task = asyncio.get_running_loop().create_task(left_over())
        await t.turns(2)
        return "main" if not task.done() else "done"

    with asyncio.Runner(loop_factory=t.new_loop) as runner:
        result = runner.run(main())
    return {"cancelled": cancelled, "result": result}


@area.check(expect={"closed": True, "result": 1})
def asyncio_run_with_loop_factory(t: Trial) -> object:
    """asyncio.Runner(loop_factory=) runs on the loop that it is given and closes it.

    spec: docs, asyncio.Runner (3.11)
    """
    made = []

    def factory() -> asyncio.AbstractEventLoop:
        made.append(t.new_loop())
        return made[-1]  # type: ignore[no-any-return]

    async def main() -> int:
        assert asyncio.get_running_loop() is made[0]
        return 1

    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(main())
    return {"closed": made[0].is_closed(), "result": result}


@area.check(expect={"closed": True, "handler": []})
def close_with_an_open_transport(t: Trial) -> object:
    """A loop can be closed while a transport is open; nothing is called any more.

    spec: docs, loop.close: "This method clears all queues and shuts down the executor"
    """

    async def main() -> tuple[object, Recorder]:
        transport, protocol, _ = await t.connect()
        return transport, protocol

    kept = t.run(main())
    loop = t.loop
    loop.close()
    seen = {"closed": loop.is_closed(), "handler": t.take_errors()}
    del kept
    gc.collect()
    return seen


_EXIT = {"exit code": 0, "stdout": ["done"], "stderr": []}


@area.check(expect=_EXIT)
def interpreter_exit_clean(t: Trial) -> object:
    """A program that has closed its loop ends without a word.

    spec: docs, asyncio.run
    """
    return t.run_python(
        """
        import asyncio
        async def main():
            await asyncio.sleep(0.001)
        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        print("done")
        """
    )


@area.check(expect=_EXIT)
def interpreter_exit_with_an_open_loop(t: Trial) -> object:
    """A program that ends without closing its loop ends with exit code 0, and quietly by default.

    spec: CPython gh-83413: nothing but a ResourceWarning, which is hidden by default
    """
    return t.run_python(
        """
        import asyncio
        async def main():
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            await loop.create_connection(asyncio.Protocol, *address)
            loop.call_later(3600, print)
        loop = new_loop()
        loop.run_until_complete(main())
        print("done")
        """
    )


@area.check(expect={"exit code": 0, "stdout": ["callback", "done"], "stderr": []})
def interpreter_exit_with_a_daemon_thread(t: Trial) -> object:
    """A program whose daemon thread still runs a loop ends with exit code 0.

    portable: CPython ends daemon threads when it finalises; a loop must not crash then
    """
    return t.run_python(
        """
        import asyncio, threading
        loop = new_loop()
        ready = threading.Event()
        loop.call_soon(ready.set)
        threading.Thread(target=loop.run_forever, daemon=True).start()
        ready.wait()
        print("callback")
        print("done")
        """
    )


@area.check(expect={"open before": True, "new ones after 20 loops": 0}, needs=("descriptors",))
def loops_leave_no_descriptors(t: Trial) -> object:
    """A closed loop has given back all its descriptors.

    spec: docs, loop.close
    """

    def use() -> None:
        loop = t.new_loop()
        loop.run_until_complete(_nothing())
        loop.close()

    use()
    t.forget_loops()
    gc.collect()
    before = open_descriptors()
    for _ in range(20):
        use()
        t.forget_loops()
    gc.collect()
    return {"open before": before > 0, "new ones after 20 loops": open_descriptors() - before}
