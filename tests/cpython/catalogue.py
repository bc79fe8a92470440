# SPDX-License-Identifier: MIT
"""Which of CPython's tests run, and how each comes to use the loop under test.

Owns the recipe: the places where the running interpreter's unmodified test modules are told to use
another loop. Nothing else is patched, and no test file is edited:

1. the default policy's loop factory, one class attribute; and asyncio.EventLoop, the alias of the
   best loop (3.13), except for test_runners, which tests that alias itself;
2. mixins whose concrete classes name a stock loop get one class with the hook overridden;
3. the clean-up in test_asyncio.utils, for loops that are not asyncio.BaseEventLoop;
4. SIGINT, which a background shell leaves ignored;
5. on Windows, a few skips that speak of the stock loops there and not of the system (UNSKIPPED).

A class that is listed here twice, or a mixin that a new Python renames, would silently lose tests:
`build` fails when a module that must have a mixin has none.
"""

from __future__ import annotations

import asyncio
import fnmatch
import importlib
import importlib.util
import pkgutil
import signal
import sys
import unittest
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

ASYNCIO_TESTS = "test.test_asyncio"
WINDOWS = sys.platform == "win32"


class LoopFactory:
    """Makes loops of the kind under test and counts them.

    An instance rather than a function: as a class attribute it must not turn into a method.
    """

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.made = 0
        self._make = resolve(spec)

    def __call__(self) -> asyncio.AbstractEventLoop:
        self.made += 1
        return self._make()


def factory_name(loop: str) -> tuple[str, str]:
    """`loop` as given on the command line, as (module, attribute)."""
    if loop == "asyncio":
        return "asyncio", "ProactorEventLoop" if WINDOWS else "SelectorEventLoop"
    module, _, attribute = loop.partition(":")
    return module, attribute or "new_event_loop"


# The loops of the running asyncio: what one of them runs, no loop may skip.
STOCK_LOOPS = ("asyncio", "asyncio:SelectorEventLoop") if WINDOWS else ("asyncio",)


def is_stock(loop: str) -> bool:
    """Whether `loop` names one of asyncio's own loops."""
    return factory_name(loop)[0] == "asyncio"


def resolve(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The callable that `loop` names; ImportError, AttributeError, TypeError when there is none."""
    module, attribute = factory_name(loop)
    factory: Callable[[], asyncio.AbstractEventLoop] = getattr(
        importlib.import_module(module), attribute
    )
    if not callable(factory):
        raise TypeError(f"{module}:{attribute} is not callable")
    return factory


# ---------------------------------------------------------------------------------------------
# Step 1: what new_event_loop(), run(), Runner() and IsolatedAsyncioTestCase make


def install(factory: LoopFactory, module: str) -> None:
    """Makes `factory` the source of every loop that a test of `module` does not name itself."""
    policies = importlib.import_module(
        "asyncio.windows_events" if WINDOWS else "asyncio.unix_events"
    )
    names = (
        ("_DefaultEventLoopPolicy", "DefaultEventLoopPolicy")
        if WINDOWS
        else ("_UnixDefaultEventLoopPolicy",)
    )
    policy = next((getattr(policies, name) for name in names if hasattr(policies, name)), None)
    if policy is not None:
        policy._loop_factory = staticmethod(factory)
    else:
        # The policy system is gone (3.16): the module function is what is left.
        asyncio.events.new_event_loop = asyncio.new_event_loop = factory
    if hasattr(asyncio, "EventLoop") and not module.endswith(".test_runners"):
        asyncio.EventLoop = factory


def restore_sigint() -> None:
    """Step 4: with SIGINT ignored, test_runners waits for ever for a KeyboardInterrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# ---------------------------------------------------------------------------------------------
# Step 2: classes made from mixins


@dataclass(frozen=True)
class Adapter:
    """One class built from `mixin` of `module`; `hook` is what makes its loop.

    Other concrete classes of the mixin are left out: each names a stock loop.
    """

    module: str
    name: str
    mixin: str
    base: str
    hook: str
    required: bool = True


ADAPTERS = (
    Adapter("test_events", "EventLoop", "EventLoopTestsMixin", "asyncio", "create_event_loop"),
    Adapter("test_events", "Subprocess", "SubprocessTestsMixin", "asyncio", "setUp"),
    Adapter("test_sock_lowlevel", "Sock", "BaseSockTestsMixin", "asyncio", "create_event_loop"),
    Adapter("test_sendfile", "Sendfile", "SendfileTestsBase", "asyncio", "create_event_loop"),
    # The selector loop's class adds the unix socket test to the common mixin.
    Adapter("test_server", "StartServer", "SelectorStartServerTests", "", "new_loop"),
    Adapter("test_buffered_proto", "BufferedProtocol", "BaseTestBufferedProtocol", "", "new_loop"),
    Adapter("test_sslproto", "StartTLS", "BaseStartTLS", "", "new_loop"),
    Adapter("test_subprocess", "Subprocess", "SubprocessMixin", "asyncio", "setUp"),
    Adapter("test_unix_events", "UnixSocket", "SelectorEventLoopUnixSocketTests", "", "setUp"),
    Adapter("test_unix_events", "Signal", "SelectorEventLoopSignalTests", "", "setUp"),
    # Python 3.15: the context of a server.
    Adapter(
        "test_server_context", "Server", "AsyncioEventLoopTests", "", "loop_factory", required=False
    ),
    Adapter(
        "test_server_context",
        "ServerSSL",
        "AsyncioEventLoopSSLTests",
        "",
        "loop_factory",
        required=False,
    ),
)

# Further bases of which every concrete class names a stock loop of its own.
STOCK_ONLY = {"test_server": ("BaseStartServer",)}


def build(module: ModuleType, factory: LoopFactory) -> dict[str, type[unittest.TestCase]]:
    """The test classes of `module` by name, each made to use `factory` where it makes a loop."""
    short = module.__name__.rpartition(".")[2]
    found: dict[str, type[unittest.TestCase]] = {}
    replaced: list[type] = [getattr(module, name) for name in STOCK_ONLY.get(short, ())]
    if module.__name__.startswith(ASYNCIO_TESTS):
        for adapter in (a for a in ADAPTERS if a.module == short):
            mixin = getattr(module, adapter.mixin, None)
            if mixin is None:
                if adapter.required:
                    raise LookupError(f"{module.__name__} has no {adapter.mixin} any more")
                continue
            found[adapter.name] = adapted(module, mixin, adapter, factory)
            replaced.append(mixin)
    for name, value in vars(module).items():
        if (
            isinstance(value, type)
            and issubclass(value, unittest.TestCase)
            and value.__module__ == module.__name__
            and not issubclass(value, tuple(replaced))
        ):
            if name in found:
                raise LookupError(f"{module.__name__}.{name} clashes with an adapter's name")
            found[name] = value
    if short in DOCTESTED:
        found[DOCTESTS] = doctests(module)
    if not is_stock(factory.spec):
        unskip(short, found)
    return found


def adapted(
    module: ModuleType, mixin: type, adapter: Adapter, factory: LoopFactory
) -> type[unittest.TestCase]:
    """One concrete class of `mixin` with the adapter's hook overridden."""
    utils = importlib.import_module(f"{ASYNCIO_TESTS}.utils")
    bases: tuple[type, ...] = (mixin,)
    if not issubclass(mixin, unittest.TestCase):
        bases += (utils.TestCase if adapter.base == "asyncio" else unittest.TestCase,)

    def set_up(self: Any) -> None:
        utils.TestCase.setUp(self)
        self.loop = factory()
        self.set_event_loop(self.loop)

    hooks: dict[str, dict[str, Any]] = {
        "create_event_loop": {"create_event_loop": lambda self: factory()},
        "new_loop": {"new_loop": lambda self: factory()},
        "setUp": {"setUp": set_up},
        "loop_factory": {"loop_factory": factory},
    }
    # The module's own name, so that unittest runs its setUpModule and tearDownModule.
    attributes = {"__module__": module.__name__, "__qualname__": adapter.name}
    return type(adapter.name, bases, attributes | hooks[adapter.hook])


# The doctests of these modules that speak of asyncio appear as one class of this name.
DOCTESTED = ("test_pdb",)
DOCTESTS = "Doctests"


def doctests(module: ModuleType) -> type[unittest.TestCase]:
    """A class with a test for each doctest that the module's own load_tests finds."""

    def flatten(suite: Any) -> Iterator[Any]:
        for case in suite:
            yield from flatten(case) if isinstance(case, unittest.TestSuite) else (case,)

    def test_of(case: Any) -> Callable[[unittest.TestCase], None]:
        def run(self: unittest.TestCase) -> None:
            # Its own run, not its method: newer Pythons report from there.
            result = unittest.TestResult()
            case.run(result)
            for _, text in result.failures + result.errors:
                self.fail(text)
            for _, reason in result.skipped:
                self.skipTest(reason)

        return run

    tests: dict[str, Any] = {"__module__": module.__name__, "__qualname__": DOCTESTS}
    found = module.load_tests(unittest.TestLoader(), unittest.TestSuite(), None)
    for case in flatten(found):
        test = getattr(case, "_dt_test", None)
        if test is None or not any("asyncio" in example.source for example in test.examples):
            continue
        name = test.name.rpartition(".")[2]
        if name in tests:
            # Newer Pythons run each with both of pdb's ways to trace.
            name += "_again"
        tests[name] = test_of(case)
    return type(DOCTESTS, (unittest.TestCase,), tests)


# ---------------------------------------------------------------------------------------------
# Step 5: skips on Windows that say what the stock loops cannot do

UNSKIPPED: dict[str, tuple[tuple[str, str], ...]] = {
    # "Don't support pipes for Windows". Still skipped are those that need a pseudo-terminal, a
    # socket with a descriptor, or pass_fds; and test_write_pipe, which blocks the loop in os.read
    # for a second write (second-write-to-a-plain-pipe of platforms.md).
    "test_events": (
        ("EventLoop", "test_read_pipe"),
        ("EventLoop", "test_unclosed_pipe_transport"),
    ),
    # "UDP sockets are not supported"
    "test_sendfile": (("Sendfile", "test_sendfile_not_supported"),),
}


def unskip(short: str, classes: dict[str, type[unittest.TestCase]]) -> None:
    """Puts the test itself in the place of its skip; nothing is done where none is skipped."""
    if not WINDOWS:
        return
    for name, test in UNSKIPPED.get(short, ()):
        function = getattr(classes[name], test)
        while getattr(function, "__unittest_skip__", False):
            function = function.__wrapped__
        setattr(classes[name], test, function)


# ---------------------------------------------------------------------------------------------
# Step 3: the clean-up of test_asyncio.utils


def fit_clean_up() -> None:
    """Lets the tests' clean-up close loops without BaseEventLoop's private attributes."""
    utils = importlib.import_module(f"{ASYNCIO_TESTS}.utils")
    original = utils.TestCase.close_loop

    def close_loop(loop: asyncio.AbstractEventLoop) -> None:
        if isinstance(loop, asyncio.BaseEventLoop):
            original(loop)
            return
        if not loop.is_closed():
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    utils.TestCase.close_loop = staticmethod(close_loop)


# ---------------------------------------------------------------------------------------------
# The modules


@dataclass(frozen=True)
class Extra:
    """A module outside test_asyncio whose tests run on a loop, by its names in new and old Pythons.

    `pattern` chooses `Class.test` names where the rest of the module has nothing to do with loops,
    and may be several with a space between.
    """

    names: tuple[str, ...]
    pattern: str = "*"


EXTRAS = (
    Extra(("test.test_unittest.test_async_case", "unittest.test.test_async_case")),
    Extra(("test.test_unittest.testmock.testasync", "unittest.test.testmock.testasync")),
    Extra(("test.test_contextlib_async",)),
    Extra(("test.test_asyncgen",)),
    Extra(("test.test_coroutines",)),
    Extra(("test.test_sys_settrace",), "JumpTestCase.*"),
    Extra(("test.test_builtin",), "BuiltinTest.test_compile_*await*"),
    Extra(("test.test_logging",), "*.test_taskName_*"),
    Extra(("test.test_type_params",), "*corout*"),
    Extra(
        ("test.test_inspect.test_inspect", "test.test_inspect"),
        "TestGetAsyncGenState.* *_inside_async_function",
    ),
    Extra(("test.test_os.test_os", "test.test_os"), "TestSendfile.*"),
    Extra(("test.test_pdb",), f"{DOCTESTS}.*"),
    # Python 3.14 and newer.
    Extra(("test.test_concurrent_futures.test_interpreter_pool",), "AsyncioTest.*"),
    Extra(("test.test_warnings",), "*AsyncTests.*"),
    Extra(("test.test_support",), "*.test_async"),
)


def modules() -> Iterator[tuple[str, str]]:
    """Every module to run, by its importable name, with the pattern of its `Class.test` names."""
    package = importlib.import_module(ASYNCIO_TESTS)
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("test_"):
            yield f"{ASYNCIO_TESTS}.{info.name}", "*"
    for extra in EXTRAS:
        for name in extra.names:
            try:
                there = importlib.util.find_spec(name) is not None
            except ModuleNotFoundError:
                there = False
            except Exception:
                # Finding a module imports its package; load() says what is wrong with that.
                there = True
            if there:
                yield name, extra.pattern
                break


def load(name: str) -> ModuleType:
    """Imports a module of tests; unittest.SkipTest says why this system does without.

    The modules outside test_asyncio look around for much that has nothing to do with loops, and
    some are not up to a strange system: Wine's symbolic links, for one.
    """
    try:
        return importlib.import_module(name)
    except unittest.SkipTest:
        raise
    except Exception as exc:
        if name.startswith(ASYNCIO_TESTS):
            raise
        raise unittest.SkipTest(f"its import fails: {type(exc).__name__}: {exc}") from exc


def test_names(key: str, cls: type[unittest.TestCase], pattern: str) -> list[str]:
    """The test methods of `cls`, known as `key`, that `pattern` chooses."""
    names = unittest.defaultTestLoader.getTestCaseNames(cls)
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(f"{key}.{name}", each) for each in pattern.split())
    ]
