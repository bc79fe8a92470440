# SPDX-License-Identifier: MIT
"""File locks that are shared, upgraded, downgraded, on ranges, and with a record of who holds."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import time
import warnings

import evenloop
import pytest
import support
from evenloop import FileLock
from file_locks import another_process, is_free, waiting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


# -- upgrade and downgrade -------------------------------------------------------------------------


def test_an_upgrade_waits_for_the_other_readers(run, path):
    async def main():
        ours, other = FileLock(path, shared=True), FileLock(path, shared=True)
        await ours.acquire()
        await other.acquire()
        task = asyncio.create_task(ours.upgrade())
        await waiting(task)
        assert ours.held == "shared"
        assert not is_free(path, shared=True)  # no new readers
        with pytest.raises(RuntimeError, match="being upgraded"):
            ours.release()
        other.release()
        await task
        assert ours.held == "exclusive"
        await ours.upgrade()
        assert not is_free(path, shared=True)
        ours.release()
        assert is_free(path)

    run(main())


def test_of_two_upgrades_the_second_is_refused_at_once_and_keeps_its_shared_lock(run, path):
    async def main():
        first, second = FileLock(path, shared=True), FileLock(path, shared=True)
        await first.acquire()
        await second.acquire()
        task = asyncio.create_task(first.upgrade())
        await waiting(task)
        with pytest.raises(OSError) as refused:
            await second.upgrade()
        assert refused.value.errno == errno.EDEADLK
        assert second.held == "shared"
        second.release()
        await task
        first.release()

    run(main())


@pytest.mark.parametrize("way", ["timeout", "try", "cancel"])
def test_an_upgrade_that_fails_leaves_the_shared_lock(run, path, way):
    async def main():
        ours, other = FileLock(path, shared=True), FileLock(path, shared=True)
        await ours.acquire()
        await other.acquire()
        if way == "timeout":
            with pytest.raises(TimeoutError):
                await ours.upgrade(timeout=0.01)
        elif way == "try":
            with pytest.raises(BlockingIOError):
                await ours.upgrade(timeout=0)
        else:
            task = asyncio.create_task(ours.upgrade())
            await waiting(task)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ours.held == "shared"
        assert is_free(path, shared=True)
        other.release()
        assert not is_free(path)
        ours.release()
        assert is_free(path)

    run(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_cancelled_upgrade_is_shared_or_done(run, path, turns):
    async def main():
        for _ in range(20):
            ours, other = FileLock(path, shared=True), FileLock(path, shared=True)
            await ours.acquire()
            await other.acquire()
            task = asyncio.create_task(ours.upgrade())
            await waiting(task)
            other.release()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                assert ours.held == "shared"
                assert is_free(path, shared=True)
            else:
                assert ours.held == "exclusive"
                assert not is_free(path, shared=True)
            ours.release()
            assert is_free(path)

    run(main())


def test_a_downgrade_lets_readers_in_and_no_writer(run, path):
    async def main():
        ours = FileLock(path)
        await ours.acquire()
        reader = asyncio.create_task(FileLock(path, shared=True).acquire())
        await waiting(reader)
        ours.downgrade()
        assert ours.held == "shared"
        await reader
        assert not is_free(path)
        ours.release()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the reader's
        run(main())
        gc.collect()


def test_upgrade_and_downgrade_need_a_held_lock(run, path):
    async def main():
        lock = FileLock(path)
        for call in (lock.downgrade, lock.verify, lock.release):
            with pytest.raises(RuntimeError, match=r"Lock is not acquired\."):
                call()
        with pytest.raises(RuntimeError, match=r"Lock is not acquired\."):
            await lock.upgrade()

    run(main())


# -- ranges ----------------------------------------------------------------------------------------


def test_ranges_that_overlap_exclude_each_other_and_others_do_not(run, path):
    async def main():
        async with FileLock(path, byte_range=(100, 50)):
            for free in ((0, 100), (150, 1), (1000, 0), (99, 1)):
                assert is_free(path, byte_range=free), free
            for taken in ((100, 50), (149, 1), (0, 101), (120, 5), (0, 0), (149, 0)):
                assert not is_free(path, byte_range=taken), taken
            assert is_free(path)  # the whole file is a lock of its own
        async with FileLock(path, byte_range=(10, 0)):
            assert not is_free(path, byte_range=((1 << 61) - 1, 1))
            assert is_free(path, byte_range=(0, 10))

    run(main())


def test_a_thousand_ranges_of_a_file_are_held_at_once(run, path):
    async def main():
        locks = [FileLock(path, byte_range=(2 * number, 1)) for number in range(500)]
        for lock in locks:
            await lock.acquire()
        assert not is_free(path, byte_range=(998, 1))
        assert is_free(path, byte_range=(999, 1))
        for lock in locks:
            lock.release()
        assert is_free(path, byte_range=(0, 0))

    run(main())


# -- records ---------------------------------------------------------------------------------------


def test_a_record_names_its_holder_and_outlives_it(run, path):
    async def main():
        lock = FileLock(path, record=True)
        assert lock.owner() is None
        async with lock:
            owner = lock.owner()
            assert isinstance(owner, evenloop.LockOwner)
            assert owner.pid == os.getpid()
            assert owner.is_alive() is True
            assert abs(owner.since - time.time()) < 60
        assert lock.owner() == owner
        with another_process(path, record=True) as other:
            assert other("acquire") == "exclusive"
            theirs = lock.owner()
            assert theirs.pid != os.getpid()
            assert theirs.is_alive() is True
            other.kill()
            assert theirs.is_alive() is False

    run(main())


def test_a_shared_lock_writes_no_record_until_it_is_upgraded(run, path):
    async def main():
        lock = FileLock(path, shared=True, record=True)
        async with lock:
            assert lock.owner() is None
            await lock.upgrade()
            assert lock.owner().pid == os.getpid()

    run(main())


def test_contents_that_are_no_record_are_no_owner(path):
    path.write_bytes(b"just text")
    assert FileLock(path).owner() is None


def test_capabilities_of_a_local_file_system(tmp_path):
    found = evenloop.lock_capabilities(tmp_path)
    assert "lock" in found
    assert "network" not in found
    assert ("flock" in found) == (not support.WINDOWS)
    with pytest.raises(FileNotFoundError) as missing:
        evenloop.lock_capabilities(tmp_path / "missing")
    assert missing.value.filename == tmp_path / "missing"
