# SPDX-License-Identifier: MIT
"""The benchmark tools measure what they say: faults are seen, nothing is counted twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import contenders
import micro
import report
import run
from servers import MODES

pytestmark = pytest.mark.timeout(120)

RUN = str(run.HERE / "run.py")
PROGRAMS = run.find_programs()
BENCH = run.Bench(PROGRAMS, 1.0, pin=False)


def is_present(loop: str) -> bool:
    return run.output_of([sys.executable, contenders.__file__, loop])[0] == 0


PRESENT = [loop for loop in contenders.LOOPS if is_present(loop)]
SERVERS = [("c", "-"), ("c-poll", "-")] + [
    (loop, mode) for loop in PRESENT for mode in MODES if mode != "datagram"
]


def load(port: int, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the load client; return its exit code and report."""
    done = subprocess.run(
        [BENCH.program("load"), "--port", str(port), "--warmup", "0", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)


@contextmanager
def faulty_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection with `answer` in a thread; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                answer(connection)
            except OSError:
                pass  # The client ended first.

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Closing alone does not wake a thread that waits in accept.
        if os.name == "posix":
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def echo(connection: socket.socket, change: Callable[[bytes, int], bytes]) -> None:
    """Echo, each piece changed; `change` is also told how many bytes came before."""
    before = 0
    while data := connection.recv(65536):
        connection.sendall(change(data, before))
        before += len(data)


def flip_byte_5000(data: bytes, before: int) -> bytes:
    index = 5000 - before
    if 0 <= index < len(data):
        return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
    return data


def lose_byte_5000(data: bytes, before: int) -> bytes:
    index = 5000 - before
    return data[:index] + data[index + 1 :] if 0 <= index < len(data) else data


def double_byte_5000(data: bytes, before: int) -> bytes:
    index = 5000 - before
    return data[:index] + data[index : index + 1] + data[index:] if index >= 0 else data


@pytest.mark.parametrize("change", [flip_byte_5000, lose_byte_5000, double_byte_5000])
@pytest.mark.parametrize(("size", "depth"), [("10000", "1"), ("1000", "8")])
def test_load_detects_one_wrong_byte(
    change: Callable[[bytes, int], bytes], size: str, depth: str
) -> None:
    with faulty_server(lambda connection: echo(connection, change)) as port:
        code, found = load(
            port, "--connections", "1", "--size", size, "--depth", depth, "--messages", "100"
        )
    assert code == 1
    assert found["errors"]["corrupt"] == 1
    assert "wrong bytes" in found["errors"]["first"]


def test_load_detects_the_bytes_of_another_connection() -> None:
    first_message: list[bytes] = []
    lock = threading.Lock()

    def answer(connection: socket.socket) -> None:
        data = connection.recv(1024, socket.MSG_WAITALL)
        with lock:
            first_message.append(data)
            foreign = first_message[0]
        connection.sendall(foreign)
        connection.recv(1)

    with faulty_server(answer) as port:
        code, found = load(port, "--connections", "3", "--messages", "100", "--stall", "1")
    assert code == 1
    assert found["errors"]["corrupt"] == 2


def test_load_reports_a_server_that_falls_silent() -> None:
    with faulty_server(lambda connection: echo(connection, lambda data, before: b"")) as port:
        code, found = load(port, "--messages", "100", "--stall", "0.2")
    assert code == 1
    assert found["errors"]["stalled"] is True


def test_load_reports_a_server_that_hangs_up() -> None:
    with faulty_server(lambda connection: None) as port:
        code, found = load(port, "--connections", "3", "--messages", "100")
    assert code == 1
    assert found["errors"]["io"] == 3


def test_load_reports_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, found = load(port, "--connections", "3", "--messages", "100")
    assert code == 1
    assert found["errors"]["connect"] == 3
    assert found["messages"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--port", "70000"],
        ["--port", "80x"],
        ["--port", "80", "--size", "0"],
        ["--port", "80", "--size", "-1"],
        ["--port", "80", "--size"],
        ["--port", "80", "--what", "1"],
        ["--port", "80", "--churn", "--depth", "2"],
        ["--port", "80", "--size", "67108864", "--depth", "2"],
        ["--port", "80", "--seconds", "nan"],
    ],
)
def test_load_refuses_a_wrong_command_line(arguments: list[str]) -> None:
    done = subprocess.run([BENCH.program("load"), *arguments], capture_output=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("name", "mode"), SERVERS)
@pytest.mark.parametrize(
    "shape",
    [
        ("--messages", "500"),
        ("--depth", "8", "--messages", "500"),
        ("--size", "1000003", "--depth", "3", "--connections", "4", "--messages", "40"),
        ("--churn", "--messages", "50"),
        ("--churn", "--reset", "--messages", "50"),
        ("--connections", "200", "--messages", "500"),
    ],
    ids=["plain", "pipelined", "large", "churn", "reset", "many"],
)
def test_server_echoes_every_byte(name: str, mode: str, shape: tuple[str, ...]) -> None:
    with BENCH.server(name, mode) as (pid, port):
        code, found = load(port, "--server-pid", str(pid), *shape)
    assert found["errors"]["first"] == ""
    assert code == 0
    assert found["messages"] == int(shape[shape.index("--messages") + 1])


def start(name: str, mode: str) -> tuple[subprocess.Popen[bytes], int]:
    server = subprocess.Popen(
        BENCH.server_command(name, mode), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    word, port = server.stdout.readline().split()
    assert word == b"PORT"
    return server, int(port)


@pytest.mark.parametrize(("name", "mode"), SERVERS)
def test_server_ends_with_its_input_and_tells_its_processor_time(name: str, mode: str) -> None:
    server, port = start(name, mode)
    code, found = load(port, "--server-pid", str(server.pid), "--messages", "2000")
    output, _ = server.communicate()  # Closes the input.
    assert code == 0
    assert server.returncode == 0
    word, used = output.split()
    assert word == b"CPU"
    # The part that the load client saw lies within what the server itself counted in all.
    assert 0 < found["server_cpu_ns"] <= int(used)


@pytest.mark.parametrize("name", ["c", *PRESENT])
@pytest.mark.parametrize("size", ["1", "1024", "65507"])
def test_server_echoes_every_datagram(name: str, size: str) -> None:
    with BENCH.server(name, "datagram") as (pid, port):
        code, found = load(
            port, "--udp", "--size", size, "--messages", "500", "--server-pid", str(pid)
        )
    assert code == 0, found["errors"]
    assert found["messages"] == 500
    assert found["server_cpu_ns"] > 0


@pytest.mark.parametrize(
    ("change", "counter"),
    [(lambda data: data[::-1], "corrupt"), (lambda data: data[1:], "corrupt")],
    ids=["changed", "cut"],
)
def test_load_detects_a_wrong_datagram(change: Callable[[bytes], bytes], counter: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer() -> None:
            data, sender = sock.recvfrom(65536)
            sock.sendto(change(data), sender)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        code, found = load(
            sock.getsockname()[1], "--udp", "--connections", "1", "--messages", "9", "--stall", "1"
        )
        thread.join()
    assert code == 1
    assert found["errors"][counter] == 1
    assert found["errors"]["first"] == "a datagram came back changed"


@pytest.mark.skipif(os.name == "nt", reason="posix-signals-to-children")
@pytest.mark.parametrize(("name", "mode"), SERVERS)
def test_server_ends_cleanly_on_sigterm_with_open_connections(name: str, mode: str) -> None:
    server, port = start(name, mode)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    server.communicate()


def test_latencies_are_ordered() -> None:
    with BENCH.server("c", "-") as (_, port):
        _, found = load(port, "--messages", "5000")
    names = ("p50", "p90", "p99", "p99.9", "max")
    figures = [found["latency_us"][name] for name in names]
    assert figures == sorted(figures)
    assert figures[0] > 0


@pytest.mark.parametrize("name", [benchmark.name for benchmark in micro.BENCHMARKS])
def test_micro_benchmark_gives_a_figure(name: str) -> None:
    figures, failure = run.Bench(PROGRAMS, 0.05, pin=False).micro("asyncio", [name])
    assert failure == ""
    assert list(figures) == [name]
    assert figures[name]["cpu_ns"] > 0
    assert figures[name]["wall_ns"] > 0


def run_bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RUN, "--bin", str(PROGRAMS), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_run_compares_for_a_second_with_asyncio_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.MARK_BEGIN}\nold\n{report.MARK_END}\nafter\n")
    file = tmp_path / "results.json"
    done = run_bench(
        *("--contenders", "asyncio", "--rounds", "1", "--seconds", "1"),
        *("--only", "protocol-1k", "--only", "micro", "--micro", "call_soon_chain"),
        *("--json", str(file), "--markdown", str(page)),
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text())
    assert list(results["contenders"]) == ["c", "asyncio"]
    assert [entry["contender"] for entry in results["echo"]] == ["c", "asyncio"]
    for entry in results["echo"]:
        assert entry["failure"] == ""
        assert entry["load"]["messages"] > 0
        assert entry["load"]["server_cpu_ns"] > 0
    assert results["micro"][0]["figures"]["call_soon_chain"]["cpu_ns"] > 0
    assert "protocol, 1 KiB, 10 connections" in done.stdout
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| call_soon_chain |" in text


def test_run_reports_a_contender_that_does_not_import_as_absent(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('broken on purpose')\n")
    done = run_bench(
        *("--contenders", "uvloop", "--rounds", "1", "--seconds", "0.1", "--only", "protocol-1k"),
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "uvloop: absent, not importable: broken on purpose" in done.stdout


def test_run_says_how_to_build_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, RUN, "--bin", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--target bench" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_refuses_an_unknown_scenario() -> None:
    done = run_bench("--only", "nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def made_up(rates: dict[str, list[float]], cpu: dict[str, list[int]]) -> report.Results:
    """Results of protocol-1k with these figures, round by round."""
    latency = {"p50": 1.0, "p90": 1.0, "p99": 1.0, "p99.9": 1.0, "max": 1.0}
    echoes = [
        {
            "scenario": "protocol-1k",
            "contender": name,
            "round": number,
            "failure": "",
            "load": {
                "per_second": rate,
                "messages": 1,
                "server_cpu_ns": cpu[name][number],
                "latency_us": latency,
            },
        }
        for name, figures in rates.items()
        for number, rate in enumerate(figures)
    ]
    return {"echo": echoes, "micro": []}


def test_ratios_are_medians_of_ratios_within_rounds() -> None:
    # Every round runs at another speed, and in each the contender has half of the C server's
    # rate but for one: the ratio is 0.5, though the medians of the rates are 30 and 10.
    results = made_up(
        {"c": [100, 30, 20], "uvloop": [50, 15, 10 - 5]},
        {"c": [10, 20, 30], "uvloop": [15, 30, 90]},
    )
    summary = report.summarise_echo(results, "protocol-1k", "uvloop")
    assert summary.rate == 15
    assert summary.rate_ratio == 0.5
    assert summary.cpu_ns == 30
    assert summary.cpu_ratio == 1.5


def test_a_failed_run_counts_for_nothing_but_is_told() -> None:
    results = made_up({"c": [100, 100], "uvloop": [50, 90]}, {"c": [1, 1], "uvloop": [1, 1]})
    results["echo"][-1]["failure"] = "connection reset"
    summary = report.summarise_echo(results, "protocol-1k", "uvloop")
    assert summary.rate == 50
    assert summary.failures == 1


@pytest.mark.parametrize(("rate", "cpu", "met"), [(85, 106, True), (84, 107, False)])
def test_targets_are_judged_at_their_bounds(rate: float, cpu: int, met: bool) -> None:
    results = made_up({"c": [100], "evenloop": [rate]}, {"c": [100], "evenloop": [cpu]})
    rate_target, cpu_target, *others = report.targets(results)
    assert rate_target.met is met
    assert cpu_target.met is met
    assert [target.met for target in others] == [None, None]


def test_markdown_needs_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="has no"):
        report.write_markdown({"machine": {}}, page)
    assert page.read_text() == "no marks\n"
