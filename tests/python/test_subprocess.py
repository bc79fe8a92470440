# SPDX-License-Identifier: MIT
"""create_subprocess_exec and _shell: streams, exit codes, signals, many at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest
import support
from differences import SELECTOR, UVLOOP, differs

MIB = 1 << 20
PIPE = asyncio.subprocess.PIPE
DEVNULL = asyncio.subprocess.DEVNULL
BLOCK = "import sys; sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read()"


async def python(code, **options):
    """A child Python with three pipes, or what `options` say."""
    streams = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE, **options}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, **streams)


@differs(
    from_=SELECTOR,
    what="`create_subprocess_exec`, `subprocess_exec`",
    they="raises NotImplementedError",
    evenloop="runs children beside sockets",
)
def test_output_error_and_exit_code(loop, run):
    async def main():
        process = await python(
            "import sys; sys.stdout.write('out'); sys.stderr.write('err'); sys.exit(7)"
        )
        out, err = await process.communicate()
        assert (out, err) == (b"out", b"err")
        assert process.returncode == 7

    run(main())


def test_exit_code_zero_and_wait(loop, run):
    async def main():
        process = await python("pass")
        assert process.returncode is None or process.returncode == 0
        assert await process.wait() == 0
        assert await process.wait() == 0
        assert process.returncode == 0
        await process.communicate()

    run(main())


@pytest.mark.parametrize("code", [1, 2, 3, 127, 255])
def test_exit_codes_pass(loop, run, code):
    async def main():
        process = await python(f"import os; os._exit({code})")
        assert await process.wait() == code
        await process.communicate()

    run(main())


def test_standard_input_reaches_the_child(loop, run):
    async def main():
        process = await python("import sys; sys.stdout.write(sys.stdin.read().upper())")
        out, err = await process.communicate(b"hello child")
        assert (out, err) == (b"HELLO CHILD", b"")

    run(main())


def test_big_data_goes_both_ways(loop, run):
    async def main():
        process = await python(
            "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
        )
        data = bytes(range(256)) * (4 * MIB // 256)
        out, _ = await process.communicate(data)
        assert out == data
        assert process.returncode == 0

    run(main())


def test_big_output_on_both_streams(loop, run):
    async def main():
        process = await python(
            "import sys\n"
            "for _ in range(64):\n"
            "    sys.stdout.buffer.write(b'o' * 32768); sys.stderr.buffer.write(b'e' * 32768)\n",
            stdin=DEVNULL,
        )
        out, err = await process.communicate()
        assert (out, err) == (b"o" * (2 * MIB), b"e" * (2 * MIB))

    run(main())


def test_conversation_line_by_line(loop, run):
    async def main():
        process = await python(
            "import sys\n"
            "for line in sys.stdin.buffer:\n"
            "    sys.stdout.buffer.write(line.strip()[::-1] + b'\\n'); sys.stdout.flush()\n"
        )
        for number in range(50):
            process.stdin.write(b"line %d\n" % number)
            await process.stdin.drain()
            answer = await process.stdout.readline()
            assert answer.strip() == (b"line %d" % number)[::-1]
        process.stdin.close()
        assert await process.wait() == 0
        assert await process.stdout.read() == b""

    run(main())


def test_streams_that_were_not_asked_for_are_none(loop, run):
    async def main():
        process = await python("pass", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
        assert await process.wait() == 0

    run(main())


def test_error_output_can_join_the_output(loop, run):
    async def main():
        process = await python(
            "import sys; sys.stdout.write('a'); sys.stdout.flush(); sys.stderr.write('b')",
            stderr=subprocess.STDOUT,
        )
        out, err = await process.communicate()
        assert (out, err) == (b"ab", None)

    run(main())


def test_file_can_be_an_output(loop, run, tmp_path):
    async def main():
        with open(tmp_path / "out", "wb") as file:
            process = await python("print('to a file', end='')", stdout=file)
            await process.communicate()
        assert (tmp_path / "out").read_bytes() == b"to a file"

    run(main())


@differs(
    from_=SELECTOR,
    what="`create_subprocess_shell`, `subprocess_shell`",
    they="raises NotImplementedError",
    evenloop="runs children beside sockets",
)
def test_shell_runs_a_command_line(loop, run):
    async def main():
        process = await asyncio.create_subprocess_shell(
            "echo hello", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        out, _ = await process.communicate()
        assert out.strip() == b"hello"
        assert process.returncode == 0
        process = await asyncio.create_subprocess_shell("exit 5", stdin=DEVNULL)
        assert await process.wait() == 5

    run(main())


def test_directory_and_environment_are_the_childs(loop, run, tmp_path):
    async def main():
        environment = support.child_environment(EVENLOOP_TEST="grüße")
        process = await python(
            "import os, sys; sys.stdout.buffer.write("
            "(os.getcwd() + '|' + os.environ['EVENLOOP_TEST']).encode())",
            cwd=str(tmp_path),
            env=environment,
        )
        out, err = await process.communicate()
        directory, value = out.decode().split("|")
        assert os.path.realpath(directory) == os.path.realpath(tmp_path)
        assert value == "grüße"

    run(main())


def test_kill_ends_a_child_that_waits(loop, run):
    """Contract point 43, row D17."""

    async def main():
        process = await python(BLOCK)
        assert await process.stdout.readexactly(5) == b"ready"
        process.kill()
        code = await process.wait()
        assert code == (1 if support.WINDOWS else -9)
        process.stdin.close()
        await process.communicate()

    run(main())


def test_terminate_ends_a_child_that_waits(loop, run):
    async def main():
        process = await python(BLOCK)
        assert await process.stdout.readexactly(5) == b"ready"
        process.terminate()
        code = await process.wait()
        assert code == (1 if support.WINDOWS else -15)
        await process.communicate()

    run(main())


@pytest.mark.absent("posix-signals-to-children", "windows")
def test_any_signal_can_be_sent(loop, run):
    """Contract point 43, row D17."""
    import signal

    async def main():
        process = await python(BLOCK)
        await process.stdout.readexactly(5)
        process.send_signal(signal.SIGUSR1)
        assert await process.wait() == -signal.SIGUSR1
        await process.communicate()

    run(main())


def test_signals_to_an_ended_child_are_refused(loop, run):
    async def main():
        process = await python("pass")
        await process.communicate()
        for send in (process.kill, process.terminate):
            try:
                send()
            except ProcessLookupError:
                pass  # asyncio's error where it has one

    run(main())


def test_missing_program_is_file_not_found(loop, run):
    """Contract point 41."""

    async def main():
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("no-such-program-anywhere", stdout=PIPE)

    run(main())


WRONG = {
    "universal_newlines": {"universal_newlines": True},
    "text": {"text": True},
    "encoding": {"encoding": "utf-8"},
    "errors": {"errors": "strict"},
    "bufsize": {"bufsize": 4096},
    "shell": {"shell": True},
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_give_asyncios_error(case):
    """Contract point 41."""

    def use(loop):
        loop.run_until_complete(
            loop.subprocess_exec(asyncio.SubprocessProtocol, sys.executable, **WRONG[case])
        )

    assert support.raised_by(use)[0] == "ValueError"


def test_shell_wants_text_and_shell_true():
    def use(loop):
        loop.run_until_complete(loop.subprocess_shell(asyncio.SubprocessProtocol, ["echo"]))

    assert support.raised_by(use) == ("ValueError", "cmd must be a string")

    def use_shell(loop):
        loop.run_until_complete(
            loop.subprocess_shell(asyncio.SubprocessProtocol, "echo", shell=False)
        )

    assert support.raised_by(use_shell) == ("ValueError", "shell must be True")


def test_cancelled_communicate_leaves_the_child_usable(loop, run):
    async def main():
        process = await python(BLOCK)
        task = loop.create_task(process.wait())
        await process.stdout.readexactly(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert process.returncode is None
        process.stdin.close()
        assert await process.wait() == 0
        await process.communicate()

    run(main())


def test_wait_for_times_out_and_the_child_can_be_killed(loop, run):
    async def main():
        process = await python(BLOCK)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.01)
        process.kill()
        await process.communicate()
        assert process.returncode != 0

    run(main())


def test_many_children_at_once(loop, run):
    async def main():
        async def child(number):
            process = await python(f"import sys; sys.stdout.write(sys.stdin.read() + '{number}')")
            out, _ = await process.communicate(b"number ")
            return out.decode(), process.returncode

        results = await asyncio.gather(*(child(number) for number in range(12)))
        assert results == [(f"number {number}", 0) for number in range(12)]

    run(main())


def test_one_after_another(loop, run):
    async def main():
        for number in range(6):
            process = await python(f"raise SystemExit({number})")
            assert await process.wait() == number
            await process.communicate()

    run(main())


class Events(asyncio.SubprocessProtocol):
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.events = []
        self.output = bytearray()
        self.ended = loop.create_future()

    def connection_made(self, transport):
        self.events.append("made")
        self.transport = transport

    def pipe_data_received(self, fd, data):
        assert fd in (1, 2)
        self.events.append(f"data {fd}")
        self.output += data

    def pipe_connection_lost(self, fd, exc):
        self.events.append(f"pipe {fd} lost")

    def process_exited(self):
        self.events.append("exited")

    def connection_lost(self, exc):
        self.events.append("lost")
        self.ended.set_result(exc)


@differs(
    from_=UVLOOP,
    what="transports",
    they="are no instances of `asyncio.Transport`, `asyncio.SubprocessTransport`",
    evenloop="are",
)
def test_protocol_sees_events_in_order(loop, run):
    """Contract point 42."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", "print('x', end='')"
        )
        assert isinstance(transport, asyncio.SubprocessTransport)
        assert isinstance(transport.get_extra_info("subprocess"), subprocess.Popen)
        assert transport.get_pid() == transport.get_extra_info("subprocess").pid
        for number in (0, 1, 2):
            assert isinstance(transport.get_pipe_transport(number), asyncio.BaseTransport)
        transport.get_pipe_transport(0).close()
        assert await protocol.ended is None
        events = protocol.events
        assert events[0] == "made"
        assert events[-1] == "lost"
        assert events.index("data 1") < events.index("pipe 1 lost")
        assert sorted(events) == sorted(
            ["made", "data 1", "pipe 0 lost", "pipe 1 lost", "pipe 2 lost", "exited", "lost"]
        )
        assert transport.get_returncode() == 0
        assert protocol.output == b"x"
        transport.close()

    run(main())


def test_closing_the_transport_kills_the_child(loop, run):
    """Contract point 42."""

    async def main():
        transport, protocol = await loop.subprocess_exec(
            Events, sys.executable, "-c", BLOCK, stderr=DEVNULL
        )
        popen = transport.get_extra_info("subprocess")
        transport.close()
        await protocol.ended
        assert popen.returncode not in (None, 0)

    run(main())


@differs(
    from_=UVLOOP,
    what="writing to a child that has ended",
    they="raises RuntimeError in `write()`",
    evenloop="raises BrokenPipeError or ConnectionResetError in `drain()`",
)
def test_write_to_a_child_that_ended_raises_on_drain_only(loop, run):
    """Contract row D75."""

    async def main():
        process = await python("pass", stdout=DEVNULL, stderr=DEVNULL)
        await process.wait()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                process.stdin.write(b"x" * 65536)
                await process.stdin.drain()

    run(main())


# 3.11.2's streams never look at the failure of the closing pipe, on every loop.
@pytest.mark.since(3, 11, 7)
def test_communicate_ignores_a_child_that_does_not_read(loop, run):
    async def main():
        process = await python("import sys; sys.stdin.close()", stdout=DEVNULL)
        await process.communicate(b"x" * MIB)
        assert process.returncode == 0

    run(main())


def test_closing_standard_input_is_end_of_file_for_the_child(loop, run):
    async def main():
        process = await python("import sys; print(len(sys.stdin.read()), end='')")
        process.stdin.write(b"12345")
        process.stdin.write_eof()
        assert await process.stdout.read() == b"5"
        assert await process.wait() == 0
        await process.stderr.read()

    run(main())


def test_children_from_a_loop_in_another_thread(loop_factory):
    """Contract point 43."""
    results = []

    def work():
        loop = loop_factory()
        try:

            async def main():
                process = await python("print('thread', end='')")
                return await process.communicate()

            results.append(loop.run_until_complete(asyncio.wait_for(main(), support.LIMIT)))
        finally:
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [(b"thread", b"")]


def test_foreign_children_keep_their_exit_code(loop, run):
    """Contract point 43, row D72."""

    async def main():
        with subprocess.Popen([sys.executable, "-c", "raise SystemExit(9)"]) as foreign:
            process = await python("pass")
            await process.communicate()
            assert await loop.run_in_executor(None, foreign.wait) == 9

    run(main())


@pytest.mark.absent("fork-options-of-popen", "windows")
def test_popen_options_of_posix_are_passed_on(loop, run):
    """Contract point 41, row D10."""

    async def main():
        reading, writing = os.pipe()
        process = await python(
            f"import os; os.write({writing}, b'%d' % (os.getsid(0) == os.getpid()))",
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        await process.communicate()
        assert os.read(reading, 10) == b"1"
        os.close(reading)

    run(main())


@differs(
    from_=UVLOOP,
    what="the standard streams of a child",
    they="are sockets",
    evenloop="are pipes",
)
@pytest.mark.absent("kinds-of-pipes", "windows")
def test_streams_of_the_child_are_pipes(loop, run):
    """Contract row D71."""

    async def main():
        process = await python(
            "import os, stat\n"
            "print([stat.S_ISFIFO(os.fstat(n).st_mode) for n in (0, 1, 2)], end='')"
        )
        out, _ = await process.communicate()
        assert out == b"[True, True, True]"

    run(main())


def test_limit_bounds_a_line(loop, run):
    async def main():
        process = await python("print('x' * 5000)", limit=100)
        with pytest.raises(ValueError, match="Separator is"):
            await process.stdout.readline()
        await process.communicate()

    run(main())


def test_paused_output_holds_the_child_back(loop, run):
    async def main():
        process = await python(
            "import sys; sys.stdout.buffer.write(b'x' * 3000000)", limit=1024, stderr=DEVNULL
        )
        assert await process.stdout.read(1) == b"x"
        rest = await process.stdout.read()
        assert len(rest) == 2999999
        assert await process.wait() == 0

    run(main())
