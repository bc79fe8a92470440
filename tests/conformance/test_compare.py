# SPDX-License-Identifier: MIT
"""diff and matrix: golden output of small reports; reports come back as they were written."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from evenloop.conformance import check, cli, compare, explain, matrix, report, tables
from evenloop.conformance.report import Fact, Report


def make_report(name, system, facts, *, wine=None, version="1.0"):
    return Report(
        loop={"name": name, "type": f"{name}.Loop", "version": version},
        python={"implementation": "CPython", "version": "3.13.0"},
        system={"name": system, "release": "6", "machine": "x86_64", "wine": wine},
        started="2026-01-31T12:00:00Z",
        duration=1.25,
        facts=facts,
    )


def fact(name, verdict="ok", observation=None, **more):
    return Fact(name, name.partition(".")[0], "spec", verdict, observation, **more)


LINUX = [
    fact("core.order", observation=["a", "b"]),
    fact("core.text", observation="closed"),
    fact("udp.empty", observation=True),
    fact("udp.one", observation=1),
    fact("fd.reader", observation=1),
    fact("fd.writer", "HANG", reason="checking: not over within 10 s"),
    fact("signal.fork", observation=0),
    fact("signal.only_here", observation=0),
]
WINDOWS = [
    fact("core.order", observation=["a", "b"]),
    fact("core.text", "FAIL", "Closed", expected="closed", reason="expected it small"),
    fact("udp.empty", "FAIL", 1, expected=True, reason="a number"),
    fact("udp.one", observation=1),
    fact("fd.reader", "UNSUPPORTED", reason="NotImplementedError"),
    fact("fd.writer", "HANG", reason="checking: not over within 20 s"),
    fact("signal.fork", "n/a", reason="this system has no os.fork"),
]


@pytest.fixture
def linux():
    return make_report("evenloop", "Linux", copy.deepcopy(LINUX))


@pytest.fixture
def windows():
    return make_report("winloop", "Windows", copy.deepcopy(WINDOWS), wine="8.0", version=None)


def test_diff_shows_what_differs_and_counts_the_rest(linux, windows):
    result = compare.compare([linux, windows])
    assert compare.text(result) == (
        "A: evenloop 1.0, CPython 3.13.0, Linux\n"
        "B: winloop, CPython 3.13.0, Windows (Wine 8.0)\n"
        "\n"
        "core.text\n"
        '  A  ok   "closed"\n'
        '  B  FAIL "Closed"\n'
        "udp.empty\n"
        "  A  ok   true\n"
        "  B  FAIL 1\n"
        "fd.reader\n"
        "  A  ok   1\n"
        "  B  UNSUPPORTED NotImplementedError\n"
        "3 facts agree, 3 differ, 0 differ with a reason, 2 cannot be compared\n"
    )
    assert result.apart == [
        ("signal.fork", "this system has no os.fork"),
        ("signal.only_here", "not in the report of winloop, CPython 3.13.0, Windows (Wine 8.0)"),
    ]
    assert not result.clean


def test_diff_of_a_report_with_itself_is_empty(linux):
    result = compare.compare([linux, linux, linux])
    assert result.clean
    assert result.same == len(LINUX)


def test_any_number_of_reports_can_be_compared(linux, windows):
    lines = compare.text(compare.compare([linux] * 53 + [windows])).splitlines()
    assert [line.partition(":")[0] for line in lines[24:28]] == ["Y", "Z", "A2", "B2"]
    assert lines[53] == "B3: winloop, CPython 3.13.0, Windows (Wine 8.0)"
    assert '  B3  FAIL "Closed"' in lines


def test_allowed_differences_do_not_count_and_stale_ones_do(tmp_path, linux, windows):
    listed = tmp_path / "allowed.txt"
    listed.write_text(
        "# what is understood\n[wine]\ncore.text  Wine spells it so\nudp.empty reason\n"
        "fd.reader  not built yet  # soon\n"
    )
    allowed = compare.read_allowed(listed)
    assert allowed["core.text"] == "Wine spells it so"
    assert allowed["fd.reader"] == "not built yet"
    assert compare.compare([linux, windows], allowed).clean
    allowed["core.order"] = "no longer so"
    stale = compare.compare([linux, windows], allowed)
    assert not stale.clean
    assert "core.order: allowed to differ, but does not: take it off the list" in compare.text(
        stale
    )


def test_our_own_list_names_checks_and_stays_short():
    path = Path(__file__).with_name("evenloop-differences.txt")
    assert set(compare.read_allowed(path)) <= {found.name for found in check.load()}
    for_good, _, for_now = path.read_text("utf-8").partition("[Not on Windows yet")
    reasons = [line for line in for_good.splitlines() if line and line[0] not in "#["]
    assert len(reasons) <= 10
    assert {name.partition(".")[0] for name in for_now.split() if "." in name} <= {"signal", "unix"}


def test_diff_in_json_holds_every_difference(linux, windows):
    data = compare.as_json(compare.compare([linux, windows]))
    assert [found["name"] for found in data["differences"]] == [
        "core.text",
        "udp.empty",
        "fd.reader",
    ]
    assert data["differences"][0]["facts"][1]["observation"] == "Closed"


def test_matrix_as_text(linux, windows):
    assert matrix.text([linux, windows]) == (
        "loop    evenloop 1.0  winloop\n"
        "Python  3.13.0        3.13.0\n"
        "system  Linux         Windows (Wine 8.0)\n"
        "date    2026-01-31    2026-01-31\n"
        "------  ------------  ------------------\n"
        "core    2/2           1/2\n"
        "udp     2/2           1/2\n"
        "fd      1/2 (1H)      0/2 (1U 1H)\n"
        "signal  2/2           n/a\n"
        "all     7/8 (1H)      2/6 (1U 1H)\n"
        "\n" + matrix.LEGEND + "\n"
    )


def test_matrix_as_markdown(linux, windows):
    assert matrix.markdown([linux, windows]) == (
        "| area | evenloop 1.0<br>3.13.0<br>Linux<br>2026-01-31 "
        "| winloop<br>3.13.0<br>Windows (Wine 8.0)<br>2026-01-31 |\n"
        "|---|---|---|\n"
        "| core | 2/2 | 1/2 |\n"
        "| udp | 2/2 | 1/2 |\n"
        "| fd | 1/2 (1H) | 0/2 (1U 1H) |\n"
        "| signal | 2/2 | n/a |\n"
        "| **all** | 7/8 (1H) | 2/6 (1U 1H) |\n"
        "\n" + matrix.LEGEND + "\n"
    )


class Balance(HTMLParser):
    """Notes elements that are closed out of order, and what a page fetches."""

    OPTIONAL = ("th", "td", "tr", "meta", "br", "code")

    def __init__(self):
        super().__init__()
        self.stack, self.wrong, self.fetched = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.OPTIONAL:
            self.stack.append(tag)
        self.fetched += [value for key, value in attrs if key == "src"]
        self.fetched += [value for key, value in attrs if key == "href" and value[0] != "#"]

    def handle_endtag(self, tag):
        if tag not in self.OPTIONAL and self.stack.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("as_html", [matrix.as_html, lambda reports: tables.as_html(reports[1])])
def test_a_page_stands_alone_and_escapes_what_loops_say(linux, windows, as_html):
    windows.facts[1].reason = "<script>alert(1)</script>"
    page = as_html([linux, windows])
    balance = Balance()
    balance.feed(page)
    assert balance.wrong == []
    assert balance.stack == []
    assert balance.fetched == []
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "core.text" in page


def test_a_page_escapes_the_names_of_a_foreign_report(linux):
    evil = '"><script>alert(1)</script>'
    linux.loop["name"] = linux.started = linux.facts[0].area = evil
    linux.facts[1].name = linux.facts[1].tier = evil
    for page in (matrix.as_html([linux]), tables.as_html(linux)):
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    linux.facts[2].area = linux.system["name"] = "a | b"
    heads = [line.count(" | ") for line in matrix.markdown([linux]).splitlines()[:3]]
    assert heads == [1, 0, 1]


def test_a_page_names_its_heads_for_who_hears_it(linux, windows):
    page = matrix.as_html([linux, windows])
    assert '<html lang="en">' in page
    assert page.count('<th scope="col">') == 3 * 5
    assert page.count('<th scope="row">') == 5 + len(LINUX)
    assert page.count('role="region" aria-label=') == 5
    assert "<th>" not in page


def test_words_without_an_encoding_can_be_written(tmp_path, linux):
    linux.facts[1].reason = "bad \udc80 text"
    for name, form in tables.FORMATS.items():
        report.write(tmp_path / name, form(linux))
    assert report.load(tmp_path / "json") == linux


def test_a_comparison_is_lines_whatever_a_loop_says(linux, windows):
    windows.facts[4].reason = "two\nlines \x1b[31m"
    assert "\n  B  UNSUPPORTED two lines [31m\n" in compare.text(compare.compare([linux, windows]))


def test_a_report_comes_back_as_it_was_written(tmp_path, windows):
    windows.facts[0].notes = {"ms": 1.5}
    windows.facts[1].detail = "a\nb"
    report.save(windows, tmp_path / "a.json")
    assert report.load(tmp_path / "a.json") == windows


def test_the_table_explains_what_is_not_ok(windows):
    text = tables.table(windows)
    assert "FAIL        core.text" in text
    assert "            expected it small" in text
    assert "\x1b" not in text
    assert "\x1b[31mFAIL       \x1b[0m" in tables.table(windows, tables.coloured)
    assert text.splitlines()[-1] == (
        "winloop, CPython 3.13.0, Windows (Wine 8.0): 2 ok, 2 FAIL, 1 UNSUPPORTED, 1 HANG, "
        "1 n/a in 1.2 s"
    )


def test_junit_counts_failures_errors_and_skips(windows):
    windows.facts[1].observation = windows.facts[4].reason = "a\x00b"
    root = ElementTree.fromstring(tables.junit(windows).partition("\n")[2])
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == (
        "7",
        "2",
        "2",
        "1",
    )
    assert root.find("testcase[@name='fd.reader']/error").get("type") == "UNSUPPORTED"


def test_markdown_keeps_its_columns_whatever_a_loop_says(windows):
    windows.facts[1].reason = "a | b\n<c>"
    (row,) = [line for line in tables.markdown(windows).splitlines() if "`core.text`" in line]
    assert row == "| `core.text` | FAIL | a \\| b &lt;c> |"


def good(tmp_path, linux):
    report.save(linux, tmp_path / "good.json")
    return tmp_path / "good.json"


def broken(change):
    def damage(data):
        change(data)
        return json.dumps(data)

    return damage


BROKEN = {
    "not there": (None, "cannot be read: "),
    "not json": (lambda data: "{", "is not a report, or it is damaged: "),
    "half of it": (lambda data: json.dumps(data)[:100], "is not a report, or it is damaged: "),
    "a list": (lambda data: "[]", "is not a report of the conformance kit."),
    "another program's": (lambda data: '{"tests": []}', "is not a report of the conformance kit."),
    "a later form": (
        broken(lambda data: data.update(schema="evenloop-conformance/2")),
        "has the form 'evenloop-conformance/2'; this kit reads 'evenloop-conformance/1'.",
    ),
    "no facts": (broken(lambda data: data.pop("facts")), "is damaged: 'facts' is missing."),
    "a fact without a name": (
        broken(lambda data: data["facts"][0].pop("name")),
        "is damaged: 'name' is missing.",
    ),
    "an unknown verdict": (
        broken(lambda data: data["facts"][0].update(verdict="maybe")),
        "is damaged: core.order has the unknown verdict 'maybe'.",
    ),
    "a fact twice": (
        broken(lambda data: data["facts"].append(data["facts"][0])),
        "is damaged: a fact stands in it twice.",
    ),
    "a fact that is a number": (
        broken(lambda data: data["facts"].append(5)),
        "is damaged: 5 is not an object.",
    ),
    "a loop that is a text": (
        broken(lambda data: data.update(loop="x")),
        "is damaged: 'loop' is of the wrong type.",
    ),
    "a version that is a number": (
        broken(lambda data: data["loop"].update(version=3)),
        "is damaged: 'version' is of the wrong type.",
    ),
    "a reason that is a number": (
        broken(lambda data: data["facts"][5].update(reason=5)),
        "is damaged: 'reason' is of the wrong type.",
    ),
    "details that are a list": (
        broken(lambda data: data["facts"][5].update(detail=["x"])),
        "is damaged: 'detail' is of the wrong type.",
    ),
    "notes that are a list": (
        broken(lambda data: data["facts"][0].update(notes=[1])),
        "is damaged: 'notes' is of the wrong type.",
    ),
    "no time that a fact took": (
        broken(lambda data: data["facts"][0].update(duration=None)),
        "is damaged: 'duration' is of the wrong type.",
    ),
    "a run that took for ever": (
        broken(lambda data: data.update(duration=float("inf"))),
        "is damaged: inf is no duration.",
    ),
}


@pytest.mark.parametrize("command", ["diff", "matrix", "rerun"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_report_gets_one_sentence(tmp_path, capsys, linux, kind, command):
    path = good(tmp_path, linux)
    wrong = tmp_path / "wrong.json"
    damage, sentence = BROKEN[kind]
    if damage is not None:
        wrong.write_text(damage(json.loads(path.read_text())))
    arguments = {
        "diff": ["diff", str(path), str(wrong)],
        "matrix": ["matrix", str(path), str(wrong)],
        "rerun": ["run", "--rerun-failures", str(wrong)],
    }
    assert cli.main(arguments[command]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err


def test_what_loops_did_is_remembered_for_explain(tmp_path, monkeypatch, linux, windows):
    linux.facts[0].name = windows.facts[0].name = "core.call_soon_fifo"
    windows.facts[0].verdict, windows.facts[0].reason = "FAIL", "in another order"
    explain.remember([linux], tmp_path / "known")
    explain.remember([linux, windows], tmp_path / "known")
    monkeypatch.setattr(explain, "KNOWN", tmp_path / "known")
    text = explain.explain(check.find("core.call_soon_fifo"))
    assert text.endswith(
        "what loops did:\n"
        "  evenloop 1.0, CPython 3.13.0, Linux (2026-01-31): ok\n"
        "  winloop, CPython 3.13.0, Windows (Wine 8.0) (2026-01-31): FAIL: in another order\n"
    )


def test_what_is_remembered_stays_in_its_folder(tmp_path, linux):
    linux.loop["name"], linux.system["name"] = "../../loop", "../x"
    explain.remember([linux], tmp_path / "known")
    assert [path.name for path in (tmp_path / "known").iterdir()] == ["00-..-x-..-..-loop.json"]


def test_exit_codes_of_diff(tmp_path, capsys, linux, windows):
    report.save(linux, tmp_path / "a.json")
    report.save(windows, tmp_path / "b.json")
    one, other = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert cli.main(["diff", one, one]) == 0
    assert cli.main(["diff", one, other]) == 1
    assert cli.main(["diff", one]) == 2
    assert cli.main(["matrix", one, other]) == 0
    capsys.readouterr()
