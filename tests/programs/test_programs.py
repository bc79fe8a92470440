# SPDX-License-Identifier: MIT
"""Real programs print on evenloop what they print on the stock loop.

The programs beside this file know nothing of evenloop and can be run by hand:
`python aiohttp_files.py` on the stock loop, `python -m evenloop aiohttp_files.py` on evenloop.
"""

from __future__ import annotations

import functools
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 280.0  # seconds; the slowest takes six on Linux, and ten times that under Wine
STOCK: list[str] = []
EVENLOOP = ["-m", "evenloop"]

pytestmark = pytest.mark.timeout(2 * LIMIT)


# Where evenloop runs under the sanitizers, these slow a program to a tenth; the stock loop's side,
# which has nothing of ours in it, runs without.
SANITIZED = ("LD_PRELOAD", "PYTHONMALLOC", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS")


def environment(how: list[str]) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env.update(PYTHONIOENCODING="utf-8", PYTHONUNBUFFERED="1")
    if how is STOCK:
        for name in SANITIZED:
            env.pop(name, None)
    return env


def run(how: list[str], *args: str) -> tuple[list[str], str]:
    """Runs a program; gives the lines it printed and its standard error."""
    process = subprocess.run(
        [sys.executable, *how, *args],
        cwd=HERE,
        env=environment(how),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
    )
    errors = process.stderr.decode()
    assert process.returncode == 0, f"ended with {process.returncode}:\n{errors}"
    return process.stdout.decode().splitlines(), errors


@functools.cache
def reference(*args: str) -> list[str]:
    """What the stock loop prints."""
    lines, errors = run(STOCK, *args)
    assert errors.startswith("loop: asyncio."), errors
    assert lines[-1] == "done"
    return lines


@pytest.mark.parametrize(
    "program",
    ["aiohttp_files.py", "uvicorn_asgi.py", "tornado_http.py", "websockets_echo.py"],
)
def test_program_prints_what_it_prints_on_the_stock_loop(program):
    lines, errors = run(EVENLOOP, program)
    assert errors.startswith("loop: evenloop."), errors
    assert lines == reference(program)
    unexpected = [line for line in errors.splitlines() if "Traceback" in line or "Error" in line]
    assert unexpected == []


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """A server program in a child process, from its first line to its end."""

    def __init__(self, how: list[str], *args: str) -> None:
        self.log: list[str] = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, *how, *args],
            cwd=HERE,
            env=environment(how),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.log.append(line.decode().rstrip())
                self.changed.notify_all()
        with self.changed:
            self.log.append("<end of output>")
            self.changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self.changed:
            self.changed.wait_for(
                lambda: any(text in line or "<end" in line for line in self.log), LIMIT / 4
            )
            assert any(text in line for line in self.log), "\n".join(self.log)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is not None:
            self.process.kill()  # nobody has told it to stop
        try:
            self.process.wait(LIMIT / 4)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the server did not stop:\n" + "\n".join(self.log)) from None
        finally:
            self.reader.join()
            self.process.stdout.close()


def ask_uvicorn(how: list[str], *options: str) -> list[str]:
    port = free_port()
    with Server(
        how,
        "-m",
        "uvicorn",
        "uvicorn_app:app",
        "--http",
        "httptools",
        "--port",
        str(port),
        "--timeout-keep-alive",
        str(int(LIMIT)),
        *options,
    ) as server:
        server.wait_for("Uvicorn running on")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/loop", timeout=LIMIT / 4) as answer:
            assert answer.read().startswith(b"evenloop." if how is EVENLOOP else b"asyncio.")
        lines, _ = run(STOCK, "uvicorn_asgi.py", str(port))
    assert any("Application shutdown complete" in line for line in server.log), server.log
    assert "application: shut down" in server.log
    return lines


@pytest.mark.parametrize(
    "options",
    [[], ["--loop", "none"], ["--loop", "evenloop:new_event_loop"]],
    ids=lambda options: " ".join(options) or "default",
)
def test_uvicorn_as_a_program_serves_what_it_serves_on_the_stock_loop(options):
    lines = ask_uvicorn(EVENLOOP, *options)
    assert lines == ask_uvicorn(STOCK, "--loop", "none")
    assert lines[-2:] == ["GET /stop: stopping", "done"]


def test_aiohttp_web_as_a_program_runs_an_unaware_application():
    port = free_port()
    with Server(
        EVENLOOP, "-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(port), "aiohttp_app:init"
    ) as server:
        server.wait_for("Running on")
        lines, _ = run(STOCK, "aiohttp_ask.py", str(port))
    assert lines == ["GET /: 200 served by evenloop.Loop", "GET /stop: 200"]
    assert server.process.returncode == 0, server.log
