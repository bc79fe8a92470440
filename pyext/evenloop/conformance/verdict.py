# SPDX-License-Identifier: MIT
"""The six things that can become of a check, and what each means for a run."""

from __future__ import annotations

OK = "ok"
FAIL = "FAIL"
UNSUPPORTED = "UNSUPPORTED"
HANG = "HANG"
CRASH = "CRASH"
NOT_APPLICABLE = "n/a"

MEANING = {
    OK: "the loop did what the check expects",
    FAIL: "the loop did something else; the observation says what",
    UNSUPPORTED: "the loop says itself that it lacks this (NotImplementedError, AttributeError)",
    HANG: "the check was not over within its time limit",
    CRASH: "the process of the check died",
    NOT_APPLICABLE: "this Python or this system has no such thing; the reason is given",
}
VERDICTS = tuple(MEANING)
BAD = frozenset({FAIL, UNSUPPORTED, HANG, CRASH})
