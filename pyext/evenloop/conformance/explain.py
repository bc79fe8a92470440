# SPDX-License-Identifier: MIT
"""`explain`: what a check asks, why, who says so, what it expects here, and what known loops did.

What they did comes from `known/*.json`, reports in brief that `make matrix` leaves behind.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from . import verdict, versions
from .check import TIERS, Check, Misuse
from .observation import short
from .report import Report, write

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


def remember(reports: list[Report], folder: Path) -> None:
    """Leave each report in brief where `explain` finds it, in the place of what was there."""
    try:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.json"):
            old.unlink()
    except OSError as error:
        raise Misuse(f"{folder} cannot be written: {error.strerror or error}.") from error
    for number, report in enumerate(reports):
        name = f"{number:02}-{report.system['name'].lower()}-{report.loop['name']}.json"
        write(folder / re.sub(r"[^\w.-]", "-", name), json.dumps(brief(report), indent=0) + "\n")


def known_results(name: str) -> list[tuple[str, str]]:
    """What the published runs have to say about a check."""
    found = []
    for path in sorted(KNOWN.glob("*.json")) if KNOWN.is_dir() else []:
        data = json.loads(path.read_text(encoding="utf-8"))
        if name in data["facts"]:
            word, *reason = data["facts"][name]
            found.append((f"{data['title']} ({data['date']})", ": ".join([word, *reason])))
    return found
