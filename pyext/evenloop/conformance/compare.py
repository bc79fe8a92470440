# SPDX-License-Identifier: MIT
"""`diff`: which facts differ between reports, and the file of differences that are understood.

A fact counts as different if its observations differ, or one loop has it and the other says
UNSUPPORTED, hangs or crashes. Where it is n/a on one side, or one report did not ask, it cannot be
compared; those are counted and named apart.

The file of `--allow` holds sections of `name  reason` lines; # begins a comment. An entry that
names no difference any more is reported, so that the file can only shrink by being right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase

from . import verdict
from .check import Misuse
from .observation import Json, one_line, same, short
from .report import Fact, Report


@dataclass
class Difference:
    """One fact, as each report has it."""

    name: str
    facts: list[Fact]
    allowed: str | None = None  # the reason, if somebody gave one


@dataclass
class Comparison:
    """What some reports have in common, and what not."""

    titles: list[str]
    same: int = 0
    differences: list[Difference] = field(default_factory=list)
    apart: list[tuple[str, str]] = field(default_factory=list)  # not comparable: (name, why)
    stale: list[str] = field(default_factory=list)

    @property
    def surprises(self) -> list[Difference]:
        """The differences that nobody has explained."""
        return [found for found in self.differences if found.allowed is None]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to act on."""
        return not self.surprises and not self.stale


def compare(reports: list[Report], allowed: dict[str, str] | None = None) -> Comparison:
    """Compare the reports fact by fact, in the order of the first."""
    result = Comparison([report.title() for report in reports])
    tables = [{fact.name: fact for fact in report.facts} for report in reports]
    names = list(dict.fromkeys(fact.name for report in reports for fact in report.facts))
    for name in names:
        facts = [table[name] for table in tables if name in table]
        if len(facts) < len(tables):
            missing = [
                title
                for title, table in zip(result.titles, tables, strict=True)
                if name not in table
            ]
            result.apart.append((name, f"not in the report of {'; '.join(missing)}"))
        elif reasons := [fact.reason for fact in facts if fact.verdict == verdict.NOT_APPLICABLE]:
            result.apart.append((name, reasons[0]))
        elif all(same(facts[0].comparable(), fact.comparable()) for fact in facts[1:]):
            result.same += 1
        else:
            result.differences.append(Difference(name, facts, (allowed or {}).get(name)))
    found = {difference.name for difference in result.differences}
    result.stale = [name for name in allowed or {} if name not in found]
    return result


def read_allowed(path: Path) -> dict[str, str]:
    """The names and reasons of a file of understood differences."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"The list {path} cannot be read: {error}.") from error
    allowed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        entry = line.split("#", 1)[0].strip()
        if not entry or entry.startswith("["):
            continue
        name, _, reason = entry.partition(" ")
        if not reason.strip():
            raise Misuse(f"{path}, line {number}: {name} has no reason.")
        if name in allowed:
            raise Misuse(f"{path}, line {number}: {name} stands there twice.")
        allowed[name] = reason.strip()
    return allowed


def text(result: Comparison, *, verbose: bool = False) -> str:
    """A comparison for people."""
    names = letters(len(result.titles))
    lines = [f"{letter}: {title}" for letter, title in zip(names, result.titles, strict=True)]
    lines.append("")
    for difference in result.surprises:
        lines.append(difference.name)
        for letter, fact in zip(names, difference.facts, strict=True):
            lines.append(f"  {letter}  {describe(fact)}")
    explained = len(result.differences) - len(result.surprises)
    for name in result.stale:
        lines.append(f"{name}: allowed to differ, but does not: take it off the list")
    if verbose:
        lines += [
            f"{found.name}: differs, {found.allowed}"
            for found in result.differences
            if found.allowed
        ]
        lines += [f"{name}: not compared, {why}" for name, why in result.apart]
    lines.append(
        f"{result.same} facts agree, {len(result.surprises)} differ, "
        f"{explained} differ with a reason, {len(result.apart)} cannot be compared"
    )
    return "\n".join(lines) + "\n"


def letters(count: int) -> list[str]:
    """A, B, C ... Z, A2, B2 ..."""
    rounds = ["", *(str(number) for number in range(2, count // 26 + 2))]
    return [letter + number for number in rounds for letter in ascii_uppercase][:count]


def describe(fact: Fact) -> str:
    """A fact in a line: the observation where there is one."""
    if fact.verdict in (verdict.OK, verdict.FAIL):
        return f"{fact.verdict:<4} {short(fact.observation)}"
    return f"{fact.verdict} {one_line(fact.reason)}".rstrip()


def as_json(result: Comparison) -> dict[str, Json]:
    """The same for programs."""
    return {
        "reports": list(result.titles),
        "same": result.same,
        "differences": [
            {
                "name": found.name,
                "reason": found.allowed,
                "facts": [
                    {
                        "verdict": fact.verdict,
                        "observation": fact.observation,
                        "reason": fact.reason,
                    }
                    for fact in found.facts
                ],
            }
            for found in result.differences
        ],
        "not comparable": [{"name": name, "reason": why} for name, why in result.apart],
        "stale": list(result.stale),
    }
