# SPDX-License-Identifier: MIT
"""Handle and TimerHandle: they are asyncio's, in type, text and order."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import weakref

import pytest
import support
from differences import UVLOOP, differs


def run_once(loop):
    loop.stop()
    loop.run_forever()


def callback(*args):
    pass


class Callable:
    def __call__(self, *args):
        pass

    def method(self, *args):
        pass

    def __repr__(self):
        return "<Callable>"


@differs(
    from_=UVLOOP,
    what="what `call_soon` returns",
    they="is no `asyncio.Handle`",
    evenloop="is one",
)
@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe"])
def test_scheduling_returns_an_asyncio_handle(loop, how):
    handle = getattr(loop, how)(callback)
    assert isinstance(handle, asyncio.Handle)
    assert not isinstance(handle, asyncio.TimerHandle)


@differs(
    from_=UVLOOP,
    what="what `call_later` and `call_at` return",
    they="is no `asyncio.TimerHandle`",
    evenloop="is one",
)
@pytest.mark.parametrize("how", ["call_later", "call_at"])
def test_timers_return_an_asyncio_timer_handle(loop, how):
    handle = getattr(loop, how)(0, callback)
    assert isinstance(handle, asyncio.TimerHandle)


CALLBACKS = {
    "function": (callback, ()),
    "function with arguments": (callback, (1, "two")),
    "lambda": (lambda: None, ()),
    "partial": (functools.partial(callback, 1, key=2), (3,)),
    "object": (Callable(), ()),
    "bound method": (Callable().method, ("x",)),
    "builtin": (print, ("x",)),
    "class": (dict, ()),
}


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
def test_handle_repr_is_asyncios(name, debug, cancelled):
    function, args = CALLBACKS[name]

    def shown(loop):
        loop.set_debug(debug)
        handle = loop.call_soon(function, *args)
        if cancelled:
            handle.cancel()
        # In debug the repr ends with where the handle was made: the same line on both loops.
        return repr(handle)

    support.same_as_asyncio(shown)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
def test_timer_handle_repr_is_asyncios(debug, cancelled):
    def shown(loop):
        loop.set_debug(debug)
        handle = loop.call_at(12345.5, callback, 1)
        if cancelled:
            handle.cancel()
        return repr(handle)

    text = support.same_as_asyncio(shown)[1]
    assert "when=12345.5" in text or cancelled


def test_reader_handle_repr_is_asyncios():
    ours, peer = support.tcp_pair()
    with ours, peer:

        def shown(loop):
            handle = loop._add_reader(ours, callback)
            loop.remove_reader(ours)
            return repr(handle)

        support.same_as_asyncio(shown)


def test_cancel_is_idempotent_and_drops_its_references(loop):
    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)
    handle = loop.call_later(3600, callback, marker)
    del marker
    assert gone() is not None
    handle.cancel()
    handle.cancel()
    gc.collect()
    assert handle.cancelled()
    assert gone() is None


def test_cancelled_handle_shows_no_callback(loop):
    handle = loop.call_soon(callback)
    handle.cancel()
    assert handle._callback is None
    assert handle._args is None


@differs(
    from_=UVLOOP,
    what="`handle._callback`, `handle._args`",
    they="do not exist",
    evenloop="hold what will be called",
)
def test_a_handle_keeps_its_callback_and_arguments(loop):
    handle = loop.call_soon(callback, 1, 2)
    assert handle._callback is callback
    assert tuple(handle._args) == (1, 2)
    assert handle._cancelled is False


def test_arguments_are_released_after_the_callback_ran(loop):
    class Marker:
        pass

    marker = Marker()
    gone = weakref.ref(marker)
    loop.call_soon(callback, marker)
    loop.call_later(0, callback, marker)
    del marker
    for _ in range(3):
        run_once(loop)
    gc.collect()
    assert gone() is None


def test_handles_take_weak_references(loop):
    for handle in (loop.call_soon(callback), loop.call_later(0, callback)):
        assert weakref.ref(handle)() is handle
    for _ in range(2):
        run_once(loop)


def test_handles_are_hashable(loop):
    soon, timer = loop.call_soon(callback), loop.call_at(5.5, callback)
    assert len({soon, timer}) == 2
    assert hash(timer) == hash(5.5)
    timer.cancel()


@differs(
    from_=UVLOOP,
    what="comparing timer handles",
    they="is not possible",
    evenloop="goes by their time",
)
def test_timer_handles_compare_by_their_time(loop):
    early, late = loop.call_at(10, callback), loop.call_at(20, callback)
    same = loop.call_at(10, callback)
    assert early < late and late > early
    assert early <= late and late >= early
    assert early <= same and early >= same
    assert early == same and early != late
    assert (early == 10) is False
    with pytest.raises(TypeError):
        early < 10
    for handle in (early, late, same):
        handle.cancel()
    assert early == same


def test_timer_with_other_arguments_is_not_equal(loop):
    one, other = loop.call_at(10, callback, 1), loop.call_at(10, callback, 2)
    assert one != other
    assert not one < other and not one <= other  # as equality looks at the arguments too
    one.cancel()
    other.cancel()


def test_when_survives_cancel(loop):
    handle = loop.call_at(7.25, callback)
    handle.cancel()
    assert handle.when() == 7.25


@pytest.mark.since(3, 12)
def test_get_context_gives_the_context_it_runs_in(loop):
    context = contextvars.copy_context()
    assert loop.call_soon(callback, context=context).get_context() is context
    assert loop.call_at(0, callback, context=context).get_context() is context
    assert isinstance(loop.call_soon(callback).get_context(), contextvars.Context)


def test_handle_made_by_hand_runs(loop):
    ran = []
    handle = asyncio.Handle(ran.append, (1,), loop)
    handle._run()
    assert ran == [1]


def test_handle_of_the_loop_can_be_run_by_hand(loop):
    ran = []
    handle = loop.call_later(3600, ran.append, 1)
    handle._run()
    assert ran == [1]
    handle.cancel()


def test_cancel_within_the_callback_is_harmless(loop):
    handles = []
    ran = []

    def cancel_self():
        handles[0].cancel()
        ran.append(handles[0].cancelled())

    handles.append(loop.call_soon(cancel_self))
    run_once(loop)
    assert ran == [True]


def test_debug_handle_tells_where_it_was_made(loop):
    loop.set_debug(True)
    handle = loop.call_soon(callback)
    assert f"created at {__file__}:" in repr(handle)
    handle = loop.call_later(0, callback)
    assert f"created at {__file__}:" in repr(handle)
    handle.cancel()


def test_handles_survive_their_loop(loop_factory):
    loop = loop_factory()
    soon, timer = loop.call_soon(callback, 1), loop.call_later(5, callback, 2)
    loop.close()
    del loop
    gc.collect()
    assert "callback" in repr(soon) or "cancelled" in repr(soon)
    assert timer.when() > 0
    soon.cancel()
    timer.cancel()
