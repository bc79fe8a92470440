# SPDX-License-Identifier: MIT
"""Runs one check in this process, which exists for it alone, and writes down what came of it.

The result goes into a file of the check's own folder, written whole or not at all: a loop under
test may print, close every descriptor, fork or die without spoiling it. Where the check is
(importing the loop, making it, checking, finishing) stands in another file, for the case that it
never comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import inspect
import json
import os
import pathlib
import sys
import threading
import time
import traceback
from typing import Any

from . import check as register
from . import loops, verdict
from .observation import Json, first_difference, same, words
from .trial import NotApplicable, Trial, Unsupported

RESULT = "result.json"
PHASE = "phase"
STACKS = "stacks"
SCRATCH = "scratch"
PR_SET_PDEATHSIG = 1
THREADS_S = 1.0  # how long threads may take to end after the loop was closed


def phase(folder: pathlib.Path, name: str) -> None:
    """Write down what the check is about to do."""
    (folder / PHASE).write_text(name, encoding="utf-8")


def write_result(folder: pathlib.Path, result: dict[str, Any]) -> None:
    """Leave the result where the keeper looks for it."""
    unfinished = folder / f"{RESULT}.new"
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    os.replace(unfinished, folder / RESULT)


def describe(loop_name: str) -> dict[str, Any]:
    """The loop's type and version, or why there is none: `misuse` if the name is wrong."""
    try:
        return {"loop": loops.describe(loop_name)}
    except register.Misuse as error:
        return {"misuse": str(error)}
    except BaseException as error:  # SystemExit, too: the factory's, not ours
        return {"error": f"{type(error).__name__}: {words(error)}"}


def run(request: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Run the check that the request names; everything that a report says about it but its name."""
    phase(folder, "starting")
    if request["check"] is None:
        phase(folder, "making the loop")
        return describe(request["loop"])
    check = register.find(request["check"])
    started = time.perf_counter()
    (folder / SCRATCH).mkdir()
    trial = Trial(request["loop"], folder / SCRATCH, request["scale"])
    result = judge(check, trial, folder)
    if trial.notes:
        result["notes"] = trial.notes
    result["duration"] = round(time.perf_counter() - started, 4)
    return result


def judge(check: register.Check, trial: Trial, folder: pathlib.Path) -> dict[str, Any]:
    """Run the check and compare what it observed with what it expects."""
    here = os.getpid()
    phase(folder, "importing the loop")
    try:
        loops.factory(trial.loop_name)
        phase(folder, "checking")
        with trial.watching():
            try:
                observed = trial.canon.value(call(check, trial))
                phase(folder, "closing the loop")
            finally:
                if os.getpid() != here:  # a copy made by fork: only the original reports
                    os._exit(0)
                trial.finish()
            observed = add_leftovers(observed, trial)
    except NotApplicable as error:
        return {"verdict": verdict.NOT_APPLICABLE, "reason": words(error)}
    except (NotImplementedError, Unsupported) as error:
        return unsupported(error)
    except AttributeError as error:
        return unsupported(error) if lacks_attribute(error, trial) else raised(error, trial)
    except BaseException as error:
        return raised(error, trial)
    expected = check.expected()
    if same(expected, observed):
        return {"verdict": verdict.OK, "observation": observed}
    return {
        "verdict": verdict.FAIL,
        "observation": observed,
        "expected": expected,
        "reason": first_difference(expected, observed),
    }


def call(check: register.Check, trial: Trial) -> object:
    """Call a check, on the loop if it is a coroutine function."""
    if inspect.iscoroutinefunction(check.function):
        return trial.run(check.function(trial))
    return check.function(trial)


def unsupported(error: BaseException) -> dict[str, Any]:
    """The loop has said that it cannot do this."""
    text = words(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"verdict": verdict.UNSUPPORTED, "reason": reason}


def lacks_attribute(error: AttributeError, trial: Trial) -> bool:
    """Whether it is the loop, or something that it made, that lacks the attribute."""
    owner = error.obj
    made = (
        asyncio.AbstractEventLoop,
        asyncio.BaseTransport,
        asyncio.AbstractServer,
        asyncio.Handle,
    )
    if isinstance(owner, made):
        return True
    packages = {type(loop).__module__.partition(".")[0] for loop in trial._loops}
    return type(owner).__module__.partition(".")[0] in packages - {"builtins"}


def raised(error: BaseException, trial: Trial) -> dict[str, Any]:
    """An exception that the check did not foresee: an observation like any other."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if "checks" in frame.filename]
    where = f" in line {mine[-1].lineno}" if mine else ""
    return {
        "verdict": verdict.FAIL,
        "observation": {"raised": trial.error(error)},
        "reason": f"raised {type(error).__name__}: {trial.canon.text(words(error))}{where}",
        "detail": "".join(traceback.format_exception(error))[-4000:],
    }


def add_leftovers(observed: Json, trial: Trial) -> Json:
    """What the loop did that nobody asked for joins the observation."""
    extra: dict[str, Json] = {}
    reports = trial.take_errors()
    if reports:
        extra["exception handler"] = reports
    left = leftovers(THREADS_S * max(1.0, trial.scale))
    if left:
        extra["left behind"] = left
    return {"observed": observed, **extra} if extra else observed


def leftovers(grace: float) -> list[Json]:
    """Threads that go on after the end, and standard streams that were closed."""
    left: list[Json] = []
    deadline = time.monotonic() + grace
    for thread in threading.enumerate():
        if thread is threading.current_thread():
            continue
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            left.append(f"thread {thread.name}")
    for fd in (1, 2):
        try:
            os.fstat(fd)
        except OSError:
            left.append(f"descriptor {fd} closed")
    return left


def control(option: int, value: int) -> None:
    """Linux's prctl(2); nothing elsewhere."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel end this process with its keeper (Linux), which a check may kill."""
    control(PR_SET_PDEATHSIG, 9)


def perform(request: dict[str, Any], folder: pathlib.Path) -> None:
    """Run a request in this process and end the process; nothing here comes back."""
    stacks = open(folder / STACKS, "w", encoding="utf-8")  # noqa: SIM115
    faulthandler.enable(stacks)
    faulthandler.dump_traceback_later(request["limit"], file=stacks)
    here = os.getpid()
    try:
        result = run(request, folder)
        if os.getpid() == here:  # the loop may have been copied by fork while it was closed
            write_result(folder, result)
    except BaseException:
        if os.getpid() == here:
            traceback.print_exc()  # for the report of a process that ended without a result
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


def main() -> None:
    """A process of its own for the next request, which standard input brings when it is time."""
    die_with_parent()
    line = sys.stdin.buffer.readline()
    if not line:
        return
    request = json.loads(line)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    perform(request, pathlib.Path(request["folder"]))
