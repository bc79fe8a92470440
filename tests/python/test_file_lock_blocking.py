# SPDX-License-Identifier: MIT
"""evenloop.BlockingFileLock: the same lock for code without a loop, and for threads."""

from __future__ import annotations

import _thread
import asyncio
import errno
import os
import signal
import threading

import pytest
import support
from evenloop import BlockingFileLock, FileLock
from file_locks import another_process

pytestmark = pytest.mark.evenloop_only  # it has nothing to do with a loop


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def until_a_writer_waits(path):
    """Returns when somebody waits for the exclusive lock of a file that is locked shared."""
    reader = BlockingFileLock(path, shared=True, timeout=0)
    while True:
        try:
            reader.acquire()
        except BlockingIOError:
            return
        reader.release()


def in_thread(call, *args):
    thread = threading.Thread(target=call, args=args, daemon=True)
    thread.start()
    return thread


def test_with_holds_the_lock_inside(path):
    lock = BlockingFileLock(path)
    with lock as nothing:
        assert nothing is None
        assert lock.held == "exclusive"
        with pytest.raises(BlockingIOError):
            BlockingFileLock(path).acquire(timeout=0)
        with pytest.raises(TimeoutError) as late:
            BlockingFileLock(path, timeout=0.02).acquire()
        assert late.value.errno == errno.ETIMEDOUT
    assert not lock.locked()
    assert lock.acquire() is True
    lock.release()
    with pytest.raises(RuntimeError, match=r"Lock is not acquired\."):
        lock.release()


def test_a_thread_waits_while_the_others_run(path):
    lock, reader = BlockingFileLock(path), BlockingFileLock(path, shared=True)
    reader.acquire()
    got = threading.Event()

    def wait():
        with lock:
            got.set()

    thread = in_thread(wait)
    until_a_writer_waits(path)
    assert not got.is_set()
    reader.release()
    assert got.wait(support.LIMIT)
    thread.join(support.LIMIT)


def test_threads_that_share_an_object_take_turns(path):
    lock = BlockingFileLock(path)
    inside = []
    most = []

    def work():
        for _ in range(20):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [in_thread(work) for _ in range(5)]
    for thread in threads:
        thread.join(support.LIMIT)
    assert most == [1] * 100


def test_a_thread_that_would_wait_for_itself_is_refused(path):
    lock = BlockingFileLock(path)
    with lock:
        for other in (lock, BlockingFileLock(path), BlockingFileLock(path, shared=True)):
            with pytest.raises(OSError) as refused:
                other.acquire()
            assert refused.value.errno == errno.EDEADLK
        with pytest.raises(TimeoutError):
            lock.acquire(timeout=0.01)
        with pytest.raises(BlockingIOError):
            lock.acquire(timeout=0)
    readers = [BlockingFileLock(path, shared=True) for _ in range(2)]
    with readers[0], readers[1]:
        with pytest.raises(OSError) as refused:
            readers[0].upgrade()
        assert refused.value.errno == errno.EDEADLK
        assert readers[0].held == "shared"


def test_a_lock_is_released_in_another_thread(path):
    lock = BlockingFileLock(path)
    lock.acquire()
    in_thread(lock.release).join(support.LIMIT)
    assert not lock.locked()
    lock.acquire()
    lock.release()


def test_of_two_threads_that_release_at_once_one_is_refused(path):
    for _ in range(50):
        lock = BlockingFileLock(path)
        lock.acquire()
        start = threading.Barrier(2)
        refused = []

        def release():
            start.wait()
            try:
                lock.release()
            except RuntimeError as error:
                refused.append(error)

        threads = [in_thread(release) for _ in range(2)]
        for thread in threads:
            thread.join(support.LIMIT)
        assert len(refused) == 1
        with BlockingFileLock(path, timeout=0):
            pass


@pytest.fixture
def ctrl_c():
    """SIGINT interrupts, also in a job in the background, which inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_wait_has_no_lock(path, ctrl_c):
    reader = BlockingFileLock(path, shared=True)
    reader.acquire()

    def interrupt():
        until_a_writer_waits(path)
        _thread.interrupt_main()

    lock = BlockingFileLock(path)
    thread = in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        lock.acquire(timeout=support.LIMIT)
    thread.join(support.LIMIT)
    assert not lock.locked()
    reader.release()
    with BlockingFileLock(path, timeout=0):
        pass


def test_a_wait_that_is_interrupted_as_it_begins_has_no_lock_either(path):
    reader = BlockingFileLock(path, shared=True)
    writer = BlockingFileLock(path, timeout=support.LIMIT)
    reader.acquire()
    begin = writer._begin

    def begin_and_be_interrupted(file, timeout_ns):
        def begin_request(monitor, over):
            begin(file, timeout_ns)(monitor, over)
            raise KeyboardInterrupt

        return begin_request

    writer._begin = begin_and_be_interrupted
    with pytest.raises(KeyboardInterrupt):
        writer.acquire()
    assert not writer.locked()
    with BlockingFileLock(path, shared=True, timeout=0):  # the gate is open
        pass
    reader.release()
    with BlockingFileLock(path, timeout=0):
        pass


def test_upgrade_and_downgrade(path):
    ours, other = (BlockingFileLock(path, shared=True) for _ in range(2))
    with ours:
        other.acquire()
        with pytest.raises(BlockingIOError):
            ours.upgrade(timeout=0)
        with pytest.raises(TimeoutError):
            ours.upgrade(timeout=0.01)
        assert ours.held == "shared"

        def let_go():
            until_a_writer_waits(path)
            with pytest.raises(OSError) as refused:
                other.upgrade()
            assert refused.value.errno == errno.EDEADLK
            other.release()

        thread = in_thread(let_go)
        ours.upgrade(timeout=support.LIMIT)  # without it: a wait for what this thread has itself
        thread.join(support.LIMIT)
        assert ours.held == "exclusive"
        ours.downgrade()
        assert ours.held == "shared"
        with BlockingFileLock(path, shared=True, timeout=0):
            pass
        with pytest.raises(BlockingIOError):
            BlockingFileLock(path, timeout=0).acquire()


def test_tasks_and_threads_exclude_each_other(path, run):
    async def main():
        blocking = BlockingFileLock(path)
        async with FileLock(path):
            task = asyncio.ensure_future(asyncio.to_thread(blocking.acquire))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), 0.05)
        await task
        waiter = asyncio.ensure_future(FileLock(path).acquire(timeout=0.01))
        with pytest.raises(TimeoutError):
            await waiter
        blocking.release()
        async with FileLock(path, timeout=0):
            pass

    run(main())


def test_processes_exclude_each_other(path):
    lock = BlockingFileLock(path)
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        with pytest.raises(TimeoutError):
            lock.acquire(timeout=0.02)
        other.begin("release")
        with lock:
            assert other.answer() == "released"
            other.begin("acquire")
        assert other.answer() == "exclusive"
        other.kill()
        with lock:
            pass


def test_waits_leave_few_descriptors(path):
    def contend():
        for _ in range(5):
            with BlockingFileLock(path):
                pass

    def all_at_once():
        threads = [in_thread(contend) for _ in range(8)]
        for thread in threads:
            thread.join(support.LIMIT)

    all_at_once()
    before = support.descriptors()
    for _ in range(5):
        all_at_once()
    assert support.descriptors() <= before + 4 * 5  # four monitors are kept for the next


@pytest.mark.absent("locks-stay-with-their-process-on-windows", "windows")
def test_detached_lock_lives_with_its_descriptor(path):
    lock = BlockingFileLock(path, timeout=0)
    lock.acquire()
    descriptor = lock.detach()
    assert not lock.locked()
    assert not os.get_inheritable(descriptor)
    with pytest.raises(BlockingIOError):
        lock.acquire()
    os.close(descriptor)
    lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError, match="Lock is not acquired"):
        lock.detach()


def test_lock_that_cannot_be_detached_stays_held(path):
    """`unlink` promises to remove the file while the lock is released; a descriptor cannot."""
    lock = BlockingFileLock(path, timeout=0, unlink=True)
    with lock:
        with pytest.raises(OSError) as caught:
            lock.detach()
        assert caught.value.errno == errno.ENOTSUP
        assert lock.locked()
    assert not os.path.exists(path)
