# SPDX-License-Identifier: MIT
"""`matrix`: areas by loops and systems, as text, Markdown, and a page with every fact behind it."""

from __future__ import annotations

import html
from collections.abc import Callable

from . import page, verdict
from .report import Fact, Report
from .tables import areas, cell, ratio

LEGEND = (
    "ok/asked; U: the loop says that it lacks it, H: hangs, C: crashes; "
    "n/a: this system or Python has no such thing"
)


def columns(reports: list[Report]) -> list[list[str]]:
    """The heads of the columns: loop and version, Python, system, date."""
    heads = []
    for report in reports:
        loop = " ".join(filter(None, (report.loop["name"], report.loop.get("version"))))
        python = report.python["version"] if report.python else "C"
        wine = report.system.get("wine")
        system = report.system["name"] + (f" (Wine {wine})" if wine else "")
        heads.append([loop, python, system, report.started[:10]])
    return heads


def rows(reports: list[Report]) -> list[tuple[str, list[str]]]:
    """Area by area, what each report has; then the sum."""
    tables = [dict(areas(report)) for report in reports]
    names = list(dict.fromkeys(name for table in tables for name in table))
    found = [
        (name, [ratio(table[name]) if name in table else "-" for table in tables]) for name in names
    ]
    found.append(("all", [ratio(report.counts()) for report in reports]))
    return found


def text(reports: list[Report]) -> str:
    """The table for a terminal."""
    heads, body = columns(reports), rows(reports)
    widths = [
        max(len(line) for line in [*head, *(cells[index] for _, cells in body)])
        for index, head in enumerate(heads)
    ]
    first = max(len("system"), *(len(name) for name, _ in body))
    lines = []
    for index, title in enumerate(("loop", "Python", "system", "date")):
        cells = [head[index].ljust(width) for head, width in zip(heads, widths, strict=True)]
        lines.append("  ".join([title.ljust(first), *cells]).rstrip())
    lines.append("  ".join(["-" * first, *("-" * width for width in widths)]))
    for name, cells in body:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([name.ljust(first), *padded]).rstrip())
    return "\n".join([*lines, "", LEGEND]) + "\n"


def markdown(reports: list[Report]) -> str:
    """The table for a repository."""
    heads = columns(reports)
    lines = ["| area | " + " | ".join("<br>".join(map(cell, head)) for head in heads) + " |"]
    lines.append("|---|" + "---|" * len(heads))
    for name, cells in rows(reports):
        shown = f"**{name}**" if name == "all" else cell(name)
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", LEGEND]) + "\n"


def as_html(reports: list[Report]) -> str:
    """The page: the table, then per area every fact of every report."""
    heads = ["<br>".join(map(html.escape, head)) for head in columns(reports)]
    body = []
    for name, cells in rows(reports):
        known = html.escape(name)
        link = f'<a href="#{known}">{known}</a>' if name != "all" else "<b>all</b>"
        shown = "".join(f"<td class=number>{_bar(cell)}{cell}</td>" for cell in cells)
        body.append(f'<tr><th scope="row">{link}</th>{shown}</tr>')
    parts = [
        f"<p>{html.escape(LEGEND)}</p>",
        page.table("facts by area", ["area", *heads], "".join(body)),
    ]
    tables = [{fact.name: fact for fact in report.facts} for report in reports]
    names = list(dict.fromkeys(fact.name for report in reports for fact in report.facts))
    for area in dict.fromkeys(fact.area for report in reports for fact in report.facts):
        facts = "".join(_fact_row(name, tables) for name in names if _area(name, tables) == area)
        known = html.escape(area)
        parts.append(f'<h2 id="{known}">{known}</h2>')
        parts.append(page.table(f"facts of {area}", ["check", *heads], facts))
    return page.document("What event loops do", "\n".join(parts))


def _area(name: str, tables: list[dict[str, Fact]]) -> str:
    return next(table[name].area for table in tables if name in table)


def _fact_row(name: str, tables: list[dict[str, Fact]]) -> str:
    cells = []
    for table in tables:
        fact = table.get(name)
        if fact is None:
            cells.append("<td class=na>-</td>")
            continue
        reason = html.escape(fact.reason)
        shown = f"<br><small>{reason}</small>" if fact.verdict != verdict.OK and reason else ""
        kind = page.css_class(fact.verdict)
        cells.append(f'<td class="{kind}">{fact.verdict}{shown}{page.details(fact)}</td>')
    return f'<tr><th scope="row"><code>{html.escape(name)}</code></th>{"".join(cells)}</tr>'


def _bar(cell: str) -> str:
    good, _, asked = cell.partition(" ")[0].partition("/")
    if not asked.isdigit():
        return ""
    share = 100 * int(good) // int(asked)
    return f'<span class=bar aria-hidden="true"><i style="width:{share}%"></i></span>'


FORMATS: dict[str, Callable[[list[Report]], str]] = {
    "text": text,
    "markdown": markdown,
    "html": as_html,
}
