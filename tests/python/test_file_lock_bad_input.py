# SPDX-License-Identifier: MIT
"""File locks of what cannot be locked, of files that change, and locks that are forgotten."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import pathlib
import tempfile

import pytest
import support
from evenloop import BlockingFileLock, FileLock
from file_locks import is_free, waiting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


# -- the file changes while it is locked -----------------------------------------------------------


@pytest.mark.absent("open-files-keep-their-names", "windows")
def test_verify_notices_a_file_that_was_removed_or_replaced(run, path, tmp_path):
    async def main():
        for replace in (False, True):
            lock = FileLock(path)
            await lock.acquire()
            lock.verify()
            if replace:
                (tmp_path / "new").write_bytes(b"")
                os.replace(tmp_path / "new", path)
            else:
                os.unlink(path)
            with pytest.raises(OSError) as stale:
                lock.verify()
            assert stale.value.errno == errno.ESTALE
            assert lock.locked()
            lock.release()

    run(main())


@pytest.mark.absent("open-files-keep-their-names", "windows")
def test_a_waiter_whose_file_is_replaced_gets_the_lock_of_the_new_one(run, path, tmp_path):
    async def main():
        first, second = FileLock(path), FileLock(path)
        await first.acquire()
        task = asyncio.create_task(second.acquire())
        await waiting(task)
        (tmp_path / "new").write_bytes(b"new")
        os.replace(tmp_path / "new", path)
        first.release()
        await task
        second.verify()
        assert not is_free(path)
        second.release()

    run(main())


def test_a_file_that_grows_and_shrinks_stays_locked(run, path):
    async def main():
        async with FileLock(path):
            for size in (10000, 0, 1):
                with open(path, "r+b") as file:
                    file.truncate(size)
                assert not is_free(path)

    run(main())


def test_unlink_removes_the_file_and_waiters_go_on_with_a_new_one(run, path):
    async def main():
        first, second = FileLock(path, unlink=True), FileLock(path, unlink=True)
        await first.acquire()
        task = asyncio.create_task(second.acquire())
        await waiting(task)
        first.release()
        await task
        second.verify()
        assert not is_free(path)
        second.release()
        assert not path.exists()

    run(main())


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FileLock, BlockingFileLock])
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("a\0b",), ValueError, "embedded null byte"),
        ((1,), TypeError, "expected str, bytes or os.PathLike object, not int"),
        ((None,), TypeError, "expected str, bytes or os.PathLike object, not NoneType"),
        ((), TypeError, "missing 1 required positional argument: 'path'"),
        (("p", True), TypeError, "positional argument"),
    ],
)
def test_wrong_paths(kind, arguments, error, text):
    with pytest.raises(error, match=text):
        kind(*arguments)


@pytest.mark.parametrize("kind", [FileLock, BlockingFileLock])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"byte_range": (-1, 1)}, ValueError),
        ({"byte_range": (0, -1)}, ValueError),
        ({"byte_range": (1 << 61, 1)}, ValueError),
        ({"byte_range": (1 << 61, 0)}, ValueError),
        ({"byte_range": (0, 5), "unlink": True}, ValueError),
        ({"byte_range": (0.5, 1)}, TypeError),
        ({"byte_range": (1,)}, ValueError),
        ({"byte_range": 5}, TypeError),
        ({"compat": "lockf"}, ValueError),
        ({"mode": "rw"}, TypeError),
        ({"readonly": True}, ValueError),
        ({"readonly": True, "shared": True, "record": True}, ValueError),
        ({"readonly": True, "shared": True, "unlink": True}, ValueError),
        ({"unknown": True}, TypeError),
    ],
)
def test_wrong_options(kind, options, error):
    with pytest.raises(error):
        kind("path", **options)


def test_wrong_timeouts_of_calls(run, path):
    async def main():
        lock = FileLock(path)
        with pytest.raises(ValueError):
            await lock.acquire(timeout=-0.5)
        with pytest.raises(TypeError):
            await lock.acquire(timeout="x")
        with pytest.raises(TypeError):
            await lock.acquire(1)
        assert not lock.locked()
        await lock.acquire(timeout=float("inf"))
        with pytest.raises(ValueError):
            await lock.upgrade(timeout=-0.5)
        lock.release()
        await lock.acquire(timeout=1e300)
        lock.release()

    run(main())


def failing(run, error, *arguments, **options):
    async def main():
        lock = FileLock(*arguments, **options)
        with pytest.raises(error) as refused:
            await lock.acquire()
        assert not lock.locked()
        assert refused.value.filename == lock.path
        with pytest.raises(error):  # nothing is left over from the first
            await lock.acquire()
        return refused.value

    return run(main())


def test_a_directory_is_refused(run, tmp_path):
    failing(run, IsADirectoryError, tmp_path)


def test_a_missing_parent_is_named(run, tmp_path):
    error = failing(run, FileNotFoundError, tmp_path / "missing" / "lock")
    assert error.errno == errno.ENOENT


def test_a_file_for_a_parent_is_refused(run, path):
    path.write_bytes(b"")
    failing(run, (NotADirectoryError, FileNotFoundError), path / "lock")


def test_a_missing_file_is_an_error_where_none_is_to_be_made(run, path):
    failing(run, FileNotFoundError, path, create=False)
    assert not path.exists()


def test_an_empty_path_is_refused(run):
    failing(run, OSError, "")


def test_a_name_that_is_too_long_is_refused(run, tmp_path):
    failing(run, OSError, tmp_path / ("x" * 300))


@pytest.mark.absent("symlinks-of-tests", "windows")
def test_a_symbolic_link_is_followed_unless_refused(run, path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)

    async def main():
        async with FileLock(link):
            assert not is_free(path)

    run(main())
    error = failing(run, OSError, link, follow_symlinks=False)
    assert error.errno == errno.ELOOP


def test_devices_are_refused(run):
    failing(run, OSError, os.devnull)


DENIED = """
import asyncio, os, sys
import evenloop
path = sys.argv[1]
evenloop.FileLock  # nobody may not see where Python is
if hasattr(os, "setuid") and os.geteuid() == 0:
    os.setuid(65534)
async def main():
    for options in ({}, {"shared": True}, {"shared": True, "readonly": True}):
        lock = evenloop.FileLock(path, **options)
        try:
            await lock.acquire()
        except OSError as error:
            print(type(error).__name__, error.errno, error.filename == path, lock.locked())
        else:
            print(lock.held)
            if options:
                try:
                    await lock.upgrade()
                except OSError as error:
                    print(type(error).__name__, lock.held)
            lock.release()
asyncio.run(main())
"""


@pytest.mark.absent("read-only-files-under-wine", "wine")
def test_a_read_only_file_can_be_locked_shared_and_read_only_alone():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = pathlib.Path(folder) / "lock"
        path.write_bytes(b"data")
        path.chmod(0o444)
        denied = f"PermissionError {errno.EACCES} True False"
        done = support.run_python("-c", DENIED, str(path))
        assert done.stdout.splitlines() == [denied, denied, "shared", "OSError shared"], done
        assert path.read_bytes() == b"data"
        path.chmod(0o644)


# -- what happens to a lock that is forgotten ------------------------------------------------------


def test_a_lock_that_is_dropped_while_held_warns_and_is_free(run, path):
    async def main():
        await FileLock(path).acquire()

    with pytest.warns(ResourceWarning, match="unreleased file lock") as caught:
        run(main())
        gc.collect()
    assert os.fspath(path) in str(caught[0].message).replace("\\\\", "\\")
    assert is_free(path)


def test_a_lock_that_is_released_twice_says_so(run, path):
    async def main():
        lock = FileLock(path)
        await lock.acquire()
        lock.release()
        async with FileLock(path):
            with pytest.raises(RuntimeError, match=r"Lock is not acquired\."):
                lock.release()
            assert not is_free(path)

    run(main())


@pytest.mark.absent("fork-on-windows", "windows")
def test_a_forked_child_cannot_release_its_parents_lock(path, tmp_path):
    source = """
        import os, warnings
        from evenloop import BlockingFileLock

        def is_free():
            try:
                BlockingFileLock(PATH, timeout=0).acquire()
            except BlockingIOError:
                return False
            return True

        warnings.simplefilter("ignore")
        lock = BlockingFileLock(PATH)
        lock.acquire()
        if (child := os.fork()) == 0:
            try:
                lock.release()
            except RuntimeError as error:
                print(error, lock.locked(), is_free(), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1], is_free())
        lock.release()
        print(is_free())
    """
    process = support.run_child(tmp_path, source.replace("PATH", repr(str(path))))
    assert process.stderr == ""
    assert process.stdout.splitlines() == [
        "the lock belongs to the parent of this forked process False False",
        "0 False",
        "True",
    ]


@pytest.mark.absent("fork-on-windows", "windows")
@pytest.mark.parametrize("fair", [False, True])
def test_a_forked_child_that_drops_who_waits_leaves_the_parents_wait_alone(path, tmp_path, fair):
    source = """
        import asyncio, os, warnings
        from evenloop import BlockingFileLock, FileLock

        async def main():
            first, second = BlockingFileLock(PATH), FileLock(PATH, fair=FAIR)
            first.acquire()
            task = asyncio.create_task(second.acquire())
            for _ in range(10):
                await asyncio.sleep(0)
            if (child := os.fork()) == 0:
                task.get_coro().close()
                os._exit(0)
            print(os.waitpid(child, 0)[1], task.done())
            first.release()
            await task
            print(second.held)
            second.release()

        warnings.simplefilter("ignore")
        asyncio.run(main())
    """
    source = source.replace("PATH", repr(str(path))).replace("FAIR", str(fair))
    process = support.run_child(tmp_path, source)
    assert (process.stdout.splitlines(), process.stderr) == (["0 False", "exclusive"], "")
