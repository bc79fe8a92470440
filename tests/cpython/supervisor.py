# SPDX-License-Identifier: MIT
"""Runs test classes in child processes and survives whatever a loop does to them.

Guarantees exactly one result for every test that was asked for: a test that makes no progress is a
`hang`, one that takes its process down is a `crash`, and the child is started again with the tests
that are left. A child that dies or hangs outside any test gives a result of its own, named after
the class and the phase, since a loop that crashes at interpreter exit is as broken as one that
crashes in a test.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHILD = Path(__file__).resolve().parent / "child.py"
POLL_SECONDS = 0.03
# Importing the modules, the interpreter's exit and an idle machine's first touch of the disk.
START_SECONDS = 120.0
# A child prints its stacks at this share of a test's limit; where a thread spins, that may kill it.
DUMP_AFTER = 0.8
OUTPUT_MAX = 64 * 1024
OUTPUT_SHOWN = 6_000

# Phases of a child outside its tests, as the last part of a result's name.
OUTSIDE = "<outside a test>"
EXIT = "<exit>"

BAD = ("fail", "error", "hang", "crash")


@dataclass(frozen=True)
class TestClass:
    """A class as the recipe builds it, with the tests to run."""

    module: str
    name: str
    tests: tuple[str, ...]

    @property
    def label(self) -> str:
        """The class's name in every report: the module's last part and its own name."""
        return f"{self.module.rpartition('.')[2]}.{self.name}"

    def only(self, keep: Callable[[str], bool]) -> TestClass:
        """The class with those tests whose full name `keep` accepts."""
        kept = tuple(test for test in self.tests if keep(f"{self.label}.{test}"))
        return TestClass(self.module, self.name, kept)


@dataclass
class Result:
    """What became of one test."""

    name: str
    outcome: str
    message: str = ""
    detail: str = ""
    seconds: float = 0.0
    loops: int = 0
    altered: bool = False

    @property
    def bad(self) -> bool:
        """Whether the loop (or the test) did something wrong."""
        return self.outcome in BAD

    @property
    def label(self) -> str:
        """The class's label."""
        return self.name.rpartition(".")[0]


@dataclass
class Watch:
    """How long a test may take; less for the `short` ones, which are expected to fail."""

    seconds: float = 60.0
    short: frozenset[str] = frozenset()
    short_seconds: float = 15.0

    def limit(self, name: str) -> float:
        """The limit of the test with this full name."""
        return min(self.seconds, self.short_seconds) if name in self.short else self.seconds


class Unusable(Exception):
    """The loop cannot be had, or the tests cannot be listed."""


class Child:
    """One child process, its output and its channel."""

    def __init__(self, loop: str, module: str, name: str, tests: list[str], watch: Watch) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="cpython-tests-", ignore_cleanup_errors=True
        )
        root = Path(self._folder.name)
        work = root / "work"
        work.mkdir()
        label = TestClass(module, name, ()).label
        limits = {test: watch.limit(f"{label}.{test}") for test in tests}
        spec = {
            "channel": str(root / "channel"),
            "loop": loop,
            "module": module,
            "name": name,
            "tests": tests,
            "limits": {"": watch.seconds, **limits},
            "dump_after": DUMP_AFTER,
        }
        (root / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        (root / "channel").touch()
        self._events = (root / "channel").open("rb")
        self._partial = b""
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(root / "spec.json")],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._output = bytearray()
        self._drain = threading.Thread(target=self._read_output, daemon=True)
        self._drain.start()

    def _read_output(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._process.stdout.fileno(), 8192):
                self._output += chunk
                del self._output[:-OUTPUT_MAX]

    def output(self) -> str:
        """The end of what the child and its own children printed."""
        return bytes(self._output)[-OUTPUT_SHOWN:].decode("utf-8", "replace")

    def events(self) -> list[dict[str, Any]]:
        """The events that are new."""
        *lines, self._partial = (self._partial + self._events.read()).split(b"\n")
        return [json.loads(line) for line in lines]

    def exit_code(self) -> int | None:
        """The exit code, None while the child runs."""
        return self._process.poll()

    def close(self) -> None:
        """Ends the child with everything it started."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        # A grandchild that left the session may still hold the pipe: do not wait for it.
        self._drain.join(1.0)
        self._events.close()
        if self._process.stdout is not None and not self._drain.is_alive():
            self._process.stdout.close()
        self._folder.cleanup()


def died(code: int) -> str:
    """How a child ended, in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}" if 0 <= code < 256 else f"exit code {code & 0xFFFFFFFF:#010x}"


@dataclass
class ClassRun:
    """The run of one class: as many children as it takes."""

    loop: str
    cls: TestClass
    watch: Watch
    report: Callable[[Result], None]
    stopping: threading.Event
    started: Callable[[str], None] = lambda name: None
    _left: list[str] = field(default_factory=list)
    _current: str | None = None
    _ended: bool = False
    _fixture: dict[str, Any] | None = None

    def run(self) -> None:
        """Runs every test; returns early only when the whole run is being stopped."""
        self._left = list(self.cls.tests)
        fruitless = 0
        while self._left and not self.stopping.is_set():
            before = len(self._left)
            self._run_child()
            fruitless = 0 if len(self._left) < before else fruitless + 1
            if fruitless == 2:
                self._give_up("crash", "the child process never reached this test")

    def _run_child(self) -> None:
        child = Child(self.loop, self.cls.module, self.cls.name, self._left, self.watch)
        self._current, self._ended, self._fixture = None, False, None
        try:
            self._follow(child)
        finally:
            child.close()

    def _follow(self, child: Child) -> None:
        moved = time.monotonic()
        while not self.stopping.is_set():
            code = child.exit_code()
            events = child.events()
            for event in events:
                self._take(event)
            silent = time.monotonic() - moved
            if events:
                moved, silent = time.monotonic(), 0.0
            if code is not None:
                # Nothing is lost: the end was seen before the last look at the file.
                self._finish(child, code, silent)
                return
            if time.monotonic() - moved > self._limit():
                self._lost(child, "hang", f"no progress for {self._limit():g} seconds")
                return
            self.stopping.wait(POLL_SECONDS)

    def _limit(self) -> float:
        if self._ended:
            return self.watch.seconds
        if self._current is None:
            return max(START_SECONDS, self.watch.seconds)
        return self.watch.limit(f"{self.cls.label}.{self._current}")

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.pop("event")
        if kind == "start":
            self._current = event["test"]
            self.started(f"{self.cls.label}.{self._current}")
        elif kind == "result":
            test = event.pop("test")
            self._emit(test, **event)
            self._left.remove(test)
            self._current = None
        elif kind == "fixture":
            self._fixture = self._fixture or event
        elif kind == "end":
            self._ended = True
        elif kind == "unusable":
            raise Unusable(event["message"])

    def _emit(self, test: str, outcome: str, **fields: Any) -> None:
        self.report(Result(f"{self.cls.label}.{test}", outcome, **fields))

    def _finish(self, child: Child, code: int, silent: float) -> None:
        if not self._ended:
            if self._current is not None and silent >= DUMP_AFTER * self._limit():
                self._lost(
                    child, "hang", f"no progress for {silent:.0f} seconds, then {died(code)}"
                )
            else:
                self._lost(child, "crash", died(code))
            return
        if self._left:
            reason = self._fixture or {"outcome": "error", "message": "the test did not run"}
            self._give_up(reason["outcome"], reason["message"], reason.get("detail", ""))
        elif self._fixture is not None and self._fixture["outcome"] in BAD:
            self._emit(OUTSIDE, **self._fixture)
        if code != 0:
            self._emit(EXIT, "crash", message=died(code), detail=child.output())

    def _lost(self, child: Child, outcome: str, message: str) -> None:
        """The child is gone, or must go, with a test running or between tests."""
        if self._current is not None:
            self._emit(self._current, outcome, message=message, detail=child.output())
            self._left.remove(self._current)
        else:
            phase = EXIT if self._ended else OUTSIDE
            self._emit(phase, outcome, message=message, detail=child.output())

    def _give_up(self, outcome: str, message: str, detail: str = "") -> None:
        for test in self._left:
            self._emit(test, outcome, message=message, detail=detail)
        self._left = []


def list_classes(loop: str) -> tuple[list[TestClass], dict[str, str]]:
    """Every class that the running Python has, and why each missing module is missing."""
    child = Child(loop, "", "", [], Watch())
    classes: list[TestClass] = []
    absent: dict[str, str] = {}
    deadline = time.monotonic() + START_SECONDS
    try:
        while True:
            code = child.exit_code()
            for event in child.events():
                if event["event"] == "class":
                    classes.append(TestClass(event["module"], event["name"], tuple(event["tests"])))
                elif event["event"] == "absent":
                    absent[event["module"]] = event["message"]
                elif event["event"] == "unusable":
                    raise Unusable(event["message"])
                elif event["event"] == "end":
                    return classes, absent
            if code is not None:
                raise Unusable(f"listing the tests ended with {died(code)}:\n{child.output()}")
            if time.monotonic() > deadline:
                raise Unusable(f"importing it did not end in {START_SECONDS:g} seconds")
            time.sleep(POLL_SECONDS)
    finally:
        child.close()


def run_classes(
    loop: str,
    classes: Iterable[TestClass],
    watch: Watch,
    jobs: int,
    report: Callable[[Result], None],
    started: Callable[[str], None] = lambda name: None,
    finished: Callable[[TestClass], None] = lambda cls: None,
) -> None:
    """Runs `classes`, `jobs` at a time; an exception, Ctrl-C among them, ends every child first.

    The callbacks are called one at a time, from worker threads.
    """
    waiting = list(classes)
    stopping = threading.Event()
    turn = threading.Lock()
    failures: list[BaseException] = []

    def locked(function: Callable[[Any], None]) -> Callable[[Any], None]:
        def call(argument: Any) -> None:
            with turn:
                function(argument)

        return call

    def work() -> None:
        while not stopping.is_set():
            with turn:
                if not waiting:
                    return
                cls = waiting.pop(0)
            try:
                ClassRun(loop, cls, watch, locked(report), stopping, locked(started)).run()
                locked(finished)(cls)
            except BaseException as exc:
                failures.append(exc)
                stopping.set()

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    try:
        # Inside: Ctrl-C may come between two of them, and nobody would tell the first to stop.
        for worker in workers:
            worker.start()
        while alive := [worker for worker in workers if worker.is_alive()]:
            # With a limit, as Windows does not interrupt an unlimited join for Ctrl-C.
            alive[0].join(0.2)
    except BaseException:
        stopping.set()
        for worker in workers:
            if worker.is_alive():  # one that has not begun yet ends by itself
                worker.join()
        raise
    if failures:
        raise failures[0]
