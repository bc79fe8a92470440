# SPDX-License-Identifier: MIT
"""Wrong states of a loop, and callbacks that do what they must not, by test_wrong_arguments' rules.

Tasks, handlers, factories, executors and protocols that raise or are none, calls out of turn, and
every order in which a transport's and a server's methods can be called. The rows are in
wrong_states.py.
"""

from __future__ import annotations

import pytest
import wrong_argument_rows as rows
import wrong_states as states
from wrong_argument_checks import check

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("group", states.GROUPS)
def test_answers_are_those_of_the_stock_loop(group: str) -> None:
    check(rows.of_state(group))
