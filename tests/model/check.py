# SPDX-License-Identifier: MIT
"""Searches the model of the lock protocol, and models with a fault in it, with Spin.

    python tests/model/check.py [--processes N] [--keep FOLDER]

Each row of the table is one complete search. The protocol itself has to be without error, on
systems that convert a lock in one step and on those that cannot; every model with a deliberate
fault has to be found out, by the error that the fault causes: a search that finds nothing anywhere
proves nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).resolve().parent / "lock.pml"
LIMIT = 300.0  # seconds for one search; it takes a few

# What a search looks for: how it is compiled, how it is run.
SAFETY = ("-DSAFETY",), ()
SERVED = (), ("-a", "-f")
PROGRESS = ("-DNP",), ("-l", "-f")

# What Spin says when it has found something, and what we call it.
FINDINGS = {
    "invalid end state": "deadlock",
    "assertion violated": "exclusion broken",
    "acceptance cycle": "a gate that is never served",
    "non-progress cycle": "no progress",
}


@dataclass(frozen=True)
class Search:
    """A model, what is looked for in it, and what has to be found."""

    name: str
    kind: tuple[tuple[str, ...], tuple[str, ...]]
    defines: tuple[str, ...] = ()
    finds: str | None = None
    processes_max: int = 9


SEARCHES = (
    Search("exclusion, no deadlock", SAFETY),
    Search("the same, conversion in two steps", SAFETY, ("CONVERT_SPLIT",)),
    Search("who has the gate is served", SERVED, ("LIVENESS",)),
    Search("the same, conversion in two steps", SERVED, ("LIVENESS", "CONVERT_SPLIT")),
    Search("locks are granted for ever", PROGRESS),
    Search("the same, conversion in two steps", PROGRESS, ("CONVERT_SPLIT",)),
    Search("adopted descriptors: exclusion, no deadlock", SAFETY, ("ADOPT",), processes_max=3),
    Search("the same: who has the gate is served", SERVED, ("LIVENESS", "ADOPT"), processes_max=3),
    Search("the same: locks are granted for ever", PROGRESS, ("ADOPT",), processes_max=3),
    Search(
        "fault: a writer skips RESERVED", SAFETY, ("FAULT_WRITER_SKIPS_RESERVED",), finds="deadlock"
    ),
    Search(
        "fault: a reader takes DATA before GATE",
        SAFETY,
        ("FAULT_READER_TAKES_DATA_FIRST",),
        finds="deadlock",
    ),
    Search(
        "fault: an upgrader waits for RESERVED", SAFETY, ("FAULT_UPGRADE_WAITS",), finds="deadlock"
    ),
    Search(
        "fault: an upgrader lets go and locks again",
        SAFETY,
        ("FAULT_UPGRADE_SKIPS_RESERVED",),
        finds="exclusion broken",
    ),
    Search(
        "fault: readers pass by the gate",
        SERVED,
        ("LIVENESS", "FAULT_READER_SKIPS_GATE"),
        finds="a gate that is never served",
    ),
    Search(
        "fault: a refused upgrader keeps trying",
        PROGRESS,
        ("FAULT_UPGRADE_INSISTS",),
        finds="no progress",
    ),
    Search(
        "fault: a bequest is taken for granted",
        SAFETY,
        ("ADOPT", "FAULT_BEQUEST_IS_TAKEN_FOR_GRANTED"),
        finds="exclusion broken",
    ),
    Search(
        "fault: the adopted descriptor has the doors",
        SAFETY,
        ("ADOPT", "FAULT_DOORS_ARE_THE_HEIRS"),
        finds="deadlock",
    ),
    Search(
        "fault: it waits with its old lock",
        SAFETY,
        ("ADOPT", "FAULT_HEIR_KEEPS_ITS_OLD_LOCK"),
        finds="deadlock",
    ),
)


def run(command: list[str], folder: Path) -> str:
    """Run a tool to its end and return what it printed; its failure is ours."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def search(what: Search, processes: int, folder: Path) -> tuple[str | None, int, bool]:
    """What was found (None: nothing), the number of states, and whether all were seen."""
    compiling, running = what.kind
    defines = [f"-D{name}" for name in (f"N={processes}", *what.defines)]
    run(["spin", *defines, "-a", str(MODEL)], folder)
    run(["cc", "-O2", "-w", *compiling, "-o", "pan", "pan.c"], folder)
    text = run(["./pan", "-m1000000", "-w22", *running], folder)
    count = re.search(r"(\d+) states, stored", text)
    errors = re.search(r"errors: (\d+)", text)
    if count is None or errors is None:
        raise SystemExit(f"{what.name}: Spin's answer has no count:\n{text}")
    found = None
    if errors[1] != "0":
        # The answer's head names all that was looked for; what was found has a line of its own.
        error = next((line for line in text.splitlines() if line.startswith("pan:")), text)
        found = next((ours for theirs, ours in FINDINGS.items() if theirs in error), error)
    complete = "max search depth too small" not in text and "out of memory" not in text
    return found, int(count[1]), complete


def main() -> int:
    """Run all searches; the exit code says whether each found what it has to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=4, help="processes in the model")
    parser.add_argument("--keep", type=Path, help="where to leave Spin's files")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for number, what in enumerate(SEARCHES):
            folder = (options.keep or Path(temporary)) / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            # A fault shows between three.
            most = what.processes_max if what.finds is None else 3
            processes = min(most, options.processes)
            started = time.monotonic()
            found, states, complete = search(what, processes, folder)
            good = found == what.finds and (complete or found is not None)
            failed += not good
            told = found or ("nothing" if complete else "nothing in a part of the states")
            print(
                f"{'ok  ' if good else 'FAIL'} {what.name:<44} found {told}"
                f" ({processes} processes, {states:,} states, {time.monotonic() - started:.1f} s)",
                flush=True,
            )
    if failed:
        print(
            f"{failed} of {len(SEARCHES)} searches failed. To see how it comes to that: run with"
            " --keep FOLDER, then `spin -t -p -DN=... lock.pml` in the folder of the failed row.",
            file=sys.stderr,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
