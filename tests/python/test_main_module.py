# SPDX-License-Identifier: MIT
"""`python -m evenloop`: unchanged programs on the loop, run as python itself would run them."""

from __future__ import annotations

import os
import sys
import textwrap

import pytest
import support

pytestmark = pytest.mark.evenloop_only

UNAWARE = """
import asyncio

async def main():
    loop = asyncio.get_running_loop()
    print(type(loop).__module__.split(".")[0], type(loop).__name__)

asyncio.run(main())
"""


def evenloop(*args, **options):
    return support.run_python("-m", "evenloop", *args, **options)


def write(path, source):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return str(path)


def test_script_that_never_heard_of_it_runs_on_evenloop(tmp_path):
    process = evenloop(write(tmp_path / "app.py", UNAWARE))
    assert (process.stdout, process.stderr) == ("evenloop Loop\n", "")
    assert process.returncode == 0


def test_code_runs_on_evenloop():
    process = evenloop("-c", UNAWARE)
    assert (process.stdout, process.stderr) == ("evenloop Loop\n", "")


def test_module_runs_on_evenloop(tmp_path):
    write(tmp_path / "some_module.py", UNAWARE)
    process = evenloop("-m", "some_module", cwd=tmp_path)
    assert (process.stdout, process.stderr) == ("evenloop Loop\n", "")


@pytest.mark.parametrize(
    "way",
    [
        "asyncio.run(main())",
        "asyncio.Runner().__enter__().run(main())",
        "asyncio.new_event_loop().run_until_complete(main())",
        "loop = asyncio.new_event_loop(); asyncio.set_event_loop(loop); "
        "asyncio.get_event_loop().run_until_complete(main())",
        "from asyncio import new_event_loop as make; make().run_until_complete(main())",
        "asyncio.run(main(), debug=True)",
        "asyncio.SelectorEventLoop().run_until_complete(main())",
        "import sys; name = 'Proactor' if sys.platform == 'win32' else 'Selector'; "
        "getattr(asyncio, name + 'EventLoop')().run_until_complete(main())",
    ],
)
def test_every_usual_way_in_lands_on_evenloop(way):
    source = (
        "import asyncio, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "async def main():\n"
        "    print(type(asyncio.get_running_loop()).__module__.split('.')[0])\n"
        f"{way}\n"
    )
    process = evenloop("-c", source)
    assert process.stdout == "evenloop\n", process.stderr


def test_unittest_async_cases_land_on_evenloop(tmp_path):
    write(
        tmp_path / "test_it.py",
        """
        import asyncio, unittest

        class Case(unittest.IsolatedAsyncioTestCase):
            async def test_it(self):
                print(type(asyncio.get_running_loop()).__module__.split(".")[0])
        """,
    )
    process = evenloop("-m", "unittest", "-q", "test_it", cwd=tmp_path)
    assert process.stdout == "evenloop\n", process.stderr
    assert process.returncode == 0


def same_as_python(*args, cwd=None, stdin=""):
    """Runs `args` with python and with python -m evenloop; everything has to be equal."""
    plain = support.run_python(*args, cwd=cwd, stdin=stdin)
    ours = evenloop(*args, cwd=cwd, stdin=stdin)
    assert (ours.stdout, ours.stderr, ours.returncode) == (
        plain.stdout,
        plain.stderr,
        plain.returncode,
    )
    return plain


WORLD = """
import os, sys
print(sys.argv)
print(__name__)
print(repr(globals().get("__file__")))
print(__builtins__ is not None, globals().get("__package__"), globals().get("__doc__"))
print(sys.modules["__main__"].__dict__ is globals())
print(repr(sys.path[0]))
print(globals().get("__spec__") is None)
"""


def test_script_sees_the_world_that_python_gives(tmp_path):
    script = write(tmp_path / "app.py", WORLD)
    process = same_as_python(script, "one", "--two", "-c", "-m", "")
    assert process.stdout.splitlines()[0] == repr([script, "one", "--two", "-c", "-m", ""])
    assert process.stdout.splitlines()[1] == "__main__"


def test_relative_script_sees_the_world_that_python_gives(tmp_path):
    write(tmp_path / "folder" / "app.py", WORLD)
    same_as_python(os.path.join("folder", "app.py"), "x", cwd=tmp_path)


def test_code_sees_the_world_that_python_gives(tmp_path):
    process = same_as_python("-c", WORLD, "one", "-x", cwd=tmp_path)
    assert process.stdout.splitlines()[0] == "['-c', 'one', '-x']"


def test_module_sees_the_world_that_python_gives(tmp_path):
    write(tmp_path / "package" / "__init__.py", "")
    write(tmp_path / "package" / "tool.py", WORLD)
    process = same_as_python("-m", "package.tool", "one", "-x", cwd=tmp_path)
    assert process.stdout.splitlines()[1] == "__main__"


def test_package_with_main_runs(tmp_path):
    write(tmp_path / "package" / "__init__.py", "")
    write(tmp_path / "package" / "__main__.py", WORLD)
    same_as_python("-m", "package", "one", cwd=tmp_path)


def test_directory_with_main_runs(tmp_path):
    write(tmp_path / "folder" / "__main__.py", "print('main of a folder')")
    process = evenloop(str(tmp_path / "folder"))
    assert process.stdout == "main of a folder\n", process.stderr


def test_script_can_import_its_neighbours(tmp_path):
    write(tmp_path / "neighbour.py", "VALUE = 42")
    script = write(tmp_path / "app.py", "import neighbour; print(neighbour.VALUE)")
    assert evenloop(script).stdout == "42\n"


ENDINGS = [
    "raise SystemExit(7)",
    "1/0",
    "raise KeyboardInterrupt",
    "raise SystemExit",
    "raise SystemExit('a message')",
    "import sys; sys.exit(0)",
    "def f():\n    raise LookupError('deep')\ndef g():\n    f()\ng()",
    "try:\n    1/0\nexcept ZeroDivisionError:\n    raise KeyError('second')",
    "import asyncio\nasync def main():\n    raise SystemExit(9)\nasyncio.run(main())",
]


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_and_tracebacks_of_scripts_are_pythons_own(tmp_path, ending):
    write(tmp_path / "app.py", ending + "\n")
    same_as_python("app.py", cwd=tmp_path)


@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_endings_and_tracebacks_of_code_and_modules_are_pythons_own(tmp_path, ending):
    write(tmp_path / "app.py", ending + "\n")
    same_as_python("-c", ending, cwd=tmp_path)
    same_as_python("-m", "app", cwd=tmp_path)


def test_exception_from_asyncio_run_shows_the_programs_frames(tmp_path):
    script = write(
        tmp_path / "app.py",
        "import asyncio\n\nasync def main():\n    raise LookupError('inside')\n\n"
        "asyncio.run(main())\n",
    )
    process = evenloop(script)
    assert process.returncode == 1
    lines = process.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{script}", line 6, in <module>'
    assert lines[-1] == "LookupError: inside"
    assert "runpy" not in process.stderr


def test_syntax_errors_are_pythons_own(tmp_path):
    write(tmp_path / "app.py", "def broken(:\n    pass\n")
    same_as_python("app.py", cwd=tmp_path)
    same_as_python("-c", "x = = 1", cwd=tmp_path)


def test_standard_input_passes_through(tmp_path):
    script = write(tmp_path / "app.py", "import sys; print(sys.stdin.read().upper())")
    assert evenloop(script, stdin="some text").stdout == "SOME TEXT\n"


@pytest.mark.parametrize("args", [["no_such_file.py"], ["-m", "no_such_module"]])
def test_missing_program_ends_with_an_error_and_no_traceback(tmp_path, args):
    process = evenloop(*args, cwd=tmp_path)
    assert process.returncode != 0
    assert args[-1] in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("args", [["-c"], ["-m"], ["--no-such-option"]])
def test_wrong_usage_says_so(args):
    process = evenloop(*args)
    assert process.returncode == 2
    assert process.stderr.strip()
    assert "Traceback" not in process.stderr


def test_help_and_version():
    process = evenloop("--help")
    assert process.returncode == 0
    assert "-m" in process.stdout
    assert "-c" in process.stdout
    process = evenloop("--version")
    assert process.returncode == 0
    import evenloop as package

    assert package.__version__ in process.stdout


def test_options_after_the_program_belong_to_the_program(tmp_path):
    script = write(tmp_path / "app.py", "import sys; print(sys.argv[1:])")
    assert evenloop(script, "--help", "--version").stdout == "['--help', '--version']\n"


def test_utf8_script_with_a_declared_encoding(tmp_path):
    script = tmp_path / "app.py"
    script.write_bytes("# -*- coding: latin-1 -*-\nprint(ascii('é'))\n".encode("latin-1"))
    assert evenloop(str(script)).stdout == "'\\xe9'\n"


def test_compiled_script_runs(tmp_path):
    import py_compile

    source = write(tmp_path / "app.py", "print('compiled')")
    compiled = py_compile.compile(source, str(tmp_path / "app.pyc"))
    assert evenloop(compiled).stdout == "compiled\n"


def test_multiprocessing_spawn_works(tmp_path):
    script = write(
        tmp_path / "app.py",
        """
        import asyncio, multiprocessing

        async def answer():
            await asyncio.sleep(0)
            return 42

        def work(queue):
            queue.put(asyncio.run(answer()))

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=work, args=(queue,))
            process.start()
            print(queue.get(timeout=25))
            process.join()
        """,
    )
    process = evenloop(script)
    assert process.stdout == "42\n", process.stderr


def test_interactive_exit_code_of_a_broken_pipe_is_no_crash():
    process = evenloop("-c", "import os, sys; sys.stdout.flush(); os._exit(5)")
    assert process.returncode == 5


def test_python_options_still_apply():
    process = support.run_python(
        "-X",
        "dev",
        "-m",
        "evenloop",
        "-c",
        "import asyncio\n"
        "async def main():\n"
        "    print(asyncio.get_running_loop().get_debug())\n"
        "asyncio.run(main())",
    )
    assert process.stdout == "True\n", process.stderr


def test_sys_executable_and_flags_are_untouched():
    plain = support.run_python("-c", "import sys; print(sys.executable, sys.flags)")
    ours = evenloop("-c", "import sys; print(sys.executable, sys.flags)")
    assert ours.stdout == plain.stdout
    assert sys.executable
