# SPDX-License-Identifier: MIT
"""What a check may expect of which Python: the one place that compares versions.

asyncio's contract moves with Python, so a check says from when on its fact holds (`since`), until
when (`until`), or what is expected from which version on (`by_version`). Versions are tuples such
as (3, 12) or (3, 12, 1).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

Version = tuple[int, ...]


def running() -> Version:
    """The version of this Python, as checks are asked about it."""
    return sys.version_info[:3]


def text(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def fixed_in(*releases: Version) -> tuple[Version, ...]:
    """For `since`: a change that went into several branches, each with its first release.

    fixed_in((3, 13, 8), (3, 14, 1)) holds on 3.13.8 and later 3.13s, on 3.14.1 and later.
    """
    return tuple(sorted(releases))


def holds(since: tuple[Version, ...], version: Version) -> bool:
    """Whether `version` has a change that its branch got with one of the releases in `since`."""
    if not since:
        return True
    same_branch = [release for release in since if release[:2] == version[:2]]
    if same_branch:
        return version >= min(same_branch)
    return version[:2] > since[-1][:2]


@dataclass(frozen=True)
class ByVersion:
    """An expectation that changes: the value for old Pythons, and (version, value) steps."""

    first: object
    steps: tuple[tuple[Version, object], ...]

    def at(self, version: Version) -> object:
        """What is expected of `version`."""
        value = self.first
        for start, changed in self.steps:
            if version >= start:
                value = changed
        return value


def by_version(first: object, changes: dict[Version, object]) -> ByVersion:
    """Expect `first`, and from each version in `changes` on what stands there."""
    return ByVersion(first, tuple(sorted(changes.items(), key=lambda step: step[0])))


def why_not(since: tuple[Version, ...], until: Version | None, version: Version) -> str | None:
    """Why a fact bounded like this does not exist in `version`; None if it does."""
    if not holds(since, version):
        return f"needs Python {' or '.join(text(release) for release in since)}"
    if until is not None and version >= until:
        return f"ended with Python {text(until)}"
    return None
