# SPDX-License-Identifier: MIT
"""What the programs share: how they print their results, and certificates for their TLS."""

from __future__ import annotations

import asyncio
import ssl
import sys

import trustme


def line(text: object) -> None:
    """One line of the result: equal on every loop and system."""
    print(text, flush=True)


def which_loop() -> None:
    """Tells, on standard error, which loop this runs on; results never depend on it."""
    loop = asyncio.get_running_loop()
    print(f"loop: {type(loop).__module__}.{type(loop).__qualname__}", file=sys.stderr, flush=True)


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context that trust each other, for localhost."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client
