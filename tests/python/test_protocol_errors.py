# SPDX-License-Identifier: MIT
"""Protocols that raise in every callback: reported as asyncio does it, and the loop goes on."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
import support
from support import BufferedRecorder, Recorder, transport_and_socket


class Raises(Recorder):
    """Raises in the one method that it is told, after recording the call."""

    where = ""

    def connection_made(self, transport):
        super().connection_made(transport)
        self.maybe("connection_made")

    def data_received(self, data):
        super().data_received(data)
        self.maybe("data_received")

    def eof_received(self):
        super().eof_received()
        self.maybe("eof_received")
        return True

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.maybe("connection_lost")

    def maybe(self, name):
        if name == self.where:
            raise ZeroDivisionError(name)


def raising(name):
    return type("Raises" + name, (Raises,), {"where": name})


@pytest.mark.parametrize("name", ["data_received", "eof_received"])
def test_reading_callback_that_raises_ends_the_connection(loop, run, errors, name):
    """Contract point 23, row D23."""

    async def main():
        async with transport_and_socket(raising(name)) as (transport, protocol, peer):
            peer.send(b"x")
            peer.shutdown(socket.SHUT_WR)
            exc = await protocol.lost
            (context,) = errors
            assert context["message"] == f"Fatal error: protocol.{name}() call failed."
            assert set(context) == {"message", "exception", "transport", "protocol"}
            assert context["transport"] is transport
            assert context["protocol"] is protocol
            assert context["exception"] is exc
            assert type(exc) is ZeroDivisionError
            assert transport.is_closing()
            assert protocol.calls.count("connection_lost") == 1
            errors.clear()

    run(main())


def test_connection_made_that_raises_is_reported_and_the_connection_works(loop, run, errors):
    """Contract point 24."""

    async def main():
        async with transport_and_socket(raising("connection_made")) as (transport, protocol, peer):
            assert errors[0]["message"].startswith("Exception in callback ")
            assert "connection_made" in errors[0]["message"]
            assert set(errors[0]) == {"message", "exception", "handle"}
            errors.clear()
            peer.send(b"x")
            assert await protocol.received(1) == b"x"
            transport.close()
            assert await protocol.lost is None

    run(main())


def test_connection_lost_that_raises_is_reported_and_the_socket_closed(loop, run, errors):
    """Contract point 24."""

    async def main():
        async with transport_and_socket(raising("connection_lost")) as (transport, protocol, peer):
            transport.close()
            await protocol.lost
            assert await loop.sock_recv(peer, 1) == b""
            await support.drain_callbacks()
            assert transport.get_extra_info("socket").fileno() == -1
            (context,) = errors
            assert set(context) == {"message", "exception", "handle"}
            assert support.names_callback(context, "_SelectorSocketTransport._call_connection_lost")
            assert type(context["exception"]) is ZeroDivisionError
            errors.clear()

    run(main())


@pytest.mark.parametrize("name", ["get_buffer", "buffer_updated"])
def test_buffered_callback_that_raises_ends_the_connection(loop, run, errors, name):
    """Contract point 23, row D23."""

    def fail(self, number):
        raise ZeroDivisionError(name)

    broken = type("Broken", (BufferedRecorder,), {name: fail})

    async def main():
        async with transport_and_socket(broken) as (transport, protocol, peer):
            peer.send(b"x")
            exc = await protocol.lost
            (context,) = errors
            assert context["message"] == (
                "Fatal error: protocol.get_buffer() call failed."
                if name == "get_buffer"
                else "Fatal error: protocol.buffer_updated() call failed."
            )
            assert context["exception"] is exc
            assert context["transport"] is transport
            assert context["protocol"] is protocol
            errors.clear()

    run(main())


@pytest.mark.parametrize("buffer", [b"", bytearray(), b"read only", "text", None, 5], ids=repr)
def test_get_buffer_that_gives_nothing_usable_ends_the_connection(loop, run, errors, buffer):
    """Contract point 23."""

    class Broken(BufferedRecorder):
        def get_buffer(self, sizehint):
            return buffer

    seen = {}

    async def main():
        async with transport_and_socket(Broken) as (_, protocol, peer):
            peer.send(b"x")
            seen["exception"] = await protocol.lost

    run(main())
    seen["messages"] = [context["message"] for context in errors]
    ours = (type(seen["exception"]), str(seen["exception"]), seen["messages"])
    errors.clear()

    reference = support.reference_loop()
    reference.set_exception_handler(lambda _, context: errors.append(context))
    try:
        asyncio.set_event_loop(reference)
        reference.run_until_complete(asyncio.wait_for(main(), support.LIMIT))
    finally:
        asyncio.set_event_loop(loop)
        reference.close()
    messages = [context["message"] for context in errors]
    errors.clear()
    assert ours == (type(seen["exception"]), str(seen["exception"]), messages)
    if buffer in (b"", bytearray()):
        assert ours[:2] == (RuntimeError, "get_buffer() returned an empty buffer")


@pytest.mark.parametrize(
    "name", ["connection_made", "data_received", "eof_received", "connection_lost"]
)
def test_server_goes_on_after_a_protocol_that_raises(loop, run, errors, name):
    """Contract point 28."""

    class Echo(Raises):
        def data_received(self, data):
            self.transport.write(data)
            super().data_received(data)

        def eof_received(self):
            super().eof_received()
            return False

    broken = type("BrokenEcho", (Echo,), {"where": name})

    async def main():
        made = []

        def factory():
            made.append(broken() if not made else Echo())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        for _ in range(3):
            transport, protocol = await loop.create_connection(Recorder, *address)
            transport.write(b"x")
            await protocol.received(1)
            transport.close()
            await protocol.lost
            await made[-1].lost
        await support.drain_callbacks()
        assert len(errors) == 1
        errors.clear()
        server.close()
        await server.wait_closed()

    run(main())


def test_oserrors_of_the_socket_are_not_reported_as_errors(loop, run, caplog):
    """Contract point 25."""

    async def main():
        for _ in range(3):
            async with transport_and_socket() as (transport, protocol, peer):
                support.reset(peer)
                await protocol.lost

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main())
    assert caplog.records == []


def test_protocol_and_exception_handler_that_both_raise_are_survived(loop, run, caplog):
    def broken(loop, context):
        raise AttributeError("handler")

    async def main():
        loop.set_exception_handler(broken)
        async with transport_and_socket(raising("data_received")) as (_, protocol, peer):
            peer.send(b"x")
            assert type(await protocol.lost) is ZeroDivisionError

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(main())
    assert "Unhandled error in exception handler" in caplog.text
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


def test_missing_protocol_method_ends_the_connection(loop, run, errors):
    class NoData:
        def connection_made(self, transport):
            self.lost = asyncio.get_running_loop().create_future()

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def main():
        async with transport_and_socket(NoData) as (_, protocol, peer):
            peer.send(b"x")
            assert type(await protocol.lost) is AttributeError
            (context,) = errors
            assert context["message"] == "Fatal error: protocol.data_received() call failed."
            errors.clear()

    run(main())
