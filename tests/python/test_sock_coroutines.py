# SPDX-License-Identifier: MIT
"""sock_recv, sock_sendall, sock_accept, sock_connect and the datagram ones."""

from __future__ import annotations

import asyncio
import errno
import inspect
import socket
import ssl

import pytest
import support
from differences import UVLOOP, differs

MIB = 1 << 20


@pytest.fixture
def pair():
    ours, peer = support.tcp_pair()
    with ours, peer:
        yield ours, peer


def udp_socket():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


@differs(
    from_=UVLOOP,
    what="`sock_recv` of data that waits",
    they="takes a turn",
    evenloop="finishes in its first step",
)
def test_recv_of_waiting_data_finishes_in_its_first_step(loop, run, pair):
    """Contract point 35."""
    ours, peer = pair

    async def main():
        peer.send(b"first")
        assert await loop.sock_recv(ours, 100) == b"first"
        peer.send(b"second")
        while not _readable(ours):
            pass
        coro = loop.sock_recv(ours, 100)
        with pytest.raises(StopIteration) as caught:
            coro.send(None)
        assert caught.value.value == b"second"

    run(main())


def _readable(sock):
    import select

    return bool(select.select([sock], [], [], 1)[0])


def test_recv_waits_for_data(loop, run, pair):
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_recv(ours, 100))
        await support.drain_callbacks()
        assert not task.done()
        peer.send(b"late")
        assert await task == b"late"

    run(main())


def test_recv_gives_nothing_at_end_of_file(loop, run, pair):
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_recv(ours, 100))
        await support.drain_callbacks()
        peer.shutdown(socket.SHUT_WR)
        assert await task == b""
        assert await loop.sock_recv(ours, 100) == b""

    run(main())


def test_recv_gives_at_most_what_was_asked_for(loop, run, pair):
    ours, peer = pair

    async def main():
        peer.send(b"0123456789")
        assert await loop.sock_recv(ours, 4) == b"0123"
        assert await loop.sock_recv(ours, 4) == b"4567"
        assert await loop.sock_recv(ours, 4) == b"89"
        assert await loop.sock_recv(ours, 0) == b""

    run(main())


@pytest.mark.parametrize("make", [bytearray, lambda size: memoryview(bytearray(size))])
def test_recv_into_fills_the_buffer(loop, run, pair, make):
    ours, peer = pair

    async def main():
        buffer = make(6)
        task = loop.create_task(loop.sock_recv_into(ours, buffer))
        await support.drain_callbacks()
        peer.send(b"0123")
        assert await task == 4
        assert bytes(buffer) == b"0123\0\0"
        peer.send(b"abcdefgh")
        assert await loop.sock_recv_into(ours, buffer) == 6
        assert bytes(buffer) == b"abcdef"
        assert await loop.sock_recv_into(ours, buffer) == 2

    run(main())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_sendall_sends_every_byte(loop, run, pair, kind):
    """Contract row D59."""
    ours, peer = pair

    async def main():
        data = bytes(range(256)) * (4 * MIB // 256)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        task = loop.create_task(loop.sock_sendall(ours, kind(data)))
        assert await support.read_exactly(peer, len(data)) == data
        assert await task is None

    run(main())


def test_sendall_of_nothing_finishes(loop, run, pair):
    run(loop.sock_sendall(pair[0], b""))


def test_sendall_that_fits_finishes_in_its_first_step(loop, run, pair):
    """Contract point 35."""

    async def main():
        coro = loop.sock_sendall(pair[0], b"fits")
        with pytest.raises(StopIteration):
            coro.send(None)
        assert await loop.sock_recv(pair[1], 10) == b"fits"

    run(main())


def test_reset_raises(loop, run, pair):
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_sendall(ours, bytes(16 * MIB)))
        await support.drain_callbacks()
        support.reset(peer)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await task

    run(main())


@pytest.mark.absent("wine-reset-reads-as-end-of-file", "wine")
def test_recv_of_a_reset_raises(loop, run, pair):
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_recv(ours, 10))
        await support.drain_callbacks()
        support.reset(peer)
        with pytest.raises(ConnectionResetError) as caught:
            await task
        assert caught.value.errno == errno.ECONNRESET

    run(main())


def test_cancelled_recv_loses_no_data(loop, run, pair):
    """Contract point 35, row D53."""
    ours, peer = pair

    async def main():
        received = bytearray()
        for number in range(100):
            task = loop.create_task(loop.sock_recv(ours, 1))
            await support.drain_callbacks(number % 3)
            peer.send(bytes([number]))
            await support.drain_callbacks(number % 4)
            if task.cancel():
                try:
                    received += await task
                except asyncio.CancelledError:
                    pass
            else:
                received += task.result()
        while len(received) < 100:
            received += await loop.sock_recv(ours, 100)
        assert received == bytes(range(100))

    run(main())


def test_recv_right_after_a_cancelled_one_works(loop, run, pair):
    """The clean-up of the cancelled one must not take the new one's watcher away.

    Contract point 35.
    """
    ours, peer = pair

    async def main():
        for _ in range(20):
            task = loop.create_task(loop.sock_recv(ours, 1))
            await support.drain_callbacks()
            task.cancel()
            again = loop.create_task(loop.sock_recv(ours, 1))
            await support.drain_callbacks()
            peer.send(b"x")
            assert await again == b"x"
            assert task.cancelled()

    run(main())


def test_recv_within_the_callback_of_a_cancelled_one(loop, run, pair):
    """Contract point 35."""
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_recv(ours, 1))
        await support.drain_callbacks()
        started = []
        task.add_done_callback(lambda _: started.append(loop.create_task(loop.sock_recv(ours, 1))))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not started:
            await asyncio.sleep(0)
        peer.send(b"x")
        assert await started[0] == b"x"

    run(main())


def test_cancelled_sendall_leaves_the_socket_usable(loop, run, pair):
    ours, peer = pair

    async def main():
        task = loop.create_task(loop.sock_sendall(ours, bytes(32 * MIB)))
        await support.drain_callbacks()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sent = loop.create_task(loop.sock_sendall(ours, b"END"))
        tail = b""
        while not tail.endswith(b"END"):
            tail = (tail + await loop.sock_recv(peer, MIB))[-3:]
        await sent

    run(main())


def test_accept_gives_a_nonblocking_socket_and_the_address(loop, run):
    """Contract point 37."""

    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            task = loop.create_task(loop.sock_accept(listener))
            await support.drain_callbacks()
            assert not task.done()
            with socket.create_connection(address) as client:
                conn, peer_address = await task
                with conn:
                    assert conn.gettimeout() == 0
                    assert peer_address == client.getsockname()
                    assert conn.getpeername() == client.getsockname()

    run(main())


@pytest.mark.evenloop_only  # the stock loop drops it in this race (python/cpython 153761)
def test_cancelled_accept_loses_no_connection(loop, run):
    """Contract point 35, row D54."""

    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)
            for turns in range(6):
                task = loop.create_task(loop.sock_accept(listener))
                await support.drain_callbacks()
                with socket.create_connection(address) as client:
                    await support.drain_callbacks(turns % 3)
                    if task.cancel():
                        try:
                            conn, _ = await task
                        except asyncio.CancelledError:
                            conn, _ = await loop.sock_accept(listener)
                    else:
                        conn, _ = task.result()
                    with conn:
                        assert conn.getpeername() == client.getsockname()

    run(main())


def test_connect_connects(loop, run):
    async def main():
        with support.listening() as (listener, address), socket.socket() as sock:
            sock.setblocking(False)
            assert await loop.sock_connect(sock, address) is None
            assert sock.getpeername() == address

    run(main())


def test_connect_resolves_names(loop, run):
    """Contract point 37, row D55."""

    async def main():
        with support.listening() as (_, (_, port)), socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("localhost", port))
            assert sock.getpeername() == ("127.0.0.1", port)

    run(main())


@differs(
    from_=UVLOOP,
    what="`sock_connect` to a numeric address",
    they="connects in a later turn",
    evenloop="connects in its first step",
)
def test_connect_to_a_number_starts_in_its_first_step(loop, run):
    """Contract point 35."""

    async def main():
        with support.listening() as (listener, address), socket.socket() as sock:
            sock.setblocking(False)
            listener.settimeout(support.LIMIT)
            task = loop.create_task(loop.sock_connect(sock, address))
            await asyncio.sleep(0)
            conn, _ = listener.accept()  # blocks the loop: the connect has to be under way
            conn.close()
            await task

    run(main())


def test_refused_connect_names_the_address(loop, run):
    """Contract row D58."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()

        async def main():
            with socket.socket() as sock:
                sock.setblocking(False)
                with pytest.raises(ConnectionRefusedError) as caught:
                    await loop.sock_connect(sock, address)
                assert caught.value.errno == errno.ECONNREFUSED
                assert str(caught.value) == (
                    f"[Errno {errno.ECONNREFUSED}] Connect call failed {address!r}"
                )

        run(main())


@differs(
    from_=UVLOOP,
    what="`sock_recvfrom`, `sock_recvfrom_into`, `sock_sendto`",
    they="raise NotImplementedError",
    evenloop="work",
)
def test_datagrams_go_both_ways(loop, run):
    async def main():
        with udp_socket() as one, udp_socket() as two:
            task = loop.create_task(loop.sock_recvfrom(one, 100))
            await support.drain_callbacks()
            assert await loop.sock_sendto(two, b"hello", one.getsockname()) == 5
            assert await task == (b"hello", two.getsockname())
            buffer = bytearray(10)
            await loop.sock_sendto(one, b"answer", two.getsockname())
            assert await loop.sock_recvfrom_into(two, buffer) == (6, one.getsockname())
            assert buffer == b"answer\0\0\0\0"
            await loop.sock_sendto(one, b"0123456789", two.getsockname())
            assert await loop.sock_recvfrom_into(two, buffer, 10) == (10, one.getsockname())
            await loop.sock_sendto(one, b"", two.getsockname())
            assert await loop.sock_recvfrom(two, 10) == (b"", one.getsockname())

    run(main())


CALLS = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 1),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(1)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 1),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(1)),
    "sock_sendto": lambda loop, sock: loop.sock_sendto(sock, b"x", ("127.0.0.1", 9)),
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, b"x"),
    "sock_accept": lambda loop, sock: loop.sock_accept(sock),
    "sock_connect": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1", 9)),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_one_is_a_coroutine(loop, pair, name):
    coro = CALLS[name](loop, pair[0])
    assert asyncio.iscoroutine(coro)
    assert inspect.isawaitable(coro)
    coro.close()


@pytest.mark.parametrize("name", CALLS)
def test_blocking_socket_is_refused_in_debug(name):
    """Contract point 36, row D56."""
    with socket.socket() as sock:

        def use(loop):
            loop.set_debug(True)
            loop.run_until_complete(CALLS[name](loop, sock))

        assert support.raised_by(use) == ("ValueError", "the socket must be non-blocking")


@differs(
    from_=UVLOOP,
    what="an `ssl.SSLSocket` given to the `sock_*` coroutines",
    they="is taken, and may hang",
    evenloop="TypeError at once, as in asyncio",
)
@pytest.mark.parametrize("name", CALLS)
def test_tls_socket_is_refused(name):
    """Contract point 36, row D57."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with socket.socket() as raw, context.wrap_socket(raw) as sock:
        sock.setblocking(False)

        def use(loop):
            loop.run_until_complete(CALLS[name](loop, sock))

        assert support.raised_by(use) == (
            "TypeError",
            "Socket cannot be of type SSLSocket",
        )


WRONG = {
    "recv no number": lambda loop, sock: loop.sock_recv(sock, "x"),
    "recv negative": lambda loop, sock: loop.sock_recv(sock, -1),
    "recv without a socket": lambda loop, sock: loop.sock_recv(None, 1),
    "recv on a number": lambda loop, sock: loop.sock_recv(sock.fileno(), 1),
    "recv without size": lambda loop, sock: loop.sock_recv(sock),
    "recv_into read only": lambda loop, sock: loop.sock_recv_into(sock, b"read only"),
    "recv_into no buffer": lambda loop, sock: loop.sock_recv_into(sock, 5),
    "sendall text": lambda loop, sock: loop.sock_sendall(sock, "text"),
    "sendall None": lambda loop, sock: loop.sock_sendall(sock, None),
    "connect no address": lambda loop, sock: loop.sock_connect(sock, None),
    "connect short address": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1",)),
    "connect port of a wrong type": lambda loop, sock: loop.sock_connect(
        sock, ("127.0.0.1", "x y")
    ),
    "connect port out of range": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1", 70000)),
    "sendto no address": lambda loop, sock: loop.sock_sendto(sock, b"x", None),
    "recvfrom no number": lambda loop, sock: loop.sock_recvfrom(sock, None),
    "recvfrom_into too many": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(1), 5),
    "accept on a connection": lambda loop, sock: loop.sock_accept(sock),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_give_asyncios_error(case):
    def use(loop):
        ours, peer = support.tcp_pair()
        with ours, peer:
            return loop.run_until_complete(asyncio.wait_for(WRONG[case](loop, ours), 10))

    assert support.same_as_asyncio(use)[0] == "raises"


@pytest.mark.parametrize("name", CALLS)
def test_closed_socket_gives_asyncios_error(name):
    def use(loop):
        sock = socket.socket()
        sock.setblocking(False)
        sock.close()
        try:
            loop.run_until_complete(asyncio.wait_for(CALLS[name](loop, sock), 10))
        except ValueError as exc:
            raise ValueError(str(exc).replace(repr(sock), "SOCK")) from None

    support.same_as_asyncio(use)


def test_many_sockets_wait_at_once(loop, run):
    async def main():
        pairs = [support.tcp_pair() for _ in range(100)]
        tasks = [loop.create_task(loop.sock_recv(ours, 10)) for ours, _ in pairs]
        await support.drain_callbacks()
        for number, (_, peer) in reversed(list(enumerate(pairs))):
            peer.send(b"%d" % number)
        assert await asyncio.gather(*tasks) == [b"%d" % number for number in range(100)]
        for ours, peer in pairs:
            ours.close()
            peer.close()

    run(main())


def test_recv_and_sendall_of_one_socket_at_once(loop, run, pair):
    ours, peer = pair

    async def main():
        receiving = loop.create_task(loop.sock_recv(ours, 10))
        sending = loop.create_task(loop.sock_sendall(ours, bytes(8 * MIB)))
        await support.drain_callbacks()
        peer.send(b"reply")
        assert await receiving == b"reply"
        assert len(await support.read_exactly(peer, 8 * MIB)) == 8 * MIB
        await sending

    run(main())


def test_echo_with_sock_coroutines_on_both_ends(loop, run):
    async def main():
        with support.listening() as (listener, address):
            listener.setblocking(False)

            async def serve():
                conn, _ = await loop.sock_accept(listener)
                with conn:
                    while data := await loop.sock_recv(conn, 65536):
                        await loop.sock_sendall(conn, data)

            server = loop.create_task(serve())
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, address)
                for number in range(200):
                    text = b"%d" % number * 10
                    await loop.sock_sendall(client, text)
                    assert await support.read_exactly(client, len(text)) == text
            await server

    run(main())
