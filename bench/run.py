# SPDX-License-Identifier: MIT
"""Compare event loops with a plain C server: ``make bench``.

Each round measures every contender in every scenario, the contenders of a scenario one right
after the other, and each round begins with another of them. Every server runs in a process of its
own and meets the same load client in C, which checks each byte that comes back. A contender that
is not installed is reported as absent.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import report
from contenders import LOOPS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SUFFIX = ".exe" if os.name == "nt" else ""
START_LIMIT = 60.0  # A server that has not said its port by then is given up.
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass(frozen=True)
class Scenario:
    """One load on one form of the server."""

    name: str
    label: str
    mode: str
    load: tuple[str, ...]


SCENARIOS = (
    Scenario("protocol-1k", "protocol, 1 KiB, 10 connections", "protocol", ()),
    Scenario("buffered-1k", "buffered protocol, 1 KiB, 10 connections", "buffered", ()),
    Scenario("stream-1k", "streams, 1 KiB, 10 connections", "stream", ()),
    Scenario("sock-1k", "sock_recv and sock_sendall, 1 KiB, 10 connections", "sock", ()),
    Scenario(
        "protocol-1k-pipelined", "protocol, 1 KiB, 16 pipelined", "protocol", ("--depth", "16")
    ),
    Scenario(
        "protocol-100k", "protocol, 100 KiB, 10 connections", "protocol", ("--size", "102400")
    ),
    Scenario(
        "protocol-1k-1000",
        "protocol, 1 KiB, 1,000 connections",
        "protocol",
        ("--connections", "1000"),
    ),
    Scenario(
        "connect", "protocol, a connection for each 1 KiB", "protocol", ("--churn", "--reset")
    ),
    Scenario("datagram-1k", "datagrams, 1 KiB, 10 sockets", "datagram", ("--udp",)),
)


class BenchError(Exception):
    """The comparison can't go on; the text says what to do."""


def say(line: str) -> None:
    """Show progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


def find_programs(folder: Path | None = None) -> Path:
    """Return the folder that holds the C programs: the one named, or the newest that was built."""
    named = folder or os.environ.get("EVENLOOP_BENCH_BIN")
    built = ROOT.glob(f"build/**/load{SUFFIX}")
    # Builds for finding faults are slow on purpose.
    fast = [path.parent for path in built if not {"asan", "tsan", "debug"} & set(path.parts)]
    folders = [Path(named)] if named else fast
    complete = [
        found
        for found in folders
        if all(
            (found / f"{name}{SUFFIX}").is_file()
            for name in ("load", "echo_uv", "echo_poll", "echo_udp", "lock_handoff")
        )
    ]
    if not complete:
        raise BenchError(
            f"The C programs of the benchmarks are not in {named or 'build/'}: build them with "
            "`cmake -S . -B build/bench -DEVENLOOP_BUILD_BENCH=ON -DCMAKE_BUILD_TYPE=Release && "
            "cmake --build build/bench --target bench`, or name their folder with --bin."
        )
    return max(complete, key=lambda found: (found / f"load{SUFFIX}").stat().st_mtime)


def pinned(core: int | None) -> dict[str, Any]:
    """Return the Popen arguments that keep the child on one core."""
    if core is None:
        return {}
    return {"preexec_fn": lambda: os.sched_setaffinity(0, {core})}


@dataclass
class Bench:
    """What all measurements of one invocation share."""

    programs: Path
    seconds: float
    pin: bool

    def program(self, name: str) -> str:
        """Return the path of a C program."""
        return str(self.programs / f"{name}{SUFFIX}")

    def server_command(self, contender: str, mode: str) -> list[str]:
        """Return the command that starts the contender's server."""
        if contender in ("c", "c-poll") and mode == "datagram":
            return [self.program("echo_udp")]
        if contender == "c":
            return [self.program("echo_uv")]
        if contender == "c-poll":
            return [self.program("echo_poll")]
        return [sys.executable, str(HERE / "servers.py"), "--loop", contender, "--mode", mode]

    @contextmanager
    def server(self, contender: str, mode: str) -> Iterator[tuple[int, int]]:
        """Run a server; gives its process number and port."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                self.server_command(contender, mode),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                **pinned(SERVER_CORE if self.pin else None),
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                words = process.stdout.readline().split()
                if len(words) != 2 or words[0] != b"PORT":
                    process.kill()
                    process.wait()
                    errors.seek(0)
                    raise BenchError(f"no server: {errors.read().decode(errors='replace')[-600:]}")
                yield process.pid, int(words[1])
            finally:
                process.stdin.close()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                process.stdout.close()

    def load(self, pid: int, port: int, extra: Sequence[str]) -> dict[str, Any]:
        """Run the load client against a server and return its report."""
        warmup = min(1.0, self.seconds / 4)
        command = [
            self.program("load"),
            *("--port", str(port)),
            *("--server-pid", str(pid)),
            *("--seconds", str(self.seconds)),
            *("--warmup", str(warmup)),
            *extra,
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=self.seconds + START_LIMIT,
            check=False,
            **pinned(CLIENT_CORE if self.pin else None),
        )
        if not done.stdout.strip():
            raise BenchError(f"no result: {done.stderr.decode(errors='replace')[-600:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def echo(self, scenario: Scenario, contender: str) -> tuple[dict[str, Any] | None, str]:
        """Measure once; return the report, and why it doesn't count if so."""
        try:
            with self.server(contender, scenario.mode) as (pid, port):
                found = self.load(pid, port, scenario.load)
        except (BenchError, OSError, subprocess.SubprocessError, ValueError) as error:
            return None, str(error)
        return found, found["errors"]["first"]

    def micro(self, loop: str, only: Sequence[str]) -> tuple[dict[str, Any], str]:
        """Measure the single operations of one loop in a process of its own."""
        command = [sys.executable, str(HERE / "micro.py"), "--loop", loop]
        command += ["--seconds", str(min(1.0, self.seconds / 5))]
        for name in only:
            command += ["--only", name]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=600,
                check=False,
                **pinned(SERVER_CORE if self.pin else None),
            )
        except subprocess.SubprocessError as error:
            return {}, str(error)
        if done.returncode != 0:
            return {}, done.stderr.decode(errors="replace")[-600:] or f"exit {done.returncode}"
        return json.loads(done.stdout), ""


def output_of(command: Sequence[str]) -> tuple[int, str]:
    """Run a short command and return its exit code and output."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_LIMIT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return 1, str(error)
    return done.returncode, done.stdout.decode(errors="replace").strip()


def find_contenders(bench: Bench, wanted: Sequence[str]) -> dict[str, dict[str, str]]:
    """Ask each contender for its version, or for the reason why it is absent."""
    found = {}
    for name in wanted:
        if name in ("c", "c-poll"):
            command = [*bench.server_command(name, ""), "--version"]
        else:
            command = [sys.executable, str(HERE / "contenders.py"), name]
        code, answer = output_of(command)
        version = answer if code == 0 else ""
        reason = "" if code == 0 else answer.splitlines()[-1] if answer else f"exit code {code}"
        found[name] = {"version": version, "reason": reason}
        say(f"{report.TITLES[name]:14}{version or 'absent: ' + reason}")
    return found


def processor_name() -> str:
    """Return the processor's own name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe_machine(bench: Bench) -> dict[str, Any]:
    """Say on what the measurements were made, without names."""
    _, libuv = output_of([bench.program("echo_uv"), "--version"])
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libuv": libuv,
        "date": time.strftime("%Y-%m-%d"),
    }


def rotated(names: Sequence[str], by: int) -> list[str]:
    """Begin with another contender in every round."""
    by %= max(1, len(names))
    return [*names[by:], *names[:by]]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns, if there are any, fits the name."""
    return not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    """Do all rounds and return everything that was measured."""
    wanted = ["c", *(["c-poll"] if options.all else []), *LOOPS]
    if options.contenders:
        wanted = [name for name in wanted if name == "c" or name in options.contenders]
    contenders = find_contenders(bench, wanted)
    present = [name for name, state in contenders.items() if state["version"]]
    loops = [name for name in present if name in LOOPS]
    scenarios = [scenario for scenario in SCENARIOS if matches(scenario.name, options.only)]
    with_micro = not options.only or "micro" in options.only or bool(options.micro)
    results: dict[str, Any] = {
        "machine": describe_machine(bench),
        "settings": {"rounds": options.rounds, "seconds": bench.seconds, "pin": bench.pin},
        "contenders": contenders,
        "scenarios": {scenario.name: scenario.label for scenario in scenarios},
        "micro_loops": loops,
        "echo": [],
        "micro": [],
    }
    steps = options.rounds * (len(scenarios) * len(present) + (len(loops) if with_micro else 0))
    step = 0
    for number in range(1, options.rounds + 1):
        order = rotated(present, number - 1)
        for scenario in scenarios:
            for contender in order:
                step += 1
                found, failure = bench.echo(scenario, contender)
                results["echo"].append(
                    {
                        "scenario": scenario.name,
                        "contender": contender,
                        "round": number,
                        "load": found,
                        "failure": failure,
                    }
                )
                say(f"[{step}/{steps}] {progress(scenario.name, contender, found, failure)}")
        for loop in [name for name in order if name in loops] if with_micro else []:
            step += 1
            figures, failure = bench.micro(loop, options.micro)
            results["micro"].append(
                {"contender": loop, "round": number, "figures": figures, "failure": failure}
            )
            say(f"[{step}/{steps}] {'micro':22} {loop:9} {failure or 'done'}")
    return results


def progress(name: str, contender: str, found: dict[str, Any] | None, failure: str) -> str:
    """Say in a line what one measurement gave."""
    start = f"{name:22} {contender:9}"
    if failure or found is None:
        return f"{start} failed: {failure}"
    cpu = report.cpu_of(found)
    time_used = "" if cpu is None else f" {cpu / 1e3:9.2f} us a message"
    return f"{start} {found['per_second']:12,.0f} a second{time_used}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="scenarios: " + ", ".join(scenario.name for scenario in SCENARIOS) + ", micro",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement; default 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="replace the marked section of this file"
    )
    parser.add_argument("--only", action="append", default=[], help="a scenario, or a pattern")
    parser.add_argument("--micro", action="append", default=[], help="an operation, or a pattern")
    parser.add_argument("--contenders", help="of c, c-poll, asyncio, uvloop, evenloop: a list")
    parser.add_argument("--pin", action="store_true", help="server on core 0, client on core 1")
    parser.add_argument("--all", action="store_true", help="with the C server on uv_poll, too")
    parser.add_argument("--bin", type=Path, metavar="DIR", help="where the C programs are")
    parser.add_argument("--check", action="store_true", help="fail if evenloop misses a target")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds and --seconds have to be positive")
    if options.pin and not (hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1):
        parser.error("--pin needs Linux and two cores")
    known = [scenario.name for scenario in SCENARIOS] + ["micro"]
    for pattern in options.only:
        if not any(fnmatch.fnmatch(name, pattern) for name in known):
            parser.error(f"--only {pattern}: there is no such scenario")
    if options.contenders is not None:
        options.contenders = options.contenders.split(",")
        unknown = set(options.contenders) - set(report.TITLES)
        if unknown:
            parser.error(f"--contenders: {', '.join(sorted(unknown))} is none")
        options.all = options.all or "c-poll" in options.contenders
    return options


def raise_descriptor_limit() -> None:
    """Let the servers have 1,000 connections and more; the limit may be lower by default."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a measurement failed or, with --check, a target is missed."""
    options = parse(arguments)
    raise_descriptor_limit()
    try:
        bench = Bench(find_programs(options.bin), options.seconds, options.pin)
        results = measure(bench, options)
        report.show(results, sys.stdout)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        if options.markdown:
            report.write_markdown(results, options.markdown)
    except (BenchError, OSError, ValueError) as error:
        say(f"bench: {error}")
        return 2
    failed = [run for run in results["echo"] + results["micro"] if run["failure"]]
    missed = [target for target in report.targets(results) if target.met is not True]
    return 1 if failed or (options.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
