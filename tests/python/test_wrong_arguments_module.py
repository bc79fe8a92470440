# SPDX-License-Identifier: MIT
"""Wrong arguments of the module's own functions and classes, as asyncio answers to them.

run() is asyncio.run() with another loop, EventLoopPolicy the default policy with another loop: the
rows are asked of both. What asyncio has no equal of (install(), a Loop that takes no selector)
answers as a function of Python without parameters does.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import evenloop
import pytest
import support
import wrong_arguments as tables
from wrong_arguments import Call, Stage

pytestmark = pytest.mark.evenloop_only  # of our module; the stock one is asked in the same test

Answer = list[Any]


def answer(function: Callable[..., Any], call: Call, state: str = "idle") -> Answer:
    """What the function does with the call: its result or exception, what is logged and warned."""
    outcome: Answer = []

    def made() -> None:
        args, kwargs = call
        try:
            outcome.extend(["gives", tables.kind_of(function(*args, **kwargs))])
        except Exception as exc:
            outcome.extend(tables.failure(exc))

    async def within() -> None:
        made()

    with tables.watched() as (logged, warned):
        if state == "another thread":
            thread = threading.Thread(target=made)
            thread.start()
            thread.join()
        elif state == "running":
            loop = support.reference_loop()
            loop.run_until_complete(within())
            loop.close()
        else:
            made()
    return [*outcome, sorted(set(logged)), sorted(set(warned))]


def compare(rows: Iterator[tuple[str, Callable[[Stage], Call]]], ours: Any, stock: Any) -> None:
    wrong = []
    for row, arguments in rows:
        for state in ("idle", "running", "another thread"):
            said = []
            for function in (ours, stock):
                stage = Stage(None)
                with stage.stack:
                    said.append(answer(function, arguments(stage), state))
            if said[0] != said[1]:
                wrong.append(f"{row} ({state}): {said[0]} instead of {said[1]}")
    assert not wrong, "\n".join(wrong)


def test_run() -> None:
    """Its main, debug and loop_factory; in a thread with a running loop, and in another one."""

    def stock(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and sys.version_info >= (3, 12):
            kwargs.setdefault("loop_factory", support.reference_loop)
        return asyncio.run(*args, **kwargs)

    parameters = list(inspect.signature(asyncio.run).parameters.values())
    assert [p.name for p in parameters][:2] == ["main", "debug"]

    def as_method(self: Any, *args: Any, **kwargs: Any) -> None: ...

    as_method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    rows = tables.rows_of("run", as_method, lambda stage: {"main": stage.coroutine()})
    compare(rows, evenloop.run, stock)


@pytest.mark.parametrize(
    "name", ["get_event_loop", "set_event_loop", "new_event_loop", "get_child_watcher"]
)
def test_methods_of_the_policy(name: str) -> None:
    """With a loop, without, and with what is none."""
    if sys.version_info >= (3, 16):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        stock: Any = asyncio.DefaultEventLoopPolicy
    assert issubclass(evenloop.EventLoopPolicy, stock)
    if not hasattr(stock, name):
        assert not hasattr(evenloop.EventLoopPolicy, name)
        return

    def of(policy: type) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made = policy()
            value = getattr(made, name)(*args, **kwargs)
            if isinstance(value, asyncio.AbstractEventLoop):
                value.close()
                return "a loop"
            return value

        return call

    good = {"set_event_loop": lambda stage: {"loop": None}}.get(name, lambda stage: {})
    compare(
        tables.rows_of(name, getattr(stock, name), good), of(evenloop.EventLoopPolicy), of(stock)
    )


@pytest.mark.parametrize("name", ["install", "new_event_loop", "Loop", "EventLoopPolicy"])
def test_what_takes_no_arguments(name: str) -> None:
    """Anything that is given is a TypeError, and nothing has happened."""
    if not hasattr(evenloop, name):
        assert name == "EventLoopPolicy" and sys.version_info >= (3, 16)
        return
    function = getattr(evenloop, name)
    before = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    for label, value in tables.WRONG.items():
        for args, kwargs in (((value,), {}), ((value, value), {}), ((), {"unknown": value})):
            assert answer(function, (args, kwargs))[:2] == ["raises", "TypeError"], label
    assert asyncio.events._event_loop_policy is before  # type: ignore[attr-defined]
