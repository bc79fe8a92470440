# SPDX-License-Identifier: MIT
"""Odd addresses and descriptors are read in C as by the stock loop: tests/fuzz, in short."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

EXAMPLES = 200  # `make fuzz` runs more


def fuzzers():
    path = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "addresses.py"
    spec = importlib.util.spec_from_file_location("addresses", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.tests(EXAMPLES)


FUZZERS = fuzzers()


@pytest.mark.absent("fuzz-against-the-stock-loop-on-windows", "windows")
@pytest.mark.evenloop_only  # compares evenloop with the stock loop itself
@pytest.mark.parametrize("name", FUZZERS)
def test_the_loops_agree_on_odd(name):
    FUZZERS[name]()
