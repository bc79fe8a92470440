# SPDX-License-Identifier: MIT
"""Waiting for file locks: on any asyncio loop without a thread for each, or in a blocking call.

A loop has one `Room`, which holds a monitor of the C core: a descriptor that the loop reads, as
long as somebody waits. Where a loop has no readers (the proactor), or the system nothing to read
(Windows gives a handle), one thread for the whole room waits and tells the loop.

Whoever leaves a wait, by cancellation, timeout or a signal, has not got the lock: a grant that came
at the same moment is given back here, before the exception goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

from . import _core

Undo = Callable[[_core.HeldLock], object]
Over = Callable[[OSError | None, _core.HeldLock | None], None]
Begin = Callable[[_core.LockMonitor, Over], _core.LockRequest]

LINGER = 1.0  # seconds that a room's thread outlives the last who waited
SLICE = 0.1  # seconds after which a blocking wait lets Python look at signals

_threaded: weakref.WeakSet[Room] = weakref.WeakSet()

# How many wait for a path, in this process: whoever comes later waits behind them.
in_line: dict[bytes, int] = {}
_counting = threading.Lock()


@contextlib.contextmanager
def standing_in_line(path: bytes) -> Iterator[None]:
    """Count as one who waits for `path`."""
    with _counting:
        in_line[path] = in_line.get(path, 0) + 1
    try:
        yield
    finally:
        with _counting:
            left = in_line.pop(path, 1) - 1
            if left > 0:
                in_line[path] = left


def room_of(loop: asyncio.AbstractEventLoop) -> Room:
    """The room of a loop, made when first somebody waits."""
    owner: Any = loop
    try:
        room: Room = owner._evenloop_file_locks
    except AttributeError:
        # On the loop itself, whose end it shares: what waits there refers to the loop.
        room = owner._evenloop_file_locks = Room(loop)
    return room


class Room:
    """Where the tasks of one loop wait for file locks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._monitor = _core.LockMonitor()
        self._count = 0  # who wait
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._reads = False
        self._detaches = False
        self._mutex = threading.Lock()  # of the next two
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._dispatched = threading.Event()

    async def wait(self, begin: Begin, undo: Undo) -> _core.HeldLock:
        """Begin a request, and return the lock when it is granted.

        If the wait is left otherwise, `undo` is called with a lock that was granted all the same.
        """
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[_core.HeldLock] = loop.create_future()
        left = False

        def over(error: OSError | None, lock: _core.HeldLock | None) -> None:
            if left or granted.done():
                if error is None and lock is not None:
                    undo(lock)
            elif error is not None:
                granted.set_exception(error)
            elif lock is not None:
                granted.set_result(lock)

        request = begin(self._monitor, over)
        try:
            self._enter(loop)
            return await granted
        except BaseException:
            left = True  # also when the coroutine was closed, whose future nobody cancels
            if request.cancel():
                self._dispatch()
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                undo(granted.result())
            raise
        finally:
            self._leave(loop)

    # -- the loop's side -------------------------------------------------------------------------

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        self._count += 1
        if not self._reads:
            self._attach(loop)
        self._set_timer(loop)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        self._count -= 1
        if self._count == 0 and not self._detaches and not loop.is_closed():
            # Not before who has the lock now; and perhaps somebody waits again by then.
            self._detaches = True
            loop.call_soon(self._detach, loop)

    def _detach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._detaches = False
        if self._count:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reads:
            self._reads = False
            loop.remove_reader(self._monitor.fileno())

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        if sys.platform != "win32":
            try:
                loop.add_reader(self._monitor.fileno(), self._on_ready)
            except NotImplementedError:
                pass
            else:
                self._reads = True
                return
        with self._mutex:
            if self._thread is None:
                _stop_at_exit()
                _threaded.add(self)
                thread = threading.Thread(target=self._watch, name="evenloop file locks")
                thread.start()
                self._thread = thread

    def _on_ready(self) -> None:
        self._dispatch()
        loop = self._loop()
        if loop is not None and self._count:
            self._set_timer(loop)

    def _dispatch(self) -> None:
        try:
            self._monitor.dispatch()
        except OSError as error:
            # The requests live on: a later dispatch goes on with them.
            loop = self._loop()
            if loop is not None:
                loop.call_exception_handler(
                    {"message": "File locks could not be looked after", "exception": error}
                )

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        seconds = self._monitor.timeout()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._on_ready()

    # -- the thread's side -----------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopped:
            ready = self._monitor.wait(LINGER)
            if ready is None:
                return
            if ready and self._tell():
                continue
            with self._mutex:
                loop = self._loop()
                gone = loop is None or loop.is_closed()
                del loop  # not ours to keep
                if gone and self._count:
                    self._monitor.close()  # who waited there will never be told
                if gone or self._count == 0:
                    self._thread = None
                    return

    def _tell(self) -> bool:
        """Have the loop dispatch, and wait for that. False: it cannot any more."""
        loop = self._loop()
        self._dispatched.clear()
        if loop is None or self._stopped:
            return False
        try:
            loop.call_soon_threadsafe(self._on_told)
        except RuntimeError:  # closed
            return False
        while not self._dispatched.wait(LINGER):
            if loop.is_closed():
                return False
        return True

    def _on_told(self) -> None:
        try:
            self._on_ready()
        finally:
            self._dispatched.set()

    def stop(self) -> None:
        """End the thread; the room is of no use any more."""
        self._stopped = True
        self._monitor.stop_waiting()
        self._dispatched.set()


_stops_at_exit = False


def _stop_at_exit() -> None:
    """A thread would keep the interpreter from ending: have it stopped before it is waited for."""
    global _stops_at_exit
    if not _stops_at_exit:
        # What concurrent.futures uses; atexit comes too late for it.
        cast(Any, threading)._register_atexit(_stop_all)
        _stops_at_exit = True


def _stop_all() -> None:
    for room in list(_threaded):
        room.stop()


# Monitors of blocking waits that are over, kept for the next: on Linux the kernel takes many
# milliseconds to close one.
_idle: list[_core.LockMonitor] = []
IDLE_MAX = 4  # of five descriptors each, on Linux


def _forget_the_parent() -> None:
    """Nobody of the parent's waits in a forked child."""
    global _counting
    _counting = threading.Lock()
    in_line.clear()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)


def wait_blocking(begin: Begin, undo: Undo) -> _core.HeldLock:
    """Do the same in a thread that waits itself. Signal handlers run meanwhile."""
    outcome: list[tuple[OSError | None, _core.HeldLock | None]] = []
    try:
        monitor = _idle.pop()
    except IndexError:
        monitor = _core.LockMonitor()
    request: _core.LockRequest | None = None
    try:
        request = begin(monitor, lambda error, lock: outcome.append((error, lock)))
        while not outcome:
            seconds = monitor.timeout()
            monitor.wait(SLICE if seconds is None else min(SLICE, seconds))
            monitor.dispatch()
    except BaseException:
        if request is None:
            monitor.close()  # with what may have begun all the same, when a signal came
        elif request.cancel():
            monitor.dispatch()
        if outcome and outcome[0][0] is None:
            undo(cast(_core.HeldLock, outcome[0][1]))
        raise
    with _counting:
        if len(_idle) < IDLE_MAX:
            _idle.append(monitor)
    error, lock = outcome[0]
    if error is not None:
        raise error
    return cast(_core.HeldLock, lock)
