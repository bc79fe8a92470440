# SPDX-License-Identifier: MIT
"""call_soon_threadsafe: other threads reach an idle, a busy and a stopped loop."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
import support


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def test_idle_loop_wakes_for_another_thread(loop, run):
    async def main():
        future = loop.create_future()
        idle = threading.Event()
        thread = in_thread(
            lambda: (
                idle.wait(support.LIMIT),
                loop.call_soon_threadsafe(future.set_result, "woken"),
            )
        )
        loop.call_soon(idle.set)
        assert await future == "woken"
        thread.join()

    run(main())


def test_callback_runs_in_the_loops_thread(loop, run):
    async def main():
        future = loop.create_future()
        thread = in_thread(
            loop.call_soon_threadsafe, lambda: future.set_result(threading.get_ident())
        )
        assert await future == threading.get_ident()
        thread.join()

    run(main())


def test_each_threads_calls_keep_their_order(loop, run):
    threads, calls = 8, 2000

    async def main():
        ran = {number: [] for number in range(threads)}
        done = loop.create_future()
        finished = []

        def finish(number):
            finished.append(number)
            if len(finished) == threads:
                done.set_result(None)

        def work(number):
            for call in range(calls):
                loop.call_soon_threadsafe(ran[number].append, call)
            loop.call_soon_threadsafe(finish, number)

        workers = [in_thread(work, number) for number in range(threads)]
        await done
        for worker in workers:
            worker.join()
        assert all(order == list(range(calls)) for order in ran.values())

    run(main())


def test_call_before_the_loop_runs_is_kept(loop):
    ran = []
    in_thread(loop.call_soon_threadsafe, ran.append, 1).join()
    loop.stop()
    loop.run_forever()
    assert ran == [1]


def test_own_thread_may_call_it_too(loop, run):
    async def main():
        order = []
        done = loop.create_future()
        loop.call_soon(order.append, 1)
        loop.call_soon_threadsafe(order.append, 2)
        loop.call_soon(order.append, 3)
        loop.call_soon_threadsafe(done.set_result, None)
        await done
        assert order == [1, 2, 3]

    run(main())


def test_handle_can_be_cancelled_from_another_thread(loop, run):
    async def main():
        ran = []
        done = loop.create_future()

        def work():
            handle = loop.call_soon_threadsafe(ran.append, 1)
            handle.cancel()
            loop.call_soon_threadsafe(done.set_result, None)

        # The loop's thread waits for the worker, so nothing can run between call and cancel.
        thread = in_thread(work)
        thread.join()
        await done
        assert ran == []

    run(main())


def test_stop_from_another_thread_ends_run_forever(loop):
    started = threading.Event()
    loop.call_soon(started.set)

    def work():
        started.wait(support.LIMIT)
        loop.call_soon_threadsafe(loop.stop)

    thread = in_thread(work)
    guard = loop.call_later(support.LIMIT, pytest.fail)
    loop.run_forever()
    guard.cancel()
    thread.join()


def test_run_coroutine_threadsafe_gives_results_and_exceptions(loop, run):
    async def give(value):
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        return value

    async def main():
        results = []

        def work():
            submit = asyncio.run_coroutine_threadsafe
            results.append(submit(give(42), loop).result(support.LIMIT))
            try:
                submit(give(KeyError("k")), loop).result(support.LIMIT)
            except KeyError as exc:
                results.append(exc.args)

        await asyncio.to_thread(work)
        assert results == [42, ("k",)]

    run(main())


def test_call_after_close_is_refused_in_every_thread(loop_factory):
    loop = loop_factory()
    loop.close()
    caught = []

    def work():
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as exc:
            caught.append(str(exc))

    in_thread(work).join()
    assert caught == ["Event loop is closed"]


def test_calls_racing_with_close_end_in_asyncios_error(loop_factory):
    for _ in range(20):
        loop = loop_factory()
        outcomes = set()
        started = threading.Event()

        def work(loop=loop, outcomes=outcomes, started=started):
            for number in itertools.count():
                try:
                    loop.call_soon_threadsafe(int)
                except RuntimeError as exc:
                    outcomes.add(str(exc))
                    return
                if number == 50:
                    started.set()

        thread = in_thread(work)
        started.wait(support.LIMIT)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        thread.join()
        assert outcomes == {"Event loop is closed"}


def test_wake_up_while_busy_is_not_lost(loop, run):
    """Ten thousand ping-pongs between two threads: each wait would hang if one wake-up got lost."""

    async def main():
        rounds = 3000
        go = threading.Semaphore(0)
        woken = asyncio.Event()

        def work():
            for _ in range(rounds):
                go.acquire()
                loop.call_soon_threadsafe(woken.set)

        thread = in_thread(work)
        for _ in range(rounds):
            go.release()
            await woken.wait()
            woken.clear()
        thread.join()

    run(main())


@pytest.mark.since(3, 14)
def test_cancel_waits_for_the_running_callback(loop, run):
    async def main():
        entered, leave, cancelled = threading.Event(), threading.Event(), threading.Event()

        def callback():
            entered.set()
            leave.wait(support.LIMIT)
            assert not cancelled.is_set()

        handle = loop.call_soon_threadsafe(callback)

        def work():
            entered.wait(support.LIMIT)
            threading.Timer(0.05, leave.set).start()
            handle.cancel()
            cancelled.set()

        await asyncio.to_thread(work)

    run(main())
