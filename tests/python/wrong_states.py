# SPDX-License-Identifier: MIT
"""Wrong states: what is asked of a loop out of turn, and callbacks that do what they must not.

Each row is a function of a stage (wrong_arguments.py) whose result says what happened: the
outcomes of some calls, one after the other. GROUPS has the rows by group.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import support
import wrong_arguments as tables
from wrong_arguments import Stage, function

Row = Callable[[Stage], Any]


class Bad:
    """Cannot be shown and is neither true nor false."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("repr")

    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives or raises, even if it is meant to end the program."""
    try:
        return call()
    except BaseException as exc:
        return tables.failure(exc)


def outcomes(*calls: Callable[[], Any]) -> list[Any]:
    return [outcome(call) for call in calls]


async def awaited(awaitable: Any, limit: float = 1.0) -> Any:
    try:
        return await asyncio.wait_for(awaitable, limit)
    except BaseException as exc:
        return tables.failure(exc)


async def turns(count: int = 6) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def delivered(stage: Stage) -> None:
    """Returns when the loop has told what has come before."""
    for _ in range(2):  # of one look at the sockets the order is anybody's
        await tables.hear(stage.loop)
    await turns()


def one_turn(loop: Any) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def raising(exc: BaseException) -> Callable[..., Any]:
    def raise_it(*args: Any) -> Any:
        raise exc

    return raise_it


def exceptions() -> dict[str, BaseException]:
    """New ones, as an exception keeps the traceback of its last row."""
    return {
        "ValueError": ValueError("value"),
        "OSError": OSError(5, "words"),
        "ConnectionResetError": ConnectionResetError("words"),
        "CancelledError": asyncio.CancelledError("cancelled"),
        "StopIteration": StopIteration("stop"),
        "GeneratorExit": GeneratorExit("exit"),
        "BaseException": BaseException("base"),
        "SystemExit": SystemExit(2),
        "KeyboardInterrupt": KeyboardInterrupt("key"),
    }


# -- the loop --------------------------------------------------------------------------------------


def slow_callback_duration(value: Any) -> Row:
    """Looked at after each callback in debug mode."""

    def row(stage: Stage) -> Any:
        loop = stage.loop
        loop.set_debug(True)
        loop.slow_callback_duration = value
        said = outcomes(lambda: loop.slow_callback_duration, lambda: one_turn(loop))
        loop.slow_callback_duration = 1000.0
        return said

    return row


CONTEXTS: dict[str, Any] = {
    "nothing": {},
    "message=None": {"message": None},
    "message=5": {"message": 5},
    "exception=text": {"exception": "text"},
    "exception=a type": {"exception": ValueError},
    "exception": {"message": "said", "exception": ValueError("value")},
    "future=None": {"future": None},
    "what cannot be shown": {"message": "said", "more": Bad()},
    "a message that cannot be shown": {"message": Bad()},
    "source_traceback=5": {"message": "said", "source_traceback": 5},
    "source_traceback=[text]": {"message": "said", "source_traceback": ["text"]},
    "handle_traceback=5": {"message": "said", "handle_traceback": 5},
    "keys of two types": {"message": "said", 5: 6},
    "a key that is no text": {5: 6},
}


def context_of_a_report(context: Any) -> Row:
    """The default handler logs what it can."""

    def row(stage: Stage) -> Any:
        stage.loop.set_exception_handler(None)
        return outcomes(
            lambda: stage.loop.call_exception_handler(context),
            lambda: stage.loop.default_exception_handler(context),
        )

    return row


HANDLERS: dict[str, Callable[..., Any]] = {
    "no parameters": lambda: None,
    "one parameter": lambda loop: None,
    "three parameters": lambda loop, context, more: None,
    "a type": tables.Thing,
    **{f"raises {name}": raising(exc) for name, exc in exceptions().items()},
}


def exception_handler(handler: Callable[..., Any]) -> Row:
    def row(stage: Stage) -> Any:
        loop = stage.loop
        loop.set_exception_handler(handler)
        loop.call_soon(raising(RuntimeError("callback")))
        said = outcomes(
            lambda: loop.call_exception_handler({"message": "said"}),
            lambda: one_turn(loop),
            lambda: one_turn(loop),
            lambda: loop.get_exception_handler() is handler,
        )
        loop.set_exception_handler(None)
        return said

    return row


def callback_that_raises(exc: BaseException) -> Row:
    def row(stage: Stage) -> Any:
        loop, said = stage.loop, []
        for schedule in (
            loop.call_soon,
            loop.call_soon_threadsafe,
            lambda callback: loop.call_later(0, callback),
        ):
            schedule(raising(exc))
            said += outcomes(lambda: one_turn(loop), lambda: one_turn(loop), loop.is_running)
        return said

    return row


def task_that_raises(exc: BaseException) -> Row:
    def row(stage: Stage) -> Any:
        async def at_once() -> None:
            raise exc

        async def later() -> None:
            await asyncio.sleep(0)
            raise exc

        loop = stage.loop
        return outcomes(
            lambda: loop.run_until_complete(at_once()),
            lambda: loop.run_until_complete(later()),
            loop.is_running,
        )

    return row


def task_factory(factory: Callable[..., Any]) -> Row:
    def row(stage: Stage) -> Any:
        loop, coro = stage.loop, stage.coroutine()
        loop.set_task_factory(factory)
        said = outcomes(
            lambda: loop.create_task(coro),
            lambda: loop.create_task(coro, name="name"),
            lambda: loop.run_until_complete(coro),
        )
        loop.set_task_factory(None)
        return said

    return row


class Awaitable:
    def __init__(self, waits: bool) -> None:
        self.waits = waits

    def __await__(self) -> Any:
        if self.waits:
            yield
        return 7


def a_future(loop: Any, how: str) -> Any:
    future = loop.create_future()
    if how == "done":
        future.set_result(5)
    elif how == "cancelled":
        future.cancel()
    elif how == "failed":
        future.set_exception(ValueError("value"))
    else:
        loop.call_soon(loop.stop)
        if how == "done and stopped":
            loop.call_soon(future.set_result, 3)
    return future


def asyncgen() -> Any:
    async def generator() -> Any:
        yield 1

    return generator()


RUN: dict[str, Callable[[Any], Any]] = {
    **{
        f"a {how} future": lambda loop, how=how: a_future(loop, how)  # type: ignore[misc]
        for how in ("done", "cancelled", "failed", "stopped", "done and stopped")
    },
    "a future of concurrent.futures": lambda loop: concurrent.futures.Future(),
    "what waits": lambda loop: Awaitable(True),
    "what does not wait": lambda loop: Awaitable(False),
    "an async generator": lambda loop: asyncgen(),
    "a generator": lambda loop: (each for each in ()),
}


def run_until_complete(make: Callable[[Any], Any]) -> Row:
    return lambda stage: outcomes(
        lambda: stage.loop.run_until_complete(make(stage.loop)),
        lambda: one_turn(stage.loop),
    )


def within_a_run(stage: Stage) -> Any:
    """A second run of the loop, one of another loop, and what a running loop may not be asked."""
    loop, coro = stage.loop, stage.coroutine()
    other = support.new_loop() if loop.__module__.startswith("evenloop") else type(loop)()
    stage.kept(other)
    calls: list[Callable[[], Any]] = [
        lambda: loop.run_until_complete(coro),
        lambda: other.run_until_complete(coro),
        loop.close,
        loop.is_running,
        loop.stop,
    ]

    async def within() -> Any:
        return outcomes(*calls[:-1])

    said = loop.run_until_complete(within())
    loop.call_soon(lambda: said.extend(outcomes(*calls)))
    loop.run_forever()
    return said


def stopped_before(stage: Stage) -> Any:
    loop = stage.loop
    loop.stop()
    loop.stop()
    seen: list[int] = []
    loop.call_soon(seen.append, 1)
    return [*outcomes(loop.run_forever, lambda: one_turn(loop)), seen]


def after_close(stage: Stage) -> Any:
    loop, coro = stage.loop, stage.coroutine()
    loop.close()
    return outcomes(
        loop.close,
        loop.stop,
        loop.is_running,
        loop.is_closed,
        loop.get_debug,
        lambda: loop.set_debug(True),
        loop.run_forever,
        lambda: loop.run_until_complete(coro),
        loop.create_future,
        loop.get_task_factory,
        loop.get_exception_handler,
        lambda: loop.call_exception_handler({"message": "said"}),
        lambda: loop.create_task(coro),
        lambda: loop.call_soon(function),
        lambda: loop.call_later(1, function),
        lambda: loop.call_at(1, function),
        lambda: loop.call_soon_threadsafe(function),
        lambda: loop.run_in_executor(None, function),
    )


# -- the executor ----------------------------------------------------------------------------------


class NoFuture:
    def submit(self, *args: Any) -> Any:
        return 5


class Refusing:
    def submit(self, *args: Any) -> Any:
        raise ValueError("refused")


def ended_pool() -> Any:
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


EXECUTORS: dict[str, Callable[[], Any]] = {
    "one without a future": NoFuture,
    "one that refuses": Refusing,
    "an abstract one": concurrent.futures.Executor,
    "its type": lambda: concurrent.futures.ThreadPoolExecutor,
    "one that was shut down": ended_pool,
}


def executor(make: Callable[[], Any]) -> Row:
    def row(stage: Stage) -> Any:
        async def run() -> Any:
            try:
                return await awaited(stage.loop.run_in_executor(make(), function))
            except Exception as exc:
                return tables.failure(exc)

        return stage.loop.run_until_complete(run())

    return row


def raises_in_the_executor(exc: BaseException) -> Row:
    async def run(loop: Any) -> Any:
        return await awaited(loop.run_in_executor(None, raising(exc)), 0.2)

    return lambda stage: stage.loop.run_until_complete(run(stage.loop))


def after_the_executor(stage: Stage) -> Any:
    loop = stage.loop

    async def run() -> Any:
        await loop.shutdown_default_executor()
        said = [await awaited(loop.shutdown_default_executor())]
        said += outcomes(lambda: loop.run_in_executor(None, function))
        said += [await awaited(loop.getaddrinfo("127.0.0.1", 1))]
        pool = stage.stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
        said += outcomes(lambda: loop.set_default_executor(pool))
        return said + outcomes(lambda: loop.run_in_executor(None, function))

    return loop.run_until_complete(run())


def shutdown_of_async_generators(exc: BaseException) -> Row:
    def row(stage: Stage) -> Any:
        async def generator() -> Any:
            try:
                yield 1
            finally:
                raise exc

        async def run() -> None:
            await generator().__anext__()
            await stage.loop.shutdown_asyncgens()

        return outcomes(lambda: stage.loop.run_until_complete(run()))

    return row


# -- protocols -------------------------------------------------------------------------------------


class Recording(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def data_received(self, data: bytes) -> None:
        self.log.append(data)

    def eof_received(self) -> Any:
        self.log.append("eof")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.log.append(["lost", None if exc is None else tables.failure(exc)])


class Buffered(asyncio.BufferedProtocol):
    """Gives the loop this buffer."""

    def __init__(self, buffer: Any) -> None:
        self.log: list[Any] = []
        self.buffer = buffer

    def get_buffer(self, sizehint: int) -> Any:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.log.append(nbytes)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.log.append(["lost", None if exc is None else tables.failure(exc)])


def until_told(stage: Stage, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The result of main(), and what left the run on the way there."""
    task, said = stage.loop.create_task(main()), []
    for _ in range(3):
        said.append(outcome(lambda: stage.loop.run_until_complete(task)))
        if task.done():
            break
    return said


def conversation(make: Callable[[], Any], data: bytes = b"hello") -> Row:
    """A protocol is told of data, of its end, and of the connection's end."""

    def row(stage: Stage) -> Any:
        async def talk() -> Any:
            ours, peer = stage.pair(b"")
            protocol = make()
            transport, _ = await stage.loop.create_connection(lambda: protocol, sock=ours)
            peer.send(data)
            await delivered(stage)
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
            await delivered(stage)
            closing = transport.is_closing()
            transport.abort()
            await turns()
            return [closing, getattr(protocol, "log", None)]

        return until_told(stage, talk)

    return row


BUFFERS: dict[str, Any] = {
    **{name: value for name, value in tables.WRONG.items() if name != "bytearray"},
    "an empty bytearray": bytearray(),
    "a memoryview of nothing": memoryview(bytearray()),
    "every other byte": memoryview(bytearray(10))[::2],
    "rows of bytes": memoryview(bytearray(12)).cast("B", [3, 4]),
    "numbers": memoryview(bytearray(16)).cast("I"),
}


def told(name: str, answer: Callable[..., Any], base: type = Recording) -> Callable[[], Any]:
    """Makes protocols whose method does what it should, and then this."""

    def method(self: Any, *args: Any) -> Any:
        getattr(base, name)(self, *args)
        return answer()

    return type("Told", (base,), {name: method})


def accepted(factory: Callable[..., Any]) -> Row:
    """What becomes of a connection that a server has no protocol for."""

    def row(stage: Stage) -> Any:
        async def accept() -> Any:
            server = await stage.loop.create_server(factory, "127.0.0.1", 0)
            stage.kept(socket.create_connection(server.sockets[0].getsockname()))
            await delivered(stage)
            serving = server.is_serving()
            server.close()
            return serving

        return until_told(stage, accept)

    return row


PROTOCOLS: dict[str, Callable[..., Any]] = {
    "None": lambda: None,
    "5": lambda: 5,
    "Thing": tables.Thing,
    "BaseProtocol": asyncio.BaseProtocol,
    "DatagramProtocol": asyncio.DatagramProtocol,
    "SubprocessProtocol": asyncio.SubprocessProtocol,
}


def replaced(make: Callable[..., Any]) -> Row:
    """set_protocol() to what lacks the methods."""

    def row(stage: Stage) -> Any:
        async def replace() -> Any:
            ours, peer = stage.pair(b"")
            transport, old = await stage.loop.create_connection(Recording, sock=ours)
            transport.set_protocol(make())
            peer.send(b"data")
            await delivered(stage)
            closing = transport.is_closing()
            transport.set_protocol(old)
            transport.abort()
            await turns()
            return [closing, old.log]

        return until_told(stage, replace)

    return row


# -- one after the other ---------------------------------------------------------------------------

TRANSPORT_STEPS: dict[str, Callable[[Any], Any]] = {
    "write": lambda transport: transport.write(b"data"),
    "write_eof": lambda transport: transport.write_eof(),
    "pause": lambda transport: transport.pause_reading(),
    "resume": lambda transport: transport.resume_reading(),
    "limit": lambda transport: transport.set_write_buffer_limits(0),
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
}


def transport_steps(steps: tuple[str, ...]) -> Row:
    def row(stage: Stage) -> Any:
        async def take() -> Any:
            ours, _ = stage.pair(b"")
            transport, protocol = await stage.loop.create_connection(Recording, sock=ours)
            said = outcomes(*(lambda step=step: TRANSPORT_STEPS[step](transport) for step in steps))
            state = [transport.is_closing(), transport.is_reading()]
            await turns()
            transport.abort()
            await turns()
            return [*said, state, protocol.log]

        return stage.loop.run_until_complete(take())

    return row


SERVER_STEPS: dict[str, Callable[[Any], Any]] = {
    "start_serving": lambda server: server.start_serving(),
    "serve_forever": lambda server: server.serve_forever(),
    "wait_closed": lambda server: server.wait_closed(),
    "enter": lambda server: server.__aenter__(),
    "exit": lambda server: server.__aexit__(None, None, None),
    "close": lambda server: server.close(),
    "sockets": lambda server: len(server.sockets),
    "sockets=": lambda server: setattr(server, "sockets", ()),
    "repr": lambda server: tables.same(repr(server)),
}


def server_steps(steps: tuple[str, ...]) -> Row:
    def row(stage: Stage) -> Any:
        async def take() -> Any:
            server = await stage.loop.create_server(Recording, "127.0.0.1", 0, start_serving=False)
            said = []
            for step in steps:
                try:
                    value = SERVER_STEPS[step](server)
                    waits = asyncio.iscoroutine(value)
                    said.append(await awaited(value, 0.01) if waits else value)
                except Exception as exc:
                    said.append(tables.failure(exc))
            said.append([server.is_serving(), len(server.sockets)])
            server.close()
            await turns()
            return said

        return stage.loop.run_until_complete(take())

    return row


def sock_operation(take_away: str) -> Row:
    """A reader and a sock_recv() of one socket: the later one has it."""

    def row(stage: Stage) -> Any:
        loop = stage.loop

        async def receive() -> Any:
            ours, peer = stage.pair(b"")
            task = loop.create_task(loop.sock_recv(ours, 10))
            await turns(2)
            calls: dict[str, Callable[[], Any]] = {
                "add_reader": lambda: loop.add_reader(ours, function),
                "remove_reader": lambda: loop.remove_reader(ours),
                "remove_writer": lambda: loop.remove_writer(ours),
                "sock_recv": lambda: (
                    len(kept := [loop.create_task(loop.sock_recv(ours, 10))])
                    and others.extend(kept)
                ),
            }
            others: list[Any] = []
            said = outcomes(calls[take_away])
            await turns(2)
            peer.send(b"data")
            await delivered(stage)
            said += [task.done(), *(other.done() for other in others)]
            for each in (task, *others):
                each.cancel()
            await turns()
            return [*said, *outcomes(lambda: loop.remove_reader(ours))]

        return loop.run_until_complete(receive())

    return row


def pairs(steps: dict[str, Any], row: Callable[[tuple[str, ...]], Row], count: int) -> Any:
    return {", ".join(each): row(each) for each in itertools.product(steps, repeat=count)}


def each(row: Callable[[Any], Row], values: dict[str, Any]) -> dict[str, Row]:
    return {name: row(value) for name, value in values.items()}


GROUPS: dict[str, dict[str, Row]] = {
    "slow_callback_duration": each(slow_callback_duration, tables.WRONG),
    "a report": each(context_of_a_report, {**tables.WRONG, **CONTEXTS}),
    "an exception handler": each(exception_handler, HANDLERS),
    "a callback that raises": each(callback_that_raises, exceptions()),
    "a task that raises": each(task_that_raises, exceptions()),
    "a task factory": each(
        task_factory,
        {
            "None": lambda loop, coro, **kwargs: None,
            "text": lambda loop, coro, **kwargs: "text",
            "Thing": lambda loop, coro, **kwargs: tables.Thing(),
            "no parameters": lambda: None,
            "raises": raising(ValueError("value")),
        },
    ),
    "a run": {
        **each(run_until_complete, RUN),
        "within a run": within_a_run,
        "stopped before": stopped_before,
        "after close": after_close,
    },
    "an executor": {**each(executor, EXECUTORS), "after its shutdown": after_the_executor},
    "a function in the executor": each(
        raises_in_the_executor,
        {k: v for k, v in exceptions().items() if isinstance(v, Exception) or k == "SystemExit"},
    ),
    "async generators": each(shutdown_of_async_generators, {"ValueError": ValueError("value")}),
    "get_buffer": each(lambda value: conversation(lambda: Buffered(value)), BUFFERS),
    "eof_received": each(
        lambda value: conversation(told("eof_received", lambda: value)), tables.WRONG
    ),
    "data_received that raises": each(
        lambda exc: conversation(told("data_received", raising(exc))), exceptions()
    ),
    "a protocol": each(conversation, PROTOCOLS),
    "a protocol that replaces one": each(replaced, PROTOCOLS),
    "a protocol of a server": each(
        accepted,
        {
            **PROTOCOLS,
            "one parameter": lambda parameter: None,
            **{f"raises {name}": raising(exc) for name, exc in exceptions().items()},
        },
    ),
    "steps of a transport": pairs(TRANSPORT_STEPS, transport_steps, 3),
    "steps of a server": pairs(SERVER_STEPS, server_steps, 2),
    "sock_recv": {
        name: sock_operation(name)
        for name in ("add_reader", "remove_reader", "remove_writer", "sock_recv")
    },
}
