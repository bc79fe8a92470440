# SPDX-License-Identifier: MIT
"""What single operations of one event loop cost, each measured many times in this process.

An operation's cost is the processor time, of all threads, that a batch of them took, divided by
their number; the batch is repeated and the cheapest one counts, because noise only ever adds.
(Windows counts processor time in steps of 16 ms, so there the clock on the wall is used.)
Prints one JSON object: benchmark -> {"cpu_ns", "wall_ns", "operations"}.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import functools
import gc
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple, cast

from contenders import LOOPS, loop_factory

Loop = asyncio.AbstractEventLoop
TURN = 1000  # Operations that are queued in one turn, where a benchmark queues many.


def nothing() -> None:
    """Do as little as a callback can."""


def in_turns(loop: Loop, count: int, fill: Callable[[], None]) -> None:
    """Run `fill`, which does TURN operations, in a turn of its own until `count` are done."""
    left = count

    def turn() -> None:
        nonlocal left
        left -= TURN
        if left < 0:
            loop.stop()
            return
        fill()
        loop.call_soon(turn)

    loop.call_soon(turn)
    loop.run_forever()


def call_soon_chain(loop: Loop, count: int) -> None:
    """A callback that queues itself: one turn of the loop each time."""
    left = count

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()


def call_soon_batch(loop: Loop, count: int) -> None:
    """1,000 callbacks queued in one turn and run in the next."""

    def fill() -> None:
        call_soon = loop.call_soon
        for _ in range(TURN):
            call_soon(nothing)

    in_turns(loop, count, fill)


def call_soon_threadsafe(loop: Loop, count: int) -> None:
    """Another thread queues callbacks as fast as it can."""

    def post() -> None:
        call = loop.call_soon_threadsafe
        for _ in range(count):
            call(nothing)
        call(loop.stop)

    poster = threading.Thread(target=post)
    loop.call_soon(poster.start)
    loop.run_forever()
    poster.join()


def threadsafe_wake(loop: Loop, count: int) -> None:
    """Another thread wakes the sleeping loop and waits until its callback has run."""

    def post() -> None:
        ran = threading.Event()
        for _ in range(count):
            loop.call_soon_threadsafe(ran.set)
            ran.wait()
            ran.clear()
        loop.call_soon_threadsafe(loop.stop)

    poster = threading.Thread(target=post)
    loop.call_soon(poster.start)
    loop.run_forever()
    poster.join()


def timer_cancel(loop: Loop, count: int) -> None:
    """A timer set for later and cancelled; 100 are set, then these are cancelled."""

    def fill() -> None:
        call_later = loop.call_later
        for _ in range(TURN // 100):
            timers = [call_later(60, nothing) for _ in range(100)]
            for timer in timers:
                timer.cancel()

    in_turns(loop, count, fill)


def timer_cancel_among_many(loop: Loop, count: int) -> None:
    """The same while 10,000 other timers are waiting."""
    timer_cancel(loop, count)


def set_many_timers(loop: Loop) -> None:
    """Set 10,000 timers that stay."""
    for i in range(10_000):
        loop.call_later(3600 + i, nothing)


def timer_fired(loop: Loop, count: int) -> None:
    """A timer set for the next milliseconds and run when due."""
    left = count

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            loop.stop()

    now = loop.time()
    for i in range(count):
        loop.call_at(now + 0.001 + (i * 7919 % 1009) * 1e-6, fired)
    loop.run_forever()


def sleep_zero(loop: Loop, count: int) -> None:
    """await asyncio.sleep(0)."""

    async def run() -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    loop.run_until_complete(run())


def future(loop: Loop, count: int) -> None:
    """A future made, set by a callback and awaited."""

    async def run() -> None:
        for _ in range(count):
            waiter = loop.create_future()
            loop.call_soon(waiter.set_result, None)
            await waiter

    loop.run_until_complete(run())


async def returns() -> None:
    """Do as little as a coroutine can."""


def task(loop: Loop, count: int) -> None:
    """A task made and awaited."""

    async def run() -> None:
        for _ in range(count):
            await loop.create_task(returns())

    loop.run_until_complete(run())


def gather(loop: Loop, count: int) -> None:
    """One of 100 coroutines that are gathered."""

    async def run() -> None:
        for _ in range(count // 100):
            await asyncio.gather(*[returns() for _ in range(100)])

    loop.run_until_complete(run())


def run_until_complete(loop: Loop, count: int) -> None:
    """The loop started for one coroutine and left again."""
    for _ in range(count):
        loop.run_until_complete(returns())


def reader_pair(loop: Loop, count: int) -> None:
    """add_reader and remove_reader in one turn."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def fill() -> None:
        for _ in range(TURN):
            loop.add_reader(ours, nothing)
            loop.remove_reader(ours)

    in_turns(loop, count, fill)
    ours.close()
    theirs.close()


class Accepted(asyncio.Protocol):
    """The accepted end; tells when it is gone."""

    gone: ClassVar[Callable[[], object]]

    def connection_lost(self, exc: Exception | None) -> None:
        Accepted.gone()


def connect(loop: Loop, count: int) -> None:
    """A TCP connection made, accepted and ended, both ends as transports of this loop."""
    # The client resets: a port in TIME_WAIT for each connection would slow down every next one.
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

    async def run() -> None:
        server = await loop.create_server(Accepted, "127.0.0.1", 0, backlog=1024)
        host, port = server.sockets[0].getsockname()
        for _ in range(count):
            ended = loop.create_future()
            Accepted.gone = functools.partial(ended.set_result, None)
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
            peer = cast(socket.socket, transport.get_extra_info("socket"))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
            await ended
        server.close()
        await server.wait_closed()

    loop.run_until_complete(run())


class Benchmark(NamedTuple):
    """An operation to measure, how many are a first small batch, and what is done before."""

    run: Callable[[Loop, int], None]
    first_batch: int
    prepare: Callable[[Loop], None] = lambda loop: None

    @property
    def name(self) -> str:
        """The benchmark's name: its function's."""
        return self.run.__name__


BENCHMARKS = (
    Benchmark(call_soon_chain, 1000),
    Benchmark(call_soon_batch, 2000),
    Benchmark(call_soon_threadsafe, 1000),
    Benchmark(threadsafe_wake, 50),
    Benchmark(timer_cancel, 2000),
    Benchmark(timer_cancel_among_many, 2000, set_many_timers),
    Benchmark(timer_fired, 2000),
    Benchmark(sleep_zero, 1000),
    Benchmark(future, 1000),
    Benchmark(task, 1000),
    Benchmark(gather, 1000),
    Benchmark(run_until_complete, 200),
    Benchmark(reader_pair, 1000),
    Benchmark(connect, 50),
)


class Sample(NamedTuple):
    """One batch: nanoseconds an operation."""

    cpu_ns: float
    wall_ns: float


def measure_batch(factory: Callable[[], Loop], benchmark: Benchmark, count: int) -> Sample:
    """Run one batch on a new loop, so that none inherits what another left behind."""
    loop = factory()
    asyncio.set_event_loop(loop)
    gc.collect()
    try:
        benchmark.prepare(loop)
        wall = time.perf_counter_ns()
        cpu = time.process_time_ns()
        benchmark.run(loop, count)
        cpu = time.process_time_ns() - cpu
        wall = time.perf_counter_ns() - wall
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    if sys.platform == "win32":
        cpu = wall
    return Sample(cpu / count, wall / count)


def measure(factory: Callable[[], Loop], benchmark: Benchmark, seconds: float) -> dict[str, float]:
    """Grow the batch until five of them fill the time, then keep the best of five."""
    count = benchmark.first_batch
    sample = measure_batch(factory, benchmark, count)
    while sample.wall_ns * count < seconds * 1e9 / 5 / 2:
        count *= 2
        sample = measure_batch(factory, benchmark, count)
    samples = [sample] + [measure_batch(factory, benchmark, count) for _ in range(4)]
    return {
        "cpu_ns": round(min(sample.cpu_ns for sample in samples), 1),
        "wall_ns": round(min(sample.wall_ns for sample in samples), 1),
        "operations": count,
    }


def main() -> None:
    """Read the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--seconds", type=float, default=0.5, help="about, for each benchmark")
    parser.add_argument("--only", action="append", help="names or patterns of benchmarks")
    parser.add_argument("--list", action="store_true", help="print the benchmarks' names")
    parser.add_argument(
        "--batch", type=int, help="run one batch of this size a benchmark and measure nothing"
    )
    arguments = parser.parse_args()
    if arguments.list:
        for benchmark in BENCHMARKS:
            print(f"{benchmark.name:25}{benchmark.run.__doc__}")
        return
    chosen = [
        benchmark
        for benchmark in BENCHMARKS
        if not arguments.only
        or any(fnmatch.fnmatch(benchmark.name, pattern) for pattern in arguments.only)
    ]
    if not chosen:
        parser.error("no benchmark has that name; see --list")
    factory = loop_factory(arguments.loop)
    if arguments.batch is not None:
        for benchmark in chosen:
            measure_batch(factory, benchmark, arguments.batch)
        return
    result = {
        benchmark.name: measure(factory, benchmark, arguments.seconds) for benchmark in chosen
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
