# SPDX-License-Identifier: MIT
"""run_in_executor and the resolver that goes through it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
import warnings

import pytest
import support
from differences import UVLOOP, differs


def test_function_runs_in_a_worker_thread(loop, run):
    async def main():
        name, ident = await loop.run_in_executor(
            None, lambda: (threading.current_thread().name, threading.get_ident())
        )
        assert name.startswith("asyncio_")
        assert ident != threading.get_ident()

    run(main())


def test_arguments_results_and_exceptions_pass(loop, run):
    async def main():
        assert await loop.run_in_executor(None, divmod, 17, 5) == (3, 2)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, divmod, 17, 0)

    run(main())


def test_executor_of_ones_own_is_used(loop, run):
    async def main():
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="own") as pool:
            name = await loop.run_in_executor(pool, lambda: threading.current_thread().name)
            assert name.startswith("own_")

    run(main())


def test_default_executor_can_be_set(loop, run):
    async def main():
        loop.set_default_executor(
            concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="mine")
        )
        name = await loop.run_in_executor(None, lambda: threading.current_thread().name)
        assert name.startswith("mine_")

    run(main())


def test_default_executor_has_to_be_a_thread_pool():
    kind, text = support.raised_by(lambda loop: loop.set_default_executor("pool"))
    assert (kind, text) == ("TypeError", "executor must be ThreadPoolExecutor instance")


def test_use_after_shutdown_is_refused():
    """Contract point 13."""

    async def use(loop):
        await loop.shutdown_default_executor()
        await loop.run_in_executor(None, print)

    assert support.raised_by(lambda loop: loop.run_until_complete(use(loop))) == (
        "RuntimeError",
        "Executor shutdown has been called",
    )


@pytest.mark.since(3, 13)  # the first 3.12 releases wait for the threads all the same
def test_shutdown_gives_up_after_its_timeout_and_says_so(loop, run):
    """Contract point 13."""

    async def main():
        release = threading.Event()
        started = threading.Event()

        def work():
            started.set()
            release.wait(support.LIMIT)

        future = loop.run_in_executor(None, work)
        while not started.is_set():
            await asyncio.sleep(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await loop.shutdown_default_executor(timeout=0.05)
        release.set()
        await future
        assert [entry.category for entry in caught] == [RuntimeWarning]

    run(main())


def test_debug_rejects_coroutine_functions():
    async def coroutine_function():
        pass

    def use(loop):
        loop.set_debug(True)
        loop.run_in_executor(None, coroutine_function)

    kind, text = support.raised_by(use)
    assert (kind, text) == ("TypeError", "coroutines cannot be used with run_in_executor()")


def test_many_jobs_at_once(loop, run):
    async def main():
        results = await asyncio.gather(
            *(loop.run_in_executor(None, pow, number, 2) for number in range(500))
        )
        assert results == [number**2 for number in range(500)]

    run(main())


def test_cancelled_job_does_not_disturb_the_loop(loop, run):
    async def main():
        release = threading.Event()
        future = loop.run_in_executor(None, release.wait, support.LIMIT)
        future.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert await loop.run_in_executor(None, int, "7") == 7

    run(main())


def test_to_thread_takes_the_context_along(loop, run):
    import contextvars

    variable = contextvars.ContextVar("variable")

    async def main():
        variable.set("here")
        assert await asyncio.to_thread(variable.get) == "here"

    run(main())


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("127.0.0.1", 80, {}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM}),
        ("127.0.0.1", "80", {"proto": socket.IPPROTO_TCP}),
        ("::1", 443, {"family": socket.AF_INET6}),
        ("localhost", 0, {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
        (None, 80, {"flags": socket.AI_PASSIVE}),
    ],
)
def test_getaddrinfo_gives_what_socket_gives(loop, run, host, port, options):
    result = run(loop.getaddrinfo(host, port, **options))
    expected = socket.getaddrinfo(host, port, **options)
    assert result == expected
    assert [type(entry[0]) for entry in result] == [type(entry[0]) for entry in expected]


@differs(
    from_=UVLOOP,
    what="a replaced `socket.getaddrinfo`",
    they="is not used by `loop.getaddrinfo`",
    evenloop="is used",
)
def test_getaddrinfo_uses_the_socket_module(loop, run, monkeypatch):
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 7))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer)
    assert run(loop.getaddrinfo("anything.invalid", 7)) == answer


@pytest.mark.parametrize("debug", [False, True])
def test_getaddrinfo_error_is_gaierror(loop, run, debug):
    """Contract row D77."""
    loop.set_debug(debug)
    with pytest.raises(socket.gaierror) as caught:
        run(loop.getaddrinfo("127.0.0.1", "no-such-service", type=socket.SOCK_STREAM))
    with pytest.raises(socket.gaierror) as expected:
        socket.getaddrinfo("127.0.0.1", "no-such-service", type=socket.SOCK_STREAM)
    assert caught.value.args == expected.value.args


def test_getnameinfo_gives_what_socket_gives(loop, run):
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert run(loop.getnameinfo(("127.0.0.1", 80), flags)) == ("127.0.0.1", "80")


def test_loop_runs_on_while_the_resolver_waits(loop, run, monkeypatch):
    release = threading.Event()

    def slow(*_):
        release.wait(support.LIMIT)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def main():
        task = loop.create_task(loop.getaddrinfo("slow.invalid", 1))
        before = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() > before
        assert not task.done()
        release.set()
        assert await task == []

    run(main())
