# SPDX-License-Identifier: MIT
"""The figures of bench/lock_handoff.c: what a lock costs without Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import run

MARK = "<!-- bench-locks-c -->"


def measure(program: Path, *arguments: str) -> dict[str, Any]:
    """Run the program; its progress goes to standard error."""
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise run.BenchError(f"{program.name} ended with exit code {done.returncode}.")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def table(report: dict[str, Any], machine: str) -> str:
    """The report in Markdown."""
    hand_offs = report["rounds"] * report["hand_offs"]
    lines = [
        f"{report['rounds']} rounds, {hand_offs:,} hand-offs each, medians and 99th percentiles in"
        f" microseconds. {machine}.",
        "",
        "| lock | alone | p99 | hand-off, cores idle | p99 | cores awake | p99 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind in report["kinds"]:
        cells = [
            f"{kind[what][figure]:,.1f}"
            for what in ("alone", "idle", "awake")
            for figure in ("median_us", "p99_us")
        ]
        lines.append(f"| {kind['label']} | {' | '.join(cells)} |")
    return "\n".join(lines)
