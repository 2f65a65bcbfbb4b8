"""How many episodes and steps a source states in all, beside those that are there: a file may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def differ(stated_by: str, episodes: Any, steps: Any, lengths: np.ndarray | Sequence[int]) -> list[str]:
    """What to say, in a list, if episodes of these lengths [E] are not as many as stated; nothing if nothing is stated."""
    there = [(episodes, len(lengths), "episodes"), (steps, int(np.sum(lengths)), "steps")]
    stated = [(int(many), found, what) for many, found, what in there if _is_number(many)]
    if all(many == found for many, found, _ in stated):
        return []
    said, found = (" and ".join(f"{row[i]} {row[2]}" for row in stated) for i in (0, 1))
    return [f"{stated_by} states {said}, found {found}: is something missing?"]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
