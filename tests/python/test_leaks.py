# SPDX-License-Identifier: MIT
"""What is opened and closed leaves nothing: memory, descriptors and objects stay flat."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import pathlib
import socket
import sys

import pytest
import support


def stress_programs():
    """The programs of tests/stress/flat.py, which `make stress` runs with 10,000 rounds."""
    path = pathlib.Path(__file__).resolve().parents[1] / "stress" / "flat.py"
    spec = importlib.util.spec_from_file_location("flat", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STRESS = stress_programs()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", STRESS.PROGRAMS)
def test_two_hundred_of_each_leave_memory_and_descriptors_flat(run, name):
    result = run(STRESS.measure(name, 200), timeout=200)
    assert result.descriptors <= STRESS.SLACK_DESCRIPTORS, result
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # its quarantine keeps what was freed
        assert result.memory <= STRESS.SLACK_BYTES, result


def resident() -> int:
    """Bytes of memory that this process holds."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return psutil.Process().memory_info().rss


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def exchange(address):
    """One connection: a message there and back, and an orderly close."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(support.Recorder, *address)
    transport.write(b"message")
    assert await protocol.received(7) == b"message"
    transport.close()
    assert await protocol.lost is None


def flat(work, rounds, warm_up, slack_bytes):
    """Runs work() often; descriptors, blocks and memory have to be where they were."""
    for _ in range(warm_up):
        work()
    gc.collect()
    before = support.descriptors(), resident(), len(gc.get_objects())
    for _ in range(rounds):
        work()
    gc.collect()
    after = support.descriptors(), resident(), len(gc.get_objects())
    assert after[0] <= before[0] + 2, f"descriptors: {before[0]} -> {after[0]}"
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # its quarantine keeps what was freed
        assert after[1] <= before[1] + slack_bytes, f"memory: {before[1]} -> {after[1]}"
    assert after[2] <= before[2] + 200, f"objects: {before[2]} -> {after[2]}"


@pytest.mark.timeout(240)
def test_ten_thousand_connections_leave_memory_and_descriptors_flat(loop):
    async def start():
        return await loop.create_server(Echo, "127.0.0.1", 0, backlog=128)

    server = loop.run_until_complete(start())
    address = server.sockets[0].getsockname()

    async def batch():
        await asyncio.gather(*(exchange(address) for _ in range(50)))

    flat(
        lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
        rounds=200,
        warm_up=20,
        slack_bytes=2 << 20,
    )
    server.close()
    loop.run_until_complete(asyncio.wait_for(server.wait_closed(), support.LIMIT))


def test_stream_connections_leave_nothing(loop):
    async def echo(reader, writer):
        writer.write(await reader.read(100))
        await writer.drain()
        writer.close()

    async def start():
        return await asyncio.start_server(echo, "127.0.0.1", 0)

    server = loop.run_until_complete(start())
    address = server.sockets[0].getsockname()

    async def batch():
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x")
            assert await reader.read() == b"x"
            writer.close()
            await writer.wait_closed()

    flat(
        lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
        rounds=50,
        warm_up=10,
        slack_bytes=2 << 20,
    )
    server.close()
    loop.run_until_complete(asyncio.wait_for(server.wait_closed(), support.LIMIT))


def test_aborted_and_reset_connections_leave_nothing(loop, errors):
    async def one():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(support.Recorder, sock=ours)
        transport.write(bytes(1 << 20))
        transport.abort()
        await protocol.lost
        peer.close()
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(support.Recorder, sock=ours)
        support.reset(peer)
        await protocol.lost

    async def batch():
        for _ in range(10):
            await one()

    flat(
        lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
        rounds=50,
        warm_up=10,
        slack_bytes=4 << 20,
    )


def test_refused_connects_leave_nothing(loop):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()

        async def batch():
            for _ in range(10):
                with pytest.raises(ConnectionRefusedError):
                    await loop.create_connection(support.Recorder, *address)

        flat(
            lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
            rounds=20,
            warm_up=5,
            slack_bytes=2 << 20,
        )


def test_sock_coroutines_leave_nothing(loop):
    ours, peer = support.tcp_pair()

    async def batch():
        for _ in range(100):
            task = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            peer.send(b"x")
            await task
            task = loop.create_task(loop.sock_recv(ours, 10))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ours, peer:
        flat(
            lambda: loop.run_until_complete(asyncio.wait_for(batch(), support.LIMIT)),
            rounds=50,
            warm_up=10,
            slack_bytes=1 << 20,
        )


def test_handles_and_timers_leave_nothing(loop):
    def work():
        for _ in range(5000):
            loop.call_soon(int)
            loop.call_later(0, int)
            loop.call_later(3600, int).cancel()
            loop.call_soon_threadsafe(int)
        for _ in range(3):
            loop.stop()
            loop.run_forever()

    # Python's allocator takes memory from the system by the mebibyte.
    flat(work, rounds=20, warm_up=5, slack_bytes=3 << 20)


def test_loops_leave_nothing(loop_factory):
    def work():
        loop = loop_factory()
        loop.call_later(3600, int)
        loop.call_soon(int)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    flat(work, rounds=500, warm_up=50, slack_bytes=1 << 20)


def test_subprocesses_leave_nothing(loop):
    async def one():
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-S",
            "-c",
            "print(1)",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(b"x")
        assert out.strip() == b"1"

    def work():
        loop.run_until_complete(asyncio.wait_for(one(), support.LIMIT))

    for _ in range(3):
        work()
    gc.collect()
    before = support.descriptors()
    for _ in range(10):
        work()
    gc.collect()
    assert support.descriptors() <= before + 2


def test_references_to_none_and_friends_are_stable(loop):
    """A C method that forgets or drops one reference a call moves these counts by thousands."""
    watched = [b"", "text kept alive here", 10**30, (1, 2, 3), support.Recorder]

    def use():
        for item in watched:
            handle = loop.call_soon(int, item)
            handle.cancel()
            loop.call_later(1000, int, item).cancel()
        loop.call_soon(int)
        loop.stop()
        loop.run_forever()

    use()
    gc.collect()
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(2000):
        use()
    gc.collect()
    loop.stop()
    loop.run_forever()
    after = [sys.getrefcount(item) for item in watched]
    assert all(abs(new - old) < 500 or old > 10**8 for new, old in zip(after, before, strict=True))
