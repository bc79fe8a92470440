# SPDX-License-Identifier: MIT
"""subprocess-windows: what only subprocesses of Windows have."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

from ..check import Area
from ..trial import Trial

area = Area("subprocess-windows", "Subprocesses of Windows")

WINDOWS = ("windows",)


def program(*lines: str) -> tuple[str, ...]:
    """The command of a small Python program."""
    return (sys.executable, "-S", "-c", "\n".join(("import os, sys", *lines)))


@area.check(expect=0, needs=WINDOWS)
async def startupinfo_is_taken(t: Trial) -> object:
    """startupinfo= is passed to the new process.

    spec: docs, subprocess.STARTUPINFO; C005
    """
    info: Any = getattr(subprocess, "STARTUPINFO")()  # noqa: B009 - only Windows has it
    info.dwFlags |= 1  # STARTF_USESHOWWINDOW
    info.wShowWindow = 0
    process = await asyncio.create_subprocess_exec(*program("pass"), startupinfo=info)
    return await t.within(process.wait(), 8.0)


@area.check(expect={"returncode": 0, "output": b"no console"}, needs=WINDOWS)
async def creationflags_are_taken(t: Trial) -> object:
    """creationflags= is passed to the new process.

    spec: docs, subprocess.CREATE_NO_WINDOW; C066
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdout.write('no console')"),
        stdout=subprocess.PIPE,
        creationflags=0x08000000,  # CREATE_NO_WINDOW
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return {"returncode": process.returncode, "output": out}


@area.check(expect=0xC0000005, needs=WINDOWS)
async def exit_codes_are_unsigned(t: Trial) -> object:
    """An exit code beyond 31 bits is the number that Windows gives.

    spec: docs, subprocess.Popen.returncode; GetExitCodeProcess gives a DWORD
    """
    process = await asyncio.create_subprocess_exec(
        *program("import ctypes", "ctypes.windll.kernel32.ExitProcess(0xC0000005)")
    )
    return await t.within(process.wait(), 8.0)


@area.check(expect='"a b"  c', needs=WINDOWS)
async def shell_string_is_verbatim(t: Trial) -> object:
    """subprocess_shell hands its string to cmd.exe as it is.

    spec: docs, loop.subprocess_shell; C009
    """
    process = await asyncio.create_subprocess_shell('echo "a b"  c', stdout=subprocess.PIPE)
    out, _ = await t.within(process.communicate(), 8.0)
    return out.decode().rstrip("\r\n")


@area.check(expect=['tail\\"', "x y\\", "\\\\server\\share"], needs=WINDOWS)
async def quotes_and_backslashes(t: Trial) -> object:
    """Arguments with quotes and trailing backslashes arrive as they are.

    spec: docs, subprocess, "Converting an argument sequence to a string on Windows"
    """
    arguments = ['tail\\"', "x y\\", "\\\\server\\share"]
    process = await asyncio.create_subprocess_exec(
        *program("import json", "print(json.dumps(sys.argv[1:]))"),
        *arguments,
        stdout=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return json.loads(out)


@area.check(
    expect={
        "preexec_fn": "ValueError",
        "pass_fds": "AssertionError or ValueError",
    },
    needs=WINDOWS,
)
async def unix_arguments_are_refused(t: Trial) -> object:
    """The arguments of Popen that Windows lacks are refused as Popen refuses them.

    spec: docs, subprocess.Popen; D10
    """
    preexec: Any = await t.outcome_of(
        asyncio.create_subprocess_exec(*program("pass"), preexec_fn=print)
    )
    fds: Any = await t.outcome_of(asyncio.create_subprocess_exec(*program("pass"), pass_fds=(3,)))
    known = isinstance(fds, dict) and fds["type"] in ("AssertionError", "ValueError")
    return {
        "preexec_fn": preexec["type"] if isinstance(preexec, dict) else "taken",
        "pass_fds": "AssertionError or ValueError" if known else repr(fds),
    }


@area.check(expect={"send_signal": None, "ended": True}, needs=WINDOWS)
async def sigterm_terminates(t: Trial) -> object:
    """send_signal(SIGTERM) terminates, as Popen's does.

    spec: docs, subprocess.Popen.send_signal
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdin.read()"), stdin=subprocess.PIPE
    )
    sent = t.outcome(process.send_signal, signal.SIGTERM)
    code = await t.within(process.wait(), 8.0)
    return {"send_signal": sent, "ended": isinstance(code, int) and code != 0}


@area.check(expect={"child": b"inherited nothing"}, needs=WINDOWS)
async def handles_are_not_inherited(t: Trial) -> object:
    """A child does not inherit the pipes of its siblings: the end of file comes.

    spec: docs, PEP 446; C062
    """
    first = await asyncio.create_subprocess_exec(
        *program("sys.stdin.read()", "sys.stdout.write('inherited nothing')"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    second = await asyncio.create_subprocess_exec(
        *program("sys.stdin.read()"), stdin=subprocess.PIPE
    )
    out, _ = await t.within(first.communicate(b""), 5.0)
    second.stdin.close()  # type: ignore[union-attr]
    await t.within(second.wait(), 8.0)
    return {"child": out}


@area.check(expect={"environment": "only this"}, needs=WINDOWS)
async def environment_is_replaced(t: Trial) -> object:
    """env= replaces the environment.

    spec: docs, subprocess.Popen
    """
    env = {"SYSTEMROOT": os.environ.get("SYSTEMROOT", ""), "KIT": "only this"}
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdout.write(os.environ['KIT'] if 'PATHEXT' not in os.environ else 'more')"),
        stdout=subprocess.PIPE,
        env=env,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return {"environment": out.decode()}


@area.check(expect={"arrived, or was refused": True}, needs=WINDOWS)
async def send_signal_ctrl_break(t: Trial) -> object:
    """send_signal(CTRL_BREAK_EVENT) reaches a child, or raises OSError and leaves it alone.

    Whether it arrives is a matter of the console; the note says what happened.

    spec: docs, subprocess.Popen.send_signal
    """
    number: Any = getattr(signal, "CTRL_BREAK_EVENT")  # noqa: B009 - only Windows has it
    process = await asyncio.create_subprocess_exec(
        *program("print('up', flush=True)", "sys.stdin.read()", "sys.exit(7)"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP"),  # noqa: B009
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await t.within(process.stdout.readline(), 8.0)
    sent = t.outcome(process.send_signal, number)
    if sent is not None:
        process.stdin.close()
    code = await t.within(process.wait(), 8.0)
    t.note("CTRL_BREAK_EVENT", {"send_signal": sent, "exit code": code})
    arrived = sent is None and isinstance(code, int) and code not in (0, 7)
    refused = isinstance(sent, dict) and sent["type"] in ("OSError", "PermissionError")
    return {"arrived, or was refused": arrived or (refused and code == 7)}
