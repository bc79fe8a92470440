# SPDX-License-Identifier: MIT
"""process: subprocesses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from ..check import Area
from ..handles import open_descriptors, process_exists
from ..protocols import Pipes
from ..trial import Trial

area = Area("process", "Subprocesses")

PYTHON = sys.executable


def program(*lines: str) -> tuple[str, ...]:
    """The command of a small Python program."""
    return (PYTHON, "-S", "-c", "\n".join(("import os, sys", *lines)))


@area.check(expect={"returncode": 3, "stdout": b"out", "stderr": b"err"})
async def output_and_exit_code(t: Trial) -> object:
    """create_subprocess_exec: output, error output and exit code.

    spec: docs, asyncio.create_subprocess_exec
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdout.write('out')", "sys.stderr.write('err')", "sys.exit(3)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await t.within(process.communicate(), 8.0)
    return {"returncode": process.returncode, "stdout": out, "stderr": err}


@area.check(expect=b"HELLO")
async def input_of_a_child(t: Trial) -> object:
    """communicate(input) reaches the child.

    spec: docs, Process.communicate
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdout.write(sys.stdin.read().upper())"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(b"hello"), 8.0)
    return out


@area.check(expect={"stdout": "the shell speaks", "returncode": 5})
async def shell(t: Trial) -> object:
    """create_subprocess_shell runs a command line.

    spec: docs, asyncio.create_subprocess_shell
    """
    process = await asyncio.create_subprocess_shell(
        "echo the shell speaks&& exit 5", stdout=subprocess.PIPE
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return {"stdout": out.decode().strip(), "returncode": process.returncode}


@area.check(
    expect=[
        "connection_made",
        "pipe_data_received(1)",
        "pipe_data_received(2)",
        "connection_lost(None)",
    ]
)
async def protocol_event_order(t: Trial) -> object:
    """connection_made, each pipe's data before its end, all before connection_lost(None).

    spec: docs, SubprocessProtocol; contract of BaseSubprocessTransport
    """
    _, protocol = await t.loop.subprocess_exec(
        Pipes,
        *program(
            "sys.stdout.write('o')",
            "sys.stdout.flush()",
            "sys.stdin.read(1)",
            "sys.stderr.write('e')",
        ),
    )
    await t.until(lambda: protocol.output[1])
    protocol.transport.get_pipe_transport(0).write(b"x")
    await t.within(protocol.lost, 8.0)
    calls = protocol.calls
    for fd in (1, 2):
        data, end = f"pipe_data_received({fd})", f"pipe_connection_lost({fd}, None)"
        if calls.index(data) > calls.index(end):
            return calls
    if "process_exited" not in calls or calls[-1] != "connection_lost(None)":
        return calls
    return [call for call in calls if call.startswith(("connection", "pipe_data"))]


@area.check(expect={"popen": True, "pid": True, "returncode": 0})
async def extra_info_subprocess_popen(t: Trial) -> object:
    """get_extra_info('subprocess') is the subprocess.Popen object.

    spec: docs, BaseTransport.get_extra_info
    """
    transport, protocol = await t.loop.subprocess_exec(Pipes, *program("pass"))
    popen = transport.get_extra_info("subprocess")
    pid = transport.get_pid()
    await t.within(protocol.lost, 8.0)
    return {
        "popen": isinstance(popen, subprocess.Popen),
        "pid": getattr(popen, "pid", None) == pid,
        "returncode": transport.get_returncode(),
    }


@area.check(
    expect={"pipe transports": [True, True, True], "other": None, "pipe": [True, True, True]}
)
async def pipe_extra_info_pipe(t: Trial) -> object:
    """Each of the child's pipes has a transport that gives its file object.

    spec: docs, SubprocessTransport.get_pipe_transport and get_extra_info('pipe'); C058
    """
    transport, protocol = await t.loop.subprocess_exec(Pipes, *program("sys.stdin.read()"))
    pipes = [transport.get_pipe_transport(fd) for fd in (0, 1, 2)]
    seen = {
        "pipe transports": [isinstance(pipe, asyncio.BaseTransport) for pipe in pipes],
        "other": transport.get_pipe_transport(7),
        "pipe": [pipe.get_extra_info("pipe") is not None for pipe in pipes],
    }
    transport.close()
    await t.within(protocol.lost, 8.0)
    return seen


@area.check(expect={"stdin": "pipe", "stdout": "pipe", "stderr": "pipe"}, needs=("posix",))
async def stdio_are_pipes(t: Trial) -> object:
    """The child's standard streams are pipes.

    uvloop gives socket pairs, which cannot be opened as /dev/stdin (uvloop#532).

    spec: docs, subprocess.PIPE; CPython's unix_events uses a socket pair for stdin on AIX only
    """
    process = await asyncio.create_subprocess_exec(
        *program(
            "import stat",
            "for fd in (0, 1, 2):",
            "    sys.stdout.write('pipe ' if stat.S_ISFIFO(os.fstat(fd).st_mode) else 'other ')",
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return dict(zip(("stdin", "stdout", "stderr"), out.decode().split(), strict=True))


@area.check(
    expect=[
        {"type": "ValueError", "text": "universal_newlines must be False"},
        {"type": "ValueError", "text": "shell must be False"},
        {"type": "ValueError", "text": "bufsize must be 0"},
        {"type": "ValueError", "text": "text must be False"},
        {"type": "ValueError", "text": "encoding must be None"},
        {"type": "ValueError", "text": "errors must be None"},
    ]
)
async def text_kwargs_ValueError(t: Trial) -> object:
    """subprocess_exec refuses the arguments of Popen that make text of bytes.

    text: BaseEventLoop.subprocess_exec
    """
    wrong: list[dict[str, Any]] = [
        {"universal_newlines": True},
        {"shell": True},
        {"bufsize": 4096},
        {"text": True},
        {"encoding": "utf-8"},
        {"errors": "strict"},
    ]
    return [await t.outcome_of(t.loop.subprocess_exec(Pipes, PYTHON, **kwargs)) for kwargs in wrong]


@area.check(
    expect={
        "exec": "TypeError",
        "shell": {"type": "ValueError", "text": "cmd must be a string"},
    }
)
async def command_types(t: Trial) -> object:
    """What is no string is refused as a command.

    text: BaseEventLoop.subprocess_shell; for exec subprocess.Popen's own TypeError
    """
    exec_: Any = await t.outcome_of(t.loop.subprocess_exec(Pipes, PYTHON, 1))
    return {
        "exec": exec_["type"] if isinstance(exec_, dict) else "started",
        "shell": await t.outcome_of(t.loop.subprocess_shell(Pipes, 1)),
    }


@area.check(expect={"type": "FileNotFoundError", "filename": True})
async def enoent_type_and_filename(t: Trial) -> object:
    """A program that does not exist: FileNotFoundError with its name.

    portable: D74; Windows' Popen leaves the name away
    """
    name = str(t.path / "no such program")
    try:
        await asyncio.create_subprocess_exec(name)
    except OSError as error:
        return {"type": type(error), "filename": error.filename == name}
    return "started"


@area.check(expect={"leaked": 0}, needs=("descriptors",))
async def failed_spawn_leaks_nothing(t: Trial) -> object:
    """A failed start closes all its pipes.

    spec: C053
    """
    name = str(t.path / "no such program")

    async def fail() -> None:
        with contextlib.suppress(FileNotFoundError):
            await asyncio.create_subprocess_exec(
                name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

    await fail()
    before = open_descriptors()
    for _ in range(10):
        await fail()
    return {"leaked": open_descriptors() - before}


@area.check(expect={"cwd": True, "env": "value"})
async def cwd_and_env(t: Trial) -> object:
    """cwd= and env= reach the child.

    spec: docs, subprocess.Popen
    """
    process = await asyncio.create_subprocess_exec(
        *program("print(os.getcwd())", "print(os.environ.get('KIT'))"),
        stdout=subprocess.PIPE,
        cwd=t.path,
        env={**os.environ, "KIT": "value"},
    )
    out, _ = await t.within(process.communicate(), 8.0)
    folder, value = out.decode().splitlines()
    return {"cwd": os.path.samefile(folder, t.path), "env": value}


@area.check(expect={"pass_fds": b"through", "new session": True}, needs=("posix",))
async def popen_kwargs(t: Trial) -> object:
    """pass_fds= and start_new_session= reach the child.

    spec: docs, subprocess.Popen
    """
    reading, writing = os.pipe()
    t.at_end(os.close, reading)
    process = await asyncio.create_subprocess_exec(
        *program(f"os.write({writing}, b'through')", "print(os.getsid(0) == os.getpid())"),
        stdout=subprocess.PIPE,
        pass_fds=(writing,),
        start_new_session=True,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    os.close(writing)
    return {"pass_fds": os.read(reading, 100), "new session": out.strip() == b"True"}


@area.check(expect={"umask": "0o27", "group": True}, needs=("posix",))
async def popen_kwargs_rare(t: Trial) -> object:
    """umask= and process_group= reach the child.

    spec: docs, subprocess.Popen; uvloop refuses them
    """
    process = await asyncio.create_subprocess_exec(
        *program("print(oct(os.umask(0)), os.getpgrp() == os.getpid())"),
        stdout=subprocess.PIPE,
        umask=0o27,
        process_group=0,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    umask, group = out.decode().split()
    return {"umask": umask, "group": group == "True"}


@area.check(expect=0)
async def popen_kwargs_with_default_values(t: Trial) -> object:
    """Popen's arguments may be given with their default values.

    spec: docs, subprocess.Popen; C065
    """
    process = await asyncio.create_subprocess_exec(
        *program("pass"), text=False, umask=-1, user=None, group=None, pipesize=-1
    )
    return await t.within(process.wait(), 8.0)


@area.check(expect="ran", needs=("posix",))
async def preexec_fn(t: Trial) -> object:
    """preexec_fn runs in the child.

    spec: docs, subprocess.Popen
    """
    mark = t.path / "mark"
    process = await asyncio.create_subprocess_exec(
        *program("pass"), preexec_fn=lambda: mark.write_text("ran")
    )
    await t.within(process.wait(), 8.0)
    return mark.read_text() if mark.exists() else "did not run"


@area.check(expect={"terminate": "terminated", "kill": "killed"})
async def signal_returncode_negative(t: Trial) -> object:
    """terminate() and kill() end a child.

    The return code is negative on Unix and not 0 on Windows.

    spec: docs, SubprocessTransport.get_returncode and subprocess.Popen.returncode
    """
    seen = {}
    for method, number, word in (("terminate", 15, "terminated"), ("kill", 9, "killed")):
        process = await asyncio.create_subprocess_exec(
            *program("sys.stdin.read()"), stdin=subprocess.PIPE
        )
        getattr(process, method)()
        code = await t.within(process.wait(), 8.0)
        right = code == -number if os.name == "posix" else code not in (0, None)
        seen[method] = word if right else f"return code {code}"
    return seen


@area.check(
    expect={
        "terminate": {"type": "ProcessLookupError", "text": ""},
        "kill": {"type": "ProcessLookupError", "text": ""},
    }
)
async def signals_after_the_end(t: Trial) -> object:
    """A transport whose child is over refuses terminate() and kill() with ProcessLookupError.

    spec: docs, Process.terminate; BaseSubprocessTransport._check_proc
    """
    transport, protocol = await t.loop.subprocess_exec(Pipes, *program("pass"))
    await t.within(protocol.lost, 8.0)
    return {"terminate": t.outcome(transport.terminate), "kill": t.outcome(transport.kill)}


@area.check(expect={"waited": 0, "pipe still open": True}, since=(3, 15), needs=("posix",))
async def wait_with_inherited_pipe(t: Trial) -> object:
    """wait() does not wait for a grandchild that holds the pipe.

    spec: gh-119710
    """
    process = await asyncio.create_subprocess_exec(
        *program(
            "import subprocess",
            "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(9)'])",
            "print(child.pid, flush=True)",
        ),
        stdout=subprocess.PIPE,
    )
    stdout: Any = process.stdout
    grandchild = int(await stdout.readline())
    t.at_end(os.kill, grandchild, signal.SIGKILL)
    code = await t.within(process.wait(), 2.0)
    return {"waited": code, "pipe still open": not stdout.at_eof()}


@area.check(expect={"write": None, "drain": "connection"})
async def stdin_write_after_exit_error_on_drain(t: Trial) -> object:
    """Writing to a child that is over raises nothing; drain() does.

    BrokenPipeError or ConnectionResetError, as the system has it.

    spec: CPython's test_subprocess, test_stdin_broken_pipe
    """
    process = await asyncio.create_subprocess_exec(*program("pass"), stdin=subprocess.PIPE)
    await t.within(process.wait(), 8.0)
    stdin: Any = process.stdin
    seen = {"write": t.outcome(stdin.write, bytes(1 << 16))}
    try:
        for _ in range(20):
            await t.within(stdin.drain(), 2.0)
            stdin.write(bytes(1 << 16))
        drained: object = "nothing"
    except (BrokenPipeError, ConnectionResetError):
        drained = "connection"
    return {**seen, "drain": drained}


@area.check(expect={"result": [0, b"child"]})
async def from_non_main_thread(t: Trial) -> object:
    """A loop in another thread than the main one runs subprocesses.

    spec: docs, asyncio subprocesses and threads (3.8)
    """
    seen: list[Any] = []

    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            *program("sys.stdout.write('child')"), stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        seen.extend((process.returncode, out))

    def run() -> None:
        loop = t.new_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())

    thread = t.in_thread(run)
    await t.until(lambda: not thread.is_alive(), 8.0)
    return {"result": seen}


@area.check(expect={"foreign": 7, "ours": 0})
async def foreign_child_not_reaped(t: Trial) -> object:
    """Another Popen's child keeps its exit code while the loop waits for its own.

    spec: docs, child watchers; contract point 43
    """
    foreign = subprocess.Popen(program("sys.exit(7)"))
    process = await asyncio.create_subprocess_exec(*program("pass"))
    ours = await t.within(process.wait(), 8.0)
    await t.settle(0.1)
    return {"foreign": foreign.wait(5), "ours": ours}


@area.check(expect={"left": 0}, needs=("posix",))
async def zombie_count_zero(t: Trial) -> object:
    """Children that are over leave no zombie.

    spec: docs, asyncio.subprocess; C051
    """
    processes = [await asyncio.create_subprocess_exec(*program("pass")) for _ in range(5)]
    for process in processes:
        await t.within(process.wait(), 8.0)
    await t.settle(0.02)
    return {"left": sum(process_exists(process.pid) for process in processes)}


@area.check(expect={"cancelled": True, "child gone": True})
async def cancel_spawn_kills(t: Trial) -> object:
    """A cancelled start leaves no child behind.

    spec: CPython's test_subprocess, test_cancel_make_subprocess_transport_exec
    """
    mark = t.path / "pid"
    lines = (f"open({str(mark)!r}, 'w').write(str(os.getpid()))", "sys.stdin.read()")
    starting = t.loop.create_task(
        asyncio.create_subprocess_exec(*program(*lines), stdin=subprocess.PIPE)
    )
    await asyncio.sleep(0)
    starting.cancel()
    seen = await t.outcome_of(starting)
    await t.settle(0.2)
    pid = mark.read_text() if mark.exists() else ""
    gone = not pid or not process_exists(int(pid))
    cancelled = isinstance(seen, dict) and seen["type"] == "CancelledError"
    return {"cancelled": cancelled, "child gone": gone}


@area.check(expect={"equal": True}, limit=20.0)
async def communicate_large_both_directions(t: Trial) -> object:
    """Two mebibytes in and out at once do not block each other.

    spec: docs, Process.communicate
    """
    process = await asyncio.create_subprocess_exec(
        *program(
            "while True:",
            "    data = sys.stdin.buffer.read1(65536)",
            "    if not data: break",
            "    sys.stdout.buffer.write(data)",
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    data = bytes(range(256)) * 8192
    out, _ = await t.within(process.communicate(data), 15.0)
    return {"equal": out == data}


@area.check(expect={"killed by close": True})
async def close_kills_a_running_child(t: Trial) -> object:
    """Closing the transport kills the child.

    spec: docs, SubprocessTransport.close
    """
    transport, protocol = await t.loop.subprocess_exec(
        Pipes, *program("sys.stdin.read()", "import time", "time.sleep(30)")
    )
    transport.close()
    await t.within(protocol.lost, 8.0)
    code = transport.get_returncode()
    return {"killed by close": code == -9 if os.name == "posix" else code not in (0, None)}


@area.check(expect={"turned": True, "resumed": 0}, needs=("posix",))
async def sigstop_does_not_block_loop(t: Trial) -> object:
    """A stopped child is not over, and the loop turns on.

    spec: waitpid without WUNTRACED; gh-158287
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdin.read()"), stdin=subprocess.PIPE
    )
    process.send_signal(signal.SIGSTOP)
    await t.settle(0.05)
    running = process.returncode is None
    process.send_signal(signal.SIGCONT)
    process.stdin.close()  # type: ignore[union-attr]
    return {"turned": running, "resumed": await t.within(process.wait(), 8.0)}


@area.check(expect={"returncodes": [0] * 200}, limit=30.0)
async def many_concurrent(t: Trial) -> object:
    """Two hundred children at once.

    spec: docs, asyncio.subprocess
    """

    async def one() -> int:
        process = await asyncio.create_subprocess_shell("exit 0")
        return await process.wait()

    return {"returncodes": await t.within(asyncio.gather(*(one() for _ in range(200))), 25.0)}


@area.check(expect={"output": b"to a file"})
async def stdout_is_a_file(t: Trial) -> object:
    """stdout= may be an open file.

    spec: docs, subprocess.Popen; C052
    """
    path = t.path / "out"
    with path.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *program("sys.stdout.write('to a file')"), stdout=file
        )
        await t.within(process.wait(), 8.0)
    return {"output": path.read_bytes()}


@area.check(expect={"both": ["err", "out"]})
async def stderr_joins_stdout(t: Trial) -> object:
    """stderr=STDOUT sends both through one pipe.

    spec: docs, subprocess.STDOUT
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stderr.write('err\\n')", "sys.stderr.flush()", "print('out')"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, err = await t.within(process.communicate(), 8.0)
    return {"both": out.decode().split()} if err is None else err


@area.check(expect={"devnull": b""})
async def devnull(t: Trial) -> object:
    """stdin=DEVNULL gives an empty input.

    spec: docs, subprocess.DEVNULL
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdout.write(sys.stdin.read())"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    return {"devnull": out}


@area.check(expect={"arguments": ["a b", 'say "hi"', "", "back\\slash"]})
async def arguments_arrive_verbatim(t: Trial) -> object:
    """Blanks, quotes, empty strings and backslashes in arguments reach the child as they are.

    portable: docs, subprocess.list2cmdline; C009
    """
    arguments = ["a b", 'say "hi"', "", "back\\slash"]
    process = await asyncio.create_subprocess_exec(
        *program("import json", "print(json.dumps(sys.argv[1:]))"),
        *arguments,
        stdout=subprocess.PIPE,
    )
    out, _ = await t.within(process.communicate(), 8.0)
    import json

    return {"arguments": json.loads(out)}


@area.check(expect={"type": "ValueError"})
async def nul_in_an_argument(t: Trial) -> object:
    """A zero byte in an argument is refused.

    spec: subprocess.Popen: "embedded null byte"; C063
    """
    seen = await t.outcome_of(asyncio.create_subprocess_exec(PYTHON, "a\0b"))
    return {"type": seen["type"]} if isinstance(seen, dict) else "started"


@area.check(expect={"closed": True, "returncode": 0})
async def the_loops_turn_while_a_child_runs(t: Trial) -> object:
    """While a child runs, callbacks run.

    spec: docs, asyncio.subprocess is asynchronous
    """
    process = await asyncio.create_subprocess_exec(
        *program("sys.stdin.read()"), stdin=subprocess.PIPE
    )
    turned = threading.Event()
    t.loop.call_later(0.01, turned.set)
    await t.until(turned.is_set)
    process.stdin.close()  # type: ignore[union-attr]
    return {"closed": turned.is_set(), "returncode": await t.within(process.wait(), 8.0)}
