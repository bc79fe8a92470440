# SPDX-License-Identifier: MIT
"""Wrong arguments to the scheduling methods: asyncio's error, and a loop that goes on."""

from __future__ import annotations

import asyncio
import math

import pytest
import support
from differences import ASYNCIO, differs

CASES = {
    "call_soon without arguments": lambda loop: loop.call_soon(),
    "call_soon with an unknown keyword": lambda loop: loop.call_soon(print, nothing=1),
    "call_soon_threadsafe without arguments": lambda loop: loop.call_soon_threadsafe(),
    "call_later without callback": lambda loop: loop.call_later(1),
    "call_later without arguments": lambda loop: loop.call_later(),
    "call_at without callback": lambda loop: loop.call_at(1),
    "call_later None": lambda loop: loop.call_later(None, print),
    "call_at None": lambda loop: loop.call_at(None, print),
    "call_later text": lambda loop: loop.call_later("1", print),
    "call_later list": lambda loop: loop.call_later([], print),
    "set_debug without arguments": lambda loop: loop.set_debug(),
    "time with an argument": lambda loop: loop.time(1),
    "stop with an argument": lambda loop: loop.stop(1),
    "create_task of a number": lambda loop: loop.create_task(5),
    "create_task of nothing": lambda loop: loop.create_task(),
    "create_task of a function": lambda loop: loop.create_task(print),
    "set_task_factory text": lambda loop: loop.set_task_factory("x"),
    "run_until_complete nothing": lambda loop: loop.run_until_complete(),
    "run_in_executor nothing": lambda loop: loop.run_in_executor(),
    "call_exception_handler nothing": lambda loop: loop.call_exception_handler(),
    "create_future with an argument": lambda loop: loop.create_future(1),
}

# The stock methods are written in Python and name themselves with their class; C functions cannot
# know theirs. The type has to match, the text only says the same in other words.
TYPE_ONLY = {
    name
    for name in CASES
    if "without" in name or "nothing" in name or "keyword" in name or "an argument" in name
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_argument_gives_asyncios_error(case):
    if case in TYPE_ONLY:
        ours = support.outcome(support.new_loop, CASES[case])
        reference = support.outcome(support.reference_loop, CASES[case])
        assert ours[:2] == reference[:2]
        assert ours[0] == "raises"
    else:
        assert support.same_as_asyncio(CASES[case])[0] == "raises"


@pytest.mark.parametrize("case", CASES)
def test_loop_goes_on_after_a_wrong_argument(loop, case):
    with pytest.raises(Exception):
        CASES[case](loop)
    assert loop.run_until_complete(asyncio.sleep(0.001, "usable")) == "usable"


@pytest.mark.parametrize("delay", [-1, -1e300, -math.inf, 0, 0.0, -0.0, True, 2**31, 1e18])
def test_odd_but_legal_delays_are_accepted(loop, delay):
    ran = []
    handle = loop.call_later(delay, ran.append, 1)
    assert isinstance(handle.when(), (int, float))
    done = loop.create_future()
    loop.call_later(0.002, done.set_result, None)
    loop.run_until_complete(done)
    if delay <= 0:
        assert ran == [1]
    else:  # True is a second: a busy machine may have taken it
        assert ran == [] or loop.time() >= handle.when()
    handle.cancel()


@differs(
    from_=ASYNCIO,
    what="`call_later(1j, ...)`",
    they="accepts it and dies in its next turn",
    evenloop="raises TypeError at once",
)
@pytest.mark.evenloop_only  # the stock loop takes it and dies in its next turn
def test_complex_delay_is_refused_at_once(loop):
    with pytest.raises(TypeError):
        loop.call_later(1j, print)
    assert loop.run_until_complete(asyncio.sleep(0.001, "usable")) == "usable"


@differs(
    from_=ASYNCIO,
    what="`call_later(nan, ...)`, `call_at(nan, ...)`",
    they="accepts it; the order of all timers is undefined from then on",
    evenloop="raises ValueError at once",
)
@pytest.mark.evenloop_only  # the stock loop's heap loses its order, and its poll fails on a NaN
@pytest.mark.parametrize("method", ["call_later", "call_at"])
def test_nan_does_not_disturb_other_timers(loop, method):
    try:
        handle = getattr(loop, method)(math.nan, print)
    except ValueError:
        handle = None
    fired = []
    base = loop.time()
    done = loop.create_future()
    for number in range(20):
        loop.call_at(base + 0.0001 * (20 - number), fired.append, 20 - number)
    loop.call_at(base + 0.01, done.set_result, None)
    loop.run_until_complete(done)
    assert fired == sorted(fired) == list(range(1, 21))
    if handle is not None:
        handle.cancel()


def test_uncallable_without_debug_is_reported_when_it_is_called(loop, errors):
    loop.call_soon(5)
    loop.stop()
    loop.run_forever()
    assert [type(context["exception"]) for context in errors] == [TypeError]
    errors.clear()


def test_wrong_context_is_an_error_and_no_crash(loop, errors):
    """The stock loop fails when it runs the callback; failing at the call is as good."""
    try:
        loop.call_soon(print, context=5)
    except TypeError:
        return
    loop.stop()
    try:
        loop.run_forever()
    except AttributeError:
        pass  # what the stock loop's C-free Handle does
    errors.clear()


def test_int_subclass_and_float_subclass_delays_work(loop):
    class Half(float):
        pass

    class Zero(int):
        pass

    ran = []
    loop.call_later(Half(0.0005), ran.append, "half")
    loop.call_later(Zero(0), ran.append, "zero")
    done = loop.create_future()
    loop.call_later(0.01, done.set_result, None)
    loop.run_until_complete(done)
    assert sorted(ran) == ["half", "zero"]


def test_delays_from_numbers_of_other_types_work_as_in_asyncio():
    import decimal
    import fractions

    for number in (fractions.Fraction(1, 1000), decimal.Decimal("0.001")):

        def use(loop, number=number):
            done = loop.create_future()
            loop.call_later(number, done.set_result, "fired")
            return loop.run_until_complete(asyncio.wait_for(done, 10))

        support.same_as_asyncio(use)
