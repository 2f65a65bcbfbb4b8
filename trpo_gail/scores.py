"""Returns on the paper's scale, and how well two kinds of them agree."""

from __future__ import annotations

import math

import numpy as np


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


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's: the correlation of the ranks of numbers [E] and [E]; equal numbers share the mean of their ranks.

    None if there are fewer than two pairs, or if one side's numbers are all equal.
    """
    x, y = (_ranks(numbers) - 0.5 * (len(numbers) + 1) for numbers in (a, b))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread else None


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """From 1, [E] float64."""
    _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - 0.5 * (counts - 1))[which]
