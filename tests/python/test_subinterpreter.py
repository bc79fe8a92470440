# SPDX-License-Identifier: MIT
"""The package in sub-interpreters: imported, used and gone again, where the Python has them."""

from __future__ import annotations

import pytest
import support

SOURCE = """
import sys
sys.path[:] = {path!r}
import asyncio
{prelude}

async def main():
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.001, done.set_result, "fired")
    return await done

loop = new_loop()
assert loop.run_until_complete(main()) == "fired"
loop.close()
"""

PROGRAM = """
import sys
if sys.version_info >= (3, 14):
    from concurrent import interpreters
    def run(source):
        interpreter = interpreters.create()
        interpreter.exec(source)
        interpreter.close()
elif sys.version_info >= (3, 13):
    import _interpreters
    def run(source):
        interpreter = _interpreters.create("legacy")
        failure = _interpreters.exec(interpreter, source)
        if failure is not None:
            raise SystemExit(failure.formatted)
        _interpreters.destroy(interpreter)
else:
    import _xxsubinterpreters
    def run(source):
        interpreter = _xxsubinterpreters.create(isolated=False)
        _xxsubinterpreters.run_string(interpreter, source)
        _xxsubinterpreters.destroy(interpreter)

for number in range(3):
    run({source!r})
    print("interpreter", number)
{prelude}
import asyncio
loop = new_loop()
print(loop.run_until_complete(asyncio.sleep(0.001, "main interpreter")))
loop.close()
"""


def test_loops_run_in_subinterpreters_and_in_the_main_one(tmp_path):
    import sys

    prelude = support.loop_prelude()
    source = SOURCE.format(path=[entry for entry in sys.path if entry], prelude=prelude)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(source=source, prelude=prelude), encoding="utf-8")
    process = support.run_python(str(script))
    assert process.stdout == ("interpreter 0\ninterpreter 1\ninterpreter 2\nmain interpreter\n"), (
        process.stderr
    )
    assert process.returncode == 0


MANY = """
import gc, os, sys, threading
if sys.version_info >= (3, 13):
    import _interpreters
    def run(source, own_gil):
        config = "isolated" if own_gil else "legacy"
        interpreter = _interpreters.create(config, reqrefs=False)
        failure = _interpreters.exec(interpreter, source)
        if failure is not None:
            raise SystemExit(failure.formatted)
        _interpreters.destroy(interpreter)
else:
    import _xxsubinterpreters
    def run(source, own_gil):
        interpreter = _xxsubinterpreters.create(isolated=own_gil)
        _xxsubinterpreters.run_string(interpreter, source)
        _xxsubinterpreters.destroy(interpreter)

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def rounds(count):
    for number in range(count):
        run({source!r}, {own_gil})

rounds({warm})
before = resident(), descriptors()
rounds({count})
after = resident(), descriptors()
assert after[1] == before[1], (before, after)
print((after[0] - before[0]) // {count}, flush=True)
"""


@pytest.mark.absent("memory-of-interpreters", "windows")
@pytest.mark.evenloop_only  # what the loop leaves behind is compared with what asyncio does
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "own_gil",
    [
        pytest.param(False, id="shared_gil"),
        # 3.12.1 crashes at its end after a hundred of them that have run asyncio, without evenloop.
        pytest.param(True, id="own_gil", marks=pytest.mark.since(3, 13)),
    ],
)
def test_a_hundred_subinterpreters_with_a_loop_each_leave_nothing_behind(tmp_path, own_gil):
    import sys

    path = [entry for entry in sys.path if entry]
    stock = "import evenloop\nnew_loop = asyncio.SelectorEventLoop\n"
    growth = []
    for prelude in (stock, support.loop_prelude()):
        source = SOURCE.format(path=path, prelude=prelude)
        script = tmp_path / "program.py"
        program = MANY.format(source=source, own_gil=own_gil, warm=20, count=80)
        script.write_text(program, encoding="utf-8")
        process = support.run_python(str(script), timeout=140)
        assert process.returncode == 0, process.stdout + process.stderr
        growth.append(int(process.stdout))
    # CPython 3.12 and later lose a megabyte or more with each interpreter that imported asyncio,
    # 3.11 next to nothing. A loop that stayed behind would show in the descriptors, which are
    # counted, a module in its types (some 100 KiB); pages that fill by chance are 1 to 4 KiB.
    assert growth[1] < growth[0] * 1.06 + 16384, f"bytes an interpreter, stock and ours: {growth}"


@pytest.mark.evenloop_only
def test_module_can_be_imported_again(tmp_path):
    source = (
        "import sys, asyncio\n"
        "for _ in range(3):\n"
        "    import evenloop\n"
        "    loop = evenloop.new_event_loop()\n"
        "    loop.run_until_complete(asyncio.sleep(0))\n"
        "    loop.close()\n"
        "    for name in [name for name in sys.modules if name.split('.')[0] == 'evenloop']:\n"
        "        del sys.modules[name]\n"
        "print('fine')\n"
    )
    process = support.run_child(tmp_path, source)
    assert process.stdout == "fine\n", process.stderr
