# SPDX-License-Identifier: MIT
"""core: errors of callbacks and debug mode."""

from __future__ import annotations

import gc
import time

from ..trial import Trial
from .core import area

# -- errors ---------------------------------------------------------------------------------------


def _fail() -> None:
    raise ZeroDivisionError("in a callback")


@area.check(
    expect={
        "keys": ["exception", "handle", "message"],
        "message begins": "Exception in callback ",
        "exception": {"type": "ZeroDivisionError", "text": "in a callback"},
        "handle": True,
    }
)
def exception_handler_context_keys(t: Trial) -> object:
    """An exception of a callback reaches the exception handler as message, exception and handle.

    spec: docs, "Error Handling API"; CPython Lib/asyncio/events.py, Handle._run
    """
    handle = t.loop.call_soon(_fail)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    (context,) = t.errors
    t.errors = []
    return {
        "keys": sorted(context),
        "message begins": context["message"][:22],
        "exception": context["exception"],
        "handle": context["handle"] is handle,
    }


@area.check(expect=["exception", "handle", "message", "source_traceback"])
def debug_source_traceback_in_context(t: Trial) -> object:
    """In debug mode the exception handler also learns where the callback was scheduled.

    spec: docs, loop.call_exception_handler: source_traceback
    """
    t.loop.set_debug(True)
    t.loop.call_soon(_fail)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    (context,) = t.errors
    t.errors = []
    return sorted(context)


@area.check(expect=["before", "after"])
def exception_keeps_the_queue_going(t: Trial) -> object:
    """A callback that raises does not keep the ones after it from running.

    spec: docs, "Error Handling API"
    """
    ran: list[str] = []
    t.loop.call_soon(ran.append, "before")
    t.loop.call_soon(_fail)
    t.loop.call_soon(ran.append, "after")
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    t.take_errors()
    return ran


@area.check(
    expect={
        "raised": {"type": "SystemExit", "text": "3"},
        "ran at first": [],
        "ran in the next run": ["rest"],
    }
)
def baseexception_propagates_rest_kept(t: Trial) -> object:
    """SystemExit leaves run_forever(), and what was queued behind it runs in the next run.

    spec: CPython Lib/asyncio/events.py, Handle._run re-raises SystemExit and KeyboardInterrupt
    """
    ran: list[str] = []

    def leave() -> None:
        raise SystemExit(3)

    t.loop.call_soon(leave)
    t.loop.call_soon(ran.append, "rest")
    seen: dict[str, object] = {}
    try:
        t.loop.run_forever()
    except SystemExit as error:
        seen["raised"] = error
    seen["ran at first"] = list(ran)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return {**seen, "ran in the next run": ran}


@area.check(expect=["KeyboardInterrupt left run_until_complete", "the task has it"])
def keyboardinterrupt_in_task_propagates(t: Trial) -> object:
    """KeyboardInterrupt in a task leaves run_until_complete() at once.

    spec: CPython test_base_events, test_run_until_complete_baseexception
    """
    seen: list[str] = []

    async def interrupted() -> None:
        raise KeyboardInterrupt

    task = t.loop.create_task(interrupted())
    try:
        t.loop.run_until_complete(task)
    except KeyboardInterrupt:
        seen.append("KeyboardInterrupt left run_until_complete")
    if task.done() and isinstance(task.exception(), KeyboardInterrupt):
        seen.append("the task has it")
    return seen


@area.check(expect=["run_until_complete raised", "the next run made a turn"])
def run_until_complete_baseexception_leaves_no_stop(t: Trial) -> object:
    """After a run that KeyboardInterrupt ended, the next run_forever() is not stopped at once.

    spec: CPython bpo-22429, test_base_events test_run_until_complete_baseexception
    """
    seen: list[str] = []

    async def interrupted() -> None:
        raise KeyboardInterrupt

    try:
        t.run(interrupted())
    except KeyboardInterrupt:
        seen.append("run_until_complete raised")

    def turn() -> None:
        seen.append("the next run made a turn")
        t.loop.stop()

    t.loop.call_later(0.002, turn)
    t.loop.run_forever()
    return seen


@area.check(
    expect={"type": "TypeError", "text": "A callable object or None is expected, got 'handler'"}
)
def set_exception_handler_type(t: Trial) -> object:
    """An exception handler must be callable.

    text: CPython Lib/asyncio/base_events.py, set_exception_handler
    """
    return t.outcome(t.loop.set_exception_handler, "handler")


@area.check(expect={"set": True, "default": None, "arguments": [True, {"message": "hello"}]})
def exception_handler_is_called_with_loop_and_context(t: Trial) -> object:
    """The exception handler gets the loop and the context as they are.

    spec: docs, loop.set_exception_handler and loop.get_exception_handler
    """
    loop = t.loop
    got: list[object] = []

    def handler(its_loop: object, context: object) -> None:
        got.extend((its_loop is loop, context))

    loop.set_exception_handler(handler)
    seen = {"set": loop.get_exception_handler() is handler}
    loop.call_exception_handler({"message": "hello"})
    loop.set_exception_handler(None)
    return {**seen, "default": loop.get_exception_handler(), "arguments": got}


@area.check(expect=["ERROR: hello\nanswer: 42"])
def default_exception_handler_logs(t: Trial) -> object:
    """Without a handler of the program's the message and the other keys are logged.

    text: CPython Lib/asyncio/base_events.py, default_exception_handler
    """
    t.loop.set_exception_handler(None)
    t.loop.call_exception_handler({"message": "hello", "answer": 42})
    return t.take_log()


@area.check(expect=["ERROR: Unhandled error in exception handler"])
def exception_handler_that_raises_is_logged(t: Trial) -> object:
    """An exception handler that raises is itself reported, and the loop goes on.

    text: CPython Lib/asyncio/base_events.py, call_exception_handler
    """

    def handler(loop: object, context: object) -> None:
        raise ValueError

    t.loop.set_exception_handler(handler)
    t.loop.call_exception_handler({"message": "hello"})
    return [line.partition("\n")[0] for line in t.take_log()]


@area.check(expect=["Future exception was never retrieved", ["exception", "future", "message"]])
def unretrieved_exception_is_reported(t: Trial) -> object:
    """A future that nobody asks for its exception is reported when it goes away.

    spec: docs, "Detect never-retrieved exceptions"
    """
    future = t.loop.create_future()
    future.set_exception(ZeroDivisionError())
    del future
    gc.collect()
    (context,) = t.errors
    t.errors = []
    return [context["message"], sorted(context)]


# -- debug mode -----------------------------------------------------------------------------------


@area.check(expect={"new": False, "set": True, "slow_callback_duration": 0.1})
def debug_defaults(t: Trial) -> object:
    """Debug mode is off until asked for; slow callbacks are those of 100 ms.

    spec: docs, loop.get_debug, loop.set_debug and loop.slow_callback_duration
    """
    seen = {"new": t.loop.get_debug()}
    t.loop.set_debug(True)
    return {
        **seen,
        "set": t.loop.get_debug(),
        "slow_callback_duration": t.loop.slow_callback_duration,
    }


@area.check(
    expect={
        "call_soon": {
            "type": "TypeError",
            "text": "a callable object was expected by call_soon(), got 'x'",
        },
        "call_soon_threadsafe": {
            "type": "TypeError",
            "text": "a callable object was expected by call_soon_threadsafe(), got 'x'",
        },
        "call_at": {
            "type": "TypeError",
            "text": "a callable object was expected by call_at(), got 'x'",
        },
        "call_later": {
            "type": "TypeError",
            "text": "a callable object was expected by call_at(), got 'x'",
        },
        "run_in_executor": {
            "type": "TypeError",
            "text": "a callable object was expected by run_in_executor(), got 'x'",
        },
    }
)
def debug_noncallable_rejected(t: Trial) -> object:
    """In debug mode what cannot be called is refused when it is scheduled.

    text: CPython Lib/asyncio/base_events.py, _check_callback
    """
    loop = t.loop
    loop.set_debug(True)

    async def main() -> object:
        return {
            "call_soon": t.outcome(loop.call_soon, "x"),
            "call_soon_threadsafe": t.outcome(loop.call_soon_threadsafe, "x"),
            "call_at": t.outcome(loop.call_at, 0, "x"),
            "call_later": t.outcome(loop.call_later, 0, "x"),
            "run_in_executor": t.outcome(loop.run_in_executor, None, "x"),
        }

    return t.run(main())


@area.check(
    expect={
        "call_soon": {
            "type": "TypeError",
            "text": "coroutines cannot be used with call_soon()",
        },
        "call_soon_threadsafe": {
            "type": "TypeError",
            "text": "coroutines cannot be used with call_soon_threadsafe()",
        },
        "call_at": {"type": "TypeError", "text": "coroutines cannot be used with call_at()"},
    }
)
def debug_coroutinefunction_rejected(t: Trial) -> object:
    """In debug mode a coroutine function is refused as a callback.

    text: CPython Lib/asyncio/base_events.py, _check_callback
    """
    loop = t.loop
    loop.set_debug(True)

    async def wrong() -> None:
        pass

    async def main() -> object:
        return {
            "call_soon": t.outcome(loop.call_soon, wrong),
            "call_soon_threadsafe": t.outcome(loop.call_soon_threadsafe, wrong),
            "call_at": t.outcome(loop.call_at, 0, wrong),
        }

    return t.run(main())


@area.check(expect={"level": "WARNING", "begins": "Executing <Handle ", "says": "took"})
def debug_slow_callback_logged(t: Trial) -> object:
    """In debug mode a callback that takes longer than slow_callback_duration is logged.

    text: CPython Lib/asyncio/base_events.py, _run_once: "Executing %s took %.3f seconds"
    """
    t.loop.set_debug(True)
    t.loop.slow_callback_duration = 0.005
    t.loop.call_soon(time.sleep, 0.02)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    for line in t.take_log():
        level, _, text = line.partition(": ")
        if "sleep" in text:
            return {
                "level": level,
                "begins": text[: len("Executing <Handle ")],
                "says": "took" if " took 0.0" in text else text,
            }
    return "nothing logged"


@area.check(expect={"in debug mode": [True], "after": 0})
def debug_tracks_coroutine_origins(t: Trial) -> object:
    """In debug mode, while the loop runs, coroutines remember where they were made.

    spec: docs, sys.set_coroutine_origin_tracking_depth; CPython Lib/asyncio/base_events.py,
    _set_coroutine_origin_tracking
    """
    import sys

    t.loop.set_debug(True)
    seen: list[bool] = []

    def look() -> None:
        seen.append(sys.get_coroutine_origin_tracking_depth() > 0)
        t.loop.stop()

    t.loop.call_soon(look)
    t.loop.run_forever()
    return {"in debug mode": seen, "after": sys.get_coroutine_origin_tracking_depth()}


@area.check(expect="says where it was created")
def warn_never_awaited_origin(t: Trial) -> object:
    """In debug mode the warning about a coroutine that was never awaited shows where it was made.

    spec: docs, "Detect never-awaited coroutines"
    """
    t.loop.set_debug(True)

    async def forgotten() -> None:
        pass

    async def main() -> None:
        _ = forgotten()

    t.run(main())
    gc.collect()
    for text in t.take_warnings():
        if "forgotten" in text and "never awaited" in text:
            origin = "Coroutine created at" in text
            return "says where it was created" if origin else "does not say where"
    return "no warning"


@area.check(expect=[])
def slow_selector_log(t: Trial) -> object:
    """In debug mode waiting is not work: what takes long is a callback, not the system's wait.

    asyncio logged long waits, too, until Python 3.7.

    text: docs, loop.slow_callback_duration
    """
    t.loop.set_debug(True)
    t.loop.slow_callback_duration = 0.05
    t.loop.call_later(0.2, t.loop.stop)
    t.loop.run_forever()
    return [line for line in t.take_log() if "took" in line]
