# SPDX-License-Identifier: MIT
"""An ASGI application that has heard neither of evenloop nor of its tests: lifespan, bodies."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import sys

state = {"started": 0, "stopped": 0}


async def lifespan(receive, send):
    """Start-up and shut-down."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            state["started"] += 1
            await send({"type": "lifespan.startup.complete"})
        else:
            state["stopped"] += 1
            print("application: shut down", file=sys.stderr, flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def respond(send, status: int, body: bytes) -> None:
    """A response in one piece."""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope, receive, send):
    """The application."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = scope["path"]
    if path == "/":
        await respond(send, 200, b"started %d" % state["started"])
    elif path == "/loop":
        await respond(send, 200, type(asyncio.get_running_loop()).__module__.encode())
    elif path == "/digest":
        digest, size, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            digest.update(message["body"])
            size += len(message["body"])
            more = message["more_body"]
        await respond(send, 200, b"%d %s" % (size, digest.hexdigest().encode()))
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(256):
            body = bytes([number]) * 16384
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/fail":
        raise LookupError("as asked")
    elif path == "/stop":
        await respond(send, 200, b"stopping")
        signal.raise_signal(signal.SIGINT)  # what Ctrl-C does, on every system
    else:
        await respond(send, 404, b"")
