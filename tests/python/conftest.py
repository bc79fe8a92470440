# SPDX-License-Identifier: MIT
"""How the tests get their loop, and the rules that every test keeps.

`--loop evenloop` (the default) tests the product; `--loop asyncio` runs the same tests on the stock
loop, which is how a test proves that it states asyncio's behaviour and not ours. (On Windows that
is the proactor loop, `--loop selector` is the other one there, and the same on Unix.) Without an
importable evenloop the run fails: it never skips itself to green.

A skip needs an entry in tests/platforms.md, which the `absent` marker names. A test ends with no
unseen call of the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import pathlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import differences
import pytest
import support

PLATFORMS = pathlib.Path(__file__).resolve().parent.parent / "platforms.md"
ENTRY_PREFIX = "tests/platforms.md: "

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
Run = Callable[..., Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop",
        choices=("evenloop", "asyncio", "selector", "uvloop"),
        default="evenloop",
        help="the loop under test: evenloop, asyncio's default or selector loop, or uvloop",
    )
    parser.addoption(
        "--differences",
        action="store_true",
        help="run the tests that say that they fail on --loop, and complain about those that pass",
    )


def pytest_configure(config: pytest.Config) -> None:
    support.LOOP_NAME = config.getoption("--loop")
    if support.LOOP_NAME == "evenloop":
        try:
            importlib.import_module("evenloop.loop")
        except Exception as exc:
            raise pytest.UsageError(
                f"evenloop cannot be imported by {sys.executable} ({type(exc).__name__}: {exc}). "
                "Install it first (pip install .), or pass --loop asyncio for the stock loop."
            ) from exc


def pytest_report_header(config: pytest.Config) -> str:
    loop = support.new_loop()
    try:
        return f"loop under test: {type(loop).__module__}.{type(loop).__qualname__}"
    finally:
        loop.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, dropped = [], []
    for item in items:
        since = item.get_closest_marker("since")
        until = item.get_closest_marker("until")
        wrong = (
            (since is not None and sys.version_info[: len(since.args)] < since.args)
            or (until is not None and sys.version_info[:2] >= until.args)
            or (
                item.get_closest_marker("evenloop_only") is not None
                and config.getoption("--loop") != "evenloop"
                and not config.getoption("--differences")
            )
        )
        (dropped if wrong else kept).append(item)
    if config.getoption("--differences"):
        other = differences.running(config.getoption("--loop"))
        for item in kept[:]:
            if other not in getattr(getattr(item, "function", None), "differs_from", ()):
                kept.remove(item)
                dropped.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("absent"):
        entry, where = marker.args
        documented = PLATFORMS.exists() and f"`{entry}`" in PLATFORMS.read_text("utf-8")
        if not documented:
            pytest.fail(f"no entry `{entry}` in {PLATFORMS}", pytrace=False)
        if support.is_here(where):
            pytest.skip(ENTRY_PREFIX + entry)


# Under --differences, by test: whether one of its cases failed, as its marker says.
differing: dict[str, bool] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    test = report.nodeid.partition("[")[0]
    differing[test] = differing.get(test, False) or report.failed


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if not config.getoption("--differences") or hasattr(config, "workerinput"):
        return
    alike = [test for test, failed in differing.items() if not failed]
    print(f"\n{len(differing) - len(alike)} of {len(differing)} marked tests fail, as they should")
    for test in alike:
        print(f"PASSES, so shows no difference: {test}")
    session.exitstatus = pytest.ExitCode.TESTS_FAILED if alike else pytest.ExitCode.OK


@pytest.fixture
def loop_factory() -> LoopFactory:
    """Makes loops of the kind under test; who calls it closes what it makes."""
    return support.new_loop


@pytest.fixture
def errors() -> list[dict[str, Any]]:
    """What the loop's exception handler was given; a test that expects some clears the list."""
    return []


@pytest.fixture
def loop(errors: list[dict[str, Any]]) -> Iterator[asyncio.AbstractEventLoop]:
    """An open loop of the kind under test, set as current, closed and collected afterwards."""
    loop = support.new_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lambda _, context: errors.append(context))
    try:
        yield loop
    finally:
        try:
            if not loop.is_closed():
                support.finish(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            del loop
            gc.collect()
    unseen = [f"{context.get('message')}: {context.get('exception')!r}" for context in errors]
    assert not unseen, f"the exception handler was called: {unseen}"


@pytest.fixture
def run(loop: asyncio.AbstractEventLoop) -> Run:
    """run(coroutine): its result on the loop, or TimeoutError instead of a hang."""

    def run_on_loop(coro: Coroutine[Any, Any, Any], timeout: float = support.LIMIT) -> Any:
        return loop.run_until_complete(asyncio.wait_for(coro, timeout))

    return run_on_loop
