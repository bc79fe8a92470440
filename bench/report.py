# SPDX-License-Identifier: MIT
"""What the measurements say: summaries, tables on a terminal and in Markdown, the targets.

All figures are medians over the rounds. A ratio is formed within each round, between runs that
were neighbours in time, and the median of these ratios is shown: what slowed a whole round down
does not show in it.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

YARDSTICK = "c"
TITLES = {
    "c": "C on libuv",
    "c-poll": "C on uv_poll",
    "asyncio": "asyncio",
    "uvloop": "uvloop",
    "evenloop": "evenloop",
}
MARK_BEGIN = "<!-- bench -->"
MARK_END = "<!-- /bench -->"

Results = dict[str, Any]


@dataclass
class Table:
    """Rows of text under column titles; the first column is aligned left, the others right."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def plain(self) -> str:
        """Return the table as aligned text."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = [self.title, ""]
        for line in lines:
            cells = [
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            text.append("  ".join(cells).rstrip())
        text.insert(3, "-" * max(len(line) for line in text[2:]))
        return "\n".join(text) + "\n"

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rule = ["---" if i == 0 else "---:" for i in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{body}\n"

    def show(self, output: TextIO) -> None:
        """Print the table, with rich where it is installed."""
        try:
            from rich.console import Console
            from rich.table import Table as RichTable
        except ImportError:
            output.write(self.plain() + "\n")
            return
        table = RichTable()
        for i, column in enumerate(self.columns):
            table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        # Into a pipe, rich would cut the table at 80 columns.
        width = None if output.isatty() else 140
        console = Console(file=output, width=width)
        console.print(self.title, soft_wrap=True)
        console.print(table)


def median_or_none(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def rate_of(load: Results) -> float:
    """Return the messages a second of one run."""
    return float(load["per_second"])


def cpu_of(load: Results) -> float | None:
    """Return the server's processor time a message, in nanoseconds."""
    if load["server_cpu_ns"] is None or not load["messages"]:
        return None
    return float(load["server_cpu_ns"]) / float(load["messages"])


@dataclass
class EchoSummary:
    """One contender in one scenario: medians over the rounds."""

    runs: int
    rate: float | None
    rate_ratio: float | None
    cpu_ns: float | None
    cpu_ratio: float | None
    p50_us: float | None
    p99_us: float | None
    p999_us: float | None
    failures: int


def ratio(value: float | None, base: float | None) -> float | None:
    """Divide, where both are known."""
    return None if value is None or not base else value / base


def summarise_echo(results: Results, scenario: str, contender: str) -> EchoSummary:
    """Take the medians of one contender in one scenario."""
    runs = [
        run
        for run in results["echo"]
        if run["scenario"] == scenario and run["contender"] == contender
    ]
    yardstick = {
        run["round"]: run["load"]
        for run in results["echo"]
        if run["scenario"] == scenario and run["contender"] == YARDSTICK and not run["failure"]
    }
    good = [run for run in runs if not run["failure"]]
    loads = [run["load"] for run in good]
    pairs = [(run["load"], yardstick[run["round"]]) for run in good if run["round"] in yardstick]
    return EchoSummary(
        runs=len(good),
        rate=median_or_none(rate_of(load) for load in loads),
        rate_ratio=median_or_none(ratio(rate_of(load), rate_of(base)) for load, base in pairs),
        cpu_ns=median_or_none(cpu_of(load) for load in loads),
        cpu_ratio=median_or_none(ratio(cpu_of(load), cpu_of(base)) for load, base in pairs),
        p50_us=median_or_none(load["latency_us"]["p50"] for load in loads),
        p99_us=median_or_none(load["latency_us"]["p99"] for load in loads),
        p999_us=median_or_none(load["latency_us"]["p99.9"] for load in loads),
        failures=len(runs) - len(good),
    )


def text(value: float | None, form: str) -> str:
    """Format a figure that may be unknown."""
    return "-" if value is None or math.isnan(value) else format(value, form)


def echo_table(results: Results) -> Table:
    """Every scenario with every contender that took part in it."""
    table = Table(
        "Echo servers: requests a second, and the server's processor time for each message",
        ("scenario, server", "req/s", "x C", "CPU us", "x C", "p50 us", "p99 us", "p99.9 us"),
    )
    for scenario, label in results["scenarios"].items():
        table.rows.append((label, *[""] * 7))
        for contender in results["contenders"]:
            summary = summarise_echo(results, scenario, contender)
            if not summary.runs and not summary.failures:
                continue
            failed = f" ({summary.failures} failed)" if summary.failures else ""
            cpu_us = None if summary.cpu_ns is None else summary.cpu_ns / 1e3
            table.rows.append(
                (
                    f". {TITLES[contender]}{failed}",
                    text(summary.rate, ",.0f"),
                    text(summary.rate_ratio, ".2f"),
                    text(cpu_us, ".2f"),
                    text(summary.cpu_ratio, ".2f"),
                    text(summary.p50_us, ".0f"),
                    text(summary.p99_us, ".0f"),
                    text(summary.p999_us, ".0f"),
                )
            )
    return table


def micro_ns(results: Results, loop: str, benchmark: str) -> dict[int, float]:
    """Return round -> nanoseconds an operation."""
    return {
        run["round"]: float(run["figures"][benchmark]["cpu_ns"])
        for run in results["micro"]
        if run["contender"] == loop and not run["failure"] and benchmark in run["figures"]
    }


def micro_ratio(results: Results, loop: str, base: str, benchmark: str) -> float | None:
    """Return the median over the rounds of loop / base."""
    bases = micro_ns(results, base, benchmark)
    figures = micro_ns(results, loop, benchmark)
    return median_or_none(
        ratio(figure, bases[number]) for number, figure in figures.items() if number in bases
    )


def micro_table(results: Results) -> Table:
    """Every operation on every loop, beside uvloop where it took part."""
    loops = [name for name in results["contenders"] if name in results["micro_loops"]]
    base = "uvloop" if "uvloop" in loops else "asyncio"
    columns = ["operation, ns"]
    for loop in loops:
        columns.append(loop)
        if loop != base:
            columns.append(f"x {base}")
    table = Table("Single operations: nanoseconds of processor time, all threads", columns)
    names = dict.fromkeys(name for run in results["micro"] for name in run["figures"])
    for name in names:
        row = [name]
        for loop in loops:
            row.append(text(median_or_none(micro_ns(results, loop, name).values()), ",.0f"))
            if loop != base:
                row.append(text(micro_ratio(results, loop, base, name), ".2f"))
        table.rows.append(row)
    return table


@dataclass
class Target:
    """Something evenloop has set out to reach."""

    what: str
    measured: float | None
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None when it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def line(self) -> str:
        """Say it in one line."""
        verdict = {None: "not measured", True: "met", False: "MISSED"}[self.met]
        sign = "at least" if self.at_least else "at most"
        return f"{self.what}: {text(self.measured, '.3f')}, {sign} {self.bound:.3f}: {verdict}"


def targets(results: Results) -> list[Target]:
    """Compare evenloop with what it has set out to reach."""
    scenario = "protocol-1k"
    ours = summarise_echo(results, scenario, "evenloop")
    uvloop = summarise_echo(results, scenario, "uvloop")
    wanted = [
        Target("requests a second, x C", ours.rate_ratio, 0.85, at_least=True),
        Target("processor time a message, x C", ours.cpu_ratio, 1.06),
    ]
    if uvloop.rate is not None:
        wanted += [
            Target("requests a second, x uvloop", ratio(ours.rate, uvloop.rate), 1.0, True),
            Target("processor time a message, x uvloop", ratio(ours.cpu_ns, uvloop.cpu_ns), 1.0),
        ]
    for name in ("call_soon_chain", "timer_cancel"):
        measured = micro_ratio(results, "evenloop", "uvloop", name)
        wanted.append(Target(f"{name}, x uvloop", measured, 0.5))
    return wanted


def machine_lines(results: Results) -> list[str]:
    """Say where, with what and how it was measured."""
    machine, settings = results["machine"], results["settings"]
    lines = [
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        f"Python: {machine['python']}; C programs: {machine['libuv']}",
        f"Measured: {machine['date']}, {settings['rounds']} rounds of {settings['seconds']:g} s, "
        + ("server on core 0, client on core 1" if settings["pin"] else "no process pinned"),
    ]
    for name, state in results["contenders"].items():
        if name not in (YARDSTICK, "c-poll"):
            lines.append(f"{TITLES[name]}: {state['version'] or 'absent, ' + state['reason']}")
    return lines


def tables(results: Results) -> list[Table]:
    """Return the tables that have rows."""
    found = [echo_table(results)] if results["echo"] else []
    if results["micro"]:
        found.append(micro_table(results))
    return found


def show(results: Results, output: TextIO) -> None:
    """Print everything."""
    output.write("\n")
    for line in machine_lines(results):
        output.write(line + "\n")
    output.write("\n")
    for table in tables(results):
        table.show(output)
        output.write("\n")
    if results["contenders"].get("evenloop", {}).get("version"):
        for target in targets(results):
            output.write(target.line() + "\n")


def write_markdown(results: Results, path: Path) -> None:
    """Replace what stands between the marks in the file; ValueError if the marks are missing."""
    document = path.read_text(encoding="utf-8")
    section = re.compile(re.escape(MARK_BEGIN) + ".*?" + re.escape(MARK_END), re.DOTALL)
    if not section.search(document):
        raise ValueError(f"{path} has no {MARK_BEGIN} ... {MARK_END} to fill")
    lines = "\n".join(f"- {line}" for line in machine_lines(results))
    body = "\n".join(table.markdown() for table in tables(results))
    filled = f"{MARK_BEGIN}\n\n{lines}\n\n{body}\n{MARK_END}"
    path.write_text(section.sub(lambda _: filled, document, count=1), encoding="utf-8")
