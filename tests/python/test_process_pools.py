# SPDX-License-Identifier: MIT
"""Loops beside concurrent.futures' and multiprocessing's processes, and in them (row C011).

Each test is a script of its own: spawned processes import the main module again, and that has to be
a file.
"""

from __future__ import annotations

import support

WORKERS = """
import asyncio
import concurrent.futures
import multiprocessing
import os
import socket
import sys

def in_a_loop(coroutine):
    loop = new_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(coroutine, 25))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

async def echo(address, data):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer

def ask(address, data):
    return os.getpid(), in_a_loop(echo(address, data))

def fail():
    in_a_loop(asyncio.sleep(0))
    raise LookupError("in the worker")

def die():
    in_a_loop(asyncio.sleep(0))
    os._exit(3)

async def answer(reader, writer):
    writer.write((await reader.read()).upper())
    await writer.drain()
    writer.close()
    await writer.wait_closed()

def serve(ready):
    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            ready.send(server.sockets[0].getsockname())
            await asyncio.get_running_loop().run_in_executor(None, ready.recv)
    in_a_loop(main())

def pool(count):
    return concurrent.futures.ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn")
    )
"""


def run(tmp_path, source):
    process = support.run_child(tmp_path, WORKERS + source)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def test_workers_of_a_process_pool_run_loops_that_talk_to_ours(tmp_path):
    output = run(
        tmp_path,
        """
async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with server:
        with pool(2) as workers:
            asked = [loop.run_in_executor(workers, ask, address, b"abc" * n) for n in range(1, 9)]
            answers = await asyncio.gather(*asked)
    assert [data for _, data in answers] == [b"ABC" * n for n in range(1, 9)]
    assert os.getpid() not in {pid for pid, _ in answers}
    print("all answered")

if __name__ == "__main__":
    in_a_loop(main())
""",
    )
    assert output == "all answered\n"


def test_exceptions_and_deaths_of_workers_reach_the_awaiting_task(tmp_path):
    output = run(
        tmp_path,
        """
async def main():
    loop = asyncio.get_running_loop()
    with pool(1) as workers:
        for work in fail, die:
            try:
                await loop.run_in_executor(workers, work)
            except Exception as exc:
                print(type(exc).__name__)

if __name__ == "__main__":
    in_a_loop(main())
""",
    )
    assert output == "LookupError\nBrokenProcessPool\n"


def test_spawned_process_serves_and_ends_when_told(tmp_path):
    output = run(
        tmp_path,
        """
async def main():
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    address = await loop.run_in_executor(None, ours.recv)
    print(await asyncio.gather(*(echo(address, b"%d bottles" % n) for n in range(3))))
    ours.send("enough")
    await loop.run_in_executor(None, process.join)
    print(process.exitcode)

if __name__ == "__main__":
    in_a_loop(main())
""",
    )
    assert output == "[b'0 BOTTLES', b'1 BOTTLES', b'2 BOTTLES']\n0\n"


def test_threads_of_a_socketserver_each_run_a_loop_on_their_connection(tmp_path):
    output = run(
        tmp_path,
        """
import socketserver
import threading

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        async def main():
            reader, writer = await asyncio.open_connection(sock=self.request.dup())
            await answer(reader, writer)
        in_a_loop(main())

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 32

async def main(address):
    answers = await asyncio.gather(*(echo(address, b"x" * 70_000) for _ in range(10)))
    print({len(data) for data in answers}, {bytes(set(data)) for data in answers})

if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        in_a_loop(main(server.server_address))
        server.shutdown()
        thread.join()
""",
    )
    assert output == "{70000} {b'X'}\n"
