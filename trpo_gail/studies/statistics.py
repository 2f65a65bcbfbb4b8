"""Statistics of few runs: tests and intervals of their means, and, over several tasks, interquartile means with stratified
bootstrap intervals, performance profiles and the probability of improvement (Agarwal et al. 2021, "Deep reinforcement
learning at the edge of the statistical precipice").

There, scores come as strata: an array [R] of the runs per task, of any lengths. B resamples, R runs, G points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

LEVEL = 0.05  # of every test; the intervals hold the rest, 95 %
EXACT = 200_000  # at most so many splits are all looked at; above, as many are drawn
TIE = 1e-9  # relative to the size of the values: differences this small are rounding
RESAMPLES = 5000
CURVE_RESAMPLES = 2000
CHUNK = 4_000_000  # numbers held at once
Strata = Sequence[np.ndarray]
Interval = tuple[float, float]


# ---- means of runs ---------------------------------------------------------------------------------------------------


def t_interval(means: Sequence[float]) -> Interval | None:
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

    def draw(n: int) -> np.ndarray:  # -> [n]
        return gaps(rng.permuted(np.tile(np.arange(len(values)), (n, 1)), axis=1)[:, :size])

    return float((np.sum(_in_chunks(len(values), EXACT, draw) >= observed - near) + 1) / (EXACT + 1))


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


# ---- bootstrap -------------------------------------------------------------------------------------------------------


def iqm(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half over the last axis: a quarter of the values, rounded down, is cut from either end."""
    cut = values.shape[-1] // 4
    return np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)


def resample(strata: Strata, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Per task [B, R]: each resample draws, within each task, as many runs as there are, with replacement."""
    return [runs[rng.integers(0, len(runs), (count, len(runs)))] for runs in strata]


def percentiles(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis [B, ...]: (low [...], high [...])."""
    low, high = np.quantile(samples, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return low, high


def iqm_interval(strata: Strata, count: int = RESAMPLES) -> tuple[float, Interval]:
    """The IQM over all runs of all tasks, and its interval."""
    found = iqm(np.concatenate(strata))
    low, high = percentiles(iqm(np.concatenate(resample(strata, count, _rng()), axis=-1)))
    return float(found), (float(low), float(high))


def difference_interval(x: Strata, y: Strata, count: int = RESAMPLES) -> tuple[float, Interval]:
    """Mean of X minus mean of Y within a task, averaged over tasks, and its interval; X and Y are resampled apart."""
    rng = _rng()
    drawn = [
        a.mean(axis=-1) - b.mean(axis=-1) for a, b in zip(resample(x, count, rng), resample(y, count, rng), strict=True)
    ]
    low, high = percentiles(np.mean(drawn, axis=0))
    value = np.mean([a.mean() - b.mean() for a, b in zip(x, y, strict=True)])
    return float(value), (float(low), float(high))


def improvement(x: Strata, y: Strata) -> float:
    """Probability that a run of X scores more than one of Y on the same task, a tie counting half; mean over tasks."""
    return float(np.mean([_above(a, b) for a, b in zip(x, y, strict=True)]))


def improvement_interval(x: Strata, y: Strata, count: int = RESAMPLES) -> tuple[float, Interval]:
    """That probability with its interval; X and Y are resampled apart."""
    rng = _rng()
    per_task = [
        _in_chunks(len(a) * len(b), count, lambda n, a=a, b=b: _above(*resample([a, b], n, rng)))  # type: ignore[misc]
        for a, b in zip(x, y, strict=True)
    ]
    low, high = percentiles(np.mean(per_task, axis=0))
    return improvement(x, y), (float(low), float(high))


def _above(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[..., n] and [..., m]: the part of their pairs with a > b, ties half."""
    first, second = a[..., :, None], b[..., None, :]
    return (np.mean(first > second, axis=(-2, -1)) + np.mean(first >= second, axis=(-2, -1))) / 2


def profile(strata: Strata, thresholds: np.ndarray) -> np.ndarray:
    """[G]: the part of a contestant's runs that score more than each threshold, mean over tasks."""
    return np.mean([(runs[:, None] > thresholds).mean(axis=0) for runs in strata], axis=0)


def profile_interval(strata: Strata, thresholds: np.ndarray, count: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise interval of the profile: (low [G], high [G])."""
    rng = _rng()

    def draw(n: int) -> np.ndarray:  # -> [n, G]
        drawn = resample(strata, n, rng)
        return np.mean([(runs[..., None] > thresholds).mean(axis=1) for runs in drawn], axis=0)

    return percentiles(_in_chunks(sum(map(len, strata)) * len(thresholds), count, draw))


def iqm_curve(strata: Strata, count: int = CURVE_RESAMPLES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IQM of curves, per task [R, G], point by point, and its pointwise interval: (iqm, low, high), each [G].

    Whole curves are resampled.
    """
    rng = _rng()
    picks = [rng.integers(0, len(curves), (count, len(curves))) for curves in strata]
    points = []
    for k in range(strata[0].shape[1]):  # a point at a time: all at once would be count * runs * points
        drawn = np.concatenate([curves[:, k][pick] for curves, pick in zip(strata, picks, strict=True)], axis=-1)
        points.append(percentiles(iqm(drawn)))
    low, high = map(np.array, zip(*points, strict=True))
    return iqm(np.concatenate(strata).T), low, high


def _in_chunks(size: int, count: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """`count` resamples, each of `size` numbers on its way, a chunk at a time."""
    most = max(1, CHUNK // size)
    return np.concatenate([draw(min(most, count - first)) for first in range(0, count, most)])


def _rng() -> np.random.Generator:
    """Each interval draws anew from the same seed, so that it does not depend on what was computed before."""
    return np.random.default_rng(0)
