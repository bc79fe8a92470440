# SPDX-License-Identifier: MIT
"""`python -m evenloop lock`: flock(1), with evenloop's locks, on every system.

Options, messages and exit codes are those of flock of util-linux 2.38. What differs stands in
docs/locks.md.
"""

from __future__ import annotations

import errno
import getopt
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from ._filelock import BlockingFileLock

USAGE = """\
usage: python -m evenloop lock [OPTION ...] FILE [--] COMMAND [ARGUMENT ...]
       python -m evenloop lock [OPTION ...] FILE -c COMMAND

Run a command while holding the lock of FILE, which is made if there is none.

  -s, --shared              get a shared lock
  -x, -e, --exclusive       get an exclusive lock (default)
  -u, --unlock              get no lock
  -n, --nonblock            fail rather than wait
  -w, --timeout SECONDS     wait for a limited amount of time
  -E, --conflict-exit-code NUMBER  exit code after conflict or timeout (1)
  -o, --close               let the command not inherit the lock; on Windows it never does
  -F, --no-fork             become the command instead of starting it
  -c, --command COMMAND     (after FILE) have the shell run a string
      --fair                be served in the order of arrival
      --compat KIND         flock, fcntl or byte0: a lock that other programs know
      --verbose             tell what is done

  -h, --help                show this text

Exit code: the command's; 128 and the number of the signal that ended it; 64 wrong usage, 66 the
file cannot be opened, 65 it cannot be locked, 69 the command cannot be run, 71 or 73 the system
has no more to give.
"""
SHORT = "sexnoFuw:E:hV"
LONG = (
    *("shared", "exclusive", "unlock", "nonblock", "nb", "timeout=", "wait="),
    *("conflict-exit-code=", "close", "no-fork", "fair", "compat=", "verbose", "help"),
)

# sysexits.h
EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_OSERR, EX_CANTCREAT = 64, 65, 66, 69, 71, 73
_EXITS = {
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK), EX_OSERR),
    **dict.fromkeys((errno.EROFS, errno.ENOSPC), EX_CANTCREAT),
    **dict.fromkeys((errno.ENOTSUP, errno.EIO, errno.EDEADLK, errno.EBADF), EX_DATAERR),
}


@dataclass
class Order:
    """What the command line asks for."""

    path: str
    command: list[str]
    shell: bool = False
    shared: bool = False
    unlock: bool = False
    timeout: float | None = None
    conflict: int = 1
    fair: bool = False
    compat: Any = None
    verbose: bool = False
    close: bool = False
    no_fork: bool = False


def say(text: str) -> None:
    """Tell the user."""
    sys.stderr.write(f"evenloop lock: {text}\n")
    sys.stderr.flush()


def fail(code: int, text: str, *, hint: bool = False) -> NoReturn:
    """End with a message."""
    say(text)
    if hint:
        sys.stderr.write("Try 'python -m evenloop lock --help' for more information.\n")
    raise SystemExit(code)


def seconds_of(text: str) -> float:
    """The number of -w."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        fail(EX_USAGE, f"invalid timeout value: '{text}'")
    if seconds < 0:
        fail(EX_OSERR, "cannot set up timer: Invalid argument")
    return seconds


def exit_code_of(text: str) -> int:
    """The number of -E."""
    try:
        code = int(text)
    except ValueError:
        fail(EX_USAGE, f"invalid exit code: '{text}'")
    if not 0 <= code <= 255:
        fail(EX_USAGE, "exit code out of range (expected 0 to 255)")
    return code


def parse(arguments: list[str]) -> Order:
    """Read the command line."""
    try:
        options, rest = getopt.getopt(arguments, SHORT, list(LONG))
    except getopt.GetoptError as error:
        fail(EX_USAGE, str(error), hint=True)
    order = Order("", [])
    for name, value in options:
        apply(order, name, value)
    if order.close and order.no_fork:
        fail(EX_USAGE, "the --no-fork and --close options are incompatible")
    if not rest:
        fail(EX_USAGE, "not enough arguments", hint=True)
    order.path, rest = rest[0], rest[1:]
    if not rest:
        if order.path.isdigit():
            fail(EX_USAGE, "a file is needed: the number of a descriptor is for flock(1)")
        fail(EX_USAGE, "a command is needed", hint=True)
    if rest[0] in ("-c", "--command"):
        if len(rest) != 2:
            fail(EX_USAGE, f"{rest[0]} requires exactly one command argument")
        order.shell, order.command = True, rest[1:]
        return order
    order.command = rest[1:] if rest[0] == "--" else rest
    if not order.command:
        fail(EX_USAGE, "a command is needed", hint=True)
    return order


def apply(order: Order, name: str, value: str) -> None:
    """One option."""
    if name in ("-h", "--help"):
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    if name == "-V":
        import evenloop

        sys.stdout.write(f"evenloop lock from evenloop {evenloop.__version__}\n")
        raise SystemExit(0)
    if name in ("-s", "--shared"):
        order.shared = True
    elif name in ("-x", "-e", "--exclusive"):
        order.shared = False
    elif name in ("-u", "--unlock"):
        order.unlock = True
    elif name in ("-n", "--nonblock", "--nb"):
        order.timeout = 0
    elif name in ("-w", "--timeout", "--wait"):
        order.timeout = seconds_of(value)
    elif name in ("-E", "--conflict-exit-code"):
        order.conflict = exit_code_of(value)
    elif name in ("-o", "--close"):
        order.close = True
    elif name in ("-F", "--no-fork"):
        order.no_fork = True
    elif name == "--fair":
        order.fair = True
    elif name == "--verbose":
        order.verbose = True
    elif value in ("flock", "fcntl", "byte0"):
        order.compat = value
    else:
        fail(EX_USAGE, f"invalid kind of lock: '{value}'")


def take(order: Order) -> BlockingFileLock:
    """Acquire the lock, or end."""
    options: dict[str, Any] = {
        "timeout": order.timeout,
        "shared": order.shared,
        "fair": order.fair,
        "compat": order.compat,
    }
    lock = BlockingFileLock(order.path, **options)
    started = time.monotonic()
    try:
        try:
            lock.acquire()
        except OSError as error:
            if not order.shared or error.errno not in (errno.EACCES, errno.EROFS):
                raise
            lock = BlockingFileLock(order.path, readonly=True, **options)
            lock.acquire()
    except BlockingIOError:
        if order.verbose:
            say("failed to get lock")
        raise SystemExit(order.conflict) from None
    except TimeoutError:
        if order.verbose:
            say("timeout while waiting to get lock")
        raise SystemExit(order.conflict) from None
    except OSError as error:
        code = _EXITS.get(error.errno or 0, EX_NOINPUT)
        what = f"{order.path}" if code == EX_DATAERR else f"cannot open lock file {order.path}"
        fail(code, f"{what}: {error.strerror}")
    if order.verbose:
        say(f"getting lock took {time.monotonic() - started:.6f} seconds")
    return lock


def shell_line(command: str) -> list[str]:
    """What runs a string."""
    if os.name == "nt":
        return [os.environ.get("COMSPEC", "cmd.exe"), "/c", command]
    return [os.environ.get("SHELL") or "/bin/sh", "-c", command]


def hand_over(lock: BlockingFileLock) -> tuple[int, ...]:
    """The descriptor that the lock lives with from now on; none where it stays this process's."""
    try:
        return (lock.detach(),)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return ()


def run(order: Order, descriptors: tuple[int, ...]) -> int:
    """Run the command, and return what flock would end with."""
    command = shell_line(order.command[0]) if order.shell else order.command
    if order.verbose:
        say(f"executing {command[0]}")
    try:
        if order.no_fork and os.name == "posix":
            for descriptor in descriptors:
                os.set_inheritable(descriptor, True)
            os.execvp(command[0], command)
        inherited = () if order.close else descriptors
        with subprocess.Popen(command, pass_fds=inherited) as process:
            status = process.wait()
    except OSError as error:
        code = EX_OSERR if error.errno == errno.ENOMEM else EX_UNAVAILABLE
        fail(code, f"failed to execute {command[0]}: {error.strerror}")
    return 128 - status if status < 0 else status


def main(arguments: list[str]) -> NoReturn:
    """Do what the command line says."""
    order = parse(arguments)
    if os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as every other program's, the command's, too
    lock = None if order.unlock else take(order)
    descriptors = () if lock is None else hand_over(lock)
    try:
        code = run(order, descriptors)
    finally:
        if lock is not None and lock.locked():
            lock.release()
    raise SystemExit(code)
