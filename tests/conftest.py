# SPDX-License-Identifier: MIT
"""The rule that every folder of tests keeps: a skip names an entry of platforms.md, or it fails.

Skips say so by their reason, which begins with "tests/platforms.md: " and goes on with the entry.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

PLATFORMS = pathlib.Path(__file__).resolve().with_name("platforms.md")
ENTRY = re.compile(r"tests/platforms\.md: ([\w.-]+)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    entry = ENTRY.search(str(report.longrepr))
    if entry is None or f"`{entry[1]}`" not in PLATFORMS.read_text("utf-8"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped without an entry in tests/platforms.md"
