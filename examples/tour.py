# SPDX-License-Identifier: MIT
"""A tour of what an asyncio program does all day, in one file.

It knows nothing of evenloop: `python tour.py` runs it on asyncio's own loop, and
`python -m evenloop tour.py` on evenloop. It prints the same lines on every system: no ports, no
process numbers, no times. Only the standard library is needed.
"""

import asyncio
import pathlib
import ssl
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
CERTIFICATE = HERE / "tour_only_cert.pem"
KEY = HERE / "tour_only_key.pem"

# The child process of the tour: it answers each line of its input with one of its own.
CHILD = """
import sys
for line in sys.stdin:
    word, number = line.split()
    if word == "square":
        print("its square is", int(number) ** 2, flush=True)
    else:
        sys.exit(int(number))
"""


def heading(text: str) -> None:
    """Prints the title of the next stop of the tour."""
    print(f"\n== {text}")


# -- a small web server --------------------------------------------------------------------------


class WebServer:
    """Speaks enough HTTP/1.1 to greet, to echo, to stream, and to stop gracefully."""

    def __init__(self) -> None:
        self.served = 0
        self.slow_started = asyncio.Event()
        self.slow_released = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until its client has asked for everything."""
        try:
            while request_line := (await reader.readline()).decode():
                method, path, _ = request_line.split()
                length = 0
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                body = await reader.readexactly(length)
                await self.answer(writer, method, path, body)
                self.served += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away in the middle: its right
        finally:
            writer.close()

    async def answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes
    ) -> None:
        """Writes the response to one request."""
        if path == "/count":
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in (b"one", b"two", b"three"):
                writer.write(b"%x\r\n%s\r\n" % (len(number) + 1, number + b" "))
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(b"0\r\n\r\n")
            return
        status, text = "200 OK", b""
        if path == "/":
            text = b"welcome"
        elif path == "/echo" and method == "POST":
            text = body[::-1]
        elif path == "/slow":
            self.slow_started.set()
            await self.slow_released.wait()
            text = b"worth waiting for"
        else:
            status = "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()


async def fetch(
    address: tuple[str, int],
    path: str,
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> str:
    """One HTTP request on a connection of its own; gives "status text"."""
    reader, writer = await asyncio.open_connection(
        *address, ssl=tls, server_hostname="localhost" if tls else None
    )
    method = "POST" if body else "GET"
    writer.write(f"{method} {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    status = (await reader.readline()).split()[1].decode()
    headers = {}
    while header := (await reader.readline()).decode().strip():
        name, _, value = header.partition(": ")
        headers[name] = value
    if "Content-Length" in headers:
        text = await reader.readexactly(int(headers["Content-Length"]))
    else:
        text = b""
        while size := int(await reader.readline(), 16):
            text += (await reader.readexactly(size + 2))[:-2]
    writer.close()
    await writer.wait_closed()
    return f"{status} {text.decode().strip()}".strip()


# -- the stops of the tour -----------------------------------------------------------------------


async def visit_timers() -> None:
    """Timers fire in the order of their time, whatever the order they were set in."""
    heading("Timers")
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0.03, done.set_result, "the last timer")
    loop.call_later(0.02, print, "the second timer fired")
    loop.call_later(0.01, print, "the first timer fired")
    loop.call_later(0.015, print, "nobody sees this").cancel()
    loop.call_soon(print, "no timer at all: the next turn of the loop")
    print(await done, "fired")
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
    except TimeoutError:
        print("an hour of sleep, cut short by a timeout")


async def visit_web(address: tuple[str, int]) -> None:
    """A server and its clients, talking at the same time on one thread."""
    heading("HTTP")
    print("GET /          ->", await fetch(address, "/"))
    print("POST /echo     ->", await fetch(address, "/echo", b"pool ma I"))
    print("GET /count     ->", await fetch(address, "/count"))
    print("GET /nowhere   ->", await fetch(address, "/nowhere"))
    bodies = [bytes([65 + number]) * 200_000 for number in range(20)]
    answers = await asyncio.gather(*(fetch(address, "/echo", body) for body in bodies))
    right = [answer == f"200 {body.decode()}" for answer, body in zip(answers, bodies, strict=True)]
    print(f"20 clients at once, 200,000 bytes each way: {sum(right)} right answers")


async def visit_tls(server: WebServer) -> None:
    """The same server again, encrypted."""
    heading("TLS")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(CERTIFICATE, KEY)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    secure = await asyncio.start_server(server, "127.0.0.1", 0, ssl=serving)
    async with secure:
        address = secure.sockets[0].getsockname()[:2]
        print("GET / over TLS ->", await fetch(address, "/", tls=trusting))
        try:
            await fetch(address, "/", tls=ssl.create_default_context())
        except ssl.SSLCertVerificationError:
            print("a client that does not know the certificate: refused it")


async def visit_subprocess() -> None:
    """A child process that answers line by line, and one that is told to go."""
    heading("Subprocesses")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    for number in (7, 12, 1024):
        child.stdin.write(f"square {number}\n".encode())
        await child.stdin.drain()
        print(f"asked for {number}:", (await child.stdout.readline()).decode().strip())
    child.stdin.write(b"exit 3\n")
    print("asked to exit with 3: it ended with", await child.wait())
    sleeper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(3600)"
    )
    sleeper.terminate()
    print("a sleeping child was terminated:", await sleeper.wait() != 0)


async def visit_thread() -> None:
    """A thread hands work to the loop, and the loop hands work to a thread."""
    heading("Threads")
    loop = asyncio.get_running_loop()
    letters: asyncio.Queue[str | None] = asyncio.Queue()

    def call_in() -> None:
        for letter in ("post", "from", "another", "thread", None):
            loop.call_soon_threadsafe(letters.put_nowait, letter)

    threading.Thread(target=call_in).start()
    received = []
    while (letter := await letters.get()) is not None:
        received.append(letter)
    print("received:", " ".join(received))
    print("a thread counted for us:", await asyncio.to_thread(sum, range(1_000_001)))


async def visit_stop(server: WebServer, listener: asyncio.Server, address: tuple[str, int]) -> None:
    """Stops accepting, lets the request that is under way finish, and cancels the rest."""
    heading("A graceful stop")
    ticker = asyncio.create_task(asyncio.sleep(3600))
    pending = asyncio.create_task(fetch(address, "/slow"))
    await server.slow_started.wait()
    listener.close()
    print("the server has stopped listening; one request is under way")
    try:
        await fetch(address, "/")
    except ConnectionRefusedError:
        print("a new client is refused")
    server.slow_released.set()
    print("the waiting client got ->", await pending)
    await listener.wait_closed()
    ticker.cancel()
    await asyncio.gather(ticker, return_exceptions=True)
    print("background work was cancelled:", ticker.cancelled())
    print(f"requests served in all: {server.served}")


async def main() -> None:
    """The tour, stop by stop."""
    loop = asyncio.get_running_loop()
    print("An asyncio program on", f"{type(loop).__module__.split('.')[0]}.{type(loop).__name__}")
    server = WebServer()
    listener = await asyncio.start_server(server, "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()[:2]
    await visit_timers()
    await visit_web(address)
    await visit_tls(server)
    await visit_subprocess()
    await visit_thread()
    await visit_stop(server, listener, address)
    print("\nThat was the tour.")


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="\n", line_buffering=True)
    asyncio.run(main())
