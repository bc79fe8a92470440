# SPDX-License-Identifier: MIT
"""What users of other loops ran into with tasks, contexts, threads, errors and closing."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import socket
import sys
import threading
import weakref

import pytest
import support
from differences import LINUX, UVLOOP, differs
from support import Recorder

variable = contextvars.ContextVar("variable", default="unset")


@differs(
    from_=UVLOOP,
    what="`loop.create_task(..., eager_start=True)`, Python 3.14",
    they="raises TypeError",
    evenloop="hands every keyword on to the task",
)
@pytest.mark.since(3, 14)
def test_create_task_hands_its_keywords_on(loop, run):
    """C170: eager_start, name and context, by asyncio's own Task."""

    async def main():
        ran = []

        async def child():
            ran.append(variable.get())

        context = contextvars.copy_context()
        context.run(variable.set, "given")
        task = loop.create_task(child(), eager_start=True, name="eager", context=context)
        assert ran == ["given"]
        assert task.done()
        assert task.get_name() == "eager"

    run(main())


def test_names_of_tasks_can_be_set(loop, run):
    """Section 3a, test_set_task_name: by create_task, set_name and a task factory."""

    async def main():
        async def nothing():
            pass

        task = loop.create_task(nothing(), name="first")
        assert task.get_name() == "first"
        task.set_name("second")
        assert task.get_name() == "second"
        await task
        loop.set_task_factory(
            lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options)
        )
        try:
            task = asyncio.create_task(nothing(), name="third")
            assert task.get_name() == "third"
            await task
        finally:
            loop.set_task_factory(None)

    run(main())


def test_context_of_a_callback_reaches_nobody_else(loop, run):
    """C171: call_soon, timers, readers and threads each get a copy, and keep no object alive."""

    class Marker:
        pass

    async def main():
        marker = Marker()
        gone = weakref.ref(marker)
        ours, peer = support.tcp_pair()
        done = asyncio.Event()
        seen = []

        def change(name, last=None):
            seen.append((name, variable.get()))
            variable.set(f"changed by {name}")
            if last:
                loop.remove_reader(ours)
                done.set()

        def schedule():
            variable.set(marker)
            loop.call_soon(change, "soon")
            loop.call_later(0, change, "later")
            loop.call_soon_threadsafe(change, "threadsafe")
            loop.add_reader(ours, change, "reader", True)

        contextvars.copy_context().run(schedule)
        peer.send(b"x")
        await done.wait()
        await asyncio.sleep(0.001)
        assert sorted(name for name, _ in seen) == ["later", "reader", "soon", "threadsafe"]
        assert all(value is marker for _, value in seen)
        assert variable.get() == "unset"
        seen.clear()
        marker = None
        ours.close()
        peer.close()
        await support.drain_callbacks()
        gc.collect()
        assert gone() is None

    run(main())


@pytest.mark.parametrize("kind", ["tcp", "subprocess"])
def test_protocol_callbacks_run_in_a_context_that_knows_who_asked(loop, run, kind):
    """C171, section 3b test_subprocess_protocol: what was set before the call is seen after it."""

    async def main():
        seen = []
        ended = asyncio.Event()

        class Connection(asyncio.Protocol):
            def connection_made(self, transport):
                seen.append(variable.get())

            def data_received(self, data):
                seen.append(variable.get())

            def connection_lost(self, exc):
                seen.append(variable.get())
                ended.set()

        class Process(asyncio.SubprocessProtocol):
            def connection_made(self, transport):
                seen.append(variable.get())

            def pipe_data_received(self, fd, data):
                seen.append(variable.get())

            def connection_lost(self, exc):
                seen.append(variable.get())
                ended.set()

        variable.set("asked")
        if kind == "tcp":
            ours, peer = support.tcp_pair()
            transport, _ = await loop.create_connection(Connection, sock=ours)
            peer.send(b"x")
            peer.close()
        else:
            transport, _ = await loop.subprocess_exec(
                Process, sys.executable, "-S", "-c", "print(1)", stdin=None, stderr=None
            )
        await ended.wait()
        transport.close()
        assert len(seen) >= 3
        assert set(seen) == {"asked"}

    run(main())


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_call_from_another_thread_is_an_error_in_debug_mode_and_no_crash(loop, run, method):
    """C173: a thousand of them, while the loop runs."""
    loop.set_debug(True)
    loop.slow_callback_duration = 60

    async def main():
        caught = []

        def work():
            first = () if method == "call_soon" else (0,)
            for _ in range(1000):
                try:
                    getattr(loop, method)(*first, int)
                except RuntimeError as exc:
                    caught.append(str(exc))

        task = loop.run_in_executor(None, work)
        while not task.done():
            await asyncio.sleep(0)
        assert len(caught) == 1000
        assert set(caught) == {
            "Non-thread-safe operation invoked on an event loop other than the current one"
        }

    run(main())


@pytest.mark.parametrize("where", ["data_received", "eof_received", "pause_writing"])
def test_everything_can_be_closed_and_collected_within_a_callback(loop, run, where):
    """C174, C175, C176: transport, server and socket at once, and the collector right after."""

    async def main():
        class Closing(Recorder):
            def __getattribute__(self, name):
                method = super().__getattribute__(name)
                if name != where:
                    return method

                def call(*args):
                    result = method(*args)
                    self.transport.abort()
                    self.transport.close()
                    server.close()
                    self.transport = None
                    gc.collect()
                    return result

                return call

        protocols = []

        def factory():
            protocols.append(Closing())
            return protocols[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            while not protocols or not protocols[0].made.done():
                await asyncio.sleep(0)
            if where == "pause_writing":
                protocols[0].transport.write(bytes(32 << 20))
            client.send(b"x")
            client.shutdown(socket.SHUT_WR)
            await protocols[0].lost
            await support.drain_callbacks()
            assert protocols[0].calls.count("connection_lost") == 1
        await asyncio.wait_for(server.wait_closed(), support.LIMIT)

    run(main())


def test_calls_from_many_threads_all_arrive(loop, run):
    """C106, C177: each thread's in its order, with cancelled ones among them."""
    threads, calls = 4, 500

    async def main():
        ran = {number: [] for number in range(threads)}
        finished = []
        done = asyncio.Event()

        def finish():
            finished.append(True)
            if len(finished) == threads:
                done.set()

        def work(number):
            for call in range(calls):
                loop.call_soon_threadsafe(ran[number].append, call)
                loop.call_soon_threadsafe(int).cancel()
            loop.call_soon_threadsafe(finish)

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        await done.wait()
        for worker in workers:
            worker.join()
        assert all(order == list(range(calls)) for order in ran.values())

    run(main())


@pytest.mark.until(3, 16)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_get_event_loop_of_the_policy_is_that_of_the_running_python(tmp_path):
    """C178: with no loop set it makes one or raises, whichever asyncio of this version does."""
    source = """
    import asyncio, threading, warnings
    warnings.simplefilter("ignore")
    {install}
    def ask():
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError as exc:
            print(str(exc).replace(threading.current_thread().name, "THREAD"))
        else:
            print("made", loop.is_running())
            loop.close()
    ask()
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    """
    outputs = []
    for install in ("", "if new_loop.__module__.startswith('evenloop'): evenloop.install()"):
        process = support.run_child(tmp_path, source.format(install=install))
        assert process.stderr == ""
        outputs.append(process.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") == 2


@pytest.mark.parametrize("closed", [False, True])
def test_what_is_dropped_after_the_loop_was_closed_is_silent(tmp_path, closed):
    """C023: no exception from any `__del__`, only warnings of what was not closed."""
    source = f"""
    import asyncio, gc, socket, subprocess, sys, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    unraisable = []
    sys.unraisablehook = unraisable.append
    loop = new_loop()
    loop.set_exception_handler(lambda loop, context: print(context))
    async def main():
        global kept
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        streams = await asyncio.open_connection(*server.sockets[0].getsockname())
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", "input()", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if {closed}:
            process._transport.close()
            streams[1].close()
            server.close()
        else:
            process.kill()
        await process.wait()
        kept = [server, streams, process]
    loop.run_until_complete(main())
    loop.close()
    kept.clear()
    del loop
    gc.collect()
    print([str(entry.exc_value) for entry in unraisable])
    """
    process = support.run_child(tmp_path, source)
    assert process.stdout == "[]\n", process.stderr
    assert "Error" not in process.stderr


def sockets_of_this_process():
    """The numbers of all open sockets."""
    numbers = range(4, 4096, 4) if support.WINDOWS else [int(n) for n in os.listdir("/dev/fd")]
    found = []
    for number in numbers:
        try:
            sock = socket.socket(fileno=number)
        except OSError:
            continue
        sock.detach()
        found.append(number)
    return found


@pytest.mark.evenloop_only
@differs(
    from_=LINUX,
    what="the loop's own socket pair, should the system take it down",
    they="keeps the loop turning at full speed for ever",
    evenloop="has none",
)
def test_losing_the_loops_own_sockets_does_not_keep_it_busy(loop_factory):
    """C024: a suspended machine or a firewall may end them; the loop sleeps and wakes on."""
    before = sockets_of_this_process()
    loop = loop_factory()
    try:
        for number in set(sockets_of_this_process()) - set(before):
            sock = socket.socket(fileno=number)
            sock.shutdown(socket.SHUT_RDWR)
            sock.detach()
        assert loop.run_until_complete(support.is_idle())
        threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,)).start()
        guard = loop.call_later(support.LIMIT, pytest.fail)
        loop.run_forever()
        guard.cancel()
    finally:
        loop.close()


def test_default_executor_names_its_threads_as_asyncio_does(loop, run):
    """Section 3b, test_thread_name_prefix_in_default_executor."""
    name = run(asyncio.to_thread(lambda: threading.current_thread().name))
    assert name.startswith("asyncio_")


def test_standard_streams_stay_inheritable_as_they_were(loop, run):
    """Section 3b, test_loop_std_files_cloexec: a loop touches none of them."""

    def flags():
        return [(os.get_inheritable(number), os.fstat(number).st_mode) for number in range(3)]

    before = flags()
    run(asyncio.sleep(0.001))
    assert flags() == before


@pytest.mark.parametrize("kind", ["callback", "task", "future", "asyncgen", "protocol"])
def test_context_of_an_error_has_asyncios_keys_and_text(kind):
    """C204: what the exception handler is given is what the stock loop gives."""

    def use(loop):
        contexts = []

        async def fail():
            raise ZeroDivisionError

        async def generate():
            try:
                yield 1
            finally:
                raise ZeroDivisionError

        class Failing(asyncio.Protocol):
            def data_received(self, data):
                raise ZeroDivisionError

        async def main():
            if kind == "callback":
                loop.call_soon(lambda: 1 / 0)
            elif kind == "task":
                asyncio.ensure_future(fail())
            elif kind == "future":
                loop.create_future().set_exception(ZeroDivisionError())
            elif kind == "asyncgen":
                async for _ in generate():
                    break
                gc.collect()
                await loop.shutdown_asyncgens()
            else:
                ours, peer = support.tcp_pair()
                await loop.create_connection(Failing, sock=ours)
                peer.send(b"x")
                while not contexts:
                    await asyncio.sleep(0)
                peer.close()
            await support.drain_callbacks(5)
            gc.collect()

        loop.set_exception_handler(lambda _, context: contexts.append(context))
        loop.run_until_complete(main())
        return [(c["message"].split(" at ")[0], sorted(c), type(c["exception"])) for c in contexts]

    assert support.same_as_asyncio(use)[1] != "[]"
