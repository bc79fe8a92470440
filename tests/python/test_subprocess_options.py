# SPDX-License-Identifier: MIT
"""Children, row by row: every argument of Popen, and what users of other loops ran into."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import subprocess
import sys
import threading

import pytest
import support
from differences import PROACTOR, UVLOOP, differs

MIB = 1 << 20
PIPE = asyncio.subprocess.PIPE
DEVNULL = asyncio.subprocess.DEVNULL
BLOCK = "import sys; sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read()"

fork_options = pytest.mark.absent("fork-options-of-popen", "windows")


async def python(code, **options):
    streams = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE, **options}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, **streams)


class Events(asyncio.SubprocessProtocol):
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.events = []
        self.output = bytearray()
        self.got_output = loop.create_future()
        self.exited = loop.create_future()
        self.ended = loop.create_future()
        self.paused = loop.create_future()

    def pipe_data_received(self, fd, data):
        self.output += data
        if not self.got_output.done():
            self.got_output.set_result(None)

    def pipe_connection_lost(self, fd, exc):
        self.events.append(f"pipe {fd} lost")

    def process_exited(self):
        self.events.append("exited")
        self.exited.set_result(None)

    def connection_lost(self, exc):
        self.events.append("lost")
        self.ended.set_result(exc)

    def pause_writing(self):
        if not self.paused.done():
            self.paused.set_result(None)


# -- the arguments -------------------------------------------------------------------------------


def startup(**fields):
    """The startupinfo argument where there is one, else something for Popen to refuse."""
    return subprocess.STARTUPINFO(**fields) if hasattr(subprocess, "STARTUPINFO") else object()


OPTIONS = {
    "startupinfo": lambda: {"startupinfo": startup()},
    "startupinfo None": lambda: {"startupinfo": None},
    "creationflags": lambda: {"creationflags": 0x08000000},  # CREATE_NO_WINDOW
    "creationflags 0": lambda: {"creationflags": 0},
    "close_fds": lambda: {"close_fds": True},
    "not close_fds": lambda: {"close_fds": False},
    "cwd None": lambda: {"cwd": None},
    "cwd missing": lambda: {"cwd": os.path.join(os.getcwd(), "no", "such", "folder")},
    "env None": lambda: {"env": None},
    "executable": lambda: {"executable": sys.executable},
    "executable missing": lambda: {"executable": os.path.abspath("no-such-program")},
    "preexec_fn": lambda: {"preexec_fn": os.getpid},
    "preexec_fn that raises": lambda: {"preexec_fn": lambda: 1 // 0},
    "pass_fds empty": lambda: {"pass_fds": ()},
    "pass_fds bad": lambda: {"pass_fds": (-1,)},
    "pass_fds closed": lambda: {"pass_fds": (987_654,)},
    "restore_signals": lambda: {"restore_signals": False},
    "start_new_session": lambda: {"start_new_session": True},
    "process_group": lambda: {"process_group": 0},
    "process_group None": lambda: {"process_group": None},
    "user None": lambda: {"user": None},
    "user": lambda: {"user": os.getuid() if hasattr(os, "getuid") else 0},
    "user unknown": lambda: {"user": "no-such-user-anywhere"},
    "group None": lambda: {"group": None},
    "group": lambda: {"group": os.getgid() if hasattr(os, "getgid") else 0},
    "extra_groups None": lambda: {"extra_groups": None},
    "extra_groups": lambda: {"extra_groups": [os.getgid() if hasattr(os, "getgid") else 0]},
    "extra_groups unknown": lambda: {"extra_groups": ["no-such-group-anywhere"]},
    "umask -1": lambda: {"umask": -1},
    "umask": lambda: {"umask": 0o77},
    "pipesize -1": lambda: {"pipesize": -1},
    "pipesize": lambda: {"pipesize": 1 << 16},
    "text False": lambda: {"text": False, "universal_newlines": False, "encoding": None},
    "errors None": lambda: {"errors": None, "bufsize": 0},
    "unknown": lambda: {"no_such_option": 1},
    "env with NUL": lambda: {"env": support.child_environment(A="a\0b")},
    "env with NUL in a name": lambda: {"env": {"A\0": "b"}},
}


# What every test here gives a child anyway.
ALWAYS = {"args", "stdin", "stdout", "stderr", "shell"}


def test_every_argument_of_popen_is_tried():
    """One that a later Python brings, too."""
    tried = {name for option in OPTIONS.values() for name in option()}
    assert set(inspect.signature(subprocess.Popen).parameters) - tried - ALWAYS == set()


def failure(exc):
    """What of an error has to be Popen's: of an OSError not the name of the file (D74)."""
    return type(exc), exc.errno if isinstance(exc, OSError) else str(exc)


def popens_outcome(command, options):
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, **options)
    except Exception as exc:
        return failure(exc)
    return done.returncode, done.stdout


@differs(
    from_=UVLOOP,
    what="`umask`, `user`, `group`, `extra_groups`, `process_group`, `pipesize` for a child",
    they="raises ValueError or TypeError, even for the default value",
    evenloop="does what `subprocess.Popen` does",
)
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_does_what_it_does_for_popen(loop, run, option):
    """C005, C063, C065, C066, C068, D10: the same exit, output, or error."""
    command = [
        sys.executable,
        "-c",
        "import os; u = os.umask(0); print(u); raise SystemExit(u % 7)",
    ]

    async def main():
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, **OPTIONS[option]()
            )
        except Exception as exc:
            return failure(exc)
        out, _ = await process.communicate()
        return process.returncode, out

    # errors="..." and text=True are asyncio's own to refuse: tests/python/test_subprocess.py.
    ours = run(main())
    theirs = popens_outcome(command, OPTIONS[option]())
    if ours[0] is TypeError and theirs[0] is TypeError:
        return  # they name different functions
    assert ours == theirs


@pytest.mark.parametrize("arguments", [("a\0b",), (b"bytes", "text"), ("grüße", "a b", '"q"', "")])
def test_arguments_reach_the_child_as_from_popen(loop, run, arguments):
    """C063: a NUL is ValueError; everything else arrives whole."""
    code = "import sys; print(sys.argv[1:])"

    async def main():
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-X", "utf8", "-c", code, *arguments, stdout=PIPE
            )
        except Exception as exc:
            return failure(exc)
        return process.returncode or 0, (await process.communicate())[0]

    command = [sys.executable, "-X", "utf8", "-c", code, *arguments]
    assert run(main()) == popens_outcome(command, {})


@pytest.mark.absent("startupinfo-on-unix", "posix")
@pytest.mark.parametrize("flags", [0, 0x08000000])
def test_startupinfo_and_creationflags_are_really_applied(loop, run, flags):
    """C005, C066: the child finds what its parent put into STARTUPINFO."""
    code = """
import ctypes
class Info(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("names", ctypes.c_void_p * 3),
                ("numbers", ctypes.c_uint32 * 7), ("flags", ctypes.c_uint32),
                ("show", ctypes.c_uint16), ("reserved", ctypes.c_void_p * 4)]
info = Info()
ctypes.windll.kernel32.GetStartupInfoW(ctypes.byref(info))
print(info.flags & 1, info.show, end="")
"""

    async def main():
        info = startup(dwFlags=1, wShowWindow=7)  # STARTF_USESHOWWINDOW, SW_SHOWMINNOACTIVE
        process = await python(code, startupinfo=info, creationflags=flags)
        out, err = await process.communicate()
        assert out == b"1 7", err

    run(main())


@pytest.mark.absent("console-events-on-unix", "posix")
@pytest.mark.evenloop_only  # os.kill() ends the child, and leaves an exception for others to find
@pytest.mark.parametrize("event", [0, 1])  # CTRL_C_EVENT, CTRL_BREAK_EVENT
def test_a_console_event_that_is_refused_ends_nobody(loop, run, event):
    """A child without a console gets none: OSError in Linux's words, and it goes on."""
    code = "import sys; print(len(sys.stdin.read()), end='')"

    async def main():
        detached = subprocess.DETACHED_PROCESS
        process = await python(code, stdin=subprocess.PIPE, creationflags=detached)
        for _ in range(20):  # calls of it become quick ones, which check less
            with pytest.raises(OSError, match=r"^\[Errno \d+\] [A-Z][a-z ]+$"):
                process.send_signal(event)
        out, _ = await process.communicate(b"data")
        assert (out, process.returncode) == (b"4", 0)

    run(main())


@pytest.mark.parametrize("inherit", [True, False])
def test_close_fds_is_honoured(loop, run, inherit):
    """C068: with close_fds=False an inheritable descriptor, or handle, is the child's, too."""

    async def main():
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        number = support.inheritable_number(writing)
        code = (
            "import os, sys\n"
            "try:\n"
            "    if sys.platform == 'win32':\n"
            "        import msvcrt\n"
            f"        fd = msvcrt.open_osfhandle({number}, 0)\n"
            "    else:\n"
            f"        fd = {number}\n"
            "    os.write(fd, b'inherited')\n"
            "except OSError:\n"
            "    pass\n"
        )
        process = await python(code, close_fds=not inherit)
        os.close(writing)
        await process.communicate()
        with open(reading, "rb") as file:
            assert file.read() == (b"inherited" if inherit else b"")

    run(main())


@fork_options
def test_descriptors_that_are_passed_keep_their_mode_and_are_checked_first(loop, run):
    """C061."""

    async def main():
        for blocking in (True, False):
            reading, writing = os.pipe()
            os.set_blocking(writing, blocking)
            process = await python(
                f"import os; os.write({writing}, b'%d' % os.get_blocking({writing}))",
                pass_fds=(writing,),
            )
            assert os.get_blocking(writing) is blocking
            assert not os.get_inheritable(writing)
            os.close(writing)
            await process.communicate()
            with open(reading, "rb") as file:
                assert file.read() == b"%d" % blocking

    run(main())


@fork_options
def test_spawning_with_preexec_fn_leaves_others_running(loop, run):
    """C050."""

    async def main():
        ticks = []

        async def tick():
            while True:
                ticks.append(None)
                await asyncio.sleep(0)

        ticker = loop.create_task(tick())
        process = await python(BLOCK, preexec_fn=os.setsid)
        await process.stdout.readexactly(5)
        before = len(ticks)
        await support.drain_callbacks(10)
        assert len(ticks) > before
        ticker.cancel()
        process.stdin.close()
        assert await process.wait() == 0
        await process.communicate()

    run(main())


@fork_options
def test_fork_hooks_run_for_preexec_fn_alone(tmp_path):
    """C059: as in subprocess.Popen."""
    result = support.run_child(
        tmp_path,
        """
        import asyncio, os, sys

        calls = []
        os.register_at_fork(before=lambda: calls.append(1))

        async def main(**options):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", **options)
            await process.wait()
            return len(calls)

        loop = new_loop()
        print(loop.run_until_complete(main()))
        print(loop.run_until_complete(main(preexec_fn=os.getpid)))
        loop.close()
        """,
    )
    assert result.stdout.split() == ["0", "1"], result.stderr


@differs(
    from_=PROACTOR,
    what="the FileNotFoundError of a program that is not there",
    they="has no `filename`",
    evenloop="has it, as on Linux",
)
@pytest.mark.parametrize("how", ["program", "executable"])
def test_missing_program_is_named_by_its_error(loop, run, how):
    """D74, contract point 41."""

    async def main():
        missing = "no-such-program-anywhere"
        with pytest.raises(FileNotFoundError) as caught:
            if how == "program":
                await asyncio.create_subprocess_exec(missing, "x")
            else:
                await asyncio.create_subprocess_exec(sys.executable, executable=missing)
        assert caught.value.filename == missing
        assert caught.value.errno == 2

    run(main())


@pytest.mark.parametrize("command", ['echo "a b"', "echo 'c  d'", "echo e && echo f"])
def test_shell_gets_the_command_verbatim(loop, run, command):
    """C009: quotes are the shell's to read."""

    async def main():
        process = await asyncio.create_subprocess_shell(command, stdout=PIPE)
        out, _ = await process.communicate()
        return out

    assert run(main()) == subprocess.run(command, shell=True, stdout=PIPE).stdout


class HasFileno:
    def __init__(self, file):
        self.file = file

    def fileno(self):
        return self.file.fileno()


@pytest.mark.parametrize("wrap", [lambda file: file, HasFileno, lambda file: file.fileno()])
def test_anything_with_a_descriptor_can_be_a_stream(loop, run, tmp_path, wrap):
    """C052: also objects that have nothing but fileno()."""

    async def main():
        with open(tmp_path / "in", "w+b") as source, open(tmp_path / "out", "wb") as target:
            source.write(b"from a file")
            source.seek(0)
            os.lseek(source.fileno(), 0, os.SEEK_SET)
            process = await python(
                "import sys; sys.stdout.write(sys.stdin.read())",
                stdin=wrap(source),
                stdout=wrap(target),
            )
            await process.communicate()
        assert (tmp_path / "out").read_bytes() == b"from a file"

    run(main())


# -- what the pipes are --------------------------------------------------------------------------


@differs(
    from_=UVLOOP,
    what="the streams of a child",
    they="are socket pairs: `/dev/stdin` and `/dev/stdout` cannot be opened",
    evenloop="are pipes",
)
@pytest.mark.absent("kinds-of-pipes", "windows")
def test_child_can_open_its_streams_again(loop, run):
    """C057, D71."""

    async def main():
        process = await python(
            "data = open('/dev/stdin').read(); print(data.upper(), file=open('/dev/stdout', 'w'))"
        )
        out, err = await process.communicate(b"again")
        assert out == b"AGAIN\n", err

    run(main())


@differs(
    from_=UVLOOP,
    what="`get_extra_info('pipe')` of a child's pipe transport",
    they="is None",
    evenloop="is the pipe of the Popen object",
)
def test_pipe_transports_tell_their_pipe(loop, run):
    """C058."""

    async def main():
        transport, protocol = await loop.subprocess_exec(Events, sys.executable, "-c", "")
        popen = transport.get_extra_info("subprocess")
        for number, pipe in enumerate((popen.stdin, popen.stdout, popen.stderr)):
            assert transport.get_pipe_transport(number).get_extra_info("pipe") is pipe
        transport.get_pipe_transport(0).close()
        await protocol.ended
        transport.close()

    run(main())


def test_parallel_children_do_not_hold_each_others_pipes(loop, run):
    """C062: each ends when its own input ends, whoever else still runs."""

    async def main():
        children = await asyncio.gather(*(python(BLOCK) for _ in range(6)))
        for child in children:
            child.stdin.close()
            assert await child.wait() == 0
            assert await child.stdout.read() == b"ready"
            await child.stderr.read()

    run(main())


def test_long_writes_arrive_whole(loop, run):
    """C056: more than a buffer of the C library in one write."""

    async def main():
        process = await python("import sys; print(len(sys.stdin.buffer.read()), end='')")
        process.stdin.write(b"x" * 8193)
        process.stdin.write(b"y" * 300_000)
        process.stdin.close()
        assert await process.stdout.read() == b"308193"
        assert await process.wait() == 0
        await process.stderr.read()

    run(main())


def test_full_standard_input_pauses_and_its_end_is_clean(loop, run):
    """C055: backpressure; and a kill with bytes still queued."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", BLOCK.replace("sys.stdin.read()", "input(); input()")
        )
        await protocol.got_output
        stdin = transport.get_pipe_transport(0)
        stdin.write(b"x" * MIB)
        await protocol.paused
        assert stdin.get_write_buffer_size() > 0
        transport.kill()
        await protocol.ended
        assert sorted(protocol.events) == sorted(
            ["pipe 0 lost", "pipe 1 lost", "pipe 2 lost", "exited", "lost"]
        )
        transport.close()

    run(main())


def test_quick_writes_followed_by_close_all_arrive(loop, run):
    """C055."""

    async def main():
        process = await python("import sys; print(len(sys.stdin.buffer.read()), end='')")
        for _ in range(1000):
            process.stdin.write(b"0123456789")
        process.stdin.close()
        assert await process.stdout.read() == b"10000"
        assert await process.wait() == 0
        await process.stderr.read()

    run(main())


# -- the end -------------------------------------------------------------------------------------


def test_closing_a_running_childs_transport_reports_its_end(loop, run):
    """C051: process_exited and connection_lost always come, and nothing is left to collect."""

    async def main():
        transport, protocol = await loop.subprocess_exec(Events, sys.executable, "-c", BLOCK)
        popen = transport.get_extra_info("subprocess")
        await protocol.got_output
        transport.close()
        transport.close()
        assert await protocol.ended is None
        assert protocol.events[-1] == "lost"
        assert "exited" in protocol.events
        assert popen.returncode not in (None, 0)
        with contextlib.suppress(AttributeError), pytest.raises(ChildProcessError):
            os.waitpid(popen.pid, os.WNOHANG)  # AttributeError: a system without WNOHANG

    run(main())


INHERITED = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                 stdin=sys.stdin, stdout=sys.stdout, stderr=subprocess.DEVNULL)
print("started", flush=True)
os._exit(7)
"""


async def wait_with_inherited_pipes():
    """Whether wait() is over when the child has ended, though a grandchild holds its pipes."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        Events, sys.executable, "-c", INHERITED, stderr=DEVNULL
    )
    waiting = loop.create_task(transport._wait())
    await protocol.exited
    await support.drain_callbacks(5)
    early = waiting.done()
    transport.get_pipe_transport(0).close()
    await protocol.ended
    assert await waiting == 7
    transport.close()
    return early


def test_wait_with_inherited_pipes_is_that_of_the_running_python(loop, run):
    """D73: from Python 3.15 on at once, before that when the pipes are closed (gh-119710)."""
    ours = run(wait_with_inherited_pipes())
    make = asyncio.ProactorEventLoop if support.WINDOWS else asyncio.SelectorEventLoop
    stock = make()
    try:
        theirs = stock.run_until_complete(
            asyncio.wait_for(wait_with_inherited_pipes(), support.LIMIT)
        )
    finally:
        stock.close()
    assert ours is theirs


@pytest.mark.evenloop_only  # asyncio sends one up to Python 3.14
def test_no_signal_is_sent_once_the_end_is_known(loop, run, monkeypatch):
    """C064, D18, contract point 43: the number may be another process's by then."""
    sent = []

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", INHERITED, stderr=DEVNULL
        )
        await protocol.exited
        monkeypatch.setattr(os, "kill", lambda *args: sent.append(args))
        for send in (transport.kill, transport.terminate, lambda: transport.send_signal(15)):
            send()
        monkeypatch.undo()
        transport.get_pipe_transport(0).close()
        await protocol.ended
        with pytest.raises(ProcessLookupError):
            transport.kill()
        transport.close()

    run(main())
    assert sent == []


def test_write_to_an_ended_child_is_dropped(loop, run):
    """D75."""

    async def main():
        process = await python("")
        await process.wait()
        process.stdin.write(b"nobody reads this")
        await support.drain_callbacks()
        process.stdin.close()
        await process.communicate()
        assert process.returncode == 0

    run(main())


def test_failed_spawn_closes_every_pipe_once(loop, run):
    """C053."""

    async def main():
        async def fail():
            with pytest.raises(FileNotFoundError):
                await asyncio.create_subprocess_exec(
                    "no-such-program-anywhere", stdin=PIPE, stdout=PIPE, stderr=PIPE
                )

        await fail()
        before = support.descriptors()
        for _ in range(20):
            await fail()
        assert support.descriptors() <= before + 2

    run(main())


def test_popen_in_another_thread_beside_the_loops_children(loop, run):
    """C054."""

    async def main():
        stop = threading.Event()
        ended = []

        def others():
            while not stop.is_set():
                ended.append(subprocess.run([sys.executable, "-S", "-c", ""]).returncode)

        thread = threading.Thread(target=others)
        thread.start()
        try:
            for _ in range(4):
                children = await asyncio.gather(*(python("print(1)") for _ in range(3)))
                for child in children:
                    assert (await child.communicate())[0].strip() == b"1"
        finally:
            stop.set()
            await loop.run_in_executor(None, thread.join)
        assert set(ended) == {0}

    run(main())


def test_starting_children_warns_of_nothing(loop, run, recwarn):
    """C060: no watcher is made or asked for."""

    async def main():
        process = await python("")
        await process.communicate()

    run(main())
    assert [str(warning.message) for warning in recwarn] == []


def test_standard_streams_of_the_parent_stay_open(tmp_path):
    """C067: neither a child's end nor the loop's close takes them along."""
    result = support.run_child(
        tmp_path,
        """
        import asyncio, sys

        async def main():
            for streams in ({}, {"stdout": sys.stdout, "stderr": sys.stderr, "stdin": sys.stdin}):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", "print('child')", **streams
                )
                assert await process.wait() == 0

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        print("still open")
        print("errors too", file=sys.stderr)
        sys.stdin.read()
        """,
    )
    assert result.stdout == "child\nchild\nstill open\n", result.stderr
    assert result.stderr == "errors too\n"


def test_program_without_standard_streams_can_start_children(tmp_path):
    """C008: a service, a frozen or a pythonw program."""
    answer = tmp_path / "answer"
    result = support.run_child(
        tmp_path,
        f"""
        import asyncio, os, subprocess, sys

        sys.stdin = sys.stdout = sys.stderr = None
        for number in range(3):
            os.close(number)

        async def main():
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(input().upper())",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            return await process.communicate(b"no streams\\n")

        loop = new_loop()
        out, err = loop.run_until_complete(asyncio.wait_for(main(), {support.LIMIT}))
        loop.close()
        with open({str(answer)!r}, "wb") as file:
            file.write(out + err)
        os._exit(0)
        """,
    )
    assert answer.exists(), (result.returncode, result.stdout, result.stderr)
    assert answer.read_bytes().strip() == b"NO STREAMS"
