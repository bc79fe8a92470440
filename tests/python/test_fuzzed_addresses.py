# SPDX-License-Identifier: MIT
"""Odd addresses and descriptors are read in C as by the stock loop: tests/fuzz, in short.

On Linux the stock loop is asked live, with examples made anew. Everywhere it is what it said on
Linux of the examples that linux_answers.py has kept, but for what the system makes of an address.
"""

from __future__ import annotations

import sys

import linux_answers
import pytest
import support

EXAMPLES = 200  # `make fuzz` runs more
FUZZ = linux_answers.fuzz()
FUZZERS = FUZZ.tests(EXAMPLES)
pytestmark = pytest.mark.evenloop_only  # compares evenloop with the stock loop itself


def against_record(kind):
    differing = []
    for example, theirs in linux_answers.read_fuzz(kind):
        ours = FUZZ.answer(kind, example, support.new_loop)
        if linux_answers.judged(ours) != linux_answers.judged(theirs):
            differing.append(f"{example!r}: {ours} instead of {theirs}")
    assert not differing, "\n".join(differing)


@pytest.mark.parametrize("name", FUZZERS)
def test_the_loops_agree_on_odd(name):
    live = sys.platform == "linux"
    if live:
        FUZZERS[name]()
    if not live or linux_answers.fuzz_path().exists():  # kept for the versions that Windows has
        against_record(name)
