"""How our runs compare with the paper's: pooled moments, an interval over seeds, two tests, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

LEVEL = 0.05  # of every test, and of the intervals
EXACT = 200_000  # at most so many splits are all looked at; above, as many are drawn
TIE = 1e-9  # relative to the size of the values: differences this small are rounding


@dataclass(frozen=True)
class Runs:
    """The policies of one cell."""

    means: tuple[float, ...]  # [runs], of a run's episodes
    stds: tuple[float, ...]  # [runs], of the population
    episodes: tuple[int, ...]  # [runs]

    @property
    def mean(self) -> float:
        """Over all episodes of all runs, as in the paper's Table 3."""
        return float(np.average(self.means, weights=self.episodes))

    @property
    def std(self) -> float:
        """Of the population of all episodes of all runs, likewise."""
        square = np.average(np.square(self.stds) + np.square(np.subtract(self.means, self.mean)), weights=self.episodes)
        return math.sqrt(square)


def interval(means: Sequence[float]) -> tuple[float, float] | None:
    """Student's t interval (95 %) for the mean of runs, each run one observation; None from a single run.

    It takes runs to be alike and roughly normal, which is a stretch for few of them: read it as a scale.
    """
    if len(means) < 2:
        return None
    middle, error = float(np.mean(means)), _standard_error(means)
    half = t_quantile(1.0 - LEVEL / 2.0, len(means) - 1) * error
    return middle - half, middle + half


def one_sample_p(means: Sequence[float], value: float) -> float:
    """Two-sided p of Student's test that the runs' expectation is `value`: below 5 % exactly where the interval leaves
    it out. Runs that are all the same leave nothing to chance: 1 if they equal the value, 0 if not."""
    gap, error = abs(float(np.mean(means)) - value), _standard_error(means)
    if gap <= TIE * max(1.0, abs(value)):
        return 1.0
    return 2.0 * (1.0 - t_cdf(gap / error, len(means) - 1)) if error > 0.0 else 0.0


def _standard_error(means: Sequence[float]) -> float:
    spread = float(np.std(means, ddof=1))
    return spread / math.sqrt(len(means)) if spread > TIE * max(1.0, abs(float(np.mean(means)))) else 0.0


def permutation_p(a: Sequence[float], b: Sequence[float], rng: np.random.Generator) -> float:
    """Two-sided p that runs a and b differ: the part of all splits of the values in two groups of these sizes whose
    means are at least as far apart. Exact up to EXACT splits, else from as many drawn ones, the observed one among them.
    """
    values, size = np.array([*a, *b], np.float64), len(a)
    near = TIE * max(1.0, float(np.abs(values).max()))

    def gaps(first: np.ndarray) -> np.ndarray:  # [splits, size] indices -> [splits]
        sums = values[first].sum(axis=1)
        return np.abs(sums / size - (values.sum() - sums) / (len(values) - size))

    observed = gaps(np.arange(size)[None])[0]
    if math.comb(len(values), size) <= EXACT:
        splits = np.array(list(combinations(range(len(values)), size)))
        return float(np.mean(gaps(splits) >= observed - near))
    drawn = rng.permuted(np.tile(np.arange(len(values)), (EXACT, 1)), axis=1)[:, :size]
    return float((np.sum(gaps(drawn) >= observed - near) + 1) / (EXACT + 1))


def holm(p: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected with the chance of any false rejection at most `level` (Holm 1979)."""
    rejected = [False] * len(p)
    for step, k in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        if p[k] > level / (len(p) - step):
            break
        rejected[k] = True
    return rejected


def t_cdf(t: float, freedom: int) -> float:
    """Student's distribution function for a whole number of degrees of freedom, by its closed form.

    Abramowitz & Stegun 26.7.3 and 26.7.4.
    """
    theta = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(theta), math.cos(theta) ** 2
    term = math.cos(theta) if freedom % 2 else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if freedom % 2 else 2, freedom - 1, 2):
        term *= square * (k - 1) / k
        total += term
    inside = 2.0 / math.pi * (theta + sine * total) if freedom % 2 else sine * total
    return 0.5 * (1.0 + inside)


def t_quantile(p: float, freedom: int) -> float:
    """Where t_cdf is p (from 0.5 on), by bisection."""
    assert 0.5 <= p < 1.0
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < p:
        low, high = high, 2.0 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return 0.5 * (low + high)
