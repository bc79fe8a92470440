# SPDX-License-Identifier: MIT
"""asyncio's contract: child processes.

Points 41 to 43 and the rows D5, D10, D17, D18 and D71 to D75 of the table of divergences, as far as
test_subprocess.py does not show them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest
import support
from differences import PROACTOR, UVLOOP, WINDOWS, differs

PIPE = asyncio.subprocess.PIPE
DEVNULL = asyncio.subprocess.DEVNULL
WAITS = "import sys; sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read()"


class Events(asyncio.SubprocessProtocol):
    """Writes down what a protocol is told."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.events = []
        self.data = {1: bytearray(), 2: bytearray()}
        self.exited = loop.create_future()
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.events.append("made")

    def pipe_data_received(self, fd, data):
        assert type(data) is bytes
        self.events.append(f"data {fd}")
        self.data[fd] += data

    def pipe_connection_lost(self, fd, exc):
        self.events.append(f"pipe {fd} lost")

    def process_exited(self):
        self.events.append("exited")
        self.exited.set_result(None)

    def connection_lost(self, exc):
        self.events.append("lost")
        self.lost.set_result(exc)


async def python(code, **options):
    streams = {"stdin": PIPE, "stdout": PIPE, "stderr": None, **options}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, **streams)


async def output_of(code, **options):
    process = await python(code, **{"stdin": DEVNULL, **options})
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


# -- starting ------------------------------------------------------------------------------------


@differs(
    from_=PROACTOR,
    what="a program that does not exist",
    they="raises FileNotFoundError without `filename`",
    evenloop="raises FileNotFoundError with it",
)
@pytest.mark.parametrize("way", ["loop.subprocess_exec", "create_subprocess_exec"])
def test_missing_program_is_named_by_the_error(loop, run, way):
    """Point 41 and D74: raised by the awaited call, and the protocol hears nothing."""
    name = os.path.join("no", "such", "program")

    async def main():
        made = []

        def factory():
            made.append(Events())
            return made[-1]

        with pytest.raises(FileNotFoundError) as caught:
            if way == "loop.subprocess_exec":
                await loop.subprocess_exec(factory, name)
            else:
                await asyncio.create_subprocess_exec(name)
        assert caught.value.filename == name
        assert [protocol.events for protocol in made] in ([], [[]])

    run(main())


@pytest.mark.parametrize("method", ["subprocess_exec", "subprocess_shell"])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"universal_newlines": True}, "universal_newlines must be False"),
        ({"bufsize": 1}, "bufsize must be 0"),
        ({"text": True}, "text must be False"),
        ({"encoding": "utf-8"}, "encoding must be None"),
        ({"errors": "strict"}, "errors must be None"),
    ],
    ids=["universal_newlines", "bufsize", "text", "encoding", "errors"],
)
def test_options_for_text_are_refused_in_asyncios_words(loop, run, method, options, text):
    """Point 41: a transport carries bytes."""

    async def main():
        with pytest.raises(ValueError) as caught:
            await getattr(loop, method)(Events, "echo", **options)
        assert str(caught.value) == text

    run(main())


def test_program_and_shell_have_their_own_rules(loop, run):
    """Point 41: 'shell must be ...' and the types of the arguments."""

    async def main():
        for call, kind, text in (
            (lambda: loop.subprocess_exec(Events, "x", shell=True), ValueError, "shell must be"),
            (lambda: loop.subprocess_shell(Events, "x", shell=False), ValueError, "shell must be"),
            (lambda: loop.subprocess_shell(Events, 5), ValueError, "cmd must be a string"),
        ):
            with pytest.raises(kind) as caught:
                await call()
            assert str(caught.value).startswith(text)

    run(main())


def test_working_directory_that_is_missing_is_an_error_of_the_call(loop, run, tmp_path):
    """Point 41: whatever Popen raises."""

    async def main():
        with pytest.raises((FileNotFoundError, NotADirectoryError)):
            await python("pass", cwd=str(tmp_path / "missing"))

    run(main())


def test_executable_and_its_name_can_differ(loop, run):
    """Point 41: Popen's executable."""

    async def main():
        process = await asyncio.create_subprocess_exec(
            "another-name",
            "-c",
            "print('ran', end='')",
            executable=sys.executable,
            stdout=PIPE,
        )
        out, _ = await process.communicate()
        assert out == b"ran"

    run(main())


def test_program_can_be_a_path_and_bytes(loop, run):
    """Point 41: str, PathLike and, where the system takes them, bytes."""
    import pathlib

    async def main():
        kinds = [str, pathlib.Path] + ([] if support.WINDOWS else [os.fsencode])
        for kind in kinds:
            process = await asyncio.create_subprocess_exec(
                kind(sys.executable), "-c", "print('ran', end='')", stdout=PIPE
            )
            out, _ = await process.communicate()
            assert out == b"ran"

    run(main())


@differs(
    from_=UVLOOP,
    what="`umask`, `process_group` and other options of Popen that are rare",
    they="raise TypeError",
    evenloop="are passed on",
)
@pytest.mark.absent("fork-options-of-popen", "windows")
def test_rare_options_of_popen_are_passed_on(loop, run):
    """Point 41 and D10: umask, process_group, preexec_fn, restore_signals, close_fds."""

    async def main():
        code = (
            "import os\n"
            "print(oct(os.umask(0)), os.getpgid(0) == os.getpid(), os.environ['FIRST'], end='')"
        )
        out = await output_of(
            code,
            umask=0o027,
            process_group=0,
            preexec_fn=lambda: os.environ.__setitem__("FIRST", "in the child"),
            restore_signals=True,
            close_fds=True,
            env=None,
        )
        assert out == b"0o27 True in the child"

    run(main())


def test_options_that_this_system_has_not_fail_as_in_popen(loop, run):
    """D10: preexec_fn on Windows, startupinfo elsewhere."""
    options = {"preexec_fn": print} if support.WINDOWS else {"startupinfo": 5}

    async def main():
        with pytest.raises(ValueError) as reference:
            subprocess.Popen([sys.executable, "-c", ""], **options)
        with pytest.raises(ValueError) as caught:
            await python("pass", **options)
        assert str(caught.value) == str(reference.value)

    run(main())


def test_cancelled_start_leaves_no_child(loop, run, monkeypatch):
    """Point 42: a start that is cancelled kills and collects its child."""
    started = []
    popen = subprocess.Popen

    class Noted(popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    async def main():
        monkeypatch.setattr(subprocess, "Popen", Noted)
        if support.WINDOWS:
            from asyncio import windows_utils

            class NotedPipes(windows_utils.Popen):
                def __init__(self, *args, **options):
                    super().__init__(*args, **options)
                    started.append(self)

            monkeypatch.setattr(windows_utils, "Popen", NotedPipes)
        task = loop.create_task(python(WAITS))
        while not started:
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert started[-1].returncode not in (None, 0)

    run(main())


# -- while it runs and afterwards ----------------------------------------------------------------


def test_events_of_a_child_come_in_order(loop, run):
    """Point 42: made first, lost last, the data of a pipe before its loss."""

    async def main():
        for _ in range(5):
            transport, protocol = await loop.subprocess_exec(
                Events,
                sys.executable,
                "-c",
                "import sys; sys.stdout.write('o' * 100000); sys.stderr.write('e' * 100000)",
                stdin=DEVNULL,
            )
            assert await protocol.lost is None
            events = protocol.events
            assert events[0] == "made"
            assert events[-1] == "lost"
            assert events.count("exited") == 1
            for number in (1, 2):
                last = max(i for i, event in enumerate(events) if event == f"data {number}")
                assert last < events.index(f"pipe {number} lost")
                assert len(protocol.data[number]) == 100000
            transport.close()

    run(main())


def test_closed_transport_takes_its_child_along(loop, run):
    """Point 42: close() kills what still runs; connection_lost follows."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", WAITS, stderr=None
        )
        popen = transport.get_extra_info("subprocess")
        transport.close()
        assert transport.is_closing()
        transport.close()
        assert await protocol.lost is None
        assert popen.returncode not in (None, 0)
        assert transport.get_returncode() == popen.returncode
        assert protocol.events[-1] == "lost"

    run(main())


@pytest.mark.parametrize("method", ["terminate", "kill"])
def test_exit_code_tells_the_signal_where_there_is_one(loop, run, method):
    """Point 43 and D17: negative on POSIX, not zero on Windows."""

    async def main():
        process = await python(WAITS)
        await process.stdout.readexactly(5)
        getattr(process, method)()
        code = await process.wait()
        if support.WINDOWS:
            assert code != 0
        else:
            assert code == -(signal.SIGTERM if method == "terminate" else signal.SIGKILL)
        await process.communicate()

    run(main())


@pytest.mark.parametrize("method", ["terminate", "kill", "send_signal"])
def test_signals_never_reach_the_number_of_a_child_that_has_ended(loop, run, monkeypatch, method):
    """Point 43 and D18: the process id may belong to somebody else by now."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", "pass", stdin=None, stdout=None, stderr=None
        )
        await protocol.exited

        def kill(pid, sig):
            raise AssertionError(f"signal {sig} to {pid}")

        monkeypatch.setattr(os, "kill", kill)
        try:
            getattr(transport, method)(*([signal.SIGTERM] if method == "send_signal" else []))
        except ProcessLookupError:
            pass  # asyncio's, until 3.14
        monkeypatch.undo()
        await protocol.lost
        transport.close()

    run(main())


def test_children_of_others_are_not_collected(loop, run):
    """Point 43 and D72: several at once, ending before and after the loop's own."""

    async def main():
        foreign = [
            subprocess.Popen(
                [sys.executable, "-c", f"raise SystemExit({number})"], stdin=subprocess.DEVNULL
            )
            for number in (3, 4)
        ]
        for number in (5, 6):
            process = await python(f"raise SystemExit({number})", stdin=DEVNULL, stdout=None)
            assert await process.wait() == number
        codes = [await asyncio.to_thread(child.wait) for child in foreign]
        assert codes == [3, 4]

    run(main())


@pytest.mark.since(3, 15)
def test_wait_does_not_wait_for_pipes_that_others_keep_open(loop, run):
    """D73: gh-119710; a grandchild has inherited the output."""

    async def main():
        process = await python(
            "import subprocess, sys\n"
            f"subprocess.Popen([sys.executable, '-c', {WAITS!r}])\n"
            "sys.exit(3)",
            stdin=PIPE,
        )
        assert await asyncio.wait_for(process.wait(), support.LIMIT) == 3
        process.stdin.close()
        await process.stdout.read()

    run(main())


@differs(
    from_=WINDOWS,
    what="children beside watched sockets",
    they="need the loop that cannot watch sockets (Proactor), or cannot be started (Selector)",
    evenloop="work on one loop",
)
def test_children_and_readers_work_on_one_loop(loop, run):
    """D1 and D5: neither needs a loop of its own."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            ready = loop.create_future()
            loop.add_reader(ours, lambda: ready.done() or ready.set_result(None))
            process = await python("print('child', end='')")
            out, _ = await process.communicate()
            peer.send(b"x")
            await ready
            loop.remove_reader(ours)
            assert out == b"child"

    run(main())


def test_output_can_be_paused_through_its_pipe_transport(loop, run):
    """Surface 1.4: get_pipe_transport() gives transports with flow control."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", "print('x' * 10, end='')", stdin=None, stderr=None
        )
        out = transport.get_pipe_transport(1)
        out.pause_reading()
        assert not out.is_reading()
        await protocol.exited
        before = len(protocol.data[1])
        await support.drain_callbacks(5)
        assert len(protocol.data[1]) == before
        out.resume_reading()
        await protocol.lost
        assert protocol.data[1] == b"x" * 10
        transport.close()

    run(main())
