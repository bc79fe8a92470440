# SPDX-License-Identifier: MIT
"""Every verdict is reached by a loop that deserves it, and no loop stops a run.

What is verified: what becomes of a check when its loop hangs, dies, prints, forks, closes
descriptors, leaves threads, or cannot be made. Why it is hard: all of it happens in another
process, which may say nothing any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CHECK = "core.call_soon_fifo"
STARTS = ("fork", "spawn") if sys.platform == "linux" else ("spawn",)


def kit(*arguments, **environment):
    """Runs the kit from here, so that it finds broken_loops."""
    return subprocess.run(
        [sys.executable, "-m", "evenloop.conformance", *map(str, arguments)],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=55,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


def fact(loop, start, check=CHECK, slow=1.0, **environment):
    done = kit(
        "run",
        *("--loop", f"broken_loops:{loop}"),
        *("--check", check),
        *("--start", start),
        *("--slow", slow),
        *("--format", "json"),
        **environment,
    )
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["facts"]
    assert done.returncode == (0 if found["verdict"] == "ok" else 1)
    return found


@pytest.fixture(params=STARTS)
def start(request):
    return request.param


def test_a_sound_loop_is_ok(start):
    found = fact("Sound", start)
    assert (found["verdict"], found["observation"]) == ("ok", list("abcde"))
    assert "reason" not in found
    assert "expected" not in found


def test_another_order_is_a_failure_that_shows_both(start):
    found = fact("Reverses", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"] == list("edcba")
    assert found["expected"] == list("abcde")
    assert found["reason"] == (
        'expected ["a", "b", "c", "d", "e"], observed ["e", "d", "c", "b", "a"]'
    )


@pytest.mark.parametrize(
    ("loop", "where"),
    [
        ("HangsInRun", "checking"),
        ("HangsInClose", "closing the loop"),
        ("SpinsInClose", "closing the loop"),
    ],
)
def test_a_hang_is_ended_and_located(start, loop, where):
    found = fact(loop, start, slow=0.15)
    assert found["verdict"] == "HANG"
    assert found["reason"] == f"{where}: not over within 1.5 s"
    assert "broken_loops.py" in found["detail"]
    assert "observation" not in found


def test_a_hang_is_ended_with_the_processes_that_it_started(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        found = fact("HangsBesideAChild", start, slow=0.3, KIT_TEST_PORT=port)
        listener.settimeout(10)
        child, _ = listener.accept()
    with child, contextlib.suppress(ConnectionResetError):
        child.settimeout(10)
        assert child.recv(1) == b""
    assert found["verdict"] == "HANG"


def test_an_exit_is_a_crash(start):
    found = fact("Exits", start)
    assert found["verdict"] == "CRASH"
    assert found["reason"] == "the process ended with exit code 3 before the check was over"


def test_a_killed_process_is_a_crash(start):
    found = fact("KillsItself", start)
    assert found["verdict"] == "CRASH"
    how = "ended with exit code 15" if os.name == "nt" else "was killed by SIGKILL"
    assert found["reason"] == f"the process {how} before the check was over"


def test_a_killed_parent_is_a_crash_and_the_run_goes_on(start):
    done = kit(
        *("run", "--loop", "broken_loops:KillsItsParent", "--start", start, "--jobs", "1"),
        *("--check", "core.call_soon_fifo", "--check", "core.repr", "--format", "json"),
    )
    first, second = json.loads(done.stdout)["facts"]
    assert (first["verdict"], first["reason"]) == (
        "CRASH",
        "the process that watched the check died",
    )
    assert second["verdict"] == "ok"


def test_system_exit_is_a_failure(start):
    found = fact("RaisesSystemExit", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"]["raised"]["type"] == "SystemExit"
    assert "the loop has had enough" in found["reason"]


def test_a_loop_that_says_no_is_unsupported(start):
    found = fact("LacksIt", start)
    assert found["verdict"] == "UNSUPPORTED"
    assert found["reason"] == "NotImplementedError: no callbacks here"


def test_a_missing_method_is_unsupported(start):
    assert fact("LacksTheName", start)["verdict"] == "UNSUPPORTED"


LEFTOVERS = [
    ("Prints", "printed: a loop says hello"),
    ("ClosesStdout", "descriptor 1 closed"),
    ("LeavesAThread", "thread lost"),
    *([("LeavesAProcess", "a process that was still running")] if hasattr(os, "fork") else []),
]


@pytest.mark.parametrize(("loop", "finding"), LEFTOVERS)
def test_what_a_loop_leaves_behind_is_part_of_the_observation(start, loop, finding):
    found = fact(loop, start, slow=0.3)
    assert found["verdict"] == "FAIL"
    assert found["observation"] == {"observed": list("abcde"), "left behind": [finding]}
    assert finding in found["reason"]


def test_closing_every_descriptor_keeps_the_result(start):
    found = fact("ClosesEverything", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"]["observed"] == list("abcde")
    assert "descriptor 1 closed" in found["observation"]["left behind"]


def test_a_forked_copy_of_the_check_does_not_report(start):
    # Where there is no fork the loop says so, and that is a missing name of the os module's.
    found = fact("Forks", start)
    assert found["verdict"] == ("ok" if hasattr(os, "fork") else "FAIL"), found


def test_an_exception_without_words_is_a_failure(start):
    found = fact("raises_without_words", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"]["raised"]["text"] == "(its text raises ValueError)"


def test_a_factory_that_exits_fails_its_checks_and_is_named(start):
    check = ("--check", CHECK, "--format", "json")
    done = kit("run", "--loop", "broken_loops:exits", "--start", start, *check)
    data = json.loads(done.stdout)
    assert data["loop"]["error"] == "SystemExit: 7"
    assert data["facts"][0]["reason"].startswith("raised SystemExit: 7")


def test_a_reason_is_one_short_line(start):
    found = fact("TalksMuch", start)
    assert found["verdict"] == "FAIL"
    assert found["reason"].startswith("raised RuntimeError: 1000007 characters, a bad x")
    assert len(found["reason"]) <= 400
    assert found["reason"].isprintable()


def test_a_complaint_nobody_asked_for_is_a_failure(start):
    found = fact("Complains", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"]["exception handler"] == [
        {"message": "without a reason", "keys": ["message"]}
    ]


def test_a_factory_that_raises_fails_its_checks(start):
    found = fact("raises", start)
    assert found["verdict"] == "FAIL"
    assert found["observation"] == {"raised": {"type": "RuntimeError", "text": "no loop today"}}


def test_a_factory_that_returns_nonsense_fails_its_checks(start):
    found = fact("nonsense", start)
    assert found["verdict"] == "FAIL"
    assert "the factory returned int, which is not an event loop" in found["reason"]
