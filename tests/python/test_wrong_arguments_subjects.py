# SPDX-License-Identifier: MIT
"""Wrong arguments and states of child processes, servers, start_tls() and sendfile().

The other half of test_wrong_arguments.py, by the same rules.
"""

from __future__ import annotations

import pytest
import wrong_argument_rows as rows
import wrong_arguments_subjects as subjects
from wrong_argument_checks import check

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("subject", "name"), rows.COMPANION_METHODS)
def test_methods_of_what_has_a_companion(subject, name):
    """Of child processes' transports and of servers: in use, closing, and of a closed loop."""
    check(rows.of_companion(subject, name))


@pytest.mark.parametrize("name", subjects.TRANSPORT_CALLS)
def test_calls_that_take_a_transport(name):
    """start_tls() and sendfile() of an open connection, with each argument wrong in turn."""
    check(rows.of_transport_call(name))


@pytest.mark.parametrize("kind", subjects.TRANSPORTS)
@pytest.mark.parametrize("name", subjects.TRANSPORT_CALLS)
def test_calls_that_take_a_transport_in_each_of_its_states(name, kind):
    """start_tls() and sendfile() of what is open, closing, aborted, or of another kind."""
    check(rows.of_transport_in_state(name, kind))
