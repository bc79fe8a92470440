# SPDX-License-Identifier: MIT
"""A Tornado HTTP server and client: bodies both ways, streaming, TLS, and a websocket.

python tornado_http.py
"""

from __future__ import annotations

import asyncio
import hashlib
import socket

import result
from tornado import httpclient, httpserver, iostream, web, websocket
from tornado.netutil import bind_sockets

LIMIT = 250.0  # seconds for everything that is asked


class Main(web.RequestHandler):
    """Small answers."""

    def get(self) -> None:
        """Greets."""
        self.write(f"hello {self.get_argument('name', 'nobody')}")

    def post(self) -> None:
        """Digests the body."""
        self.write(hashlib.sha256(self.request.body).hexdigest())


class Stream(web.RequestHandler):
    """A body in many pieces, each flushed."""

    async def get(self) -> None:
        """Streams 4 MiB."""
        for number in range(64):
            self.write(bytes([number]) * 65536)
            await self.flush()


@web.stream_request_body
class Upload(web.RequestHandler):
    """A request body that is digested as it comes."""

    def prepare(self) -> None:
        """Starts a digest."""
        self.digest = hashlib.sha256()
        self.request.connection.set_max_body_size(1 << 30)

    def data_received(self, chunk: bytes) -> None:
        """Adds to the digest."""
        self.digest.update(chunk)

    def put(self) -> None:
        """Gives the digest."""
        self.write(self.digest.hexdigest())


class Echo(websocket.WebSocketHandler):
    """Sends each message back."""

    def on_message(self, message: str | bytes) -> None:
        """Sends it back as it came."""
        self.write_message(message, binary=isinstance(message, bytes))


async def ask(base: str, **options) -> None:
    """Asks for everything."""
    client = httpclient.AsyncHTTPClient(force_instance=True, max_clients=50, max_body_size=1 << 30)

    async def hello(number: int) -> bool:
        response = await client.fetch(f"{base}/?name={number}", **options)
        return response.body == f"hello {number}".encode()

    answers = await asyncio.gather(*(hello(number) for number in range(300)))
    result.line(f"300 requests: {sum(answers)} right")
    data = bytes(range(256)) * 16384
    digest = hashlib.sha256(data).hexdigest().encode()
    binary = {"Content-Type": "application/octet-stream"}
    response = await client.fetch(f"{base}/", method="POST", body=data, headers=binary, **options)
    result.line(f"a body of 4 MiB: {response.body == digest}")
    response = await client.fetch(f"{base}/upload", method="PUT", body=data, **options)
    result.line(f"the same, digested as it comes: {response.body == digest}")
    pieces = []
    await client.fetch(f"{base}/stream", streaming_callback=pieces.append, **options)
    right = b"".join(pieces) == b"".join(bytes([number]) * 65536 for number in range(64))
    result.line(f"a streamed body: {right}")
    response = await client.fetch(f"{base}/nowhere", raise_error=False, **options)
    result.line(f"a missing page: {response.code}")
    try:
        await client.fetch(f"{base}/slow", **{**options, "request_timeout": 0.2})
    except httpclient.HTTPError as exc:
        result.line(f"a request that takes too long: {exc.code}")
    client.close()


class Slow(web.RequestHandler):
    """Answers when the client has gone."""

    async def get(self) -> None:
        """Waits for the client's end of patience."""
        gone = asyncio.get_running_loop().create_future()
        self.request.connection.set_close_callback(lambda: gone.done() or gone.set_result(None))
        await gone


async def talk(base: str) -> None:
    """Echoes messages on a websocket."""
    connection = await websocket.websocket_connect(
        base.replace("http", "ws") + "/echo", max_message_size=1 << 26
    )
    for size in (0, 125, 126, 65536, 4 << 20):
        await connection.write_message("x" * size)
        assert await connection.read_message() == "x" * size
        await connection.write_message(bytes(size), binary=True)
        assert await connection.read_message() == bytes(size)
    connection.close()
    result.line(f"websocket: echoed 10 messages, then {await connection.read_message()}")


async def streams() -> None:
    """Tornado's own IOStream on the loop's readers and writers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    stream = iostream.IOStream(socket.socket())
    await stream.connect(server.sockets[0].getsockname())
    await stream.write(b"through an iostream\n")
    result.line((await stream.read_until_close()).decode().strip())
    server.close()
    await server.wait_closed()


async def main() -> None:
    """Serves and asks, without and with TLS."""
    result.which_loop()
    server_tls, client_tls = result.tls_contexts()
    app = web.Application(
        [("/", Main), ("/stream", Stream), ("/upload", Upload), ("/slow", Slow), ("/echo", Echo)],
        websocket_max_message_size=1 << 26,
        log_function=lambda handler: None,
    )
    for tls in (None, server_tls):
        sockets = bind_sockets(0, "127.0.0.1")
        server = httpserver.HTTPServer(app, ssl_options=tls)
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        base = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        result.line("with TLS" if tls else "without TLS")
        # A request may wait for its turn as long as all of them may take.
        options = {"connect_timeout": LIMIT, "request_timeout": LIMIT}
        if tls:
            options["ssl_options"] = client_tls
        await asyncio.wait_for(ask(base, **options), LIMIT)
        if not tls:
            await talk(base)
        server.stop()
        await server.close_all_connections()
    await streams()
    result.line("done")


if __name__ == "__main__":
    asyncio.run(main())
