# SPDX-License-Identifier: MIT
"""Other processes that hold and want file locks, for the tests of them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import support
from evenloop import BlockingFileLock

HOLDER = """
import sys, evenloop
path, options = sys.argv[1], eval(sys.argv[2])
lock = evenloop.BlockingFileLock(path, **options)
for line in sys.stdin:
    order = line.strip()
    try:
        if order == "downgrade":
            lock.downgrade()
        elif order == "write":
            open(path, "a").write("data")
        else:
            getattr(lock, order)()
        answer = lock.held or "released"
    except OSError as error:
        answer = type(error).__name__
    print(answer, flush=True)
"""


class Holder:
    """Another process, with a BlockingFileLock of its own that does what it is told."""

    def __init__(self, path: pathlib.Path | str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, os.fspath(path), repr(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=support.child_environment(),
        )

    def begin(self, order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __call__(self, order: str) -> str:
        self.begin(order)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(support.LIMIT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(support.LIMIT)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


@contextlib.contextmanager
def another_process(path: pathlib.Path | str, **options: Any) -> Iterator[Holder]:
    holder = Holder(path, **options)
    try:
        yield holder
    finally:
        holder.close()


def is_free(path, **options):
    """Whether somebody else could have the lock now."""
    lock = BlockingFileLock(path, timeout=0, **options)
    try:
        lock.acquire()
    except BlockingIOError:
        return False
    lock.release()
    return True


async def waiting(*tasks):
    """Returns when these tasks wait for their locks."""
    await support.drain_callbacks()
    assert not any(task.done() for task in tasks)
