# SPDX-License-Identifier: MIT
"""Starts the process of each check, watches it, ends it in time, and says what became of it.

One keeper serves one lane of a run. It reads requests from standard input, one JSON object a line,
and answers each with one line. It makes no loop itself and stays single-threaded where it forks.
Two ways to start a check's process: a fork of the keeper, which has everything imported (Linux), or
a new interpreter, the next of which is started while the present one works (elsewhere: macOS's
libraries do not survive a fork, Windows has none).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Any

from . import check as register
from . import verdict, worker
from .job import Job

GRACE_S = 0.4  # how long orphans of a check may take to end by themselves
OUTPUT_MAX = 4000
PR_SET_CHILD_SUBREAPER = 36


def start_worker() -> subprocess.Popen[bytes]:
    """A new interpreter that waits for its request."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from evenloop.conformance.worker import main; main()"
    )
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        creationflags=flags,
        start_new_session=os.name == "posix",
    )


class Group:
    """Unix: the process group of a check's process. Windows has jobs (job.py)."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.leader = process.pid

    def running(self) -> int:
        """How many processes there are in it: unknown, what holds its output open is seen so."""
        return 0

    def end(self) -> None:
        """End all that is in it."""
        end_group(self.leader)


class Spawner:
    """A new interpreter for each check, the next one started ahead."""

    def __init__(self) -> None:
        self.child = 0
        self.next = start_worker()
        self.family: type[Group] | type[Job] = Job if os.name == "nt" else Group

    def run(self, request: dict[str, Any]) -> tuple[int | None, str, bool]:
        """Exit code (None: ran out of time), output, whether anything outlived it."""
        process, self.next = self.next, start_worker()
        self.child = process.pid
        family = self.family(process)
        line = json.dumps(request).encode() + b"\n"
        try:
            # communicate() also waits for the end of the output, which an orphan may hold open.
            output, _ = process.communicate(line, request["limit"] + request["margin"])
            code: int | None = process.returncode
        except subprocess.TimeoutExpired as late:
            code, output = process.poll(), late.output or b""
        left = code is not None and process.stdout is not None and not process.stdout.closed
        left = left or (code is not None and still_running(family))
        family.end()
        with contextlib.suppress(OSError):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            output = process.communicate(timeout=5)[0] or output
        return code, output.decode("utf-8", "replace"), left

    def close(self) -> None:
        """End the process that was started ahead."""
        assert self.next.stdin is not None
        self.next.stdin.close()
        self.next.wait()
        if self.next.stdout is not None:
            self.next.stdout.close()


def still_running(family: Group | Job) -> bool:
    """Whether orphans of a check are there, and stay for longer than they may."""
    deadline = time.monotonic() + GRACE_S
    while family.running():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False


class Forker:
    """A fork of this process for each check."""

    def __init__(self) -> None:
        register.load()
        self.child = 0
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        # The kernel gives us the orphans of our checks (Linux), so that we see and end them.
        worker.control(PR_SET_CHILD_SUBREAPER, 1)

    def run(self, request: dict[str, Any]) -> tuple[int | None, str, bool]:
        """Exit code (None: ran out of time), output, whether anything outlived it."""
        self.output.seek(0)
        self.output.truncate()
        child = os.fork()
        if child == 0:
            self.become_worker(request)
        self.child = child
        code = wait_for(child, request["limit"] + request["margin"])
        if code is None:
            end_group(child)
            os.waitpid(child, 0)
        left = reap_orphans(child, 0.0 if code is None else GRACE_S)
        self.output.seek(0)
        return code, self.output.read().decode("utf-8", "replace"), left

    def become_worker(self, request: dict[str, Any]) -> None:
        """What the forked process does; never returns."""
        os.setsid()
        worker.die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(self.output.fileno(), 1)
        os.dup2(self.output.fileno(), 2)
        os.closerange(3, 64)
        worker.perform(request, pathlib.Path(request["folder"]))

    def close(self) -> None:
        """Nothing is left to end."""
        self.output.close()


def wait_for(child: int, seconds: float) -> int | None:
    """The exit code of a forked process, negative for a signal; None when the time is over."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            watch = os.pidfd_open(child)
            try:
                poll = select.poll()
                poll.register(watch, select.POLLIN)
                if not poll.poll(seconds * 1000):
                    return None
            finally:
                os.close(watch)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    deadline = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.002)


def end_group(leader: int) -> None:
    """Kill what runs in the process group of a check."""
    if os.name == "posix" and leader:
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)


def reap_orphans(leader: int, grace: float) -> bool:
    """Wait for what a check has left running, then kill it; whether there was need to kill."""
    deadline = time.monotonic() + grace
    killed = False
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid:
            continue
        if time.monotonic() > deadline:
            killed = True
            end_group(leader)
            for orphan in children():
                with contextlib.suppress(OSError):
                    os.kill(orphan, signal.SIGKILL)
        time.sleep(0.002)
    if sys.platform != "linux":
        end_group(leader)
    return killed


def children() -> list[int]:
    """The processes whose parent we are (Linux)."""
    try:
        listed = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in listed.split()]


def describe_death(code: int, output: str, stacks: str) -> dict[str, Any]:
    """The entry of a check whose process ended without a result."""
    if code < 0:
        try:
            how = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was killed by signal {-code}"
    else:  # Windows' exceptions are large numbers, known by their hexadecimal digits
        how = f"ended with exit code {code:#x}" if code > 255 else f"ended with exit code {code}"
    return {
        "verdict": verdict.CRASH,
        "reason": f"the process {how} before the check was over",
        "detail": (output + stacks)[-OUTPUT_MAX:],
    }


def add_finding(result: dict[str, Any], finding: str) -> None:
    """Something that only the outside sees: it spoils a check that was right otherwise."""
    if result["verdict"] not in (verdict.OK, verdict.FAIL):
        result.setdefault("detail", finding)
        return
    seen = result.get("observation")
    if isinstance(seen, dict) and "left behind" in seen and "observed" in seen:
        seen["left behind"].append(finding)
    else:
        result.setdefault("expected", seen)
        result["observation"] = {"observed": seen, "left behind": [finding]}
    if result["verdict"] == verdict.OK:
        result.update(verdict=verdict.FAIL, reason=f"left behind: {finding}")


@contextlib.contextmanager
def sigterm_waits() -> Iterator[None]:
    """Lets SIGTERM come only afterwards (Unix; Windows has none that a process could handle)."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Keeper:
    """Answers requests by running their checks."""

    def __init__(self, starter: Forker | Spawner) -> None:
        self.starter = starter
        self.folder: pathlib.Path | None = None

    def give_up(self, *_: object) -> None:
        """SIGTERM: the run is over; leave neither a process nor a folder behind."""
        end_group(self.starter.child)
        if self.starter.child:  # while it dies it could still write into the folder
            with contextlib.suppress(OSError):
                os.waitpid(self.starter.child, 0)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run one request to its end; what this system cannot be asked needs no process."""
        unfit = request["check"] and register.find(request["check"]).why_not()
        if unfit:
            return {"verdict": verdict.NOT_APPLICABLE, "reason": unfit, "duration": 0.0}
        with sigterm_waits():  # until give_up would find the folder
            folder = self.folder = pathlib.Path(tempfile.mkdtemp(prefix="conformance-"))
        started = time.perf_counter()
        try:
            request = {**request, "folder": str(folder)}
            code, output, left = self.starter.run(request)
            if not (folder / worker.PHASE).exists():
                # It has not come as far as the check: no doing of the loop's. Wine's processes
                # sometimes hang or die at their start.
                code, output, left = self.starter.run(request)
            result = self.read(folder, request, code, output)
            result.setdefault("duration", round(time.perf_counter() - started, 4))
            if "verdict" in result:
                self.look_around(result, output, left)
            return result
        finally:
            self.starter.child = 0
            shutil.rmtree(folder, ignore_errors=True)
            self.folder = None

    def read(
        self, folder: pathlib.Path, request: dict[str, Any], code: int | None, output: str
    ) -> dict[str, Any]:
        """What the worker has written down, or what its silence means."""
        with contextlib.suppress(FileNotFoundError):
            written: dict[str, Any] = json.loads((folder / worker.RESULT).read_text("utf-8"))
            return written
        stacks = read_text(folder / worker.STACKS)
        if code is not None:
            return describe_death(code, output, stacks)
        where = read_text(folder / worker.PHASE) or "starting"
        return {
            "verdict": verdict.HANG,
            "reason": f"{where}: not over within {request['limit']:g} s",
            "detail": (output + stacks)[-OUTPUT_MAX:],
        }

    def look_around(self, result: dict[str, Any], output: str, left: bool) -> None:
        """Add what the loop did outside of its check."""
        if output.strip() and result["verdict"] in (verdict.OK, verdict.FAIL):
            add_finding(result, f"printed: {output.strip()[:300]}")
        if left:
            add_finding(result, "a process that was still running")


def read_text(path: pathlib.Path) -> str:
    """The text of a file that may not be there."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


@contextlib.contextmanager
def answers() -> Iterator[IO[str]]:
    """The stream for answers; nothing else gets into it, because descriptor 1 becomes another."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    with stream:
        yield stream


def main(start: str) -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    starter: Forker | Spawner = Forker() if start == "fork" else Spawner()
    keeper = Keeper(starter)
    signal.signal(signal.SIGTERM, keeper.give_up)
    with answers() as stream:
        for line in requests:
            stream.write(json.dumps(keeper.answer(json.loads(line))) + "\n")
            stream.flush()
    starter.close()
