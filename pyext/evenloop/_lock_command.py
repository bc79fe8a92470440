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
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ._filelock import BlockingFileLock, DescriptorLock

USAGE = """\
usage: python -m evenloop lock [OPTION ...] FILE [--] COMMAND [ARGUMENT ...]
       python -m evenloop lock [OPTION ...] FILE -c COMMAND
       python -m evenloop lock [OPTION ...] DESCRIPTOR

Run a command while holding the lock of FILE, which is made if there is none, or of a directory.
Or lock what a descriptor of the shell's is open for, until the shell closes it:

    ( python -m evenloop lock -n 9 || exit 1; ... ) 9>>FILE

Descriptors and directories are for Unix: a lock on Windows ends with the process that took it, and
a directory there has none.

  -s, --shared              get a shared lock
  -x, -e, --exclusive       get an exclusive lock (default)
  -u, --unlock              get no lock; take a descriptor's away
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
  -V, --version             show the version

Exit code: the command's; 128 and the number of the signal that ended it; 64 wrong usage, 66 the
file cannot be opened, 65 it cannot be locked, 69 the command cannot be run, 71 or 73 the system
has no more to give.
"""
SHORT = "sexnoFuw:E:hV"
LONG = (
    *("shared", "exclusive", "unlock", "nonblocking", "nb", "timeout=", "wait="),
    *("conflict-exit-code=", "close", "no-fork", "fair", "compat=", "verbose", "help", "version"),
)
ALIASES = {
    **{"-s": "--shared", "-x": "--exclusive", "-e": "--exclusive", "-u": "--unlock"},
    **{"-n": "--nonblocking", "--nb": "--nonblocking", "-w": "--timeout", "--wait": "--timeout"},
    **{"-E": "--conflict-exit-code", "-o": "--close", "-F": "--no-fork"},
    **{"-h": "--help", "-V": "--version"},
}
INT_MIN, INT_MAX = -(2**31), 2**31 - 1

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

    path: str = ""
    descriptor: int | None = None
    command: list[str] = field(default_factory=list)
    shell: bool = False
    shared: bool = False
    unlock: bool = False
    nonblocking: bool = False
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


def tell(order: Order, text: str) -> None:
    """--verbose, which flock writes to standard output."""
    if order.verbose:
        sys.stdout.write(f"evenloop lock: {text}\n")
        sys.stdout.flush()


def seconds_of(text: str) -> float:
    """The number of -w, as strtod(3) reads it."""
    try:
        if "_" in text or text != text.rstrip():
            raise ValueError
        return float.fromhex(text) if "x" in text.lower() else float(text)
    except ValueError:
        fail(EX_USAGE, f"invalid timeout value: '{text}'")
    except OverflowError:
        return math.inf


def integer_of(text: str, what: str) -> int:
    """A number, as strtol(3) reads it."""
    if re.fullmatch(r"\s*[+-]?[0-9]+", text) is None:
        fail(EX_USAGE, f"{what}: '{text}'")
    number = int(text)
    if not INT_MIN <= number <= INT_MAX:
        fail(EX_USAGE, f"{what}: '{text}': Numerical result out of range")
    return number


def exit_code_of(text: str) -> int:
    """The number of -E."""
    code = integer_of(text, "invalid exit code")
    if not 0 <= code <= 255:
        fail(EX_USAGE, "exit code out of range (expected 0 to 255)")
    return code


def wrong_option(error: getopt.GetoptError) -> str:
    """What getopt_long(3) says."""
    name, is_long = error.opt, error.msg.startswith("option --")
    if "requires" in error.msg:
        if is_long:
            return f"option '--{name}' requires an argument"
        return f"option requires an argument -- '{name}'"
    if "must not" in error.msg:
        return f"option '--{name}' doesn't allow an argument"
    if "unique" in error.msg:
        found = (f"'--{each.rstrip('=')}'" for each in LONG if each.startswith(name))
        return f"option '--{name}' is ambiguous; possibilities: {' '.join(found)}"
    return f"unrecognized option '--{name}'" if is_long else f"invalid option -- '{name}'"


def parse(arguments: list[str]) -> Order:
    """Read the command line."""
    try:
        options, rest = getopt.getopt(arguments, SHORT, list(LONG))
    except getopt.GetoptError as error:
        fail(EX_USAGE, wrong_option(error), hint=True)
    order = Order()
    for name, value in options:
        apply(order, ALIASES.get(name, name), value)
    if order.close and order.no_fork:
        fail(EX_USAGE, "the --no-fork and --close options are incompatible")
    if not rest:
        fail(EX_USAGE, "not enough arguments", hint=True)
    order.path, rest = rest[0], rest[1:]
    if not rest:
        order.descriptor = integer_of(order.path, "bad file descriptor")
        return order
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
    if name == "--help":
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    if name == "--version":
        import evenloop

        sys.stdout.write(f"evenloop lock from evenloop {evenloop.__version__}\n")
        raise SystemExit(0)
    if name in ("--shared", "--exclusive", "--unlock"):  # the last one is meant
        order.shared = name == "--shared"
        order.unlock = name == "--unlock"
    elif name == "--timeout":
        order.timeout = seconds_of(value)
    elif name == "--conflict-exit-code":
        order.conflict = exit_code_of(value)
    elif name in ("--nonblocking", "--close", "--no-fork", "--fair", "--verbose"):
        setattr(order, name[2:].replace("-", "_"), True)
    elif value in ("flock", "fcntl", "byte0"):
        order.compat = value
    else:
        fail(EX_USAGE, f"invalid kind of lock: '{value}'")


def open_file(path: str) -> int:
    """A descriptor as flock opens it."""
    flags = os.O_RDONLY | getattr(os, "O_NOCTTY", 0)
    try:
        return os.open(path, flags | os.O_CREAT, 0o666)
    except IsADirectoryError:
        return os.open(path, flags)


def nothing() -> FileNotFoundError:
    """What an empty name names."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def inherited(number: int) -> int:
    """A descriptor of the shell's; -1 for one of our own, which is nobody's business."""
    try:
        return number if os.get_inheritable(number) else -1
    except OSError:
        return -1


def acquire(order: Order, options: dict[str, Any]) -> BlockingFileLock:
    """Acquire the lock, or raise."""
    lock: BlockingFileLock
    if not order.path:
        raise nothing()
    if order.descriptor is not None:
        lock = DescriptorLock(inherited(order.descriptor), order.path, **options)
        lock.acquire()
    elif os.path.isdir(order.path) or (order.compat == "flock" and os.name == "posix"):
        # flock's locks are had by any kind of file, and without the right to write to it.
        options["compat"] = "flock"
        descriptor = open_file(order.path) if os.name == "posix" else -1
        lock = DescriptorLock(descriptor, order.path, **options)
        lock.acquire()
        os.close(descriptor)  # a copy has the lock
    else:
        lock = BlockingFileLock(order.path, **options)
        try:
            lock.acquire()
        except OSError as error:
            if not order.shared or error.errno not in (errno.EACCES, errno.EROFS):
                raise
            lock = BlockingFileLock(order.path, readonly=True, **options)
            lock.acquire()
    return lock


def refuse(order: Order, error: OSError) -> NoReturn:
    """End because the file cannot be opened or locked."""
    code = _EXITS.get(error.errno or 0, EX_NOINPUT)
    if error.errno == errno.ENOTSUP and (order.descriptor is not None or os.path.isdir(order.path)):
        text = "only a FILE for a COMMAND can be locked on this system"
        if os.name == "posix":
            text += " without --compat flock"
    else:
        text = error.strerror or str(error)
    if order.descriptor is not None:
        code = EX_OSERR if code == EX_OSERR else EX_DATAERR
        if error.errno == errno.EBADF and inherited(order.descriptor) >= 0:
            text += f" (not open for {'reading' if order.shared else 'writing'})"
    fail(
        code,
        f"{order.path if code == EX_DATAERR else f'cannot open lock file {order.path}'}: {text}",
    )


def take(order: Order) -> BlockingFileLock:
    """Acquire the lock, or end."""
    timeout = 0 if order.nonblocking else order.timeout
    if timeout is not None and not 0 <= timeout < math.inf:
        fail(EX_OSERR, "cannot set up timer: Invalid argument")
    options = {
        "timeout": timeout,
        "shared": order.shared,
        "fair": order.fair,
        "compat": order.compat,
    }
    started = time.monotonic()
    try:
        lock = acquire(order, options)
    except BlockingIOError:
        if order.verbose:
            say("failed to get lock")
        raise SystemExit(order.conflict) from None
    except TimeoutError:
        if order.verbose:
            say("timeout while waiting to get lock")
        raise SystemExit(order.conflict) from None
    except OSError as error:
        refuse(order, error)
    tell(order, f"getting lock took {time.monotonic() - started:.6f} seconds")
    return lock


def untake(order: Order) -> None:
    """-u: take a descriptor's lock away; a FILE that is opened anew has none."""
    try:
        if order.descriptor is None:
            os.close(open_file(order.path))
        else:
            number = inherited(order.descriptor)
            DescriptorLock(number, order.path, shared=True, compat=order.compat).unlock()
    except OSError as error:
        refuse(order, error)


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
    tell(order, f"executing {command[0]}")
    try:
        if not command[0]:
            raise nothing()
        if order.no_fork and os.name == "posix":
            for descriptor in descriptors:
                os.set_inheritable(descriptor, True)
            for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
                signal.signal(each, signal.SIG_DFL)
            os.execvp(command[0], command)
        passed = () if order.close else descriptors
        with subprocess.Popen(command, pass_fds=passed) as process:
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
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, the command's exit code is lost
    lock = None
    if order.unlock:
        untake(order)
    else:
        lock = take(order)
    descriptors = () if lock is None else hand_over(lock)
    if order.descriptor is not None:
        raise SystemExit(0)
    try:
        code = run(order, descriptors)
    finally:
        if lock is not None and lock.locked():
            lock.release()
    raise SystemExit(code)
