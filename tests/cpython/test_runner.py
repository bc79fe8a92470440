# SPDX-License-Identifier: MIT
"""The runner of CPython's tests notices what it is there to notice.

What is verified: a loop that gives wrong results, raises, hangs, crashes, skips, or dies at the
interpreter's exit is blamed, with every other test of the class still run; exclusions excuse only
what they name and go stale; the reports can be read. Hard about it: the loops must be broken for
real, in child processes, so each test runs run.py as a user does, on a few of CPython's quick
tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import reports  # noqa: E402
import supervisor  # noqa: E402
import verdict  # noqa: E402
from supervisor import Result  # noqa: E402

# Each test runs whole interpreters, the hanging ones until their limit.
pytestmark = pytest.mark.timeout(240)

CLASS = "test_sock_lowlevel.Sock"
# Of the class's tests, one that sock_recv decides and one that it has no part in.
USES_RECV = f"{CLASS}.test_sock_client_ops"
OTHER = f"{CLASS}.test_create_connection_sock"
NO_EXCLUSIONS = "# none\n"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs run.py on a broken loop; gives the exit code, the output and the JSON results."""

    def call(
        loop: str, *options: str, exclusions: str = NO_EXCLUSIONS, select: str = CLASS
    ) -> tuple[int, str, dict[str, dict[str, Any]]]:
        listed = tmp_path / "exclusions.txt"
        listed.write_text(exclusions, encoding="utf-8")
        written = tmp_path / "results.json"
        written.unlink(missing_ok=True)
        done = subprocess.run(
            [
                sys.executable,
                str(HERE / "run.py"),
                f"--loop={loop}",
                f"--select={select}",
                f"--exclusions={listed}",
                f"--json={written}",
                *options,
            ],
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=240,
            check=False,
        )
        results: dict[str, dict[str, Any]] = {}
        if written.exists():
            document = json.loads(written.read_text(encoding="utf-8"))
            results = {entry["name"]: entry for entry in document["results"]}
        return done.returncode, done.stdout.decode("utf-8", "replace"), results

    return call


def test_a_good_loop_is_blamed_for_nothing_and_runs_every_test_of_the_class(run: Any) -> None:
    code, output, results = run("broken_loops:Good")
    assert code == 0, output
    assert {entry["outcome"] for entry in results.values()} <= {"pass", "skip"}
    assert results[USES_RECV]["loops"] >= 1
    listed = run("broken_loops:Good", "--list")[1].split()
    assert set(results) == set(listed)


@pytest.mark.parametrize(
    ("loop", "outcome"),
    [
        ("Failing", "fail"),
        ("Raising", "error"),
        ("Hanging", "hang"),
        ("Spinning", "hang"),
        ("Crashing", "crash"),
    ],
)
def test_a_broken_loop_is_blamed_for_its_fault_and_for_that_alone(
    run: Any, loop: str, outcome: str
) -> None:
    code, output, results = run(f"broken_loops:{loop}", "--timeout=4")
    assert code == 1
    assert results[USES_RECV]["outcome"] == outcome
    assert results[USES_RECV]["verdict"] == "FAILED"
    assert results[USES_RECV]["stock"] == "pass"
    assert results[OTHER]["outcome"] == "pass"
    assert f"FAILED {USES_RECV}" in output


def test_a_hang_is_reported_with_the_place_where_it_hangs(run: Any) -> None:
    results = run("broken_loops:Hanging", "--timeout=4", select=USES_RECV)[2]
    assert "broken_loops.py" in results[USES_RECV]["detail"]


@pytest.mark.parametrize(
    ("loop", "outcome"), [("CrashingAtExit", "crash"), ("HangingAtExit", "hang")]
)
def test_a_loop_that_dies_at_interpreter_exit_is_blamed(run: Any, loop: str, outcome: str) -> None:
    code, _, results = run(f"broken_loops:{loop}", "--timeout=4", select=OTHER)
    assert code == 1
    assert results[OTHER]["outcome"] == "pass"
    assert results[f"{CLASS}.{supervisor.EXIT}"]["outcome"] == outcome


def test_a_skip_that_the_stock_loop_does_not_make_is_blamed(run: Any) -> None:
    code, output, results = run("broken_loops:Sulking", select=USES_RECV)
    assert code == 1
    assert results[USES_RECV]["outcome"] == "skip"
    assert results[USES_RECV]["verdict"] == "FAILED"
    assert f"SKIPPED {USES_RECV}" in output


def test_an_exclusion_excuses_the_test_that_it_names_and_no_other(run: Any) -> None:
    line = f"* * {USES_RECV}  # broken on purpose\n"
    code, output, results = run("broken_loops:Raising", exclusions=line, select=USES_RECV)
    assert code == 0, output
    assert results[USES_RECV]["verdict"] == "excluded"
    code, _, results = run("broken_loops:Raising", exclusions=line)
    assert code == 1
    assert results[f"{CLASS}.test_sock_client_ops"]["verdict"] == "excluded"
    assert "FAILED" in {entry["verdict"] for entry in results.values()}


def test_an_exclusion_of_a_test_that_passes_is_stale_and_fails_the_run(run: Any) -> None:
    line = f"* * {OTHER}  # no reason at all\n"
    code, output, results = run("broken_loops:Good", exclusions=line, select=OTHER)
    assert code == 1
    assert results[OTHER]["verdict"] == "stale"
    assert f"STALE {OTHER}" in output


def test_a_failure_in_the_baseline_is_known_and_a_pass_there_is_welcome(
    run: Any, tmp_path: Path
) -> None:
    baseline = tmp_path / "baseline.txt"
    baseline.write_text(f"{USES_RECV}  # error\n{OTHER}  # error\n", encoding="utf-8")
    options = f"--baseline={baseline}"
    code, output, results = run("broken_loops:Raising", options, select=USES_RECV)
    assert code == 0, output
    assert results[USES_RECV]["verdict"] == "known"
    code, _, results = run("broken_loops:Raising", options, select=OTHER)
    assert code == 0
    assert results[OTHER]["verdict"] == "ok"


@pytest.mark.parametrize(
    "loop", ["no_such_module", "broken_loops:no_such_name", "broken_loops:not_a_factory"]
)
def test_a_loop_that_cannot_be_had_is_named_in_one_sentence(run: Any, loop: str) -> None:
    code, output, _ = run(loop)
    assert code == 2
    assert output.startswith(f"the loop {loop} cannot be tested: ")
    assert len(output.splitlines()) == 1


def test_a_pattern_that_selects_nothing_is_an_error(run: Any) -> None:
    code, output, _ = run("broken_loops:Good", select="no_such_test")
    assert code == 2
    assert "--list" in output


@pytest.mark.parametrize(
    "line",
    ["test_a.B.test_c", "3.11 linux test_a.B.test_c", "3.11 beos test_a.B.test_c  # why", "x"],
)
def test_a_malformed_exclusion_is_refused_with_its_place(run: Any, line: str) -> None:
    code, output, _ = run("broken_loops:Good", exclusions=f"# head\n{line}\n", select=OTHER)
    assert code == 2
    assert "exclusions.txt:2:" in output


def test_the_children_that_tests_spawn_run_on_the_loop_too(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("BROKEN_LOOPS_SEEN", str(seen))
    name = "test_eager_task_factory.EagerTests"
    if sys.platform == "win32":
        # No test of CPython's spawns a child on a loop there; the plain case remains.
        expected = 1
    else:
        name, expected = "test_events.TestCGetEventLoop.test_get_event_loop_new_process", 2
    if sys.version_info < (3, 12) and sys.platform == "win32":
        name = "test_events.EventLoop.test_call_later"
    code, output, _ = run("broken_loops:Foreign", select=name)
    assert code == 0, output
    assert len(set(seen.read_text(encoding="ascii").split())) >= expected


def test_junit_has_a_case_a_test_and_counts_that_agree(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    results = run("broken_loops:Raising", f"--junit={path}")[2]
    suites = ElementTree.parse(path).getroot()
    cases = suites.findall("testsuite/testcase")
    assert len(cases) == len(results)
    failed = [name for name, entry in results.items() if entry["verdict"] == "FAILED"]
    counted = sum(int(suite.get(kind, 0)) for suite in suites for kind in ("failures", "errors"))
    assert counted == len(failed) > 0


def test_junit_survives_text_that_xml_cannot_hold(tmp_path: Path) -> None:
    result = Result("m.C.t", "fail", "a\x00b\ud800", "\x1b[31m")
    path = tmp_path / "junit.xml"
    reports.write_junit(path, "x", verdict.Verdict({result.name: result}))
    assert ElementTree.parse(path).find("testsuite/testcase/failure") is not None


@pytest.mark.parametrize(
    ("versions", "version", "applies"),
    [
        ("*", (3, 11), True),
        ("3.12", (3, 12), True),
        ("3.12", (3, 13), False),
        ("3.11-3.12", (3, 12), True),
        ("3.11-3.12", (3, 13), False),
        ("3.13-", (3, 15), True),
        ("3.13-", (3, 12), False),
    ],
)
def test_an_exclusion_applies_to_the_versions_that_it_names(
    versions: str, version: tuple[int, int], applies: bool
) -> None:
    assert verdict.Exclusion(versions, "*", "m.C.t", "why", 1).applies(version) is applies


@pytest.mark.parametrize(
    ("system", "running", "applies"),
    [
        ("*", "windows", True),
        ("posix", "windows", False),
        ("posix", "linux", True),
        ("posix", "darwin", True),
        ("linux", "darwin", False),
    ],
)
def test_an_exclusion_applies_to_the_systems_that_it_names(
    system: str, running: str, applies: bool
) -> None:
    assert verdict.Exclusion("*", system, "m.C.t", "why", 1).applies((3, 13), running) is applies


def test_a_baseline_holds_what_every_stock_loop_fails() -> None:
    first = {
        "m.C.both": Result("m.C.both", "fail"),
        "m.C.one": Result("m.C.one", "hang"),
        "m.C.alone": Result("m.C.alone", "crash"),
    }
    second = {
        "m.C.both": Result("m.C.both", "hang"),
        "m.C.one": Result("m.C.one", "pass"),
    }
    assert verdict.common_failures([first, second]) == {
        "m.C.alone": "crash",
        "m.C.both": "fail, hang",
    }


def written_run(path: Path, loop: str, python: str, *outcomes: tuple[str, str]) -> Path:
    document = {
        "format": 1,
        "loop": loop,
        "python": python,
        "system": "linux",
        "time": 86_400,
        "results": [
            {"name": f"m.C.t{n}", "outcome": outcome, "verdict": judged, "loops": n % 2}
            for n, (outcome, judged) in enumerate(outcomes)
        ],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_table_counts_each_run_and_orders_versions_by_number(tmp_path: Path) -> None:
    runs = [
        written_run(tmp_path / "a", "evenloop", "3.13.0", ("pass", "ok"), ("fail", "excluded")),
        written_run(tmp_path / "b", "evenloop", "3.9.1", ("hang", "FAILED"), ("skip", "skip")),
        written_run(tmp_path / "c", "asyncio", "3.13.0", ("pass", "ok"), ("error", "FAILED")),
    ]
    page = tmp_path / "page.md"
    page.write_text(f"a\n{reports.TABLE_BEGIN}\nold\n{reports.TABLE_END}\nz\n", encoding="utf-8")
    reports.write_table(page, runs)
    assert page.read_text(encoding="utf-8").splitlines()[4:] == [
        "| 3.9.1, linux | evenloop | 2 | 1 | 0 | 0 | 1 | 1 | 0 | 1 | 1970-01-02 |",
        "| 3.13.0, linux | asyncio | 2 | 1 | 1 | 1 | 0 | 0 |  |  | 1970-01-02 |",
        "| 3.13.0, linux | evenloop | 2 | 1 | 1 | 1 | 0 | 0 | 1 | 0 | 1970-01-02 |",
        reports.TABLE_END,
        "z",
    ]


def test_a_page_without_marks_is_refused_and_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(reports.Unmarked):
        reports.write_table(page, [])
    assert page.read_text(encoding="utf-8") == "nothing\n"


def test_the_committed_exclusions_can_be_read_and_stay_few() -> None:
    listed = verdict.read_exclusions(HERE / "exclusions.txt")
    assert len(listed) <= 60
    assert len({(each.versions, each.system, each.name) for each in listed}) == len(listed)


def test_ctrl_c_between_the_starts_of_the_workers_ends_those_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = []

    def run(self: supervisor.ClassRun) -> None:
        assert self.stopping.wait(60)
        ended.append(self.cls)

    def start(worker: threading.Thread, start: Any = threading.Thread.start) -> None:
        start(worker)
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor.ClassRun, "run", run)
    monkeypatch.setattr(threading.Thread, "start", start)
    classes = [supervisor.TestClass("m", name, ("t",)) for name in "CD"]
    with pytest.raises(KeyboardInterrupt):
        supervisor.run_classes("any", classes, supervisor.Watch(), 2, lambda result: None)
    assert ended == classes[:1]


def test_ctrl_c_ends_the_run_and_its_children(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("tests/platforms.md: ctrl-c-without-a-console")
    # An ignored SIGINT, as a background shell leaves it, would be inherited; a handler is not.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [
            sys.executable,
            str(HERE / "run.py"),
            "--loop=broken_loops:Hanging",
            f"--select={USES_RECV}",
        ],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, previous)
    with process:
        assert process.stdout is not None
        # The heading comes when the listing is done and the run begins.
        for line in process.stdout:
            if b" tests in " in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
        assert process.wait(60) == 130, rest
        assert rest.endswith("interrupted\n")
