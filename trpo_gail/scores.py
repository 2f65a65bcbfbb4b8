"""Returns on the paper's scale."""

from __future__ import annotations

import math


def scaled_score(value: float | None, expert: float | None, random: float | None) -> float | None:
    """0 at the random policy's return, 1 at the expert's (Ho & Ermon 2016, figure 1); None where it means nothing."""
    if value is None or expert is None or random is None or math.isclose(expert, random):
        return None
    return (value - random) / (expert - random)
