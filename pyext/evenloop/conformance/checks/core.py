# SPDX-License-Identifier: MIT
"""core: order of callbacks, running and stopping, errors and debug mode."""

from __future__ import annotations

from ..check import Area
from ..trial import Trial

area = Area("core", "Callbacks, running and stopping, errors and debug mode")


@area.check(expect=list("abcde"))
def call_soon_fifo(t: Trial) -> object:
    """Callbacks run in the order in which call_soon took them.

    spec: docs, loop.call_soon: "Callbacks are called in the order in which they are registered"
    """
    ran: list[str] = []
    for name in "abcde":
        t.loop.call_soon(ran.append, name)
    t.loop.call_soon(t.loop.stop)
    t.loop.run_forever()
    return ran


@area.check(
    expect=["running=False closed=False debug=False", "running=False closed=True debug=False"]
)
def repr_(t: Trial) -> object:
    """repr() of a loop shows whether it runs, is closed, and is in debug mode.

    text: CPython Lib/asyncio/base_events.py, BaseEventLoop.__repr__
    """
    loop = t.new_loop()
    seen = [format(loop)]
    loop.close()
    seen.append(format(loop))
    return [text.strip("<>").partition(" ")[2] for text in seen]
