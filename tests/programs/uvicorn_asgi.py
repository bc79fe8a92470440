# SPDX-License-Identifier: MIT
"""uvicorn with httptools serves an ASGI application to an aiohttp client, in one process.

python uvicorn_asgi.py             serves and asks, and prints the result
python uvicorn_asgi.py PORT        only asks a server that runs already, and stops it
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys

import aiohttp
import result
import uvicorn
import uvicorn_app


async def ask(base: str) -> None:
    """Asks the application for everything it has."""
    connector = aiohttp.TCPConnector(limit=20)
    async with aiohttp.ClientSession(base, connector=connector) as session:
        async with session.get("/") as response:
            result.line(f"GET /: {response.status} {await response.text()}")

        pieces = [bytes([number]) * 50_000 for number in range(100)]

        async def body():
            for piece in pieces:
                yield piece

        expected = f"{sum(map(len, pieces))} {hashlib.sha256(b''.join(pieces)).hexdigest()}"
        async with session.post("/digest", data=body()) as response:
            result.line(f"a chunked body of 5 MB: {await response.text() == expected}")
        async with session.post("/digest", data=io.BytesIO(b"".join(pieces))) as response:
            result.line(f"a body with its length: {await response.text() == expected}")

        async def stream() -> bool:
            async with session.get("/stream") as response:
                data = await response.read()
            return data == b"".join(bytes([number]) * 16384 for number in range(256))

        answers = await asyncio.gather(*(stream() for _ in range(20)))
        result.line(f"20 streamed bodies of 4 MiB: {sum(answers)} right")

        async def small(number: int) -> bool:
            async with session.post("/digest", data=b"%d" % number) as response:
                digest = hashlib.sha256(b"%d" % number).hexdigest()
                return (await response.text()).split()[1] == digest

        answers = await asyncio.gather(*(small(number) for number in range(500)))
        result.line(f"500 small requests: {sum(answers)} right")
        async with session.get("/fail") as response:
            result.line(f"a request that fails: {response.status}")
        async with session.get("/nowhere") as response:
            result.line(f"a missing page: {response.status}")


async def stop(base: str) -> None:
    """Tells a server in another process to stop."""
    async with aiohttp.ClientSession(base) as session, session.get("/stop") as response:
        result.line(f"GET /stop: {await response.text()}")


async def serve() -> None:
    """Serves in this process, asks, and stops."""
    config = uvicorn.Config(
        uvicorn_app.app,
        port=0,
        http="httptools",
        lifespan="on",
        log_level="critical",
        timeout_keep_alive=300,  # an idle connection is no part of this, however slow the machine
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await ask(f"http://127.0.0.1:{port}")
    server.should_exit = True
    await serving
    result.line(f"lifespan: {uvicorn_app.state}")


async def main() -> None:
    """Asks a server elsewhere, or serves here."""
    result.which_loop()
    if len(sys.argv) > 1:
        base = f"http://127.0.0.1:{int(sys.argv[1])}"
        await ask(base)
        await stop(base)
    else:
        await serve()
    result.line("done")


if __name__ == "__main__":
    asyncio.run(main())
