# SPDX-License-Identifier: MIT
"""aiohttp serves a directory of 1,000 files over HTTP and HTTPS to an aiohttp client.

The files are made from a seed, 0 B to 5 MiB; 50 connections fetch them all, and each is compared
by its digest. Then the same server's websockets echo text and binary messages.

    python aiohttp_files.py [FILES]
"""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import random
import sys
import tempfile

import aiohttp
import result
from aiohttp import web

CONNECTIONS = 50
BIGGEST = 5 << 20
SEED = 20261122


def make_files(directory: pathlib.Path, count: int) -> dict[str, tuple[int, str]]:
    """Writes the files; gives name -> (size, SHA-256)."""
    chance = random.Random(SEED)
    block = chance.randbytes(BIGGEST)
    files = {}
    for number in range(count):
        if number < 2:
            size = (0, BIGGEST)[number]
        elif number % 100 == 2:
            size = chance.randrange(1 << 20, BIGGEST)
        elif number % 10 == 3:
            size = chance.randrange(1 << 16, 1 << 19)
        else:
            size = int(2 ** (chance.random() * 16)) - 1
        start = chance.randrange(BIGGEST - size + 1)
        data = block[start : start + size]
        name = f"file{number:04}.bin"
        (directory / name).write_bytes(data)
        files[name] = (size, hashlib.sha256(data).hexdigest())
    return files


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Sends each websocket message back."""
    socket = web.WebSocketResponse(max_msg_size=8 << 20)
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            if message.data == "close":
                await socket.close(code=4001, message=b"as you like")
            else:
                await socket.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def upload(request: web.Request) -> web.Response:
    """Digests a streamed request body."""
    digest = hashlib.sha256()
    async for chunk in request.content.iter_chunked(65536):
        digest.update(chunk)
    return web.Response(text=digest.hexdigest())


async def fetch_all(
    session: aiohttp.ClientSession, base: str, files: dict[str, tuple[int, str]]
) -> None:
    """Fetches every file over at most 50 connections and compares it."""
    names = iter(files)
    right = total = 0

    async def work() -> None:
        nonlocal right, total
        for name in names:
            async with session.get(f"{base}/files/{name}") as response:
                assert response.status == 200, response.status
                digest = hashlib.sha256()
                size = 0
                async for chunk in response.content.iter_any():
                    digest.update(chunk)
                    size += len(chunk)
            assert (size, digest.hexdigest()) == files[name], name
            right += 1
            total += size

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    result.line(f"{base.partition(':')[0]}: {right} files, {total} bytes, every digest right")
    async with session.get(f"{base}/files/missing") as response:
        result.line(f"a missing file: {response.status}")
    async with session.get(
        f"{base}/files/file0001.bin", headers={"Range": "bytes=100-199"}
    ) as part:
        result.line(f"a range: {part.status}, {len(await part.read())} bytes")


async def post(session: aiohttp.ClientSession, base: str) -> None:
    """Streams a body of 3 MiB to the server."""
    pieces = [bytes([number]) * 65536 for number in range(48)]

    async def body():
        for piece in pieces:
            yield piece

    async with session.post(f"{base}/upload", data=body()) as response:
        same = await response.text() == hashlib.sha256(b"".join(pieces)).hexdigest()
        result.line(f"a streamed upload of 3 MiB: {response.status}, digest right: {same}")


async def websockets(session: aiohttp.ClientSession, base: str) -> None:
    """Echoes messages of many sizes, on several websockets at once."""

    async def talk(number: int) -> int:
        echoed = 0
        async with session.ws_connect(f"{base}/echo", max_msg_size=8 << 20) as socket:
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                text = chr(97 + number) * size
                await socket.send_str(text)
                assert await socket.receive_str() == text
                await socket.send_bytes(text.encode())
                assert await socket.receive_bytes() == text.encode()
                echoed += 2
            await socket.ping(b"are you there")
            await socket.send_str("close")
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.CLOSE, message
            assert (message.data, message.extra) == (4001, "as you like"), message
        return echoed

    echoed = await asyncio.gather(*(talk(number) for number in range(10)))
    result.line(f"websockets: {sum(echoed)} messages echoed on {len(echoed)} connections")


async def main(count: int) -> None:
    """Serves and fetches, without and with TLS."""
    result.which_loop()
    server_tls, client_tls = result.tls_contexts()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        files = make_files(directory, count)
        app = web.Application()
        app.router.add_static("/files", directory)
        app.router.add_get("/echo", echo)
        app.router.add_post("/upload", upload)
        runner = web.AppRunner(app)
        await runner.setup()
        for scheme, tls in (("http", None), ("https", server_tls)):
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            port = site._server.sockets[0].getsockname()[1]
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=client_tls)
            async with aiohttp.ClientSession(connector=connector) as session:
                base = f"{scheme}://{'localhost' if tls else '127.0.0.1'}:{port}"
                await fetch_all(session, base, files)
                await post(session, base)
                await websockets(session, base)
        await runner.cleanup()
    result.line("done")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
