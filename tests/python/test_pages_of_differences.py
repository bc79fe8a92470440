# SPDX-License-Identifier: MIT
"""The pages made of markers hold each marker; a marker that cannot be used is refused."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys

import differences
import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "make-docs"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool as a module, at home in a repository of our own."""
    loader = importlib.machinery.SourceFileLoader("make_docs", str(TOOL))
    spec = importlib.util.spec_from_loader("make_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_docs", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    templates = tmp_path / "docs" / "templates"
    templates.mkdir(parents=True)
    (templates / "a.md").write_text("# A\n\n{{asyncio}}\n", encoding="utf-8")
    (templates / "b.md").write_text("# B\n\n{{uvloop}}\n", encoding="utf-8")
    pages = {templates / f"{name}.md": tmp_path / f"docs/{name}.md" for name in "ab"}
    for name, value in {"ROOT": tmp_path, "TEMPLATES": templates, "PAGES": pages}.items():
        monkeypatch.setattr(module, name, value)
    (tmp_path / "tests/python").mkdir(parents=True)
    return module


def write(tool, source):
    (tool.ROOT / "tests/python/test_x.py").write_text(source, encoding="utf-8")


def page(tool, name):
    return (tool.ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


def marker(loops, what="`f()`"):
    return f"@differs(from_={loops}, what={what!r}, they='fails', evenloop='works')\n"


def test_rows_stand_under_the_systems_that_they_name(tool):
    write(
        tool,
        marker("WINDOWS", "a")
        + marker("(UVLOOP, PROACTOR)", "b")
        + "def test_one(): ...\n"
        + marker("(LINUX, PROACTOR)", "c")
        + "class TestTwo:\n    pass\n",
    )
    assert tool.main([]) == 0
    asyncio_page = page(tool, "a").splitlines()
    headings = [line for line in asyncio_page if line.startswith("## ")]
    assert headings == [
        "## On Windows, whichever loop",
        "## On Windows with the Proactor loop, its default",
        "## asyncio on Linux, asyncio on Windows (Proactor)",
    ]
    assert "| c | fails | works | [TestTwo](../tests/python/test_x.py) |" in asyncio_page
    rows = [line for line in page(tool, "b").splitlines() if line.startswith("| b ")]
    assert rows == ["| b | fails | works | [test_one](../tests/python/test_x.py) |"]


def test_tests_that_say_the_same_share_a_row(tool):
    write(tool, "".join(f"{marker('UVLOOP')}def test_{name}(): ...\n" for name in "ab"))
    assert tool.main([]) == 0
    (row,) = [line for line in page(tool, "b").splitlines() if line.startswith("| `f()` ")]
    assert "test_a" in row
    assert "test_b" in row


def test_check_fails_on_a_stale_page_and_writes_nothing(tool, capsys):
    write(tool, marker("UVLOOP") + "def test_one(): ...\n")
    assert tool.main(["--check"]) == 1
    assert "docs/b.md is stale" in capsys.readouterr().err
    assert not (tool.ROOT / "docs/b.md").exists()
    tool.main([])
    assert tool.main(["--check"]) == 0


@pytest.mark.parametrize(
    "source",
    [
        marker("OS2") + "def test_one(): ...",
        marker("some.thing") + "def test_one(): ...",
        marker("UVLOOP", "a | b") + "def test_one(): ...",
        marker("UVLOOP", "a sentence.") + "def test_one(): ...",
        marker("UVLOOP", " ") + "def test_one(): ...",
        "@differs(from_=UVLOOP, what='x', they='y')\ndef test_one(): ...",
        "@differs(from_=UVLOOP, what=NAME, they='y', evenloop='z')\ndef test_one(): ...",
        marker("UVLOOP") + "def helper(): ...",
        "def test_one():\n    " + marker("UVLOOP") + "    def test_two(): ...",
        "def broken(:",
    ],
)
def test_a_marker_that_cannot_be_used_is_refused_with_its_file(tool, capsys, source):
    write(tool, source)
    assert tool.main([]) == 1
    assert "test_x.py" in capsys.readouterr().err
    assert not (tool.ROOT / "docs/b.md").exists()


def test_a_marker_leaves_its_test_as_it_was():
    def test():
        return 5

    mark = differences.differs
    loops = (differences.UVLOOP, differences.WINDOWS)
    assert mark(from_=loops, what="w", they="t", evenloop="e")(test) is test
    assert test() == 5
    assert test.differs_from == {
        differences.UVLOOP,
        differences.PROACTOR,
        differences.SELECTOR,
    }


def test_wrong_usage_is_told(tmp_path):
    done = subprocess.run(
        [sys.executable, str(TOOL), "--chekc"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "usage" in done.stderr
