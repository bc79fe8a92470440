# SPDX-License-Identifier: MIT
"""The websockets library echoes messages of up to 16 MiB, without and with TLS.

python websockets_echo.py
"""

from __future__ import annotations

import asyncio
import random

import result
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

MIB = 1 << 20


async def echo(socket) -> None:
    """Sends each message back; closes when asked to."""
    async for message in socket:
        if message == "close":
            await socket.close(4000, "as you like")
            return
        await socket.send(message)


async def talk(uri: str, tls) -> None:
    """Sends messages of every size and compares what comes back."""
    chance = random.Random(16)
    async with connect(uri, ssl=tls, max_size=None, compression=None) as socket:
        for size in (0, 1, 125, 126, 65535, 65536, MIB, 16 * MIB):
            message = chance.randbytes(size)
            await socket.send(message)
            assert await socket.recv() == message
            result.line(f"{size} bytes came back")
        latency = await (await socket.ping())
        result.line(f"pong: {latency >= 0}")
        await socket.send("close")
        try:
            await socket.recv()
        except ConnectionClosedError as exc:
            result.line(f"closed: {exc.rcvd.code} {exc.rcvd.reason}")


async def crowd(uri: str, tls) -> None:
    """Twenty clients at once, with compression."""

    async def one(number: int) -> int:
        async with connect(uri, ssl=tls, max_size=None) as socket:
            for round_number in range(20):
                text = f"client {number} round {round_number} " * 500
                await socket.send(text)
                assert await socket.recv() == text
        return 20

    result.line(f"a crowd: {sum(await asyncio.gather(*map(one, range(20))))} messages came back")


async def fragments(uri: str, tls) -> None:
    """A message sent in pieces arrives as one."""
    async with connect(uri, ssl=tls) as socket:

        async def pieces():
            for word in ("in ", "several ", "pieces"):
                yield word

        await socket.send(pieces())
        result.line(await socket.recv())
        await socket.close()
        try:
            await socket.recv()
        except ConnectionClosedOK:
            result.line("closed in order")


async def main() -> None:
    """Serves and talks."""
    result.which_loop()
    server_tls, client_tls = result.tls_contexts()
    for server_context, client_context in ((None, None), (server_tls, client_tls)):
        async with serve(
            echo, "127.0.0.1", 0, ssl=server_context, max_size=None, ping_interval=None
        ) as server:
            port = server.sockets[0].getsockname()[1]
            uri = f"wss://localhost:{port}" if server_context else f"ws://127.0.0.1:{port}"
            result.line(uri.partition(":")[0])
            await talk(uri, client_context)
            await crowd(uri, client_context)
            await fragments(uri, client_context)
    result.line("done")


if __name__ == "__main__":
    asyncio.run(main())
