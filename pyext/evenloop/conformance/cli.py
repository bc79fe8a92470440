# SPDX-License-Identifier: MIT
"""The command line: `python -m evenloop.conformance`, also installed as `evenloop-conformance`.

Exit codes: 0 nothing to complain about, 1 a check is not ok or reports differ, 2 wrong usage or an
unreadable file, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import check as register
from . import compare, explain, loops, matrix, progress, report, runner, tables
from .check import TIERS, Check, Misuse
from .report import Fact, Report


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    main = argparse.ArgumentParser(
        prog="evenloop-conformance",
        description="What an event loop really does, fact by fact, on any system.",
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run the checks on a loop"))

    listing = commands.add_parser("list", help="list the checks")
    _add_selection(listing)
    listing.add_argument("--format", choices=("text", "json"), default="text")

    explaining = commands.add_parser("explain", help="what a check asks, why, and who says so")
    explaining.add_argument("name", metavar="NAME", nargs="+")

    diff = commands.add_parser("diff", help="facts whose observations differ between reports")
    diff.add_argument("reports", metavar="REPORT", nargs="+", type=Path)
    diff.add_argument("--allow", metavar="FILE", type=Path, help="differences with reasons")
    diff.add_argument("--format", choices=("text", "json"), default="text")
    diff.add_argument("--verbose", action="store_true", help="also what is explained or n/a")

    table = commands.add_parser("matrix", help="areas by loops and systems")
    table.add_argument("reports", metavar="REPORT", nargs="+", type=Path)
    table.add_argument("--format", choices=tuple(matrix.FORMATS), default="text")
    table.add_argument("--output", metavar="FILE", type=Path)
    table.add_argument(
        "--known", metavar="FOLDER", type=Path, help="also leave there what `explain` shows of them"
    )
    return main


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--loop",
        metavar="LOOP",
        help=f"{', '.join(loops.KNOWN)}, or MODULE:FACTORY (default: evenloop)",
    )
    _add_selection(run)
    run.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="checks at once")
    run.add_argument("--format", choices=tuple(tables.FORMATS), default="table")
    run.add_argument("--output", metavar="FILE", type=Path, help="where the report goes")
    run.add_argument(
        "--rerun-failures",
        metavar="REPORT",
        type=Path,
        help="run what is not ok in this JSON report and give that report with those facts new",
    )
    run.add_argument(
        "--slow", metavar="FACTOR", type=_factor, default=1.0, help="time limits times this (1)"
    )
    run.add_argument("--progress", choices=("auto", "bar", "plain", "none"), default="auto")
    run.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    run.add_argument(
        "--start",
        choices=("fork", "spawn") if hasattr(os, "fork") else ("spawn",),
        default=runner.default_start(),
        help="how the process of a check begins (%(default)s)",
    )


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--area", action="append", default=[], metavar="AREA", help="repeatable")
    command.add_argument(
        "--check", action="append", default=[], metavar="NAME", help="may hold * and ?; repeatable"
    )
    command.add_argument("--tier", action="append", default=[], choices=tuple(TIERS))


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return value


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def selected(options: argparse.Namespace) -> list[Check]:
    """The checks that the options name."""
    chosen = register.select(register.load(), options.area, options.check)
    found = [check for check in chosen if not options.tier or check.tier in options.tier]
    if not found:
        raise Misuse(f"None of these checks is of the tier {' or '.join(options.tier)}.")
    return found


def run(options: argparse.Namespace) -> int:
    """`run`: 0 if every check is ok or n/a."""
    if options.output is not None:
        report.must_be_writable(options.output)  # known before the run, whose results it takes
    previous = report.load(options.rerun_failures) if options.rerun_failures else None
    loop = options.loop
    if loop is None:
        loop = previous.loop["name"] if previous is not None else "evenloop"
    checks = selected(options)
    if previous is not None:
        must_be_same(previous, loop, options.rerun_failures)
        failed = {fact.name for fact in previous.facts if fact.bad}
        checks = [check for check in checks if check.name in failed]
    display = progress.choose(options.progress, len(checks))
    try:
        result = runner.Run(
            loop,
            checks,
            jobs=options.jobs,
            scale=options.slow,
            start=options.start,
            on_start=display.started,
            on_fact=display.finished,
        ).report()
    finally:
        display.close()
    if previous is not None:
        merge(result, previous)
    publish(result, options)
    return 1 if any(fact.bad for fact in result.facts) else 0


def must_be_same(previous: Report, loop: str, path: Path) -> None:
    """A report can only be completed by the loop, Python and system that it is about."""
    here = (loop, report.this_python()["version"], report.this_system()["name"])
    python = previous.python["version"] if previous.python else None
    there = (previous.loop["name"], python, previous.system["name"])
    if here != there:
        raise Misuse(
            f"{path} is about {there[0]} on Python {there[1]}, {there[2]}; "
            f"this run would be about {here[0]} on Python {here[1]}, {here[2]}."
        )


def merge(result: Report, previous: Report) -> None:
    """Put the new facts in the place of the old ones."""
    fresh: dict[str, Fact] = {fact.name: fact for fact in result.facts}
    result.facts = [fresh.get(fact.name, fact) for fact in previous.facts]


def publish(result: Report, options: argparse.Namespace) -> None:
    """Write the report where it was asked for; a file leaves one line on standard error."""
    if options.output is not None:
        report.write(options.output, tables.FORMATS[options.format](result))
        sys.stderr.write(f"{tables.summary(result)}\n")
    elif options.format == "table":
        colours = progress.wants_colour(sys.stdout, options.color)
        write(tables.table(result, tables.coloured if colours else tables.plain))
    else:
        write(tables.FORMATS[options.format](result))


def write(text: str) -> None:
    """To standard output, whatever its encoding can show."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        raise Misuse(f"Standard output cannot be written: {error.strerror or error}.") from error


def list_checks(options: argparse.Namespace) -> int:
    """`list`."""
    checks = selected(options)
    if options.format == "json":
        entries = [
            {
                "name": check.name,
                "area": check.area,
                "tier": check.tier,
                "statement": check.statement,
                "source": check.source,
            }
            for check in checks
        ]
        write(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
        return 0
    for check in checks:
        write(f"{check.tier:<9} {check.name:<56} {check.statement}\n")
    write(f"{len(checks)} checks in {len({check.area for check in checks})} areas\n")
    return 0


def explain_checks(options: argparse.Namespace) -> int:
    """`explain`."""
    checks = register.select(register.load(), [], options.name)
    write("\n".join(explain.explain(check) for check in checks))
    return 0


def diff(options: argparse.Namespace) -> int:
    """`diff`: 1 if anything differs that the list does not explain."""
    if len(options.reports) < 2:
        raise Misuse("diff needs at least two reports.")
    allowed = compare.read_allowed(options.allow) if options.allow else None
    result = compare.compare([report.load(path) for path in options.reports], allowed)
    if options.format == "json":
        write(json.dumps(compare.as_json(result), indent=1, ensure_ascii=False) + "\n")
    else:
        write(compare.text(result, verbose=options.verbose))
    return 0 if result.clean else 1


def show_matrix(options: argparse.Namespace) -> int:
    """`matrix`."""
    reports = [report.load(path) for path in options.reports]
    if options.known is not None:
        explain.remember(reports, options.known)
    text = matrix.FORMATS[options.format](reports)
    if options.output is None:
        write(text)
    else:
        report.write(options.output, text)
    return 0


COMMANDS = {
    "run": run,
    "list": list_checks,
    "explain": explain_checks,
    "diff": diff,
    "matrix": show_matrix,
}


def open_standard_streams() -> None:
    """What was closed by who started us becomes the null device, so that no other file takes it."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    open_standard_streams()
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except Misuse as error:
        sys.stderr.write(f"evenloop-conformance: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nevenloop-conformance: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def script() -> None:
    """The entry point of `evenloop-conformance`."""
    if os.getcwd() not in sys.path:  # as python -m does, for MODULE:FACTORY
        sys.path.insert(0, os.getcwd())
    sys.exit(main())
