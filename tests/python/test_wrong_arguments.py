# SPDX-License-Identifier: MIT
"""Wrong arguments give the selector loop's error: a test made of tables, for all public methods.

The tables are in wrong_arguments.py, what differs on purpose is in wrong_argument_checks.py. The
reference is the stock selector loop of the Python that runs the test on Linux: asked anew each
time there, and elsewhere its recorded answers (linux_answers.py).
"""

from __future__ import annotations

import pytest
import wrong_argument_rows as rows
import wrong_arguments as tables
from wrong_argument_checks import check

pytestmark = pytest.mark.timeout(300)  # thousand rows a test, each with a loop of its own


@pytest.mark.parametrize("name", rows.LOOP_METHODS)
def test_methods_of_a_loop(name, monkeypatch):
    tables.numeric_hosts_only(monkeypatch)
    check(rows.of_loop(name))


@pytest.mark.parametrize(("subject", "name"), rows.SUBJECT_METHODS)
def test_methods_of_what_a_loop_makes(subject, name):
    """Of transports, servers and handles: open, closing, lost, and of a loop that was closed."""
    check(rows.of_subject(subject, name))


def test_every_required_parameter_has_a_good_value():
    for name in rows.LOOP_METHODS:
        params = tables.parameters(getattr(rows.STOCK, name))
        required = [
            p.name for p in params if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert not required or name in tables.CALLS, f"{name}{required} needs a good call"
