"""Memory that is free again, given back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any


def give_back() -> None:
    """Return free pages to the system; to be called after work that made and dropped a lot, such as an evaluation.

    glibc keeps what was freed below something that is still in use. The threads of environments are new ones each time,
    with heaps of their own, and so a training's memory grew by tens of MB an hour. Does nothing with other C libraries.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], Any] | None:
    """glibc's malloc_trim."""
    try:
        found: Callable[[int], Any] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    return found
