# SPDX-License-Identifier: MIT
"""Runs many checks: some lanes, each with a keeper process; results in the checks' own order.

A lane that loses its keeper (a check may kill its parent) reports that check as CRASH and starts a
new one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import verdict
from .check import LIMIT, Check, Misuse
from .observation import one_line
from .report import Fact, Report, this_python, this_system

MARGIN_S = 2.0  # a check may take to begin, and after its limit to write down where it hangs
WATCHDOG_S = 30.0  # after that the keeper itself is taken for dead
END_S = 10.0  # on a busy machine it takes a killed check seconds to end, and then its folder goes
UNSET = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONWARNINGS", "PYTHONTRACEMALLOC")


def default_start() -> str:
    """How this system starts the process of a check."""
    return "fork" if sys.platform == "linux" else "spawn"


class Lane:
    """A keeper process, and a new one when it is gone."""

    def __init__(self, start: str) -> None:
        self.start = start
        self.keeper: subprocess.Popen[bytes] | None = None
        self.closed = False

    def _start(self) -> subprocess.Popen[bytes]:
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from evenloop.conformance.keeper import main; main({self.start!r})"
        )
        environment = {name: text for name, text in os.environ.items() if name not in UNSET}
        environment["PYTHONIOENCODING"] = "utf-8"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request; a CRASH if the keeper died over it."""
        if self.keeper is None:
            self.keeper = self._start()
        keeper = self.keeper
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        patience = request["limit"] + request["margin"] + WATCHDOG_S * max(1.0, request["scale"])
        watchdog = threading.Timer(patience, keeper.kill)
        watchdog.start()
        try:
            keeper.stdin.write(json.dumps(request).encode() + b"\n")
            keeper.stdin.flush()
            answer: dict[str, Any] = json.loads(keeper.stdout.readline())
            return answer
        except (OSError, ValueError):
            self.end()
            return {"verdict": verdict.CRASH, "reason": "the process that watched the check died"}
        finally:
            watchdog.cancel()

    def end(self, *, now: bool = False) -> None:
        """End the keeper, after its present check or at once."""
        keeper, self.keeper = self.keeper, None
        if keeper is None:
            return
        with contextlib.suppress(OSError):
            if now:
                keeper.terminate()
            assert keeper.stdin is not None
            keeper.stdin.close()
        try:
            keeper.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()


class Run:
    """A run of some checks on one loop."""

    def __init__(self, loop: str, checks: Sequence[Check], **options: Any) -> None:
        self.loop = loop
        self.checks = checks
        self.jobs: int = max(1, min(options.get("jobs") or 1, len(checks) or 1))
        self.scale: float = options.get("scale") or 1.0
        self.start: str = options.get("start") or default_start()
        self.on_start: Callable[[str], None] = options.get("on_start") or (lambda name: None)
        self.on_fact: Callable[[Fact], None] = options.get("on_fact") or (lambda fact: None)
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._waiting = iter(checks)
        self._lock = threading.Lock()

    def report(self) -> Report:
        """Run everything; the calls of on_start and on_fact come from this thread."""
        began = datetime.datetime.now(datetime.UTC)
        clock = time.perf_counter()
        lanes = [Lane(self.start) for _ in range(self.jobs)]
        over = False
        try:
            subject = self.describe(lanes[0])
            facts = self._run(lanes)
            over = True
        finally:
            for lane in lanes:
                lane.closed = True
            for lane in lanes:
                lane.end(now=not over)
        order = {check.name: index for index, check in enumerate(self.checks)}
        facts.sort(key=lambda fact: order[fact.name])
        return Report(
            loop=subject,
            python=this_python(),
            system=this_system(),
            started=began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            duration=round(time.perf_counter() - clock, 2),
            facts=facts,
        )

    def describe(self, lane: Lane) -> dict[str, Any]:
        """Type and version of the loop. A wrong name ends the run, a broken factory does not."""
        answer = lane.ask(self._request(None, LIMIT))
        if "misuse" in answer:
            raise Misuse(answer["misuse"])
        if "loop" in answer:
            subject: dict[str, Any] = answer["loop"]
            return subject
        problem = answer.get("error") or f"{answer['verdict']}: {answer['reason']}"
        return {"name": self.loop, "type": None, "version": None, "error": one_line(problem)}

    def _request(self, name: str | None, limit: float) -> dict[str, Any]:
        return {
            "check": name,
            "loop": self.loop,
            "limit": limit * self.scale,
            "margin": MARGIN_S * max(1.0, self.scale),
            "scale": self.scale,
        }

    def _run(self, lanes: list[Lane]) -> list[Fact]:
        for lane in lanes:
            threading.Thread(target=self._work, args=(lane,), daemon=True).start()
        facts: list[Fact] = []
        busy = len(lanes)
        while busy:
            kind, value = self._events.get()
            if kind == "start":
                self.on_start(value)
            elif kind == "fact":
                facts.append(value)
                self.on_fact(value)
            elif kind == "failed":
                raise value
            else:
                busy -= 1
        return facts

    def _work(self, lane: Lane) -> None:
        try:
            while not lane.closed:
                with self._lock:
                    check = next(self._waiting, None)
                if check is None:
                    break
                self._events.put(("start", check.name))
                answer = lane.ask(self._request(check.name, check.limit))
                self._events.put(("fact", as_fact(check, answer)))
        except BaseException as error:
            self._events.put(("failed", error))
        self._events.put(("done", None))


def as_fact(check: Check, answer: dict[str, Any]) -> Fact:
    """A keeper's answer as an entry of the report. A loop's words may be long, and have lines."""
    if "reason" in answer:
        answer = {**answer, "reason": one_line(answer["reason"])}
    return Fact(name=check.name, area=check.area, tier=check.tier, **answer)
