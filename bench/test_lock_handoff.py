# SPDX-License-Identifier: MIT
"""The program that times locks in C times what it says: real waits, in both conditions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import handoff
import run

pytestmark = pytest.mark.timeout(120)

PROGRAM = run.find_programs() / f"lock_handoff{run.SUFFIX}"
OWN_KINDS = ("evenshim", "evenshim-timed", "evenshim-fair", "evenshim-fair-timed")
CONDITIONS = ("idle", "awake")


def measure(folder: Path, *arguments: str) -> dict[str, Any]:
    """A short run; it may leave nothing behind."""
    report = handoff.measure(
        PROGRAM,
        *("--rounds", "2", "--hand-offs", "10", "--count", "100", "--folder", str(folder)),
        *arguments,
    )
    assert list(folder.iterdir()) == []
    return report


def test_every_kind_is_measured_in_both_conditions_and_really_waits(tmp_path: Path) -> None:
    report = measure(tmp_path)
    kinds = {kind["name"]: kind for kind in report["kinds"]}
    assert {*OWN_KINDS, "wake-up"} < set(kinds)
    for kind in kinds.values():
        assert kind["alone"]["count"] == 200
        for condition in CONDITIONS:
            times = kind[condition]
            assert times["count"] == 20
            assert 0 < times["shortest_us"] <= times["median_us"] <= times["p99_us"]
            # None: a system that does not count how often a process sleeps. On a busy machine one
            # may come so late that it finds the lock free.
            assert times["slept"] is None or times["slept"] > 15, (kind["name"], times)


def test_cores_are_kept_awake_only_in_that_condition(tmp_path: Path) -> None:
    report = measure(tmp_path, "--only", "wake-up")
    assert [kind["name"] for kind in report["kinds"]] == ["wake-up"]
    assert 0 < report["awake_share"] <= 1.01


@pytest.mark.parametrize("name", [*OWN_KINDS, "wake-up"])
def test_time_spent_in_a_hand_off_is_part_of_it(name: str, tmp_path: Path) -> None:
    report = measure(tmp_path, "--only", name, "--delay-us", "3000")
    (kind,) = report["kinds"]
    for condition in CONDITIONS:
        assert kind[condition]["shortest_us"] >= 3000


@pytest.mark.parametrize(
    "arguments",
    [["--rounds", "0"], ["--hand-offs", "10001"], ["--only", "x"], ["--count", "-1"], ["--rounds"]],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    done = subprocess.run(
        [PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"usage:" in done.stderr


def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(run.HERE / "locks.py"), "--bin", str(PROGRAM.parent), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_replaces_the_old_one_on_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{handoff.MARK}\nold\n{handoff.MARK}\nafter\n")
    file = tmp_path / "results.json"
    done = compare(*("--only", "c", "--c-rounds", "1", "--page", str(page), "--json", str(file)))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| evenshim |")]
    assert len(rows) == 1
    median = json.loads(file.read_text())["c"]["kinds"][0]["idle"]["median_us"]
    assert f"| {median:,.1f} |" in rows[0]


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    done = compare("--only", "c", "--bin", str(tmp_path))
    assert done.returncode == 1
    assert "--target bench" in done.stderr
    assert "Traceback" not in done.stderr
