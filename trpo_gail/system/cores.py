"""The cores that this process may use."""

from __future__ import annotations

import os


def cores() -> set[int]:
    """The cores that this process may use; systems other than Linux do not say, so there it is all cores."""
    told = getattr(os, "sched_getaffinity", None)
    return told(0) if told else set(range(os.cpu_count() or 1))
