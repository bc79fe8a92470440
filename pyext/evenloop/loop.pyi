# SPDX-License-Identifier: MIT
"""The Loop class, as type checkers see it: asyncio's loop, whatever the system."""

import asyncio

class Loop(asyncio.BaseEventLoop):
    """An asyncio event loop in C."""

    def __init__(self) -> None: ...
