# SPDX-License-Identifier: MIT
"""File locks of other programs, met in the compatible modes: flock(1), fcntl, filelock."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import shutil
import subprocess
import sys

import filelock
import pytest
import support
from evenloop import BlockingFileLock, FileLock
from file_locks import another_process, is_free

WITH_FCNTL = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, eval(sys.argv[2]), *eval(sys.argv[3]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "lock"
    path.write_bytes(b"0123456789")
    return path


@contextlib.contextmanager
def program(*command):
    """A program that says something when it holds its lock, and ends with its standard input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline().strip() == b"held"
        yield process
    finally:
        process.stdin.close()
        process.wait(support.LIMIT)
        process.stdout.close()


def acquire_when_released(run, path, process, **options):
    """Waits for a lock that `process` holds, and has it end."""

    async def main():
        lock = FileLock(path, **options)
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0.02)
        assert not task.done()
        process.stdin.close()
        await task
        lock.release()

    run(main())


@pytest.mark.absent("no-flock-program-here", "windows")
@pytest.mark.parametrize("shared", [False, True])
def test_flock_the_program(run, path, shared):
    flock = shutil.which("flock")
    command = "echo held; cat >/dev/null"
    with program(flock, "-s" if shared else "-x", path, "-c", command) as process:
        assert is_free(path)  # without the mode they do not meet
        assert not is_free(path, compat="flock")
        assert is_free(path, compat="flock", shared=True) == shared
        acquire_when_released(run, path, process, compat="flock")
    lock = BlockingFileLock(path, compat="flock")
    with lock:
        assert subprocess.run([flock, "-n", path, "true"]).returncode == 1
        assert subprocess.run([flock, "-n", "-s", path, "true"]).returncode == 1
    assert subprocess.run([flock, "-n", path, "true"]).returncode == 0


@pytest.mark.absent("no-flock-program-here", "windows")
def test_users_of_fcntl(run, path):
    with program(sys.executable, "-c", WITH_FCNTL, path, "fcntl.LOCK_EX", "()") as process:
        assert not is_free(path)  # to the end of all bytes: ours are among them
        assert not is_free(path, compat="fcntl")
        assert not is_free(path, compat="byte0")
        assert not is_free(path, compat="fcntl", byte_range=(5, 1))
        acquire_when_released(run, path, process, compat="fcntl")
    with program(sys.executable, "-c", WITH_FCNTL, path, "fcntl.LOCK_SH", "(4, 2)") as process:
        assert is_free(path)
        assert is_free(path, compat="fcntl", byte_range=(0, 2))
        assert not is_free(path, compat="fcntl", byte_range=(3, 1))
        assert is_free(path, compat="fcntl", byte_range=(3, 1), shared=True)
        assert not is_free(path, compat="fcntl")
        acquire_when_released(run, path, process, compat="fcntl", byte_range=(5, 1))
    fcntl = importlib.import_module("fcntl")
    with BlockingFileLock(path, compat="fcntl", byte_range=(2, 3)), path.open("r+b") as file:
        for start, taken in ((0, False), (2, True), (4, True), (5, False)):
            with pytest.raises(BlockingIOError) if taken else contextlib.nullcontext():
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)


def test_the_filelock_package(run, path):
    """It locks by flock(2) on Unix, and byte 0 on Windows."""
    compat = "byte0" if support.WINDOWS else "flock"
    theirs = filelock.FileLock(path, timeout=0)
    with theirs:
        assert is_free(path)
        assert not is_free(path, compat=compat)

        async def main():
            lock = FileLock(path, compat=compat)
            task = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0.02)
            assert not task.done()
            theirs.release()
            await task
            with pytest.raises(filelock.Timeout):
                theirs.acquire()
            lock.release()

        run(main())
        theirs.acquire()


@pytest.mark.parametrize(
    "compat",
    [
        pytest.param("flock", marks=pytest.mark.absent("no-flock-program-here", "windows")),
        "fcntl",
        "byte0",
    ],
)
def test_compatible_locks_meet_their_own_kind_and_have_no_upgrade(run, path, compat):
    async def main(other):
        assert other("acquire") == "shared"
        assert not is_free(path, compat=compat)
        lock = FileLock(path, compat=compat, shared=True)
        async with lock:
            with pytest.raises(OSError) as refused:
                await lock.upgrade()
            assert not isinstance(refused.value, BlockingIOError)
            assert lock.held == "shared"
        task = asyncio.create_task(FileLock(path, compat=compat, timeout=support.LIMIT).acquire())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert other("release") == "released"
        assert is_free(path, compat=compat)

    with another_process(path, compat=compat, shared=True) as other:
        run(main(other))
