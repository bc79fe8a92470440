# SPDX-License-Identifier: MIT
"""signal: Ctrl-C while the program waits for something, Ctrl-Break, and handlers after a fork."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine
from typing import Any

from ..trial import Trial
from .signal import area, at_leisure, send


def interrupted(t: Trial, main: Coroutine[Any, Any, Any]) -> dict[str, object]:
    """Run something that waits, send Ctrl-C meanwhile: what came out, and whether at once."""
    t.loop.call_later(3.0 * t.scale, t.loop.stop)
    sent = at_leisure(t, signal.SIGINT)
    try:
        raised: object = t.loop.run_until_complete(main)
    except (KeyboardInterrupt, RuntimeError) as error:
        raised = type(error)
    return {"raised": raised, "at once": time.monotonic() - sent[0] < 1.0 * t.scale}


@area.check(expect={"raised": "KeyboardInterrupt", "at once": True})
def keyboardinterrupt_while_the_executor_works(t: Trial) -> object:
    """Ctrl-C ends a loop that waits for a thread of its executor, at once.

    portable: D12, gh-101166: the selector loop of Windows notices when something else wakes it
    """
    over = threading.Event()
    t.at_end(over.set)

    async def main() -> None:
        await t.loop.run_in_executor(None, over.wait, 5.0 * t.scale)

    seen = interrupted(t, main())
    over.set()
    return seen


@area.check(expect={"raised": "KeyboardInterrupt", "at once": True})
def keyboardinterrupt_during_sock_recv(t: Trial) -> object:
    """Ctrl-C ends a loop that waits for a socket, at once.

    portable: D12, gh-101166
    """
    one, _ = t.tcp_pair()

    async def main() -> None:
        await t.loop.sock_recv(one, 1)

    return interrupted(t, main())


@area.check(expect={"called": True, "removed": True}, needs=("sigbreak",))
async def sigbreak_may_have_a_handler(t: Trial) -> object:
    """Ctrl-Break, Windows' own signal, can have a handler as SIGINT and SIGTERM can.

    portable: D2; docs, signal.SIGBREAK
    """
    number: Any = getattr(signal, "SIGBREAK")  # noqa: B009 - only Windows has it
    called: list[int] = []
    t.loop.add_signal_handler(number, called.append, 1)
    send(number)
    await t.until(lambda: called, 2.0)
    return {"called": bool(called), "removed": t.loop.remove_signal_handler(number)}


@area.check(expect={"child": "handled", "parent": "nothing"}, since=(3, 12), needs=("fork",))
def child_signal_handlers_reset(t: Trial) -> object:
    """A signal for a forked child with a loop of its own reaches that loop and not the parent's.

    Both share the wake-up descriptor until the child gets one of its own.

    spec: CPython gh-66285, test_unix_events TestFork.test_fork_signal_handling
    """

    async def child_main() -> str:
        handled = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, handled.set)
        send(signal.SIGTERM)
        await asyncio.wait_for(handled.wait(), 3.0)
        return "handled"

    async def main() -> object:
        heard: list[int] = []
        t.loop.add_signal_handler(signal.SIGTERM, heard.append, 1)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            asyncio._set_running_loop(None)
            try:
                os.write(write, t.new_loop().run_until_complete(child_main()).encode())
            except BaseException as error:
                os.write(write, repr(error).encode())
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        text = os.read(read, 1000).decode()
        os.close(read)
        await t.settle()
        return {"child": text, "parent": "heard it" if heard else "nothing"}

    return t.run(main())
