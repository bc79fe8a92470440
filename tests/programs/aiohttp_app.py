# SPDX-License-Identifier: MIT
"""An application for `python -m aiohttp.web`; it tells which loop it runs on.

python -m evenloop -m aiohttp.web -H 127.0.0.1 -P 8080 aiohttp_app:init
"""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web


async def index(request: web.Request) -> web.Response:
    """Names the loop."""
    kind = type(asyncio.get_running_loop())
    return web.Response(text=f"served by {kind.__module__.partition('.')[0]}.{kind.__name__}")


async def stop(request: web.Request) -> web.Response:
    """Stops the server as Ctrl-C does, once the answer is on its way."""
    asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGINT)
    return web.Response()


def init(argv: list[str]) -> web.Application:
    """Makes the application."""
    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/stop", stop)
    return app
