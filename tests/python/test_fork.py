# SPDX-License-Identifier: MIT
"""fork in a program that has a loop: the child gets a clear error, and loops of its own."""

from __future__ import annotations

import pytest
import support
from differences import UNIX, differs

pytestmark = pytest.mark.absent("fork-on-windows", "windows")

HELPERS = """
import asyncio, os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)

def in_child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as exc:
            print("child raised", type(exc).__name__, exc, flush=True)
            os._exit(1)
    signal.alarm(20)
    _, status = os.waitpid(pid, 0)
    signal.alarm(0)
    print("child ended with", os.waitstatus_to_exitcode(status), flush=True)
"""


def run(tmp_path, source):
    import textwrap

    process = support.run_child(tmp_path, HELPERS + textwrap.dedent(source))
    assert process.stderr == ""
    assert process.returncode == 0
    return process.stdout


@differs(
    from_=UNIX,
    what="a loop used in a forked child",
    they="runs, and shares its selector with the parent",
    evenloop="raises RuntimeError that names the fork; `close()` is safe, and a new loop works",
)
@pytest.mark.evenloop_only  # the stock loop goes on in the child and shares the parent's epoll
def test_loop_used_in_a_forked_child_is_refused(tmp_path):
    output = run(
        tmp_path,
        """
        loop = new_loop()
        loop.run_until_complete(asyncio.sleep(0))

        def use():
            for name, call in {
                "run_forever": loop.run_forever,
                "run_until_complete": lambda: loop.run_until_complete(asyncio.Future(loop=loop)),
            }.items():
                try:
                    call()
                except RuntimeError as exc:
                    assert "fork" in str(exc), exc
                    print(name, "refused", flush=True)

        in_child(use)
        print(loop.run_until_complete(asyncio.sleep(0.001, "parent goes on")))
        loop.close()
        """,
    )
    assert output == (
        "run_forever refused\nrun_until_complete refused\nchild ended with 0\nparent goes on\n"
    )


def test_child_forked_by_a_running_loop_may_run_its_own(tmp_path):
    """Contract row D76."""
    output = run(
        tmp_path,
        """
        async def answer():
            await asyncio.sleep(0.001)
            return "child's own loop"

        def use():
            loop = new_loop()
            print(loop.run_until_complete(answer()), flush=True)
            loop.close()

        async def main():
            if sys.version_info < (3, 12):
                # Older Pythons keep the parent's running loop in the child.
                use_child = lambda: (asyncio._set_running_loop(None), use())
            else:
                use_child = use
            in_child(use_child)
            await asyncio.sleep(0.001)
            print("parent goes on")

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        """,
    )
    assert output == "child's own loop\nchild ended with 0\nparent goes on\n"


def test_closing_the_parents_loop_in_the_child_leaves_the_parent_alone(tmp_path):
    output = run(
        tmp_path,
        """
        import socket
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        loop = new_loop()
        got = loop.create_future()
        loop.add_reader(ours, lambda: got.done() or got.set_result(None))
        loop.call_later(3600, print)
        loop.run_until_complete(asyncio.sleep(0))
        in_child(loop.close)
        peer.send(b"x")
        loop.run_until_complete(asyncio.wait_for(got, 10))
        loop.remove_reader(ours)
        print("parent's watchers work")
        loop.close()
        ours.close()
        peer.close()
        """,
    )
    assert output == "child ended with 0\nparent's watchers work\n"


def test_child_can_exit_with_an_open_loop(tmp_path):
    output = run(
        tmp_path,
        """
        loop = new_loop()

        async def main():
            server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
            in_child(lambda: None)
            server.close()
            await server.wait_closed()

        loop.run_until_complete(main())
        loop.close()
        """,
    )
    assert output == "child ended with 0\n"


@pytest.mark.since(3, 12)
def test_child_of_a_running_loop_has_no_running_loop(tmp_path):
    """Contract point 16, row D76."""
    output = run(
        tmp_path,
        """
        def look():
            try:
                asyncio.get_running_loop()
            except RuntimeError as exc:
                print(exc, flush=True)

        async def main():
            in_child(look)

        loop = new_loop()
        loop.run_until_complete(main())
        loop.close()
        """,
    )
    assert output == "no running event loop\nchild ended with 0\n"


def test_forked_multiprocessing_worker_can_use_asyncio(tmp_path):
    output = run(
        tmp_path,
        """
        import multiprocessing

        def work(queue):
            loop = new_loop()
            queue.put(loop.run_until_complete(asyncio.sleep(0.001, "worked")))
            loop.close()

        context = multiprocessing.get_context("fork")
        loop = new_loop()
        loop.run_until_complete(asyncio.sleep(0))
        queue = context.SimpleQueue()
        process = context.Process(target=work, args=(queue,))
        process.start()
        print(queue.get())
        process.join()
        print(process.exitcode)
        loop.close()
        """,
    )
    assert output == "worked\n0\n"
