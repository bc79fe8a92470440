# SPDX-License-Identifier: MIT
"""A descriptor that is closed or reused under the loop's feet: no spinning, no crash, nothing read
from or written to the wrong place.

What a program does here is wrong, and the stock loop does not survive all of it: a duplicated
descriptor that was closed while it was watched wakes its epoll for ever, and a number that is
watched again after a close is never reported. Each test says what evenloop does instead.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest
import support
from differences import LINUX, differs


def close_behind(sock: socket.socket) -> None:
    """Closes the descriptor of a socket object that knows nothing of it."""
    socket.socket(fileno=sock.fileno()).close()


def pair_with(number: int) -> tuple[socket.socket, socket.socket, list[socket.socket]]:
    """A socket that the system has given this number, its peer, and all that is to be closed."""
    kept: list[socket.socket] = []
    while len(kept) < 4000:
        ours, peer = support.tcp_pair()
        kept += [ours, peer]
        if ours.fileno() == number:
            return ours, peer, kept
        if peer.fileno() == number:
            return peer, ours, kept
    pytest.fail("the system does not reuse the number")


async def quiet(seconds: float = 0.2) -> float:
    """The share of a processor that the loop takes while nothing should happen."""
    began = time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - began) / seconds


async def is_usable(loop: asyncio.AbstractEventLoop) -> None:
    """The loop still serves other sockets."""
    ours, peer = support.tcp_pair()
    with ours, peer:
        peer.send(b"alive")
        assert await loop.sock_recv(ours, 10) == b"alive"
        await loop.sock_sendall(ours, b"well")
        assert await loop.sock_recv(peer, 10) == b"well"


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_closed_between_watching_and_waiting(loop, run, method):
    """The callback is called at most once more, and the loop goes on."""
    calls = []

    async def main():
        ours, peer = support.tcp_pair()
        with peer:
            getattr(loop, method)(ours.fileno(), calls.append, 1)
            number = ours.fileno()
            ours.close()
            assert await quiet() < 0.5
            getattr(loop, method.replace("add", "remove"))(number)
            await is_usable(loop)

    run(main())
    assert len(calls) <= 1


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_closed_while_watched(loop, run, method):
    calls = []

    async def main():
        ours, peer = support.tcp_pair()
        with peer:
            if method == "add_writer":  # not writable yet
                with pytest.raises(BlockingIOError):
                    while True:
                        ours.send(bytes(1 << 16))
            getattr(loop, method)(ours.fileno(), calls.append, 1)
            await support.drain_callbacks(5)
            number = ours.fileno()
            ours.close()
            assert await quiet() < 0.5
            getattr(loop, method.replace("add", "remove"))(number)
            await is_usable(loop)

    run(main())
    assert len(calls) <= 1


def test_closed_by_another_thread_while_the_loop_waits(loop, run):
    async def main():
        for _ in range(20):
            ours, peer = support.tcp_pair()
            loop.add_reader(ours.fileno(), print)
            number = ours.fileno()
            closer = threading.Thread(target=close_behind, args=(ours,))
            closer.start()
            await asyncio.sleep(0.002)
            closer.join()
            ours.detach()
            loop.remove_reader(number)
            peer.close()
        await is_usable(loop)

    run(main())


def test_closed_by_another_thread_at_any_moment(loop, run):
    """Adding, waiting and closing race with each other; nothing crashes and all is forgotten."""
    stop = threading.Event()
    queue: list[socket.socket] = []

    def closer():
        while not stop.is_set():
            if queue:
                queue.pop().close()
            else:
                stop.wait(0.0001)

    async def main():
        thread = threading.Thread(target=closer)
        thread.start()
        try:
            for turn in range(400):
                ours, peer = support.tcp_pair()
                number = ours.fileno()
                try:
                    loop.add_reader(number, int)
                    queue.append(ours)
                    loop.add_writer(number, int)
                    await asyncio.sleep(0)
                    loop.remove_writer(number)
                    await asyncio.sleep(0.0005 * (turn % 2))
                    loop.remove_reader(number)
                except (OSError, ValueError):
                    pass
                peer.close()
        finally:
            stop.set()
            thread.join()
        for left in queue:
            left.close()
        await is_usable(loop)

    run(main())


@pytest.mark.absent("next-number-on-windows", "windows")
@pytest.mark.evenloop_only  # the stock loop has the number down as watched and never tells epoll
@differs(
    from_=LINUX,
    what="`add_reader` on a number that was closed while it was watched, and reused",
    they="never calls the reader",
    evenloop="watches what the number stands for now",
)
def test_a_number_that_was_closed_while_watched_can_be_watched_again(loop, run):
    async def main():
        old, old_peer = support.tcp_pair()
        number = old.fileno()
        loop.add_reader(number, print)
        await support.drain_callbacks(5)
        old.close()
        old_peer.close()
        ours, peer, kept = pair_with(number)
        done = loop.create_future()
        loop.add_reader(ours, lambda: done.done() or done.set_result(None))
        peer.send(b"x")
        await done
        assert loop.remove_reader(ours) is True
        assert ours.recv(1) == b"x"
        for sock in kept:
            sock.close()

    run(main())


@pytest.mark.absent("next-number-on-windows", "windows")
@pytest.mark.evenloop_only  # as above
def test_an_operation_on_a_reused_number_is_told(loop, run):
    async def main():
        old, old_peer = support.tcp_pair()
        number = old.fileno()
        loop.add_writer(number, int)
        await support.drain_callbacks(5)
        loop.remove_writer(number)
        loop.add_reader(number, int)
        await support.drain_callbacks(5)
        old.close()
        old_peer.close()
        ours, peer, kept = pair_with(number)
        task = loop.create_task(loop.sock_recv(ours, 10))
        await asyncio.sleep(0.01)
        peer.send(b"here")
        assert await task == b"here"
        for sock in kept:
            sock.close()

    run(main())


@pytest.mark.absent("descriptors-are-numbers-on-unix", "windows")
@pytest.mark.evenloop_only  # the stock loop takes a processor until it is closed
@differs(
    from_=LINUX,
    what="a watched descriptor is closed while a duplicate of it stays open",
    they="wakes up for it for ever: 100% of a processor",
    evenloop="makes its poll set anew and goes quiet",
)
@pytest.mark.parametrize("before", ["close", "remove"])
def test_a_closed_descriptor_with_a_duplicate_does_not_spin(loop, run, before):
    async def main():
        ours, peer = support.tcp_pair()
        copy = os.dup(ours.fileno())
        number = ours.fileno()
        loop.add_reader(number, int)
        await support.drain_callbacks(5)
        if before == "remove":
            loop.remove_reader(number)
            ours.close()
        else:
            ours.close()
            loop.remove_reader(number)
        peer.send(b"for nobody")  # the duplicate is readable from now on
        await asyncio.sleep(0.05)
        assert await quiet() < 0.5
        await is_usable(loop)
        os.close(copy)
        peer.close()

    run(main())


@pytest.mark.absent("descriptors-are-numbers-on-unix", "windows")
@pytest.mark.evenloop_only  # spins as above
def test_other_watchers_survive_the_new_poll_set(loop, run):
    async def main():
        others = [support.tcp_pair() for _ in range(20)]
        seen: list[int] = []
        for index, (ours, _) in enumerate(others):
            loop.add_reader(
                ours, lambda i=index: (seen.append(i), loop.remove_reader(others[i][0]))
            )
        for _ in range(30):
            ours, peer = support.tcp_pair()
            copy = os.dup(ours.fileno())
            loop.add_reader(ours.fileno(), int)
            await support.drain_callbacks(3)
            number = ours.fileno()
            ours.close()
            loop.remove_reader(number)
            peer.send(b"x")
            await asyncio.sleep(0.002)
            os.close(copy)
            peer.close()
        threading.Timer(0.01, lambda: [peer.send(b"x") for _, peer in others]).start()
        while len(seen) < len(others):
            await asyncio.sleep(0.001)
        assert sorted(seen) == list(range(20))
        for ours, peer in others:
            ours.close()
            peer.close()

    run(main())


@pytest.mark.absent("descriptors-are-numbers-on-unix", "windows")
@pytest.mark.parametrize("kind", ["file", "pipe", "listener", "datagram"])
def test_replaced_by_another_kind_with_dup2(loop, run, kind, tmp_path):
    """What the number stands for changes while it is watched: nothing spins or crashes, and the
    watcher can be taken away."""

    async def main():
        ours, peer = support.tcp_pair()
        number = ours.fileno()
        loop.add_reader(number, int)
        await support.drain_callbacks(5)
        with open(tmp_path / "file", "wb+") as file:
            ends = os.pipe()
            listener = socket.create_server(("127.0.0.1", 0))
            datagram = socket.socket(type=socket.SOCK_DGRAM)
            replacement = {
                "file": file.fileno(),
                "pipe": ends[0],
                "listener": listener.fileno(),
                "datagram": datagram.fileno(),
            }[kind]
            os.dup2(replacement, number)
            assert await quiet(0.1) < 0.5
            assert loop.remove_reader(number) is True
            assert await quiet(0.1) < 0.5
            for end in ends:
                os.close(end)
            listener.close()
            datagram.close()
        ours.close()
        peer.close()
        await is_usable(loop)

    run(main())


# -- transports ------------------------------------------------------------------------------------


@pytest.mark.evenloop_only  # the stock loop's selector fails in the middle of the close
def test_a_transport_whose_descriptor_is_closed_ends_when_it_writes(loop, run, errors):
    async def main():
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(support.Recorder, sock=ours)
        close_behind(ours)
        transport.write(b"nowhere")
        exc = await protocol.lost
        assert isinstance(exc, OSError)
        ours.detach()
        peer.close()
        await is_usable(loop)

    run(main())
    errors.clear()


@pytest.mark.absent("next-number-on-windows", "windows")
@pytest.mark.evenloop_only  # as above
def test_closed_under_a_transport_with_queued_writes(loop, run, errors):
    """What is queued goes nowhere, whoever gets the number."""

    async def main():
        ours, peer = support.tcp_pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        transport, protocol = await loop.create_connection(support.Recorder, sock=ours)
        number = ours.fileno()
        transport.write(b"q" * (8 << 20))
        assert transport.get_write_buffer_size() > 0
        close_behind(ours)
        holder, reader, kept = pair_with(number)
        transport.abort()
        await protocol.lost
        ours.detach()
        try:
            # The transport has closed the socket object that it was given, whose number is
            # another's by now: it cannot know.
            assert reader.recv(10) == b""
            holder.detach()
        except BlockingIOError:
            pass
        for sock in kept:
            sock.close()
        peer.close()
        await is_usable(loop)

    run(main())
    errors.clear()


@pytest.mark.absent("next-number-on-windows", "windows")
@pytest.mark.evenloop_only  # the stock loop sends to whoever has the number, and closes it
@differs(
    from_=LINUX,
    what="a transport's descriptor is closed behind its back, and accept() gives its number out",
    they="writes into the new connection and closes it",
    evenloop="ends the old transport with EBADF; the new connection is served",
)
@pytest.mark.parametrize("reading", [True, False])
def test_a_number_that_accept_reuses_is_the_new_connections(loop, run, errors, reading):
    async def main():
        served: list[support.Recorder] = []

        def factory():
            served.append(support.Recorder())
            return served[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        ours, peer = support.tcp_pair()
        transport, protocol = await loop.create_connection(support.Recorder, sock=ours)
        number = ours.fileno()
        if not reading:
            transport.pause_reading()
        await support.drain_callbacks()
        clients = [socket.create_connection(address) for _ in range(3)]
        close_behind(ours)
        for _ in range(200):
            while len(served) < len(clients) or not served[-1].transport:
                await asyncio.sleep(0)
            if any(p.transport.get_extra_info("socket").fileno() == number for p in served):
                break
            clients.append(socket.create_connection(address))
        else:
            pytest.fail("the system does not reuse the number")
        transport.write(b"to the old peer")
        exc = await protocol.lost
        assert isinstance(exc, OSError) and exc.errno == 9
        for client, one in zip(clients, served, strict=True):
            one.transport.write(b"served")
            client.setblocking(False)
            assert await loop.sock_recv(client, 100) == b"served"
            client.close()
            await one.lost
        server.close()
        await server.wait_closed()
        peer.close()

    run(main())
    errors.clear()


@pytest.mark.evenloop_only  # as above: the stock operation can't take its reader away
def test_an_operation_whose_socket_is_closed_ends(loop, run):
    """Closing a socket under a waiting operation does not hang the loop; it can be cancelled."""

    async def main():
        ours, peer = support.tcp_pair()
        task = loop.create_task(loop.sock_recv(ours, 10))
        await support.drain_callbacks(5)
        ours.close()
        assert await quiet() < 0.5
        task.cancel()
        with pytest.raises((asyncio.CancelledError, OSError)):
            await task
        peer.close()
        await is_usable(loop)

    run(main())


def test_a_listener_whose_descriptor_is_closed_falls_silent(loop, run, errors):
    async def main():
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        number = server.sockets[0].fileno()
        socket.socket(fileno=number).close()
        assert await quiet() < 0.5
        with pytest.raises(OSError):  # of the socket object's own close()
            server.close()
        await is_usable(loop)

    run(main())
    errors.clear()
