# SPDX-License-Identifier: MIT
"""Runs CPython's own asyncio tests, unmodified, on any event loop, and judges the loop by them.

    python tests/cpython/run.py --loop evenloop
    python tests/cpython/run.py --loop uvloop --select 'test_sock_lowlevel.*' --json uvloop.json
    python tests/cpython/run.py --baseline-from proactor.json selector.json --write-baseline FILE

docs/cpython-tests.md explains the recipe, the verdicts and the files. The exit code is 0 when the
loop is blamed for nothing, 1 when it is (or an exclusion is stale), 2 for wrong usage, 130 after
Ctrl-C.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import catalogue
import reports
import supervisor
import verdict
from supervisor import Result, TestClass, Watch

HERE = Path(__file__).resolve().parent
MINIMUM = (3, 11)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run CPython's own asyncio tests, unmodified, on an event loop.",
    )
    parser.add_argument(
        "--loop",
        default="evenloop",
        help="evenloop, uvloop, asyncio (this system's stock loop), or MODULE:FACTORY",
    )
    parser.add_argument(
        "--select",
        action="append",
        metavar="PATTERN",
        help="only tests whose module.Class.test matches the pattern, or contains it; repeatable",
    )
    parser.add_argument("--jobs", type=positive, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--timeout", type=positive, default=60, help="seconds a test may take")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="what the stock loops fail on this system"
    )
    parser.add_argument("--exclusions", type=Path, metavar="FILE", default=HERE / "exclusions.txt")
    parser.add_argument("--list", action="store_true", help="print the tests and run nothing")
    parser.add_argument(
        "--baseline-from", type=Path, nargs="+", metavar="JSON", help="runs of the stock loops"
    )
    parser.add_argument("--write-baseline", type=Path, metavar="FILE")
    parser.add_argument(
        "--table", type=Path, nargs="+", metavar="JSON", help="runs to compare, as a table"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="where the table belongs")
    options = parser.parse_args(argv)
    if bool(options.baseline_from) != bool(options.write_baseline):
        parser.error("--baseline-from and --write-baseline belong together")
    return options


def positive(text: str) -> int:
    """A whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def matches(name: str, patterns: list[str] | None) -> bool:
    """Whether `name` is selected."""
    return not patterns or any(
        fnmatch.fnmatchcase(name, pattern) or pattern in name for pattern in patterns
    )


def write_baseline(sources: list[Path], target: Path) -> None:
    """The failures that all the runs share, written where --baseline reads them."""
    runs = [reports.read_json(path) for path in sources]
    known = verdict.common_failures([results for _, results in runs])
    loops = " and ".join(loop for loop, _ in runs)
    lines = [
        f"# What {loops} fail on CPython {platform.python_version()}, {verdict.SYSTEM}:",
        "# the faults of the system, not of a loop.",
        "# Written by run.py --write-baseline; measure again rather than edit.",
        *(f"{name}  # {outcomes}" for name, outcomes in known.items()),
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(known)} tests fail with every one of {loops}: written to {target}")


def run_quietly(loop: str, classes: list[TestClass], watch: Watch, jobs: int) -> dict[str, str]:
    """The outcomes of a run without a display."""
    outcomes: dict[str, str] = {}

    def take(result: Result) -> None:
        outcomes.setdefault(result.name, result.outcome)

    supervisor.run_classes(loop, classes, watch, jobs, take)
    return outcomes


def ask_stock(judged: verdict.Verdict, classes: list[TestClass], watch: Watch, jobs: int) -> None:
    """Runs what was skipped or failed on the system's stock loops as well.

    A test that one of them does not skip may not be skipped; for a failure, their own outcome tells
    the reader where to look.
    """
    doubtful = {
        name
        for name in judged.results
        if judged.of(name) == "FAILED" or judged.results[name].outcome == "skip"
    }
    again = [cls.only(doubtful.__contains__) for cls in classes]
    again = [cls for cls in again if cls.tests]
    if not again:
        return
    for loop in catalogue.STOCK_LOOPS:
        print(f"asking {loop} about {sum(len(cls.tests) for cls in again)} of them")
        for name, outcome in run_quietly(loop, again, watch, jobs).items():
            if name not in judged.results:
                continue
            if judged.results[name].outcome == "skip" and outcome != "skip":
                judged.unlike_stock[name] = outcome
            elif judged.stock.get(name) != "pass":
                judged.stock[name] = outcome


def run(options: argparse.Namespace) -> int:
    """Runs and judges; the exit code."""
    classes, absent = supervisor.list_classes(options.loop)
    classes = [cls.only(lambda name: matches(name, options.select)) for cls in classes]
    classes = [cls for cls in classes if cls.tests]
    if options.list:
        for cls in classes:
            for test in cls.tests:
                print(f"{cls.label}.{test}")
        return 0
    total = sum(len(cls.tests) for cls in classes)
    if not total:
        print("no test has a name like that: see --list", file=sys.stderr)
        return 2
    print(
        f"{total} tests in {len(classes)} classes of CPython {platform.python_version()} on"
        f" {options.loop}, {options.jobs} at a time"
    )
    for module, reason in absent.items():
        print(f"not on this system: {module} ({reason})")
    judged = verdict.Verdict({})
    if not catalogue.is_stock(options.loop):
        judged.excluded = verdict.select_exclusions(verdict.read_exclusions(options.exclusions))
        if options.baseline:
            judged.known = verdict.read_baseline(options.baseline)
    watch = Watch(options.timeout, frozenset(judged.excluded) | frozenset(judged.known))
    began = time.monotonic()
    follow(options, classes, watch, judged, total)
    if not catalogue.is_stock(options.loop):
        ask_stock(judged, classes, Watch(options.timeout), options.jobs)
    print(*reports.table(judged), "", *reports.conclusions(judged), sep="\n")
    print(f"{time.monotonic() - began:.0f} seconds")
    if options.junit:
        reports.write_junit(options.junit, options.loop, judged)
    if options.json:
        reports.write_json(options.json, options.loop, judged)
    return 1 if judged.failed else 0


def follow(
    options: argparse.Namespace,
    classes: list[TestClass],
    watch: Watch,
    judged: verdict.Verdict,
    total: int,
) -> None:
    """Runs everything with a display, filling in the results."""
    progress = reports.Progress(total, sys.stdout)

    def take(result: Result) -> None:
        # A class may die between its tests more than once; its first death says enough.
        if result.name not in judged.results:
            judged.results[result.name] = result
            progress.result(result)

    try:
        supervisor.run_classes(
            options.loop,
            classes,
            watch,
            options.jobs,
            take,
            progress.started,
            progress.finished,
        )
    finally:
        progress.close()


def main(argv: list[str] | None = None) -> int:
    """The program."""
    options = arguments(argv)
    reports.plain(sys.stdout)
    if sys.version_info < MINIMUM:
        print(f"CPython {MINIMUM[0]}.{MINIMUM[1]} or newer is needed", file=sys.stderr)
        return 2
    try:
        import test.test_asyncio  # noqa: F401
    except ImportError:
        print(
            f"{sys.executable} comes without its tests (the package `test`): install them"
            " (Debian: libpython3.X-testsuite) or use a Python that has them",
            file=sys.stderr,
        )
        return 2
    try:
        if options.table:
            if options.page:
                reports.write_table(options.page, options.table)
            else:
                print(reports.comparison(options.table))
            return 0
        if options.write_baseline:
            write_baseline(options.baseline_from, options.write_baseline)
            return 0
        return run(options)
    except supervisor.Unusable as exc:
        print(f"the loop {options.loop} cannot be tested: {exc}", file=sys.stderr)
        return 2
    except (verdict.Malformed, reports.Unmarked, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        sys.stdout.flush()  # into a pipe it is held back, and would come after the last word
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
