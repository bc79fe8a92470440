# SPDX-License-Identifier: MIT
"""The event loop policy, for the Pythons that have policies (up to 3.15)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from .loop import Loop

if TYPE_CHECKING:
    _Base = asyncio.DefaultEventLoopPolicy
elif sys.version_info >= (3, 14):
    # The public name warns from 3.14 on; asyncio's own default is this private one.
    _module = asyncio.windows_events if sys.platform == "win32" else asyncio.unix_events
    _Base = getattr(_module, "_DefaultEventLoopPolicy", None)
    if _Base is None:
        _Base = asyncio.events._BaseDefaultEventLoopPolicy
else:
    _Base = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_Base):
    """The default policy of this system, with evenloop.Loop for its loops."""

    _loop_factory: Any = Loop
