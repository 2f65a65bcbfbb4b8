"""Returns on the paper's scale."""

from __future__ import annotations

import math


def scaled_score(value: float | None, expert: float | None, random: float | None) -> float | None:
    """0 at the random policy's return, 1 at the expert's (Ho & Ermon 2016, figure 1); None if the score is
    undefined."""
    if value is None or expert is None or random is None or math.isclose(expert, random):
        return None
    return (value - random) / (expert - random)


def hardly_differ(expert: float | None, random: float | None, random_std: float, episodes: int) -> bool:
    """Whether the two returns are so close that a score between them says little.

    They are if the difference may be chance: it is within two standard errors of the mean of the random policy's
    `episodes` returns, whose (population) standard deviation is `random_std`. They also are if it is less than 1 % of
    the larger return: then most of both returns depends on neither policy.
    """
    if expert is None or random is None:
        return False
    error = random_std / math.sqrt(episodes - 1) if episodes > 1 else 0.0
    return abs(expert - random) <= max(2.0 * error, 0.01 * max(abs(expert), abs(random)))
