# SPDX-License-Identifier: MIT
"""evenloop.run, new_event_loop, Loop, EventLoopPolicy, install, and asyncio's own ways in."""

from __future__ import annotations

import asyncio
import inspect
import unittest

import pytest
import support


@pytest.fixture
def evenloop():
    import evenloop

    return evenloop


def kind(loop):
    return type(loop)


async def running_kind():
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop())


@pytest.mark.evenloop_only
def test_new_event_loop_gives_a_loop(evenloop):
    loop = evenloop.new_event_loop()
    try:
        assert isinstance(loop, evenloop.Loop)
        assert isinstance(loop, asyncio.AbstractEventLoop)
    finally:
        loop.close()


@pytest.mark.evenloop_only
def test_loop_can_be_made_by_its_class(evenloop):
    loop = evenloop.Loop()
    try:
        assert loop.run_until_complete(running_kind()) is evenloop.Loop
    finally:
        loop.close()


@pytest.mark.evenloop_only
def test_run_runs_a_coroutine_on_evenloop(evenloop):
    assert evenloop.run(running_kind()) is evenloop.Loop


@pytest.mark.evenloop_only
def test_run_takes_debug(evenloop):
    async def debug():
        return asyncio.get_running_loop().get_debug()

    assert evenloop.run(debug(), debug=True) is True
    assert evenloop.run(debug(), debug=False) is False
    assert evenloop.run(debug()) is False


@pytest.mark.evenloop_only
def test_run_passes_exceptions_on(evenloop):
    async def fail():
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        evenloop.run(fail())


@pytest.mark.evenloop_only
def test_run_cleans_up_as_asyncio_run(evenloop):
    seen = []

    async def left_over():
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("cancelled")

    async def generator():
        try:
            yield 1
        finally:
            seen.append("closed")

    async def main():
        global keep
        keep = [asyncio.create_task(left_over()), generator()]
        await keep[1].__anext__()
        await asyncio.to_thread(int)
        await asyncio.sleep(0)
        seen.append(asyncio.get_running_loop())

    evenloop.run(main())
    loop = seen.pop(0)
    assert seen == ["cancelled", "closed"]
    assert loop.is_closed()


@pytest.mark.evenloop_only
def test_run_within_a_running_loop_is_refused(evenloop):
    async def main():
        coro = running_kind()
        try:
            evenloop.run(coro)
        finally:
            coro.close()

    with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
        evenloop.run(main())


@pytest.mark.evenloop_only
def test_run_wants_a_coroutine(evenloop):
    with pytest.raises((TypeError, ValueError)) as ours:
        evenloop.run(5)
    with pytest.raises((TypeError, ValueError)) as reference:
        asyncio.run(5)
    assert (type(ours.value), str(ours.value)) == (type(reference.value), str(reference.value))


def test_runner_takes_the_factory(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        first = runner.run(running_kind())
        assert runner.run(running_kind()) is first
        loop = runner.get_loop()
    assert loop.is_closed()
    assert first is kind(loop)


@pytest.mark.since(3, 12)
def test_asyncio_run_takes_the_factory(loop_factory):
    loop = loop_factory()
    loop.close()
    assert asyncio.run(running_kind(), loop_factory=loop_factory) is kind(loop)


@pytest.mark.evenloop_only
@pytest.mark.until(3, 16)
def test_policy_makes_asyncio_use_evenloop(evenloop):
    before = asyncio.get_event_loop_policy()
    assert issubclass(evenloop.EventLoopPolicy, asyncio.AbstractEventLoopPolicy)
    asyncio.set_event_loop_policy(evenloop.EventLoopPolicy())
    try:
        assert asyncio.run(running_kind()) is evenloop.Loop
        loop = asyncio.new_event_loop()
        assert isinstance(loop, evenloop.Loop)
        asyncio.set_event_loop(loop)
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        asyncio.set_event_loop(None)
        loop.close()
    finally:
        asyncio.set_event_loop_policy(before)


@pytest.mark.evenloop_only
@pytest.mark.until(3, 16)
def test_install_sets_the_policy(evenloop, tmp_path):
    source = (
        "import asyncio, evenloop, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "assert evenloop.install() is None\n"
        "async def main():\n"
        "    return type(asyncio.get_running_loop()) is evenloop.Loop\n"
        "print(asyncio.run(main()))\n"
    )
    process = support.run_child(tmp_path, source)
    assert process.stdout == "True\n", process.stderr


@pytest.mark.since(3, 13)
def test_isolated_asyncio_test_cases_take_the_factory(loop_factory):
    seen = []

    class Case(unittest.IsolatedAsyncioTestCase):
        async def test_it(self):
            seen.append(type(asyncio.get_running_loop()))

    Case.loop_factory = staticmethod(loop_factory)
    result = unittest.TestResult()
    Case("test_it").run(result)
    assert result.errors == result.failures == []
    loop = loop_factory()
    loop.close()
    assert seen == [kind(loop)]


@pytest.mark.evenloop_only
def test_package_tells_its_version_and_names(evenloop):
    assert evenloop.__version__[0].isdigit()
    for name in ("run", "new_event_loop", "Loop"):
        assert name in evenloop.__all__
        assert getattr(evenloop, name).__doc__ or inspect.isclass(getattr(evenloop, name))
    for name in evenloop.__all__:
        assert hasattr(evenloop, name)


@pytest.mark.evenloop_only
def test_package_is_typed(evenloop):
    import pathlib

    folder = pathlib.Path(evenloop.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_core.pyi").exists()


@pytest.mark.evenloop_only
def test_importing_evenloop_changes_nothing(tmp_path):
    source = (
        "import asyncio\n"
        "before = asyncio.new_event_loop, asyncio.run, asyncio.get_running_loop\n"
        "import evenloop\n"
        "assert before == (asyncio.new_event_loop, asyncio.run, asyncio.get_running_loop)\n"
        "loop = asyncio.new_event_loop()\n"
        "print(isinstance(loop, evenloop.Loop))\n"
        "loop.close()\n"
    )
    process = support.run_child(tmp_path, source)
    assert process.stdout == "False\n", process.stderr


@pytest.mark.evenloop_only
def test_interpreter_ends_cleanly_with_an_open_loop(tmp_path):
    source = (
        "import asyncio\n"
        "loop = new_loop()\n"
        "asyncio.set_event_loop(loop)\n"
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "loop.call_later(3600, print)\n"
        "print('end', flush=True)\n"
    )
    process = support.run_child(tmp_path, source)
    assert (process.stdout, process.stderr, process.returncode) == ("end\n", "", 0)


@pytest.mark.evenloop_only
def test_interpreter_ends_cleanly_with_open_transports(tmp_path):
    """Contract row D52."""
    source = (
        "import asyncio\n"
        "loop = new_loop()\n"
        "async def main():\n"
        "    global server, streams\n"
        "    server = await asyncio.start_server(lambda r, w: None, '127.0.0.1', 0)\n"
        "    streams = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "loop.run_until_complete(main())\n"
        "print('end', flush=True)\n"
    )
    process = support.run_child(tmp_path, source)
    assert (process.stdout, process.returncode) == ("end\n", 0)


KEPT = """
handle = loop.call_soon(print)
handle.cancel()
kept.append(handle)
kept.append(loop.call_soon(int))
loop.run_until_complete(asyncio.sleep(0))
kept.append(loop.call_later(3600, print))
kept.append(loop.call_soon_threadsafe(int))
kept.append(loop._add_reader(connected(), print))
kept.append(loop.sock_recv(connected(), 1))
kept[-1].send(None)
task = loop.create_task(loop.sock_recv(connected(), 1))
task._log_destroy_pending = False
kept.append(task)
kept.append(loop.run_until_complete(loop.create_connection(asyncio.Protocol, sock=connected())))
kept.append(loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0)))
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
program = [sys.executable, "-c", "input()"]
kept.append(loop.run_until_complete(asyncio.create_subprocess_exec(*program, **pipes)))
kept.append(loop.call_soon(print, loop, kept))
loop.kept = kept
"""


@pytest.mark.evenloop_only
@pytest.mark.parametrize("ending", ["", "loop.close()", "del loop"], ids=["open", "closed", "gone"])
@pytest.mark.parametrize("where", ["globals", "sys"])
def test_interpreter_ends_without_a_crash_whatever_is_kept(tmp_path, where, ending):
    """Globals outlive modules in an order that nobody chooses; no object may need its module."""
    source = (
        "import asyncio, socket, subprocess, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "def connected():\n"  # a function makes its globals a cycle, for the last collection
        "    sock = socket.create_connection(listener.getsockname())\n"
        "    sock.setblocking(False)\n"
        "    return sock\n"
        "kept = []\n"
        "loop = new_loop()\n"
        f"{KEPT}\n"
        f"{'' if where == 'globals' else 'sys.kept = kept'}\n"
        f"{ending}\n"
        "print('end', flush=True)\n"
    )
    process = support.run_child(tmp_path, source)
    assert (process.stdout, process.returncode) == ("end\n", 0), process.stderr
