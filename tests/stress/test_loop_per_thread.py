# SPDX-License-Identifier: MIT
"""A loop in each of four threads: what each does by itself, and what they say to one another.

Written for CPython without a GIL (`make freethreading-test`); it holds with one too. Threads
wait for events and for one another, never for the clock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import evenloop

THREADS = 4
LIMIT = 120.0  # seconds after which a thread has hung
Main = Callable[[int], Coroutine[Any, Any, Any]]


def in_every_thread(main: Main) -> list[Any]:
    """main(number) on a loop of its own in each thread, all begun together; the results."""
    barrier = threading.Barrier(THREADS)
    results: list[Any] = [None] * THREADS
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            barrier.wait(LIMIT)
            results[number] = evenloop.run(asyncio.wait_for(main(number), LIMIT))
        except BaseException as exc:
            failures.append(exc)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads), "a loop hangs"
    if failures:
        raise failures[0]
    return results


def test_callbacks_and_timers_of_each_loop_run_in_order():
    async def main(number: int) -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        done = loop.create_future()
        start = loop.time()
        for step in range(2000):
            loop.call_soon(seen.append, step)
            handle = loop.call_at(start + 60 + step, seen.append, -1)
            loop.call_at(start + step * 1e-6, int)
            handle.cancel()
        loop.call_later(0.01, done.set_result, None)
        await done
        return seen

    assert in_every_thread(main) == [list(range(2000))] * THREADS


def test_servers_and_clients_of_each_loop_exchange_their_bytes():
    async def main(number: int) -> int:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async def talk(address: tuple[str, int], seed: int) -> int:
            reader, writer = await asyncio.open_connection(*address)
            total = 0
            for size in (1, 100, 5000, 200_000):
                message = bytes([seed]) * size
                writer.write(message)
                assert await reader.readexactly(size) == message
                total += size
            writer.close()
            await writer.wait_closed()
            return total

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return sum(await asyncio.gather(*(talk(address, seed) for seed in range(10))))

    assert in_every_thread(main) == [10 * 205_101] * THREADS


def test_loops_pass_tokens_to_one_another():
    """Every loop sends each of its tokens around the ring of threads and gets it back."""
    loops: list[Any] = [None] * THREADS
    ready = threading.Barrier(THREADS)
    finished = threading.Barrier(THREADS)
    rounds, tokens = 25, 8

    async def main(number: int) -> int:
        loop = asyncio.get_running_loop()
        home = [loop.create_future() for _ in range(tokens)]
        loops[number] = loop
        await asyncio.to_thread(ready.wait, LIMIT)

        def arrive(at: int, token: asyncio.Future[int], hops: int) -> None:
            assert asyncio.get_running_loop() is loops[at]
            if hops == rounds * THREADS:
                token.set_result(hops)
                return
            onward = (at + 1) % THREADS
            loops[onward].call_soon_threadsafe(arrive, onward, token, hops + 1)

        for token in home:
            arrive(number, token, 0)
        hops = sum(await asyncio.gather(*home))
        await asyncio.to_thread(finished.wait, LIMIT)  # others may still pass through here
        return hops

    assert in_every_thread(main) == [tokens * rounds * THREADS] * THREADS


def test_loops_and_their_executors_come_and_go_in_every_thread():
    async def main(number: int) -> int:
        return sum([await asyncio.to_thread(pow, step, 2) for step in range(20)])

    for _ in range(10):
        assert in_every_thread(main) == [sum(step * step for step in range(20))] * THREADS
