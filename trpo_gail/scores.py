"""Returns on the paper's scale."""

from __future__ import annotations

import math


def scaled_score(value: float | None, expert: float | None, random: float | None) -> float | None:
    """0 at the random policy's return, 1 at the expert's (Ho & Ermon 2016, figure 1); None if it means nothing."""
    if value is None or expert is None or random is None or math.isclose(expert, random):
        return None
    return (value - random) / (expert - random)


def hardly_differ(expert: float | None, random: float | None, random_std: float, episodes: int) -> bool:
    """Whether the scale between the two returns is so short that a score on it says little.

    That is if it may be chance: within two standard errors of the mean of the random policy's `episodes` returns, whose
    standard deviation (the population's) is `random_std`. Or if it is less than 1 % of the larger return: then the scale
    shows what neither policy has to do with.
    """
    if expert is None or random is None:
        return False
    error = random_std / math.sqrt(episodes - 1) if episodes > 1 else 0.0
    return abs(expert - random) <= max(2.0 * error, 0.01 * max(abs(expert), abs(random)))
