# SPDX-License-Identifier: MIT
"""A counter in a file that many tasks of several processes raise, one at a time.

python examples/shared_counter.py       on asyncio's own loop, and with -m evenloop on evenloop's
"""

import asyncio
import pathlib
import sys
import tempfile

import evenloop

PROCESSES = 3
TASKS = 20


async def raise_counter(counter: pathlib.Path) -> None:
    """Reads, thinks, and writes; without the lock most of it would be lost."""
    async with evenloop.FileLock(counter.with_suffix(".lock")):
        value = int(counter.read_text())
        await asyncio.sleep(0)
        counter.write_text(str(value + 1))


async def work(counter: pathlib.Path) -> None:
    """What each process does."""
    await asyncio.gather(*(raise_counter(counter) for _ in range(TASKS)))


async def main() -> None:
    """Starts the processes and looks at the counter."""
    with tempfile.TemporaryDirectory() as folder:
        counter = pathlib.Path(folder) / "counter"
        counter.write_text("0")
        children = [
            await asyncio.create_subprocess_exec(sys.executable, __file__, counter)
            for _ in range(PROCESSES)
        ]
        codes = [await child.wait() for child in children]
        print(f"{PROCESSES} processes ended with {codes}")
        print(f"{PROCESSES} times {TASKS} tasks have counted to {counter.read_text()}")


if __name__ == "__main__":
    asyncio.run(work(pathlib.Path(sys.argv[1])) if len(sys.argv) > 1 else main())
