# SPDX-License-Identifier: MIT
"""Asks aiohttp_app.py for what it has, and stops it: `python aiohttp_ask.py PORT`."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import result


async def main(port: int) -> None:
    """Asks."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/") as response:
            result.line(f"GET /: {response.status} {await response.text()}")
        async with session.get("/stop") as response:
            result.line(f"GET /stop: {response.status}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
