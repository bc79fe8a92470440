# SPDX-License-Identifier: MIT
"""Every deliberate fault of mutants.py is noticed, by a check that says ok to the loop without it.

What is verified: that the checks can fail, and fail for the reason they name. Why it is hard: a
check that is ok with every loop looks like a good one. The faults are built into the stock selector
loop of Unix; on Windows that loop lacks most of what they touch (tests/platforms.md,
`mutations-on-windows`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mutants
import pytest
from evenloop.conformance import check, runner, verdict, versions

HERE = str(Path(__file__).resolve().parent)


def asked_here(name):
    """Whether this Python has the fact; a fault of facts that it lacks can't be noticed."""
    fact = check.find(name)
    return versions.why_not(fact.since, fact.until, versions.running()) is None


FAULTS = {
    fault: names
    for fault, names in mutants.FAULTS.items()
    if os.name == "posix" and any(map(asked_here, names))
}
SCALE = 0.3  # time limits; a fault may be a hang


@pytest.fixture(scope="module")
def lane():
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    lane = runner.Lane(runner.default_start())
    yield lane
    lane.end()


def ask(lane, loop, name):
    found = check.find(name)
    request = runner.Run(f"mutants:{loop}", [found], scale=SCALE)._request(name, found.limit)
    return lane.ask(request)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(lane, fault):
    answers = {name: ask(lane, fault, name) for name in FAULTS[fault]}
    assert any(answer["verdict"] in verdict.BAD for answer in answers.values()), answers


@pytest.mark.parametrize("name", sorted({name for names in FAULTS.values() for name in names}))
def test_the_loop_without_faults_is_ok(lane, name):
    answer = ask(lane, "Sound", name)
    assert answer["verdict"] in (verdict.OK, verdict.NOT_APPLICABLE), answer


def test_there_are_faults_in_every_area():
    areas = {name.partition(".")[0] for names in mutants.FAULTS.values() for name in names}
    assert set(check.AREAS) - areas == {"subprocess-windows"}
    assert len(mutants.FAULTS) >= 40
