# SPDX-License-Identifier: MIT
"""FileLock and BlockingFileLock: a file's lock, held by an object. docs/locks.md tells more.

What is here is asyncio's manner: turns among the tasks (or threads) that share an object, timeouts,
errors, a lock that is never lost nor held by who was cancelled. The lock itself is evenshim's,
behind the C core; how a loop waits is in _lock_waiting.py.
"""

from __future__ import annotations

import asyncio
import errno
import math
import operator
import os
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Literal, NamedTuple

from . import _core, _lock_waiting

Compat = Literal["flock", "fcntl", "byte0"]
Capability = Literal["lock", "flock", "notify", "network", "mandatory"]

_COMPAT = {
    "flock": _core.LOCK_COMPAT_FLOCK,
    "fcntl": _core.LOCK_NATIVE_RANGE,
    "byte0": _core.LOCK_COMPAT_BYTE0,
}
_CAPABILITIES: dict[Capability, int] = {
    "lock": _core.LOCK_CAN_LOCK,
    "flock": _core.LOCK_CAN_FLOCK,
    "notify": _core.LOCK_CAN_NOTIFY,
    "network": _core.LOCK_IS_NETWORK,
    "mandatory": _core.LOCK_IS_MANDATORY,
}
_RANGE_MAX = 1 << 61
_FOREVER = -1
_NS_MAX = 1 << 62

# All that are held, by their ids: only for finding out who would wait for itself. Without keeping
# them alive: a lock that is dropped is released.
_holding: dict[int, weakref.ref[_Lock]] = {}


class _Default:
    """`timeout` was not given: the lock's own."""

    def __repr__(self) -> str:
        return "..."


_DEFAULT: Any = _Default()


class LockOwner(NamedTuple):
    """Who wrote itself into a lock file, with `record=True`."""

    pid: int
    birth: int
    since: int
    host: str
    boot: str
    command: str

    def is_alive(self) -> bool | None:
        """Whether that process lives; None if it ran on another machine."""
        return _core.is_lock_owner_alive(*self)


def lock_capabilities(path: str | bytes | os.PathLike[Any]) -> frozenset[Capability]:
    """What locks can do on the file system of `path`, a file or a folder."""
    with _Naming(path):
        found = _core.lock_capabilities(os.fsencode(path))
    return frozenset(name for name, bit in _CAPABILITIES.items() if found & bit)


class _Naming:
    """`with _Naming(path):` gives the path to an OSError that leaves the block."""

    def __init__(self, path: object) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, OSError):
            exc.filename = self._path
            exc.__suppress_context__ = True


def _os_error(number: int, path: object) -> OSError:
    return OSError(number, _core.error_text(number) or os.strerror(number), path)


def _timeout_ns(timeout: float | None) -> int:
    if timeout is None:
        return _FOREVER
    if not timeout >= 0:
        raise ValueError(f"timeout must be None or a number that is not negative, not {timeout!r}")
    return min(math.ceil(timeout * 1e9), _NS_MAX) if timeout < 4e9 else _FOREVER


class _Lock:
    """What both forms share: everything but waiting."""

    def __init__(
        self,
        path: str | bytes | os.PathLike[Any],
        *,
        shared: bool = False,
        timeout: float | None = None,
        fair: bool = False,
        byte_range: tuple[int, int] | None = None,
        compat: Compat | None = None,
        mode: int = 0o666,
        create: bool = True,
        readonly: bool = False,
        follow_symlinks: bool = True,
        unlink: bool = False,
        record: bool = False,
    ) -> None:
        self._path = os.fspath(path)
        self._naming = _Naming(self._path)
        self._key = os.fsencode(path)
        if b"\0" in self._key:
            raise ValueError("embedded null byte")
        if readonly and not shared:
            raise ValueError("an exclusive lock needs a writable file: readonly goes with shared")
        if readonly and (record or unlink):
            raise ValueError("readonly goes neither with record nor with unlink")
        if compat is not None and compat not in _COMPAT:
            raise ValueError(f"compat must be one of {', '.join(_COMPAT)}, not {compat!r}")
        if record and compat is not None and os.name == "nt":
            raise ValueError("record does not go with compat: there the lock forbids writing")
        self._timeout_ns = _timeout_ns(timeout)
        self._kind = _core.LOCK_SHARED if shared else _core.LOCK_EXCLUSIVE
        self._offset, self._size = _checked_range(byte_range)
        if unlink and byte_range is not None:
            raise ValueError("unlink is for whole files: others may hold other ranges")
        self._mode = operator.index(mode)
        self._record = record
        self._flags = (
            (_core.LOCK_CREATE if create and not readonly else 0)
            | (_core.LOCK_READONLY if readonly else 0)
            | (_core.LOCK_FAIR if fair else 0)
            | (0 if follow_symlinks else _core.LOCK_NOFOLLOW)
            | (_core.LOCK_UNLINK_ON_RELEASE if unlink else 0)
            | (_COMPAT[compat] if compat is not None else 0)
        )
        self._fair = fair
        self._turn = self._new_turn()
        self._reference = weakref.ref(self)
        self._held: _core.HeldLock | None = None
        self._holder: object = None
        self._upgrading = False

    def __repr__(self) -> str:
        return f"<evenloop.{type(self).__name__} {self._path!r} [{self.held or 'unlocked'}]>"

    @property
    def path(self) -> str | bytes:
        """The path, as it was given."""
        return self._path

    @property
    def held(self) -> Literal["shared", "exclusive"] | None:
        """What this object holds."""
        if self._held is None:
            return None
        if self._upgrading:
            return "shared"
        return "shared" if self._held.kind == _core.LOCK_SHARED else "exclusive"

    def locked(self) -> bool:
        """Return True if this object holds the lock."""
        return self._held is not None

    def owner(self) -> LockOwner | None:
        """Return who wrote itself into the file last (`record=True`), or None.

        The record is a note that outlives its lock: `owner().is_alive()` tells more.
        """
        with self._naming:
            found = _core.read_lock_owner(self._key)
        return None if found is None else LockOwner(*found)

    def verify(self) -> None:
        """Raise OSError (ESTALE) if the lock is lost, or its path another file's by now."""
        with self._naming:
            self._mine().verify()

    def downgrade(self) -> None:
        """Make the exclusive lock shared, at once; no writer gets between."""
        with self._naming:
            self._mine().convert(_core.LOCK_SHARED)

    def _new_turn(self) -> Any:
        """A lock among those who share this object."""
        raise NotImplementedError

    # -- for the two forms -----------------------------------------------------------------------

    def _limit(self, timeout: float | None) -> int:
        return self._timeout_ns if timeout is _DEFAULT else _timeout_ns(timeout)

    def _mine(self) -> _core.HeldLock:
        if self._held is None:
            raise RuntimeError("Lock is not acquired.")
        if self._upgrading:
            raise RuntimeError("Lock is being upgraded.")
        return self._held

    def _open(self, holder: object, timeout_ns: int) -> _core.HeldLock | _core.LockFile:
        """The lock; or, if somebody else has it and waiting makes sense, the file to wait for."""
        # Others of this process who wait come first, and with `fair` everybody does.
        found = self._try(timeout_ns != 0 and (self._fair or self._key in _lock_waiting.in_line))
        if isinstance(found, _core.LockFile):
            if timeout_ns == 0:
                raise _os_error(errno.EAGAIN, self._path)
            if timeout_ns == _FOREVER:
                self._refuse_self_deadlock(holder, self._kind)
        return found

    def _try(self, wait_in_line: bool) -> _core.HeldLock | _core.LockFile:
        return _core.open_lock(
            self._key,
            self._flags,
            self._mode,
            self._kind,
            self._offset,
            self._size,
            wait_in_line,
        )

    def _begin(self, file: _core.LockFile, timeout_ns: int) -> _lock_waiting.Begin:
        return lambda monitor, over: monitor.start(
            file, self._kind, self._offset, self._size, timeout_ns, over
        )

    def _upgrades_at_once(self, held: _core.HeldLock, holder: object, timeout_ns: int) -> bool:
        """Makes it exclusive, unless that has to wait and may."""
        try:
            held.convert(_core.LOCK_EXCLUSIVE)
        except BlockingIOError:
            if timeout_ns == 0:
                raise
            if timeout_ns == _FOREVER:
                self._refuse_self_deadlock(holder, _core.LOCK_EXCLUSIVE)
            return False
        return True

    def _begin_upgrade(self, held: _core.HeldLock, timeout_ns: int) -> _lock_waiting.Begin:
        return lambda monitor, over: monitor.start_upgrade(held, timeout_ns, over)

    def _is_current(self, held: _core.HeldLock) -> bool:
        """Whether what was waited for is still the file at the path; else the lock is given up."""
        try:
            held.verify()
        except OSError as error:
            held.release()
            if error.errno != errno.ESTALE:
                raise
            return False
        return True

    def _write_record(self, held: _core.HeldLock, undo: _lock_waiting.Undo) -> None:
        if self._record and held.kind == _core.LOCK_EXCLUSIVE:
            try:
                held.write_owner()
            except BaseException:
                undo(held)
                raise

    def _hold(self, held: _core.HeldLock, holder: object) -> None:
        self._write_record(held, _release)
        self._held = held
        self._holder = holder
        _holding[id(self)] = self._reference

    def release(self) -> None:
        """Release the lock. RuntimeError if this object does not hold it."""
        held = self._mine()
        failure: Exception | None = None
        try:
            # Of two threads that come here at once, one is refused.
            if not held.release():
                failure = RuntimeError("the lock belongs to the parent of this forked process")
        except OSError as error:
            failure = error
        self._forget()
        if failure is not None:
            with self._naming:
                raise failure

    def detach(self) -> int:
        """Hand the lock over to a file descriptor, and return that; this object holds it no more.

        The lock lives until the descriptor and every copy of it is closed: a child process that
        inherits one (`pass_fds`) keeps it. On Windows and the BSDs, where a lock belongs to its
        process, and with `unlink`: OSError with ENOTSUP, and the lock stays held.
        """
        with self._naming:
            descriptor = self._mine().detach()
        self._forget()
        return descriptor

    def _forget(self) -> None:
        self._held = self._holder = None
        _holding.pop(id(self), None)
        self._turn.release()

    def _refuse_self_deadlock(self, holder: object, kind: int) -> None:
        """A wait without end for what only the waiter itself could give up is an error instead."""
        for number, reference in list(_holding.items()):
            other = reference()
            if other is None:
                _holding.pop(number, None)
            elif other._holder is holder is not None and self._excludes(other, kind):
                raise _os_error(errno.EDEADLK, self._path)

    def _excludes(self, other: _Lock, kind: int) -> bool:
        if other is self or (other.held == "shared" and kind == _core.LOCK_SHARED):
            return False
        whole = self._size == self._offset == 0, other._size == other._offset == 0
        if whole[0] != whole[1] or not _overlap(self, other):
            return False
        if (self._flags ^ other._flags) & sum(_COMPAT.values()):
            return False
        try:
            return os.path.samefile(self._path, other._path)
        except OSError:
            return False


def _checked_range(byte_range: tuple[int, int] | None) -> tuple[int, int]:
    if byte_range is None:
        return 0, 0
    offset, size = (operator.index(number) for number in byte_range)
    if not 0 <= offset < _RANGE_MAX or not 0 <= size <= _RANGE_MAX - offset:
        raise ValueError(f"byte_range must lie between 0 and 2**61, not {byte_range!r}")
    if offset == size == 0:  # evenshim's word for the whole file; as a range: all bytes
        size = _RANGE_MAX
    return offset, size


def _overlap(one: _Lock, other: _Lock) -> bool:
    first, second = sorted((one, other), key=lambda lock: lock._offset)
    return first._size == 0 or first._offset + first._size > second._offset


class _Turn(asyncio.Lock):
    """The turns of the tasks that share an object, of one loop: that of the first who waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__()
        self._of = loop
        self.queued = 0  # tasks that wait for their turn

    async def of_loop(self, loop: asyncio.AbstractEventLoop) -> _Turn:
        """Return this one; or, when those of another loop's tasks are over, one in its state."""
        if self._of is None:
            self._of = loop
        if self._of is loop or (self.queued and not self._of.is_closed()):
            return self  # of a loop that is still used: asyncio.Lock refuses this one
        successor = _Turn(loop)
        if self.locked():
            await successor.acquire()  # without a wait
        return successor


class FileLock(_Lock):
    """A lock on a file, for asyncio: `async with evenloop.FileLock(path):`.

    Who holds it excludes every other FileLock and BlockingFileLock object on that file, in this and
    in all other processes, and evenshim's locks in C. Tasks that share one object take turns, as
    with an asyncio.Lock. Works on every asyncio loop; a waiting task costs no thread.

    shared: many may hold it at once, unless somebody holds it exclusively.
    timeout: seconds after which acquiring and upgrading raise TimeoutError; 0 tries once and raises
        BlockingIOError; None waits for ever.
    fair: who comes first is served first, across processes. Slower.
    byte_range: (offset, size) instead of the whole file, size 0 for all that follows. The bytes are
        names of what is locked and need not exist. Whole-file locks and ranges do not see each
        other.
    compat: take a lock that other programs know instead: "flock" (flock(2), Unix only), "fcntl"
        (the whole file or byte_range as fcntl(2) users lock them), "byte0". Without upgrade and
        downgrade, and on Windows such a lock forbids others to read and write what it locks.
    mode, create: permissions of a new file; with create=False a missing file is an error.
    readonly: open the file, which must be there, for reading only; enough for a shared lock.
    follow_symlinks: with False a symbolic link is an error.
    unlink: remove the file while releasing its exclusive lock; not with byte_range.
    record: write who holds it into the file, once it is held exclusively, for owner() to read.
    """

    def _new_turn(self) -> _Turn:
        return _Turn(None)

    async def acquire(self, *, timeout: float | None = _DEFAULT) -> Literal[True]:
        """Wait for the lock and take it. `timeout` instead of the lock's own.

        A task that is cancelled meanwhile does not hold it. A task that would wait for itself,
        without a timeout, gets OSError with EDEADLK.
        """
        timeout_ns = self._limit(timeout)
        started = time.monotonic_ns()
        task = asyncio.current_task()
        await self._take_turn(task, timeout_ns)
        try:
            with self._naming:
                self._hold(await self._wait(task, started, timeout_ns), task)
        except BaseException:
            self._turn.release()
            raise
        return True

    async def upgrade(self, *, timeout: float | None = _DEFAULT) -> None:
        """Make the shared lock exclusive, without anybody getting between.

        Waits until the other readers have gone; new ones are not let in. If somebody else waits to
        write already, both would wait for ever: OSError with EDEADLK, at once. Whenever this
        raises, the shared lock is held as before.
        """
        held = self._mine()
        timeout_ns = self._limit(timeout)
        with self._naming:
            if not self._upgrades_at_once(held, asyncio.current_task(), timeout_ns):
                room = _lock_waiting.room_of(asyncio.get_running_loop())
                self._upgrading = True
                try:
                    await room.wait(self._begin_upgrade(held, timeout_ns), _downgrade)
                finally:
                    self._upgrading = False
            self._write_record(held, _downgrade)

    async def __aenter__(self) -> None:
        # As asyncio.Lock: a lock has nothing to give.
        await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    async def _take_turn(self, task: object, timeout_ns: int) -> None:
        """Among the tasks that share this object."""
        if not self._turn.locked() and not self._turn.queued:
            await self._turn.acquire()  # without a wait
            return
        if timeout_ns == _FOREVER and self._holder is task is not None:
            raise _os_error(errno.EDEADLK, self._path)
        if timeout_ns == 0:
            raise _os_error(errno.EAGAIN, self._path)
        turn = self._turn = await self._turn.of_loop(asyncio.get_running_loop())
        turn.queued += 1
        try:
            async with asyncio.timeout(None if timeout_ns == _FOREVER else timeout_ns / 1e9):
                await turn.acquire()
        except TimeoutError:
            raise _os_error(errno.ETIMEDOUT, self._path) from None
        finally:
            turn.queued -= 1

    async def _wait(self, task: object, started: int, timeout_ns: int) -> _core.HeldLock:
        while isinstance(found := self._open(task, timeout_ns), _core.LockFile):
            room = _lock_waiting.room_of(asyncio.get_running_loop())
            left = _left(started, timeout_ns)
            with _lock_waiting.standing_in_line(self._key):
                held = await room.wait(self._begin(found, left), _release)
            if self._is_current(held):
                return held
        return found


class BlockingFileLock(_Lock):
    """The same lock for code without a loop: `with evenloop.BlockingFileLock(path):`.

    Takes FileLock's arguments. Threads that share one object take turns; the interpreter runs other
    threads while one waits, and signal handlers run within a tenth of a second.
    """

    def _new_turn(self) -> threading.Lock:
        return threading.Lock()

    def acquire(self, *, timeout: float | None = _DEFAULT) -> Literal[True]:
        """Wait for the lock and take it. `timeout` instead of the lock's own.

        A thread that would wait for itself, without a timeout, gets OSError with EDEADLK.
        """
        timeout_ns = self._limit(timeout)
        started = time.monotonic_ns()
        thread = threading.current_thread()
        self._take_turn(thread, timeout_ns)
        try:
            with self._naming:
                self._hold(self._wait(thread, started, timeout_ns), thread)
        except BaseException:
            self._turn.release()
            raise
        return True

    def upgrade(self, *, timeout: float | None = _DEFAULT) -> None:
        """Make the shared lock exclusive, as FileLock.upgrade()."""
        held = self._mine()
        timeout_ns = self._limit(timeout)
        with self._naming:
            if not self._upgrades_at_once(held, threading.current_thread(), timeout_ns):
                self._upgrading = True
                try:
                    _lock_waiting.wait_blocking(self._begin_upgrade(held, timeout_ns), _downgrade)
                finally:
                    self._upgrading = False
            self._write_record(held, _downgrade)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _take_turn(self, thread: threading.Thread, timeout_ns: int) -> None:
        if timeout_ns == _FOREVER:
            if self._turn.locked() and self._holder is thread:
                raise _os_error(errno.EDEADLK, self._path)
            self._turn.acquire()
        elif timeout_ns == 0:
            if not self._turn.acquire(blocking=False):
                raise _os_error(errno.EAGAIN, self._path)
        elif not self._turn.acquire(timeout=min(timeout_ns / 1e9, threading.TIMEOUT_MAX)):
            raise _os_error(errno.ETIMEDOUT, self._path)

    def _wait(self, thread: threading.Thread, started: int, timeout_ns: int) -> _core.HeldLock:
        while isinstance(found := self._open(thread, timeout_ns), _core.LockFile):
            left = _left(started, timeout_ns)
            with _lock_waiting.standing_in_line(self._key):
                held = _lock_waiting.wait_blocking(self._begin(found, left), _release)
            if self._is_current(held):
                return held
        return found


class DescriptorLock(BlockingFileLock):
    """A lock that detach() leaves with a descriptor of the caller's, as `flock 9` does.

    It ends when the descriptor's last copy is closed, or by unlock(). Not on Windows and the BSDs.
    """

    def __init__(self, descriptor: int, path: str, **options: Any) -> None:
        super().__init__(path, **options)
        self._descriptor = descriptor
        self._flags &= ~_core.LOCK_CREATE
        if self._kind == _core.LOCK_SHARED:
            self._flags |= _core.LOCK_READONLY

    def _try(self, wait_in_line: bool) -> _core.HeldLock | _core.LockFile:
        return _core.adopt_lock(self._descriptor, self._flags, self._kind, self._key)

    def unlock(self) -> None:
        """Free what the descriptor has, whoever gave it that."""
        with self._naming:
            _core.unlock_descriptor(self._descriptor, self._flags)


def _left(started: int, timeout_ns: int) -> int:
    """What is left of a timeout; 1 ns when nothing is, which is not the 0 of a try."""
    if timeout_ns == _FOREVER:
        return timeout_ns
    return max(1, timeout_ns - (time.monotonic_ns() - started))


def _release(held: _core.HeldLock) -> None:
    held.release()


def _downgrade(held: _core.HeldLock) -> None:
    held.convert(_core.LOCK_SHARED)
