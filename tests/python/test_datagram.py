# SPDX-License-Identifier: MIT
"""Datagram endpoints: what they are, receiving, their end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
from datagrams import LOCAL, Recorder, endpoint, plain_socket
from differences import LINUX, PROACTOR, SELECTOR, differs
from support import drain_callbacks, names_callback

Run = Callable[..., Any]


# -- what a transport is ---------------------------------------------------------------------------


def test_the_transport_is_one_of_asyncios(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport, asyncio.BaseTransport)
            if sys.version_info >= (3, 12):
                assert isinstance(transport, asyncio.DatagramTransport)
            assert transport.get_protocol() is protocol
            assert protocol.transport is transport
            assert not transport.is_closing()
            for method in (transport.write_eof, lambda: transport.write(b"x")):
                with pytest.raises(NotImplementedError):
                    method()

    run(main())


def test_extra_info_survives_the_close(run: Run) -> None:
    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                sock = transport.get_extra_info("socket")
                assert sock.type == socket.SOCK_DGRAM
                assert sock.getsockname() == transport.get_extra_info("sockname")
                assert transport.get_extra_info("peername") == peer.getsockname()
                assert transport.get_extra_info("nothing") is None
                assert transport.get_extra_info("nothing", 5) == 5
                transport.close()
                await protocol.lost
                assert transport.get_extra_info("peername") == peer.getsockname()
                assert transport.get_extra_info("sockname")[0] == "127.0.0.1"

    run(main())


def test_private_names_that_libraries_reach_for(loop: Any, run: Run) -> None:
    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                assert transport._sock.fileno() == transport._sock_fd
                assert transport._protocol is protocol
                assert transport._loop is loop
                assert transport._address == peer.getsockname()
                assert transport._closing is False
                assert transport._conn_lost == 0
                assert not transport._buffer
                assert transport._buffer_size == 0
                assert transport._extra["peername"] == peer.getsockname()
                assert transport.max_size == 256 * 1024
                transport.note = "mine"
                assert transport.note == "mine"

    run(main())


def test_a_patched_sendto_is_what_gets_called(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, _):
            seen = []
            transport.sendto = lambda *args: seen.append(args)
            transport.sendto(b"x", LOCAL)
            assert seen == [(b"x", LOCAL)]

    run(main())


@pytest.mark.absent("abandoned-transports-without-a-gil", "no-gil")
def test_an_unclosed_transport_warns_and_closes_its_socket(run: Run) -> None:
    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Recorder, local_addr=LOCAL
        )
        sock = transport._sock  # type: ignore[attr-defined]
        transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.warns(ResourceWarning, match="unclosed transport"):
            del transport, _
            gc.collect()
        assert sock.fileno() == -1

    run(main())


def test_a_reader_on_its_descriptor_is_refused(loop: Any, run: Run) -> None:
    """Contract point 31."""

    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, _):
            with pytest.raises(RuntimeError, match=r"^File descriptor .* is used by transport"):
                loop.add_reader(transport.get_extra_info("socket"), print)

    run(main())


# -- receiving -------------------------------------------------------------------------------------


def test_datagrams_travel_both_ways(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (server, server_protocol):
            address = server.get_extra_info("sockname")
            async with endpoint(remote_addr=address) as (client, client_protocol):
                client.sendto(b"there")
                data, sender = await server_protocol.datagrams.get()
                assert (data, sender) == (b"there", client.get_extra_info("sockname"))
                assert type(sender) is tuple
                server.sendto(b"back", sender)
                assert await client_protocol.datagrams.get() == (b"back", address)

    run(main())


@differs(
    from_=PROACTOR,
    what="an empty datagram",
    they="is not delivered",
    evenloop="is `datagram_received(b'', addr)`",
)
def test_an_empty_datagram_is_received(run: Run) -> None:
    """D62. Contract point 39."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                peer.sendto(b"", transport.get_extra_info("sockname"))
                assert await protocol.datagrams.get() == (b"", peer.getsockname())

    run(main())


@pytest.mark.since(3, 13)
def test_an_empty_datagram_is_sent(run: Run) -> None:
    """Contract point 39 (gh-113812)."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
                transport.sendto(b"")
                assert await loop.sock_recv(peer, 10) == b""

    run(main())


@pytest.mark.until(3, 13)
def test_sending_nothing_does_nothing(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, _):
                transport.sendto(b"")
                transport.sendto(b"some")
                assert await loop.sock_recv(peer, 10) == b"some"

    run(main())


def test_the_longest_datagram_arrives_whole(run: Run) -> None:
    async def main() -> None:
        with plain_socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                data = bytes(range(256)) * 255 + bytes(227)
                assert len(data) == 65507
                peer.sendto(data, transport.get_extra_info("sockname"))
                assert (await protocol.datagrams.get())[0] == data

    run(main())


def test_many_senders_keep_their_addresses(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            address = transport.get_extra_info("sockname")
            with contextlib.ExitStack() as stack:
                peers = [stack.enter_context(plain_socket()) for _ in range(150)]
                for _ in range(2):
                    for peer in peers:
                        peer.sendto(b"%d" % peer.getsockname()[1], address)
                        data, sender = await protocol.datagrams.get()
                        assert sender == peer.getsockname()
                        assert data == b"%d" % sender[1]
                        transport.sendto(data, sender)
                        assert peer.recv(100) == data

    run(main())


def test_ipv6_addresses_have_four_parts(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=("::1", 0)) as (server, server_protocol):
            address = server.get_extra_info("sockname")
            assert len(address) == 4
            async with endpoint(local_addr=("::1", 0)) as (client, client_protocol):
                for target in (address, address[:2], address[:3], ("0:0:0:0:0:0:0:1", address[1])):
                    client.sendto(b"x", target)
                    assert await server_protocol.datagrams.get() == (
                        b"x",
                        client.get_extra_info("sockname"),
                    )
                server.sendto(b"y", client.get_extra_info("sockname"))
                assert await client_protocol.datagrams.get() == (b"y", address)

    run(main())


def test_pausing_holds_datagrams_back_until_resumed(run: Run) -> None:
    """C085, contract point 26."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                address = transport.get_extra_info("sockname")
                assert transport.is_reading()
                transport.pause_reading()
                transport.pause_reading()
                assert not transport.is_reading()
                peer.sendto(b"held", address)
                peer.sendto(b"back", address)
                await drain_callbacks(10)
                assert protocol.datagrams.empty()
                transport.resume_reading()
                transport.resume_reading()
                assert await protocol.datagrams.get() == (b"held", peer.getsockname())
                assert await protocol.datagrams.get() == (b"back", peer.getsockname())

    run(main())


def test_pausing_inside_a_callback_stops_at_once(run: Run) -> None:
    """C085."""

    class Pauses(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(Pauses, local_addr=LOCAL) as (transport, protocol):
                for i in range(3):
                    peer.sendto(b"%d" % i, transport.get_extra_info("sockname"))
                for i in range(3):
                    assert (await protocol.datagrams.get())[0] == b"%d" % i
                    await drain_callbacks(5)
                    assert protocol.datagrams.empty()
                    transport.resume_reading()

    run(main())


def test_pausing_inside_connection_made_holds(run: Run) -> None:
    """Contract point 17."""

    class Pauses(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(Pauses, local_addr=LOCAL) as (transport, protocol):
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await drain_callbacks(10)
                assert protocol.datagrams.empty()
                transport.resume_reading()
                await protocol.datagrams.get()

    run(main())


def test_reading_state_of_a_closed_endpoint(run: Run) -> None:
    """C085: resuming after close does nothing; nothing is received after it."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                transport.pause_reading()
                peer.sendto(b"late", transport.get_extra_info("sockname"))
                transport.close()
                assert not transport.is_reading()
                transport.resume_reading()
                transport.pause_reading()
                assert await protocol.lost is None
                assert protocol.calls == ["connection_made", "connection_lost"]
                transport.resume_reading()

    run(main())


def test_set_protocol_takes_effect_at_the_next_datagram(run: Run) -> None:
    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, first):
                second = Recorder()
                transport.set_protocol(second)
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await second.datagrams.get()
                assert first.calls == ["connection_made"]
                transport.close()
                assert await second.lost is None

    run(main())


def test_callbacks_run_in_the_context_of_the_creation(run: Run) -> None:
    """Contract point 10."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    class Looks(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(variable.get("unset").encode(), addr)

    async def main() -> None:
        variable.set("creation")
        with plain_socket() as peer:
            async with endpoint(Looks, local_addr=LOCAL) as (transport, protocol):
                variable.set("later")
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert (await protocol.datagrams.get())[0] == b"creation"

    run(main())


# -- exceptions of the program's -------------------------------------------------------------------


def test_an_exception_in_datagram_received_is_a_callbacks(
    run: Run, errors: list[dict[str, Any]]
) -> None:
    """The transport stays open, unlike a stream's: asyncio's rule."""

    class Raises(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            raise ValueError(data.decode())

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(Raises, local_addr=LOCAL) as (transport, protocol):
                for text in (b"one", b"two"):
                    peer.sendto(text, transport.get_extra_info("sockname"))
                    await protocol.datagrams.get()
                await drain_callbacks()
                assert not transport.is_closing()
        assert [str(context["exception"]) for context in errors] == ["one", "two"]
        for context in errors:
            assert names_callback(context, "_SelectorDatagramTransport._read_ready")
        errors.clear()

    run(main())


def test_a_protocol_without_callbacks_is_reported_and_the_loop_goes_on(
    run: Run, errors: Any
) -> None:
    """Row C204: what it lacks is told one callback after the other."""

    class Made:
        def connection_made(self, transport: Any) -> None:
            """All that asyncio looks for when it makes the endpoint."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        factory: Any = Made
        transport, _ = await loop.create_datagram_endpoint(factory, local_addr=LOCAL)
        transport.sendto(b"x", transport.get_extra_info("sockname"))
        while not errors:
            await asyncio.sleep(0.001)
        transport.close()
        await drain_callbacks()
        received, lost = errors
        assert names_callback(received, "_SelectorDatagramTransport._read_ready")
        assert names_callback(lost, "_SelectorTransport._call_connection_lost")
        errors.clear()

    run(main())


def test_an_exception_in_connection_lost_is_reported(run: Run, errors: Any) -> None:
    """Contract point 24, row C204."""

    class Raises(Recorder):
        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            raise ValueError("lost")

    async def main() -> None:
        async with endpoint(Raises, local_addr=LOCAL) as (transport, protocol):
            transport.close()
            assert await protocol.lost is None
            await drain_callbacks()
        (context,) = errors
        assert names_callback(context, "_SelectorTransport._call_connection_lost")
        errors.clear()

    run(main())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_datagram_received_leaves_the_run(loop: Any, kind: Any) -> None:
    """Contract point 6."""

    class Exits(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            raise kind("out")

    transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Exits, local_addr=LOCAL))
    with plain_socket() as peer:
        peer.sendto(b"x", transport.get_extra_info("sockname"))
        with pytest.raises(kind, match="out"):
            loop.run_forever()
    transport.close()
    loop.run_until_complete(drain_callbacks())


def test_an_exception_in_connection_made_is_reported_and_the_endpoint_works(
    run: Run, errors: list[dict[str, Any]]
) -> None:
    """Contract point 24."""

    class Raises(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            raise ValueError("made")

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(Raises, local_addr=LOCAL) as (transport, protocol):
                assert [str(context["exception"]) for context in errors] == ["made"]
                errors.clear()
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await protocol.datagrams.get()

    run(main())


# -- the end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("acts", ["c", "a", "cc", "ca", "ac", "aa"])
def test_connection_lost_comes_once_and_later(run: Run, acts: str) -> None:
    """Contract point 21."""

    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            for act in acts:
                (transport.close if act == "c" else transport.abort)()
            assert transport.is_closing()
            assert protocol.calls == ["connection_made"]
            assert await protocol.lost is None
            transport.close()
            transport.abort()
            await drain_callbacks()
            assert protocol.calls == ["connection_made", "connection_lost"]
            assert transport.get_protocol() is None
            assert "closed" in repr(transport)

    run(main())


def test_sending_on_a_closed_connected_endpoint_is_dropped(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract point 20: never an exception; the log hears from the fifth on."""

    async def main() -> None:
        with plain_socket() as peer:
            async with endpoint(remote_addr=peer.getsockname()) as (transport, protocol):
                transport.close()
                with caplog.at_level(logging.WARNING, "asyncio"):
                    for _ in range(3):
                        transport.sendto(b"x")
                    await protocol.lost
                    for _ in range(3):
                        transport.sendto(b"x")
                lines = [record.getMessage() for record in caplog.records]
                assert lines == ["socket.send() raised exception."] * 2
                with pytest.raises(BlockingIOError):
                    peer.recv(10)

    run(main())


@differs(
    from_=(LINUX, SELECTOR),
    what="`sendto` on an endpoint without a peer after `connection_lost`",
    they="raises AttributeError from its own inside",
    evenloop="drops the datagram, as with a peer",
)
@pytest.mark.evenloop_only  # the stock transport looks into the socket that it has let go of
def test_sending_after_connection_lost_is_dropped(run: Run) -> None:
    async def main() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            transport.close()
            await protocol.lost
            transport.sendto(b"x", ("127.0.0.1", 9))

    run(main())


def test_a_datagram_may_follow_close_at_once(run: Run) -> None:
    """Without a peer, what follows close() in the same turn still leaves, as in asyncio."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                transport.close()
                transport.sendto(b"bye", peer.getsockname())
                assert await loop.sock_recv(peer, 10) == b"bye"
                assert await protocol.lost is None

    run(main())


def test_an_endpoint_may_be_closed_in_connection_made(run: Run) -> None:
    class Closes(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.close()

    async def main() -> None:
        async with endpoint(Closes, local_addr=LOCAL) as (_, protocol):
            assert await protocol.lost is None

    run(main())


def test_closing_the_loop_with_an_open_endpoint(loop_factory: Callable[[], Any]) -> None:
    loop = loop_factory()
    transport, _ = loop.run_until_complete(
        loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=LOCAL)
    )
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        transport.close()
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        del transport, _
        gc.collect()


def test_a_cancelled_creation_leaves_nothing(loop: Any, run: Run) -> None:
    async def main() -> None:
        protocols: list[Recorder] = []

        def factory() -> Recorder:
            protocols.append(Recorder())
            return protocols[0]

        task = asyncio.ensure_future(loop.create_datagram_endpoint(factory, local_addr=LOCAL))
        while not protocols:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await protocols[0].lost is None

    run(main())


def test_nothing_is_left_of_a_thousand_endpoints(run: Run) -> None:
    async def once() -> None:
        async with endpoint(local_addr=LOCAL) as (transport, protocol):
            transport.sendto(b"x", transport.get_extra_info("sockname"))
            await protocol.datagrams.get()

    async def main() -> None:
        for _ in range(20):
            await once()
        gc.collect()
        with plain_socket() as before:
            number = before.fileno()
        objects = len(gc.get_objects())
        for _ in range(1000):
            await once()
        gc.collect()
        assert len(gc.get_objects()) < objects + 500
        with plain_socket() as after:
            assert after.fileno() <= number + 64  # Windows gives handles in its own order

    run(main(), timeout=55)


# -- debug mode ------------------------------------------------------------------------------------


def test_debug_mode_tells_of_slow_callbacks_and_of_pausing(
    loop: Any, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop.slow_callback_duration = 0.0  # any is slow
        with plain_socket() as peer:
            async with endpoint(local_addr=LOCAL) as (transport, protocol):
                with caplog.at_level(logging.DEBUG, "asyncio"):
                    peer.sendto(b"x", transport.get_extra_info("sockname"))
                    await protocol.datagrams.get()
                    await drain_callbacks()
                    transport.pause_reading()
                    transport.resume_reading()
        lines = [record.getMessage() for record in caplog.records]
        assert any(line.startswith("Executing <Handle ") for line in lines)
        assert any(line.endswith(" pauses reading") for line in lines)
        assert any(line.endswith(" resumes reading") for line in lines)

    loop.set_debug(True)
    try:
        run(main())
    finally:
        loop.set_debug(False)
        loop.slow_callback_duration = 0.1


def test_debug_mode_keeps_an_exception_of_a_slow_callback(
    loop: Any, run: Run, errors: list[dict[str, Any]]
) -> None:
    class Raises(Recorder):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            raise ValueError("slow and wrong")

    async def main() -> None:
        loop.slow_callback_duration = 0.0
        with plain_socket() as peer:
            async with endpoint(Raises, local_addr=LOCAL) as (transport, protocol):
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                await protocol.datagrams.get()
                await drain_callbacks()
        assert [str(context["exception"]) for context in errors] == ["slow and wrong"]
        errors.clear()

    loop.set_debug(True)
    try:
        run(main())
    finally:
        loop.set_debug(False)
        loop.slow_callback_duration = 0.1
