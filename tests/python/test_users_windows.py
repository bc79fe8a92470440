# SPDX-License-Identifier: MIT
"""What users wanted on Windows above all: one package, streams that end well, every environment."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest
import support
from differences import SELECTOR, UVLOOP, differs
from support import Recorder, transport_and_socket


@pytest.mark.evenloop_only
@differs(
    from_=UVLOOP,
    what="Windows",
    they="is refused at installation",
    evenloop="is one of the systems; the same package, the same tests",
)
def test_package_runs_a_program_on_this_system(tmp_path):
    """C001, C003: one package for all of them, and nothing to choose."""
    source = """
    import asyncio
    async def main():
        async def echo(reader, writer):
            writer.write(await reader.readline())
            writer.close()
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\\n")
        print((await reader.readline()).decode().strip())
        writer.close()
        await writer.wait_closed()
        server.close()
    evenloop.run(main())
    """
    process = support.run_child(tmp_path, source)
    assert (process.stdout, process.stderr) == ("hello\n", "")


def test_orderly_end_is_no_error(loop, run):
    """C004: connection_lost(None), whoever of the two ended it."""

    async def main():
        async with transport_and_socket() as (_, protocol, peer):
            peer.close()
            assert await protocol.lost is None
        async with transport_and_socket() as (transport, protocol, peer):
            transport.close()
            assert await protocol.lost is None

    run(main())


@differs(
    from_=SELECTOR,
    what="`create_subprocess_exec(startupinfo=...)`",
    they="raises NotImplementedError",
    evenloop="hands it on to the system",
)
def test_startupinfo_and_creationflags_are_taken(loop, run):
    """C005: where Popen knows them; elsewhere Popen's own error."""
    options = {}
    if hasattr(subprocess, "STARTUPINFO"):
        info = subprocess.STARTUPINFO()
        info.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        options = {"startupinfo": info, "creationflags": subprocess.CREATE_NO_WINDOW}
    else:
        options = {"startupinfo": None, "creationflags": 0}

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "print(7)", stdout=subprocess.PIPE, **options
        )
        out, _ = await process.communicate()
        assert out.strip() == b"7"
        assert process.returncode == 0

    run(main())


@differs(
    from_=UVLOOP,
    what="`writer.writelines()` after the connection was closed",
    they="raises RuntimeError",
    evenloop="is dropped, as in `write()`",
)
@pytest.mark.evenloop_only  # asyncio's transport fails with a TypeError after the loss
def test_stream_writer_that_is_closed_drops_what_is_written(loop, run):
    """C006: never an error at the call; drain() tells."""

    async def main():
        ours, peer = support.tcp_pair()
        _, writer = await asyncio.open_connection(sock=ours)
        writer.close()
        writer.write(b"late")
        writer.writelines([b"later"])
        await writer.wait_closed()
        writer.write(b"latest")
        writer.writelines([b"too late"])
        assert await support.read_until_eof(peer) == b""
        peer.close()

    run(main())


NO_STREAMS = """
import asyncio, os, subprocess, sys
result = sys.argv[1]
sys.stdin = sys.stdout = sys.stderr = None
for number in range(3):
    os.close(number)
if sys.platform == "win32":
    import ctypes
    for which in (-10, -11, -12):
        ctypes.windll.kernel32.SetStdHandle(which, None)

async def main():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", "import sys; print(sys.stdin.read().upper())",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    out, _ = await process.communicate(b"hello")
    silent = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", "raise SystemExit(5)",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return out.strip(), await silent.wait()

loop = new_loop()
try:
    outcome = repr(loop.run_until_complete(main()))
except BaseException as exc:
    outcome = repr(exc)
loop.close()
with open(result, "w") as file:
    file.write(outcome)
"""


def test_subprocesses_work_in_a_program_without_standard_streams(tmp_path):
    """C008: as under pythonw, in a frozen window program, in a service."""
    script, result = tmp_path / "child.py", tmp_path / "result"
    script.write_text(support.loop_prelude() + NO_STREAMS, encoding="utf-8")
    support.run_python(str(script), str(result))
    assert result.read_text() == "(b'HELLO', 5)"


SHELL_LINES = [
    'echo "a b"',
    'echo "a  b" c',
    "echo a^b",
    'echo "it\'s"',
    'echo one && echo "two three"',
    "echo %PATH%$PATH",
    "exit 3",
]


@pytest.mark.parametrize("line", SHELL_LINES)
def test_shell_gets_the_line_as_it_is(loop, run, line):
    """C009: the result is that of subprocess on the same line, quotes and all."""
    expected = subprocess.run(line, shell=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)

    async def main():
        process = await asyncio.create_subprocess_shell(
            line, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        out, _ = await process.communicate()
        assert (out, process.returncode) == (expected.stdout, expected.returncode)

    run(main())


def test_spawned_workers_run_loops_of_their_own(tmp_path):
    """C011, section 3a test_aiomultiprocess: in a pool of processes, beside the parent's."""
    source = """
    import asyncio, concurrent.futures, multiprocessing

    async def work(number):
        await asyncio.sleep(0.001)
        process = await asyncio.create_subprocess_shell("exit 4")
        return number * number + await process.wait()

    def worker(number):
        loop = new_loop()
        try:
            return loop.run_until_complete(work(number))
        finally:
            loop.close()

    async def main():
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            loop = asyncio.get_running_loop()
            jobs = [loop.run_in_executor(pool, worker, number) for number in range(4)]
            print(await asyncio.gather(*jobs))

    if __name__ == "__main__":
        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    process = support.run_child(tmp_path, source)
    assert process.stdout == "[4, 5, 8, 13]\n", process.stderr


@pytest.mark.absent("unix-sockets-on-windows", "windows")
def test_unix_streams_carry_data(loop, run, tmp_path):
    """C027: a server and a client on a path."""

    async def main():
        async def echo(reader, writer):
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        path = str(tmp_path / "socket")
        server = await asyncio.start_unix_server(echo, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello\n")
        assert await reader.read() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


def test_cancelled_sendall_leaves_what_was_sent_and_the_socket(loop, run):
    """Section 3a, test_socket_cancel_sock_sendall: a part has gone, the rest has not, no error."""

    async def main():
        ours, peer = support.tcp_pair()
        with ours, peer:
            size = 32 << 20
            task = loop.create_task(loop.sock_sendall(ours, b"x" * size))
            await support.drain_callbacks()
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            received = 0
            last = loop.create_task(loop.sock_sendall(ours, b"END"))
            data = b""
            while not data.endswith(b"END"):
                data = await loop.sock_recv(peer, 1 << 20)
                received += len(data)
            await last
            assert 3 < received < size

    run(main())


def test_pid_is_that_of_the_child(loop, run):
    """Section 3a, test_process_pid_1: the transport's, the process object's and the child's own."""

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "import os; print(os.getpid())", stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert int(out) == process.pid == process._transport.get_pid()

    run(main())


def test_child_sees_the_environment_it_was_given_alone(loop, run, monkeypatch):
    """Section 3b, test_process_env_2: nothing of the parent's comes along."""
    monkeypatch.setenv("EVENLOOP_PARENTS_OWN", "1")
    given = {"EVENLOOP_GIVEN": "2"}
    if support.WINDOWS:
        given["SYSTEMROOT"] = os.environ["SYSTEMROOT"]  # without it Python does not start there
    source = "import os; print(sorted(n for n in os.environ if n.startswith('EVENLOOP')))"

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", source, stdout=subprocess.PIPE, env=given
        )
        out, _ = await process.communicate()
        assert out.strip() == b"['EVENLOOP_GIVEN']"

    run(main())


def test_big_input_needs_no_end_of_file_of_its_own(loop, run):
    """Section 3c, large standard input: the child reads as much as it wants, line by line."""
    source = "import sys\nfor _ in range(2): print(len(sys.stdin.readline()), flush=True)"

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", source, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for size in (500_000, 5):
            process.stdin.write(b"x" * size + b"\n")
            await process.stdin.drain()
            assert int(await process.stdout.readline()) == size + 1
        assert await process.wait() == 0
        process.stdin.close()

    run(main())


def test_closed_standard_input_is_told_to_the_protocol(loop, run):
    """Section 3c, paused stdin_pipe: pipe_connection_lost comes for descriptor 0 too."""

    async def main():
        lost = []
        ended = asyncio.Event()

        class Process(asyncio.SubprocessProtocol):
            def pipe_connection_lost(self, fd, exc):
                lost.append(fd)

            def connection_lost(self, exc):
                ended.set()

        transport, _ = await loop.subprocess_exec(
            Process, sys.executable, "-S", "-c", textwrap.dedent("input()"), stderr=None
        )
        stdin = transport.get_pipe_transport(0)
        stdin.write(b"line\n")
        stdin.close()
        await ended.wait()
        assert sorted(lost) == [0, 1]
        transport.close()

    run(main())


def test_small_writes_wait_in_no_buffer(loop, run):
    """Section 3c, write buffers: the system took it, so there is nothing to report or to pause."""

    async def main():
        async with transport_and_socket(Recorder) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=256, low=128)
            for number in range(10):
                transport.write(b"q" * 512)
                assert transport.get_write_buffer_size() == 0, number
            assert protocol.calls == ["connection_made"]
            assert await support.read_exactly(peer, 5120) == b"q" * 5120

    run(main())
