# SPDX-License-Identifier: MIT
"""process: arguments and circumstances that are rare."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from typing import Any
from unittest import mock

from ..protocols import Pipes
from ..trial import Trial
from .process import PYTHON, area, program


@area.check(expect={"output": b"started"})
async def executable_is_another_than_the_name(t: Trial) -> object:
    """executable= is the program, whatever the first argument calls it.

    spec: docs, subprocess.Popen, executable
    """
    process = await asyncio.create_subprocess_exec(
        *("any name", *program("sys.stdout.write('started')")[1:]),
        executable=PYTHON,
        stdout=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return {"output": out}


@area.check(expect={"output": b"None"})
async def empty_environment(t: Trial) -> object:
    """env={} gives the child no variable of its parent's.

    spec: docs, subprocess.Popen, env
    """
    with mock.patch.dict(os.environ, {"KIT_CHECK": "inherited"}):
        process = await asyncio.create_subprocess_exec(
            *program("sys.stdout.write(str(os.environ.get('KIT_CHECK')))"),
            env={},
            stdout=subprocess.PIPE,
        )
        out, _ = await t.within(process.communicate(), 8.0)
    return {"output": out}


@area.check(expect={"child": "(0, b'HELLO', b'error')", "exit code": 0}, needs=("posix",))
def program_without_standard_streams(t: Trial) -> object:
    """A program whose descriptors 0, 1 and 2 are closed starts children that have theirs.

    The loop's own descriptors, and the ends of the pipes, then have these numbers.

    spec: CPython's test_subprocess, test_close_fds_0_1_2
    """
    t.new_loop().close()  # a factory that raises says so here
    result = t.path / "result"
    seen = t.run_python(
        """
        import asyncio, os, sys
        from subprocess import PIPE
        CHILD = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('error')"
        async def main():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-S", "-c", CHILD, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            out, err = await process.communicate(b"hello")
            with open(sys.argv[1], "w") as file:
                file.write(repr((process.returncode, out, err)))
        for fd in (0, 1, 2):
            os.close(fd)
        loop = new_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
        loop.close()
        """,
        str(result),
    )
    child = result.read_text("utf-8") if result.exists() else "no result"
    return {"child": child, "exit code": seen["exit code"]}


@area.check(expect={"refused": ["ProcessLookupError"] * 3, "signals sent to its number": []})
async def recycled_pid_is_safe(t: Trial) -> object:
    """What is sent to a child that is over reaches nobody: its number may be another process's.

    spec: gh-127049, gh-87744; docs, Process.send_signal
    """
    transport, protocol = await t.loop.subprocess_exec(Pipes, *program("pass"))
    pid = transport.get_pid()
    await t.within(protocol.lost, 8.0)
    sent: list[object] = []
    kill = os.kill

    def watched(number: int, what: int) -> None:
        if number == pid:
            sent.append(what)
        else:
            kill(number, what)

    refused = []
    with mock.patch.object(os, "kill", watched):
        for call in (lambda: transport.send_signal(signal.SIGTERM), transport.terminate):
            refused.append(t.outcome(call))
        refused.append(t.outcome(transport.kill))
    types: list[Any] = [seen["type"] if isinstance(seen, dict) else seen for seen in refused]
    return {"refused": types, "signals sent to its number": sent}
