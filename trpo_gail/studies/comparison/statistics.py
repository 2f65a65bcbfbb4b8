"""Statistics over few runs and several tasks: interquartile means, stratified bootstrap intervals, performance profiles,
probability of improvement (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice").

Scores of one contestant come as strata: an array [R] of its runs per task, of any lengths. B resamples, R runs, G points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 5000
CURVE_RESAMPLES = 2000
LEVEL = 0.95  # of the intervals
CHUNK = 4_000_000  # numbers held at once
Strata = Sequence[np.ndarray]
Interval = tuple[float, float]


def iqm(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half over the last axis: a quarter of the values, rounded down, is cut from either end."""
    cut = values.shape[-1] // 4
    return np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)


def resample(strata: Strata, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Per task [B, R]: each resample draws, within each task, as many runs as there are, with replacement."""
    return [runs[rng.integers(0, len(runs), (count, len(runs)))] for runs in strata]


def interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis [B, ...]: (low [...], high [...])."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def iqm_interval(strata: Strata, count: int = RESAMPLES) -> tuple[float, Interval]:
    """The IQM over all runs of all tasks, and its interval."""
    found = iqm(np.concatenate(strata))
    low, high = interval(iqm(np.concatenate(resample(strata, count, _rng()), axis=-1)))
    return float(found), (float(low), float(high))


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
    low, high = interval(np.mean(per_task, axis=0))
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

    return interval(_in_chunks(sum(map(len, strata)) * len(thresholds), count, draw))


def iqm_curve(strata: Strata, count: int = CURVE_RESAMPLES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """IQM of curves, per task [R, G], point by point, and its pointwise interval: (iqm, low, high), each [G].

    Whole curves are resampled.
    """
    rng = _rng()
    picks = [rng.integers(0, len(curves), (count, len(curves))) for curves in strata]
    points = []
    for k in range(strata[0].shape[1]):  # a point at a time: all at once would be count * runs * points
        drawn = np.concatenate([curves[:, k][pick] for curves, pick in zip(strata, picks, strict=True)], axis=-1)
        points.append(interval(iqm(drawn)))
    low, high = map(np.array, zip(*points, strict=True))
    return iqm(np.concatenate(strata).T), low, high


def _in_chunks(size: int, count: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """`count` resamples, each of `size` numbers on its way, a chunk at a time."""
    most = max(1, CHUNK // size)
    return np.concatenate([draw(min(most, count - first)) for first in range(0, count, most)])


def _rng() -> np.random.Generator:
    """Each interval draws anew from the same seed, so that it does not depend on what was computed before."""
    return np.random.default_rng(0)
