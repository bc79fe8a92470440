# SPDX-License-Identifier: MIT
"""Compare file locks: ``make bench-locks``.

Three figures for each kind of lock. *Alone*: acquiring and releasing what nobody else wants.
*Hand-off*: from the release in one process until another, which waited, has it. *Fairness*: what
each of a number of processes gets that all want the same lock all the time and hold it for half a
millisecond.

Every contender runs in processes of its own. One that is not installed is reported as absent. The
same two costs without Python come from the program ``lock_handoff``, where it has been built.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import handoff
import run

HOLD_S = 0.0005
BEFORE_RELEASE_S = 0.003  # the other one waits for certain by then
MARK = "<!-- bench-locks -->"


class Plain:
    """A blocking lock, in the asynchronous clothes that all contenders wear here."""

    def __init__(self, acquire: Callable[[], Any], release: Callable[[], Any]) -> None:
        self._acquire, self.release = acquire, release
        self.plain = acquire

    async def acquire(self) -> None:
        self._acquire()


def evenloop_awaited(path: str, **options: Any) -> Any:
    return importlib.import_module("evenloop").FileLock(path, **options)


def evenloop_fair(path: str) -> Any:
    return evenloop_awaited(path, fair=True)


def evenloop_blocking(path: str) -> Any:
    lock = importlib.import_module("evenloop").BlockingFileLock(path)
    return Plain(lock.acquire, lock.release)


def flock_blocking(path: str) -> Any:
    """What flock(1) does: open, flock(2), close."""
    fcntl = importlib.import_module("fcntl")
    held: list[int] = []

    def acquire() -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_EX)
        held.append(fd)

    return Plain(acquire, lambda: os.close(held.pop()))


def sleep_polling(path: str) -> Any:
    """What many programs do: try every ten milliseconds."""
    fcntl = importlib.import_module("fcntl")
    held: list[int] = []

    def acquire() -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            else:
                held.append(fd)
                return

    return Plain(acquire, lambda: os.close(held.pop()))


def filelock_default(path: str) -> Any:
    lock = importlib.import_module("filelock").FileLock(path)
    return Plain(lock.acquire, lock.release)


def portalocker_default(path: str) -> Any:
    lock = importlib.import_module("portalocker").Lock(path, timeout=600)
    return Plain(lock.acquire, lock.release)


def fasteners_default(path: str) -> Any:
    lock = importlib.import_module("fasteners").InterProcessLock(path)
    return Plain(lock.acquire, lock.release)


@dataclass(frozen=True)
class Contender:
    """A kind of lock."""

    label: str
    make: Callable[[str], Any]
    module: str


CONTENDERS = {
    "evenloop": Contender("evenloop.FileLock, awaited", evenloop_awaited, "evenloop"),
    "evenloop-fair": Contender("evenloop.FileLock, awaited, fair", evenloop_fair, "evenloop"),
    "evenloop-blocking": Contender("evenloop.BlockingFileLock", evenloop_blocking, "evenloop"),
    "flock": Contender("flock(2), blocked, as flock(1)", flock_blocking, "fcntl"),
    "polling": Contender("flock(2), tried every 10 ms", sleep_polling, "fcntl"),
    "filelock": Contender("filelock", filelock_default, "filelock"),
    "portalocker": Contender("portalocker", portalocker_default, "portalocker"),
    "fasteners": Contender("fasteners", fasteners_default, "fasteners"),
}


# -- what runs in the processes of a contender -----------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


async def hear() -> str:
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def alone(lock: Any, path: str, count: int) -> None:
    """Prints the microseconds of one acquire and release, the best of five batches."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(count):
            await lock.acquire()
            lock.release()
        best = min(best, time.perf_counter() - started)
    say(f"{best / count * 1e6:.3f}")


async def hand(lock: Any, path: str, count: int) -> None:
    """Releases for the other side, and prints when; the clock is the same in all processes."""
    for _ in range(count):
        await lock.acquire()
        say("held")
        await hear()
        await asyncio.sleep(BEFORE_RELEASE_S)
        moment = time.perf_counter()
        lock.release()
        say(repr(moment))
        await hear()


async def take(lock: Any, path: str, count: int) -> None:
    """Waits, and prints when it has the lock."""
    for _ in range(count):
        await hear()
        say("waiting")
        await lock.acquire()
        moment = time.perf_counter()
        lock.release()
        say(repr(moment))


async def contend(lock: Any, path: str, count: int) -> None:
    """Prints how often it got the lock in `count` seconds, and its longest wait."""
    say("ready")
    await hear()
    got, worst, end = 0, 0.0, time.perf_counter() + count
    while (began := time.perf_counter()) < end:
        await lock.acquire()
        worst = max(worst, time.perf_counter() - began)
        got += 1
        time.sleep(HOLD_S)
        lock.release()
    say(f"{got} {worst}")


ROLES: dict[str, Callable[[Any, str, int], Awaitable[None]]] = {
    "alone": alone,
    "hand": hand,
    "take": take,
    "contend": contend,
}


def play(role: str, name: str, path: str, count: int) -> None:
    """Run a role to its end."""
    main = ROLES[role](CONTENDERS[name].make(path), path, count)
    if name.startswith("evenloop"):
        importlib.import_module("evenloop").run(main)
    else:
        asyncio.run(main)


# -- what starts them ------------------------------------------------------------------------------


class Player:
    """A process that plays a role."""

    def __init__(self, role: str, name: str, path: Path, count: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--role", role, name, str(path), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """The next line; RuntimeError when there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return line

    def tell(self) -> None:
        """An empty line, which is all that roles wait for."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """It has nothing more to say."""
        self.process.kill()
        self.process.communicate()


def measure_alone(name: str, path: Path, count: int) -> float:
    """Microseconds of an uncontended acquire and release."""
    player = Player("alone", name, path, count)
    try:
        return float(player.hear())
    finally:
        player.end()


def measure_handing(name: str, path: Path, count: int) -> list[float]:
    """Microseconds of each hand-off."""
    hander, taker = (Player(role, name, path, count) for role in ("hand", "take"))
    took = []
    try:
        for _ in range(count):
            hander.hear()
            taker.tell()
            taker.hear()
            hander.tell()
            released = float(hander.hear())
            took.append((float(taker.hear()) - released) * 1e6)
            hander.tell()
    finally:
        hander.end()
        taker.end()
    return took


def measure_fairness(name: str, path: Path, processes: int, seconds: int) -> dict[str, float]:
    """Acquisitions of the one that got least and most, and the longest wait of any in seconds."""
    players = [Player("contend", name, path, seconds) for _ in range(processes)]
    try:
        for player in players:
            player.hear()
        for player in players:
            player.tell()
        counts, worst = zip(*(player.hear().split() for player in players), strict=True)
    finally:
        for player in players:
            player.end()
    got = sorted(map(int, counts))
    return {"least": got[0], "most": got[-1], "worst_wait_s": max(map(float, worst))}


def is_present(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of a contender."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lock"
        took = sorted(measure_handing(name, path, options.rounds))
        return {
            "alone_us": measure_alone(name, path, options.count),
            "hand_off_median_us": statistics.median(took),
            "hand_off_p99_us": took[min(len(took) - 1, len(took) * 99 // 100)],
            **measure_fairness(name, path, options.processes, options.seconds),
        }


def table(report: dict[str, Any]) -> str:
    """The report in Markdown."""
    lines = [
        f"{report['processes']} processes for fairness, {report['seconds']} s;"
        f" {report['rounds']} hand-offs. {report['machine']}.",
        "",
        "| lock | alone, µs | hand-off, median µs | p99 µs | least | most | most / least"
        " | longest wait, s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in report["rows"].items():
        label = CONTENDERS[name].label
        if row is None:
            lines.append(f"| {label} | absent | | | | | | |")
            continue
        ratio = f"{row['most'] / row['least']:.1f}" if row["least"] else "starved"
        lines.append(
            f"| {label} | {row['alone_us']:.1f} | {row['hand_off_median_us']:,.1f}"
            f" | {row['hand_off_p99_us']:,.0f} | {row['least']:,} | {row['most']:,} | {ratio}"
            f" | {row['worst_wait_s']:.2f} |"
        )
    return "\n".join(lines)


def write_page(page: Path, mark: str, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(mark)
    _, found, after = rest.partition(mark)
    if not found:
        raise SystemExit(f"{page} has no two lines {mark}")
    page.write_text(f"{before}{mark}\n\n{text}\n\n{mark}{after}", "utf-8")


def measure_c(options: argparse.Namespace) -> dict[str, Any]:
    """The figures without Python."""
    program = run.find_programs(options.bin) / f"lock_handoff{run.SUFFIX}"
    print("measuring in C", file=sys.stderr, flush=True)
    return handoff.measure(program, "--rounds", str(options.c_rounds))


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contenders", nargs="*", help=", ".join(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=200, help="hand-offs")
    parser.add_argument("--count", type=int, default=2000, help="uncontended acquisitions")
    parser.add_argument("--processes", type=int, default=16, help="that contend for one lock")
    parser.add_argument("--seconds", type=int, default=5, help="that they contend")
    parser.add_argument("--json", type=Path, help="where to leave the figures")
    parser.add_argument("--page", type=Path, help="a page whose tables to replace")
    parser.add_argument("--only", choices=("python", "c"), help="one of the two tables alone")
    parser.add_argument("--c-rounds", type=int, default=5, help="rounds of the C program")
    parser.add_argument("--bin", type=Path, help="where the C programs are; the newest, if not")
    parser.add_argument("--role", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        role, name, path, count = options.role
        play(role, name, path, int(count))
        return
    unknown = [name for name in options.contenders if name not in CONTENDERS]
    if unknown:
        parser.error(f"there is no contender {unknown[0]!r}")
    where = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    report: dict[str, Any] = {
        "machine": f"{where}, Python {platform.python_version()}",
        **{name: getattr(options, name) for name in ("rounds", "processes", "seconds")},
        "rows": {},
    }
    tables = {}
    if options.only != "c":
        for name in options.contenders or CONTENDERS:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            present = is_present(CONTENDERS[name].module)
            report["rows"][name] = measure(name, options) if present else None
        tables[MARK] = table(report)
    if options.only != "python":
        try:
            report["c"] = measure_c(options)
        except run.BenchError as error:
            raise SystemExit(f"bench: {error}") from error
        tables[handoff.MARK] = handoff.table(report["c"], where)
    print("\n\n".join(tables.values()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for mark, text in tables.items():
        if options.page:
            write_page(options.page, mark, text)


if __name__ == "__main__":
    main()
