# SPDX-License-Identifier: MIT
"""From the name that a user gives to a factory of loops, and what can be said about the loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from .check import Misuse

Factory = Callable[[], asyncio.AbstractEventLoop]

KNOWN = {
    "asyncio": "what asyncio itself gives on this system",
    "selector": "asyncio's selector loop",
    "proactor": "asyncio's proactor loop (Windows)",
    "uvloop": "uvloop.new_event_loop",
    "winloop": "winloop.new_event_loop",
    "evenloop": "evenloop.Loop",
}


def factory(name: str) -> Factory:
    """The factory that a loop's name stands for."""
    if ":" in name:
        return _from_module(*name.split(":", 1))
    if name == "asyncio":
        return factory("proactor" if sys.platform == "win32" else "selector")
    if name == "selector":
        return asyncio.SelectorEventLoop
    if name == "proactor":
        proactor: Factory | None = getattr(asyncio, "ProactorEventLoop", None)
        if proactor is None:
            raise Misuse(
                "There is no proactor loop on this system: it is part of Windows' asyncio."
            )
        return proactor
    if name == "evenloop":
        return _from_module("evenloop", "Loop")  # asking for the class imports the core
    if name in KNOWN:
        return _from_module(name, "new_event_loop")
    raise Misuse(
        f"Unknown loop {name!r}: give one of {', '.join(KNOWN)}, or MODULE:FACTORY for any other."
    )


def _from_module(module: str, attribute: str) -> Factory:
    if not module or not attribute:
        raise Misuse(f"{module}:{attribute} is not of the form MODULE:FACTORY.")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise Misuse(
            f"The module {module!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    try:
        made: Any = functools.reduce(getattr, attribute.split("."), found)
    except AttributeError as error:
        raise Misuse(f"The module {module!r} has no {attribute!r}.") from error
    except ImportError as error:  # evenloop without its C core
        raise Misuse(f"{module}.{attribute} cannot be imported: {error}.") from error
    if not callable(made):
        raise Misuse(f"{module}:{attribute} cannot be called: it is of type {type(made).__name__}.")
    return made  # type: ignore[no-any-return]


def make(name: str) -> asyncio.AbstractEventLoop:
    """A new loop, or a TypeError where the factory returns something else."""
    loop = factory(name)()
    if not callable(getattr(loop, "run_until_complete", None)):
        raise TypeError(f"the factory returned {type(loop).__name__}, which is not an event loop")
    return loop


def describe(name: str) -> dict[str, str | None]:
    """What a report says about a loop: makes one and closes it."""
    loop = make(name)
    kind = type(loop)
    loop.close()
    return {
        "name": name,
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "version": _version(kind.__module__.partition(".")[0]),
    }


def _version(package: str) -> str | None:
    import importlib.metadata as metadata

    if package in ("asyncio", "builtins"):
        return sys.version.split()[0]
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    module = sys.modules.get(package)
    found = getattr(module, "__version__", None)
    if found is not None:
        return str(found)
    if "-packages" not in (getattr(module, "__file__", None) or ""):
        return None  # no installed one: to look through all distributions would take seconds
    names = metadata.packages_distributions().get(package)
    return metadata.version(names[0]) if names else None
