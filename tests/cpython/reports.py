# SPDX-License-Identifier: MIT
"""What a run shows: progress while it works, the summary, JUnit and JSON.

On a terminal the progress is one line that is rewritten; elsewhere it is a line a class, plain
enough for a log. Failures are shown as they happen in both.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, TextIO
from xml.etree import ElementTree

from supervisor import Result, TestClass
from verdict import SYSTEM, Verdict

COLUMNS = ("pass", "fail", "error", "hang", "crash", "skip")
# XML 1.0 has no way to say these, escaped or not.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Progress:
    """Shows the run as it goes."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._live = stream.isatty()
        self._done = 0
        self._bad = 0
        self._counts: dict[str, dict[str, int]] = {}
        self._seconds: dict[str, float] = {}

    def started(self, name: str) -> None:
        """A test has begun."""
        if self._live:
            self._rewrite(f"[{self._done}/{self._total}, {self._bad} bad] {name}")

    def result(self, result: Result) -> None:
        """A test has ended."""
        self._done += 1
        counts = self._counts.setdefault(result.label, {})
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
        self._seconds[result.label] = self._seconds.get(result.label, 0.0) + result.seconds
        if result.bad:
            self._bad += 1
            line = (result.message.splitlines() or [""])[0][:160]
            self._line(f"{result.outcome.upper():5} {result.name}: {line}")

    def finished(self, cls: TestClass) -> None:
        """A class has ended."""
        if not self._live:
            counts = ", ".join(
                f"{number} {outcome}"
                for outcome in COLUMNS
                if (number := self._counts.get(cls.label, {}).get(outcome))
            )
            seconds = self._seconds.get(cls.label, 0.0)
            self._line(f"[{self._done}/{self._total}] {cls.label}: {counts} ({seconds:.1f} s)")

    def close(self) -> None:
        """Leaves the line free for what follows."""
        if self._live:
            self._rewrite("")

    def _rewrite(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[K" + text[:width])
        self._stream.flush()

    def _line(self, text: str) -> None:
        if self._live:
            self._rewrite("")
        self._stream.write(text + "\n")
        self._stream.flush()


def table(verdict: Verdict) -> list[str]:
    """The summary by class and in total; `on loop`: the tests that made the loop under test."""
    rows: dict[str, dict[str, float]] = {}
    total: dict[str, float] = {}
    for result in verdict.results.values():
        for row in (rows.setdefault(result.label, {}), total):
            row[result.outcome] = row.get(result.outcome, 0) + 1
            row["tests"] = row.get("tests", 0) + 1
            row["on loop"] = row.get("on loop", 0) + bool(result.loops)
            row["seconds"] = row.get("seconds", 0.0) + result.seconds
    heads = ("tests", *COLUMNS, "on loop")
    width = max([5, *map(len, rows)])
    lines = ["  ".join(["class".ljust(width), *heads, "seconds"])]
    for name, row in [*sorted(rows.items()), ("total", total)]:
        cells = [str(int(row.get(head, 0)) or "-").rjust(len(head)) for head in heads]
        seconds = f"{row.get('seconds', 0.0):.1f}".rjust(7)
        lines.append("  ".join([name.ljust(width), *cells, seconds]))
    lines.insert(-1, "-" * len(lines[0]))
    return lines


def conclusions(verdict: Verdict) -> list[str]:
    """What the loop is blamed for, what is excused and why, and one last line that says it all."""
    lines: list[str] = []
    for name in verdict.named("FAILED"):
        result = verdict.results[name]
        lines.append(f"{'FAILED' if result.bad else 'SKIPPED'} {name}")
        lines.append(f"    {result.outcome}: {first_line(result.message)}")
        stock = verdict.unlike_stock.get(name) or verdict.stock.get(name)
        if stock is not None:
            lines.append(f"    the stock loop: {stock}")
    for name in verdict.named("stale"):
        line = verdict.excluded[name].line
        lines.append(f"STALE {name}: excluded (line {line}), yet it passes: take it off the list")
    altered = [result.name for result in verdict.results.values() if result.altered]
    if altered:
        lines.append(f"left threads or processes behind: {', '.join(altered)}")
    counts = {
        kind: len(verdict.named(kind)) for kind in ("ok", "skip", "known", "excluded", "FAILED")
    }
    lines.append(
        f"{len(verdict.results)} tests: {counts['ok']} as they should be, {counts['skip']} skipped"
        f" as on the stock loop, {counts['known']} known from the baseline, {counts['excluded']}"
        f" excluded, {counts['FAILED']} FAILED, {len(verdict.named('stale'))} stale exclusions"
    )
    return lines


def first_line(text: str) -> str:
    """The first line of `text`, cut to a width that a log can show."""
    return (text.splitlines() or [""])[0][:200]


def write_junit(path: Path, loop: str, verdict: Verdict) -> None:
    """One testsuite a class; excused failures appear as skipped, with the excuse."""
    root = ElementTree.Element("testsuites", name=f"CPython's asyncio tests on {loop}")
    suites: dict[str, ElementTree.Element] = {}
    for name, result in verdict.results.items():
        suite = suites.get(result.label)
        if suite is None:
            suite = ElementTree.SubElement(root, "testsuite", name=result.label)
            suites[result.label] = suite
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=result.label,
            name=name.rpartition(".")[2],
            time=f"{result.seconds:.3f}",
        )
        kind, message = junit_state(verdict, name)
        if kind:
            state = ElementTree.SubElement(case, kind, message=NOT_XML.sub("?", message))
            state.text = NOT_XML.sub("?", result.detail)
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(plural, str(sum(case.find(kind) is not None for case in suite)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def junit_state(verdict: Verdict, name: str) -> tuple[str, str]:
    """The child element of a test case and its message."""
    result = verdict.results[name]
    judged = verdict.of(name)
    if judged == "excluded":
        return "skipped", f"excluded: {verdict.excluded[name].reason}"
    if judged == "known":
        return "skipped", f"the stock loops fail it here too: {verdict.known[name]}"
    if judged == "stale":
        return "failure", "a stale exclusion: the test passes"
    if judged == "FAILED":
        kind = "failure" if result.outcome in ("fail", "skip") else "error"
        return kind, f"{result.outcome}: {result.message}"
    return ("skipped", result.message) if judged == "skip" else ("", "")


def write_json(path: Path, loop: str, verdict: Verdict) -> None:
    """Everything that was seen, for comparison and for baselines."""
    document = {
        "format": 1,
        "loop": loop,
        "python": platform.python_version(),
        "system": SYSTEM,
        "time": int(time.time()),
        "results": [
            {
                "name": name,
                "outcome": result.outcome,
                "verdict": verdict.of(name),
                "message": result.message,
                "detail": result.detail if result.bad else "",
                "seconds": result.seconds,
                "loops": result.loops,
                "altered": result.altered,
                "stock": verdict.unlike_stock.get(name) or verdict.stock.get(name),
            }
            for name, result in verdict.results.items()
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> tuple[str, dict[str, Result]]:
    """The loop and the results of an earlier run."""
    document = json.loads(path.read_text(encoding="utf-8"))
    results = {
        entry["name"]: Result(
            entry["name"],
            entry["outcome"],
            entry["message"],
            entry["detail"],
            entry["seconds"],
            entry["loops"],
            entry["altered"],
        )
        for entry in document["results"]
    }
    return document["loop"], results


TABLE_BEGIN = "<!-- cpython-tests -->"
TABLE_END = "<!-- /cpython-tests -->"
TABLE_HEAD = (
    "| CPython | loop | tests | on the loop | passed | failed | hung or crashed | skipped |"
    " excused | held against it | measured |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def comparison(paths: list[Path]) -> str:
    """The rows of several runs as a Markdown table, by system, version and loop."""
    rows: list[tuple[tuple[Any, ...], str]] = []
    for path in paths:
        document = json.loads(path.read_text(encoding="utf-8"))
        results = document["results"]
        count = Counter(entry["outcome"] for entry in results)
        judged = Counter(entry["verdict"] for entry in results)
        stock = document["loop"].startswith("asyncio")
        day = time.strftime("%Y-%m-%d", time.gmtime(document["time"]))
        cells = (
            f"{document['python']}, {document['system']}",
            document["loop"],
            len(results),
            sum(bool(entry["loops"]) for entry in results),
            count["pass"],
            count["fail"] + count["error"],
            count["hang"] + count["crash"],
            count["skip"],
            # A stock loop is measured without rules.
            "" if stock else judged["excluded"] + judged["known"],
            "" if stock else judged["FAILED"] + judged["stale"],
            day,
        )
        version = [int(part) for part in re.findall(r"\d+", document["python"])[:3]]
        key = (document["system"], version, document["loop"] == "evenloop", document["loop"])
        rows.append((key, f"| {' | '.join(map(str, cells))} |"))
    return "\n".join([TABLE_HEAD, *(row for _, row in sorted(rows))])


def write_table(page: Path, paths: list[Path]) -> None:
    """Puts the table of these runs between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise Unmarked(f"{page}: the lines `{TABLE_BEGIN}` and `{TABLE_END}` are not both there")
    table = comparison(paths)
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8", newline="\n")


class Unmarked(Exception):
    """A page that does not say where its table belongs."""


def plain(stream: TextIO = sys.stdout) -> None:
    """Makes `stream` take any text: a test's message may hold what the console cannot show."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace", line_buffering=True)
