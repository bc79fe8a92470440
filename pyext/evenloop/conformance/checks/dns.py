# SPDX-License-Identifier: MIT
"""dns: names and addresses."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from typing import Any
from unittest import mock

from ..check import Area
from ..trial import NotApplicable, Trial

area = Area("dns", "Names and addresses")

QUESTIONS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    (("127.0.0.1", 80), {}),
    (("127.0.0.1", 80), {"type": socket.SOCK_STREAM}),
    (("127.0.0.1", "80"), {"type": socket.SOCK_DGRAM}),
    (("127.0.0.1", None), {"family": socket.AF_INET}),
    ((b"127.0.0.1", b"80"), {"type": socket.SOCK_STREAM}),
    (("::1", 80), {"type": socket.SOCK_STREAM}),
    ((None, 0), {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
    (("localhost", 80), {"family": socket.AF_INET, "type": socket.SOCK_STREAM}),
    (("0.0.0.0", 80), {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}),
)


@area.check(expect=dict.fromkeys((str(question) for question in QUESTIONS), "the same"))
async def getaddrinfo_same_as_socket(t: Trial) -> object:
    """getaddrinfo returns what socket.getaddrinfo returns, enum types included.

    uvloop answers some questions itself, and 303 of 2,430 differently.

    spec: docs, loop.getaddrinfo: "Asynchronous version of socket.getaddrinfo()"
    """
    seen = {}
    for arguments, options in QUESTIONS:
        expected = t.outcome(socket.getaddrinfo, *arguments, **options)
        answer = await t.outcome_of(t.loop.getaddrinfo(*arguments, **options))
        same = answer == expected and repr(answer) == repr(expected)
        seen[str((arguments, options))] = "the same" if same else {"answer": repr(answer)}
    return seen


@area.check(expect={"type": "gaierror", "errno is an EAI constant": True})
async def gaierror(t: Trial) -> object:
    """A name that does not exist raises socket.gaierror with the system's EAI_ number.

    spec: docs, loop.getaddrinfo and socket.gaierror; C127
    """
    seen = await failure(t, "no-such-host.invalid", 80)
    constants = {value for name, value in vars(socket).items() if name.startswith("EAI_")}
    constants |= {11001, 11002, 11003, 11004}  # Windows' own, for which Python has no names
    return {
        "type": type(seen),
        "errno is an EAI constant": getattr(seen, "errno", None) in constants,
    }


@area.check(expect="gaierror")
async def numeric_host_required(t: Trial) -> object:
    """AI_NUMERICHOST refuses a name without asking anyone.

    spec: docs, socket.getaddrinfo
    """
    return type(await failure(t, "localhost", 80, flags=socket.AI_NUMERICHOST))


@area.check(expect=["patched"])
async def uses_socket_module_patchable(t: Trial) -> object:
    """getaddrinfo calls socket.getaddrinfo as it is at that moment, so that it can be replaced.

    Tests and resolvers (dnspython, gevent's users) patch it.

    spec: BaseEventLoop.getaddrinfo looks it up at call time
    """

    def patched(*args: Any, **kwargs: Any) -> Any:
        return ["patched"]

    with mock.patch.object(socket, "getaddrinfo", patched):
        return await t.loop.getaddrinfo("example.invalid", 80)


@area.check(expect={"numeric": ["127.0.0.1", "9"], "as socket": True})
async def getnameinfo(t: Trial) -> object:
    """getnameinfo returns what socket.getnameinfo returns.

    spec: docs, loop.getnameinfo
    """
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    numeric = await t.loop.getnameinfo(("127.0.0.1", 9), flags)
    asked = socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
    return {
        "numeric": numeric,
        "as socket": await t.loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST) == asked,
    }


@area.check(expect={"cancelled": True, "loop goes on": True})
async def cancelled_lookup(t: Trial) -> object:
    """A lookup can be cancelled; what its thread returns later disturbs nobody.

    spec: docs, futures of run_in_executor
    """
    asked, answer = threading.Event(), threading.Event()
    t.at_end(answer.set)

    def slow(*args: Any) -> Any:
        asked.set()
        answer.wait(5)
        return []

    with mock.patch.object(socket, "getaddrinfo", slow):
        lookup = t.loop.create_task(t.loop.getaddrinfo("example.invalid", 80))
        await slow_lookup_began(t, asked)
    lookup.cancel()
    seen = await t.outcome_of(lookup)
    answer.set()
    await t.settle(0.02)
    cancelled = isinstance(seen, dict) and seen["type"] == "CancelledError"
    return {"cancelled": cancelled, "loop goes on": await asyncio.sleep(0, True)}


@area.check(expect={"loop turned meanwhile": True, "answer": True})
async def lookup_does_not_block_the_loop(t: Trial) -> object:
    """While a name is looked up the loop turns.

    spec: docs, loop.getaddrinfo is asynchronous
    """
    asked, answer = threading.Event(), threading.Event()
    t.at_end(answer.set)
    original = socket.getaddrinfo

    def slow(*args: Any) -> Any:
        asked.set()
        answer.wait(5)
        return original(*args)

    with mock.patch.object(socket, "getaddrinfo", slow):
        lookup = t.loop.create_task(t.loop.getaddrinfo("127.0.0.1", 80))
        await slow_lookup_began(t, asked)
        answer.set()
        seen = await t.within(lookup)
    return {"loop turned meanwhile": True, "answer": bool(seen)}


@area.check(expect={"while it is busy": "waits", "afterwards": True})
async def executor_saturation(t: Trial) -> object:
    """A lookup waits for a thread of the default executor, and for nothing else.

    A program that fills its default executor keeps its own lookups from going on.

    spec: docs, loop.set_default_executor; BaseEventLoop.getaddrinfo
    """
    release = threading.Event()
    t.at_end(release.set)
    t.loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    busy = t.loop.run_in_executor(None, release.wait, 8.0)
    lookup = t.loop.create_task(t.loop.getaddrinfo("127.0.0.1", 80))
    await t.settle()
    meanwhile = "done" if lookup.done() else "waits"
    release.set()
    await t.within(busy)
    return {"while it is busy": meanwhile, "afterwards": bool(await t.within(lookup))}


async def slow_lookup_began(t: Trial, asked: threading.Event) -> None:
    """Wait, while the loop turns, until the slow stand-in for getaddrinfo has been called."""
    if not await t.until(asked.is_set, 1.0):
        raise NotApplicable(
            "this loop does not ask socket.getaddrinfo: see uses_socket_module_patchable"
        )


async def failure(t: Trial, *args: Any, **kwargs: Any) -> object:
    """The exception of a lookup."""
    try:
        return await t.loop.getaddrinfo(*args, **kwargs)
    except Exception as error:
        return error
