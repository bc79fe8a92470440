# SPDX-License-Identifier: MIT
"""Two child processes play guess-the-number with each other; the parent carries their lines.

python -m evenloop examples/subprocess_chat.py        (the same on Linux, macOS and Windows)
"""

import asyncio
import sys

KEEPER = """
number = 73
for line in iter(input, ""):
    guess = int(line)
    print("higher" if guess < number else "lower" if guess > number else "right", flush=True)
"""

GUESSER = """
low, high = 1, 100
while True:
    guess = (low + high) // 2
    print(guess, flush=True)
    answer = input()
    if answer == "right":
        break
    if answer == "higher":
        low = guess + 1
    else:
        high = guess - 1
"""


async def start(code: str) -> asyncio.subprocess.Process:
    """A child Python whose input and output are ours."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=pipe, stdout=pipe)


async def ask(child: asyncio.subprocess.Process, line: str) -> str:
    """Sends one line and gives the line that comes back."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line.encode() + b"\n")
    await child.stdin.drain()
    return (await child.stdout.readline()).decode().strip()


async def main() -> None:
    """Lets them play."""
    keeper, guesser = await asyncio.gather(start(KEEPER), start(GUESSER))
    assert guesser.stdout is not None
    guess = (await guesser.stdout.readline()).decode().strip()
    while guess:
        answer = await ask(keeper, guess)
        print(f"{guess}? {answer}")
        guess = await ask(guesser, answer)  # nothing once it knows that it was right
    await ask(keeper, "")
    print("both ended:", await asyncio.gather(keeper.wait(), guesser.wait()))


if __name__ == "__main__":
    asyncio.run(main())
