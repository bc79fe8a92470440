# SPDX-License-Identifier: MIT
"""An echo server as a protocol: the shortest way from the network to your code and back.

python -m evenloop examples/echo_server.py [PORT]     then, for example:  nc localhost PORT
"""

import asyncio
import sys


class Echo(asyncio.Protocol):
    """Sends back what it receives, and stops reading from a client that does not read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport of a new client."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        print("connected:", transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """Sends the data back."""
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Takes no more from a client whose answers pile up here."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Takes more again: the client has caught up."""
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Says good-bye."""
        print("gone:", self.transport.get_extra_info("peername"), exc or "")


async def main(port: int) -> None:
    """Serves until Ctrl-C."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", port)
    print("listening on", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    except KeyboardInterrupt:
        print("stopped")
