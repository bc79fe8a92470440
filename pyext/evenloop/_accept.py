# SPDX-License-Identifier: MIT
"""Accepted connections that speak TLS.

The C listener hands each one to :func:`accept_tls`; from there it is asyncio's own SSLProtocol
over our stream transport, with the error handling that asyncio's selector loop has for incoming
connections.
"""

from __future__ import annotations

import contextvars
import socket
import ssl
from asyncio import AbstractEventLoop, BaseProtocol, BaseTransport
from collections.abc import Callable
from typing import Any

__all__ = ["accept_tls"]


def accept_tls(
    loop: AbstractEventLoop,
    protocol_factory: Callable[[], BaseProtocol],
    sock: socket.socket,
    extra: dict[str, Any],
    sslcontext: ssl.SSLContext,
    server: Any,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
    context: contextvars.Context,
) -> None:
    """Begin the handshake of one accepted connection, as a task in the connection's context."""
    loop.create_task(
        _accept(
            loop,
            protocol_factory,
            sock,
            extra,
            sslcontext,
            server,
            handshake_timeout,
            shutdown_timeout,
            context,
        ),
        context=context,
    )


async def _accept(
    loop: Any,
    protocol_factory: Callable[[], BaseProtocol],
    sock: socket.socket,
    extra: dict[str, Any],
    sslcontext: ssl.SSLContext,
    server: Any,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
    context: contextvars.Context,
) -> None:
    """Run the factory and wait for the handshake; whatever fails closes this connection alone."""
    protocol: BaseProtocol | None = None
    transport: BaseTransport | None = None
    try:
        protocol = protocol_factory()
        waiter = loop.create_future()
        transport = loop._make_ssl_transport(
            sock,
            protocol,
            sslcontext,
            waiter,
            server_side=True,
            extra=extra,
            server=server,
            ssl_handshake_timeout=handshake_timeout,
            ssl_shutdown_timeout=shutdown_timeout,
            context=context,
        )
        try:
            await waiter
        except BaseException:
            transport.close()
            # The future's exception can keep the protocol alive in a cycle (gh-109534).
            waiter = None
            raise
    except (SystemExit, KeyboardInterrupt):
        if transport is None:
            sock.close()
        raise
    except BaseException as exc:
        if transport is None:
            sock.close()
        if loop.get_debug():
            report: dict[str, Any] = {
                "message": "Error on transport creation for incoming connection",
                "exception": exc,
            }
            if protocol is not None:
                report["protocol"] = protocol
            if transport is not None:
                report["transport"] = transport
            loop.call_exception_handler(report)
