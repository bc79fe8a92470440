# SPDX-License-Identifier: MIT
"""Exceptions that leave callbacks: what the handler is told, and what leaves run_forever."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging

import pytest
import support
from differences import UVLOOP, differs

variable = contextvars.ContextVar("variable", default="unset")


class OwnBaseException(BaseException):
    pass


def run_once(loop):
    loop.stop()
    loop.run_forever()


def fail():
    raise ZeroDivisionError("in a callback")


@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_exception_goes_to_the_handler_with_the_documented_keys(loop, errors, how):
    """Contract point 6."""
    first = (0,) if how == "call_later" else ()
    handle = getattr(loop, how)(*first, fail)
    for _ in range(3):
        run_once(loop)
    (context,) = errors
    assert set(context) == {"message", "exception", "handle"}
    assert context["message"].startswith("Exception in callback fail() at ")
    assert type(context["exception"]) is ZeroDivisionError
    assert context["handle"] is handle
    errors.clear()


def test_debug_adds_the_source_traceback(loop, errors):
    """Contract point 6."""
    loop.set_debug(True)
    loop.call_soon(fail)
    run_once(loop)
    (context,) = errors
    assert set(context) == {"message", "exception", "handle", "source_traceback"}
    assert context["source_traceback"][-1].name == ("test_debug_adds_the_source_traceback")
    errors.clear()


def test_base_exceptions_of_ones_own_go_to_the_handler_too(loop, errors):
    """Contract point 6."""

    def raise_own():
        raise OwnBaseException

    loop.call_soon(raise_own)
    run_once(loop)
    assert type(errors[0]["exception"]) is OwnBaseException
    errors.clear()


def test_loop_goes_on_after_an_exception(loop, errors):
    ran = []
    loop.call_soon(fail)
    loop.call_soon(ran.append, 1)
    run_once(loop)
    assert ran == [1]
    errors.clear()


@differs(
    from_=UVLOOP,
    what="SystemExit or KeyboardInterrupt raised by a callback",
    they="runs what else was queued before it leaves the loop",
    evenloop="leaves at once; what was queued waits for the next run",
)
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("how", ["call_soon", "call_later", "reader", "task"])
def test_exit_leaves_run_forever_with_the_queue_intact(loop, kind, how):
    """Contract point 6."""
    ran = []

    def leave():
        raise kind("bye")

    ours, peer = support.tcp_pair()
    with ours, peer:
        if how == "call_soon":
            loop.call_soon(leave)
            loop.call_soon(ran.append, "next")
        elif how == "call_later":
            loop.call_later(0, leave)
        elif how == "reader":
            loop.add_reader(ours, leave)
            peer.send(b"x")
        else:

            async def main():
                leave()

            task = loop.create_task(main())
            loop.call_soon(ran.append, "next")
        guard = loop.call_later(support.LIMIT, loop.stop)
        with pytest.raises(kind, match="bye"):
            loop.run_forever()
        guard.cancel()
        assert not loop.is_running()
        assert ran == []
        loop.remove_reader(ours)
        loop.call_soon(ran.append, "last")
        run_once(loop)
        assert ran == (["next", "last"] if how in ("call_soon", "task") else ["last"])
        if how == "task":
            with pytest.raises(kind):
                task.result()
    assert loop.run_until_complete(asyncio.sleep(0.001, "usable")) == "usable"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_leaves_run_until_complete(loop, kind):
    """Contract points 6 and 7."""

    async def main():
        await asyncio.sleep(0)
        raise kind(3)

    with pytest.raises(kind) as caught:
        loop.run_until_complete(main())
    assert caught.value.args == (3,)
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


def test_exit_from_a_timer_keeps_the_timers_due_with_it(loop):
    ran = []

    def leave():
        raise SystemExit

    base = loop.time()
    loop.call_at(base, leave)
    loop.call_at(base + 1e-7, ran.append, 1)
    while loop.time() < base + 0.001:
        pass
    with pytest.raises(SystemExit):
        loop.run_forever()
    for _ in range(2):
        run_once(loop)
    assert ran == [1]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_from_a_protocol_callback_leaves_the_loop(loop, run, kind):
    class Leaving(support.Recorder):
        def data_received(self, data):
            raise kind

    async def main():
        async with support.transport_and_socket(Leaving) as (_, _, peer):
            peer.send(b"x")
            await loop.create_future()

    task = loop.create_task(main())
    with pytest.raises(kind):
        loop.run_until_complete(asyncio.wait_for(task, support.LIMIT))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_handler_that_raises_is_reported_and_survived(loop, errors, caplog):
    def broken(loop, context):
        raise AttributeError("in the handler")

    loop.set_exception_handler(broken)
    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.call_soon(fail)
        run_once(loop)
    assert "Unhandled error in exception handler" in caplog.text
    assert "in the handler" in caplog.text
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_from_the_exception_handler_leaves_run_forever(loop, kind):
    def leave(loop, context):
        raise kind

    loop.set_exception_handler(leave)
    loop.call_soon(fail)
    guard = loop.call_later(support.LIMIT, loop.stop)
    with pytest.raises(kind):
        loop.run_forever()
    guard.cancel()
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


def test_default_handler_logs_message_and_traceback(loop, caplog):
    loop.set_exception_handler(None)
    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.call_soon(fail)
        run_once(loop)
    (record,) = caplog.records
    assert record.getMessage().startswith("Exception in callback fail() at ")
    assert "handle: <Handle fail() at " in record.getMessage()
    assert record.exc_info[0] is ZeroDivisionError


def test_overridden_default_handler_is_called_and_survived(loop_factory, caplog):
    loop = loop_factory()
    seen = []

    def default(context):
        seen.append(context["message"])
        raise ValueError("in the default handler")

    loop.default_exception_handler = default
    with caplog.at_level(logging.ERROR, "asyncio"):
        loop.call_soon(fail)
        run_once(loop)
    loop.close()
    assert len(seen) == 1
    assert "Exception in default exception handler" in caplog.text


def test_call_exception_handler_is_looked_up_on_the_loop(loop):
    seen = []
    loop.call_exception_handler = seen.append
    loop.call_soon(fail)
    run_once(loop)
    assert [type(context["exception"]) for context in seen] == [ZeroDivisionError]


def test_set_exception_handler_rejects_what_cannot_be_called():
    kind, text = support.raised_by(lambda loop: loop.set_exception_handler("no"))
    assert kind == "TypeError"
    assert text == "A callable object or None is expected, got 'no'"


def test_get_exception_handler_gives_what_was_set(loop_factory):
    loop = loop_factory()

    def handler(loop, context):
        pass

    assert loop.get_exception_handler() is None
    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    loop.close()


@pytest.mark.since(3, 12)
def test_handler_runs_in_the_context_of_the_callback(loop):
    seen = []
    loop.set_exception_handler(lambda *_: seen.append(variable.get()))

    def schedule():
        variable.set("callback's")
        loop.call_soon(fail)

    contextvars.copy_context().run(schedule)
    run_once(loop)
    assert seen == ["callback's"]


def test_unretrieved_future_exception_reaches_the_handler(loop, errors):
    future = loop.create_future()
    future.set_exception(KeyError("lost"))
    del future
    gc.collect()
    (context,) = errors
    assert context["message"] == "Future exception was never retrieved"
    errors.clear()


def test_failing_repr_of_a_callback_does_not_hide_the_exception(loop, errors):
    class Odd:
        def __call__(self):
            raise ValueError("real")

        def __repr__(self):
            return "<odd>"

    loop.call_soon(Odd())
    run_once(loop)
    assert errors[0]["message"] == "Exception in callback <odd>()"
    assert str(errors[0]["exception"]) == "real"
    errors.clear()
