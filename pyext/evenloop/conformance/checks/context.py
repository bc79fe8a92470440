# SPDX-License-Identifier: MIT
"""context: which contextvars a callback sees."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from ..check import Area
from ..protocols import Recorder
from ..trial import Trial

area = Area("context", "Context variables in callbacks")

name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="unset")


def _context(value: str) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(name.set, value)
    return context


@area.check(
    expect={
        "call_soon": "caller",
        "call_soon_threadsafe": "caller",
        "call_later": "caller",
        "call_at": "caller",
    }
)
def callbacks_run_in_a_copy_of_the_callers_context(t: Trial) -> object:
    """A callback sees the context variables as they were when it was scheduled.

    spec: docs, loop.call_soon: "Callbacks use the current context when no context is provided"
    """
    seen: dict[str, str] = {}

    def look(what: str) -> None:
        seen[what] = name.get()
        name.set("changed by a callback")

    def schedule() -> None:
        name.set("caller")
        t.loop.call_soon(look, "call_soon")
        t.loop.call_soon_threadsafe(look, "call_soon_threadsafe")
        t.loop.call_later(0, look, "call_later")
        t.loop.call_at(t.loop.time(), look, "call_at")
        name.set("changed by the caller")

    contextvars.copy_context().run(schedule)
    t.run(t.until(lambda: len(seen) == 4))
    return seen


@area.check(
    expect={
        "call_soon": ["given", True],
        "call_soon_threadsafe": ["given", True],
        "call_later": ["given", True],
        "call_at": ["given", True],
    }
)
def callbacks_run_in_the_given_context(t: Trial) -> object:
    """A callback with a context= runs in that very context, and changes it.

    spec: docs, loop.call_soon, call_later, call_at: context
    """
    seen: dict[str, list[object]] = {}
    contexts: dict[str, contextvars.Context] = {}

    def look(what: str) -> None:
        seen[what] = [name.get()]
        name.set("changed")

    def given(what: str) -> dict[str, contextvars.Context]:
        contexts[what] = _context("given")
        return {"context": contexts[what]}

    loop = t.loop
    loop.call_soon(look, "call_soon", **given("call_soon"))
    loop.call_soon_threadsafe(look, "call_soon_threadsafe", **given("call_soon_threadsafe"))
    loop.call_later(0, look, "call_later", **given("call_later"))
    loop.call_at(loop.time(), look, "call_at", **given("call_at"))
    t.run(t.until(lambda: len(seen) == 4))
    for what, context in contexts.items():
        seen[what].append(context[name] == "changed")
    return seen


@area.check(expect={"given": True, "taken": "caller"}, since=(3, 12))
def handle_get_context(t: Trial) -> object:
    """Handle.get_context() is the context that the callback will run in.

    spec: docs, Handle.get_context (3.12)
    """
    context = contextvars.copy_context()

    def schedule() -> Any:
        name.set("caller")
        return t.loop.call_soon(int)

    taken = contextvars.copy_context().run(schedule)
    return {
        "given": t.loop.call_soon(int, context=context).get_context() is context,
        "taken": taken.get_context()[name],
    }


@area.check(expect="failing task", since=(3, 12))
def exc_handler_runs_in_task_context(t: Trial) -> object:
    """The exception handler runs in the context of the task or callback that failed.

    spec: docs, loop.set_exception_handler (3.12); CPython gh-91603
    """
    seen: list[str] = []
    t.loop.set_exception_handler(lambda loop, context: seen.append(name.get()))

    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        task = t.loop.create_task(fail(), context=_context("failing task"))
        await asyncio.wait([task])

    t.run(main())
    import gc

    gc.collect()
    return seen[0] if seen else "no report"


@area.check(expect="failing callback", since=(3, 12))
def exc_handler_runs_in_handle_context(t: Trial) -> object:
    """The exception handler runs in the context of the callback that raised.

    spec: docs, loop.set_exception_handler (3.12)
    """
    seen: list[str] = []
    t.loop.set_exception_handler(lambda loop, context: seen.append(name.get()))

    def fail() -> None:
        raise ZeroDivisionError

    t.loop.call_soon(fail, context=_context("failing callback"))
    t.run(t.turns())
    return seen[0] if seen else "no report"


@area.check(expect={"in the task": "given", "changed through": "by the task"})
def create_task_context(t: Trial) -> object:
    """create_task(context=) runs the task in that context and not in a copy.

    spec: docs, loop.create_task: context (3.11)
    """
    context = _context("given")

    async def work() -> str:
        seen = name.get()
        name.set("by the task")
        return seen

    async def main() -> str:
        return await t.loop.create_task(work(), context=context)  # type: ignore[no-any-return]

    return {"in the task": t.run(main()), "changed through": context[name]}


@area.check(expect={"in the task": "creator", "creator afterwards": "creator"})
def task_runs_in_a_copy_of_the_creators_context(t: Trial) -> object:
    """A task sees its creator's context variables and changes only its own.

    spec: docs, loop.create_task: "the task copies the current context"
    """

    async def work() -> str:
        seen = name.get()
        name.set("by the task")
        return seen

    async def main() -> object:
        name.set("creator")
        inner = await t.loop.create_task(work())
        return {"in the task": inner, "creator afterwards": name.get()}

    return t.run(main())


@area.check(expect={"taken": "adder", "given": "given"})
def done_callback_context(t: Trial) -> object:
    """A future's done-callback runs in the context of who added it, or in the given one.

    spec: docs, Future.add_done_callback: context
    """
    seen: dict[str, str] = {}

    async def main() -> object:
        future = t.loop.create_future()
        name.set("adder")
        future.add_done_callback(lambda _: seen.update(taken=name.get()))
        future.add_done_callback(lambda _: seen.update(given=name.get()), context=_context("given"))
        name.set("later")
        future.set_result(None)
        await t.turns()
        return seen

    return t.run(main())


@area.check(expect="adder")
async def reader_context(t: Trial) -> object:
    """The callback of add_reader() runs in the context of who added it.

    spec: CPython Lib/asyncio/selector_events.py, _add_reader makes a Handle
    """
    one, other = t.tcp_pair()
    seen: asyncio.Future[str] = t.loop.create_future()

    def read() -> None:
        t.loop.remove_reader(one)
        seen.set_result(name.get())

    def add() -> None:
        name.set("adder")
        t.loop.add_reader(one, read)

    contextvars.copy_context().run(add)
    other.send(b"x")
    return await seen


@area.check(expect="adder")
async def writer_context(t: Trial) -> object:
    """The callback of add_writer() runs in the context of who added it.

    spec: CPython Lib/asyncio/selector_events.py, _add_writer makes a Handle
    """
    one, _ = t.tcp_pair()
    seen: asyncio.Future[str] = t.loop.create_future()

    def write() -> None:
        t.loop.remove_writer(one)
        seen.set_result(name.get())

    def add() -> None:
        name.set("adder")
        t.loop.add_writer(one, write)

    contextvars.copy_context().run(add)
    return await seen


class _Looker(Recorder):
    """Writes down the context variable of each event."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def connection_made(self, transport: Any) -> None:
        self.names["connection_made"] = name.get()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.names["data_received"] = name.get()
        super().data_received(data)

    def eof_received(self) -> bool | None:
        self.names["eof_received"] = name.get()
        return super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.names["connection_lost"] = name.get()
        super().connection_lost(exc)


@area.check(
    expect={
        "connection_made": "connector",
        "data_received": "connector",
        "eof_received": "connector",
        "connection_lost": "connector",
    }
)
async def transport_context(t: Trial) -> object:
    """A protocol's callbacks run in the context in which its connection was made.

    spec: CPython Lib/asyncio/selector_events.py: the handles of a transport; gh-140947
    """
    ours, peer = t.tcp_pair()

    async def connect() -> _Looker:
        name.set("connector")
        _, protocol = await t.loop.create_connection(_Looker, sock=ours)
        return protocol  # type: ignore[no-any-return]

    protocol = await t.loop.create_task(connect())
    name.set("somebody else")
    peer.send(b"x")
    await protocol.received(1)
    peer.close()
    await protocol.lost
    return protocol.names


@area.check(expect="connector", since=(3, 15))
async def contextvars_callbacks(t: Trial) -> object:
    """data_received runs in the connection's context, whoever called resume_reading().

    spec: CPython gh-140947 (3.15), test_server_context
    """
    ours, peer = t.tcp_pair()

    async def connect() -> tuple[Any, _Looker]:
        name.set("connector")
        return await t.loop.create_connection(_Looker, sock=ours)  # type: ignore[no-any-return]

    transport, protocol = await t.loop.create_task(connect())
    name.set("somebody else")
    transport.pause_reading()
    peer.send(b"x")
    await t.turns()
    transport.resume_reading()
    await protocol.received(1)
    transport.abort()
    return protocol.names["data_received"]


@area.check(expect={"run_in_executor": "unset", "to_thread": "caller"})
async def executor_context(t: Trial) -> object:
    """run_in_executor() carries no context into the thread; asyncio.to_thread() does.

    spec: docs, loop.run_in_executor and asyncio.to_thread: "the current contextvars.Context is
    propagated"
    """
    name.set("caller")
    return {
        "run_in_executor": await t.loop.run_in_executor(None, name.get),
        "to_thread": await asyncio.to_thread(name.get),
    }


@area.check(expect=["unset", "unset"])
def contexts_do_not_leak_between_runs(t: Trial) -> object:
    """What a run sets is gone after it.

    spec: PEP 567: tasks run in copies
    """

    async def work() -> str:
        seen = name.get()
        name.set("left over")
        return seen

    return [t.run(work()), t.run(work())]
