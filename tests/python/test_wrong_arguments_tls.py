# SPDX-License-Identifier: MIT
"""Wrong arguments and states of TLS transports: test_wrong_arguments.py's rules, with certificates.

The transport is asyncio's own on every loop. What is compared is all below it: how the plain
transport of the loop takes what TLS makes of a wrong call, and who is told of it.
"""

from __future__ import annotations

import pytest
import wrong_argument_rows as rows
import wrong_arguments_subjects as subjects
from wrong_argument_checks import check

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", rows.TLS_METHODS)
def test_methods_of_a_tls_transport(name: str) -> None:
    """Open, closing and aborted, and of a loop that was closed."""
    check(rows.of_tls(name))


@pytest.mark.parametrize(("name", "life"), subjects.TLS_CALLS)
def test_calls_that_take_a_tls_transport(name: str, life: str) -> None:
    """TLS within TLS, and files through TLS, in each state of the outer connection."""
    check(rows.of_tls_in_state(name, life))
