# SPDX-License-Identifier: MIT
"""evenloop.FileLock: the lock of a file, awaited on any loop and never lost (docs/locks.md)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import pathlib
import textwrap
import threading
import time

import pytest
import support
from evenloop import BlockingFileLock, FileLock
from file_locks import another_process, is_free, waiting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


# -- one object ------------------------------------------------------------------------------------


def test_acquire_and_release(run, path):
    async def main():
        lock = FileLock(path)
        assert (lock.locked(), lock.held) == (False, None)
        assert await lock.acquire() is True
        assert (lock.locked(), lock.held) == (True, "exclusive")
        assert not is_free(path)
        lock.release()
        assert (lock.locked(), lock.held) == (False, None)
        assert is_free(path)

    run(main())


def test_async_with_holds_the_lock_inside_also_when_the_body_fails(run, path):
    async def main():
        lock = FileLock(path)
        async with lock as nothing:
            assert nothing is None
            assert lock.locked()
        assert not lock.locked()
        with pytest.raises(KeyError):
            async with lock:
                raise KeyError
        assert is_free(path)

    run(main())


def test_a_lock_is_made_without_a_loop_and_used_in_several(path, loop_factory):
    lock = FileLock(path)

    async def use():
        async with lock:
            return lock.locked()

    for _ in range(2):
        loop = loop_factory()
        try:
            assert loop.run_until_complete(use())
        finally:
            loop.close()


def test_tasks_take_turns_in_one_loop_after_another(path, loop_factory):
    lock = FileLock(path)

    async def use(turns):
        async with lock:
            await support.drain_callbacks()
            turns.append(lock.locked())

    async def contend():
        turns = []
        await asyncio.gather(*(use(turns) for _ in range(3)))
        return turns

    for _ in range(3):
        loop = loop_factory()
        try:
            assert loop.run_until_complete(asyncio.wait_for(contend(), support.LIMIT)) == [True] * 3
        finally:
            loop.close()
    assert is_free(path)


def test_what_a_closed_loop_left_locked_is_waited_for_and_released_in_the_next(path, loop_factory):
    lock = FileLock(path)

    async def acquire_and_leave_a_waiter():
        await lock.acquire()
        task = asyncio.create_task(lock.acquire(timeout=support.LIMIT))
        await waiting(task)
        return task

    async def wait_and_get():
        with pytest.raises(TimeoutError):
            await lock.acquire(timeout=0.01)
        task = asyncio.create_task(lock.acquire())
        await waiting(task)
        lock.release()
        await task
        lock.release()
        await lock.acquire(timeout=0)
        lock.release()

    first = loop_factory()
    task = first.run_until_complete(acquire_and_leave_a_waiter())
    task._log_destroy_pending = False
    first.close()
    second = loop_factory()
    try:
        second.run_until_complete(asyncio.wait_for(wait_and_get(), support.LIMIT))
    finally:
        second.close()
    del task
    gc.collect()
    assert is_free(path)


def test_the_file_is_made_empty_with_the_mode_that_was_asked_for(run, path):
    async def main():
        async with FileLock(path, mode=0o600):
            pass

    run(main())
    assert path.read_bytes() == b""
    if not support.WINDOWS:
        assert path.stat().st_mode & 0o777 == 0o600


def test_contents_are_left_alone_and_others_may_read_and_write_them(run, path):
    path.write_bytes(b"before")

    async def main(other):
        assert other("acquire") == "exclusive"
        assert path.read_bytes() == b"before"
        assert other("write") == "exclusive"
        with path.open("ab") as file:
            file.write(b" and after")
        assert other("release") == "released"

    with another_process(path) as other:
        run(main(other))
    assert path.read_bytes() == b"beforedata and after"


def test_repr_tells_path_and_state(run, path):
    async def main():
        lock = FileLock(path, shared=True)
        assert repr(lock) == f"<evenloop.FileLock {os.fspath(path)!r} [unlocked]>"
        async with lock:
            assert repr(lock) == f"<evenloop.FileLock {os.fspath(path)!r} [shared]>"

    run(main())


def test_paths_may_be_text_bytes_and_pathlike(run, path):
    async def main():
        for spelling in (path, os.fspath(path), os.fsencode(path)):
            async with FileLock(spelling):
                assert not is_free(path)

    run(main())


def test_a_name_that_is_not_ascii_is_locked_under_that_name(run, tmp_path):
    path = tmp_path / "Schlösser 鎖"

    async def main():
        async with FileLock(path):
            assert not is_free(path)

    run(main())
    assert [each.name for each in tmp_path.iterdir()] == ["Schlösser 鎖"]


# -- two objects -----------------------------------------------------------------------------------


def test_two_objects_of_one_task_exclude_each_other(run, path):
    async def main():
        async with FileLock(path):
            with pytest.raises(BlockingIOError) as busy:
                await FileLock(path, timeout=0).acquire()
            assert busy.value.errno == errno.EAGAIN
            assert busy.value.filename == os.fspath(path)
            with pytest.raises(TimeoutError) as late:
                await FileLock(path).acquire(timeout=0.01)
            assert late.value.errno == errno.ETIMEDOUT
            assert late.value.filename == os.fspath(path)

    run(main())


def test_a_waiter_gets_the_lock_when_it_is_released(run, path):
    async def main():
        first, second = FileLock(path), FileLock(path)
        await first.acquire()
        task = asyncio.create_task(second.acquire())
        await waiting(task)
        first.release()
        assert await task is True
        assert not is_free(path)
        second.release()

    run(main())


def test_shared_locks_are_held_together_and_exclude_an_exclusive_one(run, path):
    async def main():
        async with FileLock(path, shared=True), FileLock(path, shared=True):
            assert is_free(path, shared=True)
            assert not is_free(path)
        assert is_free(path)

    run(main())


def test_waiters_of_one_file_are_served_in_their_order(run, path):
    async def main():
        order = []

        async def work(number):
            async with FileLock(path):
                order.append(number)
                await asyncio.sleep(0)

        async with FileLock(path):
            tasks = []
            for number in range(20):
                tasks.append(asyncio.create_task(work(number)))
                await support.drain_callbacks()
        await asyncio.gather(*tasks)
        assert order == list(range(20))

    run(main())


def test_who_releases_and_acquires_again_comes_behind_those_who_wait(run, path):
    async def main():
        order = []

        async def other():
            async with FileLock(path):
                order.append("other")

        lock = FileLock(path)
        await lock.acquire()
        task = asyncio.create_task(other())
        await waiting(task)
        lock.release()
        async with lock:
            order.append("again")
        await task
        assert order == ["other", "again"]

    run(main())


def test_a_waiting_writer_is_not_starved_by_readers(run, path):
    async def main():
        stop = False

        async def read(number):
            while not stop:
                async with FileLock(path, shared=True):
                    await asyncio.sleep(0.001 * (number + 1))

        readers = [asyncio.create_task(read(number)) for number in range(4)]
        await asyncio.sleep(0.01)
        for _ in range(5):
            async with FileLock(path):
                pass
        stop = True
        await asyncio.gather(*readers)

    run(main())


def test_other_processes_are_excluded(run, path):
    async def main(other):
        assert other("acquire") == "exclusive"
        with pytest.raises(BlockingIOError):
            await FileLock(path, timeout=0).acquire()
        task = asyncio.create_task(FileLock(path).acquire())
        await waiting(task)
        lock = FileLock(path)
        task.cancel()
        task = asyncio.create_task(lock.acquire())
        await waiting(task)
        assert other("release") == "released"
        await task
        other.begin("acquire")
        lock.release()
        assert other.answer() == "exclusive"

    with another_process(path) as other:
        run(main(other))


# -- tasks that share an object --------------------------------------------------------------------


def test_tasks_that_share_an_object_take_turns(run, path):
    async def main():
        lock = FileLock(path)
        inside = 0
        order = []

        async def work(number):
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                order.append(number)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(work(number) for number in range(50)))
        assert order == list(range(50))

    run(main())


def test_timeouts_and_tries_count_also_among_the_tasks_of_an_object(run, path):
    async def main():
        lock = FileLock(path)

        async def want(timeout):
            await lock.acquire(timeout=timeout)

        async with lock:
            with pytest.raises(BlockingIOError):
                await asyncio.create_task(want(0))
            with pytest.raises(TimeoutError) as late:
                await asyncio.create_task(want(0.01))
            assert late.value.errno == errno.ETIMEDOUT
        await want(0)
        lock.release()

    run(main())


def test_another_task_may_release(run, path):
    async def main():
        lock = FileLock(path)
        await lock.acquire()

        async def release():
            lock.release()

        await asyncio.create_task(release())
        assert not lock.locked()
        await lock.acquire()
        lock.release()

    run(main())


# -- waiting for oneself ---------------------------------------------------------------------------


def test_waiting_for_oneself_is_an_error_and_no_hang(run, path):
    async def main():
        lock = FileLock(path)
        async with lock:
            for other in (lock, FileLock(path), FileLock(path, shared=True)):
                with pytest.raises(OSError) as refused:
                    await other.acquire()
                assert refused.value.errno == errno.EDEADLK
            with pytest.raises(TimeoutError):
                await lock.acquire(timeout=0.01)
            assert lock.locked()
        async with FileLock(path, shared=True), FileLock(path, shared=True):
            pass

    run(main())


def test_an_upgrade_that_would_wait_for_oneself_is_an_error_too(run, path):
    async def main():
        one, other = FileLock(path, shared=True), FileLock(path, shared=True)
        async with one, other:
            with pytest.raises(OSError) as refused:
                await one.upgrade()
            assert refused.value.errno == errno.EDEADLK
            assert (one.held, other.held) == ("shared", "shared")
            assert is_free(path, shared=True)
            with pytest.raises(TimeoutError):
                await one.upgrade(timeout=0.01)
            task = asyncio.create_task(one.upgrade())  # another's wait ends with our release
            await waiting(task)
            other.release()
            await task
            one.downgrade()
            await other.acquire()

    run(main())


def test_a_hard_link_names_the_same_lock(run, path, tmp_path):
    async def main():
        async with FileLock(path):
            os.link(path, tmp_path / "other name")
            assert not is_free(tmp_path / "other name")
            with pytest.raises(OSError) as refused:
                await FileLock(tmp_path / "other name").acquire()
            assert refused.value.errno == errno.EDEADLK

    run(main())


def check_same_lock(path, other):
    with BlockingFileLock(path):
        assert not is_free(other), other
    with BlockingFileLock(other):
        assert not is_free(path), other


def test_other_ways_to_a_file_lead_to_the_same_lock(path, tmp_path, monkeypatch):
    path.touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for other in ("lock", os.path.join(".", "lock"), os.path.join("folder", os.pardir, "lock")):
        check_same_lock(path, other)
        check_same_lock(path, os.path.join(tmp_path, other))


@pytest.mark.absent("symlinks-of-tests", "windows")
def test_a_linked_folder_leads_to_the_same_lock(path, tmp_path):
    path.touch()
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    check_same_lock(path, tmp_path / "linked" / "lock")
    check_same_lock(path, tmp_path / "linked" / "linked" / "lock")


@pytest.mark.absent("names-of-windows", "posix")
def test_the_names_that_windows_has_for_a_file_lead_to_the_same_lock(tmp_path):
    """Other letters, `\\\\?\\`, forward slashes, and the short one of 8 and 3 letters."""
    import ctypes

    path = tmp_path / "a lock with a long name.text"
    path.touch()
    short = ctypes.create_unicode_buffer(1024)
    assert ctypes.windll.kernel32.GetShortPathNameW(str(path), short, 1024) > 0
    for other in (
        tmp_path / path.name.upper(),
        f"\\\\?\\{path}",
        path.as_posix(),
        short.value,
    ):
        check_same_lock(path, other)


# -- cancellation ----------------------------------------------------------------------------------


def test_a_cancelled_waiter_does_not_hold_and_the_next_one_does(run, path):
    async def main():
        first, second, third = FileLock(path), FileLock(path), FileLock(path)
        await first.acquire()
        tasks = [asyncio.create_task(lock.acquire()) for lock in (second, third)]
        await waiting(*tasks)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        first.release()
        await tasks[1]
        assert (second.locked(), third.locked()) == (False, True)
        third.release()
        assert is_free(path)

    run(main())


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancellation_that_meets_the_grant_loses_no_lock(run, path, turns, cancel_first):
    async def main():
        for _ in range(20):
            first, second = FileLock(path), FileLock(path)
            await first.acquire()
            task = asyncio.create_task(second.acquire())
            await waiting(task)
            if cancel_first:
                task.cancel()
            first.release()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                assert not second.locked()
            else:
                assert second.locked()
                second.release()
            assert is_free(path)

    run(main())


def test_asyncio_timeout_ends_a_wait(run, path):
    async def main():
        async with FileLock(path):
            lock = FileLock(path)

            async def want():
                async with asyncio.timeout(0.01):
                    await lock.acquire()

            with pytest.raises(TimeoutError):
                await asyncio.create_task(want())
            assert not lock.locked()
        assert is_free(path)

    run(main())


def test_a_coroutine_that_is_closed_while_it_waits_leaves_the_line(run, path):
    async def main():
        first = FileLock(path)
        await first.acquire()
        waiter = FileLock(path).acquire(timeout=support.LIMIT)
        waiter.send(None)
        waiter.close()
        first.release()
        assert is_free(path)
        async with FileLock(path):
            pass

    run(main())


def test_a_loop_that_is_closed_with_waiters_leaves_the_lock_free(path, loop_factory):
    holder = BlockingFileLock(path)
    holder.acquire()
    loop = loop_factory()

    async def leave_a_waiter():
        task = asyncio.create_task(FileLock(path).acquire())
        await waiting(task)
        return task

    task = loop.run_until_complete(leave_a_waiter())
    task._log_destroy_pending = False
    loop.close()
    del task, loop
    gc.collect()
    holder.release()
    deadline = time.monotonic() + support.LIMIT
    while not is_free(path):  # a helper thread looks once a second whether its loop is there
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


def test_a_wait_that_cannot_begin_leaves_nothing_behind(run, path, loop, monkeypatch):
    def no_reader(*arguments):
        raise NotImplementedError

    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    async def main():
        reader, writer = FileLock(path, shared=True), FileLock(path, timeout=support.LIMIT)
        await reader.acquire()
        with monkeypatch.context() as patch:
            patch.setattr(loop, "add_reader", no_reader)
            patch.setattr(threading.Thread, "start", no_thread)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="new thread"):
                    await writer.acquire()
            assert is_free(path, shared=True)  # the writer shuts no gate any more
        task = asyncio.create_task(writer.acquire())
        await waiting(task)
        reader.release()
        await task
        writer.release()

    run(main())
    assert is_free(path)


# -- many ------------------------------------------------------------------------------------------


# Wine tells nobody of a release: there each waiter asks again, up to a quarter of a second later.
MANY = 20 if support.under_wine() else 1000


def threads_of_the_system():
    if os.path.isdir("/proc/self/task"):
        return len(os.listdir("/proc/self/task"))
    return threading.active_count()


def test_a_thousand_waiters_cost_one_thread_at_most_and_all_get_the_lock(run, path):
    async def main():
        before = threads_of_the_system()
        inside = served = 0

        async def work():
            nonlocal inside, served
            async with FileLock(path):
                inside += 1
                assert inside == 1
                served += 1
                inside -= 1

        async with FileLock(path):
            tasks = [asyncio.create_task(work()) for _ in range(1000)]
            await waiting(*tasks)
            assert threads_of_the_system() <= before + 1
            for task in tasks[MANY:]:
                task.cancel()
        await asyncio.gather(*tasks[:MANY])
        assert served == MANY

    run(main())


def test_of_a_hundred_waiters_one_has_the_lock_within_50_ms_after_its_holder_was_killed(run, path):
    async def main(other):
        got = []
        first = asyncio.get_running_loop().create_future()

        async def work():
            async with FileLock(path):
                got.append(time.perf_counter())
                if not first.done():
                    first.set_result(got[0])
                await asyncio.Event().wait()

        assert other("acquire") == "exclusive"
        tasks = [asyncio.create_task(work()) for _ in range(100)]
        await waiting(*tasks)
        started = time.perf_counter()
        other.process.kill()
        took = await first - started
        await support.drain_callbacks(20)
        assert len(got) == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(got) == 1
        assert is_free(path)
        return took

    took = []
    for _ in range(3):  # a busy machine may be late once
        with another_process(path) as other:
            took.append(run(main(other)))
    assert min(took) < (0.05 if not support.under_wine() else 1.0), took


def test_contended_locks_leave_no_descriptors_behind(run, path):
    async def work():
        async with FileLock(path):
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(work() for _ in range(10)))
        before = support.descriptors()
        for _ in range(10):
            await asyncio.gather(*(work() for _ in range(10)))
        assert support.descriptors() <= before

    run(main())


def test_a_wait_does_not_burn_the_processor(run, path):
    async def main(other):
        assert other("acquire") == "exclusive"
        task = asyncio.create_task(FileLock(path).acquire())
        await waiting(task)
        idle = await support.is_idle()
        task.cancel()
        return idle

    with another_process(path) as other:
        assert run(main(other))


@pytest.mark.parametrize("fair", [False, True])
def test_processes_take_turns(run, path, fair):
    """Under contention nobody is left without: each of four gets its fifty."""

    async def main(others):
        for other in others:
            assert other("locked") == "released"
        async with FileLock(path, fair=fair):
            pass
        done = 0
        while done < 50:
            async with FileLock(path, fair=fair):
                done += 1
            await asyncio.sleep(0)

    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(another_process(path, fair=fair)) for _ in range(3)]
        for other in others:
            for _ in range(50):
                other.begin("acquire")
                other.begin("release")
        for other in others:
            assert [other.answer() for _ in range(100)] == ["exclusive", "released"] * 50
        run(main(others))


# -- loops that cannot read descriptors ------------------------------------------------------------


class NoReaders(asyncio.SelectorEventLoop):
    """As the proactor loop."""

    def add_reader(self, *args):
        raise NotImplementedError


@pytest.mark.evenloop_only  # it has a loop of its own
def test_a_loop_without_readers_has_one_thread_for_all_waiters(path):
    async def work():
        async with FileLock(path):
            await asyncio.sleep(0)

    async def main():
        before = threading.active_count()
        async with FileLock(path):
            tasks = [asyncio.create_task(work()) for _ in range(100)]
            await waiting(*tasks)
            assert threading.active_count() == before + 1
            tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1:] == [None] * 99
        helper = [t for t in threading.enumerate() if t.name == "evenloop file locks"][-1]
        await asyncio.to_thread(helper.join, support.LIMIT)
        assert not helper.is_alive()
        async with FileLock(path, timeout=5):
            again = asyncio.create_task(work())
            await waiting(again)
        await again

    loop = NoReaders()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), support.LIMIT))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


@pytest.mark.evenloop_only  # it has a loop of its own
@pytest.mark.parametrize("before", [[], ["-m", "evenloop"]])
def test_the_example_counts_to_the_end(before):
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    done = support.run_python(*before, str(root / "examples" / "shared_counter.py"))
    assert done.stdout.splitlines() == [
        "3 processes ended with [0, 0, 0]",
        "3 times 20 tasks have counted to 60",
    ], done


def test_a_program_ends_although_somebody_still_waits(tmp_path):
    source = """
    import asyncio, sys
    from evenloop import BlockingFileLock, FileLock

    class NoReaders(asyncio.SelectorEventLoop):
        def add_reader(self, *args):
            raise NotImplementedError

    holder = BlockingFileLock("lock")
    holder.acquire()
    for make in (new_loop, NoReaders):
        loop = make()
        task = loop.create_task(FileLock("lock").acquire())
        loop.call_later(0.05, loop.stop)
        loop.run_forever()
    print("over")
    sys.stdout.flush()
    """
    script = tmp_path / "child.py"
    script.write_text(support.loop_prelude() + textwrap.dedent(source))
    done = support.run_python(str(script), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
