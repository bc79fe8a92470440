# SPDX-License-Identifier: MIT
"""One child process of the runner: runs tests of one class and tells its parent what happened.

`child.py SPEC` reads a JSON object (supervisor.Child writes it) and appends one JSON object a line
to the file that it names, each written with a single call so that a crash loses nothing. The tests'
own output goes to the standard streams, which the parent keeps for the report of a hang or a crash.
Also the `__main__` of the processes that tests start through multiprocessing: imported there under
another name, it installs the loop again, so those children use the loop under test too.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import time
import traceback
import unittest
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import catalogue

# Names the loop to the children that tests start; inherited through the environment.
LOOP_VARIABLE = "EVENLOOP_CPYTHON_TESTS_LOOP"
DETAIL_MAX = 12_000


class Channel:
    """The line-JSON file that the parent reads."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._pid = os.getpid()

    def send(self, event: str, **fields: Any) -> None:
        """Appends one event; silent in a process that a test forked."""
        if os.getpid() == self._pid:
            line = json.dumps({"event": event, **fields}) + "\n"
            os.write(self._fd, line.encode("utf-8", "backslashreplace"))


class Recorder(unittest.TestResult):
    """Reports each test as it starts and ends; the first bad thing that happens to it counts."""

    def __init__(
        self, channel: Channel, factory: catalogue.LoopFactory, spec: dict[str, Any]
    ) -> None:
        super().__init__()
        self._channel = channel
        self._factory = factory
        self._limits = spec["limits"]
        self._dump_after = spec["dump_after"]
        self._outcome: tuple[str, str, str] | None = None
        self._made = 0
        self._began: float | None = None
        # A copy, as tests replace the standard streams.
        self._dump = os.fdopen(os.dup(2), "w")
        faulthandler.enable(file=self._dump)

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        name = test._testMethodName
        self._outcome = None
        self._made = self._factory.made
        self._channel.send("start", test=name)
        limit = self._limits.get(name, self._limits[""])
        faulthandler.dump_traceback_later(limit * self._dump_after, file=self._dump)
        self._began = time.perf_counter()

    def stopTest(self, test: unittest.TestCase) -> None:
        # Python 3.12.1 does not start what it skips by a class's decorator.
        seconds = 0.0 if self._began is None else time.perf_counter() - self._began
        faulthandler.cancel_dump_traceback_later()
        outcome, message, detail = self._outcome or ("error", "the test reported no result", "")
        support = sys.modules["test.support"]
        altered = bool(support.environment_altered)
        support.environment_altered = False
        self._channel.send(
            "result",
            test=test._testMethodName,
            outcome=outcome,
            message=message,
            detail=detail[-DETAIL_MAX:],
            seconds=round(seconds, 3),
            loops=self._factory.made - self._made,
            altered=altered,
        )
        self._outcome, self._began = None, None
        super().stopTest(test)

    def _note(self, test: Any, outcome: str, message: str, detail: str = "") -> None:
        if not isinstance(test, unittest.TestCase):
            # setUpClass, setUpModule or their counterparts: no test is running.
            self._channel.send("fixture", outcome=outcome, message=message, detail=detail)
        elif self._outcome is None or self._outcome[0] in ("pass", "skip"):
            self._outcome = (outcome, message, detail)

    def _note_error(self, test: Any, outcome: str, err: Any) -> None:
        message = "".join(traceback.format_exception_only(err[0], err[1])).strip()
        self._note(test, outcome, message[:1000], "".join(traceback.format_exception(*err)))

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "pass", "")

    def addError(self, test: Any, err: Any) -> None:
        self._note_error(test, "error", err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._note_error(test, "fail", err)

    def addSubTest(self, test: unittest.TestCase, subtest: Any, err: Any) -> None:
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._note_error(test, "fail" if failed else "error", err)

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skip", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._note(test, "pass", "failed as the test expects")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "fail", "passed although the test expects a failure")


def list_tests(channel: Channel, factory: catalogue.LoopFactory) -> None:
    """Sends every class with its tests, and every module that the system cannot import or run."""
    for name, pattern in catalogue.modules():
        try:
            module = catalogue.load(name)
        except unittest.SkipTest as exc:
            channel.send("absent", module=name, message=str(exc))
            continue
        for key, cls in catalogue.build(module, factory).items():
            tests = catalogue.test_names(key, cls, pattern)
            if tests:
                channel.send("class", module=name, name=key, tests=tests)


def run_tests(channel: Channel, factory: catalogue.LoopFactory, spec: dict[str, Any]) -> None:
    """Runs the tests that `spec` names, in its order."""
    module = importlib.import_module(spec["module"])
    importlib.import_module("test.support")
    cls = catalogue.build(module, factory)[spec["name"]]
    suite = unittest.TestSuite(cls(test) for test in spec["tests"])
    suite.run(Recorder(channel, factory, spec))


def main(spec_path: str) -> int:
    """Does what the specification says; the exit code tells only of a failure outside the tests."""
    with open(spec_path, encoding="utf-8") as file:
        spec = json.load(file)
    channel = Channel(spec["channel"])
    try:
        factory = catalogue.LoopFactory(spec["loop"])
    except (ImportError, AttributeError, TypeError) as exc:
        channel.send("unusable", message=f"{type(exc).__name__}: {exc}")
        return 1
    os.environ[LOOP_VARIABLE] = spec["loop"]
    catalogue.restore_sigint()
    catalogue.install(factory, spec["module"])
    catalogue.fit_clean_up()
    if spec["tests"]:
        run_tests(channel, factory, spec)
    else:
        list_tests(channel, factory)
    channel.send("end")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
elif __name__ == "__mp_main__" and LOOP_VARIABLE in os.environ:
    catalogue.install(catalogue.LoopFactory(os.environ[LOOP_VARIABLE]), "")
