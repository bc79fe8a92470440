# SPDX-License-Identifier: MIT
"""Count the machine instructions of an echoed message or of a single operation, with callgrind.

Time wanders by percents from run to run; the number of instructions that a program executes, the
kernel's left out, does not. So a change that costs or saves ten of them shows. Everything is run
twice, with few and with many operations, and the difference is divided: what starting and ending
cost is not in the result. Needs valgrind.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import micro
import run
from contenders import LOOPS
from servers import MODES

FEW, MANY = 1000, 5000
LIMIT = 600.0


class CountError(Exception):
    """The program did not end as it should; the text says how."""


def under_callgrind(command: Sequence[str], log: Path, profile: Path) -> list[str]:
    """Return the command that runs another one and leaves its count in `log`."""
    return [
        "valgrind",
        "--tool=callgrind",
        f"--log-file={log}",
        f"--callgrind-out-file={profile}",
        *command,
    ]


def collected(log: Path) -> int:
    """Read the count that callgrind logged."""
    found = re.search(r"Collected *: *(\d+)", log.read_text(errors="replace"))
    if not found:
        raise CountError(f"callgrind gave no count: {log.read_text(errors='replace')[-400:]}")
    return int(found.group(1))


def environment() -> dict[str, str]:
    """Let Python hash alike in every run: dictionaries then cost the same."""
    return {**os.environ, "PYTHONHASHSEED": "0"}


def count_micro(loop: str, name: str, operations: int, profile: Path) -> int:
    """Count a process that does so many operations."""
    log = profile.with_suffix(".log")
    command = [sys.executable, micro.__file__, "--loop", loop, "--only", name]
    done = subprocess.run(
        under_callgrind([*command, "--batch", str(operations)], log, profile),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=False,
        env=environment(),
    )
    if done.returncode != 0:
        raise CountError(done.stderr.decode(errors="replace")[-400:])
    return collected(log)


def count_echo(bench: run.Bench, name: str, mode: str, messages: int, profile: Path) -> int:
    """Count a server that echoes so many messages of 1 KiB on 10 connections or sockets."""
    log = profile.with_suffix(".log")
    command = under_callgrind(bench.server_command(name, mode), log, profile)
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        words = server.stdout.readline().split()
        if len(words) != 2:
            raise CountError("the server did not start")
        load = [bench.program("load"), "--port", words[1].decode(), "--warmup", "0"]
        load += ["--messages", str(messages), "--stall", "60"]
        load += ["--udp"] if mode == "datagram" else []
        done = subprocess.run(load, capture_output=True, timeout=LIMIT, check=False)
        if done.returncode != 0:
            raise CountError(done.stdout.decode() + done.stderr.decode())
        server.stdin.close()
        server.wait(60)
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()
    return collected(log)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    names = [benchmark.name for benchmark in micro.BENCHMARKS]
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="operations: " + ", ".join(names)
    )
    parser.add_argument("what", nargs="*", default=["echo", "call_soon_chain", "timer_cancel"])
    parser.add_argument("--contenders", default="c,evenloop", help="default c,evenloop")
    parser.add_argument("--mode", choices=list(MODES), default="protocol", help="of echo")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep callgrind's profiles there")
    parser.add_argument("--bin", type=Path, metavar="DIR", help="where the C programs are")
    options = parser.parse_args(arguments)
    options.contenders = options.contenders.split(",")
    for name in options.what:
        if name not in ["echo", *names]:
            parser.error(f"{name}: there is no such operation")
    for name in options.contenders:
        if name not in ("c", "c-poll", *LOOPS):
            parser.error(f"--contenders: {name} is none")
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed: install the package valgrind")
    return options


def count(options: argparse.Namespace, folder: Path) -> None:
    """Count everything that was asked for and print one line each."""
    for what in options.what:
        for contender in options.contenders:
            if what != "echo" and contender not in LOOPS:
                continue
            counts = []
            for operations in (FEW, MANY):
                profile = folder / f"{what}-{contender}-{operations}.callgrind"
                if what == "echo":
                    bench = run.Bench(run.find_programs(options.bin), 1.0, pin=False)
                    counts.append(count_echo(bench, contender, options.mode, operations, profile))
                else:
                    counts.append(count_micro(contender, what, operations, profile))
            each = (counts[1] - counts[0]) / (MANY - FEW)
            print(f"{what:26}{contender:10}{each:12,.1f} instructions", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and print."""
    options = parse(arguments)
    try:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            count(options, options.keep)
        else:
            with tempfile.TemporaryDirectory() as folder:
                count(options, Path(folder))
    except (CountError, run.BenchError, subprocess.SubprocessError, OSError) as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
