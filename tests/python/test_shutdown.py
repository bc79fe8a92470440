# SPDX-License-Identifier: MIT
"""The end of a process that has loops: running in daemon threads, unclosed, with work in flight."""

from __future__ import annotations

import pytest
import support

DAEMON = """
import asyncio, sys, threading, warnings
warnings.simplefilter("ignore")

def serve(started, keep):
    loop = new_loop()
    keep.append(loop)
    asyncio.set_event_loop(loop)

    async def main():
        async def echo(reader, writer):
            while data := await reader.read(100):
                writer.write(data)
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        keep.extend([server, writer])
        started.set()
        while True:
            writer.write(b"x")
            await reader.read(1)
            if IDLE:
                await asyncio.sleep(3600)

    loop.run_until_complete(main())

threads = []
for _ in range(3):
    started, keep = threading.Event(), []
    thread = threading.Thread(target=serve, args=(started, keep), daemon=True)
    thread.start()
    threads.append((thread, keep))
    started.wait(20)
LAST
print("over", flush=True)
"""


@pytest.mark.parametrize("idle", [False, True], ids=["busy", "waiting"])
@pytest.mark.parametrize(
    "last",
    ["", "threads[0][1][0].call_soon_threadsafe(sys.exit)", "del threads, keep, thread"],
    ids=["kept", "called", "dropped"],
)
def test_a_process_ends_while_daemon_threads_run_loops(tmp_path, idle, last):
    source = DAEMON.replace("IDLE", repr(idle)).replace("LAST", last)
    for _ in range(3):
        process = support.run_child(tmp_path, source)
        assert process.stdout == "over\n", process.stderr
        assert process.returncode == 0, process.stderr


UNCLOSED = """
import asyncio, socket, warnings
warnings.simplefilter("ignore")
loop = new_loop()
ours, peer = socket.socketpair()
ours.setblocking(False)
peer.setblocking(False)

async def main():
    keep = [await loop.create_connection(asyncio.Protocol, sock=ours)]
    loop.call_later(3600, print)
    loop.call_soon_threadsafe(print, "not run")
    loop.stop()
    waiting.append(asyncio.ensure_future(loop.sock_recv(peer, 1)))
    return keep

waiting = []
kept = loop.run_until_complete(main())
kept[0][0].write(b"x" * 10_000_000)
loop.call_soon(print, "not run either")
print("over", flush=True)
"""


def test_a_process_ends_with_an_unclosed_loop_and_all_that_is_open_on_it(tmp_path):
    process = support.run_child(tmp_path, UNCLOSED)
    assert process.stdout == "over\n", process.stderr
    assert process.returncode == 0, process.stderr


FORKED = """
import asyncio, os, threading, time, warnings
warnings.simplefilter("ignore")
started = threading.Event()
loop = new_loop()
loop.call_soon(started.set)
loop.call_later(3600, print)
thread = threading.Thread(target=loop.run_forever, daemon=True)
thread.start()
started.wait(20)
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        outcome = []
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as exc:
            outcome.append("refused" if "fork" in str(exc) else str(exc))
        loop.close()
        own = new_loop()
        outcome.append(own.run_until_complete(asyncio.sleep(0.001, "own loop")))
        own.close()
        os._exit(0 if outcome == ["refused", "own loop"] else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
loop.call_soon_threadsafe(loop.stop)
thread.join(20)
loop.close()
print("over", flush=True)
"""


@pytest.mark.absent("fork-on-windows", "windows")
@pytest.mark.evenloop_only  # the stock loop goes on in the child
def test_a_child_forked_beside_a_running_loop_closes_it_and_runs_its_own(tmp_path):
    process = support.run_child(tmp_path, FORKED)
    assert process.stdout == "over\n", process.stderr
    assert process.returncode == 0, process.stderr
