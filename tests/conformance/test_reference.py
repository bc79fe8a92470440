# SPDX-License-Identifier: MIT
"""The checks state the contract: the stock selector loop of Unix keeps what is spec and text,
evenloop all.

A check that the stock loop fails is either wrong, or must be `portable`; or its docstring says
which CPython issue shows the loop to be wrong, and `since=` from when on it is right. On Windows
the stock loops lack too much to be a reference; what evenloop does there is compared with Linux by
`make conformance`, report against report.
"""

from __future__ import annotations

import os

import pytest
from evenloop.conformance import check, runner, verdict

LOOPS = ("selector", "evenloop") if os.name == "posix" else ()
AREAS = [area.name for area in check.load_areas()]


def run(loop, area):
    checks = [found for found in check.load() if found.area == area]
    return runner.Run(loop, checks, jobs=2, scale=2.0).report()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_keeps_the_contract(loop, area):
    report = run(loop, area)
    tiers = ("spec", "text") if loop == "selector" else tuple(check.TIERS)
    bad = {
        fact.name: (fact.verdict, fact.reason)
        for fact in report.facts
        if fact.bad and fact.tier in tiers
    }
    assert not bad


def test_every_area_has_checks():
    assert {area: bool(area in AREAS) for area in check.AREAS} == dict.fromkeys(check.AREAS, True)
    assert len(check.load()) >= 260


def test_what_is_not_here_has_a_reason():
    for found in check.load():
        reason = found.why_not()
        assert reason is None or len(reason) > 10, found.name
    assert verdict.NOT_APPLICABLE in verdict.MEANING
