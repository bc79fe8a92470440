# SPDX-License-Identifier: MIT
"""What the C half calls in Python: rare paths, and texts that follow the running Python's own.

Nothing here imports evenloop._core: the extension module imports this one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
import sys
import threading
import types
from asyncio import base_events, format_helpers, selector_events
from asyncio.log import logger
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ._accept import accept_tls as accept_tls  # what the listener in C calls

# A callback's arguments are hidden unless debug mode is on since gh-112997 (3.13, late 3.12).
_HIDES_ARGUMENTS = "debug" in inspect.signature(format_helpers._format_callback_source).parameters


_format_handle = cast(Any, base_events)._format_handle


def _callback_text(handle: Any, debug: bool) -> str:
    source: Any = format_helpers._format_callback_source
    if _HIDES_ARGUMENTS:
        return str(source(handle._callback, handle._args, debug=debug))
    return str(source(handle._callback, handle._args))


def callback_failed(loop: Any, handle: Any, exception: BaseException) -> None:
    """Report what asyncio.Handle._run reports when a callback raises."""
    context = {
        "message": f"Exception in callback {_callback_text(handle, loop.get_debug())}",
        "exception": exception,
        "handle": handle,
    }
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)


def callback_ran(loop: Any, handle: Any, seconds: float) -> None:
    """Debug mode: log a callback that kept the loop too long."""
    if seconds >= loop.slow_callback_duration:
        logger.warning("Executing %s took %.3f seconds", _format_handle(handle), seconds)


def run_handle(loop: Any, handle: Any) -> None:
    """Debug mode: run a handle that is asyncio's own, watched like ours."""
    loop._current_handle = handle
    try:
        began = loop.time()
        handle._run()
        callback_ran(loop, handle, loop.time() - began)
    finally:
        loop._current_handle = None


# The context of an accepted connection came with gh-140947 (3.15).
_Transport = cast(Any, selector_events)._SelectorSocketTransport
_TAKES_CONTEXT = "context" in inspect.signature(_Transport).parameters


def acting_socket_transport(
    loop: Any, sock: Any, protocol: Any, waiter: Any, extra: Any, server: Any, context: Any
) -> Any:
    """Make asyncio's own transport for an object that acts like a socket but is none."""
    keywords = {"context": context} if _TAKES_CONTEXT else {}
    return _Transport(loop, sock, protocol, waiter, extra, server, **keywords)


def acting_datagram_transport(
    loop: Any, sock: Any, protocol: Any, address: Any, waiter: Any, extra: Any
) -> Any:
    """Make asyncio's own datagram transport, which calls the socket object for everything."""
    return cast(Any, selector_events)._SelectorDatagramTransport(
        loop, sock, protocol, address, waiter, extra
    )


def protocol_callback_failed(
    loop: Any, protocol: Any, name: str, args: tuple[Any, ...], exception: BaseException
) -> None:
    """Report an exception of protocol.name(*args) as that of an ordinary callback."""
    callback = getattr(protocol, name, None)
    if callback is None:  # that is what the exception says
        context = {"message": "Exception in callback", "exception": exception}
        loop.call_exception_handler(context)
        return
    callback_failed(loop, asyncio.Handle(callback, args, loop), exception)


@functools.cache
def _method_named(qualname: str) -> Any:
    """Return a function that stands for a method of asyncio's in reports; it is never called."""

    def method(transport: Any, *args: Any) -> None:
        raise NotImplementedError

    method.__qualname__ = qualname
    return method


def method_failed(
    loop: Any, transport: Any, qualname: str, args: tuple[Any, ...], exception: BaseException
) -> None:
    """Report an exception that leaves what is a method of a transport's class in asyncio."""
    method = types.MethodType(_method_named(qualname), transport)
    callback_failed(loop, asyncio.Handle(method, args, loop), exception)


def protocol_callback_ran(
    loop: Any, protocol: Any, name: str, args: tuple[Any, ...], seconds: float
) -> None:
    """Debug mode: log a call of protocol.name(*args) that kept the loop too long."""
    if seconds >= loop.slow_callback_duration:
        callback_ran(loop, asyncio.Handle(getattr(protocol, name), args, loop), seconds)


def transport_failed(
    loop: Any, transport: Any, protocol: Any, exception: BaseException, message: str
) -> None:
    """Tell what asyncio's transports tell before a fatal error closes them."""
    if not isinstance(exception, OSError):
        loop.call_exception_handler(
            {
                "message": message,
                "exception": exception,
                "transport": transport,
                "protocol": protocol,
            }
        )
    elif loop.get_debug():
        logger.debug("%r: %s", transport, message, exc_info=exception)


def refuse_to_write(data: Any) -> None:
    """Raise the TypeError with which asyncio's transport refuses what is no bytes, in its words.

    It looks at the data before it looks at itself, so the call needs no transport.
    """
    _Transport.write(None, data)


def in_main_thread() -> bool:
    """Whether this thread is the one that runs signal handlers."""
    return threading.get_ident() == threading.main_thread().ident


class WatchedDescriptors(Mapping[Any, selectors.SelectorKey]):
    """What loop._selector.get_map() of a selector loop tells: who watches which descriptor."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getitem__(self, fileobj: Any) -> selectors.SelectorKey:
        reader, writer = self._loop._watched(fileobj)
        events = (selectors.EVENT_READ if reader else 0) | (selectors.EVENT_WRITE if writer else 0)
        if not events:
            raise KeyError(f"{fileobj!r} is not registered")
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return selectors.SelectorKey(fileobj, fd, events, (reader, writer))

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(set(self._loop._watched_fds())))

    def __len__(self) -> int:
        return len(set(self._loop._watched_fds()))


class SelectorView:
    """Stands where a selector loop keeps its selector: asyncio's transports ask it in repr()."""

    def __init__(self, loop: Any) -> None:
        self._map = WatchedDescriptors(loop)

    def get_map(self) -> WatchedDescriptors:
        """Return the descriptors with a reader or a writer."""
        return self._map

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Return the key of one of them, or raise KeyError."""
        return self._map[fileobj]


class RunForever:
    """The two halves of run_forever that BaseEventLoop has from 3.13 on (gh-110771)."""

    def _run_forever_setup(self: Any) -> None:
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        self._old_agen_hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(
            firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
        )
        asyncio._set_running_loop(self)

    def _run_forever_cleanup(self: Any) -> None:
        self._stopping = False
        self._thread_id = None
        asyncio._set_running_loop(None)
        self._set_coroutine_origin_tracking(False)
        if self._old_agen_hooks is not None:
            sys.set_asyncgen_hooks(*self._old_agen_hooks)
            self._old_agen_hooks = None


async def start_subprocess(
    loop: Any,
    transport_type: Any,
    protocol: Any,
    args: Any,
    shell: bool,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    bufsize: int,
    extra: Any = None,
    **kwargs: Any,
) -> Any:
    """Start a child and return its transport; a cancelled start ends and collects it."""
    waiter = loop.create_future()
    transport = transport_type(
        loop,
        protocol,
        args,
        shell,
        stdin,
        stdout,
        stderr,
        bufsize,
        waiter=waiter,
        extra=extra,
        **kwargs,
    )
    try:
        await waiter
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:
        transport.close()
        await transport._wait()
        raise
    return transport
