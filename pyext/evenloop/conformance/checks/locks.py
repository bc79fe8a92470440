# SPDX-License-Identifier: MIT
"""locks: file locks awaited on a loop (evenloop.FileLock works on any), and other processes'."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..check import Area
from ..trial import Trial

area = Area("locks", "File locks, awaited")

HOLDER = """
import sys, evenloop
lock = evenloop.BlockingFileLock(sys.argv[1], shared=sys.argv[2:] == ["shared"])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def file_lock(t: Trial, **options: Any) -> Any:
    """A lock object on the trial's file."""
    from evenloop import FileLock

    return FileLock(t.path / "lock", **options)


def is_free(t: Trial, **options: Any) -> bool:
    """Whether somebody else could have the lock now."""
    from evenloop import BlockingFileLock

    lock = BlockingFileLock(t.path / "lock", timeout=0, **options)
    try:
        lock.acquire()
    except BlockingIOError:
        return False
    lock.release()
    return True


@contextmanager
def holder(t: Trial, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    process = t.spawn_python(
        HOLDER,
        str(t.path / "lock"),
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def begun(t: Trial, lock: Any, **options: Any) -> asyncio.Task[Any]:
    """A task that waits for the lock by now."""
    task: asyncio.Task[Any] = asyncio.ensure_future(lock.acquire(**options))
    await t.turns()
    return task


@area.check(
    expect={"acquired": True, "inside": ["exclusive", False], "after": [None, True]},
    needs=("filelocks",),
)
async def lock_excludes_others(t: Trial) -> object:
    """Who holds a file's lock excludes every other object on that file.

    portable: evenloop docs, locks.md
    """
    lock = file_lock(t)
    acquired = await lock.acquire()
    inside = [lock.held, is_free(t)]
    lock.release()
    return {"acquired": acquired, "inside": inside, "after": [lock.held, is_free(t)]}


@area.check(expect={"granted before": False, "after": True}, needs=("filelocks",))
async def lock_is_granted_when_released(t: Trial) -> object:
    """A task that waits for a file lock gets it when it is released.

    portable: evenloop docs, locks.md
    """
    first, second = file_lock(t), file_lock(t)
    await first.acquire()
    task = await begun(t, second)
    before = task.done()
    first.release()
    await t.within(task)
    after = second.locked()
    second.release()
    return {"granted before": before, "after": after}


@area.check(expect="one at most", needs=("filelocks",))
async def lock_is_awaited_without_a_thread(t: Trial) -> object:
    """A hundred tasks that wait for a file lock cost one thread, or none.

    Thread pools that wait for locks deadlock once their threads are used up: who should release
    finds none.

    portable: evenloop docs, locks.md
    """
    before = threading.active_count()
    async with file_lock(t):
        tasks = [await begun(t, file_lock(t)) for _ in range(100)]
        more = threading.active_count() - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return "one at most" if more <= 1 else more


@area.check(expect=True, needs=("filelocks",), limit=30)
async def lock_wait_leaves_the_loop_running(t: Trial) -> object:
    """While a task waits for a file lock of another process, the loop goes on.

    portable: evenloop docs, locks.md
    """
    with holder(t) as process:
        task = await begun(t, file_lock(t))
        ticks: list[int] = []
        for _ in range(5):
            await asyncio.sleep(0.001)
            ticks.append(1)
        waited = not task.done() and len(ticks) == 5
        process.kill()
        await t.within(task)
        del task
    return waited


@area.check(expect=list(range(10)), needs=("filelocks",))
async def lock_waiters_are_served_in_order(t: Trial) -> object:
    """Tasks of a loop that wait for one file are served in the order in which they came.

    portable: evenloop docs, locks.md
    """
    order: list[int] = []

    async def work(number: int) -> None:
        async with file_lock(t):
            order.append(number)

    async with file_lock(t):
        tasks = []
        for number in range(10):
            tasks.append(asyncio.ensure_future(work(number)))
            await t.turns()
    await asyncio.gather(*tasks)
    return order


@area.check(
    expect={"cancelled": "CancelledError", "holds": False, "the next": True}, needs=("filelocks",)
)
async def cancelled_lock_waiter_never_holds(t: Trial) -> object:
    """A task that is cancelled while it waits does not hold the lock, and the next one gets it.

    portable: evenloop docs, locks.md; asyncio.Lock keeps the same
    """
    first, second, third = file_lock(t), file_lock(t), file_lock(t)
    await first.acquire()
    tasks = [await begun(t, second), await begun(t, third)]
    tasks[0].cancel()
    outcome = await t.outcome_of(tasks[0])
    first.release()
    await t.within(tasks[1])
    seen = {"cancelled": outcome["type"], "holds": second.locked(), "the next": third.locked()}
    third.release()
    return seen


@area.check(expect={"free afterwards": 60}, needs=("filelocks",))
async def cancellation_at_the_grant_loses_no_lock(t: Trial) -> object:
    """A cancellation that meets the grant leaves the lock held by the task, or free.

    portable: evenloop docs, locks.md
    """
    free = 0
    for turns in range(6):
        for _ in range(10):
            first, second = file_lock(t), file_lock(t)
            await first.acquire()
            task = await begun(t, second)
            first.release()
            await t.turns(turns)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            else:
                second.release()
            free += not second.locked() and is_free(t)
    return {"free afterwards": free}


@area.check(
    expect={
        "try": {"type": "BlockingIOError", "errno": "EAGAIN"},
        "late": {"type": "TimeoutError", "errno": "ETIMEDOUT"},
        "asyncio.timeout": "TimeoutError",
        "held": False,
    },
    needs=("filelocks",),
)
async def lock_timeouts(t: Trial) -> object:
    """A try raises BlockingIOError, a timeout TimeoutError; asyncio.timeout() ends a wait, too.

    portable: evenloop docs, locks.md
    """

    def brief(seen: Any) -> dict[str, Any]:
        return {"type": seen["type"], "errno": seen["errno"]}

    lock = file_lock(t)

    async def limited() -> None:
        async with asyncio.timeout(0.005):
            await lock.acquire()

    async with file_lock(t):
        seen: dict[str, Any] = {
            "try": brief(await t.outcome_of(lock.acquire(timeout=0))),
            "late": brief(await t.outcome_of(lock.acquire(timeout=0.005))),
            "asyncio.timeout": (await t.outcome_of(asyncio.ensure_future(limited())))["type"],
        }
    return {**seen, "held": lock.locked()}


@area.check(expect={"shared": True, "exclusive": False, "after": True}, needs=("filelocks",))
async def shared_locks_are_held_together(t: Trial) -> object:
    """Shared locks exclude an exclusive one, and not each other.

    portable: evenloop docs, locks.md
    """
    async with file_lock(t, shared=True):
        seen = {"shared": is_free(t, shared=True), "exclusive": is_free(t)}
    return {**seen, "after": is_free(t)}


async def upgrade_beside_a_reader(t: Trial) -> tuple[Any, Any, asyncio.Future[None]]:
    """Of two readers the first waits to become a writer: both locks, and its task."""
    first, second = file_lock(t, shared=True), file_lock(t, shared=True)
    await first.acquire()
    await second.acquire()
    task = asyncio.ensure_future(first.upgrade())
    await t.turns()
    return first, second, task


@area.check(expect={"waits": True, "new readers": False, "held": "exclusive"}, needs=("filelocks",))
async def upgrade_waits_for_readers(t: Trial) -> object:
    """An upgrade lets no new reader in and is done when the other readers have gone.

    portable: evenloop docs, locks.md
    """
    ours, other, task = await upgrade_beside_a_reader(t)
    seen = {"waits": not task.done(), "new readers": is_free(t, shared=True)}
    other.release()
    await t.within(task)
    seen["held"] = ours.held
    ours.release()
    return seen


@area.check(
    expect={"errno": "EDEADLK", "second": "shared", "first": "exclusive"}, needs=("filelocks",)
)
async def second_upgrade_is_refused(t: Trial) -> object:
    """Of two readers that upgrade, the second is refused at once and stays a reader.

    Each waits for the other to let go: without the answer, both would for ever.

    portable: evenloop docs, locks.md
    """
    first, second, task = await upgrade_beside_a_reader(t)
    refused = await t.outcome_of(second.upgrade())
    held = second.held
    second.release()
    await t.within(task)
    seen = {"errno": refused["errno"], "second": held, "first": first.held}
    first.release()
    return seen


@area.check(expect={"held": "shared", "readers": True, "writers": False}, needs=("filelocks",))
async def cancelled_upgrade_keeps_the_shared_lock(t: Trial) -> object:
    """An upgrade that is cancelled leaves the shared lock as it was.

    portable: evenloop docs, locks.md
    """
    ours, other, task = await upgrade_beside_a_reader(t)
    task.cancel()
    await t.outcome_of(task)
    other.release()
    seen = {"held": ours.held, "readers": is_free(t, shared=True), "writers": is_free(t)}
    ours.release()
    return seen


@area.check(expect={"held": "shared", "readers": True, "writers": False}, needs=("filelocks",))
async def downgrade_lets_readers_in(t: Trial) -> object:
    """A downgrade lets readers in, and no writer.

    portable: evenloop docs, locks.md
    """
    lock = file_lock(t)
    await lock.acquire()
    lock.downgrade()
    seen = {"held": lock.held, "readers": is_free(t, shared=True), "writers": is_free(t)}
    lock.release()
    return seen


@area.check(expect=["EDEADLK", "EDEADLK"], needs=("filelocks",))
async def waiting_for_oneself_is_refused(t: Trial) -> object:
    """A task that would wait for a lock that it holds itself gets an error, and no hang.

    portable: evenloop docs, locks.md
    """
    lock = file_lock(t)
    async with lock:
        outcomes = [
            await t.outcome_of(lock.acquire()),
            await t.outcome_of(file_lock(t).acquire()),
        ]
    return [seen["errno"] for seen in outcomes]


@area.check(expect={"overlapping": False, "apart": True, "whole file": True}, needs=("filelocks",))
async def byte_ranges_are_locked_apart(t: Trial) -> object:
    """Locks on ranges exclude each other where they overlap.

    portable: evenloop docs, locks.md
    """
    async with file_lock(t, byte_range=(10, 10)):
        return {
            "overlapping": is_free(t, byte_range=(19, 1)),
            "apart": is_free(t, byte_range=(20, 0)),
            "whole file": is_free(t),
        }


@area.check(expect=["before", "before and after"], needs=("filelocks",))
async def locked_file_can_be_read_and_written(t: Trial) -> object:
    """A locked file can be read and written by everybody: locks are advisory on every system.

    portable: evenloop docs, locks.md
    """
    path = t.path / "lock"
    path.write_text("before")
    async with file_lock(t):
        seen = [path.read_text()]
        with path.open("a") as file:
            file.write(" and after")
    return [*seen, path.read_text()]


@area.check(expect={"type": "RuntimeError", "text": "Lock is not acquired."}, needs=("filelocks",))
def release_of_a_lock_that_is_not_held(t: Trial) -> object:
    """To release what is not held is asyncio.Lock's error.

    text: CPython Lib/asyncio/locks.py, Lock.release
    """
    return t.outcome(file_lock(t).release)


@area.check(expect={"before": "held", "after": True}, needs=("filelocks",), limit=30)
async def lock_of_a_killed_process_is_granted(t: Trial) -> object:
    """The lock of a process that was killed goes to who waits for it.

    portable: evenloop docs, locks.md
    """
    lock = file_lock(t)
    with holder(t) as process:
        task = await begun(t, lock)
        before = "free" if task.done() else "held"
        process.kill()
        await t.within(task)
    seen = {"before": before, "after": lock.locked()}
    lock.release()
    return seen


@area.check(
    expect={"directory": "EISDIR", "missing parent": "ENOENT", "NUL": "ValueError"},
    needs=("filelocks",),
)
async def wrong_paths_of_locks(t: Trial) -> object:
    """What cannot be locked is named by the error.

    portable: evenloop docs, locks.md
    """
    from evenloop import FileLock

    return {
        "directory": (await t.outcome_of(FileLock(t.path).acquire()))["errno"],
        "missing parent": (await t.outcome_of(FileLock(t.path / "no" / "lock").acquire()))["errno"],
        "NUL": t.outcome(FileLock, f"a{os.sep}\0")["type"],
    }
