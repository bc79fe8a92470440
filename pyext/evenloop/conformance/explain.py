# SPDX-License-Identifier: MIT
"""`explain`: what a check asks, why, who says so, what it expects here, and what known loops did.

What they did comes from `known/*.json`, reports in brief that `make matrix` leaves behind.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from . import verdict, versions
from .check import TIERS, Check
from .observation import short
from .report import Report

KNOWN = Path(__file__).resolve().parent / "known"


def explain(check: Check) -> str:
    """Everything about one check, for people."""
    lines = [check.name, "", *wrap(check.statement)]
    if check.why:
        for paragraph in check.why.split("\n\n"):
            lines += ["", *wrap(paragraph)]
    lines += ["", f"tier      {check.tier}: {TIERS[check.tier]}"]
    lines += wrap(check.source, first="source    ")
    lines.append(f"expected  {short(check.expected(), 2000)}")
    bounds = [f"since Python {versions.text(release)}" for release in check.since]
    if check.until is not None:
        bounds.append(f"until Python {versions.text(check.until)}")
    bounds += [f"needs {need}" for need in check.needs]
    if bounds:
        lines.append(f"where     {', '.join(bounds)}")
    unfit = check.why_not()
    if unfit is not None:
        lines.append(f"here      n/a: {unfit}")
    known = known_results(check.name)
    if known:
        lines += ["", "what loops did:"]
        lines += [f"  {title}: {result}" for title, result in known]
    return "\n".join(lines) + "\n"


def wrap(text: str, first: str = "") -> list[str]:
    """A paragraph for a terminal."""
    return textwrap.wrap(text, 98, initial_indent=first, subsequent_indent=" " * len(first))


def brief(report: Report) -> dict[str, Any]:
    """What `explain` needs of a report."""
    facts = {}
    for fact in report.facts:
        if fact.verdict == verdict.OK:
            facts[fact.name] = [fact.verdict]
        else:
            facts[fact.name] = [fact.verdict, fact.reason]
    return {"title": report.title(), "date": report.started[:10], "facts": facts}


def known_results(name: str) -> list[tuple[str, str]]:
    """What the published runs have to say about a check."""
    found = []
    for path in sorted(KNOWN.glob("*.json")) if KNOWN.is_dir() else []:
        data = json.loads(path.read_text(encoding="utf-8"))
        if name in data["facts"]:
            word, *reason = data["facts"][name]
            found.append((f"{data['title']} ({data['date']})", ": ".join([word, *reason])))
    return found
