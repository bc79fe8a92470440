# SPDX-License-Identifier: MIT
"""`python -m evenloop lock`: the options and exit codes of flock(1), the same on every system."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys

import pytest
import support
from evenloop import BlockingFileLock
from file_locks import another_process, is_free

pytestmark = pytest.mark.evenloop_only  # it has nothing to do with a loop

TELL = "import sys; print('ran', *sys.argv[1:])"


def lock(*args, **options):
    return support.run_python("-m", "evenloop", "lock", *map(str, args), **options)


def python(code, *args):
    return [sys.executable, "-c", code, *args]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.mark.parametrize("before", [[], ["--"]])
def test_the_command_runs_and_its_exit_code_is_ours(path, before):
    done = lock(path, *before, *python(TELL, "-n", "--", "x y"))
    assert (done.stdout, done.stderr, done.returncode) == ("ran -n -- x y\n", "", 0)
    assert path.read_bytes() == b""
    assert lock(path, *before, *python("raise SystemExit(77)")).returncode == 77


def test_a_string_is_run_by_the_shell(path):
    done = lock(path, "-c", "echo one&& exit 5")
    assert (done.stdout.strip(), done.returncode) == ("one", 5)


def test_standard_streams_are_the_commands(path):
    done = lock(path, *python("import sys; print(sys.stdin.read().upper())"), stdin="text")
    assert done.stdout == "TEXT\n"


def test_the_lock_is_held_while_the_command_runs_and_free_afterwards(path):
    code = (
        "import sys, evenloop\n"
        "try: evenloop.BlockingFileLock(sys.argv[1], timeout=0).acquire()\n"
        "except BlockingIOError: print('held')\n"
    )
    assert lock(path, *python(code, str(path))).stdout == "held\n"
    held = BlockingFileLock(path, timeout=0)
    held.acquire()
    held.release()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-n"], 1),
        (["--nonblock"], 1),
        (["--nonblocking"], 1),
        (["--nb"], 1),
        (["-n", "-E", "42"], 42),
        (["-n", "-E0"], 0),
        (["-w", "0"], 1),
        (["-w", "0.05", "--conflict-exit-code", "255"], 255),
        (["--timeout=0.05"], 1),
        (["-s", "-n"], 1),
        (["-nxE3"], 3),
    ],
)
def test_a_conflict_ends_with_the_exit_code_for_it(path, options, code):
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        done = lock(*options, path, *python(TELL))
    assert (done.stdout, done.stderr, done.returncode) == ("", "", code)


def test_shared_locks_are_held_together(path):
    with another_process(path, shared=True) as other:
        assert other("acquire") == "shared"
        assert lock("-s", "-n", path, *python(TELL)).stdout == "ran\n"
        assert lock("-x", "-n", path, *python(TELL)).returncode == 1
        assert lock("-s", "-x", "-n", path, *python(TELL)).returncode == 1
        assert lock("-u", path, *python(TELL)).stdout == "ran\n"


def test_it_waits_for_the_lock(path):
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        waiter = subprocess.Popen(
            [sys.executable, "-m", "evenloop", "lock", "--verbose", path, *python(TELL)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=support.child_environment(),
        )
        assert other("release") == "released"
        out, err = waiter.communicate(timeout=support.LIMIT)
    assert (err, waiter.returncode) == ("", 0)
    took, executing, ran = out.splitlines()
    assert re.fullmatch(r"evenloop lock: getting lock took \d+\.\d{6} seconds", took)
    assert executing == f"evenloop lock: executing {sys.executable}"
    assert ran == "ran"


# The command, and a process that it leaves behind when its standard input ends.
LEAVE = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
print("on", flush=True)
"""
STAY = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"


def start(*args):
    return subprocess.Popen(
        [sys.executable, "-m", "evenloop", "lock", *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=support.child_environment(),
    )


@pytest.mark.absent("locks-stay-with-their-process-on-windows", "windows")
def test_the_command_keeps_the_lock_of_a_tool_that_is_killed(path):
    with start(path, *python(STAY)) as tool:
        tool.stdout.readline()
        tool.kill()
        tool.wait(support.LIMIT)
        assert not is_free(path)
        tool.stdin.close()
        with BlockingFileLock(path, timeout=support.LIMIT):
            pass


@pytest.mark.absent("locks-stay-with-their-process-on-windows", "windows")
@pytest.mark.parametrize(("options", "kept"), [([], True), (["-o"], False), (["--close"], False)])
def test_what_the_command_leaves_behind_keeps_the_lock_unless_it_is_closed(path, options, kept):
    with start(*options, path, *python(LEAVE)) as tool:
        assert tool.stdout.readline() == "on\n"
        assert tool.wait(support.LIMIT) == 0
        assert is_free(path) is not kept
        tool.stdin.close()
        with BlockingFileLock(path, timeout=support.LIMIT):
            pass


@pytest.mark.absent("locks-stay-with-their-process-on-windows", "windows")
def test_no_fork_becomes_the_command(path):
    with start("-F", path, *python(STAY)) as tool:
        assert int(tool.stdout.readline()) == tool.pid
        assert not is_free(path)
        tool.stdin.close()
        assert tool.wait(support.LIMIT) == 0
    assert is_free(path)


def test_verbose_tells_why_there_was_no_lock(path):
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        done = lock("--verbose", "-n", path, *python(TELL))
        assert done.stderr == "evenloop lock: failed to get lock\n"
        done = lock("--verbose", "-w", "0.01", path, *python(TELL))
        assert done.stderr == "evenloop lock: timeout while waiting to get lock\n"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 64, "not enough arguments"),
        (["FILE"], 64, "bad file descriptor: 'FILE'"),
        (["FILE", "--"], 64, "a command is needed"),
        (["99999999999"], 64, "bad file descriptor: '99999999999': Numerical result out of range"),
        (["-u", "missing/FILE", "x"], 66, "cannot open lock file missing/FILE: No such file"),
        (["-E", "300", "FILE", "x"], 64, "exit code out of range (expected 0 to 255)"),
        (["-E", "x", "FILE", "x"], 64, "invalid exit code: 'x'"),
        (["-w", "x", "FILE", "x"], 64, "invalid timeout value: 'x'"),
        (["-w", "1_0", "FILE", "x"], 64, "invalid timeout value: '1_0'"),
        (["-w", "nan", "FILE", "x"], 71, "cannot set up timer"),
        (["-w", "-1", "FILE", "x"], 71, "cannot set up timer"),
        (["--bogus", "FILE", "x"], 64, "unrecognized option '--bogus'"),
        (["-c", "FILE"], 64, "invalid option -- 'c'"),
        (["FILE", "-c"], 64, "-c requires exactly one command argument"),
        (["-F", "-o", "FILE", "x"], 64, "the --no-fork and --close options are incompatible"),
        (["FILE", "-c", "a", "b"], 64, "-c requires exactly one command argument"),
        (["--compat", "lockf", "FILE", "x"], 64, "invalid kind of lock: 'lockf'"),
        (["missing/FILE", "x"], 66, "cannot open lock file missing/FILE: No such file"),
        (["FILE", "no such command"], 69, "failed to execute no such command: "),
    ],
)
def test_wrong_usage_has_flocks_exit_codes(tmp_path, arguments, code, text):
    done = lock(*arguments, cwd=tmp_path)
    assert done.returncode == code, done
    assert done.stdout == ""
    assert done.stderr.startswith("evenloop lock: ")
    assert text in done.stderr


def flock():
    program = shutil.which("flock")
    assert program is not None, "util-linux's flock is part of every Debian"
    return program


def as_flock_says_it(text):
    text = text.replace("python -m evenloop lock", "flock").replace("evenloop lock", "flock")
    return re.sub(r"took \d\.\d{6} sec", "took N sec", text)


@pytest.mark.absent("no-flock-program-here", "windows")
def test_exit_codes_and_messages_are_those_of_flock(tmp_path):
    """The same command lines, given to both; the shell's own numbers go with them.

    The words of messages have changed since ("invalid timeout"): they are those of util-linux 2.38.
    """
    version = subprocess.run([flock(), "--version"], capture_output=True, text=True).stdout
    for arguments in (
        ["FILE", "true"],
        ["FILE", "false"],
        ["FILE", "-c", "exit 9"],
        ["FILE", "sh", "-c", "kill -9 $$"],
        ["-n", "FILE", "true"],
        ["-w", "0.1", "FILE", "true"],
        ["-w", "-1", "FILE", "true"],
        ["-u", "FILE", "true"],
        ["-E", "300", "FILE", "true"],
        ["-w", "x", "FILE", "true"],
        ["missing/FILE", "true"],
        ["FILE", "/no/such/command"],
        ["FILE", "-c", "a", "b"],
        ["-c", "FILE"],
        ["-F", "FILE", "sh", "-c", "exit 5"],
        ["-F", "FILE", "-c", "exit 6"],
        ["-F", "FILE", "/no/such/command"],
        ["-o", "FILE", "true"],
        ["-o", "-F", "FILE", "true"],
        [],
        ["FILE"],
        ["99"],
        ["-u", "99"],
        ["--", "-1"],
        ["99999999999"],
        ["-u", "missing/FILE", "true"],
        ["-E", "99999999999", "FILE", "true"],
        ["-E", " 5", "FILE", "true"],
        ["-E", "5_0", "FILE", "true"],
        ["-w", "0x1", "FILE", "true"],
        ["-w", "0x1p-4", "FILE", "true"],
        ["-w", "1 ", "FILE", "true"],
        ["-w", "", "FILE", "true"],
        ["-w", "inf", "FILE", "true"],
        ["-w", "1e400", "FILE", "true"],
        ["--wa", "1", "FILE", "true"],
        ["-w"],
        ["--timeout"],
        ["--close=1", "FILE", "true"],
        ["--v", "FILE", "true"],
        ["--bogus", "FILE", "true"],
        ["--b", "FILE", "true"],
        ["-nq", "FILE", "true"],
        ["-c", "FILE"],
        ["", "true"],
        ["FILE", ""],
        ["FOLDER", "true"],
        ["FOLDER", "-c", "exit 3"],
        ["--verbose", "FILE", "true"],
        ["--verbose", "-s", "FOLDER", "true"],
    ):
        (tmp_path / "FOLDER").mkdir(exist_ok=True)
        theirs = subprocess.run(
            ["flock", *arguments],
            executable=flock(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        ours = lock(*arguments, cwd=tmp_path)
        assert ours.returncode == theirs.returncode, arguments
        assert as_flock_says_it(ours.stdout) == as_flock_says_it(theirs.stdout)
        assert bool(ours.stderr) == bool(theirs.stderr), arguments
        if "util-linux 2.38" in version:
            assert as_flock_says_it(ours.stderr) == theirs.stderr


@pytest.mark.absent("no-flock-program-here", "windows")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["-n"], 1),
        (["-n", "-w", "60"], 1),
        (["-w", "60", "-n"], 1),
        (["-s", "-n"], 0),
        (["-x", "-s", "-n"], 0),
        (["-s", "-x", "-n"], 1),
        (["-u", "-n"], 0),
        (["-u", "-x", "-n"], 1),
        (["-x", "-u", "-n"], 0),
    ],
)
def test_of_contradicting_options_the_same_wins_as_for_flock(path, options, code):
    """Beside a reader."""
    with another_process(path, shared=True) as other:
        assert other("acquire") == "shared"
        assert lock(*options, path, *python(TELL)).returncode == code
        reader = [flock(), "-s", path, "sh", "-c"]
        theirs = [flock(), *options, str(path), "true"]
        done = subprocess.run([*reader, shlex.join(theirs)])
        assert done.returncode == code


@pytest.mark.absent("posix-signals-to-children", "windows")
@pytest.mark.parametrize("options", [[], ["-F"]])
def test_what_python_does_to_signals_is_not_the_commands(path, options):
    """Python ignores SIGPIPE; and where SIGCHLD is ignored, a child's exit code would be lost."""
    killed = lock(*options, path, "sh", "-c", "kill -PIPE $$; exit 3")
    assert killed.returncode == (-signal.SIGPIPE if options else 128 + signal.SIGPIPE)
    line = shlex.join([sys.executable, "-m", "evenloop", "lock", *options, str(path)])
    done = subprocess.run(
        ["sh", "-c", f"trap '' CHLD; {line} sh -c 'exit 5'"], env=support.child_environment()
    )
    assert done.returncode == 5


@pytest.mark.absent("no-flock-program-here", "windows")
def test_a_file_is_made_with_the_permissions_that_flock_gives_it(tmp_path):
    made = {}
    for program in ([flock()], [sys.executable, "-m", "evenloop", "lock"]):
        path = tmp_path / f"made{len(made)}"
        line = shlex.join([*program, str(path), "true"])
        subprocess.run(["sh", "-c", f"umask 027; {line}"], env=support.child_environment())
        made[program[0]] = stat.S_IMODE(path.stat().st_mode)
    assert set(made.values()) == {0o640}


def test_help_and_version():
    assert "usage: python -m evenloop lock" in lock("--help").stdout
    assert lock("-V").stdout.startswith("evenloop lock from evenloop ")
    assert lock("--version").stdout == lock("-V").stdout
    assert "lock --help" in support.run_python("-m", "evenloop", "--help").stdout


@pytest.mark.absent("posix-signals-to-children", "windows")
def test_ctrl_c_ends_a_wait_without_a_traceback(path):
    with another_process(path, shared=True) as other:
        assert other("acquire") == "shared"
        waiter = subprocess.Popen(
            [sys.executable, "-u", "-m", "evenloop", "lock", "-w", "60", path, *python(TELL)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=support.child_environment(),
        )
        reader = BlockingFileLock(path, shared=True)
        with contextlib.suppress(BlockingIOError):
            while True:  # until a writer that waits lets no more readers in
                reader.acquire(timeout=0)
                reader.release()
        waiter.send_signal(signal.SIGINT)
        assert waiter.communicate(timeout=support.LIMIT) == (b"", b"")
        assert waiter.returncode == -signal.SIGINT
