# SPDX-License-Identifier: MIT
"""The command line: what it takes, what it refuses, and that the C core is not needed."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import evenloop.conformance
import pytest
from evenloop.conformance import check, cli, progress
from evenloop.conformance.check import Area
from evenloop.conformance.report import Fact
from test_verdicts import kit

OF_UNIX = "tests/platforms.md: command-line-of-unix"
ONE = ("--check", "core.call_soon_fifo")

WRONG = {
    "an unknown loop": (["run", "--loop", "fastloop"], "Unknown loop 'fastloop'"),
    "a loop without a name": (["run", "--loop", ""], "Unknown loop ''"),
    "nothing that can be run": (
        ["run", "--loop", "asyncio", "--area", "dns", "--tier", "text"],
        "None of these checks is of the tier text.",
    ),
    "a missing module": (
        ["run", "--loop", "no_such_module:factory"],
        "The module 'no_such_module' cannot be imported: ModuleNotFoundError",
    ),
    "a missing factory": (["run", "--loop", "asyncio:Nothing"], "has no 'Nothing'"),
    "half a factory": (["run", "--loop", "asyncio:"], "is not of the form MODULE:FACTORY"),
    "something not callable": (
        ["run", "--loop", "broken_loops:not_callable"],
        "cannot be called: it is of type str",
    ),
    "an unknown area": (["run", "--loop", "asyncio", "--area", "tpc"], "There is no area 'tpc'"),
    "an unknown check": (
        ["run", "--loop", "asyncio", "--check", "core.call_soon_fif"],
        "There is no check 'core.call_soon_fif'; did you mean core.call_soon_fifo",
    ),
    "nothing to explain": (["explain", "core.nothing"], "There is no check 'core.nothing'"),
    "an unwritable file": (
        ["run", "--loop", "asyncio", *ONE, "--output", "no/such/folder/report"],
        "cannot be written",
    ),
    "an unknown tier": (["list", "--tier", "hard"], "invalid choice: 'hard'"),
    "no jobs": (["run", "--jobs", "0"], "'0' is not a whole number above zero"),
    "a negative factor": (["run", "--slow", "-1"], "'-1' is not a number above zero"),
    "no command": ([], "COMMAND"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_usage_says_what_is_wrong(kind):
    arguments, sentence = WRONG[kind]
    done = kit(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_loop_of_another_system_is_refused_with_a_sentence():
    loop = "proactor" if sys.platform != "win32" else "no_loop_of_windows:factory"
    done = kit("run", "--loop", loop)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_kit_works_without_the_core(tmp_path):
    package = Path(evenloop.conformance.__file__).parents[1]
    shutil.copytree(
        package,
        tmp_path / "evenloop",
        ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"),
        copy_function=shutil.copyfile,  # copy2 needs CopyFile2, which Wine 8 lacks
    )

    def bare(*arguments):
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = {arguments!r}; "
        return subprocess.run(
            [
                sys.executable,
                "-S",
                "-c",
                code + "from evenloop.conformance.cli import script; script()",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=55,
        )

    done = bare("run", "--loop", "selector", *ONE)
    assert done.returncode == 0, done.stderr
    assert "ok          core.call_soon_fifo" in done.stdout
    missing = bare("run", "--loop", "evenloop", *ONE)
    assert missing.returncode == 2
    assert "cannot be imported" in missing.stderr
    assert missing.stderr.count("\n") == 1


@pytest.mark.parametrize("form", ["table", "json", "junit", "markdown", "html"])
def test_each_format_can_be_written_to_a_file(tmp_path, form):
    path = tmp_path / "report"
    done = kit("run", "--loop", "asyncio", *ONE, "--format", form, "--output", path)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "1 ok" in done.stderr
    assert "core.call_soon_fifo" in path.read_text("utf-8") or form == "markdown"


def test_an_unwritable_file_is_refused_before_the_run(tmp_path):
    done = kit("run", "--loop", "asyncio", "--output", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr


def test_a_run_that_ends_early_leaves_the_old_file(tmp_path):
    path = tmp_path / "report"
    for before in (None, "the last run's"):
        if before is not None:
            path.write_text(before)
        assert kit("run", "--loop", "no_such_module:factory", "--output", path).returncode == 2
        assert (path.read_text() if path.exists() else None) == before


@pytest.mark.skipif(os.name != "posix", reason=OF_UNIX)
def test_closed_standard_streams_are_no_obstacle(tmp_path):
    path = tmp_path / "report"
    command = f'"$0" -m evenloop.conformance run --loop asyncio {" ".join(ONE)} --output "$1"'
    subprocess.run(
        ["sh", "-c", command + " <&- >&- 2>&-", sys.executable, str(path)], timeout=55, check=True
    )
    assert "1 ok" in path.read_text("utf-8")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason=OF_UNIX)
def test_a_full_standard_output_is_said_in_a_sentence():
    command = f'"$0" -m evenloop.conformance run --loop asyncio {" ".join(ONE)} >/dev/full'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], timeout=55, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert done.stderr.endswith("Standard output cannot be written: No space left on device.\n")
    assert "Traceback" not in done.stderr


# A keeper that is told to end when it has made a check's folder, or is about to remove it.
TOLD_TO_END = """
import os, shutil, signal, sys, tempfile
from evenloop.conformance import keeper

tempfile.tempdir = os.getcwd()
module, name = (tempfile, "mkdtemp") if sys.argv[1] == "made" else (shutil, "rmtree")
original = getattr(module, name)

def told(*args, **options):
    setattr(module, name, original)
    made = original(*args, **options) if module is tempfile else None
    os.kill(os.getpid(), signal.SIGTERM)
    return made or original(*args, **options)

setattr(module, name, told)
keeper.main("fork")
"""


@pytest.mark.skipif(os.name != "posix", reason=OF_UNIX)
@pytest.mark.parametrize("moment", ["made", "about to be removed"])
def test_a_keeper_that_is_told_to_end_leaves_no_folder_whenever_that_is(tmp_path, moment):
    request = {"check": ONE[1], "loop": "asyncio", "limit": 20.0, "margin": 2.0, "scale": 1.0}
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END, moment],
        input=json.dumps(request) + "\n",
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=55,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason=OF_UNIX)
def test_ctrl_c_ends_the_run_and_leaves_nothing(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen(
        [sys.executable, "-m", "evenloop.conformance", "run", "--loop", "asyncio", "--jobs", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    )
    with run:
        assert "checks" in run.stderr.readline()  # a tenth is done
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=55)
    assert run.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "evenloop-conformance: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_output_has_no_colour_and_no_control_characters_unless_asked():
    plain = kit("run", "--loop", "asyncio", *ONE)
    assert "\x1b" not in plain.stdout + plain.stderr
    assert "\r" not in plain.stderr.replace("\r\n", "\n")
    assert "\x1b[32mok" in kit("run", "--loop", "asyncio", *ONE, "--color", "always").stdout


def test_jobs_do_not_change_the_order():
    done = kit("run", "--loop", "asyncio", "--area", "core", "--jobs", "4", "--format", "json")
    names = [fact["name"] for fact in json.loads(done.stdout)["facts"]]
    assert names == [found.name for found in check.load() if found.area == "core"]


def test_a_name_may_leave_its_area_away_or_hold_stars():
    names = [found.name for found in check.select(check.load(), [], ["call_soon_fifo"])]
    assert names == ["core.call_soon_fifo"]
    some = check.select(check.load(), [], ["core.call_soon_*"])
    assert "core.call_soon_fifo" in [found.name for found in some]


def test_rerun_replaces_only_what_was_not_ok(tmp_path):
    path = tmp_path / "report.json"
    arguments = ("run", "--format", "json", "--output", path, "--progress", "none")
    done = kit(*arguments, "--loop", "asyncio", *ONE, "--check", "core.repr")
    data = json.loads(path.read_text("utf-8"))
    entries = {fact["name"]: fact for fact in data["facts"]}
    entries["core.call_soon_fifo"].update(verdict="FAIL", observation="stale", expected="x")
    before = entries["core.repr"]["duration"] = 12345.0
    path.write_text(json.dumps(data), "utf-8")
    again = kit(*arguments, "--rerun-failures", path)
    assert again.returncode == done.returncode
    after = {fact["name"]: fact for fact in json.loads(path.read_text("utf-8"))["facts"]}
    assert list(after) == list(entries)
    assert after["core.call_soon_fifo"]["observation"] == list("abcde")
    assert after["core.repr"]["duration"] == before


def test_rerun_of_another_loops_report_is_refused(tmp_path):
    path = tmp_path / "report.json"
    kit("run", "--loop", "asyncio", *ONE, "--format", "json", "--output", path)
    done = kit("run", "--rerun-failures", path, "--loop", "selector")
    assert done.returncode == 2
    assert "is about asyncio on Python" in done.stderr


def test_list_names_every_check_once():
    done = kit("list", "--format", "json")
    names = [entry["name"] for entry in json.loads(done.stdout)]
    assert names == [found.name for found in check.load()]
    assert len(set(names)) == len(names)
    assert kit("list").stdout.count("\n") == len(names) + 1


def test_explain_says_what_why_and_who_says_so(capsys):
    assert cli.main(["explain", "call_soon_fifo"]) == 0
    text = capsys.readouterr().out
    assert "Callbacks run in the order in which call_soon took them." in text
    assert "tier      spec: documented" in text
    assert "source    docs, loop.call_soon" in text
    assert 'expected  ["a", "b", "c", "d", "e"]' in text


def test_every_check_can_be_explained(capsys):
    assert cli.main(["explain", *(found.name for found in check.load())]) == 0
    assert capsys.readouterr().out.count("\ntier      ") == len(check.load())


def area_with(function, **options):
    area = Area("core", "made up")
    area.check(expect=None, **options)(function)
    return area.checks[0]


def test_a_docstring_that_lacks_its_source_is_refused():
    def no_source(t):
        """A statement alone."""

    def no_tier(t):
        """A statement.

        hard: somewhere
        """

    for function in (no_source, no_tier):
        with pytest.raises(ValueError, match="the docstring must be"):
            area_with(function)


def statement(t):
    """A statement
    in two lines.

    Why it matters.

    text: CPython; gh-1
    """


def test_a_docstring_is_taken_apart():
    found = area_with(statement)
    assert found.name == "core.statement"
    assert found.statement == "A statement in two lines."
    assert found.why == "Why it matters."
    assert (found.tier, found.source) == ("text", "CPython; gh-1")


def test_versions_and_systems_make_a_check_not_applicable():
    assert area_with(statement, since=(3, 11)).why_not() is None
    assert area_with(statement, since=(3, 99)).why_not() == "needs Python 3.99"
    assert area_with(statement, until=(3, 1)).why_not() == "ended with Python 3.1"
    absent = "posix" if sys.platform == "win32" else "windows"
    assert area_with(statement, needs=(absent,)).why_not().startswith("only ")
    with pytest.raises(ValueError, match="unknown need 'luck'"):
        area_with(statement, needs=("luck",))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_shows_the_current_check_and_what_failed(monkeypatch):
    stream = Terminal()
    bar = progress.choose("bar", 2, stream)
    bar.started("core.a")
    assert stream.getvalue().endswith("[------------------------------] 0/2 core.a")
    bar.finished(Fact("core.a", "core", "spec", "FAIL", reason="because"))
    bar.close()
    assert "FAIL        core.a: because\n" in stream.getvalue()
    assert "[###############---------------] 1/2" in stream.getvalue()


def test_a_bar_keeps_to_a_narrow_terminal(monkeypatch):
    monkeypatch.setattr(progress, "columns", lambda stream: 20)
    stream = Terminal()
    progress.choose("bar", 2, stream).started("core.a")
    assert stream.getvalue() == "\r\x1b[K[------------------"


def test_the_display_fits_the_stream(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress.choose("auto", 1, Terminal()), progress.Bar)
    assert not isinstance(progress.choose("auto", 1, io.StringIO()), progress.Bar)
    monkeypatch.setenv("CI", "true")
    assert not isinstance(progress.choose("auto", 1, Terminal()), progress.Bar)
    assert progress.wants_colour(Terminal(), "auto")
    assert not progress.wants_colour(io.StringIO(), "auto")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not progress.wants_colour(Terminal(), "auto")
