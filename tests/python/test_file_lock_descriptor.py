# SPDX-License-Identifier: MIT
"""`python -m evenloop lock 9`: a shell's descriptors, and directories, as flock(1) has them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest
import support
from evenloop import BlockingFileLock
from file_locks import another_process, is_free

pytestmark = pytest.mark.evenloop_only  # it has nothing to do with a loop

unix_only = pytest.mark.absent("locks-stay-with-their-process-on-windows", "windows")
OURS = [sys.executable, "-m", "evenloop", "lock"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def opened(path):
    """A descriptor as a shell's, which a program that it starts inherits."""
    with open_as_a_shell(path) as descriptor:
        yield descriptor


@contextlib.contextmanager
def open_as_a_shell(path, flags=os.O_RDWR | os.O_CREAT):
    descriptor = os.open(path, flags, 0o666)
    os.set_inheritable(descriptor, True)
    try:
        yield descriptor
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def run(*arguments, program=OURS):
    """Which inherits every descriptor that may be."""
    done = subprocess.run(
        [*program, *map(str, arguments)],
        close_fds=False,
        capture_output=True,
        text=True,
        env=support.child_environment(),
    )
    assert "Traceback" not in done.stderr
    return done


def code(*arguments, program=OURS):
    return run(*arguments, program=program).returncode


@unix_only
@pytest.mark.parametrize("options", [[], ["-n"], ["-w", "0.01"], ["--fair"], ["--compat", "fcntl"]])
def test_the_lock_stays_with_the_descriptor_until_that_is_closed(path, opened, options):
    kind = {"compat": "fcntl"} if "fcntl" in options else {}
    done = run(*options, opened)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert not is_free(path, **kind)
    assert not is_free(path, shared=True, **kind)
    os.close(opened)
    assert is_free(path, **kind)


@unix_only
def test_unlock_takes_it_away(path, opened):
    assert code(opened) == 0
    assert not is_free(path)
    assert code("-u", opened) == 0
    assert is_free(path)
    assert code("-u", opened) == 0


@unix_only
def test_a_copy_of_the_descriptor_keeps_the_lock(path, opened):
    assert code(opened) == 0
    copy = os.dup(opened)
    os.close(opened)
    assert not is_free(path)
    os.close(copy)
    assert is_free(path)


@unix_only
def test_a_shared_lock_becomes_exclusive_and_the_other_way_round(path, opened):
    for option, others in (("-s", True), ("-x", False), ("-x", False), ("-s", True), ("-s", True)):
        assert code("-n", option, opened) == 0
        assert not is_free(path)
        assert is_free(path, shared=True) is others


@unix_only
@pytest.mark.parametrize("options", [["-n"], ["-w", "0.05"], ["-n", "-E", "7"]])
def test_a_conflict_ends_with_the_exit_code_for_it(path, opened, options):
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        assert code(*options, opened) == (7 if "-E" in options else 1)
        assert other("release") == "released"
    assert is_free(path)


@unix_only
def test_a_try_that_fails_leaves_the_lock_that_there_was(path, opened):
    with another_process(path, shared=True) as other:
        assert other("acquire") == "shared"
        assert code("-s", opened) == 0
        assert code("-x", "-n", opened) == 1
        assert other("release") == "released"
        assert not is_free(path)


@unix_only
def test_it_waits_and_is_waited_for(path, opened):
    with another_process(path) as other:
        assert other("acquire") == "exclusive"
        with subprocess.Popen(
            [*OURS, str(opened)], close_fds=False, env=support.child_environment()
        ) as tool:
            assert other("release") == "released"
            assert tool.wait(support.LIMIT) == 0
        other.begin("acquire")
        assert code("-u", opened) == 0
        assert other.answer() == "exclusive"
    assert is_free(path)


@unix_only
def test_a_waiter_that_is_killed_leaves_nothing_with_the_descriptor(path, opened):
    with another_process(path, shared=True) as other:
        assert other("acquire") == "shared"
        with subprocess.Popen(
            [*OURS, str(opened)], close_fds=False, env=support.child_environment()
        ) as tool:
            while is_free(path, shared=True):  # until it lets no more readers in
                pass
            tool.send_signal(signal.SIGKILL)
        assert is_free(path, shared=True)


@unix_only
def test_a_descriptor_must_be_open_for_what_is_wanted(path):
    for flags, option, wrong in (
        (os.O_WRONLY | os.O_CREAT, "-s", "reading"),
        (os.O_RDONLY, "-x", "writing"),
    ):
        with open_as_a_shell(path, flags) as descriptor:
            done = run("-n", option, descriptor)
            text = f"evenloop lock: {descriptor}: Bad file descriptor (not open for {wrong})\n"
            assert (done.stderr, done.returncode) == (text, 65)
            assert code("-n", "-x" if option == "-s" else "-s", descriptor) == 0
            assert not is_free(path)
            assert code("-u", descriptor) == 0
            assert is_free(path)


@unix_only
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_with_compat_flock_it_is_flocks_lock(path, flags):
    program = shutil.which("flock")
    assert program is not None, "util-linux's flock is part of every Debian"
    path.touch()
    theirs, ours = [program], [*OURS, "--compat", "flock"]
    with open_as_a_shell(path, flags) as one, open_as_a_shell(path, flags) as other:
        for first, second in ((ours, theirs), (theirs, ours), (ours, ours)):
            assert code("-n", one, program=first) == 0
            assert code("-n", other, program=second) == 1
            assert code("-n", "-s", one, program=first) == 0
            assert code("-n", "-s", other, program=second) == 0
            assert code("-u", one, program=second) == 0
            assert code("-n", other, program=second) == 0
            assert code("-u", other, program=first) == 0
        assert is_free(path)


@unix_only
def test_only_what_the_shell_has_opened_is_its_descriptor(path):
    """Python has some of its own, from 3 on."""
    done = run("--compat", "flock", "-n", 3)
    assert (done.stderr, done.returncode) == ("evenloop lock: 3: Bad file descriptor\n", 65)


@unix_only
def test_a_folder_is_locked_as_flock_locks_it(tmp_path):
    program = shutil.which("flock")
    assert program is not None
    for outer, inner in (([program], OURS), (OURS, [program]), (OURS, OURS)):
        assert code(tmp_path, *inner, "-n", tmp_path, "true", program=outer) == 1
        assert code("-s", tmp_path, *inner, "-n", "-s", tmp_path, "true", program=outer) == 0
        assert code(tmp_path, *inner, "-n", tmp_path / "lock", "true", program=outer) == 0
        assert code(tmp_path, "sh", "-c", "exit 9", program=outer) == 9


@unix_only
def test_the_command_inherits_a_folders_lock(tmp_path):
    stay = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [*OURS, "-F", str(tmp_path), sys.executable, "-c", stay],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=support.child_environment(),
    ) as tool:
        assert int(tool.stdout.readline()) == tool.pid
        assert code("-n", tmp_path, "true") == 1
        tool.stdin.close()
    assert code("-n", tmp_path, "true") == 0


@unix_only
@pytest.mark.parametrize("option", ["-s", "-x"])
def test_with_compat_flock_a_file_need_be_neither_writable_nor_a_file(option):
    assert code("--compat", "flock", option, os.devnull, "true") == 0
    assert code("--compat", "flock", option, "/proc/self/mounts", "true") == 0


@pytest.mark.absent("locks-belong-to-descriptors-on-unix", "posix")
def test_descriptors_and_folders_are_refused_where_a_lock_ends_with_its_process(tmp_path):
    for what, arguments in (("1", ["1"]), (str(tmp_path), [tmp_path, sys.executable, "-V"])):
        done = run("-n", *arguments)
        text = f"evenloop lock: {what}: only a FILE for a COMMAND can be locked on this system\n"
        assert (done.stdout, done.stderr, done.returncode) == ("", text, 65)
    assert "Descriptors and directories are for Unix" in run("--help").stdout
    with BlockingFileLock(tmp_path / "lock"):
        pass
