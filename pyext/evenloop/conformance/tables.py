# SPDX-License-Identifier: MIT
"""A report as text, Markdown, JUnit's XML, JSON and a page to look at."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from xml.etree import ElementTree

from . import page, verdict
from .observation import one_line, short
from .report import Fact, Report

COLOURS = {
    verdict.OK: "32",
    verdict.FAIL: "31",
    verdict.UNSUPPORTED: "33",
    verdict.HANG: "35",
    verdict.CRASH: "1;31",
    verdict.NOT_APPLICABLE: "2",
}
Paint = Callable[[str, str], str]


def plain(text: str, _: str) -> str:
    """No colour."""
    return text


def coloured(text: str, name: str) -> str:
    """The colour of a verdict, for a terminal."""
    return f"\x1b[{COLOURS[name]}m{text}\x1b[0m"


def summary(report: Report) -> str:
    """One line: how many facts have which verdict."""
    counts = report.counts()
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    return f"{report.title()}: {', '.join(parts) or 'nothing to check'} in {report.duration:.1f} s"


def areas(report: Report) -> list[tuple[str, dict[str, int]]]:
    """Each area that the report has, with how many facts have each verdict."""
    found: dict[str, dict[str, int]] = {}
    for fact in report.facts:
        counts = found.setdefault(fact.area, dict.fromkeys(verdict.VERDICTS, 0))
        counts[fact.verdict] += 1
    return list(found.items())


def ratio(counts: dict[str, int]) -> str:
    """'41/42' of what this system and Python have, and how many say no, hang or crash."""
    total = sum(counts.values()) - counts[verdict.NOT_APPLICABLE]
    if not total:
        return "n/a"
    text = f"{counts[verdict.OK]}/{total}"
    marks = {verdict.UNSUPPORTED: "U", verdict.HANG: "H", verdict.CRASH: "C"}
    extra = [f"{counts[name]}{mark}" for name, mark in marks.items() if counts[name]]
    return f"{text} ({' '.join(extra)})" if extra else text


def table(report: Report, paint: Paint = plain) -> str:
    """Every fact in a line, what was observed under those that are not ok, and the sums."""
    lines = [report.title(), ""]
    if report.loop.get("error"):
        lines += [f"The loop could not be made: {report.loop['error']}", ""]
    for fact in report.facts:
        mark = paint(f"{fact.verdict:<11}", fact.verdict)
        lines.append(f"{mark} {fact.name:<56} {fact.duration * 1000:7.0f} ms")
        if fact.reason:
            lines.append(f"            {one_line(fact.reason)}")
    lines += ["", f"{'area':<20} {'ok':>8}"]
    lines += [f"{name:<20} {ratio(counts):>8}" for name, counts in areas(report)]
    lines += ["", summary(report)]
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """The file format."""
    return json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n"


def junit(report: Report) -> str:
    """JUnit's XML: n/a is a skipped test, FAIL a failure, everything else an error."""
    counts = report.counts()
    suite = ElementTree.Element(
        "testsuite",
        name=f"evenloop.conformance: {report.title()}",
        tests=str(len(report.facts)),
        failures=str(counts[verdict.FAIL]),
        errors=str(sum(counts[name] for name in verdict.BAD) - counts[verdict.FAIL]),
        skipped=str(counts[verdict.NOT_APPLICABLE]),
        time=f"{report.duration:.2f}",
        timestamp=report.started.rstrip("Z"),
    )
    for fact in report.facts:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"conformance.{fact.area}",
            name=fact.name,
            time=f"{fact.duration:.3f}",
        )
        if fact.verdict == verdict.NOT_APPLICABLE:
            ElementTree.SubElement(case, "skipped", message=one_line(fact.reason))
        elif fact.bad:
            tag = "failure" if fact.verdict == verdict.FAIL else "error"
            reason = one_line(fact.reason)
            problem = ElementTree.SubElement(case, tag, type=fact.verdict, message=reason)
            problem.text = _printable(_facts(fact))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _facts(fact: Fact) -> str:
    if fact.verdict != verdict.FAIL:
        return fact.detail
    return f"expected: {short(fact.expected, 2000)}\nobserved: {short(fact.observation, 2000)}"


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(char if char >= " " or char in "\n\t" else "?" for char in text)


def markdown(report: Report) -> str:
    """A table that a repository shows."""
    lines = [f"# {report.title()}", "", summary(report), "", "| area | ok |", "|---|---|"]
    lines += [f"| {name} | {ratio(counts)} |" for name, counts in areas(report)]
    bad = [fact for fact in report.facts if fact.verdict != verdict.OK]
    if bad:
        lines += ["", "| check | verdict | what happened |", "|---|---|---|"]
        lines += [f"| `{fact.name}` | {fact.verdict} | {cell(fact.reason)} |" for fact in bad]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that does not break out of a Markdown table."""
    text = " ".join(text.split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def as_html(report: Report) -> str:
    """A page of its own."""
    rows = []
    for fact in report.facts:
        rows.append(
            f'<tr class="{page.css_class(fact.verdict)}"><td>{fact.verdict}</td>'
            f'<th scope="row"><code>{html.escape(fact.name)}</code></th>'
            f"<td>{html.escape(fact.tier)}</td>"
            f"<td>{html.escape(fact.reason)}{page.details(fact)}</td>"
            f"<td class=number>{fact.duration * 1000:.0f} ms</td></tr>"
        )
    sums = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class=number>{ratio(counts)}</td></tr>'
        for name, counts in areas(report)
    )
    heads = ["verdict", "check", "tier", "what happened", "time"]
    body = (
        f"<p>{html.escape(summary(report))}</p>"
        + page.table("facts by area", ["area", "ok"], sums)
        + page.table("facts", heads, "".join(rows))
    )
    return page.document(report.title(), body)


FORMATS: dict[str, Callable[[Report], str]] = {
    "table": table,
    "json": as_json,
    "junit": junit,
    "markdown": markdown,
    "html": as_html,
}
