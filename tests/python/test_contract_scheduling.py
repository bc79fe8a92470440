# SPDX-License-Identifier: MIT
"""asyncio's contract: scheduling, running, closing, and what belongs to the loop alone.

Points 1 to 16 that no other file shows, and the rows of the table of divergences about clocks,
signals and threads (D12 to D22, D52, D76, D77, D79).
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import re
import signal
import socket
import sys
import threading
import weakref

import pytest
import support
from differences import ASYNCIO, PROACTOR, UVLOOP, WINDOWS, differs
from support import Recorder, transport_and_socket

variable = contextvars.ContextVar("variable", default="unset")


def run_once(loop):
    loop.stop()
    loop.run_forever()


# -- one turn ------------------------------------------------------------------------------------


def test_input_is_seen_between_two_generations_of_callbacks(loop, run):
    """Point 1: what a callback schedules runs after another poll."""
    ours, peer = support.tcp_pair()

    async def main():
        order = []
        done = loop.create_future()

        def readable():
            loop.remove_reader(ours)
            order.append("input")

        def generation(number):
            order.append(number)
            if number < 50:
                loop.call_soon(generation, number + 1)
            else:
                done.set_result(None)

        loop.add_reader(ours, readable)
        peer.send(b"x")
        generation(0)
        await done
        assert "input" in order
        assert order.index("input") < order.index(50)

    with ours, peer:
        run(main())


def test_timer_due_in_a_turn_runs_after_what_was_ready(loop):
    """Point 2: ready callbacks, then input, then timers that are due."""
    order = []
    loop.call_at(loop.time() - 1, order.append, "timer")
    loop.call_soon(order.append, "first")
    loop.call_soon(order.append, "second")
    for _ in range(2):
        run_once(loop)
    assert order == ["first", "second", "timer"]


def test_callback_of_a_timer_may_schedule_for_the_next_turn(loop):
    """Point 2: call_soon from a timer waits one turn, as from any callback."""
    order = []

    def timer():
        order.append("timer")
        loop.call_soon(order.append, "soon")

    loop.call_at(loop.time() - 1, timer)
    loop.call_at(loop.time() - 0.5, order.append, "second timer")
    for _ in range(3):
        run_once(loop)
    assert order == ["timer", "second timer", "soon"]


def test_stop_twice_ends_one_run_only(loop):
    """Point 3: stop() sets a flag."""
    ran = []
    loop.stop()
    loop.stop()
    loop.run_forever()
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1]


def test_stopped_before_it_runs_the_loop_does_not_wait(loop):
    """Point 3: the one turn of a stopped loop polls without waiting, whatever timers are set."""
    timer = loop.call_later(3600, print)
    run_once(loop)  # a hang ends at pytest's limit
    assert not timer.cancelled()
    timer.cancel()


def test_stop_waits_for_the_callbacks_of_the_turn_but_not_for_new_ones(loop):
    """Point 3: the current turn completes."""
    ran = []

    def stop_and_schedule():
        loop.stop()
        loop.call_soon(ran.append, "next turn")

    loop.call_soon(stop_and_schedule)
    loop.call_soon(ran.append, "same turn")
    loop.run_forever()
    assert ran == ["same turn"]
    assert [handle._args for handle in loop._ready] == [("next turn",)]


def test_cancelled_timers_leave_the_queue_when_they_outnumber_the_others(loop):
    """Point 4: more than a hundred, more than half of them cancelled: they are dropped."""
    timers = [loop.call_later(3600, print, number) for number in range(300)]
    for timer in timers[:200]:
        timer.cancel()
    dropped = weakref.ref(timers[0])
    del timers[:200], timer
    run_once(loop)
    gc.collect()
    assert dropped() is None
    assert sorted(timer._args[0] for timer in loop._scheduled) == list(range(200, 300))
    for timer in timers:
        timer.cancel()


def test_cancelled_timer_lets_go_of_its_callback_at_once(loop):
    """Point 4 and surface 1.2: what a cancelled timer held is free before the timer is."""

    class Held:
        def __call__(self):
            raise AssertionError

    held = Held()
    gone = weakref.ref(held)
    timer = loop.call_later(3600, held, held)
    del held
    timer.cancel()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda loop: loop.call_later(None, print), "delay must not be None"),
        (lambda loop: loop.call_at(None, print), "when cannot be None"),
    ],
    ids=["call_later", "call_at"],
)
def test_time_of_none_is_refused_at_once(loop, call, text, debug):
    """Point 5: with and without debug mode."""
    loop.set_debug(debug)
    with pytest.raises(TypeError) as caught:
        call(loop)
    assert str(caught.value) == text
    assert loop._scheduled == []


# -- run_until_complete and close ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_of_the_awaited_task_does_not_stop_the_next_run(loop, kind):
    """Point 7: run_until_complete does not ask a loop to stop that has ended already."""

    async def leave():
        raise kind

    with pytest.raises(kind):
        loop.run_until_complete(leave())

    async def three_turns():
        for _ in range(3):
            await asyncio.sleep(0)
        return "whole"

    assert loop.run_until_complete(three_turns()) == "whole"


def test_future_of_an_interrupted_run_does_not_stop_a_later_one(loop):
    """Point 7: the done-callback goes with the run."""
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        loop.run_until_complete(future)

    async def later():
        future.set_result(None)
        for _ in range(3):
            await asyncio.sleep(0)
        return "whole"

    assert loop.run_until_complete(later()) == "whole"


@pytest.mark.parametrize("nested", ["the same loop", "another loop"])
def test_coroutine_of_a_refused_run_was_never_wrapped(loop, loop_factory, nested):
    """Point 7: the checks come first, so Python says that it was never awaited."""

    async def inner():
        raise AssertionError

    async def outer():
        other = loop if nested == "the same loop" else loop_factory()
        try:
            before = asyncio.all_tasks(loop)
            coro = inner()
            with pytest.raises(RuntimeError):
                other.run_until_complete(coro)
            assert asyncio.all_tasks(loop) == before
            with pytest.warns(RuntimeWarning, match="was never awaited"):
                del coro
                gc.collect()
        finally:
            if other is not loop:
                other.close()

    loop.run_until_complete(outer())


def test_close_does_not_wait_for_the_default_executor(loop_factory):
    """Point 8: executor.shutdown(wait=False)."""
    loop = loop_factory()
    release, started = threading.Event(), threading.Event()

    def work():
        started.set()
        assert release.wait(support.LIMIT)

    loop.run_in_executor(None, work)
    assert started.wait(support.LIMIT)
    loop.close()  # would wait for ever
    assert not release.is_set()
    release.set()


@pytest.mark.parametrize(
    "use",
    [
        lambda loop: loop.add_reader(0, print),
        lambda loop: loop.add_writer(0, print),
        lambda loop: loop.run_until_complete(loop.create_future()),
    ],
    ids=["add_reader", "add_writer", "run_until_complete"],
)
def test_every_way_to_schedule_is_refused_after_close(use):
    """Point 8."""

    def closed_then_used(loop):
        loop.close()
        use(loop)

    support.same_as_asyncio(closed_then_used)


# -- debug mode ----------------------------------------------------------------------------------


def test_debug_tells_what_is_served_and_connected(loop, run, caplog):
    """Point 11: create_server at INFO, create_connection at DEBUG."""

    async def main():
        loop.set_debug(True)
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, host, port)
        transport.abort()
        await protocol.lost
        server.close()
        await server.wait_closed()
        return repr(server), host, port

    with caplog.at_level(logging.DEBUG, "asyncio"):
        _, host, port = run(main())
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert any(level == "INFO" and text.endswith(" is serving") for level, text in told)
    assert any(
        level == "DEBUG" and re.match(rf"<.*[Ss]ocket.* connected to {host}:{port}: \(<", text)
        for level, text in told
    )


def test_slow_callback_is_named_in_asyncios_words(loop, caplog):
    """Point 11: Executing <Handle ...> took 0.012 seconds."""
    loop.set_debug(True)
    loop.slow_callback_duration = 0

    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.call_soon(int)
        run_once(loop)
    texts = [record.getMessage() for record in caplog.records]
    assert any(re.fullmatch(r"Executing <Handle .*> took \d\.\d{3} seconds", t) for t in texts)


# -- asynchronous generators ---------------------------------------------------------------------


def test_generator_collected_in_another_thread_is_closed_by_the_loop(loop, run):
    """Point 12: the finalizer hook schedules aclose() thread-safely."""

    async def main():
        closed = loop.create_future()

        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                closed.set_result(threading.get_ident())

        box = [numbers()]
        assert await anext(box[0]) == 1
        await asyncio.to_thread(box.clear)
        await asyncio.to_thread(gc.collect)
        assert await closed == threading.get_ident()

    run(main())


def test_generator_hooks_are_the_loops_own_while_it_runs(loop, run):
    """Point 12: installed while running, those of before put back."""

    def firstiter(_):
        raise AssertionError

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=firstiter)
    try:

        async def main():
            async def numbers():
                yield 1

            generator = numbers()
            assert await anext(generator) == 1  # the loop's hook saw it, not ours
            assert generator in loop._asyncgens
            await generator.aclose()

        run(main())
        assert sys.get_asyncgen_hooks().firstiter is firstiter
    finally:
        sys.set_asyncgen_hooks(*before)


# -- executor ------------------------------------------------------------------------------------


def test_executor_that_was_shut_down_takes_no_work(loop, run):
    """Point 13."""

    async def main():
        await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError) as caught:
            loop.run_in_executor(None, int)
        assert str(caught.value) == "Executor shutdown has been called"

    run(main())


@pytest.mark.since(3, 13)  # 3.12.1 waits for the threads first, whatever the timeout
def test_executor_that_does_not_end_in_time_is_given_up_with_a_warning(loop, run):
    """Point 13: RuntimeWarning, and the threads are not waited for."""
    release, started = threading.Event(), threading.Event()

    def work():
        started.set()
        release.wait(support.LIMIT)

    async def main():
        loop.run_in_executor(None, work)
        await asyncio.to_thread(started.wait, support.LIMIT)
        with pytest.warns(RuntimeWarning, match="The executor did not finishing joining its"):
            await loop.shutdown_default_executor(timeout=0.01)

    try:
        run(main())
    finally:
        release.set()


# -- signals and threads -------------------------------------------------------------------------


def test_running_loop_leaves_the_handler_of_sigint_alone(loop, run):
    """Point 14: it is asyncio.Runner that handles Ctrl-C, or the program."""
    before = signal.getsignal(signal.SIGINT)

    async def main():
        await asyncio.sleep(0.001)
        return signal.getsignal(signal.SIGINT)

    assert run(main()) is before


def test_runner_turns_ctrl_c_into_a_cancelled_main_task(loop_factory):
    """Point 14: asyncio.Runner's handler works on the loop: cancelled, then KeyboardInterrupt."""
    events = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            asyncio.Runner(loop_factory=loop_factory) as runner,
        ):
            runner.run(main())
    finally:
        signal.signal(signal.SIGINT, before)
    assert events == ["cancelled"]


@differs(
    from_=PROACTOR,
    what="the program's `signal.set_wakeup_fd`",
    they="takes it when the loop is made and clears it when the loop is closed",
    evenloop="leaves it to the program",
)
def test_wakeup_descriptor_outlives_a_loop(loop_factory):
    """Point 14 and D13: made, run and closed, a loop leaves the program's descriptor in place."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    with ours, peer:
        before = signal.set_wakeup_fd(ours.fileno())
        try:
            loop = loop_factory()
            loop.run_until_complete(asyncio.sleep(0.001))
            loop.close()
        finally:
            assert signal.set_wakeup_fd(before) == ours.fileno()


@pytest.mark.absent("fork-on-windows", "windows")
@pytest.mark.since(3, 12)
def test_child_of_a_running_loop_has_no_wakeup_descriptor(tmp_path):
    """Point 16 and D76: what the parent's loop installed does not reach into the child."""
    source = """
        import asyncio, os, signal, warnings

        async def main():
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, print)
            warnings.simplefilter("ignore")
            if (pid := os.fork()) == 0:
                try:
                    asyncio.get_running_loop()
                except RuntimeError:
                    os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 7)
                os._exit(8)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    result = support.run_child(tmp_path, source)
    assert (result.stdout, result.stderr) == ("0\n", "")


@differs(
    from_=ASYNCIO,
    what="how other threads wake the loop",
    they="needs a pair of connected sockets; on Windows TCP ones, which the system can take away",
    evenloop="needs no socket",
)
@pytest.mark.evenloop_only  # the stock loops need their pair of sockets
def test_loop_needs_no_pair_of_sockets(loop_factory, monkeypatch):
    """D16: nothing that the system can tear down stands between a thread and the loop."""

    def refuse(*args, **kwargs):
        raise OSError("no sockets today")

    monkeypatch.setattr(socket, "socketpair", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    loop = loop_factory()
    try:
        woken = loop.create_future()
        thread = threading.Timer(0.01, loop.call_soon_threadsafe, (woken.set_result, "woken"))
        thread.start()
        assert loop.run_until_complete(woken) == "woken"
        thread.join()
    finally:
        loop.close()


# -- time ----------------------------------------------------------------------------------------


@differs(
    from_=WINDOWS,
    what="`loop.time()`",
    they="moves in steps of 15.6 ms up to Python 3.12",
    evenloop="moves in nanoseconds",
)
@differs(
    from_=UVLOOP,
    what="`loop.time()`",
    they="is cached for a turn and moves in milliseconds",
    evenloop="moves in nanoseconds, within a callback too",
)
def test_clock_moves_in_microseconds_or_less(loop):
    """D19: the smallest step seen within a callback."""
    steps = []

    def look():
        before = loop.time()
        while len(steps) < 20:
            now = loop.time()
            if now != before:
                steps.append(now - before)
                before = now

    loop.call_soon(look)
    run_once(loop)
    assert 0 < min(steps) < 0.0001


@differs(
    from_=UVLOOP,
    what="`call_at`",
    they="runs up to half a millisecond early",
    evenloop="never runs early",
)
@pytest.mark.evenloop_only  # the stock loop may be early by the resolution of its clock
def test_timer_is_not_early_by_a_nanosecond(loop, run):
    """Point 4 and D21: however close the deadline, the clock has passed it."""

    async def main():
        for number in range(200):
            due = loop.time() + 1e-6 * number
            future = loop.create_future()
            loop.call_at(due, lambda future=future: future.set_result(loop.time()))
            assert await future >= due

    run(main())


def test_timer_of_a_hundred_years_is_no_error(loop, run):
    """D22: the wait is bounded below, never the delay."""
    timer = loop.call_later(86400 * 365 * 100, print)
    assert run(asyncio.sleep(0.001, "woken")) == "woken"
    assert timer.when() > loop.time() + 86400 * 365 * 99
    timer.cancel()


def test_one_idle_wait_is_one_turn(loop, run):
    """D20: the loop sleeps through a wait, it does not turn."""
    turns = []
    once = loop._run_once

    def counted():
        turns.append(1)
        once()

    loop._run_once = counted
    try:
        run(asyncio.sleep(0.05))
    finally:
        del loop._run_once
    # One for each step of the two tasks, and a few for the rounding of the wait.
    assert len(turns) < 12


# -- watched descriptors -------------------------------------------------------------------------


@differs(
    from_=WINDOWS,
    what="more than 512 sockets",
    they="dies of `too many file descriptors in select()` (Selector)",
    evenloop="serves them",
)
def test_six_hundred_sockets_are_watched_at_once(loop, run):
    """D9: select's 512 are no limit."""
    pairs = [support.tcp_pair() for _ in range(300)]

    async def main():
        seen = set()
        done = loop.create_future()

        def readable(sock):
            loop.remove_reader(sock)
            seen.add(sock)
            if len(seen) == 600:
                done.set_result(None)

        for one, other in pairs:
            loop.add_reader(one, readable, one)
            loop.add_reader(other, readable, other)
        for one, other in pairs:
            one.send(b"x")
            other.send(b"y")
        await done

    try:
        run(main())
    finally:
        for one, other in pairs:
            one.close()
            other.close()


def test_resolver_errors_carry_the_numbers_of_the_socket_module(loop, run):
    """D77: socket.gaierror, with a constant that this system has."""

    async def main():
        with pytest.raises(socket.gaierror) as caught:
            await loop.getaddrinfo("no-such-host.invalid", 80)
        with pytest.raises(socket.gaierror) as reference:
            socket.getaddrinfo("no-such-host.invalid", 80)
        assert caught.value.errno == reference.value.errno
        assert str(caught.value) == str(reference.value)

    run(main())


# -- context -------------------------------------------------------------------------------------


def test_reader_runs_in_the_context_of_who_added_it(loop, run):
    """Point 10: a copy, taken when it was added."""
    ours, peer = support.tcp_pair()

    async def main():
        seen = loop.create_future()

        def readable():
            loop.remove_reader(ours)
            seen.set_result(variable.get())

        variable.set("added")
        loop.add_reader(ours, readable)
        variable.set("changed later")
        peer.send(b"x")
        assert await seen == "added"

    with ours, peer:
        run(main())


@pytest.mark.since(3, 15)
def test_data_comes_in_the_connections_context_whoever_resumes(loop, run):
    """Point 10: resume_reading() does not lend its caller's context (gh-140947)."""

    class Seeing(Recorder):
        seen = None

        def data_received(self, data):
            self.seen = variable.get()
            super().data_received(data)

    async def main():
        variable.set("creator's")
        async with transport_and_socket(Seeing) as (transport, protocol, peer):
            transport.pause_reading()
            peer.send(b"x")
            context = contextvars.copy_context()
            context.run(variable.set, "resumer's")
            context.run(transport.resume_reading)
            await protocol.received(1)
            assert protocol.seen == "creator's"

    run(main())


def test_task_class_is_looked_up_at_every_call(loop, run, monkeypatch):
    """Point 9: asyncio.tasks.Task, as patched by a test or a library."""

    class Special(asyncio.Task):
        pass

    async def main():
        monkeypatch.setattr(asyncio.tasks, "Task", Special)
        task = loop.create_task(asyncio.sleep(0))
        assert type(task) is Special
        await task

    run(main())


# -- the end of the interpreter ------------------------------------------------------------------


def test_open_transport_at_exit_gives_a_resource_warning_and_nothing_else(tmp_path):
    """D52 and point 29."""
    source = """
        import asyncio, socket

        listener = socket.create_server(("127.0.0.1", 0))

        async def main():
            return await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, *listener.getsockname()
            )

        loop = new_loop()
        kept = loop.run_until_complete(main())
        loop.close()
    """
    result = support.run_child(tmp_path, source, "-W", "always")
    assert result.returncode == 0
    assert "Traceback" not in result.stderr
    assert "RuntimeError" not in result.stderr
    assert "ResourceWarning: unclosed transport <" in result.stderr
