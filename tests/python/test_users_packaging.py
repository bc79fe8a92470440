# SPDX-License-Identifier: MIT
"""What users of other loops ran into before the first import, and with type checkers."""

from __future__ import annotations

import ast
import pathlib
import sys
import sysconfig
import tomllib

import pytest

pytestmark = pytest.mark.evenloop_only

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def names_of(stub: pathlib.Path, of: str | None = None) -> set[str]:
    """The names that a stub file gives a module, or a class in it."""
    body = ast.parse(stub.read_text("utf-8")).body
    if of is not None:
        (body,) = [n.body for n in body if isinstance(n, ast.ClassDef) and n.name == of]
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_exceptions_of_the_drop_in_are_listed():
    """C002: two pages say what differs, and the pages that users read first lead there."""
    for page in ("differences.md", "from-uvloop.md"):
        text = (REPOSITORY / "docs" / page).read_text("utf-8")
        assert text.count("\n| ") > 10
        assert page in (REPOSITORY / "docs/python.md").read_text("utf-8")


def test_package_is_for_every_python_from_3_11_on_and_every_system():
    """C200: no system is excluded, and no newer Python; the extension is this interpreter's."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    for system in ("Linux", "Windows", "MacOS"):
        assert any(system.lower() in line.lower() for line in project["classifiers"]), system
    from evenloop import _core

    assert _core.__file__ is not None
    assert _core.__file__.endswith(str(sysconfig.get_config_var("EXT_SUFFIX")))


def test_bundled_libuv_has_the_known_holes_closed():
    """C201: CVE-2024-24806 was closed in 1.48; the version can be asked for."""
    from evenloop import _core

    version = tuple(int(part) for part in _core.libuv_version.split("-")[0].split("."))
    assert version >= (1, 50)


def test_stubs_name_what_the_extension_has():
    """C203: nothing is missing for a type checker, and nothing promised that is not there."""
    import evenloop
    from evenloop import _core

    folder = pathlib.Path(evenloop.__file__).parent
    stub = folder / "_core.pyi"
    own = {name for name in vars(_core) if not name.startswith("__")}
    promised = {name for name in names_of(stub) if not name.startswith("_")}
    assert promised <= set(dir(_core))
    assert {name for name in own if not name.startswith("_")} <= names_of(stub)
    loop = {name for name in vars(_core.Loop) if not name.startswith("__")}
    missing = {name for name in loop - names_of(stub, "Loop") if not name.startswith("_")}
    assert missing == set()
    hidden = names_of(stub, "Loop") - set(dir(evenloop.Loop))
    assert hidden == set(), f"promised by {stub.name} and not there, Python {sys.version}"


def test_public_names_of_the_package_are_annotated():
    """C203: each function of the package says what it takes and gives."""
    import inspect

    import evenloop

    for name in evenloop.__all__:
        value = getattr(evenloop, name)
        if inspect.isfunction(value):
            parameters = inspect.signature(value).parameters.values()
            assert all(entry.annotation is not entry.empty for entry in parameters), name
            assert "return" in value.__annotations__, name
