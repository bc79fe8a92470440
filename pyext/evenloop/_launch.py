# SPDX-License-Identifier: MIT
"""Runs a script, a module or a string as python itself would, with evenloop as asyncio's loop.

The program sees what it would see without us: sys.argv, sys.path[0], a __main__ of its own,
tracebacks that begin with its first line, exit codes. What differs is the loop that asyncio gives.
"""

from __future__ import annotations

import asyncio
import importlib.machinery
import io
import linecache
import os
import pkgutil
import runpy
import sys
import textwrap
import types
from typing import Any, NoReturn, cast

import evenloop

from . import _core

USAGE = """\
usage: python -m evenloop [-m MODULE | -c CODE | SCRIPT | -] [ARGUMENT ...]
       python -m evenloop lock [OPTION ...] FILE [--] COMMAND [ARGUMENT ...]

Run a Python program with evenloop as its asyncio event loop. The program need not know:
asyncio.run(), asyncio.Runner, asyncio.new_event_loop() and asyncio.EventLoop all give
evenloop's loop. Everything after the program is the program's own.

  -m MODULE      run a module, as python -m does
  -c CODE        run a string
  SCRIPT         run a file, or a folder or zip file with a __main__.py
  -              run what standard input says
  -h, --help     show this text
  -V, --version  show the versions of evenloop, libuv and Python

lock runs a command while holding the lock of a file: `python -m evenloop lock --help'.
"""


_run_module_as_main = cast(Any, runpy)._run_module_as_main


class _StockLoopName:
    """What asyncio.SelectorEventLoop and ProactorEventLoop mean to a program that is run by us.

    Called without a selector or proactor the name gives our loop; with one, which only the stock
    loop can use, the stock loop. To isinstance(), issubclass() and class statements it is the stock
    class, except that our loop counts as a selector loop: it has what programs ask that for, and
    none of what they work around after finding a proactor.
    """

    def __init__(self, stock: Any, *, counts_ours: bool) -> None:
        self._stock = stock
        self._instances = (evenloop.Loop, stock) if counts_ours else (stock,)

    def __call__(self, source: Any = None) -> Any:
        return evenloop.Loop() if source is None else self._stock(source)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self._instances)

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, self._instances)

    def __mro_entries__(self, bases: Any) -> tuple[Any, ...]:
        return (self._stock,)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stock, name)


def adopt() -> None:
    """Make evenloop what asyncio gives out in this process, without a warning to the program."""
    # From 3.14 on the public name warns; this one is silent.
    set_policy = getattr(asyncio.events, "_set_event_loop_policy", None)
    if set_policy is not None and sys.version_info < (3, 16):
        set_policy(evenloop.EventLoopPolicy())
    else:
        evenloop.install()
    loops: Any = asyncio
    if hasattr(asyncio, "EventLoop"):
        loops.EventLoop = evenloop.Loop
    loops.SelectorEventLoop = _StockLoopName(asyncio.SelectorEventLoop, counts_ours=True)
    if hasattr(asyncio, "ProactorEventLoop"):
        loops.ProactorEventLoop = _StockLoopName(loops.ProactorEventLoop, counts_ours=False)


def fail(message: str) -> NoReturn:
    """End with a usage error."""
    sys.stderr.write(f"python -m evenloop: {message}\n{USAGE.splitlines()[0]}\n")
    sys.stderr.write("Try `python -m evenloop --help'.\n")
    raise SystemExit(2)


def new_main(loader: Any) -> dict[str, Any]:
    """Make the module __main__ of the program and return its namespace."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=sys.modules["builtins"], __loader__=loader, __spec__=None)
    sys.modules["__main__"] = module
    return module.__dict__


def set_path(first: str) -> None:
    """Replace what `python -m evenloop` put first, unless -P or -I keep that place empty."""
    if not sys.flags.safe_path:
        sys.path[0] = first


def run_code(source: str) -> None:
    """Run a string."""
    set_path("")
    namespace = new_main(importlib.machinery.BuiltinImporter)
    if sys.version_info >= (3, 14):  # python -c removes common indentation (gh-103998)
        source = textwrap.dedent(source)
    if sys.version_info >= (3, 13):  # and tracebacks show the lines of the string (gh-117174)
        lines = [line + "\n" for line in source.splitlines()]
        linecache.cache["<string>"] = (len(source), None, lines, "<string>")
    exec(compile(source, "<string>", "exec", dont_inherit=True), namespace)


def run_input() -> None:
    """Run standard input."""
    set_path("")
    namespace = new_main(importlib.machinery.BuiltinImporter)
    namespace["__file__"] = "<stdin>"
    exec(compile(sys.stdin.read(), "<stdin>", "exec", dont_inherit=True), namespace)


def read_script(path: str) -> tuple[Any, Any]:
    """Return the code of a source or compiled file, and its loader."""
    with io.open_code(path) as file:
        code = pkgutil.read_code(file)
    if code is not None:
        return code, importlib.machinery.SourcelessFileLoader("__main__", path)
    with io.open_code(path) as file:
        source = file.read()
    code = compile(source, path, "exec", dont_inherit=True)
    return code, importlib.machinery.SourceFileLoader("__main__", path)


def run_script(script: str) -> None:
    """Run a file, or a folder or zip file with a __main__ in it."""
    path = os.path.abspath(script)
    if pkgutil.get_importer(script) is not None and not is_plain_file(script):
        set_path(path)
        if sys.flags.safe_path:
            sys.path.insert(0, path)
        new_main(None)
        _run_module_as_main("__main__", alter_argv=False)
        return
    set_path(os.path.dirname(os.path.realpath(script)))
    namespace = new_main(None)
    try:
        code, loader = read_script(path)
    except OSError as exc:
        sys.stderr.write(
            f"{sys.executable}: can't open file {path!r}: [Errno {exc.errno}] {exc.strerror}\n"
        )
        raise SystemExit(2) from None
    namespace.update(__file__=path, __loader__=loader, __cached__=None)
    exec(code, namespace)


def is_plain_file(path: str) -> bool:
    """Whether a path is a file that no import hook takes for a container of modules."""
    if os.path.isdir(path):
        return False
    importer = pkgutil.get_importer(path)
    return importer is None or isinstance(importer, importlib.machinery.FileFinder)


def run_module(name: str) -> None:
    """Run a module as python -m does."""
    new_main(None)
    _run_module_as_main(name, alter_argv=True)


def hide_launcher(exception: BaseException) -> None:
    """Have the interpreter show the uncaught exception as if it had run the program itself."""
    frame = exception.__traceback__
    program = frame
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == __file__:
            program = frame.tb_next
        frame = frame.tb_next
    show = sys.excepthook

    def show_program(kind: Any, value: BaseException, traceback: Any) -> None:
        value.__traceback__ = program
        show(kind, value, program)

    sys.excepthook = show_program


def parse(arguments: list[str]) -> tuple[str, str, list[str]]:
    """Split the command line into what to run, its name or text, and the program's sys.argv."""
    if not arguments:
        fail("what shall be run?")
    first, rest = arguments[0], arguments[1:]
    if first in ("-h", "--help"):
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    if first in ("-V", "--version"):
        version = sys.version.split()[0]
        libuv = _core.libuv_version
        sys.stdout.write(f"evenloop {evenloop.__version__} (libuv {libuv}, Python {version})\n")
        raise SystemExit(0)
    for option in ("-m", "-c"):
        if first.startswith(option):
            if first == option and not rest:
                fail(f"argument expected for the {option} option")
            text = first[2:] or rest.pop(0)
            return option, text, [option, *rest]
    if first == "--" and rest:
        first, rest = rest[0], rest[1:]
    elif first.startswith("-") and first != "-":
        fail(f"unknown option {first}")
    return "script", first, [first, *rest]


def main() -> None:
    """Run the program that the command line names."""
    if sys.argv[1:2] == ["lock"]:  # a script of that name is ./lock
        from . import _lock_command

        _lock_command.main(sys.argv[2:])
    ours = sys.modules["__main__"]  # its functions are on the stack
    kind, what, argv = parse(sys.argv[1:])
    adopt()
    sys.argv[:] = argv
    try:
        if kind == "-m":
            run_module(what)
        elif kind == "-c":
            run_code(what)
        elif what == "-":
            run_input()
        else:
            run_script(what)
    except BaseException as exception:
        hide_launcher(exception)
        raise
    finally:
        del ours
